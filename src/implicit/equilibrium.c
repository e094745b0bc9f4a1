/* SPDX-License-Identifier: MIT */
/*
 * Builders of equilibria.  A solved equilibrium is one node; its gradient is that node's business
 * (operators.c).  The unrolled estimators are plain graphs:
 *
 *   phantom   h_0 = z* (held),  h_{t+1} = tau f(h_t) + (1 - tau) h_t,  t < k       (Geng et al. 2021)
 *   unroll    the same from z0, for forward.max_iter steps
 *
 * or, with recomputation, one node for all steps up to the next one that is returned (unrolled.c).
 */
#include "implicit/operators.h"

#include <deq/op.h>
#include <deq/supervision.h>
#include <string.h>

deq_equilibrium_options deq_equilibrium_defaults(void)
{
    return (deq_equilibrium_options){ .struct_size = sizeof(deq_equilibrium_options),
                                      .forward = deq_solver_defaults(),
                                      .gradient = DEQ_GRADIENT_IFT,
                                      .adjoint = deq_linear_defaults(),
                                      .adjoint_solver = deq_solver_defaults(),
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
    if (o->gradient == DEQ_GRADIENT_UNROLL && o->forward.max_iter < 0)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "equilibrium: %d steps to unroll", o->forward.max_iter);
    if (o->shine_refine < 0 || !(o->shine_fallback >= 0))
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "equilibrium: negative shine_refine or shine_fallback");
    if (o->gradient == DEQ_GRADIENT_SHINE && o->forward.method != DEQ_AUTO &&
        o->forward.method != DEQ_BROYDEN && o->forward.method != DEQ_ADJOINT_BROYDEN)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT,
                       "equilibrium: SHINE takes its gradient from an inverse Jacobian that the "
                       "forward method %s does not build; use broyden or adjoint_broyden",
                       deq_method_name(o->forward.method));
    return deq_graph_status(g) == DEQ_OK;
}

static bool check_supervision(deq_graph *g, const deq_equilibrium_options *o,
                              const deq_supervision *s)
{
    int saved = deq_implicit_n_saved(&o->forward);
    if (s->struct_size != sizeof *s)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "equilibrium: supervision.struct_size is %zu, not %zu",
                       s->struct_size, sizeof *s);
    else if (s->gap < 0)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "equilibrium: supervision.gap is %d", s->gap);
    else if (s->steps && s->n_steps != saved)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "equilibrium: steps of %d tails for %d saved states",
                       s->n_steps, saved);
    else if (s->n_locations < 0 || (s->n_locations > 0 && !s->locations))
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "equilibrium: supervision.locations is missing");
    for (int i = 0; s->steps && i < s->n_steps && deq_graph_status(g) == DEQ_OK; i++)
        if (s->steps[i] < 1)
            deq_graph_fail(g, DEQ_ERR_ARGUMENT, "equilibrium: supervision.steps[%d] is %d", i,
                           s->steps[i]);
    for (int i = 0; i < s->n_locations && deq_graph_status(g) == DEQ_OK; i++)
        if (s->locations[i] < 1)
            deq_graph_fail(g, DEQ_ERR_ARGUMENT, "equilibrium: supervision.locations[%d] is %d", i,
                           s->locations[i]);
    bool unrolled = o->gradient == DEQ_GRADIENT_UNROLL,
         reversible = o->gradient == DEQ_GRADIENT_REVERSIBLE;
    if (deq_graph_status(g) == DEQ_OK && (unrolled || reversible) && saved > 1)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "equilibrium: %s saves no states (%d asked for)",
                       unrolled ? "unrolling" : "the reversible iteration", saved);
    return deq_graph_status(g) == DEQ_OK;
}

/* Unrolled steps ----------------------------------------------------------------------------- */

deq_supervision deq_supervision_defaults(void)
{
    return (deq_supervision){ .struct_size = sizeof(deq_supervision) };
}

/* Whether the value after t of k steps is returned. */
static bool is_supervised(const deq_supervision *s, int t, int k)
{
    if (t == k || (s->gap > 0 && t % s->gap == 0)) return true;
    for (int i = 0; i < s->n_locations; i++)
        if (s->locations[i] == t) return true;
    return false;
}

