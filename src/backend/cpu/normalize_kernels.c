/* SPDX-License-Identifier: MIT */
/*
 * Sums and maps of normalisation.  Lanes are taken in strips of four vectors whose sums, or factors,
 * stay in registers while the rows go by; what is left of the width goes one vector at a time, then
 * one lane at a time.
 */
#include "backend/cpu/normalize_kernels.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX2__)
#define LANES 8
#else
#define LANES 4
#endif

typedef float vec __attribute__((vector_size(LANES * sizeof(float))));

static inline vec load(const float *p)
{
    vec v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void store(float *p, vec v)
{
    memcpy(p, &v, sizeof v);
}

/* Calls strip(j, count of vectors) over the whole vectors of the width; j is then where the single
 * lanes begin. */
#define FOR_STRIPS(strip)                                                                          \
    for (; j + 4 * LANES <= width; j += 4 * LANES) strip(4);                                       \
    for (; j + LANES <= width; j += LANES) strip(1)

static void moments(const float *x, int64_t rows, int64_t width, const float *shift, float *s,
                    float *q)
{
    int64_t j = 0;
#define STRIP(count)                                                                               \
    do {                                                                                           \
        vec sum[count], square[count], origin[count];                                              \
        for (int k = 0; k < (count); k++) {                                                        \
            sum[k] = load(s + j + k * LANES);                                                      \
            square[k] = load(q + j + k * LANES);                                                   \
            origin[k] = load(shift + j + k * LANES);                                               \
        }                                                                                          \
        for (int64_t i = 0; i < rows; i++)                                                         \
            for (int k = 0; k < (count); k++) {                                                    \
                vec d = load(x + i * width + j + k * LANES) - origin[k];                           \
                sum[k] += d;                                                                       \
                square[k] += d * d;                                                                \
            }                                                                                      \
        for (int k = 0; k < (count); k++) {                                                        \
            store(s + j + k * LANES, sum[k]);                                                      \
            store(q + j + k * LANES, square[k]);                                                   \
        }                                                                                          \
    } while (0)
    FOR_STRIPS(STRIP);
#undef STRIP
    if (j == width) return;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t l = j; l < width; l++) {
            float d = x[i * width + l] - shift[l];
            s[l] += d;
            q[l] += d * d;
        }
}

static void products(const float *v, const float *xhat, int64_t rows, int64_t width, float *s,
                     float *q)
{
    int64_t j = 0;
#define STRIP(count)                                                                               \
    do {                                                                                           \
        vec sum[count], product[count];                                                            \
        for (int k = 0; k < (count); k++) {                                                        \
            sum[k] = load(s + j + k * LANES);                                                      \
            product[k] = load(q + j + k * LANES);                                                  \
        }                                                                                          \
        for (int64_t i = 0; i < rows; i++)                                                         \
            for (int k = 0; k < (count); k++) {                                                    \
                int64_t at = i * width + j + k * LANES;                                            \
                vec d = load(v + at);                                                              \
                sum[k] += d;                                                                       \
                product[k] += d * load(xhat + at);                                                 \
            }                                                                                      \
        for (int k = 0; k < (count); k++) {                                                        \
            store(s + j + k * LANES, sum[k]);                                                      \
            store(q + j + k * LANES, product[k]);                                                  \
        }                                                                                          \
    } while (0)
    FOR_STRIPS(STRIP);
#undef STRIP
    if (j == width) return;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t l = j; l < width; l++) {
            s[l] += v[i * width + l];
            q[l] += v[i * width + l] * xhat[i * width + l];
        }
}

static void apply(const float *x, int64_t n, int64_t width, const float *m, const float *r,
                  const float *b, float *y)
{
    int64_t rows = n / width, j = 0;
#define STRIP(count)                                                                               \
    do {                                                                                           \
        vec mean[count], factor[count], rest[count];                                               \
        for (int k = 0; k < (count); k++) {                                                        \
            mean[k] = load(m + j + k * LANES);                                                     \
            factor[k] = load(r + j + k * LANES);                                                   \
            rest[k] = load(b + j + k * LANES);                                                     \
        }                                                                                          \
        for (int64_t i = 0; i < rows; i++)                                                         \
            for (int k = 0; k < (count); k++) {                                                    \
                int64_t at = i * width + j + k * LANES;                                            \
                store(y + at, (load(x + at) - mean[k]) * factor[k] + rest[k]);                     \
            }                                                                                      \
    } while (0)
    FOR_STRIPS(STRIP);
#undef STRIP
    for (int64_t i = 0; i <= rows; i++) {
        int64_t end = i < rows ? width : n - rows * width;
        for (int64_t l = i < rows ? j : 0; l < end; l++)
            y[i * width + l] = (x[i * width + l] - m[l]) * r[l] + b[l];
    }
}

static void apply_tangent(const float *v, const float *xhat, int64_t n, int64_t width,
                          const float *r, const float *f, const float *b, float *y)
{
    int64_t rows = n / width, j = 0;
#define STRIP(count)                                                                               \
    do {                                                                                           \
        vec scale[count], factor[count], rest[count];                                              \
        for (int k = 0; k < (count); k++) {                                                        \
            scale[k] = load(r + j + k * LANES);                                                    \
            factor[k] = load(f + j + k * LANES);                                                   \
            rest[k] = load(b + j + k * LANES);                                                     \
        }                                                                                          \
        for (int64_t i = 0; i < rows; i++)                                                         \
            for (int k = 0; k < (count); k++) {                                                    \
                int64_t at = i * width + j + k * LANES;                                            \
                store(y + at, load(v + at) * scale[k] + load(xhat + at) * factor[k] + rest[k]);    \
            }                                                                                      \
    } while (0)
    FOR_STRIPS(STRIP);
#undef STRIP
    for (int64_t i = 0; i <= rows; i++) {
        int64_t end = i < rows ? width : n - rows * width;
        for (int64_t l = i < rows ? j : 0; l < end; l++)
            y[i * width + l] = v[i * width + l] * r[l] + xhat[i * width + l] * f[l] + b[l];
    }
}

