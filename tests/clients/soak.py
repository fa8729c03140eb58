"""Fifty clients at once that come and go as they like: soak.py HOST MODEL TOOLS EMBED SECONDS.

Each sends one request after the other to all families of routes, with tools, thoughts, forms, pictures and embeddings among
them, and leaves a third of them: at once, while it waits, or in the middle of the answer. Every request it stays for must
end in the answer that is due or an honest 503. Afterwards the server must have nothing left of them
(`GET /api/ax650/usage`): no request, connection or task, no sequence and no model that a first round did not leave as well,
and no more memory.
"""

import asyncio
import collections
import json
import random
import sys
import time

import aiohttp

HOST = sys.argv[1].rstrip("/")
MODEL, TOOLS, EMBED = sys.argv[2:5]
SECONDS = float(sys.argv[5])
CLIENTS = 50
# Longer than this nobody waits: with fifty clients in line an answer of a few tokens is a matter of seconds.
PATIENCE = 120
# What allocators may keep after a first round has filled caches, in bytes. When it was measured, two minutes added less than
# 1 MiB to a server that had run before and 20 s added 6 MiB to a new one.
GROWTH = 16 << 20
# Until the connections of clients that have gone are closed, in seconds.
REST = 30
USAGE = "/api/ax650/usage"
PERSON = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
WEATHER = {
    "name": "get_weather",
    "description": "Gets the weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
TOOL = {"type": "function", "function": WEATHER}
ANTHROPIC_TOOL = {"name": "get_weather", "input_schema": WEATHER["parameters"]}
QUESTION = [{"role": "user", "content": "What is the weather in Paris?"}]
# One pixel.
PICTURE = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

outcomes = collections.Counter()
problems = []


def messages(chance):
    return [{"role": "user", "content": chance.choice(["Hello!", "Count to ten.", "word " * chance.randrange(1, 60)])}]


def ask(chance):
    """A request: path, body, and what ends its answer if it is streamed; a number is the status it must have."""
    stream = chance.random() < 0.6
    options = {"temperature": 0, "num_predict": chance.randrange(1, 8)}
    tokens = options["num_predict"]
    native = {"model": MODEL, "stream": stream, "options": options}
    like = {"model": MODEL, "stream": stream, "max_tokens": tokens, "messages": messages(chance)}
    # A thought and a call take some fifty tokens; mostly they are cut.
    longer = 60 if chance.random() < 0.2 else tokens
    thinking = {**native, "model": TOOLS, "messages": QUESTION, "options": {**options, "num_predict": longer}}
    calling = {**like, "model": TOOLS, "messages": QUESTION, "max_tokens": longer}
    return chance.choice(
        [
            ("/api/generate", {**native, "prompt": "Once upon a time"}, '"done":true'),
            ("/api/chat", {**native, "messages": messages(chance)}, '"done":true'),
            ("/api/chat", {**native, "messages": messages(chance), "format": "json"}, '"done":true'),
            ("/api/chat", {**native, "messages": messages(chance), "format": PERSON}, '"done":true'),
            ("/api/chat", {**thinking, "tools": [TOOL]}, '"done":true'),
            ("/api/chat", {**thinking, "think": chance.choice([True, False, "low"])}, '"done":true'),
            ("/api/generate", {**native, "prompt": "What is this?", "images": [PICTURE]}, 400),
            ("/v1/chat/completions", like, "[DONE]"),
            ("/v1/chat/completions", {**calling, "tools": [TOOL], "tool_choice": "required"}, "[DONE]"),
            ("/v1/messages", {**calling, "tools": [ANTHROPIC_TOOL]}, "message_stop"),
            ("/v1/completions", {"model": MODEL, "stream": stream, "max_tokens": tokens, "prompt": "Once"}, "[DONE]"),
            ("/v1/messages", like, "message_stop"),
            (
                "/v1/responses",
                {"model": MODEL, "stream": stream, "max_output_tokens": tokens, "input": "Hello!"},
                "response.completed",
            ),
            ("/api/embed", {"model": EMBED, "input": ["one", "two"]}, None),
            ("/v1/embeddings", {"model": EMBED, "input": "three"}, None),
            ("/api/show", {"model": MODEL}, None),
            ("/api/tags", None, None),
        ]
    )


async def exchange(session, path, body, end):
    """Reads an answer to its end and says how it ended."""
    method = "GET" if body is None else "POST"
    async with session.request(method, HOST + path, json=body) as response:
        text = (await response.read()).decode()
        if response.status == 503:
            assert "maximum pending requests exceeded" in text, text[:200]
            return "refused as busy"
        due = end if isinstance(end, int) else 200
        assert response.status == due, f"{response.status} {text[:200]}"
        if due == 200 and end and body.get("stream"):
            assert end in text, f"the stream ended without {end}: {text[-200:]}"
        elif text:
            json.loads(text)
        return "answered"


async def client(number, deadline):
    chance = random.Random(number)
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        while time.monotonic() < deadline:
            path, body, end = ask(chance)
            leaves = chance.choice([0.0, 0.01, 0.1, 1.0]) if chance.random() < 0.34 else None
            try:
                if leaves is None:
                    outcomes[await exchange(session, path, body, end)] += 1
                else:
                    outcomes[await asyncio.wait_for(exchange(session, path, body, end), leaves)] += 1
            except TimeoutError:
                if leaves is None:
                    problems.append(f"{path}: no answer within {PATIENCE} s")
                else:
                    outcomes["left by the client"] += 1
            except (AssertionError, aiohttp.ClientError, ValueError) as error:
                problems.append(f"{path}: {type(error).__name__}: {error}")


async def usage(session):
    async with session.get(HOST + USAGE) as response:
        return await response.json()


async def at_rest(session):
    """What is in use once nothing changes any more; a problem if that does not come to be."""
    deadline = time.monotonic() + REST
    while True:
        now = await usage(session)
        # The one connection is this one.
        busy = any_of({name: now[name] for name in ("requests", "intake")}) or now["connections"] != 1
        if not busy and now["card"]["running"] == now["card"]["waiting"] == 0:
            return now
        if time.monotonic() > deadline:
            problems.append(f"in use {REST} s after the last client went: {now}")
            return now
        await asyncio.sleep(0.1)


async def main():
    async with aiohttp.ClientSession() as session:
        # Models loaded and caches filled: what they take is no growth. Each model for certain, whatever chance has asked for.
        for path, body in (
            ("/api/generate", {"model": MODEL}),
            ("/api/generate", {"model": TOOLS}),
            ("/api/embed", {"model": EMBED, "input": "one"}),
        ):
            await exchange(session, path, {**body, "stream": False}, None)
        await asyncio.gather(*(client(number, 0.1 * SECONDS + time.monotonic()) for number in range(CLIENTS)))
        before = await at_rest(session)
        outcomes.clear()
        await asyncio.gather(*(client(1000 + number, SECONDS + time.monotonic()) for number in range(CLIENTS)))
        after = await at_rest(session)
    print(f"soak: {CLIENTS} clients, {SECONDS:.0f} s: {dict(outcomes)}")
    print(f"soak: before {before}\nsoak: after  {after}")
    for what, old, new in (
        ("tasks", before["tasks"], after["tasks"]),
        ("sequences", before["card"]["sequences"], after["card"]["sequences"]),
        ("models", before["card"]["models"], after["card"]["models"]),
    ):
        if new > old:
            problems.append(f"{new} {what} are there, {old} were")
    grown = after["memory_bytes"] - before["memory_bytes"]
    if grown > GROWTH:
        problems.append(f"memory has grown by {grown >> 20} MiB")
    if not outcomes["answered"] or not outcomes["left by the client"]:
        problems.append("nothing was tested")
    for problem in sorted(set(problems))[:20]:
        print(f"FAILED  soak: {problem}")
    print(f"soak: {len(problems)} problems")
    sys.exit(1 if problems else 0)


def any_of(value):
    return any(map(any_of, value.values())) if isinstance(value, dict) else bool(value)


asyncio.run(main())
