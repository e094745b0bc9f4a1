/* SPDX-License-Identifier: MIT */
/*
 * Inexact Newton steps for g(z) = f(z) - z = 0, linear systems by GMRES.
 *
 *   solve   (I - J) delta = g_k   to   |g_k - (I - J) delta| <= eta_k |g_k|        (1)
 *   forcing eta_k = gamma (|g_k| / |g_{k-1}|)^a, not much below its predecessor     (2)
 *   try     z = z_k + lambda delta for lambda = 1, 1/2, ... until
 *           |g(z)| <= (1 - armijo lambda (1 - eta_k)) |g_k|                         (3)
 *
 * J v is the map's jvp or, without one, the difference (f(z_k + h v) - f(z_k)) / h, which costs an
 * evaluation of f.  Eisenstat & Walker, SIAM J. Sci. Comput. 17 (1996), choice 2.
 *
 * Samples share every call: while one tries shorter steps, another may start its next system.  A
 * search that ends without success takes the step of Picard from z_k instead.
 */
#include "solver/linear_sample.h"
#include "solver/solver.h"

#include <math.h>

#define FORCING_FIRST 0.5
#define FORCING_GAMMA 0.9
#define FORCING_POWER 1.618033988749895 /* (1 + sqrt 5) / 2 */
#define FORCING_SAFE 0.1                /* predecessors above this hold eta up */

typedef struct newton_sample {
    double norm, eta; /* |g_k| and the forcing term of the system last solved; norm 0: no z_k yet */
    double lambda;    /* of the trial that was evaluated; 0: a step of Picard, accepted as it is */
    bool solve;       /* the trial is the next z_k: solve (1) there */
} newton_sample;

typedef struct newton {
    void *zs[2];               /* trials, in turn */
    void *base, *g, *delta;    /* z_k, g_k and the solution of (1) */
    void *shifted, *f_shifted; /* z_k + h v and f there; used without jvp */
    deq_linear_solver *linear;
    newton_sample *sample; /* [B] by sample */
    deq_linear_info *info; /* [B] by row */
    double *rtol, *h;      /* [B] by row: tolerance; step of the difference */
    int64_t *allowed;      /* [B] by row: products */
} newton;

static const deq_newton_krylov_options *options(const deq_solver *s)
{
    return &s->o.newton_krylov;
}

static newton_sample *sample_of(const deq_solver *s, int64_t row)
{
    const newton *n = s->method;
    return &n->sample[s->b.sample[row]];
}

/* --- memory ----------------------------------------------------------------------------------- */

static deq_status prepare(deq_solver *s)
{
    size_t B = (size_t)s->b.B;
    newton *n = s->method = deq_alloc(s->ctx, sizeof *n);
    if (!n) return DEQ_ERR_NOMEM;
    void **const vectors[] = { &n->zs[0], &n->zs[1],   &n->base,      &n->g,
                               &n->delta, &n->shifted, &n->f_shifted, &s->fz };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
        if (!(*vectors[i] = deq_batch_vector(&s->b))) return DEQ_ERR_NOMEM;
    n->sample = deq_alloc_array(s->ctx, B, sizeof *n->sample);
    n->info = deq_alloc_array(s->ctx, B, sizeof *n->info);
    n->rtol = deq_alloc_array(s->ctx, B, sizeof *n->rtol);
    n->h = deq_alloc_array(s->ctx, B, sizeof *n->h);
    n->allowed = deq_alloc_array(s->ctx, B, sizeof *n->allowed);
    if (!n->sample || !n->info || !n->rtol || !n->h || !n->allowed) return DEQ_ERR_NOMEM;
    deq_linear_options o = deq_linear_defaults();
    o.restart = options(s)->restart;
    o.max_iter = options(s)->max_products;
    o.trust_recurrence = true;
    return deq_linear_new(&n->linear, s->ctx, s->dtype, s->b.B, s->b.d, &o);
}

static void release(deq_solver *s)
{
    size_t B = (size_t)s->b.B;
    newton *n = s->method;
    if (!n) return;
    deq_linear_free(n->linear);
    deq_release(s->ctx, n->sample, B * sizeof *n->sample);
    deq_release(s->ctx, n->info, B * sizeof *n->info);
    deq_release(s->ctx, n->rtol, B * sizeof *n->rtol);
    deq_release(s->ctx, n->h, B * sizeof *n->h);
    deq_release(s->ctx, n->allowed, B * sizeof *n->allowed);
    deq_release(s->ctx, n, sizeof *n);
}

