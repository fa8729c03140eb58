"""The ollama package for Python, unchanged, against a running server: ollama_python.py HOST MODEL."""

import asyncio
import sys
import time

import ollama

HOST, MODEL = sys.argv[1], sys.argv[2]
GREEDY = {"temperature": 0, "seed": 1, "num_predict": 12}
QUESTION = [{"role": "user", "content": "Say hello."}]
client = ollama.Client(host=HOST)
checks = []


def check(function):
    checks.append(function)
    return function


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
def load_ps_and_unload():
    loaded = client.generate(model=MODEL, prompt="", keep_alive="2m")
    assert loaded.done_reason == "load" and loaded.response == ""
    running = client.ps().models
    assert len(running) == 1 and running[0].size > 0 and running[0].expires_at is not None
    assert running[0].context_length > 0
    unloaded = client.generate(model=MODEL, prompt="", keep_alive=0)
    assert unloaded.done_reason == "unload"
    deadline = time.monotonic() + 10
    while client.ps().models:
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
    constrained = error_of(client.chat, model=MODEL, messages=QUESTION, format="json")
    assert constrained.status_code == 501
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


failed = 0
for function in checks:
    try:
        function()
        print(f"ok      ollama-python {function.__name__}")
    except Exception as error:  # noqa: BLE001 - every failure is reported, the others still run
        failed += 1
        print(f"FAILED  ollama-python {function.__name__}: {type(error).__name__}: {error}")
sys.exit(1 if failed else 0)
