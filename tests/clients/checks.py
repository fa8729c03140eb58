"""What the checks of every client library share: a list of them, and their results on standard output."""

import asyncio
import inspect
import json
import os
import sys
import time
import traceback

HOST = sys.argv[1].rstrip("/")
# A model that chats, one that thinks and calls tools as tools.modelfile has it, one that embeds.
MODEL, TOOLS, EMBED = sys.argv[2:5]
# Libraries ask for a key even where the server wants none.
os.environ.setdefault("OPENAI_API_KEY", "unused")

MISSING = "no-such-model"
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer", "minimum": 1, "maximum": 99}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
WEATHER = {
    "name": "get_weather",
    "description": "Gets the weather of a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "enum": ["Paris", "Rome"]}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
TOOL = {"type": "function", "function": WEATHER}
# What TOOLS answers with a call, after a thought; it takes some fifty tokens.
WEATHER_QUESTION = "What is the weather in Paris?"
ENOUGH = 150

checks = []


def check(function):
    """Adds a function, asynchronous or not, to the checks."""
    checks.append(function)
    return function


def raises(kind, call, *arguments, **named):
    """The error that a call must raise."""
    try:
        call(*arguments, **named)
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__} was raised")


def assert_person(value):
    assert set(value) == {"name", "age"} and isinstance(value["name"], str) and 1 <= value["age"] <= 99, value


def assert_call(name, arguments):
    """The call that the question asks for; arguments may be an object or its text."""
    arguments = json.loads(arguments) if isinstance(arguments, str) else dict(arguments)
    assert (name, arguments) == ("get_weather", {"city": "Paris"}), (name, arguments)


def assert_same_direction(ours, theirs):
    """Two vectors of the same text."""
    dot = sum(a * b for a, b in zip(ours, theirs, strict=True))
    norms = (sum(a * a for a in ours) * sum(b * b for b in theirs)) ** 0.5
    assert dot / norms > 0.9999, dot / norms


def run(library):
    """Runs all checks, also after one has failed, and ends the process with 1 if any has."""
    failed = 0
    for function in checks:
        began = time.monotonic()
        try:
            if inspect.iscoroutinefunction(function):
                asyncio.run(function())
            else:
                function()
            print(f"ok      {library} {function.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
        except Exception as error:  # noqa: BLE001 - every failure is reported, the others still run
            failed += 1
            print(f"FAILED  {library} {function.__name__}: {type(error).__name__}: {error}", flush=True)
            traceback.print_exc()
    sys.exit(1 if failed else 0)
