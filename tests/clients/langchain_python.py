"""LangChain's classes for Ollama, unchanged: langchain_python.py HOST MODEL TOOLS EMBED."""

import time

import ollama
from checks import EMBED, HOST, MISSING, MODEL, TOOLS, check, raises, run
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
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
    assert isinstance(chat.with_structured_output(Person).invoke("Describe a person."), Person)


@check
def tools_and_their_results_are_taken():
    chat = ChatOllama(model=TOOLS, **GREEDY).bind_tools([get_weather])
    question = HumanMessage("What is the weather in Paris?")
    assert isinstance(chat.invoke([question]), AIMessage)
    call = {"name": "get_weather", "args": {"city": "Paris"}, "id": "call_1"}
    said = AIMessage("", tool_calls=[call])
    assert chat.invoke([question, said, ToolMessage("sunny", tool_call_id="call_1")]).content is not None


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
