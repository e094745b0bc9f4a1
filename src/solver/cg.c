/* SPDX-License-Identifier: MIT */
/*
 * Conjugate gradients for A symmetric and positive definite (Hestenes & Stiefel 1952).
 *
 *   p_0 = r_0 = b - A u_0,   rho_i = r_i . r_i
 *   q     = A p_i
 *   alpha = rho_i / p_i . q              (1)
 *   u_{i+1} = u_i + alpha p_i            (2)
 *   r_{i+1} = r_i - alpha q              (3)
 *   p_{i+1} = r_{i+1} + (rho_{i+1} / rho_i) p_i          (4)
 *
 * A curvature p . A p that is not positive proves that A is not positive definite; the method then
 * has no meaning and stops.
 */
#include "solver/linear_sample.h"

#include <math.h>

enum { P = DEQ_LINEAR_OWN, Q, ROWS };

static void begin(deq_linear_solver *s, int64_t k)
{
    deq_linear_sample *c = &s->samples[k];
    deq_vector_copy(&s->v, deq_linear_row(s, P, k), deq_linear_row(s, DEQ_LINEAR_R, k));
    c->rho = c->residual * c->residual;
    deq_linear_ask(s, k, P, Q, 0);
}

static void step(deq_linear_solver *s, int64_t k)
{
    deq_linear_sample *c = &s->samples[k];
    void *x = deq_linear_row(s, DEQ_LINEAR_X, k), *r = deq_linear_row(s, DEQ_LINEAR_R, k);
    void *p = deq_linear_row(s, P, k), *q = deq_linear_row(s, Q, k);

    double curvature = deq_vector_dot(&s->v, p, q);
    if (!(curvature > 0) || isinf(curvature)) {
        if (curvature <= 0) c->info.breakdown = DEQ_BREAKDOWN_NOT_POSITIVE;
        deq_linear_finish(s, k, curvature <= 0 ? DEQ_STAGNATED : DEQ_NON_FINITE);
        return;
    }
    double alpha = c->rho / curvature;                       /* (1) */
    (void)deq_vector_combine(&s->v, x, alpha, p, 1);         /* (2) */
    double rho = deq_vector_combine(&s->v, r, -alpha, q, 1); /* (3) */
    double residual = sqrt(rho);
    if (!deq_linear_keep(s, k, residual)) return;
    if (residual <= c->tol || !deq_linear_may_apply(s, k)) {
        deq_linear_verify(s, k, residual);
        return;
    }
    if (!deq_linear_gains(s, k, residual)) return;
    (void)deq_vector_combine(&s->v, p, 1, r, rho / c->rho); /* (4) */
    c->rho = rho;
    deq_linear_ask(s, k, P, Q, 0);
}

deq_linear_kind deq_cg_kind(void)
{
    return (deq_linear_kind){ .name = "cg", .rows = ROWS, .begin = begin, .step = step };
}
