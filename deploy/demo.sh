#!/usr/bin/env bash
# From a fresh clone to an answer: build, fetch a small model, import it, serve it on the software card, chat once over
# HTTP, stop. Everything stays in target/ and .cache/. AX650_BIN names a binary to use instead of building one.
set -euo pipefail
cd "$(dirname "$0")/.."
step() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }

deploy/deps.sh demo
export PATH="$PATH:$HOME/.cargo/bin"
if [ -z "${AX650_BIN:-}" ]; then
    step "build (the first time takes minutes)"
    cargo build --release --locked --bin ax650
    AX650_BIN=$PWD/target/release/ax650
fi

export OLLAMA_MODELS=$PWD/.cache/store
# A port of its own: a server that already runs is left alone.
export OLLAMA_HOST=127.0.0.1:0
mkdir -p "$OLLAMA_MODELS"
if ! "$AX650_BIN" list 2>/dev/null | grep -q '^smollm2:latest '; then
    step "model SmolLM2-135M-Instruct"
    "$AX650_BIN" create smollm2 --from "$(deploy/models.sh smollm2)"
fi

step "serve"
log=$(mktemp)
"$AX650_BIN" serve --device software 2>"$log" &
server=$!
stop() {
    kill -TERM "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    rm -f "$log"
}
trap stop EXIT
url=
for _ in $(seq 200); do
    url=$(sed -nE 's|.*(http://127\.0\.0\.1:[0-9]+).*|\1|p' "$log" | head -1)
    [ -z "$url" ] || break
    kill -0 "$server" 2>/dev/null || break
    sleep 0.1
done
cat "$log" >&2
[ -n "$url" ] || { echo "the server did not start" >&2; exit 1; }

step "chat: POST $url/api/chat"
python3 deploy/chat.py "$url" smollm2 "What is the capital of France? Then name three things to see there."
