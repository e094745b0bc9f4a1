/* SPDX-License-Identifier: MIT */
/* The frame of the linear solvers: memory, rounds of applications, verdicts; see linear_sample.h. */
#include "solver/linear_sample.h"

#include "base/context.h"

#include <math.h>
#include <string.h>

enum { PHASE_START = -2, PHASE_TRUE = -1 }; /* row R = A row X is there */

/* A cycle that gains less than this is the last one: after a claim to have solved the system, which
 * then fails for rounding alone, and without one. */
#define GAIN_AFTER_CLAIM 0.5
#define GAIN 0.999
/* Elements below which samples are not worth waking threads for. */
#define PARALLEL_MIN 32768

/* --- memory ----------------------------------------------------------------------------------- */

deq_linear_options deq_linear_defaults(void)
{
    return (deq_linear_options){ .struct_size = sizeof(deq_linear_options),
                                 .method = DEQ_LINEAR_GMRES,
                                 .max_iter = 100,
                                 .rtol = 1e-6,
                                 .restart = 20,
                                 .damping = 1,
                                 .divergence = 1e6,
                                 .stagnation = 30 };
}

static deq_linear_kind kind_of(const deq_linear_options *o, int64_t d)
{
    switch (o->method) {
    case DEQ_LINEAR_BICGSTAB: return deq_bicgstab_kind();
    case DEQ_LINEAR_CG: return deq_cg_kind();
    case DEQ_LINEAR_NEUMANN: return deq_neumann_kind();
    case DEQ_LINEAR_GMRES:
    case DEQ_LINEAR_METHOD_COUNT: break;
    }
    return deq_gmres_kind(o, d);
}

const char *deq_linear_method_name(deq_linear_method method)
{
    static const char *const names[] = { "gmres", "bicgstab", "cg", "neumann" };
    if ((int)method < 0 || method >= DEQ_LINEAR_METHOD_COUNT) return "unknown";
    return names[method];
}

static deq_status check_options(deq_context *ctx, const deq_linear_options *o)
{
    if (o->struct_size != sizeof *o)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "linear solver: struct_size is %zu, expected %zu",
                        o->struct_size, sizeof *o);
    if ((int)o->method < 0 || o->method >= DEQ_LINEAR_METHOD_COUNT)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "linear solver: unknown method %d", (int)o->method);
    if (o->max_iter < 0)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "linear solver: max_iter is %lld, expected >= 0",
                        (long long)o->max_iter);
    if (!(o->atol >= 0) || !(o->rtol >= 0) || isinf(o->atol) || isinf(o->rtol))
        return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                        "linear solver: atol is %g and rtol %g, expected finite numbers >= 0",
                        o->atol, o->rtol);
    if (o->restart < 1 || o->restart > 1000)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "linear solver: restart is %d, expected 1 to 1000",
                        o->restart);
    if (!(o->damping > 0 && o->damping < 2))
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "linear solver: damping is %g, expected in (0, 2)",
                        o->damping);
    if (!(o->divergence > 1))
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "linear solver: divergence is %g, expected > 1",
                        o->divergence);
    if (o->stagnation < 0)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "linear solver: stagnation is %d, expected >= 0",
                        o->stagnation);
    return DEQ_OK;
}

/* Bytes of a row of all samples, and of all rows; false if they do not fit. */
static bool count_bytes(const deq_linear_solver *s, size_t *row, size_t *rows)
{
    return deq_size_mul(row, (size_t)s->v.n, deq_dtype_size(s->v.dtype)) &&
           deq_size_mul(row, *row, (size_t)s->batch) &&
           deq_size_mul(rows, *row, (size_t)s->kind.rows);
}

static deq_status allocate_vectors(deq_linear_solver *s, size_t row, size_t rows)
{
    s->rows = deq_alloc(s->ctx, rows);
    if (s->batch > 1) {
        s->stage_in = deq_alloc(s->ctx, row);
        s->stage_out = deq_alloc(s->ctx, row);
    }
    bool staged = s->batch == 1 || (s->stage_in && s->stage_out);
    return s->rows && staged ? DEQ_OK : DEQ_ERR_NOMEM;
}

