/*
 * The habits of the vendor's C++ runtime on the board, call by call: which allocations, in which order, what is
 * flushed, how it ends. usage: board DIRECTORY STYLE
 *
 *   plain     CreateHandle and both kinds of context on each model; everything flushed and invalidated
 *   runsync   the same, with the run that knows no groups wherever the first one is meant
 *   2026      CreateHandleV2 and CreateContextV2; of the K/V caches only written rows are flushed
 *   uncached  the same, no memory cached
 *   dynamic   layers destroyed and loaded again between the tokens, on their old buffers and descriptions of tensors
 *   slots     two conversations at a time: other K/V buffers are written into the IO structures between runs
 */
#include <string.h>

#include "ax_engine.h"
#include "ax_sys.h"
#include "story.h"

#define ALIGN 128
#define TOKEN ((const AX_S8 *)"npu")

/* What is kept of a tensor's description, which dies with the handle. */
struct tensor {
    char name[32];
    AX_U32 size;
    size_t last; /* elements of the last dimension */
};

struct group {
    struct tensor inputs[16], outputs[16];
    AX_ENGINE_IO_T io;
};

struct runner {
    AX_ENGINE_HANDLE handle;
    AX_ENGINE_CONTEXT_T context;
    AX_U32 count;
    struct group groups[MAX_GROUPS];
};

static struct story story;
static struct runner runners[MAX_LAYERS + 1];
static bool both_contexts, run_sync, partial_flush, uncached, dynamic;

static bool is_cache(const char *name) {
    return strcmp(name, "K_cache") == 0 || strcmp(name, "V_cache") == 0;
}

static size_t find(const struct tensor *tensors, AX_U32 count, const char *name) {
    for (AX_U32 i = 0; i < count; i++) {
        if (strcmp(tensors[i].name, name) == 0) return i;
    }
    FAIL("no tensor %s", name);
}

static AX_ENGINE_IO_BUFFER_T *input(struct group *group, const char *name) {
    return &group->io.pInputs[find(group->inputs, group->io.nInputSize, name)];
}

static AX_ENGINE_IO_BUFFER_T *output(struct group *group, const char *name) {
    return &group->io.pOutputs[find(group->outputs, group->io.nOutputSize, name)];
}

static void allocate(AX_ENGINE_IO_BUFFER_T *buffer, AX_U32 size, bool cached) {
    if (cached && !uncached) {
        OK(AX_SYS_MemAllocCached(&buffer->phyAddr, &buffer->pVirAddr, size, ALIGN, TOKEN));
    } else {
        OK(AX_SYS_MemAlloc(&buffer->phyAddr, &buffer->pVirAddr, size, ALIGN, TOKEN));
    }
    CHECK(buffer->phyAddr % ALIGN == 0 && buffer->phyAddr != (uintptr_t)buffer->pVirAddr);
    buffer->nSize = size;
    memset(buffer->pVirAddr, 0, size);
    if (partial_flush) OK(AX_SYS_MflushCache(buffer->phyAddr, buffer->pVirAddr, size));
}

/* The array of one side of a group, and what is kept of its tensors; memory only where asked for. */
static AX_ENGINE_IO_BUFFER_T *prepare(const AX_ENGINE_IOMETA_T *metas, AX_U32 count, struct tensor *tensors, bool inputs,
                                      bool with_memory, bool with_caches) {
    AX_ENGINE_IO_BUFFER_T *buffers = calloc(count, sizeof *buffers);
    CHECK(buffers != NULL && count <= 16);
    for (AX_U32 i = 0; i < count; i++) {
        const AX_ENGINE_IOMETA_T *meta = &metas[i];
        CHECK(meta->nShapeSize > 0 && strlen(meta->pName) < sizeof tensors[i].name);
        strcpy(tensors[i].name, meta->pName);
        tensors[i].size = meta->nSize;
        tensors[i].last = (size_t)meta->pShape[meta->nShapeSize - 1];
        buffers[i].nSize = meta->nSize;
        if (with_memory && (with_caches || !is_cache(meta->pName))) allocate(&buffers[i], meta->nSize, !inputs);
    }
    return buffers;
}

