/*
 * Base types and the error encoding shared by the vendor's interfaces.
 *
 * Our own declarations. Source of the facts: Axera AX650N BSP SDK V1.45.0_P39,
 * msp/out/include/ax_base_type.h and ax_global_type.h.
 */
#ifndef AX650_VENDOR_AX_BASE_H
#define AX650_VENDOR_AX_BASE_H

#ifdef __cplusplus
extern "C" {
#endif

typedef unsigned char AX_U8;
typedef signed char AX_S8;
typedef unsigned int AX_U32;
typedef int AX_S32;
typedef unsigned long long AX_U64;
typedef long long AX_S64;
typedef char AX_CHAR;
typedef void AX_VOID;

/* A C enum in the vendor's headers: four bytes. */
typedef enum {
    AX_FALSE = 0,
    AX_TRUE = 1,
} AX_BOOL;

/*
 * Error codes of the device side: 0x80000000 | module << 16 | submodule << 8 | error.
 * Values of one submodule from 0x80 up are private to their module.
 */
#define AX_ERROR_FLAG 0x80000000u

enum {
    AX_MODULE_NPU = 0x06,
    AX_MODULE_SYS = 0x0B,
    AX_MODULE_ENGINE = 0x1D,
    AX_MODULE_AXCL = 0x30,
};

enum {
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
    AX_ERR_OS_FAIL = 0x30,
};

#ifdef __cplusplus
}
#endif

#endif
