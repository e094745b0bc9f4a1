/* SPDX-License-Identifier: MIT */
/*
 * Broyden's methods (docs/math/broyden.md).  The inverse of the Jacobian of g = f - 1 is estimated by
 * B = -gamma I + sum_i u_i v_i'.
 *
 *     step     p = -B g(z),  z+ = z + s p,  dz = s p,  dg = g(z+) - g(z)                     (1)
 *     good     v' = dz' B,   u = (dz - B dg) / (v' dg)                                       (2)
 *     bad      v = dg,       u = (dz - B dg) / (dg' dg)                                      (3)
 *     search   s = 1, then shorter, until |g(z+)|^2 <= (1 - 2 c1 s) |g(z)|^2                 (4)
 *
 * All products that an update needs are inner products of the factors with p, dg and g(z+), which one
 * sweep gives; a second sweep writes u, v, the next p and z + p.  A sample that searches along its
 * line is evaluated at another trial point while its companions go on.
 */
#include "solver/low_rank.h"

#include <math.h>
#include <string.h>

static const double least_denominator = 1e-10; /* of the terms that it is the sum of */

/* One sample's step. */
typedef struct line {
    double phi;    /* |g|^2 at the base point */
    double s;      /* step to the point that was evaluated; 0 before the first */
    bool accepted; /* that point becomes the base point */
    bool append;   /* a pair is made */
    bool anything; /* accept the next point, whatever it is: the search has failed */
    bool steepest; /* p is to become gamma g of the base point: the search has failed */
    double a[DEQ_MEMORY_MAX], b[DEQ_MEMORY_MAX], c[DEQ_MEMORY_MAX]; /* u.dz, v.dg, v.g(z+) */
    double denominator, vg; /* of u; v.g(z+) for the new v */
} line;

typedef struct broyden {
    deq_low_rank l;
    void *zs[2], *fz, *p, *g, *g_new, *base;
    line *line; /* [batch] by sample */
} broyden;

static line *line_of(const deq_solver *s, int64_t row)
{
    return &((broyden *)s->method)->line[s->b.sample[row]];
}

static void *next_z(const deq_solver *s)
{
    const broyden *m = s->method;
    return s->z == m->zs[0] ? m->zs[1] : m->zs[0];
}

/* First sweep: the residual, and whether the point is taken ------------------------------------ */

static void measure(void *self, int64_t row, int64_t at, int64_t count, double *sums)
{
    deq_solver *s = self;
    const broyden *m = s->method;
    s->b.k->residual(deq_at(&s->b, m->g_new, row, at), deq_at(&s->b, s->fz, row, at),
                     deq_at(&s->b, s->z, row, at), count, sums);
}

/* (4) is not met: the minimum of the parabola through phi(0), phi'(0) = -2 phi(0) and phi(s). */
static void shorten(deq_solver *s, int64_t row, line *w, double phi)
{
    double curvature = phi - w->phi + 2 * w->phi * w->s, next = w->phi * w->s * w->s / curvature;
    if (!(next >= 0.1 * w->s)) next = 0.1 * w->s;
    if (next > 0.5 * w->s || !isfinite(phi)) next = 0.5 * w->s;
    deq_row_sample(s, row)->n_rejected++;
    w->s = next;
    if (next >= s->o.broyden.min_step) return;
    deq_row_info(s, row)->n_search_failed++;
    deq_row_info(s, row)->n_fallback++;
    deq_low_rank_forget(&((broyden *)s->method)->l, s->b.sample[row]);
    w->s = 1;
    w->steepest = w->anything = true;
}

/* Is the point so bad that the factors must be? */
static bool start_anew(const deq_solver *s, int64_t row)
{
    double safeguard = s->o.broyden.safeguard;
    return safeguard > 0 && !s->o.broyden.line_search &&
           deq_row_sample(s, row)->residual > safeguard * deq_row_info(s, row)->residual;
}

