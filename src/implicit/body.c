/* SPDX-License-Identifier: MIT */
/* Tracing a cell into a body, and putting a body back into a graph. */
#include "implicit/body.h"

#include "graph/lower.h"

#include <stdio.h>
#include <string.h>

/* Placeholder of a state while a cell is traced.  It never reaches a program: what depends on it
 * is copied into the body, and what does not is captured. */
static bool infer_placeholder(deq_shape_rule *r)
{
    r->out[0] = ((const deq_fill_attr *)r->attr)->type;
    return true;
}

/* A value that the cell kept and that somebody asks for outside: there is no one number to give. */
static deq_status lower_placeholder(deq_lowering *l, const deq_node *n)
{
    (void)n;
    return deq_fail(l->ctx, DEQ_ERR_ARGUMENT,
                    "equilibrium: a value that depends on the state inside a cell is used outside "
                    "of it");
}

static const deq_op placeholder_op = {
    .name = "equilibrium state", .n_out = 1, .infer = infer_placeholder, .lower = lower_placeholder
};

static deq_value placeholder(deq_graph *g, deq_type type, int index)
{
    deq_fill_attr a;
    memset(&a, 0, sizeof a);
    a.type = type;
    a.number = index;
    deq_value v = deq_emit1(g, &placeholder_op, &a, sizeof a, NULL, 0);
    if (deq_is_valid(g, v)) g->nodes[g->n_nodes - 1].stage = DEQ_STAGE_STATE;
    return v;
}

/* What tracing works with. */
typedef struct trace {
    deq_graph *g;
    size_t first_node;  /* the first node that the cell may have added */
    size_t n_values;    /* of g after the cell was called */
    bool *depends;      /* [values] on a placeholder */
    bool *needed;       /* [values] by f(z) */
    int32_t *map;       /* [values] to the body's graph */
    const deq_value *z; /* placeholders */
    int n_states;
} trace;

static void mark(trace *t, const deq_value *fz)
{
    deq_graph *g = t->g;
    for (int i = 0; i < t->n_states; i++) t->depends[t->z[i].id] = true;
    for (size_t k = t->first_node; k < g->n_nodes; k++) {
        const deq_node *n = &g->nodes[k];
        bool any = false;
        for (int i = 0; i < n->n_in; i++) any |= t->depends[n->in[i].id];
        for (int o = 0; any && o < n->n_out; o++) t->depends[n->first_out + o] = true;
    }
    for (int i = 0; i < t->n_states; i++) t->needed[fz[i].id] = true;
    for (size_t k = g->n_nodes; k-- > t->first_node;) {
        const deq_node *n = &g->nodes[k];
        bool any = false;
        for (int o = 0; o < n->n_out; o++)
            any |= t->needed[n->first_out + o] && t->depends[n->first_out + o];
        for (int i = 0; any && i < n->n_in; i++) t->needed[n->in[i].id] = true;
    }
}

static bool is_number(const deq_op *op)
{
    return op == &deq_op_fill || op == &deq_op_constant;
}

/* A copy of a constant in another graph, which owns its data. */
static deq_value copy_number(deq_graph *g, const deq_node *n)
{
    if (n->op == &deq_op_fill) return deq_emit1(g, n->op, n->attr, n->attr_bytes, NULL, 0);
    const deq_constant_attr *a = n->attr;
    return deq_constant(g, a->type.dtype, a->type.shape, a->data);
}

/* An input of the body; weights keep their stage, everything else is fixed during a solve. */
static deq_value body_input(deq_graph *body, const char *kind, int index, deq_type type,
                            deq_stage outside)
{
    char name[32];
    deq_stage stage = outside <= DEQ_STAGE_PARAMETER ? DEQ_STAGE_PARAMETER : DEQ_STAGE_INJECTED;
    if (*kind == 'z') stage = DEQ_STAGE_STATE;
    snprintf(name, sizeof name, "%s%d", kind, index);
    return deq_input(body, name, stage, type.dtype, type.shape);
}

/* The value of the body that stands for v of g: a copy of a constant, or a captured input. */
static deq_value enter(trace *t, deq_body *b, deq_value v, deq_value *outer)
{
    if (t->map[v.id]) return (deq_value){ t->map[v.id] };
    const deq_node *n = deq_node_of(t->g, v);
    deq_value inside;
    if (is_number(n->op)) {
        inside = copy_number(b->g, n);
    } else {
        inside = body_input(b->g, "c", b->n_captured, *deq_type_of(t->g, v), n->stage);
        outer[b->n_captured] = v;
        b->captured[b->n_captured++] = inside;
    }
    t->map[v.id] = inside.id;
    return inside;
}

