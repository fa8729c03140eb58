"""Compares ax650 on the software card (w8a16) with llama.cpp on the same GGUF file, in one run on one machine.

Both sides are measured through their own counters: time spent evaluating a prompt of 512 tokens, and time per
generated token after a short prompt. Rounds alternate between the two, so that a slow spell of the machine hits both;
the best round of each side counts. The last two lines are `decode_ratio` and `prefill_ratio`, ours divided by theirs.
Exit code 1 if one of them is below its bound or our memory is above its limit.
"""

import argparse
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.request

PREFILL = 512
DECODE = 128
MB = 1_000_000
LEAST = {"decode": 0.9, "prefill": 1.5}


class Ours:
    """A server of ours with its own model store, measured through the metrics of its answers."""

    name = "ax650"

    def __init__(self, binary, gguf, threads, context, store):
        self.store = pathlib.Path(store)
        self.context = context
        environment = dict(os.environ, OLLAMA_MODELS=str(store), OLLAMA_HOST="127.0.0.1:0")
        if not any(self.store.glob("ax650/*/*/bench/latest/manifest.json")):
            command = [binary, "create", "bench", "--from", gguf, "--weights", "w8a16", "--context", str(context)]
            subprocess.run(command, env=environment, check=True, stderr=subprocess.DEVNULL)
        command = [binary, "serve", "--device", "software", "--threads", str(threads)]
        self.process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        self.url = self.wait_for_url()
        # Whatever else the server says must not fill the pipe.
        threading.Thread(target=self.process.stderr.read, daemon=True).start()
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self.words = PREFILL
        self.round = 0

    def wait_for_url(self):
        seen = ""
        for line in self.process.stderr:
            seen += line
            if match := re.search(r"http://127\.0\.0\.1:\d+", line):
                return match[0]
        sys.exit(f"ax650 serve ended:\n{seen}")

    def generate(self, prompt, count):
        options = {"temperature": 0, "num_predict": count}
        body = {"model": "bench", "prompt": prompt, "raw": True, "stream": False, "options": options}
        request = urllib.request.Request(self.url + "/api/generate", json.dumps(body).encode())
        with self.opener.open(request, timeout=600) as answer:
            return json.load(answer)

    def prefill(self):
        """Tokens per second of a prompt of exactly PREFILL tokens that shares no beginning with an earlier one."""
        for _ in range(8):
            self.round += 1
            answer = self.generate(f"{chr(65 + self.round % 26)}{self.round}" + " apple" * self.words, 1)
            count = answer["prompt_eval_count"]
            if count == PREFILL:
                return count / answer["prompt_eval_duration"] * 1e9
            self.words += PREFILL - count
        sys.exit(f"no prompt of {PREFILL} tokens found")

    def decode(self):
        answer = self.generate("Once upon a time, there was a", DECODE)
        count = answer["eval_count"]
        if count < DECODE // 2:
            sys.exit(f"the model stopped after {count} tokens; no rate from that")
        return count / answer["eval_duration"] * 1e9

    def memory(self):
        """Resident set in bytes, now and at most, and what weights and K/V account for."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        resident = {key: int(value) * 1024 for key, value in re.findall(r"(VmRSS|VmHWM):\s+(\d+) kB", status)}
        directory = next(self.store.glob("ax650/*/*/bench/latest"))
        weights = sum(file.stat().st_size for file in directory.glob("*.axmodel"))
        keys_values = 0
        for file in directory.glob("*_together.axmodel"):
            with file.open("rb") as stream:
                header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
            meta = header["__metadata__"]
            row = int(meta["ax650.kv_heads"]) * int(meta["ax650.head_dim"])
            keys_values += 2 * 2 * row * int(meta["ax650.kv_len"])
        return resident["VmRSS"], resident["VmHWM"], weights, keys_values

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


class Theirs:
    """llama.cpp inside this process, measured through its own timings."""

    name = "llama.cpp"

    def __init__(self, gguf, threads, context):
        import xllamacpp

        parameters = xllamacpp.CommonParams()
        parameters.model.path = gguf
        parameters.n_ctx = context
        parameters.n_parallel = 1
        parameters.n_gpu_layers = 0
        parameters.cpuparams.n_threads = threads
        parameters.cpuparams_batch.n_threads = threads
        parameters.verbosity = -1
        self.server = xllamacpp.Server(parameters)
        self.round = 0

    def timings(self, tokens, count):
        request = {"prompt": tokens, "n_predict": count, "cache_prompt": False, "temperature": 0, "ignore_eos": True}
        return self.server.handle_completions(request)["timings"]

    def prefill(self):
        self.round += 1
        tokens = [1] + [(7 * i + 13 * self.round + 100) % 40_000 for i in range(PREFILL - 1)]
        timings = self.timings(tokens, 1)
        assert timings["prompt_n"] == PREFILL, timings
        return timings["prompt_per_second"]

    def decode(self):
        timings = self.timings([6403, 4061, 253, 655, 28, 665, 436, 253], DECODE)
        assert timings["predicted_n"] == DECODE, timings
        return timings["predicted_per_second"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--gguf", required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--context", type=int, default=2048)
    options = parser.parse_args()

    print(f"{pathlib.Path(options.gguf).name}, {options.threads} threads, {options.rounds} rounds, tokens per second")
    with tempfile.TemporaryDirectory(prefix="ax650-bench-") as store:
        ours = Ours(options.binary, options.gguf, options.threads, options.context, store)
        try:
            theirs = Theirs(options.gguf, options.threads, options.context)
            best = compare(ours, theirs, options.rounds)
            resident, peak, weights, keys_values = ours.memory()
        finally:
            code = ours.close()
    if code != 0:
        sys.exit(f"ax650 serve ended with exit code {code}")

    limit = weights + keys_values + 100 * MB
    print(
        f"memory: resident {resident / MB:.0f} MB (peak {peak / MB:.0f} MB), limit {limit / MB:.0f} MB = "
        f"weights {weights / MB:.0f} + K/V of {options.context} tokens {keys_values / MB:.0f} + 100: "
        f"{'within' if peak <= limit else 'ABOVE'}"
    )
    # Rounded first: what is printed is what is judged.
    ratios = {phase: round(best["ax650", phase] / best["llama.cpp", phase], 2) for phase in LEAST}
    broken = [f"{phase} below {least}" for phase, least in LEAST.items() if ratios[phase] < least]
    if peak > limit:
        broken.append("memory above its limit")
    print(f"bounds: {', '.join(broken) or 'all hold'}")
    for phase, ratio in ratios.items():
        print(f"{phase}_ratio: {ratio:.2f}")
    sys.exit(1 if broken else 0)


def compare(ours, theirs, rounds):
    """Best rate by (side, phase). The first round of each side warms up and does not count."""
    rates = {}
    for number in range(rounds + 1):
        for phase in ("prefill", "decode"):
            for side in (ours, theirs):
                rate = getattr(side, phase)()
                if number > 0:
                    rates.setdefault((side.name, phase), []).append(rate)
    for (name, phase), values in rates.items():
        print(f"{name:<10} {phase:<8} best {max(values):7.1f}   all {' '.join(f'{value:.1f}' for value in values)}")
    return {key: max(values) for key, values in rates.items()}


main()
