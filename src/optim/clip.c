/* SPDX-License-Identifier: MIT */
/*
 * Clipping by the norm.
 *
 *     |g| = sqrt(sum_i g_i^2),    g <- g limit / |g| if |g| > limit
 *
 * The vector is cut into PARTS parts whatever the number of threads; the sum of each runs over LANES
 * lanes in double, and lanes and parts are added in their order.  So the norm depends on the vector
 * alone.  Where squares of f64 leave the range, the sum is taken again over g / max |g|.
 */
#include <deq/optim.h>

#include "optim/update.h"

#include <math.h>

enum { PARTS = 64, LANES = 8 };

/* Sums of squares between these lost nothing at the ends of the range. */
#define LEAST_SUM 0x1p-900
#define MOST_SUM 0x1p1000

static double add_lanes(const double lane[LANES])
{
    return ((lane[0] + lane[4]) + (lane[1] + lane[5])) +
           ((lane[2] + lane[6]) + (lane[3] + lane[7]));
}

static double squares_f32(const float *restrict g, int64_t n)
{
    double lane[LANES] = { 0 };
    int64_t i = 0;

    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++) lane[l] += (double)g[i + l] * (double)g[i + l];
    for (int l = 0; i < n; i++, l++) lane[l] += (double)g[i] * (double)g[i];
    return add_lanes(lane);
}

static double squares_f64(const double *restrict g, int64_t n, double unit)
{
    double lane[LANES] = { 0 };
    int64_t i = 0;

    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++) {
            const double x = g[i + l] * unit;
            lane[l] += x * x;
        }
    for (int l = 0; i < n; i++, l++) lane[l] += (g[i] * unit) * (g[i] * unit);
    return add_lanes(lane);
}

static double sum_squares(const void *g, deq_dtype dtype, int64_t length, double unit, int threads)
{
    double part[PARTS], sum = 0;

#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int p = 0; p < PARTS; p++) {
        int64_t first, count;
        deq_update_part(&first, &count, length, p, PARTS);
        part[p] = dtype == DEQ_F32 ? squares_f32((const float *)g + first, count)
                                   : squares_f64((const double *)g + first, count, unit);
    }
    for (int p = 0; p < PARTS; p++) sum += part[p];
    return sum;
}

static double largest(const double *g, int64_t length)
{
    double most = 0;

    for (int64_t i = 0; i < length; i++) most = fmax(most, fabs(g[i]));
    return most;
}

static double norm(const void *g, deq_dtype dtype, int64_t length, int threads)
{
    const double sum = sum_squares(g, dtype, length, 1, threads);

    if (dtype == DEQ_F32 || isnan(sum) || (sum > LEAST_SUM && sum < MOST_SUM)) return sqrt(sum);
    const double most = largest(g, length);
    if (most == 0 || isinf(most)) return most;
    int exponent; /* most = m 2^exponent; the unit is split where its inverse would overflow */
    (void)frexp(most, &exponent);
    if (exponent < -1000) exponent = -1000;
    return ldexp(sqrt(sum_squares(g, dtype, length, ldexp(1, -exponent), threads)), exponent);
}

static void scale(void *g, deq_dtype dtype, int64_t first, int64_t count, double factor)
{
    if (dtype == DEQ_F32) {
        float *restrict x = (float *)g + first;
        const float f = (float)factor;
        for (int64_t i = 0; i < count; i++) x[i] *= f;
    } else {
        double *restrict x = (double *)g + first;
        for (int64_t i = 0; i < count; i++) x[i] *= factor;
    }
}

double deq_clip_norm(void *grads, deq_dtype dtype, int64_t length, double limit, int threads)
{
    if (threads < 1 || length < PARTS * 1024) threads = 1;
    const double before = norm(grads, dtype, length, threads);

    if (!isfinite(before) || !(before > limit)) return before;
    const double factor = limit / before;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int p = 0; p < PARTS; p++) {
        int64_t first, count;
        deq_update_part(&first, &count, length, p, PARTS);
        scale(grads, dtype, first, count, factor);
    }
    return before;
}
