/* The driver of a PCIe or M.2 card: AXCL, every call waited for. */
#include <stdlib.h>
#include <string.h>

#include "axl_ops.h"
#include "axl_status.h"

typedef struct pcie_driver {
    axl_driver base;
    ax_pcie_table table;
    int32_t device;
    uint32_t device_count;
    bool initialised;
    bool bound;
    bool engine;
    uint64_t started;
} pcie_driver;

static pcie_driver *pcie(axl_driver *driver)
{
    return (pcie_driver *)(void *)driver;
}

/* "No memory" of the runtime in any of its parts, and of the chip's own allocator. */
static bool is_out_of_memory(uint32_t code)
{
    const bool runtime = (code & 0x80FF0000u) == 0x80300000u;
    return (runtime && (code & 0xFFu) == AXCL_ERR_NO_MEMORY) || code == AX_ERR_CMM_NOMEM;
}

static axl_status outcome(axclError error, const char *call)
{
    if (error == AXCL_SUCC) {
        return axl_ok();
    }
    const axl_code code = is_out_of_memory((uint32_t)error) ? AXL_ERR_DEVICE_MEMORY : AXL_ERR_CALL;
    return (axl_status){.code = code, .vendor_code = error, .call = call, .layer = AXL_NO_LAYER};
}

static void begin(pcie_driver *driver)
{
    driver->started = axl_clock_ns();
}

static void end(pcie_driver *driver)
{
    driver->base.stats.driver_calls++;
    driver->base.stats.driver_ns += axl_clock_ns() - driver->started;
}

static axl_status finish(pcie_driver *driver, axclError error, const char *call)
{
    end(driver);
    return outcome(error, call);
}