static deq_status allocate(deq_linear_solver *s)
{
    size_t batch = (size_t)s->batch, row, rows;
    if (!count_bytes(s, &row, &rows) || rows > SIZE_MAX - 4 * DEQ_ALIGNMENT - 2 * row)
        return deq_fail(s->ctx, DEQ_ERR_OVERFLOW,
                        "linear solver: %d vectors of %lld elements for %lld samples are too large",
                        s->kind.rows, (long long)s->v.n, (long long)s->batch);
    s->samples = deq_alloc_array(s->ctx, batch, sizeof *s->samples);
    s->numbers = deq_alloc_array(s->ctx, batch, s->kind.numbers * sizeof *s->numbers);
    s->ids = deq_alloc_array(s->ctx, batch, sizeof *s->ids);
    s->all = deq_alloc_array(s->ctx, batch, sizeof *s->all);
    if (!s->samples || !s->numbers || !s->ids || !s->all) return DEQ_ERR_NOMEM;
    if (!s->within) DEQ_TRY(allocate_vectors(s, row, rows));
    for (int64_t k = 0; k < s->batch; k++) {
        s->all[k] = k;
        s->samples[k].numbers = s->numbers + (size_t)k * s->kind.numbers;
    }
    return DEQ_OK;
}

static deq_status make(deq_linear_solver **out, deq_context *ctx, deq_dtype dtype, int64_t batch,
                       int64_t d, const deq_linear_options *options, bool within)
{
    *out = NULL;
    deq_linear_options o = deq_linear_defaults();
    if (options) DEQ_TRY(check_options(ctx, options));
    if (options) o = *options;
    if (dtype != DEQ_F32 && dtype != DEQ_F64)
        return deq_fail(ctx, DEQ_ERR_DTYPE, "linear solver: dtype is %s, expected f32 or f64",
                        deq_dtype_name(dtype));
    if (batch < 1 || d < 1)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                        "linear solver: batch is %lld and d %lld, expected >= 1", (long long)batch,
                        (long long)d);

    deq_linear_solver *s = deq_alloc(ctx, sizeof *s);
    if (!s) return DEQ_ERR_NOMEM;
    *s = (deq_linear_solver){ .ctx = ctx,
                              .o = o,
                              .kind = kind_of(&o, d),
                              .v = { .dtype = dtype,
                                     .k = deq_kernels_for(dtype, deq_context_isa(ctx)),
                                     .threads = 1,
                                     .n = d },
                              .threads = deq_context_threads(ctx),
                              .batch = batch,
                              .within = within,
                              .epsilon = dtype == DEQ_F32 ? 0x1p-24 : 0x1p-53 };
    deq_status status = allocate(s);
    if (status != DEQ_OK) {
        deq_linear_free(s);
        return status;
    }
    *out = s;
    return DEQ_OK;
}

deq_status deq_linear_new(deq_linear_solver **out, deq_context *ctx, deq_dtype dtype, int64_t batch,
                          int64_t d, const deq_linear_options *options)
{
    return make(out, ctx, dtype, batch, d, options, false);
}

deq_status deq_linear_new_within(deq_linear_solver **out, deq_context *ctx, deq_dtype dtype,
                                 int64_t batch, int64_t d, const deq_linear_options *options)
{
    return make(out, ctx, dtype, batch, d, options, true);
}

static size_t round_up(size_t bytes)
{
    return (bytes + DEQ_ALIGNMENT - 1) / DEQ_ALIGNMENT * DEQ_ALIGNMENT;
}

size_t deq_linear_lent_bytes(const deq_linear_solver *s)
{
    size_t row = 0, rows = 0;
    (void)count_bytes(s, &row, &rows);
    return round_up(rows) + (s->batch > 1 ? 2 * round_up(row) : 0);
}

void deq_linear_lend(deq_linear_solver *s, void *memory)
{
    size_t row = 0, rows = 0;
    (void)count_bytes(s, &row, &rows);
    s->rows = memory;
    s->stage_in = s->rows + round_up(rows);
    s->stage_out = s->stage_in + round_up(row);
}

void deq_linear_free(deq_linear_solver *s)
{
    if (!s) return;
    size_t batch = (size_t)s->batch, row = 0, rows = 0;
    (void)count_bytes(s, &row, &rows);
    if (!s->within) {
        deq_release(s->ctx, s->stage_out, row);
        deq_release(s->ctx, s->stage_in, row);
        deq_release(s->ctx, s->rows, rows);
    }
    deq_release(s->ctx, s->all, batch * sizeof *s->all);
    deq_release(s->ctx, s->ids, batch * sizeof *s->ids);
    deq_release(s->ctx, s->numbers, batch * s->kind.numbers * sizeof *s->numbers);
    deq_release(s->ctx, s->samples, batch * sizeof *s->samples);
    deq_release(s->ctx, s, sizeof *s);
}

