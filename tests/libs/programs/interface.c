/*
 * What the vendor's own tests of its PCIe interface do: devices, contexts, streams, events, memory, the native twins of
 * the board's functions. usage: interface DIRECTORY, with two cards in the list
 */
#include <pthread.h>
#include <string.h>

#include "axcl_engine.h"
#include "axcl_internal.h"
#include "axcl_npu.h"
#include "axcl_rt.h"
#include "axcl_sys.h"
#include "story.h"

#define SIZE ((size_t)1 << 20)
#define THREADS 16

static int32_t device;
static struct story story;

static void *make_context(void *unused) {
    (void)unused;
    axclrtContext context = NULL;
    OK(axclrtCreateContext(&context, device));
    OK(axclrtDestroyContext(context));
    return NULL;
}

static void on_threads(size_t count, void *(*function)(void *), char *arguments, size_t stride) {
    pthread_t threads[THREADS];
    for (size_t i = 0; i < count; i++) {
        CHECK(pthread_create(&threads[i], NULL, function, arguments == NULL ? NULL : arguments + i * stride) == 0);
    }
    for (size_t i = 0; i < count; i++) pthread_join(threads[i], NULL);
}

static void starts_and_ends(void) {
    static const char *const configs[] = {NULL, "", "/opt/bin/axcl/axcl.json", "{\"dma buf size\": \"0x880000\"}"};
    int32_t major = 0, minor = 0, patch = 0;
    OK(axclrtGetVersion(&major, &minor, &patch));
    CHECK(major != 0 && strcmp(axclrtGetFullVersion(), "0.0.0") != 0);
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        OK(axclInit(configs[i]));
        OK(axclFinalize());
    }
}

static void devices(void) {
    axclrtDeviceList list;
    uint32_t count = 0;
    OK(axclrtGetDeviceCount(&count));
    OK(axclrtGetDeviceList(&list));
    CHECK(count == 2 && list.num == 2 && list.devices[0] != list.devices[1]);
    for (uint32_t i = 0; i < list.num; i++) {
        CHECK(list.devices[i] >= 1 && list.devices[i] <= 256);
        for (int repeat = 0; repeat < 5; repeat++) {
            int32_t current = -1;
            axclrtDeviceProperties properties;
            OK(axclrtSetDevice(list.devices[i]));
            OK(axclrtGetDevice(&current));
            OK(axclrtGetDeviceProperties(current, &properties));
            CHECK(current == list.devices[i] && properties.freeCmmSize > 0);
            CHECK(strcmp(axclrtGetSocName(), "UNKNOWN") != 0);
            OK(axclrtResetDevice(list.devices[i]));
        }
    }
    device = list.devices[0];
    OK(axclrtSetDevice(device));
}

static void contexts(void) {
    axclrtContext context = NULL, fallback = NULL, current = NULL;
    OK(axclrtCreateContext(&context, device));
    on_threads(THREADS, make_context, NULL, 0);
    OK(axclrtDestroyContext(context));
    OK(axclrtGetDefaultContext(&fallback, device));
    OK(axclrtSetCurrentContext(fallback));
    OK(axclrtGetCurrentContext(&current));
    CHECK(current == fallback);
}

static void *without_context(void *unused) {
    (void)unused;
    void *memory = NULL;
    IS(axclrtMalloc(&memory, SIZE, AXCL_MEM_MALLOC_NORMAL_ONLY), AXCL_ERR_CONTEXT_NO_BIND_CONTEXT);
    return NULL;
}

static void fill(unsigned char *bytes, size_t size, unsigned seed) {
    for (size_t i = 0; i < size; i++) bytes[i] = (unsigned char)((i * 31 + (i >> 8) * 7 + seed) & 0xFF);
}

