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
        OK(axl_driver_query(driver, &info));
        CHECK(info.total_memory == 1ull << 30 && info.free_memory == 1ull << 30 && info.device_count == 1);
        CHECK(strcmp(info.version, "V0") == 0 && strcmp(info.soc, kind == PCIE ? "FAKE" : "") == 0);
        fake.free_kib = (1u << 20) + 1; /* more than there is: cannot be believed on the board */
        OK(axl_driver_query(driver, &info));
        CHECK(kind == PCIE || info.total_memory == 0);
        OK(axl_driver_close(driver));
    }
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
        const axl_model_spec spec = {bad, 2, FAKE_HIDDEN, FAKE_VOCAB, 0, NULL};
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
    old_board_libraries_run_what_they_can();
    files_that_cannot_be_read_are_told();
}
