#!/usr/bin/env bash
# All Rust tests. nextest runs them faster when it is installed; doctests always go through cargo.
set -euo pipefail
cd "$(dirname "$0")/.."
# The tests would fetch them too; here it is seen when that fails, and no test's time includes it.
deploy/models.sh smollm2 qwen3-tiny qwen2.5-coder-0.5b all-minilm-l6-v2 >/dev/null
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --workspace --locked --no-fail-fast
    cargo test --workspace --locked --doc
else
    cargo test --workspace --locked --no-fail-fast
fi
