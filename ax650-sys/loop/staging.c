/* Host memory between the caller and the card: one block, cut into parts. */
#include <stdlib.h>

#include "axl_model.h"
#include "axl_status.h"

/* For rows of sequences, where no prefill chunk asks for more; our choice. */
#define MIN_ROWS_BYTES (256u * 1024u)

/* Where a part begins that has `bytes`; the end of the block moves behind it. */
static uint64_t part(uint64_t *end, uint64_t bytes)
{
    const uint64_t start = *end;
    *end += (bytes + AXL_ALIGNMENT - 1) / AXL_ALIGNMENT * AXL_ALIGNMENT;
    return start;
}

/* Offsets of the parts. Sums cannot overflow: each part is no larger than an allocation of the card (4 GiB). */
typedef struct layout {
    uint64_t row;
    uint64_t index;
    uint64_t shadows;
    uint64_t logits;
    uint64_t prefill_mask;
    uint64_t prefill_indices;
    uint64_t rows;
    uint64_t rows_bytes;
    uint64_t end;
} layout;

static uint64_t mask_bytes(const axl_model *model, const axl_group *group)
{
    return model->engines[0].shapes[group->index][AXL_MASK].bytes;
}

static layout plan(const axl_model *model)
{
    layout parts = {.rows_bytes = MIN_ROWS_BYTES};
    parts.row = part(&parts.end, (uint64_t)model->hidden * AXL_VALUE);
    parts.index = part(&parts.end, sizeof(uint32_t));
    parts.shadows = parts.end;
    for (uint32_t g = 0; g < model->decode_count; g++) {
        part(&parts.end, mask_bytes(model, &model->groups[g]));
    }
    parts.logits = part(&parts.end, (uint64_t)model->vocab * AXL_VALUE);
    if (model->decode_count < model->group_count) {
        const axl_group *last = &model->groups[model->group_count - 1];
        const axl_shape *shapes = model->engines[0].shapes[last->index];
        parts.prefill_mask = part(&parts.end, shapes[AXL_MASK].bytes);
        parts.prefill_indices = part(&parts.end, shapes[AXL_INDICES].bytes);
        if (shapes[AXL_HIDDEN_IN].bytes > parts.rows_bytes) {
            parts.rows_bytes = shapes[AXL_HIDDEN_IN].bytes;
        }
    }
    parts.rows = part(&parts.end, parts.rows_bytes);
    return parts;
}

axl_status axl_staging_open(axl_model *model, bool pinned, axl_staging *out)
{
    const layout parts = plan(model);
    void *block = NULL;
    if (pinned) {
        AXL_TRY(model->driver->ops->host_alloc(model->driver, parts.end, &block));
    } else {
        block = aligned_alloc(AXL_ALIGNMENT, (size_t)parts.end);
    }
    if (block == NULL) {
        return axl_error(AXL_ERR_HOST_MEMORY, "staging memory");
    }
    unsigned char *start = block;
    *out = (axl_staging){
        .block = start,
        .pinned = pinned,
        .row = (void *)(start + parts.row),
        .index = (void *)(start + parts.index),
        .shadows = start + parts.shadows,
        .logits = (void *)(start + parts.logits),
        .prefill_mask = (void *)(start + parts.prefill_mask),
        .prefill_indices = (void *)(start + parts.prefill_indices),
        .rows = start + parts.rows,
        .rows_bytes = parts.rows_bytes,
    };
    return axl_ok();
}

axl_status axl_staging_close(axl_model *model, axl_staging *staging)
{
    const axl_staging old = *staging;
    *staging = (axl_staging){0};
    if (old.block != NULL && old.pinned) {
        return model->driver->ops->host_free(model->driver, old.block);
    }
    free(old.block);
    return axl_ok();
}

/* Makes it the model's. What the masks on the card show is not known to the new block. */
void axl_staging_use(axl_model *model, const axl_staging *staging)
{
    model->staging = *staging;
    model->ahead = 0;
    uint64_t end = 0;
    for (uint32_t g = 0; g < model->decode_count; g++) {
        axl_group *group = &model->groups[g];
        group->shadow = (void *)(staging->shadows + part(&end, mask_bytes(model, group)));
        group->known = false;
    }
}