/* A call that only touches the library's own objects, and one that waits for the card. */
#define HOST_SIDE(driver, function, arguments) \
    (begin(driver), finish(driver, (driver)->table.function arguments, #function))
#define BLOCKING(driver, function, arguments) \
    ((driver)->base.stats.blocking_calls++, HOST_SIDE(driver, function, arguments))

static void copy_text(char *out, size_t size, const char *text)
{
    out[0] = '\0';
    if (text != NULL) {
        strncat(out, text, size - 1);
    }
}

static axl_status pcie_query(axl_driver *base, axl_driver_info *info)
{
    pcie_driver *driver = pcie(base);
    *info = (axl_driver_info){.device_id = driver->device, .device_count = driver->device_count};
    if (driver->table.axclrtGetSocName != NULL) {
        begin(driver);
        copy_text(info->soc, sizeof info->soc, driver->table.axclrtGetSocName());
        end(driver);
    }
    if (driver->table.axclrtGetFullVersion != NULL) {
        begin(driver);
        copy_text(info->version, sizeof info->version, driver->table.axclrtGetFullVersion());
        end(driver);
    }
    if (driver->table.axclrtGetDeviceProperties == NULL) {
        return axl_ok();
    }
    axclrtDeviceProperties properties = {0};
    AXL_TRY(BLOCKING(driver, axclrtGetDeviceProperties, (driver->device, &properties)));
    info->total_memory = (uint64_t)properties.totalCmmSize * 1024u;
    info->free_memory = (uint64_t)properties.freeCmmSize * 1024u;
    return axl_ok();
}

static axl_status pcie_free(axl_driver *base, axl_buffer *buffer)
{
    pcie_driver *driver = pcie(base);
    void *ptr = buffer->ptr;
    *buffer = (axl_buffer){0};
    return ptr == NULL ? axl_ok() : BLOCKING(driver, axclrtFree, (ptr));
}

/* Fresh memory holds whatever was there; a NaN under the mask would still poison attention. */
static axl_status pcie_alloc(axl_driver *base, uint64_t bytes, axl_buffer *out)
{
    pcie_driver *driver = pcie(base);
    *out = (axl_buffer){0};
    if (bytes == 0 || bytes > UINT32_MAX) {
        return axl_error(AXL_ERR_MODEL, "a buffer is empty or larger than one allocation of the card (4 GiB)");
    }
    AXL_TRY(BLOCKING(driver, axclrtMalloc, (&out->ptr, (size_t)bytes, AXCL_MEM_MALLOC_HUGE_FIRST)));
    if (out->ptr == NULL) {
        return axl_error(AXL_ERR_DEVICE_MEMORY, "axclrtMalloc gave no address");
    }
    out->bytes = bytes;
    axl_status status = BLOCKING(driver, axclrtMemset, (out->ptr, 0, (size_t)bytes));
    if (status.code != AXL_OK) {
        axl_keep_first(&status, pcie_free(base, out));
    }
    return status;
}

static bool is_within(const axl_buffer *buffer, uint64_t offset, uint64_t bytes)
{
    return offset <= buffer->bytes && bytes <= buffer->bytes - offset;
}

static axl_status out_of_bounds(void)
{
    return axl_error(AXL_ERR_ARGUMENT, "a copy would leave its buffer");
}

static axl_status pcie_upload(axl_driver *base, const axl_buffer *dst, const void *src, uint64_t bytes)
{
    pcie_driver *driver = pcie(base);
    if (!is_within(dst, 0, bytes)) {
        return out_of_bounds();
    }
    base->stats.bytes_to_device += bytes;
    return BLOCKING(driver, axclrtMemcpy, (dst->ptr, src, (size_t)bytes, AXCL_MEMCPY_HOST_TO_DEVICE));
}

static axl_status pcie_download(axl_driver *base, void *dst, const axl_buffer *src, uint64_t bytes)
{
    pcie_driver *driver = pcie(base);
    if (!is_within(src, 0, bytes)) {
        return out_of_bounds();
    }
    base->stats.bytes_from_device += bytes;
    return BLOCKING(driver, axclrtMemcpy, (dst, src->ptr, (size_t)bytes, AXCL_MEMCPY_DEVICE_TO_HOST));
}

static axl_status pcie_copy(axl_driver *base, const axl_buffer *dst, uint64_t dst_offset,
                            const axl_buffer *src, uint64_t src_offset, uint64_t bytes)
{
    pcie_driver *driver = pcie(base);
    if (!is_within(dst, dst_offset, bytes) || !is_within(src, src_offset, bytes)) {
        return out_of_bounds();
    }
    unsigned char *to = (unsigned char *)dst->ptr + dst_offset;
    const unsigned char *from = (const unsigned char *)src->ptr + src_offset;
    base->stats.bytes_on_device += bytes;
    return BLOCKING(driver, axclrtMemcpy, (to, from, (size_t)bytes, AXCL_MEMCPY_DEVICE_TO_DEVICE));
}

/* A model has no id that means "none", so the info tells whether there is something to unload. */
static axl_status pcie_load(axl_driver *base, const char *path, axl_program *out)
{
    pcie_driver *driver = pcie(base);
    *out = (axl_program){0};
    uint64_t model = 0;
    AXL_TRY(BLOCKING(driver, axclrtEngineLoadFromFile, (path, &model)));
    axl_status status = BLOCKING(driver, axclrtEngineCreateContext, (model, &out->context));
    if (status.code == AXL_OK) {
        status = BLOCKING(driver, axclrtEngineGetIOInfo, (model, &out->info));
    }
    if (status.code == AXL_OK && out->info == NULL) {
        status = axl_error(AXL_ERR_CALL, "axclrtEngineGetIOInfo");
    }
    if (status.code != AXL_OK) {
        axl_keep_first(&status, BLOCKING(driver, axclrtEngineUnload, (model)));
        *out = (axl_program){0};
        return status;
    }
    out->model = model;
    return status;
}

static axl_status pcie_unload(axl_driver *base, axl_program *program)
{
    pcie_driver *driver = pcie(base);
    if (program->info == NULL) {
        return axl_ok();
    }
    axl_status status = HOST_SIDE(driver, axclrtEngineDestroyIOInfo, (program->info));
    axl_keep_first(&status, BLOCKING(driver, axclrtEngineUnload, (program->model)));
    *program = (axl_program){0};
    return status;
}

static axl_status pcie_group_count(axl_driver *base, const axl_program *program, uint32_t *out)
{
    pcie_driver *driver = pcie(base);
    int32_t count = 0;
    AXL_TRY(HOST_SIDE(driver, axclrtEngineGetShapeGroupsCount, (program->info, &count)));
    *out = count > 0 ? (uint32_t)count : 0;
    return axl_ok();
}

static uint32_t pcie_tensor_count(axl_driver *base, const axl_program *program, axl_direction direction)
{
    pcie_driver *driver = pcie(base);
    begin(driver);
    const uint32_t count = direction == AXL_INPUT ? driver->table.axclrtEngineGetNumInputs(program->info)
                                                  : driver->table.axclrtEngineGetNumOutputs(program->info);
    end(driver);
    return count;
}

static const char *pcie_tensor_name(axl_driver *base, const axl_program *program, axl_direction direction,
                                    uint32_t tensor)
{
    pcie_driver *driver = pcie(base);
    begin(driver);
    const char *name = direction == AXL_INPUT
                           ? driver->table.axclrtEngineGetInputNameByIndex(program->info, tensor)
                           : driver->table.axclrtEngineGetOutputNameByIndex(program->info, tensor);
    end(driver);
    return name;
}

static axl_status read_dims(const axclrtEngineIODims *dims, axl_shape *out)
{
    if (dims->dimCount < 1 || dims->dimCount > AXL_MAX_RANK) {
        return axl_error(AXL_ERR_MODEL, "a tensor has an unexpected number of dimensions");
    }
    out->rank = (uint32_t)dims->dimCount;
    for (uint32_t i = 0; i < out->rank; i++) {
        if (dims->dims[i] < 1) {
            return axl_error(AXL_ERR_MODEL, "a tensor has a dimension below one");
        }
        out->dims[i] = (uint32_t)dims->dims[i];
    }
    return axl_ok();
}

static axl_status pcie_tensor_shape(axl_driver *base, const axl_program *program, axl_direction direction,
                                    uint32_t group, uint32_t tensor, axl_shape *out)
{
    pcie_driver *driver = pcie(base);
    axclrtEngineIODims dims = {0};
    *out = (axl_shape){0};
    if (direction == AXL_INPUT) {
        AXL_TRY(HOST_SIDE(driver, axclrtEngineGetInputDims, (program->info, group, tensor, &dims)));
    } else {
        AXL_TRY(HOST_SIDE(driver, axclrtEngineGetOutputDims, (program->info, group, tensor, &dims)));
    }
    begin(driver);
    out->bytes = direction == AXL_INPUT
                     ? driver->table.axclrtEngineGetInputSizeByIndex(program->info, group, tensor)
                     : driver->table.axclrtEngineGetOutputSizeByIndex(program->info, group, tensor);
    end(driver);
    return read_dims(&dims, out);
}

static axl_status pcie_io_create(axl_driver *base, const axl_program *program, void **io)
{
    pcie_driver *driver = pcie(base);
    return HOST_SIDE(driver, axclrtEngineCreateIO, (program->info, io));
}

static axl_status pcie_io_destroy(axl_driver *base, void **io)
{
    pcie_driver *driver = pcie(base);
    void *old = *io;
    *io = NULL;
    return old == NULL ? axl_ok() : HOST_SIDE(driver, axclrtEngineDestroyIO, (old));
}

static axl_status pcie_bind(axl_driver *base, void *io, axl_direction direction, uint32_t tensor,
                            const axl_buffer *buffer, uint64_t bytes)
{
    pcie_driver *driver = pcie(base);
    if (direction == AXL_INPUT) {
        return HOST_SIDE(driver, axclrtEngineSetInputBufferByIndex, (io, tensor, buffer->ptr, bytes));
    }
    return HOST_SIDE(driver, axclrtEngineSetOutputBufferByIndex, (io, tensor, buffer->ptr, bytes));
}

static axl_status pcie_run(axl_driver *base, const axl_program *program, uint32_t group, void *io)
{
    pcie_driver *driver = pcie(base);
    base->stats.runs++;
    return BLOCKING(driver, axclrtEngineExecute, (program->model, program->context, group, io));
}

/* Undoes as much of the opening as was done. */
static axl_status pcie_close(axl_driver *base)
{
    pcie_driver *driver = pcie(base);
    axl_status status = axl_ok();
    if (driver->engine) {
        axl_keep_first(&status, BLOCKING(driver, axclrtEngineFinalize, ()));
    }
    if (driver->bound) {
        axl_keep_first(&status, BLOCKING(driver, axclrtResetDevice, (driver->device)));
    }
    if (driver->initialised) {
        axl_keep_first(&status, BLOCKING(driver, axclFinalize, ()));
    }
    return status;
}

static const axl_ops pcie_ops = {
    .close = pcie_close,
    .query = pcie_query,
    .alloc = pcie_alloc,
    .free = pcie_free,
    .upload = pcie_upload,
    .download = pcie_download,
    .copy = pcie_copy,
    .load = pcie_load,
    .unload = pcie_unload,
    .group_count = pcie_group_count,
    .tensor_count = pcie_tensor_count,
    .tensor_name = pcie_tensor_name,
    .tensor_shape = pcie_tensor_shape,
    .io_create = pcie_io_create,
    .io_destroy = pcie_io_destroy,
    .bind = pcie_bind,
    .run = pcie_run,
};

/* The name of a required function that the table lacks, or NULL. */
static const char *missing(const ax_pcie_table *table)
{
#define REQUIRE(function)                \
    do {                                 \
        if (table->function == NULL) {   \
            return #function;            \
        }                                \
    } while (0)
    REQUIRE(axclInit);
    REQUIRE(axclFinalize);
    REQUIRE(axclrtSetDevice);
    REQUIRE(axclrtResetDevice);
    REQUIRE(axclrtGetDeviceList);
    REQUIRE(axclrtMalloc);
    REQUIRE(axclrtFree);
    REQUIRE(axclrtMemset);
    REQUIRE(axclrtMemcpy);
    REQUIRE(axclrtEngineInit);
    REQUIRE(axclrtEngineFinalize);
    REQUIRE(axclrtEngineLoadFromFile);
    REQUIRE(axclrtEngineUnload);
    REQUIRE(axclrtEngineCreateContext);
    REQUIRE(axclrtEngineGetIOInfo);
    REQUIRE(axclrtEngineDestroyIOInfo);
    REQUIRE(axclrtEngineGetShapeGroupsCount);
    REQUIRE(axclrtEngineGetNumInputs);
    REQUIRE(axclrtEngineGetNumOutputs);
    REQUIRE(axclrtEngineGetInputSizeByIndex);
    REQUIRE(axclrtEngineGetOutputSizeByIndex);
    REQUIRE(axclrtEngineGetInputNameByIndex);
    REQUIRE(axclrtEngineGetOutputNameByIndex);
    REQUIRE(axclrtEngineGetInputDims);
    REQUIRE(axclrtEngineGetOutputDims);
    REQUIRE(axclrtEngineCreateIO);
    REQUIRE(axclrtEngineDestroyIO);
    REQUIRE(axclrtEngineSetInputBufferByIndex);
    REQUIRE(axclrtEngineSetOutputBufferByIndex);
    REQUIRE(axclrtEngineExecute);
#undef REQUIRE
    return NULL;
}

/* Ids are taken from the list: on some versions they are bus numbers, not indices. */
static axl_status choose_device(pcie_driver *driver, uint32_t device_index)
{
    axclrtDeviceList list = {0};
    AXL_TRY(BLOCKING(driver, axclrtGetDeviceList, (&list)));
    if (list.num > AXCL_MAX_DEVICE_COUNT || device_index >= list.num) {
        return axl_error(AXL_ERR_NO_CARD, "axclrtGetDeviceList");
    }
    driver->device = list.devices[device_index];
    driver->device_count = list.num;
    return axl_ok();
}

/* Fails when the NPU is up already; that is fine as long as it is up undivided. */
static axl_status start_engine(pcie_driver *driver)
{
    const axl_status status = BLOCKING(driver, axclrtEngineInit, (AXCL_VNPU_DISABLE));
    if (status.code == AXL_OK) {
        driver->engine = true;
        return status;
    }
    if (driver->table.axclrtEngineGetVNpuKind == NULL) {
        return status;
    }
    axclrtEngineVNpuKind kind = AXCL_VNPU_ENABLE;
    const axl_status asked = BLOCKING(driver, axclrtEngineGetVNpuKind, (&kind));
    return asked.code == AXL_OK && kind == AXCL_VNPU_DISABLE ? asked : status;
}

static axl_status start(pcie_driver *driver, uint32_t device_index)
{
    AXL_TRY(BLOCKING(driver, axclInit, (NULL)));
    driver->initialised = true;
    AXL_TRY(choose_device(driver, device_index));
    AXL_TRY(BLOCKING(driver, axclrtSetDevice, (driver->device)));
    driver->bound = true;
    return start_engine(driver);
}

axl_status axl_driver_open_pcie(const ax_pcie_table *table, const axl_driver_options *options, axl_driver **out)
{
    if (table == NULL || options == NULL || out == NULL) {
        return axl_error(AXL_ERR_ARGUMENT, "axl_driver_open_pcie: NULL");
    }
    *out = NULL;
    const char *absent = missing(table);
    if (absent != NULL) {
        return axl_error(AXL_ERR_UNSUPPORTED, absent);
    }
    pcie_driver *driver = calloc(1, sizeof *driver);
    if (driver == NULL) {
        return axl_error(AXL_ERR_HOST_MEMORY, "driver");
    }
    driver->base.ops = &pcie_ops;
    driver->table = *table;
    axl_status status = start(driver, options->device_index);
    if (status.code != AXL_OK) {
        axl_keep_first(&status, axl_driver_close(&driver->base));
        return status;
    }
    *out = &driver->base;
    return status;
}
