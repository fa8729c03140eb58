/*
 * A chunk of a prompt through all layers: each waited for, or some of them queued at a time, so that the card has no
 * time to lose between them and a chunk can still be cancelled on its way.
 */
#include <string.h>

#include "axl_model.h"
#include "axl_status.h"

static void make_mask(const axl_step *step)
{
    const axl_group *group = step->group;
    axl_mask_prefill(step->seq->model->staging.prefill_mask, group->rows, group->history, step->history, step->count);
}

/*
 * Only rows that have changed since the group's last chunk: none where it was a chunk at this place, as in every prompt
 * that begins anew.
 */
static axl_status write_shared_mask(const axl_step *step)
{
    axl_group *group = step->group;
    const uint64_t row_bytes = group->mask.bytes / group->rows;
    uint32_t first = 0;
    uint32_t end = group->rows;
    if (group->known) {
        const bool grows = group->seeing < step->count;
        end = grows ? step->count : group->seeing;
        if (group->visible == step->history) {
            first = grows ? group->seeing : step->count;
        }
    }
    if (first != end) {
        make_mask(step);
        group->known = false;
        AXL_TRY(axl_step_mask(step, step->seq->model->staging.prefill_mask, row_bytes * first, row_bytes * end));
    }
    group->visible = step->history;
    group->seeing = step->count;
    group->known = true;
    return axl_ok();
}

/* Into the staging, with zeros for rows of padding, so that nothing of an earlier chunk takes part. */
static void stage_rows(axl_model *model, const uint16_t *rows, uint32_t count)
{
    const uint64_t bytes = (uint64_t)count * model->hidden * AXL_VALUE;
    model->ahead = 0;
    memcpy(model->staging.rows, rows, (size_t)bytes);
    memset(model->staging.rows + bytes, 0, (size_t)(model->prefill.rows.bytes - bytes));
}

static axl_status write_rows(const axl_step *step, const uint16_t *rows)
{
    axl_model *model = step->seq->model;
    const axl_buffer *target = &step->stage->rows;
    const uint64_t bytes = (uint64_t)step->count * model->hidden * AXL_VALUE;
    const uint32_t ahead = model->ahead;
    model->ahead = 0;
    if (ahead == step->count && memcmp(model->staging.rows, rows, (size_t)bytes) == 0) {
        return axl_ok();
    }
    const void *source = rows;
    if (bytes != target->bytes || model->staging.pinned) {
        stage_rows(model, rows, step->count);
        source = model->staging.rows;
    }
    return model->driver->ops->upload(model->driver, step->lane, target, 0, source, target->bytes);
}

/*
 * While the last layers are computed. Layer 0, which alone reads the buffer, was waited for by then, and so was the
 * copy that made use of the staging.
 */
static axl_status write_ahead(const axl_step *step, const axl_chunk *chunk)
{
    axl_model *model = step->seq->model;
    const axl_buffer *target = &step->stage->rows;
    if (step->lane == AXL_NOW || chunk->next == NULL || model->layers <= AXL_PREFILL_WINDOW) {
        return axl_ok();
    }
    stage_rows(model, chunk->next, chunk->next_count);
    model->driver->layer = AXL_NO_LAYER;
    AXL_TRY(axl_about(model->driver->ops->upload(model->driver, AXL_NOW, target, 0, model->staging.rows, target->bytes),
                      "rows of the next chunk", AXL_NO_GROUP));
    model->ahead = chunk->next_count;
    return axl_ok();
}

static axl_status write_inputs(const axl_step *step, const uint16_t *rows)
{
    const axl_model *model = step->seq->model;
    const axl_staging *staging = &model->staging;
    for (uint32_t row = 0; row < step->group->rows; row++) {
        staging->prefill_indices[row] = row < step->count ? step->history + row : 0;
    }
    if ((step->paths & AXL_PATH_SHARED_INPUTS) != 0) {
        const axl_buffer *indices = &step->stage->indices;
        AXL_TRY(write_shared_mask(step));
        AXL_TRY(model->driver->ops->upload(model->driver, step->lane, indices, 0, staging->prefill_indices,
                                           indices->bytes));
    } else {
        make_mask(step);
    }
    return write_rows(step, rows);
}

