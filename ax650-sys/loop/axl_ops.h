/* What the loop asks of a driver. One driver per vendor interface fills an axl_ops. */
#ifndef AX650_AXL_OPS_H
#define AX650_AXL_OPS_H

#include <stdint.h>

#include "axloop.h"

#define AXL_MAX_RANK 4

/* Device memory. ptr is an address of the card: never dereferenced, but offsets may be added. */
typedef struct axl_buffer {
    void *ptr;
    uint64_t bytes;
} axl_buffer;

typedef struct axl_shape {
    uint64_t bytes;
    uint32_t rank;
    uint32_t dims[AXL_MAX_RANK];
} axl_shape;

/* A compiled file on the card. */
typedef struct axl_program {
    uint64_t model;
    uint64_t context;
    void *info;
} axl_program;

typedef enum axl_direction {
    AXL_INPUT,
    AXL_OUTPUT,
} axl_direction;

typedef struct axl_ops {
    /* Also gives back the card; the driver itself is freed by the caller. */
    axl_status (*close)(axl_driver *driver);
    axl_status (*query)(axl_driver *driver, axl_driver_info *info);

    /* Memory comes zero-filled. free clears the buffer and accepts an empty one. */
    axl_status (*alloc)(axl_driver *driver, uint64_t bytes, axl_buffer *out);
    axl_status (*free)(axl_driver *driver, axl_buffer *buffer);
    axl_status (*upload)(axl_driver *driver, const axl_buffer *dst, const void *src, uint64_t bytes);
    axl_status (*download)(axl_driver *driver, void *dst, const axl_buffer *src, uint64_t bytes);
    axl_status (*copy)(axl_driver *driver, const axl_buffer *dst, uint64_t dst_offset, const axl_buffer *src,
                       uint64_t src_offset, uint64_t bytes);

    /* unload accepts a program whose load failed half-way. */
    axl_status (*load)(axl_driver *driver, const char *path, axl_program *out);
    axl_status (*unload)(axl_driver *driver, axl_program *program);

    axl_status (*group_count)(axl_driver *driver, const axl_program *program, uint32_t *out);
    uint32_t (*tensor_count)(axl_driver *driver, const axl_program *program, axl_direction direction);
    const char *(*tensor_name)(axl_driver *driver, const axl_program *program, axl_direction direction,
                               uint32_t tensor);
    axl_status (*tensor_shape)(axl_driver *driver, const axl_program *program, axl_direction direction,
                               uint32_t group, uint32_t tensor, axl_shape *out);

    /* An io holds the buffers of one shape group; io_destroy accepts NULL. */
    axl_status (*io_create)(axl_driver *driver, const axl_program *program, void **io);
    axl_status (*io_destroy)(axl_driver *driver, void **io);
    axl_status (*bind)(axl_driver *driver, void *io, axl_direction direction, uint32_t tensor,
                       const axl_buffer *buffer, uint64_t bytes);
    axl_status (*run)(axl_driver *driver, const axl_program *program, uint32_t group, void *io);
} axl_ops;

/* Every driver's struct begins with this. */
struct axl_driver {
    const axl_ops *ops;
    axl_stats stats;
    uint32_t models;
};

#endif
