"""LangChain's classes for Ollama, unchanged: langchain_python.py HOST MODEL TOOLS EMBED."""

import time

import ollama
from checks import EMBED, ENOUGH, HOST, MISSING, MODEL, TOOLS, WEATHER, WEATHER_QUESTION, assert_call, check, raises, run
from langchain_core.messages import AIMessageChunk, HumanMessage, SystemMessage
from langchain_core.tools import tool
from langchain_ollama import ChatOllama, OllamaEmbeddings, OllamaLLM
from pydantic import BaseModel, Field

GREEDY = {"base_url": HOST, "temperature": 0, "seed": 1, "num_predict": 12}
QUESTION = [SystemMessage("Be brief."), HumanMessage("Say hello.")]


class Person(BaseModel):
    """Somebody."""

    name: str = Field(max_length=12)
    age: int = Field(ge=1, le=99)


@tool
def get_weather(city: str) -> str:
    """Gets the weather of a city."""
    return "sunny"


@check
def chat_whole_and_streamed_are_the_same():
    chat = ChatOllama(model=MODEL, validate_model_on_init=True, **GREEDY)
    whole = chat.invoke(QUESTION)
    assert whole.usage_metadata["total_tokens"] > 0 and whole.response_metadata["done_reason"] in ("stop", "length")
    parts = list(chat.stream(QUESTION))
    assert "".join(part.content for part in parts) == whole.content


@check
def completion():
    llm = OllamaLLM(model=MODEL, **GREEDY)
    assert llm.invoke("Once upon a time") == "".join(llm.stream("Once upon a time"))


@check
def structured_output():
    chat = ChatOllama(model=MODEL, **{**GREEDY, "num_predict": 200})
    for method in ("json_schema", "json_mode"):
        runnable = chat.with_structured_output(Person if method == "json_schema" else None, method=method)
        person = runnable.invoke("Describe a person.")
        assert isinstance(person, Person if method == "json_schema" else dict), (method, person)
    assert list(chat.with_structured_output(Person).stream("Describe a person."))[-1].age >= 1

    # By a call of a tool.
    caller = ChatOllama(model=TOOLS, **{**GREEDY, "num_predict": ENOUGH})
    called = caller.with_structured_output(WEATHER, method="function_calling").invoke(WEATHER_QUESTION)
    assert_call("get_weather", called)


@check
def a_tool_is_called_and_its_result_is_taken():
    chat = ChatOllama(model=TOOLS, **{**GREEDY, "num_predict": ENOUGH}).bind_tools([get_weather])
    question = HumanMessage(WEATHER_QUESTION)
    whole = chat.invoke([question])
    streamed = sum(chat.stream([question]), start=AIMessageChunk(""))
    for answer in (whole, streamed):
        [call] = answer.tool_calls
        assert_call(call["name"], call["args"])
    after = chat.invoke([question, streamed, get_weather.invoke(call)])
    assert after.usage_metadata["input_tokens"] > whole.usage_metadata["input_tokens"]


@check
def thoughts_are_apart():
    chat = ChatOllama(model=TOOLS, **{**GREEDY, "num_predict": ENOUGH})
    whole = chat.invoke(WEATHER_QUESTION, reasoning=True)
    assert "Paris" in whole.additional_kwargs["reasoning_content"] and "think>" not in whole.content, whole
    streamed = sum(chat.stream(WEATHER_QUESTION, reasoning=True), start=AIMessageChunk(""))
    assert streamed.additional_kwargs["reasoning_content"] == whole.additional_kwargs["reasoning_content"]
    assert "reasoning_content" not in chat.invoke(WEATHER_QUESTION, reasoning=False).additional_kwargs


@check
def embeddings():
    embed = OllamaEmbeddings(model=EMBED, base_url=HOST)
    vectors = embed.embed_documents(["hello", "world"])
    assert len(vectors) == 2 and abs(sum(x * x for x in vectors[0]) - 1) < 1e-4
    assert max(abs(a - b) for a, b in zip(vectors[0], embed.embed_query("hello"), strict=True)) < 1e-5


@check
def errors():
    assert raises(ollama.ResponseError, ChatOllama(model=MISSING, base_url=HOST).invoke, QUESTION).status_code == 404
    raises(ValueError, ChatOllama, model=MISSING, base_url=HOST, validate_model_on_init=True)


@check
def cancel_frees_the_card():
    stream = ChatOllama(model=MODEL, base_url=HOST, num_predict=2000).stream(QUESTION)
    next(stream)
    stream.close()
    began = time.monotonic()
    ChatOllama(model=MODEL, **GREEDY).invoke(QUESTION)
    assert time.monotonic() - began < 10


@check
async def asynchronous():
    chat = ChatOllama(model=MODEL, **GREEDY)
    assert [part async for part in chat.astream(QUESTION)]


run("langchain-ollama")
