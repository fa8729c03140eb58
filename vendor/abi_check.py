#!/usr/bin/env python3
"""Compares our declarations of the vendor's interface with headers of the vendor's own.

    vendor/abi_check.py SDK_INCLUDE [SDK_INCLUDE ...]

Every type, field, constant and function of vendor/include is looked up in the headers found below the given
directories; each difference in size, offset, value or signature is one line, and so is each name that is not there.
Nothing is executed: a compiler (the variable CC, `cc` if unset) evaluates constant expressions into assembly, so a
cross compiler shows what holds on its target.

Exit status: 0 no difference, 1 differences, 2 nothing could be compared.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

OURS = Path(__file__).resolve().parent / "include"

# Our headers, and where the vendor declares the same (the board's SDK, AXCL's copy, or our own names for a test).
SETS = {
    "AX_SYS, AX_POOL": (
        ["ax_base.h", "ax_sys.h", "ax_pool.h", "ax_log.h"],
        ["ax_base_type.h", "ax_boardinfo.h", "ax_global_type.h", "ax_pool_type.h", "ax_sys_api.h", "ax_sys_log.h"],
    ),
    "AX_ENGINE": (["ax_engine.h"], ["ax_engine_type.h", "ax_engine_api.h"]),
    "AXCL runtime": (
        ["axcl_rt.h", "axcl_engine.h"],
        ["axcl_base.h", "axcl_rt_type.h", "axcl_rt_device.h", "axcl_rt_context.h", "axcl_rt_memory.h",
         "axcl_rt_stream.h", "axcl_rt_event.h", "axcl_rt_engine.h", "axcl_rt_usrwork.h", "axcl_rt_control.h",
         "axcl_rt_p2p.h", "axcl_rt.h", "axcl.h"],
    ),
    "AXCL internals": (
        ["axcl_internal.h"],
        ["axcl_rt_type_internal.h", "axcl_rt_context_internal.h", "axcl_rt_stream_internal.h",
         "axcl_rt_device_internal.h", "axcl_rt_control_internal.h", "axcl_rt_latency_internal.h",
         "axcl_rt_log_internal.h", "axcl_rt_task.h", "axcl_rt_config.h", "axcl_rt_p2p_internal.h",
         "axcl_rt_engine_internal.h"],
    ),
    "AXCL native": (["axcl_sys.h", "axcl_npu.h"], ["axcl_sys.h", "axcl_npu.h"]),
}

# In no header of the vendor's, or only in those of some versions: absence says nothing.
UNPUBLISHED = re.compile(
    r"AX_ERR_NPU_|AX_ERR_OS_FAIL|AX_ID_(AXCL|ENGINE)$|AX_ERROR_FLAG|AX_ENGINE_DT_BFLOAT16|AX650|AX750|NONE_CHIP"
    r"|AX_CHIP_TYPE_E|AX_SYS_Log|AX_SYS_[MU]sleep|AX_SYS_\w+PTSBuffer|AX_SYS_RecordPTS|AX_POOL_(Record|Clear)Time"
    r"|axclrtGetDefaultContext|AXCL_ERR_(TASK_SUBMIT|CONFIG_LOAD)"
)
# What some of the vendor's headers include or use without including it, because only C++ programs do.
CXX = {"cstdint": "stdint.h", "cstddef": "stddef.h", "cstdio": "stdio.h", "cstdbool": "stdbool.h"}
# The board's SDK has fields there for ARM only, so on another machine the structures are shorter.
ARM_ONLY = re.compile(r"defined *\(? *__aarch64__")
# Declared by us as one header set, by the vendor as another: looked up wherever they are.
EVERYWHERE = [name for _, theirs in SETS.values() for name in theirs]


class Check:
    """One thing to compare: what to call it, and a constant expression that shows it."""

    def __init__(self, name, what, expression):
        self.name, self.what, self.expression = name, what, expression


def without_comments(text):
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    return re.sub(r"//[^\n]*", "", text)


def fields_of(body):
    """The names of a struct's fields."""
    for field in body.split(";"):
        match = re.search(r"(\w+)\s*(\[[^\]]*\]\s*)*$", field.strip())
        if match:
            yield match.group(1)


