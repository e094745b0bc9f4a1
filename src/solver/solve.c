/* SPDX-License-Identifier: MIT */
/*
 * The loop of every fixed-point solver:
 *
 *     repeat
 *         f(z) for the samples in work                                one round, one evaluation
 *         the method's step: residuals, judgement, next z
 *         finished samples: results out, rows compacted
 *     until nobody is active
 */
#include "solver/memory.h"

#include <math.h>
#include <string.h>

/* Compaction copies a finished row's place full once; that is about one step of one row. */
enum { COMPACT_SHARE = 8 }; /* when at least 1 / COMPACT_SHARE of the rows are idle */

/* Judging ------------------------------------------------------------------------------------ */

void deq_finish(deq_solver *s, int64_t row, deq_outcome outcome)
{
    int64_t i = s->b.sample[row];
    s->sample_info[i].outcome = outcome;
    s->b.active[i] = false;
}

static void record(deq_solver *s, int64_t i, double residual, double relative)
{
    int64_t k = s->sample_info[i].n_feval - 1;
    s->sample[i].residual = s->last[i] = residual;
    s->sample[i].relative = s->last[s->b.B + i] = relative;
    if (!s->trace || k >= s->o.max_iter) return;
    s->trace[i * (s->o.max_iter + 1) + k] = residual;
    s->trace[(s->b.B + i) * (s->o.max_iter + 1) + k] = relative;
}

/* A sample without progress whose residual has grown so much diverges, slowly. */
static const double outgrown = 10;

/* No new best for long, or none worth the name at the floor of the precision: rounding alone makes a
 * residual of a few epsilon |f|. */
static bool stagnates(deq_solver *s, deq_sample *m, const deq_sample_info *in)
{
    double epsilon = s->dtype == DEQ_F32 ? 0x1p-23 : 0x1p-52;
    int window = s->o.stagnation_window;
    if (!window) return false;
    if (in->residual < m->progress * (1 - 1e-5)) {
        m->progress = in->residual;
        m->progress_at = in->n_feval;
    }
    if (in->residual < m->floor * 0.5 || in->relative > 16 * epsilon) {
        m->floor = in->residual;
        m->floor_at = in->n_feval;
    }
    return in->n_feval - m->progress_at >= window || in->n_feval - m->floor_at >= (window + 1) / 2;
}

bool deq_judge(deq_solver *s, int64_t row, double gg, double ff, bool forgive)
{
    int64_t i = s->b.sample[row];
    deq_sample *m = &s->sample[i];
    deq_sample_info *in = &s->sample_info[i];
    bool finite = isfinite(gg) && isfinite(ff);
    double r = finite ? sqrt(gg) : INFINITY, f = finite ? sqrt(ff) : INFINITY;
    double relative = r > 0 ? (finite ? r / f : INFINITY) : 0, bound = s->o.atol + s->o.rtol * f;

    in->n_feval++;
    record(s, i, r, relative);
    if (in->n_feval == 1) in->initial = r;
    m->is_best = r < in->residual;
    if (m->is_best) {
        in->residual = r;
        in->relative = relative;
        in->best_feval = in->n_feval;
        m->best = s->z;
    }
    if (!finite && !(forgive && in->best_feval))
        deq_finish(s, row, DEQ_NON_FINITE);
    else if (finite && r <= bound)
        deq_finish(s, row, DEQ_CONVERGED);
    else if (finite && s->o.divergence > 0 && r > s->o.divergence * fmax(in->initial, bound))
        deq_finish(s, row, DEQ_DIVERGED);
    else if (stagnates(s, m, in))
        deq_finish(s, row, r > outgrown * in->initial ? DEQ_DIVERGED : DEQ_STAGNATED);
    else if (in->n_feval >= s->o.max_iter)
        deq_finish(s, row, DEQ_MAX_ITER);
    return s->b.active[i];
}

void deq_rescue(deq_solver *s, int64_t row, int64_t at, int64_t count, const void *vector)
{
    if (deq_row_sample(s, row)->best == vector)
        memcpy(deq_at(&s->b, s->kept, row, at), deq_at(&s->b, vector, row, at),
               (size_t)count * s->b.k->size);
}

void deq_rescued(deq_solver *s, int64_t row, const void *vector)
{
    deq_sample *m = deq_row_sample(s, row);
    if (m->best == vector) m->best = s->kept;
}

/* Calling the map ---------------------------------------------------------------------------- */

static char *result_of(const deq_solver *s, int64_t sample)
{
    return s->result + (size_t)(sample * s->b.d) * s->b.k->size;
}

static bool idle(const deq_solver *s, int64_t row)
{
    return !s->b.active[s->b.sample[row]];
}

