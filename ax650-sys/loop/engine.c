/* One compiled file on the card: its tensors by name, their shapes by group, its bindings. */
#include <stdlib.h>
#include <string.h>

#include "axl_model.h"
#include "axl_status.h"

typedef struct role_name {
    const char *name;
    axl_direction direction;
    uint32_t value_bytes;
} role_name;

static const role_name role_names[AXL_ROLES] = {
    [AXL_K_CACHE] = {"K_cache", AXL_INPUT, AXL_VALUE},
    [AXL_V_CACHE] = {"V_cache", AXL_INPUT, AXL_VALUE},
    [AXL_INDICES] = {"indices", AXL_INPUT, sizeof(uint32_t)},
    [AXL_HIDDEN_IN] = {"input", AXL_INPUT, AXL_VALUE},
    [AXL_MASK] = {"mask", AXL_INPUT, AXL_VALUE},
    [AXL_K_OUT] = {"K_cache_out", AXL_OUTPUT, AXL_VALUE},
    [AXL_V_OUT] = {"V_cache_out", AXL_OUTPUT, AXL_VALUE},
    [AXL_HIDDEN_OUT] = {"output", AXL_OUTPUT, AXL_VALUE},
};

static const uint32_t no_tensor = UINT32_MAX;

/* Compilers append the number of the group to some names: K_cache_3. */
static bool is_named(const char *found, const char *name)
{
    const size_t length = strlen(name);
    if (strncmp(found, name, length) != 0) {
        return false;
    }
    const char *rest = found + length;
    if (*rest == '\0') {
        return true;
    }
    if (*rest++ != '_' || *rest == '\0') {
        return false;
    }
    return strspn(rest, "0123456789") == strlen(rest);
}

static axl_role role_of(const char *name, axl_direction direction, uint32_t roles)
{
    for (uint32_t role = 0; role < AXL_ROLES; role++) {
        if ((roles & AXL_ROLE_BIT(role)) != 0 && role_names[role].direction == direction &&
            is_named(name, role_names[role].name)) {
            return (axl_role)role;
        }
    }
    return AXL_ROLES;
}

/* Every tensor has to be bound for a run, so one that we do not know is an error. */
static axl_status find_tensors(axl_driver *driver, axl_direction direction, uint32_t roles, uint32_t group,
                               axl_engine *engine)
{
    const axl_ops *ops = driver->ops;
    const uint32_t about = ops->tensors_per_group ? group : AXL_NO_GROUP;
    const uint32_t count = ops->tensor_count(driver, &engine->program, direction, group);
    for (uint32_t tensor = 0; tensor < count; tensor++) {
        const char *name = ops->tensor_name(driver, &engine->program, direction, group, tensor);
        if (name == NULL) {
            return axl_error(AXL_ERR_MODEL, "a tensor has no name");
        }
        const axl_role role = role_of(name, direction, roles);
        if (role == AXL_ROLES) {
            return axl_about(axl_error(AXL_ERR_MODEL, "a tensor has a name that this version does not know"), name,
                             about);
        }
        if (engine->tensor[group][role] != no_tensor) {
            return axl_about(axl_error(AXL_ERR_MODEL, "two tensors have the same name"), name, about);
        }
        engine->tensor[group][role] = tensor;
    }
    return axl_ok();
}

/* The number of each tensor in a group. */
static axl_status find_group(axl_driver *driver, uint32_t roles, uint32_t group, axl_engine *engine)
{
    if (group != 0 && !driver->ops->tensors_per_group) {
        memcpy(engine->tensor[group], engine->tensor[0], sizeof engine->tensor[0]);
        return axl_ok();
    }
    for (uint32_t role = 0; role < AXL_ROLES; role++) {
        engine->tensor[group][role] = no_tensor;
    }
    AXL_TRY(find_tensors(driver, AXL_INPUT, roles, group, engine));
    return find_tensors(driver, AXL_OUTPUT, roles, group, engine);
}

static axl_status check_shape(const axl_shape *shape, uint32_t value_bytes)
{
    bool fits = true;
    uint64_t bytes = value_bytes;
    for (uint32_t i = 0; i < shape->rank; i++) {
        fits = fits && axl_multiply(bytes, shape->dims[i], &bytes);
    }
    if (!fits || bytes == 0 || bytes != shape->bytes) {
        return axl_error(AXL_ERR_MODEL, "a tensor has a size that its shape does not give");
    }
    return axl_ok();
}

static axl_status read_shapes(axl_driver *driver, uint32_t roles, uint32_t group, axl_engine *engine)
{
    for (uint32_t role = 0; role < AXL_ROLES; role++) {
        if ((roles & AXL_ROLE_BIT(role)) == 0) {
            continue;
        }
        const role_name *expected = &role_names[role];
        if (engine->tensor[group][role] == no_tensor) {
            const uint32_t about = driver->ops->tensors_per_group ? group : AXL_NO_GROUP;
            return axl_about(axl_error(AXL_ERR_MODEL, "a tensor is missing"), expected->name, about);
        }
        axl_shape *shape = &engine->shapes[group][role];
        AXL_TRY(axl_about(driver->ops->tensor_shape(driver, &engine->program, expected->direction, group,
                                                    engine->tensor[group][role], shape),
                          expected->name, group));
        AXL_TRY(axl_about(check_shape(shape, expected->value_bytes), expected->name, group));
    }
    return axl_ok();
}