/* Steps of the tail of saved state `at`; 0 when it is returned as it is. */
static int tail_steps(const deq_equilibrium_options *o, const deq_supervision *s, int at)
{
    bool last = at == deq_implicit_n_saved(&o->forward) - 1;
    if (o->gradient == DEQ_GRADIENT_UNROLL) return o->forward.max_iter;
    if (last && o->gradient != DEQ_GRADIENT_PHANTOM_UNROLL) return 0;
    return s->steps ? s->steps[at] : o->steps;
}

int deq_supervised_count(const deq_equilibrium_options *options, const deq_supervision *supervision)
{
    deq_equilibrium_options o = options ? *options : deq_equilibrium_defaults();
    deq_supervision s = supervision ? *supervision : deq_supervision_defaults();
    int count = 0;
    for (int at = 0; at < deq_implicit_n_saved(&o.forward); at++) {
        int k = tail_steps(&o, &s, at);
        count += k == 0;
        for (int t = 1; t <= k; t++) count += is_supervised(&s, t, k);
    }
    return count;
}

/* What a build works with; `out` grows by n_states values at a time. */
typedef struct build {
    deq_graph *g;
    const deq_equilibrium_options *o;
    const deq_supervision *s;
    deq_body *body, *outer; /* outer: z -> gradient of the outer loss, or NULL */
    const deq_value *captured, *outer_captured;
    deq_value *out;
} build;

static void put(build *b, const deq_value *h)
{
    memcpy(b->out, h, (size_t)b->body->n_states * sizeof *h);
    b->out += b->body->n_states;
}

/* What |f(z) - z| and |f(z)| of each sample are: sums over all states. */
static deq_value norm_of(deq_graph *g, const deq_value *v, int n)
{
    deq_value sum = DEQ_NONE;
    for (int i = 0; i < n; i++) {
        uint32_t axes = ((1u << deq_value_type(g, v[i]).shape.rank) - 1) & ~DEQ_AXIS(0);
        sum = deq_add_maybe(g, sum, deq_sum(g, deq_square(g, v[i]), axes, false));
    }
    return deq_sqrt(g, sum);
}

/* A report for steps that no solver watched: one more evaluation of f, at z.  It costs nothing unless
 * a program asks for it. */
static void report_steps(build *b, deq_equilibrium_report *report, const deq_value *z, int n_feval)
{
    deq_graph *g = b->g;
    deq_value held[DEQ_MAX_STATES], fz[DEQ_MAX_STATES], gap[DEQ_MAX_STATES];
    int n = b->body->n_states;
    deq_type t = deq_value_type(g, z[0]);
    deq_shape per_sample = DEQ_SHAPE(t.shape.rank ? t.shape.dim[0] : 1);
    for (int i = 0; i < n; i++) held[i] = deq_stop_gradient(g, z[i]);
    deq_body_inline(g, b->body, held, b->captured, fz);
    for (int i = 0; i < n; i++) gap[i] = deq_sub(g, fz[i], held[i]);
    report->residual = norm_of(g, gap, n);
    deq_value bound = deq_shift(g, deq_scale(g, norm_of(g, fz, n), b->o->forward.rtol),
                                b->o->forward.atol);
    deq_value failed = deq_logical_not(g, deq_less_equal(g, report->residual, bound));
    report->outcome = deq_where(g, failed, deq_fill(g, DEQ_I32, per_sample, DEQ_MAX_ITER),
                                deq_fill(g, DEQ_I32, per_sample, DEQ_CONVERGED));
    report->n_feval = deq_fill(g, DEQ_I32, per_sample, n_feval);
}

/* Nodes -------------------------------------------------------------------------------------- */

/* Inputs: z0, what the cell captured, what the outer loss captured. */
static void add_node(build *b, const deq_op *op, deq_value *out, int n_out, deq_implicit *m,
                     const deq_value *z0)
{
    deq_graph *g = b->g;
    int s = m->body->n_states, c = m->body->n_captured, o = m->outer ? m->outer->n_captured : 0;
    deq_implicit_attr a;
    memset(&a, 0, sizeof a);
    a.implicit = m;
    deq_value *in = deq_arena_alloc(&g->arena, (size_t)(s + c + o) * sizeof *in);
    if (!in) {
        deq_graph_fail(g, DEQ_ERR_NOMEM, "%s", deq_last_error(g->ctx));
        return;
    }
    memcpy(in, z0, (size_t)s * sizeof *in);
    memcpy(in + s, b->captured, (size_t)c * sizeof *in);
    if (o) memcpy(in + s + c, b->outer_captured, (size_t)o * sizeof *in);
    deq_emit(g, op, &a, sizeof a, in, s + c + o, out, n_out);
}

