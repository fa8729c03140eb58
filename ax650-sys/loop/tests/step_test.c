/* Tokens and their limits, on both interfaces. */
#include "support.h"

static void all_ways_to_a_token_agree(interface_kind kind, uint32_t paths)
{
    fake_reset();
    fixture it = open_fixture(kind, paths);
    static uint16_t expected[FAKE_CONTEXT][FAKE_VOCAB];
    for (uint32_t i = 0; i < FAKE_CONTEXT; i++) {
        OK(decode(it.seq, i, expected[i]));
        CHECK(axl_seq_len(it.seq) == i + 1);
    }
    for (uint32_t chunk = 1; chunk <= FAKE_CHUNK; chunk++) {
        OK(axl_seq_truncate(it.seq, 0));
        for (uint32_t at = 0; at < FAKE_CONTEXT;) {
            const uint32_t count = FAKE_CONTEXT - at < chunk ? FAKE_CONTEXT - at : chunk;
            uint16_t logits[FAKE_VOCAB];
            OK(prefill(it.seq, at, count, logits, NULL));
            at += count;
            CHECK(memcmp(logits, expected[at - 1], sizeof logits) == 0);
        }
    }
    CHECK(expected[0][0] != expected[1][0] && expected[12][0] != expected[13][0]);
    close_fixture(&it);
}

static void limits_are_kept(interface_kind kind)
{
    fake_reset();
    fixture it = open_fixture(kind, AXL_PATHS_ALL);
    axl_model_info info;
    axl_model_query(it.model, &info);
    CHECK(info.layers == 2 && info.context == FAKE_CONTEXT && info.chunk == FAKE_CHUNK && info.kv_dim == FAKE_KV);
    CHECK(info.sequence_bytes == 2u * 2u * FAKE_CONTEXT * FAKE_KV * 2u);
    CHECK(axl_model_row_bytes(it.model) == info.sequence_bytes / FAKE_CONTEXT);
    const uint32_t calls = fake.calls;
    uint16_t row[FAKE_HIDDEN] = {0};
    uint16_t logits[FAKE_VOCAB];
    CHECK(axl_prefill(it.seq, row, 0, NULL, 0, NULL).code == AXL_ERR_ARGUMENT);
    CHECK(axl_prefill(it.seq, row, FAKE_CHUNK + 1, NULL, 0, NULL).code == AXL_ERR_ARGUMENT);
    CHECK(axl_prefill(it.seq, row, UINT32_MAX, NULL, 0, NULL).code == AXL_ERR_ARGUMENT);
    CHECK(axl_prefill(it.seq, NULL, 1, NULL, 0, NULL).code == AXL_ERR_ARGUMENT);
    CHECK(axl_decode(it.seq, row, logits, FAKE_VOCAB - 1, NULL).code == AXL_ERR_ARGUMENT);
    CHECK(axl_seq_truncate(it.seq, 1).code == AXL_ERR_ARGUMENT);
    CHECK(axl_model_close(it.model).code == AXL_ERR_ARGUMENT);
    CHECK(axl_driver_close(it.driver).code == AXL_ERR_ARGUMENT);
    CHECK(fake.calls == calls);
    for (uint32_t i = 0; i < FAKE_CONTEXT; i++) {
        OK(decode(it.seq, i, logits));
    }
    CHECK(decode(it.seq, 0, logits).code == AXL_ERR_CONTEXT_FULL);
    CHECK(prefill(it.seq, 0, 1, NULL, NULL).code == AXL_ERR_CONTEXT_FULL);
    OK(axl_seq_truncate(it.seq, FAKE_CONTEXT - 1));
    CHECK(prefill(it.seq, 0, 2, NULL, NULL).code == AXL_ERR_CONTEXT_FULL);
    close_fixture(&it);
}

static void cancelling_stops_before_the_next_layer(interface_kind kind)
{
    fake_reset();
    fixture it = open_fixture(kind, AXL_PATHS_ALL & ~(uint32_t)AXL_PATH_ASYNC);
    uint16_t logits[FAKE_VOCAB];
    for (uint32_t runs = 0; runs <= 2; runs++) {
        fake.cancel = runs == 0;
        fake.cancel_after = runs;
        axl_stats before;
        axl_driver_stats(it.driver, &before);
        const axl_status status = prefill(it.seq, 0, 4, logits, &fake.cancel);
        axl_stats after;
        axl_driver_stats(it.driver, &after);
        CHECK(status.code == AXL_ERR_CANCELLED && status.layer == (int32_t)runs);
        CHECK(after.runs - before.runs == runs && axl_seq_len(it.seq) == 0);
    }
    fake.cancel = 0;
    OK(prefill(it.seq, 0, 4, logits, &fake.cancel));
    close_fixture(&it);
}

/* Queued runs cannot be stopped: they are over when the answer comes, and count for nothing. */
static void cancelling_a_queued_token_empties_the_queue(void)
{
    fake_reset();
    fixture it = open_fixture(PCIE, AXL_PATHS_ALL);
    uint16_t expected[FAKE_VOCAB];
    uint16_t row[FAKE_HIDDEN];
    OK(decode(it.seq, 0, expected));
    OK(decode(it.seq, 1, expected));
    OK(axl_seq_truncate(it.seq, 1));
    fill(row, 1, 1);
    uint16_t logits[FAKE_VOCAB] = {0};
    fake.cancel_after = 1;
    axl_status status = axl_decode(it.seq, row, logits, FAKE_VOCAB, &fake.cancel);
    CHECK(status.code == AXL_ERR_CANCELLED && fake.queued == 0 && axl_seq_len(it.seq) == 1);
    CHECK(fake.cancel == 1 && logits[0] == 0);
    status = axl_decode(it.seq, row, logits, FAKE_VOCAB, &fake.cancel);
    CHECK(status.code == AXL_ERR_CANCELLED && status.layer == 0);
    fake.cancel = 0;
    OK(axl_decode(it.seq, row, logits, FAKE_VOCAB, &fake.cancel));
    CHECK(memcmp(logits, expected, sizeof logits) == 0);
    close_fixture(&it);
}

