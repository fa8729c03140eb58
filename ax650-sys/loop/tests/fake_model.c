/* The fake card's files: what they say of themselves and what they compute. */
#include <string.h>

#include "fake_card.h"

/* Two decode groups, and prefill groups that reach almost to the end; not in order on purpose. */
static const struct {
    int32_t rows;
    int32_t history;
} groups[FAKE_GROUPS] = {{1, FAKE_CONTEXT}, {FAKE_CHUNK, 9}, {1, 80}, {FAKE_CHUNK, 0}, {FAKE_CHUNK, FAKE_CONTEXT - 2},
                         {FAKE_CHUNK, 4}};

static const char *const names[FAKE_TENSORS] = {
    "K_cache", "V_cache_3", "indices", "input", "mask", "K_cache_out", "V_cache_out", "output",
};

uint32_t fake_file(const void *data, uint64_t size)
{
    uint32_t number = 0;
    if (size == sizeof number) {
        memcpy(&number, data, sizeof number);
    }
    return number <= fake.layers + 1 ? number : 0;
}

bool fake_is_head(uint32_t file) { return file == fake.layers + 1; }

static bool is_bad(uint32_t file) { return fake.bad_layer == file || fake.bad_layer == FAKE_ALL; }

uint32_t fake_group_count(uint32_t file)
{
    return fake_is_head(file) ? 1 : is_bad(file) ? (uint32_t)fake.groups : FAKE_GROUPS;
}

uint32_t fake_tensor_count(uint32_t file) { return fake_is_head(file) ? 2 : FAKE_TENSORS; }

const char *fake_name(uint32_t file, uint32_t tensor)
{
    const char *usual = !fake_is_head(file) ? names[tensor] : tensor == 0 ? "input" : "output";
    const bool renamed = is_bad(file) && fake.rename_from != NULL && strcmp(fake.rename_from, usual) == 0;
    return renamed ? fake.rename_to : usual;
}

/* Rows and width of a tensor. */
static void shape(uint32_t file, uint32_t group, uint32_t tensor, int32_t *rows, int32_t *width)
{
    const int32_t cache = groups[group].history == 0 ? 1 : groups[group].history;
    const int32_t mask = groups[group].history + groups[group].rows;
    const int32_t sizes[FAKE_TENSORS][2] = {
        {cache, fake.kv}, {cache, fake.kv}, {1, groups[group].rows}, {groups[group].rows, FAKE_HIDDEN},
        {groups[group].rows, mask}, {groups[group].rows, fake.kv}, {groups[group].rows, fake.kv},
        {groups[group].rows, FAKE_HIDDEN},
    };
    *rows = fake_is_head(file) ? 1 : sizes[tensor][0];
    *width = fake_is_head(file) ? (tensor == 0 ? FAKE_HIDDEN : FAKE_VOCAB) : sizes[tensor][1];
    *width += is_bad(file) && tensor == 0 ? fake.extra_dim : 0;
}

uint64_t fake_size(uint32_t file, uint32_t group, uint32_t tensor)
{
    int32_t rows = 0;
    int32_t width = 0;
    shape(file, group, tensor, &rows, &width);
    const uint64_t bytes = !fake_is_head(file) && tensor == 2 ? 4 : 2;
    const uint64_t extra = is_bad(file) && tensor == FAKE_INPUTS - 1 ? fake.extra_size : 0;
    return (uint64_t)rows * (uint64_t)width * bytes + extra;
}

int32_t fake_rank(uint32_t file) { return is_bad(file) ? fake.rank : 3; }

void fake_dims(uint32_t file, uint32_t group, uint32_t tensor, int32_t dims[5])
{
    dims[0] = dims[3] = dims[4] = 1;
    shape(file, group, tensor, &dims[1], &dims[2]);
}

static bool sees(const uint16_t *mask)
{
    fake_require(*mask == 0 || *mask == 0xC780, "a mask holds 0 or the pattern of -65536");
    return *mask == 0;
}

