/* The fake card behind the table of PCIe cards. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_card.h"

enum { MAX_TASKS = 512, FIRST_MODEL = 40 };

/* An info and an io are these too: the number of the file, from 1, and its bindings. */
typedef struct fake_io {
    uint32_t file;
    uint32_t tasks; /* queued with it */
    uint64_t addresses[FAKE_TENSORS];
    uint64_t sizes[FAKE_TENSORS];
    uint64_t serials[FAKE_TENSORS]; /* of what was there when it was bound */
} fake_io;

/* A copy, or a run where io is there. */
typedef struct fake_task {
    void *dst;
    const void *src;
    size_t count;
    axclrtMemcpyKind kind;
    fake_io *io;
    uint32_t group;
} fake_task;

static fake_task tasks[MAX_TASKS];
static void *stream;
static void *pinned;
static size_t pinned_size;

/* For a call that waits for an answer. */
static void ask(void) { fake_require(!fake.gone, "a call that waits for ever: the card is gone"); }

/* For one that is over when it is sent. */
#define FAKE_SEND()                                  \
    do {                                             \
        FAKE_STEP();                                 \
        if (fake.gone) {                             \
            return (axclError)AXCL_ERR_TASK_EXECUTE_FAIL; \
        }                                            \
    } while (0)

static axclError init(const char *config) { (void)config; return fake_create(); }

/* What is left on a card that is gone goes with it; what is left of the host's shows in the sanitizer's leaks. */
static axclError finalize(void)
{
    if (fake.gone) {
        fake_drop_memory();
        free(stream);
        stream = NULL;
        fake.queued = 0;
        fake.objects = 1;
    }
    return fake_destroy();
}
static axclError set_device(int32_t device) { return device == 129 ? fake_create() : -1; }

static axclError reset_device(int32_t device)
{
    return device == 129 && (stream == NULL || fake.gone) ? fake_destroy() : -1;
}

static axclError device_list(axclrtDeviceList *list)
{
    FAKE_STEP();
    list->num = fake.devices;
    list->devices[0] = 129;
    return 0;
}

static axclError properties(int32_t device, axclrtDeviceProperties *out)
{
    FAKE_STEP();
    (void)device;
    fake.questions++;
    out->totalCmmSize = (uint32_t)fake.total_kib;
    out->freeCmmSize = (uint32_t)fake.free_kib;
    return 0;
}

static const char *soc_name(void) { fake.names++; return fake.soc; }
static const char *version(void) { return "V0"; }

static uint64_t address_of(const void *ptr) { return (uint64_t)(uintptr_t)ptr; }

static axclError device_malloc(void **out, size_t size, axclrtMemMallocPolicy policy)
{
    (void)policy;
    *out = NULL;
    ask();
    FAKE_STEP();
    *out = (void *)(uintptr_t)fake_alloc(size, false, NULL);
    return 0;
}

static axclError device_free(void *ptr) { ask(); fake_free(address_of(ptr)); return fake_destroy(); }

static axclError device_memset(void *ptr, uint8_t value, size_t count)
{
    ask();
    FAKE_STEP();
    memset(fake_memory(address_of(ptr), count), value, count);
    return 0;
}

static axclError malloc_host(void **out, size_t size)
{
    *out = NULL;
    FAKE_STEP();
    pinned = *out = malloc(size);
    pinned_size = size;
    fake.objects++;
    return 0;
}

static axclError free_host(void *ptr)
{
    fake_require(fake.queued == 0, "host memory is freed while work is queued");
    pinned = ptr == pinned ? NULL : pinned;
    free(ptr);
    return fake_destroy();
}

static bool is_pinned(const void *ptr, size_t count)
{
    const uint64_t start = address_of(pinned);
    const uint64_t at = address_of(ptr);
    return pinned != NULL && at >= start && at - start <= pinned_size && count <= pinned_size - (at - start);
}

