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
