/* SPDX-License-Identifier: MIT */
/* Shape rules and derivatives of the operators in operators.h. */
#include "implicit/operators.h"

#include "op/shape.h"

#include <deq/op.h>
#include <string.h>

/* Ownership ---------------------------------------------------------------------------------- */

static size_t index_bytes(const deq_implicit *m)
{
    return (size_t)m->options.forward.n_state_index * sizeof(int);
}

/* Options outlive the call that gave them, so what they point to is copied. */
static bool copy_pointed(deq_implicit *m)
{
    deq_solver_options *o = &m->options.forward;
    if (o->custom) {
        m->custom = *o->custom;
        o->custom = &m->custom;
    }
    deq_solver_options *adjoint = &m->options.adjoint_solver;
    if (adjoint->custom) {
        m->adjoint_custom = *adjoint->custom;
        adjoint->custom = &m->adjoint_custom;
    }
    adjoint->n_states = 1; /* nobody asks for the others */
    adjoint->n_state_index = 0;
    adjoint->state_index = NULL;
    if (o->n_state_index <= 0 || !o->state_index) return true;
    m->state_index = deq_alloc(m->ctx, index_bytes(m));
    if (!m->state_index) return false;
    memcpy(m->state_index, o->state_index, index_bytes(m));
    o->state_index = m->state_index;
    return true;
}

deq_implicit *deq_implicit_new(deq_body *body, deq_body *outer,
                               const deq_equilibrium_options *options)
{
    deq_implicit *m = deq_alloc(body->ctx, sizeof *m);
    if (!m) return NULL;
    *m = (deq_implicit){ .ctx = body->ctx,
                         .references = 1,
                         .body = deq_body_retain(body),
                         .outer = outer ? deq_body_retain(outer) : NULL,
                         .options = *options };
    if (!copy_pointed(m)) {
        deq_implicit_release(m);
        return NULL;
    }
    return m;
}

void deq_implicit_release(deq_implicit *m)
{
    if (!m || --m->references > 0) return;
    deq_body_release(m->body);
    deq_body_release(m->outer);
    if (m->state_index) deq_release(m->ctx, m->state_index, index_bytes(m));
    deq_release(m->ctx, m, sizeof *m);
}

static void retain_attr(const void *attr)
{
    ((const deq_implicit_attr *)attr)->implicit->references++;
}

static void release_attr(const void *attr)
{
    deq_implicit_release(((const deq_implicit_attr *)attr)->implicit);
}

static const deq_implicit_attr *attr_of(const deq_frame *n)
{
    return n->attr;
}

/* Shapes ------------------------------------------------------------------------------------- */

/* One value a state, then the report. */
static bool infer_states(deq_shape_rule *r, const deq_type *states, int n_states)
{
    deq_type per_sample = { states[0].dtype, DEQ_SHAPE(states[0].shape.dim[0]) };
    for (int i = 0; i < n_states; i++) r->out[i] = states[i];
    for (int i = 0; i < DEQ_REPORT_VALUES; i++) {
        r->out[n_states + i] = per_sample;
        if (i != DEQ_REPORT_RESIDUAL) r->out[n_states + i].dtype = DEQ_I32;
    }
    r->n_out = n_states + DEQ_REPORT_VALUES;
    return true;
}

int deq_implicit_n_saved(const deq_solver_options *forward)
{
    return forward->n_state_index > 0 ? forward->n_state_index + 1 : forward->n_states;
}

/* The forward solve also leaves its memory, and the states that it was asked to save. */
static bool infer_equilibrium(deq_shape_rule *r)
{
    const deq_implicit *m = ((const deq_implicit_attr *)r->attr)->implicit;
    int saved = deq_implicit_n_saved(&m->options.forward);
    infer_states(r, r->in, m->body->n_states);
    r->out[r->n_out++] = (deq_type){ DEQ_I64, DEQ_SCALAR };
    if (saved > 1) {
        int64_t batch = r->in[0].shape.dim[0], dim = 0;
        for (int i = 0; i < m->body->n_states; i++) dim += deq_shape_count(&r->in[i].shape) / batch;
        r->out[r->n_out++] = (deq_type){ r->in[0].dtype, DEQ_SHAPE(saved - 1, batch, dim) };
    }
    return true;
}

