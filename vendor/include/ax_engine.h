/*
 * AX_ENGINE: compiled models on the chip, libax_engine.so on the board.
 *
 * Our own declarations. Source of the facts: Axera AX650N BSP SDK V1.45.0_P39,
 * msp/out/include/ax_engine_type.h, ax_engine_api.h; exports of msp/out/lib/libax_engine.so;
 * BFLOAT16 and the layout on x86_64 from the copies in axcl-runtime V3.10.2.
 *
 * The vendor's BSP header gives the structs their reserved tails on Arm only; its AXCL copy
 * gives them on every 64-bit target, and so do we: IOMETA and IO_BUFFER arrays have a stride
 * of 128 bytes everywhere.
 *
 * Every function returns 0 or an error code unless shown. All runs are blocking: there is no
 * asynchronous run and no call that destroys a context (it dies with its handle).
 */
#ifndef AX650_VENDOR_AX_ENGINE_H
#define AX650_VENDOR_AX_ENGINE_H

#include "ax_base.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * NPU errors. Published for an earlier generation of the chip and seen on this one
 * (TASK_FAILED); that the whole list holds is not certain.
 */
#define AX_ERR_NPU_HANDLE_INVALID 0x80060081u
#define AX_ERR_NPU_TASK_INVALID 0x80060082u
#define AX_ERR_NPU_NOT_INIT 0x80060083u
#define AX_ERR_NPU_PARAM_INVALID 0x80060084u
#define AX_ERR_NPU_NO_RESOURCE 0x80060085u
#define AX_ERR_NPU_MEMORY 0x80060086u
#define AX_ERR_NPU_HARDWARE 0x80060087u
#define AX_ERR_NPU_NOT_SUPPORT 0x80060088u
#define AX_ERR_NPU_TASK_BUSY 0x80060089u
#define AX_ERR_NPU_TASK_FAILED 0x8006008Au

typedef enum {
    AX_ENGINE_TENSOR_LAYOUT_UNKNOWN = 0,
    AX_ENGINE_TENSOR_LAYOUT_NHWC = 1,
    AX_ENGINE_TENSOR_LAYOUT_NCHW = 2,
} AX_ENGINE_TENSOR_LAYOUT_T;

typedef enum {
    AX_ENGINE_MT_PHYSICAL = 0,
    AX_ENGINE_MT_VIRTUAL = 1,
    AX_ENGINE_MT_OCM = 2,
} AX_ENGINE_MEMORY_TYPE_T;

/* Not the numbering of axclrtEngineDataType. */
typedef enum {
    AX_ENGINE_DT_UNKNOWN = 0,
    AX_ENGINE_DT_UINT8 = 1,
    AX_ENGINE_DT_UINT16 = 2,
    AX_ENGINE_DT_FLOAT32 = 3,
    AX_ENGINE_DT_SINT16 = 4,
    AX_ENGINE_DT_SINT8 = 5,
    AX_ENGINE_DT_SINT32 = 6,
    AX_ENGINE_DT_UINT32 = 7,
    AX_ENGINE_DT_FLOAT64 = 8,
    AX_ENGINE_DT_BFLOAT16 = 9,
    AX_ENGINE_DT_UINT10_PACKED = 100,
    AX_ENGINE_DT_UINT12_PACKED = 101,
    AX_ENGINE_DT_UINT14_PACKED = 102,
    AX_ENGINE_DT_UINT16_PACKED = 103,
} AX_ENGINE_DATA_TYPE_T;

typedef enum {
    AX_ENGINE_CS_FEATUREMAP = 0,
    AX_ENGINE_CS_RAW10 = 1,
    AX_ENGINE_CS_RAW12 = 2,
    AX_ENGINE_CS_RAW16 = 3,
    AX_ENGINE_CS_NV12 = 4,
    AX_ENGINE_CS_NV21 = 5,
    AX_ENGINE_CS_RGB = 6,
    AX_ENGINE_CS_BGR = 7,
    AX_ENGINE_CS_RGBA = 8,
    AX_ENGINE_CS_GRAY = 9,
    AX_ENGINE_CS_YUV444 = 10,
    AX_ENGINE_CS_RAW14 = 11,
    AX_ENGINE_CS_RAW8 = 12,
} AX_ENGINE_COLOR_SPACE_T;

