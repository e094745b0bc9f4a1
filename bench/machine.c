/* SPDX-License-Identifier: MIT */
/*
 * What this machine can do: fused multiply-adds in registers, triad bandwidth beyond the caches, and
 * the cost of an empty parallel region.
 */
#include "bench.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>

/* Peak --------------------------------------------------------------------------------------- */

#define ACCUMULATORS 12
#define ROUNDS 2000000L

typedef float vec16 __attribute__((vector_size(64)));

/* Independent chains of x = x * m + a, enough of them to fill two pipelines of latency 4. */
#define FMA_BODY                                                                                   \
    vec16 x[ACCUMULATORS], m, a;                                                                   \
    for (int l = 0; l < 16; l++) {                                                                 \
        m[l] = 0.999999f;                                                                          \
        a[l] = 1e-7f;                                                                              \
    }                                                                                              \
    for (int i = 0; i < ACCUMULATORS; i++) x[i] = a + (float)i;                                    \
    for (long r = 0; r < rounds; r++)                                                              \
        for (int i = 0; i < ACCUMULATORS; i++) x[i] = x[i] * m + a;                                \
    float sum = 0;                                                                                 \
    for (int i = 0; i < ACCUMULATORS; i++)                                                         \
        for (int l = 0; l < 16; l++) sum += x[i][l];                                               \
    return sum;

#if defined(__x86_64__)
__attribute__((target("avx512f"))) static float fma_avx512(long rounds)
{
    FMA_BODY
}
__attribute__((target("avx2,fma"))) static float fma_avx2(long rounds)
{
    FMA_BODY
}
#endif
static float fma_baseline(long rounds)
{
    FMA_BODY
}

static float fma_rounds(long rounds)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) return fma_avx512(rounds);
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return fma_avx2(rounds);
#endif
    return fma_baseline(rounds);
}

static double peak_flops(int threads, bool quick)
{
    long rounds = quick ? ROUNDS / 100 : ROUNDS;
    double best = INFINITY;
    volatile float sink = 0;
    for (int trial = 0; trial < (quick ? 1 : 5); trial++) {
        float sum = 0;
        double begin = bench_now();
#pragma omp parallel num_threads(threads) reduction(+ : sum)
        sum += fma_rounds(rounds);
        best = fmin(best, bench_now() - begin);
        sink += sum;
    }
    return 2.0 * 16 * ACCUMULATORS * (double)rounds * threads / best;
}

/* Triad -------------------------------------------------------------------------------------- */

static double triad_bytes(int threads, bool quick)
{
    size_t n = quick ? (size_t)1 << 20 : (size_t)96 << 20; /* floats an array: beyond any cache */
    float *a = bench_floats(n), *b = bench_floats(n), *c = bench_floats(n);
    double best = INFINITY;
    for (int trial = 0; trial < (quick ? 1 : 5); trial++) {
        double begin = bench_now();
#pragma omp parallel for num_threads(threads) schedule(static)
        for (size_t i = 0; i < n; i++) a[i] = b[i] + 3.0f * c[i];
        best = fmin(best, bench_now() - begin);
    }
    free(a);
    free(b);
    free(c);
    return 3.0 * sizeof(float) * (double)n / best;
}

/* Fork and join ------------------------------------------------------------------------------ */

static double forkjoin_seconds(int threads)
{
    enum { TIMES = 2000 };
    int touched = 0;
    double begin = bench_now();
    for (int i = 0; i < TIMES; i++) {
#pragma omp parallel num_threads(threads)
        {
#pragma omp atomic
            touched++;
        }
    }
    return touched ? (bench_now() - begin) / TIMES : 0;
}

bench_machine bench_machine_measure(int threads, bool quick)
{
    return (bench_machine){ .flops = peak_flops(threads, quick),
                            .bytes = triad_bytes(threads, quick),
                            .forkjoin = forkjoin_seconds(threads) };
}
