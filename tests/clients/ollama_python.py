"""The ollama package for Python, unchanged: ollama_python.py HOST MODEL TOOLS EMBED."""

import asyncio
import json
import re
import tempfile
import time
import urllib.request

import ollama
from checks import (
    EMBED, ENOUGH, HOST, MODEL, PERSON, TOOL, TOOLS, WEATHER_QUESTION, assert_call, assert_person, check, run,
)

GREEDY = {"temperature": 0, "seed": 1, "num_predict": 12}
LONG = {**GREEDY, "num_predict": ENOUGH}
QUESTION = [{"role": "user", "content": "Say hello."}]
client = ollama.Client(host=HOST)


def error_of(function, *args, **kwargs):
    """The ResponseError that a call must raise."""
    try:
        result = function(*args, **kwargs)
        if not isinstance(result, (ollama.GenerateResponse, ollama.ChatResponse)):
            list(result)
    except ollama.ResponseError as error:
        return error
    raise AssertionError("no error was raised")


def assert_metrics(last):
    assert last.done is True and last.done_reason in ("stop", "length"), last
    for name in ("total_duration", "load_duration", "prompt_eval_count", "prompt_eval_duration", "eval_count", "eval_duration"):
        assert getattr(last, name) > 0, name


@check
def listing():
    names = [model.model for model in client.list().models]
    assert any(name.split(":")[0] == MODEL.split(":")[0] for name in names), names
    for model in client.list().models:
        assert model.size > 0 and len(model.digest) == 64 and model.modified_at is not None
        assert model.details.format and model.details.family and model.details.parameter_size


@check
def show():
    shown = client.show(MODEL)
    assert shown.details.quantization_level and shown.modified_at is not None and shown.template
    assert shown.modelinfo["general.architecture"]
    assert "completion" in shown.capabilities


@check
def generate_whole_and_streamed_are_the_same():
    whole = client.generate(model=MODEL, prompt="Say hello.", options=GREEDY)
    assert_metrics(whole)
    assert whole.context, "context is missing"
    parts = list(client.generate(model=MODEL, prompt="Say hello.", options=GREEDY, stream=True))
    assert all(part.done is False for part in parts[:-1])
    assert_metrics(parts[-1])
    assert "".join(part.response for part in parts) == whole.response
    assert whole.eval_count <= 12


@check
def context_continues():
    first = client.generate(model=MODEL, prompt="My name is Ada.", options=GREEDY)
    second = client.generate(model=MODEL, prompt="Go on.", context=first.context, options=GREEDY)
    assert second.prompt_eval_count > len(first.context)
    assert list(second.context[: len(first.context)]) == list(first.context)


@check
def raw_has_no_context():
    answer = client.generate(model=MODEL, prompt="Once upon a time", raw=True, options=GREEDY)
    assert answer.response and answer.context is None


@check
def chat_whole_and_streamed_are_the_same():
    whole = client.chat(model=MODEL, messages=QUESTION, options=GREEDY)
    assert_metrics(whole)
    parts = list(client.chat(model=MODEL, messages=QUESTION, options=GREEDY, stream=True))
    assert_metrics(parts[-1])
    assert "".join(part.message.content for part in parts) == whole.message.content


