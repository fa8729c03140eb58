/* Tests of the loop that want a compiler's sanitizers; run.sh builds and runs them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "axloop.h"
#include "fake_card.h"

#define CHECK(condition)                                                             \
    do {                                                                             \
        if (!(condition)) {                                                          \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, __func__, #condition); \
            exit(1);                                                                 \
        }                                                                            \
    } while (0)
#define OK(status) CHECK((status).code == AXL_OK)

static const axl_file files[] = {{"l0", 1}, {"l1", 1}, {"head", 1}};
static const axl_model_spec spec = {files, 3, FAKE_HIDDEN, FAKE_VOCAB, 0, NULL};
static const axl_driver_options options = {0};

static axl_driver *open_driver(void)
{
    const ax_pcie_table table = fake_table();
    axl_driver *driver = NULL;
    OK(axl_driver_open_pcie(&table, &options, &driver));
    return driver;
}

static axl_model *open_model(axl_driver *driver)
{
    axl_model *model = NULL;
    OK(axl_model_open(driver, &spec, NULL, NULL, &model));
    return model;
}

static void fill(uint16_t *rows, uint32_t from, uint32_t count)
{
    for (uint32_t i = 0; i < count * FAKE_HIDDEN; i++) {
        rows[i] = (uint16_t)((from * FAKE_HIDDEN + i) * 2654435761u >> 7);
    }
}

/* Exactly as many bytes as are needed, so that the sanitizer sees any read behind them. */
static axl_status prefill(axl_seq *seq, uint32_t from, uint32_t count, uint16_t *logits, const int32_t *cancel)
{
    uint16_t *rows = malloc(count * FAKE_HIDDEN * sizeof *rows);
    fill(rows, from, count);
    const axl_status status = axl_prefill(seq, rows, count, logits, logits == NULL ? 0 : FAKE_VOCAB, cancel);
    free(rows);
    return status;
}

static axl_status decode(axl_seq *seq, uint32_t token, uint16_t *logits)
{
    uint16_t row[FAKE_HIDDEN];
    fill(row, token, 1);
    return axl_decode(seq, row, logits, FAKE_VOCAB, NULL);
}

static void test_all_ways_to_a_token_agree(void)
{
    fake_reset();
    axl_driver *driver = open_driver();
    axl_model *model = open_model(driver);
    uint16_t expected[FAKE_CONTEXT][FAKE_VOCAB];
    axl_seq *seq = NULL;
    OK(axl_seq_open(model, &seq));
    for (uint32_t i = 0; i < FAKE_CONTEXT; i++) {
        OK(decode(seq, i, expected[i]));
        CHECK(axl_seq_len(seq) == i + 1);
    }
    for (uint32_t chunk = 1; chunk <= FAKE_CHUNK; chunk++) {
        OK(axl_seq_truncate(seq, 0));
        for (uint32_t at = 0; at < FAKE_CONTEXT;) {
            const uint32_t count = FAKE_CONTEXT - at < chunk ? FAKE_CONTEXT - at : chunk;
            uint16_t logits[FAKE_VOCAB];
            OK(prefill(seq, at, count, logits, NULL));
            at += count;
            CHECK(memcmp(logits, expected[at - 1], sizeof logits) == 0);
        }
    }
    CHECK(expected[0][0] != expected[1][0] && expected[12][0] != expected[13][0]);
    OK(axl_seq_close(seq));
    OK(axl_model_close(model));
    OK(axl_driver_close(driver));
    CHECK(fake.objects == 0);
}

static void test_limits(void)
{
    fake_reset();
    axl_driver *driver = open_driver();
    axl_model *model = open_model(driver);
    axl_seq *seq = NULL;
    OK(axl_seq_open(model, &seq));
    axl_model_info info;
    axl_model_query(model, &info);
    CHECK(info.layers == 2 && info.context == FAKE_CONTEXT && info.chunk == FAKE_CHUNK && info.kv_dim == FAKE_KV);
    CHECK(info.sequence_bytes == 2u * 2u * FAKE_CONTEXT * FAKE_KV * 2u);
    const uint32_t calls = fake.calls;
    uint16_t row[FAKE_HIDDEN] = {0};
    uint16_t logits[FAKE_VOCAB];
    CHECK(axl_prefill(seq, row, 0, NULL, 0, NULL).code == AXL_ERR_ARGUMENT);
    CHECK(axl_prefill(seq, row, FAKE_CHUNK + 1, NULL, 0, NULL).code == AXL_ERR_ARGUMENT);
    CHECK(axl_prefill(seq, row, UINT32_MAX, NULL, 0, NULL).code == AXL_ERR_ARGUMENT);
    CHECK(axl_prefill(seq, NULL, 1, NULL, 0, NULL).code == AXL_ERR_ARGUMENT);
    CHECK(axl_decode(seq, row, logits, FAKE_VOCAB - 1, NULL).code == AXL_ERR_ARGUMENT);
    CHECK(axl_seq_truncate(seq, 1).code == AXL_ERR_ARGUMENT);
    CHECK(axl_model_close(model).code == AXL_ERR_ARGUMENT);
    CHECK(axl_driver_close(driver).code == AXL_ERR_ARGUMENT);
    CHECK(fake.calls == calls);
    for (uint32_t i = 0; i < FAKE_CONTEXT; i++) {
        OK(decode(seq, i, logits));
    }
    CHECK(decode(seq, 0, logits).code == AXL_ERR_CONTEXT_FULL);
    CHECK(prefill(seq, 0, 1, NULL, NULL).code == AXL_ERR_CONTEXT_FULL);
    OK(axl_seq_truncate(seq, FAKE_CONTEXT - 1));
    CHECK(prefill(seq, 0, 2, NULL, NULL).code == AXL_ERR_CONTEXT_FULL);
    OK(axl_seq_close(seq));
    OK(axl_model_close(model));
    OK(axl_driver_close(driver));
}

