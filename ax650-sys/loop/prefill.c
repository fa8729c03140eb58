/* A chunk of a prompt through all layers, each waited for, so that it can be cancelled in between. */
#include <string.h>

#include "axl_model.h"
#include "axl_status.h"

static void make_inputs(const axl_step *step)
{
    const axl_group *group = step->group;
    const axl_staging *staging = &step->seq->model->staging;
    axl_mask_prefill(staging->prefill_mask, group->rows, group->history, step->history, step->count);
    for (uint32_t row = 0; row < group->rows; row++) {
        staging->prefill_indices[row] = row < step->count ? step->history + row : 0;
    }
}

static axl_status write_shared(const axl_step *step)
{
    const axl_model *model = step->seq->model;
    const axl_staging *staging = &model->staging;
    const axl_buffer *mask = &step->group->mask;
    const axl_buffer *indices = &step->stage->indices;
    AXL_TRY(model->driver->ops->upload(model->driver, AXL_NOW, mask, 0, staging->prefill_mask, mask->bytes));
    return model->driver->ops->upload(model->driver, AXL_NOW, indices, 0, staging->prefill_indices, indices->bytes);
}

/* Rows of padding are zero, so that nothing of an earlier chunk takes part. */
static axl_status write_rows(const axl_step *step, const uint16_t *rows)
{
    axl_model *model = step->seq->model;
    const axl_staging *staging = &model->staging;
    const axl_buffer *input = &step->stage->input;
    const uint64_t bytes = (uint64_t)step->count * model->hidden * AXL_VALUE;
    const void *source = rows;
    if (bytes != input->bytes || staging->pinned) {
        memcpy(staging->rows, rows, (size_t)bytes);
        memset(staging->rows + bytes, 0, (size_t)(input->bytes - bytes));
        source = staging->rows;
    }
    return model->driver->ops->upload(model->driver, AXL_NOW, input, 0, source, input->bytes);
}

/* In place, the whole chunk is written, padding included. */
static bool fits_in_place(const axl_seq *seq, const axl_group *group)
{
    const axl_model *model = seq->model;
    const uint64_t rows = model->cache_bytes / ((uint64_t)model->kv_dim * AXL_VALUE);
    return seq->aligned && (uint64_t)seq->len + group->rows <= rows;
}

static axl_status run(const axl_step *step, const uint16_t *rows, uint16_t *logits)
{
    const axl_model *model = step->seq->model;
    if (axl_is_cancelled(step)) {
        return axl_at_layer(axl_error(AXL_ERR_CANCELLED, "cancel flag"), 0);
    }
    make_inputs(step);
    if ((step->paths & AXL_PATH_SHARED_INPUTS) != 0) {
        AXL_TRY(write_shared(step));
    }
    AXL_TRY(write_rows(step, rows));
    for (uint32_t layer = 0; layer < model->layers; layer++) {
        AXL_TRY(axl_at_layer(axl_step_layer(step, layer), layer));
    }
    if (logits == NULL) {
        return axl_ok();
    }
    return axl_at_layer(axl_step_head(step, logits), model->layers);
}

/* Computes `count` rows in one run per layer; the sequence's length is the caller's to change. */
axl_status axl_prefill_chunk(axl_seq *seq, axl_group *group, const uint16_t *rows, uint32_t count, uint16_t *logits,
                             const int32_t *cancel)
{
    const axl_model *model = seq->model;
    const uint32_t paths = axl_paths_on(model);
    const axl_step step = {
        .seq = seq,
        .group = group,
        .stage = &model->prefill,
        .history = seq->len,
        .count = count,
        .paths = paths,
        .in_place = (paths & AXL_PATH_KV_IN_PLACE_PREFILL) != 0 && fits_in_place(seq, group),
        .lane = AXL_NOW,
        .cancel = cancel,
    };
    const axl_status status = run(&step, rows, logits);
    model->driver->layer = AXL_NO_LAYER;
    return status;
}