/* However tokens are cut, and by whatever groups they are computed. */
static void all_ways_to_a_hidden_state_agree(interface_kind kind, uint32_t paths)
{
    fake_reset();
    fixture it = open_fixture(kind, paths);
    static uint16_t expected[FAKE_CONTEXT * FAKE_HIDDEN];
    for (uint32_t chunk = 1; chunk <= FAKE_CHUNK; chunk++) {
        OK(axl_seq_truncate(it.seq, 0));
        for (uint32_t at = 0; at < FAKE_CONTEXT;) {
            const uint32_t count = FAKE_CONTEXT - at < chunk ? FAKE_CONTEXT - at : chunk;
            const uint32_t values = count * FAKE_HIDDEN;
            /* Exactly as many as are told, for the sanitizer. */
            uint16_t *hidden = malloc(values * sizeof *hidden);
            uint16_t *rows = malloc(values * sizeof *rows);
            fill(rows, at, count);
            OK(axl_prefill_hidden(it.seq, rows, count, hidden, values, NULL));
            CHECK(axl_seq_len(it.seq) == at + count);
            if (chunk == 1) {
                memcpy(expected + at * FAKE_HIDDEN, hidden, values * sizeof *hidden);
            }
            CHECK(memcmp(hidden, expected + at * FAKE_HIDDEN, values * sizeof *hidden) == 0);
            free(hidden);
            free(rows);
            at += count;
        }
    }
    CHECK(memcmp(expected, expected + FAKE_HIDDEN, FAKE_HIDDEN * sizeof *expected) != 0);
    /* Logits come out as if nobody had asked for anything else. */
    uint16_t before[FAKE_VOCAB];
    uint16_t after[FAKE_VOCAB];
    OK(axl_seq_truncate(it.seq, FAKE_CONTEXT - 1));
    OK(decode(it.seq, FAKE_CONTEXT - 1, after));
    OK(axl_seq_truncate(it.seq, 0));
    for (uint32_t i = 0; i < FAKE_CONTEXT; i++) {
        OK(decode(it.seq, i, before));
    }
    CHECK(memcmp(before, after, sizeof before) == 0);
    OK(axl_seq_truncate(it.seq, 0));
    uint16_t row[FAKE_HIDDEN] = {0};
    CHECK(axl_prefill_hidden(it.seq, row, 1, expected, FAKE_HIDDEN - 1, NULL).code == AXL_ERR_ARGUMENT);
    CHECK(axl_prefill_hidden(it.seq, row, 1, NULL, FAKE_HIDDEN, NULL).code == AXL_ERR_ARGUMENT);
    fake.cancel = 1;
    CHECK(axl_prefill_hidden(it.seq, row, 1, expected, FAKE_HIDDEN, &fake.cancel).code == AXL_ERR_CANCELLED);
    CHECK(axl_seq_len(it.seq) == 0);
    close_fixture(&it);
}

static void two_sequences_are_apart(interface_kind kind, uint32_t paths)
{
    fake_reset();
    fixture it = open_fixture(kind, paths);
    axl_seq *seqs[2] = {NULL, NULL};
    uint16_t expected[2][FAKE_VOCAB];
    uint16_t logits[FAKE_VOCAB];
    for (uint32_t s = 0; s < 2; s++) {
        seqs[s] = open_seq(it.model);
        OK(prefill(seqs[s], s * 20, 4, NULL, NULL));
        OK(decode(seqs[s], s * 20 + 4, expected[s]));
        OK(axl_seq_close(seqs[s]));
    }
    seqs[0] = open_seq(it.model);
    seqs[1] = open_seq(it.model);
    for (uint32_t i = 0; i < 5; i++) {
        for (uint32_t s = 0; s < 2; s++) {
            OK(decode(seqs[s], s * 20 + i, logits));
            CHECK(i < 4 || memcmp(logits, expected[s], sizeof logits) == 0);
        }
    }
    OK(axl_seq_close(seqs[1]));
    OK(axl_seq_truncate(seqs[0], 4));
    OK(decode(seqs[0], 4, logits));
    CHECK(memcmp(logits, expected[0], sizeof logits) == 0);
    OK(axl_seq_close(seqs[0]));
    close_fixture(&it);
}

void test_steps(void)
{
    for (uint32_t kind = 0; kind < INTERFACES; kind++) {
        all_ways_to_a_token_agree((interface_kind)kind, 0);
        all_ways_to_a_token_agree((interface_kind)kind, AXL_PATHS_ALL);
        all_ways_to_a_hidden_state_agree((interface_kind)kind, 0);
        all_ways_to_a_hidden_state_agree((interface_kind)kind, AXL_PATHS_ALL);
        limits_are_kept((interface_kind)kind);
        cancelling_stops_before_the_next_layer((interface_kind)kind);
        two_sequences_are_apart((interface_kind)kind, 0);
        two_sequences_are_apart((interface_kind)kind, AXL_PATHS_ALL);
    }
    cancelling_a_queued_token_empties_the_queue();
}