static void load(struct runner *runner, const char *path) {
    const struct file file = map_file(path);
    if (both_contexts) {
        OK(AX_ENGINE_CreateHandle(&runner->handle, file.data, (AX_U32)file.size));
        OK(AX_ENGINE_CreateContext(runner->handle));
    } else {
        AX_ENGINE_HANDLE_EXTRA_T extra;
        memset(&extra, 0, sizeof extra);
        extra.pName = (AX_S8 *)(uintptr_t)"npu";
        OK(AX_ENGINE_CreateHandleV2(&runner->handle, file.data, (AX_U32)file.size, &extra));
    }
    /* The model must not need its bytes any more. */
    unmap_file(file);
    runner->context = NULL;
    OK(AX_ENGINE_CreateContextV2(runner->handle, &runner->context));
    CHECK(runner->handle != NULL && runner->context != NULL);
}

/* K or V of the first group in the largest size of any group. */
static void grow_cache(struct runner *runner, const char *name) {
    AX_U32 largest = 0;
    for (AX_U32 g = 0; g < runner->count; g++) {
        const AX_U32 size = input(&runner->groups[g], name)->nSize;
        if (size > largest) largest = size;
    }
    AX_ENGINE_IO_BUFFER_T *buffer = input(&runner->groups[0], name);
    CHECK(buffer->nSize < largest);
    OK(AX_SYS_MemFree(buffer->phyAddr, buffer->pVirAddr));
    allocate(buffer, largest, true);
}

static void share(AX_ENGINE_IO_BUFFER_T *to, const AX_ENGINE_IO_BUFFER_T *from) {
    CHECK(from->phyAddr != 0 && from->nSize >= to->nSize);
    to->phyAddr = from->phyAddr;
    to->pVirAddr = from->pVirAddr;
    to->nSize = from->nSize;
}

static void open_runner(struct runner *runner, const char *path) {
    load(runner, path);
    OK(AX_ENGINE_GetGroupIOInfoCount(runner->handle, &runner->count));
    CHECK(runner->count > 0 && runner->count <= MAX_GROUPS);
    for (AX_U32 g = 0; g < runner->count; g++) {
        struct group *group = &runner->groups[g];
        AX_ENGINE_IO_INFO_T *info = NULL;
        if (runner->count == 1 && !both_contexts) {
            OK(AX_ENGINE_GetIOInfo(runner->handle, &info));
        } else {
            /* The first variant asks so for models of one group too. */
            OK(AX_ENGINE_GetGroupIOInfo(runner->handle, g, &info));
        }
        const bool with_memory = g == 0 || g == runner->count - 1;
        memset(&group->io, 0, sizeof group->io);
        group->io.nInputSize = info->nInputSize;
        group->io.nOutputSize = info->nOutputSize;
        group->io.pInputs = prepare(info->pInputs, info->nInputSize, group->inputs, true, with_memory, g == 0);
        group->io.pOutputs = prepare(info->pOutputs, info->nOutputSize, group->outputs, false, with_memory, true);
    }
    if (runner->count == 1) return;
    grow_cache(runner, "K_cache");
    grow_cache(runner, "V_cache");
    struct group *last = &runner->groups[runner->count - 1];
    share(input(last, "K_cache"), input(&runner->groups[0], "K_cache"));
    share(input(last, "V_cache"), input(&runner->groups[0], "V_cache"));
    /* Groups between share all with the last one, by name. */
    for (AX_U32 g = 1; g + 1 < runner->count; g++) {
        struct group *group = &runner->groups[g];
        for (AX_U32 i = 0; i < group->io.nInputSize; i++) {
            share(&group->io.pInputs[i], input(last, group->inputs[i].name));
        }
        for (AX_U32 i = 0; i < group->io.nOutputSize; i++) {
            share(&group->io.pOutputs[i], output(last, group->outputs[i].name));
        }
    }
}

