/* SPDX-License-Identifier: MIT */
/*
 * Unrolling with recomputation: the exact gradient of N damped steps that keeps one state a step and
 * nothing of what is inside f.
 *
 *   unrolled          z0, c     -> z_N
 *   unrolled_adjoint  z0, c, g  -> dz0, dc
 *
 *   forward    z_{k+1} = (1 - tau) z_k + tau f(z_k)                                      (1)
 *   backward   z_0 ... z_{N-1} again by (1), then from k = N - 1 down
 *              dc += tau g df/dc(z_k),  g <- (1 - tau) g + tau g J(z_k)                  (2)
 */
#include "implicit/sweep.h"

#include <string.h>

static const deq_op adjoint_op;

static int steps_of(const deq_sweep *s)
{
    return s->implicit->options.forward.max_iter;
}

static size_t row_bytes(const deq_sweep *s)
{
    return (deq_states_bytes(&s->states) + DEQ_ALIGNMENT - 1) / DEQ_ALIGNMENT * DEQ_ALIGNMENT;
}

/* The states on the way: what this estimator is known to cost. */
static deq_status prepare(deq_sweep *s, deq_lowering *l, bool adjoint)
{
    (void)l;
    if (!adjoint) return DEQ_OK;
    bool fits = deq_size_mul(&s->stored_bytes, row_bytes(s), (size_t)steps_of(s) + 1);
    return fits ? DEQ_OK : DEQ_ERR_OVERFLOW;
}

/* next = (1 - tau) z + tau f(z), by way of row 4. */
static deq_status step(deq_sweep *s, void *next, const void *z, void *const *slot)
{
    double tau = s->implicit->options.tau;
    void *fz = slot[s->rows[4]];
    DEQ_TRY(s->map.eval(s->map.user, fz, z, NULL, s->states.batch));
    if (next != z) memcpy(next, z, deq_states_bytes(&s->states));
    deq_sweep_combine(s, s->states.dtype, next, 1 - tau, fz, tau, s->states.batch * s->states.dim);
    return DEQ_OK;
}

static deq_status run_forward(deq_sweep *s, void *const *slot)
{
    void *z = slot[s->rows[0]];
    for (int k = 0; k < steps_of(s); k++) DEQ_TRY(step(s, z, z, slot)); /* (1) */
    return DEQ_OK;
}

static void *state(const deq_sweep *s, int k)
{
    return s->stored + (size_t)k * row_bytes(s);
}

static deq_status run_adjoint(deq_sweep *s, void *const *slot)
{
    const deq_states *st = &s->states;
    double tau = s->implicit->options.tau;
    void *g = slot[s->rows[2]], *gj = slot[s->rows[5]];
    memcpy(state(s, 0), slot[s->rows[0]], deq_states_bytes(st));
    for (int k = 0; k + 1 < steps_of(s); k++)
        DEQ_TRY(step(s, state(s, k + 1), state(s, k), slot)); /* (1) */
    for (int k = steps_of(s); k-- > 0;) {
        DEQ_TRY(deq_sweep_products(s, gj, g, state(s, k), tau, slot)); /* (2) */
        deq_sweep_combine(s, st->dtype, g, 1 - tau, gj, tau, st->batch * st->dim);
    }
    return DEQ_OK;
}

const deq_sweep_kind deq_sweep_unrolled = {
    .forward = &deq_op_unrolled,
    .adjoint = &adjoint_op,
    .ends = 1,
    .adjoint_starts = true,
    .prepare = prepare,
    .run_forward = run_forward,
    .run_adjoint = run_adjoint,
};

static bool infer_forward(deq_shape_rule *r)
{
    return deq_sweep_infer_forward(r, &deq_sweep_unrolled);
}

static bool infer_adjoint(deq_shape_rule *r)
{
    return deq_sweep_infer_adjoint(r);
}

static void forward_vjp(const deq_frame *f, const deq_value *dy, deq_value *dx)
{
    deq_sweep_vjp(f, &deq_sweep_unrolled, dy, dx);
}

static deq_status lower(deq_lowering *l, const deq_node *n)
{
    return deq_sweep_lower(l, n, &deq_sweep_unrolled);
}

const deq_op deq_op_unrolled = {
    .name = "unrolled",
    .attr_bytes = sizeof(deq_implicit_attr),
    .infer = infer_forward,
    .vjp = forward_vjp,
    .jvp = deq_sweep_no_jvp,
    .retain = deq_sweep_retain,
    .release = deq_sweep_release,
    .lower = lower,
};

static const deq_op adjoint_op = {
    .name = "unrolled_adjoint",
    .attr_bytes = sizeof(deq_implicit_attr),
    .infer = infer_adjoint,
    .vjp = deq_sweep_no_vjp,
    .jvp = deq_sweep_no_jvp,
    .retain = deq_sweep_retain,
    .release = deq_sweep_release,
    .lower = lower,
};
