/* Compiled files on the chip: reading, loading, describing. model is the handle, context the engine's. */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "driver_board.h"

static AX_ENGINE_HANDLE handle_of(const axl_program *program)
{
    return (AX_ENGINE_HANDLE)(uintptr_t)program->model;
}

static axl_status file_error(const char *what, int error)
{
    axl_status status = axl_error(AXL_ERR_MODEL, what);
    if (error != 0) {
        snprintf(status.detail, sizeof status.detail, "errno %d", error);
    }
    return status;
}

typedef struct mapping {
    void *data;
    size_t bytes;
} mapping;

static axl_status map_descriptor(int descriptor, mapping *out)
{
    struct stat info;
    if (fstat(descriptor, &info) != 0) {
        return file_error("the file cannot be read", errno);
    }
    if (!S_ISREG(info.st_mode) || info.st_size <= 0) {
        return file_error("the file is empty or no regular file", 0);
    }
    if ((uint64_t)info.st_size > UINT32_MAX) {
        return file_error("the file is larger than the engine takes (4 GiB)", 0);
    }
    out->bytes = (size_t)info.st_size;
    void *data = mmap(NULL, out->bytes, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (data == MAP_FAILED) {
        return file_error("the file cannot be mapped", errno);
    }
    out->data = data;
    return axl_ok();
}

static axl_status map_file(const char *path, mapping *out)
{
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        return file_error("the file cannot be opened", errno);
    }
    const axl_status status = map_descriptor(descriptor, out);
    close(descriptor); /* read only: nothing can be lost */
    return status;
}

/* Where there is no memory for it, the older call would find none either. */
static axl_status create_handle(board_driver *driver, const mapping *file, AX_ENGINE_HANDLE *out)
{
    const AX_U32 size = (AX_U32)file->bytes;
    if (driver->table.AX_ENGINE_CreateHandleV2 == NULL) {
        return BOARD_CALL(driver, AXL_CALL_CARD, AX_ENGINE_CreateHandle, (out, file->data, size));
    }
    static AX_S8 name[] = {'a', 'x', '6', '5', '0', 0};
    AX_ENGINE_HANDLE_EXTRA_T extra = {.pName = name};
    const axl_status status =
        BOARD_CALL(driver, AXL_CALL_CARD, AX_ENGINE_CreateHandleV2, (out, file->data, size, &extra));
    if (status.code == AXL_OK || status.code == AXL_ERR_DEVICE_MEMORY) {
        return status;
    }
    *out = NULL;
    const axl_status older = BOARD_CALL(driver, AXL_CALL_CARD, AX_ENGINE_CreateHandle, (out, file->data, size));
    return older.code == AXL_OK ? older : status;
}

/* Leaves the context NULL where only the older call works; `explicit_one` says why there is none. */
static axl_status create_context(board_driver *driver, axl_program *program, axl_status *explicit_one)
{
    AX_ENGINE_CONTEXT_T context = NULL;
    *explicit_one = BOARD_CALL(driver, AXL_CALL_CARD, AX_ENGINE_CreateContextV2, (handle_of(program), &context));
    if (explicit_one->code == AXL_OK) {
        program->context = (uintptr_t)context;
        return axl_ok();
    }
    if (explicit_one->code == AXL_ERR_DEVICE_MEMORY) {
        return *explicit_one;
    }
    const axl_status older = BOARD_CALL(driver, AXL_CALL_CARD, AX_ENGINE_CreateContext, (handle_of(program)));
    return older.code == AXL_OK ? older : *explicit_one;
}

/* Libraries that know no groups have files of one. */
static axl_status count_groups(board_driver *driver, axl_program *program, const axl_status *explicit_one)
{
    AX_U32 count = 1;
    if (driver->table.AX_ENGINE_GetGroupIOInfoCount != NULL) {
        AXL_TRY(BOARD_CALL(driver, AXL_CALL_HOST, AX_ENGINE_GetGroupIOInfoCount, (handle_of(program), &count)));
    }
    const bool runs_groups =
        driver->table.AX_ENGINE_GetGroupIOInfo != NULL && driver->table.AX_ENGINE_RunGroupIOSync != NULL;
    if (count > 1 && !runs_groups) {
        return axl_error(AXL_ERR_UNSUPPORTED, "AX_ENGINE_RunGroupIOSync");
    }
    if (count > 1 && program->context == 0) {
        const axl_status none = axl_error(AXL_ERR_MODEL, "AX_ENGINE_CreateContextV2 gave no context, which files with "
                                                         "several shape groups need");
        return explicit_one->code != AXL_OK ? *explicit_one : none;
    }
    program->groups = count;
    return axl_ok();
}