@check
def num_predict_and_stop():
    answer = client.generate(model=MODEL, prompt="Count to ten.", options={**GREEDY, "num_predict": 3})
    assert answer.eval_count == 3 and answer.done_reason == "length", answer
    whole = client.generate(model=MODEL, prompt="Say hello.", options=GREEDY).response
    stop = whole[len(whole) // 2 :][:4]
    cut = client.generate(model=MODEL, prompt="Say hello.", options={**GREEDY, "stop": [stop]})
    assert stop not in cut.response and whole.startswith(cut.response), (whole, stop, cut.response)
    assert cut.done_reason == "stop"


@check
def logprobs():
    answer = client.generate(model=MODEL, prompt="Say", logprobs=True, top_logprobs=3, options={**GREEDY, "num_predict": 4})
    assert len(answer.logprobs) == 4, answer.logprobs
    for entry in answer.logprobs:
        assert entry.logprob <= 0 and len(entry.top_logprobs) == 3


@check
def the_form_asked_for_is_kept():
    person = client.chat(model=MODEL, messages=QUESTION, format=PERSON, options=LONG)
    assert_person(json.loads(person.message.content))
    parts = list(client.chat(model=MODEL, messages=QUESTION, format=PERSON, options=LONG, stream=True))
    assert "".join(part.message.content for part in parts) == person.message.content
    anything = client.generate(model=MODEL, prompt="Say hello.", format="json", options=LONG)
    assert anything.done_reason == "stop", anything
    assert isinstance(json.loads(anything.response), dict)


@check
def a_tool_is_called_and_its_result_is_taken():
    def get_weather(city: str) -> str:
        """Gets the weather of a city.

        Args:
            city: Where
        """
        return f"sunny in {city}"

    question = {"role": "user", "content": WEATHER_QUESTION}
    # A function is a tool as well: the library makes a schema of it.
    for tool in (TOOL, get_weather):
        asked = {"model": TOOLS, "messages": [question], "tools": [tool], "options": LONG}
        whole = client.chat(**asked)
        parts = list(client.chat(**asked, stream=True))
        streamed = [call for part in parts for call in part.message.tool_calls or []]
        for calls in (whole.message.tool_calls, streamed):
            assert len(calls) == 1, calls
            assert_call(calls[0].function.name, calls[0].function.arguments)
        assert_metrics(whole)
        assert_metrics(parts[-1])
        assert whole.message.content == "".join(part.message.content for part in parts) == ""
    result = {"role": "tool", "tool_name": "get_weather", "content": get_weather(**streamed[0].function.arguments)}
    after = client.chat(**{**asked, "messages": [question, whole.message, result]})
    assert after.prompt_eval_count > whole.prompt_eval_count


@check
def ids_of_calls_are_on_the_wire():
    """The library drops them, others hand them on."""
    question = [{"role": "user", "content": WEATHER_QUESTION}]
    body = {"model": TOOLS, "messages": question, "tools": [TOOL], "stream": False, "think": False, "options": LONG}
    request = urllib.request.Request(f"{HOST}/api/chat", json.dumps(body).encode())
    seen = set()
    for _ in range(2):
        with urllib.request.urlopen(request) as response:
            call = json.load(response)["message"]["tool_calls"][0]
        assert re.fullmatch("call_[a-z0-9]{8}", call["id"]) and call["function"]["index"] == 0 and "type" not in call, call
        seen.add(call["id"])
    assert len(seen) == 2, seen


@check
def thoughts_are_apart():
    asked = {"model": TOOLS, "messages": [{"role": "user", "content": WEATHER_QUESTION}], "options": LONG}
    whole = client.chat(**asked, think=True)
    parts = list(client.chat(**asked, think=True, stream=True))
    assert "Paris" in whole.message.thinking and "<think>" not in whole.message.content, whole
    assert "".join(part.message.thinking or "" for part in parts) == whole.message.thinking
    assert "".join(part.message.content for part in parts) == whole.message.content
    assert not client.chat(**asked, think=False).message.thinking
    prompted = client.generate(model=TOOLS, prompt=WEATHER_QUESTION, think=True, options=LONG)
    assert prompted.thinking and "<think>" not in prompted.response, prompted
    refused = error_of(client.chat, model=MODEL, messages=QUESTION, think=True)
    assert refused.status_code == 400 and refused.error == f'"{MODEL}" does not support thinking', refused


@check
def embeddings():
    batch = client.embed(model=EMBED, input=["hello", "world"])
    assert len(batch.embeddings) == 2 and batch.prompt_eval_count > 0
    assert abs(sum(x * x for x in batch.embeddings[0]) - 1) < 1e-4
    short = client.embed(model=EMBED, input="hello", dimensions=8).embeddings[0]
    assert len(short) == 8 and abs(sum(x * x for x in short) - 1) < 1e-4
    assert len(client.embeddings(model=EMBED, prompt="hello").embedding) == len(batch.embeddings[0])
    assert client.embed(model=EMBED, input=[]).embeddings == []


@check
def copies_and_derived_models():
    client.copy(MODEL, "copied")
    states = [part.status for part in client.create(model="derived", from_="copied", system="Be brief.", stream=True)]
    assert states[-1] == "success", states
    assert client.show("derived").modelfile
    for name in ("copied", "derived"):
        client.delete(name)
    assert not {"copied:latest", "derived:latest"} & {model.model for model in client.list().models}


@check
def files_are_uploaded():
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"no model at all")
        file.flush()
        digest = client.create_blob(file.name)
        assert client.create_blob(file.name) == digest
    refused = error_of(client.create, model="uploaded", files={"m.gguf": digest}, stream=False)
    assert "GGUF" in refused.error, refused


@check
def load_ps_and_unload():
    loaded = client.generate(model=MODEL, prompt="", keep_alive="2m")
    assert loaded.done_reason == "load" and loaded.response == ""
    running = next(model for model in client.ps().models if model.model.split(":")[0] == MODEL)
    assert running.size > 0 and running.expires_at is not None and running.context_length > 0
    unloaded = client.generate(model=MODEL, prompt="", keep_alive=0)
    assert unloaded.done_reason == "unload"
    deadline = time.monotonic() + 10
    while any(model.model.split(":")[0] == MODEL for model in client.ps().models):
        assert time.monotonic() < deadline, "the model is still loaded"
        time.sleep(0.05)


@check
def errors():
    missing = error_of(client.chat, model="no-such-model", messages=QUESTION)
    assert missing.status_code == 404 and missing.error == "model 'no-such-model' not found", missing
    streamed = error_of(client.generate, model="no-such-model", prompt="x", stream=True)
    assert streamed.status_code == 404
    wrong = error_of(client.generate, model=MODEL, prompt="x", options={"temperature": "hot"})
    assert wrong.status_code == 500 and "must be of type float32" in wrong.error
    suffix = error_of(client.generate, model=MODEL, prompt="x", suffix="y")
    assert suffix.status_code == 400 and suffix.error.endswith("does not support insert")
    assert error_of(client.delete, "no-such-model").status_code == 404


@check
def cancel_frees_the_card():
    stream = client.generate(model=MODEL, prompt="Tell a long story.", options={"num_predict": 2000}, stream=True)
    next(iter(stream))
    stream.close()
    started = time.monotonic()
    client.generate(model=MODEL, prompt="Hi", options={**GREEDY, "num_predict": 1})
    elapsed = time.monotonic() - started
    assert elapsed < 5, f"the next request waited {elapsed:.1f} s"


@check
def asynchronous_client():
    async def talk():
        return [part async for part in await ollama.AsyncClient(host=HOST).chat(
            model=MODEL, messages=QUESTION, options=GREEDY, stream=True)]

    assert_metrics(asyncio.run(talk())[-1])


run("ollama-python")
