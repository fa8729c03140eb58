/* The driver of the chip itself: AX_SYS and AX_ENGINE. Opening, closing, asking. */
#include <stdlib.h>

#include "driver_board.h"

axl_status board_finish(board_driver *driver, axl_call_kind kind, AX_S32 error, const char *call)
{
    axl_call_end(&driver->base, kind);
    if (error == 0) {
        return axl_ok();
    }
    return (axl_status){
        .code = (uint32_t)error == AX_ERR_CMM_NOMEM ? AXL_ERR_DEVICE_MEMORY : AXL_ERR_CALL,
        .vendor_code = error,
        .call = call,
        .layer = AXL_NO_LAYER,
    };
}

/* Every call of this interface blocks, and there is no bus. */
static uint32_t board_capabilities(const axl_driver *base)
{
    (void)base;
    return 0;
}

/* Codes of an NPU whose memory ran out; seen for other reasons as well (OLDNPU, LLM). */
static bool board_may_mean_memory(int32_t vendor_code)
{
    switch ((uint32_t)vendor_code) {
    case AX_ERR_NPU_NO_RESOURCE:
    case AX_ERR_NPU_MEMORY:
    case AX_ERR_NPU_TASK_FAILED:
        return true;
    default:
        return false;
    }
}

/* No board of this chip has less; our choice. */
#define LEAST_MEMORY (64u << 20)

/*
 * The unit of the figures is not told; KB is what a u32 can hold of these sizes (BSP-S). A total that no board has
 * shows that it is another one.
 */
static axl_status board_measure(axl_driver *base, uint64_t *total, uint64_t *free_bytes)
{
    board_driver *driver = board(base);
    if (driver->table.AX_SYS_MemQueryStatus == NULL) {
        return axl_ok();
    }
    AX_CMM_STATUS_T memory = {0};
    AXL_TRY(BOARD_CALL(driver, AXL_CALL_HOST, AX_SYS_MemQueryStatus, (&memory)));
    if ((uint64_t)memory.TotalSize * 1024u >= LEAST_MEMORY) {
        *total = (uint64_t)memory.TotalSize * 1024u;
        *free_bytes = (uint64_t)memory.RemainSize * 1024u;
    }
    return axl_ok();
}

static void identify(board_driver *driver)
{
    driver->base.info.device_count = 1;
    if (driver->table.AX_ENGINE_GetVersion != NULL) {
        axl_driver_info *info = &driver->base.info;
        axl_call_begin(&driver->base, "AX_ENGINE_GetVersion");
        axl_copy_text(info->version, sizeof info->version, driver->table.AX_ENGINE_GetVersion());
        axl_call_end(&driver->base, AXL_CALL_HOST);
    }
}

/* Undoes as much of the opening as was done. */
static axl_status board_close(axl_driver *base)
{
    board_driver *driver = board(base);
    axl_status status = axl_ok();
    if (driver->engine) {
        axl_keep_first(&status, BOARD_CALL(driver, AXL_CALL_HOST, AX_ENGINE_Deinit, ()));
    }
    if (driver->initialised) {
        axl_keep_first(&status, BOARD_CALL(driver, AXL_CALL_HOST, AX_SYS_Deinit, ()));
    }
    return status;
}

static const axl_ops board_ops = {
    .close = board_close,
    .measure = board_measure,
    .load_factor = 1, /* the file stays on the CPU's side */
    .may_mean_memory = board_may_mean_memory,
    .tensors_per_group = true,
    .capabilities = board_capabilities,
    .alloc = board_alloc,
    .free = board_free,
    .upload = board_upload,
    .download = board_download,
    .copy = board_copy,
    .load = board_load,
    .unload = board_unload,
    .tensor_count = board_tensor_count,
    .tensor_name = board_tensor_name,
    .tensor_shape = board_tensor_shape,
    .io_create = board_io_create,
    .io_destroy = board_io_destroy,
    .bind = board_bind,
    .run = board_run,
};

/* The name of a required function that the table lacks, or NULL. */
static const char *missing(const ax_board_table *table)
{
#define REQUIRE(function)              \
    do {                               \
        if (table->function == NULL) { \
            return #function;          \
        }                              \
    } while (0)
    REQUIRE(AX_SYS_Init);
    REQUIRE(AX_SYS_Deinit);
    REQUIRE(AX_SYS_MemAlloc);
    REQUIRE(AX_SYS_MemAllocCached);
    REQUIRE(AX_SYS_MemFree);
    REQUIRE(AX_SYS_MflushCache);
    REQUIRE(AX_SYS_MinvalidateCache);
    REQUIRE(AX_ENGINE_Init);
    REQUIRE(AX_ENGINE_Deinit);
    REQUIRE(AX_ENGINE_CreateHandle);
    REQUIRE(AX_ENGINE_DestroyHandle);
    REQUIRE(AX_ENGINE_GetIOInfo);
    REQUIRE(AX_ENGINE_CreateContext);
    REQUIRE(AX_ENGINE_CreateContextV2);
    REQUIRE(AX_ENGINE_RunSync);
#undef REQUIRE
    return NULL;
}

/* Fails when the NPU is up in another mode; when it is up in ours, that may be told as an error too. */
static axl_status start_engine(board_driver *driver, uint32_t mode)
{
    AX_ENGINE_NPU_ATTR_T attr = {.eHardMode = (AX_ENGINE_NPU_MODE_T)mode};
    const axl_status status = BOARD_CALL(driver, AXL_CALL_HOST, AX_ENGINE_Init, (&attr));
    if (status.code == AXL_OK) {
        driver->engine = true;
        return status;
    }
    if (driver->table.AX_ENGINE_GetVNPUAttr == NULL) {
        return status;
    }
    AX_ENGINE_NPU_ATTR_T found = {.eHardMode = (AX_ENGINE_NPU_MODE_T)(mode + 1)};
    const axl_status asked = BOARD_CALL(driver, AXL_CALL_HOST, AX_ENGINE_GetVNPUAttr, (&found));
    return asked.code == AXL_OK && (uint32_t)found.eHardMode == mode ? asked : status;
}

static axl_status start(board_driver *driver, const axl_driver_options *options)
{
    AXL_TRY(BOARD_CALL(driver, AXL_CALL_HOST, AX_SYS_Init, ()));
    driver->initialised = true;
    AXL_TRY(start_engine(driver, options->vnpu));
    identify(driver);
    return axl_ok();
}

axl_status axl_driver_open_board(const ax_board_table *table, const axl_driver_options *options, axl_driver **out)
{
    if (table == NULL || options == NULL || out == NULL) {
        return axl_error(AXL_ERR_ARGUMENT, "axl_driver_open_board: NULL");
    }
    *out = NULL;
    const char *absent = missing(table);
    if (absent != NULL) {
        return axl_error(AXL_ERR_UNSUPPORTED, absent);
    }
    if (options->device_index != 0) {
        return axl_error(AXL_ERR_NO_CARD, "a board has one chip, number 0");
    }
    board_driver *driver = calloc(1, sizeof *driver);
    if (driver == NULL) {
        return axl_error(AXL_ERR_HOST_MEMORY, "driver");
    }
    axl_status status = axl_driver_init(&driver->base, &board_ops, options);
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
