/*
 * How processes begin, end and misbehave. usage: life PART DIRECTORY_OF_THE_LIBRARIES, nothing linked: everything is
 * opened as a plugin would.
 *
 *   nulls     every function with nothing but zeros, before, during and after the life of the interface
 *   reopen    libraries opened and closed again and again, with and without calls between
 *   repeat    initialised and finalised twice over, in any number
 *   abandon   ends without giving anything back, with work queued and from a thread
 *   static    finalised by an exit handler that was registered first
 *   refuse    the configuration is wrong: every call fails, and nothing else happens
 */
#define _POSIX_C_SOURCE 200809L

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "ax_engine.h"
#include "ax_sys.h"
#include "axcl_engine.h"
#include "axcl_rt.h"
#include "check.h"

static const char *directory;

static void *open_library(const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) FAIL("%s", dlerror());
    return library;
}

/* A function of a library, as ISO C has no cast for it. */
static void find(void *library, const char *name, void *function) {
    void *symbol = dlsym(library, name);
    if (symbol == NULL) FAIL("%s", dlerror());
    memcpy(function, &symbol, sizeof symbol);
}

#define FIND(library, name) find(library, #name, &name##_)
#define USE(type, name, ...) static type (*name##_)(__VA_ARGS__)

USE(axclError, axclInit, const char *);
USE(axclError, axclFinalize, void);
USE(axclError, axclrtGetDeviceList, axclrtDeviceList *);
USE(axclError, axclrtSetDevice, int32_t);
USE(axclError, axclrtResetDevice, int32_t);
USE(axclError, axclrtMalloc, void **, size_t, axclrtMemMallocPolicy);
USE(axclError, axclrtFree, void *);
USE(axclError, axclrtCreateStream, axclrtStream *);
USE(axclError, axclrtMemsetAsync, void *, uint8_t, size_t, axclrtStream);
USE(axclError, axclrtEngineInit, axclrtEngineVNpuKind);
USE(AX_S32, AX_SYS_Init, void);
USE(AX_S32, AX_SYS_Deinit, void);
USE(AX_S32, AX_SYS_MemAlloc, AX_U64 *, AX_VOID **, AX_U32, AX_U32, const AX_S8 *);
USE(AX_S32, AX_ENGINE_Init, AX_ENGINE_NPU_ATTR_T *);
USE(AX_S32, AX_ENGINE_Deinit, void);
USE(AX_S32, AX_ENGINE_GetVNPUAttr, AX_ENGINE_NPU_ATTR_T *);

static void *runtime, *engine, *sys;

static void open_all(void) {
    runtime = open_library("libaxcl_rt.so");
    engine = open_library("libax_engine.so");
    sys = open_library("libax_sys.so");
    FIND(runtime, axclInit);
    FIND(runtime, axclFinalize);
    FIND(runtime, axclrtGetDeviceList);
    FIND(runtime, axclrtSetDevice);
    FIND(runtime, axclrtResetDevice);
    FIND(runtime, axclrtMalloc);
    FIND(runtime, axclrtFree);
    FIND(runtime, axclrtCreateStream);
    FIND(runtime, axclrtMemsetAsync);
    FIND(runtime, axclrtEngineInit);
    FIND(sys, AX_SYS_Init);
    FIND(sys, AX_SYS_Deinit);
    FIND(sys, AX_SYS_MemAlloc);
    FIND(engine, AX_ENGINE_Init);
    FIND(engine, AX_ENGINE_Deinit);
    FIND(engine, AX_ENGINE_GetVNPUAttr);
}

static void close_all(void) {
    CHECK(dlclose(runtime) == 0 && dlclose(engine) == 0 && dlclose(sys) == 0);
}

static int32_t set_device(void) {
    axclrtDeviceList list;
    OK(axclrtGetDeviceList_(&list));
    CHECK(list.num > 0);
    OK(axclrtSetDevice_(list.devices[0]));
    return list.devices[0];
}

/* Names of functions come on standard input, library and name in each line. */
static void call_with_zeros(bool counted) {
    typedef void (*function)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
    char library_name[64], name[64];
    size_t count = 0;
    rewind(stdin);
    while (scanf("%63s %63s", library_name, name) == 2) {
        /* That ends what the others are called in. */
        if (strcmp(name, "axclFinalize") == 0) continue;
        void *library = open_library(library_name);
        function call;
        find(library, name, &call);
        call(0, 0, 0, 0, 0, 0, 0, 0);
        CHECK(dlclose(library) == 0);
        count++;
    }
    CHECK(count > 250);
    if (counted) printf("life nulls: %zu functions take zeros\n", count);
}

static void nulls(void) {
    call_with_zeros(false);
    OK(axclInit_(NULL));
    set_device();
    OK(axclrtEngineInit_(AXCL_VNPU_DISABLE));
    OK(AX_SYS_Init_());
    AX_ENGINE_NPU_ATTR_T attr;
    memset(&attr, 0, sizeof attr);
    OK(AX_ENGINE_Init_(&attr));
    call_with_zeros(false);
    axclFinalize_();
    AX_ENGINE_Deinit_();
    AX_SYS_Deinit_();
    call_with_zeros(true);
}