/* Opens driver, model and sequence as far as it goes, closes what was opened; how many calls the opening took. */
static axl_status open_all(uint32_t *calls)
{
    const ax_pcie_table table = fake_table();
    axl_driver *driver = NULL;
    axl_model *model = NULL;
    axl_seq *seq = NULL;
    axl_status status = axl_driver_open_pcie(&table, &options, &driver);
    if (status.code == AXL_OK) {
        status = axl_model_open(driver, &spec, NULL, NULL, &model);
    }
    if (status.code == AXL_OK) {
        status = axl_seq_open(model, &seq);
    }
    CHECK((status.code == AXL_OK) == (seq != NULL));
    *calls = fake.calls;
    fake.fail_at = 0;
    OK(axl_seq_close(seq));
    OK(axl_model_close(model));
    OK(axl_driver_close(driver));
    CHECK(fake.objects == 0);
    return status;
}

/* Makes each call of an opening fail in turn: an error that names a call, and nothing left. */
static void test_open_fails_at_each_call(void)
{
    uint32_t failures = 0;
    uint32_t tolerated = 0;
    for (uint32_t call = 1;; call++) {
        fake_reset();
        fake.fail_at = call;
        uint32_t calls = 0;
        const axl_status status = open_all(&calls);
        if (status.code != AXL_OK) {
            failures++;
            CHECK(status.code == AXL_ERR_CALL && status.vendor_code == fake.fail_code);
            CHECK(strncmp(status.call, "axcl", 4) == 0);
        } else if (calls >= call) {
            tolerated++; /* EngineInit, as the NPU is up in the right mode */
        } else {
            break;
        }
    }
    printf("loop: %u failing calls of an opening\n", failures);
    CHECK(failures > 100 && tolerated == 1);
}

static void test_steps_fail_at_each_call(void)
{
    fake_reset();
    axl_driver *driver = open_driver();
    axl_model *model = open_model(driver);
    axl_seq *seq = NULL;
    OK(axl_seq_open(model, &seq));
    OK(prefill(seq, 0, 3, NULL, NULL));
    uint16_t expected[FAKE_VOCAB];
    OK(prefill(seq, 3, 2, expected, NULL));
    OK(axl_seq_truncate(seq, 3));
    uint32_t failures = 0;
    uint16_t logits[FAKE_VOCAB];
    for (uint32_t call = 1;; call++) {
        fake.fail_at = fake.calls + call;
        const axl_status status = prefill(seq, 3, 2, logits, NULL);
        if (status.code == AXL_OK) {
            break;
        }
        failures++;
        CHECK(status.code == AXL_ERR_CALL && axl_seq_len(seq) == 3);
    }
    fake.fail_at = 0;
    /* Rows; two layers of mask, indices, run, K and V, one hidden; head input, run, logits. */
    CHECK(failures == 1 + 6 + 5 + 3 + 0 && memcmp(logits, expected, sizeof logits) == 0);
    OK(axl_seq_close(seq));
    OK(axl_model_close(model));
    OK(axl_driver_close(driver));
}

static void test_cancel_stops_before_the_next_layer(void)
{
    fake_reset();
    axl_driver *driver = open_driver();
    axl_model *model = open_model(driver);
    axl_seq *seq = NULL;
    OK(axl_seq_open(model, &seq));
    uint16_t logits[FAKE_VOCAB];
    for (uint32_t runs = 0; runs <= 2; runs++) {
        fake.cancel = runs == 0;
        fake.cancel_after = runs;
        axl_stats before;
        axl_driver_stats(driver, &before);
        const axl_status status = prefill(seq, 0, 4, logits, &fake.cancel);
        axl_stats after;
        axl_driver_stats(driver, &after);
        CHECK(status.code == AXL_ERR_CANCELLED && status.layer == (int32_t)runs);
        CHECK(after.runs - before.runs == runs && axl_seq_len(seq) == 0);
    }
    fake.cancel = 0;
    OK(prefill(seq, 0, 4, logits, &fake.cancel));
    OK(axl_seq_close(seq));
    OK(axl_model_close(model));
    OK(axl_driver_close(driver));
}

