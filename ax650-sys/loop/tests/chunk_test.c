/* Chunks of a prompt on a queue, with as many layers as real models have: some layers at a time, and what goes wrong. */
#include "support.h"

enum {
    LAYERS = FAKE_MAX_LAYERS,
    WINDOWS = (LAYERS + AXL_PREFILL_WINDOW - 1) / AXL_PREFILL_WINDOW,
    TASKS = 512,
    ROWS = FAKE_CHUNK * FAKE_HIDDEN * 2,
    INDICES = FAKE_CHUNK * 4,
};

static fixture open_deep(uint32_t paths)
{
    fake_reset();
    fake.layers = LAYERS;
    return open_fixture(PCIE, paths);
}

static axl_stats stats_of(const fixture *it)
{
    axl_stats stats;
    axl_driver_stats(it->driver, &stats);
    return stats;
}

/* What a chunk behind another one gives when each layer is waited for. */
static void expect(uint16_t logits[FAKE_VOCAB])
{
    fixture it = open_deep(0);
    OK(prefill(it.seq, 0, FAKE_CHUNK, NULL, NULL));
    OK(prefill(it.seq, FAKE_CHUNK, FAKE_CHUNK, logits, NULL));
    close_fixture(&it);
}

static void a_chunk_is_a_few_waits(void)
{
    uint16_t expected[FAKE_VOCAB];
    uint16_t logits[FAKE_VOCAB];
    expect(expected);
    fixture it = open_deep(AXL_PATHS_ALL);
    axl_stats before = stats_of(&it);
    /* Without logits the last layers are waited for all the same. */
    OK(prefill(it.seq, 0, FAKE_CHUNK, NULL, NULL));
    axl_stats after = stats_of(&it);
    CHECK(after.blocking_calls - before.blocking_calls == WINDOWS && after.runs - before.runs == LAYERS);
    before = after;
    OK(prefill(it.seq, FAKE_CHUNK, FAKE_CHUNK, logits, NULL));
    after = stats_of(&it);
    CHECK(after.blocking_calls - before.blocking_calls == WINDOWS && after.runs - before.runs == LAYERS + 1);
    CHECK(memcmp(logits, expected, sizeof logits) == 0 && fake.unpinned == 0);
    close_fixture(&it);
}

/* Bytes that a chunk at `at` takes to the card. */
static uint64_t uploaded(const fixture *it, uint32_t at, uint32_t count)
{
    while (axl_seq_len(it->seq) < at) {
        OK(decode(it->seq, axl_seq_len(it->seq), (uint16_t[FAKE_VOCAB]){0}));
    }
    OK(axl_seq_truncate(it->seq, at));
    const axl_stats before = stats_of(it);
    OK(prefill(it->seq, at, count, NULL, NULL));
    return stats_of(it).bytes_to_device - before.bytes_to_device;
}

/* The mask of a group stays on the card; of one that has changed, the rows that did. */
static void a_known_mask_is_not_written_again(void)
{
    fixture it = open_deep(AXL_PATHS_ALL & ~(uint32_t)AXL_PATH_SHORT_TAIL);
    /* The group that reaches from history 9 to 198. */
    const uint64_t row = (FAKE_CONTEXT - 2 + FAKE_CHUNK) * 2;
    uploaded(&it, 50, 4);
    CHECK(uploaded(&it, 50, 4) == ROWS + INDICES);
    /* The fourth row sees nothing any more: from the line that it begins in to the end. */
    CHECK(uploaded(&it, 50, 3) == ROWS + INDICES + 4 * row - 3 * row / 128 * 128);
    CHECK(uploaded(&it, 50, 3) == ROWS + INDICES);
    CHECK(uploaded(&it, 50, 4) == ROWS + INDICES + 4 * row - 3 * row / 128 * 128);
    uploaded(&it, 50, 3);
    /* Three rows see one cache row more, the fourth still nothing. */
    CHECK(uploaded(&it, 51, 3) == ROWS + INDICES + (3 * row + 127) / 128 * 128);
    CHECK(uploaded(&it, 50, 4) == ROWS + INDICES + 4 * row);
    /* Another group, and a card without shared masks: this one's stays. */
    uploaded(&it, 0, 4);
    CHECK(uploaded(&it, 50, 4) == ROWS + INDICES);
    OK(axl_model_set_paths(it.model, 0));
    uploaded(&it, 60, 2);
    OK(axl_model_set_paths(it.model, AXL_PATHS_ALL));
    CHECK(uploaded(&it, 50, 4) == ROWS + INDICES);
    close_fixture(&it);
}

