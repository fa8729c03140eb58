/* The loop's own objects. */
#ifndef AX650_AXL_MODEL_H
#define AX650_AXL_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "axl_ops.h"

/* The tensors of a layer; the head has AXL_HIDDEN_IN and AXL_HIDDEN_OUT only. */
typedef enum axl_role {
    AXL_K_CACHE,
    AXL_V_CACHE,
    AXL_INDICES,
    AXL_HIDDEN_IN,
    AXL_MASK,
    AXL_K_OUT,
    AXL_V_OUT,
    AXL_HIDDEN_OUT,
    AXL_ROLES,
} axl_role;

#define AXL_ROLE_BIT(role) (1u << (role))
#define AXL_HEAD_ROLES (AXL_ROLE_BIT(AXL_HIDDEN_IN) | AXL_ROLE_BIT(AXL_HIDDEN_OUT))
#define AXL_LAYER_ROLES (AXL_ROLE_BIT(AXL_ROLES) - 1u)
#define AXL_INPUT_ROLES (AXL_ROLE_BIT(AXL_MASK) | AXL_ROLE_BIT(AXL_INDICES))
#define AXL_CACHE_ROLES \
    (AXL_ROLE_BIT(AXL_K_CACHE) | AXL_ROLE_BIT(AXL_V_CACHE) | AXL_ROLE_BIT(AXL_K_OUT) | AXL_ROLE_BIT(AXL_V_OUT))

/* Bytes of a bf16 value. */
#define AXL_VALUE 2u

/* The io of one shape group of one file, and the addresses it is bound to; 0: none. */
typedef struct axl_binding {
    void *io;
    uint64_t bound[AXL_ROLES];
} axl_binding;

/* A loaded file: where its tensors are and what shapes they have in each group. */
typedef struct axl_engine {
    axl_program program;
    uint32_t group_count;
    uint32_t (*tensor)[AXL_ROLES];  /* [group_count] the vendor's number */
    axl_shape (*shapes)[AXL_ROLES]; /* [group_count] */
    axl_binding *bindings;          /* [group_count] */
} axl_engine;

/* The buffers that all groups with the same number of rows share, in all layers. */
typedef struct axl_stage {
    axl_buffer indices;
    axl_buffer rows;   /* of a chunk: what layer 0 reads, and nothing else touches; none in the decode stage */
    axl_buffer input;  /* of the other layers, and of layer 0 in a decode step; every other layer writes it when aliased */
    axl_buffer output;
    axl_buffer k_out;
    axl_buffer v_out;
} axl_stage;

/* Of one layer, where inputs are not shared: for decode groups and for prefill groups. */
typedef struct axl_own_inputs {
    axl_buffer mask[2];
    axl_buffer indices[2];
} axl_own_inputs;

/* A shape group, the same in all layers. */
typedef struct axl_group {
    uint32_t index;   /* the vendor's number of it */
    uint32_t rows;    /* 1 in a decode group, else the chunk */
    uint32_t history; /* cache rows that the mask covers */
    axl_buffer mask;  /* shared by all layers */
    axl_buffer no_k;  /* bound as K and V where there is no history */
    axl_buffer no_v;
    uint16_t *shadow; /* host copy of a decode group's mask; part of the staging */
    uint32_t visible; /* cache rows that the shared mask on the card shows, if it is known */
    uint32_t seeing;  /* rows of a chunk that see anything in it; of a prefill group */
    bool known;       /* of a decode group: and the shadow shows the same */
} axl_group;

/* Host memory that is written to and read from the card. Queued copies use a part of their own each. */
typedef struct axl_staging {
    unsigned char *block; /* all of it */
    bool pinned;
    uint16_t *row; /* hidden: of a decode step */
    uint32_t *index;
    unsigned char *shadows; /* of the masks of the decode groups */
    uint16_t *logits; /* vocab */
    uint16_t *prefill_mask;
    uint32_t *prefill_indices;
    unsigned char *rows; /* of a chunk, or of a sequence */
    uint64_t rows_bytes;
} axl_staging;

