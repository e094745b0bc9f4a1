/* SPDX-License-Identifier: MIT */
/*
 * BiCGSTAB (van der Vorst 1992), two applications of A a step.
 *
 *   p = r = b - A u,  shadow = r,  rho = shadow . r
 *   v     = A p
 *   alpha = rho / shadow . v             (1)
 *   s     = r - alpha v,  u += alpha p   (2)     s takes the place of r
 *   t     = A s
 *   omega = t . s / t . t                (3)
 *   r     = s - omega t,  u += omega s   (4)
 *   beta  = (shadow . r / rho) (alpha / omega)
 *   p     = r + beta (p - omega v)       (5)
 *
 * A denominator that has vanished beside the vectors it is made of carries no digits.  The method
 * then begins anew with the present residual as shadow.  If that very shadow is orthogonal to
 * v = A r, as it is for skew A, it is bent towards v.
 */
#include "solver/linear_sample.h"

#include <math.h>

enum { SHADOW = DEQ_LINEAR_OWN, P, V, T, ROWS };
enum { HAVE_V, HAVE_T };

static void begin(deq_linear_solver *s, int64_t k)
{
    deq_linear_sample *c = &s->samples[k];
    const void *r = deq_linear_row(s, DEQ_LINEAR_R, k);
    deq_vector_copy(&s->v, deq_linear_row(s, SHADOW, k), r);
    deq_vector_copy(&s->v, deq_linear_row(s, P, k), r);
    c->shadow = c->residual;
    c->rho = c->residual * c->residual;
    c->j = 0;
    deq_linear_ask(s, k, P, V, HAVE_V);
}

/* Begin anew at the present u and r, |r| = residual. */
static void begin_anew(deq_linear_solver *s, int64_t k, double residual)
{
    deq_linear_info *info = &s->samples[k].info;
    info->breakdown = DEQ_BREAKDOWN_ORTHOGONAL;
    info->n_restart++;
    deq_linear_begin(s, k, residual);
}

/* shadow = r + (|r| / |v|) v, where r = p was orthogonal to v = A p; returns shadow . v */
static double bend_shadow(deq_linear_solver *s, int64_t k, double v_norm)
{
    deq_linear_sample *c = &s->samples[k];
    void *shadow = deq_linear_row(s, SHADOW, k), *v = deq_linear_row(s, V, k);
    c->info.breakdown = DEQ_BREAKDOWN_ORTHOGONAL;
    c->shadow = sqrt(deq_vector_combine(&s->v, shadow, c->residual / v_norm, v, 1));
    c->rho = deq_vector_dot(&s->v, shadow, deq_linear_row(s, DEQ_LINEAR_R, k));
    return deq_vector_dot(&s->v, shadow, v);
}

static void take_v(deq_linear_solver *s, int64_t k)
{
    deq_linear_sample *c = &s->samples[k];
    void *x = deq_linear_row(s, DEQ_LINEAR_X, k), *r = deq_linear_row(s, DEQ_LINEAR_R, k);
    const void *p = deq_linear_row(s, P, k), *v = deq_linear_row(s, V, k);

    double norm = deq_vector_norm(&s->v, v);
    double along = deq_vector_dot(&s->v, deq_linear_row(s, SHADOW, k), v);
    if (!isfinite(norm)) {
        deq_linear_finish(s, k, DEQ_NON_FINITE);
        return;
    }
    if (norm == 0) { /* A p = 0 */
        c->info.breakdown = DEQ_BREAKDOWN_SINGULAR;
        deq_linear_finish(s, k, DEQ_STAGNATED);
        return;
    }
    if (fabs(along) <= s->epsilon * c->shadow * norm) {
        if (c->j > 0) {
            begin_anew(s, k, deq_vector_norm(&s->v, r));
            return;
        }
        along = bend_shadow(s, k, norm);
    }
    c->alpha = c->rho / along;                          /* (1) */
    (void)deq_vector_combine(&s->v, x, c->alpha, p, 1); /* (2) */
    double residual = sqrt(deq_vector_combine(&s->v, r, -c->alpha, v, 1));
    if (!isfinite(residual) || residual <= c->tol || !deq_linear_may_apply(s, k)) {
        if (deq_linear_keep(s, k, residual)) deq_linear_verify(s, k, residual);
        return;
    }
    deq_linear_ask(s, k, DEQ_LINEAR_R, T, HAVE_T);
}

static void take_t(deq_linear_solver *s, int64_t k)
{
    deq_linear_sample *c = &s->samples[k];
    void *x = deq_linear_row(s, DEQ_LINEAR_X, k), *r = deq_linear_row(s, DEQ_LINEAR_R, k);
    void *p = deq_linear_row(s, P, k);
    const void *v = deq_linear_row(s, V, k), *t = deq_linear_row(s, T, k);

    double tt = deq_vector_dot(&s->v, t, t), ts = deq_vector_dot(&s->v, t, r);
    double s_norm = deq_vector_norm(&s->v, r);
    if (fabs(ts) <= s->epsilon * sqrt(tt) * s_norm) { /* omega = 0: (4) leaves u as it is */
        if (deq_linear_keep(s, k, s_norm) && deq_linear_gains(s, k, s_norm))
            begin_anew(s, k, s_norm);
        return;
    }
    double omega = ts / tt;                          /* (3) */
    (void)deq_vector_combine(&s->v, x, omega, r, 1); /* (4) */
    double residual = sqrt(deq_vector_combine(&s->v, r, -omega, t, 1));
    if (!deq_linear_keep(s, k, residual)) return;
    if (residual <= c->tol || !deq_linear_may_apply(s, k)) {
        deq_linear_verify(s, k, residual);
        return;
    }
    if (!deq_linear_gains(s, k, residual)) return;
    double rho = deq_vector_dot(&s->v, deq_linear_row(s, SHADOW, k), r);
    if (fabs(rho) <= s->epsilon * c->shadow * residual) {
        begin_anew(s, k, residual);
        return;
    }
    double beta = rho / c->rho * (c->alpha / omega);
    (void)deq_vector_combine(&s->v, p, -omega, v, 1); /* (5) */
    (void)deq_vector_combine(&s->v, p, 1, r, beta);
    c->rho = rho;
    c->j++;
    deq_linear_ask(s, k, P, V, HAVE_V);
}

static void step(deq_linear_solver *s, int64_t k)
{
    if (s->samples[k].phase == HAVE_V)
        take_v(s, k);
    else
        take_t(s, k);
}

deq_linear_kind deq_bicgstab_kind(void)
{
    return (deq_linear_kind){ .name = "bicgstab", .rows = ROWS, .begin = begin, .step = step };
}
