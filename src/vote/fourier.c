/* SPDX-License-Identifier: MIT */
/*
 * The tail from the characteristic function, with a certified interval and no lattice.
 *
 * Let psi(z) = z - floor(z) - 1/2, and 0 at integers: it falls by 1 at integers and rises with slope 1
 * between.  Vaaler ("Some extremal functions in Fourier analysis", Bull. AMS 12, 1985, Theorem 18) gives
 * trigonometric polynomials of degree N, e(z) = e^{2 pi i z},
 *
 *   psi*(z) = sum over 1 <= |k| <= N of (i / (2 pi k)) V(k / (N+1)) e(k z),
 *   V(u)    = pi u (1 - |u|) cot(pi u) + |u|                                                      (1)
 *   |psi*(z) - psi(z)| <= F(z) / (2 N + 2),   F(z) = sum over |k| <= N of (1 - |k|/(N+1)) e(k z)     (2)
 *
 * and F, Fejer's kernel, has an expectation that is as easily computed.  An interval's indicator is
 * psi(z) - psi(z - tau) + |tau| for tau < z < 0.  G of tail.h (3) is a mixture of those,
 *
 *   e^{a y} [y < 0] = int over t < 0 of a e^{a t} [t < y < 0] dt                                  (3)
 *
 * cut at t = -P/2, where its rest is an atom.  With z = (T - x) / P, phi_k = E' e(k z) and
 * mu_k = E e(-k t / P) under that mixture, E'[G] is within
 *
 *   2 Re sum_{k=1}^N (i / (2 pi k)) V(k/(N+1)) phi_k (1 - mu_k) + E|t| / P                         (4)
 *   +- (1 / (2 N + 2)) Re( 2 + 2 sum_{k=1}^N (1 - k/(N+1)) phi_k (1 + mu_k) )                     (5)
 *
 * up to P'(|T - x| > P/2), which Chernoff's bound makes negligible.  (5) is about the density at x
 * times P / N.  phi_k is a product over sources that is cut short once it is nothing: for many sources
 * the cost of a node does not depend on their number.
 */
#include "vote/fourier.h"

#include "vote/special.h"
#include "vote/tail.h"

#include <float.h>
#include <math.h>

static const double two_pi = 6.28318530717958647693;
static const double beyond = 1e-17;  /* probability outside the period */
static const double nothing = 1e-40; /* of |phi|^2 */
enum { FIRST_NODES = 4096, GROW_BY = 8, CHUNK_BLOCKS = 8, CHECK_EVERY = 8, NODE_WORK = 40 };
static const double max_nodes = 0x1p27;

void deq_vote_turn(double *cosine, double *sine, double k, double t)
{
    double turns = k * t, rest = fma(k, t, -turns);
    double angle = two_pi * ((turns - floor(turns)) + rest);
    *cosine = cos(angle);
    *sine = sin(angle);
}

double deq_vote_vaaler(double u)
{
    double angle = 0.5 * two_pi * u;
    return angle * (1 - u) * cos(angle) / sin(angle) + u;
}

void deq_vote_steps_of(deq_vote_steps *steps, const double *turns, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        for (int l = 0; l < DEQ_VOTE_LANES; l++)
            deq_vote_turn(&steps[i].c[l], &steps[i].s[l], l, turns[i]);
        deq_vote_turn(&steps[i].step_c, &steps[i].step_s, DEQ_VOTE_LANES, turns[i]);
    }
}

int64_t deq_vote_fourier_block(deq_vote_nodes *nodes, const deq_vote_terms *terms, int64_t start,
                               int64_t first)
{
    for (int k = 0; k < DEQ_VOTE_NODES; k++) {
        nodes->re[k] = 1;
        nodes->im[k] = 0;
    }
    for (int64_t i = start; i < terms->n; i++) {
        double c, s;
        deq_vote_turn(&c, &s, (double)first, terms->turns[i]);
        terms->kernels->turn(nodes->re, nodes->im, &terms->steps[i], terms->bias[i], c, s);
        if ((i - start) % CHECK_EVERY != CHECK_EVERY - 1) continue;
        if (terms->kernels->largest(nodes->re, nodes->im) >= nothing) continue;
        for (int k = 0; k < DEQ_VOTE_NODES; k++) nodes->re[k] = nodes->im[k] = 0;
        return i + 1 - start;
    }
    return terms->n - start;
}

/* The tail ------------------------------------------------------------------------------------- */

typedef struct problem {
    deq_vote_terms terms;
    double period, x, a; /* a: of G */
    int64_t n_nodes;     /* N */
} problem;

/* Sums over a chunk of nodes: (4), (5), sum of |terms| for rounding, factors multiplied. */
typedef struct partial {
    double value, band, size, work;
} partial;

/* mu_k = int_{-P/2}^0 a e^{(a - i b) t} dt + e^{-a P/2} e^{i b P/2},  b = 2 pi k / P. */
static void mixture(double *re, double *im, const problem *p, double k)
{
    double b = two_pi * k / p->period, left = exp(-0.5 * p->a * p->period);
    double sign = fmod(k, 2) == 0 ? 1 : -1;                          /* e^{i b P/2} */
    double scale = p->a * (1 - left * sign) / (p->a * p->a + b * b); /* times (a + i b) */
    *re = scale * p->a + left * sign;
    *im = scale * b;
}

