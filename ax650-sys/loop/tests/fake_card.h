/*
 * A card of a few integers behind both tables of the vendor, for testing the loop under sanitizers.
 *
 * Its "model" adds 16-bit integers, so that every way to the same tokens must give the same values, and a
 * wrong mask, index, row or buffer gives others. Device memory is host memory, one allocation each, at addresses
 * that the host cannot follow: the address sanitizer sees what leaves its bounds. On the board, cached memory
 * has a copy that only flushing and invalidating brings in line.
 */
#ifndef AX650_FAKE_CARD_H
#define AX650_FAKE_CARD_H

#include <stdbool.h>
#include <stdint.h>

#include "ax_table.h"
#include "axloop.h"

enum {
    FAKE_HIDDEN = 4,
    FAKE_KV = 64, /* a row of 128 bytes */
    FAKE_VOCAB = 6,
    FAKE_CHUNK = 4,
    FAKE_CONTEXT = 200,
    FAKE_GROUPS = 6,
    FAKE_LAYERS = 2,
    FAKE_MAX_LAYERS = 36,
    FAKE_ALL = 1000,
    FAKE_INPUTS = 5,
    FAKE_OUTPUTS = 3,
    FAKE_TENSORS = FAKE_INPUTS + FAKE_OUTPUTS,
};

/* What a test changes, and what it looks at afterwards. */
typedef struct fake_card {
    uint32_t layers;       /* the file after them is the head */
    int32_t kv;            /* width of a K or V row */
    uint32_t calls;        /* so far, of functions that can fail */
    uint32_t fail_at;      /* this call fails; 0: none does */
    int32_t fail_code;
    uint32_t objects;      /* alive: allocations, models, infos, ios, streams, initialisations */
    uint32_t cancel_after; /* runs after which the flag is set; 0: never */
    int32_t cancel;
    uint32_t devices;
    uint64_t total_kib;
    uint64_t free_kib;
    uint64_t load_kib;     /* what each file takes of it */
    uint32_t loads;        /* that were begun */
    bool full;             /* a call that is made to fail also leaves no memory free */
    uint32_t questions;    /* for the sizes of memory */
    uint32_t names;        /* questions for that of the chip */
    const char *soc;
    bool gone;             /* off the bus: nothing can be sent, and nothing that wants an answer returns */
    int32_t npu_mode;      /* that it is up in already, so that initialising fails; -1: down */
    uint32_t offset;       /* added to every address of the card's memory, to spoil its alignment */
    /* The queue: */
    bool no_queued_runs;   /* they are refused */
    bool no_queued_copies; /* refused within the device */
    bool late_refusal;     /* a refused run is told when it is waited for */
    uint32_t fail_queued;  /* the task of this number, from 1, fails when it is waited for; 0: none */
    uint32_t queued;       /* tasks not yet done */
    uint32_t overtaking;   /* copies to the card while work was queued that has nothing to do with them */
    uint32_t unpinned;     /* copies from or to host memory that is not pinned */
    const axl_activity *watched; /* NULL, or what is read in each wait from then on */
    int32_t waited_layers[8];    /* in the first waits */
    uint32_t waits;
    /* What the board lacks: */
    bool no_handle_v2;     /* the call fails */
    bool no_context;       /* the call gives none */
    /* Faults of the model files: */
    uint32_t bad_layer;    /* counted from 1: the faults below are this file's; 0: none's; FAKE_ALL */
    const char *rename_from;
    const char *rename_to;
    int32_t groups;
    int32_t extra_dim;     /* added to the last dimension of the first input */
    uint64_t extra_size;   /* added to the size of the last input */
    int32_t rank;          /* of all tensors, instead of 3 */
} fake_card;

extern fake_card fake;

/* A working card with nothing on it. */
void fake_reset(void);
ax_pcie_table fake_pcie_table(void);
ax_board_table fake_board_table(void);

/* What both faces have in common. */

/* Counts a call; the code it fails with, or 0. */
int32_t fake_step(void);
int32_t fake_create(void);
int32_t fake_destroy(void);
/* A file takes memory, `peak` times as much while it is loaded, and gives it back. */
void fake_take(uint64_t peak);
void fake_give(void);
/* What a card that is gone had on it. */
void fake_drop_memory(void);
void fake_require(bool condition, const char *rule);

#define FAKE_STEP()                           \
    do {                                      \
        const int32_t step_error = fake_step(); \
        if (step_error != 0) {                \
            return step_error;                \
        }                                     \
    } while (0)

/* Fresh memory, full of what would be NaN; the address is the card's. `host` is where the CPU sees it. */
uint64_t fake_alloc(uint64_t size, bool cached, void **host);
void fake_free(uint64_t address);
/* Memory of the card, checked to be inside one allocation. */
void *fake_memory(uint64_t address, uint64_t size);
/* Which allocation an address is in, counted from 1. */
uint64_t fake_serial(uint64_t address);
void fake_flush(uint64_t address, void *host, uint64_t size);
void fake_invalidate(uint64_t address, void *host, uint64_t size);
void fake_check_clean(uint64_t address, uint64_t size);

/* Files: the number of one, from 1, as its content tells; 0 if it is none. */
uint32_t fake_file(const void *data, uint64_t size);
bool fake_is_head(uint32_t file);
uint32_t fake_group_count(uint32_t file);
/* Tensors in their usual order: K_cache, V_cache, indices, input, mask; then the outputs. Of a head: input, output. */
uint32_t fake_tensor_count(uint32_t file);
const char *fake_name(uint32_t file, uint32_t tensor);
uint64_t fake_size(uint32_t file, uint32_t group, uint32_t tensor);
int32_t fake_rank(uint32_t file);
void fake_dims(uint32_t file, uint32_t group, uint32_t tensor, int32_t dims[5]);
/* Addresses and sizes of all tensors in their usual order. */
int32_t fake_run(uint32_t file, uint32_t group, const uint64_t *addresses, const uint64_t *sizes);

#endif
