/* SPDX-License-Identifier: MIT */
/* The step that solves z* = f(z*; c). */
#include "graph/program_internal.h"
#include "implicit/lower.h"
#include "solver/solver.h"

#include <string.h>

typedef struct forward {
    deq_places places;
    deq_inner f;
    deq_inner vjp, jvp; /* compiled for the methods that ask for them */
    deq_inner outer;    /* z -> gradient of the outer loss */
    deq_solver *solver;
    deq_solver_memory *memory;
    deq_map map;
    bool keep_memory;
    int z;      /* slot: the solver's rows */
    int points; /* slot: where vjp and jvp are taken, or -1 */
    int lent;   /* slot: what the inner programs and the solver work in */
    size_t lent_bytes;
    void *point[DEQ_MAX_STATES];
} forward;

/* The map ------------------------------------------------------------------------------------- */

static deq_status eval(void *user, void *fz, const void *z, const int64_t *samples, int64_t n)
{
    (void)samples, (void)n; /* the whole batch, always */
    return deq_inner_eval(&((forward *)user)->f, fz, z);
}

/* J is taken at z: its plain states become the injected input of the products. */
static deq_status linearise(void *user, const void *z, const int64_t *samples, int64_t n)
{
    forward *s = user;
    (void)samples, (void)n;
    deq_inner_export(&s->f, s->point, (void *)(uintptr_t)z);
    for (int k = 0; k < 2; k++) {
        deq_inner *product = k ? &s->jvp : &s->vjp;
        if (!product->program) continue;
        DEQ_TRY(deq_inner_bind_point(product, s->point));
        DEQ_TRY(deq_inner_run_injected(product));
    }
    return DEQ_OK;
}

static deq_status vjp(void *user, void *vj, const void *v, const int64_t *samples, int64_t n)
{
    (void)samples, (void)n;
    return deq_inner_eval(&((forward *)user)->vjp, vj, v);
}

static deq_status jvp(void *user, void *jv, const void *v, const int64_t *samples, int64_t n)
{
    (void)samples, (void)n;
    return deq_inner_eval(&((forward *)user)->jvp, jv, v);
}

/* The gradient of the outer loss, on plain states. */
static deq_status outer_gradient(void *user, void *grad, const void *z, const int64_t *samples,
                                 int64_t n)
{
    forward *s = user;
    void *data[DEQ_MAX_STATES];
    (void)samples, (void)n;
    deq_inner_export(&s->f, s->point, (void *)(uintptr_t)z);
    for (int i = 0; i < s->f.states.n; i++)
        DEQ_TRY(deq_program_bind(s->outer.program, s->outer.in[i], s->point[i]));
    DEQ_TRY(deq_program_run_stage(s->outer.program, DEQ_STAGE_STATE));
    for (int i = 0; i < s->f.states.n; i++)
        data[i] = deq_program_data(s->outer.program, s->outer.out[i]);
    deq_inner_import(&s->f, grad, data);
    return DEQ_OK;
}

/* Running ------------------------------------------------------------------------------------ */

static void write_report(const forward *s, const deq_solve_info *info, void *const *slot)
{
    void *residual = slot[s->places.report[DEQ_REPORT_RESIDUAL]];
    int32_t *outcome = slot[s->places.report[DEQ_REPORT_OUTCOME]];
    int32_t *evaluations = slot[s->places.report[DEQ_REPORT_EVALUATIONS]];
    for (int64_t b = 0; b < info->batch; b++) {
        if (s->f.states.dtype == DEQ_F32)
            ((float *)residual)[b] = (float)info->sample[b].residual;
        else
            ((double *)residual)[b] = info->sample[b].residual;
        outcome[b] = (int32_t)info->sample[b].outcome;
        evaluations[b] = (int32_t)info->sample[b].n_feval;
    }
}

/* The intermediate states, plain, the states of a sample behind each other. */
static void write_saved(const forward *s, void *const *slot)
{
    deq_inner *f = (deq_inner *)(uintptr_t)&s->f;
    char *out = slot[s->places.saved];
    for (int k = 0; k + 1 < deq_solver_n_states(s->solver); k++) {
        void *rows = (void *)(uintptr_t)deq_solver_state(s->solver, k), *plain = out;
        deq_inner_export(f, f->states.n == 1 ? &plain : s->point, rows);
        if (f->states.n > 1) deq_states_pack(&f->states, out, s->point);
        out += deq_states_bytes(&f->states);
    }
}

