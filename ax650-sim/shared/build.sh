#!/usr/bin/env bash
# Builds the software card as the vendor's shared libraries, into target/sim. Arguments go to cargo (`--release`).
# CARGO_BUILD_TARGET=aarch64-unknown-linux-gnu builds those for another machine, into target/sim-aarch64-unknown-linux-gnu.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-target}
triple=${CARGO_BUILD_TARGET:-}
unset CARGO_BUILD_TARGET
# They are what others link with.
unset AX650_SDK_DIR
profile=debug
for argument in "$@"; do
    if [ "$argument" = --release ]; then profile=release; fi
done
out=target/sim${triple:+-$triple}
cc=${CC:-cc}
case $triple in
aarch64-*) cc=${CC:-aarch64-linux-gnu-gcc} ;;
esac

cargo build --locked -p ax650-sim-shared --lib ${triple:+--target "$triple"} "$@"
sources=$(mktemp -d)
trap 'rm -rf "$sources"' EXIT
cargo run --locked --quiet -p ax650-sim-shared --example trampolines -- "$sources"

mkdir -p "$out"
# Aside and moved into place: a program that runs on the library keeps the old one.
install -m 755 "$target/${triple:+$triple/}$profile/libax650_sim_shared.so" "$sources/libax650_sim.so"
# name, then the vendor's libraries that it needs; each has its source, or nothing in it
build() {
    local name=$1 needed=()
    shift
    for library in "$@"; do needed+=("-l:$library.so"); done
    if [ -e "$sources/$name.S" ]; then
        needed+=(-l:libax650_sim.so)
    else
        echo '.section .note.GNU-stack, "", %progbits' >"$sources/$name.S"
    fi
    "$cc" -shared -nostdlib -o "$sources/$name.so" "-Wl,-soname,$name.so,--no-as-needed,-z,now,-rpath,\$ORIGIN" \
        "$sources/$name.S" -L "$sources" "${needed[@]}"
}
companions=(libaxcl_pkg libaxcl_comm libaxcl_token libaxcl_logger libaxcl_pcie_msg libaxcl_pcie_dma)
for name in "${companions[@]}" libax_interpreter; do
    build "$name"
done
# Who needs whom, as with the vendor.
build libax_sys
build libax_engine libax_sys libax_interpreter
build libaxcl_rt libaxcl_pkg libaxcl_comm libaxcl_token libaxcl_logger
build libaxcl_sys libaxcl_rt
build libaxcl_npu libaxcl_rt
mv "$sources"/*.so "$out/"
echo "the software card's libraries are in $out"
