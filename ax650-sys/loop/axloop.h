/*
 * The generation loop: everything between an embedding row and its logits, in one call.
 *
 * No global state, no threads, no printing, no allocation while tokens are computed. All objects of
 * one driver belong to the thread that opened it: the vendor binds its context to that thread.
 *
 * Values are bf16 as raw 16-bit patterns. Sizes are checked before use. Every function that can fail
 * returns an axl_status; on failure no object is made and what was made on the way is freed.
 */
#ifndef AX650_AXLOOP_H
#define AX650_AXLOOP_H

#include <stdint.h>

#include "ax_table.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum axl_code {
    AXL_OK = 0,
    AXL_ERR_ARGUMENT = 1,      /* the caller broke a rule of this header */
    AXL_ERR_CALL = 2,          /* a function of the vendor failed: vendor_code, call */
    AXL_ERR_HOST_MEMORY = 3,   /* no memory on the host */
    AXL_ERR_DEVICE_MEMORY = 4, /* no memory on the card, by its own word or by the budget */
    AXL_ERR_MODEL = 5,         /* a model file is not what the loop runs: call says what is wrong */
    AXL_ERR_NO_CARD = 6,       /* the driver is there, no such card is */
    AXL_ERR_UNSUPPORTED = 7,   /* the library lacks what is named in call */
    AXL_ERR_CANCELLED = 8,     /* the cancel flag was set */
    AXL_ERR_CONTEXT_FULL = 9,  /* the rows do not fit behind the sequence */
} axl_code;

#define AXL_NO_LAYER (-1)
#define AXL_DETAIL 64

/*
 * call: static text; the function of the vendor that failed, or what was found wrong.
 * layer: the file in question; the head follows the last layer; AXL_NO_LAYER when none is.
 * detail: the tensor and the shape group in question, for people; empty when none is. Names come from the file.
 */
typedef struct axl_status {
    axl_code code;
    int32_t vendor_code;
    const char *call;
    int32_t layer;
    char detail[AXL_DETAIL];
} axl_status;

typedef struct axl_driver axl_driver;
typedef struct axl_model axl_model;
typedef struct axl_seq axl_seq;

/* Texts are empty and sizes (bytes) zero where the library does not tell. */
typedef struct axl_driver_info {
    char version[64];
    char soc[32];
    int32_t device_id;
    uint32_t device_count;
    uint64_t total_memory;
    uint64_t free_memory;
} axl_driver_info;

/*
 * Counted since the driver was opened. The bytes across a bus are of a card with one; on the board the CPU copies
 * instead, and bytes_copied tells how much.
 */
typedef struct axl_stats {
    uint64_t driver_calls;
    uint64_t blocking_calls;    /* that wait for the card; on the board runs, and what brings a file there */
    uint64_t runs;
    uint64_t cache_calls;       /* flushes and invalidations of the CPU's cache */
    uint64_t bytes_to_device;
    uint64_t bytes_from_device;
    uint64_t bytes_on_device;   /* copied by the card from device memory to device memory */
    uint64_t bytes_copied;      /* copied by the CPU from, to and between buffers of the chip; board */
    uint64_t driver_ns;         /* inside functions of the vendor */
    uint64_t run_ns;            /* of these, inside runs and waits for runs */
    uint64_t step_ns;           /* inside axl_prefill and axl_decode */
} axl_stats;

/*
 * The call of the vendor in progress, for a watchdog: any thread may read it. Every field is written atomically;
 * `call` last when a call begins, and first when it ends. A reader that finds the same non-zero serial twice, with a
 * call both times, has seen one call that did not return in between.
 */
typedef struct axl_activity {
    const char *call;   /* static text; NULL: none in progress */
    uint64_t since_ns;  /* CLOCK_MONOTONIC when it began */
    int32_t layer;      /* as in axl_status; in a wait for layers of a chunk, the first of them */
    uint64_t serial;    /* counts calls from 1 */
} axl_activity;

typedef struct axl_driver_options {
    uint32_t device_index;  /* of the library's list; the board has one, number 0 */
    uint32_t vnpu;          /* mode of the NPU as both interfaces number them; 0: undivided */
    axl_activity *activity; /* NULL, or memory that outlives the driver */
} axl_driver_options;

/*
 * Initialises the library, takes a card of its list and binds it to this thread.
 * The table is copied; what its entries need must stay loaded until axl_driver_close.
 */
axl_status axl_driver_open_pcie(const ax_pcie_table *table, const axl_driver_options *options, axl_driver **driver);

