/*
 * AXCL runtime, host side of a PCIe or M.2 card: devices, contexts, memory, streams
 * (libaxcl_rt.so). The engine part is in axcl_engine.h.
 *
 * Our own declarations. Source of the facts: axcl-runtime V3.10.2, include/external/axcl*.h and
 * the exports of its libaxcl_rt.so; axclrtGetDefaultContext is exported without a header in some versions and
 * its parameters are those that the vendor's Python binding and sherpa-onnx pass. Other exports without a
 * public header are in axcl_internal.h.
 *
 * A thread without a bound context gets AXCL_ERR_CONTEXT_NO_BIND_CONTEXT; SetDevice binds the
 * device's default context to the calling thread. In V3.10.2 only the SetDevice that activates the device does so
 * (host/runtime/device/device_manager.cpp): a second thread calls SetCurrentContext or CreateContext too.
 * GetDeviceProperties ends with a ResetDevice, after which the thread has its context still but no device: calls about
 * events fail until SetDevice.
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

typedef enum {
    AXCL_SUCC = 0x00,
    AXCL_FAIL = 0x01,
    AXCL_ERR_UNKNOWN = 0x01,
    AXCL_ERR_NULL_POINTER = 0x02,
    AXCL_ERR_ILLEGAL_PARAM = 0x03,
    AXCL_ERR_UNSUPPORT = 0x04,
    AXCL_ERR_TIMEOUT = 0x05,
    AXCL_ERR_BUSY = 0x06,
    AXCL_ERR_NO_MEMORY = 0x07,
    AXCL_ERR_ENCODE = 0x08,
    AXCL_ERR_DECODE = 0x09,
    AXCL_ERR_UNEXPECT_RESPONSE = 0x0A,
    AXCL_ERR_OPEN = 0x0B,
    AXCL_ERR_EXECUTE_FAIL = 0x0C,
    AXCL_ERR_BUTT = 0x7F,
} AXCL_ERROR_E;

/* Modules. */
#define AXCL_RUNTIME 0x00
#define AXCL_NATIVE 0x01
#define AXCL_LITE 0x02

/* Submodules of the runtime. Events use the one of streams. */
#define AXCL_RUNTIME_DEVICE 0x01
#define AXCL_RUNTIME_CONTEXT 0x02
#define AXCL_RUNTIME_STREAM 0x03
#define AXCL_RUNTIME_TASK 0x04
#define AXCL_RUNTIME_MEMORY 0x05
#define AXCL_RUNTIME_CONFIG 0x06
#define AXCL_RUNTIME_ENGINE 0x07
#define AXCL_RUNTIME_SYSLOG 0x08
#define AXCL_RUNTIME_SYSCTRL 0x09
#define AXCL_RUNTIME_LATENCY 0x0A
#define AXCL_RUNTIME_P2P 0x0B
#define AXCL_RUNTIME_USRWORK 0x0C

