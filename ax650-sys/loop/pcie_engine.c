/* Compiled files on a PCIe or M.2 card: loading, describing, binding, running. */
#include "driver_pcie.h"

static axl_status describe(pcie_driver *driver, uint64_t model, axl_program *out)
{
    AXL_TRY(PCIE_CALL(driver, AXL_CALL_CARD, axclrtEngineCreateContext, (model, &out->context)));
    AXL_TRY(PCIE_CALL(driver, AXL_CALL_CARD, axclrtEngineGetIOInfo, (model, &out->info)));
    if (out->info == NULL) {
        return axl_error(AXL_ERR_CALL, "axclrtEngineGetIOInfo");
    }
    int32_t count = 0;
    AXL_TRY(PCIE_CALL(driver, AXL_CALL_HOST, axclrtEngineGetShapeGroupsCount, (out->info, &count)));
    out->groups = count > 0 ? (uint32_t)count : 0;
    return axl_ok();
}

/*
 * A program is one that has an info. The library tells of success without a model where it cannot open or map the file
 * (HOST engine_load_unload.cpp); it refuses the id 0 itself.
 */
axl_status pcie_load(axl_driver *base, const char *path, axl_program *out)
{
    pcie_driver *driver = pcie(base);
    *out = (axl_program){0};
    uint64_t model = 0;
    AXL_TRY(PCIE_CALL(driver, AXL_CALL_CARD, axclrtEngineLoadFromFile, (path, &model)));
    if (model == 0) {
        return axl_error(AXL_ERR_MODEL, "axclrtEngineLoadFromFile gave no model: can the file be read?");
    }
    out->model = model;
    axl_status status = describe(driver, model, out);
    if (status.code != AXL_OK) {
        if (out->info != NULL) {
            axl_keep_first(&status, PCIE_CALL(driver, AXL_CALL_HOST, axclrtEngineDestroyIOInfo, (out->info)));
        }
        axl_keep_first(&status, PCIE_CALL(driver, AXL_CALL_CARD, axclrtEngineUnload, (model)));
        *out = (axl_program){0};
    }
    return status;
}

axl_status pcie_unload(axl_driver *base, axl_program *program)
{
    pcie_driver *driver = pcie(base);
    if (program->info == NULL) {
        return axl_ok();
    }
    axl_status status = PCIE_CALL(driver, AXL_CALL_HOST, axclrtEngineDestroyIOInfo, (program->info));
    if (!driver->gone) {
        axl_keep_first(&status, PCIE_CALL(driver, AXL_CALL_CARD, axclrtEngineUnload, (program->model)));
    }
    *program = (axl_program){0};
    return status;
}

uint32_t pcie_tensor_count(axl_driver *base, const axl_program *program, axl_direction direction, uint32_t group)
{
    (void)group;
    pcie_driver *driver = pcie(base);
    axl_call_begin(base, direction == AXL_INPUT ? "axclrtEngineGetNumInputs" : "axclrtEngineGetNumOutputs");
    const uint32_t count = direction == AXL_INPUT ? driver->table.axclrtEngineGetNumInputs(program->info)
                                                  : driver->table.axclrtEngineGetNumOutputs(program->info);
    axl_call_end(base, AXL_CALL_HOST);
    return count;
}

const char *pcie_tensor_name(axl_driver *base, const axl_program *program, axl_direction direction, uint32_t group,
                             uint32_t tensor)
{
    (void)group;
    pcie_driver *driver = pcie(base);
    axl_call_begin(base, direction == AXL_INPUT ? "axclrtEngineGetInputNameByIndex"
                                                : "axclrtEngineGetOutputNameByIndex");
    const char *name = direction == AXL_INPUT
                           ? driver->table.axclrtEngineGetInputNameByIndex(program->info, tensor)
                           : driver->table.axclrtEngineGetOutputNameByIndex(program->info, tensor);
    axl_call_end(base, AXL_CALL_HOST);
    return name;
}

axl_status pcie_tensor_shape(axl_driver *base, const axl_program *program, axl_direction direction, uint32_t group,
                             uint32_t tensor, axl_shape *out)
{
    pcie_driver *driver = pcie(base);
    axclrtEngineIODims dims = {0};
    uint64_t bytes = 0;
    if (direction == AXL_INPUT) {
        AXL_TRY(PCIE_CALL(driver, AXL_CALL_HOST, axclrtEngineGetInputDims, (program->info, group, tensor, &dims)));
    } else {
        AXL_TRY(PCIE_CALL(driver, AXL_CALL_HOST, axclrtEngineGetOutputDims, (program->info, group, tensor, &dims)));
    }
    axl_call_begin(base, direction == AXL_INPUT ? "axclrtEngineGetInputSizeByIndex"
                                                : "axclrtEngineGetOutputSizeByIndex");
    bytes = direction == AXL_INPUT
                ? driver->table.axclrtEngineGetInputSizeByIndex(program->info, group, tensor)
                : driver->table.axclrtEngineGetOutputSizeByIndex(program->info, group, tensor);
    axl_call_end(base, AXL_CALL_HOST);
    return axl_read_shape(dims.dims, dims.dimCount, bytes, out);
}

axl_status pcie_io_create(axl_driver *base, const axl_program *program, uint32_t group, void **io)
{
    (void)group;
    pcie_driver *driver = pcie(base);
    return PCIE_CALL(driver, AXL_CALL_HOST, axclrtEngineCreateIO, (program->info, io));
}

axl_status pcie_io_destroy(axl_driver *base, void **io)
{
    pcie_driver *driver = pcie(base);
    void *old = *io;
    *io = NULL;
    return old == NULL ? axl_ok() : PCIE_CALL(driver, AXL_CALL_HOST, axclrtEngineDestroyIO, (old));
}

axl_status pcie_bind(axl_driver *base, void *io, axl_direction direction, uint32_t tensor, const axl_buffer *buffer,
                     uint64_t offset, uint64_t bytes)
{
    pcie_driver *driver = pcie(base);
    const void *address = pcie_address(buffer, offset);
    if (direction == AXL_INPUT) {
        return PCIE_CALL(driver, AXL_CALL_HOST, axclrtEngineSetInputBufferByIndex, (io, tensor, address, bytes));
    }
    return PCIE_CALL(driver, AXL_CALL_HOST, axclrtEngineSetOutputBufferByIndex, (io, tensor, address, bytes));
}

/* A library may offer queued runs and refuse each of them, as 2.25.0 does (ONNXSIM). */
axl_status pcie_run(axl_driver *base, axl_lane lane, const axl_program *program, uint32_t group, void *io)
{
    pcie_driver *driver = pcie(base);
    if (lane == AXL_NOW) {
        base->stats.runs++;
        return PCIE_CALL(driver, AXL_CALL_RUN, axclrtEngineExecute, (program->model, program->context, group, io));
    }
    driver->queued = true;
    const axl_status status =
        pcie_queued(driver, PCIE_CALL(driver, AXL_CALL_HOST, axclrtEngineExecuteAsync,
                                      (program->model, program->context, group, io, driver->stream)));
    base->stats.runs += status.code == AXL_OK;
    return status;
}
