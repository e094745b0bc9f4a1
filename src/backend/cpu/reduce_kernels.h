/* SPDX-License-Identifier: MIT */
/* Sums in f32, compiled once per instruction set. */
#ifndef DEQ_BACKEND_CPU_REDUCE_KERNELS_H
#define DEQ_BACKEND_CPU_REDUCE_KERNELS_H

#include "backend/cpu/dispatch.h"

#include <stdint.h>

typedef struct deq_reduce_kernels {
    /* s_j += sum of x_ij over `rows` rows of `width` elements. */
    void (*columns)(const float *x, int64_t rows, int64_t width, float *s);
    /* y_i = sum of x_ij over j < n, in blocks that are added up in double. */
    void (*rows)(const float *x, int64_t rows, int64_t n, double *y);
} deq_reduce_kernels;

DEQ_ISA_DECLARE(deq_reduce_kernels, deq_reduce_kernels);

#endif