/* --- what methods call ------------------------------------------------------------------------ */

static size_t row_bytes(const deq_linear_solver *s)
{
    return deq_vector_bytes(&s->v);
}

void *deq_linear_row(const deq_linear_solver *s, int row, int64_t k)
{
    return s->rows + ((size_t)row * (size_t)s->batch + (size_t)k) * row_bytes(s);
}

static void *u_of(const deq_linear_solver *s, int64_t k)
{
    return s->u + (size_t)k * row_bytes(s);
}

static const void *b_of(const deq_linear_solver *s, int64_t k)
{
    return s->b + (size_t)k * row_bytes(s);
}

bool deq_linear_may_apply(const deq_linear_solver *s, int64_t k)
{
    return s->samples[k].info.n_apply < (s->allowed ? s->allowed[k] : s->o.max_iter);
}

void deq_linear_ask(deq_linear_solver *s, int64_t k, int in, int out, int phase)
{
    deq_linear_sample *p = &s->samples[k];
    p->in = deq_linear_row(s, in, k);
    p->out = deq_linear_row(s, out, k);
    p->phase = phase;
}

void deq_linear_finish(deq_linear_solver *s, int64_t k, deq_outcome outcome)
{
    deq_linear_sample *p = &s->samples[k];
    p->in = NULL;
    p->info.outcome = outcome;
    p->info.residual = p->best;
    if (outcome == DEQ_CONVERGED || !p->nothing) return;
    deq_vector_copy(&s->v, u_of(s, k), b_of(s, k));
    p->info.fallback = true;
    p->info.verified = false;
    p->info.residual = INFINITY;
}

/* Row X becomes the best u, of this residual. */
static void keep(deq_linear_solver *s, int64_t k, double residual, bool verified)
{
    deq_linear_sample *p = &s->samples[k];
    if (!p->kept) deq_vector_copy(&s->v, u_of(s, k), deq_linear_row(s, DEQ_LINEAR_X, k));
    p->best = residual;
    p->kept = true;
    p->nothing = false;
    p->info.verified = verified;
}

bool deq_linear_keep(deq_linear_solver *s, int64_t k, double residual)
{
    deq_linear_sample *p = &s->samples[k];
    p->kept = false;
    if (residual < p->best) keep(s, k, residual, false);
    if (isfinite(residual) && residual <= s->o.divergence * p->b_norm) return true;
    deq_linear_finish(s, k, isfinite(residual) ? DEQ_DIVERGED : DEQ_NON_FINITE);
    return false;
}

bool deq_linear_gains(deq_linear_solver *s, int64_t k, double residual)
{
    deq_linear_sample *p = &s->samples[k];
    if (residual < GAIN * p->mark) {
        p->mark = residual;
        p->mark_at = p->info.n_apply;
    }
    if (s->o.stagnation == 0 || p->info.n_apply - p->mark_at < s->o.stagnation) return true;
    deq_linear_finish(s, k, DEQ_STAGNATED);
    return false;
}

void deq_linear_begin(deq_linear_solver *s, int64_t k, double residual)
{
    deq_linear_sample *p = &s->samples[k];
    p->residual = residual;
    if (!deq_linear_may_apply(s, k)) {
        deq_linear_finish(s, k, DEQ_MAX_ITER);
        return;
    }
    s->kind.begin(s, k);
}

void deq_linear_verify(deq_linear_solver *s, int64_t k, double residual)
{
    deq_linear_sample *p = &s->samples[k];
    bool more = deq_linear_may_apply(s, k), trust = s->o.trust_recurrence;
    p->claimed = residual <= p->tol;
    if (s->kind.stationary || (more && !(trust && p->claimed)))
        deq_linear_ask(s, k, DEQ_LINEAR_X, DEQ_LINEAR_R, PHASE_TRUE);
    else if (deq_linear_keep(s, k, residual))
        deq_linear_finish(s, k, trust && p->claimed ? DEQ_CONVERGED : DEQ_MAX_ITER);
}

/* --- verdicts --------------------------------------------------------------------------------- */