/* Every task of two chunks' queue fails in turn. */
static void failures_name_the_layers_that_were_waited_for(uint32_t paths)
{
    uint16_t expected[FAKE_VOCAB];
    uint16_t logits[FAKE_VOCAB];
    expect(expected);
    fixture it = open_deep(paths);
    OK(prefill(it.seq, 0, FAKE_CHUNK, NULL, NULL));
    uint32_t failures = 0;
    for (uint32_t task = 1; task < TASKS; task++) {
        fake.fail_queued = task;
        const axl_status status = prefill(it.seq, FAKE_CHUNK, FAKE_CHUNK, logits, NULL);
        fake.fail_queued = 0;
        CHECK(fake.queued == 0);
        if (status.code == AXL_OK) {
            break;
        }
        failures++;
        CHECK(status.code == AXL_ERR_CALL && status.vendor_code == fake.fail_code && status.layer == AXL_NO_LAYER);
        CHECK(strcmp(status.call, "axclrtSynchronizeStream") == 0 && axl_seq_len(it.seq) == FAKE_CHUNK);
        /* The fake counts the tasks of each wait anew, so the first window fails unless it is shorter. */
        CHECK(strcmp(status.detail, "queued runs of layers 0 to 11") == 0 ||
              strcmp(status.detail, "queued runs of layers 24 to 36") == 0);
        OK(prefill(it.seq, FAKE_CHUNK, FAKE_CHUNK, logits, NULL));
        CHECK(memcmp(logits, expected, sizeof logits) == 0);
        OK(axl_seq_truncate(it.seq, FAKE_CHUNK));
    }
    CHECK(failures >= AXL_PREFILL_WINDOW);
    close_fixture(&it);
}

/* Every call of a chunk fails, as it does when a wait is over before its work: the rest is waited for again. */
static void waits_that_end_too_early_are_repeated(int32_t code)
{
    uint16_t expected[FAKE_VOCAB];
    uint16_t logits[FAKE_VOCAB];
    expect(expected);
    fixture it = open_deep(AXL_PATHS_ALL);
    fake.fail_code = code;
    OK(prefill(it.seq, 0, FAKE_CHUNK, NULL, NULL));
    uint32_t waits = 0;
    for (uint32_t call = 1;; call++) {
        fake.fail_at = fake.calls + call;
        const axl_status status = prefill(it.seq, FAKE_CHUNK, FAKE_CHUNK, logits, NULL);
        fake.fail_at = 0;
        CHECK(fake.queued == 0);
        if (status.code == AXL_OK) {
            break;
        }
        CHECK(status.code == AXL_ERR_CALL && status.vendor_code == code && axl_seq_len(it.seq) == FAKE_CHUNK);
        if (strcmp(status.call, "axclrtSynchronizeStream") == 0) {
            CHECK(strncmp(status.detail, "queued runs of layers", 21) == 0);
            waits++;
        }
        OK(prefill(it.seq, FAKE_CHUNK, FAKE_CHUNK, logits, NULL));
        CHECK(memcmp(logits, expected, sizeof logits) == 0);
        OK(axl_seq_truncate(it.seq, FAKE_CHUNK));
    }
    CHECK(waits == WINDOWS && memcmp(logits, expected, sizeof logits) == 0);
    close_fixture(&it);
}

