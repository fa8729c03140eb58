/* One token of one sequence through all layers and the head, waited for layer by layer or once. */
#include <string.h>

#include "axl_model.h"
#include "axl_status.h"

/* Only what has changed since the last token crosses to the card. */
static axl_status write_shared_mask(const axl_step *step)
{
    axl_group *group = step->group;
    uint64_t start = 0;
    uint64_t end = group->mask.bytes;
    if (group->known) {
        const uint32_t from = group->visible < step->history ? group->visible : step->history;
        const uint32_t to = group->visible < step->history ? step->history : group->visible;
        if (from == to) {
            return axl_ok();
        }
        axl_mask_move(group->shadow, group->visible, step->history);
        start = (uint64_t)from * AXL_VALUE;
        end = (uint64_t)to * AXL_VALUE;
    } else {
        axl_mask_decode(group->shadow, group->history + 1, step->history);
    }
    group->known = false;
    AXL_TRY(axl_step_mask(step, group->shadow, start, end));
    group->visible = step->history;
    group->known = true;
    return axl_ok();
}

static axl_status write_inputs(const axl_step *step, const uint16_t *row)
{
    axl_model *model = step->seq->model;
    axl_driver *driver = model->driver;
    axl_staging *staging = &model->staging;
    const axl_stage *stage = step->stage;
    *staging->index = step->history;
    if ((step->paths & AXL_PATH_SHARED_INPUTS) != 0) {
        AXL_TRY(write_shared_mask(step));
        AXL_TRY(driver->ops->upload(driver, step->lane, &stage->indices, 0, staging->index, stage->indices.bytes));
    } else {
        axl_mask_decode(step->group->shadow, step->group->history + 1, step->history);
        step->group->known = false;
    }
    const void *source = row;
    if (step->lane == AXL_QUEUED || staging->pinned) {
        memcpy(staging->row, row, (size_t)stage->input.bytes);
        source = staging->row;
    }
    return driver->ops->upload(driver, step->lane, &stage->input, 0, source, stage->input.bytes);
}

static axl_status submit(const axl_step *step, const uint16_t *row, uint16_t *logits)
{
    const axl_model *model = step->seq->model;
    if (axl_is_cancelled(step)) {
        return axl_at_layer(axl_error(AXL_ERR_CANCELLED, "cancel flag"), 0);
    }
    AXL_TRY(write_inputs(step, row));
    for (uint32_t layer = 0; layer < model->layers; layer++) {
        AXL_TRY(axl_at_layer(axl_step_layer(step, layer), layer));
    }
    if (logits == NULL) {
        return axl_ok();
    }
    return axl_at_layer(axl_step_head(step, logits), model->layers);
}

static axl_status queued_runs(axl_status status)
{
    return axl_about(status, "queued runs", AXL_NO_GROUP);
}

/* Also after a failure, and when cancelled: nothing may stay on the queue. */
static axl_status finish(const axl_step *step, axl_status status, uint16_t *logits)
{
    const axl_model *model = step->seq->model;
    model->driver->layer = AXL_NO_LAYER;
    if (step->lane == AXL_NOW) {
        return status;
    }
    axl_keep_first(&status, queued_runs(model->driver->ops->wait(model->driver)));
    if (status.code == AXL_OK && axl_is_cancelled(step)) {
        status = axl_error(AXL_ERR_CANCELLED, "cancel flag");
    }
    if (status.code == AXL_OK && logits != NULL) {
        memcpy(logits, model->staging.logits, (size_t)model->head_output.bytes);
    }
    return status;
}

static axl_status run(const axl_step *step, const uint16_t *row, uint16_t *logits, uint16_t *hidden)
{
    axl_status status = finish(step, submit(step, row, logits), logits);
    if (status.code == AXL_OK && hidden != NULL) {
        status = axl_step_hidden(step, hidden);
        step->seq->model->driver->layer = AXL_NO_LAYER;
    }
    if (status.code != AXL_OK) {
        step->group->known = false;
    }
    return status;
}

/* Computes the token behind `history` rows; logits and hidden may be NULL. The sequence's length is the caller's to change. */
axl_status axl_decode_row(axl_seq *seq, uint32_t history, const uint16_t *row, uint16_t *logits, uint16_t *hidden,
                          const int32_t *cancel)
{
    const axl_model *model = seq->model;
    const uint32_t paths = axl_paths_on(model);
    axl_step step = {
        .seq = seq,
        .group = axl_groups_decode(model, history),
        .stage = &model->decode,
        .history = history,
        .count = 1,
        .paths = paths,
        .in_place = seq->aligned && (paths & AXL_PATH_KV_IN_PLACE) != 0,
        .lane = (paths & AXL_PATH_ASYNC) != 0 ? AXL_QUEUED : AXL_NOW,
        .cancel = cancel,
    };
    if (step.group == NULL) {
        return axl_error(AXL_ERR_CONTEXT_FULL, "no decode group sees that many rows");
    }
    axl_status status = run(&step, row, logits, hidden);
    if (step.lane == AXL_QUEUED && status.code == AXL_ERR_UNSUPPORTED) {
        /* The library offers a queue and refuses it; the driver has taken note. */
        step.lane = AXL_NOW;
        step.paths &= ~(uint32_t)AXL_PATH_ASYNC;
        status = run(&step, row, logits, hidden);
    }
    return status;
}

