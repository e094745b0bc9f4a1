/* SPDX-License-Identifier: MIT */
/*
 * Beta laws: logarithm of B, distribution, quantile, Beta-binomial probabilities.
 *
 *   log Gamma(a) = (a - 1/2) log a - a + log(2 pi) / 2 + D(a)                                  (1)
 *   D(a)         = 1/(12 a) - 1/(360 a^3) + 1/(1260 a^5) - ...     (Stirling; used for a >= 10)
 *   I_x(a,b)     = x^a (1-x)^b / (a B(a,b)) * 1 / (1 + d_1 / (1 + d_2 / (1 + ...)))             (2)
 *   d_{2m}       = m (b - m) x / ((a + 2m - 1)(a + 2m))
 *   d_{2m+1}     = -(a + m)(a + b + m) x / ((a + 2m)(a + 2m + 1))
 *
 * The fraction (2) is quick for x < (a+1)/(a+b+2); beyond, I_x(a,b) = 1 - I_{1-x}(b,a).  (DLMF 5.11,
 * 8.17.)  Where both a and b are large, the factor before it is written with the distance of x from
 * the mean, since its parts are huge and cancel.
 */
#include <deq/vote/beta.h>

#include "vote/special.h"

#include <math.h>
#include <stdbool.h>

static const double half_log_2pi = 0.91893853320467274178;
static const double log_2 = 0.69314718055994530942;

enum { STIRLING_FROM = 10 };

/* D of (1). */
static double stirling_rest(double a)
{
    double r = 1 / (a * a);
    double series =
        1.0 / 12 -
        r * (1.0 / 360 -
             r * (1.0 / 1260 -
                  r * (1.0 / 1680 - r * (1.0 / 1188 - r * (691.0 / 360360 - r * (1.0 / 156))))));
    return series / a;
}

/* log Gamma(b) - log Gamma(a + b), b >= STIRLING_FROM. */
static double log_gamma_ratio(double a, double b)
{
    return stirling_rest(b) - stirling_rest(a + b) - (a + b - 0.5) * log1p(a / b) - a * log(b) + a;
}

static bool is_shape(double a)
{
    return isfinite(a) && a > 0;
}

/* log Gamma(a) for a < 2 STIRLING_FROM.  (lgamma() writes a global variable.) */
static double log_gamma_small(double a)
{
    return a < 1e-8 ? -log(a) + log(tgamma(1 + a)) : log(tgamma(a));
}

double deq_vote_log_beta(double a, double b)
{
    if (!is_shape(a) || !is_shape(b)) return NAN;
    double low = a < b ? a : b, high = a < b ? b : a;
    if (high < STIRLING_FROM)
        return log_gamma_small(low) + log_gamma_small(high) - log_gamma_small(low + high);
    if (low < STIRLING_FROM) return log_gamma_small(low) + log_gamma_ratio(low, high);
    double ratio = low / high;
    double rest = stirling_rest(low) + stirling_rest(high) - stirling_rest(low + high);
    return half_log_2pi - 0.5 * log(high) + rest + (low - 0.5) * log(ratio / (1 + ratio)) -
           high * log1p(ratio);
}

/* log( x^a y^b / B(a,b) ), y = 1 - x, both > 0. */
static double log_power(double x, double y, double a, double b)
{
    if (a < STIRLING_FROM || b < STIRLING_FROM)
        return a * log(x) + b * log(y) - deq_vote_log_beta(a, b);
    /* About the mean x0 = a/(a+b):  a log(x/x0) + b log(y/y0), whose linear parts cancel. */
    double distance = x * b - y * a; /* (x - x0)(a + b) */
    double from_mean = a * deq_vote_log1p_minus(distance / a) +
                       b * deq_vote_log1p_minus(-distance / b);
    double rest = stirling_rest(a) + stirling_rest(b) - stirling_rest(a + b);
    return from_mean + 0.5 * (log(a) + log(b / (a + b))) - half_log_2pi - rest;
}

/* d_k of (2). */
static double coefficient(int64_t k, double x, double a, double b)
{
    int64_t half = k / 2;
    double m = (double)half;
    if (k % 2 == 0) return m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    return -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
}

