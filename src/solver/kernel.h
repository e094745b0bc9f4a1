/* SPDX-License-Identifier: MIT */
/*
 * Kernels on pieces of vectors, one table per dtype and instruction set.
 *
 * They are called for chunks of a row that fit the nearer caches, so that several of them in turn
 * read memory once.  Inner products are accumulated in double.  The order of every sum depends on the
 * number of elements alone, never on addresses.  Nothing may overlap except where said.
 */
#ifndef DEQ_SOLVER_KERNEL_H
#define DEQ_SOLVER_KERNEL_H

#include <deq/context.h>
#include <deq/type.h>

enum {
    DEQ_NEIGHBOURS_MAX = 32, /* differences, at most, of `advance` */
    DEQ_TERMS_MAX = 320      /* terms, at most, of `combine` */
};

typedef struct deq_kernels {
    size_t size; /* bytes of an element */
    /* g = f - z;  sums[0] = g.g, sums[1] = f.f.  g may be NULL. */
    void (*residual)(void *g, const void *f, const void *z, int64_t n, double *sums);
    /* sums[i] = (x_i - y_i) . w  for i < m; y may be NULL, meaning zeros. */
    void (*dots)(double *sums, const void *const *x, const void *const *y, int m, const void *w,
                 int64_t n);
    /* first[i] = x_i . v,  second[i] = x_i . w  for i < m. */
    void (*dots_two)(double *first, double *second, const void *const *x, int m, const void *v,
                     const void *w, int64_t n);
    /* With differences d_j = x_j - x_{j+1}, j < m, of m + 1 vectors:
     * sums[j] = d_j . x_0,  sums[m + j] = d_j . d_0. */
    void (*neighbours)(double *sums, const void *const *x, int m, int64_t n);
    /* out = a p + b q + sum_i c_i (x_i - y_i), in the precision of the elements, the sum first;  p, q
     * may be NULL (not read), y as above.  out may be any of the inputs. */
    void (*combine)(void *out, double a, const void *p, double b, const void *q, const double *c,
                    const void *const *x, const void *const *y, int m, int64_t n);
    /* out = p + sum_j c_j (x_j - x_{j+1}), j < m, of m + 1 vectors, in the precision of the elements;
     * returns (out - z) . (out - z), good to a few digits. */
    double (*advance)(void *out, const void *p, const double *c, const void *const *x, int m,
                      const void *z, int64_t n);
    /* (x - y) . (x - y) */
    double (*distance)(const void *x, const void *y, int64_t n);
} deq_kernels;

/* The table for a dtype (DEQ_F32 or DEQ_F64). */
const deq_kernels *deq_kernels_for(deq_dtype dtype, deq_isa isa);

#endif
