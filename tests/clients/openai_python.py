"""The openai package for Python, unchanged: openai_python.py HOST MODEL TOOLS EMBED."""

import json
import time

import openai
from checks import (
    EMBED, ENOUGH, HOST, MISSING, MODEL, PERSON, TOOL, TOOLS, WEATHER, WEATHER_QUESTION, assert_call, assert_person,
    assert_same_direction, check, raises, run,
)
from pydantic import BaseModel

client = openai.OpenAI(base_url=f"{HOST}/v1", api_key="unused", max_retries=0)
QUESTION = [{"role": "user", "content": "Say hello."}]
GREEDY = {"temperature": 0, "seed": 1, "max_tokens": 12}
LONG = {**GREEDY, "max_tokens": ENOUGH}


@check
def models():
    ids = [model.id for model in client.models.list()]
    assert any(name.split(":")[0] == MODEL for name in ids), ids
    assert client.models.retrieve(MODEL).id == MODEL


@check
def chat_whole_and_streamed_are_the_same():
    whole = client.chat.completions.create(model=MODEL, messages=QUESTION, **GREEDY)
    assert whole.object == "chat.completion" and whole.choices[0].finish_reason in ("stop", "length")
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens > 0
    chunks = list(
        client.chat.completions.create(
            model=MODEL, messages=QUESTION, stream=True, stream_options={"include_usage": True}, **GREEDY
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content and text
    assert chunks[-1].choices == [] and chunks[-1].usage == whole.usage
    assert len({chunk.id for chunk in chunks}) == 1


@check
def roles_and_parts():
    answer = client.chat.completions.create(
        model=MODEL,
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "One"}, {"type": "text", "text": "two"}]},
            {"role": "assistant", "content": "three"},
            {"role": "user", "content": "and?"},
        ],
        **GREEDY,
    )
    # Every part has reached the prompt.
    short = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "and?"}], **GREEDY)
    assert answer.usage.prompt_tokens > short.usage.prompt_tokens + 10, (answer.usage, short.usage)


@check
def stop_and_logprobs():
    answer = client.chat.completions.create(
        model=MODEL, messages=QUESTION, logprobs=True, top_logprobs=2, temperature=0, max_tokens=4
    )
    entries = answer.choices[0].logprobs.content
    assert len(entries) == answer.usage.completion_tokens == 4, (entries, answer.usage)
    assert all(entry.logprob <= 0 and len(entry.top_logprobs) == 2 for entry in entries)
    assert "".join(entry.token for entry in entries) == answer.choices[0].message.content
    word = answer.choices[0].message.content.split()[0]
    stopped = client.chat.completions.create(model=MODEL, messages=QUESTION, stop=[word], temperature=0, max_tokens=4)
    assert word not in stopped.choices[0].message.content and stopped.choices[0].finish_reason == "stop"


@check
def json_object():
    answer = client.chat.completions.create(
        model=MODEL, messages=QUESTION, response_format={"type": "json_object"}, temperature=0, max_tokens=200
    )
    assert answer.choices[0].finish_reason == "stop", answer
    assert isinstance(json.loads(answer.choices[0].message.content), dict)


@check
def json_schema():
    answer = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Describe a person."}],
        response_format={"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": True}},
        temperature=0,
        max_tokens=200,
    )
    assert answer.choices[0].finish_reason == "stop"
    assert_person(json.loads(answer.choices[0].message.content))


@check
def pydantic_models_are_parsed():
    class Person(BaseModel):
        name: str
        age: int

    answer = client.chat.completions.parse(model=MODEL, messages=QUESTION, response_format=Person, **LONG)
    assert isinstance(answer.choices[0].message.parsed, Person), answer
    response = client.responses.parse(model=MODEL, input="Say hello.", text_format=Person, temperature=0, max_output_tokens=200)
    assert isinstance(response.output_parsed, Person), response


@check
def a_tool_is_called_and_its_result_is_taken():
    question = [{"role": "user", "content": WEATHER_QUESTION}]
    named = {"type": "function", "function": {"name": "get_weather"}}
    ids = set()
    for choice in ("auto", "required", named):
        asked = {"model": TOOLS, "messages": question, "tools": [TOOL], "tool_choice": choice, **LONG}
        whole = client.chat.completions.create(**asked)
        with client.chat.completions.stream(**asked) as stream:
            final = stream.until_done().get_final_completion()
        for answer in (whole, final):
            assert answer.choices[0].finish_reason == "tool_calls", answer
            [call] = answer.choices[0].message.tool_calls
            assert call.type == "function" and call.id.startswith("call_"), call
            assert_call(call.function.name, call.function.arguments)
            ids.add(call.id)
    assert len(ids) == 6, ids
    answer = client.chat.completions.create(**{**asked, "tool_choice": "none"})
    assert not answer.choices[0].message.tool_calls and answer.choices[0].finish_reason != "tool_calls"
    said = whole.choices[0].message.model_dump(exclude_none=True)
    result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    after = client.chat.completions.create(model=TOOLS, messages=[*question, said, result], tools=[TOOL], **GREEDY)
    assert after.usage.prompt_tokens > whole.usage.prompt_tokens and after.usage.completion_tokens > 0