/* Full codes, module RUNTIME. A few functions return the bare error instead, such as 0x04 for unsupported. */
#define AXCL_ERR_DEVICE_NULL_POINTER 0x80300102u
#define AXCL_ERR_DEVICE_UNSUPPORT 0x80300104u
/* The library is there, its kernel driver is not. */
#define AXCL_ERR_DEVICE_OPEN 0x8030010Bu
#define AXCL_ERR_DEVICE_QUERY_DEVICE 0x80300180u
#define AXCL_ERR_DEVICE_NO_CONNECT 0x80300181u
#define AXCL_ERR_DEVICE_PROBE 0x80300182u
#define AXCL_ERR_DEVICE_NOT_ACTIVE 0x80300183u
#define AXCL_ERR_DEVICE_INVALID_ID 0x80300184u
#define AXCL_ERR_DEVICE_NO_ACTIVE_DEVICE 0x80300185u
#define AXCL_ERR_DEVICE_PORT_ALLOCATE 0x80300186u
#define AXCL_ERR_DEVICE_REBOOT 0x80300187u
#define AXCL_ERR_DEVICE_PORT_DESTROY 0x80300188u
#define AXCL_ERR_CONTEXT_NULL_POINTER 0x80300202u
#define AXCL_ERR_CONTEXT_CREATE 0x80300281u
#define AXCL_ERR_CONTEXT_DESTROY 0x80300282u
#define AXCL_ERR_CONTEXT_BIND_THREAD 0x80300283u
#define AXCL_ERR_CONTEXT_NO_BIND_CONTEXT 0x80300284u
#define AXCL_ERR_STREAM_NULL_POINTER 0x80300302u
#define AXCL_ERR_STREAM_TIMEOUT 0x80300305u
#define AXCL_ERR_STREAM_CREATE 0x80300381u
#define AXCL_ERR_STREAM_DESTROY 0x80300382u
#define AXCL_ERR_STREAM_SYNC_TIMEOUT 0x80300383u
#define AXCL_ERR_EVENT_NULL_POINTER 0x80300302u
#define AXCL_ERR_EVENT_TIMEOUT 0x80300305u
#define AXCL_ERR_EVENT_CREATE 0x80300381u
#define AXCL_ERR_EVENT_DESTROY 0x80300382u
#define AXCL_ERR_EVENT_RECORD 0x80300383u
#define AXCL_ERR_EVENT_WAIT 0x80300384u
#define AXCL_ERR_TASK_SUBMIT 0x80300481u
#define AXCL_ERR_MEMORY_NULL_POINTER 0x80300502u
#define AXCL_ERR_MEMORY_ENCODE 0x80300508u
#define AXCL_ERR_MEMORY_DECODE 0x80300509u
#define AXCL_ERR_MEMORY_UNEXPECT_RESPONSE 0x8030050Au
#define AXCL_ERR_MEMORY_EXECUTE_FAIL 0x8030050Cu
#define AXCL_ERR_MEMORY_NOT_DEVICE_MEMORY 0x80300581u
#define AXCL_ERR_CONFIG_LOAD 0x80300681u
#define AXCL_ERR_ENGINE_NULL_POINTER 0x80300702u
#define AXCL_ERR_ENGINE_ILLEGAL_PARAM 0x80300703u
#define AXCL_ERR_ENGINE_AXCL_UNSUPPORTED 0x80300704u
#define AXCL_ERR_ENGINE_ENCODE 0x80300708u
#define AXCL_ERR_ENGINE_DECODE 0x80300709u
#define AXCL_ERR_ENGINE_UNEXPECT_RESPONSE 0x8030070Au
#define AXCL_ERR_ENGINE_EXECUTE_FAIL 0x8030070Cu
#define AXCL_ERR_ENGINE_INVALID_INDEX 0x80300781u
#define AXCL_ERR_USRWORK_NULL_POINTER 0x80300C02u
#define AXCL_ERR_USRWORK_ILLEGAL_PARAM 0x80300C03u
#define AXCL_ERR_USRWORK_TIMEOUT 0x80300C05u
#define AXCL_ERR_USRWORK_ENCODE 0x80300C08u
#define AXCL_ERR_USRWORK_DECODE 0x80300C09u
#define AXCL_ERR_USRWORK_UNEXPECT_RESPONSE 0x80300C0Au
#define AXCL_ERR_USRWORK_EXECUTE_FAIL 0x80300C0Cu
#define AXCL_ERR_USRWORK_OPEN_FILE 0x80300C81u
#define AXCL_ERR_USRWORK_EMPTY_FILE 0x80300C82u
#define AXCL_ERR_USRWORK_PROCESS_NOT_FOUND 0x80300C83u
#define AXCL_ERR_USRWORK_INVALID_PATH 0x80300C84u
#define AXCL_ERR_USRWORK_OPEN_CHANNEL 0x80300C85u
#define AXCL_ERR_USRWORK_SEND_DATA 0x80300C86u
#define AXCL_ERR_USRWORK_BUFFER_TOO_SMALL 0x80300C87u
#define AXCL_ERR_P2P_NULL_POINTER 0x80300B02u
#define AXCL_ERR_P2P_VERIFY_FAIL 0x80300B03u
#define AXCL_ERR_P2P_NO_MEMORY 0x80300B07u
#define AXCL_ERR_P2P_INIT 0x80300B0Bu
#define AXCL_ERR_P2P_BWT 0x80300B0Cu

