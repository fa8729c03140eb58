/* The model's own device buffers: those that all layers share, and those of each layer that the plain way wants. */
#include <stdlib.h>

#include "axl_model.h"
#include "axl_status.h"

static axl_status make(axl_model *model, axl_use use, uint64_t bytes, axl_buffer *out)
{
    AXL_TRY(model->driver->ops->alloc(model->driver, use, bytes, out));
    model->buffer_bytes += bytes;
    return axl_ok();
}

static axl_status drop(axl_model *model, axl_buffer *buffer)
{
    model->buffer_bytes -= buffer->bytes;
    return model->driver->ops->free(model->driver, buffer);
}

static axl_status open_stage(axl_model *model, const axl_shape *shapes, axl_stage *stage)
{
    AXL_TRY(make(model, AXL_USE_INPUT, shapes[AXL_INDICES].bytes, &stage->indices));
    AXL_TRY(make(model, AXL_USE_INPUT, shapes[AXL_HIDDEN_IN].bytes, &stage->input));
    AXL_TRY(make(model, AXL_USE_DEVICE, shapes[AXL_HIDDEN_OUT].bytes, &stage->output));
    AXL_TRY(make(model, AXL_USE_DEVICE, shapes[AXL_K_OUT].bytes, &stage->k_out));
    return make(model, AXL_USE_DEVICE, shapes[AXL_V_OUT].bytes, &stage->v_out);
}

static axl_status close_stage(axl_model *model, axl_stage *stage)
{
    axl_status status = drop(model, &stage->indices);
    axl_keep_first(&status, drop(model, &stage->rows));
    axl_keep_first(&status, drop(model, &stage->input));
    axl_keep_first(&status, drop(model, &stage->output));
    axl_keep_first(&status, drop(model, &stage->k_out));
    axl_keep_first(&status, drop(model, &stage->v_out));
    return status;
}

static axl_status open_group(axl_model *model, axl_group *group)
{
    const axl_shape *shapes = model->engines[0].shapes[group->index];
    AXL_TRY(make(model, AXL_USE_INPUT, shapes[AXL_MASK].bytes, &group->mask));
    if (group->history == 0) {
        AXL_TRY(make(model, AXL_USE_DEVICE, shapes[AXL_K_CACHE].bytes, &group->no_k));
        AXL_TRY(make(model, AXL_USE_DEVICE, shapes[AXL_V_CACHE].bytes, &group->no_v));
    }
    return axl_ok();
}

/* Needs the groups of axl_groups_plan. */
axl_status axl_buffers_open(axl_model *model)
{
    const axl_shape (*shapes)[AXL_ROLES] = (const axl_shape (*)[AXL_ROLES])model->engines[0].shapes;
    AXL_TRY(open_stage(model, shapes[model->groups[0].index], &model->decode));
    if (model->decode_count < model->group_count) {
        const axl_shape *prefill = shapes[model->groups[model->decode_count].index];
        AXL_TRY(open_stage(model, prefill, &model->prefill));
        AXL_TRY(make(model, AXL_USE_INPUT, prefill[AXL_HIDDEN_IN].bytes, &model->prefill.rows));
    }
    for (uint32_t g = 0; g < model->group_count; g++) {
        AXL_TRY(open_group(model, &model->groups[g]));
    }
    AXL_TRY(make(model, AXL_USE_DEVICE, (uint64_t)model->hidden * AXL_VALUE, &model->head_input));
    return make(model, AXL_USE_OUTPUT, (uint64_t)model->vocab * AXL_VALUE, &model->head_output);
}

axl_status axl_buffers_close(axl_model *model)
{
    axl_status status = close_stage(model, &model->decode);
    axl_keep_first(&status, close_stage(model, &model->prefill));
    for (uint32_t g = 0; g < model->group_count; g++) {
        axl_keep_first(&status, drop(model, &model->groups[g].mask));
        axl_keep_first(&status, drop(model, &model->groups[g].no_k));
        axl_keep_first(&status, drop(model, &model->groups[g].no_v));
    }
    axl_keep_first(&status, drop(model, &model->head_input));
    axl_keep_first(&status, drop(model, &model->head_output));
    return status;
}

/* The groups are sorted: the last of each kind has the largest mask. */
static axl_status open_own(axl_model *model, axl_own_inputs *own)
{
    const uint32_t last[2] = {model->decode_count - 1, model->group_count - 1};
    const uint32_t kinds = model->decode_count < model->group_count ? 2 : 1;
    for (uint32_t kind = 0; kind < kinds; kind++) {
        const axl_shape *shapes = model->engines[0].shapes[model->groups[last[kind]].index];
        AXL_TRY(make(model, AXL_USE_INPUT, shapes[AXL_MASK].bytes, &own->mask[kind]));
        AXL_TRY(make(model, AXL_USE_INPUT, shapes[AXL_INDICES].bytes, &own->indices[kind]));
    }
    return axl_ok();
}

/* Mask and indices for each layer; nothing is left when it fails. */
axl_status axl_own_open(axl_model *model, axl_own_inputs **out)
{
    *out = calloc(model->layers, sizeof **out);
    if (*out == NULL) {
        return axl_error(AXL_ERR_HOST_MEMORY, "inputs of the layers");
    }
    for (uint32_t layer = 0; layer < model->layers; layer++) {
        axl_status status = axl_at_layer(open_own(model, &(*out)[layer]), layer);
        if (status.code != AXL_OK) {
            axl_keep_first(&status, axl_own_close(model, out));
            return status;
        }
    }
    return axl_ok();
}

axl_status axl_own_close(axl_model *model, axl_own_inputs **own)
{
    axl_status status = axl_ok();
    for (uint32_t layer = 0; *own != NULL && layer < model->layers; layer++) {
        for (uint32_t kind = 0; kind < 2; kind++) {
            axl_keep_first(&status, drop(model, &(*own)[layer].mask[kind]));
            axl_keep_first(&status, drop(model, &(*own)[layer].indices[kind]));
        }
    }
    free(*own);
    *own = NULL;
    return status;
}
