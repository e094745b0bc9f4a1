/* SPDX-License-Identifier: MIT */
/*
 * Beta and binomial variates.
 *
 *   gamma(a), a >= 1   d v,  d = a - 1/3,  v = (1 + z / sqrt(9 d))^3,  z normal, u uniform;
 *                      accepted if log u < z^2 / 2 + d - d v + d log v          (Marsaglia & Tsang)
 *   gamma(a), a < 1    gamma(a + 1) u^(1/a), in logarithms: it may underflow
 *   beta(a, b)         g / (g + h),  g ~ gamma(a), h ~ gamma(b)
 *   binomial(m, p)     how many of m uniforms are below p: counted for small m; else one order
 *                      statistic, x ~ beta(i, m + 1 - i), tells for half of them  (Devroye, X.4)
 */
#include "vote/draw.h"

#include <deq/vote/beta.h>

#include <math.h>

enum { ELEMENT_BITS = 20, COUNT_BELOW = 32 };

deq_vote_draw deq_vote_draw_begin(deq_random_key key, uint64_t element)
{
    return (deq_vote_draw){ .stream = deq_philox_stream_of(key.seed, key.step, key.stream),
                            .block = element << ELEMENT_BITS };
}

static uint32_t next_word(deq_vote_draw *d)
{
    if (d->left == 0) {
        deq_philox_words(d->words, &d->stream, DEQ_PHILOX_HIGH, d->block++);
        d->left = 4;
    }
    return d->words[--d->left];
}

double deq_vote_draw_uniform(deq_vote_draw *d)
{
    uint64_t high = next_word(d), low = next_word(d);
    return ((double)(high << 21 | low >> 11) + 0.5) * 0x1p-53;
}

static double draw_normal(deq_vote_draw *d)
{
    double r = sqrt(-2 * log(deq_vote_draw_uniform(d)));
    return r * cos(6.283185307179586477 * deq_vote_draw_uniform(d));
}

static double draw_log_gamma(deq_vote_draw *d, double a)
{
    double boost = 0;
    if (a < 1) {
        boost = log(deq_vote_draw_uniform(d)) / a;
        a += 1;
    }
    double shift = a - 1.0 / 3, scale = 1 / sqrt(9 * shift);
    for (;;) {
        double z = draw_normal(d), root = 1 + scale * z;
        if (root <= 0) continue;
        double v = root * root * root, log_v = 3 * log(root);
        if (log(deq_vote_draw_uniform(d)) < 0.5 * z * z + shift - shift * v + shift * log_v)
            return log(shift) + log_v + boost;
    }
}

double deq_vote_draw_beta_one(deq_vote_draw *d, double a, double b)
{
    double g = draw_log_gamma(d, a), h = draw_log_gamma(d, b);
    return 1 / (1 + exp(h - g));
}

int64_t deq_vote_draw_binomial(deq_vote_draw *d, int64_t m, double p)
{
    int64_t count = 0;
    while (m >= COUNT_BELOW) {
        int64_t i = (m + 1) / 2;
        double x = deq_vote_draw_beta_one(d, (double)i, (double)(m + 1 - i));
        if (x <= p) {
            count += i;
            m -= i;
            p = x < 1 ? (p - x) / (1 - x) : 1;
        } else {
            m = i - 1;
            p /= x;
        }
    }
    for (int64_t i = 0; i < m; i++) count += deq_vote_draw_uniform(d) < p;
    return count;
}

static int are_shapes(double a, double b)
{
    return isfinite(a) && a > 0 && isfinite(b) && b > 0;
}

deq_status deq_vote_draw_beta(double *out, int64_t count, deq_random_key key, double a, double b)
{
    if (count < 0 || !are_shapes(a, b)) return DEQ_ERR_ARGUMENT;
    for (int64_t i = 0; i < count; i++) {
        deq_vote_draw d = deq_vote_draw_begin(key, (uint64_t)i);
        out[i] = deq_vote_draw_beta_one(&d, a, b);
    }
    return DEQ_OK;
}

deq_status deq_vote_draw_beta_binomial(int64_t *right, int64_t count, deq_random_key key,
                                       int64_t total, double a, double b)
{
    if (count < 0 || total < 0 || !are_shapes(a, b)) return DEQ_ERR_ARGUMENT;
    for (int64_t i = 0; i < count; i++) {
        deq_vote_draw d = deq_vote_draw_begin(key, (uint64_t)i);
        double p = deq_vote_draw_beta_one(&d, a, b);
        right[i] = deq_vote_draw_binomial(&d, total, p);
    }
    return DEQ_OK;
}