static bool freed_before(AX_U64 phy) {
    static AX_U64 freed[MAX_GROUPS * 16 * MAX_LAYERS];
    static size_t count;
    for (size_t i = 0; i < count; i++) {
        if (freed[i] == phy) return true;
    }
    CHECK(count < sizeof freed / sizeof *freed);
    freed[count++] = phy;
    return false;
}

static void free_buffers(AX_ENGINE_IO_BUFFER_T *buffers, AX_U32 count) {
    for (AX_U32 i = 0; i < count; i++) {
        if (!freed_before(buffers[i].phyAddr)) OK(AX_SYS_MemFree(buffers[i].phyAddr, buffers[i].pVirAddr));
    }
    free(buffers);
}

/* The memory goes before the handle that used it. */
static void close_runner(struct runner *runner) {
    for (AX_U32 g = 0; g < runner->count; g++) {
        free_buffers(runner->groups[g].io.pInputs, runner->groups[g].io.nInputSize);
        free_buffers(runner->groups[g].io.pOutputs, runner->groups[g].io.nOutputSize);
    }
    OK(AX_ENGINE_DestroyHandle(runner->handle));
}

static void put(size_t layer, size_t group, const char *tensor, const void *data, size_t size) {
    AX_ENGINE_IO_BUFFER_T *buffer = input(&runners[layer].groups[group], tensor);
    CHECK(size <= buffer->nSize);
    memcpy(buffer->pVirAddr, data, size);
}

static void get(size_t layer, size_t group, const char *tensor, void *data, size_t size) {
    const AX_ENGINE_IO_BUFFER_T *buffer = output(&runners[layer].groups[group], tensor);
    CHECK(size <= buffer->nSize);
    memcpy(data, buffer->pVirAddr, size);
}

static void run(size_t layer, size_t group) {
    struct runner *runner = &runners[layer];
    struct group *g = &runner->groups[group];
    for (AX_U32 i = 0; i < g->io.nInputSize; i++) {
        const AX_ENGINE_IO_BUFFER_T *buffer = &g->io.pInputs[i];
        if (partial_flush && is_cache(g->inputs[i].name)) continue;
        /* Uncached memory too. */
        OK(AX_SYS_MflushCache(buffer->phyAddr, buffer->pVirAddr, buffer->nSize));
    }
    if (runner->count == 1 || (run_sync && group == 0)) {
        /* Also where only CreateContextV2 was called. */
        OK(AX_ENGINE_RunSync(runner->handle, &g->io));
    } else {
        OK(AX_ENGINE_RunGroupIOSync(runner->handle, runner->context, (AX_U32)group, &g->io));
    }
    for (AX_U32 i = 0; i < g->io.nOutputSize; i++) {
        const AX_ENGINE_IO_BUFFER_T *buffer = &g->io.pOutputs[i];
        OK(AX_SYS_MinvalidateCache(buffer->phyAddr, buffer->pVirAddr, buffer->nSize));
    }
    if (dynamic) {
        OK(AX_ENGINE_DestroyHandle(runner->handle));
        load(runner, layer_path(&story, layer));
    }
}

static void keep_rows(struct group *group, const char *from, const char *to, size_t first, size_t count) {
    const AX_ENGINE_IO_BUFFER_T *rows = output(group, from), *cache = input(group, to);
    const size_t row = group->outputs[find(group->outputs, group->io.nOutputSize, from)].last * 2;
    AX_U8 *start = (AX_U8 *)cache->pVirAddr + first * row;
    CHECK((first + count) * row <= cache->nSize);
    memcpy(start, rows->pVirAddr, count * row);
    /* A pair inside of the block, any number of bytes. */
    if (partial_flush) OK(AX_SYS_MflushCache(cache->phyAddr + first * row, start, (AX_U32)(count * row)));
}

