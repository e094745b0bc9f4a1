/* SPDX-License-Identifier: MIT */
/*
 * Vectors of one sample: n elements of f32 or f64, read and written as doubles.
 *
 * Every sum runs over a partition of the vector that depends on n alone: at most DEQ_VECTOR_CHUNKS
 * chunks, in each DEQ_VECTOR_LANES interleaved partial sums, added in a fixed order.  So the result
 * has the same bits for any number of threads.  A vector is small enough to stand behind a pointer
 * and three numbers; nothing here allocates or fails.
 */
#ifndef DEQ_SOLVER_VECTOR_H
#define DEQ_SOLVER_VECTOR_H

#include <deq/type.h>

#define DEQ_VECTOR_CHUNKS 64
#define DEQ_VECTOR_CHUNK_MIN 4096
#define DEQ_VECTOR_LANES 8

/* What the vectors of one call have in common. */
typedef struct deq_vectors {
    deq_dtype dtype; /* DEQ_F32 or DEQ_F64 */
    int threads;     /* that one call may use; 1 inside a loop over samples that is parallel */
    int64_t n;       /* elements of a vector, >= 1 */
} deq_vectors;

size_t deq_vector_bytes(const deq_vectors *v);

/* x . y; x and y may be the same. */
double deq_vector_dot(const deq_vectors *v, const void *x, const void *y);
/* |x|; infinite or NaN if an element is. */
double deq_vector_norm(const deq_vectors *v, const void *x);
/* y = a x + b y, where b == 0 does not read y; returns the new y . y */
double deq_vector_combine(const deq_vectors *v, void *y, double a, const void *x, double b);
/* y = y + a x; returns the new y . z, in the same sweep.  z may be x or y. */
double deq_vector_add_dot(const deq_vectors *v, void *y, double a, const void *x, const void *z);
/* w = a x + b y; w may be x or y; returns w . w */
double deq_vector_sum(const deq_vectors *v, void *w, double a, const void *x, double b,
                      const void *y);
/* y = y + sum_i c[i] X_i, the k vectors X_i standing `stride` elements apart; one sweep. */
void deq_vector_add_many(const deq_vectors *v, void *y, const double *c, const void *x, int k,
                         int64_t stride);
void deq_vector_zero(const deq_vectors *v, void *x);
void deq_vector_copy(const deq_vectors *v, void *y, const void *x);

#endif
