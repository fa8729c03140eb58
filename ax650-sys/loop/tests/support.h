/* What the tests share: checks, a card with a model on either interface, tokens. */
#ifndef AX650_LOOP_TESTS_SUPPORT_H
#define AX650_LOOP_TESTS_SUPPORT_H

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
#define OK(status) CHECK(is_ok(status))

typedef enum interface_kind {
    PCIE,
    BOARD,
    INTERFACES,
} interface_kind;

/* A card with a model and one sequence. */
typedef struct fixture {
    interface_kind kind;
    axl_driver *driver;
    axl_model *model;
    axl_seq *seq;
} fixture;

/* Prints what went wrong. */
bool is_ok(axl_status status);

/* Makes the files of the fake's models, and removes them. */
void make_files(void);
void remove_files(void);

/* A model of fake.layers layers; the files outlive the spec. */
axl_model_spec spec_of(uint32_t paths);
axl_status open_card(interface_kind kind, axl_driver **driver);
axl_driver *open_driver(interface_kind kind);
fixture open_fixture(interface_kind kind, uint32_t paths);
void close_fixture(fixture *it);
axl_seq *open_seq(axl_model *model);
uint32_t paths_on(const axl_model *model);
uint32_t paths_available(const axl_model *model);

/* Row number `token` of an endless embedding table. */
void fill(uint16_t *rows, uint32_t from, uint32_t count);
axl_status prefill(axl_seq *seq, uint32_t from, uint32_t count, uint16_t *logits, const int32_t *cancel);
axl_status decode(axl_seq *seq, uint32_t token, uint16_t *logits);

/* The groups of tests. */
void test_steps(void);
void test_paths(void);
void test_costs(void);
void test_chunks(void);
void test_rows(void);
void test_failures(void);
void test_models(void);
void test_drivers(void);

#endif
