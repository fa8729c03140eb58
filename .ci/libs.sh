#!/usr/bin/env bash
# The software card as the vendor's shared libraries: what they export, programs written for the vendor on them, and the
# conformance tests over them, opened at run time and linked when built.
set -euo pipefail
cd "$(dirname "$0")/.."
libraries=$PWD/target/sim
ax650-sim/shared/build.sh
tests/libs/run.sh "$libraries"

# The tests of recovery break the card by its controls, which only the built-in one has.
conformance() { # which card
    AX650_TEST_DRIVER_PATH=$1 AX650_SIM_VIOLATIONS=fatal AX650_SIM_THREADS=2 \
        cargo test --locked -p ax650 --test card -- --skip recovery --test-threads 1
}
conformance "$libraries"

# Last, because all that depends on ax650-sys is compiled again; the rest is not.
export AX650_SDK_DIR=$libraries
AX650_SIM_VIOLATIONS=fatal cargo test --locked -p ax650-sys
conformance linked