/* Whether another cycle may help, after one that ended with the true residual r. */
static bool may_help(deq_linear_solver *s, int64_t k, double r)
{
    deq_linear_sample *p = &s->samples[k];
    if (r > s->o.divergence * p->b_norm) {
        deq_linear_finish(s, k, DEQ_DIVERGED);
        return false;
    }
    if (s->kind.stationary) return deq_linear_gains(s, k, r);
    if (r <= (p->claimed ? GAIN_AFTER_CLAIM : GAIN) * p->residual) return true;
    deq_linear_finish(s, k, DEQ_STAGNATED);
    return false;
}

/* Row R is the residual of row X, r its norm. */
static void judge(deq_linear_solver *s, int64_t k, double r, bool first)
{
    deq_linear_sample *p = &s->samples[k];
    if (!isfinite(r)) {
        deq_linear_finish(s, k, DEQ_NON_FINITE);
        return;
    }
    if (p->kept || r < p->best) keep(s, k, r, true);
    if (r <= p->tol) {
        deq_linear_finish(s, k, DEQ_CONVERGED);
        return;
    }
    if (!first && !may_help(s, k, r)) return;
    if (!first) p->info.n_restart += !s->kind.stationary;
    p->kept = false;
    deq_linear_begin(s, k, r);
}

/* u = 0, whose residual is b. */
static void start_at_zero(deq_linear_solver *s, int64_t k)
{
    deq_linear_sample *p = &s->samples[k];
    deq_vector_zero(&s->v, deq_linear_row(s, DEQ_LINEAR_X, k));
    deq_vector_zero(&s->v, u_of(s, k));
    deq_vector_copy(&s->v, deq_linear_row(s, DEQ_LINEAR_R, k), b_of(s, k));
    p->best = p->b_norm;
    p->nothing = true;
    p->info.verified = true;
    judge(s, k, p->b_norm, true);
}

static void take_true_residual(deq_linear_solver *s, int64_t k)
{
    deq_linear_sample *p = &s->samples[k];
    void *r = deq_linear_row(s, DEQ_LINEAR_R, k);
    double norm = sqrt(deq_vector_combine(&s->v, r, 1, b_of(s, k), -1));
    if (p->phase == PHASE_TRUE)
        judge(s, k, norm, false);
    else if (norm <= p->b_norm)
        judge(s, k, norm, true);
    else
        start_at_zero(s, k);
}

static void start(deq_linear_solver *s, int64_t k, const void *u0)
{
    deq_linear_sample *p = &s->samples[k];
    void *x = deq_linear_row(s, DEQ_LINEAR_X, k), *u = u_of(s, k);
    double norm = deq_vector_norm(&s->v, b_of(s, k));
    *p = (deq_linear_sample){ .numbers = p->numbers,
                              .b_norm = norm,
                              .tol = s->o.atol + (s->rtol ? s->rtol[k] : s->o.rtol) * norm,
                              .best = INFINITY,
                              .mark = INFINITY,
                              .info = { .b_norm = norm } };
    if (s->allowed && s->allowed[k] < 0) return;
    if (u0) deq_vector_copy(&s->v, x, (const char *)u0 + (size_t)k * row_bytes(s));
    if (!u0 || (isfinite(norm) && norm <= p->tol)) {
        start_at_zero(s, k);
        return;
    }
    deq_vector_copy(&s->v, u, x);
    p->kept = true;
    if (!isfinite(norm))
        deq_linear_finish(s, k, DEQ_NON_FINITE);
    else if (!deq_linear_may_apply(s, k))
        deq_linear_finish(s, k, DEQ_MAX_ITER);
    else
        deq_linear_ask(s, k, DEQ_LINEAR_X, DEQ_LINEAR_R, PHASE_START);
}

/* --- rounds ----------------------------------------------------------------------------------- */

/* Threads for a loop over the unfinished samples; what is left goes to the vectors of each. */
static int threads_over_samples(deq_linear_solver *s)
{
    bool many = s->n_ids >= s->threads && s->n_ids > 1;
    s->v.threads = many ? 1 : s->threads;
    return many && s->n_ids * s->v.n >= PARALLEL_MIN ? s->threads : 1;
}

/* Where the i-th unfinished sample has its row in what the operator gets. */
static size_t staged(const deq_linear_solver *s, int64_t i)
{
    return (size_t)(s->a->whole_batch ? s->ids[i] : i) * row_bytes(s);
}

/* Whether the operator can read and write the samples' rows where they stand.  What it does to rows
 * of finished samples beside them does not matter. */
