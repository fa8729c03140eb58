#include "fake_card.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

fake_card fake;

enum {
    INPUTS = 5,
    OUTPUTS = 3,
    MAX_MODELS = 8,
    EXECUTE_FAIL = (int)AXCL_ERR_ENGINE_EXECUTE_FAIL,
};

/* Two decode groups, and prefill groups that do not reach the end; not in order on purpose. */
static const struct {
    int32_t rows;
    int32_t history;
} groups[FAKE_GROUPS] = {{1, FAKE_CONTEXT}, {FAKE_CHUNK, 9}, {1, 5}, {FAKE_CHUNK, 0}, {FAKE_CHUNK, 4}};

static const char *const input_names[INPUTS] = {"K_cache", "V_cache_3", "indices", "input", "mask"};
static const char *const output_names[OUTPUTS] = {"K_cache_out", "V_cache_out", "output"};

/* An info and an io are these too: the number of the file, from 1, and its bindings. */
typedef struct fake_io {
    uint32_t file;
    void *buffers[INPUTS + OUTPUTS];
    uint64_t sizes[INPUTS + OUTPUTS];
} fake_io;

void fake_reset(void)
{
    fake = (fake_card){.devices = 1, .free_kib = 1u << 20, .fail_code = EXECUTE_FAIL, .groups = FAKE_GROUPS, .rank = 3};
}

static axclError step(void)
{
    fake.calls++;
    return fake.calls == fake.fail_at ? fake.fail_code : 0;
}

#define STEP()                          \
    do {                                \
        const axclError step_error = step(); \
        if (step_error != 0) {          \
            return step_error;          \
        }                               \
    } while (0)

static axclError create(void)
{
    STEP();
    fake.objects++;
    return 0;
}

/* Giving back works even when it is made to fail, as the loop has no second try. */
static axclError destroy(void)
{
    fake.objects--;
    return step();
}

static axclError init(const char *config) { (void)config; return create(); }
static axclError finalize(void) { return destroy(); }
static axclError set_device(int32_t device) { return device == 129 ? create() : -1; }
static axclError reset_device(int32_t device) { return device == 129 ? destroy() : -1; }

static axclError device_list(axclrtDeviceList *list)
{
    STEP();
    list->num = fake.devices;
    list->devices[0] = 129;
    return 0;
}

static axclError properties(int32_t device, axclrtDeviceProperties *out)
{
    STEP();
    (void)device;
    out->totalCmmSize = 1u << 20;
    out->freeCmmSize = (uint32_t)fake.free_kib;
    return 0;
}

static axclError device_malloc(void **out, size_t size, axclrtMemMallocPolicy policy)
{
    (void)policy;
    *out = NULL;
    STEP();
    *out = malloc(size);
    memset(*out, 0xFF, size); /* never zeroed, as on a real card */
    fake.objects++;
    return 0;
}

static axclError device_free(void *ptr) { free(ptr); return destroy(); }
static axclError device_memset(void *ptr, uint8_t value, size_t count) { STEP(); memset(ptr, value, count); return 0; }

static axclError device_memcpy(void *dst, const void *src, size_t count, axclrtMemcpyKind kind)
{
    (void)kind;
    STEP();
    memcpy(dst, src, count);
    return 0;
}

static axclError engine_init(axclrtEngineVNpuKind kind) { (void)kind; return fake.npu_is_up ? EXECUTE_FAIL : create(); }
static axclError vnpu_kind(axclrtEngineVNpuKind *kind) { STEP(); *kind = AXCL_VNPU_DISABLE; return 0; }
static axclError engine_finalize(void) { return destroy(); }

static axclError load(const char *path, uint64_t *model)
{
    STEP();
    *model = 40 + fake.loaded++;
    fake.objects++;
    return path[0] == 'l' || path[0] == 'h' ? 0 : -1;
}

static axclError unload(uint64_t model) { (void)model; return destroy(); }
static axclError create_context(uint64_t model, uint64_t *context) { STEP(); *context = model + 100; return 0; }

static axclError io_object(uint32_t file, void **out)
{
    *out = NULL;
    STEP();
    fake_io *io = calloc(1, sizeof *io);
    io->file = file;
    fake.objects++;
    *out = io;
    return 0;
}

static axclError io_info(uint64_t model, axclrtEngineIOInfo *info) { return io_object((uint32_t)(model - 39), info); }
static axclError create_io(axclrtEngineIOInfo info, axclrtEngineIO *io) { return io_object(((fake_io *)info)->file, io); }
static axclError destroy_io(axclrtEngineIO io) { free(io); return destroy(); }