/* The flag is seen when the layers that are queued are over; they count for nothing. */
static void cancelling_stops_behind_the_queued_layers(void)
{
    uint16_t expected[FAKE_VOCAB];
    uint16_t logits[FAKE_VOCAB];
    expect(expected);
    fixture it = open_deep(AXL_PATHS_ALL);
    OK(prefill(it.seq, 0, FAKE_CHUNK, NULL, NULL));
    for (uint32_t run = 0; run <= LAYERS + 1; run++) {
        memset(logits, 0, sizeof logits);
        fake.cancel = run == 0;
        fake.cancel_after = run;
        const axl_stats before = stats_of(&it);
        const axl_status status = prefill(it.seq, FAKE_CHUNK, FAKE_CHUNK, logits, &fake.cancel);
        const uint32_t begun = (run + AXL_PREFILL_WINDOW - 1) / AXL_PREFILL_WINDOW * AXL_PREFILL_WINDOW;
        CHECK(status.code == AXL_ERR_CANCELLED && axl_seq_len(it.seq) == FAKE_CHUNK && fake.queued == 0);
        CHECK(stats_of(&it).runs - before.runs == (begun < LAYERS ? begun : LAYERS + 1));
        CHECK(status.layer == (begun < LAYERS ? (int32_t)begun : AXL_NO_LAYER));
        CHECK(logits[0] == 0);
    }
    fake.cancel = 0;
    OK(prefill(it.seq, FAKE_CHUNK, FAKE_CHUNK, logits, &fake.cancel));
    CHECK(memcmp(logits, expected, sizeof logits) == 0);
    close_fixture(&it);
}

/* A library that offers a queue and refuses it, first met by a chunk, and by a token. */
static void a_refused_queue_is_done_without(bool late, bool chunk_first)
{
    uint16_t expected[FAKE_VOCAB];
    uint16_t logits[FAKE_VOCAB];
    expect(expected);
    fixture it = open_deep(AXL_PATHS_ALL);
    fake.no_queued_runs = !late;
    fake.late_refusal = late;
    if (!chunk_first) {
        OK(decode(it.seq, 0, logits));
        OK(axl_seq_truncate(it.seq, 0));
    }
    OK(prefill(it.seq, 0, FAKE_CHUNK, NULL, NULL));
    CHECK(paths_on(it.model) == (AXL_PATHS_ALL & ~(uint32_t)AXL_PATH_ASYNC));
    const axl_stats before = stats_of(&it);
    OK(prefill(it.seq, FAKE_CHUNK, FAKE_CHUNK, logits, NULL));
    const axl_stats after = stats_of(&it);
    CHECK(memcmp(logits, expected, sizeof logits) == 0);
    CHECK(after.runs - before.runs == LAYERS + 1 && after.blocking_calls - before.blocking_calls > LAYERS);
    close_fixture(&it);
}

static axl_status prefill_before(const fixture *it, uint32_t from, uint32_t count, uint32_t next_from, uint32_t next)
{
    uint16_t rows[FAKE_CHUNK * FAKE_HIDDEN];
    uint16_t *ahead = malloc((next + 1) * FAKE_HIDDEN * sizeof *ahead);
    fill(rows, from, count);
    fill(ahead, next_from, next);
    const axl_status status = axl_prefill_before(it->seq, rows, count, next == 0 ? NULL : ahead, next, NULL);
    free(ahead);
    return status;
}

/* The rows of the next chunk are on the card when it begins, where they were the ones that were announced. */
static void rows_cross_while_the_chunk_before_is_computed(void)
{
    uint16_t expected[FAKE_VOCAB];
    uint16_t logits[FAKE_VOCAB];
    expect(expected);
    static const struct {
        uint32_t from, count; /* announced */
        bool is_right;
    } cases[] = {{FAKE_CHUNK, FAKE_CHUNK, true}, {FAKE_CHUNK + 1, FAKE_CHUNK, false}, {FAKE_CHUNK, FAKE_CHUNK - 1, false}};
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fixture it = open_deep(AXL_PATHS_ALL);
        OK(prefill_before(&it, 0, FAKE_CHUNK, cases[i].from, cases[i].count));
        CHECK(fake.overtaking == 1 && axl_seq_len(it.seq) == FAKE_CHUNK);
        axl_stats before = stats_of(&it);
        OK(prefill(it.seq, FAKE_CHUNK, FAKE_CHUNK, logits, NULL));
        CHECK(memcmp(logits, expected, sizeof logits) == 0);
        const uint64_t mask = FAKE_CHUNK * 2 * FAKE_CHUNK * 2; /* of the group with a history of one chunk */
        CHECK(stats_of(&it).bytes_to_device - before.bytes_to_device == INDICES + mask + (cases[i].is_right ? 0 : ROWS));
        /* They are not announced for good. */
        OK(axl_seq_truncate(it.seq, FAKE_CHUNK));
        before = stats_of(&it);
        OK(prefill(it.seq, FAKE_CHUNK, FAKE_CHUNK, logits, NULL));
        CHECK(stats_of(&it).bytes_to_device - before.bytes_to_device == INDICES + ROWS);
        CHECK(memcmp(logits, expected, sizeof logits) == 0);
        close_fixture(&it);
    }
}

