/* SPDX-License-Identifier: MIT */
/* Bare kernels of oneDNN, timed alone: what a program is compared with. */
#ifndef DEQ_BENCH_BARE_H
#define DEQ_BENCH_BARE_H

#include "bench.h"

typedef enum bare_kind { BARE_FORWARD, BARE_INPUT_GRAD, BARE_WEIGHT_GRAD } bare_kind;

/* A direct convolution primitive, square plane and kernel, stride 1, in the library's best layout:
 * channels last, weights packed as the primitive asks.  Times one call. */
bool bare_convolution(bench_run *run, bare_kind kind, int batch, int c, int k, int plane,
                      int kernel, bench_time *time);

/* C [M, N] = A [M, K] B [N, K]^T by the library's plain sgemm: a bench_body. */
typedef struct bare_product {
    int m, n, k;
    float *a, *b, *c;
} bare_product;
void bare_sgemm(void *product);

#endif
