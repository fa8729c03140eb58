/* Which ways to save work are on, and what memory they want. */
#include "axl_model.h"
#include "axl_status.h"

static const char *const path_names[] = {
    "shared inputs", "aliased hidden states",   "K and V in place", "K and V in place in prefill",
    "pinned memory", "asynchronous execution", "short tails",      "smallest decode group",
};

/* What the files allow; the driver has its own say on two of them. */
static uint32_t capable(const axl_model *model)
{
    uint32_t paths = AXL_PATHS_ALL;
    if ((uint64_t)model->kv_dim * AXL_VALUE % AXL_ALIGNMENT != 0) {
        paths &= ~(uint32_t)(AXL_PATH_KV_IN_PLACE | AXL_PATH_KV_IN_PLACE_PREFILL);
    }
    if (model->decode_count == model->group_count) {
        paths &= ~(uint32_t)(AXL_PATH_KV_IN_PLACE_PREFILL | AXL_PATH_SHORT_TAIL);
    }
    if (model->decode_count == 1) {
        paths &= ~(uint32_t)AXL_PATH_SMALLEST_GROUP;
    }
    return paths;
}

uint32_t axl_paths_available(const axl_model *model)
{
    const uint32_t of_driver = AXL_PATH_PINNED | AXL_PATH_ASYNC;
    return model->capable & (model->driver->ops->capabilities(model->driver) | ~of_driver);
}

/* The driver may have found out meanwhile that it cannot queue. */
uint32_t axl_paths_on(const axl_model *model)
{
    return model->paths & axl_paths_available(model);
}

/* For a model that is being opened: with what is available of the wanted paths. */
axl_status axl_paths_open(axl_model *model, uint32_t wanted)
{
    model->capable = capable(model);
    uint32_t paths = wanted & axl_paths_available(model);
    axl_staging staging = {0};
    if ((paths & AXL_PATH_PINNED) != 0) {
        const axl_status status = axl_staging_open(model, true, &staging);
        if (status.code != AXL_OK) {
            /* Hosts with little contiguous memory may not give any; the rest works without. */
            axl_driver_tolerate(model->driver, AXL_WITHOUT_PINNED, &status);
            model->capable &= ~(uint32_t)AXL_PATH_PINNED;
            paths &= ~(uint32_t)AXL_PATH_PINNED;
        }
    }
    if (staging.block == NULL) {
        AXL_TRY(axl_staging_open(model, false, &staging));
    }
    axl_staging_use(model, &staging);
    if ((paths & AXL_PATH_SHARED_INPUTS) == 0) {
        AXL_TRY(axl_own_open(model, &model->own));
    }
    model->paths = paths;
    return axl_ok();
}

static axl_status check(const axl_model *model, uint32_t paths)
{
    if ((paths & ~AXL_PATHS_ALL) != 0) {
        return axl_error(AXL_ERR_ARGUMENT, "axl_model_set_paths: no such path");
    }
    const uint32_t lacking = paths & ~axl_paths_available(model);
    for (uint32_t path = 0; path < sizeof path_names / sizeof path_names[0]; path++) {
        if ((lacking & 1u << path) != 0) {
            const axl_status status =
                axl_error(AXL_ERR_UNSUPPORTED, "axl_model_set_paths: not available with this card and model");
            return axl_about(status, path_names[path], AXL_NO_GROUP);
        }
    }
    return axl_ok();
}

/* Everything that can fail for want of memory comes first. */
axl_status axl_model_set_paths(axl_model *model, uint32_t paths)
{
    if (model == NULL) {
        return axl_error(AXL_ERR_ARGUMENT, "axl_model_set_paths: NULL");
    }
    AXL_TRY(check(model, paths));
    const bool shared = (paths & AXL_PATH_SHARED_INPUTS) != 0;
    const bool pinned = (paths & AXL_PATH_PINNED) != 0;
    axl_staging staging = {0};
    if (pinned != model->staging.pinned) {
        AXL_TRY(axl_staging_open(model, pinned, &staging));
    }
    if (!shared && model->own == NULL) {
        axl_status status = axl_own_open(model, &model->own);
        if (status.code != AXL_OK) {
            axl_keep_first(&status, axl_staging_close(model, &staging));
            return status;
        }
    }
    model->paths = paths;
    axl_status status = axl_ok();
    if (staging.block != NULL) {
        axl_staging old = model->staging;
        axl_staging_use(model, &staging);
        status = axl_staging_close(model, &old);
    }
    if (shared) {
        axl_keep_first(&status, axl_own_close(model, &model->own));
    }
    for (uint32_t layer = 0; layer < model->layers; layer++) {
        axl_engine_forget(&model->engines[layer], AXL_INPUT_ROLES);
    }
    return status;
}