static axl_status check(const axl_seq *seq, const uint16_t *rows, uint32_t count, const uint16_t *logits,
                        uint32_t logits_len)
{
    if (seq == NULL || rows == NULL) {
        return axl_error(AXL_ERR_ARGUMENT, "no sequence or no rows");
    }
    if (count == 0 || count > seq->model->chunk) {
        return axl_error(AXL_ERR_ARGUMENT, "a step takes between one row and the chunk");
    }
    if (logits != NULL && logits_len != seq->model->vocab) {
        return axl_error(AXL_ERR_ARGUMENT, "room for logits is not the size of the vocabulary");
    }
    if (count > seq->model->context - seq->len) {
        return axl_error(AXL_ERR_CONTEXT_FULL, "the sequence has no room for these rows");
    }
    return axl_ok();
}

static axl_status decode_rows(axl_seq *seq, const axl_chunk *chunk)
{
    for (uint32_t i = 0; i < chunk->count; i++) {
        const uint64_t at = (uint64_t)i * seq->model->hidden;
        uint16_t *logits = i + 1 == chunk->count ? chunk->logits : NULL;
        uint16_t *hidden = chunk->hidden != NULL ? chunk->hidden + at : NULL;
        AXL_TRY(axl_decode_row(seq, seq->len + i, chunk->rows + at, logits, hidden, chunk->cancel));
    }
    return axl_ok();
}

/*
 * Behind the last prefill group's reach, and in models without one, a chunk is a row of tokens. So is a short
 * one, where that costs less than a padded chunk.
 */
static axl_status prefill(axl_seq *seq, const axl_chunk *chunk)
{
    const axl_model *model = seq->model;
    axl_group *group = axl_groups_prefill(model, seq->len);
    const bool is_short = chunk->count <= AXL_SHORT_TAIL && (axl_paths_on(model) & AXL_PATH_SHORT_TAIL) != 0;
    if (group == NULL || is_short) {
        return decode_rows(seq, chunk);
    }
    return axl_prefill_chunk(seq, group, chunk);
}

static axl_status measured_prefill(axl_seq *seq, const axl_chunk *chunk)
{
    axl_stats *stats = &seq->model->driver->stats;
    const uint64_t start = axl_clock_ns();
    const axl_status status = prefill(seq, chunk);
    stats->step_ns += axl_clock_ns() - start;
    if (status.code == AXL_OK) {
        seq->len += chunk->count;
    }
    return status;
}

axl_status axl_prefill(axl_seq *seq, const uint16_t *rows, uint32_t count, uint16_t *logits,
                       uint32_t logits_len, const int32_t *cancel)
{
    AXL_TRY(check(seq, rows, count, logits, logits_len));
    const axl_chunk chunk = {.rows = rows, .count = count, .logits = logits, .cancel = cancel};
    return measured_prefill(seq, &chunk);
}

axl_status axl_prefill_before(axl_seq *seq, const uint16_t *rows, uint32_t count, const uint16_t *next,
                              uint32_t next_count, const int32_t *cancel)
{
    AXL_TRY(check(seq, rows, count, NULL, 0));
    if (next != NULL && (next_count == 0 || next_count > seq->model->chunk)) {
        return axl_error(AXL_ERR_ARGUMENT, "a step takes between one row and the chunk");
    }
    const axl_chunk chunk = {
        .rows = rows, .count = count, .next = next, .next_count = next_count, .cancel = cancel};
    return measured_prefill(seq, &chunk);
}

axl_status axl_prefill_hidden(axl_seq *seq, const uint16_t *rows, uint32_t count, uint16_t *hidden,
                              uint64_t hidden_len, const int32_t *cancel)
{
    AXL_TRY(check(seq, rows, count, NULL, 0));
    if (hidden == NULL || hidden_len != (uint64_t)count * seq->model->hidden) {
        return axl_error(AXL_ERR_ARGUMENT, "room for hidden states is not that of the rows");
    }
    const axl_chunk chunk = {.rows = rows, .count = count, .hidden = hidden, .cancel = cancel};
    return measured_prefill(seq, &chunk);
}

axl_status axl_decode(axl_seq *seq, const uint16_t *row, uint16_t *logits, uint32_t logits_len,
                      const int32_t *cancel)
{
    AXL_TRY(check(seq, row, 1, logits, logits_len));
    axl_stats *stats = &seq->model->driver->stats;
    const uint64_t start = axl_clock_ns();
    const axl_status status = axl_decode_row(seq, seq->len, row, logits, NULL, cancel);
    stats->step_ns += axl_clock_ns() - start;
    if (status.code == AXL_OK) {
        seq->len++;
    }
    return status;
}