static void judge(void *self, int64_t row, const double *sums)
{
    deq_solver *s = self;
    broyden *m = s->method;
    line *w = line_of(s, row);
    bool search = s->o.broyden.line_search && w->s > 0 && !w->anything;
    w->steepest = false;
    w->append = w->s > 0;
    if (!deq_judge(s, row, sums[0], sums[1], search)) return;
    w->accepted = !search || sums[0] <= (1 - 2 * s->o.broyden.armijo * w->s) * w->phi;
    if (!w->accepted) {
        shorten(s, row, w, sums[0]);
        return;
    }
    w->anything = false;
    w->phi = sums[0];
    if (start_anew(s, row)) {
        w->append = false;
        deq_low_rank_forget(&m->l, s->b.sample[row]);
        deq_row_info(s, row)->n_restart++;
        deq_row_info(s, row)->n_fallback++;
    }
}

/* Second sweep: products ---------------------------------------------------------------------- */

/* sums: p.p, p.dg, p.g+, dg.dg, dg.g+;  then v_i.g+, v_i.dg, u_i.p. */
static void multiply(void *self, int64_t row, int64_t at, int64_t count, double *sums)
{
    deq_solver *s = self;
    const broyden *m = s->method;
    const line *w = line_of(s, row);
    const deq_kernels *k = s->b.k;
    const void *u[DEQ_MEMORY_MAX], *v[DEQ_MEMORY_MAX];
    double change[DEQ_CHUNK]; /* dg, room for either dtype */
    const void *g = deq_at(&s->b, m->g_new, row, at), *p = deq_at(&s->b, m->p, row, at);
    int n = deq_low_rank_list(&m->l, s, row, at, u, v);
    if (!w->accepted) return;
    k->dots(sums + 5, v, NULL, n, g, count);
    if (!w->append) return;
    k->combine(change, 1, g, -1, deq_at(&s->b, m->g, row, at), NULL, NULL, NULL, 0, count);
    const void *few[2] = { p, change };
    k->dots(sums, &p, NULL, 1, p, count);
    k->dots(sums + 1, few, NULL, 1, change, count);
    k->dots(sums + 2, &p, NULL, 1, g, count);
    k->dots(sums + 3, few + 1, NULL, 1, change, count);
    k->dots(sums + 4, few + 1, NULL, 1, g, count);
    k->dots(sums + 5 + n, v, NULL, n, change, count);
    k->dots(sums + 5 + 2 * n, u, NULL, n, p, count);
}

/* Make room for one more pair; returns how many of the oldest products no longer count. */
static int make_room(deq_solver *s, int64_t row)
{
    broyden *m = s->method;
    int64_t sample = s->b.sample[row];
    int rank = m->l.rank[sample];
    if (rank < m->l.capacity) return 0;
    if (s->o.broyden.reduction == DEQ_REDUCE_OLDEST) {
        deq_low_rank_drop(&m->l, sample);
        return 1;
    }
    deq_low_rank_forget(&m->l, sample);
    deq_row_info(s, row)->n_restart++;
    return rank;
}

static void prepare_pair(const deq_solver *s, line *w, int n, const double *sums)
{
    double gamma = s->o.broyden.gamma, size = 0;
    double dz_dg = w->s * sums[1], dz_g = w->s * sums[2], dz_dz = w->s * w->s * sums[0];
    if (s->o.broyden.bad) {
        w->denominator = size = sums[3];
        w->vg = sums[4];
    } else {
        w->denominator = -gamma * dz_dg;
        w->vg = -gamma * dz_g;
        size = fmax(dz_dz, fabs(w->denominator));
        for (int i = 0; i < n; i++) {
            w->denominator += w->a[i] * w->b[i];
            w->vg += w->a[i] * w->c[i];
            size = fmax(size, fabs(w->a[i] * w->b[i]));
        }
    }
    w->append = isfinite(w->denominator) && isfinite(w->vg) && fabs(w->denominator) > 0 &&
                fabs(w->denominator) > least_denominator * size;
}

static void prepare_step(void *self, int64_t row, const double *sums)
{
    deq_solver *s = self;
    const broyden *m = s->method;
    line *w = line_of(s, row);
    int n = m->l.rank[s->b.sample[row]];
    if (!w->accepted) return;
    int lost = w->append ? make_room(s, row) : 0;
    for (int i = lost; i < n; i++) {
        w->c[i - lost] = sums[5 + i];
        w->b[i - lost] = sums[5 + n + i];
        w->a[i - lost] = w->s * sums[5 + 2 * n + i];
    }
    if (!w->append) return;
    prepare_pair(s, w, n - lost, sums);
    if (!w->append) deq_row_info(s, row)->n_singular++;
}

