/* What a token costs, with as many layers as real models have. */
#include "support.h"

enum {
    ROW = FAKE_HIDDEN * 2,
    LOGITS = FAKE_VOCAB * 2,
    INDEX = 4,
    LINE = 128, /* of the mask */
    RUNS = FAKE_MAX_LAYERS + 1,
};

static axl_stats since(const axl_driver *driver, const axl_stats *before)
{
    axl_stats now;
    axl_driver_stats(driver, &now);
    return (axl_stats){
        .driver_calls = now.driver_calls - before->driver_calls,
        .blocking_calls = now.blocking_calls - before->blocking_calls,
        .runs = now.runs - before->runs,
        .cache_calls = now.cache_calls - before->cache_calls,
        .bytes_to_device = now.bytes_to_device - before->bytes_to_device,
        .bytes_from_device = now.bytes_from_device - before->bytes_from_device,
        .bytes_on_device = now.bytes_on_device - before->bytes_on_device,
        .bytes_copied = now.bytes_copied - before->bytes_copied,
        .driver_ns = now.driver_ns - before->driver_ns,
        .run_ns = now.run_ns - before->run_ns,
        .step_ns = now.step_ns - before->step_ns,
    };
}

/* One token behind some others, in the group that the paths choose. */
static axl_stats token(interface_kind kind, uint32_t paths)
{
    fake_reset();
    fake.layers = FAKE_MAX_LAYERS;
    fixture it = open_fixture(kind, paths);
    uint16_t logits[FAKE_VOCAB];
    for (uint32_t i = 0; i < 3; i++) {
        OK(decode(it.seq, i, logits));
    }
    axl_stats before;
    axl_driver_stats(it.driver, &before);
    fake.unpinned = 0;
    OK(decode(it.seq, 3, logits));
    const axl_stats cost = since(it.driver, &before);
    CHECK(cost.runs == RUNS && cost.run_ns > 0 && cost.driver_ns >= cost.run_ns && cost.step_ns >= cost.driver_ns);
    CHECK((paths & AXL_PATH_PINNED) == 0 || fake.unpinned == 0);
    close_fixture(&it);
    return cost;
}

static void a_token_over_the_bus_is_one_wait(void)
{
    axl_stats cost = token(PCIE, AXL_PATHS_ALL);
    CHECK(cost.blocking_calls == 1);
    CHECK(cost.bytes_to_device == ROW + INDEX + LINE && cost.bytes_from_device == LOGITS && cost.bytes_on_device == 0);
    CHECK(cost.bytes_copied == 0 && cost.cache_calls == 0);
    /* Per layer two bindings of the new rows and a run; three copies, the head, its logits, one wait. */
    CHECK(cost.driver_calls == 3u * FAKE_MAX_LAYERS + 3 + 1 + 1 + 1);

    cost = token(PCIE, AXL_PATHS_ALL & ~(uint32_t)AXL_PATH_ASYNC);
    CHECK(cost.blocking_calls == 3 + RUNS + 1);
    CHECK(cost.bytes_to_device == ROW + INDEX + LINE && cost.bytes_from_device == LOGITS && cost.bytes_on_device == 0);

    /* Row; mask, indices, run, K, V and hidden state of each layer; head, logits. */
    cost = token(PCIE, 0);
    const uint64_t mask = (FAKE_CONTEXT + 1) * 2;
    CHECK(cost.blocking_calls == 1 + 6 * FAKE_MAX_LAYERS + 2);
    CHECK(cost.bytes_to_device == ROW + FAKE_MAX_LAYERS * (mask + INDEX));
    CHECK(cost.bytes_on_device == FAKE_MAX_LAYERS * (2u * FAKE_KV * 2 + ROW));
}

static void a_token_on_the_board_touches_next_to_nothing(void)
{
    axl_stats cost = token(BOARD, AXL_PATHS_ALL);
    CHECK(cost.blocking_calls == RUNS && cost.driver_calls == RUNS + 1 && cost.cache_calls == 1);
    CHECK(cost.bytes_copied == ROW + INDEX + LINE + LOGITS);
    CHECK(cost.bytes_to_device == 0 && cost.bytes_from_device == 0 && cost.bytes_on_device == 0);

    /* K and V: what was computed and the row's lines are invalidated, the row flushed. Hidden states: what was computed
     * is invalidated, the head's lines are too, and flushed. */
    cost = token(BOARD, 0);
    CHECK(cost.cache_calls == 6u * FAKE_MAX_LAYERS + FAKE_MAX_LAYERS + 2 + 1);
}

