"""LiteLLM, unchanged, by each of its ways to a server like this: litellm_python.py HOST MODEL TOOLS EMBED."""

import gc
import json
import os
import time

# Before it is imported: it would fetch a price list otherwise.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm
from checks import (
    EMBED, ENOUGH, HOST, MISSING, MODEL, PERSON, TOOL, TOOLS, WEATHER_QUESTION, assert_call, assert_person, check,
    raises, run,
)

litellm.telemetry = False
litellm.num_retries = 0
QUESTION = [{"role": "user", "content": "Say hello."}]
GREEDY = {"temperature": 0, "max_tokens": 12}
WAYS = {
    "ollama": {"api_base": HOST},
    "ollama_chat": {"api_base": HOST},
    "openai": {"api_base": f"{HOST}/v1", "api_key": "unused"},
    "anthropic": {"api_base": HOST, "api_key": "unused"},
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
        assert "".join(parts) == whole.choices[0].message.content != "", way


@check
def json_schema():
    for way in ("ollama", "ollama_chat", "openai"):
        answer = complete(
            way,
            response_format={"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON}},
            temperature=0,
            max_tokens=200,
        )
        assert_person(json.loads(answer.choices[0].message.content))


@check
def a_tool_is_called_and_its_result_is_taken():
    question = [{"role": "user", "content": WEATHER_QUESTION}]
    for way in ("ollama_chat", "openai", "anthropic"):
        asked = {"model": TOOLS, "messages": question, "tools": [TOOL], "temperature": 0, "max_tokens": ENOUGH}
        whole = complete(way, **asked)
        chunks = list(complete(way, stream=True, **asked))
        for answer in (whole, litellm.stream_chunk_builder(chunks, messages=question)):
            assert answer.choices[0].finish_reason == "tool_calls", (way, answer)
            [call] = answer.choices[0].message.tool_calls
            assert call.id, (way, call)
            assert_call(call.function.name, call.function.arguments)
        result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
        after = complete(way, **{**asked, "messages": [*question, answer.choices[0].message.model_dump(), result]})
        assert after.usage.prompt_tokens > whole.usage.prompt_tokens, way
    forced = complete("openai", **{**asked, "tool_choice": "required"}).choices[0].message.tool_calls[0]
    assert_call(forced.function.name, forced.function.arguments)


@check
def thoughts_are_apart():
    question = [{"role": "user", "content": WEATHER_QUESTION}]
    named = {"model": TOOLS, "messages": question, "temperature": 0, "max_tokens": ENOUGH}
    # The third way knows by name which models think.
    for way in ("ollama_chat", "openai"):
        message = complete(way, reasoning_effort="low", allowed_openai_params=["reasoning_effort"], **named).choices[0].message
        assert "Paris" in message.reasoning_content and "think>" not in (message.content or ""), (way, message)


@check
def embeddings():
    for way, extra in (("ollama", {}), ("openai", {"encoding_format": "float"})):
        answer = litellm.embedding(model=f"{way}/{EMBED}", input=["hello", "world"], **extra, **WAYS[way])
        assert len(answer.data) == 2 and len(answer.data[0]["embedding"]) > 1, way


@check
def errors():
    for way in WAYS:
        assert MISSING in str(raises(litellm.NotFoundError, complete, way, model=MISSING))


@check
def cancel_frees_the_card():
    stream = complete("ollama_chat", stream=True, max_tokens=2000)
    next(stream)
    # The library has no way to close a stream: what is not read any more is collected.
    del stream
    gc.collect()
    began = time.monotonic()
    complete("ollama_chat", max_tokens=1)
    assert time.monotonic() - began < 10


@check
async def asynchronous():
    answer = await litellm.acompletion(model=f"ollama_chat/{MODEL}", api_base=HOST, messages=QUESTION, **GREEDY)
    assert answer.choices[0].message.content


run("litellm")