/* Third sweep: the pair, the direction, the point ---------------------------------------------- */

/* (2) and (3), with dz = s p. */
static void write_pair(const deq_solver *s, const line *w, int64_t row, int64_t at, int64_t count,
                       void *u_new, void *v_new)
{
    const broyden *m = s->method;
    const deq_kernels *k = s->b.k;
    const void *u[DEQ_MEMORY_MAX], *v[DEQ_MEMORY_MAX], *p = deq_at(&s->b, m->p, row, at);
    double gamma = m->l.gamma, scale = 1 / w->denominator, c[DEQ_MEMORY_MAX];
    double change[DEQ_CHUNK];
    int n = deq_low_rank_list(&m->l, s, row, at, u, v);
    k->combine(change, 1, deq_at(&s->b, m->g_new, row, at), -1, deq_at(&s->b, m->g, row, at), NULL,
               NULL, NULL, 0, count);
    for (int i = 0; i < n; i++) c[i] = -scale * w->b[i];
    k->combine(u_new, scale * w->s, p, scale * gamma, change, c, u, NULL, n, count);
    if (s->o.broyden.bad)
        memcpy(v_new, change, (size_t)count * k->size);
    else
        k->combine(v_new, -gamma * w->s, p, 0, NULL, w->a, v, NULL, n, count);
}

/* p = gamma g+ - sum_i c_i u_i - (v.g+) u;  z+ + p */
static void take_step(const deq_solver *s, const line *w, int64_t row, int64_t at, int64_t count)
{
    const broyden *m = s->method;
    const deq_kernels *k = s->b.k;
    const void *u[DEQ_MEMORY_MAX + 1], *v[DEQ_MEMORY_MAX + 1];
    void *p = deq_at(&s->b, m->p, row, at), *g = deq_at(&s->b, m->g_new, row, at);
    double c[DEQ_MEMORY_MAX + 1];
    int n = deq_low_rank_list(&m->l, s, row, at, u, v);
    for (int i = 0; i < n; i++) c[i] = -w->c[i];
    if (w->append) {
        int t = deq_low_rank_slot(&m->l, s->b.sample[row], n);
        void *u_new = deq_at(&s->b, m->l.U[t], row, at);
        write_pair(s, w, row, at, count, u_new, deq_at(&s->b, m->l.V[t], row, at));
        u[n] = u_new;
        c[n++] = -w->vg;
    }
    k->combine(p, m->l.gamma, g, 0, NULL, c, u, NULL, n, count);
    memcpy(deq_at(&s->b, m->g, row, at), g, (size_t)count * k->size);
    if (m->base)
        memcpy(deq_at(&s->b, m->base, row, at), deq_at(&s->b, s->z, row, at),
               (size_t)count * k->size);
    k->combine(deq_at(&s->b, next_z(s), row, at), 1, deq_at(&s->b, s->z, row, at), 1, p, NULL, NULL,
               NULL, 0, count); /* (1) */
}

static void move(void *self, int64_t row, int64_t at, int64_t count, double *sums)
{
    deq_solver *s = self;
    const broyden *m = s->method;
    const line *w = line_of(s, row);
    void *p = deq_at(&s->b, m->p, row, at);
    (void)sums;
    deq_rescue(s, row, at, count, next_z(s));
    if (w->accepted) {
        take_step(s, w, row, at, count);
        return;
    }
    if (w->steepest)
        s->b.k->combine(p, m->l.gamma, deq_at(&s->b, m->g, row, at), 0, NULL, NULL, NULL, NULL, 0,
                        count);
    s->b.k->combine(deq_at(&s->b, next_z(s), row, at), 1, deq_at(&s->b, m->base, row, at), w->s, p,
                    NULL, NULL, NULL, 0, count);
}

static void moved(void *self, int64_t row, const double *sums)
{
    deq_solver *s = self;
    broyden *m = s->method;
    line *w = line_of(s, row);
    int64_t sample = s->b.sample[row];
    (void)sums;
    deq_rescued(s, row, next_z(s));
    if (!w->accepted) return;
    m->l.rank[sample] += w->append;
    if (s->sample[sample].is_best) m->l.best[sample] = m->l.rank[sample];
    w->s = 1;
}

