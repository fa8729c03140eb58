#!/usr/bin/env python3
"""What the vendor's Python binding does with the libraries, through both of its providers, call by call.

usage: binding.py DIRECTORY PROVIDER       the directory of the model; `axcl`, `board` or `both` in one process

The libraries are found as the binding finds them: by their short names in the linker's search path. As there, names are
declared without being used, structures are shorter than the vendor's, pointers are odd, and little is given back.
"""

import atexit
import ctypes.util
import mmap
import struct
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cffi import FFI

CHUNK = 128
BLOCKED = struct.pack("<H", 0xC780)
BF16, U32 = 9, 7
AXCL_BF16, AXCL_U32 = 14, 8

axcl = FFI()
axcl.cdef(
    """
    typedef int32_t axclError;
    typedef void *axclrtContext;
    typedef struct { uint32_t num; int32_t devices[256]; } axclrtDeviceList;
    typedef enum { AXCL_MEM_MALLOC_HUGE_FIRST, AXCL_MEM_MALLOC_HUGE_ONLY, AXCL_MEM_MALLOC_NORMAL_ONLY } axclrtMemMallocPolicy;
    typedef enum { AXCL_MEMCPY_HOST_TO_HOST, AXCL_MEMCPY_HOST_TO_DEVICE, AXCL_MEMCPY_DEVICE_TO_HOST } axclrtMemcpyKind;
    typedef enum { AXCL_VNPU_DISABLE = 0, AXCL_VNPU_LITTLE_BIG = 3 } axclrtEngineVNpuKind;
    typedef enum { AXCL_DATA_TYPE_NONE = 0, AXCL_DATA_TYPE_FP64 = 16 } axclrtEngineDataType;
    typedef void *axclrtEngineIOInfo;
    typedef void *axclrtEngineIO;
    typedef struct { int32_t dimCount; int32_t dims[32]; } axclrtEngineIODims;

    axclError axclInit(const char *config);
    axclError axclFinalize();
    axclError axclrtGetVersion(int32_t *major, int32_t *minor, int32_t *patch);
    const char *axclrtGetSocName();
    axclError axclrtGetDeviceList(axclrtDeviceList *list);
    axclError axclrtSetDevice(int32_t device);
    axclError axclrtGetCurrentContext(axclrtContext *context);
    axclError axclrtSetCurrentContext(axclrtContext context);
    axclError axclrtMalloc(void **pointer, size_t size, axclrtMemMallocPolicy policy);
    axclError axclrtMemcpy(void *to, const void *from, size_t count, axclrtMemcpyKind kind);
    axclError axclrtFree(void *pointer);
    axclError axclrtEngineInit(axclrtEngineVNpuKind kind);
    axclError axclrtEngineGetVNpuKind(axclrtEngineVNpuKind *kind);
    axclError axclrtEngineFinalize();
    axclError axclrtEngineLoadFromFile(const char *path, uint64_t *model);
    axclError axclrtEngineLoadFromMem(const void *data, uint64_t size, uint64_t *model);
    axclError axclrtEngineCreateContext(uint64_t model, uint64_t *context);
    axclError axclrtEngineUnload(uint64_t model);
    const char *axclrtEngineGetModelCompilerVersion(uint64_t model);
    axclError axclrtEngineGetIOInfo(uint64_t model, axclrtEngineIOInfo *info);
    axclError axclrtEngineGetShapeGroupsCount(axclrtEngineIOInfo info, int32_t *count);
    uint32_t axclrtEngineGetNumInputs(axclrtEngineIOInfo info);
    uint32_t axclrtEngineGetNumOutputs(axclrtEngineIOInfo info);
    const char *axclrtEngineGetInputNameByIndex(axclrtEngineIOInfo info, uint32_t index);
    const char *axclrtEngineGetOutputNameByIndex(axclrtEngineIOInfo info, uint32_t index);
    int32_t axclrtEngineGetInputDataType(axclrtEngineIOInfo info, uint32_t index, axclrtEngineDataType *type);
    int32_t axclrtEngineGetOutputDataType(axclrtEngineIOInfo info, uint32_t index, axclrtEngineDataType *type);
    axclError axclrtEngineGetInputDims(axclrtEngineIOInfo info, uint32_t group, uint32_t index, axclrtEngineIODims *dims);
    axclError axclrtEngineGetOutputDims(axclrtEngineIOInfo info, uint32_t group, uint32_t index, axclrtEngineIODims *dims);
    uint64_t axclrtEngineGetInputSizeByIndex(axclrtEngineIOInfo info, uint32_t group, uint32_t index);
    uint64_t axclrtEngineGetOutputSizeByIndex(axclrtEngineIOInfo info, uint32_t group, uint32_t index);
    axclError axclrtEngineCreateIO(axclrtEngineIOInfo info, axclrtEngineIO *io);
    axclError axclrtEngineDestroyIO(axclrtEngineIO io);
    axclError axclrtEngineSetInputBufferByIndex(axclrtEngineIO io, uint32_t index, const void *data, uint64_t size);
    axclError axclrtEngineSetOutputBufferByIndex(axclrtEngineIO io, uint32_t index, const void *data, uint64_t size);
    axclError axclrtEngineGetInputBufferByIndex(axclrtEngineIO io, uint32_t index, void **data, uint64_t *size);
    axclError axclrtEngineGetOutputBufferByIndex(axclrtEngineIO io, uint32_t index, void **data, uint64_t *size);
    axclError axclrtEngineExecute(uint64_t model, uint64_t context, uint32_t group, axclrtEngineIO io);
    """
)