struct axl_model {
    axl_driver *driver;
    uint32_t layers;
    axl_engine *engines; /* [layers + 1], the head last */
    axl_group *groups;   /* decode groups, then prefill groups, each by ascending history */
    uint32_t group_count;
    uint32_t decode_count;
    uint32_t hidden;
    uint32_t vocab;
    uint32_t kv_dim;
    uint32_t chunk;
    uint32_t context;
    uint64_t cache_bytes; /* of one K or V buffer of a sequence */
    axl_stage decode;
    axl_stage prefill;
    axl_buffer head_input;
    axl_buffer head_output;
    axl_own_inputs *own; /* [layers]; NULL while inputs are shared */
    axl_staging staging;
    uint64_t buffer_bytes;
    uint32_t ahead;   /* rows in the staging that are on the card already, as those of the next chunk; 0: none are */
    uint32_t capable; /* paths that the files allow */
    uint32_t paths;   /* that are wanted and were available when they were set */
    uint32_t sequences;
};

struct axl_seq {
    axl_model *model;
    uint32_t len;
    axl_buffer *k; /* [layers] */
    axl_buffer *v;
    bool aligned; /* whether rows in place have the alignment that runs need */
};

/* A run of `count` rows through one group, stored behind `history` rows. */
typedef struct axl_step {
    axl_seq *seq;
    axl_group *group;
    const axl_stage *stage;
    uint32_t history;
    uint32_t count;
    uint32_t paths;
    bool in_place; /* K and V rows */
    axl_lane lane;
    const int32_t *cancel;
} axl_step;

/* engine.c */
axl_status axl_engine_open(axl_driver *driver, const axl_file *file, uint32_t roles, axl_engine *engine);
axl_status axl_engine_match(const axl_engine *engine, const axl_engine *reference);
axl_status axl_engine_close(axl_driver *driver, axl_engine *engine);
axl_status axl_engine_bind(axl_driver *driver, axl_engine *engine, uint32_t group, axl_role role,
                           const axl_buffer *buffer, uint64_t offset);
void axl_engine_forget(axl_engine *engine, uint32_t roles);
axl_status axl_engine_run(axl_driver *driver, axl_lane lane, const axl_engine *engine, uint32_t group);

/* groups.c */
axl_status axl_groups_plan(axl_model *model);
axl_group *axl_groups_decode(const axl_model *model, uint32_t history);
axl_group *axl_groups_prefill(const axl_model *model, uint32_t history);

/* buffers.c */
axl_status axl_buffers_open(axl_model *model);
axl_status axl_buffers_close(axl_model *model);
axl_status axl_own_open(axl_model *model, axl_own_inputs **out);
axl_status axl_own_close(axl_model *model, axl_own_inputs **own);

/* staging.c */
axl_status axl_staging_open(axl_model *model, bool pinned, axl_staging *out);
axl_status axl_staging_close(axl_model *model, axl_staging *staging);
void axl_staging_use(axl_model *model, const axl_staging *staging);

/* paths.c */
axl_status axl_paths_open(axl_model *model, uint32_t wanted);
uint32_t axl_paths_available(const axl_model *model);
uint32_t axl_paths_on(const axl_model *model);

/* step.c */
bool axl_is_cancelled(const axl_step *step);
axl_status axl_step_mask(const axl_step *step, const void *mask, uint64_t start, uint64_t end);
axl_status axl_step_layer(const axl_step *step, uint32_t layer);
axl_status axl_step_wait(const axl_step *step, uint32_t first, uint32_t last);
axl_status axl_step_head(const axl_step *step, uint16_t *logits);
axl_status axl_step_hidden(const axl_step *step, uint16_t *hidden);

/* decode.c */
axl_status axl_decode_row(axl_seq *seq, uint32_t history, const uint16_t *row, uint16_t *logits, uint16_t *hidden,
                          const int32_t *cancel);

/* prefill.c */
typedef struct axl_chunk {
    const uint16_t *rows;
    uint32_t count;
    uint16_t *logits;     /* NULL: not wanted */
    uint16_t *hidden;     /* NULL: not wanted */
    const uint16_t *next; /* NULL, or the rows that are likely to follow */
    uint32_t next_count;
    const int32_t *cancel;
} axl_chunk;

axl_status axl_prefill_chunk(axl_seq *seq, axl_group *group, const axl_chunk *chunk);

/* mask.c */
void axl_mask_decode(uint16_t *mask, uint32_t columns, uint32_t visible);
void axl_mask_move(uint16_t *mask, uint32_t from, uint32_t to);
void axl_mask_prefill(uint16_t *mask, uint32_t rows, uint32_t capacity, uint32_t history, uint32_t count);

#endif