static axl_status describe(axl_driver *driver, uint32_t roles, axl_engine *engine)
{
    const uint32_t count = engine->program.groups;
    if (count == 0 || count > AXL_MAX_GROUPS) {
        return axl_error(AXL_ERR_MODEL, "no shape group, or absurdly many");
    }
    engine->tensor = calloc(count, sizeof *engine->tensor);
    engine->shapes = calloc(count, sizeof *engine->shapes);
    engine->bindings = calloc(count, sizeof *engine->bindings);
    if (engine->tensor == NULL || engine->shapes == NULL || engine->bindings == NULL) {
        return axl_error(AXL_ERR_HOST_MEMORY, "tensor shapes");
    }
    engine->group_count = count;
    for (uint32_t group = 0; group < count; group++) {
        AXL_TRY(find_group(driver, roles, group, engine));
        AXL_TRY(read_shapes(driver, roles, group, engine));
    }
    return axl_ok();
}

/*
 * A load into too little memory is where cards get stuck, so what is told beforehand is believed. What was subtracted
 * since the card told it is an estimate: before a refusal it is asked again.
 */
static axl_status check_budget(axl_driver *driver, uint64_t needed)
{
    const axl_driver_info *info = &driver->info;
    if (info->total_memory != 0 && needed > info->free_memory) {
        axl_driver_measure(driver);
    }
    if (info->total_memory == 0 || needed <= info->free_memory) {
        return axl_ok();
    }
    axl_status status = axl_error(AXL_ERR_DEVICE_MEMORY, "loading the file takes more than the card's free memory");
    axl_describe_need(&status, needed, info->free_memory);
    return status;
}

/* The engine is to be closed whatever the outcome; it must come zeroed. */
axl_status axl_engine_open(axl_driver *driver, const axl_file *file, uint32_t roles, axl_engine *engine)
{
    uint64_t needed = 0;
    if (!axl_multiply(file->bytes, driver->ops->load_factor, &needed)) {
        return axl_error(AXL_ERR_ARGUMENT, "a file has an absurd size");
    }
    AXL_TRY(check_budget(driver, needed));
    AXL_TRY(axl_driver_for_memory(driver, driver->ops->load(driver, file->path, &engine->program), needed));
    axl_driver_spend(driver, file->bytes);
    AXL_TRY(describe(driver, roles, engine));
    for (uint32_t group = 0; group < engine->group_count; group++) {
        AXL_TRY(driver->ops->io_create(driver, &engine->program, group, &engine->bindings[group].io));
    }
    return axl_ok();
}

static bool same_shape(const axl_shape *a, const axl_shape *b)
{
    return a->bytes == b->bytes && a->rank == b->rank &&
           memcmp(a->dims, b->dims, a->rank * sizeof a->dims[0]) == 0;
}

/* Whether two layers offer the same groups with the same shapes; the order of tensors may differ. */
axl_status axl_engine_match(const axl_engine *engine, const axl_engine *reference)
{
    if (engine->group_count != reference->group_count) {
        return axl_error(AXL_ERR_MODEL, "the layer has another number of shape groups than layer 0");
    }
    for (uint32_t group = 0; group < engine->group_count; group++) {
        for (uint32_t role = 0; role < AXL_ROLES; role++) {
            if (!same_shape(&engine->shapes[group][role], &reference->shapes[group][role])) {
                return axl_about(axl_error(AXL_ERR_MODEL, "a tensor has another shape than in layer 0"),
                                 role_names[role].name, group);
            }
        }
    }
    return axl_ok();
}

axl_status axl_engine_close(axl_driver *driver, axl_engine *engine)
{
    axl_status status = axl_ok();
    for (uint32_t group = 0; group < engine->group_count; group++) {
        axl_keep_first(&status, driver->ops->io_destroy(driver, &engine->bindings[group].io));
    }
    axl_keep_first(&status, driver->ops->unload(driver, &engine->program));
    free(engine->tensor);
    free(engine->shapes);
    free(engine->bindings);
    *engine = (axl_engine){0};
    return status;
}

/*
 * Binds a tensor to a place in a buffer, unless it is bound there. What it has in this group must fit from
 * there on.
 */
axl_status axl_engine_bind(axl_driver *driver, axl_engine *engine, uint32_t group, axl_role role,
                           const axl_buffer *buffer, uint64_t offset)
{
    uint64_t *bound = &engine->bindings[group].bound[role];
    const uint64_t address = buffer->address + offset;
    if (*bound == address) {
        return axl_ok();
    }
    const uint64_t bytes = engine->shapes[group][role].bytes;
    if (!axl_is_within(buffer, offset, bytes)) {
        return axl_about(axl_error(AXL_ERR_MODEL, "a tensor is larger than the buffer made for it"),
                         role_names[role].name, group);
    }
    *bound = 0;
    AXL_TRY(axl_about(driver->ops->bind(driver, engine->bindings[group].io, role_names[role].direction,
                                        engine->tensor[group][role], buffer, offset, bytes),
                      role_names[role].name, group));
    *bound = address;
    return axl_ok();
}

/*
 * For when buffers are freed: later ones may get the same addresses, and a library may have looked them up when
 * they were bound.
 */
void axl_engine_forget(axl_engine *engine, uint32_t roles)
{
    for (uint32_t group = 0; group < engine->group_count; group++) {
        for (uint32_t role = 0; role < AXL_ROLES; role++) {
            if ((roles & AXL_ROLE_BIT(role)) != 0) {
                engine->bindings[group].bound[role] = 0;
            }
        }
    }
}

axl_status axl_engine_run(axl_driver *driver, axl_lane lane, const axl_engine *engine, uint32_t group)
{
    return axl_about(driver->ops->run(driver, lane, &engine->program, group, engine->bindings[group].io), NULL,
                     group);
}