static size_t round_up(size_t bytes)
{
    return (bytes + DEQ_ALIGNMENT - 1) / DEQ_ALIGNMENT * DEQ_ALIGNMENT;
}

/* What stays fixed during the solve: bound, and computed once. */
static deq_status begin(forward *s, void *const *slot)
{
    deq_inner *all[3] = { &s->f, &s->vjp, &s->jvp };
    deq_inner_poison(slot[s->lent], s->lent_bytes);
    for (int i = 0; i < 3; i++)
        if (all[i]->program) DEQ_TRY(deq_places_bind(s->places.captured, all[i], slot));
    if (s->outer.program) {
        DEQ_TRY(deq_places_bind(s->places.captured + s->f.n_captured, &s->outer, slot));
        DEQ_TRY(deq_inner_run_injected(&s->outer));
    }
    if (s->memory && !s->keep_memory) deq_solver_memory_clear(s->memory);
    return deq_inner_run_injected(&s->f);
}

/* Samples without a solution are said, with the facts; what to do is the caller's decision. */
static void tell(const forward *s, const deq_solve_info *info)
{
    int64_t failed = info->batch - info->n_outcome[DEQ_CONVERGED];
    if (failed)
        deq_log_line(
            s->f.ctx, DEQ_LOG_INFO,
            "equilibrium: %lld of %lld samples did not converge (%lld out of iterations, "
            "%lld stagnated, %lld diverged, %lld not finite), largest residual %.3g",
            (long long)failed, (long long)info->batch, (long long)info->n_outcome[DEQ_MAX_ITER],
            (long long)info->n_outcome[DEQ_STAGNATED], (long long)info->n_outcome[DEQ_DIVERGED],
            (long long)info->n_outcome[DEQ_NON_FINITE], info->residual);
}

static deq_status run_forward(void *self, void *const *slot, char *message)
{
    forward *s = self;
    void *data[DEQ_MAX_STATES], *z = slot[s->z];
    deq_solve_info info = { .struct_size = sizeof info };
    deq_status status = begin(s, slot);
    if (status != DEQ_OK) return deq_inner_failed(&s->f, status, message);

    deq_places_data(&s->places, s->places.first, slot, data);
    deq_inner_import(&s->f, z, data);
    status = deq_solve(z, &info, s->solver, &s->map);
    if (status != DEQ_OK) return deq_inner_failed(&s->f, status, message);

    deq_places_data(&s->places, s->places.out, slot, data);
    deq_inner_export(&s->f, data, z);
    write_report(s, &info, slot);
    tell(s, &info);
    if (s->places.saved >= 0) write_saved(s, slot);
    int64_t handle = (int64_t)(uintptr_t)s->memory;
    memcpy(slot[s->places.memory], &handle, sizeof handle);
    return DEQ_OK;
}

static deq_status place_forward(void *self, void *const *slot)
{
    forward *s = self;
    deq_inner *all[4] = { &s->f, &s->vjp, &s->jvp, &s->outer };
    char *lent = slot[s->lent], *at = s->points >= 0 ? slot[s->points] : NULL;
    for (int i = 0; i < 4; i++) DEQ_TRY(deq_inner_lend(all[i], &lent));
    for (int i = 0; at && i < s->places.n_states; i++) {
        s->point[i] = at;
        at += round_up((size_t)(s->f.states.batch * s->f.states.size[i]) *
                       deq_dtype_size(s->f.states.dtype));
    }
    return deq_solver_lend(s->solver, lent);
}

static void release_forward(void *self)
{
    forward *s = self;
    deq_solver_free(s->solver);
    deq_solver_memory_free(s->memory);
    deq_inner_free(&s->f);
    deq_inner_free(&s->vjp);
    deq_inner_free(&s->jvp);
    deq_inner_free(&s->outer);
}

/* Lowering ----------------------------------------------------------------------------------- */

static bool wants_vjp(deq_method m)
{
    return m == DEQ_ADJOINT_BROYDEN;
}

static bool wants_jvp(deq_method m)
{
    return m == DEQ_NEWTON_KRYLOV;
}