/* What comes between two chunks may use the same memory. */
static void announced_rows_do_not_outlive_their_memory(uint32_t what)
{
    uint16_t expected[FAKE_VOCAB];
    uint16_t logits[FAKE_VOCAB];
    expect(expected);
    fixture it = open_deep(AXL_PATHS_ALL);
    OK(prefill_before(&it, 0, FAKE_CHUNK, FAKE_CHUNK, FAKE_CHUNK));
    axl_seq *other = open_seq(it.model);
    const uint64_t bytes = FAKE_CHUNK * axl_model_row_bytes(it.model);
    void *rows = malloc((size_t)bytes);
    if (what == 0) {
        OK(axl_seq_export(it.seq, 0, FAKE_CHUNK, rows, bytes));
    } else if (what == 1) {
        OK(axl_model_set_paths(it.model, AXL_PATHS_ALL & ~(uint32_t)AXL_PATH_PINNED));
    } else if (what == 2) {
        OK(prefill(other, 90, FAKE_CHUNK - 1, NULL, NULL));
        OK(prefill(other, 90, FAKE_CHUNK, NULL, NULL));
    } else if (what == 3) {
        OK(decode(other, 90, logits));
    } else {
        /* Rows that end like the next chunk begins, when others were announced. */
        OK(axl_seq_truncate(it.seq, 0));
        OK(prefill_before(&it, 0, FAKE_CHUNK, 90, FAKE_CHUNK));
        memset(rows, 0, (size_t)bytes);
        fill((void *)((unsigned char *)rows + bytes - FAKE_CHUNK * FAKE_KV * 2u), FAKE_CHUNK, FAKE_CHUNK);
        OK(axl_seq_import(other, 0, FAKE_CHUNK, rows, bytes));
    }
    OK(prefill(it.seq, FAKE_CHUNK, FAKE_CHUNK, logits, NULL));
    CHECK(memcmp(logits, expected, sizeof logits) == 0);
    free(rows);
    OK(axl_seq_close(other));
    close_fixture(&it);
}

/* Not without a queue, not with so few layers that the first may still be on it; and limits are kept. */
static void rows_are_announced_in_vain(void)
{
    uint16_t expected[FAKE_VOCAB];
    uint16_t logits[FAKE_VOCAB];
    expect(expected);
    fixture it = open_deep(AXL_PATHS_ALL & ~(uint32_t)AXL_PATH_ASYNC);
    OK(prefill_before(&it, 0, FAKE_CHUNK, FAKE_CHUNK, FAKE_CHUNK));
    CHECK(fake.overtaking == 0);
    OK(prefill(it.seq, FAKE_CHUNK, FAKE_CHUNK, logits, NULL));
    CHECK(memcmp(logits, expected, sizeof logits) == 0);
    OK(axl_seq_truncate(it.seq, 0));
    CHECK(prefill_before(&it, 0, FAKE_CHUNK, 0, FAKE_CHUNK + 1).code == AXL_ERR_ARGUMENT);
    CHECK(prefill_before(&it, 0, 0, 0, 1).code == AXL_ERR_ARGUMENT && axl_seq_len(it.seq) == 0);
    OK(prefill_before(&it, 0, FAKE_CHUNK, 0, 0));
    close_fixture(&it);

    for (uint32_t more = 0; more < 2; more++) {
        fake_reset();
        fake.layers = AXL_PREFILL_WINDOW + more;
        it = open_fixture(PCIE, AXL_PATHS_ALL);
        OK(prefill_before(&it, 0, FAKE_CHUNK, FAKE_CHUNK, FAKE_CHUNK));
        CHECK(fake.overtaking == more);
        close_fixture(&it);
    }
}

