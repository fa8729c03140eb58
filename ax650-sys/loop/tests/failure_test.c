/* Every call of the vendor fails in turn: an error that names it, nothing left behind, and the next try works. */
#include "support.h"

static const uint32_t path_sets[] = {0, AXL_PATHS_ALL, AXL_PATHS_ALL & ~(uint32_t)AXL_PATH_ASYNC, AXL_PATH_ASYNC};

static bool is_told(const axl_status *status)
{
    return status->vendor_code == fake.fail_code &&
           (strncmp(status->call, "axcl", 4) == 0 || strncmp(status->call, "AX_", 3) == 0);
}

/* Opens driver, model and sequence as far as it goes, closes what was opened; how many calls the opening took. */
static axl_status open_all(interface_kind kind, uint32_t paths, uint32_t *calls)
{
    const axl_model_spec spec = spec_of(paths);
    axl_driver *driver = NULL;
    axl_model *model = NULL;
    axl_seq *seq = NULL;
    axl_status status = open_card(kind, &driver);
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

/* Tolerated are calls that have a way around them, and those that only say more. */
static void opening(interface_kind kind, uint32_t paths, int32_t fail_code, axl_code expected, uint32_t tolerated)
{
    uint32_t failures = 0;
    for (uint32_t call = 1;; call++) {
        fake_reset();
        fake.fail_code = fail_code;
        fake.fail_at = call;
        uint32_t calls = 0;
        const axl_status status = open_all(kind, paths, &calls);
        if (status.code != AXL_OK) {
            failures++;
            CHECK(status.code == expected && is_told(&status));
        } else if (calls >= call) {
            CHECK(tolerated-- != 0);
        } else {
            break;
        }
    }
    CHECK(failures > 40 && tolerated == 0);
}

/* The objects of the fake are gone even when giving them back fails, so none may be forgotten. */
static void closing(interface_kind kind, uint32_t paths)
{
    uint32_t failures = 0;
    for (uint32_t call = 1;; call++) {
        fake_reset();
        fixture it = open_fixture(kind, paths);
        fake.fail_at = fake.calls + call;
        const axl_status seq = axl_seq_close(it.seq);
        const axl_status model = axl_model_close(it.model);
        const axl_status driver = axl_driver_close(it.driver);
        CHECK(fake.objects == 0);
        if (seq.code == AXL_OK && model.code == AXL_OK && driver.code == AXL_OK) {
            break;
        }
        failures++;
    }
    CHECK(failures > 20);
}

/* A step that fails counts for nothing, leaves nothing queued, and can be done again. */
static void steps(interface_kind kind, uint32_t paths, uint32_t count)
{
    fake_reset();
    fixture it = open_fixture(kind, paths);
    uint16_t expected[FAKE_VOCAB];
    uint16_t logits[FAKE_VOCAB];
    OK(prefill(it.seq, 0, 4, NULL, NULL));
    OK(prefill(it.seq, 4, count, expected, NULL));
    uint32_t failures = 0;
    for (uint32_t call = 1;; call++) {
        /* Another place and another mask in between, so that the failed one has something to write. */
        fake.fail_at = 0;
        OK(axl_seq_truncate(it.seq, 0));
        OK(prefill(it.seq, 0, 4, NULL, NULL));
        fake.fail_at = fake.calls + call;
        const axl_status status = prefill(it.seq, 4, count, logits, NULL);
        CHECK(fake.queued == 0);
        if (status.code == AXL_OK) {
            break;
        }
        failures++;
        CHECK(status.code == AXL_ERR_CALL && is_told(&status) && axl_seq_len(it.seq) == 4);
        CHECK(status.layer != AXL_NO_LAYER || status.detail[0] != '\0' || strcmp(status.call, "axclrtMemcpy") == 0 ||
              strcmp(status.call, "axclrtMemcpyAsync") == 0);
        fake.fail_at = 0;
        OK(prefill(it.seq, 4, count, logits, NULL));
        CHECK(memcmp(logits, expected, sizeof logits) == 0);
    }
    fake.fail_at = 0;
    CHECK(failures >= FAKE_LAYERS + 2 && memcmp(logits, expected, sizeof logits) == 0);
    close_fixture(&it);
}

/* What fails on the queue is met at the wait. */
static void queued_work(uint32_t paths)
{
    fake_reset();
    fixture it = open_fixture(PCIE, paths);
    uint16_t expected[FAKE_VOCAB];
    uint16_t logits[FAKE_VOCAB];
    OK(decode(it.seq, 0, logits));
    OK(decode(it.seq, 1, expected));
    uint32_t failures = 0;
    for (uint32_t task = 1;; task++) {
        /* Another mask in between, so that the failed one has something to write. */
        fake.fail_queued = 0;
        OK(axl_seq_truncate(it.seq, 0));
        OK(decode(it.seq, 0, logits));
        fake.fail_queued = task;
        const axl_status status = decode(it.seq, 1, logits);
        if (status.code == AXL_OK) {
            break;
        }
        failures++;
        CHECK(status.code == AXL_ERR_CALL && status.vendor_code == fake.fail_code && status.layer == AXL_NO_LAYER);
        CHECK(strcmp(status.call, "axclrtSynchronizeStream") == 0 && strcmp(status.detail, "queued runs") == 0);
        CHECK(fake.queued == 0 && axl_seq_len(it.seq) == 1);
        fake.fail_queued = 0;
        OK(decode(it.seq, 1, logits));
        CHECK(memcmp(logits, expected, sizeof logits) == 0);
    }
    CHECK(failures >= FAKE_LAYERS + 4);
    fake.fail_queued = 0;
    close_fixture(&it);
}

/* A binding that failed may have left anything, so the same one as before is made anew. */
static void bindings(void)
{
    fake_reset();
    fixture it = open_fixture(PCIE, AXL_PATHS_ALL);
    uint16_t expected[FAKE_VOCAB];
    uint16_t logits[FAKE_VOCAB];
    OK(decode(it.seq, 0, expected));
    for (uint32_t call = 1;; call++) {
        fake.fail_at = fake.calls + call;
        if (decode(it.seq, 1, logits).code == AXL_OK) {
            break;
        }
        fake.fail_at = 0;
        OK(axl_seq_truncate(it.seq, 0));
        OK(decode(it.seq, 0, logits));
        CHECK(memcmp(logits, expected, sizeof logits) == 0);
    }
    fake.fail_at = 0;
    close_fixture(&it);
}

/* From everything to nothing and back: where a call fails, tokens still come out right. */
static void throwing_paths(interface_kind kind, uint32_t from, uint32_t to)
{
    uint32_t failures = 0;
    for (uint32_t call = 1;; call++) {
        fake_reset();
        fixture it = open_fixture(kind, from);
        const uint32_t old = paths_on(it.model);
        const uint32_t wanted = to & paths_available(it.model);
        uint16_t expected[FAKE_VOCAB];
        uint16_t logits[FAKE_VOCAB];
        OK(decode(it.seq, 0, logits));
        OK(decode(it.seq, 1, expected));
        OK(axl_seq_truncate(it.seq, 1));
        fake.fail_at = fake.calls + call;
        const axl_status status = axl_model_set_paths(it.model, wanted);
        fake.fail_at = 0;
        OK(decode(it.seq, 1, logits));
        CHECK(memcmp(logits, expected, sizeof logits) == 0);
        const uint32_t now = paths_on(it.model);
        const bool of_memory = strstr(status.call, "Malloc") != NULL || strstr(status.call, "Alloc") != NULL;
        if (status.code != AXL_OK) {
            CHECK(is_told(&status) && now == (of_memory ? old : now) && (now == old || now == wanted));
            failures++;
        } else {
            CHECK(now == wanted);
        }
        close_fixture(&it);
        if (status.code == AXL_OK) {
            break;
        }
    }
    CHECK(failures >= FAKE_LAYERS * 4u);
}

typedef enum meaning {
    MEMORY,
    IF_SHORT,
    LOST,
    CALL,
} meaning;

static const struct {
    const char *call;
    uint32_t code;
    meaning meaning;
    const char *source;
} codes[] = {
#define CODE(call, code, meaning, source) {call, code##u, meaning, source},
#include "codes.inc"
#undef CODE
};

/* Lets each call of that name fail while a model is opened; how often there was one. */
static uint32_t failing(const char *call, uint32_t code, bool full, axl_code expected)
{
    uint32_t met = 0;
    for (uint32_t at = 1;; at++) {
        fake_reset();
        fake.fail_code = (int32_t)code;
        fake.fail_at = at;
        fake.full = full;
        uint32_t calls = 0;
        const axl_status status = open_all(PCIE, AXL_PATHS_ALL, &calls);
        if (calls < at) {
            return met;
        }
        if (status.code != AXL_OK && strcmp(status.call, call) == 0) {
            CHECK(status.code == expected && status.vendor_code == (int32_t)code);
            CHECK(expected != AXL_ERR_DEVICE_MEMORY || strncmp(status.detail, "needs ", 6) == 0);
            CHECK(!full || expected != AXL_ERR_DEVICE_MEMORY || strstr(status.detail, "are free") != NULL ||
                  code == AX_ERR_CMM_NOMEM || (code & 0xFFu) == AXCL_ERR_NO_MEMORY);
            met++;
        }
    }
}

/* The library's own word for "no memory" is one that it has for everything else too. */
static void codes_mean_what_the_library_means(void)
{
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        const char *call = codes[i].call;
        const bool takes = strcmp(call, "axclrtMalloc") == 0 || strcmp(call, "axclrtEngineLoadFromFile") == 0;
        if (takes) {
            const axl_code no_memory = AXL_ERR_DEVICE_MEMORY;
            const axl_code enough = codes[i].meaning == MEMORY ? no_memory : AXL_ERR_CALL;
            const axl_code little = codes[i].meaning == CALL ? AXL_ERR_CALL : no_memory;
            CHECK(failing(call, codes[i].code, false, enough) >= FAKE_LAYERS);
            CHECK(failing(call, codes[i].code, true, little) >= FAKE_LAYERS);
        }
    }
}

