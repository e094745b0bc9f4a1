/* SPDX-License-Identifier: MIT */
/*
 * Adjoint Broyden (docs/math/broyden.md; Schlenkrich, Griewank & Walther 2010).  The inverse of the
 * Jacobian J - I of g = f - 1 is estimated by B = -gamma I + sum_i u_i v_i'.
 *
 *     step        z+ = z + p,  p = -B g(z)                                                   (1)
 *     direction   sigma = g(z+); every few steps also e = B grad L(z+), scaled to |p|        (2)
 *     update      w' = sigma' (J - I),  a = B sigma,  b' = w' B                              (3)
 *                 B+ = B + a c',   c = (sigma - b) / (b' sigma)                              (4)
 *
 * so that w' B+ = sigma': B+ inverts from the left in direction sigma.  After (4) with sigma = g(z+),
 * -B+ g(z+) = -a |sigma|^2 / (b' sigma).  w takes a product with the transposed Jacobian.  The second
 * direction is the outer-problem-aware update of Ramzi et al. (2022).
 */
#include "solver/low_rank.h"

#include <math.h>
#include <string.h>

static const double least_number = 1e-290;     /* whose inverse is safe */
static const double least_denominator = 1e-10; /* of the terms that it is the sum of */

typedef struct update {
    bool append;
    double p_norm;                                 /* of the step taken last */
    double scale;                                  /* of e */
    double vs[DEQ_MEMORY_MAX], uw[DEQ_MEMORY_MAX]; /* v_i.sigma, u_i.w */
    double denominator;                            /* b.sigma */
} update;

typedef struct adjoint {
    deq_low_rank l;
    void *zs[2], *fz, *g, *sigma, *w;
    update *update;
} adjoint;

static update *update_of(const deq_solver *s, int64_t row)
{
    return &((adjoint *)s->method)->update[s->b.sample[row]];
}

static void *next_z(const deq_solver *s)
{
    const adjoint *m = s->method;
    return s->z == m->zs[0] ? m->zs[1] : m->zs[0];
}

static void measure(void *self, int64_t row, int64_t at, int64_t count, double *sums)
{
    deq_solver *s = self;
    const adjoint *m = s->method;
    void *g = deq_at(&s->b, m->g, row, at);
    s->b.k->residual(g, deq_at(&s->b, s->fz, row, at), deq_at(&s->b, s->z, row, at), count, sums);
    memcpy(deq_at(&s->b, m->sigma, row, at), g, (size_t)count * s->b.k->size);
}

static void judge(void *self, int64_t row, const double *sums)
{
    (void)deq_judge(self, row, sums[0], sums[1], false);
}

/* The update (3), (4) in direction sigma ------------------------------------------------------- */

/* sums: sigma.sigma, w.sigma;  v_i.sigma, u_i.w.  w arrives as J' sigma. */
static void multiply(void *self, int64_t row, int64_t at, int64_t count, double *sums)
{
    deq_solver *s = self;
    const adjoint *m = s->method;
    const deq_kernels *k = s->b.k;
    const void *u[DEQ_MEMORY_MAX], *v[DEQ_MEMORY_MAX], *sigma = deq_at(&s->b, m->sigma, row, at);
    void *w = deq_at(&s->b, m->w, row, at);
    int n = deq_low_rank_list(&m->l, s, row, at, u, v);
    k->combine(w, 1, w, -1, sigma, NULL, NULL, NULL, 0, count);
    k->dots(sums, &sigma, NULL, 1, sigma, count);
    k->dots(sums + 1, &sigma, NULL, 1, w, count);
    k->dots(sums + 2, v, NULL, n, sigma, count);
    k->dots(sums + 2 + n, u, NULL, n, w, count);
}

/* Make room for one more pair; returns how many of the oldest products no longer count. */
static int make_room(deq_solver *s, int64_t row)
{
    adjoint *m = s->method;
    int64_t sample = s->b.sample[row];
    int rank = m->l.rank[sample];
    if (rank < m->l.capacity) return 0;
    if (s->o.adjoint_broyden.reduction == DEQ_REDUCE_OLDEST) {
        deq_low_rank_drop(&m->l, sample);
        return 1;
    }
    deq_low_rank_forget(&m->l, sample);
    deq_row_info(s, row)->n_restart++;
    return rank;
}

