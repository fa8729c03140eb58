#!/usr/bin/env bash
# usage: tests/libs/sherpa.sh LIBRARIES MODEL      the software card's libraries, and the directory of a story
# Compiles the model runners of sherpa-onnx for this hardware, from the sources that it publishes and unchanged, and runs
# them on the libraries. The sources are fetched once into .cache/libs.
set -euo pipefail
cd "$(dirname "$0")/../.."
libraries=$(realpath "$1")
model=$2
here=$PWD/tests/libs
cache=$PWD/.cache/libs
version=2.0.1
sources=$cache/sherpa_onnx-$version
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$cache"

if [ ! -e "$sources/PKG-INFO" ]; then
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" download --quiet --no-deps --no-binary sherpa-onnx --dest "$work" "sherpa-onnx==$version"
    tar -xzf "$work/sherpa_onnx-$version.tar.gz" -C "$work"
    rm -rf "$sources"
    mv "$work/sherpa_onnx-$version" "$cache/"
fi

flags=(-std=c++17 -O1 -g -I "$here/sdk" -I vendor/include)
objects=()
for source in axcl/{axcl-engine-guard,axcl-engine-io-guard,axcl-engine-io-info-guard,axcl-manager,axcl-model,utils} \
    axera/{ax-engine-guard,utils}; do
    objects+=("$work/${source//\//-}.o")
    # Their warnings are theirs.
    "${CXX:-c++}" "${flags[@]}" -w -I "$sources" -c -o "${objects[-1]}" "$sources/sherpa-onnx/csrc/$source.cc"
done
"${CXX:-c++}" "${flags[@]}" -Wall -Wextra -Wpedantic -Wconversion -Werror -isystem "$sources" -o "$work/sherpa" \
    "$here/programs/sherpa.cpp" "${objects[@]}" -L "$libraries" "-Wl,-rpath,$libraries" \
    -laxcl_rt -lax_engine -lax_interpreter -lax_sys
AX650_SIM_VIOLATIONS=$work/violations "$work/sherpa" "$model"
# Its runners never reset the device that they set.
if grep -v '^violation: axclFinalize: Leak: [0-9]* devices set and not reset left$' "$work/violations"; then exit 1; fi
