/* SPDX-License-Identifier: MIT */
/*
 * The inverse Jacobian of the Broyden methods, B = -gamma I + sum_i u_i v_i', sample by sample.
 *
 * Pair i of a sample, oldest first, stands in slot (first + i) mod capacity.
 */
#ifndef DEQ_SOLVER_LOW_RANK_H
#define DEQ_SOLVER_LOW_RANK_H

#include "solver/memory.h"

typedef struct deq_low_rank {
    double gamma;
    int capacity;
    void *U[DEQ_MEMORY_MAX], *V[DEQ_MEMORY_MAX];
    int *rank, *first; /* [B] */
    int *best;         /* [B] pairs there were when the best iterate was reached */
    double *scratch;   /* of compression */
    size_t scratch_size;
} deq_low_rank;

/* Vectors and tables for `memory` pairs, fewer where s->o says so. */
deq_status deq_low_rank_prepare(deq_low_rank *l, deq_solver *s, int memory, double gamma);
void deq_low_rank_release(deq_low_rank *l, deq_solver *s);
/* Start a solve: empty, or from s->memory. */
void deq_low_rank_begin(deq_low_rank *l, deq_solver *s);
/* Leave the first l->best pairs in s->memory. */
void deq_low_rank_remember(const deq_low_rank *l, deq_solver *s, int64_t row);
/* Forget the oldest pair, or all, of a sample. */
void deq_low_rank_drop(deq_low_rank *l, int64_t sample);
void deq_low_rank_forget(deq_low_rank *l, int64_t sample);
/* Halve the rank, keeping the leading singular triples of sum_i u_i v_i'. */
void deq_low_rank_compress(deq_low_rank *l, deq_solver *s, int64_t row);
size_t deq_compress_scratch(const deq_low_rank *l);

/* Slot of pair i; i = rank is where the next one goes. */
static inline int deq_low_rank_slot(const deq_low_rank *l, int64_t sample, int i)
{
    return (l->first[sample] + i) % l->capacity;
}

/* Elements `at` of the pairs of this row into u and v; returns their number. */
static inline int deq_low_rank_list(const deq_low_rank *l, const deq_solver *s, int64_t row,
                                    int64_t at, const void **u, const void **v)
{
    int64_t sample = s->b.sample[row];
    for (int i = 0; i < l->rank[sample]; i++) {
        int t = deq_low_rank_slot(l, sample, i);
        u[i] = deq_at(&s->b, l->U[t], row, at);
        v[i] = deq_at(&s->b, l->V[t], row, at);
    }
    return l->rank[sample];
}

#endif
