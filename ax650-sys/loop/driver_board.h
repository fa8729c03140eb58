/* The parts of the driver of the chip itself. */
#ifndef AX650_DRIVER_BOARD_H
#define AX650_DRIVER_BOARD_H

#include "axl_ops.h"
#include "axl_status.h"

typedef struct board_driver {
    axl_driver base;
    ax_board_table table;
    bool initialised;
    bool engine;
} board_driver;

static inline board_driver *board(axl_driver *driver)
{
    return (board_driver *)(void *)driver;
}

axl_status board_finish(board_driver *driver, axl_call_kind kind, AX_S32 error, const char *call);

/* One call of the vendor with what is kept about it; `arguments` in parentheses. */
#define BOARD_CALL(driver, kind, function, arguments) \
    (axl_call_begin(&(driver)->base, #function),      \
     board_finish(driver, kind, (driver)->table.function arguments, #function))

/* board_memory.c */
axl_status board_alloc(axl_driver *base, axl_use use, uint64_t bytes, axl_buffer *out);
axl_status board_free(axl_driver *base, axl_buffer *buffer);
axl_status board_upload(axl_driver *base, axl_lane lane, const axl_buffer *dst, uint64_t offset, const void *src,
                        uint64_t bytes);
axl_status board_download(axl_driver *base, axl_lane lane, void *dst, const axl_buffer *src, uint64_t offset,
                          uint64_t bytes);
axl_status board_copy(axl_driver *base, axl_lane lane, const axl_buffer *dst, uint64_t dst_offset,
                      const axl_buffer *src, uint64_t src_offset, uint64_t bytes);

/* board_engine.c */
axl_status board_load(axl_driver *base, const char *path, axl_program *out);
axl_status board_unload(axl_driver *base, axl_program *program);
uint32_t board_tensor_count(axl_driver *base, const axl_program *program, axl_direction direction, uint32_t group);
const char *board_tensor_name(axl_driver *base, const axl_program *program, axl_direction direction, uint32_t group,
                              uint32_t tensor);
axl_status board_tensor_shape(axl_driver *base, const axl_program *program, axl_direction direction, uint32_t group,
                              uint32_t tensor, axl_shape *out);

/* board_run.c */
axl_status board_io_create(axl_driver *base, const axl_program *program, uint32_t group, void **io);
axl_status board_io_destroy(axl_driver *base, void **io);
axl_status board_bind(axl_driver *base, void *io, axl_direction direction, uint32_t tensor, const axl_buffer *buffer,
                      uint64_t offset, uint64_t bytes);
axl_status board_run(axl_driver *base, axl_lane lane, const axl_program *program, uint32_t group, void *io);

#endif
