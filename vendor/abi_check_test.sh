#!/usr/bin/env bash
# Holds abi_check.py to its word: no difference against our own headers, and every kind of difference found in a
# changed copy, all in one go.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "abi_check_test: $1" >&2
    cat "$work/out" >&2
    exit 1
}

# check STATUS DIRECTORY: runs it and keeps what it says.
check() {
    local status=0
    ./abi_check.py "$2" >"$work/out" 2>&1 || status=$?
    [ "$status" -eq "$1" ] || fail "status $status instead of $1"
}

says() {
    grep -qF -- "$1" "$work/out" || fail "does not say: $1"
}

check 0 include
says " 0 differences"

sdk=$work/sdk/msp/out/include
mkdir -p "$sdk"
cp include/*.h "$sdk"
change() { sed -i "$2" "$sdk/$1"; }
change ax_engine.h 's/AX_U64 u64Reserved\[10\];//'
change ax_engine.h 's/AX_ENGINE_DT_UINT32 = 7/AX_ENGINE_DT_UINT32 = 6/'
change ax_engine.h 's/AX_U32 index, AX_ENGINE_IO_INFO_T \*\*info/AX_U64 index, AX_ENGINE_IO_INFO_T **info/'
change ax_base.h 's/typedef signed char AX_S8/typedef unsigned char AX_S8/'
change axcl_rt.h 's/^axclError axclrtMemcmp(.*//'
change axcl_rt.h 's/uint64_t uid;/uint32_t uid;/'
change axcl_rt.h 's/0x80300284u/0x80300285u/'
change ax_pool.h '1i #error unfinished'
check 1 "$work/sdk"
says "AX_ENGINE_IO_T: size is 48 there, 128 here"
says "AX_ENGINE_IO_T.u64Reserved: not there"
says "AX_ENGINE_DT_UINT32: value is 6 there, 7 here"
says "AX_ENGINE_GetGroupIOInfo: signature is another there, as declared here"
says "AX_S8: signedness is 0 there, 1 here"
says "axclrtMemcmp: not there"
says "axclrtDeviceProperties.uid: size is 4 there, 8 here"
says "AXCL_ERR_CONTEXT_NO_BIND_CONTEXT: value is 0x80300285 there, 0x80300284 here"
says "ax_pool.h: does not compile, left out:"
says "AX_POOL_GetBlock: not there"

# As the vendor writes headers: for C++, in need of others, in conflict with each other, with fields for one machine.
theirs=$work/theirs/include
mkdir -p "$theirs/internal" "$theirs/external"
cat >"$theirs/external/axcl_base.h" <<'END'
#include <stdint.h>
#define AXCL_EXPORT __attribute((visibility("default")))
typedef int32_t axclError;
END
cat >"$theirs/internal/axcl_rt_latency_internal.h" <<'END'
#include <cstdint>
AXCL_EXPORT axclError axclrtLatencyLoopback(const void *data, uint32_t size, bool check, int mode);
struct shared { int one; };
END
cat >"$theirs/internal/axcl_rt_log_internal.h" <<'END'
struct shared { int two; };
END
cat >"$theirs/internal/axcl_rt_config.h" <<'END'
AXCL_EXPORT int64_t axclrtConfigGetDmaBufSize();
END
cat >"$theirs/ax_engine_type.h" <<'END'
typedef struct {
    int eHardMode;
    unsigned reserve[8];
#if defined(__aarch64__)
    long more;
#endif
} AX_ENGINE_NPU_ATTR_T;
END
check 1 "$work/theirs"
says "axcl_rt_log_internal.h: does not compile, left out:"
says "axclrtConfigGetDmaBufSize: signature is another there, as declared here"
grep -qF "axclrtLatencyLoopback" "$work/out" && fail "does not find axclrtLatencyLoopback"
case $(${CC:-cc} -dumpmachine) in
aarch64-* | arm*) ;;
*) says "(ax_engine_type.h has fields for ARM only" ;;
esac

# The board's SDK knows nothing of AXCL.
rm "$sdk"/axcl_*.h
check 1 "$work/sdk"
says "AXCL runtime: no header of it found, nothing compared"
mkdir "$work/empty"
check 2 "$work/empty"
check 2 "$work/nowhere"
echo "abi_check: all tests passed"
