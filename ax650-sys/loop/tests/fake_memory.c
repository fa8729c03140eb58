/* The fake card's memory, and the account of its calls. */
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_card.h"

fake_card fake;

enum { MAX_BLOCKS = 1024, ALIGNMENT = 128 };

/* Far from anything that the host may touch. */
static const uint64_t card_offset = 1ull << 46;

/* memory: what the NPU sees. host: what the CPU sees. synced: what the CPU saw when both were brought in line. */
typedef struct block {
    uint64_t address;
    uint64_t size;
    void *allocation;
    unsigned char *memory;
    unsigned char *host;
    unsigned char *synced;
    uint64_t serial;
} block;

static block blocks[MAX_BLOCKS];
static uint64_t serials;

/* Memory that was given back, for later allocations of its size, oldest first: cards use addresses again. */
typedef struct spare {
    void *memory;
    uint64_t size;
} spare;

static spare spares[MAX_BLOCKS];

static void *take(uint64_t size)
{
    for (uint32_t i = 0; i < MAX_BLOCKS && spares[i].memory != NULL; i++) {
        if (spares[i].size == size) {
            void *taken = spares[i].memory;
            memmove(&spares[i], &spares[i + 1], (MAX_BLOCKS - 1 - i) * sizeof spares[0]);
            spares[MAX_BLOCKS - 1] = (spare){0};
            return taken;
        }
    }
    void *fresh = NULL;
    if (posix_memalign(&fresh, ALIGNMENT, (size_t)size) != 0) {
        abort();
    }
    return fresh;
}

static void give(void *memory, uint64_t size)
{
    uint32_t at = 0;
    while (at < MAX_BLOCKS - 1 && spares[at].memory != NULL) {
        at++;
    }
    free(spares[at].memory);
    spares[at] = (spare){memory, size};
}

static void drop_spares(void)
{
    for (uint32_t i = 0; i < MAX_BLOCKS; i++) {
        free(spares[i].memory);
        spares[i] = (spare){0};
    }
}

void fake_reset(void)
{
    fake_require(fake.queued == 0, "a test left work on the queue");
    drop_spares();
    for (uint32_t i = 0; i < MAX_BLOCKS; i++) {
        fake_require(blocks[i].address == 0, "a test left memory on the card");
    }
    fake = (fake_card){
        .layers = FAKE_LAYERS,
        .kv = FAKE_KV,
        .devices = 1,
        .total_kib = 1u << 20,
        .free_kib = 1u << 20,
        .soc = "FAKE",
        .fail_code = (int)AXCL_ERR_ENGINE_EXECUTE_FAIL,
        .npu_mode = -1,
        .groups = FAKE_GROUPS,
        .rank = 3,
    };
}

int32_t fake_step(void)
{
    fake.calls++;
    const bool fails = fake.calls == fake.fail_at;
    if (fails && fake.full) {
        fake.free_kib = 0;
    }
    return fails ? fake.fail_code : 0;
}

int32_t fake_create(void)
{
    FAKE_STEP();
    fake.objects++;
    return 0;
}

/* Giving back works even when it is made to fail, as the loop has no second try. */
int32_t fake_destroy(void)
{
    fake.objects--;
    return fake_step();
}

void fake_take(uint64_t peak)
{
    fake.loads++;
    fake_require(fake.free_kib >= peak * fake.load_kib, "a load into too little memory, which wedges cards");
    fake.free_kib -= fake.load_kib;
}

void fake_give(void) { fake.free_kib += fake.load_kib; }

void fake_require(bool condition, const char *rule)
{
    if (!condition) {
        fprintf(stderr, "fake card: %s\n", rule);
        abort();
    }
}

static unsigned char *filled(uint64_t size)
{
    unsigned char *memory = malloc((size_t)size);
    memset(memory, 0xFF, (size_t)size); /* never zeroed, as on a real card */
    return memory;
}

uint64_t fake_alloc(uint64_t size, bool cached, void **host)
{
    uint32_t at = 0;
    while (at < MAX_BLOCKS && blocks[at].address != 0) {
        at++;
    }
    fake_require(at < MAX_BLOCKS, "more allocations than the fake has room for");
    block *made = &blocks[at];
    made->allocation = take(size);
    made->memory = made->allocation;
    made->serial = ++serials;
    memset(made->memory, 0xFF, (size_t)size);
    made->size = size;
    made->address = (uint64_t)(uintptr_t)made->memory + card_offset + fake.offset;
    made->host = cached ? filled(size) : made->memory;
    made->synced = cached ? filled(size) : NULL;
    if (host != NULL) {
        *host = made->host;
    }
    fake.objects++;
    return made->address;
}

static block *find(uint64_t address, uint64_t size)
{
    for (uint32_t i = 0; i < MAX_BLOCKS; i++) {
        block *each = &blocks[i];
        if (each->address != 0 && address >= each->address && address - each->address <= each->size &&
            size <= each->size - (address - each->address)) {
            return each;
        }
    }
    fake_require(false, "an address that is not memory of the card");
    return NULL;
}

static void drop(block *old)
{
    if (old->host != old->memory) {
        free(old->host);
    }
    free(old->synced);
    give(old->allocation, old->size);
    *old = (block){0};
}

void fake_free(uint64_t address)
{
    block *found = find(address, 0);
    fake_require(found->address == address, "only what was allocated can be freed");
    fake_require(fake.queued == 0, "memory is freed while work is queued");
    drop(found);
}

void fake_drop_memory(void)
{
    for (uint32_t i = 0; i < MAX_BLOCKS; i++) {
        if (blocks[i].address != 0) {
            drop(&blocks[i]);
        }
    }
}

void *fake_memory(uint64_t address, uint64_t size)
{
    const block *found = find(address, size);
    return found->memory + (address - found->address);
}

uint64_t fake_serial(uint64_t address) { return find(address, 1)->serial; }

/* The pair of addresses that cache maintenance takes must be of one place. */
static block *place(uint64_t address, const void *host, uint64_t size, uint64_t *offset)
{
    block *found = find(address, size);
    *offset = address - found->address;
    fake_require(found->host + *offset == host, "physical and virtual address are of two places");
    return found;
}

void fake_flush(uint64_t address, void *host, uint64_t size)
{
    uint64_t offset = 0;
    const block *found = place(address, host, size, &offset);
    if (found->synced != NULL) {
        memcpy(found->memory + offset, host, (size_t)size);
        memcpy(found->synced + offset, host, (size_t)size);
    }
}

void fake_invalidate(uint64_t address, void *host, uint64_t size)
{
    uint64_t offset = 0;
    const block *found = place(address, host, size, &offset);
    if (found->synced != NULL) {
        const bool clean = memcmp(host, found->synced + offset, (size_t)size) == 0;
        fake_require(clean, "an invalidation loses what the CPU wrote");
        memcpy(host, found->memory + offset, (size_t)size);
        memcpy(found->synced + offset, host, (size_t)size);
    }
}

/* What the CPU wrote and did not flush would sooner or later overwrite what the NPU writes there. */
void fake_check_clean(uint64_t address, uint64_t size)
{
    const block *found = find(address, size);
    const uint64_t offset = address - found->address;
    fake_require(found->synced == NULL || memcmp(found->host + offset, found->synced + offset, (size_t)size) == 0,
                 "the NPU writes where lines of the cache are dirty");
}