/* The last values of the steps that `op` takes; their gradient runs back through them. */
static void sweep(build *b, const deq_op *op, int ends, deq_value *h, int steps)
{
    deq_value out[2 * DEQ_MAX_STATES] = { { 0 } };
    int n = b->body->n_states;
    deq_equilibrium_options o = *b->o;
    o.forward.max_iter = steps;
    deq_implicit *m = deq_implicit_new(b->body, NULL, &o);
    if (!m) {
        deq_graph_fail(b->g, DEQ_ERR_NOMEM, "%s", deq_last_error(b->g->ctx));
        return;
    }
    add_node(b, op, out, ends * n, m, h);
    deq_implicit_release(m); /* the node holds it now */
    memcpy(h, out, (size_t)n * sizeof *h);
}

/* h <- tau f(h) + (1 - tau) h */
static void damped_step(build *b, deq_value *h)
{
    deq_value fh[DEQ_MAX_STATES];
    double tau = b->o->tau;
    deq_body_inline(b->g, b->body, h, b->captured, fh);
    for (int i = 0; i < b->body->n_states; i++)
        h[i] = tau == 1
                   ? fh[i]
                   : deq_add(b->g, deq_scale(b->g, fh[i], tau), deq_scale(b->g, h[i], 1 - tau));
}

/* k damped steps, of which those that are supervised are put out; k = 0 puts out the start itself. */
static void unroll(build *b, const deq_value *start, int k)
{
    deq_value h[DEQ_MAX_STATES];
    memcpy(h, start, (size_t)b->body->n_states * sizeof *h);
    if (k == 0) put(b, h);
    for (int t = 1, first = 1; t <= k && deq_graph_status(b->g) == DEQ_OK; t++) {
        bool supervised = is_supervised(b->s, t, k);
        if (!b->o->recompute)
            damped_step(b, h);
        else if (supervised)
            sweep(b, &deq_op_unrolled, 1, h, t - first + 1);
        if (!supervised) continue;
        put(b, h);
        first = t + 1;
    }
}

/* The states of saved state `at`, cut out of the rows [n - 1, B, d]. */
static void cut_saved(deq_graph *g, deq_value *h, deq_value saved, int at, const deq_value *z,
                      int n)
{
    int64_t from = 0;
    deq_value rows = deq_slice(g, saved, 0, at, 1);
    for (int i = 0; i < n; i++) {
        deq_shape shape = deq_value_type(g, z[i]).shape;
        int64_t size = deq_shape_count(&shape) / shape.dim[0];
        h[i] = deq_stop_gradient(g, deq_reshape(g, deq_slice(g, rows, 2, from, size), shape));
        from += size;
    }
}

static void solved(build *b, const deq_value *z0, deq_equilibrium_report *report)
{
    deq_graph *g = b->g;
    int n = b->body->n_states, saved = deq_implicit_n_saved(&b->o->forward);
    int n_out = n + DEQ_REPORT_VALUES + 1 + (saved > 1);
    deq_value out[DEQ_MAX_OUTPUTS] = { { 0 } }, h[DEQ_MAX_STATES];
    deq_implicit *m = deq_implicit_new(b->body, b->outer, b->o);
    if (!m) {
        deq_graph_fail(g, DEQ_ERR_NOMEM, "%s", deq_last_error(g->ctx));
        return;
    }
    add_node(b, &deq_op_equilibrium, out, n_out, m, z0);
    deq_implicit_release(m); /* the node holds it now */
    const deq_value *r = out + n;
    if (report)
        *report = (deq_equilibrium_report){ r[DEQ_REPORT_RESIDUAL], r[DEQ_REPORT_OUTCOME],
                                            r[DEQ_REPORT_EVALUATIONS] };
    for (int at = 0; at + 1 < saved && deq_graph_status(g) == DEQ_OK; at++) {
        cut_saved(g, h, out[n + DEQ_REPORT_VALUES + 1], at, out, n);
        unroll(b, h, tail_steps(b->o, b->s, at));
    }
    int k = tail_steps(b->o, b->s, saved - 1);
    for (int i = 0; i < n; i++) h[i] = k ? deq_stop_gradient(g, out[i]) : out[i];
    unroll(b, h, k);
}