#define NO_TIMEOUT (-1)
#define AXCL_MAX_DEVICE_COUNT 256

typedef void *axclrtContext;
typedef void *axclrtStream;
typedef void *axclrtEvent;

typedef struct {
    uint32_t num;
    int32_t devices[AXCL_MAX_DEVICE_COUNT];
} axclrtDeviceList;

/*
 * Sizes in KiB, temperature in thousandths of a degree Celsius (what the card's thermal zone shows), loads in
 * hundredths of a percent, 0 to 10000 (axcl-runtime, host/runtime/device/axcl_device.cpp).
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

typedef enum {
    AXCL_DEVICE_STATUS_ONLINE = 0,
    AXCL_DEVICE_STATUS_OFFLINE = 1,
    AXCL_DEVICE_STATUS_BUTT = 2,
} AXCL_DEVICE_STATUS_E;

typedef void (*axclrtDeviceStatusCallback)(int32_t device, AXCL_DEVICE_STATUS_E status, void *userdata);

typedef enum {
    FILE_TRANSFER_FROM_HOST_TO_DEVICE = 0,
    FILE_TRANSFER_FROM_DEVICE_TO_HOST = 1,
    FILE_TRANSFER_FROM_DEVICE_TO_DEVICE = 2,
    FILE_TRANSFER_REMOVE_DEVICE_FILE = 3,
} axclrtFileTransferPolicy;

#define AXCL_MAX_P2P_DEVICE_COUNT 8

typedef void *AXCL_P2P_UNIT_HANDLE;

/* Memory sizes in bytes, one for each device. */
typedef struct axclrtP2PUnitInfo {
    uint32_t u32DeviceNum;
    int32_t n32DeviceId[AXCL_MAX_P2P_DEVICE_COUNT];
    uint32_t u32DeviceMemSize[AXCL_MAX_P2P_DEVICE_COUNT];
} axclrtP2PUnitInfo;

/* Once per process; a NULL or absent configuration file is accepted. */
axclError axclInit(const char *config);
axclError axclFinalize(void);
/* Trace 0, debug 1, info 2, warning 3, error 4, critical 5, off 6. */
axclError axclSetLogLevel(int32_t level);
/* The format is that of printf; what it gives is cut at 1023 bytes. The names may be NULL. */
void axclAppLog(int32_t level, const char *function, const char *file, uint32_t line, const char *format, ...);

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

/*
 * Fresh device memory is not zeroed. Free, MemFlush and MemInvalidate take the address that Malloc gave, nothing else.
 * The card reads sizes as 32 bits. What it refuses is AXCL_ERR_MEMORY_EXECUTE_FAIL, exhausted memory too. MallocHost
 * and FreeHost are malloc and free (axcl-runtime V3.10.2, host/runtime/memory, device/worker/runtime/memory).
 */
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
axclError axclrtMemcmpAsync(const void *device_a, const void *device_b, size_t count, axclrtStream stream);

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
axclError axclrtStreamWaitEventWithTimeout(axclrtStream stream, axclrtEvent event, int32_t timeout_ms);

/* A program on the card's own Linux, its files and its messages. argc may be NULL for none. */
axclError axclrtTransferFile(const char *source, const char *destination, axclrtFileTransferPolicy policy);
axclError axclrtExecWorker(const char *path, const int32_t *argc, const char *argv[], uint32_t *pid);
axclError axclrtKillWorker(uint32_t pid);
axclError axclrtWorkerSend(uint32_t pid, const void *buffer, uint32_t size, int32_t timeout_ms);
axclError axclrtWorkerRecv(uint32_t pid, void *buffer, uint32_t size, uint32_t *received, int32_t timeout_ms);

/* Memory on several cards that they reach in each other. The second name is spelt so. */
axclError axclrtCreateP2PUnit(const axclrtP2PUnitInfo *info, AXCL_P2P_UNIT_HANDLE *handle);
axclError axclrtDestoryP2PUnit(AXCL_P2P_UNIT_HANDLE handle);

/* Writes to the card's flash. */
axclError axclrtControlChangePCIeSubId(uint32_t sub_vendor_id, uint32_t sub_device_id);

#ifdef __cplusplus
}
#endif

#endif