/* The builder checked the states; z0 or z are the first inputs of both operators. */
static bool infer_solve(deq_shape_rule *r)
{
    const deq_implicit_attr *a = r->attr;
    return infer_states(r, r->in, a->implicit->body->n_states);
}

/* Derivatives -------------------------------------------------------------------------------- */

/* Another name for v: a value whose cotangent is the partial derivative, although other inputs of
 * the node may depend on v.  (A reshape to the same shape; the compiler drops it.) */
static deq_value same(deq_graph *g, deq_value v)
{
    deq_shape_attr a;
    memset(&a, 0, sizeof a);
    a.shape = deq_value_type(g, v).shape;
    return deq_emit1(g, &deq_op_reshape, &a, sizeof a, &v, 1);
}

static deq_value *renamed(deq_graph *g, const deq_value *v, int n)
{
    deq_value *out = deq_arena_alloc(&g->arena, ((size_t)n + 1) * sizeof *out);
    if (!out) {
        deq_graph_fail(g, DEQ_ERR_NOMEM, "%s", deq_last_error(g->ctx));
        return NULL;
    }
    for (int i = 0; i < n; i++) out[i] = same(g, v[i]);
    return out;
}

static deq_value zeros_like(deq_graph *g, deq_value v)
{
    deq_type t = deq_value_type(g, v);
    return deq_fill(g, t.dtype, t.shape, 0);
}

/* d[i], or zeros of the type of v[i]. */
static void or_zeros(deq_graph *g, deq_value *out, const deq_value *d, const deq_value *v, int n)
{
    for (int i = 0; i < n; i++) out[i] = d[i].id != 0 ? d[i] : zeros_like(g, v[i]);
}

static bool any_given(const deq_value *d, int n)
{
    for (int i = 0; i < n; i++)
        if (d[i].id != 0) return true;
    return false;
}

static bool is_float(deq_graph *g, deq_value v)
{
    deq_dtype d = deq_value_type(g, v).dtype;
    return d == DEQ_F32 || d == DEQ_F64;
}

/* dx[k] = u . d outputs / d inputs[k] for those inputs that are needed. */
static void pull_back(const deq_frame *f, const deq_value *outputs, const deq_value *u, int n_out,
                      const deq_value *inputs, int n_in, const bool *need, deq_value *dx)
{
    deq_value *wanted = deq_arena_alloc(&f->g->arena, 2 * ((size_t)n_in + 1) * sizeof *wanted);
    if (!wanted) {
        deq_graph_fail(f->g, DEQ_ERR_NOMEM, "%s", deq_last_error(f->g->ctx));
        return;
    }
    deq_value *grads = wanted + n_in + 1;
    int n = 0;
    for (int i = 0; i < n_in; i++)
        if (need[i] && is_float(f->g, inputs[i])) wanted[n++] = inputs[i];
    if (!n || deq_vjp(f->g, grads, outputs, u, n_out, wanted, n) != DEQ_OK) return;
    n = 0;
    for (int i = 0; i < n_in; i++)
        if (need[i] && is_float(f->g, inputs[i])) dx[i] = grads[n++];
}

/* Solve with J exactly, in either direction. */
static void solve_exactly(const deq_frame *f, bool transposed, const deq_value *z,
                          const deq_value *captured, const deq_value *w, deq_value *u)
{
    deq_implicit_attr a;
    memset(&a, 0, sizeof a);
    a.implicit = attr_of(f)->implicit;
    a.transposed = transposed;
    a.exact = 1;
    deq_implicit_solve(f->g, &a, z, captured, w, DEQ_NONE, u);
}