static void copy_node(trace *t, deq_body *b, const deq_node *n, deq_value *outer)
{
    deq_value out[DEQ_MAX_OUTPUTS];
    deq_value *in = deq_arena_alloc(&b->g->arena, ((size_t)n->n_in + 1) * sizeof *in);
    if (!in) {
        deq_graph_fail(b->g, DEQ_ERR_NOMEM, "%s", deq_last_error(b->ctx));
        return;
    }
    for (int i = 0; i < n->n_in; i++)
        in[i] = deq_is(n->in[i]) ? enter(t, b, n->in[i], outer) : DEQ_NONE;
    deq_emit(b->g, n->op, n->attr, n->attr_bytes, in, n->n_in, out, n->n_out);
    for (int o = 0; o < n->n_out; o++) t->map[n->first_out + o] = out[o].id;
}

/* Copy what depends on the state; capture the rest. */
static void fill_body(trace *t, deq_body *b, const deq_value *fz, deq_value *outer)
{
    for (int i = 0; i < t->n_states; i++) {
        b->z[i] = body_input(b->g, "z", i, *deq_type_of(t->g, t->z[i]), DEQ_STAGE_STATE);
        t->map[t->z[i].id] = b->z[i].id;
    }
    for (size_t k = t->first_node; k < t->g->n_nodes && b->g->status == DEQ_OK; k++) {
        const deq_node *n = &t->g->nodes[k];
        bool wanted = false;
        if (n->op == &placeholder_op) continue;
        for (int o = 0; o < n->n_out; o++)
            wanted |= t->needed[n->first_out + o] && t->depends[n->first_out + o];
        if (wanted) copy_node(t, b, n, outer);
    }
    for (int i = 0; i < t->n_states && b->g->status == DEQ_OK; i++)
        b->fz[i] = enter(t, b, fz[i], outer);
}

static deq_body *body_new(deq_context *ctx, int n_states, size_t most_captured)
{
    deq_body *b = deq_alloc(ctx, sizeof *b);
    if (!b) return NULL;
    *b = (deq_body){ .ctx = ctx, .references = 1, .n_states = n_states };
    b->bytes = (2 * (size_t)n_states + most_captured) * sizeof(deq_value);
    b->z = deq_alloc(ctx, b->bytes);
    if (!b->z || deq_graph_new(&b->g, ctx) != DEQ_OK) {
        deq_body_release(b);
        return NULL;
    }
    b->fz = b->z + n_states;
    b->captured = b->fz + n_states;
    return b;
}

deq_body *deq_body_retain(deq_body *body)
{
    body->references++;
    return body;
}

void deq_body_release(deq_body *body)
{
    if (!body || --body->references > 0) return;
    deq_graph_free(body->g);
    deq_release(body->ctx, body->z, body->bytes);
    deq_release(body->ctx, body, sizeof *body);
}

bool deq_check_states(deq_graph *g, const deq_value *z0, int n)
{
    if (n < 1 || n > DEQ_MAX_STATES)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "equilibrium: %d states, expected 1 to %d", n,
                       DEQ_MAX_STATES);
    for (int i = 0; i < n && deq_graph_status(g) == DEQ_OK; i++) {
        char text[256];
        deq_type t = deq_value_type(g, z0[i]), first = deq_value_type(g, z0[0]);
        if (t.dtype != DEQ_F32 && t.dtype != DEQ_F64)
            deq_graph_fail(g, DEQ_ERR_DTYPE, "equilibrium: state %d is %s, expected f32 or f64", i,
                           deq_type_format(text, sizeof text, &t));
        else if (t.shape.rank < 1)
            deq_graph_fail(g, DEQ_ERR_SHAPE, "equilibrium: state %d is a scalar, expected [B, ...]",
                           i);
        else if (t.dtype != first.dtype || t.shape.dim[0] != first.shape.dim[0])
            deq_graph_fail(g, DEQ_ERR_SHAPE,
                           "equilibrium: state %d, %s, has another dtype or batch "
                           "than state 0",
                           i, deq_type_format(text, sizeof text, &t));
    }
    return deq_graph_status(g) == DEQ_OK;
}