sys_ffi = FFI()
sys_ffi.cdef(
    """
    int AX_SYS_Init(void);
    int AX_SYS_Deinit(void);
    int AX_SYS_MemAllocCached(unsigned long long *phy, void **vir, unsigned int size, unsigned int align, const signed char *token);
    int AX_SYS_MemFree(unsigned long long phy, void *vir);
    int AX_SYS_MflushCache(unsigned long long phy, void *vir, unsigned int size);
    int AX_SYS_MinvalidateCache(unsigned long long phy, void *vir, unsigned int size);
    """
)

# The IO ends at 120 bytes here, eight before the vendor's own.
engine_ffi = FFI()
engine_ffi.cdef(
    """
    typedef struct { int eHardMode; uint32_t reserve[8]; } ATTR;
    typedef struct { uint32_t nNpuSet; signed char *pName; uint32_t reserve[8]; } EXTRA;
    typedef struct {
        char *pName; int32_t *pShape; uint8_t nShapeSize; int eLayout; int eMemoryType; int eDataType; void *pExtraMeta;
        uint32_t nSize; uint32_t nQuantizationValue; int32_t *pStride; uint64_t reserved[9];
    } META;
    typedef struct {
        META *pInputs; uint32_t nInputSize; META *pOutputs; uint32_t nOutputSize; uint32_t nMaxBatchSize;
        int bDynamicBatchSize; uint64_t reserved[11];
    } INFO;
    typedef struct {
        uint64_t phyAddr; void *pVirAddr; uint32_t nSize; int32_t *pStride; uint8_t nStrideSize; uint64_t reserved[11];
    } BUFFER;
    typedef struct {
        BUFFER *pInputs; uint32_t nInputSize; BUFFER *pOutputs; uint32_t nOutputSize; uint32_t nBatchSize; void *pIoSetting;
        uint64_t reserved[10];
    } IO;
    const char *AX_ENGINE_GetVersion(void);
    void AX_ENGINE_NPUReset(void);
    int AX_ENGINE_Init(ATTR *attr);
    int AX_ENGINE_GetVNPUAttr(ATTR *attr);
    int AX_ENGINE_Deinit(void);
    int AX_ENGINE_GetModelType(const void *data, uint32_t size, int *type);
    int AX_ENGINE_CreateHandleV2(uint64_t **handle, const void *data, uint32_t size, EXTRA *extra);
    int AX_ENGINE_DestroyHandle(uint64_t *handle);
    int AX_ENGINE_GetIOInfo(uint64_t *handle, INFO **info);
    int AX_ENGINE_GetGroupIOInfoCount(uint64_t *handle, uint32_t *count);
    int AX_ENGINE_GetGroupIOInfo(uint64_t *handle, uint32_t index, INFO **info);
    int AX_ENGINE_CreateContextV2(uint64_t *handle, uint64_t **context);
    int AX_ENGINE_RunSyncV2(uint64_t *handle, uint64_t *context, IO *io);
    int AX_ENGINE_RunGroupIOSync(uint64_t *handle, uint64_t *context, uint32_t index, IO *io);
    int AX_ENGINE_SetAffinity(uint64_t *handle, uint32_t set);
    const char *AX_ENGINE_GetModelToolsVersion(uint64_t *handle);
    int AX_ENGINE_GetTotalOps();
    """
)
assert engine_ffi.sizeof("IO") == 120 and engine_ffi.sizeof("META") == engine_ffi.sizeof("BUFFER") == 128