/* In place, the whole chunk is written, padding included. */
static bool fits_in_place(const axl_seq *seq, const axl_group *group)
{
    const axl_model *model = seq->model;
    const uint64_t rows = model->cache_bytes / ((uint64_t)model->kv_dim * AXL_VALUE);
    return seq->aligned && (uint64_t)seq->len + group->rows <= rows;
}

/* The last layers are left to be waited for. */
static axl_status submit(const axl_step *step, const axl_chunk *chunk)
{
    const axl_model *model = step->seq->model;
    if (axl_is_cancelled(step)) {
        return axl_at_layer(axl_error(AXL_ERR_CANCELLED, "cancel flag"), 0);
    }
    AXL_TRY(write_inputs(step, chunk->rows));
    for (uint32_t layer = 0; layer < model->layers; layer++) {
        if (layer != 0 && layer % AXL_PREFILL_WINDOW == 0) {
            AXL_TRY(axl_step_wait(step, layer - AXL_PREFILL_WINDOW, layer - 1));
        }
        AXL_TRY(axl_at_layer(axl_step_layer(step, layer), layer));
    }
    if (chunk->logits == NULL) {
        return axl_ok();
    }
    return axl_at_layer(axl_step_head(step, chunk->logits), model->layers);
}

/* The first layer that was not waited for when the last one to be queued was `last`. */
static uint32_t window_of(const axl_model *model, uint32_t last)
{
    const uint32_t layer = last < model->layers ? last : model->layers - 1;
    return layer / AXL_PREFILL_WINDOW * AXL_PREFILL_WINDOW;
}

/* Also after a failure, and when cancelled: nothing may stay on the queue. */
static axl_status finish(const axl_step *step, axl_status status, const axl_chunk *chunk)
{
    axl_model *model = step->seq->model;
    if (step->lane == AXL_QUEUED) {
        uint32_t last = chunk->logits != NULL ? model->layers : model->layers - 1;
        if (status.code != AXL_OK) {
            last = status.layer > 0 ? (uint32_t)status.layer : 0;
        } else {
            status = write_ahead(step, chunk);
        }
        axl_keep_first(&status, axl_step_wait(step, window_of(model, last), last));
        if (status.code == AXL_OK && axl_is_cancelled(step)) {
            status = axl_error(AXL_ERR_CANCELLED, "cancel flag");
        }
        if (status.code == AXL_OK && chunk->logits != NULL) {
            memcpy(chunk->logits, model->staging.logits, (size_t)model->head_output.bytes);
        }
    }
    if (status.code == AXL_OK && chunk->hidden != NULL) {
        status = axl_step_hidden(step, chunk->hidden);
    }
    model->driver->layer = AXL_NO_LAYER;
    return status;
}

static axl_status run(const axl_step *step, const axl_chunk *chunk)
{
    const axl_status status = finish(step, submit(step, chunk), chunk);
    if (status.code != AXL_OK) {
        step->group->known = false;
    }
    return status;
}

/* Computes a chunk in one run per layer; the sequence's length is the caller's to change. */
axl_status axl_prefill_chunk(axl_seq *seq, axl_group *group, const axl_chunk *chunk)
{
    const axl_model *model = seq->model;
    const uint32_t paths = axl_paths_on(model);
    axl_step step = {
        .seq = seq,
        .group = group,
        .stage = &model->prefill,
        .history = seq->len,
        .count = chunk->count,
        .paths = paths,
        .in_place = (paths & AXL_PATH_KV_IN_PLACE_PREFILL) != 0 && fits_in_place(seq, group),
        .lane = (paths & AXL_PATH_ASYNC) != 0 ? AXL_QUEUED : AXL_NOW,
        .cancel = chunk->cancel,
    };
    axl_status status = run(&step, chunk);
    if (step.lane == AXL_QUEUED && status.code == AXL_ERR_UNSUPPORTED) {
        /* The library offers a queue and refuses it; the driver has taken note. */
        step.lane = AXL_NOW;
        step.paths &= ~(uint32_t)AXL_PATH_ASYNC;
        status = run(&step, chunk);
    }
    return status;
}
