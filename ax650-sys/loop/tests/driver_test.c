/* Opening a card, on machines where something is missing. */
#include "support.h"

static axl_status open_pcie(const ax_pcie_table *table, axl_driver_options options)
{
    axl_driver *driver = NULL;
    const axl_status status = axl_driver_open_pcie(table, &options, &driver);
    CHECK((status.code == AXL_OK) == (driver != NULL));
    OK(axl_driver_close(driver));
    CHECK(fake.objects == 0);
    return status;
}

static axl_status open_board(const ax_board_table *table, axl_driver_options options)
{
    axl_driver *driver = NULL;
    const axl_status status = axl_driver_open_board(table, &options, &driver);
    CHECK((status.code == AXL_OK) == (driver != NULL));
    OK(axl_driver_close(driver));
    CHECK(fake.objects == 0);
    return status;
}

static void pcie_cards(void)
{
    fake_reset();
    const axl_driver_options first = {0};
    ax_pcie_table table = fake_pcie_table();
    CHECK(open_pcie(&table, (axl_driver_options){.device_index = 1}).code == AXL_ERR_NO_CARD);
    CHECK(open_pcie(&table, (axl_driver_options){.vnpu = 4}).code == AXL_ERR_ARGUMENT);
    CHECK(open_pcie(NULL, first).code == AXL_ERR_ARGUMENT);
    fake.devices = 100000;
    CHECK(open_pcie(&table, (axl_driver_options){.device_index = 99999}).code == AXL_ERR_NO_CARD);
    fake_reset();
    fake.npu_mode = 0;
    OK(open_pcie(&table, first));
    CHECK(open_pcie(&table, (axl_driver_options){.vnpu = 1}).code == AXL_ERR_CALL);
    fake.npu_mode = 1;
    CHECK(open_pcie(&table, first).code == AXL_ERR_CALL);
    fake.npu_mode = 0;
    table.axclrtEngineGetVNpuKind = NULL;
    CHECK(open_pcie(&table, first).code == AXL_ERR_CALL);
    table.axclrtFree = NULL;
    const axl_status status = open_pcie(&table, first);
    CHECK(status.code == AXL_ERR_UNSUPPORTED && strcmp(status.call, "axclrtFree") == 0);
}

static void boards(void)
{
    fake_reset();
    const axl_driver_options first = {0};
    ax_board_table table = fake_board_table();
    CHECK(open_board(&table, (axl_driver_options){.device_index = 1}).code == AXL_ERR_NO_CARD);
    CHECK(open_board(&table, (axl_driver_options){.vnpu = 4}).code == AXL_ERR_ARGUMENT);
    CHECK(open_board(NULL, first).code == AXL_ERR_ARGUMENT);
    fake.npu_mode = 0;
    OK(open_board(&table, first));
    fake.npu_mode = 2;
    CHECK(open_board(&table, first).code == AXL_ERR_CALL);
    OK(open_board(&table, (axl_driver_options){.vnpu = 2}));
    table.AX_ENGINE_GetVNPUAttr = NULL;
    CHECK(open_board(&table, (axl_driver_options){.vnpu = 2}).code == AXL_ERR_CALL);
    table.AX_SYS_MflushCache = NULL;
    const axl_status status = open_board(&table, first);
    CHECK(status.code == AXL_ERR_UNSUPPORTED && strcmp(status.call, "AX_SYS_MflushCache") == 0);
}

