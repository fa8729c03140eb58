/* Rows of sequences to the host and back, and between sequences. */
#include "support.h"

enum { ROWS = 20 };

/* What is taken out of one sequence and put into another makes it go on alike. */
static void rows_go_to_the_host_and_back(interface_kind kind, uint32_t paths)
{
    fake_reset();
    fixture it = open_fixture(kind, paths);
    const uint64_t row = axl_model_row_bytes(it.model);
    CHECK(row == FAKE_LAYERS * 2u * FAKE_KV * 2u);
    for (uint32_t at = 0; at < ROWS; at += FAKE_CHUNK) {
        OK(prefill(it.seq, at, FAKE_CHUNK, NULL, NULL));
    }
    unsigned char *rows = malloc(ROWS * row);
    OK(axl_seq_export(it.seq, 0, ROWS, rows, ROWS * row));
    uint16_t expected[FAKE_VOCAB];
    OK(decode(it.seq, ROWS, expected));

    axl_seq *other = open_seq(it.model);
    OK(decode(other, 77, (uint16_t[FAKE_VOCAB]){0}));
    OK(axl_seq_import(other, 0, ROWS, rows, ROWS * row));
    CHECK(axl_seq_len(other) == ROWS);
    uint16_t logits[FAKE_VOCAB];
    OK(decode(other, ROWS, logits));
    CHECK(memcmp(logits, expected, sizeof logits) == 0);

    /* A part from the middle, behind what is there. */
    unsigned char *tail = malloc(5 * row);
    OK(axl_seq_export(it.seq, 15, 5, tail, 5 * row));
    OK(axl_seq_truncate(other, 16));
    OK(axl_seq_import(other, 15, 5, tail, 5 * row));
    OK(decode(other, ROWS, logits));
    CHECK(memcmp(logits, expected, sizeof logits) == 0);

    OK(axl_seq_truncate(other, 0));
    OK(axl_seq_copy(other, it.seq, ROWS));
    CHECK(axl_seq_len(other) == ROWS && axl_seq_len(it.seq) == ROWS + 1);
    OK(decode(other, ROWS, logits));
    CHECK(memcmp(logits, expected, sizeof logits) == 0);
    OK(axl_seq_copy(other, it.seq, 0));
    CHECK(axl_seq_len(other) == 0);
    free(tail);
    free(rows);
    OK(axl_seq_close(other));
    close_fixture(&it);
}

static void rows_that_are_not_there_are_refused(void)
{
    fake_reset();
    fixture it = open_fixture(PCIE, AXL_PATHS_ALL);
    axl_seq *other = open_seq(it.model);
    const uint64_t row = axl_model_row_bytes(it.model);
    unsigned char *rows = calloc(FAKE_CONTEXT + 1, row);
    OK(prefill(it.seq, 0, 4, NULL, NULL));
    const uint32_t calls = fake.calls;
    CHECK(axl_seq_export(it.seq, 0, 5, rows, 5 * row).code == AXL_ERR_ARGUMENT);
    CHECK(axl_seq_export(it.seq, 5, UINT32_MAX, rows, row).code == AXL_ERR_ARGUMENT);
    CHECK(axl_seq_export(it.seq, 0, 4, rows, 4 * row - 1).code == AXL_ERR_ARGUMENT);
    CHECK(axl_seq_export(it.seq, 0, 1, NULL, row).code == AXL_ERR_ARGUMENT);
    CHECK(axl_seq_import(it.seq, 5, 1, rows, row).code == AXL_ERR_ARGUMENT);
    CHECK(axl_seq_import(it.seq, 4, 2, rows, row).code == AXL_ERR_ARGUMENT);
    CHECK(axl_seq_import(it.seq, 1, FAKE_CONTEXT, rows, FAKE_CONTEXT * row).code == AXL_ERR_CONTEXT_FULL);
    CHECK(axl_seq_copy(other, it.seq, 5).code == AXL_ERR_ARGUMENT);
    CHECK(axl_seq_copy(it.seq, it.seq, 4).code == AXL_ERR_ARGUMENT);
    CHECK(axl_seq_copy(it.seq, NULL, 4).code == AXL_ERR_ARGUMENT);
    CHECK(fake.calls == calls && axl_seq_len(it.seq) == 4);
    OK(axl_seq_import(it.seq, 0, FAKE_CONTEXT, rows, FAKE_CONTEXT * row));
    OK(axl_seq_export(it.seq, 3, 0, rows, 0));
    CHECK(axl_seq_len(it.seq) == FAKE_CONTEXT);
    free(rows);
    OK(axl_seq_close(other));
    close_fixture(&it);
}

/* What a failed transfer leaves half written does not count. */
static void transfers_that_fail_leave_whole_rows(interface_kind kind)
{
    fake_reset();
    fixture it = open_fixture(kind, AXL_PATHS_ALL);
    axl_seq *other = open_seq(it.model);
    const uint64_t row = axl_model_row_bytes(it.model);
    unsigned char *rows = malloc(4 * row);
    OK(prefill(it.seq, 0, 4, NULL, NULL));
    uint32_t failures = 0;
    for (uint32_t call = 1;; call++) {
        fake.fail_at = fake.calls + call;
        if (axl_seq_export(it.seq, 0, 4, rows, 4 * row).code == AXL_OK) {
            break;
        }
        failures++;
        CHECK(axl_seq_len(it.seq) == 4);
    }
    for (uint32_t call = 1;; call++) {
        OK(axl_seq_truncate(other, 0));
        fake.fail_at = 0;
        OK(prefill(other, 0, 4, NULL, NULL));
        fake.fail_at = fake.calls + call;
        if (axl_seq_import(other, 2, 2, rows + 2 * row, 2 * row).code == AXL_OK) {
            break;
        }
        failures++;
        CHECK(axl_seq_len(other) == 2);
    }
    for (uint32_t call = 1;; call++) {
        fake.fail_at = fake.calls + call;
        const axl_status status = axl_seq_copy(other, it.seq, 3);
        if (status.code == AXL_OK) {
            break;
        }
        failures++;
        CHECK(axl_seq_len(other) == 0 && status.layer >= 0);
    }
    fake.fail_at = 0;
    /* On the board, reading takes one call, writing two, and a copy all three. */
    CHECK(failures == FAKE_LAYERS * 2u * (kind == PCIE ? 3 : 6));
    free(rows);
    OK(axl_seq_close(other));
    close_fixture(&it);
}

void test_rows(void)
{
    for (uint32_t kind = 0; kind < INTERFACES; kind++) {
        rows_go_to_the_host_and_back((interface_kind)kind, 0);
        rows_go_to_the_host_and_back((interface_kind)kind, AXL_PATHS_ALL);
        transfers_that_fail_leave_whole_rows((interface_kind)kind);
    }
    rows_that_are_not_there_are_refused();
}
