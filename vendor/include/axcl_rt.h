/*
 * AXCL runtime, host side of a PCIe or M.2 card: devices, contexts, memory, streams
 * (libaxcl_rt.so). The engine part is in axcl_engine.h.
 *
 * Our own declarations. Source of the facts: axcl-runtime V3.10.2, include/external/axcl*.h and
 * the exports of its libaxcl_rt.so; axclrtGetDefaultContext is exported without a header and its
 * parameters are those that the vendor's Python binding and sherpa-onnx pass.
 *
 * A thread without a bound context gets AXCL_ERR_RT_CONTEXT_NO_BOUND; SetDevice binds the
 * device's default context to the calling thread.
 */
#ifndef AX650_VENDOR_AXCL_RT_H
#define AX650_VENDOR_AXCL_RT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* 0 or 0x80000000 | (module & 0x7F) << 24 | 0x30 << 16 | submodule << 8 | error. */
typedef int32_t axclError;

#define AXCL_SUCC 0

enum {
    AXCL_ERROR_MODULE_RUNTIME = 0,
    AXCL_ERROR_MODULE_NATIVE = 1,
    AXCL_ERROR_MODULE_LITE = 2,
};

/* Submodules of the runtime. Events use the one of streams. */
enum {
    AXCL_ERROR_SUB_NONE = 0x0,
    AXCL_ERROR_SUB_DEVICE = 0x1,
    AXCL_ERROR_SUB_CONTEXT = 0x2,
    AXCL_ERROR_SUB_STREAM = 0x3,
    AXCL_ERROR_SUB_TASK = 0x4,
    AXCL_ERROR_SUB_MEMORY = 0x5,
    AXCL_ERROR_SUB_CONFIG = 0x6,
    AXCL_ERROR_SUB_ENGINE = 0x7,
    AXCL_ERROR_SUB_SYSLOG = 0x8,
    AXCL_ERROR_SUB_SYSCTRL = 0x9,
    AXCL_ERROR_SUB_LATENCY = 0xA,
    AXCL_ERROR_SUB_P2P = 0xB,
    AXCL_ERROR_SUB_USRWORK = 0xC,
};

/* Errors common to all submodules. */
enum {
    AXCL_ERROR_UNKNOWN = 0x01,
    AXCL_ERROR_NULL_POINTER = 0x02,
    AXCL_ERROR_ILLEGAL_PARAM = 0x03,
    AXCL_ERROR_UNSUPPORT = 0x04,
    AXCL_ERROR_TIMEOUT = 0x05,
    AXCL_ERROR_BUSY = 0x06,
    AXCL_ERROR_NO_MEMORY = 0x07,
    AXCL_ERROR_ENCODE = 0x08,
    AXCL_ERROR_DECODE = 0x09,
    AXCL_ERROR_UNEXPECT_RESPONSE = 0x0A,
    AXCL_ERROR_OPEN = 0x0B,
    AXCL_ERROR_EXECUTE_FAIL = 0x0C,
    AXCL_ERROR_BUTT = 0x7F,
};

/* Full codes, module RUNTIME. The last one of INIT: library present, kernel driver absent. */
#define AXCL_ERR_RT_INIT_OPEN 0x8030010Bu
#define AXCL_ERR_RT_DEVICE_QUERY 0x80300180u
#define AXCL_ERR_RT_DEVICE_NO_CONNECT 0x80300181u
#define AXCL_ERR_RT_DEVICE_PROBE 0x80300182u
#define AXCL_ERR_RT_DEVICE_NOT_ACTIVE 0x80300183u
#define AXCL_ERR_RT_DEVICE_INVALID_ID 0x80300184u
#define AXCL_ERR_RT_DEVICE_NO_ACTIVE 0x80300185u
#define AXCL_ERR_RT_DEVICE_PORT_ALLOCATE 0x80300186u
#define AXCL_ERR_RT_DEVICE_REBOOT 0x80300187u
#define AXCL_ERR_RT_DEVICE_PORT_DESTROY 0x80300188u
#define AXCL_ERR_RT_CONTEXT_CREATE 0x80300281u
#define AXCL_ERR_RT_CONTEXT_DESTROY 0x80300282u
#define AXCL_ERR_RT_CONTEXT_BIND_THREAD 0x80300283u
#define AXCL_ERR_RT_CONTEXT_NO_BOUND 0x80300284u
#define AXCL_ERR_RT_STREAM_CREATE 0x80300381u
#define AXCL_ERR_RT_STREAM_DESTROY 0x80300382u
#define AXCL_ERR_RT_STREAM_SYNC_TIMEOUT 0x80300383u
#define AXCL_ERR_RT_TASK_SUBMIT 0x80300481u
#define AXCL_ERR_RT_MEMORY_NULL_POINTER 0x80300502u
#define AXCL_ERR_RT_MEMORY_ENCODE 0x80300508u
#define AXCL_ERR_RT_MEMORY_DECODE 0x80300509u
#define AXCL_ERR_RT_MEMORY_UNEXPECT_RESPONSE 0x8030050Au
#define AXCL_ERR_RT_MEMORY_EXECUTE_FAIL 0x8030050Cu
#define AXCL_ERR_RT_MEMORY_NOT_DEVICE 0x80300581u
#define AXCL_ERR_RT_CONFIG_LOAD 0x80300681u
#define AXCL_ERR_RT_ENGINE_NULL_POINTER 0x80300702u
#define AXCL_ERR_RT_ENGINE_ILLEGAL_PARAM 0x80300703u
#define AXCL_ERR_RT_ENGINE_UNSUPPORT 0x80300704u
#define AXCL_ERR_RT_ENGINE_ENCODE 0x80300708u
#define AXCL_ERR_RT_ENGINE_DECODE 0x80300709u
#define AXCL_ERR_RT_ENGINE_UNEXPECT_RESPONSE 0x8030070Au
#define AXCL_ERR_RT_ENGINE_EXECUTE_FAIL 0x8030070Cu
#define AXCL_ERR_RT_ENGINE_INVALID_INDEX 0x80300781u