static deq_status make_products(forward *s, deq_lowering *l, const deq_body *b, deq_method method)
{
    if (wants_vjp(method)) DEQ_TRY(deq_inner_new(&s->vjp, l, b, DEQ_INNER_VJP));
    if (wants_jvp(method)) DEQ_TRY(deq_inner_new(&s->jvp, l, b, DEQ_INNER_JVP));
    s->map.linearise = s->vjp.program || s->jvp.program ? linearise : NULL;
    s->map.vjp = s->vjp.program ? vjp : NULL;
    s->map.jvp = s->jvp.program ? jvp : NULL;
    return DEQ_OK;
}

static deq_status make_solver(forward *s, deq_lowering *l, const deq_implicit *m)
{
    deq_solver_options o = m->options.forward;
    if (m->options.gradient == DEQ_GRADIENT_SHINE || m->options.keep_memory) {
        DEQ_TRY(deq_solver_memory_new(&s->memory, l->ctx));
        o.memory = s->memory;
    }
    s->keep_memory = m->options.keep_memory;
    if (m->outer) {
        DEQ_TRY(deq_inner_new(&s->outer, l, m->outer, DEQ_INNER_PLAIN));
        o.adjoint_broyden.outer_gradient = outer_gradient;
        o.adjoint_broyden.outer_user = s;
    }
    return deq_solver_new_within(&s->solver, l->ctx, &o, s->f.states.batch, s->f.states.dim,
                                 s->f.states.dtype);
}

static deq_status prepare(forward *s, deq_lowering *l, const deq_node *n)
{
    const deq_implicit *m = ((const deq_implicit_attr *)n->attr)->implicit;
    DEQ_TRY(deq_places_find(&s->places, l, n, false));
    DEQ_TRY(deq_inner_new(&s->f, l, m->body, DEQ_INNER_MAP));
    DEQ_TRY(make_products(s, l, m->body, m->options.forward.method));
    DEQ_TRY(make_solver(s, l, m));
    size_t bytes = deq_states_bytes(&s->f.states);
    s->z = deq_places_scratch(&s->places, l, bytes, n->stage);
    s->lent_bytes = deq_inner_lent_bytes(&s->f) + deq_inner_lent_bytes(&s->vjp) +
                    deq_inner_lent_bytes(&s->jvp) + deq_inner_lent_bytes(&s->outer) +
                    deq_solver_lent_bytes(s->solver);
    s->lent = deq_places_scratch(&s->places, l, s->lent_bytes, n->stage);
    s->points = -1;
    if (s->map.linearise || (s->places.saved >= 0 && s->f.states.n > 1)) {
        size_t room = bytes + DEQ_ALIGNMENT * (size_t)s->f.states.n;
        s->points = deq_places_scratch(&s->places, l, room, n->stage);
        if (s->points < 0) return DEQ_ERR_NOMEM;
    }
    return s->z < 0 || s->lent < 0 ? DEQ_ERR_NOMEM : DEQ_OK;
}

deq_status deq_lower_equilibrium(deq_lowering *l, const deq_node *n)
{
    const deq_implicit *m = ((const deq_implicit_attr *)n->attr)->implicit;
    forward *s = deq_lower_alloc(l, sizeof *s);
    if (!s) return DEQ_ERR_NOMEM;
    s->map = (deq_map){ .struct_size = sizeof(deq_map), .eval = eval, .user = s };
    deq_status status = prepare(s, l, n);
    deq_inner *all[3] = { &s->f, &s->vjp, &s->jvp };
    for (int i = 0; i < 3 && status == DEQ_OK; i++)
        if (all[i]->program) status = deq_lower_parameters(l, s->places.captured, all[i]);
    if (status == DEQ_OK && s->outer.program)
        status = deq_lower_parameters(l, s->places.captured + s->f.n_captured, &s->outer);
    if (status != DEQ_OK) {
        release_forward(s);
        return status;
    }
    deq_program_info info = deq_program_stats(s->f.program);
    double most = m->options.forward.max_iter;
    deq_step step = { .run = run_forward,
                      .self = s,
                      .release = release_forward,
                      .place = place_forward,
                      .stage = n->stage > DEQ_STAGE_PARAMETER ? n->stage : DEQ_STAGE_PARAMETER,
                      .reads = s->places.reads,
                      .n_reads = s->places.n_reads,
                      .writes = s->places.writes,
                      .n_writes = s->places.n_writes,
                      .kernel = "equilibrium",
                      .flops = most * info.flops[DEQ_STAGE_STATE],
                      .bytes = most * info.bytes[DEQ_STAGE_STATE] };
    return deq_lower_step(l, &step);
}
