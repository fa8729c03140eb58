"""The anthropic package for Python, unchanged: anthropic_python.py HOST MODEL TOOLS EMBED."""

import time

import anthropic
from checks import HOST, MISSING, MODEL, TOOLS, WEATHER, check, raises, run

client = anthropic.Anthropic(base_url=HOST, api_key="unused", max_retries=0)
QUESTION = [{"role": "user", "content": "Say hello."}]
GREEDY = {"temperature": 0, "max_tokens": 12}
TOOL = {"name": "get_weather", "description": WEATHER["description"], "input_schema": WEATHER["parameters"]}


def options(**named):
    """Newer models of Anthropic have no temperature, so the library's types may not either; the wire does."""
    extra = {"temperature": named.pop("temperature", 0)}
    return {"model": MODEL, "messages": QUESTION, "max_tokens": 12, "extra_body": extra, **named}


@check
def whole_and_streamed_are_the_same():
    whole = client.messages.create(**options())
    assert whole.type == "message" and whole.role == "assistant" and whole.stop_reason in ("end_turn", "max_tokens")
    assert whole.usage.input_tokens > 0 and whole.usage.output_tokens > 0
    with client.messages.stream(**options()) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == whole.content[0].text == final.content[0].text
    assert final.usage.output_tokens == whole.usage.output_tokens and final.stop_reason == whole.stop_reason


@check
def events_come_in_their_order():
    kinds = [event.type for event in client.messages.create(**options(stream=True))]
    assert kinds[0] == "message_start" and kinds[-2:] == ["message_delta", "message_stop"], kinds
    assert kinds.count("content_block_start") == kinds.count("content_block_stop") >= 1


@check
def system_blocks_and_parts():
    answer = client.messages.create(
        **options(
            system=[{"type": "text", "text": "Be brief."}],
            messages=[
                {"role": "user", "content": [{"type": "text", "text": "One"}, {"type": "text", "text": "two"}]},
                {"role": "assistant", "content": "three"},
                {"role": "user", "content": "and?"},
            ],
            stop_sequences=["\n\n\n"],
        )
    )
    assert answer.content[0].type == "text"


@check
def a_tool_is_called_and_its_result_is_taken():
    question = [{"role": "user", "content": "What is the weather in Paris? Use the tool."}]
    first = client.messages.create(
        **options(model=TOOLS, messages=question, tools=[TOOL], tool_choice={"type": "any"}, max_tokens=200)
    )
    calls = [block for block in first.content if block.type == "tool_use"]
    assert first.stop_reason == "tool_use" and calls[0].name == "get_weather", first
    assert calls[0].input["city"] in ("Paris", "Rome"), first
    said = {"role": "assistant", "content": [block.model_dump() for block in first.content]}
    result = {"type": "tool_result", "tool_use_id": calls[0].id, "content": "sunny"}
    answer = client.messages.create(
        **options(model=TOOLS, messages=[*question, said, {"role": "user", "content": [result]}], tools=[TOOL])
    )
    assert answer.role == "assistant"


@check
def errors():
    missing = raises(anthropic.NotFoundError, client.messages.create, **options(model=MISSING))
    assert missing.body["type"] == "error" and missing.body["error"]["type"] == "not_found_error"
    assert missing.request_id, "errors must name their request"
    empty = raises(anthropic.BadRequestError, client.messages.create, **options(messages=[]))
    assert empty.body["error"]["type"] == "invalid_request_error"


@check
def cancel_frees_the_card():
    with client.messages.stream(**options(max_tokens=2000)) as stream:
        next(iter(stream.text_stream))
    began = time.monotonic()
    client.messages.create(**options(max_tokens=1))
    assert time.monotonic() - began < 5


@check
async def asynchronous_client():
    async with anthropic.AsyncAnthropic(base_url=HOST, auth_token="unused", max_retries=0) as client:
        async with client.messages.stream(**options()) as stream:
            assert [text async for text in stream.text_stream]


run("anthropic-python")