/* output = input + all K and V that the row sees, each weighed by its column's position. */
static void run_row(uint32_t file, uint32_t group, void *const *buffers, int32_t row)
{
    const uint16_t *k = buffers[0];
    const uint16_t *v = buffers[1];
    const uint32_t *indices = buffers[2];
    const uint16_t *input = (const uint16_t *)buffers[3] + row * FAKE_HIDDEN;
    const int32_t columns = groups[group].history + groups[group].rows;
    const uint16_t *mask = (const uint16_t *)buffers[4] + row * columns;
    const uint16_t *k_out = buffers[5];
    const uint16_t *v_out = buffers[6];
    uint16_t *output = (uint16_t *)buffers[7] + row * FAKE_HIDDEN;
    uint32_t sum = indices[row] * 7u;
    bool padding = true;
    for (int32_t column = 0; column < columns; column++) {
        const int32_t own = column - groups[group].history;
        const uint32_t at = (uint32_t)(own < 0 ? column : own) * (uint32_t)fake.kv;
        fake_require(own >= 0 || (k[at] != 0xFFFF && v[at] != 0xFFFF), "a NaN poisons attention, visible or not");
        if (sees(&mask[column])) {
            const uint32_t weight = own < 0 ? (uint32_t)column : indices[row] - (uint32_t)(row - own);
            sum += (own < 0 ? k[at] * 3u + v[at + 1] : k_out[at] * 3u + v_out[at + 1]) * (weight + 1);
            padding = false;
        }
    }
    static const uint16_t zeros[FAKE_HIDDEN];
    const bool zero = indices[row] == 0 && memcmp(input, zeros, sizeof zeros) == 0;
    fake_require(!padding || file != 1 || zero, "padding is zero");
    for (int32_t i = 0; i < FAKE_HIDDEN; i++) {
        output[i] = (uint16_t)(input[i] * 5u + sum + (uint32_t)i + file);
    }
}

static void run_layer(uint32_t file, uint32_t group, void *const *buffers)
{
    const uint32_t *indices = buffers[2];
    const uint16_t *input = buffers[3];
    for (int32_t row = 0; row < groups[group].rows; row++) {
        for (int32_t i = 0; i < fake.kv; i++) {
            const uint32_t value = input[row * FAKE_HIDDEN + i % FAKE_HIDDEN] + indices[row] * 11u + file;
            ((uint16_t *)buffers[5])[row * fake.kv + i] = (uint16_t)(value & 0x7FFFu);
            ((uint16_t *)buffers[6])[row * fake.kv + i] = (uint16_t)(value * 13u & 0x7FFFu);
        }
    }
    for (int32_t row = 0; row < groups[group].rows; row++) {
        run_row(file, group, buffers, row);
    }
}

static void run_head(void *const *buffers)
{
    const uint16_t *input = buffers[0];
    for (uint32_t i = 0; i < FAKE_VOCAB; i++) {
        ((uint16_t *)buffers[1])[i] = (uint16_t)(input[i % FAKE_HIDDEN] * (i + 1));
    }
}

/* The hidden states that a layer reads and writes, or what the head does, must lie apart. */
static void check_apart(uint32_t file, const uint64_t *addresses, const uint64_t *sizes)
{
    const uint32_t in = fake_is_head(file) ? 0 : 3;
    const uint32_t out = fake_is_head(file) ? 1 : 7;
    fake_require(addresses[in] + sizes[in] <= addresses[out] || addresses[out] + sizes[out] <= addresses[in],
                 "a run reads what it writes");
}

int32_t fake_run(uint32_t file, uint32_t group, const uint64_t *addresses, const uint64_t *sizes)
{
    void *buffers[FAKE_TENSORS] = {NULL};
    for (uint32_t tensor = 0; tensor < fake_tensor_count(file); tensor++) {
        if (addresses[tensor] == 0 || sizes[tensor] != fake_size(file, group, tensor)) {
            return -3;
        }
        fake_require(addresses[tensor] % 128 == fake.offset % 128, "every address is as aligned as the memory");
        buffers[tensor] = fake_memory(addresses[tensor], sizes[tensor]);
    }
    check_apart(file, addresses, sizes);
    for (uint32_t tensor = fake_is_head(file) ? 1 : FAKE_INPUTS; tensor < fake_tensor_count(file); tensor++) {
        fake_check_clean(addresses[tensor], sizes[tensor]);
    }
    if (fake_is_head(file)) {
        run_head(buffers);
    } else {
        run_layer(file, group, buffers);
    }
    if (fake.cancel_after != 0 && --fake.cancel_after == 0) {
        __atomic_store_n(&fake.cancel, 1, __ATOMIC_RELEASE);
    }
    return 0;
}