/* u for a cotangent w of z*, by the estimator that was asked for. */
static void estimate_adjoint(const deq_frame *f, const deq_value *w, deq_value *u)
{
    deq_implicit *m = attr_of(f)->implicit;
    int s = m->body->n_states;
    if (m->options.gradient == DEQ_GRADIENT_JFB) {
        memcpy(u, w, (size_t)s * sizeof *u);
        return;
    }
    deq_implicit_attr a;
    memset(&a, 0, sizeof a);
    a.implicit = m;
    a.transposed = 1;
    deq_value memory = m->options.gradient == DEQ_GRADIENT_SHINE ? f->out[s + DEQ_REPORT_VALUES]
                                                                 : DEQ_NONE;
    deq_implicit_solve(f->g, &a, f->out, f->in + s, w, memory, u);
}

/* u from w = dz*, then dc = u df/dc at z*. */
static void equilibrium_vjp(const deq_frame *f, const deq_value *dy, deq_value *dx)
{
    const deq_body *b = attr_of(f)->implicit->body;
    int s = b->n_states, c = b->n_captured;
    deq_value w[DEQ_MAX_STATES], u[DEQ_MAX_STATES], fz[DEQ_MAX_STATES];
    if (!any_given(dy, s) || !c) return;
    or_zeros(f->g, w, dy, f->out, s);
    estimate_adjoint(f, w, u);
    const deq_value *captured = renamed(f->g, f->in + s, c);
    if (!captured) return;
    deq_body_inline(f->g, b, f->out, captured, fz);
    if (deq_graph_status(f->g) != DEQ_OK) return;
    pull_back(f, fz, u, s, captured, c, f->need + s, dx + s);
}

/* tangents[i] = sum over k of d outputs[i] / d inputs[k] . dx[k], over the k with a tangent. */
static bool push_forward(const deq_frame *f, deq_value *tangents, const deq_value *outputs,
                         int n_out, const deq_value *inputs, const deq_value *dx, int n_in)
{
    deq_value *moved = deq_arena_alloc(&f->g->arena, 2 * ((size_t)n_in + 1) * sizeof *moved);
    if (!moved) {
        deq_graph_fail(f->g, DEQ_ERR_NOMEM, "%s", deq_last_error(f->g->ctx));
        return false;
    }
    deq_value *along = moved + n_in + 1;
    int n = 0;
    for (int i = 0; i < n_in; i++) {
        if (dx[i].id == 0) continue;
        moved[n] = inputs[i];
        along[n++] = dx[i];
    }
    return deq_jvp(f->g, tangents, outputs, n_out, moved, along, n) == DEQ_OK;
}

/* (I - J) dz* = f_c dc. */
static void equilibrium_jvp(const deq_frame *f, const deq_value *dx, deq_value *dy)
{
    const deq_body *b = attr_of(f)->implicit->body;
    int s = b->n_states, c = b->n_captured;
    deq_value fz[DEQ_MAX_STATES], rhs[DEQ_MAX_STATES];
    if (!any_given(dx + s, c)) return;
    const deq_value *captured = renamed(f->g, f->in + s, c);
    if (!captured) return;
    deq_body_inline(f->g, b, f->out, captured, fz);
    if (!push_forward(f, rhs, fz, s, captured, dx + s, c)) return;
    solve_exactly(f, false, f->out, f->in + s, rhs, dy);
}