static bool is_head(const fake_io *io) { return io->file == 3; }
static bool is_bad(const fake_io *io) { return fake.bad_layer == io->file || fake.bad_layer == FAKE_ALL; }

static axclError group_count(axclrtEngineIOInfo info, int32_t *count)
{
    STEP();
    *count = is_head(info) ? 1 : is_bad(info) ? fake.groups : FAKE_GROUPS;
    return 0;
}

static uint32_t input_count(axclrtEngineIOInfo info) { return is_head(info) ? 1 : INPUTS; }
static uint32_t output_count(axclrtEngineIOInfo info) { return is_head(info) ? 1 : OUTPUTS; }

static const char *name(const fake_io *io, const char *usual)
{
    const bool renamed = is_bad(io) && fake.rename_from != NULL && strcmp(fake.rename_from, usual) == 0;
    return renamed ? fake.rename_to : usual;
}

static const char *input_name(axclrtEngineIOInfo info, uint32_t i)
{
    return name(info, is_head(info) ? "input" : input_names[i]);
}

static const char *output_name(axclrtEngineIOInfo info, uint32_t i)
{
    return name(info, is_head(info) ? "output" : output_names[i]);
}

/* Rows and width of a tensor; the inputs come first. */
static void shape(const fake_io *io, uint32_t group, uint32_t tensor, int32_t *rows, int32_t *width)
{
    const int32_t cache = groups[group].history == 0 ? 1 : groups[group].history;
    const int32_t mask = groups[group].history + groups[group].rows;
    const int32_t sizes[INPUTS + OUTPUTS][2] = {
        {cache, FAKE_KV}, {cache, FAKE_KV}, {1, groups[group].rows}, {groups[group].rows, FAKE_HIDDEN},
        {groups[group].rows, mask}, {groups[group].rows, FAKE_KV}, {groups[group].rows, FAKE_KV},
        {groups[group].rows, FAKE_HIDDEN},
    };
    *rows = is_head(io) ? 1 : sizes[tensor][0];
    *width = is_head(io) ? (tensor == 0 ? FAKE_HIDDEN : FAKE_VOCAB) : sizes[tensor][1];
    *width += is_bad(io) && tensor == 0 ? fake.extra_dim : 0;
}

static uint64_t size_of(const fake_io *io, uint32_t group, uint32_t tensor)
{
    int32_t rows = 0;
    int32_t width = 0;
    shape(io, group, tensor, &rows, &width);
    const uint64_t bytes = !is_head(io) && tensor == 2 ? 4 : 2;
    return (uint64_t)rows * (uint64_t)width * bytes + (is_bad(io) && tensor == INPUTS - 1 ? fake.extra_size : 0);
}

static axclError dims(const fake_io *io, uint32_t group, uint32_t tensor, axclrtEngineIODims *out)
{
    STEP();
    out->dimCount = is_bad(io) ? fake.rank : 3;
    out->dims[0] = 1;
    shape(io, group, tensor, &out->dims[1], &out->dims[2]);
    return 0;
}

static uint64_t input_size(axclrtEngineIOInfo info, uint32_t group, uint32_t i) { return size_of(info, group, i); }

static uint64_t output_size(axclrtEngineIOInfo info, uint32_t group, uint32_t i)
{
    return size_of(info, group, is_head(info) ? 1 : INPUTS + i);
}

static axclError input_dims(axclrtEngineIOInfo info, uint32_t group, uint32_t i, axclrtEngineIODims *out)
{
    return dims(info, group, i, out);
}

static axclError output_dims(axclrtEngineIOInfo info, uint32_t group, uint32_t i, axclrtEngineIODims *out)
{
    return dims(info, group, is_head(info) ? 1 : INPUTS + i, out);
}

static axclError bind(fake_io *io, uint32_t tensor, const void *ptr, uint64_t size)
{
    STEP();
    memcpy(&io->buffers[tensor], &ptr, sizeof ptr);
    io->sizes[tensor] = size;
    return 0;
}

static axclError bind_input(axclrtEngineIO io, uint32_t i, const void *ptr, uint64_t size) { return bind(io, i, ptr, size); }

static axclError bind_output(axclrtEngineIO io, uint32_t i, const void *ptr, uint64_t size)
{
    return bind(io, is_head(io) ? 1 : INPUTS + i, ptr, size);
}