/* The mask is changed where it has to be: not at all, by a line, and by as much as another sequence is longer. */
static void only_what_changes_of_the_mask_is_written(void)
{
    fake_reset();
    fixture it = open_fixture(PCIE, AXL_PATHS_ALL & ~(uint32_t)AXL_PATH_SMALLEST_GROUP);
    uint16_t logits[FAKE_VOCAB];
    axl_stats before;
    for (uint32_t at = 0; at < 150; at++) {
        OK(decode(it.seq, at, logits));
    }
    uint16_t expected[FAKE_VOCAB];
    OK(decode(it.seq, 150, expected));
    OK(axl_seq_truncate(it.seq, 150));
    axl_driver_stats(it.driver, &before);
    OK(decode(it.seq, 150, logits));
    CHECK(since(it.driver, &before).bytes_to_device == ROW + INDEX);
    CHECK(memcmp(logits, expected, sizeof logits) == 0);

    axl_seq *other = open_seq(it.model);
    axl_driver_stats(it.driver, &before);
    OK(decode(other, 0, logits));
    CHECK(since(it.driver, &before).bytes_to_device == ROW + INDEX + 3 * LINE);
    axl_driver_stats(it.driver, &before);
    OK(decode(other, 1, logits));
    CHECK(since(it.driver, &before).bytes_to_device == ROW + INDEX + LINE);
    OK(axl_seq_truncate(it.seq, 150));
    OK(decode(it.seq, 150, logits));
    CHECK(memcmp(logits, expected, sizeof logits) == 0);
    OK(axl_seq_close(other));
    close_fixture(&it);
}

/* Three rows cost three tokens instead of a chunk; the fourth makes it one. */
static void short_tails_are_tokens(void)
{
    fake_reset();
    fixture it = open_fixture(BOARD, AXL_PATHS_ALL);
    axl_stats before;
    for (uint32_t count = 1; count <= 4; count++) {
        axl_driver_stats(it.driver, &before);
        OK(prefill(it.seq, 0, count, NULL, NULL));
        CHECK(since(it.driver, &before).runs == (count <= AXL_SHORT_TAIL ? count : 1) * FAKE_LAYERS);
    }
    OK(axl_model_set_paths(it.model, paths_on(it.model) & ~(uint32_t)AXL_PATH_SHORT_TAIL));
    axl_driver_stats(it.driver, &before);
    OK(prefill(it.seq, 0, 1, NULL, NULL));
    CHECK(since(it.driver, &before).runs == FAKE_LAYERS);
    close_fixture(&it);
}

/* Rows and padding in place; copied at the end, where the padding would not fit. */
static void a_chunk_writes_its_rows_in_place(void)
{
    fake_reset();
    fixture it = open_fixture(PCIE, AXL_PATHS_ALL);
    axl_stats before;
    axl_driver_stats(it.driver, &before);
    for (uint32_t at = 0; at + FAKE_CHUNK <= FAKE_CONTEXT - 4; at += FAKE_CHUNK) {
        OK(prefill(it.seq, at, FAKE_CHUNK, NULL, NULL));
    }
    CHECK(since(it.driver, &before).bytes_on_device == 0);
    OK(decode(it.seq, FAKE_CONTEXT - 4, (uint16_t[FAKE_VOCAB]){0}));
    OK(axl_model_set_paths(it.model, AXL_PATHS_ALL & ~(uint32_t)AXL_PATH_SHORT_TAIL));
    axl_driver_stats(it.driver, &before);
    OK(prefill(it.seq, FAKE_CONTEXT - 3, 3, NULL, NULL));
    CHECK(since(it.driver, &before).bytes_on_device == FAKE_LAYERS * 2u * 3u * FAKE_KV * 2u);
    CHECK(axl_seq_len(it.seq) == FAKE_CONTEXT);
    close_fixture(&it);
}

static void the_watchdog_sees_each_call(void)
{
    fake_reset();
    axl_activity activity = {0};
    const axl_driver_options options = {.activity = &activity};
    const ax_board_table table = fake_board_table();
    axl_driver *driver = NULL;
    OK(axl_driver_open_board(&table, &options, &driver));
    const axl_model_spec spec = spec_of(AXL_PATHS_ALL);
    axl_model *model = NULL;
    OK(axl_model_open(driver, &spec, NULL, NULL, &model));
    axl_seq *seq = open_seq(model);
    const uint64_t serial = activity.serial;
    uint16_t logits[FAKE_VOCAB];
    OK(decode(seq, 0, logits));
    /* The head is last, and its logits are invalidated. */
    CHECK(activity.serial == serial + FAKE_LAYERS + 2 && activity.call == NULL && activity.layer == FAKE_LAYERS);
    CHECK(activity.since_ns != 0);
    OK(axl_seq_close(seq));
    CHECK(activity.layer == AXL_NO_LAYER);
    OK(axl_model_close(model));
    OK(axl_driver_close(driver));
    CHECK(fake.objects == 0);
}

void test_costs(void)
{
    a_token_over_the_bus_is_one_wait();
    a_token_on_the_board_touches_next_to_nothing();
    only_what_changes_of_the_mask_is_written();
    short_tails_are_tokens();
    a_chunk_writes_its_rows_in_place();
    the_watchdog_sees_each_call();
}
