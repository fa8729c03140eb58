/* Memory of a PCIe or M.2 card, and what crosses the bus. */
#include "driver_pcie.h"

axl_status pcie_free(axl_driver *base, axl_buffer *buffer)
{
    pcie_driver *driver = pcie(base);
    const axl_buffer old = *buffer;
    *buffer = (axl_buffer){0};
    const bool nothing = old.address == 0 || driver->gone;
    return nothing ? axl_ok() : PCIE_CALL(driver, AXL_CALL_CARD, axclrtFree, (pcie_address(&old, 0)));
}

/*
 * Always uncached: the cached kind is cached by the card's CPU, which touches nothing here.
 * Fresh memory holds whatever was there; a NaN under the mask would still poison attention.
 */
axl_status pcie_alloc(axl_driver *base, axl_use use, uint64_t bytes, axl_buffer *out)
{
    (void)use;
    pcie_driver *driver = pcie(base);
    *out = (axl_buffer){0};
    if (bytes == 0 || bytes > UINT32_MAX) {
        return axl_error(AXL_ERR_MODEL, "a buffer is empty or larger than one allocation of the card (4 GiB)");
    }
    void *memory = NULL;
    const axl_status made =
        PCIE_CALL(driver, AXL_CALL_CARD, axclrtMalloc, (&memory, (size_t)bytes, AXCL_MEM_MALLOC_HUGE_FIRST));
    AXL_TRY(axl_driver_for_memory(base, made, bytes));
    if (memory == NULL) {
        return axl_needing(axl_error(AXL_ERR_DEVICE_MEMORY, "axclrtMalloc gave no address"), bytes);
    }
    *out = (axl_buffer){.address = (uintptr_t)memory, .bytes = bytes};
    axl_status status = PCIE_CALL(driver, AXL_CALL_CARD, axclrtMemset, (memory, 0, (size_t)bytes));
    if (status.code != AXL_OK) {
        axl_keep_first(&status, pcie_free(base, out));
    }
    return status;
}

axl_status pcie_host_alloc(axl_driver *base, uint64_t bytes, void **out)
{
    pcie_driver *driver = pcie(base);
    *out = NULL;
    axl_status status = PCIE_CALL(driver, AXL_CALL_HOST, axclrtMallocHost, (out, (size_t)bytes));
    if (status.code == AXL_ERR_DEVICE_MEMORY) {
        status.code = AXL_ERR_HOST_MEMORY;
    }
    AXL_TRY(status);
    return *out != NULL ? axl_ok() : axl_error(AXL_ERR_HOST_MEMORY, "axclrtMallocHost gave no address");
}

axl_status pcie_host_free(axl_driver *base, void *memory)
{
    pcie_driver *driver = pcie(base);
    return PCIE_CALL(driver, AXL_CALL_HOST, axclrtFreeHost, (memory));
}

/* Waits when told to, else leaves the copy on the stream. */
static axl_status transfer(pcie_driver *driver, axl_lane lane, void *dst, const void *src, uint64_t bytes,
                           axclrtMemcpyKind kind)
{
    if (lane == AXL_NOW) {
        return PCIE_CALL(driver, AXL_CALL_CARD, axclrtMemcpy, (dst, src, (size_t)bytes, kind));
    }
    driver->queued = true;
    return pcie_queued(
        driver, PCIE_CALL(driver, AXL_CALL_HOST, axclrtMemcpyAsync, (dst, src, (size_t)bytes, kind, driver->stream)));
}

axl_status pcie_upload(axl_driver *base, axl_lane lane, const axl_buffer *dst, uint64_t offset, const void *src,
                       uint64_t bytes)
{
    if (!axl_is_within(dst, offset, bytes)) {
        return axl_out_of_bounds();
    }
    base->stats.bytes_to_device += bytes;
    return transfer(pcie(base), lane, pcie_address(dst, offset), src, bytes, AXCL_MEMCPY_HOST_TO_DEVICE);
}

axl_status pcie_download(axl_driver *base, axl_lane lane, void *dst, const axl_buffer *src, uint64_t offset,
                         uint64_t bytes)
{
    if (!axl_is_within(src, offset, bytes)) {
        return axl_out_of_bounds();
    }
    base->stats.bytes_from_device += bytes;
    return transfer(pcie(base), lane, dst, pcie_address(src, offset), bytes, AXCL_MEMCPY_DEVICE_TO_HOST);
}

/* Some generations queue runs but no copies within the device: these copies are made when all before them is done. */
axl_status pcie_copy(axl_driver *base, axl_lane lane, const axl_buffer *dst, uint64_t dst_offset,
                     const axl_buffer *src, uint64_t src_offset, uint64_t bytes)
{
    pcie_driver *driver = pcie(base);
    if (!axl_is_within(dst, dst_offset, bytes) || !axl_is_within(src, src_offset, bytes)) {
        return axl_out_of_bounds();
    }
    void *to = pcie_address(dst, dst_offset);
    const void *from = pcie_address(src, src_offset);
    base->stats.bytes_on_device += bytes;
    if (lane == AXL_QUEUED && !driver->no_queued_copies) {
        const axl_status status = transfer(driver, lane, to, from, bytes, AXCL_MEMCPY_DEVICE_TO_DEVICE);
        if (status.code != AXL_ERR_UNSUPPORTED) {
            return status;
        }
        driver->no_queue = false;
        base->tolerated[AXL_WITHOUT_ASYNC] = axl_ok();
        driver->no_queued_copies = true;
    }
    AXL_TRY(pcie_wait(base));
    return transfer(driver, AXL_NOW, to, from, bytes, AXCL_MEMCPY_DEVICE_TO_DEVICE);
}

/* An error may be told before the rest of the queue is over: then a second wait sees to it. */
axl_status pcie_wait(axl_driver *base)
{
    pcie_driver *driver = pcie(base);
    if (!driver->queued) {
        return axl_ok();
    }
    driver->queued = false;
    if (driver->gone) {
        return axl_ok(); /* what could not be sent has told so */
    }
    axl_status status =
        pcie_queued(driver, PCIE_CALL(driver, AXL_CALL_RUN, axclrtSynchronizeStream, (driver->stream)));
    if (status.code != AXL_OK) {
        axl_keep_first(&status, PCIE_CALL(driver, AXL_CALL_RUN, axclrtSynchronizeStream, (driver->stream)));
    }
    return status;
}
