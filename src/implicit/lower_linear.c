/* SPDX-License-Identifier: MIT */
/*
 * The step that finds u for a right side w:
 *
 *   exactly        u (I - J) = w  or  (I - J) u = w  by a linear solver, or as the fixed point of
 *                  u -> w + u J  by one of the solvers of the forward pass
 *   Neumann        u = tau sum_{i<k} w B^i,  B = tau J + (1 - tau) I     (Geng et al. 2021)
 *   SHINE          u = -w B with the forward solver's B ~ (J - I)^-1; u = w for a sample with
 *                  |u| > c |w|; refined by Broyden's method from there, on  u -> w + u J,  whose
 *                  residual has the Jacobian (J - I)', so that B' is its inverse to begin with
 *                                                                         (Ramzi et al. 2022)
 */
#include "graph/program_internal.h"
#include "implicit/lower.h"
#include "solver/linear_sample.h"
#include "solver/solver.h"

#include <limits.h>
#include <math.h>
#include <string.h>

typedef struct linear {
    deq_places places;
    const deq_implicit *implicit;
    deq_gradient how; /* IFT, PHANTOM_NEUMANN or SHINE */
    deq_inner product;
    deq_linear_solver *solver; /* IFT */
    deq_linear_operator operator;
    deq_solver *fixed_point; /* IFT by adjoint_solver; SHINE with refinement */
    deq_map map;             /* u -> w + u J */
    const void *right;       /* w of the run that is going on */
    deq_linear_info *info;   /* [batch] */
    int u, w, t;             /* slots: rows */
    int lent;                /* slot: what the product and the solvers work in */
    size_t lent_bytes;
} linear;

static deq_status apply(void *user, void *out, const void *v, const int64_t *samples, int64_t n)
{
    (void)samples, (void)n;
    return deq_inner_eval(&((linear *)user)->product, out, v);
}

/* n elements at a time, by all threads. */
static deq_vectors vectors(const linear *s, int64_t n)
{
    const deq_states *st = &s->product.states;
    return (deq_vectors){ .dtype = st->dtype,
                          .threads = st->threads,
                          .n = n,
                          .k = deq_kernels_for(st->dtype, deq_context_isa(s->product.ctx)) };
}

/* The rows of the whole batch as one vector. */
static deq_vectors rows_of(const linear *s)
{
    return vectors(s, s->product.states.batch * s->product.states.dim);
}

static double norm(const linear *s, const void *rows, int64_t sample)
{
    deq_vectors one = vectors(s, s->product.states.dim);
    return deq_vector_norm(&one, (const char *)rows + (size_t)sample * deq_vector_bytes(&one));
}

/* Fixed point -------------------------------------------------------------------------------- */

static deq_status adjoint_map(void *user, void *fu, const void *u, const int64_t *samples,
                              int64_t n)
{
    linear *s = user;
    (void)samples, (void)n;
    deq_vectors all = rows_of(s);
    DEQ_TRY(deq_inner_eval(&s->product, fu, u));
    (void)deq_vector_combine(&all, fu, 1, s->right, 1);
    return DEQ_OK;
}

/* From the u that is given; a sample that comes to nothing keeps it. */
static deq_status solve_fixed_point(linear *s, void *u, const void *w)
{
    deq_solve_info info = { .struct_size = sizeof info };
    s->right = w;
    DEQ_TRY(deq_solve(u, &info, s->fixed_point, &s->map));
    for (int64_t b = 0; b < info.batch; b++) {
        const deq_sample_info *i = &info.sample[b];
        s->info[b] = (deq_linear_info){ .outcome = i->outcome,
                                        .fallback = i->best_feval == 0,
                                        .n_apply = i->n_feval,
                                        .residual = i->residual,
                                        .b_norm = norm(s, w, b) };
    }
    return DEQ_OK;
}

/* Neumann ------------------------------------------------------------------------------------ */

