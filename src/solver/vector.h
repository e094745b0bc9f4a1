/* SPDX-License-Identifier: MIT */
/*
 * Whole vectors of one sample, by the kernels of kernel.h.
 *
 * Every sum runs over a partition of the vector that depends on n alone: blocks that fit the nearest
 * cache, gathered into at most DEQ_VECTOR_PARTS parts, added in their order.  So the result has the
 * same bits for any number of threads.  Nothing here allocates or fails.
 */
#ifndef DEQ_SOLVER_VECTOR_H
#define DEQ_SOLVER_VECTOR_H

#include "solver/kernel.h"

enum {
    DEQ_VECTOR_BLOCK = 2048, /* elements */
    DEQ_VECTOR_PARTS = 64,
    DEQ_VECTOR_SUMS = 8,  /* of one pass, at most */
    DEQ_VECTOR_TERMS = 64 /* of one pass, at most */
};

/* What the vectors of one call have in common. */
typedef struct deq_vectors {
    deq_dtype dtype;      /* DEQ_F32 or DEQ_F64 */
    int threads;          /* that one call may use; 1 in a loop over samples that is parallel */
    int64_t n;            /* elements of a vector, >= 1 */
    const deq_kernels *k; /* of this dtype; NULL: those of the baseline */
} deq_vectors;

static inline size_t deq_vector_bytes(const deq_vectors *v)
{
    return (size_t)v->n * deq_dtype_size(v->dtype);
}

/* w = w + sum_i c[i] x_i for i < terms, then sums[j] = y_j . w for j < n_sums, in one sweep over w.
 * No x_i is w; y_j may be. */
void deq_vector_pass(const deq_vectors *v, void *w, const double *c, const void *const *x,
                     int terms, double *sums, const void *const *y, int n_sums);
/* w = a x + b y, where b == 0 does not read y; returns w . w.  w may be x or y. */
double deq_vector_sum(const deq_vectors *v, void *w, double a, const void *x, double b,
                      const void *y);
/* y = a x + b y, where b == 0 does not read y; returns y . y */
double deq_vector_combine(const deq_vectors *v, void *y, double a, const void *x, double b);
/* x . y; x and y may be the same. */
double deq_vector_dot(const deq_vectors *v, const void *x, const void *y);
/* |x|; infinite or NaN if an element is. */
double deq_vector_norm(const deq_vectors *v, const void *x);
void deq_vector_zero(const deq_vectors *v, void *x);
void deq_vector_copy(const deq_vectors *v, void *y, const void *x);

#endif
