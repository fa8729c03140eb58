#!/usr/bin/env bash
# Speed and memory against llama.cpp on this machine: see benches/compare.py. Options are passed on to it.
set -euo pipefail
cd "$(dirname "$0")/.."
deploy/deps.sh demo
export PATH="$HOME/.cargo/bin:$PATH"
if [ -z "${AX650_BIN:-}" ]; then
    cargo build --release --locked --bin ax650
    AX650_BIN=$PWD/target/release/ax650
fi
gguf=$(deploy/models.sh smollm2)
venv=.cache/llama
[ -x "$venv/bin/pip" ] || python3 -m venv "$venv"
"$venv/bin/pip" -q install xllamacpp==2026.10.11549
exec "$venv/bin/python" benches/compare.py --binary "$AX650_BIN" --gguf "$gguf" "$@"
