/* SPDX-License-Identifier: MIT */
/*
 * L-BFGS (Nocedal 1980; Liu & Nocedal 1989).
 *
 *   direction  p = -H g, by the two loops over the pairs s_i, y_i, rho_i = 1 / s_i . y_i:
 *              q = g;     newest to oldest:  a_i = rho_i s_i . q,  q -= a_i y_i               (1)
 *              q = H_0 q; oldest to newest:  q += (a_i - rho_i y_i . q) s_i                   (2)
 *   step       x' = x + t p, t by the strong Wolfe conditions (wolfe.h)                       (3)
 *   pair       s = x' - x,  y = g' - g, stored if s . y > 0                                   (4)
 *   extra      every so many steps  e = H grad_outer(x), scaled to |e| = |s|,
 *              pair (e, grad h(x + e) - grad h(x))                                            (5)
 *
 * Each sample is a machine that asks for one evaluation a round, like those of linear_sample.h.
 */
#include "base/context.h"
#include "solver/vector.h"
#include "solver/wolfe.h"

#include <deq/minimise.h>
#include <math.h>
#include <string.h>

enum { X, G, P, TRIAL, TRIAL_G, EXTRA, STAGE, STAGE_G, PAIRS }; /* then S and Y in turn */
enum phase { AT_START, AT_TRIAL, AT_EXTRA };

#define UNBOUNDED (-1e300)

typedef struct sample {
    bool active;
    enum phase phase;
    int ask;                      /* row where h is wanted */
    double tol, step_norm, scale; /* scale: H_0 = scale I */
    deq_wolfe search;
    int count, newest; /* pairs stored, slot of the newest */
    double *rho, *a;   /* [memory + 1] each */
    deq_lbfgs_info info;
} sample;

struct deq_lbfgs {
    deq_context *ctx;
    deq_lbfgs_options o;
    deq_vectors v;
    int64_t batch;
    double epsilon;
    sample *samples;
    double *numbers; /* [batch, 2, memory + 1] */
    double *values;  /* [batch] by row of a call */
    int64_t *ids;    /* [batch] active samples, rising */
    int64_t n_ids;
    char *rows; /* [PAIRS + 2 (memory + 1), batch, d] */
    const deq_objective *h;
};

/* --- memory ----------------------------------------------------------------------------------- */

deq_lbfgs_options deq_lbfgs_defaults(void)
{
    return (deq_lbfgs_options){ .struct_size = sizeof(deq_lbfgs_options),
                                .max_eval = 1000,
                                .rtol = 1e-6,
                                .memory = 10,
                                .armijo = 1e-4,
                                .curvature = 0.9,
                                .max_search = 20,
                                .outer_every = 5 };
}

static bool tolerance_fits(double tol)
{
    return tol >= 0 && !isinf(tol);
}

static deq_status check_options(deq_context *ctx, const deq_lbfgs_options *o)
{
    if (o->struct_size != sizeof *o)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "lbfgs: struct_size is %zu, expected %zu",
                        o->struct_size, sizeof *o);
    if (!tolerance_fits(o->atol) || !tolerance_fits(o->rtol))
        return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                        "lbfgs: atol is %g and rtol %g, expected finite numbers >= 0", o->atol,
                        o->rtol);
    if (o->max_eval < 0 || o->memory < 1 || o->memory > 1000 || o->max_search < 1 ||
        o->outer_every < 1)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                        "lbfgs: max_eval is %lld, memory %d, max_search %d, outer_every %d, "
                        "expected >= 0, 1 to 1000, >= 1 and >= 1",
                        (long long)o->max_eval, o->memory, o->max_search, o->outer_every);
    if (!(o->armijo > 0 && o->armijo < 0.5 && o->curvature > o->armijo && o->curvature < 1))
        return deq_fail(
            ctx, DEQ_ERR_ARGUMENT,
            "lbfgs: armijo is %g and curvature %g, expected 0 < armijo < 1/2 and armijo "
            "< curvature < 1",
            o->armijo, o->curvature);
    return DEQ_OK;
}

/* One more than there are pairs: a new pair is written before it is known to be good. */
static size_t n_slots(const deq_lbfgs_options *o)
{
    return (size_t)o->memory + 1;
}