static void expect_bad_model(axl_code code, int32_t layer, const char *what, const char *detail)
{
    axl_driver *driver = open_driver();
    axl_model *model = NULL;
    const axl_status status = axl_model_open(driver, &spec, NULL, NULL, &model);
    CHECK(status.code == code && status.layer == layer && model == NULL);
    CHECK(strstr(status.call, what) != NULL);
    CHECK(strcmp(status.detail, detail) == 0);
    OK(axl_driver_close(driver));
    CHECK(fake.objects == 0);
}

static void with_renamed(uint32_t file, const char *from, const char *to, const char *what,
                         const char *detail)
{
    fake_reset();
    fake.bad_layer = file;
    fake.rename_from = from;
    fake.rename_to = to;
    expect_bad_model(AXL_ERR_MODEL, (int32_t)file - 1, what, detail);
}

static void test_models_that_do_not_fit(void)
{
    with_renamed(1, "mask", "veil", "does not know", "veil");
    with_renamed(2, "mask", "input_7", "same name", "input_7");
    with_renamed(2, "K_cache_out", "K_cache_out_", "does not know", "K_cache_out_");
    with_renamed(1, "output", NULL, "no name", "");
    with_renamed(3, "output", "indices", "does not know", "indices");
    /* A file may hold any name; what does not fit is cut off. */
    const char *whole = "0123456789012345678901234567890123456789012345678901234567890123456789";
    char cut[AXL_DETAIL] = {0};
    memcpy(cut, whole, sizeof cut - 1);
    with_renamed(1, "mask", whole, "does not know", cut);

    static const struct {
        uint32_t file;
        int32_t groups, extra_dim, rank;
        uint64_t extra_size;
        const char *what, *detail;
    } faults[] = {
        {1, 0, 0, 3, 0, "no shape group", ""},
        {1, 100000, 0, 3, 0, "absurdly many", ""},
        {1, -1, 0, 3, 0, "no shape group", ""},
        {2, 4, 0, 3, 0, "another number of shape groups", ""},
        {1, FAKE_GROUPS, 1, 3, 0, "K_cache and V_cache are not", "group 0"},
        {1, FAKE_GROUPS, -FAKE_KV, 3, 0, "below one", "K_cache, group 0"},
        {1, FAKE_GROUPS, 0, 3, 2, "has a size", "mask, group 0"},
        {1, FAKE_GROUPS, 0, 3, 1ull << 63, "has a size", "mask, group 0"},
        {1, FAKE_GROUPS, 0, 5, 0, "number of dimensions", "K_cache, group 0"},
        {1, FAKE_GROUPS, 0, 0, 0, "number of dimensions", "K_cache, group 0"},
        {3, 1, 0, 2, 0, "has a size", "input, group 0"},
    };
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        fake_reset();
        fake.bad_layer = faults[i].file;
        fake.groups = faults[i].groups;
        fake.extra_dim = faults[i].extra_dim;
        fake.rank = faults[i].rank;
        fake.extra_size = faults[i].extra_size;
        expect_bad_model(AXL_ERR_MODEL, (int32_t)faults[i].file - 1, faults[i].what,
                         faults[i].detail);
    }
    fake_reset();
    fake.free_kib = 0;
    expect_bad_model(AXL_ERR_DEVICE_MEMORY, 0, "free memory", "needs 1 KiB, 0 KiB are free");
}

static void test_specs_that_are_wrong(void)
{
    fake_reset();
    axl_driver *driver = open_driver();
    axl_model *model = NULL;
    const axl_model_spec headless = {files, 1, FAKE_HIDDEN, FAKE_VOCAB, 0, NULL};
    CHECK(axl_model_open(driver, &headless, NULL, NULL, &model).code == AXL_ERR_ARGUMENT);
    const axl_model_spec empty = {files, 3, 0, FAKE_VOCAB, 0, NULL};
    CHECK(axl_model_open(driver, &empty, NULL, NULL, &model).code == AXL_ERR_ARGUMENT);
    const axl_model_spec wide = {files, 3, FAKE_HIDDEN * 2, FAKE_VOCAB, 0, NULL};
    CHECK(axl_model_open(driver, &wide, NULL, NULL, &model).code == AXL_ERR_MODEL);
    OK(axl_driver_close(driver));
    CHECK(fake.objects == 0);
}