static void what_is_known_of_a_card_is_told(void)
{
    for (uint32_t kind = 0; kind < INTERFACES; kind++) {
        fake_reset();
        axl_driver *driver = open_driver((interface_kind)kind);
        axl_driver_info info;
        axl_driver_query(driver, &info);
        CHECK(info.total_memory == 1ull << 30 && info.free_memory == 1ull << 30 && info.device_count == 1);
        CHECK(strcmp(info.version, "V0") == 0 && strcmp(info.soc, kind == PCIE ? "FAKE" : "") == 0);
        fake.free_kib = (1u << 20) + 1; /* more than there is */
        axl_driver_query(driver, &info);
        CHECK(info.total_memory == 0 && info.free_memory == 0 && info.device_count == 1);
        CHECK(axl_driver_tolerated(driver, AXL_WITHOUT_MEMORY).code == AXL_OK);
        fake.free_kib = 1000;
        fake.fail_at = fake.calls + 1;
        axl_driver_query(driver, &info);
        CHECK(info.total_memory == 0 && strcmp(info.version, "V0") == 0);
        const axl_status told = axl_driver_tolerated(driver, AXL_WITHOUT_MEMORY);
        CHECK(told.code == AXL_ERR_CALL && told.vendor_code == fake.fail_code);
        CHECK(axl_driver_tolerated(driver, AXL_TOLERATED).code == AXL_ERR_ARGUMENT);
        OK(axl_driver_close(driver));
    }
}

/* A card too busy to say which it is, and a board whose figures are in another unit than is believed. */
static void what_cannot_be_right_is_not_known(void)
{
    fake_reset();
    fake.soc = "UNKNOWN";
    axl_driver_info info;
    axl_driver *driver = open_driver(PCIE);
    axl_driver_query(driver, &info);
    CHECK(info.soc[0] == '\0' && info.total_memory != 0);
    OK(axl_driver_close(driver));

    fake_reset();
    fake.total_kib = 7040;
    fake.free_kib = 7000;
    driver = open_driver(BOARD);
    axl_driver_query(driver, &info);
    CHECK(info.total_memory == 0 && info.free_memory == 0);
    OK(axl_driver_close(driver));
}

/* Each question makes a card start a handful of processes, so that it is asked once, not for each file. */
static void memory_is_asked_for_once_per_load(void)
{
    for (uint32_t kind = 0; kind < INTERFACES; kind++) {
        fake_reset();
        fake.layers = FAKE_MAX_LAYERS;
        fixture it = open_fixture((interface_kind)kind, AXL_PATHS_ALL);
        CHECK(fake.questions == 1);
        close_fixture(&it);
        CHECK(fake.names == (kind == PCIE ? 1 : 0));
    }
}

/* Without a library function, without a stream, and so on, things go on; why they are slower is kept. */
static void what_there_is_a_way_around_is_told(void)
{
    static const struct {
        const char *call;
        axl_tolerance what;
    } cases[] = {
        {"axclrtMallocHost", AXL_WITHOUT_PINNED},
        {"axclrtCreateStream", AXL_WITHOUT_ASYNC},
        {"axclrtGetDeviceProperties", AXL_WITHOUT_MEMORY},
    };
    uint32_t met[AXL_TOLERATED] = {0};
    for (uint32_t call = 1; call < 200; call++) {
        fake_reset();
        fake.fail_at = call;
        axl_driver *driver = NULL;
        axl_model *model = NULL;
        const axl_model_spec spec = spec_of(AXL_PATHS_ALL);
        if (open_card(PCIE, &driver).code != AXL_OK) {
            continue;
        }
        const axl_status status = axl_model_open(driver, &spec, NULL, NULL, &model);
        fake.fail_at = 0;
        for (uint32_t i = 0; status.code == AXL_OK && i < AXL_TOLERATED; i++) {
            const axl_status told = axl_driver_tolerated(driver, cases[i].what);
            if (told.code != AXL_OK) {
                CHECK(told.vendor_code == fake.fail_code && strcmp(told.call, cases[i].call) == 0);
                met[i]++;
            }
        }
        OK(axl_model_close(model));
        OK(axl_driver_close(driver));
    }
    CHECK(met[0] == 1 && met[1] == 1 && met[2] == 1);

    fake_reset();
    fake.no_queued_runs = true;
    fixture it = open_fixture(PCIE, AXL_PATHS_ALL);
    CHECK(axl_driver_tolerated(it.driver, AXL_WITHOUT_ASYNC).code == AXL_OK);
    OK(decode(it.seq, 0, (uint16_t[FAKE_VOCAB]){0}));
    const axl_status told = axl_driver_tolerated(it.driver, AXL_WITHOUT_ASYNC);
    CHECK(told.code == AXL_ERR_CALL && strcmp(told.call, "axclrtEngineExecuteAsync") == 0);
    close_fixture(&it);
}