/* The same for the chip that this program runs on. */
axl_status axl_driver_open_board(const ax_board_table *table, const axl_driver_options *options,
                                 axl_driver **driver);

/* Refused while a model is open. Otherwise the driver is gone, whatever the status says. */
axl_status axl_driver_close(axl_driver *driver);

/*
 * Version, chip and ids are those of the opening. The sizes of memory are asked for anew; a PCIe card runs shell
 * commands for them, which can take seconds, and fail while it is busy: then they are unknown.
 */
void axl_driver_query(axl_driver *driver, axl_driver_info *info);
void axl_driver_stats(const axl_driver *driver, axl_stats *stats);

/* What a driver and its models do without when it fails. */
typedef enum axl_tolerance {
    AXL_WITHOUT_PINNED = 0,  /* AXL_PATH_PINNED */
    AXL_WITHOUT_ASYNC = 1,   /* AXL_PATH_ASYNC */
    AXL_WITHOUT_MEMORY = 2,  /* the sizes of memory; a load is not checked against them then */
    AXL_TOLERATED = 3,       /* how many there are */
} axl_tolerance;

/* The last failure of that kind since the driver was opened; AXL_OK: none. */
axl_status axl_driver_tolerated(const axl_driver *driver, axl_tolerance what);

/*
 * A compiled file and its size in bytes, which is what it is expected to take on the card; while it is loaded, twice
 * that on a PCIe card. A load for which too little is free is refused with AXL_ERR_DEVICE_MEMORY, before it begins.
 */
typedef struct axl_file {
    const char *path;
    uint64_t bytes;
} axl_file;

/*
 * Ways to save work, as bits. What is not set is done the plain way: mask and indices of every layer in buffers of its
 * own, hidden states and K and V rows copied between buffers, every call waited for, host memory as it comes, the
 * largest decode group, prompt tails as padded chunks.
 */
typedef enum axl_path {
    AXL_PATH_SHARED_INPUTS = 1 << 0,       /* mask and indices: one buffer for all layers, only changes written */
    AXL_PATH_ALIASED_HIDDEN = 1 << 1,      /* what a layer writes is what the next one reads: two buffers in turn */
    AXL_PATH_KV_IN_PLACE = 1 << 2,         /* decode: K_cache_out and V_cache_out are bound at their row of the cache */
    AXL_PATH_KV_IN_PLACE_PREFILL = 1 << 3, /* prefill: likewise, where the padded chunk fits into the cache */
    AXL_PATH_PINNED = 1 << 4,              /* pcie: what crosses the bus lies in host memory from the library */
    AXL_PATH_ASYNC = 1 << 5,               /* pcie: copies and runs are queued; one wait per token, few per chunk */
    AXL_PATH_SHORT_TAIL = 1 << 6,          /* prefill of up to AXL_SHORT_TAIL rows as decode steps */
    AXL_PATH_SMALLEST_GROUP = 1 << 7,      /* the smallest decode group that suffices */
} axl_path;

#define AXL_PATHS_ALL 0xFFu
#define AXL_SHORT_TAIL 3u

/*
 * Layers of a chunk that are queued before they are waited for. Our choice: a chunk that is cancelled goes on for no
 * longer than this, which takes less time than one token does, and the waits cost next to nothing.
 */
#define AXL_PREFILL_WINDOW 12u

/*
 * files: the layers in order, then the head. hidden and vocab are what the files must agree with.
 * paths: wanted; those that the driver or the model cannot do are off.
 * cancel: NULL, or a flag that is read atomically before each file: a load is never interrupted within one.
 * sequence_bytes: what one sequence will take on the card; 0: nobody knows yet.
 */
typedef struct axl_model_spec {
    const axl_file *files;
    uint32_t file_count;
    uint32_t hidden;
    uint32_t vocab;
    uint32_t paths;
    const int32_t *cancel;
    uint64_t sequence_bytes;
} axl_model_spec;

/* Called after each file: how many are loaded, of how many. */
typedef void (*axl_progress)(void *user, uint32_t loaded, uint32_t total);

typedef struct axl_model_info {
    uint32_t layers;
    uint32_t hidden;
    uint32_t vocab;
    uint32_t kv_dim;
    uint32_t context;            /* rows that a sequence can hold */
    uint32_t chunk;              /* most rows of one axl_prefill */
    uint32_t paths;              /* that are on */
    uint32_t available_paths;    /* that the driver and the model can do; may shrink when async turns out not to work */
    uint64_t buffer_bytes;       /* device memory of the model's own buffers */
    uint64_t sequence_bytes;     /* device memory of one sequence */
} axl_model_info;

