"""LlamaIndex, unchanged: its classes for Ollama and for servers like OpenAI's: llama_index_python.py HOST MODEL TOOLS EMBED."""

import json
import time

from checks import (
    EMBED, ENOUGH, HOST, MISSING, MODEL, TOOLS, WEATHER_QUESTION, assert_call, assert_same_direction, check, raises, run,
)
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.ollama import OllamaEmbedding
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.ollama import Ollama
from llama_index.llms.openai_like import OpenAILike
from ollama import ResponseError
from openai import NotFoundError
from pydantic import BaseModel, Field

QUESTION = [ChatMessage(role="system", content="Be brief."), ChatMessage(role="user", content="Say hello.")]


class Person(BaseModel, extra="forbid"):
    """Somebody."""

    name: str = Field(max_length=12)
    age: int = Field(ge=1, le=99)


def native(model=MODEL, num_predict=12, **named):
    extra = {"num_predict": num_predict, "seed": 1}
    return Ollama(model=model, base_url=HOST, temperature=0, context_window=2048, additional_kwargs=extra, **named)


def like(model=MODEL, **named):
    named = {"max_tokens": 12, "is_chat_model": True, **named}
    return OpenAILike(model=model, api_base=f"{HOST}/v1", api_key="unused", temperature=0, max_retries=0, **named)


@check
def chat_whole_and_streamed_are_the_same():
    for llm in (native(), like()):
        whole = llm.chat(QUESTION).message.content
        assert whole and "".join(part.delta for part in llm.stream_chat(QUESTION)) == whole, llm


@check
def completion():
    for llm in (native(), like(is_chat_model=False)):
        whole = llm.complete("Once upon a time").text
        assert whole and "".join(part.delta for part in llm.stream_complete("Once upon a time")) == whole, llm


@check
def structured_output():
    person = native(num_predict=200).as_structured_llm(Person).complete("Describe a person.").raw
    assert isinstance(person, Person)
    answer = native(num_predict=200, json_mode=True).complete("Say hello.")
    assert answer.raw["done_reason"] == "stop", answer
    assert isinstance(json.loads(answer.text), dict)


@check
def a_tool_is_called_and_its_result_is_taken():
    def get_weather(city: str) -> str:
        """Gets the weather of a city."""
        return "sunny"

    tool = FunctionTool.from_defaults(fn=get_weather)
    limit = {"num_predict": ENOUGH}
    for llm in (native(TOOLS, **limit), like(TOOLS, is_function_calling_model=True, max_tokens=ENOUGH)):
        whole = llm.chat_with_tools([tool], user_msg=WEATHER_QUESTION)
        *_, streamed = llm.stream_chat_with_tools([tool], user_msg=WEATHER_QUESTION)
        for answer in (whole, streamed):
            [call] = llm.get_tool_calls_from_response(answer)
            assert_call(call.tool_name, call.tool_kwargs)
        assert call.tool_id
        history = [ChatMessage(role="user", content=WEATHER_QUESTION), whole.message]
        named = {"tool_call_id": call.tool_id, "name": call.tool_name}
        result = ChatMessage(role="tool", content="sunny", additional_kwargs=named)
        then = llm.chat_with_tools([tool], chat_history=[*history, result])
        calls = llm.get_tool_calls_from_response(then, error_on_no_tool_call=False)
        assert then.message.content or calls, llm
    forced = llm.chat_with_tools([tool], user_msg=WEATHER_QUESTION, tool_required=True)
    assert_call("get_weather", llm.get_tool_calls_from_response(forced)[0].tool_kwargs)


@check
def embeddings():
    ours = OllamaEmbedding(model_name=EMBED, base_url=HOST)
    theirs = OpenAILikeEmbedding(model_name=EMBED, api_base=f"{HOST}/v1", api_key="unused")
    assert_same_direction(ours.get_text_embedding("hello"), theirs.get_text_embedding("hello"))
    assert len(ours.get_text_embedding_batch(["a", "b", "c"])) == 3


@check
def errors():
    assert raises(ResponseError, native(MISSING).chat, QUESTION).status_code == 404
    raises(NotFoundError, like(MISSING).chat, QUESTION)


@check
def cancel_frees_the_card():
    stream = native(num_predict=2000).stream_chat(QUESTION)
    next(stream)
    stream.close()
    began = time.monotonic()
    native().chat(QUESTION)
    assert time.monotonic() - began < 10


@check
async def asynchronous():
    for llm in (native(), like()):
        assert [part async for part in await llm.astream_chat(QUESTION)]


run("llama-index")
