/*
 * The seam between us and the vendor: one struct of function pointers per interface, with the
 * vendor's own signatures and names. It is filled from a shared library, or by the software card;
 * nothing above can tell which. The vendor headers say what each function does.
 */
#ifndef AX650_AX_TABLE_H
#define AX650_AX_TABLE_H

#include "ax_engine.h"
#include "ax_sys.h"
#include "axcl_engine.h"
#include "axcl_rt.h"

#ifdef __cplusplus
extern "C" {
#endif

/* AXCL: a PCIe or M.2 card driven from its host. */
typedef struct ax_pcie_table {
    /* required */
    axclError (*axclInit)(const char *config);
    axclError (*axclFinalize)(void);
    axclError (*axclrtSetDevice)(int32_t device);
    axclError (*axclrtResetDevice)(int32_t device);
    axclError (*axclrtGetDeviceList)(axclrtDeviceList *list);
    axclError (*axclrtMalloc)(void **device_ptr, size_t size, axclrtMemMallocPolicy policy);
    axclError (*axclrtFree)(void *device_ptr);
    axclError (*axclrtMemset)(void *device_ptr, uint8_t value, size_t count);
    axclError (*axclrtMemcpy)(void *dst, const void *src, size_t count, axclrtMemcpyKind kind);
    axclError (*axclrtEngineInit)(axclrtEngineVNpuKind kind);
    axclError (*axclrtEngineFinalize)(void);
    axclError (*axclrtEngineLoadFromFile)(const char *path, uint64_t *model);
    axclError (*axclrtEngineUnload)(uint64_t model);
    axclError (*axclrtEngineCreateContext)(uint64_t model, uint64_t *context);
    axclError (*axclrtEngineGetIOInfo)(uint64_t model, axclrtEngineIOInfo *info);
    axclError (*axclrtEngineDestroyIOInfo)(axclrtEngineIOInfo info);
    axclError (*axclrtEngineGetShapeGroupsCount)(axclrtEngineIOInfo info, int32_t *count);
    uint32_t (*axclrtEngineGetNumInputs)(axclrtEngineIOInfo info);
    uint32_t (*axclrtEngineGetNumOutputs)(axclrtEngineIOInfo info);
    uint64_t (*axclrtEngineGetInputSizeByIndex)(axclrtEngineIOInfo info, uint32_t group, uint32_t index);
    uint64_t (*axclrtEngineGetOutputSizeByIndex)(axclrtEngineIOInfo info, uint32_t group, uint32_t index);
    const char *(*axclrtEngineGetInputNameByIndex)(axclrtEngineIOInfo info, uint32_t index);
    const char *(*axclrtEngineGetOutputNameByIndex)(axclrtEngineIOInfo info, uint32_t index);
    axclError (*axclrtEngineGetInputDims)(axclrtEngineIOInfo info, uint32_t group, uint32_t index,
                                          axclrtEngineIODims *dims);
    axclError (*axclrtEngineGetOutputDims)(axclrtEngineIOInfo info, uint32_t group, uint32_t index,
                                           axclrtEngineIODims *dims);
    axclError (*axclrtEngineCreateIO)(axclrtEngineIOInfo info, axclrtEngineIO *io);
    axclError (*axclrtEngineDestroyIO)(axclrtEngineIO io);
    axclError (*axclrtEngineSetInputBufferByIndex)(axclrtEngineIO io, uint32_t index, const void *device_ptr,
                                                   uint64_t size);
    axclError (*axclrtEngineSetOutputBufferByIndex)(axclrtEngineIO io, uint32_t index, const void *device_ptr,
                                                    uint64_t size);
    axclError (*axclrtEngineExecute)(uint64_t model, uint64_t context, uint32_t group, axclrtEngineIO io);

    /* optional: NULL where the library lacks it */
    axclError (*axclSetLogLevel)(int32_t level);
    axclError (*axclrtGetVersion)(int32_t *major, int32_t *minor, int32_t *patch);
    const char *(*axclrtGetFullVersion)(void);
    const char *(*axclrtGetSocName)(void);
    axclError (*axclrtGetDevice)(int32_t *device);
    axclError (*axclrtGetDeviceCount)(uint32_t *count);
    axclError (*axclrtSynchronizeDevice)(void);
    axclError (*axclrtGetDeviceProperties)(int32_t device, axclrtDeviceProperties *properties);
    axclError (*axclrtCreateContext)(axclrtContext *context, int32_t device);
    axclError (*axclrtDestroyContext)(axclrtContext context);
    axclError (*axclrtSetCurrentContext)(axclrtContext context);
    axclError (*axclrtGetCurrentContext)(axclrtContext *context);
    axclError (*axclrtGetDefaultContext)(axclrtContext *context, int32_t device);
    axclError (*axclrtMallocCached)(void **device_ptr, size_t size, axclrtMemMallocPolicy policy);
    axclError (*axclrtMemFlush)(void *device_ptr, size_t size);
    axclError (*axclrtMemInvalidate)(void *device_ptr, size_t size);
    axclError (*axclrtMallocHost)(void **host_ptr, size_t size);
    axclError (*axclrtFreeHost)(void *host_ptr);
    axclError (*axclrtMemcmp)(const void *device_a, const void *device_b, size_t count);
    axclError (*axclrtMemsetAsync)(void *device_ptr, uint8_t value, size_t count, axclrtStream stream);
    axclError (*axclrtMemcpyAsync)(void *dst, const void *src, size_t count, axclrtMemcpyKind kind,
                                   axclrtStream stream);
    axclError (*axclrtCreateStream)(axclrtStream *stream);
    axclError (*axclrtDestroyStream)(axclrtStream stream);
    axclError (*axclrtDestroyStreamForce)(axclrtStream stream);
    axclError (*axclrtSynchronizeStream)(axclrtStream stream);
    axclError (*axclrtSynchronizeStreamWithTimeout)(axclrtStream stream, int32_t timeout_ms);
    axclError (*axclrtCreateEvent)(axclrtEvent *event);
    axclError (*axclrtDestroyEvent)(axclrtEvent event);
    axclError (*axclrtRecordEvent)(axclrtEvent event, axclrtStream stream);
    axclError (*axclrtStreamWaitEvent)(axclrtStream stream, axclrtEvent event);
    axclError (*axclrtEngineGetVNpuKind)(axclrtEngineVNpuKind *kind);
    axclError (*axclrtEngineLoadFromMem)(const void *device_ptr, uint64_t size, uint64_t *model);
    const char *(*axclrtEngineGetModelCompilerVersion)(uint64_t model);
    axclError (*axclrtEngineSetAffinity)(uint64_t model, uint32_t set);
    axclError (*axclrtEngineGetAffinity)(uint64_t model, uint32_t *set);
    axclError (*axclrtEngineGetUsage)(const char *path, int64_t *system_size, int64_t *cmm_size);
    axclError (*axclrtEngineGetUsageFromModelId)(uint64_t model, int64_t *system_size, int64_t *cmm_size);
    axclError (*axclrtEngineGetModelType)(const char *path, axclrtEngineModelKind *kind);
    axclError (*axclrtEngineGetModelTypeFromModelId)(uint64_t model, axclrtEngineModelKind *kind);
    int32_t (*axclrtEngineGetInputIndexByName)(axclrtEngineIOInfo info, const char *name);
    int32_t (*axclrtEngineGetOutputIndexByName)(axclrtEngineIOInfo info, const char *name);
    axclError (*axclrtEngineGetInputDataType)(axclrtEngineIOInfo info, uint32_t index,
                                              axclrtEngineDataType *type);
    axclError (*axclrtEngineGetOutputDataType)(axclrtEngineIOInfo info, uint32_t index,
                                               axclrtEngineDataType *type);
    axclError (*axclrtEngineGetInputDataLayout)(axclrtEngineIOInfo info, uint32_t index,
                                                axclrtEngineDataLayout *layout);
    axclError (*axclrtEngineGetOutputDataLayout)(axclrtEngineIOInfo info, uint32_t index,
                                                 axclrtEngineDataLayout *layout);
    axclError (*axclrtEngineSetInputBufferByName)(axclrtEngineIO io, const char *name, const void *device_ptr,
                                                  uint64_t size);
    axclError (*axclrtEngineSetOutputBufferByName)(axclrtEngineIO io, const char *name,
                                                   const void *device_ptr, uint64_t size);
    axclError (*axclrtEngineGetInputBufferByIndex)(axclrtEngineIO io, uint32_t index, void **device_ptr,
                                                   uint64_t *size);
    axclError (*axclrtEngineGetOutputBufferByIndex)(axclrtEngineIO io, uint32_t index, void **device_ptr,
                                                    uint64_t *size);
    axclError (*axclrtEngineSetDynamicBatchSize)(axclrtEngineIO io, uint32_t batch_size);
    axclError (*axclrtEngineExecuteAsync)(uint64_t model, uint64_t context, uint32_t group, axclrtEngineIO io,
                                          axclrtStream stream);
} ax_pcie_table;

/* AX_SYS and AX_ENGINE: the chip driven from its own Linux. */
typedef struct ax_board_table {
    /* required */
    AX_S32 (*AX_SYS_Init)(AX_VOID);
    AX_S32 (*AX_SYS_Deinit)(AX_VOID);
    AX_S32 (*AX_SYS_MemAlloc)(AX_U64 *phy, AX_VOID **vir, AX_U32 size, AX_U32 align, const AX_S8 *token);
    AX_S32 (*AX_SYS_MemAllocCached)(AX_U64 *phy, AX_VOID **vir, AX_U32 size, AX_U32 align,
                                    const AX_S8 *token);
    AX_S32 (*AX_SYS_MemFree)(AX_U64 phy, AX_VOID *vir);
    AX_S32 (*AX_SYS_MflushCache)(AX_U64 phy, AX_VOID *vir, AX_U32 size);
    AX_S32 (*AX_SYS_MinvalidateCache)(AX_U64 phy, AX_VOID *vir, AX_U32 size);
    AX_S32 (*AX_ENGINE_Init)(AX_ENGINE_NPU_ATTR_T *attr);
    AX_S32 (*AX_ENGINE_Deinit)(AX_VOID);
    AX_S32 (*AX_ENGINE_CreateHandle)(AX_ENGINE_HANDLE *handle, const AX_VOID *data, AX_U32 size);
    AX_S32 (*AX_ENGINE_DestroyHandle)(AX_ENGINE_HANDLE handle);
    AX_S32 (*AX_ENGINE_GetIOInfo)(AX_ENGINE_HANDLE handle, AX_ENGINE_IO_INFO_T **info);
    AX_S32 (*AX_ENGINE_CreateContext)(AX_ENGINE_HANDLE handle);
    AX_S32 (*AX_ENGINE_CreateContextV2)(AX_ENGINE_HANDLE handle, AX_ENGINE_CONTEXT_T *context);
    AX_S32 (*AX_ENGINE_RunSync)(AX_ENGINE_HANDLE handle, AX_ENGINE_IO_T *io);

    /* optional: NULL where the library lacks it */
    AX_VOID *(*AX_SYS_Mmap)(AX_U64 phy, AX_U32 size);
    AX_VOID *(*AX_SYS_MmapCache)(AX_U64 phy, AX_U32 size);
    AX_S32 (*AX_SYS_Munmap)(AX_VOID *vir, AX_U32 size);
    AX_S32 (*AX_SYS_MemGetBlockInfoByPhy)(AX_U64 phy, AX_S32 *memory_type, AX_VOID **vir, AX_U32 *block_size);
    AX_S32 (*AX_SYS_MemGetBlockInfoByVirt)(AX_VOID *vir, AX_U64 *phy, AX_S32 *memory_type);
    AX_S32 (*AX_SYS_MemGetPartitionInfo)(AX_CMM_PARTITION_INFO_T *info);
    AX_S32 (*AX_SYS_MemQueryStatus)(AX_CMM_STATUS_T *status);
    const AX_CHAR *(*AX_ENGINE_GetVersion)(AX_VOID);
    AX_VOID (*AX_ENGINE_NPUReset)(AX_VOID);
    AX_S32 (*AX_ENGINE_GetVNPUAttr)(AX_ENGINE_NPU_ATTR_T *attr);
    AX_S32 (*AX_ENGINE_GetModelType)(const AX_VOID *data, AX_U32 size, AX_ENGINE_MODEL_TYPE_T *type);
    AX_S32 (*AX_ENGINE_CreateHandleV2)(AX_ENGINE_HANDLE *handle, const AX_VOID *data, AX_U32 size,
                                       AX_ENGINE_HANDLE_EXTRA_T *extra);
    AX_S32 (*AX_ENGINE_GetHandleModelType)(AX_ENGINE_HANDLE handle, AX_ENGINE_MODEL_TYPE_T *type);
    const AX_CHAR *(*AX_ENGINE_GetModelToolsVersion)(AX_ENGINE_HANDLE handle);
    AX_S32 (*AX_ENGINE_GetCMMUsage)(AX_ENGINE_HANDLE handle, AX_ENGINE_CMM_INFO_T *usage);
    AX_S32 (*AX_ENGINE_GetGroupIOInfoCount)(AX_ENGINE_HANDLE handle, AX_U32 *count);
    AX_S32 (*AX_ENGINE_GetGroupIOInfo)(AX_ENGINE_HANDLE handle, AX_U32 index, AX_ENGINE_IO_INFO_T **info);
    AX_S32 (*AX_ENGINE_SetAffinity)(AX_ENGINE_HANDLE handle, AX_ENGINE_NPU_SET_T set);
    AX_S32 (*AX_ENGINE_GetAffinity)(AX_ENGINE_HANDLE handle, AX_ENGINE_NPU_SET_T *set);
    AX_S32 (*AX_ENGINE_RunSyncV2)(AX_ENGINE_HANDLE handle, AX_ENGINE_CONTEXT_T context, AX_ENGINE_IO_T *io);
    AX_S32 (*AX_ENGINE_RunGroupIOSync)(AX_ENGINE_HANDLE handle, AX_ENGINE_CONTEXT_T context, AX_U32 group,
                                       AX_ENGINE_IO_T *io);
} ax_board_table;

#ifdef __cplusplus
}
#endif

#endif
