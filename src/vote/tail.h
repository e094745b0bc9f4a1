/* SPDX-License-Identifier: MIT */
/*
 * The one number behind every correctness: for T = sum_i w_i Z_i, w_i > 0 finite, Z_i = +1 with
 * probability q_i > 0, -1 with r_i = 1 - q_i > 0, independent,
 *
 *     below(x) = P(T < x) + P(T = x) / 2                                                         (1)
 *
 * Each method is one function in one file.  All but the exact ones work under the tilted law
 *
 *     P'(Z_i = 1) = q_i e^{s w_i} / (q_i e^{s w_i} + r_i e^{-s w_i}),   s = -a <= 0,
 *     K(s) = sum_i log(q_i e^{s w_i} + r_i e^{-s w_i}),   K'(s) = x where possible,             (2)
 *     below(x) = e^{K(s) - s x} E'[ G(T - x) ],   G(y) = e^{a y} for y < 0, 1/2 at 0, 0 beyond     (3)
 *
 * so that an error of 1e-30 is as easy as one of 0.1: G lies in [0, 1], and y = 0 is in the middle of
 * the tilted law.
 */
#ifndef DEQ_VOTE_TAIL_H
#define DEQ_VOTE_TAIL_H

#include "base/context.h"

#include <deq/vote/correctness.h>

/* T.  Weights fall.  r is kept beside q, because 1 - q loses the digits of small ones. */
typedef struct deq_vote_sum {
    int64_t n;
    double *w, *q, *r;
    double total; /* sum of w */
    double tie;   /* |T - x| up to this is a tie */
} deq_vote_sum;

/* below(x) as a method found it. */
typedef struct deq_vote_tail {
    double value, log_value;
    double low, high; /* certified or confidence interval */
    double tie;       /* P(T = x); NaN if not known */
    double standard_error;
    deq_vote_bound bound;
    deq_vote_correctness_method method;
    double work, step;
} deq_vote_tail;

/* The tilt (2) that puts the mean to x, and what follows from it. */
typedef struct deq_vote_tilt {
    double a;         /* -s >= 0 */
    double log_scale; /* K(s) - s x, <= 0 */
    double mean;      /* of T - x under P' */
    double variance;  /* of T under P' */
} deq_vote_tilt;

/* The probability q of one source under the tilt; r with q and r exchanged, and -a. */
double deq_vote_tilted(double w, double q, double r, double a);
deq_vote_tilt deq_vote_tilt_of(const deq_vote_sum *sum, double x);
/* A c with P'(|T - x| > c) <= bound (Chernoff), at most the whole range. */
double deq_vote_tilt_reach(const deq_vote_sum *sum, double x, const deq_vote_tilt *tilt,
                           double bound);
/* A tail from scaled numbers: value = exp(log_scale) scaled, and so on. */
void deq_vote_tail_scale(deq_vote_tail *out, double log_scale, double scaled, double low,
                         double high);

typedef deq_status deq_vote_tail_fn(deq_vote_tail *out, deq_context *ctx, const deq_vote_sum *sum,
                                    double x, const deq_vote_correctness_options *options);

deq_vote_tail_fn deq_vote_tail_enumerate, deq_vote_tail_meet, deq_vote_tail_group,
    deq_vote_tail_lattice, deq_vote_tail_fft, deq_vote_tail_fourier, deq_vote_tail_normal,
    deq_vote_tail_saddlepoint, deq_vote_tail_monte_carlo, deq_vote_tail_importance;

/* below(x) by the method of the options, perhaps through 1 - P(-T < -x), whichever is small. */
deq_status deq_vote_tail_of(deq_vote_tail *below, deq_vote_tail *above, deq_context *ctx,
                            const deq_vote_sum *sum, double x,
                            const deq_vote_correctness_options *options);

/* Whether grouping reaches this sum: sorted sums on the larger side, INFINITY if it does not. */
double deq_vote_group_states(const deq_vote_sum *sum);

#endif
