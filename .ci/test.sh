#!/usr/bin/env bash
# Runs every check, also after one failed, and sums up at the end. `.ci/test.sh lint unit` runs only those.
set -uo pipefail
cd "$(dirname "$0")/.."
steps=("$@")
[ ${#steps[@]} -gt 0 ] || steps=(check-fmt lint unit doc deny check-bindings loop aarch64 fuzz clients smoke libs)

deploy/deps.sh test || exit 1
# Where rustup puts what deps.sh may just have installed.
export PATH="$HOME/.cargo/bin:$PATH"

logs=.cache/ci
mkdir -p "$logs"
declare -a rows
passed=0 failed=0
for step in "${steps[@]}"; do
    printf '\n== %s\n' "$step"
    start=$SECONDS
    if make --no-print-directory "$step" 2>&1 | tee "$logs/$step.log"; then
        result=ok passed=$((passed + 1))
    else
        result=FAILED failed=$((failed + 1))
    fi
    rows+=("$(printf '%-16s %-7s %4d s' "$step" "$result" $((SECONDS - start)))")
done

printf '\n== summary\n'
printf '%s\n' "${rows[@]}"
# The closing lines of the test runners themselves, without colours.
for step in "${steps[@]}"; do
    sed 's/\x1b\[[0-9;]*m//g' "$logs/$step.log" 2>/dev/null | awk -v step="$step" '
        /^ *Summary \[/ { print step ":" $0 }
        /^test result:/ { passed += $4; failed += $6; seen = 1 }
        END { if (seen) print step ": cargo test: " passed + 0 " passed, " failed + 0 " failed" }'
done
# What failed may stand thousands of lines above.
for row in "${rows[@]}"; do
    read -r step result _ <<< "$row"
    [ "$result" = FAILED ] || continue
    sed 's/\x1b\[[0-9;]*m//g' "$logs/$step.log" 2>/dev/null | grep -aE '^ *(FAILED|FAIL |error|E  )|panicked at' | head -20 |
        cut -c1-200 | sed "s/^/$step: /"
done
echo "checks: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
