/* Additive attention masks in bf16: 0 where a row may look, -65536 where it may not. */
#include <string.h>

#include "axl_model.h"

static const uint16_t hidden_value = 0xC780;

static void hide(uint16_t *columns, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        columns[i] = hidden_value;
    }
}

static void show(uint16_t *columns, uint32_t count)
{
    memset(columns, 0, (size_t)count * sizeof *columns);
}

/* The last column is the token itself. */
void axl_mask_decode(uint16_t *mask, uint32_t columns, uint32_t visible)
{
    show(mask, visible);
    hide(mask + visible, columns - 1 - visible);
    show(mask + columns - 1, 1);
}

/* Turns a decode mask that shows `from` cache rows into one that shows `to`. */
void axl_mask_move(uint16_t *mask, uint32_t from, uint32_t to)
{
    if (from < to) {
        show(mask + from, to - from);
    } else {
        hide(mask + to, from - to);
    }
}

/*
 * `capacity` columns for cache rows, of which the first `history` are in use, then `rows` columns for the
 * chunk itself. Rows from `count` on are padding: they see nothing.
 */
void axl_mask_prefill(uint16_t *mask, uint32_t rows, uint32_t capacity, uint32_t history, uint32_t count)
{
    for (uint32_t row = 0; row < rows; row++) {
        uint16_t *chunk = mask + capacity;
        const uint32_t own = row < count ? row + 1 : 0;
        const uint32_t cached = row < count ? history : 0;
        show(mask, cached);
        hide(mask + cached, capacity - cached);
        show(chunk, own);
        hide(chunk + own, rows - own);
        mask = chunk + rows;
    }
}