/* The infos belong to the engine; the list of them is ours. */
static axl_status read_infos(board_driver *driver, axl_program *program)
{
    AX_ENGINE_IO_INFO_T **infos = program->info;
    for (uint32_t group = 0; group < program->groups; group++) {
        if (program->groups == 1) {
            AXL_TRY(BOARD_CALL(driver, AXL_CALL_HOST, AX_ENGINE_GetIOInfo, (handle_of(program), &infos[0])));
        } else {
            AXL_TRY(axl_about(BOARD_CALL(driver, AXL_CALL_HOST, AX_ENGINE_GetGroupIOInfo,
                                         (handle_of(program), group, &infos[group])),
                              NULL, group));
        }
        if (infos[group] == NULL) {
            return axl_about(axl_error(AXL_ERR_MODEL, "a shape group is not described"), NULL, group);
        }
    }
    return axl_ok();
}

static axl_status describe(board_driver *driver, axl_program *program)
{
    axl_status explicit_one;
    AXL_TRY(create_context(driver, program, &explicit_one));
    AXL_TRY(count_groups(driver, program, &explicit_one));
    /* An absurd count is refused by the caller; a list for it would be absurd too. */
    const uint32_t listed = program->groups > AXL_MAX_GROUPS ? 0 : program->groups;
    program->info = calloc((size_t)listed + 1, sizeof(AX_ENGINE_IO_INFO_T *));
    if (program->info == NULL) {
        return axl_error(AXL_ERR_HOST_MEMORY, "shape groups");
    }
    return listed == 0 ? axl_ok() : read_infos(driver, program);
}

/* The engine keeps its own copy of the file (LLM). */
axl_status board_load(axl_driver *base, const char *path, axl_program *out)
{
    board_driver *driver = board(base);
    *out = (axl_program){0};
    mapping file = {0};
    AXL_TRY(map_file(path, &file));
    AX_ENGINE_HANDLE handle = NULL;
    axl_status status = create_handle(driver, &file, &handle);
    munmap(file.data, file.bytes);
    AXL_TRY(status);
    out->model = (uintptr_t)handle;
    status = describe(driver, out);
    if (status.code != AXL_OK) {
        axl_keep_first(&status, BOARD_CALL(driver, AXL_CALL_HOST, AX_ENGINE_DestroyHandle, (handle)));
        free(out->info);
        *out = (axl_program){0};
    }
    return status;
}

axl_status board_unload(axl_driver *base, axl_program *program)
{
    board_driver *driver = board(base);
    if (program->info == NULL) {
        return axl_ok();
    }
    const axl_status status = BOARD_CALL(driver, AXL_CALL_HOST, AX_ENGINE_DestroyHandle, (handle_of(program)));
    free(program->info);
    *program = (axl_program){0};
    return status;
}

static const AX_ENGINE_IO_INFO_T *info_of(const axl_program *program, uint32_t group)
{
    return ((AX_ENGINE_IO_INFO_T **)program->info)[group];
}

static const AX_ENGINE_IOMETA_T *meta_of(const axl_program *program, axl_direction direction, uint32_t group,
                                         uint32_t tensor)
{
    const AX_ENGINE_IO_INFO_T *info = info_of(program, group);
    return direction == AXL_INPUT ? &info->pInputs[tensor] : &info->pOutputs[tensor];
}

uint32_t board_tensor_count(axl_driver *base, const axl_program *program, axl_direction direction, uint32_t group)
{
    (void)base;
    const AX_ENGINE_IO_INFO_T *info = info_of(program, group);
    return direction == AXL_INPUT ? info->nInputSize : info->nOutputSize;
}

const char *board_tensor_name(axl_driver *base, const axl_program *program, axl_direction direction, uint32_t group,
                              uint32_t tensor)
{
    (void)base;
    return meta_of(program, direction, group, tensor)->pName;
}

axl_status board_tensor_shape(axl_driver *base, const axl_program *program, axl_direction direction, uint32_t group,
                              uint32_t tensor, axl_shape *out)
{
    (void)base;
    const AX_ENGINE_IOMETA_T *meta = meta_of(program, direction, group, tensor);
    return axl_read_shape(meta->pShape, meta->nShapeSize, meta->nSize, out);
}