static void memory(bool cached) {
    void *host[2], *blocks[2];
    for (size_t i = 0; i < 2; i++) {
        OK(axclrtMallocHost(&host[i], SIZE));
        OK((cached ? axclrtMallocCached : axclrtMalloc)(&blocks[i], SIZE, AXCL_MEM_MALLOC_NORMAL_ONLY));
        OK(axclrtMemset(blocks[i], (uint8_t)(0xAA + i), SIZE));
        if (cached) OK(axclrtMemInvalidate(blocks[i], SIZE));
    }
    FAILS(axclrtMemcmp(blocks[0], blocks[1], SIZE));
    fill(host[0], SIZE, 1);
    memset(host[1], 0, SIZE);
    OK(axclrtMemcpy(blocks[0], host[0], SIZE, AXCL_MEMCPY_HOST_TO_DEVICE));
    OK(axclrtMemcpy(blocks[1], blocks[0], SIZE, AXCL_MEMCPY_DEVICE_TO_DEVICE));
    if (cached) OK(axclrtMemFlush(blocks[1], SIZE));
    OK(axclrtMemcpy(host[1], blocks[1], SIZE, AXCL_MEMCPY_DEVICE_TO_HOST));
    OK(axclrtMemcmp(blocks[0], blocks[1], SIZE));
    CHECK(memcmp(host[0], host[1], SIZE) == 0);
    /* Addresses inside of a block, of any alignment. */
    OK(axclrtMemcpy((char *)blocks[1] + 3, (char *)host[0] + 1, 5, AXCL_MEMCPY_HOST_TO_DEVICE));
    OK(axclrtMemcpy((char *)host[1] + 2, (char *)blocks[1] + 3, 5, AXCL_MEMCPY_DEVICE_TO_HOST));
    CHECK(memcmp((char *)host[0] + 1, (char *)host[1] + 2, 5) == 0);
    for (size_t i = 0; i < 2; i++) {
        OK(axclrtFree(blocks[i]));
        OK(axclrtFreeHost(host[i]));
    }
}

struct job {
    void *host, *blocks[2];
    axclrtStream stream;
};

static void queue(const struct job *job, axclrtStream stream) {
    for (size_t i = 0; i < 2; i++) {
        OK(axclrtMemsetAsync(job->blocks[i], 0, SIZE, stream));
        OK(axclrtMemcpyAsync(job->blocks[i], job->host, SIZE, AXCL_MEMCPY_HOST_TO_DEVICE, stream));
    }
    OK(axclrtMemcmpAsync(job->blocks[0], job->blocks[1], SIZE, stream));
}

static void *queue_in_own_stream(void *argument) {
    axclrtContext context = NULL;
    axclrtStream stream = NULL;
    OK(axclrtCreateContext(&context, device));
    OK(axclrtCreateStream(&stream));
    queue(argument, stream);
    OK(axclrtSynchronizeStream(stream));
    OK(axclrtDestroyStream(stream));
    OK(axclrtDestroyContext(context));
    return NULL;
}

/* The thread has no context: the stream says where to. */
static void *queue_in_shared_stream(void *argument) {
    const struct job *job = argument;
    queue(job, job->stream);
    OK(axclrtSynchronizeStream(job->stream));
    return NULL;
}

