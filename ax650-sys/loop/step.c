/* One layer, and the head, of one step: where its tensors are, what is copied, the run. */
#include <string.h>

#include "axl_model.h"
#include "axl_status.h"

/* A place in a buffer. */
typedef struct place {
    const axl_buffer *buffer;
    uint64_t offset;
} place;

bool axl_is_cancelled(const axl_step *step)
{
    return step->cancel != NULL && __atomic_load_n(step->cancel, __ATOMIC_ACQUIRE) != 0;
}

static bool is_on(const axl_step *step, axl_path path)
{
    return (step->paths & (uint32_t)path) != 0;
}

static bool is_decode(const axl_step *step)
{
    return step->group->rows == 1;
}

static uint64_t row_offset(const axl_step *step)
{
    return (uint64_t)step->seq->model->kv_dim * AXL_VALUE * step->history;
}

/*
 * Aliased, layers write input and output in turn, so that each reads what the one before it wrote. The last
 * layer of a decode step writes straight to the head.
 */
static const axl_buffer *hidden_out(const axl_step *step, uint32_t layer)
{
    const axl_model *model = step->seq->model;
    if (!is_on(step, AXL_PATH_ALIASED_HIDDEN)) {
        return &step->stage->output;
    }
    if (is_decode(step) && layer + 1 == model->layers) {
        return &model->head_input;
    }
    return layer % 2 == 0 ? &step->stage->output : &step->stage->input;
}

static const axl_buffer *hidden_in(const axl_step *step, uint32_t layer)
{
    if (!is_decode(step) && layer == 0) {
        return &step->stage->rows;
    }
    const bool swapped = is_on(step, AXL_PATH_ALIASED_HIDDEN) && layer % 2 == 1;
    return swapped ? &step->stage->output : &step->stage->input;
}

static place place_of(const axl_step *step, uint32_t layer, axl_role role)
{
    const axl_seq *seq = step->seq;
    const axl_group *group = step->group;
    const bool shared = is_on(step, AXL_PATH_SHARED_INPUTS);
    const axl_own_inputs *own = shared ? NULL : &seq->model->own[layer];
    const uint32_t kind = is_decode(step) ? 0 : 1;
    switch (role) {
    case AXL_K_CACHE:
        return (place){group->history == 0 ? &group->no_k : &seq->k[layer], 0};
    case AXL_V_CACHE:
        return (place){group->history == 0 ? &group->no_v : &seq->v[layer], 0};
    case AXL_INDICES:
        return (place){shared ? &step->stage->indices : &own->indices[kind], 0};
    case AXL_MASK:
        return (place){shared ? &group->mask : &own->mask[kind], 0};
    case AXL_K_OUT:
        return step->in_place ? (place){&seq->k[layer], row_offset(step)} : (place){&step->stage->k_out, 0};
    case AXL_V_OUT:
        return step->in_place ? (place){&seq->v[layer], row_offset(step)} : (place){&step->stage->v_out, 0};
    case AXL_HIDDEN_IN:
        return (place){hidden_in(step, layer), 0};
    case AXL_HIDDEN_OUT:
    case AXL_ROLES:
        break;
    }
    return (place){hidden_out(step, layer), 0};
}

static axl_status bind_layer(const axl_step *step, uint32_t layer)
{
    axl_model *model = step->seq->model;
    for (uint32_t role = 0; role < AXL_ROLES; role++) {
        const place at = place_of(step, layer, (axl_role)role);
        AXL_TRY(axl_engine_bind(model->driver, &model->engines[layer], step->group->index, (axl_role)role,
                                at.buffer, at.offset));
    }
    return axl_ok();
}

/* Bytes of a mask from `start` to `end` into the shared one, in whole lines of the alignment. */
axl_status axl_step_mask(const axl_step *step, const void *mask, uint64_t start, uint64_t end)
{
    axl_driver *driver = step->seq->model->driver;
    const axl_buffer *target = &step->group->mask;
    const uint64_t from = start / AXL_ALIGNMENT * AXL_ALIGNMENT;
    const uint64_t line_end = (end + AXL_ALIGNMENT - 1) / AXL_ALIGNMENT * AXL_ALIGNMENT;
    const uint64_t to = line_end < target->bytes ? line_end : target->bytes;
    return driver->ops->upload(driver, step->lane, target, from, (const unsigned char *)mask + from, to - from);
}

/* Mask and indices as the step has made them on the host, into the layer's own buffers. */
static axl_status write_own(const axl_step *step, uint32_t layer)
{
    const axl_model *model = step->seq->model;
    const axl_staging *staging = &model->staging;
    const axl_shape *shapes = model->engines[0].shapes[step->group->index];
    const uint32_t kind = is_decode(step) ? 0 : 1;
    const axl_own_inputs *own = &model->own[layer];
    const void *mask = is_decode(step) ? step->group->shadow : staging->prefill_mask;
    const void *indices = is_decode(step) ? staging->index : staging->prefill_indices;
    AXL_TRY(model->driver->ops->upload(model->driver, step->lane, &own->mask[kind], 0, mask,
                                       shapes[AXL_MASK].bytes));
    return model->driver->ops->upload(model->driver, step->lane, &own->indices[kind], 0, indices,
                                      shapes[AXL_INDICES].bytes);
}

