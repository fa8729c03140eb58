/*
 * AX_SYS: memory of the chip (CMM) and cache maintenance, libax_sys.so on the board.
 *
 * Our own declarations. Source of the facts: Axera AX650N BSP SDK V1.45.0_P39,
 * msp/out/include/ax_sys_api.h, ax_global_type.h; exports of msp/out/lib/libax_sys.so.
 *
 * Every function returns 0 or an error of ax_base.h. Sizes are 32 bits wide, so one
 * allocation is smaller than 4 GiB.
 */
#ifndef AX650_VENDOR_AX_SYS_H
#define AX650_VENDOR_AX_SYS_H

#include "ax_base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* CMM errors (submodule 0 of AX_MODULE_SYS). NOMEM: the chip's memory is exhausted. */
#define AX_ERR_CMM_ILLEGAL_PARAM 0x800B000Au
#define AX_ERR_CMM_NULL_PTR 0x800B000Bu
#define AX_ERR_CMM_NOTREADY 0x800B0010u
#define AX_ERR_CMM_NOMEM 0x800B0018u
#define AX_ERR_CMM_UNKNOWN 0x800B0029u
#define AX_ERR_CMM_MMAP_FAIL 0x800B0080u
#define AX_ERR_CMM_MUNMAP_FAIL 0x800B0081u
#define AX_ERR_CMM_FREE_FAIL 0x800B0082u

/* Bits of a block's memory type. */
#define AX_MEM_CACHED 2
#define AX_MEM_NONCACHED 4

#define AX_MAX_PARTITION_COUNT 16
#define AX_MAX_PARTITION_NAME 32

typedef struct {
    AX_U64 PhysAddr;
    AX_U32 SizeKB;
    AX_S8 Name[AX_MAX_PARTITION_NAME];
} AX_PARTITION_INFO_T;

typedef struct {
    AX_U32 PartitionCnt;
    AX_PARTITION_INFO_T PartitionInfo[AX_MAX_PARTITION_COUNT];
} AX_CMM_PARTITION_INFO_T;

/* Sizes are taken to be KiB: a 32-bit count of bytes could not hold the 8 GiB of a card. */
typedef struct {
    AX_U32 TotalSize;
    AX_U32 RemainSize;
    AX_U32 BlockCnt;
    AX_CMM_PARTITION_INFO_T Partition;
} AX_CMM_STATUS_T;

AX_S32 AX_SYS_Init(AX_VOID);
AX_S32 AX_SYS_Deinit(AX_VOID);

AX_S32 AX_SYS_MemAlloc(AX_U64 *phy, AX_VOID **vir, AX_U32 size, AX_U32 align, const AX_S8 *token);
AX_S32 AX_SYS_MemAllocCached(AX_U64 *phy, AX_VOID **vir, AX_U32 size, AX_U32 align, const AX_S8 *token);
AX_S32 AX_SYS_MemFree(AX_U64 phy, AX_VOID *vir);

AX_VOID *AX_SYS_Mmap(AX_U64 phy, AX_U32 size);
AX_VOID *AX_SYS_MmapCache(AX_U64 phy, AX_U32 size);
AX_S32 AX_SYS_Munmap(AX_VOID *vir, AX_U32 size);

/* Both accept any sub-range of one block, given by matching physical and virtual addresses. */
AX_S32 AX_SYS_MflushCache(AX_U64 phy, AX_VOID *vir, AX_U32 size);
AX_S32 AX_SYS_MinvalidateCache(AX_U64 phy, AX_VOID *vir, AX_U32 size);

AX_S32 AX_SYS_MemGetBlockInfoByPhy(AX_U64 phy, AX_S32 *memory_type, AX_VOID **vir, AX_U32 *block_size);
AX_S32 AX_SYS_MemGetBlockInfoByVirt(AX_VOID *vir, AX_U64 *phy, AX_S32 *memory_type);
AX_S32 AX_SYS_MemGetPartitionInfo(AX_CMM_PARTITION_INFO_T *info);
AX_S32 AX_SYS_MemQueryStatus(AX_CMM_STATUS_T *status);

#ifdef __cplusplus
}
#endif

#endif
