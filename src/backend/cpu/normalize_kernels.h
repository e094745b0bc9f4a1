/* SPDX-License-Identifier: MIT */
/*
 * Sums and maps of normalisation, compiled once per instruction set.
 *
 * Elements lie in rows of `width` lanes; a lane always belongs to the same channel.  Where n is not a
 * multiple of width, the last row is incomplete.
 */
#ifndef DEQ_BACKEND_CPU_NORMALIZE_KERNELS_H
#define DEQ_BACKEND_CPU_NORMALIZE_KERNELS_H

#include "backend/cpu/dispatch.h"

#include <stdint.h>

typedef struct deq_normalize_kernels {
    /* s_j += sum of d, q_j += sum of d^2 over `rows` complete rows, d = x - shift_j. */
    void (*moments)(const float *x, int64_t rows, int64_t width, const float *shift, float *s,
                    float *q);
    /* s_j += sum of v, q_j += sum of v xhat. */
    void (*products)(const float *v, const float *xhat, int64_t rows, int64_t width, float *s,
                     float *q);
    /* y = (x - m_j) r_j + b_j for n elements; y may be x. */
    void (*apply)(const float *x, int64_t n, int64_t width, const float *m, const float *r,
                  const float *b, float *y);
    /* y = v r_j + xhat k_j + b_j. */
    void (*apply_tangent)(const float *v, const float *xhat, int64_t n, int64_t width,
                          const float *r, const float *k, const float *b, float *y);
    /* Each of `rows` rows of n elements normalised by itself; y (which may be x) and rstd may be
     * NULL. */
    void (*rows)(const float *x, int64_t rows, int64_t n, double eps, float *y, float *rstd);
    /* Likewise the tangent, y = rstd (v - m(v) - xhat m(xhat v)). */
    void (*tangent_rows)(const float *v, const float *xhat, const float *rstd, int64_t rows,
                         int64_t n, float *y);
} deq_normalize_kernels;

DEQ_ISA_DECLARE(deq_normalize_kernels, deq_normalize_kernels);

#endif
