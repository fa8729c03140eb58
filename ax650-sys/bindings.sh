#!/bin/sh
# Regenerates src/bindings/ from the C headers; --check only compares and fails on any difference.
#
# Needs python3 and a C compiler. libclang is put into the git-ignored .cache/ on first use, unless
# LIBCLANG_PATH already names one.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
version=18.1.1

case "${1:-}" in
    "") check=false ;;
    --check) check=true ;;
    *) echo "usage: bindings.sh [--check]" >&2; exit 2 ;;
esac

if [ -z "${LIBCLANG_PATH:-}" ]; then
    venv="$root/.cache/libclang-$version"
    if [ ! -e "$venv/complete" ]; then
        rm -rf "$venv"
        python3 -m venv "$venv"
        "$venv/bin/pip" --quiet --disable-pip-version-check install "libclang==$version"
        touch "$venv/complete"
    fi
    LIBCLANG_PATH=$(echo "$venv"/lib/python3*/site-packages/clang/native)
    export LIBCLANG_PATH
    # The package brings the library without clang's own headers (stddef.h); the compiler's serve.
    BINDGEN_EXTRA_CLANG_ARGS="-I$("${CC:-cc}" -print-file-name=include)"
    export BINDGEN_EXTRA_CLANG_ARGS
fi

generate() {
    cargo run --quiet --manifest-path "$root/Cargo.toml" -p ax650-sys --features bindgen --example bindings -- "$1"
}

if $check; then
    fresh=$(mktemp -d)
    trap 'rm -rf "$fresh"' EXIT
    generate "$fresh"
    if ! diff -ru "$here/src/bindings" "$fresh"; then
        echo "bindings.sh: src/bindings is not what the headers give; run ax650-sys/bindings.sh and commit" >&2
        exit 1
    fi
    echo "bindings are up to date"
else
    generate "$here/src/bindings"
fi