static void copy(const fake_task *task)
{
    const bool to_card = task->kind != AXCL_MEMCPY_DEVICE_TO_HOST;
    const bool from_card = task->kind != AXCL_MEMCPY_HOST_TO_DEVICE;
    void *dst = to_card ? fake_memory(address_of(task->dst), task->count) : task->dst;
    const void *src = from_card ? fake_memory(address_of(task->src), task->count) : task->src;
    if (!to_card || !from_card) {
        fake.unpinned += !is_pinned(to_card ? task->src : task->dst, task->count);
    }
    memcpy(dst, src, task->count);
}

/* Whether something on the queue has to do with the memory that an address is in. */
static bool is_queued(uint64_t address)
{
    const uint64_t serial = fake_serial(address);
    for (uint32_t i = 0; i < fake.queued; i++) {
        const fake_task *task = &tasks[i];
        const bool copied = task->io == NULL && task->kind != AXCL_MEMCPY_DEVICE_TO_HOST;
        bool used = copied && fake_serial(address_of(task->dst)) == serial;
        for (uint32_t tensor = 0; task->io != NULL && tensor < FAKE_TENSORS; tensor++) {
            used = used || task->io->serials[tensor] == serial;
        }
        if (used) {
            return true;
        }
    }
    return false;
}

static axclError device_memcpy(void *dst, const void *src, size_t count, axclrtMemcpyKind kind)
{
    if (kind == AXCL_MEMCPY_DEVICE_TO_DEVICE) {
        ask();
    }
    FAKE_SEND();
    const bool apart = kind == AXCL_MEMCPY_HOST_TO_DEVICE && !is_queued(address_of(dst));
    fake_require(fake.queued == 0 || apart, "a copy overtakes the queue");
    fake.overtaking += fake.queued != 0;
    copy(&(fake_task){.dst = dst, .src = src, .count = count, .kind = kind});
    return 0;
}

static axclError submit(fake_task task)
{
    fake_require(fake.queued < MAX_TASKS, "more tasks than the fake has room for");
    tasks[fake.queued++] = task;
    return 0;
}

static axclError memcpy_async(void *dst, const void *src, size_t count, axclrtMemcpyKind kind, axclrtStream at)
{
    FAKE_SEND();
    fake_require(at == stream && at != NULL, "a stream that is there");
    if (kind == AXCL_MEMCPY_DEVICE_TO_DEVICE && fake.no_queued_copies) {
        return (axclError)0x80300504u;
    }
    return submit((fake_task){.dst = dst, .src = src, .count = count, .kind = kind});
}

static axclError create_stream(axclrtStream *out)
{
    ask();
    FAKE_STEP();
    fake.objects++;
    *out = stream = malloc(1);
    return 0;
}

static axclError destroy_stream(axclrtStream old)
{
    ask();
    fake_require(old == stream && fake.queued == 0, "a stream is destroyed when nothing is queued");
    free(old);
    stream = NULL;
    return fake_destroy();
}

static axclError run(const fake_io *io, uint32_t group)
{
    for (uint32_t tensor = 0; tensor < fake_tensor_count(io->file); tensor++) {
        const uint64_t address = io->addresses[tensor];
        fake_require(address == 0 || io->serials[tensor] == fake_serial(address), "a tensor is bound to freed memory");
    }
    return fake_run(io->file, group, io->addresses, io->sizes);
}

/* An injected failure comes before the queue is done, so that it takes another wait to empty it. */
static axclError synchronize(axclrtStream at)
{
    ask();
    FAKE_STEP();
    fake_require(at == stream && at != NULL, "a stream that is there");
    if (fake.watched != NULL && fake.waits < sizeof fake.waited_layers / sizeof fake.waited_layers[0]) {
        fake_require(strcmp(fake.watched->call, "axclrtSynchronizeStream") == 0, "the call in progress is told");
        fake.waited_layers[fake.waits++] = fake.watched->layer;
    }
    axclError error = 0;
    const uint32_t count = fake.queued;
    fake.queued = 0;
    for (uint32_t i = 0; i < count; i++) {
        fake_task *task = &tasks[i];
        if (fake.fail_queued == i + 1) {
            error = fake.fail_code;
        } else if (task->io != NULL && fake.late_refusal) {
            error = (axclError)AXCL_ERR_ENGINE_AXCL_UNSUPPORTED;
        } else if (task->io == NULL) {
            copy(task);
        } else if (run(task->io, task->group) != 0) {
            error = -3;
        }
        if (task->io != NULL) {
            task->io->tasks--;
        }
    }
    return error;
}

