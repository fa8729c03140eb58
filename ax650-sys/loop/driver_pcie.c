/* The driver of a PCIe or M.2 card: AXCL. Opening, closing, asking. */
#include <stdlib.h>
#include <string.h>

#include "driver_pcie.h"

/* The parts of a code of the runtime: which of its modules does not matter, whether it is one does. */
static bool is_runtime(uint32_t code, uint32_t error)
{
    return (code & 0x80FF0000u) == 0x80300000u && (code & 0xFFu) == error;
}

static axl_status outcome(axclError error, const char *call)
{
    if (error == AXCL_SUCC) {
        return axl_ok();
    }
    const uint32_t code = (uint32_t)error;
    const bool no_memory = is_runtime(code, AXCL_ERR_NO_MEMORY) || code == AX_ERR_CMM_NOMEM;
    return (axl_status){
        .code = no_memory ? AXL_ERR_DEVICE_MEMORY : AXL_ERR_CALL,
        .vendor_code = error,
        .call = call,
        .layer = AXL_NO_LAYER,
    };
}

/*
 * Of an allocation and of a load the library tells that the card refused them, not why (HOST memory.cpp and engine.cpp,
 * `invoke`); older ones that its answer could not be decoded (ISS).
 */
static bool pcie_may_mean_memory(int32_t vendor_code)
{
    switch ((uint32_t)vendor_code) {
    case AXCL_ERR_MEMORY_EXECUTE_FAIL:
    case AXCL_ERR_MEMORY_DECODE:
    case AXCL_ERR_ENGINE_EXECUTE_FAIL:
    case AXCL_ERR_ENGINE_DECODE:
        return true;
    default:
        return false;
    }
}

/* A request that could not even be sent (HOST axcl_task.cpp). */
static bool is_gone(axclError error)
{
    return (uint32_t)error == AXCL_ERR_TASK_EXECUTE_FAIL || (uint32_t)error == AXCL_ERR_TASK_SUBMIT;
}

axl_status pcie_finish(pcie_driver *driver, axl_call_kind kind, axclError error, const char *call)
{
    axl_call_end(&driver->base, kind);
    if (is_gone(error)) {
        driver->gone = true;
    } else if (error == AXCL_SUCC && kind != AXL_CALL_HOST) {
        driver->gone = false;
    }
    return outcome(error, call);
}

/* Notes say "0x4" for what 2.25.0 answers, by which they may mean the whole code or its end (ONNXSIM). */
axl_status pcie_queued(pcie_driver *driver, axl_status status)
{
    const uint32_t code = (uint32_t)status.vendor_code;
    if (status.code == AXL_OK) {
        driver->gone = false;
    }
    if (status.code == AXL_ERR_CALL && (code == AXCL_ERR_UNSUPPORT || is_runtime(code, AXCL_ERR_UNSUPPORT))) {
        axl_driver_tolerate(&driver->base, AXL_WITHOUT_ASYNC, &status);
        status.code = AXL_ERR_UNSUPPORTED;
        driver->no_queue = true;
    }
    return status;
}

static uint32_t pcie_capabilities(const axl_driver *base)
{
    const pcie_driver *driver = (const pcie_driver *)(const void *)base;
    const bool pinned = driver->table.axclrtMallocHost != NULL && driver->table.axclrtFreeHost != NULL;
    const bool queue = driver->stream != NULL && !driver->no_queue;
    return (pinned ? AXL_PATH_PINNED : 0u) | (queue ? AXL_PATH_ASYNC : 0u);
}

/* KB, by the card's own account (HOST axcl_device.cpp). */
static axl_status pcie_measure(axl_driver *base, uint64_t *total, uint64_t *free_bytes)
{
    pcie_driver *driver = pcie(base);
    if (driver->table.axclrtGetDeviceProperties == NULL) {
        return axl_ok();
    }
    axclrtDeviceProperties properties = {0};
    AXL_TRY(PCIE_CALL(driver, AXL_CALL_CARD, axclrtGetDeviceProperties, (driver->device, &properties)));
    *total = (uint64_t)properties.totalCmmSize * 1024u;
    *free_bytes = (uint64_t)properties.freeCmmSize * 1024u;
    return axl_ok();
}

/* The name of the chip is asked of the card, which may be too busy to answer: "UNKNOWN" (HOST axcl_rt.cpp). */
static void identify(pcie_driver *driver)
{
    axl_driver_info *info = &driver->base.info;
    info->device_id = driver->device;
    info->device_count = driver->device_count;
    if (driver->table.axclrtGetSocName != NULL) {
        axl_call_begin(&driver->base, "axclrtGetSocName");
        const char *soc = driver->table.axclrtGetSocName();
        axl_call_end(&driver->base, AXL_CALL_CARD);
        const bool known = soc != NULL && strcmp(soc, "UNKNOWN") != 0;
        axl_copy_text(info->soc, sizeof info->soc, known ? soc : NULL);
    }
    if (driver->table.axclrtGetFullVersion != NULL) {
        axl_call_begin(&driver->base, "axclrtGetFullVersion");
        axl_copy_text(info->version, sizeof info->version, driver->table.axclrtGetFullVersion());
        axl_call_end(&driver->base, AXL_CALL_HOST);
    }
}

