/* Rows of sequences to and from the host, and from one sequence to another. */
#include <string.h>

#include "axl_model.h"
#include "axl_status.h"

/* Some rows of a sequence, in every layer. */
typedef struct span {
    axl_model *model;
    uint64_t offset; /* bytes into each K and V buffer */
    uint64_t bytes;  /* of each of them */
} span;

/* The staging is theirs from here on. */
static span span_of(axl_model *model, uint32_t first, uint32_t count)
{
    model->ahead = 0;
    const uint64_t row = (uint64_t)model->kv_dim * AXL_VALUE;
    return (span){model, row * first, row * count};
}

uint64_t axl_model_row_bytes(const axl_model *model)
{
    return (uint64_t)model->kv_dim * AXL_VALUE * 2 * model->layers;
}

/* Pinned, the rows go by way of the staging in pieces of its size; else in one piece. */
static uint64_t piece(const span *rows, uint64_t done)
{
    const uint64_t left = rows->bytes - done;
    const axl_staging *staging = &rows->model->staging;
    return staging->pinned && left > staging->rows_bytes ? staging->rows_bytes : left;
}

static axl_status read_buffer(const span *rows, const axl_buffer *buffer, unsigned char *out)
{
    axl_driver *driver = rows->model->driver;
    const axl_staging *staging = &rows->model->staging;
    for (uint64_t done = 0; done < rows->bytes;) {
        const uint64_t bytes = piece(rows, done);
        void *target = staging->pinned ? staging->rows : out + done;
        AXL_TRY(driver->ops->download(driver, AXL_NOW, target, buffer, rows->offset + done, bytes));
        if (staging->pinned) {
            memcpy(out + done, staging->rows, (size_t)bytes);
        }
        done += bytes;
    }
    return axl_ok();
}

static axl_status write_buffer(const span *rows, const axl_buffer *buffer, const unsigned char *in)
{
    axl_driver *driver = rows->model->driver;
    const axl_staging *staging = &rows->model->staging;
    for (uint64_t done = 0; done < rows->bytes;) {
        const uint64_t bytes = piece(rows, done);
        const void *source = in + done;
        if (staging->pinned) {
            memcpy(staging->rows, source, (size_t)bytes);
            source = staging->rows;
        }
        AXL_TRY(driver->ops->upload(driver, AXL_NOW, buffer, rows->offset + done, source, bytes));
        done += bytes;
    }
    return axl_ok();
}

static bool is_size(const axl_model *model, uint32_t count, uint64_t bytes)
{
    return bytes == count * axl_model_row_bytes(model);
}

axl_status axl_seq_export(axl_seq *seq, uint32_t first, uint32_t count, void *out, uint64_t out_bytes)
{
    if (seq == NULL || out == NULL) {
        return axl_error(AXL_ERR_ARGUMENT, "axl_seq_export: NULL");
    }
    if (first > seq->len || count > seq->len - first || !is_size(seq->model, count, out_bytes)) {
        return axl_error(AXL_ERR_ARGUMENT, "axl_seq_export: not rows of the sequence, or not their size");
    }
    const span rows = span_of(seq->model, first, count);
    unsigned char *to = out;
    for (uint32_t layer = 0; layer < seq->model->layers; layer++) {
        AXL_TRY(axl_at_layer(read_buffer(&rows, &seq->k[layer], to), layer));
        AXL_TRY(axl_at_layer(read_buffer(&rows, &seq->v[layer], to + rows.bytes), layer));
        to += 2 * rows.bytes;
    }
    return axl_ok();
}

static axl_status import(const axl_seq *seq, const span *rows, const unsigned char *from)
{
    for (uint32_t layer = 0; layer < seq->model->layers; layer++) {
        AXL_TRY(axl_at_layer(write_buffer(rows, &seq->k[layer], from), layer));
        AXL_TRY(axl_at_layer(write_buffer(rows, &seq->v[layer], from + rows->bytes), layer));
        from += 2 * rows->bytes;
    }
    return axl_ok();
}

axl_status axl_seq_import(axl_seq *seq, uint32_t first, uint32_t count, const void *in, uint64_t in_bytes)
{
    if (seq == NULL || in == NULL) {
        return axl_error(AXL_ERR_ARGUMENT, "axl_seq_import: NULL");
    }
    if (first > seq->len || !is_size(seq->model, count, in_bytes)) {
        return axl_error(AXL_ERR_ARGUMENT, "axl_seq_import: behind the sequence, or not the rows' size");
    }
    if (count > seq->model->context - first) {
        return axl_error(AXL_ERR_CONTEXT_FULL, "the sequence has no room for these rows");
    }
    const span rows = span_of(seq->model, first, count);
    const axl_status status = import(seq, &rows, in);
    seq->len = status.code == AXL_OK ? first + count : first;
    return status;
}

static axl_status copy(const axl_seq *dst, const axl_seq *src, const span *rows)
{
    axl_driver *driver = rows->model->driver;
    for (uint32_t layer = 0; layer < rows->model->layers; layer++) {
        AXL_TRY(axl_at_layer(
            driver->ops->copy(driver, AXL_NOW, &dst->k[layer], 0, &src->k[layer], 0, rows->bytes), layer));
        AXL_TRY(axl_at_layer(
            driver->ops->copy(driver, AXL_NOW, &dst->v[layer], 0, &src->v[layer], 0, rows->bytes), layer));
    }
    return axl_ok();
}

axl_status axl_seq_copy(axl_seq *dst, const axl_seq *src, uint32_t count)
{
    if (dst == NULL || src == NULL || dst == src || dst->model != src->model) {
        return axl_error(AXL_ERR_ARGUMENT, "axl_seq_copy: not two sequences of one model");
    }
    if (count > src->len) {
        return axl_error(AXL_ERR_ARGUMENT, "axl_seq_copy: longer than the sequence");
    }
    const span rows = span_of(dst->model, 0, count);
    const axl_status status = count == 0 ? axl_ok() : copy(dst, src, &rows);
    dst->len = status.code == AXL_OK ? count : 0;
    return status;
}
