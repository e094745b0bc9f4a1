/* SPDX-License-Identifier: MIT */
/*
 * The inverse Jacobian of the Broyden methods, B = -gamma I + sum_i u_i v_i', sample by sample.
 *
 * Pair i of a sample, oldest first, stands in slot (first + i) mod capacity.  Before them may stand
 * pairs that another solve left behind, perhaps transposed (deq_solver_start_from()): they are read
 * where they are, and forgotten with the others.
 */
#ifndef DEQ_SOLVER_LOW_RANK_H
#define DEQ_SOLVER_LOW_RANK_H

#include "solver/memory.h"

typedef struct deq_low_rank {
    double gamma, gamma_own; /* of this solve, and when nothing is carried over */
    int capacity;
    const deq_solver_memory *carried; /* NULL: nothing */
    bool transposed;                  /* u_i and v_i change places */
    int *n_carried;                   /* [B] pairs of it in use */
    void *U[DEQ_MEMORY_MAX], *V[DEQ_MEMORY_MAX];
    int *rank, *first; /* [B] own pairs */
    int *best;         /* [B] pairs there were when the best iterate was reached */
    double *scratch;   /* of compression */
    size_t scratch_size;
} deq_low_rank;

/* Vectors and tables for `memory` pairs, fewer where s->o says so. */
deq_status deq_low_rank_prepare(deq_low_rank *l, deq_solver *s, int memory, double gamma);
void deq_low_rank_release(deq_low_rank *l, deq_solver *s);
/* Start a solve: empty, from s->memory, or on top of s->start. */
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

/* Pairs of a sample, what it carries among them. */
static inline int deq_low_rank_count(const deq_low_rank *l, int64_t sample)
{
    return l->n_carried[sample] + l->rank[sample];
}

/* Elements `at` of the pairs of this row into u and v; returns their number. */
static inline int deq_low_rank_list(const deq_low_rank *l, const deq_solver *s, int64_t row,
                                    int64_t at, const void **u, const void **v)
{
    int64_t sample = s->b.sample[row];
    int n = l->n_carried[sample];
    for (int i = 0; i < n; i++) {
        const deq_solver_memory *m = l->carried;
        u[i] = deq_at(&s->b, l->transposed ? m->b[i] : m->a[i], sample, at);
        v[i] = deq_at(&s->b, l->transposed ? m->a[i] : m->b[i], sample, at);
    }
    for (int i = 0; i < l->rank[sample]; i++) {
        int t = deq_low_rank_slot(l, sample, i);
        u[n + i] = deq_at(&s->b, l->U[t], row, at);
        v[n + i] = deq_at(&s->b, l->V[t], row, at);
    }
    return n + l->rank[sample];
}

#endif
