#define _POSIX_C_SOURCE 199309L

#include <time.h>

#include "axl_status.h"

uint64_t axl_clock_ns(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
        return 0;
    }
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
