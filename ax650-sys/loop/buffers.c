/* The model's own buffers, shared by all layers, and the binding of all that never changes. */
#include <stdlib.h>

#include "axl_model.h"
#include "axl_status.h"

static axl_status make(axl_model *model, uint64_t bytes, axl_buffer *out)
{
    AXL_TRY(model->driver->ops->alloc(model->driver, bytes, out));
    model->buffer_bytes += bytes;
    return axl_ok();
}

static axl_status open_stage(axl_model *model, const axl_shape *shapes, axl_stage *stage)
{
    AXL_TRY(make(model, shapes[AXL_INDICES].bytes, &stage->indices));
    AXL_TRY(make(model, shapes[AXL_HIDDEN_IN].bytes, &stage->input));
    AXL_TRY(make(model, shapes[AXL_K_OUT].bytes, &stage->k_out));
    AXL_TRY(make(model, shapes[AXL_V_OUT].bytes, &stage->v_out));
    return make(model, shapes[AXL_HIDDEN_OUT].bytes, &stage->output);
}

static axl_status close_stage(axl_driver *driver, axl_stage *stage)
{
    axl_status status = driver->ops->free(driver, &stage->indices);
    axl_keep_first(&status, driver->ops->free(driver, &stage->input));
    axl_keep_first(&status, driver->ops->free(driver, &stage->k_out));
    axl_keep_first(&status, driver->ops->free(driver, &stage->v_out));
    axl_keep_first(&status, driver->ops->free(driver, &stage->output));
    return status;
}

static axl_status open_group(axl_model *model, axl_group *group)
{
    const axl_shape *shapes = model->engines[0].shapes[group->index];
    AXL_TRY(make(model, shapes[AXL_MASK].bytes, &group->mask));
    if (group->history == 0) {
        AXL_TRY(make(model, shapes[AXL_K_CACHE].bytes, &group->no_k));
        AXL_TRY(make(model, shapes[AXL_V_CACHE].bytes, &group->no_v));
    }
    return axl_ok();
}

/* What is written to the card in one piece: masks, a chunk of rows, indices. */
static axl_status open_staging(axl_model *model)
{
    for (uint32_t group = 0; group < model->group_count; group++) {
        const axl_shape *shapes = model->engines[0].shapes[group];
        const uint64_t sizes[] = {shapes[AXL_MASK].bytes, shapes[AXL_HIDDEN_IN].bytes, shapes[AXL_INDICES].bytes};
        for (uint32_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            model->staging_bytes = sizes[i] > model->staging_bytes ? sizes[i] : model->staging_bytes;
        }
    }
    if (model->staging_bytes > SIZE_MAX) {
        return axl_error(AXL_ERR_HOST_MEMORY, "staging memory");
    }
    model->staging = malloc((size_t)model->staging_bytes);
    return model->staging != NULL ? axl_ok() : axl_error(AXL_ERR_HOST_MEMORY, "staging memory");
}

/* Needs the groups of axl_groups_plan. */
axl_status axl_buffers_open(axl_model *model)
{
    AXL_TRY(open_staging(model));
    const axl_shape (*shapes)[AXL_ROLES] = (const axl_shape (*)[AXL_ROLES])model->engines[0].shapes;
    AXL_TRY(open_stage(model, shapes[model->groups[0].index], &model->decode));
    if (model->decode_count < model->group_count) {
        AXL_TRY(open_stage(model, shapes[model->groups[model->decode_count].index], &model->prefill));
    }
    for (uint32_t g = 0; g < model->group_count; g++) {
        AXL_TRY(open_group(model, &model->groups[g]));
    }
    AXL_TRY(make(model, (uint64_t)model->hidden * AXL_VALUE, &model->head_input));
    return make(model, (uint64_t)model->vocab * AXL_VALUE, &model->head_output);
}

static axl_status bind_group(axl_model *model, axl_engine *engine, const axl_group *group)
{
    axl_driver *driver = model->driver;
    const axl_stage *stage = group->rows == 1 ? &model->decode : &model->prefill;
    AXL_TRY(axl_engine_bind(driver, engine, group->index, AXL_INDICES, &stage->indices));
    AXL_TRY(axl_engine_bind(driver, engine, group->index, AXL_HIDDEN_IN, &stage->input));
    AXL_TRY(axl_engine_bind(driver, engine, group->index, AXL_MASK, &group->mask));
    AXL_TRY(axl_engine_bind(driver, engine, group->index, AXL_K_OUT, &stage->k_out));
    AXL_TRY(axl_engine_bind(driver, engine, group->index, AXL_V_OUT, &stage->v_out));
    AXL_TRY(axl_engine_bind(driver, engine, group->index, AXL_HIDDEN_OUT, &stage->output));
    if (group->history == 0) {
        AXL_TRY(axl_engine_bind(driver, engine, group->index, AXL_K_CACHE, &group->no_k));
        AXL_TRY(axl_engine_bind(driver, engine, group->index, AXL_V_CACHE, &group->no_v));
    }
    return axl_ok();
}

/* Binds everything but the K and V of a sequence. `layer` may be the head's number. */
axl_status axl_buffers_bind(axl_model *model, uint32_t layer)
{
    axl_engine *engine = &model->engines[layer];
    if (layer == model->layers) {
        AXL_TRY(axl_engine_bind(model->driver, engine, 0, AXL_HIDDEN_IN, &model->head_input));
        return axl_engine_bind(model->driver, engine, 0, AXL_HIDDEN_OUT, &model->head_output);
    }
    for (uint32_t g = 0; g < model->group_count; g++) {
        AXL_TRY(bind_group(model, engine, &model->groups[g]));
    }
    return axl_ok();
}

axl_status axl_buffers_close(axl_model *model)
{
    axl_driver *driver = model->driver;
    axl_status status = close_stage(driver, &model->decode);
    axl_keep_first(&status, close_stage(driver, &model->prefill));
    for (uint32_t g = 0; g < model->group_count; g++) {
        axl_keep_first(&status, driver->ops->free(driver, &model->groups[g].mask));
        axl_keep_first(&status, driver->ops->free(driver, &model->groups[g].no_k));
        axl_keep_first(&status, driver->ops->free(driver, &model->groups[g].no_v));
    }
    axl_keep_first(&status, driver->ops->free(driver, &model->head_input));
    axl_keep_first(&status, driver->ops->free(driver, &model->head_output));
    free(model->staging);
    model->staging = NULL;
    return status;
}