static int32_t load_cancel;

static void cancel_after_one_file(void *user, uint32_t loaded, uint32_t total)
{
    (void)user, (void)loaded, (void)total;
    __atomic_store_n(&load_cancel, 1, __ATOMIC_RELEASE);
}

static void test_a_load_stops_before_its_next_file(void)
{
    fake_reset();
    axl_driver *driver = open_driver();
    axl_model *model = NULL;
    load_cancel = 0;
    const axl_model_spec cancelled = {files, 3, FAKE_HIDDEN, FAKE_VOCAB, 0, &load_cancel};
    const axl_status status = axl_model_open(driver, &cancelled, cancel_after_one_file, NULL, &model);
    CHECK(status.code == AXL_ERR_CANCELLED && status.layer == 1 && model == NULL);
    OK(axl_driver_close(driver));
    CHECK(fake.objects == 0);
}

static void test_a_model_without_prefill_groups(void)
{
    fake_reset();
    axl_driver *driver = open_driver();
    axl_model *model = open_model(driver);
    axl_seq *seq = NULL;
    uint16_t expected[FAKE_VOCAB];
    OK(axl_seq_open(model, &seq));
    OK(decode(seq, 0, expected));
    OK(decode(seq, 1, expected));
    OK(axl_seq_close(seq));
    OK(axl_model_close(model));

    fake.bad_layer = FAKE_ALL;
    fake.groups = 1;
    fake.loaded = 0;
    model = open_model(driver);
    axl_model_info info;
    axl_model_query(model, &info);
    CHECK(info.chunk == 1 && info.context == FAKE_CONTEXT);
    uint16_t logits[FAKE_VOCAB];
    OK(axl_seq_open(model, &seq));
    OK(prefill(seq, 0, 1, NULL, NULL));
    OK(prefill(seq, 1, 1, logits, NULL));
    CHECK(memcmp(logits, expected, sizeof logits) == 0);
    OK(axl_seq_close(seq));
    OK(axl_model_close(model));
    OK(axl_driver_close(driver));
}

static void test_two_sequences_are_apart(void)
{
    fake_reset();
    axl_driver *driver = open_driver();
    axl_model *model = open_model(driver);
    axl_seq *seqs[2] = {NULL, NULL};
    uint16_t expected[2][FAKE_VOCAB];
    uint16_t logits[FAKE_VOCAB];
    for (uint32_t s = 0; s < 2; s++) {
        OK(axl_seq_open(model, &seqs[s]));
        OK(prefill(seqs[s], s * 20, 4, NULL, NULL));
        OK(decode(seqs[s], s * 20 + 4, expected[s]));
        OK(axl_seq_close(seqs[s]));
    }
    OK(axl_seq_open(model, &seqs[0]));
    OK(axl_seq_open(model, &seqs[1]));
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
    OK(axl_model_close(model));
    OK(axl_driver_close(driver));
    CHECK(fake.objects == 0);
}

static void test_drivers_that_do_not_open(void)
{
    fake_reset();
    ax_pcie_table table = fake_table();
    axl_driver *driver = NULL;
    CHECK(axl_driver_open_pcie(&table, &(axl_driver_options){.device_index = 1}, &driver).code == AXL_ERR_NO_CARD && driver == NULL);
    fake.devices = 100000;
    CHECK(axl_driver_open_pcie(&table, &(axl_driver_options){.device_index = 99999}, &driver).code == AXL_ERR_NO_CARD);
    CHECK(axl_driver_open_pcie(NULL, &options, &driver).code == AXL_ERR_ARGUMENT);
    fake_reset();
    fake.npu_is_up = true;
    OK(axl_driver_open_pcie(&table, &options, &driver));
    OK(axl_driver_close(driver));
    table.axclrtEngineGetVNpuKind = NULL;
    CHECK(axl_driver_open_pcie(&table, &options, &driver).code == AXL_ERR_CALL);
    table.axclrtFree = NULL;
    const axl_status status = axl_driver_open_pcie(&table, &options, &driver);
    CHECK(status.code == AXL_ERR_UNSUPPORTED && strcmp(status.call, "axclrtFree") == 0);
    CHECK(fake.objects == 0);
}

int main(void)
{
    test_all_ways_to_a_token_agree();
    test_limits();
    test_open_fails_at_each_call();
    test_steps_fail_at_each_call();
    test_cancel_stops_before_the_next_layer();
    test_models_that_do_not_fit();
    test_specs_that_are_wrong();
    test_a_load_stops_before_its_next_file();
    test_a_model_without_prefill_groups();
    test_two_sequences_are_apart();
    test_drivers_that_do_not_open();
    puts("loop: all tests passed");
    return 0;
}
