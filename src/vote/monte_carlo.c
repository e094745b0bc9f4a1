/* SPDX-License-Identifier: MIT */
/*
 * Votes that are drawn.
 *
 *   plain        mean of [T < x] + [T = x] / 2                                                   (1)
 *   importance   e^{K(s) - s x} times the mean of G(T - x) under the tilted law, tail.h (3)         (2)
 *   optimal      sqrt(pi (1 - pi)) prod_i 2 sqrt(p_i (1 - p_i)) times the mean of
 *                exp(-|w_0 + sum_i w_i v_i| / 2) for n fair coins v_i = -1 or 1                   (3)
 *
 * (3) is exact for weights that are the log-odds of p: the error is the sum over votes of
 * min(pi a, (1 - pi) b) = sqrt(pi (1 - pi) a b) exp(-|log(pi a / ((1 - pi) b))| / 2), where a and b
 * are the likelihoods of the votes, and a b does not depend on them.
 *
 * Draws are functions of (seed, number of the draw).  They are added in chunks of fixed size, so the
 * number of threads does not change the sum.
 */
#include "vote/draw.h"
#include "vote/importance.h"
#include "vote/special.h"

#include <deq/vote/beta.h>
#include <math.h>

enum { CHUNK = 1024, COUNTER_BITS = 24 };

typedef struct sampler {
    const deq_vote_sum *sum;
    const uint64_t *below; /* 2^64 q: 64 bits under it are a right vote; NULL for fair coins */
    deq_philox_stream stream;
    double x, a, w_0;
    enum { PLAIN, TILTED, OPTIMAL } kind;
} sampler;

/* Whether 64 bits are below; the last 32 are looked at once in 2^32 times. */
static bool is_right(const sampler *s, int64_t i, uint32_t word, uint64_t block, int at)
{
    uint32_t high = (uint32_t)(s->below[i] >> 32);
    if (word != high) return word < high;
    uint32_t words[4];
    deq_philox_words(words, &s->stream, DEQ_PHILOX_LOW, block);
    return words[at] < (uint32_t)s->below[i];
}

/* T of draw number d. */
static double draw_sum(const sampler *s, int64_t d)
{
    const deq_vote_sum *sum = s->sum;
    double t = 0;
    uint64_t first = (uint64_t)d << COUNTER_BITS;
    for (int64_t i = 0; i < sum->n;) {
        uint32_t words[4];
        deq_philox_words(words, &s->stream, DEQ_PHILOX_HIGH, first++);
        if (s->kind == OPTIMAL) { /* a bit each */
            for (int k = 0; k < 128 && i < sum->n; k++, i++)
                t += (words[k / 32] >> (k % 32) & 1) ? sum->w[i] : -sum->w[i];
        } else {
            for (int k = 0; k < 4 && i < sum->n; k++, i++)
                t += is_right(s, i, words[k], first - 1, k) ? sum->w[i] : -sum->w[i];
        }
    }
    return t;
}

static double summand(const sampler *s, int64_t d)
{
    double y = draw_sum(s, d) - s->x;
    if (s->kind == OPTIMAL) return exp(-0.5 * fabs(y));
    double at_tie = 0.5;
    if (fabs(y) <= s->sum->tie) return at_tie;
    return y > 0 ? 0 : s->kind == TILTED ? exp(s->a * y) : 1;
}

/* Mean and variance of the summand. */
static deq_status average(double *mean, double *variance, deq_context *ctx, const sampler *s,
                          int64_t draws)
{
    int64_t chunks = draws / CHUNK + (draws % CHUNK != 0);
    double(*parts)[2] = deq_alloc_array(ctx, (size_t)chunks, sizeof *parts);
    if (!parts) return DEQ_ERR_NOMEM;
#pragma omp parallel for schedule(static) num_threads(deq_context_threads(ctx))
    for (int64_t c = 0; c < chunks; c++) {
        int64_t end = (c + 1) * CHUNK < draws ? (c + 1) * CHUNK : draws;
        double first = 0, second = 0;
        for (int64_t d = c * CHUNK; d < end; d++) {
            double g = summand(s, d);
            first += g;
            second += g * g;
        }
        parts[c][0] = first;
        parts[c][1] = second;
    }
    deq_vote_total first = { 0, 0 }, second = { 0, 0 };
    for (int64_t c = 0; c < chunks; c++) {
        deq_vote_total_add(&first, parts[c][0]);
        deq_vote_total_add(&second, parts[c][1]);
    }
    *mean = deq_vote_total_value(first) / (double)draws;
    *variance = fmax(0, deq_vote_total_value(second) / (double)draws - *mean * *mean);
    deq_release(ctx, parts, (size_t)chunks * sizeof *parts);
    return DEQ_OK;
}

