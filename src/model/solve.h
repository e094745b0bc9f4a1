/* SPDX-License-Identifier: MIT */
/*
 * The part that all families share, from a cell to logits:
 *
 *   start    z_0 by deq_model_solve.start, or the family's usual one
 *   solve    z* = f(z*), with several states if they are supervised
 *   head     logits from each of them
 *   penalty  of the Jacobian at z*, with the same cell
 */
#ifndef DEQ_MODEL_SOLVE_INTERNAL_H
#define DEQ_MODEL_SOLVE_INTERNAL_H

#include "base/context.h"

#include <deq/model/solve.h>

typedef struct deq_model_problem {
    deq_cell_fn *cell; /* called once for the solve and once for the penalty */
    /* Logits [B, K, ...] from the states; called once for each supervised value. */
    deq_value (*head)(deq_nn *nn, const deq_value *z, void *user);
    void *user; /* passed to both */
    int n_states;
    deq_shape shape[DEQ_MAX_STATES]; /* [B, ...] */
    deq_start usual;                 /* the start, unless deq_model_solve says another */
    const deq_value *projection;     /* [n_states] for DEQ_START_PROJECTION; NULL: there is none */
} deq_model_problem;

/* Fill *out.  A mistake marks the graph. */
deq_status deq_model_equilibrium(deq_nn *nn, deq_model_outputs *out, const deq_model_problem *p,
                                 const deq_model_solve *solve);

/* The start a solve takes for a family with this usual one. */
deq_start deq_model_start(const deq_model_solve *solve, deq_start usual);

#endif
