/*
 * AXCL runtime, engine part: compiled models on a PCIe or M.2 card (libaxcl_rt.so).
 *
 * Our own declarations. Source of the facts: axcl-runtime V3.10.2, include/external/axcl*.h
 * and the exports of its libaxcl_rt.so.
 *
 * Tensor names, data types, layouts and counts are those of the model; only sizes and dimensions
 * depend on the shape group.
 */
#ifndef AX650_VENDOR_AXCL_ENGINE_H
#define AX650_VENDOR_AXCL_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#include "axcl_rt.h"

#ifdef __cplusplus
extern "C" {
#endif

#define AXCLRT_ENGINE_MAX_DIM_CNT 32

/* Host-side objects of the library. */
typedef void *axclrtEngineIOInfo;
typedef void *axclrtEngineIO;

/* Cores of the NPU, one bit each. */
typedef uint32_t axclrtEngineSet;

typedef enum {
    AXCL_VNPU_DISABLE = 0,
    AXCL_VNPU_ENABLE = 1,
    AXCL_VNPU_BIG_LITTLE = 2,
    AXCL_VNPU_LITTLE_BIG = 3,
} axclrtEngineVNpuKind;

typedef enum {
    AXCL_MODEL_TYPE_1CORE = 0,
    AXCL_MODEL_TYPE_2CORE = 1,
    AXCL_MODEL_TYPE_3CORE = 2,
} axclrtEngineModelKind;

/* Not the numbering of AX_ENGINE_DATA_TYPE_T. */
typedef enum {
    AXCL_DATA_TYPE_NONE = 0,
    AXCL_DATA_TYPE_INT4 = 1,
    AXCL_DATA_TYPE_UINT4 = 2,
    AXCL_DATA_TYPE_INT8 = 3,
    AXCL_DATA_TYPE_UINT8 = 4,
    AXCL_DATA_TYPE_INT16 = 5,
    AXCL_DATA_TYPE_UINT16 = 6,
    AXCL_DATA_TYPE_INT32 = 7,
    AXCL_DATA_TYPE_UINT32 = 8,
    AXCL_DATA_TYPE_INT64 = 9,
    AXCL_DATA_TYPE_UINT64 = 10,
    AXCL_DATA_TYPE_FP4 = 11,
    AXCL_DATA_TYPE_FP8 = 12,
    AXCL_DATA_TYPE_FP16 = 13,
    AXCL_DATA_TYPE_BF16 = 14,
    AXCL_DATA_TYPE_FP32 = 15,
    AXCL_DATA_TYPE_FP64 = 16,
} axclrtEngineDataType;

typedef enum {
    AXCL_DATA_LAYOUT_NONE = 0,
    AXCL_DATA_LAYOUT_NHWC = 1,
    AXCL_DATA_LAYOUT_NCHW = 2,
} axclrtEngineDataLayout;

typedef struct {
    int32_t dimCount;
    int32_t dims[AXCLRT_ENGINE_MAX_DIM_CNT];
} axclrtEngineIODims;

/*
 * Init fails when the NPU is already up in another mode; clients then ask for the kind in force. In the same mode it is
 * counted, and so is Finalize, which without Init does nothing: on the card they are AX_ENGINE_Init and _Deinit
 * (axcl-runtime, device/worker/runtime/engine/engine_init_final.cpp).
 */
axclError axclrtEngineInit(axclrtEngineVNpuKind kind);
axclError axclrtEngineGetVNpuKind(axclrtEngineVNpuKind *kind);
axclError axclrtEngineFinalize(void);

/*
 * LoadFromMem takes a device address. LoadFromFile allocates device memory for the whole file until the model is made
 * from it, so loading takes both; it answers 0x8030050C where there is none (axcl-runtime,
 * host/runtime/engine/engine_load_unload.cpp). A context has no destroy call: it dies with its model.
 */
axclError axclrtEngineLoadFromFile(const char *path, uint64_t *model);
axclError axclrtEngineLoadFromMem(const void *device_ptr, uint64_t size, uint64_t *model);
axclError axclrtEngineUnload(uint64_t model);
axclError axclrtEngineCreateContext(uint64_t model, uint64_t *context);
const char *axclrtEngineGetModelCompilerVersion(uint64_t model);

axclError axclrtEngineSetAffinity(uint64_t model, axclrtEngineSet set);
axclError axclrtEngineGetAffinity(uint64_t model, axclrtEngineSet *set);
/* Not supported by any version. */
axclError axclrtEngineSetContextAffinity(uint64_t model, uint64_t context, axclrtEngineSet set);
axclError axclrtEngineGetContextAffinity(uint64_t model, uint64_t context, axclrtEngineSet *set);
/* Sizes in bytes. The FromMem forms take a device address. */
axclError axclrtEngineGetUsage(const char *path, int64_t *system_size, int64_t *cmm_size);
axclError axclrtEngineGetUsageFromMem(const void *device_ptr, uint64_t size, int64_t *system_size,
                                      int64_t *cmm_size);
axclError axclrtEngineGetUsageFromModelId(uint64_t model, int64_t *system_size, int64_t *cmm_size);
axclError axclrtEngineGetModelType(const char *path, axclrtEngineModelKind *kind);
axclError axclrtEngineGetModelTypeFromMem(const void *device_ptr, uint64_t size, axclrtEngineModelKind *kind);
axclError axclrtEngineGetModelTypeFromModelId(uint64_t model, axclrtEngineModelKind *kind);

/* A name lives as long as the info; NULL when there is no such tensor. An index is -1 then. */
axclError axclrtEngineGetIOInfo(uint64_t model, axclrtEngineIOInfo *info);
axclError axclrtEngineDestroyIOInfo(axclrtEngineIOInfo info);
axclError axclrtEngineGetShapeGroupsCount(axclrtEngineIOInfo info, int32_t *count);
uint32_t axclrtEngineGetNumInputs(axclrtEngineIOInfo info);
uint32_t axclrtEngineGetNumOutputs(axclrtEngineIOInfo info);
uint64_t axclrtEngineGetInputSizeByIndex(axclrtEngineIOInfo info, uint32_t group, uint32_t index);
uint64_t axclrtEngineGetOutputSizeByIndex(axclrtEngineIOInfo info, uint32_t group, uint32_t index);
const char *axclrtEngineGetInputNameByIndex(axclrtEngineIOInfo info, uint32_t index);
const char *axclrtEngineGetOutputNameByIndex(axclrtEngineIOInfo info, uint32_t index);
int32_t axclrtEngineGetInputIndexByName(axclrtEngineIOInfo info, const char *name);
int32_t axclrtEngineGetOutputIndexByName(axclrtEngineIOInfo info, const char *name);
axclError axclrtEngineGetInputDims(axclrtEngineIOInfo info, uint32_t group, uint32_t index,
                                   axclrtEngineIODims *dims);
axclError axclrtEngineGetOutputDims(axclrtEngineIOInfo info, uint32_t group, uint32_t index,
                                    axclrtEngineIODims *dims);
axclError axclrtEngineGetInputDataType(axclrtEngineIOInfo info, uint32_t index, axclrtEngineDataType *type);
axclError axclrtEngineGetOutputDataType(axclrtEngineIOInfo info, uint32_t index, axclrtEngineDataType *type);
axclError axclrtEngineGetInputDataLayout(axclrtEngineIOInfo info, uint32_t index,
                                         axclrtEngineDataLayout *layout);
axclError axclrtEngineGetOutputDataLayout(axclrtEngineIOInfo info, uint32_t index,
                                          axclrtEngineDataLayout *layout);

/* Entries of a fresh IO are NULL. DestroyIO does not free the buffers bound to it. */
axclError axclrtEngineCreateIO(axclrtEngineIOInfo info, axclrtEngineIO *io);
axclError axclrtEngineDestroyIO(axclrtEngineIO io);
axclError axclrtEngineSetInputBufferByIndex(axclrtEngineIO io, uint32_t index, const void *device_ptr,
                                            uint64_t size);
axclError axclrtEngineSetOutputBufferByIndex(axclrtEngineIO io, uint32_t index, const void *device_ptr,
                                             uint64_t size);
/*
 * By name: V3.10.2 compares the name with itself, so these four take the first tensor, whatever they are asked for
 * (axcl-runtime, host/runtime/engine/engine_io.cpp). The software card takes the one of that name.
 */
axclError axclrtEngineSetInputBufferByName(axclrtEngineIO io, const char *name, const void *device_ptr,
                                           uint64_t size);
axclError axclrtEngineSetOutputBufferByName(axclrtEngineIO io, const char *name, const void *device_ptr,
                                            uint64_t size);
axclError axclrtEngineGetInputBufferByIndex(axclrtEngineIO io, uint32_t index, void **device_ptr,
                                            uint64_t *size);
axclError axclrtEngineGetOutputBufferByIndex(axclrtEngineIO io, uint32_t index, void **device_ptr,
                                             uint64_t *size);
axclError axclrtEngineGetInputBufferByName(axclrtEngineIO io, const char *name, void **device_ptr,
                                           uint64_t *size);
axclError axclrtEngineGetOutputBufferByName(axclrtEngineIO io, const char *name, void **device_ptr,
                                            uint64_t *size);
axclError axclrtEngineSetDynamicBatchSize(axclrtEngineIO io, uint32_t batch_size);

/*
 * ExecuteAsync returns on submission, with the addresses that the IO object has then: the message to the card carries
 * them (V3.10.2, host/runtime/engine/engine_run.cpp). Its errors surface when the stream is synchronised. Stream NULL
 * is the default stream of the calling thread's context; with another the thread needs none.
 */
axclError axclrtEngineExecute(uint64_t model, uint64_t context, uint32_t group, axclrtEngineIO io);
axclError axclrtEngineExecuteAsync(uint64_t model, uint64_t context, uint32_t group, axclrtEngineIO io,
                                   axclrtStream stream);

#ifdef __cplusplus
}
#endif

#endif
