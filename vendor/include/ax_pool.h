/*
 * AX_POOL: blocks of equal size out of the chip's memory, for frames of video; libax_sys.so on the board.
 *
 * Our own declarations. Source of the facts: Axera AX650N BSP SDK V1.45.0_P39,
 * msp/out/include/ax_pool_type.h, ax_sys_api.h; exports of msp/out/lib/libax_sys.so.
 */
#ifndef AX650_VENDOR_AX_POOL_H
#define AX650_VENDOR_AX_POOL_H

#include "ax_base.h"
#include "ax_sys.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Submodule 1 of AX_ID_SYS. */
#define AX_ERR_POOL_ILLEGAL_PARAM 0x800B010Au
#define AX_ERR_POOL_NULL_PTR 0x800B010Bu
#define AX_ERR_POOL_NOTREADY 0x800B0110u
#define AX_ERR_POOL_BUSY 0x800B0111u
#define AX_ERR_POOL_NOT_SUPPORT 0x800B0114u
#define AX_ERR_POOL_NOT_PERM 0x800B0115u
#define AX_ERR_POOL_UNEXIST 0x800B0117u
#define AX_ERR_POOL_NOMEM 0x800B0118u
#define AX_ERR_POOL_UNKNOWN 0x800B0129u
#define AX_ERR_POOL_MMAP_FAIL 0x800B0180u
#define AX_ERR_POOL_MUNMAP_FAIL 0x800B0181u
#define AX_ERR_POOL_BLKFREE_FAIL 0x800B0182u

#define AX_INVALID_POOLID 0xFFFFFFFFu
#define AX_INVALID_BLOCKID 0

#define AX_MAX_POOLS 1024
#define AX_MAX_COMM_POOLS 64
#define AX_MAX_BLKS_PER_POOL 1024
#define AX_MAX_POOL_NAME_LEN 32

typedef AX_U32 AX_POOL;
typedef AX_U32 AX_BLK;

typedef enum {
    POOL_CACHE_MODE_NONCACHE = 0,
    POOL_CACHE_MODE_CACHED = 1,
    POOL_CACHE_MODE_BUTT = 2,
} AX_POOL_CACHE_MODE_E;

typedef enum {
    POOL_SOURCE_COMMON = 0,
    POOL_SOURCE_PRIVATE = 1,
    POOL_SOURCE_USER = 2,
    POOL_SOURCE_BUTT = 3,
} AX_POOL_SOURCE_E;

/* Sizes in bytes; at most 256 blocks. A common pool has no name. */
typedef struct {
    AX_U64 MetaSize;
    AX_U64 BlkSize;
    AX_U32 BlkCnt;
    AX_BOOL IsMergeMode;
    AX_POOL_CACHE_MODE_E CacheMode;
    AX_S8 PartitionName[AX_MAX_PARTITION_NAME_LEN];
    AX_S8 PoolName[AX_MAX_POOL_NAME_LEN];
} AX_POOL_CONFIG_T;

typedef struct {
    AX_POOL_CONFIG_T CommPool[AX_MAX_COMM_POOLS];
} AX_POOL_FLOORPLAN_T;

AX_S32 AX_POOL_SetConfig(const AX_POOL_FLOORPLAN_T *plan);
AX_S32 AX_POOL_GetConfig(AX_POOL_FLOORPLAN_T *plan);
AX_S32 AX_POOL_Init(AX_VOID);
AX_S32 AX_POOL_Exit(AX_VOID);
AX_POOL AX_POOL_CreatePool(AX_POOL_CONFIG_T *config);
AX_S32 AX_POOL_DestroyPool(AX_POOL pool);
AX_BLK AX_POOL_GetBlock(AX_POOL pool, AX_U64 size, const AX_S8 *partition_name);
AX_S32 AX_POOL_ReleaseBlock(AX_BLK block);
AX_BLK AX_POOL_PhysAddr2Handle(AX_U64 phy);
AX_U64 AX_POOL_Handle2PhysAddr(AX_BLK block);
AX_U64 AX_POOL_Handle2MetaPhysAddr(AX_BLK block);
AX_POOL AX_POOL_Handle2PoolId(AX_BLK block);
AX_U64 AX_POOL_Handle2BlkSize(AX_BLK block);
AX_S32 AX_POOL_MmapPool(AX_POOL pool);
AX_S32 AX_POOL_MunmapPool(AX_POOL pool);
AX_VOID *AX_POOL_GetBlockVirAddr(AX_BLK block);
AX_VOID *AX_POOL_GetMetaVirAddr(AX_BLK block);
AX_S32 AX_POOL_IncreaseRefCnt(AX_BLK block);
AX_S32 AX_POOL_DecreaseRefCnt(AX_BLK block);

/* Exported without a header; parameters as in the vendor's IPC demo (TimestampHelper.cpp of the same SDK). */
AX_S32 AX_POOL_RecordTimeStamp(AX_BLK block, AX_U8 index);
AX_S32 AX_POOL_RecordTimeStampEx(AX_BLK block, AX_U8 index, AX_U64 timestamp);
AX_S32 AX_POOL_ClearTimeStamp(AX_BLK block);

#ifdef __cplusplus
}
#endif

#endif