/* The first thing that is sent fails; from then on nothing may be asked of the card, or the program would hang. */
static void a_card_that_is_gone(uint32_t paths)
{
    fake_reset();
    fixture it = open_fixture(PCIE, paths);
    uint16_t logits[FAKE_VOCAB];
    OK(decode(it.seq, 0, logits));
    fake.gone = true;
    for (uint32_t i = 0; i < 2; i++) {
        const axl_status status = decode(it.seq, 1, logits);
        CHECK(status.code == AXL_ERR_CALL && status.vendor_code == (int32_t)AXCL_ERR_TASK_EXECUTE_FAIL);
    }
    CHECK(prefill(it.seq, 1, 4, logits, NULL).vendor_code == (int32_t)AXCL_ERR_TASK_EXECUTE_FAIL);
    OK(axl_seq_close(it.seq));
    OK(axl_model_close(it.model));
    OK(axl_driver_close(it.driver));
    CHECK(fake.objects == 0);
}

/* It was the cable, perhaps: what there was is still there, and is given back in the end. */
static void a_card_that_was_gone_for_a_moment(uint32_t paths)
{
    fake_reset();
    fixture it = open_fixture(PCIE, paths);
    uint16_t expected[FAKE_VOCAB];
    uint16_t logits[FAKE_VOCAB];
    OK(decode(it.seq, 0, expected));
    OK(axl_seq_truncate(it.seq, 0));
    fake.gone = true;
    CHECK(decode(it.seq, 0, logits).code == AXL_ERR_CALL);
    fake.gone = false;
    OK(decode(it.seq, 0, logits));
    CHECK(memcmp(logits, expected, sizeof logits) == 0);
    close_fixture(&it);
}

