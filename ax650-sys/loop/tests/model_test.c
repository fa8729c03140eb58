/* Files that are not what the loop runs, and loads that end early. */
#include "support.h"

static void expect_bad_model(interface_kind kind, axl_code code, int32_t layer, const char *what, const char *detail)
{
    axl_driver *driver = open_driver(kind);
    axl_model *model = NULL;
    const axl_model_spec spec = spec_of(AXL_PATHS_ALL);
    const axl_status status = axl_model_open(driver, &spec, NULL, NULL, &model);
    CHECK(status.code == code && status.layer == layer && model == NULL);
    CHECK(strstr(status.call, what) != NULL);
    CHECK(strcmp(status.detail, detail) == 0);
    OK(axl_driver_close(driver));
    CHECK(fake.objects == 0);
}

/* With so much free, files of 1 MiB that take `kib` each: whether all get there. The fake refuses what does not fit. */
static bool fits(interface_kind kind, uint64_t free_kib, uint32_t kib, uint32_t *questions)
{
    fake_reset();
    fake.free_kib = free_kib;
    fake.load_kib = kib;
    axl_driver *driver = open_driver(kind);
    axl_model *model = NULL;
    axl_file files[FAKE_LAYERS + 1];
    axl_model_spec spec = spec_of(AXL_PATHS_ALL);
    memcpy(files, spec.files, sizeof files);
    for (uint32_t i = 0; i <= FAKE_LAYERS; i++) {
        files[i].bytes = 1u << 20;
    }
    spec.files = files;
    const axl_status status = axl_model_open(driver, &spec, NULL, NULL, &model);
    CHECK(status.code == AXL_OK || (status.code == AXL_ERR_DEVICE_MEMORY && status.vendor_code == 0));
    *questions = fake.questions;
    OK(axl_model_close(model));
    OK(axl_driver_close(driver));
    CHECK(fake.free_kib == free_kib && fake.objects == 0);
    return status.code == AXL_OK;
}

/*
 * The peak is what is loaded and the current file, which a PCIe card holds twice meanwhile; known beforehand, so
 * nothing is loaded that will not fit. What was subtracted during the load is an estimate: the card has the last word
 * on it.
 */
static void the_peak_of_a_load_has_to_fit(interface_kind kind)
{
    const uint64_t peak = (kind == PCIE ? 2 + 2 : 3) * 1024u;
    uint32_t questions = 0;
    for (uint64_t free_kib = 0; free_kib < peak; free_kib += 256) {
        CHECK(!fits(kind, free_kib, 1024, &questions) && questions == 1 && fake.loads == 0);
    }
    CHECK(fits(kind, peak, 1024, &questions) && questions >= 2);
    CHECK(fits(kind, peak + 1024, 1024, &questions) && questions == 1);
}

/* A sequence, where its size is known, comes when all files are loaded. */
static void a_sequence_has_to_fit_beside_the_files(interface_kind kind)
{
    for (uint64_t spare = 0; spare <= 4; spare += 4) {
        fake_reset();
        fake.free_kib = (FAKE_LAYERS + 1) * 4 + 64 + spare;
        axl_driver *driver = open_driver(kind);
        axl_model *model = NULL;
        axl_file files[FAKE_LAYERS + 1];
        axl_model_spec spec = spec_of(AXL_PATHS_ALL);
        memcpy(files, spec.files, sizeof files);
        for (uint32_t i = 0; i <= FAKE_LAYERS; i++) {
            files[i].bytes = 4096;
        }
        spec.files = files;
        spec.sequence_bytes = 64 * 1024 + 4096;
        const axl_status status = axl_model_open(driver, &spec, NULL, NULL, &model);
        CHECK((status.code == AXL_OK) == (spare == 4) && (fake.loads == 0) == (spare == 0));
        if (status.code != AXL_OK) {
            CHECK(status.code == AXL_ERR_DEVICE_MEMORY && status.layer == AXL_NO_LAYER);
            CHECK(strcmp(status.detail, "needs 80 KiB, 76 KiB are free") == 0);
        }
        OK(axl_model_close(model));
        spec.sequence_bytes = UINT64_MAX;
        CHECK(axl_model_open(driver, &spec, NULL, NULL, &model).code == AXL_ERR_ARGUMENT);
        OK(axl_driver_close(driver));
    }
}

static void with_renamed(interface_kind kind, uint32_t file, const char *from, const char *to, const char *what,
                         const char *detail)
{
    fake_reset();
    fake.bad_layer = file;
    fake.rename_from = from;
    fake.rename_to = to;
    expect_bad_model(kind, AXL_ERR_MODEL, (int32_t)file - 1, what, detail);
}

static void names_that_are_not_known(void)
{
    with_renamed(PCIE, 1, "mask", "veil", "does not know", "veil");
    with_renamed(PCIE, 2, "mask", "input_7", "same name", "input_7");
    with_renamed(PCIE, 2, "K_cache_out", "K_cache_out_", "does not know", "K_cache_out_");
    with_renamed(PCIE, 1, "output", NULL, "no name", "");
    with_renamed(PCIE, 3, "output", "indices", "does not know", "indices");
    with_renamed(BOARD, 1, "mask", "veil", "does not know", "veil, group 0");
    with_renamed(BOARD, 2, "mask", "input_7", "same name", "input_7, group 0");
    with_renamed(BOARD, 1, "output", NULL, "no name", "");
    /* A file may hold any name; what does not fit is cut off. */
    const char *whole = "0123456789012345678901234567890123456789012345678901234567890123456789";
    char cut[AXL_DETAIL] = {0};
    memcpy(cut, whole, sizeof cut - 1);
    with_renamed(PCIE, 1, "mask", whole, "does not know", cut);
    with_renamed(BOARD, 1, "mask", whole, "does not know", "0123456789012345678901234567890123456789, group 0");
}