def library(ffi, name):
    found = ctypes.util.find_library(name)
    assert found is not None, f"{name} is not found by its short name"
    return ffi.dlopen(found)


def ok(code):
    assert code == 0, f"{code & 0xFFFFFFFF:#x}"


class Axcl:
    """The provider for cards; the runtime comes up when it is imported and goes down at exit."""

    sessions = []
    initialized = False

    @classmethod
    def start(cls):
        cls.lib = library(axcl, "axcl_rt")
        # A list as a string: the pointer leads to no bytes at all.
        ok(cls.lib.axclInit([]))
        atexit.register(cls.end)

    @classmethod
    def end(cls):
        for session in cls.sessions:
            session.unload()
        if cls.initialized:
            ok(cls.lib.axclrtEngineFinalize())
        ok(cls.lib.axclFinalize())

    def __init__(self, path, from_memory):
        lib = self.lib
        devices = axcl.new("axclrtDeviceList *")
        ok(lib.axclrtGetDeviceList(devices))
        assert devices.num == 1
        ok(lib.axclrtSetDevice(devices.devices[0]))
        kind = axcl.new("axclrtEngineVNpuKind *")
        # Only the first session brings it up; for the others it is enough that it is up.
        if lib.axclrtEngineInit(axcl.cast("axclrtEngineVNpuKind", 0)) == 0:
            Axcl.initialized = True
        ok(lib.axclrtEngineGetVNpuKind(kind))
        assert kind[0] == 0 and axcl.string(lib.axclrtGetSocName())
        self.thread_context = axcl.new("axclrtContext *")
        ok(lib.axclrtGetCurrentContext(self.thread_context))
        self.model, self.context = axcl.new("uint64_t *"), axcl.new("uint64_t *")
        self.load(path, from_memory)
        ok(lib.axclrtEngineCreateContext(self.model[0], self.context))
        assert axcl.string(lib.axclrtEngineGetModelCompilerVersion(self.model[0]))
        self.info = axcl.new("axclrtEngineIOInfo *")
        ok(lib.axclrtEngineGetIOInfo(self.model[0], self.info))
        count = axcl.new("int32_t *")
        ok(lib.axclrtEngineGetShapeGroupsCount(self.info[0], count))
        self.inputs = [self.describe(group, "Input") for group in range(count[0])]
        self.outputs = [self.describe(group, "Output") for group in range(count[0])]
        self.io = axcl.new("axclrtEngineIO *")
        ok(lib.axclrtEngineCreateIO(self.info[0], self.io))
        for side, groups in (("Input", self.inputs), ("Output", self.outputs)):
            for index in range(len(groups[0])):
                size = max(self.size_of(side, group, index) for group in range(count[0]))
                pointer = axcl.new("void **")
                ok(lib.axclrtMalloc(pointer, size, lib.AXCL_MEM_MALLOC_NORMAL_ONLY))
                ok(getattr(lib, f"axclrtEngineSet{side}BufferByIndex")(self.io[0], index, pointer[0], size))
        self.sessions.append(self)

    def load(self, path, from_memory):
        lib = self.lib
        if not from_memory:
            ok(lib.axclrtEngineLoadFromFile(axcl.new("char[]", str(path).encode()), self.model))
            return
        data = path.read_bytes()
        pointer = axcl.new("void **", axcl.NULL)
        ok(lib.axclrtMalloc(pointer, len(data), lib.AXCL_MEM_MALLOC_NORMAL_ONLY))
        ok(lib.axclrtMemcpy(pointer[0], axcl.new("char[]", data), len(data), lib.AXCL_MEMCPY_HOST_TO_DEVICE))
        ok(lib.axclrtEngineLoadFromMem(pointer[0], len(data), self.model))
        ok(lib.axclrtFree(pointer[0]))

    def size_of(self, side, group, index):
        return getattr(self.lib, f"axclrtEngineGet{side}SizeByIndex")(self.info[0], group, index)

    def describe(self, group, side):
        tensors = {}
        for index in range(getattr(self.lib, f"axclrtEngineGetNum{side}s")(self.info[0])):
            name = axcl.string(getattr(self.lib, f"axclrtEngineGet{side}NameByIndex")(self.info[0], index)).decode()
            kind, dims = axcl.new("axclrtEngineDataType *"), axcl.new("axclrtEngineIODims *")
            ok(getattr(self.lib, f"axclrtEngineGet{side}DataType")(self.info[0], index, kind))
            ok(getattr(self.lib, f"axclrtEngineGet{side}Dims")(self.info[0], group, index, dims))
            width = {AXCL_BF16: 2, AXCL_U32: 4}[kind[0]]
            tensors[name] = (index, [dims.dims[i] for i in range(dims.dimCount)], width)
        return tensors

    def run(self, feed, group):
        lib = self.lib
        ok(lib.axclrtSetCurrentContext(self.thread_context[0]))
        pointer, size = axcl.new("void **"), axcl.new("uint64_t *")
        for name, data in feed.items():
            index = self.inputs[group][name][0]
            ok(lib.axclrtEngineGetInputBufferByIndex(self.io[0], index, pointer, size))
            ok(lib.axclrtMemcpy(pointer[0], axcl.from_buffer(data), len(data), lib.AXCL_MEMCPY_HOST_TO_DEVICE))
        ok(lib.axclrtEngineExecute(self.model[0], self.context[0], group, self.io[0]))
        results = {}
        for name, (index, shape, width) in self.outputs[group].items():
            data = bytearray(bytes_of(shape, width))
            ok(lib.axclrtEngineGetOutputBufferByIndex(self.io[0], index, pointer, size))
            ok(lib.axclrtMemcpy(axcl.from_buffer(data), pointer[0], len(data), lib.AXCL_MEMCPY_DEVICE_TO_HOST))
            results[name] = data
        return results

    def unload(self):
        """Memory is freed while it is bound; the description of the tensors stays."""
        pointer, size = axcl.new("void **"), axcl.new("uint64_t *")
        for side, tensors in (("Input", self.inputs[0]), ("Output", self.outputs[0])):
            for index in range(len(tensors)):
                ok(getattr(self.lib, f"axclrtEngineGet{side}BufferByIndex")(self.io[0], index, pointer, size))
                ok(self.lib.axclrtFree(pointer[0]))
        ok(self.lib.axclrtEngineDestroyIO(self.io[0]))
        ok(self.lib.axclrtEngineUnload(self.model[0]))


