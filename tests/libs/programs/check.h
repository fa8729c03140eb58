/* Checks of the test programs, and files. A check that fails ends the program with a line that says where. */
#ifndef CHECK_H
#define CHECK_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define FAIL(...)                                   \
    do {                                            \
        fprintf(stderr, "%s:%d: ", __FILE__, __LINE__); \
        fprintf(stderr, __VA_ARGS__);               \
        fputc('\n', stderr);                        \
        _Exit(1);                                   \
    } while (0)

#define CHECK(condition)                     \
    do {                                     \
        if (!(condition)) FAIL("not so: %s", #condition); \
    } while (0)

/* The call returns the vendor's code `expected`. */
#define IS(call, expected)                                                                              \
    do {                                                                                                \
        const uint32_t found_ = (uint32_t)(call);                                                       \
        if (found_ != (uint32_t)(expected)) FAIL("%s: %#x, not %#x", #call, found_, (uint32_t)(expected)); \
    } while (0)

#define OK(call) IS(call, 0)

/* The call fails; which code the vendor gives is not published. */
#define FAILS(call)                                       \
    do {                                                  \
        if ((call) == 0) FAIL("%s: did not fail", #call); \
    } while (0)

struct file {
    const void *data;
    size_t size;
};

/* Maps a file; ends the program if it cannot. */
struct file map_file(const char *path);
void unmap_file(struct file file);

/* `directory`/`name`, in a buffer that the next call uses again. */
const char *in_directory(const char *directory, const char *name);

#endif
