/* SPDX-License-Identifier: MIT */
/* Sums in f32: many partial sums side by side in vectors, which also keeps rounding small. */
#include "backend/cpu/reduce_kernels.h"

enum {
    STRIP = 64,  /* columns whose sums stay in registers while the rows go by */
    BLOCK = 4096 /* elements of a row that are summed in f32 */
};

static void columns(const float *x, int64_t rows, int64_t width, float *s)
{
    int64_t j = 0;
    for (; j + STRIP <= width; j += STRIP) {
        float sum[STRIP];
        for (int k = 0; k < STRIP; k++) sum[k] = s[j + k];
        for (int64_t i = 0; i < rows; i++)
#pragma omp simd
            for (int k = 0; k < STRIP; k++) sum[k] += x[i * width + j + k];
        for (int k = 0; k < STRIP; k++) s[j + k] = sum[k];
    }
    for (int64_t i = 0; i < rows; i++)
#pragma omp simd
        for (int64_t k = j; k < width; k++) s[k] += x[i * width + k];
}

static double sum_block(const float *x, int64_t n)
{
    float lane[STRIP] = { 0 };
    int64_t i = 0;
    double sum = 0;
    for (; i + STRIP <= n; i += STRIP)
#pragma omp simd
        for (int k = 0; k < STRIP; k++) lane[k] += x[i + k];
    for (; i < n; i++) sum += (double)x[i];
    if (n < STRIP) return sum;
    for (int half = STRIP / 2; half > 0; half /= 2)
        for (int k = 0; k < half; k++) lane[k] += lane[k + half];
    return sum + (double)lane[0];
}

static void rows(const float *x, int64_t n_rows, int64_t n, double *y)
{
    for (int64_t i = 0; i < n_rows; i++) {
        double sum = 0;
        for (int64_t j = 0; j < n; j += BLOCK)
            sum += sum_block(x + i * n + j, n - j < BLOCK ? n - j : BLOCK);
        y[i] = sum;
    }
}

const deq_reduce_kernels DEQ_ISA_NAME(deq_reduce_kernels) = { .columns = columns, .rows = rows };