def checks_of(header):
    """Everything that one of our headers declares."""
    text = without_comments((OURS / header).read_text())
    for name in re.findall(r"^#define (\w+) +\S", text, flags=re.M):
        yield Check(name, "value", f"(unsigned)({name})")
    text = re.sub(r"^#[^\n]*", "", text, flags=re.M).replace('extern "C" {', "")
    for body, name in re.findall(r"typedef enum \w*\s*\{(.*?)\}\s*(\w+);", text, flags=re.S):
        yield Check(name, "size", f"sizeof({name})")
        for constant in re.findall(r"(\w+)\s*=", body):
            yield Check(constant, "value", f"(unsigned)({constant})")
    for body, name in re.findall(r"typedef struct \w*\s*\{(.*?)\}\s*(\w+);", text, flags=re.S):
        yield Check(name, "size", f"sizeof({name})")
        for field in fields_of(body):
            yield Check(f"{name}.{field}", "offset", f"__builtin_offsetof({name}, {field})")
            yield Check(f"{name}.{field}", "size", f"sizeof((({name} *)0)->{field})")
    rest = re.sub(r"typedef (enum|struct) \w*\s*\{.*?\}\s*\w+;", "", text, flags=re.S)
    for name in re.findall(r"typedef (?!struct)[\w ]+?(\w+);", rest):
        if not re.search(rf"typedef (void|AX_VOID) {name};", rest):
            yield Check(name, "size", f"sizeof({name})")
            yield Check(name, "signedness", f"({name})-1 < ({name})1")
    for name in re.findall(r"typedef (?:void|AX_VOID) \*\s*(\w+);|typedef [\w ]+\(\*(\w+)\)", rest):
        yield Check("".join(name), "size", f"sizeof({''.join(name)})")
    declaration = r"^((?:const )?\w+(?: \w+)*[ *]+)(\w+)\(([^;]*?)\);"
    for result, name, parameters in re.findall(declaration, rest, flags=re.M | re.S):
        if result.startswith("typedef"):
            continue
        parameters = re.sub(r"\s+", " ", parameters)
        ours = f"{result.strip()} (*)({parameters})"
        yield Check(name, "signature", f"__builtin_types_compatible_p(__typeof__(&{name}), {ours})")


class Compiler:
    """Evaluates constant expressions in the company of some headers."""

    def __init__(self, scratch, directories):
        self.command = os.environ.get("CC", "cc").split()
        self.scratch = scratch
        self.flags = ["-std=gnu11", "-w", "-fmax-errors=0", "-ferror-limit=0"]
        if b"clang" in subprocess.run(self.command + ["--version"], capture_output=True, check=True).stdout:
            self.flags.remove("-fmax-errors=0")
        else:
            self.flags.remove("-ferror-limit=0")
        self.flags += [f"-I{directory}" for directory in directories] + [f"-I{scratch}"]
        for name, header in CXX.items():
            (scratch / name).write_text(f"#include <{header}>\n")

    def errors(self, source):
        """Lines of the probe with an error, and errors elsewhere, which are a header's own."""
        probe = self.scratch / "probe.c"
        probe.write_text(source)
        arguments = self.command + self.flags + ["-fsyntax-only", str(probe)]
        output = subprocess.run(arguments, capture_output=True, text=True, check=False).stderr
        lines, elsewhere = {}, []
        for file, line, message in re.findall(r"^([^:\n]+):(\d+):(?:\d+:)? (?:fatal )?error: (.*)$", output, flags=re.M):
            if Path(file) == probe:
                lines.setdefault(int(line), message)
            else:
                elsewhere.append(f"{file}:{line}: {message}")
        return lines, elsewhere

    def evaluate(self, includes, checks):
        """The value of each check, None where it does not compile."""
        top = including(includes)
        first = top.count("\n") + 1
        lines = [f"const long long abi_probe_{i} = (long long)({c.expression});" for i, c in enumerate(checks)]
        bad, _ = self.errors(top + "\n".join(lines) + "\n")
        good = [line for i, line in enumerate(lines) if first + i not in bad]
        probe, assembly = self.scratch / "probe.c", self.scratch / "probe.s"
        probe.write_text(top + "\n".join(good) + "\n")
        subprocess.run(self.command + self.flags + ["-S", "-O0", "-o", str(assembly), str(probe)], check=True)
        found = {}
        label = None
        for line in assembly.read_text().splitlines():
            match = re.match(r"_?abi_probe_(\d+):", line)
            if match:
                label = int(match.group(1))
                continue
            value = re.match(r"\s+\.(quad|xword|8byte|dword|zero|skip|space)\s+(-?\w+)", line)
            if value and label is not None:
                zero = value.group(1) in ("zero", "skip", "space")
                found[label] = 0 if zero else int(value.group(2), 0)
                label = None
        return [found.get(i) for i in range(len(checks))]


