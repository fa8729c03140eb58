/* The fake card behind the table of the board. */
#include <stdlib.h>
#include <string.h>

#include "fake_card.h"

/* One shape group: its tensors in the order of this group, which is another one in every second group. */
typedef struct fake_group {
    AX_ENGINE_IO_INFO_T info;
    AX_ENGINE_IOMETA_T metas[FAKE_TENSORS];
    int32_t dims[FAKE_TENSORS][5];
    uint32_t usual[FAKE_TENSORS]; /* the usual number of each */
} fake_group;

typedef struct fake_handle {
    uint32_t file;
    uint32_t contexts;
    fake_group *groups;
} fake_handle;

static AX_S32 sys_init(void) { return fake_create(); }
static AX_S32 sys_deinit(void) { return fake_destroy(); }

static AX_S32 alloc(AX_U64 *phy, AX_VOID **vir, AX_U32 size, AX_U32 align, const AX_S8 *token, bool cached)
{
    *phy = 0;
    *vir = NULL;
    FAKE_STEP();
    fake_require(align == 128 && token != NULL && token[0] != 0, "aligned and named as clients do");
    *phy = fake_alloc(size, cached, vir);
    return 0;
}

static AX_S32 mem_alloc(AX_U64 *phy, AX_VOID **vir, AX_U32 size, AX_U32 align, const AX_S8 *token)
{
    return alloc(phy, vir, size, align, token, false);
}

static AX_S32 mem_alloc_cached(AX_U64 *phy, AX_VOID **vir, AX_U32 size, AX_U32 align, const AX_S8 *token)
{
    return alloc(phy, vir, size, align, token, true);
}

static AX_S32 mem_free(AX_U64 phy, AX_VOID *vir) { (void)vir; fake_free(phy); return fake_destroy(); }

static AX_S32 flush(AX_U64 phy, AX_VOID *vir, AX_U32 size)
{
    FAKE_STEP();
    fake_flush(phy, vir, size);
    return 0;
}

static AX_S32 invalidate(AX_U64 phy, AX_VOID *vir, AX_U32 size)
{
    FAKE_STEP();
    fake_invalidate(phy, vir, size);
    return 0;
}

static AX_S32 query_status(AX_CMM_STATUS_T *status)
{
    FAKE_STEP();
    fake.questions++;
    status->TotalSize = (AX_U32)fake.total_kib;
    status->RemainSize = (AX_U32)fake.free_kib;
    return 0;
}

static const AX_CHAR *version(void) { return "V0"; }

static AX_S32 engine_init(AX_ENGINE_NPU_ATTR_T *attr)
{
    (void)attr;
    return fake.npu_mode >= 0 ? fake.fail_code : fake_create();
}

static AX_S32 vnpu_attr(AX_ENGINE_NPU_ATTR_T *attr)
{
    FAKE_STEP();
    attr->eHardMode = (AX_ENGINE_NPU_MODE_T)fake.npu_mode;
    return 0;
}

static AX_S32 engine_deinit(void) { return fake_destroy(); }

static void fill_meta(fake_group *group, uint32_t file, uint32_t index, uint32_t at, uint32_t tensor)
{
    fake_dims(file, index, tensor, group->dims[at]);
    group->usual[at] = tensor;
    char *name = NULL;
    const char *named = fake_name(file, tensor);
    memcpy(&name, &named, sizeof name); /* the vendor's field is not const */
    group->metas[at] = (AX_ENGINE_IOMETA_T){
        .pName = name,
        .pShape = group->dims[at],
        .nShapeSize = (AX_U8)fake_rank(file),
        .nSize = (AX_U32)fake_size(file, index, tensor),
    };
}

static void fill_group(fake_group *group, uint32_t file, uint32_t index)
{
    const uint32_t count = fake_tensor_count(file);
    const uint32_t inputs = fake_is_head(file) ? 1 : FAKE_INPUTS;
    for (uint32_t at = 0; at < count; at++) {
        uint32_t tensor = at;
        if (index % 2 == 1) {
            tensor = at < inputs ? inputs - 1 - at : inputs + count - 1 - at;
        }
        fill_meta(group, file, index, at, tensor);
    }
    group->info = (AX_ENGINE_IO_INFO_T){
        .pInputs = group->metas,
        .nInputSize = inputs,
        .pOutputs = group->metas + inputs,
        .nOutputSize = count - inputs,
    };
}

static AX_S32 create_handle(AX_ENGINE_HANDLE *out, const AX_VOID *data, AX_U32 size)
{
    *out = NULL;
    FAKE_STEP();
    const uint32_t file = fake_file(data, size);
    if (file == 0) {
        return -1;
    }
    fake_handle *handle = calloc(1, sizeof *handle);
    handle->file = file;
    const uint32_t count = fake_group_count(file) <= FAKE_GROUPS ? fake_group_count(file) : 0;
    handle->groups = calloc(count + 1, sizeof *handle->groups);
    for (uint32_t g = 0; g < count; g++) {
        fill_group(&handle->groups[g], file, g);
    }
    fake_take(1);
    fake.objects++;
    *out = handle;
    return 0;
}