/* The sum of the lanes, by halves. */
static inline float sum_lanes(vec v)
{
    float lane[LANES];
    store(lane, v);
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++) lane[i] += lane[i + half];
    return lane[0];
}

/* Sums over a row of two quantities: vectors by `step(i)`, which adds to s[k] and q[k] what belongs to
 * element i + k LANES and the following, single elements by `last(i)`, which adds to s0 and q0. */
#define SUM_ROW(step, last)                                                                        \
    vec s[4] = { { 0 } }, q[4] = { { 0 } };                                                        \
    float s0 = 0, q0 = 0;                                                                          \
    int64_t i = 0;                                                                                 \
    for (; i + 4 * LANES <= n; i += 4 * LANES)                                                     \
        for (int k = 0; k < 4; k++) step(i + k * LANES, k);                                        \
    for (; i + LANES <= n; i += LANES) step(i, 0);                                                 \
    for (; i < n; i++) last(i);                                                                    \
    s0 += sum_lanes((s[0] + s[1]) + (s[2] + s[3]));                                                \
    q0 += sum_lanes((q[0] + q[1]) + (q[2] + q[3]))

/* s0 = sum of x - x0 */
static inline float sum_differences(const float *x, int64_t n, float x0)
{
#define STEP(i, k) (s[k] += load(x + (i)) - x0)
#define LAST(i) (s0 += x[i] - x0)
    SUM_ROW(STEP, LAST);
#undef STEP
#undef LAST
    (void)q0;
    return s0;
}

/* The sums of e = (x - x0) - m and of e^2. */
static inline void sum_deviations(const float *x, int64_t n, float x0, float m, float *sum,
                                  float *square)
{
#define STEP(i, k)                                                                                 \
    do {                                                                                           \
        vec e = (load(x + (i)) - x0) - m;                                                          \
        s[k] += e;                                                                                 \
        q[k] += e * e;                                                                             \
    } while (0)
#define LAST(i)                                                                                    \
    do {                                                                                           \
        float e = (x[i] - x0) - m;                                                                 \
        s0 += e;                                                                                   \
        q0 += e * e;                                                                               \
    } while (0)
    SUM_ROW(STEP, LAST);
#undef STEP
#undef LAST
    *sum = s0;
    *square = q0;
}

/* The sums of v and of v xhat. */
static inline void sum_products(const float *v, const float *xhat, int64_t n, float *sum,
                                float *product)
{
#define STEP(i, k)                                                                                 \
    do {                                                                                           \
        vec d = load(v + (i));                                                                     \
        s[k] += d;                                                                                 \
        q[k] += d * load(xhat + (i));                                                              \
    } while (0)
#define LAST(i)                                                                                    \
    do {                                                                                           \
        s0 += v[i];                                                                                \
        q0 += v[i] * xhat[i];                                                                      \
    } while (0)
    SUM_ROW(STEP, LAST);
#undef STEP
#undef LAST
    *sum = s0;
    *product = q0;
}

/*
 * One row: with d = x - x_0, so that numbers far from zero lose nothing,
 *
 *   m  = mean of d,  e = d - m,  m' = m + mean of e,  variance = mean of e^2 - (mean of e)^2
 *
 * The mean of e, zero but for rounding, corrects m where x_0 lies far from the rest.
 */
static float normalize_row(const float *x, int64_t n, double eps, float *y)
{
    const float x0 = x[0], m = sum_differences(x, n, x0) / (float)n;
    float sum, square;
    sum_deviations(x, n, x0, m, &sum, &square);
    const double rest = (double)sum / (double)n;
    const double variance = (double)square / (double)n - rest * rest;
    const float rstd = (float)(1 / sqrt((variance < 0 ? 0 : variance) + eps));
    const float mean = m + (float)rest;
    if (!y) return rstd;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) y[i] = ((x[i] - x0) - mean) * rstd;
    return rstd;
}

static void normalize_rows(const float *x, int64_t rows, int64_t n, double eps, float *y,
                           float *rstd)
{
    for (int64_t i = 0; i < rows; i++) {
        float r = normalize_row(x + i * n, n, eps, y ? y + i * n : NULL);
        if (rstd) rstd[i] = r;
    }
}

static void tangent_row(const float *v, const float *xhat, float rstd, int64_t n, float *y)
{
    float s, q;
    sum_products(v, xhat, n, &s, &q);
    const float b = -rstd * (s / (float)n), k = -rstd * (q / (float)n);
#pragma omp simd
    for (int64_t i = 0; i < n; i++) y[i] = v[i] * rstd + (xhat[i] * k + b);
}

static void tangent_rows(const float *v, const float *xhat, const float *rstd, int64_t rows,
                         int64_t n, float *y)
{
    for (int64_t i = 0; i < rows; i++) tangent_row(v + i * n, xhat + i * n, rstd[i], n, y + i * n);
}

const deq_normalize_kernels DEQ_ISA_NAME(deq_normalize_kernels) = {
    .moments = moments,
    .products = products,
    .apply = apply,
    .apply_tangent = apply_tangent,
    .rows = normalize_rows,
    .tangent_rows = tangent_rows,
};
