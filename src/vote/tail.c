/* SPDX-License-Identifier: MIT */
/* Which method computes a tail, and on which side. */
#include "vote/tail.h"

#include "vote/lattice.h"

#include <math.h>

static deq_vote_tail_fn *const methods[DEQ_VOTE_CORRECTNESS_COUNT] = {
    [DEQ_VOTE_CORRECTNESS_ENUMERATION] = deq_vote_tail_enumerate,
    [DEQ_VOTE_CORRECTNESS_MEET] = deq_vote_tail_meet,
    [DEQ_VOTE_CORRECTNESS_GROUPING] = deq_vote_tail_group,
    [DEQ_VOTE_CORRECTNESS_LATTICE] = deq_vote_tail_lattice,
    [DEQ_VOTE_CORRECTNESS_FFT] = deq_vote_tail_fft,
    [DEQ_VOTE_CORRECTNESS_FOURIER] = deq_vote_tail_fourier,
    [DEQ_VOTE_CORRECTNESS_NORMAL] = deq_vote_tail_normal,
    [DEQ_VOTE_CORRECTNESS_SADDLEPOINT] = deq_vote_tail_saddlepoint,
    [DEQ_VOTE_CORRECTNESS_MONTE_CARLO] = deq_vote_tail_monte_carlo,
    [DEQ_VOTE_CORRECTNESS_IMPORTANCE] = deq_vote_tail_importance,
};

enum { ENUMERATE_UP_TO = 12, MEET_UP_TO = 44 };
static const double states_up_to = 0x1p22;
/* Sorted lists hold plain probabilities, which underflow beyond. */
static const double log_plain = -600;

static deq_vote_correctness_method choose(const deq_vote_sum *sum, double x,
                                          const deq_vote_correctness_options *options)
{
    if (sum->n <= ENUMERATE_UP_TO) return DEQ_VOTE_CORRECTNESS_ENUMERATION;
    if (deq_vote_tilt_of(sum, x).log_scale > log_plain) {
        double states = deq_vote_group_states(sum);
        double plain = ldexp(1, (int)(sum->n < 1000 ? (sum->n + 1) / 2 : 500));
        if (states <= states_up_to && states < plain) return DEQ_VOTE_CORRECTNESS_GROUPING;
        if (sum->n <= MEET_UP_TO) return DEQ_VOTE_CORRECTNESS_MEET;
    }
    double cells = deq_vote_lattice_exact_cells(sum);
    if (cells * (double)sum->n <= options->effort) return DEQ_VOTE_CORRECTNESS_LATTICE;
    if (cells * 1000 <= options->effort) return DEQ_VOTE_CORRECTNESS_FFT;
    return DEQ_VOTE_CORRECTNESS_FOURIER;
}

/* Every threshold beyond the range, and sums without terms. */
static bool is_trivial(deq_vote_tail *out, const deq_vote_sum *sum, double x)
{
    bool certain = sum->n == 0 || fabs(x) > sum->total + sum->tie;
    if (!certain) return false;
    double value = fabs(x) <= sum->tie ? 0.5 : x > 0 ? 1 : 0;
    *out = (deq_vote_tail){ .value = value, .low = value, .high = value, .log_value = log(value) };
    out->tie = value == 0.5 ? 1 : 0;
    return true;
}

/* 1 - what was found for the other side. */
static deq_vote_tail complement(const deq_vote_tail *tail)
{
    deq_vote_tail other = *tail;
    other.value = 1 - tail->value;
    other.log_value = log1p(-tail->value);
    other.low = 1 - tail->high;
    other.high = 1 - tail->low;
    return other;
}

deq_status deq_vote_tail_of(deq_vote_tail *below, deq_vote_tail *above, deq_context *ctx,
                            const deq_vote_sum *sum, double x,
                            const deq_vote_correctness_options *options)
{
    double mean = 0;
    for (int64_t i = 0; i < sum->n; i++) mean += sum->w[i] * (sum->q[i] - sum->r[i]);
    bool mirrored = mean < x;
    deq_vote_sum side = *sum;
    if (mirrored) { /* -T < -x */
        side.q = sum->r;
        side.r = sum->q;
        x = -x;
    }
    deq_vote_tail *small = mirrored ? above : below, *large = mirrored ? below : above;
    deq_vote_correctness_method method = options->method;
    if (method == DEQ_VOTE_CORRECTNESS_AUTO) method = choose(&side, x, options);
    if (!is_trivial(small, &side, x)) {
        *small = (deq_vote_tail){ .tie = NAN };
        DEQ_TRY(methods[method](small, ctx, &side, x, options));
    }
    small->method = method;
    *large = complement(small);
    return DEQ_OK;
}