static bool count_bytes(const deq_lbfgs *l, size_t *bytes)
{
    return deq_size_mul(bytes, (size_t)l->v.n, deq_dtype_size(l->v.dtype)) &&
           deq_size_mul(bytes, *bytes, (size_t)l->batch) &&
           deq_size_mul(bytes, *bytes, PAIRS + 2 * n_slots(&l->o));
}

static deq_status allocate(deq_lbfgs *l)
{
    size_t batch = (size_t)l->batch, n = n_slots(&l->o), bytes;
    if (!count_bytes(l, &bytes))
        return deq_fail(l->ctx, DEQ_ERR_OVERFLOW,
                        "lbfgs: %d pairs of %lld elements for %lld samples are too large",
                        l->o.memory, (long long)l->v.n, (long long)l->batch);
    l->samples = deq_alloc_array(l->ctx, batch, sizeof *l->samples);
    l->numbers = deq_alloc_array(l->ctx, batch, 2 * n * sizeof *l->numbers);
    l->values = deq_alloc_array(l->ctx, batch, sizeof *l->values);
    l->ids = deq_alloc_array(l->ctx, batch, sizeof *l->ids);
    l->rows = deq_alloc(l->ctx, bytes);
    if (!l->samples || !l->numbers || !l->values || !l->ids || !l->rows) return DEQ_ERR_NOMEM;
    for (size_t k = 0; k < batch; k++) {
        l->samples[k].scale = 1;
        l->samples[k].rho = l->numbers + 2 * n * k;
        l->samples[k].a = l->samples[k].rho + n;
    }
    return DEQ_OK;
}

deq_status deq_lbfgs_new(deq_lbfgs **out, deq_context *ctx, deq_dtype dtype, int64_t batch,
                         int64_t d, const deq_lbfgs_options *options)
{
    *out = NULL;
    deq_lbfgs_options o = deq_lbfgs_defaults();
    if (options) DEQ_TRY(check_options(ctx, options));
    if (options) o = *options;
    if (dtype != DEQ_F32 && dtype != DEQ_F64)
        return deq_fail(ctx, DEQ_ERR_DTYPE, "lbfgs: dtype is %s, expected f32 or f64",
                        deq_dtype_name(dtype));
    if (batch < 1 || d < 1)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "lbfgs: batch is %lld and d %lld, expected >= 1",
                        (long long)batch, (long long)d);
    deq_lbfgs *l = deq_alloc(ctx, sizeof *l);
    if (!l) return DEQ_ERR_NOMEM;
    *l = (deq_lbfgs){ .ctx = ctx,
                      .o = o,
                      .v = { .dtype = dtype,
                             .k = deq_kernels_for(dtype, deq_context_isa(ctx)),
                             .threads = deq_context_threads(ctx),
                             .n = d },
                      .batch = batch,
                      .epsilon = dtype == DEQ_F32 ? 0x1p-23 : 0x1p-52 };
    deq_status status = allocate(l);
    if (status != DEQ_OK) {
        deq_lbfgs_free(l);
        return status;
    }
    *out = l;
    return DEQ_OK;
}

void deq_lbfgs_free(deq_lbfgs *l)
{
    if (!l) return;
    size_t batch = (size_t)l->batch, n = n_slots(&l->o), bytes = 0;
    (void)count_bytes(l, &bytes);
    deq_release(l->ctx, l->rows, bytes);
    deq_release(l->ctx, l->ids, batch * sizeof *l->ids);
    deq_release(l->ctx, l->values, batch * sizeof *l->values);
    deq_release(l->ctx, l->numbers, batch * 2 * n * sizeof *l->numbers);
    deq_release(l->ctx, l->samples, batch * sizeof *l->samples);
    deq_release(l->ctx, l, sizeof *l);
}

deq_status deq_lbfgs_set_tolerance(deq_lbfgs *l, double atol, double rtol)
{
    if (!tolerance_fits(atol) || !tolerance_fits(rtol))
        return deq_fail(l->ctx, DEQ_ERR_ARGUMENT,
                        "lbfgs: atol is %g and rtol %g, expected finite numbers >= 0", atol, rtol);
    l->o.atol = atol;
    l->o.rtol = rtol;
    return DEQ_OK;
}

