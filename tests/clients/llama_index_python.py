"""LlamaIndex, unchanged: its classes for Ollama and for servers like OpenAI's: llama_index_python.py HOST MODEL TOOLS EMBED."""

import json
import time

from checks import EMBED, HOST, MISSING, MODEL, TOOLS, assert_same_direction, check, raises, run
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.ollama import OllamaEmbedding
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.ollama import Ollama
from llama_index.llms.openai_like import OpenAILike
from ollama import ResponseError
from openai import NotFoundError
from pydantic import BaseModel, Field

GREEDY = {"num_predict": 12, "seed": 1}
QUESTION = [ChatMessage(role="system", content="Be brief."), ChatMessage(role="user", content="Say hello.")]


class Person(BaseModel, extra="forbid"):
    """Somebody."""

    name: str = Field(max_length=12)
    age: int = Field(ge=1, le=99)


def native(model=MODEL, **named):
    return Ollama(model=model, base_url=HOST, temperature=0, context_window=2048, additional_kwargs=GREEDY, **named)


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
    llm = Ollama(model=MODEL, base_url=HOST, temperature=0, context_window=2048, additional_kwargs={"num_predict": 200})
    person = llm.as_structured_llm(Person).complete("Describe a person.").raw
    assert isinstance(person, Person)
    plain = Ollama(model=MODEL, base_url=HOST, json_mode=True, temperature=0, context_window=2048, additional_kwargs={"num_predict": 200})
    answer = plain.complete("Describe a person.")
    if answer.raw["done_reason"] == "stop":
        assert isinstance(json.loads(answer.text), dict)


@check
def tools():
    def get_weather(city: str) -> str:
        """Gets the weather of a city."""
        return "sunny"

    tool = FunctionTool.from_defaults(fn=get_weather)
    llm = like(TOOLS, is_function_calling_model=True, max_tokens=200)
    answer = llm.chat_with_tools([tool], user_msg="What is the weather in Paris?", tool_required=True)
    calls = llm.get_tool_calls_from_response(answer)
    assert calls[0].tool_name == "get_weather" and isinstance(calls[0].tool_kwargs["city"], str)
    # The native route has no choice among tools: that the request goes through is all that can be asked.
    native(TOOLS).chat_with_tools([tool], user_msg="What is the weather in Paris?")


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
    llm = Ollama(model=MODEL, base_url=HOST, context_window=2048, additional_kwargs={"num_predict": 2000})
    stream = llm.stream_chat(QUESTION)
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
