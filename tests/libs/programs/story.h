/*
 * A model and the answer that it must give, and the loop of a program that computes it: prompt in chunks over the
 * prefill groups, answer token by token over the decode groups.
 */
#ifndef STORY_H
#define STORY_H

#include <stdbool.h>

#include "check.h"

#define MAX_GROUPS 16
#define MAX_TOKENS 512
#define MAX_LAYERS 8

/* One shape group of a layer. */
struct shape {
    size_t rows;    /* 1: a decode group */
    size_t history; /* rows of the K/V cache that it sees */
};

struct story {
    size_t layers, hidden;
    size_t prompt_count, answer_count;
    uint32_t prompt[MAX_TOKENS], answer[MAX_TOKENS];
    struct file embedding; /* bf16 [vocabulary, hidden] */
    const char *directory;
};

/* What the loop needs of whatever runs the model. The head is layer `layers`, with one group. */
struct port {
    void (*put)(size_t layer, size_t group, const char *tensor, const void *data, size_t size);
    void (*run)(size_t layer, size_t group);
    /* K_cache_out and V_cache_out of a run go to rows [first, first + count) of the caches. */
    void (*keep)(size_t layer, size_t group, size_t first, size_t count);
    void (*get)(size_t layer, size_t group, const char *tensor, void *data, size_t size);
    size_t groups;
    struct shape shapes[MAX_GROUPS];
};

struct story read_story(const char *directory);
/* Path of a layer's file, or of the head's; the next call uses its buffer again. */
const char *layer_path(const struct story *story, size_t layer);
const uint16_t *embedding_row(const struct story *story, uint32_t token);
/* Group `group` from the bytes of its tensors `indices` and `mask`. */
struct shape shape_of(size_t indices_bytes, size_t mask_bytes);
/* The additive mask of a chunk of `rows` rows, of which `count` are used, after `first` cached rows. */
void fill_mask(uint16_t *mask, size_t history, size_t rows, size_t first, size_t count);
/* The smallest group of one kind that sees `needed` cached rows. */
size_t pick_group(const struct port *port, bool decode, size_t needed);
uint32_t likeliest(const uint16_t *logits, size_t count);

/* Computes the whole answer and compares it. */
void tell(const struct story *story, const struct port *port, const char *who);
/* In two steps, for programs that do something in between: reads the prompt, and gives the first token of the answer; */
uint32_t read_prompt(const struct story *story, const struct port *port);
/* reads one token at `position`, and gives the next. */
uint32_t read_token(const struct story *story, const struct port *port, uint32_t token, size_t position);

#endif
