"""The figures that the generation loop must reach, measured with `ax650 bench --json` on the software card.

The models have real shapes and no weights, the card's time is that of a profile; only the host's own work is real.
Speeds with the host in them are the best of some rounds, as other programs may be in the way. Exit code 1 if a figure
misses its bound.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile

# Name, model, device, more arguments, key, bound.
FIGURES = [
    ("NPU busy, 37 calls of 5.33 ms", "qwen3-4b", "seed-python-diagnosis", [], "decode.npu_busy", (">=", 0.99)),
    ("NPU busy, Qwen3-0.6B on a Pi 5", "qwen3-0.6b", "pi5-llm8850", [], "decode.npu_busy", (">=", 0.97)),
    ("NPU busy in a prompt, Qwen3-4B on a Pi 5", "qwen3-4b", "pi5-llm8850", [], "prefill.npu_busy", (">=", 0.98)),
    ("NPU busy in a prompt, Qwen3-0.6B on a Pi 5", "qwen3-0.6b", "pi5-llm8850", [], "prefill.npu_busy", (">=", 0.98)),
    ("NPU busy in a prompt, Qwen3-0.6B on an RK3588", "qwen3-0.6b", "rk3588-llm8850", [], "prefill.npu_busy", (">=", 0.98)),
    ("NPU busy in a prompt, 37 calls of 5.33 ms", "qwen3-4b", "seed-python-diagnosis", [], "prefill.npu_busy", (">=", 0.98)),
    ("NPU busy in a prompt, Qwen3-0.6B on the board", "qwen3-0.6b", "board-ax650n", [], "prefill.npu_busy", (">=", 0.98)),
    ("round trips, queued", "qwen3-4b", "pi5-llm8850", [], "decode.round_trips_per_token", ("<=", 6)),
    ("round trips, not queued", "qwen3-4b", "pi5-llm8850", ["--paths", "-async"], "decode.round_trips_per_token", ("<=", 42)),
    ("bytes over PCIe beyond logits and a row", "qwen3-4b", "pi5-llm8850", [], "decode.extra_bus_bytes_per_token", ("<=", 8192)),
    ("board: cache maintenance calls", "qwen3-4b", "board-ax650n", [], "decode.cache_calls_per_token", ("<=", 6)),
    ("board: bytes copied beyond logits and a row", "qwen3-4b", "board-ax650n", [], "decode.extra_copied_bytes_per_token", ("<=", 8192)),
    ("tokens/s with a card that takes no time", "qwen3-4b", "instant", [], "decode.tokens_per_second", (">=", 3000)),
    ("waiting for a grammar, share of a token", "qwen3-4b", "pi5-llm8850", [], "decode.grammar_share", ("<=", 0.01)),
    ("whole context as a prompt", "qwen3-4b", "pi5-llm8850", ["--prompt", "2559", "--tokens", "1"], "prefill.tokens", (">=", 2559)),
]
# What is worth knowing beside them.
SPEEDS = [
    ("qwen3-4b", "pi5-llm8850"),
    ("qwen3-1.7b", "pi5-llm8850"),
    ("qwen3-0.6b", "pi5-llm8850"),
    ("qwen3-vl-4b-int4", "pi5-llm8850"),
    ("qwen3-4b", "board-ax650n"),
    ("qwen3-4b", "rk3588-llm8850"),
]


class Bench:
    """Runs the program with a store of its own; every run happens once per round."""

    def __init__(self, binary, store, rounds):
        self.binary = binary
        self.environment = dict(os.environ, OLLAMA_MODELS=store, OLLAMA_HOST="127.0.0.1:1")
        self.rounds = rounds
        self.reports = {}
        self.models = set()

    def program(self, *arguments):
        done = subprocess.run([self.binary, *arguments], env=self.environment, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"ax650 {' '.join(arguments)} failed:\n{done.stderr}")
        return done.stdout

    def run(self, model, profile, more):
        """The reports of all rounds."""
        key = (model, profile, *more)
        if model not in self.models:
            self.program("create", model, "--synthetic", model)
            self.models.add(model)
        if key not in self.reports:
            device = f"software:{profile},compute=none"
            command = ["bench", model, "--json", "--device", device, *more]
            self.reports[key] = [json.loads(self.program(*command)) for _ in range(self.rounds)]
        return self.reports[key]


def value(report, key):
    for part in key.split("."):
        report = report[part]
    return report


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="ax650-card-") as store:
        bench = Bench(options.binary, store, options.rounds)
        for name, model, profile, more, key, (sense, bound) in FIGURES:
            best = max if sense == ">=" else min
            found = best(value(report, key) for report in bench.run(model, profile, more))
            holds = found >= bound if sense == ">=" else found <= bound
            failed += not holds
            print(f"{name:<46} {found:12.4f} {sense} {bound:<8} {'ok' if holds else 'FAILED'}")
        print(f"\n{'model':<18} {'card':<16} {'answer':>18} {'plain':>8} {'prompt':>9} {'first token':>12} {'wall':>7}")
        for model, profile in SPEEDS:
            report = bench.run(model, profile, [])[-1]
            decode, prefill = report["decode"], report["prefill"]
            plain = report["plain_path"]["decode"]["tokens_per_second"]
            print(
                f"{model:<18} {profile:<16} {decode['tokens_per_second']:8.2f} tokens/s {plain:8.2f} "
                f"{prefill['tokens_per_second']:9.0f} {report['time_to_first_token_seconds']:10.3f} s "
                f"{100 * decode['memory_wall_share']:5.0f} %"
            )
    print(f"\nbounds: {f'{failed} broken' if failed else 'all hold'}")
    sys.exit(1 if failed else 0)


main()