static void begin(deq_solver *s)
{
    newton *n = s->method;
    s->z = n->zs[0];
    for (int64_t i = 0; i < s->b.B; i++) n->sample[i] = (newton_sample){ .norm = 0 };
}

static void *next_z(const deq_solver *s)
{
    const newton *n = s->method;
    return s->z == n->zs[0] ? n->zs[1] : n->zs[0];
}

/* --- judging trials --------------------------------------------------------------------------- */

static void measure(void *self, int64_t row, int64_t at, int64_t count, double *sums)
{
    deq_solver *s = self;
    s->b.k->residual(NULL, deq_at(&s->b, s->fz, row, at), deq_at(&s->b, s->z, row, at), count,
                     sums);
}

/* (2), and no smaller than the stopping test can use. */
static double forcing(const deq_solver *s, int64_t row, double norm)
{
    const newton_sample *p = sample_of(s, row);
    const deq_sample *m = deq_row_sample(s, row);
    double eta = FORCING_FIRST;
    if (p->norm > 0) {
        double held = FORCING_GAMMA * pow(p->eta, FORCING_POWER);
        eta = FORCING_GAMMA * pow(norm / p->norm, FORCING_POWER);
        if (held > FORCING_SAFE) eta = fmax(eta, held);
    }
    double bound = s->o.atol + s->o.rtol * (m->relative > 0 ? m->residual / m->relative : 0);
    return fmin(options(s)->forcing_max, fmax(eta, 0.5 * bound / norm));
}

static void accept(deq_solver *s, int64_t row, double norm)
{
    newton_sample *p = sample_of(s, row);
    p->eta = forcing(s, row, norm);
    p->norm = norm;
    p->lambda = 1;
    p->solve = true;
}

static void judge(void *self, int64_t row, const double *sums)
{
    deq_solver *s = self;
    newton_sample *p = sample_of(s, row);
    if (!deq_judge(s, row, sums[0], sums[1], true)) return;
    double norm = deq_row_sample(s, row)->residual;
    double enough = (1 - options(s)->armijo * p->lambda * (1 - p->eta)) * p->norm;
    p->solve = false;
    if (isfinite(norm) && (p->norm == 0 || p->lambda == 0 || norm <= enough)) {
        accept(s, row, norm);
        return;
    }
    deq_row_sample(s, row)->n_rejected++;
    if (p->lambda == 0) { /* not finite at the step of Picard: there is nothing left to try */
        deq_finish(s, row, DEQ_NON_FINITE);
        return;
    }
    p->lambda *= 0.5;
    if (p->lambda >= options(s)->min_step) return;
    deq_row_info(s, row)->n_search_failed++;
    deq_row_info(s, row)->n_fallback++;
    p->lambda = 0;
}

/* Rows that accepted: z_k and g_k. */
static void take_base(void *self, int64_t row, int64_t at, int64_t count, double *sums)
{
    deq_solver *s = self;
    newton *n = s->method;
    void *g = deq_at(&s->b, n->g, row, at), *z = deq_at(&s->b, s->z, row, at);
    (void)sums;
    if (!sample_of(s, row)->solve) return;
    s->b.k->combine(deq_at(&s->b, n->base, row, at), 1, z, 0, NULL, NULL, NULL, NULL, 0, count);
    s->b.k->combine(g, 1, deq_at(&s->b, s->fz, row, at), -1, z, NULL, NULL, NULL, 0, count);
}

/* --- linear systems --------------------------------------------------------------------------- */

static deq_status product(void *self, void *out, const void *v, const int64_t *rows, int64_t n)
{
    deq_solver *s = self;
    (void)rows;
    (void)n; /* all rows in use, in their order */
    s->info.n_jvp++;
    s->info.n_jvp_rows += s->b.n;
    return s->map->jvp(s->map->user, out, v, s->b.sample, s->b.n);
}

static deq_vectors row_vectors(const deq_solver *s)
{
    return (deq_vectors){ .dtype = s->dtype, .k = s->b.k, .threads = 1, .n = s->b.d };
}

