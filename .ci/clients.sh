#!/usr/bin/env bash
# Real client libraries against a server of ours, with SmolLM2 on the software card.
set -euo pipefail
cd "$(dirname "$0")/.."
source deploy/serve.sh
# The profile of the tests: what `make unit` built already.
cargo build --locked --bin ax650
binary=$PWD/target/debug/ax650
export OLLAMA_MODELS=$PWD/.cache/store OLLAMA_HOST=127.0.0.1:0
mkdir -p "$OLLAMA_MODELS"
# Always anew: the store may have been written by the importer of another revision.
"$binary" create smollm2 --from "$(deploy/models.sh smollm2)"
serve "$binary" --device software
tests/clients/run.sh "$url" smollm2