static void require(bool condition, const char *rule)
{
    if (!condition) {
        fprintf(stderr, "fake card: %s\n", rule);
        abort();
    }
}

static bool sees(const uint16_t *mask)
{
    require(*mask == 0 || *mask == 0xC780, "a mask holds 0 or the pattern of -65536");
    return *mask == 0;
}

/* output = input + all K and V that the row sees, each weighed by its column's position. */
static void run_row(const fake_io *io, uint32_t group, int32_t row)
{
    const uint16_t *k = io->buffers[0];
    const uint16_t *v = io->buffers[1];
    const uint32_t *indices = io->buffers[2];
    const uint16_t *input = (const uint16_t *)io->buffers[3] + row * FAKE_HIDDEN;
    const int32_t columns = groups[group].history + groups[group].rows;
    const uint16_t *mask = (const uint16_t *)io->buffers[4] + row * columns;
    const uint16_t *k_out = io->buffers[5];
    const uint16_t *v_out = io->buffers[6];
    uint16_t *output = (uint16_t *)io->buffers[7] + row * FAKE_HIDDEN;
    uint32_t sum = indices[row] * 7u;
    bool padding = true;
    for (int32_t column = 0; column < columns; column++) {
        const int32_t own = column - groups[group].history;
        const uint32_t at = (uint32_t)(own < 0 ? column : own) * FAKE_KV;
        require(own >= 0 || k[at] != 0xFFFF, "a NaN poisons attention, visible or not");
        if (sees(&mask[column])) {
            sum += own < 0 ? k[at] * 3u + v[at + 1] : k_out[at] * 3u + v_out[at + 1];
            padding = false;
        }
    }
    static const uint16_t zeros[FAKE_HIDDEN];
    require(!padding || io->file != 1 || (indices[row] == 0 && memcmp(input, zeros, sizeof zeros) == 0), "padding is zero");
    for (int32_t i = 0; i < FAKE_HIDDEN; i++) {
        output[i] = (uint16_t)(input[i] * 5u + sum + (uint32_t)i + io->file);
    }
}

static void run_layer(const fake_io *io, uint32_t group)
{
    const uint32_t *indices = io->buffers[2];
    const uint16_t *input = io->buffers[3];
    for (int32_t row = 0; row < groups[group].rows; row++) {
        for (int32_t i = 0; i < FAKE_KV; i++) {
            const uint32_t value = input[row * FAKE_HIDDEN + i] + indices[row] * 11u + io->file;
            ((uint16_t *)io->buffers[5])[row * FAKE_KV + i] = (uint16_t)value;
            ((uint16_t *)io->buffers[6])[row * FAKE_KV + i] = (uint16_t)(value * 13u);
        }
    }
    for (int32_t row = 0; row < groups[group].rows; row++) {
        run_row(io, group, row);
    }
}

static void run_head(const fake_io *io)
{
    const uint16_t *input = io->buffers[0];
    for (uint32_t i = 0; i < FAKE_VOCAB; i++) {
        ((uint16_t *)io->buffers[1])[i] = (uint16_t)(input[i % FAKE_HIDDEN] * (i + 1));
    }
}

static axclError execute(uint64_t model, uint64_t context, uint32_t group, axclrtEngineIO handle)
{
    STEP();
    const fake_io *io = handle;
    if (model - 39 != io->file || context != model + 100) {
        return -2;
    }
    for (uint32_t tensor = 0; tensor < (is_head(io) ? 2u : INPUTS + OUTPUTS); tensor++) {
        if (io->buffers[tensor] == NULL || io->sizes[tensor] != size_of(io, group, tensor)) {
            return -3;
        }
    }
    if (is_head(io)) {
        run_head(io);
    } else {
        run_layer(io, group);
    }
    if (fake.cancel_after != 0 && --fake.cancel_after == 0) {
        fake.cancel = 1;
    }
    return 0;
}

ax_pcie_table fake_table(void)
{
    return (ax_pcie_table){
        .axclInit = init,
        .axclFinalize = finalize,
        .axclrtSetDevice = set_device,
        .axclrtResetDevice = reset_device,
        .axclrtGetDeviceList = device_list,
        .axclrtGetDeviceProperties = properties,
        .axclrtMalloc = device_malloc,
        .axclrtFree = device_free,
        .axclrtMemset = device_memset,
        .axclrtMemcpy = device_memcpy,
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
    };
}
