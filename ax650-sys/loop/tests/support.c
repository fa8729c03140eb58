#define _POSIX_C_SOURCE 200809L

#include "support.h"

#include <unistd.h>

enum { FILES = FAKE_MAX_LAYERS + 1, PATH = 128 };

static char directory[PATH];
static char paths[FILES][PATH];
static axl_file files[FILES];

bool is_ok(axl_status status)
{
    if (status.code != AXL_OK) {
        fprintf(stderr, "code %d, vendor %#x, %s, layer %d, %s\n", (int)status.code, (unsigned)status.vendor_code,
                status.call, (int)status.layer, status.detail);
    }
    return status.code == AXL_OK;
}

void make_files(void)
{
    strcpy(directory, "/tmp/loop_test_XXXXXX");
    CHECK(mkdtemp(directory) != NULL);
    for (uint32_t i = 0; i < FILES; i++) {
        snprintf(paths[i], PATH, "%.64s/%u", directory, (unsigned)i);
        FILE *file = fopen(paths[i], "wb");
        const uint32_t number = i + 1;
        CHECK(file != NULL && fwrite(&number, sizeof number, 1, file) == 1 && fclose(file) == 0);
        files[i] = (axl_file){paths[i], sizeof number};
    }
}

void remove_files(void)
{
    for (uint32_t i = 0; i < FILES; i++) {
        unlink(paths[i]);
    }
    CHECK(rmdir(directory) == 0);
}

axl_model_spec spec_of(uint32_t wanted)
{
    return (axl_model_spec){files, fake.layers + 1, FAKE_HIDDEN, FAKE_VOCAB, wanted, NULL, 0};
}

axl_status open_card(interface_kind kind, axl_driver **driver)
{
    const axl_driver_options options = {0};
    if (kind == PCIE) {
        const ax_pcie_table table = fake_pcie_table();
        return axl_driver_open_pcie(&table, &options, driver);
    }
    const ax_board_table table = fake_board_table();
    return axl_driver_open_board(&table, &options, driver);
}

axl_driver *open_driver(interface_kind kind)
{
    axl_driver *driver = NULL;
    OK(open_card(kind, &driver));
    return driver;
}

fixture open_fixture(interface_kind kind, uint32_t wanted)
{
    fixture it = {.kind = kind, .driver = open_driver(kind)};
    const axl_model_spec spec = spec_of(wanted);
    OK(axl_model_open(it.driver, &spec, NULL, NULL, &it.model));
    it.seq = open_seq(it.model);
    return it;
}

void close_fixture(fixture *it)
{
    OK(axl_seq_close(it->seq));
    OK(axl_model_close(it->model));
    OK(axl_driver_close(it->driver));
    CHECK(fake.objects == 0 && fake.queued == 0);
    *it = (fixture){0};
}

axl_seq *open_seq(axl_model *model)
{
    axl_seq *seq = NULL;
    OK(axl_seq_open(model, &seq));
    return seq;
}

uint32_t paths_on(const axl_model *model)
{
    axl_model_info info;
    axl_model_query(model, &info);
    return info.paths;
}

uint32_t paths_available(const axl_model *model)
{
    axl_model_info info;
    axl_model_query(model, &info);
    return info.available_paths;
}

void fill(uint16_t *rows, uint32_t from, uint32_t count)
{
    for (uint32_t i = 0; i < count * FAKE_HIDDEN; i++) {
        rows[i] = (uint16_t)((from * FAKE_HIDDEN + i) * 2654435761u >> 7);
    }
}

/* Exactly as many bytes as are needed, so that the sanitizer sees any read behind them. */
axl_status prefill(axl_seq *seq, uint32_t from, uint32_t count, uint16_t *logits, const int32_t *cancel)
{
    uint16_t *rows = malloc(count * FAKE_HIDDEN * sizeof *rows);
    fill(rows, from, count);
    const axl_status status = axl_prefill(seq, rows, count, logits, logits == NULL ? 0 : FAKE_VOCAB, cancel);
    free(rows);
    return status;
}

axl_status decode(axl_seq *seq, uint32_t token, uint16_t *logits)
{
    uint16_t row[FAKE_HIDDEN];
    fill(row, token, 1);
    return axl_decode(seq, row, logits, FAKE_VOCAB, NULL);
}
