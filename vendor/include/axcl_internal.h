/*
 * AXCL runtime: what libaxcl_rt.so exports for its own companions and tools, without a public header.
 *
 * Our own declarations. Source of the facts: axcl-runtime, include/internal/axcl_rt_*_internal.h and
 * axcl_rt_task.h of its public source; exports of V3.10.2. They may come and go with every version.
 */
#ifndef AX650_VENDOR_AXCL_INTERNAL_H
#define AX650_VENDOR_AXCL_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "axcl_rt.h"

#ifdef __cplusplus
extern "C" {
#endif

#define AXCL_ERR_TASK_NULL_POINTER 0x80300402u
#define AXCL_ERR_TASK_ILLEGAL_PARAM 0x80300403u
#define AXCL_ERR_TASK_TIMEOUT 0x80300405u
#define AXCL_ERR_TASK_NO_MEMORY 0x80300407u
#define AXCL_ERR_TASK_EXECUTE_FAIL 0x8030040Cu
#define AXCL_ERR_LOG_DUMP 0x80300881u
#define AXCL_ERR_SYSCTRL_NULL_POINTER 0x80300902u
#define AXCL_ERR_SYSCTRL_ENCODE 0x80300908u
#define AXCL_ERR_SYSCTRL_DECODE 0x80300909u
#define AXCL_ERR_SYSCTRL_UNEXPECT_RESPONSE 0x8030090Au
#define AXCL_ERR_SYSCTRL_EXECUTE_FAIL 0x8030090Cu
#define AXCL_ERR_SYSCTRL_CHECK_CONTEXT_ID 0x80300981u
/* Of the submodule SYSCTRL in the vendor's header too. */
#define AXCL_ERR_LATENCY_NULL_POINTER 0x80300902u
#define AXCL_ERR_LATENCY_ENCODE 0x80300908u
#define AXCL_ERR_LATENCY_DECODE 0x80300909u
#define AXCL_ERR_LATENCY_VERIFY_FAIL 0x80300981u

/* Where a stream belongs. */
typedef struct {
    int32_t device;
    int32_t context;
    int32_t stream;
} axclrtEnvironment;

typedef struct {
    unsigned int domain;
    unsigned int bus;
    unsigned int slot;
    unsigned int func;
} axclrtDeviceBusInfo;

/* Processes that use a device. The array is made with malloc and the caller's to free; NULL if there are none. */
typedef struct {
    unsigned int device;
    unsigned int num;
    unsigned int *pid;
} axclrtDevicePidInfo;

typedef uint32_t axclrtLogKind;
typedef uint32_t axclrtFlagKind;
typedef void *axclrtTask;

axclError axclrtGetContextId(axclrtContext context, int32_t *id);
axclError axclrtGetDefaultStream(axclrtContext context, axclrtStream *stream);
axclError axclrtGetEnviromentByStream(axclrtStream stream, axclrtEnvironment *environment);

axclError axclrtGetDeviceBusInfo(int32_t device, axclrtDeviceBusInfo *info);
axclError axclrtGetDevicePidInfo(int32_t device, axclrtDevicePidInfo *info);
axclError axclrtRebootDevice(int32_t device);

/* Sends the data to the card and back; check compares it. */
axclError axclrtLatencyLoopback(const void *data, uint32_t size, bool check, int mode);

/* Measurements of transfers between cards; what their records hold is the vendor's own business. */
typedef struct axclrtP2PTestConfig axclrtP2PTestConfig;
typedef struct axclrtEngineP2pBwRes axclrtEngineP2pBwRes;
axclError axclrtP2PTriggerTest(AXCL_P2P_UNIT_HANDLE handle, axclrtP2PTestConfig *config);
axclError axclrtEngineP2pBwTest(axclrtEngineP2pBwRes *result, uint32_t mode, uint64_t size);

/* Collects the card's logs: kind is a set of daemon 1, worker 2, system 16, kernel 32, or all bits. */
axclError axclrtLog(axclrtLogKind kind, axclrtFlagKind flag, const char *output_path);

/* Messages to the process on the card that stands for this one. */
axclError axclrtControlCreateContext(int32_t context);
axclError axclrtControlDestroyContext(int32_t context);
axclError axclrtControlCreateStream(int32_t context, axclrtStream stream);
axclError axclrtControlDestroyStream(int32_t context, axclrtStream stream);
axclError axclrtControlSyncStream(int32_t context, axclrtStream stream, int32_t timeout_ms);
axclError axclrtControlCreateEvent(int32_t event);
axclError axclrtControlDestroyEvent(int32_t event);
axclError axclrtControlRecordEvent(axclrtStream stream, int32_t event);
axclError axclrtControlStreamWaitEvent(axclrtStream stream, int32_t event, int32_t timeout_ms);
/* The output is a string of the calling thread, valid until its next command. */
axclError axclrtControlExecuteShellCmd(const char *command, const char *const arguments[], size_t count,
                                       const char **output, int32_t timeout_ms);

axclError axclrtCreateTask(axclrtTask *task, axclrtStream stream, uint64_t token, const void *data, size_t size,
                           int32_t timeout_ms, bool has_response, int64_t flag);
axclError axclrtWaitTaskFinish(axclrtTask task);
axclError axclrtGetTaskResponse(axclrtTask task, void **buffer, uint32_t *size);
axclError axclrtDestoryTask(axclrtTask task);

axclError axclrtConfigLoad(const char *json);
void axclrtConfigUnLoad(void);
const char *axclrtConfigGetLogPath(void);
int32_t axclrtConfigGetLogLevel(int32_t device);
uint32_t axclrtConfigGetDmaBufSize(void);

#ifdef __cplusplus
}
#endif

#endif
