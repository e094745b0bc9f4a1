/* SPDX-License-Identifier: MIT */
#include "implicit/inner.h"

#include "graph/program_internal.h"

#include <stdio.h>
#include <string.h>

/* The graph of a product with J: the body at z, differentiated in the direction of the rows. */
static deq_status product_graph(deq_inner *inner, deq_graph *g, const deq_body *b,
                                deq_inner_kind kind)
{
    deq_value fz[DEQ_MAX_STATES];
    for (int i = 0; i < b->n_states; i++) {
        char name[16];
        deq_type t = *deq_type_of(b->g, b->z[i]);
        snprintf(name, sizeof name, "z%d", i);
        inner->z[i] = deq_input(g, name, DEQ_STAGE_INJECTED, t.dtype, t.shape);
        snprintf(name, sizeof name, "u%d", i);
        inner->in[i] = deq_input(g, name, DEQ_STAGE_STATE, t.dtype, t.shape);
    }
    deq_body_inline(g, b, inner->z, inner->captured, fz);
    if (kind == DEQ_INNER_VJP)
        return deq_vjp(g, inner->out, fz, inner->in, b->n_states, inner->z, b->n_states);
    return deq_jvp(g, inner->out, fz, b->n_states, inner->z, inner->in, b->n_states);
}

static void captured_inputs(deq_value *c, deq_graph *g, const deq_body *b)
{
    for (int i = 0; i < b->n_captured; i++) {
        char name[16];
        const deq_node *n = deq_node_of(b->g, b->captured[i]);
        deq_type t = *deq_type_of(b->g, b->captured[i]);
        snprintf(name, sizeof name, "c%d", i);
        c[i] = deq_input(g, name, n->stage, t.dtype, t.shape);
    }
}

/* The body's own graph, or a new one built from it, compiled. */
static deq_status build(deq_inner *inner, deq_value *captured, deq_context *ctx,
                        const deq_compile_options *options, const deq_body *b, deq_inner_kind kind,
                        bool within)
{
    deq_value native[2 * DEQ_MAX_STATES];
    deq_compile_options o = *options;
    int threads = o.threads ? o.threads : deq_context_threads(ctx);
    *inner = (deq_inner){ .ctx = ctx,
                          .states = deq_states_of(b, threads),
                          .n_captured = b->n_captured,
                          .captured = captured };
    deq_graph *g = NULL;
    deq_status status = DEQ_OK;
    bool is_map = kind == DEQ_INNER_MAP || kind == DEQ_INNER_PLAIN;
    if (is_map) {
        memcpy(inner->in, b->z, (size_t)b->n_states * sizeof *inner->in);
        memcpy(inner->out, b->fz, (size_t)b->n_states * sizeof *inner->out);
        inner->captured = b->captured;
    } else {
        DEQ_TRY(deq_graph_new(&g, ctx));
        captured_inputs(captured, g, b);
        status = product_graph(inner, g, b, kind);
    }
    for (int i = 0; i < b->n_states; i++) {
        native[i] = inner->in[i];
        native[b->n_states + i] = inner->out[i];
    }
    o.native = native;
    o.n_native = kind == DEQ_INNER_PLAIN ? 0 : 2 * b->n_states;
    if (status == DEQ_OK && within)
        status = deq_compile_within(&inner->program, g ? g : b->g, inner->out, b->n_states, &o,
                                    inner->in, b->n_states);
    else if (status == DEQ_OK)
        status = deq_compile(&inner->program, g ? g : b->g, inner->out, b->n_states, &o);
    deq_graph_free(g);
    return status;
}

deq_status deq_inner_build(deq_inner *inner, deq_value *captured, deq_context *ctx,
                           const deq_compile_options *options, const deq_body *b,
                           deq_inner_kind kind)
{
    return build(inner, captured, ctx, options, b, kind, false);
}

deq_status deq_inner_new(deq_inner *inner, deq_lowering *l, const deq_body *body,
                         deq_inner_kind kind)
{
    deq_compile_options o = *l->options;
    deq_value *captured = deq_lower_alloc(l, ((size_t)body->n_captured + 1) * sizeof *captured);
    *inner = (deq_inner){ .ctx = l->ctx };
    if (!captured) return DEQ_ERR_NOMEM;
    o.threads = l->threads;
    return build(inner, captured, l->ctx, &o, body, kind, true);
}

