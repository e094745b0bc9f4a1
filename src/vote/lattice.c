/* SPDX-License-Identifier: MIT */
/*
 * Weights on a lattice of step h:  w_i = h W_i + d_i,  W_i = round(w_i / h).  Then
 *
 *   T = T' + D,   T' = h sum_i W_i Z_i = h (2 K - M),   M = sum_i W_i,   D = sum_i d_i Z_i          (1)
 *
 * and the law of the integer K is a convolution of n two-point laws.  D is small but not independent
 * of T'.  Two facts hold whatever the dependence: |D - E'D| <= sum_i |d_i| (1 + |E'Z_i|), and, by
 * Hoeffding's inequality,
 *
 *   P'(|D - E'D| > rho) <= delta(rho) = 2 exp(-rho^2 / (2 sum_i d_i^2))                            (2)
 *
 * So with y = T' + E'D - x, the tail (3) of tail.h lies between
 *
 *   E'[ min of G over y +- rho ] - delta     and     E'[ max of G over y +- rho ] + delta           (3)
 *
 * for every rho; the best of several is taken.  That is certified, and of the order of h sqrt(n), not
 * h n.  The value inside takes D as normal with the part of it that is linear in T' added to y.  h is
 * divided by 8 until the interval is narrow enough or the effort is spent.  If all weights are
 * multiples of one step, D = 0 and the interval is rounding alone.
 */
#include "vote/lattice.h"

#include "vote/kernel.h"
#include "vote/special.h"

#include <float.h>
#include <math.h>
#include <string.h>

static const double max_cells = 0x1p25;
enum { DIVISORS = 64, REFINE_BY = 8, FIRST_STEP = 512 };

/* The lattice ---------------------------------------------------------------------------------- */

/* The largest step that all weights are multiples of, within the tolerance of ties; 0 if none. */
static double exact_step(const deq_vote_sum *sum)
{
    double least = sum->n > 0 ? sum->w[sum->n - 1] : 0;
    if (!(sum->total / least < max_cells)) return 0;
    for (int divisor = 1; divisor <= DIVISORS; divisor++) {
        double h = least / divisor, off = 0;
        for (int64_t i = 0; i < sum->n && off <= sum->tie; i++)
            off += fabs(sum->w[i] - h * floor(sum->w[i] / h + 0.5));
        if (off <= sum->tie) return h;
    }
    return 0;
}

double deq_vote_lattice_exact_cells(const deq_vote_sum *sum)
{
    double h = exact_step(sum);
    double cells = h > 0 ? sum->total / h + 1 : INFINITY;
    return cells <= max_cells ? cells : INFINITY;
}

typedef struct lattice {
    double h;
    bool exact;
    int64_t *steps;            /* W_i */
    double *q;                 /* tilted */
    int64_t total;             /* M */
    double mean_d, variance_d; /* of D under P' */
    double mean, variance;     /* of T' */
    double slope;              /* cov(D, T') / var(T') */
    double sum_d, sum_d2;      /* sum |d_i| (1 + |E'Z_i|), sum d_i^2 */
} lattice;

static void place(lattice *l, const deq_vote_sum *sum, double h, bool exact)
{
    double covariance = 0;
    *l = (lattice){ .h = h, .exact = exact, .steps = l->steps, .q = l->q };
    for (int64_t i = 0; i < sum->n; i++) {
        double multiple = floor(sum->w[i] / h + 0.5), d = sum->w[i] - h * multiple;
        double z = 2 * l->q[i] - 1, v = 4 * l->q[i] * (1 - l->q[i]), w = h * multiple;
        l->steps[i] = (int64_t)multiple;
        l->total += l->steps[i];
        l->mean_d += d * z;
        l->variance_d += d * d * v;
        l->mean += w * z;
        l->variance += w * w * v;
        covariance += d * w * v;
        l->sum_d += fabs(d) * (1 + fabs(z));
        l->sum_d2 += d * d;
    }
    l->slope = l->variance > 0 ? covariance / l->variance : 0;
}

/* Convolution one by one ----------------------------------------------------------------------- */

static deq_status reserve(deq_context *ctx, double **buffer, size_t *capacity, size_t need)
{
    void *memory = *buffer;
    deq_status status = deq_grow(ctx, &memory, capacity, need, sizeof(double));
    *buffer = memory;
    return status;
}

/* Drop both ends of law while no more than `cut` is lost at each. */
static void trim(deq_vote_law *law, size_t *start, double cut)
{
    double lost = 0;
    size_t first = *start, end = *start + law->length;
    while (end - first > 1 && lost + law->values[first] <= cut) lost += law->values[first++];
    law->lost += lost;
    lost = 0;
    while (end - first > 1 && lost + law->values[end - 1] <= cut) lost += law->values[--end];
    law->lost += lost;
    law->first += (int64_t)(first - *start);
    *start = first;
    law->length = end - first;
}

