"""The anthropic package for Python, unchanged: anthropic_python.py HOST MODEL TOOLS EMBED."""

import time

import anthropic
from checks import ENOUGH, HOST, MISSING, MODEL, TOOLS, WEATHER, WEATHER_QUESTION, assert_call, check, raises, run
from pydantic import BaseModel

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
    # Every block has reached the prompt.
    short = client.messages.create(**options(system="Be brief.", messages=[{"role": "user", "content": "and?"}]))
    assert answer.usage.input_tokens > short.usage.input_tokens + 10, (answer.usage, short.usage)


@check
def a_tool_is_called_and_its_result_is_taken():
    question = [{"role": "user", "content": WEATHER_QUESTION}]
    ids = set()
    for choice in ({"type": "auto"}, {"type": "any"}, {"type": "tool", "name": "get_weather"}):
        asked = options(model=TOOLS, messages=question, tools=[TOOL], tool_choice=choice, max_tokens=ENOUGH)
        whole = client.messages.create(**asked)
        with client.messages.stream(**asked) as stream:
            final = stream.get_final_message()
        for answer in (whole, final):
            assert answer.stop_reason == "tool_use", answer
            [call] = [block for block in answer.content if block.type == "tool_use"]
            assert_call(call.name, call.input)
            ids.add(call.id)
    assert len(ids) == 6, ids
    said = {"role": "assistant", "content": [block.model_dump() for block in final.content]}
    result = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "sunny"}]}
    after = client.messages.create(
        **options(model=TOOLS, messages=[*question, said, {"role": "user", "content": [result]}], tools=[TOOL])
    )
    assert after.usage.input_tokens > final.usage.input_tokens and after.usage.output_tokens > 0


@check
def thoughts_are_apart():
    asked = options(
        model=TOOLS, messages=[{"role": "user", "content": WEATHER_QUESTION}], max_tokens=ENOUGH,
        thinking={"type": "enabled", "budget_tokens": 1024},
    )
    whole = client.messages.create(**asked)
    with client.messages.stream(**asked) as stream:
        final = stream.get_final_message()
    assert whole.content[0].type == final.content[0].type == "thinking", whole
    assert "Paris" in whole.content[0].thinking == final.content[0].thinking, (whole, final)
    silent = client.messages.create(**{**asked, "thinking": {"type": "disabled"}})
    assert all(block.type != "thinking" for block in silent.content), silent


@check
def pydantic_models_are_parsed():
    class Person(BaseModel):
        name: str
        age: int

    answer = client.messages.parse(**options(output_format=Person, max_tokens=200))
    assert isinstance(answer.parsed_output, Person), answer


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