@check
def thoughts_are_apart():
    asked = {"model": TOOLS, "messages": [{"role": "user", "content": WEATHER_QUESTION}], **LONG}
    whole = client.chat.completions.create(**asked, reasoning_effort="low").choices[0].message
    chunks = client.chat.completions.create(**asked, reasoning_effort="low", stream=True)
    thoughts = [getattr(chunk.choices[0].delta, "reasoning", None) or "" for chunk in chunks]
    assert "Paris" in whole.reasoning and "".join(thoughts) == whole.reasoning, whole
    silent = client.chat.completions.create(**asked, reasoning_effort="none").choices[0].message
    assert not getattr(silent, "reasoning", None), silent


@check
def completions():
    whole = client.completions.create(model=MODEL, prompt="Once upon a time", **GREEDY)
    chunks = client.completions.create(model=MODEL, prompt="Once upon a time", stream=True, **GREEDY)
    text = "".join(chunk.choices[0].text for chunk in chunks if chunk.choices)
    assert whole.choices[0].text == text and whole.object == "text_completion"


@check
def responses():
    options = {"model": MODEL, "input": "Say hello.", "temperature": 0, "max_output_tokens": 12}
    whole = client.responses.create(**options)
    assert whole.status == "completed" and whole.output_text and whole.usage.output_tokens > 0
    events = list(client.responses.create(stream=True, **options))
    assert [events[0].type, events[-1].type] == ["response.created", "response.completed"]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == whole.output_text == events[-1].response.output_text


@check
def responses_call_tools():
    tool = {"type": "function", "strict": True, **WEATHER}
    asked = {"model": TOOLS, "input": WEATHER_QUESTION, "tools": [tool], "temperature": 0, "max_output_tokens": ENOUGH}
    whole = client.responses.create(**asked)
    events = list(client.responses.create(stream=True, **asked))
    done = [event for event in events if event.type == "response.function_call_arguments.done"]
    assert_call("get_weather", done[0].arguments)
    for response in (whole, events[-1].response):
        [call] = [item for item in response.output if item.type == "function_call"]
        assert call.call_id.startswith("call_"), call
        assert_call(call.name, call.arguments)
        assert any(item.type == "reasoning" for item in response.output), response.output
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    said = [item.model_dump(exclude_none=True) for item in whole.output]
    history = [{"role": "user", "content": WEATHER_QUESTION}, *said, result]
    after = client.responses.create(**{**asked, "input": history})
    assert after.usage.input_tokens > whole.usage.input_tokens


@check
def embeddings():
    plain = client.embeddings.create(model=EMBED, input=["hello", "world"], encoding_format="float")
    # Without a format the library asks for base64 and decodes it.
    packed = client.embeddings.create(model=EMBED, input="hello")
    assert [item.index for item in plain.data] == [0, 1] and plain.usage.prompt_tokens > 0
    assert_same_direction(plain.data[0].embedding, packed.data[0].embedding)


@check
def errors():
    missing = raises(openai.NotFoundError, client.chat.completions.create, model=MISSING, messages=QUESTION)
    assert missing.body["type"] == "not_found_error" and MISSING in missing.body["message"]
    assert missing.request_id, "errors must name their request"
    streamed = raises(openai.NotFoundError, client.chat.completions.create, model=MISSING, messages=QUESTION, stream=True)
    assert streamed.status_code == 404
    raises(openai.BadRequestError, client.chat.completions.create, model=MODEL, messages=[])
    raises(openai.BadRequestError, client.embeddings.create, model=EMBED, input=[])
    sound = {"model": MODEL, "file": ("a.wav", b"RIFF")}
    heard = raises(openai.BadRequestError, client.audio.transcriptions.create, **sound)
    assert "does not support audio" in heard.body["message"], heard


@check
def cancel_frees_the_card():
    stream = client.chat.completions.create(model=MODEL, messages=QUESTION, stream=True, max_tokens=2000)
    next(iter(stream))
    stream.close()
    began = time.monotonic()
    client.chat.completions.create(model=MODEL, messages=QUESTION, max_tokens=1)
    assert time.monotonic() - began < 5


@check
async def asynchronous_client():
    async with openai.AsyncOpenAI(base_url=f"{HOST}/v1", api_key="unused", max_retries=0) as client:
        stream = await client.chat.completions.create(model=MODEL, messages=QUESTION, stream=True, **GREEDY)
        assert [chunk async for chunk in stream]


run("openai-python")