static bool check_cell(deq_graph *g, const deq_value *z0, const deq_value *fz, int n)
{
    for (int i = 0; i < n && g->status == DEQ_OK; i++) {
        char want[256], got[256];
        deq_type a = deq_value_type(g, z0[i]), b = deq_value_type(g, fz[i]);
        if (a.dtype == b.dtype && deq_shape_equal(&a.shape, &b.shape)) continue;
        deq_graph_fail(g, DEQ_ERR_SHAPE, "equilibrium: the cell maps state %d, %s, to %s", i,
                       deq_type_format(want, sizeof want, &a),
                       deq_type_format(got, sizeof got, &b));
    }
    return g->status == DEQ_OK;
}

static deq_body *extract(trace *t, const deq_value *fz, const deq_value **outer)
{
    deq_graph *g = t->g;
    size_t bytes = t->n_values * (2 * sizeof(bool) + sizeof(int32_t));
    char *block = deq_alloc(g->ctx, bytes);
    deq_value *captured = deq_arena_alloc(&g->arena, t->n_values * sizeof *captured);
    deq_body *b = block && captured ? body_new(g->ctx, t->n_states, t->n_values) : NULL;
    if (b) {
        t->map = (int32_t *)(void *)block;
        t->depends = (bool *)(t->map + t->n_values);
        t->needed = t->depends + t->n_values;
        mark(t, fz);
        fill_body(t, b, fz, captured);
        if (b->g->status != DEQ_OK) {
            deq_graph_fail(g, b->g->status, "%s", b->g->message);
            deq_body_release(b);
            b = NULL;
        }
    } else {
        deq_graph_fail(g, DEQ_ERR_NOMEM, "%s", deq_last_error(g->ctx));
    }
    deq_release(g->ctx, block, bytes);
    *outer = captured;
    return b;
}

deq_body *deq_body_trace(deq_graph *g, deq_cell_fn *cell, void *user, const deq_value *z0,
                         int n_states, const deq_value **outer)
{
    deq_value z[DEQ_MAX_STATES] = { { 0 } }, fz[DEQ_MAX_STATES] = { { 0 } };
    size_t first = g->n_nodes;
    for (int i = 0; i < n_states; i++) {
        z[i] = placeholder(g, deq_value_type(g, z0[i]), i);
        fz[i] = (deq_value){ -1 };
    }
    if (g->status != DEQ_OK) return NULL;
    cell(g, z, fz, user);
    if (!check_cell(g, z0, fz, n_states)) return NULL;
    trace t = {
        .g = g, .first_node = first, .n_values = g->n_values, .z = z, .n_states = n_states
    };
    return extract(&t, fz, outer);
}

void deq_body_inline(deq_graph *g, const deq_body *body, const deq_value *z,
                     const deq_value *captured, deq_value *fz)
{
    const deq_graph *from = body->g;
    int32_t *map = deq_arena_alloc(&g->arena, from->n_values * sizeof *map);
    if (!map) {
        deq_graph_fail(g, DEQ_ERR_NOMEM, "%s", deq_last_error(g->ctx));
        return;
    }
    for (int i = 0; i < body->n_states; i++) map[body->z[i].id] = z[i].id;
    for (int i = 0; i < body->n_captured; i++) map[body->captured[i].id] = captured[i].id;
    for (size_t k = 0; k < from->n_nodes && g->status == DEQ_OK; k++) {
        const deq_node *n = &from->nodes[k];
        deq_value out[DEQ_MAX_OUTPUTS] = { { 0 } };
        if (n->op == &deq_op_input) continue;
        if (is_number(n->op)) {
            out[0] = copy_number(g, n);
        } else {
            deq_value *in = deq_arena_alloc(&g->arena, ((size_t)n->n_in + 1) * sizeof *in);
            for (int i = 0; in && i < n->n_in; i++) in[i].id = map[n->in[i].id];
            if (in)
                deq_emit(g, n->op, n->attr, n->attr_bytes, in, n->n_in, out, n->n_out);
            else
                deq_graph_fail(g, DEQ_ERR_NOMEM, "%s", deq_last_error(g->ctx));
        }
        for (int o = 0; o < n->n_out && g->status == DEQ_OK; o++) map[n->first_out + o] = out[o].id;
    }
    for (int i = 0; i < body->n_states; i++)
        fz[i] = g->status == DEQ_OK ? (deq_value){ map[body->fz[i].id] } : (deq_value){ -1 };
}
