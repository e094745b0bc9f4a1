/* SPDX-License-Identifier: MIT */
/* Instructions of tile programs (tile.h), compiled once per instruction set. */
#ifndef DEQ_BACKEND_CPU_TILE_KERNELS_H
#define DEQ_BACKEND_CPU_TILE_KERNELS_H

#include "backend/cpu/dispatch.h"
#include "op/elementwise.h"

/* Codes beyond the element-wise operators. */
enum {
    DEQ_TILE_COPY = DEQ_EW_COUNT, /* y = a */
    DEQ_TILE_STORE_BOOL,          /* y = a as bytes */
    DEQ_TILE_MUL_ADD,             /* y = a b + c */
    DEQ_TILE_ADD_RELU,            /* y = relu(a + b) */
    DEQ_TILE_HOOK,                /* has no kernel: see tile.h */
    DEQ_TILE_CODES
};

/* y[i] = f(a[i], b[i], c[i]) for i < n; y may be any of the inputs.  p: deq_elementwise_attr.p. */
typedef void deq_tile_op(int64_t n, const double *p, const void *a, const void *b, const void *c,
                         void *y);

/* y, without gaps, from strided x; axes innermost first, rank at least 1, strides in elements. */
typedef void deq_tile_gather(void *y, const void *x, int rank, const int64_t *dim,
                             const int64_t *stride);

typedef struct deq_tile_kernels {
    deq_tile_op *f32[DEQ_TILE_CODES], *f64[DEQ_TILE_CODES];
    deq_tile_gather *gather_f32, *gather_f64;           /* from the same type */
    deq_tile_gather *gather_bool_f32, *gather_bool_f64; /* from bytes, as 0 and 1 */
} deq_tile_kernels;

DEQ_ISA_DECLARE(deq_tile_kernels, deq_tile_kernels);
/* Those of a level (tile.c). */
const deq_tile_kernels *deq_tile_kernels_of(deq_isa isa);

#endif