static void keep(size_t layer, size_t group, size_t first, size_t count) {
    keep_rows(&runners[layer].groups[group], "K_cache_out", "K_cache", first, count);
    keep_rows(&runners[layer].groups[group], "V_cache_out", "V_cache", first, count);
}

/* Two conversations token by token in turn, each with K/V buffers of its own. */
static void tell_in_slots(const struct port *port) {
    AX_ENGINE_IO_BUFFER_T slots[2][MAX_LAYERS][2];
    for (size_t layer = 0; layer < story.layers; layer++) {
        slots[0][layer][0] = *input(&runners[layer].groups[0], "K_cache");
        slots[0][layer][1] = *input(&runners[layer].groups[0], "V_cache");
        for (size_t i = 0; i < 2; i++) allocate(&slots[1][layer][i], slots[0][layer][i].nSize, true);
    }
    uint32_t token[2] = {0, 0};
    for (size_t step = 0; step <= story.answer_count; step++) {
        for (size_t slot = 0; slot < 2; slot++) {
            for (size_t layer = 0; layer < story.layers; layer++) {
                for (AX_U32 g = 0; g < runners[layer].count; g++) {
                    share(input(&runners[layer].groups[g], "K_cache"), &slots[slot][layer][0]);
                    share(input(&runners[layer].groups[g], "V_cache"), &slots[slot][layer][1]);
                }
            }
            if (step == 0) {
                token[slot] = read_prompt(&story, port);
            } else {
                CHECK(token[slot] == story.answer[step - 1]);
                token[slot] = read_token(&story, port, token[slot], story.prompt_count + step - 1);
            }
        }
    }
    for (size_t layer = 0; layer < story.layers; layer++) {
        for (size_t i = 0; i < 2; i++) OK(AX_SYS_MemFree(slots[0][layer][i].phyAddr, slots[0][layer][i].pVirAddr));
        CHECK(!freed_before(slots[0][layer][0].phyAddr) && !freed_before(slots[0][layer][1].phyAddr));
    }
    printf("board slots: two conversations, all %zu tokens as expected\n", story.answer_count);
}

int main(int argc, char **argv) {
    CHECK(argc == 3);
    const char *style = argv[2];
    story = read_story(argv[1]);
    run_sync = strcmp(style, "runsync") == 0;
    both_contexts = run_sync || strcmp(style, "plain") == 0;
    partial_flush = strcmp(style, "2026") == 0 || strcmp(style, "uncached") == 0;
    uncached = strcmp(style, "uncached") == 0;
    dynamic = strcmp(style, "dynamic") == 0;

    OK(AX_SYS_Init());
    AX_ENGINE_NPU_ATTR_T attr;
    memset(&attr, 0, sizeof attr);
    attr.eHardMode = AX_ENGINE_VIRTUAL_NPU_DISABLE;
    OK(AX_ENGINE_Init(&attr));
    for (size_t layer = 0; layer <= story.layers; layer++) open_runner(&runners[layer], layer_path(&story, layer));
    CHECK(runners[story.layers].count == 1);

    struct port port = {.put = put, .run = run, .keep = keep, .get = get, .groups = runners[0].count};
    for (AX_U32 g = 0; g < runners[0].count; g++) {
        const struct group *group = &runners[0].groups[g];
        const struct tensor *indices = &group->inputs[find(group->inputs, group->io.nInputSize, "indices")];
        const struct tensor *mask = &group->inputs[find(group->inputs, group->io.nInputSize, "mask")];
        port.shapes[g] = shape_of(indices->size, mask->size);
        CHECK(indices->last == port.shapes[g].rows);
    }
    if (strcmp(style, "slots") == 0) {
        tell_in_slots(&port);
    } else {
        char who[64];
        snprintf(who, sizeof who, "board %s", style);
        tell(&story, &port, who);
    }
    for (size_t layer = 0; layer <= story.layers; layer++) close_runner(&runners[layer]);
    OK(AX_ENGINE_Deinit());
    OK(AX_SYS_Deinit());
    return 0;
}
