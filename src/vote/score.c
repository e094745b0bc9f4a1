/* SPDX-License-Identifier: MIT */
/*
 * Posteriors against true labels.  With b_t the probability of the decided label and a_t what it turned
 * out to be worth (1, 0, or 1/k for a tie of k labels that has the right one),
 *
 *     accuracy = mean a,  believed = mean b,  ECE = sum over bins n/N |mean a - mean b|          (1)
 *     chi^2 = sum over bins (sum a - sum b)^2 / sum b (1 - b)                                    (2)
 *
 * (2) is the test of Hosmer & Lemeshow, with as many degrees of freedom as bins when the beliefs were
 * not fitted to the same labels.
 */
#include <deq/vote/compare.h>

#include "vote/score.h"

#include <math.h>
#include <string.h>

#define TIE 1e-9 /* posteriors are rounded otherwise than scores */

void deq_reliability_begin(deq_reliability *r, double low, int n_bins)
{
    *r = (deq_reliability){ .low = low, .n_bins = n_bins };
}

void deq_reliability_add(deq_reliability *r, double believed, double achieved)
{
    const double place = (believed - r->low) / (1 - r->low) * r->n_bins;
    int i = place > 0 ? (int)fmin(place, r->n_bins - 1) : 0;

    r->count[i]++;
    r->believed[i] += believed;
    r->achieved[i] += achieved;
    r->variance[i] += believed * (1 - believed);
}

double deq_reliability_end(deq_vote_bin *bins, const deq_reliability *r)
{
    double error = 0, n = 0;

    for (int i = 0; i < r->n_bins; i++) {
        const double count = (double)r->count[i], step = (1 - r->low) / r->n_bins;
        bins[i] = (deq_vote_bin){ .low = r->low + step * i,
                                  .high = i + 1 < r->n_bins ? r->low + step * (i + 1) : 1,
                                  .count = r->count[i],
                                  .believed = count > 0 ? r->believed[i] / count : NAN,
                                  .achieved = count > 0 ? r->achieved[i] / count : NAN };
        error += fabs(r->achieved[i] - r->believed[i]);
        n += count;
    }
    return n > 0 ? error / n : NAN;
}

/* The upper tail of the gamma law, Q(a, x): series below a + 1, Lentz' continued fraction above. */
static double gamma_tail(double a, double x)
{
    const double front = exp(a * log(x) - x - lgamma(a));
    double sum = 1 / a, term = sum;

    if (x < a + 1) {
        for (int n = 1; n < 1000 && term > sum * 1e-16; n++) sum += term *= x / (a + n);
        return 1 - front * sum;
    }
    double b = x + 1 - a, c = 1e300, d = 1 / b, h = d;
    for (int i = 1; i < 1000; i++) {
        const double an = -i * (i - a);
        b += 2;
        d = 1 / (an * d + b);
        c = b + an / c;
        h *= d * c;
        if (fabs(d * c - 1) < 1e-15) break;
    }
    return front * h;
}

/* (2) */
static void test_calibration(deq_vote_score *s, const deq_reliability *r)
{
    for (int i = 0; i < r->n_bins; i++) {
        const double off = r->achieved[i] - r->believed[i];
        if (!(r->variance[i] > 1e-12)) continue;
        s->chi_square += off * off / r->variance[i];
        s->chi_square_bins++;
    }
    s->p_value = s->chi_square_bins == 0 ? NAN
                 : s->chi_square > 0     ? gamma_tail(0.5 * s->chi_square_bins, 0.5 * s->chi_square)
                                         : 1;
}

/* The decided label and what it is worth. */
static int64_t decide(double *achieved, const double *q, int64_t K, int32_t gold)
{
    int64_t first = -1;
    double most = 0;
    int n = 0;

    for (int64_t c = 0; c < K; c++) most = fmax(most, q[c]);
    for (int64_t c = K - 1; c >= 0; c--) {
        if (q[c] < most * (1 - TIE)) continue;
        first = c;
        n++;
    }
    *achieved = q[gold] >= most * (1 - TIE) ? 1.0 / n : 0;
    return first;
}

/* Sums for the figures, by Welford's update for the variance of the difference. */
typedef struct sums {
    double achieved, believed, log_loss, brier, mean, square;
} sums;

static void add_task(sums *s, double n, const double *q, int64_t K, int32_t gold, double b,
                     double a)
{
    const double delta = a - b - s->mean;

    s->achieved += a;
    s->believed += b;
    s->log_loss -= log(fmax(q[gold], 1e-15));
    for (int64_t c = 0; c < K; c++) s->brier += (q[c] - (c == gold)) * (q[c] - (c == gold));
    s->mean += delta / n;
    s->square += delta * (a - b - s->mean);
}

void deq_vote_score_posterior(deq_vote_score *score, int64_t *confusion, const deq_votes *votes,
                              const double *posterior, const int32_t *gold, const bool *use,
                              int n_bins)
{
    const deq_votes_view v = deq_votes_values(votes);
    const int64_t K = v.n_labels;
    deq_reliability r;
    sums s = { 0 };
    double n = 0, a;

    *score = (deq_vote_score){ .n_bins = n_bins < 1                      ? 1
                                         : n_bins > DEQ_RELIABILITY_BINS ? DEQ_RELIABILITY_BINS
                                                                         : n_bins };
    deq_reliability_begin(&r, K > 1 ? 1 / (double)K : 0, score->n_bins);
    if (confusion) memset(confusion, 0, (size_t)(K * K) * sizeof *confusion);
    for (int64_t t = 0; t < v.n_tasks; t++) {
        const double *q = posterior + t * K;
        if (gold[t] < 0 || (use && !use[t])) continue;
        const int64_t label = decide(&a, q, K, gold[t]);
        add_task(&s, ++n, q, K, gold[t], q[label], a);
        deq_reliability_add(&r, q[label], a);
        if (confusion) confusion[gold[t] * K + label]++;
    }
    score->n_gold = (int64_t)n;
    score->accuracy = s.achieved / n;
    score->believed = s.believed / n;
    score->standard_error = n > 1 ? sqrt(s.square / (n - 1) / n) : NAN;
    score->log_loss = s.log_loss / n;
    score->brier = s.brier / n;
    score->calibration_error = deq_reliability_end(score->bins, &r);
    test_calibration(score, &r);
}
