/* SPDX-License-Identifier: MIT */
/*
 * A cell as a map: one program for z and what the cell captures, and the three inner programs of its
 * body, which read the captured values where that program leaves them.
 */
#include "implicit/inner.h"

#include <deq/cell_map.h>
#include <string.h>

struct deq_cell_map {
    deq_context *ctx;
    deq_body *body;
    deq_program *program;             /* z, captured */
    deq_inner f, vjp, jvp;            /* rows to rows */
    deq_value *values;                /* [n_states + n_captured] outputs of program */
    deq_value *inputs[2];             /* [n_captured] of the products */
    size_t values_bytes, point_bytes; /* of values with inputs; of rows and point */
    char *rows, *point;
    void *state[DEQ_MAX_STATES]; /* parts of point: where J is taken */
};

/* The map ------------------------------------------------------------------------------------ */

static deq_status eval(void *user, void *fz, const void *z, const int64_t *samples, int64_t n)
{
    (void)samples, (void)n; /* the whole batch, always */
    return deq_inner_eval(&((deq_cell_map *)user)->f, fz, z);
}

static deq_status vjp(void *user, void *vj, const void *v, const int64_t *samples, int64_t n)
{
    (void)samples, (void)n;
    return deq_inner_eval(&((deq_cell_map *)user)->vjp, vj, v);
}

static deq_status jvp(void *user, void *jv, const void *v, const int64_t *samples, int64_t n)
{
    (void)samples, (void)n;
    return deq_inner_eval(&((deq_cell_map *)user)->jvp, jv, v);
}

static deq_status linearise(void *user, const void *z, const int64_t *samples, int64_t n)
{
    deq_cell_map *m = user;
    (void)samples, (void)n;
    deq_states_unpack(&m->f.states, m->state, z);
    DEQ_TRY(deq_inner_run_injected(&m->vjp));
    return deq_inner_run_injected(&m->jvp);
}

deq_map deq_cell_map_get(deq_cell_map *m)
{
    return (deq_map){ .struct_size = sizeof(deq_map),
                      .eval = eval,
                      .linearise = linearise,
                      .jvp = jvp,
                      .vjp = vjp,
                      .user = m };
}

/* Making ------------------------------------------------------------------------------------- */

/* z and captured as the outputs of one program. */
static deq_status build_outer(deq_cell_map *m, deq_graph *g, const deq_value *z,
                              const deq_value *captured, const deq_compile_options *o)
{
    size_t s = (size_t)m->body->n_states, c = (size_t)m->body->n_captured;
    m->values_bytes = (s + 3 * c) * sizeof(deq_value);
    m->values = deq_alloc(m->ctx, m->values_bytes);
    if (!m->values) return DEQ_ERR_NOMEM;
    memcpy(m->values, z, s * sizeof *z);
    memcpy(m->values + s, captured, c * sizeof *captured);
    for (size_t i = 0; i < 2; i++) m->inputs[i] = m->values + s + (i + 1) * c;
    return deq_compile(&m->program, g, m->values, (int)(s + c), o);
}

/* Plain layouts, so that rows of one program are rows of the others. */
static deq_status build_inner(deq_cell_map *m, const deq_compile_options *options)
{
    deq_compile_options o = *options;
    o.layout = false;
    DEQ_TRY(deq_inner_build(&m->f, NULL, m->ctx, &o, m->body, DEQ_INNER_MAP));
    DEQ_TRY(deq_inner_build(&m->vjp, m->inputs[0], m->ctx, &o, m->body, DEQ_INNER_VJP));
    return deq_inner_build(&m->jvp, m->inputs[1], m->ctx, &o, m->body, DEQ_INNER_JVP);
}

static deq_status make_room(deq_cell_map *m)
{
    const deq_states *s = &m->f.states;
    m->point_bytes = deq_states_bytes(s) + DEQ_ALIGNMENT * (size_t)s->n;
    m->rows = deq_alloc(m->ctx, m->point_bytes);
    m->point = deq_alloc(m->ctx, m->point_bytes);
    if (!m->rows || !m->point) return DEQ_ERR_NOMEM;
    char *at = m->point;
    for (int i = 0; i < s->n; i++) {
        size_t bytes = (size_t)(s->batch * s->size[i]) * deq_dtype_size(s->dtype);
        m->state[i] = at;
        at += (bytes + DEQ_ALIGNMENT - 1) / DEQ_ALIGNMENT * DEQ_ALIGNMENT;
    }
    return DEQ_OK;
}

