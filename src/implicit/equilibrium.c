/* SPDX-License-Identifier: MIT */
/*
 * Builders of equilibria.  A solved equilibrium is one node; its gradient is that node's business
 * (operators.c).  The unrolled estimators are plain graphs:
 *
 *   phantom   h_0 = z* (held),  h_{t+1} = tau f(h_t) + (1 - tau) h_t,  t < k       (Geng et al. 2021)
 *   unroll    the same from z0, for forward.max_iter steps
 */
#include "implicit/operators.h"

#include <deq/op.h>
#include <string.h>

deq_equilibrium_options deq_equilibrium_defaults(void)
{
    return (deq_equilibrium_options){ .struct_size = sizeof(deq_equilibrium_options),
                                      .forward = deq_solver_defaults(),
                                      .gradient = DEQ_GRADIENT_IFT,
                                      .adjoint = deq_linear_defaults(),
                                      .steps = 1,
                                      .tau = 1.0,
                                      .shine_fallback = 1.3 };
}

/* Checks ------------------------------------------------------------------------------------- */

static bool check_options(deq_graph *g, const deq_equilibrium_options *o)
{
    if (o->struct_size != sizeof *o)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "equilibrium: options.struct_size is %zu, expected %zu",
                       o->struct_size, sizeof *o);
    if (o->gradient < DEQ_GRADIENT_IFT || o->gradient > DEQ_GRADIENT_REVERSIBLE)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "equilibrium: %d is not a gradient", (int)o->gradient);
    if (o->steps < 1)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "equilibrium: %d steps, expected at least 1", o->steps);
    if (!(o->tau > 0 && o->tau <= 1))
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "equilibrium: tau is %g, expected (0, 1]", o->tau);
    if (o->shine_refine < 0 || !(o->shine_fallback >= 0))
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "equilibrium: negative shine_refine or shine_fallback");
    return deq_graph_status(g) == DEQ_OK;
}

static bool check_states(deq_graph *g, const deq_value *z0, int n)
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

/* Unrolled steps ----------------------------------------------------------------------------- */

/* k steps  h <- tau f(h) + (1 - tau) h  on the graph. */
static void unroll(deq_graph *g, deq_value *h, const deq_body *b, const deq_value *captured, int k,
                   double tau)
{
    deq_value fh[DEQ_MAX_STATES];
    for (int t = 0; t < k && deq_graph_status(g) == DEQ_OK; t++) {
        deq_body_inline(g, b, h, captured, fh);
        for (int i = 0; i < b->n_states; i++)
            h[i] = tau == 1 ? fh[i]
                            : deq_add(g, deq_scale(g, fh[i], tau), deq_scale(g, h[i], 1 - tau));
    }
}

static void no_report(deq_graph *g, deq_equilibrium_report *report, deq_value z)
{
    deq_type t = deq_value_type(g, z);
    deq_shape per_sample = DEQ_SHAPE(t.shape.dim[0]);
    report->residual = deq_fill(g, t.dtype, per_sample, 0);
    report->outcome = deq_fill(g, DEQ_I32, per_sample, DEQ_MAX_ITER);
    report->n_feval = deq_fill(g, DEQ_I32, per_sample, 0);
}

/* Nodes -------------------------------------------------------------------------------------- */

static void add_node(deq_graph *g, deq_value *out, deq_implicit *m, const deq_value *z0,
                     const deq_value *captured)
{
    int s = m->body->n_states, c = m->body->n_captured;
    deq_implicit_attr a;
    memset(&a, 0, sizeof a);
    a.implicit = m;
    deq_value *in = deq_arena_alloc(&g->arena, (size_t)(s + c) * sizeof *in);
    if (!in) {
        deq_graph_fail(g, DEQ_ERR_NOMEM, "%s", deq_last_error(g->ctx));
        return;
    }
    memcpy(in, z0, (size_t)s * sizeof *in);
    memcpy(in + s, captured, (size_t)c * sizeof *in);
    deq_emit(g, &deq_op_equilibrium, &a, sizeof a, in, s + c, out, s + DEQ_REPORT_VALUES + 1);
}

static void solved(deq_graph *g, deq_value *z_star, deq_body *b, const deq_value *z0,
                   const deq_value *captured, const deq_equilibrium_options *o,
                   deq_equilibrium_report *report)
{
    deq_value out[DEQ_MAX_OUTPUTS] = { { 0 } };
    deq_implicit *m = deq_implicit_new(b, o);
    if (!m) {
        deq_graph_fail(g, DEQ_ERR_NOMEM, "%s", deq_last_error(g->ctx));
        return;
    }
    add_node(g, out, m, z0, captured);
    deq_implicit_release(m); /* the node holds it now */
    const deq_value *r = out + b->n_states;
    if (report)
        *report = (deq_equilibrium_report){ r[DEQ_REPORT_RESIDUAL], r[DEQ_REPORT_OUTCOME],
                                            r[DEQ_REPORT_EVALUATIONS] };
    for (int i = 0; i < b->n_states; i++) z_star[i] = out[i];
    if (o->gradient != DEQ_GRADIENT_PHANTOM_UNROLL) return;
    for (int i = 0; i < b->n_states; i++) z_star[i] = deq_stop_gradient(g, z_star[i]);
    unroll(g, z_star, b, captured, o->steps, o->tau);
}

deq_status deq_equilibrium_many(deq_graph *g, deq_value *z_star, deq_cell_fn *cell, void *user,
                                const deq_value *z0, int n_states,
                                const deq_equilibrium_options *options,
                                deq_equilibrium_report *report)
{
    deq_equilibrium_options o = options ? *options : deq_equilibrium_defaults();
    const deq_value *captured = NULL;
    for (int i = 0; i < n_states && i < DEQ_MAX_STATES; i++) z_star[i] = (deq_value){ -1 };
    if (!check_options(g, &o) || !check_states(g, z0, n_states)) return deq_graph_status(g);
    if (o.gradient == DEQ_GRADIENT_REVERSIBLE)
        deq_graph_fail(g, DEQ_ERR_UNSUPPORTED, "equilibrium: the reversible gradient is not there");
    deq_body *b = deq_body_trace(g, cell, user, z0, n_states, &captured);
    if (!b) return deq_graph_status(g);
    if (o.gradient == DEQ_GRADIENT_UNROLL) {
        for (int i = 0; i < n_states; i++) z_star[i] = z0[i];
        unroll(g, z_star, b, captured, o.forward.max_iter, o.tau);
        if (report) no_report(g, report, z0[0]);
    } else {
        solved(g, z_star, b, z0, captured, &o, report);
    }
    deq_body_release(b);
    return deq_graph_status(g);
}

deq_value deq_equilibrium(deq_graph *g, deq_cell_fn *cell, void *user, deq_value z0,
                          const deq_equilibrium_options *options, deq_equilibrium_report *report)
{
    deq_value z_star = { -1 };
    deq_equilibrium_many(g, &z_star, cell, user, &z0, 1, options, report);
    return z_star;
}
