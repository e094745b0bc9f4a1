/* SPDX-License-Identifier: MIT */
/*
 * Fixed-point solvers from inside.
 *
 * deq_solve() is one loop for every method (solve.c): evaluate f at the active rows, let the method
 * take its step, drop the finished.  One round is one evaluation: a method that searches along a line
 * or needs several evaluations for a step is a state machine per sample, so that samples in different
 * states share the calls of f.
 *
 *     s->z    [n, dim]  where f was just evaluated
 *     s->fz   [n, dim]  f(z); a method may have it written straight into its history
 *
 * A step runs phases over the rows (batch.h).  The first forms g = f(z) - z with the sums |g|^2 and
 * |f(z)|^2 and ends with deq_judge(), which updates residual, best iterate, counters and outcome of
 * the row's sample; later phases, which see samples that go on, write the next z.
 *
 * The best iterate is usually the newest, so nothing is copied while it lies in some vector; whoever
 * overwrites a vector that was s->z earlier calls deq_rescue() before.
 */
#ifndef DEQ_SOLVER_SOLVER_H
#define DEQ_SOLVER_SOLVER_H

#include "solver/batch.h"

#include <deq/solver.h>

/* What the solver keeps for a sample beside its public part. */
typedef struct deq_sample {
    bool is_best;                  /* the point judged last is the best so far */
    double residual, relative;     /* of the point judged last */
    const void *best;              /* the vector in whose row the best iterate lies */
    int64_t n_rejected;            /* evaluations that were no iterates */
    double progress, floor;        /* best residuals when the stagnation tests last saw progress */
    int64_t progress_at, floor_at; /* and the evaluations */
} deq_sample;

typedef struct deq_method_kind {
    deq_method method;
    bool needs_jvp, needs_vjp;
    /* Make vectors and tables, once, into s->state_of_method.  What was made when it fails is
     * released all the same. */
    deq_status (*prepare)(deq_solver *s);
    void (*release)(deq_solver *s); /* tables; vectors belong to the batch.  May be NULL */
    /* Start a solve: set s->z (a vector, to be filled with z_0) and s->fz. */
    void (*begin)(deq_solver *s);
    /* f was evaluated: judge every row in work, write the next points of active samples, and set
     * s->z and s->fz for the next round. */
    deq_status (*step)(deq_solver *s);
    /* The sample of this row is finished: leave what was learned in s->memory.  May be NULL. */
    void (*remember)(deq_solver *s, int64_t row);
} deq_method_kind;

struct deq_solver {
    deq_context *ctx;
    deq_solver_options o;
    deq_custom_method custom;
    const deq_method_kind *kind;
    deq_dtype dtype;
    deq_batch b;
    void *method; /* tables of the method */

    void *z, *fz; /* of this round: vectors of the batch */
    void *kept;   /* vector of best iterates whose own vector was needed */

    deq_solver_memory *memory;      /* s->o.memory when it fits in this solve, or NULL */
    const deq_solver_memory *start; /* factors under the next solve, or NULL */
    bool start_transposed;
    int memory_capacity;
    double memory_gamma;

    const deq_map *map; /* of the solve under way */
    char *result;       /* z of the caller, [B, dim] by sample */
    deq_solve_info info;
    deq_sample *sample;           /* [B] by sample */
    deq_sample_info *sample_info; /* [B] by sample */
    double *last;                 /* [2, B] residual and relative of the last evaluation */
    double *trace;                /* [2, B, max_iter + 1], or NULL */
    int64_t trace_length;         /* of all samples in the compatibility mode */
    int n_states, *state_index;   /* [n_states] */
    char **state;                 /* [n_states - 1] of [B, dim] by sample; the last is `result` */
    int state_at;                 /* states saved so far */
};

extern const deq_method_kind deq_kind_picard, deq_kind_anderson, deq_kind_broyden,
    deq_kind_adjoint_broyden, deq_kind_newton_krylov, deq_kind_custom;
/* Methods that are a step of one sample, as users write them; their user is the solver. */
extern const deq_custom_method deq_squarem, deq_reversible_method;

/* A solver whose vectors are lent to it: deq_solver_lend() gives it aligned memory of so many bytes,
 * once, before the first solve; between solves that memory is free for others. */
deq_status deq_solver_new_within(deq_solver **out, deq_context *ctx,
                                 const deq_solver_options *options, int64_t batch, int64_t dim,
                                 deq_dtype dtype);
size_t deq_solver_lent_bytes(const deq_solver *s);
deq_status deq_solver_lend(deq_solver *s, void *memory);

/* The sample of a row. */
static inline deq_sample *deq_row_sample(const deq_solver *s, int64_t row)
{
    return &s->sample[s->b.sample[row]];
}

static inline deq_sample_info *deq_row_info(const deq_solver *s, int64_t row)
{
    return &s->sample_info[s->b.sample[row]];
}

/* The point s->z of this row has |g|^2 = gg and |f(z)|^2 = ff: account for it and decide whether the
 * sample goes on; if not, it is no longer active.  With `forgive`, values that are not finite do not
 * finish a sample that has had finite ones.  True: go on. */
bool deq_judge(deq_solver *s, int64_t row, double gg, double ff, bool forgive);
/* End a sample with an outcome. */
void deq_finish(deq_solver *s, int64_t row, deq_outcome outcome);
/* `count` elements from `at` of this row of `vector` are about to be overwritten: if the sample's best
 * iterate lies there, copy them to s->kept; deq_rescued() once the row is done. */
void deq_rescue(deq_solver *s, int64_t row, int64_t at, int64_t count, const void *vector);
void deq_rescued(deq_solver *s, int64_t row, const void *vector);

/* Products with the Jacobian for the rows in use, counted.  Without `partial`, rows of v that are not
 * in work are set to zero. */
deq_status deq_solver_linearise(deq_solver *s, const void *z);
deq_status deq_solver_jvp(deq_solver *s, void *jv, void *v);
deq_status deq_solver_vjp(deq_solver *s, void *vj, void *v);
/* fz = f(z) at the rows in use, counted as an evaluation of the batch; the judging counts it for the
 * samples.  Without `partial`, rows of z that are not in work are set to results. */
deq_status deq_solver_eval(deq_solver *s, void *fz, void *z);

/* options.c */
deq_status deq_solver_check(deq_context *ctx, const deq_solver_options *o);
/* Copy the states whose index is at most n_feval; all that are left when it is max_iter. */
void deq_save_states(deq_solver *s, int64_t n_feval);
/* Tell the observer; false: it wants the end. */
bool deq_observe(deq_solver *s, int64_t n_active);

/* reference.c: its step is a whole solve. */
extern const deq_method_kind deq_kind_reference;

#endif