static AX_S32 create_handle_v2(AX_ENGINE_HANDLE *out, const AX_VOID *data, AX_U32 size,
                               AX_ENGINE_HANDLE_EXTRA_T *extra)
{
    fake_require(extra != NULL && extra->nNpuSet == 0 && extra->pName != NULL, "a name and nothing else");
    *out = NULL;
    if (fake.no_handle_v2) {
        return -4;
    }
    return create_handle(out, data, size);
}

static AX_S32 destroy_handle(AX_ENGINE_HANDLE handle)
{
    fake_give();
    free(((fake_handle *)handle)->groups);
    free(handle);
    return fake_destroy();
}

static AX_S32 create_context(AX_ENGINE_HANDLE handle) { FAKE_STEP(); ((fake_handle *)handle)->contexts++; return 0; }

static AX_S32 create_context_v2(AX_ENGINE_HANDLE handle, AX_ENGINE_CONTEXT_T *context)
{
    *context = NULL;
    FAKE_STEP();
    if (fake.no_context) {
        return -5;
    }
    ((fake_handle *)handle)->contexts++;
    *context = &((fake_handle *)handle)->contexts;
    return 0;
}

static AX_S32 group_count(AX_ENGINE_HANDLE handle, AX_U32 *count)
{
    FAKE_STEP();
    *count = fake_group_count(((fake_handle *)handle)->file);
    return 0;
}

static AX_S32 group_info(AX_ENGINE_HANDLE handle, AX_U32 index, AX_ENGINE_IO_INFO_T **info)
{
    FAKE_STEP();
    fake_require(index < fake_group_count(((fake_handle *)handle)->file), "a group that is there");
    *info = &((fake_handle *)handle)->groups[index].info;
    return 0;
}

static AX_S32 io_info(AX_ENGINE_HANDLE handle, AX_ENGINE_IO_INFO_T **info) { return group_info(handle, 0, info); }

/* The virtual address is not used by the NPU, but must be of the same place. */
static void take(const AX_ENGINE_IO_BUFFER_T *buffer, uint64_t *address, uint64_t *size)
{
    *address = buffer->phyAddr;
    *size = buffer->nSize;
    fake_require(buffer->pVirAddr != NULL && buffer->pStride == NULL, "bindings have both addresses and no stride");
}

static AX_S32 run(const fake_handle *handle, AX_U32 index, const AX_ENGINE_IO_T *io)
{
    const fake_group *group = &handle->groups[index];
    uint64_t addresses[FAKE_TENSORS] = {0};
    uint64_t sizes[FAKE_TENSORS] = {0};
    const AX_ENGINE_IO_INFO_T *info = &group->info;
    if (handle->contexts == 0 || io->nInputSize != info->nInputSize || io->nOutputSize != info->nOutputSize) {
        return -2;
    }
    fake_require(io->nBatchSize == 0 && io->pIoSetting == NULL && io->nParallelRun == 0, "what is not used is zero");
    for (uint32_t i = 0; i < io->nInputSize; i++) {
        take(&io->pInputs[i], &addresses[group->usual[i]], &sizes[group->usual[i]]);
    }
    for (uint32_t i = 0; i < io->nOutputSize; i++) {
        const uint32_t usual = group->usual[io->nInputSize + i];
        take(&io->pOutputs[i], &addresses[usual], &sizes[usual]);
    }
    return fake_run(handle->file, index, addresses, sizes);
}

static AX_S32 run_sync(AX_ENGINE_HANDLE handle, AX_ENGINE_IO_T *io)
{
    FAKE_STEP();
    fake_require(fake_group_count(((fake_handle *)handle)->file) == 1, "RunSync is for files with one group");
    return run(handle, 0, io);
}

static AX_S32 run_group(AX_ENGINE_HANDLE handle, AX_ENGINE_CONTEXT_T context, AX_U32 group, AX_ENGINE_IO_T *io)
{
    FAKE_STEP();
    fake_require(context == &((fake_handle *)handle)->contexts, "groups run in a context of their handle");
    return run(handle, group, io);
}

ax_board_table fake_board_table(void)
{
    return (ax_board_table){
        .AX_SYS_Init = sys_init,
        .AX_SYS_Deinit = sys_deinit,
        .AX_SYS_MemAlloc = mem_alloc,
        .AX_SYS_MemAllocCached = mem_alloc_cached,
        .AX_SYS_MemFree = mem_free,
        .AX_SYS_MflushCache = flush,
        .AX_SYS_MinvalidateCache = invalidate,
        .AX_SYS_MemQueryStatus = query_status,
        .AX_ENGINE_GetVersion = version,
        .AX_ENGINE_Init = engine_init,
        .AX_ENGINE_GetVNPUAttr = vnpu_attr,
        .AX_ENGINE_Deinit = engine_deinit,
        .AX_ENGINE_CreateHandle = create_handle,
        .AX_ENGINE_CreateHandleV2 = create_handle_v2,
        .AX_ENGINE_DestroyHandle = destroy_handle,
        .AX_ENGINE_GetIOInfo = io_info,
        .AX_ENGINE_GetGroupIOInfoCount = group_count,
        .AX_ENGINE_GetGroupIOInfo = group_info,
        .AX_ENGINE_CreateContext = create_context,
        .AX_ENGINE_CreateContextV2 = create_context_v2,
        .AX_ENGINE_RunSync = run_sync,
        .AX_ENGINE_RunGroupIOSync = run_group,
    };
}