deq_status deq_solver_eval(deq_solver *s, void *fz, void *z)
{
    const deq_map *f = s->map;
    size_t bytes = (size_t)s->b.d * s->b.k->size;
    for (int64_t r = 0; r < s->b.n; r++)
        if (idle(s, r)) memcpy(deq_at(&s->b, z, r, 0), result_of(s, s->b.sample[r]), bytes);
    s->info.n_feval++;
    s->info.n_feval_rows += s->b.n;
    return f->eval(f->user, fz, z, s->b.sample, s->b.n);
}

static void clear_idle(deq_solver *s, void *v)
{
    for (int64_t r = 0; r < s->b.n; r++)
        if (idle(s, r)) memset(deq_at(&s->b, v, r, 0), 0, (size_t)s->b.d * s->b.k->size);
}

deq_status deq_solver_linearise(deq_solver *s, const void *z)
{
    const deq_map *f = s->map;
    return f->linearise ? f->linearise(f->user, z, s->b.sample, s->b.n) : DEQ_OK;
}

deq_status deq_solver_jvp(deq_solver *s, void *jv, void *v)
{
    clear_idle(s, v);
    s->info.n_jvp++;
    s->info.n_jvp_rows += s->b.n;
    return s->map->jvp(s->map->user, jv, v, s->b.sample, s->b.n);
}

deq_status deq_solver_vjp(deq_solver *s, void *vj, void *v)
{
    clear_idle(s, v);
    s->info.n_vjp++;
    s->info.n_vjp_rows += s->b.n;
    return s->map->vjp(s->map->user, vj, v, s->b.sample, s->b.n);
}

/* Results ------------------------------------------------------------------------------------ */

/* Copy one vector of the whole batch, by sample. */
static void copy_all(const deq_solver *s, char *out, const char *in)
{
    int64_t n = s->b.B * s->b.d, piece = DEQ_CHUNK;
    size_t size = s->b.k->size;
#pragma omp parallel for schedule(static) num_threads(s->b.threads) if (n > 1 << 16)
    for (int64_t at = 0; at < n; at += piece)
        memcpy(out + (size_t)at * size, in + (size_t)at * size,
               (size_t)(n - at < piece ? n - at : piece) * size);
}

/* Copy the best iterates of the rows chosen by sample to `out` [B, dim]. */
static void copy_best(deq_solver *s, char *out, bool active)
{
    size_t bytes = (size_t)s->b.d * s->b.k->size;
#pragma omp parallel for schedule(static) num_threads(s->b.threads) if (s->b.n * s->b.d > 1 << 16)
    for (int64_t r = 0; r < s->b.n; r++) {
        int64_t i = s->b.sample[r];
        if (s->b.active[i] == active && s->sample[i].best)
            memcpy(out + (size_t)i * bytes, deq_at(&s->b, s->sample[i].best, r, 0), bytes);
    }
}

/* Samples that finished in this round: `best` is cleared so that they are collected once. */
static void collect(deq_solver *s)
{
    int64_t n_idle = 0;
    copy_best(s, s->result, false);
    for (int64_t r = 0; r < s->b.n; r++) {
        if (!idle(s, r)) continue;
        n_idle++;
        if (deq_row_sample(s, r)->best && s->kind->remember && s->memory) s->kind->remember(s, r);
        deq_row_sample(s, r)->best = NULL;
    }
    if (s->map->partial && n_idle * COMPACT_SHARE >= s->b.n) deq_batch_compact(&s->b);
}

void deq_save_states(deq_solver *s, int64_t n_feval)
{
    while (s->state_at < s->n_states - 1 && s->state_index[s->state_at] <= n_feval) {
        char *out = s->state[s->state_at++];
        copy_all(s, out, s->result);
        copy_best(s, out, true);
    }
}

static int64_t count_active(const deq_solver *s)
{
    int64_t n = 0;
    for (int64_t i = 0; i < s->b.B; i++) n += s->b.active[i];
    return n;
}

bool deq_observe(deq_solver *s, int64_t n_active)
{
    deq_progress p = { s->info.n_feval, n_active, s->sample_info, s->last, s->last + s->b.B };
    return !s->o.observer || s->o.observer(s->o.observer_user, &p);
}

static void stop_all(deq_solver *s)
{
    for (int64_t r = 0; r < s->b.n; r++)
        if (!idle(s, r)) deq_finish(s, r, DEQ_MAX_ITER);
}