/* v_0 = w,  v_{i+1} = tau v_i J + (1 - tau) v_i;  u = tau sum_i v_i */
static deq_status neumann(linear *s, void *u, void *v, void *t)
{
    const deq_equilibrium_options *o = &s->implicit->options;
    deq_vectors all = rows_of(s);
    (void)deq_vector_combine(&all, u, o->tau, v, 0);
    for (int k = 1; k < o->steps; k++) {
        DEQ_TRY(deq_inner_eval(&s->product, t, v));
        (void)deq_vector_combine(&all, v, o->tau, t, 1 - o->tau);
        (void)deq_vector_combine(&all, u, o->tau, v, 1);
    }
    for (int64_t b = 0; b < s->product.states.batch; b++)
        s->info[b] = (deq_linear_info){ .outcome = DEQ_MAX_ITER,
                                        .n_apply = o->steps - 1,
                                        .residual = INFINITY };
    return DEQ_OK;
}

/* SHINE -------------------------------------------------------------------------------------- */

/* u = w for samples whose estimate is too long, or not finite. */
static void fall_back(linear *s, void *u, const void *w)
{
    const deq_states *st = &s->product.states;
    double c = s->implicit->options.shine_fallback;
    size_t bytes = (size_t)st->dim * deq_dtype_size(st->dtype);
    for (int64_t b = 0; b < st->batch; b++) {
        double nu = norm(s, u, b), nw = norm(s, w, b);
        bool keep = isfinite(nu) && (c <= 0 || nu <= c * nw);
        s->info[b] = (deq_linear_info){ .outcome = keep ? DEQ_CONVERGED : DEQ_MAX_ITER,
                                        .fallback = !keep,
                                        .residual = INFINITY,
                                        .b_norm = nw };
        if (!keep)
            memcpy((char *)u + (size_t)b * bytes, (const char *)w + (size_t)b * bytes, bytes);
    }
}

static deq_status shine(linear *s, void *u, const void *w, void *const *slot, char *message)
{
    int64_t handle;
    memcpy(&handle, slot[s->places.memory], sizeof handle);
    deq_solver_memory *memory = (deq_solver_memory *)(uintptr_t)handle;
    DEQ_TRY(deq_solver_memory_apply(u, memory, w, false));
    fall_back(s, u, w);
    if (!s->fixed_point) return DEQ_OK;
    DEQ_TRY(deq_solver_start_from(s->fixed_point, memory, true));
    deq_status status = solve_fixed_point(s, u, w);
    return status == DEQ_OK ? DEQ_OK : deq_inner_failed(&s->product, status, message);
}

/* Running ------------------------------------------------------------------------------------ */

static void write_report(const linear *s, void *const *slot)
{
    void *residual = slot[s->places.report[DEQ_REPORT_RESIDUAL]];
    int32_t *outcome = slot[s->places.report[DEQ_REPORT_OUTCOME]];
    int32_t *evaluations = slot[s->places.report[DEQ_REPORT_EVALUATIONS]];
    for (int64_t b = 0; b < s->product.states.batch; b++) {
        if (s->product.states.dtype == DEQ_F32)
            ((float *)residual)[b] = (float)s->info[b].residual;
        else
            ((double *)residual)[b] = s->info[b].residual;
        outcome[b] = (int32_t)s->info[b].outcome;
        evaluations[b] = (int32_t)s->info[b].n_apply;
    }
}

/* A failed solve is said, with the facts; what it gives is the best u, or w, never zeros. */
static void warn(const linear *s)
{
    int64_t batch = s->product.states.batch, failed = 0, fallen = 0;
    double worst = 0;
    for (int64_t b = 0; b < batch; b++) {
        const deq_linear_info *i = &s->info[b];
        failed += i->outcome != DEQ_CONVERGED;
        fallen += i->fallback;
        double relative = i->b_norm > 0 ? i->residual / i->b_norm : 0;
        if (i->outcome != DEQ_CONVERGED && relative > worst) worst = relative;
    }
    bool solved = s->how == DEQ_GRADIENT_IFT || s->fixed_point;
    if ((solved && failed) || fallen)
        deq_log_line(
            s->product.ctx, DEQ_LOG_WARNING,
            "adjoint solve: %lld of %lld samples did not converge, worst relative residual "
            "%.3g; %lld use u = w",
            (long long)failed, (long long)batch, worst, (long long)fallen);
}