/* Undoes as much of the opening as was done; of what is on a card that is gone, nothing is left to be undone. */
static axl_status pcie_close(axl_driver *base)
{
    pcie_driver *driver = pcie(base);
    axl_status status = axl_ok();
    if (driver->stream != NULL && !driver->gone) {
        axl_keep_first(&status, PCIE_CALL(driver, AXL_CALL_CARD, axclrtDestroyStream, (driver->stream)));
    }
    if (driver->engine && !driver->gone) {
        axl_keep_first(&status, PCIE_CALL(driver, AXL_CALL_CARD, axclrtEngineFinalize, ()));
    }
    if (driver->bound) {
        axl_keep_first(&status, PCIE_CALL(driver, AXL_CALL_CARD, axclrtResetDevice, (driver->device)));
    }
    if (driver->initialised) {
        axl_keep_first(&status, PCIE_CALL(driver, AXL_CALL_CARD, axclFinalize, ()));
    }
    return status;
}

static const axl_ops pcie_ops = {
    .close = pcie_close,
    .measure = pcie_measure,
    .load_factor = 2, /* the file itself, then what is made of it (HOST engine_load_unload.cpp) */
    .may_mean_memory = pcie_may_mean_memory,
    .tensors_per_group = false,
    .capabilities = pcie_capabilities,
    .alloc = pcie_alloc,
    .free = pcie_free,
    .host_alloc = pcie_host_alloc,
    .host_free = pcie_host_free,
    .upload = pcie_upload,
    .download = pcie_download,
    .copy = pcie_copy,
    .load = pcie_load,
    .unload = pcie_unload,
    .tensor_count = pcie_tensor_count,
    .tensor_name = pcie_tensor_name,
    .tensor_shape = pcie_tensor_shape,
    .io_create = pcie_io_create,
    .io_destroy = pcie_io_destroy,
    .bind = pcie_bind,
    .run = pcie_run,
    .wait = pcie_wait,
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
    AXL_TRY(PCIE_CALL(driver, AXL_CALL_CARD, axclrtGetDeviceList, (&list)));
    if (list.num > AXCL_MAX_DEVICE_COUNT || device_index >= list.num) {
        return axl_error(AXL_ERR_NO_CARD, "axclrtGetDeviceList");
    }
    driver->device = list.devices[device_index];
    driver->device_count = list.num;
    return axl_ok();
}

/* Fails when the NPU is up already; that is fine as long as it is up in the mode that we want. */
static axl_status start_engine(pcie_driver *driver, uint32_t mode)
{
    const axclrtEngineVNpuKind wanted = (axclrtEngineVNpuKind)mode;
    const axl_status status = PCIE_CALL(driver, AXL_CALL_CARD, axclrtEngineInit, (wanted));
    if (status.code == AXL_OK) {
        driver->engine = true;
        return status;
    }
    if (driver->table.axclrtEngineGetVNpuKind == NULL) {
        return status;
    }
    axclrtEngineVNpuKind kind = wanted == AXCL_VNPU_DISABLE ? AXCL_VNPU_ENABLE : AXCL_VNPU_DISABLE;
    const axl_status asked = PCIE_CALL(driver, AXL_CALL_CARD, axclrtEngineGetVNpuKind, (&kind));
    return asked.code == AXL_OK && kind == wanted ? asked : status;
}

/* Without a stream everything is waited for: slower, not wrong. So its failure is not one of the opening. */
static void open_stream(pcie_driver *driver)
{
    const ax_pcie_table *table = &driver->table;
    if (table->axclrtCreateStream == NULL || table->axclrtDestroyStream == NULL ||
        table->axclrtSynchronizeStream == NULL || table->axclrtMemcpyAsync == NULL ||
        table->axclrtEngineExecuteAsync == NULL) {
        return;
    }
    const axl_status status = PCIE_CALL(driver, AXL_CALL_CARD, axclrtCreateStream, (&driver->stream));
    if (status.code != AXL_OK) {
        axl_driver_tolerate(&driver->base, AXL_WITHOUT_ASYNC, &status);
        driver->stream = NULL;
    }
}

static axl_status start(pcie_driver *driver, const axl_driver_options *options)
{
    AXL_TRY(PCIE_CALL(driver, AXL_CALL_CARD, axclInit, (NULL)));
    driver->initialised = true;
    AXL_TRY(choose_device(driver, options->device_index));
    AXL_TRY(PCIE_CALL(driver, AXL_CALL_CARD, axclrtSetDevice, (driver->device)));
    driver->bound = true;
    AXL_TRY(start_engine(driver, options->vnpu));
    open_stream(driver);
    identify(driver);
    return axl_ok();
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
    axl_status status = axl_driver_init(&driver->base, &pcie_ops, options);
    if (status.code != AXL_OK) {
        free(driver);
        return status;
    }
    driver->table = *table;
    status = start(driver, options);
    if (status.code != AXL_OK) {
        axl_keep_first(&status, axl_driver_close(&driver->base));
        return status;
    }
    *out = &driver->base;
    return status;
}
