/*
 * Base types and the error encoding shared by the vendor's interfaces.
 *
 * Our own declarations. Source of the facts: Axera AX650N BSP SDK V1.45.0_P39,
 * msp/out/include/ax_base_type.h and ax_global_type.h. Of the latter only what AX_SYS needs: the formats
 * and payloads of its video part have no place here.
 */
#ifndef AX650_VENDOR_AX_BASE_H
#define AX650_VENDOR_AX_BASE_H

#ifdef __cplusplus
extern "C" {
#endif

typedef unsigned char AX_U8;
typedef signed char AX_S8;
typedef unsigned short AX_U16;
typedef short AX_S16;
typedef unsigned int AX_U32;
typedef int AX_S32;
typedef unsigned long long AX_U64;
typedef long long AX_S64;
typedef char AX_CHAR;
typedef long AX_LONG;
typedef unsigned long AX_ULONG;
typedef unsigned long AX_ADDR;
typedef float AX_F32;
typedef double AX_F64;
typedef void AX_VOID;
/* 32 bits wide also where size_t is not. */
typedef unsigned int AX_SIZE_T;

/* A C enum in the vendor's headers: four bytes. */
typedef enum {
    AX_FALSE = 0,
    AX_TRUE = 1,
} AX_BOOL;

/*
 * Error codes of the device side: 0x80000000 | module << 16 | submodule << 8 | error.
 * Values of one submodule from 0x80 up are private to their module.
 */
#define AX_SUCCESS 0

typedef enum {
    AX_ID_MIN = 0x00,
    AX_ID_ISP = 0x01,
    AX_ID_CE = 0x02,
    AX_ID_VO = 0x03,
    AX_ID_VDSP = 0x04,
    AX_ID_EFUSE = 0x05,
    AX_ID_NPU = 0x06,
    AX_ID_VENC = 0x07,
    AX_ID_VDEC = 0x08,
    AX_ID_JENC = 0x09,
    AX_ID_JDEC = 0x0A,
    AX_ID_SYS = 0x0B,
    AX_ID_AENC = 0x0C,
    AX_ID_IVPS = 0x0D,
    AX_ID_MIPI = 0x0E,
    AX_ID_ADEC = 0x0F,
    AX_ID_DMA = 0x10,
    AX_ID_VIN = 0x11,
    AX_ID_USER = 0x12,
    AX_ID_IVES = 0x13,
    AX_ID_SKEL = 0x14,
    AX_ID_IVE = 0x15,
    AX_ID_AVS = 0x16,
    AX_ID_AVSCALI = 0x17,
    AX_ID_3A = 0x19,
    AX_ID_AUDIO = 0x1A,
    AX_ID_PYRALITE = 0x1B,
    AX_ID_SIF = 0x1C,
    AX_ID_AI = 0x20,
    AX_ID_AO = 0x21,
    AX_ID_SENSOR = 0x22,
    AX_ID_NT = 0x23,
    AX_ID_TDP = 0x24,
    AX_ID_VPP = 0x25,
    AX_ID_VGP = 0x26,
    AX_ID_GDC = 0x27,
    AX_ID_BASE = 0x28,
    AX_ID_CUST_MIN = 0x80,
    AX_ID_MAX = 0xFF,
} AX_MOD_ID_E;

/* Module numbers that no header names: the AXCL library, and the engine as the error table of its documentation has it. */
#define AX_ID_AXCL 0x30
#define AX_ID_ENGINE 0x1D

typedef enum {
    AX_ERR_INVALID_MODID = 0x01,
    AX_ERR_INVALID_DEVID = 0x02,
    AX_ERR_INVALID_GRPID = 0x03,
    AX_ERR_INVALID_CHNID = 0x04,
    AX_ERR_INVALID_PIPEID = 0x05,
    AX_ERR_INVALID_STITCHGRPID = 0x06,
    AX_ERR_ILLEGAL_PARAM = 0x0A,
    AX_ERR_NULL_PTR = 0x0B,
    AX_ERR_BAD_ADDR = 0x0C,
    AX_ERR_SYS_NOTREADY = 0x10,
    AX_ERR_BUSY = 0x11,
    AX_ERR_NOT_INIT = 0x12,
    AX_ERR_NOT_CONFIG = 0x13,
    AX_ERR_NOT_SUPPORT = 0x14,
    AX_ERR_NOT_PERM = 0x15,
    AX_ERR_EXIST = 0x16,
    AX_ERR_UNEXIST = 0x17,
    AX_ERR_NOMEM = 0x18,
    AX_ERR_NOBUF = 0x19,
    AX_ERR_NOT_MATCH = 0x1A,
    AX_ERR_BUF_EMPTY = 0x20,
    AX_ERR_BUF_FULL = 0x21,
    AX_ERR_QUEUE_EMPTY = 0x22,
    AX_ERR_QUEUE_FULL = 0x23,
    AX_ERR_TIMED_OUT = 0x27,
    AX_ERR_FLOW_END = 0x28,
    AX_ERR_UNKNOWN = 0x29,
    AX_ERR_BUTT = 0x7F,
} AX_ERR_CODE_E;

/* In the error table of the documentation only. */
#define AX_ERR_OS_FAIL 0x30

typedef enum {
    SYS_LOG_MIN = -1,
    SYS_LOG_EMERGENCY = 0,
    SYS_LOG_ALERT = 1,
    SYS_LOG_CRITICAL = 2,
    SYS_LOG_ERROR = 3,
    SYS_LOG_WARN = 4,
    SYS_LOG_NOTICE = 5,
    SYS_LOG_INFO = 6,
    SYS_LOG_DEBUG = 7,
    SYS_LOG_MAX = 8,
} AX_LOG_LEVEL_E;

typedef enum {
    SYS_LOG_TARGET_MIN = 0,
    SYS_LOG_TARGET_STDERR = 1,
    SYS_LOG_TARGET_SYSLOG = 2,
    SYS_LOG_TARGET_NULL = 3,
    SYS_LOG_TARGET_MAX = 4,
} AX_LOG_TARGET_E;

/* One end of a link between modules of the chip; also names the module that a memory partition is set for. */
typedef struct {
    AX_MOD_ID_E enModId;
    AX_S32 s32GrpId;
    AX_S32 s32ChnId;
} AX_MOD_INFO_T;

#define AX_LINK_DEST_MAXNUM 4

typedef struct {
    AX_U32 u32DestNum;
    AX_MOD_INFO_T astDestMod[AX_LINK_DEST_MAXNUM];
} AX_LINK_DEST_T;

/* In the AXCL copy of the headers (axcl-runtime V3.10.2, ax_boardinfo.h). AX650C is sold as AX8850. */
typedef enum {
    NONE_CHIP_TYPE = 0,
    AX650A_CHIP = 1,
    AX650N_CHIP = 2,
    AX650C_CHIP = 3,
    AX750_CHIP = 4,
    AX650_CHIP_MAX = 5,
} AX_CHIP_TYPE_E;

typedef enum {
    AX_NOTIFY_EVENT_SLEEP = 0,
    AX_NOTIFY_EVENT_WAKEUP = 1,
    AX_NOTIFY_EVENT_MAX = 2,
} AX_NOTIFY_EVENT_E;

#ifdef __cplusplus
}
#endif

#endif
