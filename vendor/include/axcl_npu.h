/*
 * AXCL: compiled models driven from the host through the on-chip interface, libaxcl_npu.so. The functions of
 * AX_ENGINE under another prefix, with the same parameters; they use the default stream of the calling thread's
 * context. Model data and buffers are device addresses here.
 *
 * Our own declarations. Source of the facts: axcl-runtime V3.10.2, include/external/axcl_npu.h and the exports of
 * its libaxcl_npu.so.
 */
#ifndef AX650_VENDOR_AXCL_NPU_H
#define AX650_VENDOR_AXCL_NPU_H

#include "ax_engine.h"

#ifdef __cplusplus
extern "C" {
#endif

const AX_CHAR *AXCL_ENGINE_GetVersion(AX_VOID);
AX_VOID AXCL_ENGINE_NPUReset(AX_VOID);
AX_S32 AXCL_ENGINE_Init(AX_ENGINE_NPU_ATTR_T *attr);
AX_S32 AXCL_ENGINE_GetVNPUAttr(AX_ENGINE_NPU_ATTR_T *attr);
AX_S32 AXCL_ENGINE_Deinit(AX_VOID);
AX_S32 AXCL_ENGINE_GetModelType(const AX_VOID *data, AX_U32 size, AX_ENGINE_MODEL_TYPE_T *type);
AX_S32 AXCL_ENGINE_CreateHandle(AX_ENGINE_HANDLE *handle, const AX_VOID *data, AX_U32 size);
AX_S32 AXCL_ENGINE_CreateHandleV2(AX_ENGINE_HANDLE *handle, const AX_VOID *data, AX_U32 size,
                                  AX_ENGINE_HANDLE_EXTRA_T *extra);
AX_S32 AXCL_ENGINE_DestroyHandle(AX_ENGINE_HANDLE handle);
AX_S32 AXCL_ENGINE_GetHandleModelType(AX_ENGINE_HANDLE handle, AX_ENGINE_MODEL_TYPE_T *type);
const AX_CHAR *AXCL_ENGINE_GetModelToolsVersion(AX_ENGINE_HANDLE handle);
AX_S32 AXCL_ENGINE_GetCMMUsage(AX_ENGINE_HANDLE handle, AX_ENGINE_CMM_INFO *usage);
AX_S32 AXCL_ENGINE_GetIOInfo(AX_ENGINE_HANDLE handle, AX_ENGINE_IO_INFO_T **info);
AX_S32 AXCL_ENGINE_GetGroupIOInfoCount(AX_ENGINE_HANDLE handle, AX_U32 *count);
AX_S32 AXCL_ENGINE_GetGroupIOInfo(AX_ENGINE_HANDLE handle, AX_U32 index, AX_ENGINE_IO_INFO_T **info);
AX_S32 AXCL_ENGINE_CreateContext(AX_ENGINE_HANDLE handle);
AX_S32 AXCL_ENGINE_CreateContextV2(AX_ENGINE_HANDLE handle, AX_ENGINE_CONTEXT_T *context);
AX_S32 AXCL_ENGINE_SetAffinity(AX_ENGINE_HANDLE handle, AX_ENGINE_NPU_SET_T set);
AX_S32 AXCL_ENGINE_GetAffinity(AX_ENGINE_HANDLE handle, AX_ENGINE_NPU_SET_T *set);
AX_S32 AXCL_ENGINE_RunSync(AX_ENGINE_HANDLE handle, AX_ENGINE_IO_T *io);
AX_S32 AXCL_ENGINE_RunSyncV2(AX_ENGINE_HANDLE handle, AX_ENGINE_CONTEXT_T context, AX_ENGINE_IO_T *io);
AX_S32 AXCL_ENGINE_RunGroupIOSync(AX_ENGINE_HANDLE handle, AX_ENGINE_CONTEXT_T context, AX_U32 group,
                                  AX_ENGINE_IO_T *io);

#ifdef __cplusplus
}
#endif

#endif