static void streams(void) {
    struct job jobs[2];
    axclrtStream shared = NULL;
    axclrtEvent event = NULL;
    OK(axclrtCreateStream(&shared));
    OK(axclrtSynchronizeStream(shared));
    OK(axclrtSynchronizeStreamWithTimeout(shared, 999));
    for (size_t i = 0; i < 2; i++) {
        jobs[i].stream = shared;
        OK(axclrtMallocHost(&jobs[i].host, SIZE));
        fill(jobs[i].host, SIZE, 2);
        for (size_t k = 0; k < 2; k++) OK(axclrtMalloc(&jobs[i].blocks[k], SIZE, AXCL_MEM_MALLOC_NORMAL_ONLY));
    }
    on_threads(2, queue_in_own_stream, (char *)jobs, sizeof *jobs);
    on_threads(2, queue_in_shared_stream, (char *)jobs, sizeof *jobs);
    CHECK(memcmp(jobs[0].host, jobs[1].host, SIZE) == 0);

    axclrtStream other = NULL;
    OK(axclrtCreateStream(&other));
    OK(axclrtCreateEvent(&event));
    OK(axclrtRecordEvent(event, shared));
    OK(axclrtStreamWaitEvent(other, event));
    OK(axclrtStreamWaitEventWithTimeout(other, event, 999));
    OK(axclrtSynchronizeStream(shared));
    OK(axclrtSynchronizeStreamWithTimeout(other, 1000));
    OK(axclrtSynchronizeDevice());
    OK(axclrtDestroyStream(other));
    OK(axclrtDestroyStream(shared));
    OK(axclrtDestroyEvent(event));
    for (size_t i = 0; i < 2; i++) {
        OK(axclrtFreeHost(jobs[i].host));
        for (size_t k = 0; k < 2; k++) OK(axclrtFree(jobs[i].blocks[k]));
    }
}

static void links_between_cards(void) {
    axclrtDeviceList list;
    axclrtP2PUnitInfo unit;
    AXCL_P2P_UNIT_HANDLE handle = NULL;
    unsigned char bytes[512];
    OK(axclrtGetDeviceList(&list));
    memset(&unit, 0, sizeof unit);
    unit.u32DeviceNum = list.num;
    for (uint32_t i = 0; i < list.num; i++) {
        unit.n32DeviceId[i] = list.devices[i];
        unit.u32DeviceMemSize[i] = (uint32_t)SIZE;
    }
    OK(axclrtCreateP2PUnit(&unit, &handle));
    CHECK(handle != NULL);
    OK(axclrtDestoryP2PUnit(handle));
    fill(bytes, sizeof bytes, 3);
    for (int mode = -1; mode < 2; mode++) {
        OK(axclrtLatencyLoopback(bytes, sizeof bytes, false, mode));
        OK(axclrtLatencyLoopback(bytes, sizeof bytes, true, mode));
    }
}

static void engine_modes(void) {
    for (uint32_t kind = AXCL_VNPU_DISABLE; kind <= AXCL_VNPU_LITTLE_BIG; kind++) {
        axclrtEngineVNpuKind found;
        OK(axclrtEngineInit((axclrtEngineVNpuKind)kind));
        OK(axclrtEngineGetVNpuKind(&found));
        CHECK((uint32_t)found == kind);
        OK(axclrtEngineFinalize());
    }
}