#define AXCL_MAX_DEVICE_COUNT 256

typedef void *axclrtContext;
typedef void *axclrtStream;
typedef void *axclrtEvent;

typedef struct {
    uint32_t num;
    int32_t devices[AXCL_MAX_DEVICE_COUNT];
} axclrtDeviceList;

/*
 * Sizes in KiB. Temperature is taken to be in thousandths of a degree Celsius and the loads
 * percentages from 0 to 100; neither is stated by the vendor.
 */
typedef struct {
    char swVersion[64];
    uint64_t uid;
    uint32_t pciDomain;
    uint32_t pciBusID;
    uint32_t pciDeviceID;
    int32_t temperature;
    uint32_t totalMemSize;
    uint32_t freeMemSize;
    uint32_t totalCmmSize;
    uint32_t freeCmmSize;
    uint32_t cpuLoading;
    uint32_t npuLoading;
    uint32_t reserved[32];
} axclrtDeviceProperties;

/* The policy of an allocation; documented as unused. */
typedef enum {
    AXCL_MEM_MALLOC_HUGE_FIRST = 0,
    AXCL_MEM_MALLOC_HUGE_ONLY = 1,
    AXCL_MEM_MALLOC_NORMAL_ONLY = 2,
    AXCL_MEM_MALLOC_SIZE_ALIGN = 3,
} axclrtMemMallocPolicy;

typedef enum {
    AXCL_MEMCPY_HOST_TO_HOST = 0,
    AXCL_MEMCPY_HOST_TO_DEVICE = 1,
    AXCL_MEMCPY_DEVICE_TO_HOST = 2,
    AXCL_MEMCPY_DEVICE_TO_DEVICE = 3,
    AXCL_MEMCPY_HOST_PHY_TO_DEVICE = 4,
    AXCL_MEMCPY_DEVICE_TO_HOST_PHY = 5,
} axclrtMemcpyKind;

/* Once per process; a NULL or absent configuration file is accepted. */
axclError axclInit(const char *config);
axclError axclFinalize(void);
axclError axclSetLogLevel(int32_t level);

axclError axclrtGetVersion(int32_t *major, int32_t *minor, int32_t *patch);
const char *axclrtGetFullVersion(void);
const char *axclrtGetSocName(void);

/* Device ids come from the list; they are not indices on every version. */
axclError axclrtSetDevice(int32_t device);
axclError axclrtResetDevice(int32_t device);
axclError axclrtGetDevice(int32_t *device);
axclError axclrtGetDeviceCount(uint32_t *count);
axclError axclrtGetDeviceList(axclrtDeviceList *list);
axclError axclrtSynchronizeDevice(void);
axclError axclrtGetDeviceProperties(int32_t device, axclrtDeviceProperties *properties);

axclError axclrtCreateContext(axclrtContext *context, int32_t device);
axclError axclrtDestroyContext(axclrtContext context);
axclError axclrtSetCurrentContext(axclrtContext context);
axclError axclrtGetCurrentContext(axclrtContext *context);
axclError axclrtGetDefaultContext(axclrtContext *context, int32_t device);

/* Fresh device memory is not zeroed. Free takes the address that Malloc gave, nothing else. */
axclError axclrtMalloc(void **device_ptr, size_t size, axclrtMemMallocPolicy policy);
axclError axclrtMallocCached(void **device_ptr, size_t size, axclrtMemMallocPolicy policy);
axclError axclrtFree(void *device_ptr);
axclError axclrtMemFlush(void *device_ptr, size_t size);
axclError axclrtMemInvalidate(void *device_ptr, size_t size);
axclError axclrtMallocHost(void **host_ptr, size_t size);
axclError axclrtFreeHost(void *host_ptr);
axclError axclrtMemset(void *device_ptr, uint8_t value, size_t count);
axclError axclrtMemcpy(void *dst, const void *src, size_t count, axclrtMemcpyKind kind);
axclError axclrtMemcmp(const void *device_a, const void *device_b, size_t count);
axclError axclrtMemsetAsync(void *device_ptr, uint8_t value, size_t count, axclrtStream stream);
axclError axclrtMemcpyAsync(void *dst, const void *src, size_t count, axclrtMemcpyKind kind,
                            axclrtStream stream);

/* A stream runs its tasks in the order of submission. A timeout of -1 means none. */
axclError axclrtCreateStream(axclrtStream *stream);
axclError axclrtDestroyStream(axclrtStream stream);
axclError axclrtDestroyStreamForce(axclrtStream stream);
axclError axclrtSynchronizeStream(axclrtStream stream);
axclError axclrtSynchronizeStreamWithTimeout(axclrtStream stream, int32_t timeout_ms);

axclError axclrtCreateEvent(axclrtEvent *event);
axclError axclrtDestroyEvent(axclrtEvent event);
axclError axclrtRecordEvent(axclrtEvent event, axclrtStream stream);
axclError axclrtStreamWaitEvent(axclrtStream stream, axclrtEvent event);

#ifdef __cplusplus
}
#endif

#endif
