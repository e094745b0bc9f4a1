/* SPDX-License-Identifier: MIT */
/* The tilted law, equations (2) and (3) of tail.h. */
#include "vote/tail.h"

#include "vote/special.h"

#include <math.h>

double deq_vote_tilted(double w, double q, double r, double a)
{
    return 1 / (1 + exp(2 * a * w) * (r / q));
}

/* log(q e^{s w} + r e^{-s w}), s = -a, from its larger term. */
static double cumulant(double w, double q, double r, double a)
{
    return deq_vote_log_add(log(q) - a * w, log(r) + a * w);
}

/* K'(s) - x, and K''(s). */
static double moments(const deq_vote_sum *sum, double x, double a, double *variance)
{
    deq_vote_total mean = { -x, 0 }, square = { 0, 0 };
    for (int64_t i = 0; i < sum->n; i++) {
        double w = sum->w[i], q = deq_vote_tilted(w, sum->q[i], sum->r[i], a);
        deq_vote_total_add(&mean, w * (2 * q - 1));
        deq_vote_total_add(&square, 4 * w * w * q * (1 - q));
    }
    *variance = deq_vote_total_value(square);
    return deq_vote_total_value(mean);
}

/* The mean falls in a.  Newton in a bracket; no further than where the largest weight alone makes
 * odds of e^80, which also ends the search when x is at the very edge. */
deq_vote_tilt deq_vote_tilt_of(const deq_vote_sum *sum, double x)
{
    double low = 0, high = sum->n > 0 ? 40 / sum->w[0] : 0, a = 0;
    deq_vote_tilt tilt = { .a = 0 };
    for (int k = 0; k < 200; k++) {
        tilt.mean = moments(sum, x, a, &tilt.variance);
        tilt.a = a;
        if (tilt.mean <= 0 && a == 0) break;
        if (fabs(tilt.mean) <= 1e-9 * sqrt(tilt.variance) || high - low <= 1e-12 * high) break;
        if (tilt.mean > 0)
            low = a;
        else
            high = a;
        double next = a + tilt.mean / tilt.variance;
        a = next > low && next < high ? next : 0.5 * (low + high);
    }
    deq_vote_total k = { tilt.a * x, 0 };
    for (int64_t i = 0; i < sum->n; i++)
        deq_vote_total_add(&k, cumulant(sum->w[i], sum->q[i], sum->r[i], tilt.a));
    tilt.log_scale = deq_vote_total_value(k);
    return tilt;
}

/* log of Chernoff's bound on P'(T - x > c) for sign 1, on P'(T - x < -c) for -1, at one theta. */
static double chernoff(const deq_vote_sum *sum, double x, const deq_vote_tilt *tilt, double c,
                       double theta, double sign)
{
    double k = -theta * (c + sign * x);
    for (int64_t i = 0; i < sum->n; i++) {
        double w = sum->w[i], t = sign * theta * w;
        double q = deq_vote_tilted(w, sum->q[i], sum->r[i], tilt->a);
        double r = deq_vote_tilted(w, sum->r[i], sum->q[i], -tilt->a);
        k += deq_vote_log_add(log(q) + t, log(r) - t);
    }
    return k;
}

double deq_vote_tilt_reach(const deq_vote_sum *sum, double x, const deq_vote_tilt *tilt,
                           double bound)
{
    double all = sum->total + fabs(x), deviation = sqrt(tilt->variance), wanted = log(bound / 2);
    double c = sqrt(-2 * wanted) * deviation;
    while (c + fabs(tilt->mean) < all) {
        double theta = c / tilt->variance;
        double up = chernoff(sum, x, tilt, c + fabs(tilt->mean), theta, 1);
        double down = chernoff(sum, x, tilt, c + fabs(tilt->mean), theta, -1);
        if (up <= wanted && down <= wanted) return c + fabs(tilt->mean);
        c *= 1.25;
    }
    return all;
}

void deq_vote_tail_scale(deq_vote_tail *out, double log_scale, double scaled, double low,
                         double high)
{
    double factor = exp(log_scale);
    out->value = fmin(1, factor * scaled);
    out->log_value = scaled > 0 ? fmin(0, log_scale + log(scaled)) : -INFINITY;
    out->low = fmax(0, factor * low);
    out->high = fmin(1, factor * high);
    out->tie = NAN;
}
