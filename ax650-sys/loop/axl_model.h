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

/* Bytes of a bf16 value. */
#define AXL_VALUE 2u

/* Guards against absurd answers of a library; real models have about ten groups. */
#define AXL_MAX_GROUPS 256u

/* The io of one shape group of one file, and whose K and V it is bound to at the moment. */
typedef struct axl_binding {
    void *io;
    const void *k;
    const void *v;
} axl_binding;

/* A loaded file: where its tensors are and what shapes they have in each group. */
typedef struct axl_engine {
    axl_program program;
    uint32_t group_count;
    uint32_t tensor[AXL_ROLES];
    axl_shape (*shapes)[AXL_ROLES]; /* [group_count] */
    axl_binding *bindings;          /* [group_count] */
} axl_engine;

/* The buffers that all groups with the same number of rows share, in all layers. */
typedef struct axl_stage {
    axl_buffer indices;
    axl_buffer input;
    axl_buffer k_out;
    axl_buffer v_out;
    axl_buffer output;
} axl_stage;

/* A shape group, the same in all layers. */
typedef struct axl_group {
    uint32_t index;   /* the vendor's number of it */
    uint32_t rows;    /* 1 in a decode group, else the chunk */
    uint32_t history; /* cache rows that the mask covers */
    axl_buffer mask;
    axl_buffer no_k; /* bound as K and V where there is no history */
    axl_buffer no_v;
} axl_group;

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
    void *staging; /* host memory for what is written to the card */
    uint64_t staging_bytes;
    uint64_t buffer_bytes;
    uint32_t sequences;
};

struct axl_seq {
    axl_model *model;
    uint32_t len;
    axl_buffer *k; /* [layers] */
    axl_buffer *v;
};

/* engine.c */
axl_status axl_engine_open(axl_driver *driver, const axl_file *file, uint32_t roles, axl_engine *engine);
axl_status axl_engine_match(const axl_engine *engine, const axl_engine *reference);
axl_status axl_engine_close(axl_driver *driver, axl_engine *engine);
axl_status axl_engine_bind(axl_driver *driver, axl_engine *engine, uint32_t group, axl_role role,
                           const axl_buffer *buffer);
axl_status axl_engine_run(axl_driver *driver, const axl_engine *engine, uint32_t group);

/* groups.c */
axl_status axl_groups_plan(axl_model *model);
const axl_group *axl_groups_decode(const axl_model *model, uint32_t history);
const axl_group *axl_groups_prefill(const axl_model *model, uint32_t history);

/* buffers.c */
axl_status axl_buffers_open(axl_model *model);
axl_status axl_buffers_bind(axl_model *model, uint32_t layer);
axl_status axl_buffers_close(axl_model *model);

/* mask.c */
void axl_mask_decode(uint16_t *mask, uint32_t columns, uint32_t visible);
void axl_mask_prefill(uint16_t *mask, uint32_t rows, uint32_t capacity, uint32_t history, uint32_t count);

#endif