/* Inputs of implicit_solve: z, c, w. */
static void solve_vjp(const deq_frame *f, const deq_value *dy, deq_value *dx)
{
    const deq_implicit_attr *a = attr_of(f);
    const deq_body *b = a->implicit->body;
    int s = b->n_states, c = b->n_captured;
    deq_graph *g = f->g;
    deq_value r[DEQ_MAX_STATES], t[DEQ_MAX_STATES], fz[DEQ_MAX_STATES], jt[DEQ_MAX_STATES];
    if (!any_given(dy, s)) return;
    or_zeros(g, r, dy, f->out, s);
    solve_exactly(f, !a->transposed, f->in, f->in + s, r, t);
    for (int i = 0; i < s; i++) dx[s + c + i] = t[i];

    /* The gradient of  row . J(z, c) . column  for z and c. */
    const deq_value *row = a->transposed ? f->out : t, *column = a->transposed ? t : f->out;
    const deq_value *zc = renamed(g, f->in, s + c);
    if (!zc) return;
    deq_body_inline(g, b, zc, zc + s, fz);
    if (deq_jvp(g, jt, fz, s, zc, column, s) != DEQ_OK) return;
    pull_back(f, jt, row, s, zc, s + c, f->need, dx);
}

/* du (I - J) = dw + u dJ, or (I - J) du = dw + dJ u: the right side by differentiating u J or J u. */
static void solve_jvp(const deq_frame *f, const deq_value *dx, deq_value *dy)
{
    const deq_implicit_attr *a = attr_of(f);
    const deq_body *b = a->implicit->body;
    int s = b->n_states, c = b->n_captured;
    deq_graph *g = f->g;
    deq_value fz[DEQ_MAX_STATES], ju[DEQ_MAX_STATES], rhs[DEQ_MAX_STATES], dju[DEQ_MAX_STATES];
    or_zeros(g, rhs, dx + s + c, f->out, s);
    if (any_given(dx, s + c)) {
        const deq_value *zc = renamed(g, f->in, s + c);
        if (!zc) return;
        deq_body_inline(g, b, zc, zc + s, fz);
        if (a->transposed)
            deq_vjp(g, ju, fz, f->out, s, zc, s);
        else
            deq_jvp(g, ju, fz, s, zc, f->out, s);
        if (deq_graph_status(g) != DEQ_OK) return;
        /* u is held: only z and c move. */
        if (!push_forward(f, dju, ju, s, zc, dx, s + c)) return;
        for (int i = 0; i < s; i++) rhs[i] = deq_add(g, rhs[i], dju[i]);
    }
    solve_exactly(f, a->transposed != 0, f->in, f->in + s, rhs, dy);
}

const deq_op deq_op_equilibrium = {
    .name = "equilibrium",
    .attr_bytes = sizeof(deq_implicit_attr),
    .infer = infer_equilibrium,
    .vjp = equilibrium_vjp,
    .jvp = equilibrium_jvp,
    .retain = retain_attr,
    .release = release_attr,
    .lower = deq_lower_equilibrium,
};

const deq_op deq_op_implicit_solve = {
    .name = "implicit_solve",
    .attr_bytes = sizeof(deq_implicit_attr),
    .infer = infer_solve,
    .vjp = solve_vjp,
    .jvp = solve_jvp,
    .retain = retain_attr,
    .release = release_attr,
    .lower = deq_lower_implicit_solve,
};

void deq_implicit_solve(deq_graph *g, const deq_implicit_attr *attr, const deq_value *z,
                        const deq_value *captured, const deq_value *w, deq_value memory,
                        deq_value *u)
{
    int s = attr->implicit->body->n_states, c = attr->implicit->body->n_captured;
    deq_value *in = deq_arena_alloc(&g->arena, (size_t)(2 * s + c + 1) * sizeof *in);
    if (!in) {
        deq_graph_fail(g, DEQ_ERR_NOMEM, "%s", deq_last_error(g->ctx));
        return;
    }
    memcpy(in, z, (size_t)s * sizeof *in);
    memcpy(in + s, captured, (size_t)c * sizeof *in);
    memcpy(in + s + c, w, (size_t)s * sizeof *in);
    in[2 * s + c] = memory;
    deq_emit(g, &deq_op_implicit_solve, attr, sizeof *attr, in, 2 * s + c + 1, u, s);
}