static bool in_place(const deq_linear_solver *s)
{
    const deq_linear_sample *first = &s->samples[s->ids[0]];
    const char *in = (const char *)first->in - staged(s, 0);
    const char *out = (const char *)first->out - staged(s, 0);
    for (int64_t i = 0; i < s->n_ids; i++) {
        const deq_linear_sample *p = &s->samples[s->ids[i]];
        if ((const char *)p->in != in + staged(s, i) || (const char *)p->out != out + staged(s, i))
            return false;
    }
    return true;
}

static deq_status apply(deq_linear_solver *s, bool direct)
{
    const deq_linear_operator *a = s->a;
    deq_linear_sample *first = &s->samples[s->ids[0]];
    char *out = (char *)first->out - staged(s, 0);
    const char *in = (const char *)first->in - staged(s, 0);
    for (int64_t i = 0; i < s->n_ids; i++) s->samples[s->ids[i]].info.n_apply++;
    if (direct && a->whole_batch) return a->apply(a->user, out, in, s->all, s->used);
    if (direct) return a->apply(a->user, out, in, s->ids, s->n_ids);
    for (int64_t i = 0; i < s->n_ids; i++)
        memcpy(s->stage_in + staged(s, i), s->samples[s->ids[i]].in, row_bytes(s));
    if (a->whole_batch) return a->apply(a->user, s->stage_out, s->stage_in, s->all, s->used);
    return a->apply(a->user, s->stage_out, s->stage_in, s->ids, s->n_ids);
}

/* The product of the i-th unfinished sample is there. */
static void resume(deq_linear_solver *s, int64_t i, bool direct)
{
    int64_t k = s->ids[i];
    deq_linear_sample *p = &s->samples[k];
    const void *product = direct ? p->out : s->stage_out + staged(s, i);
    if (s->a->identity_minus && !(s->kind.shifts && p->phase >= 0))
        (void)deq_vector_sum(&s->v, p->out, 1, p->in, -1, product);
    else
        deq_vector_copy(&s->v, p->out, product);
    if (p->phase < 0)
        take_true_residual(s, k);
    else
        s->kind.step(s, k);
}

static deq_status run_round(deq_linear_solver *s)
{
    bool direct = in_place(s);
    DEQ_TRY(apply(s, direct));
    int threads = threads_over_samples(s);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t i = 0; i < s->n_ids; i++) resume(s, i, direct);
    return DEQ_OK;
}

static void drop_finished(deq_linear_solver *s)
{
    int64_t n = 0;
    for (int64_t i = 0; i < s->n_ids; i++)
        if (s->samples[s->ids[i]].in) s->ids[n++] = s->ids[i];
    s->n_ids = n;
}

static void start_all(deq_linear_solver *s, const void *u0)
{
    s->n_ids = s->used;
    for (int64_t k = 0; k < s->used; k++) s->ids[k] = k;
    int threads = threads_over_samples(s);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t k = 0; k < s->used; k++) start(s, k, u0);
    drop_finished(s);
}

static deq_status run(void *u, deq_linear_info *info, deq_linear_solver *s,
                      const deq_linear_operator *a, const void *b, const void *u0)
{
    s->a = a;
    s->b = b;
    s->u = u;
    start_all(s, u0);
    while (s->n_ids > 0) {
        DEQ_TRY(run_round(s));
        drop_finished(s);
    }
    for (int64_t k = 0; info && k < s->used; k++) info[k] = s->samples[k].info;
    return DEQ_OK;
}

deq_status deq_linear_solve(void *u, deq_linear_info *info, deq_linear_solver *s,
                            const deq_linear_operator *a, const void *b, const void *u0)
{
    if (!a->apply) return deq_fail(s->ctx, DEQ_ERR_ARGUMENT, "linear solver: apply is NULL");
    if (u == b) return deq_fail(s->ctx, DEQ_ERR_ARGUMENT, "linear solver: u is b");
    s->used = s->batch;
    s->rtol = NULL;
    s->allowed = NULL;
    return run(u, info, s, a, b, u0);
}

deq_status deq_linear_solve_some(void *u, deq_linear_info *info, deq_linear_solver *s,
                                 const deq_linear_operator *a, const void *b, int64_t n,
                                 const double *rtol, const int64_t *allowed)
{
    s->used = n;
    s->rtol = rtol;
    s->allowed = allowed;
    return run(u, info, s, a, b, NULL);
}