deq_status deq_cell_map_new(deq_cell_map **out, deq_graph *g, deq_cell_fn *cell, void *user,
                            const deq_value *z, int n_states, const deq_compile_options *options)
{
    deq_compile_options o = deq_compile_defaults();
    const deq_value *captured = NULL;
    *out = NULL;
    if (options) o = *options;
    if (!deq_check_states(g, z, n_states)) return deq_graph_status(g);
    deq_body *body = deq_body_trace(g, cell, user, z, n_states, &captured);
    if (!body) return deq_graph_status(g);
    deq_cell_map *m = deq_alloc(g->ctx, sizeof *m);
    if (!m) {
        deq_body_release(body);
        return DEQ_ERR_NOMEM;
    }
    *m = (deq_cell_map){ .ctx = g->ctx, .body = body };
    deq_status status = build_outer(m, g, z, captured, &o);
    if (status == DEQ_OK) status = build_inner(m, &o);
    if (status == DEQ_OK) status = make_room(m);
    if (status != DEQ_OK)
        deq_cell_map_free(m);
    else
        *out = m;
    return status;
}

void deq_cell_map_free(deq_cell_map *m)
{
    if (!m) return;
    deq_inner_free(&m->f);
    deq_inner_free(&m->vjp);
    deq_inner_free(&m->jvp);
    deq_program_free(m->program);
    deq_release(m->ctx, m->values, m->values_bytes);
    deq_release(m->ctx, m->rows, m->point_bytes);
    deq_release(m->ctx, m->point, m->point_bytes);
    deq_body_release(m->body);
    deq_release(m->ctx, m, sizeof *m);
}

/* Using -------------------------------------------------------------------------------------- */

static deq_status bind(deq_cell_map *m, deq_inner *inner)
{
    for (int i = 0; i < m->body->n_captured; i++) {
        void *data = deq_program_data(m->program, m->values[m->body->n_states + i]);
        DEQ_TRY(deq_program_bind(inner->program, inner->captured[i], data));
    }
    if (inner != &m->f) DEQ_TRY(deq_inner_bind_point(inner, m->state));
    return DEQ_OK;
}

static deq_status update(deq_cell_map *m)
{
    deq_inner *all[3] = { &m->f, &m->vjp, &m->jvp };
    void *z[DEQ_MAX_STATES];
    for (int i = 0; i < m->body->n_states; i++) z[i] = deq_program_data(m->program, m->values[i]);
    deq_states_pack(&m->f.states, m->rows, z);
    deq_states_unpack(&m->f.states, m->state, m->rows);
    for (int i = 0; i < 3; i++) {
        DEQ_TRY(bind(m, all[i]));
        DEQ_TRY(deq_inner_run_parameters(all[i]));
        DEQ_TRY(deq_inner_run_injected(all[i]));
    }
    return DEQ_OK;
}

deq_status deq_cell_map_update(deq_cell_map *m)
{
    deq_status status = deq_program_run(m->program, DEQ_STAGE_PARAMETER);
    if (status != DEQ_OK)
        return deq_fail(m->ctx, status, "cell map: %s", deq_program_error(m->program));
    status = update(m);
    return status == DEQ_OK ? DEQ_OK
                            : deq_fail(m->ctx, status, "cell map: an inner program failed");
}

deq_program *deq_cell_map_program(deq_cell_map *m)
{
    return m->program;
}

const void *deq_cell_map_state(const deq_cell_map *m)
{
    return m->rows;
}

deq_dtype deq_cell_map_dtype(const deq_cell_map *m)
{
    return m->f.states.dtype;
}

int64_t deq_cell_map_batch(const deq_cell_map *m)
{
    return m->f.states.batch;
}

int64_t deq_cell_map_dim(const deq_cell_map *m)
{
    return m->f.states.dim;
}
