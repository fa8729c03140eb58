/*
 * A card of a few integers behind the vendor's table, for testing the loop under sanitizers.
 *
 * Its "model" adds 16-bit integers, so that every way to the same tokens must give the same values, and a
 * wrong mask, index, row or buffer gives others. Device memory is host memory, one allocation each: the
 * address sanitizer sees what leaves its bounds.
 */
#ifndef AX650_FAKE_CARD_H
#define AX650_FAKE_CARD_H

#include <stdbool.h>
#include <stdint.h>

#include "ax_table.h"

enum {
    FAKE_HIDDEN = 4,
    FAKE_KV = 2,
    FAKE_VOCAB = 6,
    FAKE_CHUNK = 4,
    FAKE_CONTEXT = 14,
    FAKE_GROUPS = 5,
    FAKE_ALL = 1000,
};

/* What a test changes, and what it looks at afterwards. */
typedef struct fake_card {
    uint32_t calls;       /* so far, of functions that can fail */
    uint32_t fail_at;     /* this call fails; 0: none does */
    int32_t fail_code;
    uint32_t loaded;      /* files so far: the third is the head */
    uint32_t objects;     /* alive: allocations, models, infos, ios, initialisations */
    uint32_t cancel_after; /* runs after which the flag is set; 0: never */
    int32_t cancel;
    uint32_t devices;
    uint64_t free_kib;
    bool npu_is_up;       /* EngineInit fails */
    /* Faults of the model files: */
    uint32_t bad_layer;   /* counted from 1: the faults below are this file's; 0: none's; FAKE_ALL */
    const char *rename_from;
    const char *rename_to;
    int32_t groups;
    int32_t extra_dim;    /* added to the last dimension of the first input */
    uint64_t extra_size;  /* added to the size of the last input */
    int32_t rank;         /* of all tensors, instead of 3 */
} fake_card;

extern fake_card fake;

/* A working card with nothing on it. */
void fake_reset(void);
ax_pcie_table fake_table(void);

#endif