/* The law of K, small steps first, so that the array stays short; two buffers in turns. */
static deq_status convolve(deq_vote_law *law, deq_context *ctx, const lattice *l, int64_t n,
                           double cut)
{
    const deq_vote_kernels *kernels = deq_vote_kernels_for(deq_context_isa(ctx));
    double *other = NULL;
    size_t other_capacity = 0, start = 0;
    deq_status status = reserve(ctx, &law->values, &law->capacity, 1);
    if (status == DEQ_OK) {
        law->values[0] = 1;
        law->length = 1;
    }
    for (int64_t i = n - 1; i >= 0 && status == DEQ_OK; i--) {
        size_t step = (size_t)l->steps[i], length = law->length + step;
        if (step == 0) continue;
        status = reserve(ctx, &other, &other_capacity, length);
        if (status != DEQ_OK) break;
        const double *f = law->values + start;
        kernels->convolve(other, f, law->length, step, l->q[i]);
        double *swap = law->values;
        size_t swap_capacity = law->capacity;
        law->values = other;
        law->capacity = other_capacity;
        other = swap;
        other_capacity = swap_capacity;
        law->length = length;
        start = 0;
        trim(law, &start, cut / (2 * (double)n));
    }
    if (status == DEQ_OK && start > 0)
        memmove(law->values, law->values + start, law->length * sizeof(double));
    deq_release(ctx, other, other_capacity * sizeof(double));
    return status;
}

void deq_vote_law_free(deq_vote_law *law, deq_context *ctx)
{
    deq_release(ctx, law->values, law->capacity * sizeof(double));
    *law = (deq_vote_law){ .values = NULL };
}

/* From the law to the tail --------------------------------------------------------------------- */

/* E[G(y + N)], N normal of deviation s:  e^{a y + a^2 s^2 / 2} Phi(-(y + a s^2) / s). */
static double smoothed(double y, double a, double s)
{
    if (s == 0 || fabs(y) > 40 * s + a * s * s) return y < 0 ? exp(a * y) : y > 0 ? 0 : 0.5;
    double shifted = (y + a * s * s) / s;
    return exp(a * y + 0.5 * a * a * s * s + deq_vote_normal_log_cdf(-shifted));
}

static double value_of(const deq_vote_law *law, const lattice *l, double x, double a)
{
    double rest = l->variance_d - l->slope * l->slope * l->variance;
    double deviation = rest > 0 ? sqrt(rest) : 0;
    deq_vote_total sum = { 0, 0 };
    for (size_t k = 0; k < law->length; k++) {
        double t = l->h * (double)(2 * (law->first + (int64_t)k) - l->total);
        double y = t + l->mean_d - x + l->slope * (t - l->mean);
        deq_vote_total_add(&sum, law->values[k] * smoothed(y, a, deviation));
    }
    return deq_vote_total_value(sum);
}

/* On an exact lattice T = T' up to `tie`. */
static double exact_value_of(const deq_vote_law *law, const lattice *l, double x, double a,
                             double tie)
{
    deq_vote_total sum = { 0, 0 };
    for (size_t k = 0; k < law->length; k++) {
        double y = l->h * (double)(2 * (law->first + (int64_t)k) - l->total) - x;
        double g = y < -tie ? exp(a * y) : y <= tie ? 0.5 : 0;
        deq_vote_total_add(&sum, law->values[k] * g);
    }
    return deq_vote_total_value(sum);
}

/* (3) for several rho at once.  Of the law with y < -rho and with y <= rho, and e^{a y} over the former. */
typedef struct enclosure {
    double rho, delta;
    double scaled, below, within;
} enclosure;

enum { MOST_ENCLOSURES = 17 };

/* All sums in one walk; rho rises from first to last. */
static void sum_enclosures(enclosure *e, int n, const deq_vote_law *law, const lattice *l, double x,
                           double a)
{
    deq_vote_total scaled = { 0, 0 }, all = { 0, 0 };
    int lower = n - 1,
        upper = 0; /* the next borders to meet: -rho of `lower`, then rho of `upper` */

    for (size_t k = 0; k < law->length && upper < n; k++) {
        const double y = l->h * (double)(2 * (law->first + (int64_t)k) - l->total) + l->mean_d - x;
        for (; lower >= 0 && y + e[lower].rho >= 0; lower--) {
            e[lower].scaled = deq_vote_total_value(scaled);
            e[lower].below = deq_vote_total_value(all);
        }
        for (; upper < n && y - e[upper].rho > 0; upper++)
            e[upper].within = deq_vote_total_value(all);
        if (lower >= 0) deq_vote_total_add(&scaled, law->values[k] * exp(a * y));
        deq_vote_total_add(&all, law->values[k]);
    }
    for (; lower >= 0; lower--) {
        e[lower].scaled = deq_vote_total_value(scaled);
        e[lower].below = deq_vote_total_value(all);
    }
    for (; upper < n; upper++) e[upper].within = deq_vote_total_value(all);
}