/* An older board library: no groups, no newer calls. */
static void old_board_libraries_run_what_they_can(void)
{
    fake_reset();
    fake.no_handle_v2 = true;
    fixture it = open_fixture(BOARD, AXL_PATHS_ALL);
    OK(decode(it.seq, 0, (uint16_t[FAKE_VOCAB]){0}));
    close_fixture(&it);

    fake_reset();
    fake.no_context = true;
    axl_driver *driver = open_driver(BOARD);
    axl_model *model = NULL;
    axl_model_spec spec = spec_of(AXL_PATHS_ALL);
    axl_status status = axl_model_open(driver, &spec, NULL, NULL, &model);
    CHECK(status.code == AXL_ERR_CALL && strcmp(status.call, "AX_ENGINE_CreateContextV2") == 0 && status.layer == 0);
    OK(axl_driver_close(driver));

    fake_reset();
    ax_board_table table = fake_board_table();
    table.AX_ENGINE_CreateHandleV2 = NULL;
    table.AX_ENGINE_RunGroupIOSync = NULL;
    table.AX_SYS_MemQueryStatus = NULL;
    const axl_driver_options options = {0};
    OK(axl_driver_open_board(&table, &options, &driver));
    status = axl_model_open(driver, &spec, NULL, NULL, &model);
    CHECK(status.code == AXL_ERR_UNSUPPORTED && strcmp(status.call, "AX_ENGINE_RunGroupIOSync") == 0);
    fake.bad_layer = FAKE_ALL;
    fake.groups = 1;
    fake.no_context = true;
    table.AX_ENGINE_GetGroupIOInfoCount = NULL;
    OK(axl_driver_close(driver));
    OK(axl_driver_open_board(&table, &options, &driver));
    OK(axl_model_open(driver, &spec, NULL, NULL, &model));
    axl_seq *seq = open_seq(model);
    OK(decode(seq, 0, (uint16_t[FAKE_VOCAB]){0}));
    OK(axl_seq_close(seq));
    OK(axl_model_close(model));
    OK(axl_driver_close(driver));
    CHECK(fake.objects == 0);
}

/* The board's driver reads the files itself. */
static void files_that_cannot_be_read_are_told(void)
{
    static const struct {
        const char *path, *what;
    } cases[] = {
        {"/nonexistent/file", "cannot be opened"},
        {"/tmp", "no regular file"},
        {"/dev/null", "no regular file"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fake_reset();
        axl_driver *driver = open_driver(BOARD);
        axl_model *model = NULL;
        const axl_file bad[] = {{cases[i].path, 4}, {cases[i].path, 4}};
        const axl_model_spec spec = {bad, 2, FAKE_HIDDEN, FAKE_VOCAB, 0, NULL, 0};
        const axl_status status = axl_model_open(driver, &spec, NULL, NULL, &model);
        CHECK(status.code == AXL_ERR_MODEL && status.layer == 0 && strstr(status.call, cases[i].what) != NULL);
        OK(axl_driver_close(driver));
        CHECK(fake.objects == 0);
    }
}

void test_drivers(void)
{
    pcie_cards();
    boards();
    what_is_known_of_a_card_is_told();
    what_cannot_be_right_is_not_known();
    memory_is_asked_for_once_per_load();
    what_there_is_a_way_around_is_told();
    old_board_libraries_run_what_they_can();
    files_that_cannot_be_read_are_told();
}
