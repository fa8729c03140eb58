#!/usr/bin/env bash
# The software card as the vendor's shared libraries: what they export, and programs written for the vendor on them.
set -euo pipefail
cd "$(dirname "$0")/.."
ax650-sim/shared/build.sh
tests/libs/run.sh target/sim