static void add_node(partial *sum, const problem *p, double k, double re, double im)
{
    double c, s, mu_re, mu_im, u = k / (double)(p->n_nodes + 1);
    deq_vote_turn(&c, &s, -k, p->x / p->period);
    double phi_re = re * c - im * s, phi_im = re * s + im * c;
    mixture(&mu_re, &mu_im, p, k);
    double product_re = phi_re * mu_re - phi_im * mu_im,
           product_im = phi_re * mu_im + phi_im * mu_re;
    double factor = deq_vote_vaaler(u) / (0.5 * two_pi * k);
    sum->value -= factor * (phi_im - product_im); /* 2 Re(i / (2 pi k) V phi (1 - mu)) */
    sum->band += (1 - u) * (phi_re + product_re);
    sum->size += factor * (fabs(phi_re) + fabs(phi_im));
}

static partial add_chunk(const problem *p, int64_t chunk)
{
    partial sum = { 0, 0, 0, 0 };
    for (int64_t b = 0; b < CHUNK_BLOCKS; b++) {
        int64_t first = (chunk * CHUNK_BLOCKS + b) * DEQ_VOTE_NODES + 1;
        deq_vote_nodes nodes;
        int64_t used = deq_vote_fourier_block(&nodes, &p->terms, 0, first);
        sum.work += (double)(used + NODE_WORK) * DEQ_VOTE_NODES;
        for (int k = 0; k < DEQ_VOTE_NODES; k++)
            if (nodes.re[k] != 0 || nodes.im[k] != 0)
                add_node(&sum, p, (double)(first + k), nodes.re[k], nodes.im[k]);
    }
    return sum;
}

static deq_status sum_nodes(partial *sum, deq_context *ctx, const problem *p)
{
    int64_t chunks = p->n_nodes / (CHUNK_BLOCKS * DEQ_VOTE_NODES);
    partial *parts = deq_alloc_array(ctx, (size_t)chunks, sizeof *parts);
    if (!parts) return DEQ_ERR_NOMEM;
#pragma omp parallel for schedule(dynamic, 1) num_threads(deq_context_threads(ctx))
    for (int64_t i = 0; i < chunks; i++) parts[i] = add_chunk(p, i);
    *sum = (partial){ 0, 0, 0, 0 };
    deq_vote_total value = { 0, 0 }, band = { 0, 0 };
    for (int64_t i = 0; i < chunks; i++) {
        deq_vote_total_add(&value, parts[i].value);
        deq_vote_total_add(&band, parts[i].band);
        sum->size += parts[i].size;
        sum->work += parts[i].work;
    }
    sum->value = deq_vote_total_value(value);
    sum->band = deq_vote_total_value(band);
    deq_release(ctx, parts, (size_t)chunks * sizeof *parts);
    return DEQ_OK;
}

static deq_status solve(deq_vote_tail *out, deq_context *ctx, const deq_vote_sum *sum, problem *p,
                        const deq_vote_tilt *tilt, const deq_vote_correctness_options *options)
{
    double half = 0.5 * p->period;
    double mean_t = (p->a > 0 ? -expm1(-p->a * half) / p->a : half) / p->period;
    for (p->n_nodes = FIRST_NODES;; p->n_nodes *= GROW_BY) {
        partial s;
        double n = (double)p->n_nodes;
        DEQ_TRY(sum_nodes(&s, ctx, p));
        double value = s.value + mean_t;
        double band = (2 + 2 * s.band) / (2 * n + 2);
        double rounding = 8 * DBL_EPSILON * ((double)sum->n + DEQ_VOTE_NODES) * (1 + s.size);
        band = fmax(band, 0) + rounding + 2 * beyond;
        double relative = DBL_EPSILON * (4 + fabs(tilt->log_scale));
        deq_vote_tail_scale(out, tilt->log_scale, fmin(1, fmax(value, 0)),
                            (value - band) * (1 - relative), (value + band) * (1 + relative));
        out->work += s.work;
        if (2 * band <= options->tol * value) break;
        if (GROW_BY * s.work > options->effort || n * GROW_BY > max_nodes) break;
    }
    out->bound = DEQ_VOTE_BOUND_CERTIFIED;
    return DEQ_OK;
}

deq_status deq_vote_tail_fourier(deq_vote_tail *out, deq_context *ctx, const deq_vote_sum *sum,
                                 double x, const deq_vote_correctness_options *options)
{
    deq_vote_tilt tilt = deq_vote_tilt_of(sum, x);
    problem p = { .x = x, .a = tilt.a };
    p.period = 2.0001 * deq_vote_tilt_reach(sum, x, &tilt, beyond);
    size_t n = (size_t)sum->n;
    double *turns = deq_alloc_array(ctx, n, sizeof *turns);
    double *bias = deq_alloc_array(ctx, n, sizeof *bias);
    deq_vote_steps *steps = deq_alloc_array(ctx, n, sizeof *steps);
    deq_status status = turns && bias && steps ? DEQ_OK : DEQ_ERR_NOMEM;
    if (status == DEQ_OK) {
        for (size_t i = 0; i < n; i++) {
            double w = sum->w[i], q = sum->q[i], r = sum->r[i];
            turns[i] = w / p.period;
            bias[i] = deq_vote_tilted(w, q, r, tilt.a) - deq_vote_tilted(w, r, q, -tilt.a);
        }
        deq_vote_steps_of(steps, turns, sum->n);
        p.terms = (deq_vote_terms){ sum->n, turns, bias, steps,
                                    deq_vote_kernels_for(deq_context_isa(ctx)) };
        status = solve(out, ctx, sum, &p, &tilt, options);
    }
    deq_release(ctx, turns, n * sizeof *turns);
    deq_release(ctx, bias, n * sizeof *bias);
    deq_release(ctx, steps, n * sizeof *steps);
    return status;
}
