"""The ollama package for Python, unchanged: ollama_python.py HOST MODEL TOOLS EMBED."""

import asyncio
import json
import time

import ollama
from checks import EMBED, HOST, MODEL, PERSON, TOOLS, WEATHER, assert_person, check, run

GREEDY = {"temperature": 0, "seed": 1, "num_predict": 12}
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
    assert whole.message.role == "assistant"
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
    person = client.chat(model=MODEL, messages=QUESTION, format=PERSON, options={"temperature": 0, "num_predict": 200})
    assert_person(json.loads(person.message.content))
    anything = client.generate(model=MODEL, prompt="A person:", format="json", options={"temperature": 0, "num_predict": 300})
    if anything.done_reason == "stop":
        assert isinstance(json.loads(anything.response), dict)


@check
def tools_and_their_results_are_taken():
    question = {"role": "user", "content": "What is the weather in Paris?"}
    tools = [{"type": "function", "function": WEATHER}]
    answer = client.chat(model=TOOLS, messages=[question], tools=tools, options=GREEDY)
    assert answer.message.content or answer.message.tool_calls
    said = {"role": "assistant", "tool_calls": [{"function": {"name": "get_weather", "arguments": {"city": "Paris"}}}]}
    result = {"role": "tool", "tool_name": "get_weather", "content": "sunny"}
    after = client.chat(model=TOOLS, messages=[question, said, result], tools=tools, options=GREEDY)
    assert after.prompt_eval_count > answer.prompt_eval_count


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
