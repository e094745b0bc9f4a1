/* SPDX-License-Identifier: MIT */
/* What a method has learned, by sample: pairs of vectors and a small table. */
#ifndef DEQ_SOLVER_MEMORY_H
#define DEQ_SOLVER_MEMORY_H

#include "solver/solver.h"

struct deq_solver_memory {
    deq_context *ctx;
    deq_method method;
    const deq_kernels *k;
    deq_dtype dtype;
    int threads;
    int64_t B, d;
    int capacity;                                /* pairs a sample */
    int *rank;                                   /* [B] pairs in use */
    double *table;                               /* [B, capacity, capacity] products (Anderson) */
    double gamma;                                /* Broyden: B = -gamma I + sum a_i b_i' */
    void *a[DEQ_MEMORY_MAX], *b[DEQ_MEMORY_MAX]; /* of [B, dim] */
};

/* The memory that s->o names, if any, gets room for `capacity` pairs a sample; what fits is kept,
 * all else forgotten.  Sets what s->memory will be in solves. */
deq_status deq_memory_prepare(deq_solver *s, int capacity, double gamma);
/* Does the memory still fit?  It may have been given to another solver since. */
bool deq_memory_fits(const deq_solver_memory *m, const deq_solver *s);
/* Row i of a sample's table, which is `capacity` long. */
double *deq_memory_row(const deq_solver_memory *m, int64_t sample, int i);
/* Copy pair i of a sample in, or out. */
void deq_memory_put(deq_solver_memory *m, int i, int64_t sample, const void *a, const void *b);
void deq_memory_get(const deq_solver_memory *m, int i, int64_t sample, void *a, void *b);

#endif