/* 1 + d_1 / (1 + d_2 / ...) of (2), from the front (Lentz). */
static double fraction(double x, double a, double b)
{
    const double tiny = 1e-300;
    double f = 1, c = 1, d = 0;
    for (int64_t k = 1; k < 200000; k++) {
        double term = coefficient(k, x, a, b);
        d = 1 + term * d;
        c = 1 + term / c;
        if (fabs(d) < tiny) d = tiny;
        if (fabs(c) < tiny) c = tiny;
        d = 1 / d;
        f *= c * d;
        if (fabs(c * d - 1) < 1e-16) break;
    }
    return f;
}

/* log I_x(a,b) where the fraction is quick. */
static double log_cdf_low(double x, double y, double a, double b)
{
    return log_power(x, y, a, b) - log(a) - log(fraction(x, a, b));
}

static double log_cdf(double x, double y, double a, double b)
{
    if (x <= 0) return -INFINITY;
    if (y <= 0) return 0;
    if (x <= (a + 1) / (a + b + 2)) return log_cdf_low(x, y, a, b);
    return log1p(-exp(log_cdf_low(y, x, b, a)));
}

double deq_vote_beta_cdf(double p, double a, double b)
{
    if (!is_shape(a) || !is_shape(b) || !(p >= 0 && p <= 1)) return NAN;
    double cdf = exp(log_cdf(p, 1 - p, a, b));
    return cdf > 1 ? 1 : cdf;
}

/*
 * The x <= 1/2 with I_x(a,b) = p = 1 - q, where the smaller of p and q has its digits: by Newton's method
 * on the logarithm of that tail as a function of u = log x, held in a bracket.  For b >= 1 the density
 * is at most x^(a-1) / B, for b < 1 at most 2^(1-b) of that on the half: the left end.
 */
static double quantile_low(double p, double q, double a, double b)
{
    bool upper = q < p;
    double wanted = log(upper ? q : p);
    double low = (log(p) + log(a) + deq_vote_log_beta(a, b) - (b < 1 ? (1 - b) * log_2 : 0)) / a;
    double high = -log_2;
    double u = low < high ? low : high;
    if (u < -745) return 0;
    for (int i = 0; i < 200; i++) {
        double x = exp(u), y = -expm1(u);
        double value = upper ? log_cdf(y, x, b, a) : log_cdf(x, y, a, b);
        if ((value < wanted) != upper)
            low = u;
        else
            high = u;
        /* d log I / du = x^a y^(b-1) / (B I), and minus that for 1 - I */
        double slope = exp(log_power(x, y, a, b) - log(y) - value);
        double next = u + (wanted - value) / (upper ? -slope : slope);
        if (!(next > low && next < high)) next = 0.5 * (low + high);
        double step = fabs(next - u);
        u = next;
        if (step <= 1e-16 * (1 + fabs(u))) break;
    }
    return exp(u);
}

double deq_vote_beta_quantile(double p, double a, double b)
{
    if (!is_shape(a) || !is_shape(b) || !(p >= 0 && p <= 1)) return NAN;
    if (p == 0 || p == 1) return p;
    double half = deq_vote_beta_cdf(0.5, a, b);
    return p <= half ? quantile_low(p, 1 - p, a, b) : 1 - quantile_low(1 - p, p, b, a);
}

double deq_vote_beta_binomial_log(double right, double total, double a, double b)
{
    if (!is_shape(a) || !is_shape(b) || !isfinite(total) || !(right >= 0 && right <= total))
        return NAN;
    double wrong = total - right;
    double choose = -log1p(total) - deq_vote_log_beta(right + 1, wrong + 1); /* log C(m, s) */
    return choose + deq_vote_log_beta(a + right, b + wrong) - deq_vote_log_beta(a, b);
}

deq_status deq_vote_wilson(double *low, double *high, double right, double total, double confidence)
{
    *low = *high = NAN;
    if (!isfinite(total) || !(right >= 0 && right <= total) || !(confidence > 0 && confidence < 1))
        return DEQ_ERR_ARGUMENT;
    *low = 0;
    *high = 1;
    if (total == 0) return DEQ_OK;
    double z = -deq_vote_normal_quantile((1 - confidence) / 2), z2 = z * z, share = right / total;
    double centre = (share + z2 / (2 * total)) / (1 + z2 / total);
    double radius = z / (1 + z2 / total) *
                    sqrt(share * (1 - share) / total + z2 / (4 * total * total));
    if (right > 0) *low = fmax(0, centre - radius);
    if (right < total) *high = fmin(1, centre + radius);
    return DEQ_OK;
}
