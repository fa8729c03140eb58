/* The K and V rows of one conversation. */
#include <stdlib.h>

#include "axl_model.h"
#include "axl_status.h"

static axl_status open_layers(axl_seq *seq)
{
    axl_model *model = seq->model;
    axl_driver *driver = model->driver;
    seq->k = calloc(model->layers, sizeof *seq->k);
    seq->v = calloc(model->layers, sizeof *seq->v);
    if (seq->k == NULL || seq->v == NULL) {
        return axl_error(AXL_ERR_HOST_MEMORY, "sequence");
    }
    for (uint32_t layer = 0; layer < model->layers; layer++) {
        AXL_TRY(axl_at_layer(driver->ops->alloc(driver, AXL_USE_DEVICE, model->cache_bytes, &seq->k[layer]), layer));
        AXL_TRY(axl_at_layer(driver->ops->alloc(driver, AXL_USE_DEVICE, model->cache_bytes, &seq->v[layer]), layer));
    }
    return axl_ok();
}

static bool is_aligned(const axl_seq *seq)
{
    for (uint32_t layer = 0; layer < seq->model->layers; layer++) {
        if (seq->k[layer].address % AXL_ALIGNMENT != 0 || seq->v[layer].address % AXL_ALIGNMENT != 0) {
            return false;
        }
    }
    return true;
}

static axl_status close_seq(axl_seq *seq)
{
    axl_model *model = seq->model;
    axl_status status = axl_ok();
    for (uint32_t layer = 0; layer < model->layers; layer++) {
        if (seq->k != NULL) {
            axl_keep_first(&status, model->driver->ops->free(model->driver, &seq->k[layer]));
        }
        if (seq->v != NULL) {
            axl_keep_first(&status, model->driver->ops->free(model->driver, &seq->v[layer]));
        }
    }
    for (uint32_t layer = 0; layer < model->layers; layer++) {
        axl_engine_forget(&model->engines[layer], AXL_CACHE_ROLES);
    }
    model->sequences--;
    free(seq->k);
    free(seq->v);
    free(seq);
    return status;
}

axl_status axl_seq_open(axl_model *model, axl_seq **out)
{
    if (model == NULL || out == NULL) {
        return axl_error(AXL_ERR_ARGUMENT, "axl_seq_open: NULL");
    }
    *out = NULL;
    axl_seq *seq = calloc(1, sizeof *seq);
    if (seq == NULL) {
        return axl_error(AXL_ERR_HOST_MEMORY, "sequence");
    }
    seq->model = model;
    model->sequences++;
    axl_status status = open_layers(seq);
    if (status.code != AXL_OK) {
        axl_keep_first(&status, close_seq(seq));
        return status;
    }
    seq->aligned = is_aligned(seq);
    *out = seq;
    return status;
}

axl_status axl_seq_close(axl_seq *seq)
{
    return seq == NULL ? axl_ok() : close_seq(seq);
}

uint32_t axl_seq_len(const axl_seq *seq)
{
    return seq->len;
}

axl_status axl_seq_truncate(axl_seq *seq, uint32_t len)
{
    if (seq == NULL || len > seq->len) {
        return axl_error(AXL_ERR_ARGUMENT, "axl_seq_truncate: longer than the sequence");
    }
    seq->len = len;
    return axl_ok();
}
