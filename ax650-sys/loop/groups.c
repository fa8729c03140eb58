/* Which shape groups a model has and which one a step needs. */
#include <stdlib.h>

#include "axl_model.h"
#include "axl_status.h"

static uint64_t elements(const axl_shape *shape)
{
    uint64_t count = 1;
    for (uint32_t i = 0; i < shape->rank; i++) {
        count *= shape->dims[i]; /* engine.c has checked that this fits */
    }
    return count;
}

/* Rows of [1, rows, width], or 0 when the tensor has another form. */
static uint64_t rows_of(const axl_shape *shape, uint32_t width)
{
    const uint64_t count = elements(shape);
    return width != 0 && count % width == 0 ? count / width : 0;
}

static axl_status check_rows(const axl_model *model, const axl_shape *shapes, uint32_t rows)
{
    if (rows_of(&shapes[AXL_HIDDEN_IN], model->hidden) != rows ||
        rows_of(&shapes[AXL_HIDDEN_OUT], model->hidden) != rows) {
        return axl_error(AXL_ERR_MODEL, "input and output are not one row of the model's hidden size per index");
    }
    if (rows_of(&shapes[AXL_K_OUT], model->kv_dim) != rows ||
        rows_of(&shapes[AXL_V_OUT], model->kv_dim) != rows) {
        return axl_error(AXL_ERR_MODEL, "K_cache_out and V_cache_out are not one row per index");
    }
    return axl_ok();
}

/* Reads one group off the shapes of layer 0. */
static axl_status describe(const axl_model *model, uint32_t index, axl_group *group)
{
    const axl_shape *shapes = model->engines[0].shapes[index];
    const uint64_t rows = elements(&shapes[AXL_INDICES]);
    if (rows == 0 || rows > UINT32_MAX / 2) {
        return axl_error(AXL_ERR_MODEL, "indices is empty or absurdly long");
    }
    AXL_TRY(check_rows(model, shapes, (uint32_t)rows));

    const uint64_t cells = elements(&shapes[AXL_MASK]);
    const uint64_t columns = cells / rows;
    if (cells % rows != 0 || columns < rows || columns > UINT32_MAX / 2) {
        return axl_error(AXL_ERR_MODEL, "mask has not one row per index, or fewer columns than rows");
    }
    const uint64_t cache_rows = rows_of(&shapes[AXL_K_CACHE], model->kv_dim);
    if (cache_rows == 0 || cache_rows != rows_of(&shapes[AXL_V_CACHE], model->kv_dim)) {
        return axl_error(AXL_ERR_MODEL, "K_cache and V_cache are not equally many rows of K_cache_out's width");
    }
    if (columns - rows > cache_rows) {
        return axl_error(AXL_ERR_MODEL, "mask covers more cache rows than K_cache has");
    }
    *group = (axl_group){.index = index, .rows = (uint32_t)rows, .history = (uint32_t)(columns - rows)};
    return axl_ok();
}

static int by_rows_then_history(const void *left, const void *right)
{
    const axl_group *a = left;
    const axl_group *b = right;
    if (a->rows != b->rows) {
        return a->rows < b->rows ? -1 : 1;
    }
    return (a->history > b->history) - (a->history < b->history);
}

/* The width of a K or V row, from the output that holds one row per index. */
static axl_status read_kv_dim(axl_model *model)
{
    const axl_shape *shapes = model->engines[0].shapes[0];
    const uint64_t rows = elements(&shapes[AXL_INDICES]);
    const uint64_t width = rows == 0 ? 0 : elements(&shapes[AXL_K_OUT]) / rows;
    if (width == 0 || width > UINT32_MAX) {
        return axl_error(AXL_ERR_MODEL, "K_cache_out has no width");
    }
    model->kv_dim = (uint32_t)width;
    return axl_ok();
}

static axl_status classify(axl_model *model)
{
    uint64_t cache_bytes = 0;
    for (uint32_t g = 0; g < model->group_count; g++) {
        const axl_group *group = &model->groups[g];
        const uint64_t bytes = model->engines[0].shapes[group->index][AXL_K_CACHE].bytes;
        cache_bytes = bytes > cache_bytes ? bytes : cache_bytes;
        if (group->rows == 1) {
            model->decode_count++;
            model->context = group->history;
        } else if (model->chunk != 1 && model->chunk != group->rows) {
            return axl_error(AXL_ERR_MODEL, "prefill groups differ in their number of rows");
        } else {
            model->chunk = group->rows;
        }
    }
    if (model->decode_count == 0 || model->context == 0) {
        return axl_error(AXL_ERR_MODEL, "no decode group: none has one index and a cache");
    }
    model->cache_bytes = cache_bytes;
    return axl_ok();
}

/* Fills groups, kv_dim, chunk, context and cache_bytes from layer 0. */
axl_status axl_groups_plan(axl_model *model)
{
    const uint32_t count = model->engines[0].group_count;
    model->groups = calloc(count, sizeof *model->groups);
    if (model->groups == NULL) {
        return axl_error(AXL_ERR_HOST_MEMORY, "shape groups");
    }
    model->group_count = count;
    model->chunk = 1;
    AXL_TRY(read_kv_dim(model));
    for (uint32_t g = 0; g < count; g++) {
        AXL_TRY(axl_about(describe(model, g, &model->groups[g]), NULL, g));
    }
    qsort(model->groups, count, sizeof *model->groups, by_rows_then_history);
    return classify(model);
}

static axl_group *smallest(axl_group *groups, uint32_t count, uint32_t history)
{
    for (uint32_t g = 0; g < count; g++) {
        if (groups[g].history >= history) {
            return &groups[g];
        }
    }
    return NULL;
}

/* The decode group for a token behind `history` cache rows, or NULL. */
axl_group *axl_groups_decode(const axl_model *model, uint32_t history)
{
    if ((model->paths & AXL_PATH_SMALLEST_GROUP) != 0) {
        return smallest(model->groups, model->decode_count, history);
    }
    axl_group *largest = &model->groups[model->decode_count - 1];
    return largest->history >= history ? largest : NULL;
}

/* The smallest prefill group that sees `history` cache rows, or NULL. */
axl_group *axl_groups_prefill(const axl_model *model, uint32_t history)
{
    return smallest(model->groups + model->decode_count, model->group_count - model->decode_count, history);
}

uint32_t axl_model_groups(const axl_model *model, axl_group_info *groups, uint32_t room)
{
    for (uint32_t g = 0; g < model->group_count && g < room; g++) {
        groups[g] = (axl_group_info){.rows = model->groups[g].rows, .history = model->groups[g].history};
    }
    return model->group_count;
}
