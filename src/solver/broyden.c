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
 * A step reads each factor once.  The first sweep forms g(z+), writes v, and takes the products of the
 * v_i with g(z+) and dg; the second writes u, the next p and z + p, and takes the products of the u_i
 * with that p, which the next v needs.  A sample that searches along its line is evaluated at another
 * trial point while its companions go on.
 */
#include "solver/low_rank.h"

#include <math.h>
#include <string.h>

static const double least_number = 1e-290;     /* whose inverse is safe */
static const double least_denominator = 1e-10; /* of u, relative to the terms it is made of */

/* One sample's step. */
typedef struct line {
    double phi;    /* |g|^2 at the base point */
    double s;      /* step to the point that was evaluated; 0 before the first */
    bool accepted; /* that point becomes the base point */
    bool append;   /* a pair is made */
    bool anything; /* accept the next point, whatever it is: the search has failed */
    bool steepest; /* p is to become gamma g of the base point: the search has failed */
    double a[DEQ_MEMORY_MAX + 1]; /* u_i . p */
    double b[DEQ_MEMORY_MAX + 1]; /* v_i . dg, the new v at the end */
    double c[DEQ_MEMORY_MAX + 1]; /* v_i . g(z+), likewise */
    double pp;                    /* p . p */
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

/* First sweep: the residual, v, products; is the point taken? ------------------------------------ */

/* The slot of the pair in the making. */
static int new_slot(const deq_solver *s, int64_t row)
{
    const broyden *m = s->method;
    int64_t sample = s->b.sample[row];
    return deq_low_rank_slot(&m->l, sample, m->l.rank[sample]);
}

/* v by (2) or (3), with dz = s p. */
static void write_v(const deq_solver *s, const line *w, int64_t row, int64_t at, int64_t count,
                    const void *change)
{
    const broyden *m = s->method;
    const void *u[DEQ_MEMORY_MAX], *v[DEQ_MEMORY_MAX];
    void *out = deq_at(&s->b, m->l.V[new_slot(s, row)], row, at);
    double c[DEQ_MEMORY_MAX];
    int n = deq_low_rank_list(&m->l, s, row, at, u, v);
    if (s->o.broyden.bad) {
        memcpy(out, change, (size_t)count * s->b.k->size);
        return;
    }
    for (int i = 0; i < n; i++) c[i] = w->s * w->a[i];
    s->b.k->combine(out, -m->l.gamma * w->s, deq_at(&s->b, m->p, row, at), 0, NULL, c, v, NULL, n,
                    count);
}

/* sums: g+.g+, f.f;  then v_i.dg and v_i.g+, the new v at the end. */
static void measure(void *self, int64_t row, int64_t at, int64_t count, double *sums)
{
    deq_solver *s = self;
    const broyden *m = s->method;
    const line *w = line_of(s, row);
    const deq_kernels *k = s->b.k;
    const void *u[DEQ_MEMORY_MAX + 1], *v[DEQ_MEMORY_MAX + 1];
    double change[DEQ_CHUNK]; /* dg, room for either dtype */
    void *g = deq_at(&s->b, m->g_new, row, at);
    int n = deq_low_rank_list(&m->l, s, row, at, u, v);
    k->residual(g, deq_at(&s->b, s->fz, row, at), deq_at(&s->b, s->z, row, at), count, sums);
    if (w->s > 0) {
        k->combine(change, 1, g, -1, deq_at(&s->b, m->g, row, at), NULL, NULL, NULL, 0, count);
        write_v(s, w, row, at, count, change);
        v[n++] = deq_at(&s->b, m->l.V[new_slot(s, row)], row, at);
        k->dots_two(sums + 2, sums + 2 + n, v, n, change, g, count);
    } else {
        k->dots(sums + 2 + n, v, NULL, n, g, count);
    }
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

/* The coefficients of the pair and the step. */
static void prepare_step(const deq_solver *s, int64_t row, line *w, const double *sums)
{
    const broyden *m = s->method;
    int n = deq_low_rank_count(&m->l, s->b.sample[row]), all = n + (w->s > 0);
    double size = s->o.broyden.bad ? 0 : w->s * w->s * w->pp;
    for (int i = 0; i < all; i++) {
        w->b[i] = sums[2 + i];
        w->c[i] = sums[2 + all + i];
        if (!s->o.broyden.bad && i < n) size = fmax(size, fabs(w->s * w->a[i] * w->b[i]));
    }
    w->append = w->s > 0 && isfinite(w->b[n]) && isfinite(w->c[n]) &&
                fabs(w->b[n]) > fmax(least_denominator * size, least_number);
}

static void judge(void *self, int64_t row, const double *sums)
{
    deq_solver *s = self;
    line *w = line_of(s, row);
    bool search = s->o.broyden.line_search && w->s > 0 && !w->anything;
    bool goes_on = deq_judge(s, row, sums[0], sums[1], search);
    w->steepest = w->anything = false;
    w->accepted = !search || sums[0] <= (1 - 2 * s->o.broyden.armijo * w->s) * w->phi;
    prepare_step(s, row, w, sums);
    if (!goes_on) return;
    if (!w->accepted) {
        shorten(s, row, w, sums[0]);
        return;
    }
    w->phi = sums[0];
    if (w->s > 0 && !w->append) deq_row_info(s, row)->n_singular++;
    if (start_anew(s, row)) {
        w->append = false;
        deq_low_rank_forget(&((broyden *)s->method)->l, s->b.sample[row]);
        deq_row_info(s, row)->n_restart++;
        deq_row_info(s, row)->n_fallback++;
    }
}

/* Second sweep: the pair, the direction, the point ---------------------------------------------- */

/* u by (2) or (3). */
static void *write_u(const deq_solver *s, const line *w, int64_t row, int64_t at, int64_t count)
{
    const broyden *m = s->method;
    const deq_kernels *k = s->b.k;
    const void *u[DEQ_MEMORY_MAX], *v[DEQ_MEMORY_MAX], *p = deq_at(&s->b, m->p, row, at);
    void *out = deq_at(&s->b, m->l.U[new_slot(s, row)], row, at);
    double c[DEQ_MEMORY_MAX], change[DEQ_CHUNK];
    int n = deq_low_rank_list(&m->l, s, row, at, u, v);
    double scale = 1 / w->b[n];
    k->combine(change, 1, deq_at(&s->b, m->g_new, row, at), -1, deq_at(&s->b, m->g, row, at), NULL,
               NULL, NULL, 0, count);
    for (int i = 0; i < n; i++) c[i] = -scale * w->b[i];
    k->combine(out, scale * w->s, p, scale * m->l.gamma, change, c, u, NULL, n, count);
    return out;
}

/* p = gamma g+ - sum_i (v_i.g+) u_i, the new pair among them;  z+ + p;  u_i . p */
static void take_step(const deq_solver *s, const line *w, int64_t row, int64_t at, int64_t count,
                      double *sums)
{
    const broyden *m = s->method;
    const deq_kernels *k = s->b.k;
    const void *u[DEQ_MEMORY_MAX + 2], *v[DEQ_MEMORY_MAX + 2];
    void *p = deq_at(&s->b, m->p, row, at), *g = deq_at(&s->b, m->g_new, row, at);
    void *z = deq_at(&s->b, s->z, row, at);
    double c[DEQ_MEMORY_MAX + 1];
    int n = deq_low_rank_list(&m->l, s, row, at, u, v);
    if (w->append) u[n++] = write_u(s, w, row, at, count);
    for (int i = 0; i < n; i++) c[i] = -w->c[i];
    k->combine(p, m->l.gamma, g, 0, NULL, c, u, NULL, n, count);
    memcpy(deq_at(&s->b, m->g, row, at), g, (size_t)count * k->size);
    if (m->base) memcpy(deq_at(&s->b, m->base, row, at), z, (size_t)count * k->size);
    k->combine(deq_at(&s->b, next_z(s), row, at), 1, z, 1, p, NULL, NULL, NULL, 0, count); /* (1) */
    u[n] = p;
    k->dots(sums, u, NULL, n + 1, p, count);
}

static void move(void *self, int64_t row, int64_t at, int64_t count, double *sums)
{
    deq_solver *s = self;
    const broyden *m = s->method;
    const line *w = line_of(s, row);
    void *p = deq_at(&s->b, m->p, row, at);
    deq_rescue(s, row, at, count, next_z(s));
    if (w->accepted) {
        take_step(s, w, row, at, count, sums);
        return;
    }
    if (w->steepest)
        s->b.k->combine(p, m->l.gamma, deq_at(&s->b, m->g, row, at), 0, NULL, NULL, NULL, NULL, 0,
                        count);
    s->b.k->combine(deq_at(&s->b, next_z(s), row, at), 1, deq_at(&s->b, m->base, row, at), w->s, p,
                    NULL, NULL, NULL, 0, count);
}

/* The memory is full: forget at once, so that there is room for the next pair. */
static void make_room(deq_solver *s, int64_t row)
{
    broyden *m = s->method;
    line *w = line_of(s, row);
    int64_t sample = s->b.sample[row];
    if (m->l.rank[sample] < m->l.capacity || s->o.broyden.reduction == DEQ_REDUCE_SVD) return;
    if (s->o.broyden.reduction == DEQ_REDUCE_OLDEST) {
        double *oldest = w->a + m->l.n_carried[sample];
        deq_low_rank_drop(&m->l, sample);
        memmove(oldest, oldest + 1, (size_t)m->l.rank[sample] * sizeof *oldest);
        return;
    }
    deq_low_rank_forget(&m->l, sample);
    deq_row_info(s, row)->n_restart++;
}

static void moved(void *self, int64_t row, const double *sums)
{
    deq_solver *s = self;
    broyden *m = s->method;
    line *w = line_of(s, row);
    int64_t sample = s->b.sample[row];
    deq_rescued(s, row, next_z(s));
    if (!w->accepted) return;
    m->l.rank[sample] += w->append;
    if (s->sample[sample].is_best) m->l.best[sample] = m->l.rank[sample];
    int n = deq_low_rank_count(&m->l, sample);
    memcpy(w->a, sums, (size_t)n * sizeof *w->a);
    w->pp = sums[n];
    w->s = 1;
    make_room(s, row);
}

/* Samples whose memory is full and is to be compressed: the products with p follow. */
static void compress_full(deq_solver *s)
{
    broyden *m = s->method;
    for (int64_t r = 0; r < s->b.n; r++) {
        const void *u[DEQ_MEMORY_MAX], *v[DEQ_MEMORY_MAX];
        int64_t sample = s->b.sample[r];
        if (!s->b.active[sample] || m->l.rank[sample] < m->l.capacity) continue;
        if (m->l.capacity < 2) {
            deq_low_rank_forget(&m->l, sample);
        } else {
            deq_low_rank_compress(&m->l, s, r);
            s->b.k->dots(m->line[sample].a, u, NULL, deq_low_rank_list(&m->l, s, r, 0, u, v),
                         deq_at(&s->b, m->p, r, 0), s->b.d);
        }
        s->sample_info[sample].n_restart++;
    }
}

static deq_status step(deq_solver *s)
{
    static const deq_phase phases[] = { { 4 + 2 * DEQ_MEMORY_MAX, measure, judge },
                                        { DEQ_MEMORY_MAX + 2, move, moved } };
    deq_batch_run(&s->b, phases, 2, s);
    if (s->o.broyden.reduction == DEQ_REDUCE_SVD) compress_full(s);
    s->z = next_z(s);
    return DEQ_OK;
}

/* The pair of the step that led to the state returned is finished now, if that was the last step. */
static void remember(deq_solver *s, int64_t row)
{
    broyden *m = s->method;
    const line *w = line_of(s, row);
    int64_t sample = s->b.sample[row];
    if (s->sample[sample].is_best && w->append) {
        for (int64_t at = 0; at < s->b.d; at += DEQ_CHUNK)
            (void)write_u(s, w, row, at, s->b.d - at < DEQ_CHUNK ? s->b.d - at : DEQ_CHUNK);
        m->l.best[sample] = ++m->l.rank[sample];
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