static void *row(const deq_lbfgs *l, int which, int64_t k)
{
    return l->rows + ((size_t)which * (size_t)l->batch + (size_t)k) * deq_vector_bytes(&l->v);
}

/* --- the estimate H --------------------------------------------------------------------------- */

static int slot(const deq_lbfgs *l, const sample *p, int age)
{
    int n = (int)n_slots(&l->o);
    return (p->newest - age + n) % n;
}

static void *s_of(const deq_lbfgs *l, int64_t k, int at)
{
    return row(l, PAIRS + 2 * at, k);
}

static void *y_of(const deq_lbfgs *l, int64_t k, int at)
{
    return row(l, PAIRS + 2 * at + 1, k);
}

/* q = H q, (1) and (2) */
static void multiply(const deq_lbfgs *l, int64_t k, void *q)
{
    const sample *p = &l->samples[k];
    for (int age = 0; age < p->count; age++) {
        int i = slot(l, p, age);
        p->a[i] = p->rho[i] * deq_vector_dot(&l->v, s_of(l, k, i), q);
        (void)deq_vector_combine(&l->v, q, -p->a[i], y_of(l, k, i), 1);
    }
    if (p->scale != 1) (void)deq_vector_combine(&l->v, q, p->scale, q, 0);
    for (int age = p->count - 1; age >= 0; age--) {
        int i = slot(l, p, age);
        double b = p->rho[i] * deq_vector_dot(&l->v, y_of(l, k, i), q);
        (void)deq_vector_combine(&l->v, q, p->a[i] - b, s_of(l, k, i), 1);
    }
}

/* What stands in the slot after the newest becomes a pair if s . y > 0, (4). */
static bool store(deq_lbfgs *l, int64_t k)
{
    sample *p = &l->samples[k];
    int i = slot(l, p, -1);
    const void *s = s_of(l, k, i), *y = y_of(l, k, i);
    double sy = deq_vector_dot(&l->v, s, y), yy = deq_vector_dot(&l->v, y, y);
    double ss = deq_vector_dot(&l->v, s, s);
    bool good = isfinite(sy) && isfinite(yy) && sy > l->epsilon * sqrt(ss * yy);
    if (!good) return false;
    p->newest = i;
    p->rho[i] = 1 / sy;
    if (p->count < l->o.memory) p->count++;
    if (!l->o.unit_scale) p->scale = sy / yy;
    return true;
}

void deq_lbfgs_apply(void *out, deq_lbfgs *l, const void *v)
{
    size_t bytes = deq_vector_bytes(&l->v);
    for (int64_t k = 0; k < l->batch; k++) {
        char *q = (char *)out + (size_t)k * bytes;
        deq_vector_copy(&l->v, q, (const char *)v + (size_t)k * bytes);
        multiply(l, k, q);
    }
}

deq_status deq_lbfgs_add_pair(deq_lbfgs *l, int64_t k, const void *s, const void *y)
{
    if (k < 0 || k >= l->batch)
        return deq_fail(l->ctx, DEQ_ERR_ARGUMENT, "lbfgs: sample %lld of %lld", (long long)k,
                        (long long)l->batch);
    int i = slot(l, &l->samples[k], -1);
    deq_vector_copy(&l->v, s_of(l, k, i), s);
    deq_vector_copy(&l->v, y_of(l, k, i), y);
    if (store(l, k)) return DEQ_OK;
    return deq_fail(l->ctx, DEQ_ERR_ARGUMENT, "lbfgs: s . y is %g, expected > 0",
                    deq_vector_dot(&l->v, s, y));
}

int deq_lbfgs_rank(const deq_lbfgs *l, int64_t k)
{
    return k >= 0 && k < l->batch ? l->samples[k].count : 0;
}

/* --- one sample's machine --------------------------------------------------------------------- */

static void finish(deq_lbfgs *l, int64_t k, deq_outcome outcome)
{
    l->samples[k].active = false;
    l->samples[k].info.outcome = outcome;
}

static void ask(deq_lbfgs *l, int64_t k, int where, enum phase phase)
{
    sample *p = &l->samples[k];
    p->ask = where;
    p->phase = phase;
    if (p->info.n_eval >= l->o.max_eval) finish(l, k, DEQ_MAX_ITER);
}

