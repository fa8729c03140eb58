"""LiteLLM, unchanged, by each of its ways to a server like this: litellm_python.py HOST MODEL TOOLS EMBED."""

import json
import os
import time

# Before it is imported: it would fetch a price list otherwise.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm
from checks import EMBED, HOST, MISSING, MODEL, PERSON, TOOLS, WEATHER, assert_person, check, raises, run

litellm.telemetry = False
litellm.num_retries = 0
QUESTION = [{"role": "user", "content": "Say hello."}]
GREEDY = {"temperature": 0, "seed": 1, "max_tokens": 12}
WAYS = {
    "ollama": {"api_base": HOST},
    "ollama_chat": {"api_base": HOST},
    "openai": {"api_base": f"{HOST}/v1", "api_key": "unused"},
}


def complete(way, **named):
    model = named.pop("model", MODEL)
    return litellm.completion(model=f"{way}/{model}", **WAYS[way], **{"messages": QUESTION, **named})


@check
def whole_and_streamed_are_the_same():
    for way in WAYS:
        whole = complete(way, **GREEDY)
        assert whole.usage.total_tokens > 0 and whole.choices[0].finish_reason in ("stop", "length"), way
        parts = [chunk.choices[0].delta.content or "" for chunk in complete(way, stream=True, **GREEDY)]
        assert "".join(parts) == whole.choices[0].message.content, way


@check
def anthropic():
    answer = litellm.completion(
        model=f"anthropic/{MODEL}", api_base=HOST, api_key="unused", messages=QUESTION, max_tokens=12
    )
    assert answer.choices[0].message.content


@check
def json_schema():
    for way in ("ollama_chat", "openai"):
        answer = complete(
            way,
            response_format={"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON}},
            temperature=0,
            max_tokens=200,
        )
        assert_person(json.loads(answer.choices[0].message.content))


@check
def tools():
    tools = [{"type": "function", "function": WEATHER}]
    question = [{"role": "user", "content": "What is the weather in Paris?"}]
    answer = complete(
        "openai", model=TOOLS, messages=question, tools=tools, tool_choice="required", temperature=0, max_tokens=200
    )
    call = answer.choices[0].message.tool_calls[0].function
    assert call.name == "get_weather" and json.loads(call.arguments)["city"] in ("Paris", "Rome")
    # The native routes have no choice among tools: that the request goes through is all that can be asked.
    complete("ollama_chat", model=TOOLS, messages=question, tools=tools, temperature=0, max_tokens=24)


@check
def embeddings():
    for way, extra in (("ollama", {}), ("openai", {"encoding_format": "float"})):
        answer = litellm.embedding(model=f"{way}/{EMBED}", input=["hello", "world"], **extra, **WAYS[way])
        assert len(answer.data) == 2 and len(answer.data[0]["embedding"]) > 1, way


@check
def errors():
    for way in ("ollama_chat", "openai"):
        assert MISSING in str(raises(litellm.NotFoundError, complete, way, model=MISSING))


@check
def cancel_frees_the_card():
    stream = complete("ollama_chat", stream=True, max_tokens=2000)
    next(stream)
    stream.completion_stream.close() if hasattr(stream.completion_stream, "close") else None
    del stream
    began = time.monotonic()
    complete("ollama_chat", max_tokens=1)
    assert time.monotonic() - began < 10


@check
async def asynchronous():
    answer = await litellm.acompletion(model=f"ollama_chat/{MODEL}", api_base=HOST, messages=QUESTION, **GREEDY)
    assert answer.choices[0].message.content


run("litellm")
