/* Making and passing on statuses; checked arithmetic; the clock of the statistics. */
#ifndef AX650_AXL_STATUS_H
#define AX650_AXL_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#include "axloop.h"

/* Leaves the function with the status of `expression` unless it is AXL_OK. */
#define AXL_TRY(expression)                       \
    do {                                          \
        const axl_status try_status = (expression); \
        if (try_status.code != AXL_OK) {          \
            return try_status;                    \
        }                                         \
    } while (0)

static inline axl_status axl_ok(void)
{
    return (axl_status){.code = AXL_OK, .call = "", .layer = AXL_NO_LAYER};
}

static inline axl_status axl_error(axl_code code, const char *what)
{
    return (axl_status){.code = code, .call = what, .layer = AXL_NO_LAYER};
}

static inline axl_status axl_at_layer(axl_status status, uint32_t layer)
{
    if (status.code != AXL_OK && status.layer == AXL_NO_LAYER) {
        status.layer = (int32_t)layer;
    }
    return status;
}

#define AXL_NO_GROUP UINT32_MAX

void axl_describe(axl_status *status, const char *tensor, uint32_t group);

/* Adds what an error is about, unless a function further down has done so. tensor may be NULL. */
static inline axl_status axl_about(axl_status status, const char *tensor, uint32_t group)
{
    if (status.code != AXL_OK && status.detail[0] == '\0') {
        axl_describe(&status, tensor, group);
    }
    return status;
}

void axl_describe_layers(axl_status *status, uint32_t first, uint32_t last);
void axl_describe_need(axl_status *status, uint64_t needed, uint64_t free_bytes);

#define AXL_UNKNOWN_BYTES UINT64_MAX

/* Adds to "no memory" how much was asked for. */
static inline axl_status axl_needing(axl_status status, uint64_t bytes)
{
    if (status.code == AXL_ERR_DEVICE_MEMORY && status.detail[0] == '\0') {
        axl_describe_need(&status, bytes, AXL_UNKNOWN_BYTES);
    }
    return status;
}

/* For clean-up, which goes on after an error: the first one is the one to tell. */
static inline void axl_keep_first(axl_status *first, axl_status next)
{
    if (first->code == AXL_OK) {
        *first = next;
    }
}

/* False on overflow. */
static inline bool axl_multiply(uint64_t a, uint64_t b, uint64_t *product)
{
    return !__builtin_mul_overflow(a, b, product);
}

static inline bool axl_sum(uint64_t a, uint64_t b, uint64_t *sum)
{
    return !__builtin_add_overflow(a, b, sum);
}

uint64_t axl_clock_ns(void);

#endif