static void interval_of(double *low, double *high, const deq_vote_law *law, const lattice *l,
                        double x, double a, double tie)
{
    enclosure e[MOST_ENCLOSURES];
    int n = 0;

    for (int digits = 2; digits < 18; digits++) {
        const double delta = pow(10, -digits), rho = sqrt(-2 * log(delta / 2) * l->sum_d2);
        if (rho < l->sum_d) e[n++] = (enclosure){ .rho = rho + tie, .delta = delta };
    }
    e[n++] = (enclosure){ .rho = l->sum_d + tie };
    sum_enclosures(e, n, law, l, x, a);
    *low = 0;
    *high = 1;
    for (int i = 0; i < n; i++) {
        const double grown = exp(a * e[i].rho),
                     most = grown * e[i].scaled + e[i].within - e[i].below;
        *low = fmax(*low, e[i].scaled / grown - e[i].delta);
        *high = fmin(*high, most + e[i].delta);
    }
}

/* ---------------------------------------------------------------------------------------------- */

typedef struct scaled {
    double value, low, high;
} scaled;

/* One lattice, by either way of convolving. */
static deq_status try_step(scaled *out, double *cells, deq_context *ctx, lattice *l,
                           const deq_vote_sum *sum, double x, const deq_vote_tilt *tilt, double cut,
                           bool fft)
{
    deq_vote_law law = { .values = NULL };
    deq_status status = fft ? deq_vote_fft_law(&law, ctx, sum->n, l->steps, l->q, cut)
                            : convolve(&law, ctx, l, sum->n, cut);
    if (status == DEQ_OK) {
        if (l->exact) {
            out->value = exact_value_of(&law, l, x, tilt->a, 2 * sum->tie);
            out->low = out->high = out->value;
        } else {
            interval_of(&out->low, &out->high, &law, l, x, tilt->a, sum->tie);
            out->value = value_of(&law, l, x, tilt->a);
        }
        double rounding = DBL_EPSILON * (4 * (double)sum->n + 8 + fabs(tilt->log_scale));
        /* q and 1 - q are rounded, and so are sums of the law */
        double astray = law.lost + DBL_EPSILON * ((double)sum->n + 8);
        out->low = (out->low - astray) * (1 - rounding);
        out->high = (out->high + astray) * (1 + rounding);
        *cells = (double)law.length;
    }
    deq_vote_law_free(&law, ctx);
    return status;
}

/* The finest step that the effort and the memory allow. */
static double finest_step(const deq_vote_sum *sum, const deq_vote_tilt *tilt, double effort,
                          bool fft)
{
    double range = fmin(2 * sum->total, 20 * sqrt(tilt->variance)) + sum->w[0];
    double n = (double)sum->n, levels = log2(n + 1);
    double work = fft ? sum->total * 150 * levels : n * range; /* times 1 / h */
    return fmax(work / effort, (fft ? sum->total : range) / max_cells);
}

static deq_status solve(deq_vote_tail *out, deq_context *ctx, const deq_vote_sum *sum, double x,
                        const deq_vote_correctness_options *options, lattice *l, bool fft)
{
    deq_vote_tilt tilt = deq_vote_tilt_of(sum, x);
    for (int64_t i = 0; i < sum->n; i++)
        l->q[i] = deq_vote_tilted(sum->w[i], sum->q[i], sum->r[i], tilt.a);
    double exact = exact_step(sum), finest = finest_step(sum, &tilt, options->effort, fft);
    double h = exact > 0 ? exact : fmax(finest, fmin(finest * FIRST_STEP, sum->w[0]));
    double cut = fmin(1e-12, 1e-4 * options->tol / (1 + tilt.a * sqrt(tilt.variance)));
    scaled s = { 0, 0, 1 };
    for (bool narrow = false; !narrow;) {
        double cells;
        place(l, sum, h, exact > 0);
        DEQ_TRY(try_step(&s, &cells, ctx, l, sum, x, &tilt, cut, fft));
        out->work += cells * (fft ? log2(cells + 1) : (double)sum->n);
        out->step = h;
        narrow = exact > 0 || h <= finest || s.high - s.low <= options->tol * s.value;
        h = fmax(h / REFINE_BY, finest);
    }
    deq_vote_tail_scale(out, tilt.log_scale, s.value, s.low, s.high);
    out->bound = DEQ_VOTE_BOUND_CERTIFIED;
    return DEQ_OK;
}

static deq_status by_lattice(deq_vote_tail *out, deq_context *ctx, const deq_vote_sum *sum,
                             double x, const deq_vote_correctness_options *options, bool fft)
{
    size_t n = (size_t)sum->n;
    lattice l = { .steps = deq_alloc_array(ctx, n, sizeof(int64_t)),
                  .q = deq_alloc_array(ctx, n, sizeof(double)) };
    deq_status status = l.steps && l.q ? solve(out, ctx, sum, x, options, &l, fft) : DEQ_ERR_NOMEM;
    deq_release(ctx, l.steps, n * sizeof(int64_t));
    deq_release(ctx, l.q, n * sizeof(double));
    return status;
}

deq_status deq_vote_tail_lattice(deq_vote_tail *out, deq_context *ctx, const deq_vote_sum *sum,
                                 double x, const deq_vote_correctness_options *options)
{
    return by_lattice(out, ctx, sum, x, options, false);
}

deq_status deq_vote_tail_fft(deq_vote_tail *out, deq_context *ctx, const deq_vote_sum *sum,
                             double x, const deq_vote_correctness_options *options)
{
    return by_lattice(out, ctx, sum, x, options, true);
}
