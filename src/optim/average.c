/* SPDX-License-Identifier: MIT */
/* Exponential moving averages of weights. */
#include <deq/optim.h>

#include "optim/update.h"

#include <string.h>

/* Elements that are worth a thread. */
#define LEAST_PER_THREAD 16384

static void mix_f32(float *restrict average, const float *restrict values, int64_t n, double decay)
{
    const float a = (float)decay, b = (float)(1 - decay);

    for (int64_t i = 0; i < n; i++) average[i] = a * average[i] + b * values[i];
}

static void mix_f64(double *restrict average, const double *restrict values, int64_t n,
                    double decay)
{
    const double b = 1 - decay;

    for (int64_t i = 0; i < n; i++) average[i] = decay * average[i] + b * values[i];
}

static void mix(void *average, const void *values, deq_dtype dtype, int64_t first, int64_t count,
                double decay)
{
    if (dtype == DEQ_F32)
        mix_f32((float *)average + first, (const float *)values + first, count, decay);
    else
        mix_f64((double *)average + first, (const double *)values + first, count, decay);
}

void deq_average_update(void *average, const void *values, deq_dtype dtype, int64_t length,
                        double decay, int threads)
{
    /* Nothing is multiplied by zero: it might not be finite. */
    if (decay >= 1 || length < 1) return;
    if (decay <= 0) {
        memcpy(average, values, (size_t)length * deq_dtype_size(dtype));
        return;
    }
    const int64_t useful = length / LEAST_PER_THREAD;
    if (threads > useful) threads = (int)useful;
    if (threads < 1) threads = 1;
#pragma omp parallel for num_threads(threads) schedule(static, 1) if (threads > 1)
    for (int part = 0; part < threads; part++) {
        int64_t first, count;
        deq_update_part(&first, &count, length, part, threads);
        mix(average, values, dtype, first, count, decay);
    }
}