static void try_step(deq_lbfgs *l, int64_t k)
{
    double t = l->samples[k].search.t;
    (void)deq_vector_sum(&l->v, row(l, TRIAL, k), 1, row(l, X, k), t, row(l, P, k)); /* (3) */
    ask(l, k, TRIAL, AT_TRIAL);
}

/* Choose a direction at x and begin the search. */
static void begin_search(deq_lbfgs *l, int64_t k)
{
    sample *p = &l->samples[k];
    void *d = row(l, P, k), *g = row(l, G, k);
    (void)deq_vector_combine(&l->v, d, -1, g, 0);
    multiply(l, k, d);
    double slope = deq_vector_dot(&l->v, d, g);
    if (!(slope < 0) || !isfinite(slope)) { /* rounding: H is positive definite */
        p->count = 0;
        p->scale = 1;
        slope = -deq_vector_combine(&l->v, d, -1, g, 0);
    }
    p->search.c1 = l->o.armijo;
    p->search.c2 = l->o.curvature;
    p->search.noise = 4 * l->epsilon;
    p->search.trials = l->o.max_search;
    double t = p->count > 0 ? 1 : fmin(1, 1 / p->info.gradient);
    deq_wolfe_begin(&p->search, p->info.value, slope, t);
    try_step(l, k);
}

static void search_failed(deq_lbfgs *l, int64_t k)
{
    sample *p = &l->samples[k];
    p->info.n_search_failed++;
    if (p->count == 0) {
        finish(l, k, DEQ_STAGNATED);
        return;
    }
    p->count = 0;
    p->scale = 1;
    begin_search(l, k);
}

/* (5) */
static deq_status add_extra(deq_lbfgs *l, int64_t k)
{
    sample *p = &l->samples[k];
    void *e = row(l, EXTRA, k);
    DEQ_TRY(l->h->outer_gradient(l->h->user, e, row(l, X, k), &k, 1));
    p->info.n_outer++;
    multiply(l, k, e);
    double size = deq_vector_norm(&l->v, e);
    if (!(size > 0) || !isfinite(size)) {
        begin_search(l, k);
        return DEQ_OK;
    }
    (void)deq_vector_combine(&l->v, e, p->step_norm / size, e, 0);
    (void)deq_vector_sum(&l->v, row(l, TRIAL, k), 1, row(l, X, k), 1, e);
    ask(l, k, TRIAL, AT_EXTRA);
    return DEQ_OK;
}

static void take_extra(deq_lbfgs *l, int64_t k)
{
    int i = slot(l, &l->samples[k], -1);
    deq_vector_copy(&l->v, s_of(l, k, i), row(l, EXTRA, k));
    (void)deq_vector_sum(&l->v, y_of(l, k, i), 1, row(l, TRIAL_G, k), -1, row(l, G, k));
    if (!store(l, k)) l->samples[k].info.n_skipped++;
    begin_search(l, k);
}

/* The trial is accepted: (4), the stopping test, and on. */
static deq_status accept(deq_lbfgs *l, int64_t k, double value, double gradient)
{
    sample *p = &l->samples[k];
    void *x = row(l, X, k), *g = row(l, G, k);
    const void *trial = row(l, TRIAL, k), *trial_g = row(l, TRIAL_G, k);
    int i = slot(l, p, -1);
    p->step_norm = sqrt(deq_vector_sum(&l->v, s_of(l, k, i), 1, trial, -1, x));
    (void)deq_vector_sum(&l->v, y_of(l, k, i), 1, trial_g, -1, g);
    if (!store(l, k)) p->info.n_skipped++;
    deq_vector_copy(&l->v, x, trial);
    deq_vector_copy(&l->v, g, trial_g);
    p->info.n_iter++;
    p->info.value = value;
    p->info.gradient = gradient;
    if (gradient <= p->tol) {
        finish(l, k, DEQ_CONVERGED);
    } else if (value < UNBOUNDED) {
        finish(l, k, DEQ_DIVERGED);
    } else if (l->h->outer_gradient && p->info.n_iter % l->o.outer_every == 0) {
        return add_extra(l, k);
    } else {
        begin_search(l, k);
    }
    return DEQ_OK;
}

