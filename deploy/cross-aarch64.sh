#!/usr/bin/env bash
# usage: deploy/cross-aarch64.sh toolchain|test|binary
# Builds for the Raspberry Pi (aarch64) on an x86_64 Debian and runs the result under qemu.
#
#   toolchain   fetch the compiler only
#   test        the crates with code for one instruction set, their tests under emulation
#   binary      the program itself, then started and asked under emulation
#
# The compiler comes from Debian: rustup's standard library for another target would have to match the toolchain that
# happens to be installed. It is kept in .cache/aarch64 and used by nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."

target=aarch64-unknown-linux-gnu
cache=$PWD/.cache/aarch64

fail() { echo "cross-aarch64: $*" >&2; exit 1; }

host_packages() {
    local missing=()
    command -v aarch64-linux-gnu-gcc >/dev/null || missing+=(gcc-aarch64-linux-gnu)
    [ -e /usr/aarch64-linux-gnu/lib/libc.so.6 ] || missing+=(libc6-dev-arm64-cross)
    command -v qemu-aarch64 >/dev/null || missing+=(qemu-user)
    [ ${#missing[@]} -gt 0 ] || return 0
    [ "$(id -u)" = 0 ] || fail "missing: ${missing[*]}; install with: sudo apt install ${missing[*]}"
    echo "installing: ${missing[*]}" >&2
    apt-get update -qq || echo "apt-get update failed; trying with the package lists that are here" >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# Package lists of both architectures in a place of their own, so that the system's stay as they are.
apt() {
    local command=$1
    shift
    "apt-$command" -o APT::Architecture=amd64 -o APT::Architectures::=amd64 -o APT::Architectures::=arm64 \
        -o "Dir::State::lists=$cache/lists" -o "Dir::Cache=$cache/cache" -o APT::Sandbox::User=root "$@"
}

first_dependency() { # of package $1, beginning with $2
    apt cache depends "$1" | awk -v start="$2" '$1 == "Depends:" && index($2, start) == 1 { print $2; exit }'
}

toolchain() {
    host_packages
    [ ! -x "$cache/root/usr/bin/rustc" ] || return 0
    [ "$(uname -m)" = x86_64 ] || fail "this builds on x86_64; on an aarch64 machine cargo build does"
    mkdir -p "$cache/lists/partial" "$cache/cache/archives/partial"
    apt get -qq update
    # Two package names carry versions that move with Debian.
    local standard llvm
    standard=$(first_dependency libstd-rust-web-dev:amd64 libstd-rust-web-)
    llvm=$(first_dependency "$standard:amd64" libllvm)
    [ -n "$standard" ] && [ -n "$llvm" ] || fail "Debian's rustc-web is not in the package lists of this system"
    local packages=(rustc-web:amd64 libstd-rust-web-dev:amd64 "$standard:amd64" "$llvm:amd64" libstd-rust-web-dev:arm64)
    echo "fetching: ${packages[*]}" >&2
    rm -rf "$cache/debs" "$cache/unpacked"
    mkdir -p "$cache/debs" "$cache/unpacked"
    (cd "$cache/debs" && apt get -qq download "${packages[@]}")
    for package in "$cache"/debs/*.deb; do dpkg -x "$package" "$cache/unpacked"; done
    rm -rf "$cache/debs" "$cache/root"
    mv "$cache/unpacked" "$cache/root"
}

# A directory of its own: with another compiler nothing that is in target/ could be used again.
# CC is for tests that compile a library and load it.
cargo_for_target() {
    LD_LIBRARY_PATH="$cache/root/usr/lib/x86_64-linux-gnu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" \
        RUSTC="$cache/root/usr/bin/rustc" CARGO_TARGET_DIR="$PWD/target/aarch64" \
        CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
        CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="env CC=aarch64-linux-gnu-gcc qemu-aarch64 -L /usr/aarch64-linux-gnu" \
        CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc \
        cargo "$@" --target "$target" --locked
}

run_tests() {
    # Emulation is slow; what has code for one instruction set is in these three.
    cargo_for_target test -p ax650-compute -p ax650-sys -p ax650-sim --lib --tests
}

binary() {
    cargo_for_target build --release --bin ax650
    local program=$PWD/target/aarch64/$target/release/ax650
    deploy/glibc.sh "$program" aarch64-linux-gnu-objdump
    # Not in /tmp, which may forbid programs.
    local emulated=$PWD/target/aarch64/ax650
    printf '#!/bin/sh\nexec qemu-aarch64 -L /usr/aarch64-linux-gnu "%s" "$@"\n' "$program" >"$emulated"
    chmod +x "$emulated"
    "$emulated" version
    answer "$emulated"
}

# A prompt over HTTP to the demo model in the emulated program, its NEON kernels included.
answer() {
    export OLLAMA_MODELS=$PWD/target/aarch64/store
    rm -rf "$OLLAMA_MODELS"
    mkdir -p "$OLLAMA_MODELS"
    OLLAMA_HOST=127.0.0.1:1 "$1" create smollm2 --from "$(deploy/models.sh smollm2)" --context 256 >/dev/null
    source deploy/serve.sh
    serve "$1" --device software
    local text
    text=$(python3 deploy/chat.py "$url" smollm2 "What is the capital of France?")
    echo "$text"
    grep -q Paris <<<"$text" || fail "the emulated program does not know the capital of France"
}

case ${1:-} in
    toolchain) toolchain ;;
    test) toolchain && run_tests ;;
    binary) toolchain && binary ;;
    *) fail "usage: deploy/cross-aarch64.sh toolchain|test|binary" ;;
esac
