#!/usr/bin/env bash
# The figures that the generation loop must reach on the software card: see benches/card.py. Options are passed on to it.
set -euo pipefail
cd "$(dirname "$0")/.."
deploy/deps.sh demo
export PATH="$HOME/.cargo/bin:$PATH"
if [ -z "${AX650_BIN:-}" ]; then
    cargo build --release --locked --bin ax650
    AX650_BIN=$PWD/target/release/ax650
fi
exec python3 benches/card.py --binary "$AX650_BIN" "$@"
