/* SPDX-License-Identifier: MIT */
/*
 * Random draws into arrays.  Words h_i (and, where 32 bits are too few, l_i) belong to element i:
 *
 *   uniform      u = (h_i 2^21 + l_i / 2^11) / 2^53  in f64,  floor(h_i / 2^8) / 2^24  in f32
 *   normal       r = sqrt(-2 log((v_j + 1/2) / 2^53)),  t = 2 pi v_{j+1} / 2^53:
 *                z_j = r cos t, z_{j+1} = r sin t for even j,  v = h 2^21 + l / 2^11
 *   Bernoulli    1 where h_i < 2^32 p
 *   Rademacher   1 where h_i >= 2^31, else -1
 */
#include "tensor/random.h"

#include "base/philox.h"

#include <math.h>

/* Elements that belong to one block of the generator. */
enum { BLOCK = 4 };

/* Arrays shorter than this are not worth a parallel region. */
#define PARALLEL_BLOCKS 4096

static const double two_pi = 6.283185307179586477;

/* The 53-bit integers v of four elements. */
static void draw_long(uint64_t v[BLOCK], const deq_philox_stream *s, uint64_t block)
{
    uint32_t h[BLOCK], l[BLOCK];
    deq_philox_words(h, s, DEQ_PHILOX_HIGH, block);
    deq_philox_words(l, s, DEQ_PHILOX_LOW, block);
    for (int i = 0; i < BLOCK; i++) v[i] = (uint64_t)h[i] << 21 | l[i] >> 11;
}

static void draw_uniform(double out[BLOCK], const deq_philox_stream *s, uint64_t block,
                         deq_dtype dtype, const deq_random_law *law)
{
    double u[BLOCK];
    if (dtype == DEQ_F32) {
        uint32_t h[BLOCK];
        deq_philox_words(h, s, DEQ_PHILOX_HIGH, block);
        for (int i = 0; i < BLOCK; i++) u[i] = (double)(h[i] >> 8) * 0x1p-24;
    } else {
        uint64_t v[BLOCK];
        draw_long(v, s, block);
        for (int i = 0; i < BLOCK; i++) u[i] = (double)v[i] * 0x1p-53;
    }
    for (int i = 0; i < BLOCK; i++) out[i] = law->a + (law->b - law->a) * u[i];
}

static void draw_normal(double out[BLOCK], const deq_philox_stream *s, uint64_t block,
                        const deq_random_law *law)
{
    uint64_t v[BLOCK];
    draw_long(v, s, block);
    for (int i = 0; i < BLOCK; i += 2) {
        double r = sqrt(-2.0 * log(((double)v[i] + 0.5) * 0x1p-53));
        double t = two_pi * ((double)v[i + 1] * 0x1p-53);
        out[i] = law->a + law->b * (r * cos(t));
        out[i + 1] = law->a + law->b * (r * sin(t));
    }
}

static void draw_two_valued(double out[BLOCK], const deq_philox_stream *s, uint64_t block,
                            const deq_random_law *law)
{
    bool bernoulli = law->kind == DEQ_RANDOM_BERNOULLI;
    double below = bernoulli ? ldexp(law->a, 32) : 0x1p31;
    uint32_t h[BLOCK];
    deq_philox_words(h, s, DEQ_PHILOX_HIGH, block);
    for (int i = 0; i < BLOCK; i++) {
        bool is_below = (double)h[i] < below;
        out[i] = bernoulli ? (is_below ? 1.0 : 0.0) : (is_below ? -1.0 : 1.0);
    }
}

static void draw_block(double out[BLOCK], const deq_philox_stream *s, uint64_t block,
                       deq_dtype dtype, const deq_random_law *law)
{
    switch (law->kind) {
    case DEQ_RANDOM_UNIFORM: draw_uniform(out, s, block, dtype, law); break;
    case DEQ_RANDOM_NORMAL: draw_normal(out, s, block, law); break;
    case DEQ_RANDOM_BERNOULLI:
    case DEQ_RANDOM_RADEMACHER: draw_two_valued(out, s, block, law); break;
    }
}

void deq_random_draw(void *data, deq_dtype dtype, int64_t count, deq_random_key key,
                     deq_random_law law, int threads)
{
    const deq_philox_stream s = deq_philox_stream_of(key.seed, key.step, key.stream);
    const int64_t blocks = count / BLOCK + (count % BLOCK != 0);
#pragma omp parallel for schedule(static) num_threads(threads) if (blocks >= PARALLEL_BLOCKS)
    for (int64_t b = 0; b < blocks; b++) {
        double x[BLOCK];
        draw_block(x, &s, (uint64_t)b, dtype, &law);
        for (int64_t i = b * BLOCK, k = 0; k < BLOCK && i < count; k++, i++) {
            if (dtype == DEQ_F32)
                ((float *)data)[i] = (float)x[k];
            else
                ((double *)data)[i] = x[k];
        }
    }
}

static deq_status check(deq_dtype dtype, int64_t count, bool law_is_valid)
{
    if (dtype != DEQ_F32 && dtype != DEQ_F64) return DEQ_ERR_DTYPE;
    return count >= 0 && law_is_valid ? DEQ_OK : DEQ_ERR_ARGUMENT;
}

deq_status deq_draw_uniform(void *data, deq_dtype dtype, int64_t count, deq_random_key key,
                            double low, double high)
{
    deq_status status = check(dtype, count, isfinite(low) && isfinite(high) && low <= high);
    if (status == DEQ_OK)
        deq_random_draw(data, dtype, count, key, (deq_random_law){ DEQ_RANDOM_UNIFORM, low, high },
                        1);
    return status;
}

deq_status deq_draw_normal(void *data, deq_dtype dtype, int64_t count, deq_random_key key,
                           double mean, double deviation)
{
    deq_status status = check(dtype, count,
                              isfinite(mean) && isfinite(deviation) && deviation >= 0);
    if (status == DEQ_OK)
        deq_random_draw(data, dtype, count, key,
                        (deq_random_law){ DEQ_RANDOM_NORMAL, mean, deviation }, 1);
    return status;
}
