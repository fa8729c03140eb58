/* A model: its files loaded one by one, verified, with buffers bound. */
#include <stdlib.h>

#include "axl_model.h"
#include "axl_status.h"

/* More layers than any model has: a guard for the sizes below. */
#define MAX_FILES 65536u

static axl_status check_spec(const axl_model_spec *spec)
{
    if (spec->files == NULL || spec->file_count < 2 || spec->file_count > MAX_FILES) {
        return axl_error(AXL_ERR_ARGUMENT, "a model has at least one layer file and a head file");
    }
    if (spec->hidden == 0 || spec->vocab == 0 || spec->hidden > INT32_MAX || spec->vocab > INT32_MAX) {
        return axl_error(AXL_ERR_ARGUMENT, "hidden size and vocabulary must be positive");
    }
    for (uint32_t i = 0; i < spec->file_count; i++) {
        if (spec->files[i].path == NULL) {
            return axl_error(AXL_ERR_ARGUMENT, "a file has no path");
        }
    }
    return axl_ok();
}

static axl_status check_head(const axl_model *model)
{
    const axl_engine *head = &model->engines[model->layers];
    if (head->shapes[0][AXL_HIDDEN_IN].bytes != (uint64_t)model->hidden * AXL_VALUE) {
        return axl_error(AXL_ERR_MODEL, "the head's input is not one row of the model's hidden size");
    }
    if (head->shapes[0][AXL_HIDDEN_OUT].bytes != (uint64_t)model->vocab * AXL_VALUE) {
        return axl_error(AXL_ERR_MODEL, "the head's output is not one value per token of the vocabulary");
    }
    return axl_ok();
}

static axl_status open_file(axl_model *model, const axl_file *file, uint32_t layer, uint32_t paths)
{
    const bool is_head = layer == model->layers;
    axl_engine *engine = &model->engines[layer];
    AXL_TRY(axl_engine_open(model->driver, file, is_head ? AXL_HEAD_ROLES : AXL_LAYER_ROLES, engine));
    if (is_head) {
        return check_head(model);
    }
    if (layer != 0) {
        return axl_engine_match(engine, &model->engines[0]);
    }
    AXL_TRY(axl_groups_plan(model));
    AXL_TRY(axl_buffers_open(model));
    axl_driver_spend(model->driver, model->buffer_bytes);
    return axl_paths_open(model, paths);
}

/*
 * The most that is on the card at a time, of what is known before a load: all files up to one with what that one takes
 * while it is loaded, or all of them with a sequence.
 */
static bool peak_of(const axl_driver *driver, const axl_model_spec *spec, uint64_t *peak)
{
    uint64_t loaded = 0;
    *peak = 0;
    for (uint32_t i = 0; i < spec->file_count; i++) {
        uint64_t during = 0;
        if (!axl_multiply(spec->files[i].bytes, driver->ops->load_factor, &during) ||
            !axl_sum(loaded, during, &during)) {
            return false;
        }
        loaded += spec->files[i].bytes;
        *peak = during > *peak ? during : *peak;
    }
    uint64_t in_use = 0;
    const bool fits = axl_sum(loaded, spec->sequence_bytes, &in_use);
    *peak = in_use > *peak ? in_use : *peak;
    return fits;
}

/* Loading takes minutes over PCIe, and cards get stuck where their memory ends: what cannot end well is not begun. */
static axl_status check_room(axl_driver *driver, const axl_model_spec *spec)
{
    uint64_t peak = 0;
    if (!peak_of(driver, spec, &peak)) {
        return axl_error(AXL_ERR_ARGUMENT, "the files have an absurd size");
    }
    axl_driver_measure(driver);
    const axl_driver_info *info = &driver->info;
    if (info->total_memory == 0 || peak <= info->free_memory) {
        return axl_ok();
    }
    axl_status status = axl_error(AXL_ERR_DEVICE_MEMORY, "loading the model takes more than the card's free memory");
    axl_describe_need(&status, peak, info->free_memory);
    return status;
}

static axl_status open_files(axl_model *model, const axl_model_spec *spec, axl_progress progress, void *user)
{
    AXL_TRY(check_room(model->driver, spec));
    for (uint32_t i = 0; i < spec->file_count; i++) {
        if (spec->cancel != NULL && __atomic_load_n(spec->cancel, __ATOMIC_ACQUIRE) != 0) {
            return axl_at_layer(axl_error(AXL_ERR_CANCELLED, "cancel flag"), i);
        }
        model->driver->layer = (int32_t)i;
        AXL_TRY(axl_at_layer(open_file(model, &spec->files[i], i, spec->paths), i));
        if (progress != NULL) {
            progress(user, i + 1, spec->file_count);
        }
    }
    return axl_ok();
}

static axl_status close_all(axl_model *model)
{
    axl_status status = axl_own_close(model, &model->own);
    axl_keep_first(&status, axl_staging_close(model, &model->staging));
    axl_keep_first(&status, axl_buffers_close(model));
    for (uint32_t i = 0; model->engines != NULL && i <= model->layers; i++) {
        axl_keep_first(&status, axl_at_layer(axl_engine_close(model->driver, &model->engines[i]), i));
    }
    free(model->engines);
    free(model->groups);
    model->driver->models--;
    free(model);
    return status;
}

axl_status axl_model_open(axl_driver *driver, const axl_model_spec *spec, axl_progress progress, void *user,
                          axl_model **out)
{
    if (driver == NULL || spec == NULL || out == NULL) {
        return axl_error(AXL_ERR_ARGUMENT, "axl_model_open: NULL");
    }
    *out = NULL;
    AXL_TRY(check_spec(spec));
    axl_model *model = calloc(1, sizeof *model);
    if (model == NULL) {
        return axl_error(AXL_ERR_HOST_MEMORY, "model");
    }
    model->driver = driver;
    model->layers = spec->file_count - 1;
    model->hidden = spec->hidden;
    model->vocab = spec->vocab;
    driver->models++;
    model->engines = calloc(spec->file_count, sizeof *model->engines);
    axl_status status = model->engines != NULL ? open_files(model, spec, progress, user)
                                               : axl_error(AXL_ERR_HOST_MEMORY, "model");
    driver->layer = AXL_NO_LAYER;
    if (status.code != AXL_OK) {
        axl_keep_first(&status, close_all(model));
        return status;
    }
    *out = model;
    return status;
}

axl_status axl_model_close(axl_model *model)
{
    if (model == NULL) {
        return axl_ok();
    }
    if (model->sequences != 0) {
        return axl_error(AXL_ERR_ARGUMENT, "axl_model_close: a sequence is still open");
    }
    return close_all(model);
}

void axl_model_query(const axl_model *model, axl_model_info *info)
{
    *info = (axl_model_info){
        .layers = model->layers,
        .hidden = model->hidden,
        .vocab = model->vocab,
        .kv_dim = model->kv_dim,
        .context = model->context,
        .chunk = model->chunk,
        .paths = axl_paths_on(model),
        .available_paths = axl_paths_available(model),
        .buffer_bytes = model->buffer_bytes,
        .sequence_bytes = model->cache_bytes * 2 * model->layers,
    };
}
