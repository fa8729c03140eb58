#!/usr/bin/env bash
# Real client libraries against a server of ours, with small models on the software card. Arguments choose clients.
set -euo pipefail
cd "$(dirname "$0")/.."
source deploy/serve.sh
# The profile of the tests: what `make unit` built already.
cargo build --locked --bin ax650
binary=$PWD/target/debug/ax650
# Room for all models, so that no time goes into loading them by turns.
export OLLAMA_MODELS=$PWD/.cache/store OLLAMA_HOST=127.0.0.1:0 OLLAMA_MAX_LOADED_MODELS=6
mkdir -p "$OLLAMA_MODELS"
# Always anew: the store may have been written by the importer of another revision.
for model in smollm2 all-minilm-l6-v2; do
    "$binary" create "$model" --from "$(deploy/models.sh "$model")"
done
"$binary" create smollm2-tools -f tests/clients/tools.modelfile
serve "$binary" --device software
tests/clients/run.sh "$url" smollm2 smollm2-tools all-minilm-l6-v2 "$@"
# Whatever was sent: nothing may have come to the last resort.
! grep panicked "$server_log" || { echo "a handler panicked"; exit 1; }
