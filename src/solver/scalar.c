/* SPDX-License-Identifier: MIT */
/*
 * Bisection and Brent's method.  b is the best point, a the one before, and g changes its sign
 * between b and c.
 */
#include <deq/scalar.h>

#include <float.h>
#include <math.h>

typedef struct point {
    double z, g;
} point;

/* From b towards c: by the secant through a and b, or the inverse quadratic through a, b and c.
 * Half the bracket if that leads too far or gains less than half of the step before the last. */
static double interpolate(point a, point b, point c, double tol, double *last, double *before)
{
    double half = 0.5 * (c.z - b.z), s = b.g / a.g, p, q;
    if (a.z == c.z) {
        p = 2 * half * s;
        q = 1 - s;
    } else {
        double t = a.g / c.g, r = b.g / c.g;
        p = s * (2 * half * t * (t - r) - (b.z - a.z) * (r - 1));
        q = (t - 1) * (r - 1) * (s - 1);
    }
    if (p > 0) q = -q;
    p = fabs(p);
    bool good = fabs(*before) >= tol && fabs(a.g) > fabs(b.g) &&
                2 * p < fmin(3 * half * q - fabs(tol * q), fabs(*before * q));
    *before = good ? *last : half;
    *last = good ? p / q : half;
    return *last;
}

static void conclude(deq_scalar_result *r, point b, point c, deq_outcome outcome)
{
    r->z = b.z;
    r->value = b.g;
    r->low = fmin(b.z, c.z);
    r->high = fmax(b.z, c.z);
    r->outcome = outcome;
}

/* The end where |g| is smaller is b. */
static void order(point *a, point *b, point *c)
{
    if (fabs(c->g) >= fabs(b->g)) return;
    *a = *b;
    *b = *c;
    *c = *a;
}

static void search(deq_scalar_result *r, deq_scalar_fn *g, void *user, point b, point c, double tol,
                   int64_t max_eval, bool bisect)
{
    point a = c;
    double last = c.z - b.z, before = last;
    for (;;) {
        order(&a, &b, &c);
        double close = 2 * DBL_EPSILON * fabs(b.z) + 0.5 * tol, half = 0.5 * (c.z - b.z);
        if (b.g == 0 || fabs(half) <= close) {
            conclude(r, b, c, DEQ_CONVERGED);
            return;
        }
        if (r->n_eval >= max_eval) {
            conclude(r, b, c, DEQ_MAX_ITER);
            return;
        }
        double step = bisect ? half : interpolate(a, b, c, close, &last, &before);
        if (!bisect && fabs(step) < close) step = copysign(close, half);
        a = b;
        b.z += step;
        b.g = g(user, b.z);
        r->n_eval++;
        if (isnan(b.g)) {
            conclude(r, a, c, DEQ_NON_FINITE);
            return;
        }
        if ((b.g > 0) == (c.g > 0)) { /* the root lies between b and a */
            c = a;
            before = last = b.z - a.z;
        }
    }
}

deq_status deq_scalar_root(deq_scalar_result *result, deq_scalar_fn *g, void *user, double low,
                           double high, double tol, int64_t max_eval, bool bisect)
{
    *result = (deq_scalar_result){ .z = NAN, .value = NAN, .low = low, .high = high };
    if (!isfinite(low) || !isfinite(high) || !(low < high) || !(tol >= 0) || max_eval < 2)
        return DEQ_ERR_ARGUMENT;
    point a = { low, g(user, low) }, b = { high, g(user, high) };
    result->n_eval = 2;
    if (isnan(a.g) || isnan(b.g)) {
        result->outcome = DEQ_NON_FINITE;
        return DEQ_OK;
    }
    if (a.g == 0) b = a;
    if (b.g != 0 && (a.g > 0) == (b.g > 0)) return DEQ_ERR_ARGUMENT;
    search(result, g, user, b, a, tol, max_eval, bisect);
    return DEQ_OK;
}