/* Every call fails of a chunk that announces the next one, which comes out right all the same. */
static void failures_between_chunks_spoil_nothing(void)
{
    uint16_t expected[FAKE_VOCAB];
    uint16_t logits[FAKE_VOCAB];
    expect(expected);
    fixture it = open_deep(AXL_PATHS_ALL);
    uint32_t ahead = 0;
    for (uint32_t call = 1;; call++) {
        OK(axl_seq_truncate(it.seq, 0));
        OK(prefill_before(&it, 0, FAKE_CHUNK, FAKE_CHUNK, FAKE_CHUNK));
        OK(axl_seq_truncate(it.seq, 0));
        fake.fail_at = fake.calls + call;
        const axl_status status = prefill_before(&it, 0, FAKE_CHUNK, FAKE_CHUNK, FAKE_CHUNK);
        fake.fail_at = 0;
        CHECK(fake.queued == 0);
        if (status.code == AXL_OK) {
            break;
        }
        CHECK(axl_seq_len(it.seq) == 0);
        ahead += strcmp(status.detail, "rows of the next chunk") == 0;
        OK(axl_seq_truncate(it.seq, 0));
        OK(prefill(it.seq, 0, FAKE_CHUNK, NULL, NULL));
        OK(prefill(it.seq, FAKE_CHUNK, FAKE_CHUNK, logits, NULL));
        CHECK(memcmp(logits, expected, sizeof logits) == 0);
    }
    CHECK(ahead == 1);
    close_fixture(&it);
}

/* What another thread would read while a wait is going on. */
static void the_watchdog_sees_which_layers_are_waited_for(void)
{
    fake_reset();
    fake.layers = LAYERS;
    axl_activity activity = {0};
    const axl_driver_options options = {.activity = &activity};
    const ax_pcie_table table = fake_pcie_table();
    axl_driver *driver = NULL;
    OK(axl_driver_open_pcie(&table, &options, &driver));
    const axl_model_spec spec = spec_of(AXL_PATHS_ALL);
    axl_model *model = NULL;
    OK(axl_model_open(driver, &spec, NULL, NULL, &model));
    axl_seq *seq = open_seq(model);
    fake.watched = &activity;
    OK(prefill(seq, 0, FAKE_CHUNK, NULL, NULL));
    CHECK(fake.waits == WINDOWS);
    for (uint32_t i = 0; i < WINDOWS; i++) {
        CHECK(fake.waited_layers[i] == (int32_t)(i * AXL_PREFILL_WINDOW));
    }
    uint16_t logits[FAKE_VOCAB];
    OK(decode(seq, 0, logits));
    CHECK(fake.waits == WINDOWS + 1 && fake.waited_layers[WINDOWS] == AXL_NO_LAYER && activity.call == NULL);
    OK(axl_seq_close(seq));
    OK(axl_model_close(model));
    OK(axl_driver_close(driver));
    CHECK(fake.objects == 0);
}

void test_chunks(void)
{
    a_chunk_is_a_few_waits();
    a_known_mask_is_not_written_again();
    failures_name_the_layers_that_were_waited_for(AXL_PATHS_ALL);
    failures_name_the_layers_that_were_waited_for(AXL_PATH_ASYNC);
    waits_that_end_too_early_are_repeated((int32_t)AXCL_ERR_STREAM_SYNC_TIMEOUT);
    waits_that_end_too_early_are_repeated((int32_t)AXCL_ERR_ENGINE_EXECUTE_FAIL);
    cancelling_stops_behind_the_queued_layers();
    for (uint32_t i = 0; i < 4; i++) {
        a_refused_queue_is_done_without(i % 2 != 0, i / 2 != 0);
    }
    rows_cross_while_the_chunk_before_is_computed();
    for (uint32_t what = 0; what < 5; what++) {
        announced_rows_do_not_outlive_their_memory(what);
    }
    rows_are_announced_in_vain();
    failures_between_chunks_spoil_nothing();
    the_watchdog_sees_which_layers_are_waited_for();
}