static void reopen(void) {
    for (int round = 0; round < 20; round++) {
        if (round % 2 == 0) {
            OK(axclInit_(NULL));
            OK(axclrtResetDevice_(set_device()));
            OK(axclFinalize_());
            OK(AX_SYS_Init_());
            OK(AX_SYS_Deinit_());
        }
        close_all();
        open_all();
    }
    puts("life reopen: libraries come and go");
}

static void repeat(void) {
    AX_ENGINE_NPU_ATTR_T attr, other;
    memset(&attr, 0, sizeof attr);
    memset(&other, 0, sizeof other);
    other.eHardMode = AX_ENGINE_VIRTUAL_NPU_STD;
    for (int round = 0; round < 3; round++) {
        OK(axclInit_(NULL));
        OK(axclInit_(NULL));
        const int32_t device = set_device();
        set_device();
        OK(axclrtResetDevice_(device));
        OK(axclrtResetDevice_(device));
        OK(axclFinalize_());
        OK(axclFinalize_());
        FAILS(AX_ENGINE_GetVNPUAttr_(&attr));
        FAILS(AX_ENGINE_Init_(NULL));
        memset(&attr, 0, sizeof attr);
        OK(AX_SYS_Init_());
        OK(AX_SYS_Init_());
        OK(AX_ENGINE_Init_(&attr));
        OK(AX_ENGINE_Init_(&attr));
        FAILS(AX_ENGINE_Init_(&other));
        OK(AX_ENGINE_GetVNPUAttr_(&attr));
        CHECK(attr.eHardMode == AX_ENGINE_VIRTUAL_NPU_DISABLE);
        OK(AX_ENGINE_Deinit_());
        OK(AX_ENGINE_Deinit_());
        OK(AX_ENGINE_Deinit_());
        OK(AX_SYS_Deinit_());
        OK(AX_SYS_Deinit_());
    }
    puts("life repeat: counted, and skipped where nothing is up");
}

static void *take(void *unused) {
    (void)unused;
    void *memory = NULL;
    axclrtStream stream = NULL;
    set_device();
    OK(axclrtEngineInit_(AXCL_VNPU_DISABLE));
    OK(axclrtMalloc_(&memory, 1 << 20, AXCL_MEM_MALLOC_HUGE_FIRST));
    OK(axclrtCreateStream_(&stream));
    OK(axclrtMemsetAsync_(memory, 0, 1 << 20, stream));
    return NULL;
}

static void abandon(void) {
    AX_U64 phy = 0;
    void *vir = NULL;
    pthread_t thread;
    OK(axclInit_(NULL));
    CHECK(pthread_create(&thread, NULL, take, NULL) == 0);
    pthread_join(thread, NULL);
    take(NULL);
    OK(AX_SYS_Init_());
    OK(AX_SYS_MemAlloc_(&phy, &vir, 1 << 20, 128, (const AX_S8 *)"npu"));
    puts("life abandon: ends with all of it");
}

static void finalize_late(void) {
    OK(axclFinalize_());
    AX_ENGINE_Deinit_();
    AX_SYS_Deinit_();
}

static void refuse(void) {
    axclrtDeviceList list;
    AX_ENGINE_NPU_ATTR_T attr;
    void *memory = NULL;
    memset(&attr, 0, sizeof attr);
    for (int round = 0; round < 2; round++) {
        IS(axclInit_(NULL), AXCL_ERR_CONFIG_LOAD);
        IS(axclrtGetDeviceList_(&list), AXCL_ERR_CONFIG_LOAD);
        IS(axclrtMalloc_(&memory, 16, AXCL_MEM_MALLOC_HUGE_FIRST), AXCL_ERR_CONFIG_LOAD);
        FAILS(AX_SYS_Init_());
        FAILS(AX_ENGINE_Init_(&attr));
        IS(axclFinalize_(), AXCL_ERR_CONFIG_LOAD);
    }
    puts("life refuse: every call fails");
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*run)(void);
    } parts[] = {
        {"nulls", nulls}, {"reopen", reopen}, {"repeat", repeat}, {"abandon", abandon}, {"refuse", refuse}};
    CHECK(argc == 3);
    directory = argv[2];
    /* Registered before the libraries are loaded, so it runs after whatever they may have registered. */
    if (strcmp(argv[1], "static") == 0) CHECK(atexit(finalize_late) == 0);
    open_all();
    if (strcmp(argv[1], "static") == 0) {
        OK(axclInit_(NULL));
        take(NULL);
        puts("life static: finalised by an exit handler");
        return 0;
    }
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (strcmp(argv[1], parts[i].name) == 0) {
            parts[i].run();
            return 0;
        }
    }
    FAIL("no part %s", argv[1]);
}