static deq_status take_trial(deq_lbfgs *l, int64_t k, double value)
{
    sample *p = &l->samples[k];
    const void *g = row(l, TRIAL_G, k);
    double gradient = deq_vector_norm(&l->v, g);
    double slope = isfinite(gradient) ? deq_vector_dot(&l->v, row(l, P, k), g) : NAN;
    switch (deq_wolfe_tell(&p->search, value, slope)) {
    case DEQ_WOLFE_DONE:
    case DEQ_WOLFE_ENOUGH: return accept(l, k, value, gradient);
    case DEQ_WOLFE_FAILED: search_failed(l, k); break;
    case DEQ_WOLFE_TRY: try_step(l, k); break;
    }
    return DEQ_OK;
}

static void take_start(deq_lbfgs *l, int64_t k, double value)
{
    sample *p = &l->samples[k];
    double gradient = deq_vector_norm(&l->v, row(l, G, k));
    if (!isfinite(value) || !isfinite(gradient)) {
        finish(l, k, DEQ_NON_FINITE);
        return;
    }
    p->info.value = value;
    p->info.gradient = gradient;
    p->tol = l->o.atol + l->o.rtol * gradient;
    if (gradient <= p->tol)
        finish(l, k, DEQ_CONVERGED);
    else
        begin_search(l, k);
}

static deq_status resume(deq_lbfgs *l, int64_t k, double value)
{
    switch (l->samples[k].phase) {
    case AT_START: take_start(l, k, value); break;
    case AT_TRIAL: return take_trial(l, k, value);
    case AT_EXTRA: take_extra(l, k); break;
    }
    return DEQ_OK;
}

/* --- rounds ----------------------------------------------------------------------------------- */

/* Where a sample wants the gradient of what it asked for. */
static int answer(const sample *p)
{
    return p->ask == X ? G : TRIAL_G;
}

static deq_status run_round(deq_lbfgs *l)
{
    for (int64_t i = 0; i < l->n_ids; i++) {
        sample *p = &l->samples[l->ids[i]];
        p->info.n_eval++;
        deq_vector_copy(&l->v, row(l, STAGE, i), row(l, p->ask, l->ids[i]));
    }
    DEQ_TRY(
        l->h->eval(l->h->user, l->values, row(l, STAGE_G, 0), row(l, STAGE, 0), l->ids, l->n_ids));
    for (int64_t i = 0; i < l->n_ids; i++) {
        int64_t k = l->ids[i];
        deq_vector_copy(&l->v, row(l, answer(&l->samples[k]), k), row(l, STAGE_G, i));
        DEQ_TRY(resume(l, k, l->values[i]));
    }
    return DEQ_OK;
}

static void drop_finished(deq_lbfgs *l)
{
    int64_t n = 0;
    for (int64_t i = 0; i < l->n_ids; i++)
        if (l->samples[l->ids[i]].active) l->ids[n++] = l->ids[i];
    l->n_ids = n;
}

static void start(deq_lbfgs *l, const char *x)
{
    size_t bytes = deq_vector_bytes(&l->v);
    for (int64_t k = 0; k < l->batch; k++) {
        sample *p = &l->samples[k];
        if (!l->o.keep_memory) {
            p->count = 0;
            p->scale = 1;
        }
        p->info = (deq_lbfgs_info){ .value = NAN, .gradient = INFINITY };
        p->active = true;
        l->ids[k] = k;
        deq_vector_copy(&l->v, row(l, X, k), x + (size_t)k * bytes);
        ask(l, k, X, AT_START);
    }
    l->n_ids = l->batch;
    drop_finished(l);
}

deq_status deq_lbfgs_minimise(void *x, deq_lbfgs_info *info, deq_lbfgs *l, const deq_objective *h)
{
    if (!h || h->struct_size != sizeof *h || !h->eval)
        return deq_fail(l->ctx, DEQ_ERR_ARGUMENT,
                        "lbfgs: the objective has no eval, or its struct_size is not that of "
                        "deq_objective");
    l->h = h;
    start(l, x);
    while (l->n_ids > 0) {
        DEQ_TRY(run_round(l));
        drop_finished(l);
    }
    memcpy(x, row(l, X, 0), (size_t)l->batch * deq_vector_bytes(&l->v));
    for (int64_t k = 0; info && k < l->batch; k++) info[k] = l->samples[k].info;
    return DEQ_OK;
}
