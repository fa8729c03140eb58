/*
 * Memory of the chip that CPU and NPU share, and what the CPU does with it.
 *
 * What the host writes in every step is not cached, so that nothing needs flushing. Everything else is: the host reads
 * it, or copies it on the plain way, after invalidating and before flushing just those bytes. Between calls no line of
 * the cache is dirty; so an invalidation loses nothing, also where it is rounded to lines.
 */
#include <string.h>

#include "driver_board.h"

static const AX_S8 token[] = {'a', 'x', '6', '5', '0', 0};

static AX_VOID *host_address(const axl_buffer *buffer, uint64_t offset)
{
    return (unsigned char *)buffer->host + offset;
}

static axl_status flush_once(board_driver *driver, const axl_buffer *buffer, uint64_t offset, uint64_t bytes)
{
    return BOARD_CALL(driver, AXL_CALL_CACHE, AX_SYS_MflushCache,
                      (buffer->address + offset, host_address(buffer, offset), (AX_U32)bytes));
}

/* Lines that stayed dirty would overwrite, some time later, what the NPU writes there: hence a second try. */
static axl_status flush(board_driver *driver, const axl_buffer *buffer, uint64_t offset, uint64_t bytes)
{
    if (!buffer->cached) {
        return axl_ok();
    }
    axl_status status = flush_once(driver, buffer, offset, bytes);
    if (status.code != AXL_OK) {
        axl_keep_first(&status, flush_once(driver, buffer, offset, bytes));
    }
    return status;
}

static axl_status invalidate(board_driver *driver, const axl_buffer *buffer, uint64_t offset, uint64_t bytes)
{
    if (!buffer->cached) {
        return axl_ok();
    }
    return BOARD_CALL(driver, AXL_CALL_CACHE, AX_SYS_MinvalidateCache,
                      (buffer->address + offset, host_address(buffer, offset), (AX_U32)bytes));
}

axl_status board_free(axl_driver *base, axl_buffer *buffer)
{
    board_driver *driver = board(base);
    const axl_buffer old = *buffer;
    *buffer = (axl_buffer){0};
    return old.address == 0 ? axl_ok() : BOARD_CALL(driver, AXL_CALL_HOST, AX_SYS_MemFree, (old.address, old.host));
}

static axl_status allocate(board_driver *driver, bool cached, uint64_t bytes, axl_buffer *out)
{
    AX_U64 address = 0;
    AX_VOID *host = NULL;
    const AX_U32 size = (AX_U32)bytes;
    const axl_status status =
        cached ? BOARD_CALL(driver, AXL_CALL_HOST, AX_SYS_MemAllocCached,
                            (&address, &host, size, AXL_ALIGNMENT, token))
               : BOARD_CALL(driver, AXL_CALL_HOST, AX_SYS_MemAlloc, (&address, &host, size, AXL_ALIGNMENT, token));
    AXL_TRY(axl_needing(status, bytes));
    *out = (axl_buffer){.address = address, .host = host, .bytes = bytes, .cached = cached};
    if (address != 0 && host != NULL) {
        return axl_ok();
    }
    axl_status nothing = axl_needing(axl_error(AXL_ERR_DEVICE_MEMORY, "AX_SYS_MemAlloc gave no address"), bytes);
    axl_keep_first(&nothing, board_free(&driver->base, out));
    return nothing;
}

/* Zeros have to reach the memory: lines that stay in the cache would later overwrite what the NPU wrote. */
axl_status board_alloc(axl_driver *base, axl_use use, uint64_t bytes, axl_buffer *out)
{
    board_driver *driver = board(base);
    *out = (axl_buffer){0};
    if (bytes == 0 || bytes > UINT32_MAX) {
        return axl_error(AXL_ERR_MODEL, "a buffer is empty or larger than one allocation of the chip (4 GiB)");
    }
    AXL_TRY(allocate(driver, use != AXL_USE_INPUT, bytes, out));
    memset(out->host, 0, (size_t)bytes);
    axl_status status = flush(driver, out, 0, bytes);
    if (status.code != AXL_OK) {
        axl_keep_first(&status, board_free(base, out));
    }
    return status;
}

axl_status board_upload(axl_driver *base, axl_lane lane, const axl_buffer *dst, uint64_t offset, const void *src,
                        uint64_t bytes)
{
    (void)lane;
    if (!axl_is_within(dst, offset, bytes)) {
        return axl_out_of_bounds();
    }
    AXL_TRY(invalidate(board(base), dst, offset, bytes));
    memcpy(host_address(dst, offset), src, (size_t)bytes);
    base->stats.bytes_copied += bytes;
    return flush(board(base), dst, offset, bytes);
}

axl_status board_download(axl_driver *base, axl_lane lane, void *dst, const axl_buffer *src, uint64_t offset,
                          uint64_t bytes)
{
    (void)lane;
    if (!axl_is_within(src, offset, bytes)) {
        return axl_out_of_bounds();
    }
    AXL_TRY(invalidate(board(base), src, offset, bytes));
    memcpy(dst, host_address(src, offset), (size_t)bytes);
    base->stats.bytes_copied += bytes;
    return axl_ok();
}

axl_status board_copy(axl_driver *base, axl_lane lane, const axl_buffer *dst, uint64_t dst_offset,
                      const axl_buffer *src, uint64_t src_offset, uint64_t bytes)
{
    (void)lane;
    if (!axl_is_within(dst, dst_offset, bytes) || !axl_is_within(src, src_offset, bytes)) {
        return axl_out_of_bounds();
    }
    AXL_TRY(invalidate(board(base), src, src_offset, bytes));
    AXL_TRY(invalidate(board(base), dst, dst_offset, bytes));
    memcpy(host_address(dst, dst_offset), host_address(src, src_offset), (size_t)bytes);
    base->stats.bytes_copied += bytes;
    return flush(board(base), dst, dst_offset, bytes);
}