class Board:
    """The provider for the chip's own Linux."""

    @classmethod
    def start(cls):
        cls.sys, cls.lib = library(sys_ffi, "ax_sys"), library(engine_ffi, "ax_engine")
        ok(cls.sys.AX_SYS_Init())
        attr = engine_ffi.new("ATTR *")
        # Fails: nobody brought the NPU up yet.
        if cls.lib.AX_ENGINE_GetVNPUAttr(attr) != 0:
            attr.eHardMode = 0
        ok(cls.lib.AX_ENGINE_Init(attr))
        ok(cls.lib.AX_ENGINE_GetVNPUAttr(attr))
        assert attr.eHardMode in range(4) and engine_ffi.string(cls.lib.AX_ENGINE_GetVersion())
        # How the binding finds out which chip this is.
        assert hasattr(cls.lib, "AX_ENGINE_SetAffinity") and not hasattr(cls.lib, "AX_ENGINE_GetTotalOps")
        atexit.register(cls.end)

    @classmethod
    def end(cls):
        ok(cls.lib.AX_ENGINE_Deinit())
        ok(cls.sys.AX_SYS_Deinit())

    def __init__(self, path, from_memory):
        lib = self.lib
        if from_memory:
            data = path.read_bytes()
            self.data, size = engine_ffi.new("char[]", data), len(data)
        else:
            with open(path, "rb") as file:
                self.file = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self.data, size = engine_ffi.from_buffer("char[]", self.file), len(self.file)
        kind = engine_ffi.new("int *")
        ok(lib.AX_ENGINE_GetModelType(self.data, size, kind))
        assert kind[0] in range(3)
        self.handle, self.context = engine_ffi.new("uint64_t **"), engine_ffi.new("uint64_t **")
        name = engine_ffi.new("char[]", path.stem.encode())
        extra = engine_ffi.new("EXTRA *", {"pName": engine_ffi.cast("signed char *", name)})
        ok(lib.AX_ENGINE_CreateHandleV2(self.handle, self.data, size, extra))
        ok(lib.AX_ENGINE_CreateContextV2(self.handle[0], self.context))
        assert engine_ffi.string(lib.AX_ENGINE_GetModelToolsVersion(self.handle[0]))
        count = engine_ffi.new("uint32_t *")
        ok(lib.AX_ENGINE_GetGroupIOInfoCount(self.handle[0], count))
        self.count, infos = count[0], []
        for group in range(self.count):
            info = engine_ffi.new("INFO **")
            if self.count == 1:
                ok(lib.AX_ENGINE_GetIOInfo(self.handle[0], info))
            else:
                ok(lib.AX_ENGINE_GetGroupIOInfo(self.handle[0], group, info))
            infos.append(info[0])
        self.inputs = [describe(info.pInputs, info.nInputSize) for info in infos]
        self.outputs = [describe(info.pOutputs, info.nOutputSize) for info in infos]
        self.io = engine_ffi.new("IO *")
        self.buffers = [
            self.allocate([[info.pInputs[i].nSize for info in infos] for i in range(infos[0].nInputSize)]),
            self.allocate([[info.pOutputs[i].nSize for info in infos] for i in range(infos[0].nOutputSize)]),
        ]
        self.io.pInputs, self.io.pOutputs = self.buffers
        self.io.nInputSize, self.io.nOutputSize = infos[0].nInputSize, infos[0].nOutputSize

    def allocate(self, sizes):
        """Buffers as large as the largest group wants; never freed."""
        token = sys_ffi.new("signed char[]", b"PyEngine")
        buffers = engine_ffi.new("BUFFER[]", len(sizes))
        for buffer, size in zip(buffers, sizes, strict=True):
            phy, vir = sys_ffi.new("unsigned long long *"), sys_ffi.new("void **")
            ok(self.sys.AX_SYS_MemAllocCached(phy, vir, max(size), 128, token))
            buffer.phyAddr, buffer.pVirAddr, buffer.nSize = phy[0], vir[0], max(size)
        return buffers

    def run(self, feed, group):
        for name, data in feed.items():
            buffer = self.io.pInputs[self.inputs[group][name][0]]
            engine_ffi.memmove(buffer.pVirAddr, data, len(data))
            ok(self.sys.AX_SYS_MflushCache(buffer.phyAddr, buffer.pVirAddr, buffer.nSize))
        if self.count > 1:
            ok(self.lib.AX_ENGINE_RunGroupIOSync(self.handle[0], self.context[0], group, self.io))
        else:
            ok(self.lib.AX_ENGINE_RunSyncV2(self.handle[0], self.context[0], self.io))
        results = {}
        for name, (index, shape, width) in self.outputs[group].items():
            buffer = self.io.pOutputs[index]
            ok(self.sys.AX_SYS_MinvalidateCache(buffer.phyAddr, buffer.pVirAddr, buffer.nSize))
            results[name] = bytearray(engine_ffi.buffer(buffer.pVirAddr, bytes_of(shape, width)))
        return results

    def unload(self):
        # Once more when the object dies, with a handle that is null by then, or after the end of the engine.
        self.lib.AX_ENGINE_DestroyHandle(self.handle[0])
        self.handle[0] = engine_ffi.NULL

    def __del__(self):
        self.unload()