size_t deq_inner_lent_bytes(const deq_inner *inner)
{
    return inner->program ? inner->program->lent_bytes : 0;
}

deq_status deq_inner_lend(deq_inner *inner, char **memory)
{
    if (!inner->program) return DEQ_OK;
    DEQ_TRY(deq_program_lend(inner->program, *memory));
    *memory += inner->program->lent_bytes;
    return DEQ_OK;
}

void deq_inner_poison(void *memory, size_t bytes)
{
#ifdef NDEBUG
    (void)memory, (void)bytes;
#else
    memset(memory, 0xff, bytes);
#endif
}

void deq_inner_free(deq_inner *inner)
{
    deq_program_free(inner->program);
    inner->program = NULL;
}

deq_status deq_inner_bind_captured(deq_inner *inner, void *const *data)
{
    for (int i = 0; i < inner->n_captured; i++)
        DEQ_TRY(deq_program_bind(inner->program, inner->captured[i], data[i]));
    return DEQ_OK;
}

deq_status deq_inner_bind_point(deq_inner *inner, void *const *z)
{
    for (int i = 0; i < inner->states.n; i++)
        DEQ_TRY(deq_program_bind(inner->program, inner->z[i], z[i]));
    return DEQ_OK;
}

deq_status deq_inner_run_parameters(deq_inner *inner)
{
    return deq_program_run_stage(inner->program, DEQ_STAGE_PARAMETER);
}

deq_status deq_inner_run_injected(deq_inner *inner)
{
    return deq_program_run_stage(inner->program, DEQ_STAGE_INJECTED);
}

/* The program's own memory of some values. */
static void data_of(deq_inner *inner, const deq_value *v, void **data)
{
    for (int i = 0; i < inner->states.n; i++) data[i] = deq_program_data(inner->program, v[i]);
}

static bool is_aligned(const void *memory)
{
    return (uintptr_t)memory % DEQ_ALIGNMENT == 0;
}

/* A single state whose rows lie where a program can work is read and written in place. */
deq_status deq_inner_eval(deq_inner *inner, void *out_rows, const void *in_rows)
{
    deq_program *p = inner->program;
    bool in_place = inner->states.n == 1 && is_aligned(out_rows) && is_aligned(in_rows);
    void *data[DEQ_MAX_STATES];
    if (inner->states.n == 1) {
        DEQ_TRY(deq_program_bind(p, inner->in[0], in_place ? (void *)(uintptr_t)in_rows : NULL));
        DEQ_TRY(deq_program_bind(p, inner->out[0], in_place ? out_rows : NULL));
    }
    if (in_place) return deq_program_run_stage(p, DEQ_STAGE_STATE);
    data_of(inner, inner->in, data);
    deq_states_unpack(&inner->states, data, in_rows);
    DEQ_TRY(deq_program_run_stage(p, DEQ_STAGE_STATE));
    data_of(inner, inner->out, data);
    deq_states_pack(&inner->states, out_rows, data);
    return DEQ_OK;
}

void deq_inner_import(deq_inner *inner, void *rows, void *const *state)
{
    deq_program *p = inner->program;
    if (inner->states.n == 1) {
        deq_program_convert(p, inner->in[0], rows, state[0], true);
        return;
    }
    void *data[DEQ_MAX_STATES];
    data_of(inner, inner->in, data);
    for (int i = 0; i < inner->states.n; i++)
        deq_program_convert(p, inner->in[i], data[i], state[i], true);
    deq_states_pack(&inner->states, rows, data);
}

void deq_inner_export(deq_inner *inner, void *const *state, void *rows)
{
    deq_program *p = inner->program;
    if (inner->states.n == 1) {
        deq_program_convert(p, inner->in[0], rows, state[0], false);
        return;
    }
    void *data[DEQ_MAX_STATES];
    data_of(inner, inner->in, data);
    deq_states_unpack(&inner->states, data, rows);
    for (int i = 0; i < inner->states.n; i++)
        deq_program_convert(p, inner->in[i], data[i], state[i], false);
}
