#!/usr/bin/env python3
"""Compares what the software card's libraries export, and which of each other they need, with the headers in vendor/include.

usage: exports.py DIRECTORY
"""

import re
import subprocess
import sys
from pathlib import Path

INCLUDE = Path(__file__).resolve().parents[2] / "vendor" / "include"

# Exported by the vendor without any declaration, so in no header of ours.
UNDECLARED = {
    "libax_sys.so": {"AX_SYS_QueryFifoStatus", "AX_SYS_DumpAllPTSBuffer"},
    "libax_engine.so": {"AX_ENGINE_CloneHandle", "AX_ENGINE_GetExtraData", "AX_ENGINE_GetVNPUInfo"},
}
HEADERS = {
    "libax_sys.so": ["ax_sys.h", "ax_pool.h", "ax_log.h"],
    "libax_engine.so": ["ax_engine.h"],
    "libax_interpreter.so": [],
    "libaxcl_rt.so": ["axcl_rt.h", "axcl_engine.h", "axcl_internal.h"],
    "libaxcl_sys.so": ["axcl_sys.h"],
    "libaxcl_npu.so": ["axcl_npu.h"],
    "libaxcl_pkg.so": [],
    "libaxcl_comm.so": [],
    "libaxcl_token.so": [],
    "libaxcl_logger.so": [],
    "libaxcl_pcie_msg.so": [],
    "libaxcl_pcie_dma.so": [],
}
# As the vendor's, so that a program which names one of them gets the others too.
NEEDED = {
    "libax_engine.so": {"libax_sys.so", "libax_interpreter.so"},
    "libaxcl_rt.so": {"libaxcl_pkg.so", "libaxcl_comm.so", "libaxcl_token.so", "libaxcl_logger.so"},
    "libaxcl_sys.so": {"libaxcl_rt.so"},
    "libaxcl_npu.so": {"libaxcl_rt.so"},
}
OURS = "libax650_sim.so"


def declared(header):
    """The functions that a header declares."""
    text = re.sub(r"/\*.*?\*/|^\s*#.*?$", "", (INCLUDE / header).read_text(), flags=re.DOTALL | re.MULTILINE)
    return set(re.findall(r"\b(AX(?:CL)?_[A-Z]+_\w+|axcl\w+)\s*\([^()]*(?:\([^()]*\)[^()]*)*\)\s*;", text))


def exported(library):
    lines = subprocess.run(
        ["nm", "-D", "--defined-only", library], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    return {line.split()[-1] for line in lines}


def dynamic(library, tag):
    lines = subprocess.run(["readelf", "-dW", library], check=True, capture_output=True, text=True).stdout.splitlines()
    return {line.split("[")[1].rstrip("]") for line in lines if f"({tag})" in line}


def differences(directory):
    for name, headers in HEADERS.items():
        library = directory / name
        if not library.is_file():
            yield f"{name}: not there"
            continue
        wanted = set().union(UNDECLARED.get(name, set()), *map(declared, headers))
        found = exported(library)
        yield from (f"{name}: does not export {function}" for function in sorted(wanted - found))
        yield from (f"{name}: exports {function}, which is the vendor's not" for function in sorted(found - wanted))
        if headers and len(wanted) < 20:
            yield f"{name}: only {len(wanted)} functions found in {', '.join(headers)}"
        if dynamic(library, "SONAME") != {name}:
            yield f"{name}: its soname is {dynamic(library, 'SONAME')}"
        if dynamic(library, "NEEDED") - {OURS} != NEEDED.get(name, set()):
            yield f"{name}: needs {dynamic(library, 'NEEDED')}"
        if dynamic(library, "RUNPATH") != {"$ORIGIN"}:
            yield f"{name}: looks for its companions in {dynamic(library, 'RUNPATH')}"
    # Its absence is how the vendor's Python binding tells an AX650 from another chip.
    if "AX_ENGINE_GetTotalOps" in exported(directory / "libax_engine.so"):
        yield "libax_engine.so: exports AX_ENGINE_GetTotalOps, which only another chip's has"
    ours = {name for name in exported(directory / OURS) if not name.startswith("ax650_sim_")}
    yield from (f"{OURS}: exports {name}" for name in sorted(ours))


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    directory = Path(sys.argv[1])
    found = list(differences(directory))
    for line in found:
        print(line)
    if found:
        sys.exit(1)
    print(f"exports: {len(HEADERS)} libraries as the vendor's headers say")


if __name__ == "__main__":
    main()
