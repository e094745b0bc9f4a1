/* SPDX-License-Identifier: MIT */
/* Bare kernels of oneDNN, timed alone: what a program is compared with. */
#ifndef DEQ_BENCH_BARE_H
#define DEQ_BENCH_BARE_H

#include "bench.h"

typedef enum bare_kind { BARE_FORWARD, BARE_INPUT_GRAD, BARE_WEIGHT_GRAD } bare_kind;

/* A direct convolution primitive, square plane and kernel, stride 1, in the library's best layout
 * (channels last or blocked, whichever is faster), weights packed as the primitive asks.  NULL after
 * reporting a failure. */
void *bare_convolution_new(bench_run *run, bare_kind kind, int batch, int c, int k, int plane,
                           int kernel);
void bare_convolution_run(void *convolution); /* a bench_body */
void bare_convolution_free(void *convolution);

/* C [M, N] = A [M, K] B [N, K]^T by the library's plain sgemm: a bench_body. */
typedef struct bare_product {
    int m, n, k;
    float *a, *b, *c;
} bare_product;
void bare_sgemm(void *product);

#endif
