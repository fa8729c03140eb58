/*
 * The seam between us and the vendor: one struct of function pointers per interface, with the
 * vendor's own signatures and names. It is filled from a shared library, or by the software card;
 * nothing above can tell which. The vendor headers say what each function does.
 *
 * Required are the functions that ax650 cannot do without; every version known has them. All others come
 * and go with the version, and are NULL where the library lacks them.
 */
#ifndef AX650_AX_TABLE_H
#define AX650_AX_TABLE_H

#include "ax_engine.h"
#include "ax_pool.h"
#include "ax_sys.h"
#include "axcl_engine.h"
#include "axcl_internal.h"
#include "axcl_npu.h"
#include "axcl_rt.h"
#include "axcl_sys.h"

#ifdef __cplusplus
extern "C" {
#endif

/* AXCL: a PCIe or M.2 card driven from its host. */
typedef struct ax_pcie_table {
    /* required: in all versions from V2.18 on */
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
    axclError (*axclrtEngineSetInputBufferByIndex)(axclrtEngineIO io, uint32_t index,
                                                   const void *device_ptr, uint64_t size);
    axclError (*axclrtEngineSetOutputBufferByIndex)(axclrtEngineIO io, uint32_t index,
                                                    const void *device_ptr, uint64_t size);
    axclError (*axclrtEngineExecute)(uint64_t model, uint64_t context, uint32_t group, axclrtEngineIO io);

    /*
     * optional: in V3.10.2. The headers of earlier releases lack events, what copies, fills or compares on a
     * stream, GetFullVersion and the workers.
     */
    axclError (*axclSetLogLevel)(int32_t level);
    void (*axclAppLog)(int32_t level, const char *function, const char *file, uint32_t line,
                       const char *format, ...);
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
    axclError (*axclrtMemcmpAsync)(const void *device_a, const void *device_b, size_t count,
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
    axclError (*axclrtStreamWaitEventWithTimeout)(axclrtStream stream, axclrtEvent event, int32_t timeout_ms);
    axclError (*axclrtTransferFile)(const char *source, const char *destination,
                                    axclrtFileTransferPolicy policy);
    axclError (*axclrtExecWorker)(const char *path, const int32_t *argc, const char *argv[], uint32_t *pid);
    axclError (*axclrtKillWorker)(uint32_t pid);
    axclError (*axclrtWorkerSend)(uint32_t pid, const void *buffer, uint32_t size, int32_t timeout_ms);
    axclError (*axclrtWorkerRecv)(uint32_t pid, void *buffer, uint32_t size, uint32_t *received,
                                  int32_t timeout_ms);
    axclError (*axclrtCreateP2PUnit)(const axclrtP2PUnitInfo *info, AXCL_P2P_UNIT_HANDLE *handle);
    axclError (*axclrtDestoryP2PUnit)(AXCL_P2P_UNIT_HANDLE handle);
    axclError (*axclrtControlChangePCIeSubId)(uint32_t sub_vendor_id, uint32_t sub_device_id);
    axclError (*axclrtEngineGetVNpuKind)(axclrtEngineVNpuKind *kind);
    axclError (*axclrtEngineLoadFromMem)(const void *device_ptr, uint64_t size, uint64_t *model);
    const char *(*axclrtEngineGetModelCompilerVersion)(uint64_t model);
    axclError (*axclrtEngineSetAffinity)(uint64_t model, axclrtEngineSet set);
    axclError (*axclrtEngineGetAffinity)(uint64_t model, axclrtEngineSet *set);
    axclError (*axclrtEngineSetContextAffinity)(uint64_t model, uint64_t context, axclrtEngineSet set);
    axclError (*axclrtEngineGetContextAffinity)(uint64_t model, uint64_t context, axclrtEngineSet *set);
    axclError (*axclrtEngineGetUsage)(const char *path, int64_t *system_size, int64_t *cmm_size);
    axclError (*axclrtEngineGetUsageFromMem)(const void *device_ptr, uint64_t size, int64_t *system_size,
                                             int64_t *cmm_size);
    axclError (*axclrtEngineGetUsageFromModelId)(uint64_t model, int64_t *system_size, int64_t *cmm_size);
    axclError (*axclrtEngineGetModelType)(const char *path, axclrtEngineModelKind *kind);
    axclError (*axclrtEngineGetModelTypeFromMem)(const void *device_ptr, uint64_t size,
                                                 axclrtEngineModelKind *kind);
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
    axclError (*axclrtEngineSetInputBufferByName)(axclrtEngineIO io, const char *name,
                                                  const void *device_ptr, uint64_t size);
    axclError (*axclrtEngineSetOutputBufferByName)(axclrtEngineIO io, const char *name,
                                                   const void *device_ptr, uint64_t size);
    axclError (*axclrtEngineGetInputBufferByIndex)(axclrtEngineIO io, uint32_t index, void **device_ptr,
                                                   uint64_t *size);
    axclError (*axclrtEngineGetOutputBufferByIndex)(axclrtEngineIO io, uint32_t index, void **device_ptr,
                                                    uint64_t *size);
    axclError (*axclrtEngineGetInputBufferByName)(axclrtEngineIO io, const char *name, void **device_ptr,
                                                  uint64_t *size);
    axclError (*axclrtEngineGetOutputBufferByName)(axclrtEngineIO io, const char *name, void **device_ptr,
                                                   uint64_t *size);
    axclError (*axclrtEngineSetDynamicBatchSize)(axclrtEngineIO io, uint32_t batch_size);
    axclError (*axclrtEngineExecuteAsync)(uint64_t model, uint64_t context, uint32_t group,
                                          axclrtEngineIO io, axclrtStream stream);

    /* optional: exported without a public header */
    axclError (*axclrtGetContextId)(axclrtContext context, int32_t *id);
    axclError (*axclrtGetDefaultStream)(axclrtContext context, axclrtStream *stream);
    axclError (*axclrtGetEnviromentByStream)(axclrtStream stream, axclrtEnvironment *environment);
    axclError (*axclrtGetDeviceBusInfo)(int32_t device, axclrtDeviceBusInfo *info);
    axclError (*axclrtGetDevicePidInfo)(int32_t device, axclrtDevicePidInfo *info);
    axclError (*axclrtRebootDevice)(int32_t device);
    axclError (*axclrtLatencyLoopback)(const void *data, uint32_t size, bool check, int mode);
    axclError (*axclrtP2PTriggerTest)(AXCL_P2P_UNIT_HANDLE handle, axclrtP2PTestConfig *config);
    axclError (*axclrtEngineP2pBwTest)(axclrtEngineP2pBwRes *result, uint32_t mode, uint64_t size);
    axclError (*axclrtLog)(axclrtLogKind kind, axclrtFlagKind flag, const char *output_path);
    axclError (*axclrtControlCreateContext)(int32_t context);
    axclError (*axclrtControlDestroyContext)(int32_t context);
    axclError (*axclrtControlCreateStream)(int32_t context, axclrtStream stream);
    axclError (*axclrtControlDestroyStream)(int32_t context, axclrtStream stream);
    axclError (*axclrtControlSyncStream)(int32_t context, axclrtStream stream, int32_t timeout_ms);
    axclError (*axclrtControlCreateEvent)(int32_t event);
    axclError (*axclrtControlDestroyEvent)(int32_t event);
    axclError (*axclrtControlRecordEvent)(axclrtStream stream, int32_t event);
    axclError (*axclrtControlStreamWaitEvent)(axclrtStream stream, int32_t event, int32_t timeout_ms);
    axclError (*axclrtControlExecuteShellCmd)(const char *command, const char *const arguments[],
                                              size_t count, const char **output, int32_t timeout_ms);
    axclError (*axclrtCreateTask)(axclrtTask *task, axclrtStream stream, uint64_t token, const void *data,
                                  size_t size, int32_t timeout_ms, bool has_response, int64_t flag);
    axclError (*axclrtWaitTaskFinish)(axclrtTask task);
    axclError (*axclrtGetTaskResponse)(axclrtTask task, void **buffer, uint32_t *size);
    axclError (*axclrtDestoryTask)(axclrtTask task);
    axclError (*axclrtConfigLoad)(const char *json);
    void (*axclrtConfigUnLoad)(void);
    const char *(*axclrtConfigGetLogPath)(void);
    int32_t (*axclrtConfigGetLogLevel)(int32_t device);
    uint32_t (*axclrtConfigGetDmaBufSize)(void);
} ax_pcie_table;

/* AX_SYS, AX_POOL and AX_ENGINE: the chip driven from its own Linux. */
typedef struct ax_board_table {
    /* required: in all versions from V1.40 on */
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

    /* optional: in V1.40 too, but not needed */
    AX_VOID *(*AX_SYS_Mmap)(AX_U64 phy, AX_U32 size);
    AX_VOID *(*AX_SYS_MmapCache)(AX_U64 phy, AX_U32 size);
    AX_VOID *(*AX_SYS_MmapFast)(AX_U64 phy, AX_U32 size);
    AX_VOID *(*AX_SYS_MmapCacheFast)(AX_U64 phy, AX_U32 size);
    AX_S32 (*AX_SYS_Munmap)(AX_VOID *vir, AX_U32 size);
    AX_S32 (*AX_SYS_MemGetBlockInfoByPhy)(AX_U64 phy, AX_S32 *memory_type, AX_VOID **vir, AX_U32 *block_size);
    AX_S32 (*AX_SYS_MemGetBlockInfoByVirt)(AX_VOID *vir, AX_U64 *phy, AX_S32 *memory_type);
    AX_S32 (*AX_SYS_MemGetPartitionInfo)(AX_CMM_PARTITION_INFO_T *info);
    AX_S32 (*AX_SYS_MemSetConfig)(const AX_MOD_INFO_T *module, const AX_S8 *partition_name);
    AX_S32 (*AX_SYS_MemGetConfig)(const AX_MOD_INFO_T *module, AX_S8 *partition_name);
    AX_S32 (*AX_SYS_MemQueryStatus)(AX_CMM_STATUS_T *status);
    AX_S32 (*AX_SYS_Link)(const AX_MOD_INFO_T *source, const AX_MOD_INFO_T *destination);
    AX_S32 (*AX_SYS_UnLink)(const AX_MOD_INFO_T *source, const AX_MOD_INFO_T *destination);
    AX_S32 (*AX_SYS_GetLinkByDest)(const AX_MOD_INFO_T *destination, AX_MOD_INFO_T *source);
    AX_S32 (*AX_SYS_GetLinkBySrc)(const AX_MOD_INFO_T *source, AX_LINK_DEST_T *destinations);
    AX_S32 (*AX_SYS_GetCurPTS)(AX_U64 *pts);
    AX_S32 (*AX_SYS_InitPTSBase)(AX_U64 base);
    AX_S32 (*AX_SYS_SyncPTS)(AX_U64 base);
    AX_S32 (*AX_SYS_SetLogLevel)(AX_LOG_LEVEL_E level);
    AX_S32 (*AX_SYS_SetLogTarget)(AX_LOG_TARGET_E target);
    AX_S32 (*AX_SYS_EnableTimestamp)(AX_BOOL enable);
    AX_S32 (*AX_POOL_SetConfig)(const AX_POOL_FLOORPLAN_T *plan);
    AX_S32 (*AX_POOL_GetConfig)(AX_POOL_FLOORPLAN_T *plan);
    AX_S32 (*AX_POOL_Init)(AX_VOID);
    AX_S32 (*AX_POOL_Exit)(AX_VOID);
    AX_POOL (*AX_POOL_CreatePool)(AX_POOL_CONFIG_T *config);
    AX_S32 (*AX_POOL_DestroyPool)(AX_POOL pool);
    AX_BLK (*AX_POOL_GetBlock)(AX_POOL pool, AX_U64 size, const AX_S8 *partition_name);
    AX_S32 (*AX_POOL_ReleaseBlock)(AX_BLK block);
    AX_BLK (*AX_POOL_PhysAddr2Handle)(AX_U64 phy);
    AX_U64 (*AX_POOL_Handle2PhysAddr)(AX_BLK block);
    AX_U64 (*AX_POOL_Handle2MetaPhysAddr)(AX_BLK block);
    AX_POOL (*AX_POOL_Handle2PoolId)(AX_BLK block);
    AX_U64 (*AX_POOL_Handle2BlkSize)(AX_BLK block);
    AX_S32 (*AX_POOL_MmapPool)(AX_POOL pool);
    AX_S32 (*AX_POOL_MunmapPool)(AX_POOL pool);
    AX_VOID *(*AX_POOL_GetBlockVirAddr)(AX_BLK block);
    AX_VOID *(*AX_POOL_GetMetaVirAddr)(AX_BLK block);
    AX_S32 (*AX_POOL_IncreaseRefCnt)(AX_BLK block);
    AX_S32 (*AX_POOL_DecreaseRefCnt)(AX_BLK block);
    const AX_CHAR *(*AX_ENGINE_GetVersion)(AX_VOID);
    AX_VOID (*AX_ENGINE_NPUReset)(AX_VOID);
    AX_S32 (*AX_ENGINE_GetVNPUAttr)(AX_ENGINE_NPU_ATTR_T *attr);
    AX_S32 (*AX_ENGINE_GetModelType)(const AX_VOID *data, AX_U32 size, AX_ENGINE_MODEL_TYPE_T *type);
    AX_S32 (*AX_ENGINE_CreateHandleV2)(AX_ENGINE_HANDLE *handle, const AX_VOID *data, AX_U32 size,
                                       AX_ENGINE_HANDLE_EXTRA_T *extra);
    const AX_CHAR *(*AX_ENGINE_GetModelToolsVersion)(AX_ENGINE_HANDLE handle);
    AX_S32 (*AX_ENGINE_GetCMMUsage)(AX_ENGINE_HANDLE handle, AX_ENGINE_CMM_INFO *usage);
    AX_S32 (*AX_ENGINE_SetAffinity)(AX_ENGINE_HANDLE handle, AX_ENGINE_NPU_SET_T set);
    AX_S32 (*AX_ENGINE_GetAffinity)(AX_ENGINE_HANDLE handle, AX_ENGINE_NPU_SET_T *set);
    AX_S32 (*AX_ENGINE_RunSyncV2)(AX_ENGINE_HANDLE handle, AX_ENGINE_CONTEXT_T context, AX_ENGINE_IO_T *io);

    /* optional: from V1.45.0_P38 on; without them there are no shape groups, hence no language models */
    AX_S32 (*AX_ENGINE_GetGroupIOInfoCount)(AX_ENGINE_HANDLE handle, AX_U32 *count);
    AX_S32 (*AX_ENGINE_GetGroupIOInfo)(AX_ENGINE_HANDLE handle, AX_U32 index, AX_ENGINE_IO_INFO_T **info);
    AX_S32 (*AX_ENGINE_RunGroupIOSync)(AX_ENGINE_HANDLE handle, AX_ENGINE_CONTEXT_T context, AX_U32 group,
                                       AX_ENGINE_IO_T *io);
    AX_S32 (*AX_ENGINE_GetHandleModelType)(AX_ENGINE_HANDLE handle, AX_ENGINE_MODEL_TYPE_T *type);

    /* optional: exported without a header of V1.45 */
    AX_VOID (*AX_SYS_LogOpen)(AX_VOID);
    AX_VOID (*AX_SYS_LogClose)(AX_VOID);
    AX_VOID (*AX_SYS_LogPrint)(AX_S32 level, const AX_CHAR *format, ...);
    AX_VOID (*AX_SYS_LogPrint_Ex)(AX_S32 level, const AX_CHAR *tag, int id, const AX_CHAR *format, ...);
    AX_S32 (*AX_SYS_Msleep)(unsigned long milliseconds);
    AX_S32 (*AX_SYS_Usleep)(unsigned long microseconds);
    AX_S32 (*AX_SYS_AllocPTSBuffer)(AX_MOD_INFO_T *module, AX_U32 count);
    AX_S32 (*AX_SYS_FreePTSBuffer)(AX_MOD_INFO_T *module);
    AX_S32 (*AX_SYS_RecordPTS)(AX_MOD_INFO_T *module, AX_U64 frame, AX_U64 sequence, AX_U32 block,
                               AX_U32 index, AX_U64 timestamp);
    AX_S32 (*AX_POOL_RecordTimeStamp)(AX_BLK block, AX_U8 index);
    AX_S32 (*AX_POOL_RecordTimeStampEx)(AX_BLK block, AX_U8 index, AX_U64 timestamp);
    AX_S32 (*AX_POOL_ClearTimeStamp)(AX_BLK block);
} ax_board_table;

/* AXCL_SYS, AXCL_POOL and AXCL_ENGINE: the chip's own interfaces driven from the host. ax650 calls none of them. */
typedef struct ax_native_table {
    AX_S32 (*AXCL_SYS_Init)(AX_VOID);
    AX_S32 (*AXCL_SYS_Deinit)(AX_VOID);
    AX_S32 (*AXCL_SYS_MemAlloc)(AX_U64 *phy, AX_VOID **vir, AX_U32 size, AX_U32 align, const AX_S8 *token);
    AX_S32 (*AXCL_SYS_MemAllocCached)(AX_U64 *phy, AX_VOID **vir, AX_U32 size, AX_U32 align,
                                      const AX_S8 *token);
    AX_S32 (*AXCL_SYS_MemFree)(AX_U64 phy, AX_VOID *vir);
    AX_VOID *(*AXCL_SYS_Mmap)(AX_U64 phy, AX_U32 size);
    AX_VOID *(*AXCL_SYS_MmapCache)(AX_U64 phy, AX_U32 size);
    AX_VOID *(*AXCL_SYS_MmapFast)(AX_U64 phy, AX_U32 size);
    AX_VOID *(*AXCL_SYS_MmapCacheFast)(AX_U64 phy, AX_U32 size);
    AX_S32 (*AXCL_SYS_Munmap)(AX_VOID *vir, AX_U32 size);
    AX_S32 (*AXCL_SYS_MflushCache)(AX_U64 phy, AX_VOID *vir, AX_U32 size);
    AX_S32 (*AXCL_SYS_MinvalidateCache)(AX_U64 phy, AX_VOID *vir, AX_U32 size);
    AX_S32 (*AXCL_SYS_MemGetBlockInfoByPhy)(AX_U64 phy, AX_S32 *memory_type, AX_VOID **vir,
                                            AX_U32 *block_size);
    AX_S32 (*AXCL_SYS_MemGetBlockInfoByVirt)(AX_VOID *vir, AX_U64 *phy, AX_S32 *memory_type);
    AX_S32 (*AXCL_SYS_MemGetPartitionInfo)(AX_CMM_PARTITION_INFO_T *info);
    AX_S32 (*AXCL_SYS_MemSetConfig)(const AX_MOD_INFO_T *module, const AX_S8 *partition_name);
    AX_S32 (*AXCL_SYS_MemGetConfig)(const AX_MOD_INFO_T *module, AX_S8 *partition_name);
    AX_S32 (*AXCL_SYS_MemQueryStatus)(AX_CMM_STATUS_T *status);
    AX_S32 (*AXCL_SYS_Link)(const AX_MOD_INFO_T *source, const AX_MOD_INFO_T *destination);
    AX_S32 (*AXCL_SYS_UnLink)(const AX_MOD_INFO_T *source, const AX_MOD_INFO_T *destination);
    AX_S32 (*AXCL_SYS_GetLinkByDest)(const AX_MOD_INFO_T *destination, AX_MOD_INFO_T *source);
    AX_S32 (*AXCL_SYS_GetLinkBySrc)(const AX_MOD_INFO_T *source, AX_LINK_DEST_T *destinations);
    AX_S32 (*AXCL_SYS_GetCurPTS)(AX_U64 *pts);
    AX_S32 (*AXCL_SYS_InitPTSBase)(AX_U64 base);
    AX_S32 (*AXCL_SYS_SyncPTS)(AX_U64 base);
    AX_S32 (*AXCL_SYS_SetLogLevel)(AX_LOG_LEVEL_E level);
    AX_S32 (*AXCL_SYS_SetLogTarget)(AX_LOG_TARGET_E target);
    AX_S32 (*AXCL_SYS_EnableTimestamp)(AX_BOOL enable);
    AX_S32 (*AXCL_POOL_SetConfig)(const AX_POOL_FLOORPLAN_T *plan);
    AX_S32 (*AXCL_POOL_GetConfig)(AX_POOL_FLOORPLAN_T *plan);
    AX_S32 (*AXCL_POOL_Init)(AX_VOID);
    AX_S32 (*AXCL_POOL_Exit)(AX_VOID);
    AX_POOL (*AXCL_POOL_CreatePool)(AX_POOL_CONFIG_T *config);
    AX_S32 (*AXCL_POOL_DestroyPool)(AX_POOL pool);
    AX_BLK (*AXCL_POOL_GetBlock)(AX_POOL pool, AX_U64 size, const AX_S8 *partition_name);
    AX_S32 (*AXCL_POOL_ReleaseBlock)(AX_BLK block);
    AX_BLK (*AXCL_POOL_PhysAddr2Handle)(AX_U64 phy);
    AX_U64 (*AXCL_POOL_Handle2PhysAddr)(AX_BLK block);
    AX_U64 (*AXCL_POOL_Handle2MetaPhysAddr)(AX_BLK block);
    AX_POOL (*AXCL_POOL_Handle2PoolId)(AX_BLK block);
    AX_U64 (*AXCL_POOL_Handle2BlkSize)(AX_BLK block);
    AX_S32 (*AXCL_POOL_MmapPool)(AX_POOL pool);
    AX_S32 (*AXCL_POOL_MunmapPool)(AX_POOL pool);
    AX_VOID *(*AXCL_POOL_GetBlockVirAddr)(AX_BLK block);
    AX_VOID *(*AXCL_POOL_GetMetaVirAddr)(AX_BLK block);
    AX_S32 (*AXCL_POOL_IncreaseRefCnt)(AX_BLK block);
    AX_S32 (*AXCL_POOL_DecreaseRefCnt)(AX_BLK block);
    AX_CHIP_TYPE_E (*AXCL_SYS_GetChipType)(AX_VOID);
    AX_S32 (*AXCL_SYS_Sleep)(AX_VOID);
    AX_S32 (*AXCL_SYS_WakeLock)(const AX_MOD_ID_E module);
    AX_S32 (*AXCL_SYS_WakeUnlock)(const AX_MOD_ID_E module);
    AX_S32 (*AXCL_SYS_RegisterEventCb)(const AX_MOD_ID_E module, NotifyEventCallback callback, AX_VOID *data);
    AX_S32 (*AXCL_SYS_UnregisterEventCb)(const AX_MOD_ID_E module);
    const AX_CHAR *(*AXCL_ENGINE_GetVersion)(AX_VOID);
    AX_VOID (*AXCL_ENGINE_NPUReset)(AX_VOID);
    AX_S32 (*AXCL_ENGINE_Init)(AX_ENGINE_NPU_ATTR_T *attr);
    AX_S32 (*AXCL_ENGINE_GetVNPUAttr)(AX_ENGINE_NPU_ATTR_T *attr);
    AX_S32 (*AXCL_ENGINE_Deinit)(AX_VOID);
    AX_S32 (*AXCL_ENGINE_GetModelType)(const AX_VOID *data, AX_U32 size, AX_ENGINE_MODEL_TYPE_T *type);
    AX_S32 (*AXCL_ENGINE_CreateHandle)(AX_ENGINE_HANDLE *handle, const AX_VOID *data, AX_U32 size);
    AX_S32 (*AXCL_ENGINE_CreateHandleV2)(AX_ENGINE_HANDLE *handle, const AX_VOID *data, AX_U32 size,
                                         AX_ENGINE_HANDLE_EXTRA_T *extra);
    AX_S32 (*AXCL_ENGINE_DestroyHandle)(AX_ENGINE_HANDLE handle);
    AX_S32 (*AXCL_ENGINE_GetHandleModelType)(AX_ENGINE_HANDLE handle, AX_ENGINE_MODEL_TYPE_T *type);
    const AX_CHAR *(*AXCL_ENGINE_GetModelToolsVersion)(AX_ENGINE_HANDLE handle);
    AX_S32 (*AXCL_ENGINE_GetCMMUsage)(AX_ENGINE_HANDLE handle, AX_ENGINE_CMM_INFO *usage);
    AX_S32 (*AXCL_ENGINE_GetIOInfo)(AX_ENGINE_HANDLE handle, AX_ENGINE_IO_INFO_T **info);
    AX_S32 (*AXCL_ENGINE_GetGroupIOInfoCount)(AX_ENGINE_HANDLE handle, AX_U32 *count);
    AX_S32 (*AXCL_ENGINE_GetGroupIOInfo)(AX_ENGINE_HANDLE handle, AX_U32 index, AX_ENGINE_IO_INFO_T **info);
    AX_S32 (*AXCL_ENGINE_CreateContext)(AX_ENGINE_HANDLE handle);
    AX_S32 (*AXCL_ENGINE_CreateContextV2)(AX_ENGINE_HANDLE handle, AX_ENGINE_CONTEXT_T *context);
    AX_S32 (*AXCL_ENGINE_SetAffinity)(AX_ENGINE_HANDLE handle, AX_ENGINE_NPU_SET_T set);
    AX_S32 (*AXCL_ENGINE_GetAffinity)(AX_ENGINE_HANDLE handle, AX_ENGINE_NPU_SET_T *set);
    AX_S32 (*AXCL_ENGINE_RunSync)(AX_ENGINE_HANDLE handle, AX_ENGINE_IO_T *io);
    AX_S32 (*AXCL_ENGINE_RunSyncV2)(AX_ENGINE_HANDLE handle, AX_ENGINE_CONTEXT_T context, AX_ENGINE_IO_T *io);
    AX_S32 (*AXCL_ENGINE_RunGroupIOSync)(AX_ENGINE_HANDLE handle, AX_ENGINE_CONTEXT_T context,
                                         AX_U32 group, AX_ENGINE_IO_T *io);
} ax_native_table;

#ifdef __cplusplus
}
#endif

#endif
