#!/bin/sh
# Builds the loop with all warnings as errors and the address and undefined-behaviour sanitizers, and tests it.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
loop=$(dirname "$here")
vendor="$loop/../../vendor/include"
cc=${CC:-cc}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# The vendor's names are GNU-free; __typeof__ and the atomic builtins are what both compilers spell alike.
warnings="-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Werror"
"$cc" -std=c11 $warnings -fsyntax-only -I"$loop" -I"$vendor" "$here/table_types.c"
"$cc" -std=c11 -g -O1 $warnings -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all \
    -I"$loop" -I"$vendor" "$loop"/*.c "$here"/fake_*.c "$here/support.c" "$here"/*_test.c -o "$out/loop_test"
"$out/loop_test"
