#!/usr/bin/env bash
# All Rust tests. nextest runs them faster when it is installed; doctests always go through cargo.
set -euo pipefail
cd "$(dirname "$0")/.."
models=(smollm2 qwen3-tiny)
[ "${AX650_TEST_LARGE:-0}" = 1 ] && models+=(qwen2.5-coder-0.5b)
deploy/models.sh "${models[@]}" >/dev/null
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --workspace --locked --no-fail-fast
    cargo test --workspace --locked --doc
else
    cargo test --workspace --locked --no-fail-fast
fi
skip=()
[ "${AX650_TEST_LARGE:-0}" = 1 ] || skip=(--skip qwen2_5_coder)
AX650_TEST_MODELS=$PWD/.cache/models cargo test --locked --test golden_text -- "${skip[@]}"
