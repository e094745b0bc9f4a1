/* SPDX-License-Identifier: MIT */
/*
 * Fixed-point solvers from inside.
 *
 * deq_solve() is one loop for every method (solve.c): evaluate f at the active rows, let the method
 * take its step, drop the finished.  One round is one evaluation: a method that searches along a line
 * or needs several evaluations for a step is a state machine per sample, so that samples in different
 * states share the calls of f.
 *
 *     s->z    [n, d]  where f was just evaluated
 *     s->fz   [n, d]  f(z); a method may have it written straight into its history
 *
 * A step runs phases over the rows (batch.h).  Its first phase forms g = f(z) - z with the sums |g|^2
 * and |f(z)|^2 and ends with deq_judge(), which updates residual, best iterate, counters and outcome
 * of the row's sample; for a sample still active it goes on to write the next z.  Before it overwrites
 * a vector that was s->z in an earlier round it calls deq_rescue(), which saves the best iterate if it
 * still lies there: usually the best is the newest, and nothing is copied.
 */
#ifndef DEQ_SOLVER_SOLVER_H
#define DEQ_SOLVER_SOLVER_H

#include "solver/batch.h"

#include <deq/solver.h>

/* What the solver keeps for a sample beside its public part. */
typedef struct deq_sample {
    bool active;
    bool is_best;              /* the point judged last is the best so far */
    double residual, relative; /* of the point judged last */
    const void *best;          /* the vector in whose row the best iterate lies; NULL: none yet */
    double mark;               /* best residual when progress was last seen */
    int64_t mark_feval;        /* and the evaluation at which it was seen */
    double floor_mark;         /* the same for the floor test */
    int64_t floor_feval;
} deq_sample;

typedef struct deq_solver_kind {
    deq_method method;
    /* Check options and make vectors and tables, once. */
    deq_status (*prepare)(deq_solver *s);
    void (*release)(deq_solver *s);
    /* Start a solve: choose s->fz for the first evaluation.  May be NULL. */
    deq_status (*begin)(deq_solver *s);
    /* f was evaluated: judge every row in use, and for active samples write the next point and set
     * s->z (and s->fz) for the next round. */
    deq_status (*step)(deq_solver *s);
    /* A sample is finished (or its best iterate is to be remembered): leave what was learned in
     * s->o.memory.  May be NULL. */
    void (*remember)(deq_solver *s, int64_t row);
    bool needs_jvp, needs_vjp;
} deq_solver_kind;

struct deq_solver {
    deq_context *ctx;
    deq_solver_options o;
    deq_custom_method custom;
    const deq_solver_kind *kind;
    deq_dtype dtype;
    deq_batch b;

    void *z, *fz;     /* of this round */
    void *zs[2];      /* two vectors for iterates, in turn */
    void *g;          /* scratch vector for methods that need one */
    void *kept;       /* best iterates whose vector was needed otherwise; rows as the others */
    bool budget_left; /* another evaluation is allowed: write a next point */

    const deq_map *map; /* of the solve under way */
    void *result;       /* z of the caller, by sample */
    deq_solve_info info;
    deq_sample *sample;           /* [B] by sample */
    deq_sample_info *sample_info; /* [B] by sample */
    double *last;                 /* [2, B]: residual, relative of the last evaluation, by sample */
    double *trace;                /* [2, B, max_iter] or NULL */
    int *state_index;             /* [n_states] */
    int n_states;
    void **state; /* [n_states] of [B, d], by sample; the last is `result`'s copy */
    bool solved;
    void *method; /* of the method */
    size_t method_bytes;
};

extern const deq_solver_kind deq_kind_picard, deq_kind_anderson, deq_kind_broyden,
    deq_kind_adjoint_broyden, deq_kind_custom;

/* The sample of a row. */
static inline deq_sample *deq_row_sample(const deq_solver *s, int64_t row)
{
    return &s->sample[s->b.sample[row]];
}

static inline deq_sample_info *deq_row_info(const deq_solver *s, int64_t row)
{
    return &s->sample_info[s->b.sample[row]];
}

/* The point s->z of this row has |g|^2 and |f(z)|^2: account for it and decide whether the sample
 * goes on.  False: it is finished, and no next point is wanted. */
bool deq_judge(deq_solver *s, int64_t row, double gg, double ff);
/* `count` elements from `at` of this row of `vector` are about to be overwritten: if the sample's best
 * iterate lies there, copy them to s->kept.  deq_rescued() after the row is done. */
void deq_rescue(deq_solver *s, int64_t row, int64_t at, int64_t count, const void *vector);
void deq_rescued(deq_solver *s, int64_t row, const void *vector);
/* The iterate vector that is not s->z. */
void *deq_other_z(const deq_solver *s);

/* Products with the Jacobian for the rows in use, counted. */
deq_status deq_solver_linearise(deq_solver *s, const void *z);
deq_status deq_solver_jvp(deq_solver *s, void *jv, const void *v);
deq_status deq_solver_vjp(deq_solver *s, void *vj, const void *v);
/* One more evaluation of f at the rows in use, counted. */
deq_status deq_solver_eval(deq_solver *s, void *fz, const void *z);

/* The loop of the compatibility mode. */
deq_status deq_reference_solve(deq_solver *s);

#endif