typedef enum {
    AX_ENGINE_VIRTUAL_NPU_DISABLE = 0,
    AX_ENGINE_VIRTUAL_NPU_STD = 1,
    AX_ENGINE_VIRTUAL_NPU_BIG_LITTLE = 2,
    AX_ENGINE_VIRTUAL_NPU_LITTLE_BIG = 3,
    AX_ENGINE_VIRTUAL_NPU_BUTT = 4,
} AX_ENGINE_NPU_MODE_T;

/* Compiled for one, two or three NPU cores. */
typedef enum {
    AX_ENGINE_MODEL_TYPE0 = 0,
    AX_ENGINE_MODEL_TYPE1 = 1,
    AX_ENGINE_MODEL_TYPE2 = 2,
    AX_ENGINE_MODEL_TYPE_BUTT = 3,
} AX_ENGINE_MODEL_TYPE_T;

typedef AX_U32 AX_ENGINE_NPU_SET_T;
typedef AX_U32 AX_KERNEL_HANDLE;
typedef void *AX_ENGINE_HANDLE;
typedef void *AX_ENGINE_CONTEXT_T;
typedef void *AX_ENGINE_EXECUTION_CONTEXT;

typedef struct {
    AX_ENGINE_NPU_MODE_T eHardMode;
    AX_U32 reserve[8];
} AX_ENGINE_NPU_ATTR_T;

typedef struct {
    AX_ENGINE_COLOR_SPACE_T eColorSpace;
    AX_U64 u64Reserved[18];
} AX_ENGINE_IOMETA_EX_T;

/* nSize in bytes. pStride in elements, NULL for a dense tensor. */
typedef struct {
    AX_CHAR *pName;
    AX_S32 *pShape;
    AX_U8 nShapeSize;
    AX_ENGINE_TENSOR_LAYOUT_T eLayout;
    AX_ENGINE_MEMORY_TYPE_T eMemoryType;
    AX_ENGINE_DATA_TYPE_T eDataType;
    AX_ENGINE_IOMETA_EX_T *pExtraMeta;
    AX_U32 nSize;
    AX_U32 nQuantizationValue;
    AX_S32 *pStride;
    AX_U64 u64Reserved[9];
} AX_ENGINE_IOMETA_T;

/* Owned by the engine; dies with the handle. nMaxBatchSize 0 means unlimited. */
typedef struct {
    AX_ENGINE_IOMETA_T *pInputs;
    AX_U32 nInputSize;
    AX_ENGINE_IOMETA_T *pOutputs;
    AX_U32 nOutputSize;
    AX_U32 nMaxBatchSize;
    AX_BOOL bDynamicBatchSize;
    AX_U64 u64Reserved[11];
} AX_ENGINE_IO_INFO_T;

/* pStride in bytes, NULL for none. */
typedef struct {
    AX_U64 phyAddr;
    AX_VOID *pVirAddr;
    AX_U32 nSize;
    AX_S32 *pStride;
    AX_U8 nStrideSize;
    AX_U64 u64Reserved[11];
} AX_ENGINE_IO_BUFFER_T;

typedef struct {
    AX_U32 nWbtIndex;
    AX_U64 u64Reserved[7];
} AX_ENGINE_IO_SETTING_T;

/*
 * nBatchSize 0 means automatic, nParallelRun 0 off. The vendor's Python client passes a shorter
 * struct: an implementation reads only the first 120 bytes.
 */