static deq_status solve(linear *s, void *u, void *w, void *t, void *const *slot, char *message)
{
    switch (s->how) {
    case DEQ_GRADIENT_PHANTOM_NEUMANN: {
        deq_status status = neumann(s, u, w, t);
        return status == DEQ_OK ? DEQ_OK : deq_inner_failed(&s->product, status, message);
    }
    case DEQ_GRADIENT_SHINE: return shine(s, u, w, slot, message);
    default: {
        if (s->fixed_point) memcpy(u, w, deq_states_bytes(&s->product.states));
        deq_status status = s->fixed_point
                                ? solve_fixed_point(s, u, w)
                                : deq_linear_solve(u, s->info, s->solver, &s->operator, w, NULL);
        return status == DEQ_OK ? DEQ_OK : deq_inner_failed(&s->product, status, message);
    }
    }
}

static deq_status run_linear(void *self, void *const *slot, char *message)
{
    linear *s = self;
    void *z[DEQ_MAX_STATES], *data[DEQ_MAX_STATES];
    deq_inner_poison(slot[s->lent], s->lent_bytes);
    deq_places_data(&s->places, s->places.first, slot, z);
    deq_status status = deq_places_bind(s->places.captured, &s->product, slot);
    if (status == DEQ_OK) status = deq_inner_bind_point(&s->product, z);
    if (status == DEQ_OK) status = deq_inner_run_injected(&s->product);
    if (status != DEQ_OK) return deq_inner_failed(&s->product, status, message);

    deq_places_data(&s->places, s->places.second, slot, data);
    deq_inner_import(&s->product, slot[s->w], data);
    DEQ_TRY(solve(s, slot[s->u], slot[s->w], s->t < 0 ? NULL : slot[s->t], slot, message));
    deq_places_data(&s->places, s->places.out, slot, data);
    deq_inner_export(&s->product, data, slot[s->u]);
    write_report(s, slot);
    warn(s);
    const deq_equilibrium_options *o = &s->implicit->options;
    if (o->adjoint_observer)
        o->adjoint_observer(o->adjoint_observer_user, s->info, s->product.states.batch);
    return DEQ_OK;
}

static deq_status place_linear(void *self, void *const *slot)
{
    linear *s = self;
    char *lent = slot[s->lent];
    DEQ_TRY(deq_inner_lend(&s->product, &lent));
    if (s->solver) deq_linear_lend(s->solver, lent);
    return s->fixed_point ? deq_solver_lend(s->fixed_point, lent) : DEQ_OK;
}

static void release_linear(void *self)
{
    linear *s = self;
    deq_linear_free(s->solver);
    deq_solver_free(s->fixed_point);
    deq_inner_free(&s->product);
}

/* Lowering ----------------------------------------------------------------------------------- */

/* So many steps of Broyden's method take one product more. */
static deq_solver_options refinement(const deq_equilibrium_options *o)
{
    deq_solver_options r = deq_solver_defaults();
    r.method = DEQ_BROYDEN;
    r.max_iter = o->shine_refine < INT_MAX ? o->shine_refine + 1 : INT_MAX;
    r.atol = o->adjoint.atol;
    r.rtol = o->adjoint.rtol;
    r.divergence = o->adjoint.divergence;
    return r;
}

