/*
 * AX_SYS: memory of the chip (CMM) and cache maintenance, libax_sys.so on the board.
 *
 * Our own declarations. Source of the facts: Axera AX650N BSP SDK V1.45.0_P39,
 * msp/out/include/ax_sys_api.h, ax_sys_log.h, ax_global_type.h; exports of msp/out/lib/libax_sys.so.
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

/* CMM errors (submodule 0 of AX_ID_SYS). NOMEM: the chip's memory is exhausted. */
#define AX_ERR_CMM_ILLEGAL_PARAM 0x800B000Au
#define AX_ERR_CMM_NULL_PTR 0x800B000Bu
#define AX_ERR_CMM_NOTREADY 0x800B0010u
#define AX_ERR_CMM_NOMEM 0x800B0018u
#define AX_ERR_CMM_UNKNOWN 0x800B0029u
#define AX_ERR_CMM_MMAP_FAIL 0x800B0080u
#define AX_ERR_CMM_MUNMAP_FAIL 0x800B0081u
#define AX_ERR_CMM_FREE_FAIL 0x800B0082u

/* Errors of the clock (submodule 2) and of links (submodule 3). */
#define AX_ERR_PTS_ILLEGAL_PARAM 0x800B020Au
#define AX_ERR_PTS_NULL_PTR 0x800B020Bu
#define AX_ERR_PTS_NOTREADY 0x800B0210u
#define AX_ERR_PTS_NOT_PERM 0x800B0215u
#define AX_ERR_PTS_UNKNOWN 0x800B0229u
#define AX_ERR_LINK_ILLEGAL_PARAM 0x800B030Au
#define AX_ERR_LINK_NULL_PTR 0x800B030Bu
#define AX_ERR_LINK_NOTREADY 0x800B0310u
#define AX_ERR_LINK_NOT_SUPPORT 0x800B0314u
#define AX_ERR_LINK_NOT_PERM 0x800B0315u
#define AX_ERR_LINK_UNEXIST 0x800B0317u
#define AX_ERR_LINK_UNKNOWN 0x800B0329u
#define AX_ERR_LINK_TABLE_FULL 0x800B0380u
#define AX_ERR_LINK_TABLE_EMPTY 0x800B0381u

/* Bits of a block's memory type. */
#define AX_MEM_CACHED 2
#define AX_MEM_NONCACHED 4

#define AX_MAX_PARTITION_COUNT 16
#define AX_MAX_PARTITION_NAME_LEN 32

typedef struct {
    AX_U64 PhysAddr;
    AX_U32 SizeKB;
    AX_S8 Name[AX_MAX_PARTITION_NAME_LEN];
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
AX_VOID *AX_SYS_MmapFast(AX_U64 phy, AX_U32 size);
AX_VOID *AX_SYS_MmapCacheFast(AX_U64 phy, AX_U32 size);
AX_S32 AX_SYS_Munmap(AX_VOID *vir, AX_U32 size);

/* Both accept any sub-range of one block, given by matching physical and virtual addresses. */
AX_S32 AX_SYS_MflushCache(AX_U64 phy, AX_VOID *vir, AX_U32 size);
AX_S32 AX_SYS_MinvalidateCache(AX_U64 phy, AX_VOID *vir, AX_U32 size);

AX_S32 AX_SYS_MemGetBlockInfoByPhy(AX_U64 phy, AX_S32 *memory_type, AX_VOID **vir, AX_U32 *block_size);
AX_S32 AX_SYS_MemGetBlockInfoByVirt(AX_VOID *vir, AX_U64 *phy, AX_S32 *memory_type);
AX_S32 AX_SYS_MemGetPartitionInfo(AX_CMM_PARTITION_INFO_T *info);
AX_S32 AX_SYS_MemSetConfig(const AX_MOD_INFO_T *module, const AX_S8 *partition_name);
AX_S32 AX_SYS_MemGetConfig(const AX_MOD_INFO_T *module, AX_S8 *partition_name);
AX_S32 AX_SYS_MemQueryStatus(AX_CMM_STATUS_T *status);

AX_S32 AX_SYS_Link(const AX_MOD_INFO_T *source, const AX_MOD_INFO_T *destination);
AX_S32 AX_SYS_UnLink(const AX_MOD_INFO_T *source, const AX_MOD_INFO_T *destination);
AX_S32 AX_SYS_GetLinkByDest(const AX_MOD_INFO_T *destination, AX_MOD_INFO_T *source);
AX_S32 AX_SYS_GetLinkBySrc(const AX_MOD_INFO_T *source, AX_LINK_DEST_T *destinations);

/* The clock of the chip, in microseconds. */
AX_S32 AX_SYS_GetCurPTS(AX_U64 *pts);
AX_S32 AX_SYS_InitPTSBase(AX_U64 base);
AX_S32 AX_SYS_SyncPTS(AX_U64 base);

AX_S32 AX_SYS_SetLogLevel(AX_LOG_LEVEL_E level);
AX_S32 AX_SYS_SetLogTarget(AX_LOG_TARGET_E target);
AX_S32 AX_SYS_EnableTimestamp(AX_BOOL enable);
/* The format is that of printf. The forms that take a va_list are in ax_log.h. */
AX_VOID AX_SYS_LogOpen(AX_VOID);
AX_VOID AX_SYS_LogClose(AX_VOID);
AX_VOID AX_SYS_LogPrint(AX_S32 level, const AX_CHAR *format, ...);
AX_VOID AX_SYS_LogPrint_Ex(AX_S32 level, const AX_CHAR *tag, int id, const AX_CHAR *format, ...);

/*
 * Exported without a header; the parameters are those that the vendor's samples declare for themselves
 * (TimestampHelper.cpp and sample_vo.c of the same SDK).
 */
AX_S32 AX_SYS_Msleep(unsigned long milliseconds);
AX_S32 AX_SYS_Usleep(unsigned long microseconds);
AX_S32 AX_SYS_AllocPTSBuffer(AX_MOD_INFO_T *module, AX_U32 count);
AX_S32 AX_SYS_FreePTSBuffer(AX_MOD_INFO_T *module);
AX_S32 AX_SYS_RecordPTS(AX_MOD_INFO_T *module, AX_U64 frame, AX_U64 sequence, AX_U32 block, AX_U32 index,
                        AX_U64 timestamp);

#ifdef __cplusplus
}
#endif

#endif