def including(headers):
    """The top of a probe."""
    return "#include <stdbool.h>\n" + "".join(f'#include "{header}"\n' for header in headers)


def directories_with_headers(roots):
    """Directories below the roots that hold one of the vendor's headers, those nearer to the top first."""
    names = set(EVERYWHERE) | {name for ours, _ in SETS.values() for name in ours}
    found = {path.parent for root in roots for path in Path(root).rglob("*.h") if path.name in names}
    return sorted(found, key=lambda path: (len(path.parts), str(path)))


def usable_headers(compiler, directories, names):
    """The headers that are there and compile after those before them; tells about those that do not."""
    usable = []
    for name in names:
        if not any((directory / name).is_file() for directory in directories):
            continue
        lines, elsewhere = compiler.errors(including(usable + [name]))
        if lines or elsewhere:
            message = elsewhere[0] if elsewhere else next(iter(lines.values()))
            print(f"{name}: does not compile, left out: {message}")
        else:
            usable.append(name)
    return usable


def has_arm_fields(compiler, directories):
    """Whether a header of the vendor's has fields that this compiler does not see."""
    headers = (directory / "ax_engine_type.h" for directory in directories)
    text = "".join(header.read_text(errors="replace") for header in headers if header.is_file())
    probe = "#if defined(__aarch64__) || defined(__arm__)\n#error ARM\n#endif\n"
    return bool(ARM_ONLY.search(text)) and not compiler.errors(probe)[0]


def show(check, value):
    if check.what == "signature":
        return "as declared" if value else "another"
    return f"{value:#x}" if check.what == "value" and not -10000 < value < 10000 else str(value)


def compare(title, headers, ours, theirs, includes):
    """Prints the differences of one set; returns how many there are and how many names were compared."""
    checks = [check for header in headers for check in checks_of(header)]
    mine = ours.evaluate(headers, checks)
    wrong = [check.name for check, value in zip(checks, mine) if value is None]
    if wrong:
        sys.exit(f"abi_check: our own {', '.join(headers)} does not give {', '.join(wrong)}; this is a defect here")
    found = theirs.evaluate(includes, checks)
    present = {check.name for check, value in zip(checks, found) if value is not None}
    differences, unpublished, absent = 0, set(), set()
    for check, value, other in zip(checks, mine, found):
        if other is None:
            if check.name in present:
                continue
            quiet = UNPUBLISHED.match(check.name) or headers == ["axcl_internal.h"]
            (unpublished if quiet else absent).add(check.name)
        elif other != value:
            differences += 1
            print(f"{check.name}: {check.what} is {show(check, other)} there, {show(check, value)} here")
    for name in sorted(absent):
        print(f"{name}: not there")
    if unpublished:
        print(f"({title}: {len(unpublished)} names that not every version declares are not there)")
    return differences + len(absent), len(present)


def main(roots):
    for root in roots:
        if not Path(root).is_dir():
            print(f"abi_check: {root} is no directory", file=sys.stderr)
            return 2
    directories = directories_with_headers(roots)
    total, compared = 0, 0
    with tempfile.TemporaryDirectory() as scratch:
        ours = Compiler(Path(scratch), [OURS])
        theirs = Compiler(Path(scratch), directories)
        named_as_ours = [name for headers, _ in SETS.values() for name in headers]
        everything = usable_headers(theirs, directories, list(dict.fromkeys(EVERYWHERE + named_as_ours)))
        for title, (headers, candidates) in SETS.items():
            if not any(name in everything for name in candidates + headers):
                print(f"{title}: no header of it found, nothing compared")
                continue
            differences, names = compare(title, headers, ours, theirs, everything)
            total, compared = total + differences, compared + names
        if total and has_arm_fields(theirs, directories):
            print("(ax_engine_type.h has fields for ARM only: set CC=aarch64-linux-gnu-gcc to see what the board has)")
    print(f"abi_check: {compared} names compared, {total} differences")
    if compared == 0:
        return 2
    return 1 if total else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: abi_check.py SDK_INCLUDE [SDK_INCLUDE ...]")
    sys.exit(main(sys.argv[1:]))