static deq_status make_solver(linear *s, deq_lowering *l)
{
    const deq_equilibrium_options *o = &s->implicit->options;
    const deq_states *st = &s->product.states;
    s->operator=(deq_linear_operator){
        .apply = apply, .user = s, .identity_minus = true, .whole_batch = true
    };
    if (s->how == DEQ_GRADIENT_PHANTOM_NEUMANN) return DEQ_OK;
    if (s->how == DEQ_GRADIENT_SHINE && o->shine_refine == 0) return DEQ_OK;
    s->map = (deq_map){ .struct_size = sizeof s->map, .eval = adjoint_map, .user = s };
    deq_solver_options refine = refinement(o);
    if (s->how == DEQ_GRADIENT_SHINE)
        return deq_solver_new_within(&s->fixed_point, l->ctx, &refine, st->batch, st->dim,
                                     st->dtype);
    if (o->adjoint_by_solver)
        return deq_solver_new_within(&s->fixed_point, l->ctx, &o->adjoint_solver, st->batch,
                                     st->dim, st->dtype);
    return deq_linear_new_within(&s->solver, l->ctx, st->dtype, st->batch, st->dim, &o->adjoint);
}

static deq_status prepare(linear *s, deq_lowering *l, const deq_node *n)
{
    const deq_implicit_attr *a = n->attr;
    s->implicit = a->implicit;
    bool estimate = !a->exact && (a->implicit->options.gradient == DEQ_GRADIENT_SHINE ||
                                  a->implicit->options.gradient == DEQ_GRADIENT_PHANTOM_NEUMANN);
    s->how = estimate ? a->implicit->options.gradient : DEQ_GRADIENT_IFT;
    DEQ_TRY(deq_places_find(&s->places, l, n, true));
    DEQ_TRY(deq_inner_new(&s->product, l, a->implicit->body,
                          a->transposed ? DEQ_INNER_VJP : DEQ_INNER_JVP));
    DEQ_TRY(make_solver(s, l));
    size_t bytes = deq_states_bytes(&s->product.states);
    s->info = deq_lower_alloc(l, (size_t)s->product.states.batch * sizeof *s->info);
    s->u = deq_places_scratch(&s->places, l, bytes, n->stage);
    s->w = deq_places_scratch(&s->places, l, bytes, n->stage);
    s->t = s->how == DEQ_GRADIENT_PHANTOM_NEUMANN
               ? deq_places_scratch(&s->places, l, bytes, n->stage)
               : -1;
    s->lent_bytes = deq_inner_lent_bytes(&s->product) +
                    (s->solver ? deq_linear_lent_bytes(s->solver) : 0) +
                    (s->fixed_point ? deq_solver_lent_bytes(s->fixed_point) : 0);
    s->lent = deq_places_scratch(&s->places, l, s->lent_bytes, n->stage);
    bool room = s->info && s->u >= 0 && s->w >= 0 && s->lent >= 0;
    return room ? DEQ_OK : DEQ_ERR_NOMEM;
}

deq_status deq_lower_implicit_solve(deq_lowering *l, const deq_node *n)
{
    linear *s = deq_lower_alloc(l, sizeof *s);
    if (!s) return DEQ_ERR_NOMEM;
    deq_status status = prepare(s, l, n);
    if (status == DEQ_OK) status = deq_lower_parameters(l, s->places.captured, &s->product);
    if (status != DEQ_OK) {
        release_linear(s);
        return status;
    }
    deq_program_info info = deq_program_stats(s->product.program);
    double most = (double)s->implicit->options.adjoint.max_iter;
    deq_step step = { .run = run_linear,
                      .self = s,
                      .release = release_linear,
                      .place = place_linear,
                      .stage = n->stage > DEQ_STAGE_PARAMETER ? n->stage : DEQ_STAGE_PARAMETER,
                      .reads = s->places.reads,
                      .n_reads = s->places.n_reads,
                      .writes = s->places.writes,
                      .n_writes = s->places.n_writes,
                      .kernel = "implicit solve",
                      .flops = most * info.flops[DEQ_STAGE_STATE],
                      .bytes = most * info.bytes[DEQ_STAGE_STATE] };
    return deq_lower_step(l, &step);
}