void test_failures(void)
{
    codes_mean_what_the_library_means();
    for (uint32_t i = 0; i < sizeof path_sets / sizeof path_sets[0]; i++) {
        a_card_that_is_gone(path_sets[i]);
        a_card_that_was_gone_for_a_moment(path_sets[i]);
    }
    const int32_t failed = (int32_t)AXCL_ERR_ENGINE_EXECUTE_FAIL;
    const int32_t no_memory = (int32_t)AX_ERR_CMM_NOMEM;
    opening(PCIE, 0, failed, AXL_ERR_CALL, 2); /* the stream, and what is free */
    opening(PCIE, AXL_PATHS_ALL, failed, AXL_ERR_CALL, 3); /* and pinned memory */
    opening(PCIE, AXL_PATHS_ALL, no_memory, AXL_ERR_DEVICE_MEMORY, 3);
    /* What is free; for each file the newer way to load it; the context of the head. */
    opening(BOARD, 0, failed, AXL_ERR_CALL, 1 + 3 + 1);
    opening(BOARD, AXL_PATHS_ALL, no_memory, AXL_ERR_DEVICE_MEMORY, 1);
    for (uint32_t kind = 0; kind < INTERFACES; kind++) {
        for (uint32_t i = 0; i < sizeof path_sets / sizeof path_sets[0]; i++) {
            closing((interface_kind)kind, path_sets[i]);
            steps((interface_kind)kind, path_sets[i], 1);
            steps((interface_kind)kind, path_sets[i] & ~(uint32_t)AXL_PATH_SHORT_TAIL, 3);
        }
        throwing_paths((interface_kind)kind, AXL_PATHS_ALL, 0);
        throwing_paths((interface_kind)kind, 0, AXL_PATHS_ALL);
    }
    bindings();
    queued_work(AXL_PATHS_ALL);
    queued_work(AXL_PATH_ASYNC);
}
