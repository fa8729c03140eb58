/* One step of one sequence: a chunk of a prompt or a token, through all layers, then the head. */
#include <string.h>

#include "axl_model.h"
#include "axl_status.h"

/* A run of `count` rows through one group, stored behind `history` rows. */
typedef struct axl_step {
    axl_seq *seq;
    const axl_group *group;
    const axl_stage *stage;
    uint32_t history;
    uint32_t count;
    const int32_t *cancel;
} axl_step;

static bool is_cancelled(const int32_t *cancel)
{
    return cancel != NULL && __atomic_load_n(cancel, __ATOMIC_ACQUIRE) != 0;
}

static axl_status write_mask(const axl_step *step)
{
    axl_model *model = step->seq->model;
    const axl_group *group = step->group;
    if (group->rows == 1) {
        axl_mask_decode(model->staging, group->history + 1, step->history);
    } else {
        axl_mask_prefill(model->staging, group->rows, group->history, step->history, step->count);
    }
    return model->driver->ops->upload(model->driver, &group->mask, model->staging, group->mask.bytes);
}

static axl_status write_indices(const axl_step *step)
{
    axl_model *model = step->seq->model;
    uint32_t *indices = model->staging;
    for (uint32_t row = 0; row < step->group->rows; row++) {
        indices[row] = row < step->count ? step->history + row : 0;
    }
    return model->driver->ops->upload(model->driver, &step->stage->indices, indices, step->stage->indices.bytes);
}

/* Rows of padding are zero, so that nothing of an earlier chunk takes part. */
static axl_status write_rows(const axl_step *step, const uint16_t *rows)
{
    axl_model *model = step->seq->model;
    const uint64_t bytes = (uint64_t)step->count * model->hidden * AXL_VALUE;
    const uint64_t whole = step->stage->input.bytes;
    if (bytes == whole) {
        return model->driver->ops->upload(model->driver, &step->stage->input, rows, whole);
    }
    unsigned char *staging = model->staging;
    memcpy(staging, rows, (size_t)bytes);
    memset(staging + bytes, 0, (size_t)(whole - bytes));
    return model->driver->ops->upload(model->driver, &step->stage->input, staging, whole);
}

/* Binds the sequence's K and V to a layer, unless they are. A group without history never sees them. */
static axl_status bind_cache(const axl_step *step, uint32_t layer)
{
    axl_model *model = step->seq->model;
    const axl_group *group = step->group;
    axl_engine *engine = &model->engines[layer];
    axl_binding *binding = &engine->bindings[group->index];
    const axl_buffer *k = &step->seq->k[layer];
    const axl_buffer *v = &step->seq->v[layer];
    if (group->history == 0 || (binding->k == k->ptr && binding->v == v->ptr)) {
        return axl_ok();
    }
    binding->k = NULL;
    binding->v = NULL;
    AXL_TRY(axl_engine_bind(model->driver, engine, group->index, AXL_K_CACHE, k));
    AXL_TRY(axl_engine_bind(model->driver, engine, group->index, AXL_V_CACHE, v));
    binding->k = k->ptr;
    binding->v = v->ptr;
    return axl_ok();
}

static axl_status store_cache(const axl_step *step, uint32_t layer)
{
    const axl_model *model = step->seq->model;
    const uint64_t row = (uint64_t)model->kv_dim * AXL_VALUE;
    const uint64_t at = row * step->history;
    const uint64_t bytes = row * step->count;
    AXL_TRY(model->driver->ops->copy(model->driver, &step->seq->k[layer], at, &step->stage->k_out, 0, bytes));
    return model->driver->ops->copy(model->driver, &step->seq->v[layer], at, &step->stage->v_out, 0, bytes);
}

static axl_status run_layer(const axl_step *step, uint32_t layer)
{
    const axl_model *model = step->seq->model;
    AXL_TRY(bind_cache(step, layer));
    AXL_TRY(axl_engine_run(model->driver, &model->engines[layer], step->group->index));
    AXL_TRY(store_cache(step, layer));
    if (layer + 1 == model->layers) {
        return axl_ok();
    }
    const uint64_t bytes = (uint64_t)step->count * model->hidden * AXL_VALUE;
    return model->driver->ops->copy(model->driver, &step->stage->input, 0, &step->stage->output, 0, bytes);
}