/* The outer loss as a cell that maps the states to its gradient. */
typedef struct outer_problem {
    deq_outer_loss_fn *loss;
    void *user;
    int n_states;
} outer_problem;

static void outer_cell(deq_graph *g, const deq_value *z, deq_value *grads, void *user)
{
    const outer_problem *o = user;
    deq_value loss = o->loss(g, z, o->user);
    deq_vjp(g, grads, &loss, NULL, 1, z, o->n_states);
}

static bool trace_outer(build *b, const deq_value *z0, int n_states)
{
    outer_problem problem = { b->o->outer_loss, b->o->outer_user, n_states };
    if (!problem.loss || b->o->forward.method != DEQ_ADJOINT_BROYDEN) return true;
    b->outer = deq_body_trace(b->g, outer_cell, &problem, z0, n_states, &b->outer_captured);
    return b->outer != NULL;
}

deq_status deq_equilibrium_supervised(deq_graph *g, deq_value *z, deq_cell_fn *cell, void *user,
                                      const deq_value *z0, int n_states,
                                      const deq_equilibrium_options *options,
                                      const deq_supervision *supervision,
                                      deq_equilibrium_report *report)
{
    deq_equilibrium_options o = options ? *options : deq_equilibrium_defaults();
    deq_supervision s = supervision ? *supervision : deq_supervision_defaults();
    build b = { .g = g, .o = &o, .s = &s, .out = z };
    if (!check_options(g, &o) || !check_supervision(g, &o, &s)) return deq_graph_status(g);
    if (o.gradient == DEQ_GRADIENT_SHINE && o.forward.method == DEQ_AUTO)
        o.forward.method = DEQ_BROYDEN;
    for (int i = 0; i < deq_supervised_count(&o, &s) * n_states; i++) z[i] = (deq_value){ -1 };
    if (!deq_check_states(g, z0, n_states)) return deq_graph_status(g);
    if (o.gradient == DEQ_GRADIENT_REVERSIBLE && o.tau == 1)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT,
                       "equilibrium: the reversible iteration needs tau (its beta) below 1");
    deq_body *body = deq_body_trace(g, cell, user, z0, n_states, &b.captured);
    if (!body) return deq_graph_status(g);
    b.body = body;
    if (!trace_outer(&b, z0, n_states)) {
        deq_body_release(body);
        return deq_graph_status(g);
    }
    int steps = o.forward.max_iter;
    if (o.gradient == DEQ_GRADIENT_UNROLL) {
        unroll(&b, z0, steps);
    } else if (o.gradient == DEQ_GRADIENT_REVERSIBLE) {
        memcpy(z, z0, (size_t)n_states * sizeof *z);
        sweep(&b, &deq_op_reversible, 2, z, steps);
        steps = (steps + 1) / 2 * 2;
    } else {
        solved(&b, z0, report);
        report = NULL; /* the solver's own */
    }
    if (report && deq_graph_status(g) == DEQ_OK)
        report_steps(&b, report, z + (deq_supervised_count(&o, &s) - 1) * n_states, steps);
    deq_body_release(body);
    deq_body_release(b.outer);
    return deq_graph_status(g);
}

deq_status deq_equilibrium_many(deq_graph *g, deq_value *z_star, deq_cell_fn *cell, void *user,
                                const deq_value *z0, int n_states,
                                const deq_equilibrium_options *options,
                                deq_equilibrium_report *report)
{
    deq_equilibrium_options o = options ? *options : deq_equilibrium_defaults();
    for (int i = 0; i < n_states && i < DEQ_MAX_STATES; i++) z_star[i] = (deq_value){ -1 };
    o.forward.n_states = 1; /* only z* is asked for */
    o.forward.n_state_index = 0;
    return deq_equilibrium_supervised(g, z_star, cell, user, z0, n_states, &o, NULL, report);
}

deq_value deq_equilibrium(deq_graph *g, deq_cell_fn *cell, void *user, deq_value z0,
                          const deq_equilibrium_options *options, deq_equilibrium_report *report)
{
    deq_value z_star = { -1 };
    deq_equilibrium_many(g, &z_star, cell, user, &z0, 1, options, report);
    return z_star;
}