static void prepare_update(void *self, int64_t row, const double *sums)
{
    deq_solver *s = self;
    const adjoint *m = s->method;
    update *p = update_of(s, row);
    int n = m->l.rank[s->b.sample[row]], lost = make_room(s, row);
    double size = fabs(m->l.gamma * sums[1]);
    p->denominator = -m->l.gamma * sums[1];
    for (int i = lost; i < n; i++) {
        p->vs[i - lost] = sums[2 + i];
        p->uw[i - lost] = sums[2 + n + i];
        p->denominator += sums[2 + i] * sums[2 + n + i];
        size = fmax(size, fabs(sums[2 + i] * sums[2 + n + i]));
    }
    p->append = isfinite(p->denominator) &&
                fabs(p->denominator) > fmax(least_denominator * size, least_number);
    if (!p->append) deq_row_info(s, row)->n_singular++;
}

static void write_pair(void *self, int64_t row, int64_t at, int64_t count, double *sums)
{
    deq_solver *s = self;
    const adjoint *m = s->method;
    const update *p = update_of(s, row);
    const deq_kernels *k = s->b.k;
    const void *u[DEQ_MEMORY_MAX], *v[DEQ_MEMORY_MAX], *sigma = deq_at(&s->b, m->sigma, row, at);
    double scale = 1 / p->denominator, c[DEQ_MEMORY_MAX];
    int n = deq_low_rank_list(&m->l, s, row, at, u, v);
    int t = deq_low_rank_slot(&m->l, s->b.sample[row], n);
    (void)sums;
    if (!p->append) return;
    k->combine(deq_at(&s->b, m->l.U[t], row, at), -m->l.gamma, sigma, 0, NULL, p->vs, u, NULL, n,
               count);
    for (int i = 0; i < n; i++) c[i] = -scale * p->uw[i];
    k->combine(deq_at(&s->b, m->l.V[t], row, at), scale, sigma, scale * m->l.gamma,
               deq_at(&s->b, m->w, row, at), c, v, NULL, n, count);
}

static void pair_written(void *self, int64_t row, const double *sums)
{
    deq_solver *s = self;
    adjoint *m = s->method;
    int64_t sample = s->b.sample[row];
    (void)sums;
    m->l.rank[sample] += update_of(s, row)->append;
    if (s->sample[sample].is_best) m->l.best[sample] = m->l.rank[sample];
}

static deq_status update_factors(deq_solver *s)
{
    static const deq_phase phases[] = { { 2 + 2 * DEQ_MEMORY_MAX, multiply, prepare_update },
                                        { 0, write_pair, pair_written } };
    adjoint *m = s->method;
    DEQ_TRY(deq_solver_vjp(s, m->w, m->sigma));
    deq_batch_run(&s->b, phases, 2, s);
    return DEQ_OK;
}

/* The outer problem's direction (2) ------------------------------------------------------------ */

/* v_i . grad, of the gradient in w; then e = B grad into sigma, with its square. */
static void multiply_outer(void *self, int64_t row, int64_t at, int64_t count, double *sums)
{
    deq_solver *s = self;
    const adjoint *m = s->method;
    const void *u[DEQ_MEMORY_MAX], *v[DEQ_MEMORY_MAX];
    int n = deq_low_rank_list(&m->l, s, row, at, u, v);
    s->b.k->dots(sums, v, NULL, n, deq_at(&s->b, m->w, row, at), count);
}

static void keep_outer(void *self, int64_t row, const double *sums)
{
    memcpy(update_of(self, row)->vs, sums, sizeof(double) * DEQ_MEMORY_MAX);
}

static void write_outer(void *self, int64_t row, int64_t at, int64_t count, double *sums)
{
    deq_solver *s = self;
    const adjoint *m = s->method;
    const void *u[DEQ_MEMORY_MAX], *v[DEQ_MEMORY_MAX], *e = deq_at(&s->b, m->sigma, row, at);
    int n = deq_low_rank_list(&m->l, s, row, at, u, v);
    s->b.k->combine(deq_at(&s->b, m->sigma, row, at), -m->l.gamma, deq_at(&s->b, m->w, row, at), 0,
                    NULL, update_of(s, row)->vs, u, NULL, n, count);
    s->b.k->dots(sums, &e, NULL, 1, e, count);
}

static void scale_of_outer(void *self, int64_t row, const double *sums)
{
    update *p = update_of(self, row);
    p->scale = sums[0] > 0 && p->p_norm > 0 ? p->p_norm / sqrt(sums[0]) : 1;
}

static void scale_outer(void *self, int64_t row, int64_t at, int64_t count, double *sums)
{
    deq_solver *s = self;
    void *e = deq_at(&s->b, ((const adjoint *)s->method)->sigma, row, at);
    (void)sums;
    s->b.k->combine(e, update_of(s, row)->scale, e, 0, NULL, NULL, NULL, NULL, 0, count);
}

