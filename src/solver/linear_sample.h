/* SPDX-License-Identifier: MIT */
/*
 * How the linear solvers work, from inside.
 *
 * Each sample is a small machine of its own.  It asks for one product A v, is put aside, and its
 * method's step() takes up the thread when the product is there.  linear.c gathers what the samples
 * ask for into one call of the operator a round.  So a sample may restart, check its solution or
 * finish while its companions are somewhere else, every call carries all that is wanted, and nothing
 * a companion does can reach a sample.
 *
 * A cycle begins with begin(): row DEQ_LINEAR_R then holds the residual  r = b - A u  of the u in
 * row DEQ_LINEAR_X, by application of A, and `residual` its norm.  A method ends a cycle by
 * deq_linear_verify(): when the true residual is there, linear.c keeps u if it is the best, finishes
 * the sample, or begins the next cycle.
 */
#ifndef DEQ_SOLVER_LINEAR_SAMPLE_H
#define DEQ_SOLVER_LINEAR_SAMPLE_H

#include <deq/linear.h>

#include "solver/vector.h"

/* Rows that every method has; its own begin at DEQ_LINEAR_OWN. */
enum { DEQ_LINEAR_X, DEQ_LINEAR_R, DEQ_LINEAR_OWN };

typedef struct deq_linear_sample {
    const void *in; /* the product asked for: out = A in; NULL when finished */
    void *out;
    int phase; /* what to do with it: below 0 linear.c's business, else the method's */
    double b_norm, tol;
    double residual; /* of the current u, at begin() */
    double best;     /* of what stands in the caller's u */
    double mark;     /* residual at application mark_at; see deq_linear_gains */
    int64_t mark_at;
    bool nothing;              /* what stands in the caller's u is 0, for want of better */
    bool kept;                 /* what stands in row X stands in the caller's u as well */
    bool claimed;              /* the method believes that this cycle has solved the system */
    int j;                     /* GMRES: columns so far; BiCGSTAB: steps in this cycle */
    double rho, alpha, shadow; /* BiCGSTAB and CG, see there */
    double *numbers;           /* what the method asked for */
    deq_linear_info info;
} deq_linear_sample;

typedef struct deq_linear_kind {
    const char *name;
    int rows;        /* vectors of a sample */
    bool stationary; /* Neumann: a cycle is one step, and its residual is always the true one */
    bool shifts;     /* GMRES: step() gets T v when A is I - T, and makes the difference itself */
    size_t numbers;  /* doubles of a sample */
    void (*begin)(deq_linear_solver *s, int64_t k);
    void (*step)(deq_linear_solver *s, int64_t k);
} deq_linear_kind;

struct deq_linear_solver {
    deq_context *ctx;
    deq_linear_options o;
    deq_linear_kind kind;
    deq_vectors v; /* v.threads is set for each parallel loop over samples */
    int threads;
    int64_t batch;
    int64_t used;   /* rows that take part in this call: 0 ... used - 1 */
    double epsilon; /* rounding unit of the dtype */

    deq_linear_sample *samples; /* [batch] */
    double *numbers;            /* [batch, kind.numbers] */
    int64_t *ids;               /* [batch] the n_ids samples that are not finished, rising */
    int64_t *all;               /* [batch] 0, 1, ... */
    int64_t n_ids;
    bool within;                /* the vectors are lent */
    char *rows;                 /* [kind.rows, batch, d] */
    char *stage_in, *stage_out; /* [batch, d] each; NULL when batch is 1 */

    /* of the call that is under way */
    const deq_linear_operator *a;
    const char *b;
    char *u;
    const double *rtol;     /* [batch] in place of o.rtol; NULL: that */
    const int64_t *allowed; /* [batch] in place of o.max_iter; NULL: that */
};

/* A solver whose vectors are lent to it: deq_linear_lend() gives it aligned memory of so many bytes,
 * once, before the first solve; between solves that memory is free for others. */
deq_status deq_linear_new_within(deq_linear_solver **out, deq_context *ctx, deq_dtype dtype,
                                 int64_t batch, int64_t d, const deq_linear_options *options);
size_t deq_linear_lent_bytes(const deq_linear_solver *s);
void deq_linear_lend(deq_linear_solver *s, void *memory);

/* deq_linear_solve() for the first n samples alone, which have tolerances |r| <= rtol[k] |b| and
 * budgets of their own, for a solver inside another.  A negative budget leaves a sample out: its u is
 * not touched. */
deq_status deq_linear_solve_some(void *u, deq_linear_info *info, deq_linear_solver *s,
                                 const deq_linear_operator *a, const void *b, int64_t n,
                                 const double *rtol, const int64_t *allowed);

deq_linear_kind deq_gmres_kind(const deq_linear_options *o, int64_t d);
deq_linear_kind deq_bicgstab_kind(void);
deq_linear_kind deq_cg_kind(void);
deq_linear_kind deq_neumann_kind(void);

/* Row `row` of sample k. */
void *deq_linear_row(const deq_linear_solver *s, int row, int64_t k);
/* Whether sample k may apply A once more. */
bool deq_linear_may_apply(const deq_linear_solver *s, int64_t k);
/* Ask for row `out` = A row `in`; step() is called with `phase` (>= 0) when it is there, or when T
 * row `in` is for a kind that shifts. */
void deq_linear_ask(deq_linear_solver *s, int64_t k, int in, int out, int phase);
/* Compare the residual of the u in row X, known by recurrence, with the best; false and finished if
 * it is not finite or has diverged. */
bool deq_linear_keep(deq_linear_solver *s, int64_t k, double residual);
/* False and finished if too many applications have brought too little. */
bool deq_linear_gains(deq_linear_solver *s, int64_t k, double residual);
/* Begin the next cycle at the u and residual of rows X and R, |r| = residual. */
void deq_linear_begin(deq_linear_solver *s, int64_t k, double residual);
/* End a cycle: `residual` is what the method believes of the u in row X. */
void deq_linear_verify(deq_linear_solver *s, int64_t k, double residual);
void deq_linear_finish(deq_linear_solver *s, int64_t k, deq_outcome outcome);

#endif
