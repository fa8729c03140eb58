/* What the loop asks of a driver. One driver per vendor interface fills an axl_ops. */
#ifndef AX650_AXL_OPS_H
#define AX650_AXL_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "axloop.h"

#define AXL_MAX_RANK 4

/* Every address that a run is given is a multiple of this; what clients of the vendor allocate with. */
#define AXL_ALIGNMENT 128u

/* Guards against absurd answers of a library; real models have about ten groups. */
#define AXL_MAX_GROUPS 256u

/* Who touches a piece of device memory, apart from the NPU. */
typedef enum axl_use {
    AXL_USE_DEVICE, /* nobody, or rarely */
    AXL_USE_INPUT,  /* the host writes it in every step */
    AXL_USE_OUTPUT, /* the host reads it in every step */
} axl_use;

/* Device memory. */
typedef struct axl_buffer {
    uint64_t address; /* as the NPU sees it; 0: no buffer */
    void *host;       /* as the CPU sees it; NULL behind a bus */
    uint64_t bytes;
    bool cached;      /* by the CPU */
} axl_buffer;

typedef struct axl_shape {
    uint64_t bytes;
    uint32_t rank;
    uint32_t dims[AXL_MAX_RANK];
} axl_shape;

/* A compiled file on the card; the driver says what the fields are. info is NULL when none is loaded. */
typedef struct axl_program {
    uint64_t model;
    uint64_t context;
    void *info;
    uint32_t groups;
} axl_program;

typedef enum axl_direction {
    AXL_INPUT,
    AXL_OUTPUT,
} axl_direction;

/* Whether a call waits for its effect. What is queued takes effect in its order, before `wait` returns. */
typedef enum axl_lane {
    AXL_NOW,
    AXL_QUEUED,
} axl_lane;

typedef struct axl_ops {
    /* Also gives back the card; the driver itself is freed by the caller. */
    axl_status (*close)(axl_driver *driver);

    /* Memory in bytes, for axl_driver_measure: sizes that make no sense, or that nobody tells, stay 0. */
    axl_status (*measure)(axl_driver *driver, uint64_t *total, uint64_t *free_bytes);

    /* How many times the size of a file its load takes at its peak. */
    uint32_t load_factor;

    /* Whether an allocation or a load gives this code when there is no memory, and for other reasons too. */
    bool (*may_mean_memory)(int32_t vendor_code);

    /* Whether tensors may come in another order in each shape group; else all groups have that of group 0. */
    bool tensors_per_group;

    /*
     * Which of AXL_PATH_PINNED and AXL_PATH_ASYNC work, as far as is known. Without the first, host_alloc and
     * host_free may be NULL and are not called; without the second, `wait` and AXL_QUEUED likewise.
     */
    uint32_t (*capabilities)(const axl_driver *driver);

    /* Memory comes zero-filled. free clears the buffer and accepts an empty one. */
    axl_status (*alloc)(axl_driver *driver, axl_use use, uint64_t bytes, axl_buffer *out);
    axl_status (*free)(axl_driver *driver, axl_buffer *buffer);
    axl_status (*host_alloc)(axl_driver *driver, uint64_t bytes, void **out);
    axl_status (*host_free)(axl_driver *driver, void *memory);

    axl_status (*upload)(axl_driver *driver, axl_lane lane, const axl_buffer *dst, uint64_t offset, const void *src,
                         uint64_t bytes);
    axl_status (*download)(axl_driver *driver, axl_lane lane, void *dst, const axl_buffer *src, uint64_t offset,
                           uint64_t bytes);
    axl_status (*copy)(axl_driver *driver, axl_lane lane, const axl_buffer *dst, uint64_t dst_offset,
                       const axl_buffer *src, uint64_t src_offset, uint64_t bytes);

    /* unload accepts a program that was never loaded. */
    axl_status (*load)(axl_driver *driver, const char *path, axl_program *out);
    axl_status (*unload)(axl_driver *driver, axl_program *program);
    uint32_t (*tensor_count)(axl_driver *driver, const axl_program *program, axl_direction direction,
                             uint32_t group);
    const char *(*tensor_name)(axl_driver *driver, const axl_program *program, axl_direction direction,
                               uint32_t group, uint32_t tensor);
    axl_status (*tensor_shape)(axl_driver *driver, const axl_program *program, axl_direction direction,
                               uint32_t group, uint32_t tensor, axl_shape *out);

    /* An io holds the buffers of one shape group; io_destroy accepts NULL. */
    axl_status (*io_create)(axl_driver *driver, const axl_program *program, uint32_t group, void **io);
    axl_status (*io_destroy)(axl_driver *driver, void **io);
    axl_status (*bind)(axl_driver *driver, void *io, axl_direction direction, uint32_t tensor,
                       const axl_buffer *buffer, uint64_t offset, uint64_t bytes);

    /* AXL_ERR_UNSUPPORTED on AXL_QUEUED: the library has no such runs; that capability is gone. */
    axl_status (*run)(axl_driver *driver, axl_lane lane, const axl_program *program, uint32_t group, void *io);

    /* For all that was queued. Nothing is queued afterwards, whatever the status says. */
    axl_status (*wait)(axl_driver *driver);
} axl_ops;

/* Every driver's struct begins with this. */
struct axl_driver {
    const axl_ops *ops;
    axl_stats stats;
    axl_activity *activity; /* the caller's, or own_activity */
    axl_activity own_activity;
    int32_t layer; /* what the next calls are for */
    uint32_t models;
    axl_driver_info info; /* texts and ids of the opening; sizes of axl_driver_measure, less what was taken since */
    axl_status tolerated[AXL_TOLERATED];
};

/* What a call of the vendor is counted as. */
typedef enum axl_call_kind {
    AXL_CALL_HOST,  /* waits for no NPU and no bus, as far as is known */
    AXL_CALL_CARD,  /* waits for the card */
    AXL_CALL_RUN,   /* waits for a run */
    AXL_CALL_CACHE, /* maintains the CPU's cache */
} axl_call_kind;

/* Around every call of the vendor: tells the watchdog and the statistics. */
void axl_call_begin(axl_driver *driver, const char *call);
void axl_call_end(axl_driver *driver, axl_call_kind kind);

/* What drivers share. */
axl_status axl_driver_init(axl_driver *driver, const axl_ops *ops, const axl_driver_options *options);

/* Asks for the sizes of memory anew, which can take seconds. When that fails they are unknown: 0. */
void axl_driver_measure(axl_driver *driver);

/* Notes that so much of the free memory is taken. */
void axl_driver_spend(axl_driver *driver, uint64_t bytes);

/* Keeps a failure that there is a way around. */
void axl_driver_tolerate(axl_driver *driver, axl_tolerance what, const axl_status *status);

/*
 * For the outcome of what takes up to `bytes` of the card's memory: tells "no memory" where the vendor's code may mean
 * something else as well and the card has less free, and how much was asked for.
 */
axl_status axl_driver_for_memory(axl_driver *driver, axl_status status, uint64_t bytes);
axl_status axl_out_of_bounds(void);
axl_status axl_read_shape(const int32_t *dims, int32_t rank, uint64_t bytes, axl_shape *out);
void axl_copy_text(char *out, size_t size, const char *text);

static inline bool axl_is_within(const axl_buffer *buffer, uint64_t offset, uint64_t bytes)
{
    return offset <= buffer->bytes && bytes <= buffer->bytes - offset;
}

#endif