/* Samples whose memory is full and is to be compressed rather than emptied. */
static void compress_full(deq_solver *s)
{
    broyden *m = s->method;
    for (int64_t r = 0; r < s->b.n; r++) {
        int64_t sample = s->b.sample[r];
        if (!s->b.active[sample] || m->l.rank[sample] < m->l.capacity || m->l.capacity < 2)
            continue;
        deq_low_rank_compress(&m->l, s, r);
        s->sample_info[sample].n_restart++;
    }
}

enum { SUMS = 5 + 3 * DEQ_MEMORY_MAX };

static deq_status step(deq_solver *s)
{
    static const deq_phase phases[] = { { 2, measure, judge },
                                        { SUMS, multiply, prepare_step },
                                        { 0, move, moved } };
    if (s->o.broyden.reduction == DEQ_REDUCE_SVD) compress_full(s);
    deq_batch_run(&s->b, phases, 3, s);
    s->z = next_z(s);
    return DEQ_OK;
}

/* The pair of the step that led to the state returned is made now, if that was the last step. */
static void remember(deq_solver *s, int64_t row)
{
    broyden *m = s->method;
    line *w = line_of(s, row);
    int64_t sample = s->b.sample[row];
    double sums[SUMS], part[SUMS];
    if (s->sample[sample].is_best && w->append) {
        int n = m->l.rank[sample];
        w->accepted = true;
        memset(sums, 0, sizeof sums);
        for (int64_t at = 0; at < s->b.d; at += DEQ_CHUNK) {
            multiply(s, row, at, s->b.d - at < DEQ_CHUNK ? s->b.d - at : DEQ_CHUNK, part);
            for (int i = 0; i < 5 + 3 * n; i++) sums[i] += part[i];
        }
        prepare_step(s, row, sums);
        n = m->l.rank[sample];
        for (int64_t at = 0; w->append && at < s->b.d; at += DEQ_CHUNK) {
            int t = deq_low_rank_slot(&m->l, sample, n);
            write_pair(s, w, row, at, s->b.d - at < DEQ_CHUNK ? s->b.d - at : DEQ_CHUNK,
                       deq_at(&s->b, m->l.U[t], row, at), deq_at(&s->b, m->l.V[t], row, at));
        }
        m->l.rank[sample] += w->append;
        m->l.best[sample] = m->l.rank[sample];
    }
    deq_low_rank_remember(&m->l, s, row);
}

static void begin(deq_solver *s)
{
    broyden *m = s->method;
    deq_low_rank_begin(&m->l, s);
    for (int64_t i = 0; i < s->b.B; i++) m->line[i].s = 0;
    for (int64_t i = 0; i < s->b.B; i++) m->line[i].anything = false;
    s->z = m->zs[0];
    s->fz = m->fz;
}

static deq_status prepare(deq_solver *s)
{
    const deq_broyden_options *o = &s->o.broyden;
    broyden *m = s->method = deq_alloc(s->ctx, sizeof *m);
    if (!m) return DEQ_ERR_NOMEM;
    m->line = deq_alloc_array(s->ctx, (size_t)s->b.B, sizeof *m->line);
    if (!m->line) return DEQ_ERR_NOMEM;
    void **vector[] = { &m->zs[0], &m->zs[1], &m->fz, &m->p, &m->g, &m->g_new, &m->base };
    for (int i = 0; i < (o->line_search ? 7 : 6); i++)
        if (!(*vector[i] = deq_batch_vector(&s->b))) return DEQ_ERR_NOMEM;
    return deq_low_rank_prepare(&m->l, s, o->memory, o->gamma);
}

static void release(deq_solver *s)
{
    broyden *m = s->method;
    deq_low_rank_release(&m->l, s);
    deq_release(s->ctx, m->line, (size_t)s->b.B * sizeof *m->line);
    deq_release(s->ctx, m, sizeof *m);
}

const deq_method_kind deq_kind_broyden = { .method = DEQ_BROYDEN,
                                           .prepare = prepare,
                                           .release = release,
                                           .begin = begin,
                                           .step = step,
                                           .remember = remember };
