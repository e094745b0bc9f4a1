/* SPDX-License-Identifier: MIT */
/* The normal law, and logarithms without cancellation. */
#include "vote/special.h"

#include <math.h>

static const double sqrt_half = 0.70710678118654752440;
static const double half_log_2pi = 0.91893853320467274178;

double deq_vote_normal_cdf(double x)
{
    return 0.5 * erfc(-x * sqrt_half);
}

/* Far out, Phi(x) = phi(x) / |x| (1 - 1/x^2 + 3/x^4 - 15/x^6 + 105/x^8 - ...). */
double deq_vote_normal_log_cdf(double x)
{
    if (x > -30) return log(deq_vote_normal_cdf(x));
    double r = 1 / (x * x);
    double series = -r * (1 - 3 * r * (1 - 5 * r * (1 - 7 * r)));
    return -0.5 * x * x - log(-x) - half_log_2pi + log1p(series);
}

/* Newton's method on log Phi, which is concave: from the left it climbs without overshooting. */
double deq_vote_normal_quantile(double p)
{
    if (!(p >= 0 && p <= 1)) return NAN;
    if (p == 0 || p == 1) return p == 0 ? -INFINITY : INFINITY;
    if (p > 0.5) return -deq_vote_normal_quantile(1 - p);
    double wanted = log(p), x = -sqrt(-2 * wanted) - 0.1;
    for (int i = 0; i < 60; i++) {
        double log_cdf = deq_vote_normal_log_cdf(x);
        double step = (wanted - log_cdf) * exp(log_cdf + 0.5 * x * x + half_log_2pi);
        x += step;
        if (fabs(step) <= 1e-15 * (1 + fabs(x))) break;
    }
    return x;
}

double deq_vote_log1p_minus(double e)
{
    if (fabs(e) > 0.3) return log1p(e) - e;
    /* log1p(e) = 2 atanh(r), r = e / (2 + e), and 2 r - e = -r e. */
    double r = e / (2 + e), r2 = r * r, power = r2 * r, sum = 0;
    for (int k = 3; k < 60; k += 2) {
        double term = power / k;
        sum += term;
        if (fabs(term) < 1e-18 * fabs(sum)) break;
        power *= r2;
    }
    return 2 * sum - r * e;
}

double deq_vote_log_add(double a, double b)
{
    double high = a > b ? a : b, low = a > b ? b : a;
    return low == -INFINITY ? high : high + log1p(exp(low - high));
}
