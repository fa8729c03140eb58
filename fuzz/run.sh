#!/bin/sh
# Fuzzes the readers of strangers' input: fuzz/run.sh SECONDS [TARGET...]   (seconds for each target)
#
# Needs the stable toolchain and a C++ compiler, nothing else: coverage counters come from LLVM's own pass, which
# stable rustc can run, and libFuzzer from the libfuzzer-sys crate. The readers have no unsafe code, so sanitizers
# would add nothing; overflow and bounds checks are on. With a nightly toolchain `cargo fuzz run TARGET` works too.
# A finding ends the run with status 1; its input is kept in fuzz/artifacts/TARGET/.
set -eu
seconds=${1:?usage: fuzz/run.sh SECONDS [TARGET...]}
shift
cd "$(dirname "$0")"
host=$(rustc -vV | sed -n 's/^host: //p')

# With an explicit --target the flags reach the fuzzed code only, not build scripts.
RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1" \
    cargo build --release --locked --target "$host" --target-dir target

[ $# -gt 0 ] || set -- fuzz_targets/*.rs
for target in "$@"; do
    target=$(basename "$target" .rs)
    mkdir -p "corpus/$target" "artifacts/$target"
    echo "fuzzing $target for $seconds s"
    # The limits are part of the test: a small input may not take much memory or time. A text of a template in Jinja may
    # take all of the template's budget, 128 MB.
    largest=64
    [ "$target" != jinja_template ] || largest=160
    "target/$host/release/$target" "corpus/$target" "seeds/$target" \
        -max_total_time="$seconds" -max_len=65536 -timeout=5 -rss_limit_mb=512 -malloc_limit_mb="$largest" \
        -artifact_prefix="artifacts/$target/" -print_final_stats=1 2> "artifacts/$target/log" || {
        tail -n 40 "artifacts/$target/log" >&2
        echo "fuzzing $target found an input; it is in fuzz/artifacts/$target" >&2
        exit 1
    }
    grep -E 'number_of_executed_units|peak_rss' "artifacts/$target/log" | sed 's/^/  /'
done
