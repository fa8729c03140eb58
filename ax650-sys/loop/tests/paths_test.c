/* The ways to save work: each gives what the plain way gives, where it can be, and can be thrown any time. */
#include "support.h"

enum { TOKENS = 24 };

/* A conversation that touches all groups' kinds: chunks, a padded chunk, tails, tokens. */
static void talk(axl_seq *seq, uint16_t (*logits)[FAKE_VOCAB])
{
    static const uint32_t chunks[] = {4, 3, 4, 1, 2};
    uint32_t at = 0;
    uint32_t answers = 0;
    for (uint32_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++) {
        OK(prefill(seq, at, chunks[i], logits[answers++], NULL));
        at += chunks[i];
    }
    while (answers < TOKENS) {
        OK(decode(seq, at++, logits[answers++]));
    }
}

/* What the plain way gives; the rows of the sequence too. */
static void *plain(interface_kind kind, uint16_t (*logits)[FAKE_VOCAB], uint64_t *bytes)
{
    fake_reset();
    fixture it = open_fixture(kind, 0);
    CHECK(paths_on(it.model) == 0);
    talk(it.seq, logits);
    *bytes = axl_seq_len(it.seq) * axl_model_row_bytes(it.model);
    void *rows = malloc((size_t)*bytes);
    OK(axl_seq_export(it.seq, 0, axl_seq_len(it.seq), rows, *bytes));
    close_fixture(&it);
    return rows;
}

static void each_combination_gives_what_the_plain_way_gives(interface_kind kind)
{
    uint16_t expected[TOKENS][FAKE_VOCAB];
    uint16_t logits[TOKENS][FAKE_VOCAB];
    uint64_t bytes = 0;
    void *expected_rows = plain(kind, expected, &bytes);
    void *rows = malloc((size_t)bytes);
    for (uint32_t paths = 0; paths <= AXL_PATHS_ALL; paths++) {
        fake_reset();
        fixture it = open_fixture(kind, paths);
        CHECK(paths_on(it.model) == (paths & paths_available(it.model)));
        talk(it.seq, logits);
        CHECK(memcmp(logits, expected, sizeof logits) == 0);
        OK(axl_seq_export(it.seq, 0, axl_seq_len(it.seq), rows, bytes));
        CHECK(memcmp(rows, expected_rows, (size_t)bytes) == 0);
        close_fixture(&it);
    }
    free(rows);
    free(expected_rows);
}

/* The same with paths thrown between all steps, two sequences open, and memory for the plain way given back. */
static void paths_can_be_thrown_between_steps(interface_kind kind)
{
    uint16_t expected[TOKENS][FAKE_VOCAB];
    uint64_t bytes = 0;
    free(plain(kind, expected, &bytes));
    fake_reset();
    fixture it = open_fixture(kind, AXL_PATHS_ALL);
    const uint32_t available = paths_available(it.model);
    axl_model_info before;
    axl_model_query(it.model, &before);
    axl_seq *other = open_seq(it.model);
    OK(prefill(it.seq, 0, 4, NULL, NULL));
    OK(prefill(other, 0, 4, NULL, NULL));
    OK(prefill(it.seq, 4, 3, NULL, NULL));
    OK(prefill(other, 4, 3, NULL, NULL));
    uint16_t logits[FAKE_VOCAB];
    uint32_t paths = 0;
    for (uint32_t at = 7; at < 60; at++) {
        paths = (paths * 5 + 0x35) & available;
        OK(axl_model_set_paths(it.model, paths));
        CHECK(paths_on(it.model) == paths);
        OK(decode(it.seq, at, logits));
        OK(axl_model_set_paths(it.model, available & ~paths));
        uint16_t same[FAKE_VOCAB];
        OK(decode(other, at, same));
        CHECK(memcmp(logits, same, sizeof logits) == 0);
        /* Answers of talk behind its five chunks of 14 tokens. */
        CHECK(at < 14 || at - 14 + 5 >= TOKENS || memcmp(logits, expected[at - 14 + 5], sizeof logits) == 0);
    }
    OK(axl_model_set_paths(it.model, available));
    axl_model_info after;
    axl_model_query(it.model, &after);
    CHECK(after.buffer_bytes == before.buffer_bytes);
    OK(axl_model_set_paths(it.model, 0));
    axl_model_query(it.model, &after);
    CHECK(after.buffer_bytes > before.buffer_bytes);
    OK(axl_seq_close(other));
    close_fixture(&it);
}