/* J v by a difference of f, with a step that balances truncation and rounding. */
static deq_status difference(void *self, void *out, const void *v, const int64_t *rows, int64_t n)
{
    deq_solver *s = self;
    newton *w = s->method;
    deq_vectors d = row_vectors(s);
    double root = s->dtype == DEQ_F32 ? 0x1p-12 : 0x1p-26;
    (void)rows;
    for (int64_t r = 0; r < n; r++) {
        const void *z = deq_at(&s->b, s->z, r, 0), *vr = deq_at(&s->b, v, r, 0);
        double size = deq_vector_norm(&d, vr);
        w->h[r] = size > 0 ? root * (1 + deq_vector_norm(&d, z)) / size : 0;
        (void)deq_vector_sum(&d, deq_at(&s->b, w->shifted, r, 0), 1, z, w->h[r], vr);
    }
    DEQ_TRY(deq_solver_eval(s, w->f_shifted, w->shifted));
    for (int64_t r = 0; r < n; r++) {
        double c = w->h[r] > 0 ? 1 / w->h[r] : 0;
        (void)deq_vector_sum(&d, deq_at(&s->b, out, r, 0), c, deq_at(&s->b, w->f_shifted, r, 0), -c,
                             deq_at(&s->b, s->fz, r, 0));
    }
    return DEQ_OK;
}

/* The products were evaluations of f, though not at iterates. */
static void charge(deq_solver *s, int64_t row, int64_t n)
{
    deq_sample *m = deq_row_sample(s, row);
    deq_sample_info *in = deq_row_info(s, row);
    int64_t sample = s->b.sample[row], stride = s->o.max_iter + 1;
    for (int64_t k = in->n_feval; s->trace && k < in->n_feval + n; k++) {
        s->trace[sample * stride + k] = m->residual;
        s->trace[(s->b.B + sample) * stride + k] = m->relative;
    }
    in->n_feval += n;
    m->n_rejected += n;
    m->progress_at += n;
    m->floor_at += n;
}

/* How many products a row may have; negative: it has no system to solve. */
static int64_t products_allowed(const deq_solver *s, int64_t row)
{
    int64_t most = options(s)->max_products;
    int64_t left = s->o.max_iter - deq_row_info(s, row)->n_feval - 1;
    if (!s->b.active[s->b.sample[row]] || !sample_of(s, row)->solve) return -1;
    return s->map->jvp || most < left ? most : left;
}

/* (1) for the rows that accepted. */
static deq_status solve_systems(deq_solver *s)
{
    newton *n = s->method;
    const deq_linear_operator a = { .apply = s->map->jvp ? product : difference,
                                    .user = s,
                                    .identity_minus = true,
                                    .whole_batch = true };
    int64_t most = -1;
    for (int64_t r = 0; r < s->b.n; r++) {
        n->allowed[r] = products_allowed(s, r);
        n->rtol[r] = sample_of(s, r)->eta;
        if (n->allowed[r] > most) most = n->allowed[r];
    }
    if (most < 0) return DEQ_OK;
    if (s->map->jvp) DEQ_TRY(deq_solver_linearise(s, s->z));
    DEQ_TRY(
        deq_linear_solve_some(n->delta, n->info, n->linear, &a, n->g, s->b.n, n->rtol, n->allowed));
    for (int64_t r = 0; r < s->b.n; r++) {
        if (n->allowed[r] < 0) continue;
        deq_row_info(s, r)->n_fallback += n->info[r].fallback;
        if (!s->map->jvp) charge(s, r, n->info[r].n_apply);
    }
    return DEQ_OK;
}

/* --- the step --------------------------------------------------------------------------------- */

static void write_trial(void *self, int64_t row, int64_t at, int64_t count, double *sums)
{
    deq_solver *s = self;
    const newton *n = s->method;
    double lambda = sample_of(s, row)->lambda;
    const void *step = lambda > 0 ? n->delta : n->g;
    (void)sums;
    deq_rescue(s, row, at, count, next_z(s));
    s->b.k->combine(deq_at(&s->b, next_z(s), row, at), 1, deq_at(&s->b, n->base, row, at),
                    lambda > 0 ? lambda : 1, deq_at(&s->b, step, row, at), NULL, NULL, NULL, 0,
                    count);
}

static void written(void *self, int64_t row, const double *sums)
{
    (void)sums;
    deq_rescued(self, row, next_z(self));
}

static deq_status step(deq_solver *s)
{
    static const deq_phase look[] = { { 2, measure, judge }, { 0, take_base, NULL } };
    static const deq_phase try[] = { { 0, write_trial, written } };
    deq_batch_run(&s->b, look, 2, s);
    DEQ_TRY(solve_systems(s));
    deq_batch_run(&s->b, try, 1, s);
    s->z = next_z(s);
    return DEQ_OK;
}

const deq_method_kind deq_kind_newton_krylov = { .method = DEQ_NEWTON_KRYLOV,
                                                 .prepare = prepare,
                                                 .release = release,
                                                 .begin = begin,
                                                 .step = step };