/* A confidence interval for the mean of n values in [0, 1]. */
static void enclose(double *low, double *high, double mean, double variance, double n, bool plain,
                    const deq_vote_correctness_options *o)
{
    double miss = 1 - o->confidence, radius;
    if (o->interval == DEQ_VOTE_INTERVAL_RIGOROUS) {
        radius = plain ? sqrt(log(2 / miss) / (2 * n)) /* Hoeffding */
                       : sqrt(2 * variance * log(4 / miss) / n) +
                             7 * log(4 / miss) / (3 * fmax(1, n - 1)); /* empirical Bernstein */
    } else if (plain) {
        (void)deq_vote_wilson(low, high, fmin(n, mean * n), n, o->confidence);
        return;
    } else {
        radius = -deq_vote_normal_quantile(miss / 2) * sqrt(variance / n);
    }
    *low = fmax(0, mean - radius);
    *high = fmin(1, mean + radius);
}

static deq_status draw_tail(deq_vote_tail *out, deq_context *ctx, const deq_vote_sum *sum, double x,
                            const deq_vote_correctness_options *o, bool plain)
{
    deq_vote_tilt tilt = { .a = 0 };
    if (!plain) tilt = deq_vote_tilt_of(sum, x);
    uint64_t *below = deq_alloc_array(ctx, (size_t)sum->n, sizeof *below);
    if (!below) return DEQ_ERR_NOMEM;
    for (int64_t i = 0; i < sum->n; i++) {
        double q = deq_vote_tilted(sum->w[i], sum->q[i], sum->r[i], tilt.a);
        below[i] = q < 1 ? (uint64_t)ldexp(q, 64) : UINT64_MAX;
    }
    sampler s = { .sum = sum,
                  .below = below,
                  .stream = deq_philox_stream_of(o->seed, 0, plain ? 0 : 1),
                  .x = x,
                  .a = tilt.a,
                  .kind = plain ? PLAIN : TILTED };
    double mean, variance, low, high, n = (double)o->draws;
    deq_status status = average(&mean, &variance, ctx, &s, o->draws);
    if (status == DEQ_OK) {
        enclose(&low, &high, mean, variance, n, plain, o);
        deq_vote_tail_scale(out, tilt.log_scale, mean, low, high);
        out->standard_error = exp(tilt.log_scale) * sqrt(variance / n);
        out->bound = DEQ_VOTE_BOUND_CONFIDENCE;
        out->work = n;
    }
    deq_release(ctx, below, (size_t)sum->n * sizeof *below);
    return status;
}

deq_status deq_vote_tail_monte_carlo(deq_vote_tail *out, deq_context *ctx, const deq_vote_sum *sum,
                                     double x, const deq_vote_correctness_options *options)
{
    return draw_tail(out, ctx, sum, x, options, true);
}

deq_status deq_vote_tail_importance(deq_vote_tail *out, deq_context *ctx, const deq_vote_sum *sum,
                                    double x, const deq_vote_correctness_options *options)
{
    return draw_tail(out, ctx, sum, x, options, false);
}

deq_status deq_vote_importance_optimal(deq_vote_correctness_result *result, deq_context *ctx,
                                       const deq_vote_rule *rule,
                                       const deq_vote_correctness_options *options)
{
    const deq_vote_sum *sum = &rule->sum;
    double log_scale = 0.5 * (log(options->prior) + log1p(-options->prior));
    for (int64_t i = 0; i < sum->n; i++)
        log_scale += log(2) + 0.5 * (log(sum->q[i]) + log(sum->r[i]));
    sampler s = { .sum = sum,
                  .stream = deq_philox_stream_of(options->seed, 0, 2),
                  .x = -rule->weight_0,
                  .kind = OPTIMAL };
    double mean, variance, low, high, n = (double)options->draws;
    DEQ_TRY(average(&mean, &variance, ctx, &s, options->draws));
    enclose(&low, &high, mean, variance, n, false, options);
    deq_vote_tail tail = { .tie = NAN };
    deq_vote_tail_scale(&tail, log_scale, mean, low, high);
    result->error = tail.value;
    result->log_error = tail.log_value;
    result->correctness = 1 - tail.value;
    result->error_low = tail.low;
    result->error_high = tail.high;
    result->correctness_low = 1 - tail.high;
    result->correctness_high = 1 - tail.low;
    result->standard_error = exp(log_scale) * sqrt(variance / n);
    result->tie = NAN;
    result->bound = DEQ_VOTE_BOUND_CONFIDENCE;
    result->method = DEQ_VOTE_CORRECTNESS_IMPORTANCE;
    result->work = n;
    return DEQ_OK;
}