static void what_cannot_be_is_not_available(void)
{
    const uint32_t in_place = AXL_PATH_KV_IN_PLACE | AXL_PATH_KV_IN_PLACE_PREFILL;
    const uint32_t of_bus = AXL_PATH_PINNED | AXL_PATH_ASYNC;
    fake_reset();
    fixture it = open_fixture(BOARD, AXL_PATHS_ALL);
    CHECK(paths_available(it.model) == (AXL_PATHS_ALL & ~of_bus));
    const axl_status status = axl_model_set_paths(it.model, AXL_PATH_ASYNC);
    CHECK(status.code == AXL_ERR_UNSUPPORTED && strcmp(status.detail, "asynchronous execution") == 0);
    CHECK(axl_model_set_paths(it.model, AXL_PATHS_ALL + 1).code == AXL_ERR_ARGUMENT);
    CHECK(axl_model_set_paths(NULL, 0).code == AXL_ERR_ARGUMENT);
    CHECK(paths_on(it.model) == (AXL_PATHS_ALL & ~of_bus));
    close_fixture(&it);

    fake_reset();
    it = open_fixture(PCIE, AXL_PATHS_ALL);
    CHECK(paths_available(it.model) == AXL_PATHS_ALL && paths_on(it.model) == AXL_PATHS_ALL);
    close_fixture(&it);

    /* One decode group and nothing else. */
    fake_reset();
    fake.bad_layer = FAKE_ALL;
    fake.groups = 1;
    it = open_fixture(PCIE, AXL_PATHS_ALL);
    const uint32_t of_groups = AXL_PATH_KV_IN_PLACE_PREFILL | AXL_PATH_SHORT_TAIL | AXL_PATH_SMALLEST_GROUP;
    CHECK(paths_available(it.model) == (AXL_PATHS_ALL & ~of_groups));
    close_fixture(&it);

    /* Rows that are no multiple of the alignment. */
    fake_reset();
    fake.kv = 60;
    it = open_fixture(PCIE, AXL_PATHS_ALL);
    CHECK(paths_available(it.model) == (AXL_PATHS_ALL & ~in_place));
    close_fixture(&it);

    /* Memory that is not aligned: rows are copied, though the model would allow otherwise. */
    fake_reset();
    fake.offset = 64;
    it = open_fixture(PCIE, AXL_PATHS_ALL);
    CHECK((paths_on(it.model) & in_place) == in_place);
    uint16_t logits[FAKE_VOCAB];
    axl_stats before;
    axl_stats after;
    axl_driver_stats(it.driver, &before);
    OK(decode(it.seq, 0, logits));
    axl_driver_stats(it.driver, &after);
    CHECK(after.bytes_on_device - before.bytes_on_device == 2u * FAKE_LAYERS * FAKE_KV * 2u);
    close_fixture(&it);
}

/* A library that offers a queue and refuses it, at once or at the wait. */
static void a_refused_queue_is_done_without(void)
{
    uint16_t expected[TOKENS][FAKE_VOCAB];
    uint16_t logits[TOKENS][FAKE_VOCAB];
    uint64_t bytes = 0;
    free(plain(PCIE, expected, &bytes));
    for (uint32_t late = 0; late < 2; late++) {
        fake_reset();
        fake.no_queued_runs = late == 0;
        fake.late_refusal = late != 0;
        fixture it = open_fixture(PCIE, AXL_PATHS_ALL);
        CHECK(paths_on(it.model) == AXL_PATHS_ALL);
        talk(it.seq, logits);
        CHECK(memcmp(logits, expected, sizeof logits) == 0);
        CHECK(paths_on(it.model) == (AXL_PATHS_ALL & ~(uint32_t)AXL_PATH_ASYNC));
        CHECK(paths_available(it.model) == (AXL_PATHS_ALL & ~(uint32_t)AXL_PATH_ASYNC));
        CHECK(axl_model_set_paths(it.model, AXL_PATH_ASYNC).code == AXL_ERR_UNSUPPORTED);
        close_fixture(&it);
    }
    fake_reset();
    fake.no_queued_copies = true;
    fixture it = open_fixture(PCIE, AXL_PATH_ASYNC);
    talk(it.seq, logits);
    CHECK(memcmp(logits, expected, sizeof logits) == 0 && paths_on(it.model) == AXL_PATH_ASYNC);
    CHECK(axl_driver_tolerated(it.driver, AXL_WITHOUT_ASYNC).code == AXL_OK);
    close_fixture(&it);
}

void test_paths(void)
{
    for (uint32_t kind = 0; kind < INTERFACES; kind++) {
        each_combination_gives_what_the_plain_way_gives((interface_kind)kind);
        paths_can_be_thrown_between_steps((interface_kind)kind);
    }
    what_cannot_be_is_not_available();
    a_refused_queue_is_done_without();
}