static axclError engine_init(axclrtEngineVNpuKind kind)
{
    (void)kind;
    return fake.npu_mode >= 0 ? fake.fail_code : fake_create();
}

static axclError vnpu_kind(axclrtEngineVNpuKind *kind)
{
    FAKE_STEP();
    *kind = (axclrtEngineVNpuKind)fake.npu_mode;
    return 0;
}

static axclError engine_finalize(void) { ask(); return fake_destroy(); }

static axclError load(const char *path, uint64_t *model)
{
    ask();
    FAKE_STEP();
    unsigned char content[8];
    FILE *file = fopen(path, "rb");
    const size_t size = file == NULL ? 0 : fread(content, 1, sizeof content, file);
    if (file != NULL) {
        fclose(file);
    }
    const uint32_t number = fake_file(content, size);
    if (number == 0) {
        return -1;
    }
    *model = FIRST_MODEL + number;
    fake_take(2);
    fake.objects++;
    return 0;
}

static axclError unload(uint64_t model)
{
    (void)model;
    ask();
    fake_require(fake.queued == 0, "a model is unloaded while work is queued");
    fake_give();
    return fake_destroy();
}

static axclError create_context(uint64_t model, uint64_t *context)
{
    ask();
    FAKE_STEP();
    *context = model + 100;
    return 0;
}

static axclError io_object(uint32_t file, void **out)
{
    *out = NULL;
    FAKE_STEP();
    fake_io *io = calloc(1, sizeof *io);
    io->file = file;
    fake.objects++;
    *out = io;
    return 0;
}


static axclError io_info(uint64_t model, axclrtEngineIOInfo *info)
{
    return io_object((uint32_t)(model - FIRST_MODEL), info);
}

static axclError create_io(axclrtEngineIOInfo info, axclrtEngineIO *io)
{
    return io_object(((fake_io *)info)->file, io);
}

static axclError destroy_io(axclrtEngineIO io) { free(io); return fake_destroy(); }
static uint32_t file_of(axclrtEngineIOInfo info) { return ((const fake_io *)info)->file; }

static axclError group_count(axclrtEngineIOInfo info, int32_t *count)
{
    FAKE_STEP();
    *count = (int32_t)fake_group_count(file_of(info));
    return 0;
}

static uint32_t input_count(axclrtEngineIOInfo info) { return fake_is_head(file_of(info)) ? 1 : FAKE_INPUTS; }
static uint32_t output_count(axclrtEngineIOInfo info) { return fake_is_head(file_of(info)) ? 1 : FAKE_OUTPUTS; }
static uint32_t output(uint32_t file, uint32_t i) { return (fake_is_head(file) ? 1 : FAKE_INPUTS) + i; }
static const char *input_name(axclrtEngineIOInfo info, uint32_t i) { return fake_name(file_of(info), i); }

static const char *output_name(axclrtEngineIOInfo info, uint32_t i)
{
    return fake_name(file_of(info), output(file_of(info), i));
}

static uint64_t input_size(axclrtEngineIOInfo info, uint32_t group, uint32_t i)
{
    return fake_size(file_of(info), group, i);
}

static uint64_t output_size(axclrtEngineIOInfo info, uint32_t group, uint32_t i)
{
    return fake_size(file_of(info), group, output(file_of(info), i));
}

static axclError input_dims(axclrtEngineIOInfo info, uint32_t group, uint32_t i, axclrtEngineIODims *out)
{
    FAKE_STEP();
    out->dimCount = fake_rank(file_of(info));
    fake_dims(file_of(info), group, i, out->dims);
    return 0;
}

static axclError output_dims(axclrtEngineIOInfo info, uint32_t group, uint32_t i, axclrtEngineIODims *out)
{
    return input_dims(info, group, output(file_of(info), i), out);
}

