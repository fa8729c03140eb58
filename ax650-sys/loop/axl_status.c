/* What a status is about, in words. */
#include <inttypes.h>
#include <stdio.h>

#include "axl_status.h"

void axl_describe(axl_status *status, const char *tensor, uint32_t group)
{
    const size_t size = sizeof status->detail;
    if (tensor == NULL) {
        snprintf(status->detail, size, "group %" PRIu32, group);
    } else if (group == AXL_NO_GROUP) {
        snprintf(status->detail, size, "%s", tensor);
    } else {
        snprintf(status->detail, size, "%.40s, group %" PRIu32, tensor, group);
    }
}

void axl_describe_layers(axl_status *status, uint32_t first, uint32_t last)
{
    snprintf(status->detail, sizeof status->detail, "queued runs of layers %" PRIu32 " to %" PRIu32, first, last);
}

/* In KiB, rounded so that a need never looks smaller and what is free never looks larger than it is. */
void axl_describe_need(axl_status *status, uint64_t needed, uint64_t free_bytes)
{
    const uint64_t need = needed / 1024 + (needed % 1024 != 0);
    const size_t size = sizeof status->detail;
    if (free_bytes == AXL_UNKNOWN_BYTES) {
        snprintf(status->detail, size, "needs %" PRIu64 " KiB", need);
    } else {
        snprintf(status->detail, size, "needs %" PRIu64 " KiB, %" PRIu64 " KiB are free", need, free_bytes / 1024);
    }
}