static void shapes_that_do_not_fit(interface_kind kind)
{
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
        if (kind == BOARD && faults[i].extra_size > UINT32_MAX) {
            continue; /* sizes have 32 bits there */
        }
        fake_reset();
        fake.bad_layer = faults[i].file;
        fake.groups = faults[i].groups;
        fake.extra_dim = faults[i].extra_dim;
        fake.rank = faults[i].rank;
        fake.extra_size = faults[i].extra_size;
        expect_bad_model(kind, AXL_ERR_MODEL, (int32_t)faults[i].file - 1, faults[i].what,
                         faults[i].detail);
    }
    fake_reset();
    fake.free_kib = 0;
    expect_bad_model(kind, AXL_ERR_DEVICE_MEMORY, AXL_NO_LAYER, "free memory", "needs 1 KiB, 0 KiB are free");
    the_peak_of_a_load_has_to_fit(kind);
    a_sequence_has_to_fit_beside_the_files(kind);
}

static void specs_that_are_wrong(interface_kind kind)
{
    fake_reset();
    axl_driver *driver = open_driver(kind);
    axl_model *model = NULL;
    const axl_model_spec good = spec_of(AXL_PATHS_ALL);
    const axl_model_spec headless = {good.files, 1, FAKE_HIDDEN, FAKE_VOCAB, 0, NULL, 0};
    CHECK(axl_model_open(driver, &headless, NULL, NULL, &model).code == AXL_ERR_ARGUMENT);
    const axl_model_spec empty = {good.files, 3, 0, FAKE_VOCAB, 0, NULL, 0};
    CHECK(axl_model_open(driver, &empty, NULL, NULL, &model).code == AXL_ERR_ARGUMENT);
    const axl_model_spec wide = {good.files, 3, FAKE_HIDDEN * 2, FAKE_VOCAB, 0, NULL, 0};
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

static void a_load_stops_before_its_next_file(interface_kind kind)
{
    fake_reset();
    axl_driver *driver = open_driver(kind);
    axl_model *model = NULL;
    load_cancel = 0;
    const axl_model_spec good = spec_of(AXL_PATHS_ALL);
    const axl_model_spec cancelled = {good.files, 3, FAKE_HIDDEN, FAKE_VOCAB, 0, &load_cancel, 0};
    const axl_status status = axl_model_open(driver, &cancelled, cancel_after_one_file, NULL, &model);
    CHECK(status.code == AXL_ERR_CANCELLED && status.layer == 1 && model == NULL);
    OK(axl_driver_close(driver));
    CHECK(fake.objects == 0);
}

static void a_model_without_prefill_groups_goes_token_by_token(interface_kind kind)
{
    fake_reset();
    fixture it = open_fixture(kind, AXL_PATHS_ALL);
    uint16_t expected[FAKE_VOCAB];
    OK(decode(it.seq, 0, expected));
    OK(decode(it.seq, 1, expected));
    close_fixture(&it);

    fake_reset();
    fake.bad_layer = FAKE_ALL;
    fake.groups = 1;
    it = open_fixture(kind, AXL_PATHS_ALL);
    axl_model_info info;
    axl_model_query(it.model, &info);
    CHECK(info.chunk == 1 && info.context == FAKE_CONTEXT);
    uint16_t logits[FAKE_VOCAB];
    OK(prefill(it.seq, 0, 1, NULL, NULL));
    OK(prefill(it.seq, 1, 1, logits, NULL));
    CHECK(memcmp(logits, expected, sizeof logits) == 0);
    close_fixture(&it);
}

/* As a step looks for them, whatever their order in the file, and no more than there is room for. */
static void groups_are_told_in_their_order(interface_kind kind)
{
    static const axl_group_info expected[FAKE_GROUPS] = {
        {1, 80}, {1, FAKE_CONTEXT}, {FAKE_CHUNK, 0}, {FAKE_CHUNK, 4}, {FAKE_CHUNK, 9}, {FAKE_CHUNK, FAKE_CONTEXT - 2},
    };
    fake_reset();
    fixture it = open_fixture(kind, AXL_PATHS_ALL);
    for (uint32_t room = 0; room <= FAKE_GROUPS + 1; room++) {
        axl_group_info *groups = calloc(room + 1u, sizeof *groups);
        CHECK(axl_model_groups(it.model, groups, room) == FAKE_GROUPS);
        const uint32_t told = room < FAKE_GROUPS ? room : FAKE_GROUPS;
        CHECK(memcmp(groups, expected, told * sizeof *groups) == 0);
        CHECK(groups[told].rows == 0 && groups[told].history == 0);
        free(groups);
    }
    CHECK(axl_model_groups(it.model, NULL, 0) == FAKE_GROUPS);
    close_fixture(&it);
}

void test_models(void)
{
    names_that_are_not_known();
    for (uint32_t kind = 0; kind < INTERFACES; kind++) {
        shapes_that_do_not_fit((interface_kind)kind);
        specs_that_are_wrong((interface_kind)kind);
        a_load_stops_before_its_next_file((interface_kind)kind);
        a_model_without_prefill_groups_goes_token_by_token((interface_kind)kind);
        groups_are_told_in_their_order((interface_kind)kind);
    }
}