/* The head of the model, by the functions of the board, on memory of the card. */
static void native_engine(void) {
    AX_ENGINE_NPU_ATTR_T attr, found;
    AX_ENGINE_MODEL_TYPE_T type, type_of_handle;
    AX_ENGINE_IO_INFO_T *info = NULL;
    AX_ENGINE_CMM_INFO usage = {0};
    AX_ENGINE_CONTEXT_T context = NULL;
    AX_U32 groups = 0;
    AXCL_ENGINE_NPUReset();
    CHECK(AXCL_ENGINE_GetVersion() != NULL);
    memset(&attr, 0, sizeof attr);
    for (uint32_t mode = 0; mode < AX_ENGINE_VIRTUAL_NPU_BUTT; mode++) {
        attr.eHardMode = (AX_ENGINE_NPU_MODE_T)mode;
        OK(AXCL_ENGINE_Init(&attr));
        OK(AXCL_ENGINE_GetVNPUAttr(&found));
        CHECK(found.eHardMode == attr.eHardMode);
        OK(AXCL_ENGINE_Deinit());
    }
    attr.eHardMode = AX_ENGINE_VIRTUAL_NPU_DISABLE;
    OK(AXCL_ENGINE_Init(&attr));
    const struct file file = map_file(layer_path(&story, story.layers));
    void *model = NULL;
    OK(axclrtMalloc(&model, file.size, AXCL_MEM_MALLOC_NORMAL_ONLY));
    OK(axclrtMemcpy(model, file.data, file.size, AXCL_MEMCPY_HOST_TO_DEVICE));
    OK(AXCL_ENGINE_GetModelType(model, (AX_U32)file.size, &type));
    for (uint32_t cores = 1; cores <= 7; cores++) {
        AX_ENGINE_HANDLE handle = NULL;
        AX_ENGINE_HANDLE_EXTRA_T extra;
        AX_ENGINE_NPU_SET_T set = 0;
        memset(&extra, 0, sizeof extra);
        extra.nNpuSet = cores;
        extra.pName = (AX_S8 *)(uintptr_t)"model";
        OK(AXCL_ENGINE_CreateHandleV2(&handle, model, (AX_U32)file.size, &extra));
        OK(AXCL_ENGINE_GetAffinity(handle, &set));
        CHECK(set == cores);
        OK(AXCL_ENGINE_SetAffinity(handle, 8 - cores));
        OK(AXCL_ENGINE_GetAffinity(handle, &set));
        CHECK(set == 8 - cores);
        OK(AXCL_ENGINE_DestroyHandle(handle));
    }
    AX_ENGINE_HANDLE handle = NULL;
    OK(AXCL_ENGINE_CreateHandle(&handle, model, (AX_U32)file.size));
    OK(AXCL_ENGINE_GetHandleModelType(handle, &type_of_handle));
    CHECK(type == type_of_handle && strlen(AXCL_ENGINE_GetModelToolsVersion(handle)) > 0);
    OK(AXCL_ENGINE_GetCMMUsage(handle, &usage));
    CHECK(usage.nCMMSize > 0);
    OK(AXCL_ENGINE_GetGroupIOInfoCount(handle, &groups));
    CHECK(groups == 1);
    OK(AXCL_ENGINE_GetGroupIOInfo(handle, 0, &info));
    OK(AXCL_ENGINE_GetIOInfo(handle, &info));
    CHECK(info->pInputs[0].pExtraMeta != NULL && info->pInputs[0].pStride == NULL && info->pOutputs[0].pShape != NULL);

    AX_ENGINE_IO_BUFFER_T input, output;
    AX_ENGINE_IO_T io;
    void *memory_in = NULL, *memory_out = NULL;
    memset(&input, 0, sizeof input);
    memset(&output, 0, sizeof output);
    memset(&io, 0, sizeof io);
    io.pInputs = &input;
    io.pOutputs = &output;
    io.nInputSize = io.nOutputSize = 1;
    input.nSize = info->pInputs[0].nSize;
    output.nSize = info->pOutputs[0].nSize;
    OK(axclrtMalloc(&memory_in, input.nSize, AXCL_MEM_MALLOC_NORMAL_ONLY));
    OK(axclrtMalloc(&memory_out, output.nSize, AXCL_MEM_MALLOC_NORMAL_ONLY));
    OK(axclrtMemcpy(memory_in, embedding_row(&story, 0), input.nSize, AXCL_MEMCPY_HOST_TO_DEVICE));
    /* Memory of the runtime, no virtual address. */
    input.phyAddr = (uintptr_t)memory_in;
    output.phyAddr = (uintptr_t)memory_out;
    unsigned char *results[3];
    for (size_t i = 0; i < 3; i++) {
        OK(axclrtMemset(memory_out, 0, output.nSize));
        /* The first run is before any context was made. */
        if (i == 0) {
            OK(AXCL_ENGINE_RunSync(handle, &io));
            OK(AXCL_ENGINE_CreateContext(handle));
            OK(AXCL_ENGINE_CreateContextV2(handle, &context));
        } else if (i == 1) {
            OK(AXCL_ENGINE_RunSyncV2(handle, context, &io));
        } else {
            OK(AXCL_ENGINE_RunGroupIOSync(handle, context, 0, &io));
        }
        results[i] = malloc(output.nSize);
        CHECK(results[i] != NULL);
        OK(axclrtMemcpy(results[i], memory_out, output.nSize, AXCL_MEMCPY_DEVICE_TO_HOST));
        CHECK(memcmp(results[0], results[i], output.nSize) == 0);
    }
    for (size_t i = 0; i < 3; i++) free(results[i]);
    OK(axclrtFree(memory_in));
    OK(axclrtFree(memory_out));
    OK(AXCL_ENGINE_DestroyHandle(handle));
    OK(axclrtFree(model));
    unmap_file(file);
    OK(AXCL_ENGINE_Deinit());
}

