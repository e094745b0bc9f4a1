/* SPDX-License-Identifier: MIT */
/*
 * The reversible estimator (arXiv 2509.12917): the exact gradient of N coupled steps, whose states
 * are computed again on the way back instead of being kept.
 *
 *   reversible          z0, c                   -> z_N, y_N
 *   reversible_adjoint  z_N, y_N, c, gz, gy     -> dz0, dc
 *
 *   forward    y' = (1 - beta) y + beta f(z),   z' = (1 - beta) z + beta f(y'),   y_0 = z_0
 *   backward   z, y from z', y' by the inverse;                                          (1)
 *              gy += beta gz J(y'),                 dc += beta gz df/dc(y')              (2)
 *              gz <- (1 - beta) gz + beta gy J(z),  dc += beta gy df/dc(z)               (3)
 *              gy <- (1 - beta) gy                                                       (4)
 *
 * and at the end dz0 = gz + gy.  options.tau is beta; N is half of options.forward.max_iter.
 *
 * Rounding grows by 1 / (1 - beta) a step of (1).  What it has come to is seen at the end, where y_0
 * and z_0 should be the same.
 */
#include "implicit/sweep.h"
#include "solver/vector.h"

#include <math.h>
#include <string.h>

/* |y_0 - z_0| / |z_N|, above which the gradient is not to be trusted: that is said. */
static const double tolerated_loss = 1e-3;

static const deq_op adjoint_op;

static int steps_of(const deq_sweep *s)
{
    return (s->implicit->options.forward.max_iter + 1) / 2;
}

static deq_status prepare(deq_sweep *s, deq_lowering *l, bool adjoint)
{
    (void)adjoint;
    return deq_reversible_new(&s->pair, l->ctx, s->states.dtype, s->states.batch, s->states.dim,
                              s->implicit->options.tau);
}

static deq_status run_forward(deq_sweep *s, void *const *slot)
{
    void *z = slot[s->rows[0]], *y = slot[s->rows[1]];
    memcpy(y, z, deq_states_bytes(&s->states));
    return deq_reversible_forward(y, z, s->pair, &s->map, steps_of(s));
}

/* The largest |x| or, with y, |x - y| of a sample; both as rows. */
static double largest(const deq_sweep *s, const void *x, const void *y)
{
    const deq_kernels *k = deq_kernels_for(s->states.dtype, deq_context_isa(s->ctx));
    double most = 0;
    for (int64_t b = 0; b < s->states.batch; b++) {
        size_t at = (size_t)(b * s->states.dim) * k->size;
        const void *xb = (const char *)x + at;
        double square;
        if (y)
            square = k->distance(xb, (const char *)y + at, s->states.dim);
        else
            k->dots(&square, &xb, NULL, 1, xb, s->states.dim);
        if (!(square <= most)) most = square; /* NaN too */
    }
    return sqrt(most);
}

static void tell(const deq_sweep *s, double size, double loss)
{
    double beta = s->implicit->options.tau;
    if (loss <= tolerated_loss * size) return;
    deq_log_line(
        s->ctx, DEQ_LOG_WARNING,
        "reversible gradient: going back over %d steps lost precision, |y0 - z0| is %.3g of "
        "|z| = %.3g; rounding grows %.3g-fold a step with tau = %.3g: fewer steps, a smaller "
        "tau or f64 would help",
        steps_of(s), loss, size, 1 / (1 - beta), beta);
}

static deq_status run_adjoint(deq_sweep *s, void *const *slot)
{
    void *z = slot[s->rows[0]], *y = slot[s->rows[1]], *gz = slot[s->rows[2]];
    void *gy = slot[s->rows[3]], *uj = slot[s->rows[4]], *y_next = slot[s->rows[5]];
    const deq_states *st = &s->states;
    double beta = s->implicit->options.tau;
    int64_t n = st->batch * st->dim;
    double size = largest(s, z, NULL);
    for (int k = steps_of(s); k-- > 0;) {
        memcpy(y_next, y, deq_states_bytes(st));
        DEQ_TRY(deq_reversible_backward(y, z, s->pair, &s->map, 1)); /* (1) */
        DEQ_TRY(deq_sweep_products(s, uj, gz, y_next, beta, slot));
        deq_sweep_combine(s, st->dtype, gy, 1, uj, beta, n); /* (2) */
        DEQ_TRY(deq_sweep_products(s, uj, gy, z, beta, slot));
        deq_sweep_combine(s, st->dtype, gz, 1 - beta, uj, beta, n); /* (3) */
        deq_sweep_combine(s, st->dtype, gy, 1 - beta, gy, 0, n);    /* (4) */
    }
    deq_sweep_combine(s, st->dtype, gz, 1, gy, 1, n); /* y_0 = z_0 */
    tell(s, size, largest(s, y, z));
    return DEQ_OK;
}

const deq_sweep_kind deq_sweep_reversible = {
    .forward = &deq_op_reversible,
    .adjoint = &adjoint_op,
    .ends = 2,
    .prepare = prepare,
    .run_forward = run_forward,
    .run_adjoint = run_adjoint,
};

static bool infer_forward(deq_shape_rule *r)
{
    return deq_sweep_infer_forward(r, &deq_sweep_reversible);
}

static bool infer_adjoint(deq_shape_rule *r)
{
    return deq_sweep_infer_adjoint(r);
}

static void forward_vjp(const deq_frame *f, const deq_value *dy, deq_value *dx)
{
    deq_sweep_vjp(f, &deq_sweep_reversible, dy, dx);
}

static deq_status lower(deq_lowering *l, const deq_node *n)
{
    return deq_sweep_lower(l, n, &deq_sweep_reversible);
}

const deq_op deq_op_reversible = {
    .name = "reversible",
    .attr_bytes = sizeof(deq_implicit_attr),
    .infer = infer_forward,
    .vjp = forward_vjp,
    .jvp = deq_sweep_no_jvp,
    .retain = deq_sweep_retain,
    .release = deq_sweep_release,
    .lower = lower,
};

static const deq_op adjoint_op = {
    .name = "reversible_adjoint",
    .attr_bytes = sizeof(deq_implicit_attr),
    .infer = infer_adjoint,
    .vjp = deq_sweep_no_vjp,
    .jvp = deq_sweep_no_jvp,
    .retain = deq_sweep_retain,
    .release = deq_sweep_release,
    .lower = lower,
};