static axl_status copy_cache(const axl_step *step, uint32_t layer)
{
    const axl_seq *seq = step->seq;
    axl_driver *driver = seq->model->driver;
    const uint64_t at = row_offset(step);
    const uint64_t bytes = (uint64_t)seq->model->kv_dim * AXL_VALUE * step->count;
    AXL_TRY(driver->ops->copy(driver, step->lane, &seq->k[layer], at, &step->stage->k_out, 0, bytes));
    return driver->ops->copy(driver, step->lane, &seq->v[layer], at, &step->stage->v_out, 0, bytes);
}

axl_status axl_step_layer(const axl_step *step, uint32_t layer)
{
    const axl_model *model = step->seq->model;
    axl_driver *driver = model->driver;
    driver->layer = (int32_t)layer;
    if (axl_is_cancelled(step)) {
        return axl_error(AXL_ERR_CANCELLED, "cancel flag");
    }
    AXL_TRY(bind_layer(step, layer));
    if (!is_on(step, AXL_PATH_SHARED_INPUTS)) {
        AXL_TRY(write_own(step, layer));
    }
    AXL_TRY(axl_engine_run(driver, step->lane, &model->engines[layer], step->group->index));
    if (!step->in_place) {
        AXL_TRY(copy_cache(step, layer));
    }
    if (is_on(step, AXL_PATH_ALIASED_HIDDEN) || layer + 1 == model->layers) {
        return axl_ok();
    }
    const uint64_t bytes = (uint64_t)step->count * model->hidden * AXL_VALUE;
    return driver->ops->copy(driver, step->lane, &step->stage->input, 0, &step->stage->output, 0, bytes);
}

/* For what was queued from layer `first` to layer `last`, which may be the head. */
axl_status axl_step_wait(const axl_step *step, uint32_t first, uint32_t last)
{
    axl_driver *driver = step->seq->model->driver;
    if (step->lane == AXL_NOW) {
        return axl_ok();
    }
    driver->layer = (int32_t)first;
    axl_status status = driver->ops->wait(driver);
    if (status.code != AXL_OK) {
        axl_describe_layers(&status, first, last);
    }
    return status;
}

/* Where the head finds the last row of the step. */
static axl_status feed_head(const axl_step *step)
{
    const axl_model *model = step->seq->model;
    const axl_buffer *last = hidden_out(step, model->layers - 1);
    if (last == &model->head_input) {
        return axl_ok();
    }
    const uint64_t row = (uint64_t)model->hidden * AXL_VALUE;
    return model->driver->ops->copy(model->driver, step->lane, &model->head_input, 0, last, row * (step->count - 1),
                                    row);
}

/* What the last layer gave for the rows of a step that is over: nothing of it is queued any more. */
axl_status axl_step_hidden(const axl_step *step, uint16_t *hidden)
{
    const axl_model *model = step->seq->model;
    const uint64_t bytes = (uint64_t)step->count * model->hidden * AXL_VALUE;
    model->driver->layer = (int32_t)(model->layers - 1);
    return axl_about(model->driver->ops->download(model->driver, AXL_NOW, hidden, hidden_out(step, model->layers - 1), 0,
                                                  bytes),
                     "hidden states", AXL_NO_GROUP);
}

/*
 * The logits of the last row of a step, for the caller when the step is over: queued or pinned, they come by way of
 * the staging.
 */
axl_status axl_step_head(const axl_step *step, uint16_t *logits)
{
    axl_model *model = step->seq->model;
    axl_driver *driver = model->driver;
    axl_engine *head = &model->engines[model->layers];
    driver->layer = (int32_t)model->layers;
    if (axl_is_cancelled(step)) {
        return axl_error(AXL_ERR_CANCELLED, "cancel flag");
    }
    AXL_TRY(axl_engine_bind(driver, head, 0, AXL_HIDDEN_IN, &model->head_input, 0));
    AXL_TRY(axl_engine_bind(driver, head, 0, AXL_HIDDEN_OUT, &model->head_output, 0));
    AXL_TRY(feed_head(step));
    AXL_TRY(axl_engine_run(driver, step->lane, head, 0));
    const uint64_t bytes = model->head_output.bytes;
    if (step->lane == AXL_NOW && !model->staging.pinned) {
        return driver->ops->download(driver, AXL_NOW, logits, &model->head_output, 0, bytes);
    }
    AXL_TRY(driver->ops->download(driver, step->lane, model->staging.logits, &model->head_output, 0, bytes));
    if (step->lane == AXL_NOW) {
        memcpy(logits, model->staging.logits, (size_t)bytes);
    }
    return axl_ok();
}