static void native_system(void) {
    AX_U64 phy = 0, found_phy = 0, now = 0;
    void *vir = NULL, *mapped, *found_vir = NULL;
    AX_S32 type = 0;
    AX_U32 size = 0;
    OK(AXCL_SYS_Init());
    OK(AXCL_SYS_MemAlloc(&phy, NULL, (AX_U32)SIZE, 0x1000, (const AX_S8 *)"no address wanted"));
    OK(AXCL_SYS_MemFree(phy, NULL));
    for (int cached = 0; cached < 2; cached++) {
        const AX_S8 *name = (const AX_S8 *)"mem_test";
        OK((cached ? AXCL_SYS_MemAllocCached : AXCL_SYS_MemAlloc)(&phy, &vir, (AX_U32)SIZE, 0x1000, name));
        mapped = cached ? AXCL_SYS_MmapCache(phy, (AX_U32)SIZE) : AXCL_SYS_Mmap(phy, (AX_U32)SIZE);
        CHECK(mapped != NULL);
        OK(AXCL_SYS_Munmap(mapped, (AX_U32)SIZE));
        OK(AXCL_SYS_MemGetBlockInfoByVirt((char *)vir + 0x20FF, &found_phy, &type));
        CHECK(found_phy - phy == 0x20FF && type == (cached ? AX_MEM_CACHED : AX_MEM_NONCACHED));
        OK(AXCL_SYS_MemGetBlockInfoByPhy(phy + 0x20FF, &type, &found_vir, &size));
        CHECK((uintptr_t)found_vir - (uintptr_t)vir == 0x20FF && type == (cached ? AX_MEM_CACHED : AX_MEM_NONCACHED));
        OK(AXCL_SYS_MemFree(phy, vir));
    }
    OK(AXCL_SYS_InitPTSBase(12345678));
    OK(AXCL_SYS_GetCurPTS(&now));
    CHECK(now >= 12345678);
    OK(AXCL_SYS_SyncPTS(now + 1000));
    OK(AXCL_SYS_GetCurPTS(&now));
    FAILS(AXCL_SYS_SyncPTS(now + 5000));
    FAILS(AXCL_SYS_SyncPTS(now - 5000));
    OK(AXCL_SYS_SyncPTS(now - 10));
    /* Video has no place on this card: pools and links answer the vendor's code for what is not supported. */
    AX_MOD_INFO_T module;
    memset(&module, 0, sizeof module);
    IS(AXCL_POOL_Init(), 0x800B0114);
    IS(AXCL_SYS_Link(&module, &module), 0x800B0314);
    OK(AXCL_SYS_Deinit());
}

int main(int argc, char **argv) {
    CHECK(argc == 2);
    story = read_story(argv[1]);
    starts_and_ends();
    OK(axclInit(""));
    devices();
    contexts();
    on_threads(1, without_context, NULL, 0);
    memory(false);
    memory(true);
    streams();
    links_between_cards();
    engine_modes();
    native_engine();
    native_system();
    OK(axclrtResetDevice(device));
    OK(axclFinalize());
    puts("interface: as the vendor's tests want it");
    return 0;
}