static deq_status update_outer(deq_solver *s)
{
    static const deq_phase phases[] = { { DEQ_MEMORY_MAX, multiply_outer, keep_outer },
                                        { 1, write_outer, scale_of_outer },
                                        { 0, scale_outer, NULL } };
    const deq_adjoint_broyden_options *o = &s->o.adjoint_broyden;
    adjoint *m = s->method;
    if (!o->outer_gradient || s->info.n_feval <= 2 || s->info.n_feval % o->outer_every != 0)
        return DEQ_OK;
    DEQ_TRY(o->outer_gradient(o->outer_user, m->w, s->z, s->b.sample, s->b.n));
    deq_batch_run(&s->b, phases, 3, s);
    return update_factors(s);
}

/* The step (1) --------------------------------------------------------------------------------- */

static void multiply_step(void *self, int64_t row, int64_t at, int64_t count, double *sums)
{
    deq_solver *s = self;
    const adjoint *m = s->method;
    const void *u[DEQ_MEMORY_MAX], *v[DEQ_MEMORY_MAX];
    int n = deq_low_rank_list(&m->l, s, row, at, u, v);
    s->b.k->dots(sums, v, NULL, n, deq_at(&s->b, m->g, row, at), count);
}

/* z + p = z + gamma g - sum_i (v_i.g) u_i */
static void move(void *self, int64_t row, int64_t at, int64_t count, double *sums)
{
    deq_solver *s = self;
    const adjoint *m = s->method;
    const void *u[DEQ_MEMORY_MAX], *v[DEQ_MEMORY_MAX];
    void *z = deq_at(&s->b, next_z(s), row, at);
    double c[DEQ_MEMORY_MAX];
    int n = deq_low_rank_list(&m->l, s, row, at, u, v);
    for (int i = 0; i < n; i++) c[i] = -update_of(s, row)->vs[i];
    deq_rescue(s, row, at, count, next_z(s));
    s->b.k->combine(z, 1, deq_at(&s->b, s->z, row, at), m->l.gamma, deq_at(&s->b, m->g, row, at), c,
                    u, NULL, n, count);
    sums[0] = s->b.k->distance(z, deq_at(&s->b, s->z, row, at), count);
}

static void moved(void *self, int64_t row, const double *sums)
{
    deq_rescued(self, row, next_z(self));
    update_of(self, row)->p_norm = sqrt(sums[0]);
}

static deq_status step(deq_solver *s)
{
    static const deq_phase first = { 2, measure, judge };
    static const deq_phase last[] = { { DEQ_MEMORY_MAX, multiply_step, keep_outer },
                                      { 1, move, moved } };
    bool any = false;
    deq_batch_run(&s->b, &first, 1, s);
    for (int64_t r = 0; r < s->b.n; r++) any = any || s->b.active[s->b.sample[r]];
    if (!any) return DEQ_OK;
    DEQ_TRY(deq_solver_linearise(s, s->z));
    DEQ_TRY(update_factors(s));
    DEQ_TRY(update_outer(s));
    deq_batch_run(&s->b, last, 2, s);
    s->z = next_z(s);
    return DEQ_OK;
}

static void remember(deq_solver *s, int64_t row)
{
    deq_low_rank_remember(&((const adjoint *)s->method)->l, s, row);
}

static void begin(deq_solver *s)
{
    adjoint *m = s->method;
    deq_low_rank_begin(&m->l, s);
    for (int64_t i = 0; i < s->b.B; i++) m->update[i] = (update){ .p_norm = 0 };
    s->z = m->zs[0];
    s->fz = m->fz;
}

static deq_status prepare(deq_solver *s)
{
    const deq_adjoint_broyden_options *o = &s->o.adjoint_broyden;
    adjoint *m = s->method = deq_alloc(s->ctx, sizeof *m);
    if (!m) return DEQ_ERR_NOMEM;
    m->update = deq_alloc_array(s->ctx, (size_t)s->b.B, sizeof *m->update);
    if (!m->update) return DEQ_ERR_NOMEM;
    void **vector[] = { &m->zs[0], &m->zs[1], &m->fz, &m->g, &m->sigma, &m->w };
    for (int i = 0; i < 6; i++)
        if (!(*vector[i] = deq_batch_vector(&s->b))) return DEQ_ERR_NOMEM;
    return deq_low_rank_prepare(&m->l, s, o->memory, o->gamma);
}

static void release(deq_solver *s)
{
    adjoint *m = s->method;
    deq_low_rank_release(&m->l, s);
    deq_release(s->ctx, m->update, (size_t)s->b.B * sizeof *m->update);
    deq_release(s->ctx, m, sizeof *m);
}

const deq_method_kind deq_kind_adjoint_broyden = { .method = DEQ_ADJOINT_BROYDEN,
                                                   .needs_vjp = true,
                                                   .prepare = prepare,
                                                   .release = release,
                                                   .begin = begin,
                                                   .step = step,
                                                   .remember = remember };
