#!/usr/bin/env bash
# The demo as a newcomer runs it, twice: the second run must find everything in place.
set -euo pipefail
cd "$(dirname "$0")/.."
deploy/demo.sh
start=$SECONDS
deploy/demo.sh
took=$((SECONDS - start))
limit=${AX650_SMOKE_LIMIT:-30}
echo "second demo: $took s"
[ "$took" -le "$limit" ] || { echo "the second demo took more than $limit s"; exit 1; }
# The program that the demo has just built.
deploy/glibc.sh target/release/ax650
