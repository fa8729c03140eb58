/*
 * AXCL: the chip's memory, pools, links and clock driven from the host, libaxcl_sys.so. The functions of
 * AX_SYS and AX_POOL under another prefix, with the same parameters; they use the default stream of the calling
 * thread's context.
 *
 * Our own declarations. Source of the facts: axcl-runtime V3.10.2, include/external/axcl_sys.h and the exports of
 * its libaxcl_sys.so.
 */
#ifndef AX650_VENDOR_AXCL_SYS_H
#define AX650_VENDOR_AXCL_SYS_H

#include "ax_pool.h"
#include "ax_sys.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Errors of chip type and power, submodule 4 of AX_ID_SYS. Only here, not on the board. */
#define AX_ERR_CHIP_TYPE_NOTREADY 0x800B0410u
#define AX_ERR_CHIP_TYPE_NOMEM 0x800B0418u
#define AX_ERR_PWR_ILLEGAL_PARAM 0x800B040Au
#define AX_ERR_PWR_NULL_PTR 0x800B040Bu
#define AX_ERR_PWR_NOTREADY 0x800B0410u
#define AX_ERR_PWR_NOT_PERM 0x800B0415u
#define AX_ERR_PWR_UNKNOWN 0x800B0429u

/* Before the chip sleeps and after it woke. */
typedef AX_S32 (*NotifyEventCallback)(const AX_NOTIFY_EVENT_E event, AX_VOID *data);

AX_S32 AXCL_SYS_Init(AX_VOID);
AX_S32 AXCL_SYS_Deinit(AX_VOID);
AX_S32 AXCL_SYS_MemAlloc(AX_U64 *phy, AX_VOID **vir, AX_U32 size, AX_U32 align, const AX_S8 *token);
AX_S32 AXCL_SYS_MemAllocCached(AX_U64 *phy, AX_VOID **vir, AX_U32 size, AX_U32 align, const AX_S8 *token);
AX_S32 AXCL_SYS_MemFree(AX_U64 phy, AX_VOID *vir);
AX_VOID *AXCL_SYS_Mmap(AX_U64 phy, AX_U32 size);
AX_VOID *AXCL_SYS_MmapCache(AX_U64 phy, AX_U32 size);
AX_VOID *AXCL_SYS_MmapFast(AX_U64 phy, AX_U32 size);
AX_VOID *AXCL_SYS_MmapCacheFast(AX_U64 phy, AX_U32 size);
AX_S32 AXCL_SYS_Munmap(AX_VOID *vir, AX_U32 size);
AX_S32 AXCL_SYS_MflushCache(AX_U64 phy, AX_VOID *vir, AX_U32 size);
AX_S32 AXCL_SYS_MinvalidateCache(AX_U64 phy, AX_VOID *vir, AX_U32 size);
AX_S32 AXCL_SYS_MemGetBlockInfoByPhy(AX_U64 phy, AX_S32 *memory_type, AX_VOID **vir, AX_U32 *block_size);
AX_S32 AXCL_SYS_MemGetBlockInfoByVirt(AX_VOID *vir, AX_U64 *phy, AX_S32 *memory_type);
AX_S32 AXCL_SYS_MemGetPartitionInfo(AX_CMM_PARTITION_INFO_T *info);
AX_S32 AXCL_SYS_MemSetConfig(const AX_MOD_INFO_T *module, const AX_S8 *partition_name);
AX_S32 AXCL_SYS_MemGetConfig(const AX_MOD_INFO_T *module, AX_S8 *partition_name);
AX_S32 AXCL_SYS_MemQueryStatus(AX_CMM_STATUS_T *status);
AX_S32 AXCL_SYS_Link(const AX_MOD_INFO_T *source, const AX_MOD_INFO_T *destination);
AX_S32 AXCL_SYS_UnLink(const AX_MOD_INFO_T *source, const AX_MOD_INFO_T *destination);
AX_S32 AXCL_SYS_GetLinkByDest(const AX_MOD_INFO_T *destination, AX_MOD_INFO_T *source);
AX_S32 AXCL_SYS_GetLinkBySrc(const AX_MOD_INFO_T *source, AX_LINK_DEST_T *destinations);
AX_S32 AXCL_SYS_GetCurPTS(AX_U64 *pts);
AX_S32 AXCL_SYS_InitPTSBase(AX_U64 base);
AX_S32 AXCL_SYS_SyncPTS(AX_U64 base);
AX_S32 AXCL_SYS_SetLogLevel(AX_LOG_LEVEL_E level);
AX_S32 AXCL_SYS_SetLogTarget(AX_LOG_TARGET_E target);
AX_S32 AXCL_SYS_EnableTimestamp(AX_BOOL enable);

AX_S32 AXCL_POOL_SetConfig(const AX_POOL_FLOORPLAN_T *plan);
AX_S32 AXCL_POOL_GetConfig(AX_POOL_FLOORPLAN_T *plan);
AX_S32 AXCL_POOL_Init(AX_VOID);
AX_S32 AXCL_POOL_Exit(AX_VOID);
AX_POOL AXCL_POOL_CreatePool(AX_POOL_CONFIG_T *config);
AX_S32 AXCL_POOL_DestroyPool(AX_POOL pool);
AX_BLK AXCL_POOL_GetBlock(AX_POOL pool, AX_U64 size, const AX_S8 *partition_name);
AX_S32 AXCL_POOL_ReleaseBlock(AX_BLK block);
AX_BLK AXCL_POOL_PhysAddr2Handle(AX_U64 phy);
AX_U64 AXCL_POOL_Handle2PhysAddr(AX_BLK block);
AX_U64 AXCL_POOL_Handle2MetaPhysAddr(AX_BLK block);
AX_POOL AXCL_POOL_Handle2PoolId(AX_BLK block);
AX_U64 AXCL_POOL_Handle2BlkSize(AX_BLK block);
AX_S32 AXCL_POOL_MmapPool(AX_POOL pool);
AX_S32 AXCL_POOL_MunmapPool(AX_POOL pool);
AX_VOID *AXCL_POOL_GetBlockVirAddr(AX_BLK block);
AX_VOID *AXCL_POOL_GetMetaVirAddr(AX_BLK block);
AX_S32 AXCL_POOL_IncreaseRefCnt(AX_BLK block);
AX_S32 AXCL_POOL_DecreaseRefCnt(AX_BLK block);

AX_CHIP_TYPE_E AXCL_SYS_GetChipType(AX_VOID);
AX_S32 AXCL_SYS_Sleep(AX_VOID);
AX_S32 AXCL_SYS_WakeLock(const AX_MOD_ID_E module);
AX_S32 AXCL_SYS_WakeUnlock(const AX_MOD_ID_E module);
AX_S32 AXCL_SYS_RegisterEventCb(const AX_MOD_ID_E module, NotifyEventCallback callback, AX_VOID *data);
AX_S32 AXCL_SYS_UnregisterEventCb(const AX_MOD_ID_E module);

#ifdef __cplusplus
}
#endif

#endif
