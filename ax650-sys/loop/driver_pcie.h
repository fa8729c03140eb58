/* The parts of the driver of a PCIe or M.2 card. */
#ifndef AX650_DRIVER_PCIE_H
#define AX650_DRIVER_PCIE_H

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
    axclrtStream stream;    /* NULL: nothing can be queued */
    bool queued;            /* since the last wait */
    bool no_queue;          /* found out: the library refuses queued work */
    bool no_queued_copies;  /* found out: it refuses those from device memory to device memory */

    /*
     * The last request could not be sent. The library waits for ever for the answer of a card that is gone (HOST
     * task.hpp), so nothing is given back to it and nothing waited for, until a request gets through again.
     */
    bool gone;
} pcie_driver;

static inline pcie_driver *pcie(axl_driver *driver)
{
    return (pcie_driver *)(void *)driver;
}

static inline void *pcie_address(const axl_buffer *buffer, uint64_t offset)
{
    return (void *)(uintptr_t)(buffer->address + offset);
}

axl_status pcie_finish(pcie_driver *driver, axl_call_kind kind, axclError error, const char *call);

/* One call of the vendor with what is kept about it; `arguments` in parentheses. */
#define PCIE_CALL(driver, kind, function, arguments) \
    (axl_call_begin(&(driver)->base, #function),     \
     pcie_finish(driver, kind, (driver)->table.function arguments, #function))

/* The outcome of queueing or of waiting for the queue: tells "refused" from "failed". */
axl_status pcie_queued(pcie_driver *driver, axl_status status);

/* pcie_memory.c */
axl_status pcie_alloc(axl_driver *base, axl_use use, uint64_t bytes, axl_buffer *out);
axl_status pcie_free(axl_driver *base, axl_buffer *buffer);
axl_status pcie_host_alloc(axl_driver *base, uint64_t bytes, void **out);
axl_status pcie_host_free(axl_driver *base, void *memory);
axl_status pcie_upload(axl_driver *base, axl_lane lane, const axl_buffer *dst, uint64_t offset, const void *src,
                       uint64_t bytes);
axl_status pcie_download(axl_driver *base, axl_lane lane, void *dst, const axl_buffer *src, uint64_t offset,
                         uint64_t bytes);
axl_status pcie_copy(axl_driver *base, axl_lane lane, const axl_buffer *dst, uint64_t dst_offset,
                     const axl_buffer *src, uint64_t src_offset, uint64_t bytes);
axl_status pcie_wait(axl_driver *base);

/* pcie_engine.c */
axl_status pcie_load(axl_driver *base, const char *path, axl_program *out);
axl_status pcie_unload(axl_driver *base, axl_program *program);
uint32_t pcie_tensor_count(axl_driver *base, const axl_program *program, axl_direction direction, uint32_t group);
const char *pcie_tensor_name(axl_driver *base, const axl_program *program, axl_direction direction, uint32_t group,
                             uint32_t tensor);
axl_status pcie_tensor_shape(axl_driver *base, const axl_program *program, axl_direction direction, uint32_t group,
                             uint32_t tensor, axl_shape *out);
axl_status pcie_io_create(axl_driver *base, const axl_program *program, uint32_t group, void **io);
axl_status pcie_io_destroy(axl_driver *base, void **io);
axl_status pcie_bind(axl_driver *base, void *io, axl_direction direction, uint32_t tensor, const axl_buffer *buffer,
                     uint64_t offset, uint64_t bytes);
axl_status pcie_run(axl_driver *base, axl_lane lane, const axl_program *program, uint32_t group, void *io);

#endif