typedef struct {
    AX_ENGINE_IO_BUFFER_T *pInputs;
    AX_U32 nInputSize;
    AX_ENGINE_IO_BUFFER_T *pOutputs;
    AX_U32 nOutputSize;
    AX_U32 nBatchSize;
    AX_ENGINE_IO_SETTING_T *pIoSetting;
    AX_U32 nParallelRun;
    AX_U64 u64Reserved[10];
} AX_ENGINE_IO_T;

typedef struct {
    AX_ENGINE_NPU_SET_T nNpuSet;
    AX_S8 *pName;
    AX_U32 reserve[8];
} AX_ENGINE_HANDLE_EXTRA_T;

/* In bytes, as the vendor's own model runner prints it. */
typedef struct {
    AX_U32 nCMMSize;
} AX_ENGINE_CMM_INFO;

const AX_CHAR *AX_ENGINE_GetVersion(AX_VOID);
AX_VOID AX_ENGINE_NPUReset(AX_VOID);
AX_S32 AX_ENGINE_Init(AX_ENGINE_NPU_ATTR_T *attr);
AX_S32 AX_ENGINE_GetVNPUAttr(AX_ENGINE_NPU_ATTR_T *attr);
AX_S32 AX_ENGINE_Deinit(AX_VOID);

AX_S32 AX_ENGINE_GetModelType(const AX_VOID *data, AX_U32 size, AX_ENGINE_MODEL_TYPE_T *type);
AX_S32 AX_ENGINE_CreateHandle(AX_ENGINE_HANDLE *handle, const AX_VOID *data, AX_U32 size);
AX_S32 AX_ENGINE_CreateHandleV2(AX_ENGINE_HANDLE *handle, const AX_VOID *data, AX_U32 size,
                                AX_ENGINE_HANDLE_EXTRA_T *extra);
AX_S32 AX_ENGINE_DestroyHandle(AX_ENGINE_HANDLE handle);
AX_S32 AX_ENGINE_GetHandleModelType(AX_ENGINE_HANDLE handle, AX_ENGINE_MODEL_TYPE_T *type);
const AX_CHAR *AX_ENGINE_GetModelToolsVersion(AX_ENGINE_HANDLE handle);
AX_S32 AX_ENGINE_GetCMMUsage(AX_ENGINE_HANDLE handle, AX_ENGINE_CMM_INFO *usage);

AX_S32 AX_ENGINE_GetIOInfo(AX_ENGINE_HANDLE handle, AX_ENGINE_IO_INFO_T **info);
AX_S32 AX_ENGINE_GetGroupIOInfoCount(AX_ENGINE_HANDLE handle, AX_U32 *count);
AX_S32 AX_ENGINE_GetGroupIOInfo(AX_ENGINE_HANDLE handle, AX_U32 index, AX_ENGINE_IO_INFO_T **info);

AX_S32 AX_ENGINE_CreateContext(AX_ENGINE_HANDLE handle);
AX_S32 AX_ENGINE_CreateContextV2(AX_ENGINE_HANDLE handle, AX_ENGINE_CONTEXT_T *context);
AX_S32 AX_ENGINE_SetAffinity(AX_ENGINE_HANDLE handle, AX_ENGINE_NPU_SET_T set);
AX_S32 AX_ENGINE_GetAffinity(AX_ENGINE_HANDLE handle, AX_ENGINE_NPU_SET_T *set);

AX_S32 AX_ENGINE_RunSync(AX_ENGINE_HANDLE handle, AX_ENGINE_IO_T *io);
AX_S32 AX_ENGINE_RunSyncV2(AX_ENGINE_HANDLE handle, AX_ENGINE_CONTEXT_T context, AX_ENGINE_IO_T *io);
AX_S32 AX_ENGINE_RunGroupIOSync(AX_ENGINE_HANDLE handle, AX_ENGINE_CONTEXT_T context, AX_U32 group,
                                AX_ENGINE_IO_T *io);

#ifdef __cplusplus
}
#endif

#endif