def describe(metas, count):
    tensors = {}
    for index in range(count):
        meta = metas[index]
        shape = [meta.pShape[i] for i in range(meta.nShapeSize)]
        tensors[engine_ffi.string(meta.pName).decode()] = (index, shape, {BF16: 2, U32: 4}[meta.eDataType])
    return tensors


def bytes_of(shape, width):
    for length in shape:
        width *= length
    return width


def tell(directory, provider, from_memory):
    """Computes the answer; K and V live in the host's memory and are fed to each run."""
    lines = [[int(word) for word in line.split()] for line in (directory / "story").read_text().splitlines()]
    (count, hidden), prompt, answer = lines
    paths = [directory / f"qwen3_p{CHUNK}_l{layer}_together.axmodel" for layer in range(count)]
    layers = [provider(path, from_memory) for path in paths]
    head = provider(directory / "qwen3_post.axmodel", from_memory)
    embedding = (directory / "model.embed_tokens.weight.bfloat16.bin").read_bytes()
    groups = layers[0].inputs
    longest = max(group["K_cache"][1][1] for group in groups)
    kv_row = groups[0]["K_cache"][1][2] * 2
    caches = [(bytearray(longest * kv_row), bytearray(longest * kv_row)) for _ in layers]

    def read(tokens, first):
        rows = CHUNK if len(tokens) > 1 else 1
        sees = {g: group["mask"][1][-1] - rows for g, group in enumerate(groups) if group["indices"][1][-1] == rows}
        group = min((g for g, history in sees.items() if history >= first), key=sees.get)
        history = sees[group]
        state = b"".join(embedding[token * hidden * 2 : (token + 1) * hidden * 2] for token in tokens)
        state = bytearray(state.ljust(rows * hidden * 2, b"\0"))
        indices = struct.pack(f"<{rows}I", *range(first, first + rows))
        blocked = BLOCKED * (history + rows)
        mask = b"".join(
            b"\0\0" * first + BLOCKED * (history - first) + b"\0\0" * (row + 1) + BLOCKED * (rows - row - 1)
            if row < len(tokens)
            else blocked
            for row in range(rows)
        )
        for layer, (keys, values) in zip(layers, caches, strict=True):
            seen = layer.inputs[group]["K_cache"][1][1] * kv_row
            feed = {"K_cache": keys[:seen], "V_cache": values[:seen], "indices": indices, "input": state, "mask": mask}
            outputs = layer.run({name: bytes(data) for name, data in feed.items()}, group)
            for cache, name in ((keys, "K_cache_out"), (values, "V_cache_out")):
                cache[first * kv_row : (first + len(tokens)) * kv_row] = outputs[name][: len(tokens) * kv_row]
            state = outputs["output"]
        last = state[(len(tokens) - 1) * hidden * 2 : len(tokens) * hidden * 2]
        logits = head.run({"input": bytes(last)}, 0)["output"]
        floats = struct.unpack(f"<{len(logits) // 2}f", b"".join(b"\0\0" + logits[i : i + 2] for i in range(0, len(logits), 2)))
        return max(range(len(floats)), key=floats.__getitem__)

    # Not on the thread that opened the models.
    with ThreadPoolExecutor(1) as pool:
        for first in range(0, len(prompt), CHUNK):
            token = pool.submit(read, prompt[first : first + CHUNK], first).result()
    for position, expected in enumerate(answer, len(prompt)):
        assert token == expected, f"token {token} at {position}, not {expected}"
        token = read([token], position)
    print(f"binding {provider.__name__}: all {len(answer)} tokens as expected")
    return [*layers, head]


def main():
    directory, which = Path(sys.argv[1]), sys.argv[2]
    providers = {"axcl": [Axcl], "board": [Board], "both": [Axcl, Board]}[which]
    for provider in providers:
        provider.start()
    kept = [tell(directory, provider, which == "both") for provider in providers]
    # One is unloaded by hand, the others when the interpreter ends, after the engine did.
    if Board in providers:
        kept[-1][0].unload()
    globals()["kept"] = kept


if __name__ == "__main__":
    main()