/* When it fails, what was bound is bound no more. */
static axclError bind(fake_io *io, uint32_t tensor, const void *ptr, uint64_t size)
{
    fake_require(io->tasks == 0, "bindings change while a run with them is queued");
    io->addresses[tensor] = 0;
    FAKE_STEP();
    io->serials[tensor] = fake_serial(address_of(ptr));
    io->addresses[tensor] = address_of(ptr);
    io->sizes[tensor] = size;
    return 0;
}

static axclError bind_input(axclrtEngineIO io, uint32_t i, const void *ptr, uint64_t size)
{
    return bind(io, i, ptr, size);
}

static axclError bind_output(axclrtEngineIO io, uint32_t i, const void *ptr, uint64_t size)
{
    return bind(io, output(file_of(io), i), ptr, size);
}

static axclError execute(uint64_t model, uint64_t context, uint32_t group, axclrtEngineIO io)
{
    ask();
    FAKE_STEP();
    fake_require(fake.queued == 0, "a run overtakes the queue");
    const bool known = model == FIRST_MODEL + file_of(io) && context == model + 100;
    return known ? run(io, group) : -2;
}

static axclError execute_async(uint64_t model, uint64_t context, uint32_t group, axclrtEngineIO io, axclrtStream at)
{
    FAKE_SEND();
    fake_require(at == stream && at != NULL, "a stream that is there");
    if (fake.no_queued_runs) {
        return (axclError)AXCL_ERR_ENGINE_AXCL_UNSUPPORTED;
    }
    if (model != FIRST_MODEL + file_of(io) || context != model + 100) {
        return -2;
    }
    ((fake_io *)io)->tasks++;
    return submit((fake_task){.io = io, .group = group});
}

ax_pcie_table fake_pcie_table(void)
{
    return (ax_pcie_table){
        .axclInit = init,
        .axclFinalize = finalize,
        .axclrtSetDevice = set_device,
        .axclrtResetDevice = reset_device,
        .axclrtGetDeviceList = device_list,
        .axclrtGetDeviceProperties = properties,
        .axclrtGetSocName = soc_name,
        .axclrtGetFullVersion = version,
        .axclrtMalloc = device_malloc,
        .axclrtFree = device_free,
        .axclrtMemset = device_memset,
        .axclrtMemcpy = device_memcpy,
        .axclrtMallocHost = malloc_host,
        .axclrtFreeHost = free_host,
        .axclrtMemcpyAsync = memcpy_async,
        .axclrtCreateStream = create_stream,
        .axclrtDestroyStream = destroy_stream,
        .axclrtSynchronizeStream = synchronize,
        .axclrtEngineInit = engine_init,
        .axclrtEngineGetVNpuKind = vnpu_kind,
        .axclrtEngineFinalize = engine_finalize,
        .axclrtEngineLoadFromFile = load,
        .axclrtEngineUnload = unload,
        .axclrtEngineCreateContext = create_context,
        .axclrtEngineGetIOInfo = io_info,
        .axclrtEngineDestroyIOInfo = destroy_io,
        .axclrtEngineGetShapeGroupsCount = group_count,
        .axclrtEngineGetNumInputs = input_count,
        .axclrtEngineGetNumOutputs = output_count,
        .axclrtEngineGetInputSizeByIndex = input_size,
        .axclrtEngineGetOutputSizeByIndex = output_size,
        .axclrtEngineGetInputNameByIndex = input_name,
        .axclrtEngineGetOutputNameByIndex = output_name,
        .axclrtEngineGetInputDims = input_dims,
        .axclrtEngineGetOutputDims = output_dims,
        .axclrtEngineCreateIO = create_io,
        .axclrtEngineDestroyIO = destroy_io,
        .axclrtEngineSetInputBufferByIndex = bind_input,
        .axclrtEngineSetOutputBufferByIndex = bind_output,
        .axclrtEngineExecute = execute,
        .axclrtEngineExecuteAsync = execute_async,
    };
}