static axl_status run_layers(const axl_step *step, const uint16_t *rows)
{
    const axl_model *model = step->seq->model;
    if (is_cancelled(step->cancel)) {
        return axl_at_layer(axl_error(AXL_ERR_CANCELLED, "cancel flag"), 0);
    }
    AXL_TRY(write_mask(step));
    AXL_TRY(write_indices(step));
    AXL_TRY(write_rows(step, rows));
    for (uint32_t layer = 0; layer < model->layers; layer++) {
        if (is_cancelled(step->cancel)) {
            return axl_at_layer(axl_error(AXL_ERR_CANCELLED, "cancel flag"), layer);
        }
        AXL_TRY(axl_at_layer(run_layer(step, layer), layer));
    }
    return axl_ok();
}

/* The logits of the last row of a step. */
static axl_status run_head(const axl_step *step, uint16_t *logits)
{
    axl_model *model = step->seq->model;
    axl_driver *driver = model->driver;
    const uint64_t row = (uint64_t)model->hidden * AXL_VALUE;
    if (is_cancelled(step->cancel)) {
        return axl_error(AXL_ERR_CANCELLED, "cancel flag");
    }
    AXL_TRY(driver->ops->copy(driver, &model->head_input, 0, &step->stage->output, row * (step->count - 1), row));
    AXL_TRY(axl_engine_run(driver, &model->engines[model->layers], 0));
    return driver->ops->download(driver, logits, &model->head_output, model->head_output.bytes);
}

static axl_status run_step(const axl_step *step, const uint16_t *rows, uint16_t *logits)
{
    AXL_TRY(run_layers(step, rows));
    if (logits == NULL) {
        return axl_ok();
    }
    return axl_at_layer(run_head(step, logits), step->seq->model->layers);
}

static axl_status decode_one(axl_seq *seq, uint32_t history, const uint16_t *row, uint16_t *logits,
                             const int32_t *cancel)
{
    const axl_model *model = seq->model;
    const axl_group *group = axl_groups_decode(model, history);
    if (group == NULL) {
        return axl_error(AXL_ERR_CONTEXT_FULL, "no decode group sees that many rows");
    }
    const axl_step step = {seq, group, &model->decode, history, 1, cancel};
    return run_step(&step, row, logits);
}

/* Behind the last prefill group's reach, and in models without one, a chunk is a row of tokens. */
static axl_status prefill_chunk(axl_seq *seq, const uint16_t *rows, uint32_t count, uint16_t *logits,
                                const int32_t *cancel)
{
    const axl_model *model = seq->model;
    const axl_group *group = axl_groups_prefill(model, seq->len);
    if (group != NULL) {
        const axl_step step = {seq, group, &model->prefill, seq->len, count, cancel};
        return run_step(&step, rows, logits);
    }
    for (uint32_t i = 0; i < count; i++) {
        const uint16_t *row = rows + (uint64_t)i * model->hidden;
        AXL_TRY(decode_one(seq, seq->len + i, row, i + 1 == count ? logits : NULL, cancel));
    }
    return axl_ok();
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

axl_status axl_prefill(axl_seq *seq, const uint16_t *rows, uint32_t count, uint16_t *logits,
                       uint32_t logits_len, const int32_t *cancel)
{
    AXL_TRY(check(seq, rows, count, logits, logits_len));
    axl_stats *stats = &seq->model->driver->stats;
    const uint64_t start = axl_clock_ns();
    const axl_status status = prefill_chunk(seq, rows, count, logits, cancel);
    stats->step_ns += axl_clock_ns() - start;
    if (status.code == AXL_OK) {
        seq->len += count;
    }
    return status;
}

axl_status axl_decode(axl_seq *seq, const uint16_t *row, uint16_t *logits, uint32_t logits_len,
                      const int32_t *cancel)
{
    AXL_TRY(check(seq, row, 1, logits, logits_len));
    axl_stats *stats = &seq->model->driver->stats;
    const uint64_t start = axl_clock_ns();
    const axl_status status = decode_one(seq, seq->len, row, logits, cancel);
    stats->step_ns += axl_clock_ns() - start;
    if (status.code == AXL_OK) {
        seq->len++;
    }
    return status;
}