static void begin(deq_solver *s)
{
    deq_batch_reset(&s->b);
    for (int64_t i = 0; i < s->b.B; i++) {
        s->sample[i] = (deq_sample){ .progress = INFINITY, .floor = INFINITY };
        s->sample_info[i] = (deq_sample_info){
            .outcome = DEQ_MAX_ITER, .residual = INFINITY, .relative = INFINITY, .initial = INFINITY
        };
        s->last[i] = s->last[s->b.B + i] = INFINITY;
    }
    s->info = (deq_solve_info){ .struct_size = sizeof s->info };
    s->state_at = 0;
    bool fits = s->o.memory && !s->start && deq_memory_fits(s->o.memory, s);
    s->memory = fits ? s->o.memory : NULL;
    s->kind->begin(s);
    if (s->z) copy_all(s, s->z, s->result);
}

static void summarise(deq_solver *s)
{
    deq_solve_info *info = &s->info;
    info->sample = s->sample_info;
    info->batch = s->b.B;
    for (int64_t i = 0; i < s->b.B; i++) {
        deq_sample_info *in = &s->sample_info[i];
        if (!s->o.reference_batch_max)
            in->n_iter = in->n_feval > 0 ? in->n_feval - 1 - s->sample[i].n_rejected : 0;
        info->n_outcome[in->outcome]++;
        info->residual = fmax(info->residual, in->residual);
        info->relative = fmax(info->relative, in->relative);
    }
}

static deq_status iterate(deq_solver *s)
{
    int64_t n_active = s->b.B;
    if (s->o.max_iter == 0) {
        stop_all(s);
        n_active = 0;
    }
    while (n_active) {
        DEQ_TRY(deq_solver_eval(s, s->fz, s->z));
        DEQ_TRY(s->kind->step(s));
        n_active = count_active(s);
        if (!deq_observe(s, n_active)) {
            stop_all(s);
            n_active = 0;
        }
        collect(s);
        deq_save_states(s, s->info.n_feval);
    }
    deq_save_states(s, s->o.max_iter);
    return DEQ_OK;
}

/* The compatibility mode has a loop of its own. */
static deq_status run(deq_solver *s)
{
    begin(s);
    if (!s->o.reference_batch_max) return iterate(s);
    deq_status status = s->kind->step(s);
    deq_save_states(s, s->o.max_iter);
    copy_best(s, s->result, true);
    return status;
}

static deq_status check_map(const deq_solver *s, const deq_map *f)
{
    if (!f || f->struct_size != sizeof *f || !f->eval)
        return deq_fail(
            s->ctx, DEQ_ERR_ARGUMENT,
            "deq_solve: the map has no eval, or its struct_size is not that of deq_map");
    if (s->kind->needs_jvp && !f->jvp)
        return deq_fail(s->ctx, DEQ_ERR_ARGUMENT, "deq_solve: %s needs a map with jvp",
                        deq_method_name(s->kind->method));
    if (s->kind->needs_vjp && !f->vjp)
        return deq_fail(s->ctx, DEQ_ERR_ARGUMENT, "deq_solve: %s needs a map with vjp",
                        deq_method_name(s->kind->method));
    return DEQ_OK;
}

deq_status deq_solve(void *z, deq_solve_info *info, deq_solver *s, const deq_map *f)
{
    if (!s) return DEQ_ERR_ARGUMENT;
    if (!z) return deq_fail(s->ctx, DEQ_ERR_ARGUMENT, "deq_solve: z is NULL");
    if (info && info->struct_size != sizeof *info)
        return deq_fail(s->ctx, DEQ_ERR_ARGUMENT,
                        "deq_solve: info->struct_size is not that of deq_solve_info");
    DEQ_TRY(check_map(s, f));
    s->map = f;
    s->result = z;
    deq_status status = run(s);
    if (status != DEQ_OK) {
        copy_best(s, s->result, true);
        s->result = NULL;
    }
    s->start = NULL;
    summarise(s);
    if (info) *info = s->info;
    return status;
}

/* What was saved ----------------------------------------------------------------------------- */

int deq_solver_n_states(const deq_solver *s)
{
    return s->n_states;
}

const void *deq_solver_state(const deq_solver *s, int i)
{
    if (i < 0 || i >= s->n_states || !s->result) return NULL;
    return i == s->n_states - 1 ? s->result : s->state[i];
}

int deq_solver_state_index(const deq_solver *s, int i)
{
    return i < 0 || i >= s->n_states ? -1 : s->state_index[i];
}

deq_trace deq_solver_trace(const deq_solver *s, int64_t sample)
{
    if (!s->trace || sample < 0 || sample >= s->b.B) return (deq_trace){ .length = 0 };
    int64_t stride = s->o.max_iter + 1;
    const double *residual = s->trace + sample * stride;
    return (deq_trace){ residual, residual + s->b.B * stride,
                        s->o.reference_batch_max ? s->trace_length
                                                 : s->sample_info[sample].n_feval };
}
