#!/usr/bin/env bash
# usage: tests/libs/run.sh DIRECTORY      the directory with the software card's libraries
# Compiles programs that do what those written for the vendor do, against the headers in vendor/include and linked as the
# vendor's are, and runs them on the libraries; then the same in Python. Their answers must be the one that
# ax650-sim/shared/examples/story.rs computes without any of these functions. Last, runners that others publish.
set -euo pipefail
cd "$(dirname "$0")/../.."
libraries=$(realpath "$1")
here=$PWD/tests/libs
cache=$PWD/.cache/libs
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$cache"

python3 "$here/exports.py" "$libraries"
cargo run --locked --quiet -p ax650-sim-shared --example story -- "$work"

build() { # program, libraries
    local program=$1 sources=("$here/programs/$1.c")
    shift
    if [ "$program" != life ]; then sources+=("$here/programs/story.c"); fi
    "${CC:-cc}" -std=c11 -O1 -g -Wall -Wextra -Wpedantic -Wconversion -Werror -I vendor/include -I "$here/programs" \
        -o "$work/$program" "${sources[@]}" -L "$libraries" "-Wl,-rpath,$libraries" -pthread "$@"
}
build board -lax_engine -lax_interpreter -lax_sys
# As the runtime of 2024 names them: most are empty.
build pcie -laxcl_pcie_dma -laxcl_pcie_msg -laxcl_token -laxcl_comm -laxcl_pkg -laxcl_rt
build others -lax_engine -lax_interpreter -lax_sys -laxcl_rt
build interface -laxcl_rt -laxcl_npu -laxcl_sys
build life -ldl

# Programs that keep the vendor's contract do so to the letter.
strict() { AX650_SIM_VIOLATIONS=fatal "$@"; }

for style in plain runsync 2026 uncached dynamic slots; do
    strict "$work/board" "$work" "$style"
done
for style in 2026 2024 async pair; do
    "$work/pcie" "$work" "$style"
done
liked=$(for program in sherpa-card sherpa-board samples run-model; do
    strict "$work/others" "$work" "$program" | tee /dev/stderr
done | cut -d ' ' -f 2 | sort -u)
[ "$(wc -l <<<"$liked")" = 1 ] || { echo "the programs got different results"; exit 1; }
AX650_SIM_CARDS=2 "$work/interface" "$work"

for library in "$libraries"/libax*.so; do
    name=$(basename "$library")
    if [ "$name" != libax650_sim.so ]; then nm -D --defined-only "$library" 2>/dev/null | sed "s/.* /$name /"; fi
done >"$work/functions"
for part in nulls reopen repeat abandon static; do
    "$work/life" "$part" "$libraries" <"$work/functions"
done

# What goes wrong by configuration.
expect() { # what is said, command
    local said=$1 output
    shift
    output=$("$@" 2>&1) || true
    grep -qF -- "$said" <<<"$output" || { echo "not said: $said; but:"; echo "$output"; exit 1; }
}
said='software card: AX650_SIM_MEMORY=8 GB: must be a number of bytes'
expect "$said" env "AX650_SIM_MEMORY=8 GB" "$work/life" refuse "$libraries"
[ "$(env "AX650_SIM_MEMORY=8 GB" "$work/life" refuse "$libraries" 2>&1 >/dev/null | wc -l)" = 1 ] || {
    echo "a wrong configuration is not told in one line"
    exit 1
}
expect 'life refuse: every call fails' env AX650_SIM_FAULTS=nonsense "$work/life" refuse "$libraries"
expect '0x80300705, not 0' env "AX650_SIM_FAULTS=axclrtEngineExecute:3=0x80300705" "$work/pcie" "$work" 2026
expect 'wrong token at' env AX650_SIM_FAULTS=wrong@kv-decode-at-base "$work/pcie" "$work" 2024
expect '0x80300704, not 0' env AX650_SIM_FAULTS=noasync "$work/pcie" "$work" async
expect 'wrong token at' env AX650_SIM_FAULTS=wrong@async-order "$work/pcie" "$work" async
expect '0x8030040c, not 0' env AX650_SIM_FAULTS=lost@200 "$work/pcie" "$work" 2026
expect '0x800b0018, not 0' env AX650_SIM_MEMORY=100K "$work/board" "$work" plain
expect '0x800b0018, not 0' env "AX650_SIM_FAULTS=cmm@layer1" "$work/board" "$work" plain
expect 'violation: axclFinalize: Leak' env AX650_SIM_VIOLATIONS=stderr "$work/life" static "$libraries"
AX650_SIM_VIOLATIONS=$work/violations "$work/pcie" "$work" pair
grep -q '^violation: axclrtEngineExecute: UnboundTensor' "$work/violations"
# A profile gives the answer no other value.
AX650_SIM_PROFILE=instant "$work/pcie" "$work" 2026

# Installs again only when the pinned versions change.
if ! cmp -s "$here/requirements.txt" "$cache/requirements.txt"; then
    rm -rf "$cache/venv"
    python3 -m venv "$cache/venv"
    "$cache/venv/bin/pip" install --quiet -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$cache/requirements.txt"
fi
for provider in axcl board both; do
    LD_LIBRARY_PATH=$libraries "$cache/venv/bin/python" "$here/binding.py" "$work" "$provider"
done
"$here/sherpa.sh" "$libraries" "$work"
echo "libs: all programs passed"
