/* Bindings and runs on the chip. */
#include <stdlib.h>

#include "driver_board.h"

/* The engine reads it at every run, so binding is writing to it. */
typedef struct board_io {
    AX_ENGINE_IO_T io;
    AX_ENGINE_IO_BUFFER_T buffers[]; /* the inputs, then the outputs */
} board_io;

axl_status board_io_create(axl_driver *base, const axl_program *program, uint32_t group, void **io)
{
    const uint32_t inputs = board_tensor_count(base, program, AXL_INPUT, group);
    const uint32_t outputs = board_tensor_count(base, program, AXL_OUTPUT, group);
    board_io *made = calloc(1, sizeof *made + ((size_t)inputs + outputs) * sizeof made->buffers[0]);
    if (made == NULL) {
        return axl_error(AXL_ERR_HOST_MEMORY, "bindings");
    }
    made->io.pInputs = made->buffers;
    made->io.nInputSize = inputs;
    made->io.pOutputs = made->buffers + inputs;
    made->io.nOutputSize = outputs;
    *io = made;
    return axl_ok();
}

axl_status board_io_destroy(axl_driver *base, void **io)
{
    (void)base;
    free(*io);
    *io = NULL;
    return axl_ok();
}

axl_status board_bind(axl_driver *base, void *io, axl_direction direction, uint32_t tensor, const axl_buffer *buffer,
                      uint64_t offset, uint64_t bytes)
{
    (void)base;
    AX_ENGINE_IO_T *bindings = &((board_io *)io)->io;
    AX_ENGINE_IO_BUFFER_T *slot =
        direction == AXL_INPUT ? &bindings->pInputs[tensor] : &bindings->pOutputs[tensor];
    slot->phyAddr = buffer->address + offset;
    slot->pVirAddr = (unsigned char *)buffer->host + offset;
    slot->nSize = (AX_U32)bytes;
    return axl_ok();
}

/*
 * Files with one group run by the handle's own context: with an explicit one, such runs have failed with 0x8006008A
 * (LLM). Their bindings are those of group 0.
 */
axl_status board_run(axl_driver *base, axl_lane lane, const axl_program *program, uint32_t group, void *io)
{
    (void)lane;
    board_driver *driver = board(base);
    AX_ENGINE_HANDLE handle = (AX_ENGINE_HANDLE)(uintptr_t)program->model;
    AX_ENGINE_IO_T *bindings = &((board_io *)io)->io;
    base->stats.runs++;
    if (program->groups == 1) {
        return BOARD_CALL(driver, AXL_CALL_RUN, AX_ENGINE_RunSync, (handle, bindings));
    }
    AX_ENGINE_CONTEXT_T context = (AX_ENGINE_CONTEXT_T)(uintptr_t)program->context;
    return BOARD_CALL(driver, AXL_CALL_RUN, AX_ENGINE_RunGroupIOSync, (handle, context, group, bindings));
}
