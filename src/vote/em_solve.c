/* SPDX-License-Identifier: MIT */
/*
 * EM by the library's solvers, with a safeguard.
 *
 * An accelerated step may lower the likelihood, for a while (SQUAREM's extrapolated points) or for good
 * (another basin).  The observer watches each evaluation and ends the solve when the objective is
 * further than a slack below the best; the best parameters then go through plain EM, which cannot
 * lower it, before the solver begins afresh there.  After a few such times plain EM does the rest.
 */
#include "vote/em.h"

#include <math.h>
#include <string.h>

#define SLACK_PER_VOTE 1e-4
#define SLACK 1.0
#define ROUNDING 1e-12 /* of the objective */
#define PLAIN_STEPS 3
#define MOST_RESTARTS 5

typedef struct watch {
    deq_em *em;
    deq_estimate *e;
    double best; /* objective of em->z */
    bool converged, lowered, started;
    double *best_next; /* [dim] M(E(em->z)) */
} watch;

static void note(watch *w)
{
    deq_estimate_info *info = &w->e->info;

    if ((size_t)info->n_eval < w->e->trace_capacity) {
        w->e->trace[info->n_eval] = w->em->value.objective;
        info->trace_length = info->n_eval + 1;
    }
    info->n_eval++;
    deq_estimate_tell(w->e, w->em->p, w->em->value.gain / (double)w->em->p->v.n_votes,
                      w->em->value.objective);
}

static void keep(watch *w, const double *z, const double *next)
{
    const size_t bytes = (size_t)w->em->model->dim * sizeof *z;

    w->best = w->em->value.objective;
    if (z != w->em->z) memcpy(w->em->z, z, bytes);
    if (next != w->best_next) memcpy(w->best_next, next, bytes);
}

/* Evaluate at z, and keep the best.  A small gain somewhere below the best is a fixed point to leave. */
static void evaluate(watch *w, double *next, const double *z)
{
    deq_em *em = w->em;
    const double votes = (double)em->p->v.n_votes, tolerance = em->p->options.tolerance;

    deq_em_step(em, next, z);
    note(w);
    const double objective = em->value.objective;
    const bool better = !w->started || objective >= w->best;
    const bool as_good = better || objective >= w->best - ROUNDING * fabs(w->best);
    const bool still = tolerance > 0 && em->value.gain < tolerance * votes;
    w->started = true;
    w->converged = still && as_good;
    w->lowered = !as_good && (still || !(objective >= w->best - SLACK - SLACK_PER_VOTE * votes));
    if (better || w->converged) keep(w, z, next);
}

static deq_status eval(void *user, void *fz, const void *z, const int64_t *samples, int64_t n)
{
    (void)samples;
    (void)n; /* one sample */
    evaluate(user, fz, z);
    return DEQ_OK;
}

static bool observe(void *user, const deq_progress *progress)
{
    const watch *w = user;

    (void)progress;
    return !w->converged && !w->lowered && !w->e->stopped;
}

/* Plain EM from the best point, which has been evaluated. */
static void plain(watch *w, double *z, int steps)
{
    const size_t bytes = (size_t)w->em->model->dim * sizeof *z;

    w->lowered = false;
    for (int i = 0; i < steps && !w->converged && !w->lowered && !w->e->stopped; i++) {
        memcpy(z, w->best_next, bytes);
        evaluate(w, w->em->next, z);
        w->e->info.n_iter++;
    }
}

static int evaluations_left(const watch *w)
{
    return w->em->p->options.max_iter - (int)w->e->info.n_eval;
}

static deq_status solve_once(watch *w, double *z, deq_method method)
{
    const deq_estimate_options *options = &w->em->p->options;
    const deq_map map = { .struct_size = sizeof map, .eval = eval, .user = w };
    deq_solver_options o = deq_solver_defaults();
    deq_solve_info info = { .struct_size = sizeof info };
    deq_solver *solver;

    o.method = method;
    o.max_iter = evaluations_left(w);
    o.rtol = 0;
    o.divergence = 0;
    o.stagnation_window = 0;
    o.anderson.depth = options->anderson_depth;
    o.observer = observe;
    o.observer_user = w;
    memcpy(z, w->em->z, (size_t)w->em->model->dim * sizeof *z);
    DEQ_TRY(deq_solver_new(&solver, w->em->p->ctx, &o, 1, w->em->model->dim, DEQ_F64));
    const deq_status status = deq_solve(z, &info, solver, &map);
    if (status == DEQ_OK) {
        w->e->info.n_iter += info.sample[0].n_iter;
        if (info.sample[0].outcome == DEQ_CONVERGED) w->converged = true; /* exactly */
    }
    deq_solver_free(solver);
    return status;
}

static deq_status run(watch *w, double *z)
{
    deq_estimate_info *info = &w->e->info;
    deq_method method = info->solver;

    while (evaluations_left(w) > 0 && !w->e->stopped) {
        w->lowered = false;
        DEQ_TRY(solve_once(w, z, method));
        if (w->converged || !w->lowered) break;
        info->n_restart++;
        if (info->n_restart >= MOST_RESTARTS) method = DEQ_PICARD;
        plain(w, z, evaluations_left(w) < PLAIN_STEPS ? evaluations_left(w) : PLAIN_STEPS);
        if (w->converged) break;
    }
    return DEQ_OK;
}

deq_status deq_em_solve(deq_em *em, deq_estimate *e)
{
    const size_t dim = (size_t)em->model->dim;
    deq_context *ctx = em->p->ctx;
    watch w = { .em = em, .e = e };
    double *z = deq_alloc_array(ctx, dim, sizeof *z);
    deq_status status = DEQ_ERR_NOMEM;

    e->info.solver = em->p->options.solver == DEQ_AUTO ? DEQ_SQUAREM : em->p->options.solver;
    w.best_next = deq_alloc_array(ctx, dim, sizeof *z);
    if (z && w.best_next) status = run(&w, z);
    if (status == DEQ_OK) { /* the posteriors at the best parameters */
        em->posterior = e->posterior;
        deq_em_step(em, em->next, em->z);
        e->info.n_eval++;
        e->info.converged = w.converged;
        e->info.gain = em->value.gain / (double)em->p->v.n_votes;
        e->info.objective = em->value.objective;
        e->info.log_likelihood = em->value.log_likelihood;
        for (int64_t c = 0; c < em->p->v.n_labels; c++) e->prior[c] = exp(em->log_prior[c]);
    }
    deq_release(ctx, w.best_next, dim * sizeof *z);
    deq_release(ctx, z, dim * sizeof *z);
    return status;
}