/*
 * Loads and verifies all files. Tensors are found by name, shape groups by the length of `indices`,
 * and every layer must offer what layer 0 offers. Where the files and one sequence take more than what is free on the
 * card, no file is loaded: AXL_ERR_DEVICE_MEMORY tells both figures.
 */
axl_status axl_model_open(axl_driver *driver, const axl_model_spec *spec, axl_progress progress, void *user,
                          axl_model **model);

/* Refused while a sequence is open. Otherwise the model is gone, whatever the status says. */
axl_status axl_model_close(axl_model *model);
void axl_model_query(const axl_model *model, axl_model_info *info);

/* A shape group: steps of `rows` rows, 1 in a decode group, behind as many rows of a sequence as `history`, or fewer. */
typedef struct axl_group_info {
    uint32_t rows;
    uint32_t history;
} axl_group_info;

/*
 * The first `room` shape groups, in the order in which a step looks for one that suffices: decode groups, then prefill
 * groups, each by ascending history. Returns how many there are.
 */
uint32_t axl_model_groups(const axl_model *model, axl_group_info *groups, uint32_t room);

/*
 * Exactly these paths from the next step on; sequences keep their rows. AXL_ERR_UNSUPPORTED names a path that is not
 * available. Where memory for the plain way is missing, the paths stay what they were.
 */
axl_status axl_model_set_paths(axl_model *model, uint32_t paths);

/* Host bytes of one row of a sequence: its K and its V in all layers. */
uint64_t axl_model_row_bytes(const axl_model *model);

/* One conversation: its K and V rows on the card, zero-filled, and how many of them count. */
axl_status axl_seq_open(axl_model *model, axl_seq **seq);
axl_status axl_seq_close(axl_seq *seq);
uint32_t axl_seq_len(const axl_seq *seq);

/* Forgets all rows from `len` on. */
axl_status axl_seq_truncate(axl_seq *seq, uint32_t len);

/*
 * Rows of a sequence to and from the host: for each layer `count` K rows, then `count` V rows. The bytes must be
 * count * axl_model_row_bytes.
 */
axl_status axl_seq_export(axl_seq *seq, uint32_t first, uint32_t count, void *out, uint64_t out_bytes);

/* first <= len, which becomes first + count; `first` when it fails on the way. */
axl_status axl_seq_import(axl_seq *seq, uint32_t first, uint32_t count, const void *in, uint64_t in_bytes);

/* The first `count` rows of another sequence of the model. The length becomes count; 0 when it fails on the way. */
axl_status axl_seq_copy(axl_seq *dst, const axl_seq *src, uint32_t count);

/*
 * Computes `count` tokens (1..=chunk) behind the sequence. rows: count * hidden values. logits: NULL, or
 * room for vocab values, which receive those of the last row. cancel: NULL, or a flag that is read
 * atomically before every layer, and after every wait; another thread may set it to non-zero. Runs that were queued
 * before are waited for: those of a token, or of up to AXL_PREFILL_WINDOW layers of a chunk. So a cancelled step ends
 * within one layer where each run is waited for, and else within one token or so many layers.
 * The sequence grows by `count` on success and keeps its length on any failure. Nothing stays queued either way.
 * A failure of queued work is met when it is waited for: its layer is AXL_NO_LAYER, its detail "queued runs", of a
 * chunk with the layers in question.
 */
axl_status axl_prefill(axl_seq *seq, const uint16_t *rows, uint32_t count, uint16_t *logits,
                       uint32_t logits_len, const int32_t *cancel);

/*
 * A chunk that another one follows: like axl_prefill without logits. next: NULL, or the next_count rows (1..=chunk)
 * that the next chunk will most likely begin with, of whatever sequence; where runs are queued, they cross to the card
 * while it computes. That is a hint: what another chunk is computed from are always its own rows.
 */
axl_status axl_prefill_before(axl_seq *seq, const uint16_t *rows, uint32_t count, const uint16_t *next,
                              uint32_t next_count, const int32_t *cancel);

/*
 * Like axl_prefill without logits. hidden: room for count * hidden values, which receive what the last layer gives for
 * each row. On any failure nothing of it counts.
 */
axl_status axl_prefill_hidden(axl_seq *seq, const uint16_t *rows, uint32_t count, uint16_t *hidden,
                              uint64_t hidden_len, const int32_t *cancel);

/* One token: like axl_prefill with one row, through the decode groups. */
axl_status axl_decode(axl_seq *seq, const uint16_t *row, uint16_t *logits, uint32_t logits_len,
                      const int32_t *cancel);

#ifdef __cplusplus
}
#endif

#endif
