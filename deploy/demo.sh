#!/usr/bin/env bash
# From a fresh clone to an answer: build, fetch a small model, import it, serve it on the software card, chat once over
# HTTP, stop. Everything stays in target/ and .cache/. AX650_BIN names a binary to use instead of building one.
set -euo pipefail
cd "$(dirname "$0")/.."
source deploy/serve.sh
step() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }

deploy/deps.sh demo
export PATH="$HOME/.cargo/bin:$PATH"
if [ -z "${AX650_BIN:-}" ]; then
    step "build (the first time takes minutes)"
    cargo build --release --locked --bin ax650
    AX650_BIN=$PWD/target/release/ax650
fi

export OLLAMA_MODELS=$PWD/.cache/store
# Not the address of a server that may run already: that one is left alone.
export OLLAMA_HOST=127.0.0.1:0
mkdir -p "$OLLAMA_MODELS"
if ! "$AX650_BIN" list 2>/dev/null | grep -q '^smollm2:latest '; then
    step "model SmolLM2-135M-Instruct"
    "$AX650_BIN" create smollm2 --from "$(deploy/models.sh smollm2)"
fi

step "serve"
serve "$AX650_BIN" --device software

step "chat: POST $url/api/chat"
python3 deploy/chat.py "$url" smollm2 "What is the capital of France? Then name three things to see there."
