/* What all drivers share: closing, asking, and the account of the vendor's calls. */
#include <stdlib.h>
#include <string.h>

#include "axl_ops.h"
#include "axl_status.h"

/* The modes of the NPU that both interfaces know: undivided, standard, big-little, little-big. */
#define VNPU_MODES 4u

axl_status axl_driver_init(axl_driver *driver, const axl_ops *ops, const axl_driver_options *options)
{
    if (options->vnpu >= VNPU_MODES) {
        return axl_error(AXL_ERR_ARGUMENT, "the NPU has no such mode");
    }
    driver->ops = ops;
    driver->activity = options->activity != NULL ? options->activity : &driver->own_activity;
    driver->layer = AXL_NO_LAYER;
    for (uint32_t what = 0; what < AXL_TOLERATED; what++) {
        driver->tolerated[what] = axl_ok();
    }
    return axl_ok();
}

axl_status axl_driver_close(axl_driver *driver)
{
    if (driver == NULL) {
        return axl_ok();
    }
    if (driver->models != 0) {
        return axl_error(AXL_ERR_ARGUMENT, "axl_driver_close: a model is still open");
    }
    const axl_status status = driver->ops->close(driver);
    free(driver);
    return status;
}

void axl_driver_query(axl_driver *driver, axl_driver_info *info)
{
    axl_driver_measure(driver);
    *info = driver->info;
}

axl_status axl_driver_tolerated(const axl_driver *driver, axl_tolerance what)
{
    return (uint32_t)what < AXL_TOLERATED ? driver->tolerated[what]
                                          : axl_error(AXL_ERR_ARGUMENT, "axl_driver_tolerated: no such kind");
}

void axl_driver_tolerate(axl_driver *driver, axl_tolerance what, const axl_status *status)
{
    driver->tolerated[what] = *status;
}

void axl_driver_measure(axl_driver *driver)
{
    uint64_t total = 0;
    uint64_t free_bytes = 0;
    const axl_status status = driver->ops->measure(driver, &total, &free_bytes);
    const bool known = status.code == AXL_OK && free_bytes <= total;
    driver->info.total_memory = known ? total : 0;
    driver->info.free_memory = known ? free_bytes : 0;
    if (status.code != AXL_OK) {
        axl_driver_tolerate(driver, AXL_WITHOUT_MEMORY, &status);
    }
}

void axl_driver_spend(axl_driver *driver, uint64_t bytes)
{
    uint64_t *free_bytes = &driver->info.free_memory;
    *free_bytes -= bytes < *free_bytes ? bytes : *free_bytes;
}

axl_status axl_driver_for_memory(axl_driver *driver, axl_status status, uint64_t bytes)
{
    if (status.code == AXL_ERR_CALL && driver->ops->may_mean_memory(status.vendor_code)) {
        axl_driver_measure(driver);
        const axl_driver_info *info = &driver->info;
        if (info->total_memory != 0 && info->free_memory < bytes) {
            status.code = AXL_ERR_DEVICE_MEMORY;
            axl_describe_need(&status, bytes, info->free_memory);
        }
    }
    return axl_needing(status, bytes);
}

void axl_driver_stats(const axl_driver *driver, axl_stats *stats)
{
    *stats = driver->stats;
}

axl_status axl_out_of_bounds(void)
{
    return axl_error(AXL_ERR_ARGUMENT, "a copy would leave its buffer");
}

void axl_copy_text(char *out, size_t size, const char *text)
{
    out[0] = '\0';
    if (text != NULL) {
        strncat(out, text, size - 1);
    }
}

axl_status axl_read_shape(const int32_t *dims, int32_t rank, uint64_t bytes, axl_shape *out)
{
    *out = (axl_shape){.bytes = bytes};
    if (dims == NULL || rank < 1 || rank > AXL_MAX_RANK) {
        return axl_error(AXL_ERR_MODEL, "a tensor has an unexpected number of dimensions");
    }
    out->rank = (uint32_t)rank;
    for (uint32_t i = 0; i < out->rank; i++) {
        if (dims[i] < 1) {
            return axl_error(AXL_ERR_MODEL, "a tensor has a dimension below one");
        }
        out->dims[i] = (uint32_t)dims[i];
    }
    return axl_ok();
}

void axl_call_begin(axl_driver *driver, const char *call)
{
    axl_activity *activity = driver->activity;
    __atomic_store_n(&activity->since_ns, axl_clock_ns(), __ATOMIC_RELAXED);
    __atomic_store_n(&activity->layer, driver->layer, __ATOMIC_RELAXED);
    __atomic_store_n(&activity->serial, activity->serial + 1, __ATOMIC_RELAXED);
    __atomic_store_n(&activity->call, call, __ATOMIC_RELEASE);
}

void axl_call_end(axl_driver *driver, axl_call_kind kind)
{
    axl_stats *stats = &driver->stats;
    const uint64_t spent = axl_clock_ns() - driver->activity->since_ns;
    __atomic_store_n(&driver->activity->call, NULL, __ATOMIC_RELEASE);
    stats->driver_calls++;
    stats->driver_ns += spent;
    stats->blocking_calls += kind == AXL_CALL_CARD || kind == AXL_CALL_RUN;
    stats->cache_calls += kind == AXL_CALL_CACHE;
    stats->run_ns += kind == AXL_CALL_RUN ? spent : 0;
}
