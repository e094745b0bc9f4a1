/* SPDX-License-Identifier: MIT */
/*
 * Pivot probabilities of many sources at once, in the notation of fourier.c without tilt (a = 0).
 *
 * The indicator of an interval around 0 of half-width w < P/2 is psi(z - w/P) - psi(z + w/P) + 2 w/P, so
 * with phi_{-i,k} = E e(k (T_{-i} - x) / P)
 *
 *   D_i  within  2 Re sum_{k=1}^N (i / (2 pi k)) V(k/(N+1)) phi_{-i,k} (-2 i sin(2 pi k w_i / P)) + 2 w_i/P
 *        +-      (1 / (2 N + 2)) ( 2 + 4 Re sum_{k=1}^N (1 - k/(N+1)) phi_{-i,k} cos(2 pi k w_i / P) )   (1)
 *
 * A node matters only where some phi_{-i,k} does: where the product of all factors but the smallest is
 * not yet nothing.  Those nodes are found first, in parallel.  At each, the products without one factor
 * come from prefixes and suffixes: no division, since a factor may be zero.
 */
#include "vote/pivots.h"

#include "vote/fourier.h"

#include <float.h>
#include <math.h>

static const double pi = 3.14159265358979323846;
static const double beyond = 1e-15, nothing = 1e-13;
enum { FIRST_NODES = 4096, GROW_BY = 8 };
static const double max_nodes = 0x1p22;

typedef struct problem {
    deq_vote_terms terms;
    double period, x;
    int64_t n_nodes;
    double *prefix; /* [n + 1] complex */
    double *angle;  /* [n] cos, sin */
    double *band;   /* [n] sums of (1) */
    unsigned char *matters;
} problem;

/* Squares of the product of all factors but the smallest, and of the smallest, of a block of nodes. */
typedef struct strengths {
    double product[DEQ_VOTE_NODES], least[DEQ_VOTE_NODES];
} strengths;

static double strongest(const strengths *v)
{
    double most = 0;
    for (int k = 0; k < DEQ_VOTE_NODES; k++) most = fmax(most, v->product[k]);
    return most;
}

/* Which of the nodes first .. first + NODES - 1 have any phi_{-i,k} that is more than nothing. */
static void find_block(unsigned char *matters, const problem *p, int64_t first)
{
    strengths v;
    for (int k = 0; k < DEQ_VOTE_NODES; k++) v.product[k] = v.least[k] = 1;
    for (int64_t i = 0; i < p->terms.n; i++) {
        double c, s;
        deq_vote_turn(&c, &s, (double)first, p->terms.turns[i]);
        p->terms.kernels->weaken(v.product, v.least, &p->terms.steps[i], p->terms.bias[i], c, s);
        if (i % 8 == 7 && strongest(&v) < nothing * nothing) break;
    }
    for (int k = 0; k < DEQ_VOTE_NODES; k++) matters[k] = v.product[k] >= nothing * nothing;
}

/* One node's share of (1) for every source. */
static void add_node(double *pivots, problem *p, int64_t k)
{
    int64_t n = p->terms.n;
    double u = (double)k / (double)(p->n_nodes + 1), factor = deq_vote_vaaler(u) / (pi * (double)k);
    double re, im;
    deq_vote_turn(&re, &im, -(double)k, p->x / p->period);
    for (int64_t i = 0; i < n; i++) {
        double c, s;
        deq_vote_turn(&c, &s, (double)k, p->terms.turns[i]);
        p->prefix[2 * i] = re;
        p->prefix[2 * i + 1] = im;
        p->angle[2 * i] = c;
        p->angle[2 * i + 1] = s;
        double b = p->terms.bias[i] * s, turned = re * c - im * b;
        im = re * b + im * c;
        re = turned;
    }
    double suffix_re = 1, suffix_im = 0;
    for (int64_t i = n - 1; i >= 0; i--) {
        double c = p->angle[2 * i], s = p->angle[2 * i + 1], b = p->terms.bias[i] * s;
        double phi_re = p->prefix[2 * i] * suffix_re - p->prefix[2 * i + 1] * suffix_im;
        pivots[i] += 2 * factor * phi_re * s;
        p->band[i] += 2 * (1 - u) * phi_re * c;
        double turned = suffix_re * c - suffix_im * b;
        suffix_im = suffix_re * b + suffix_im * c;
        suffix_re = turned;
    }
}

static void find_nodes(problem *p, int64_t from, int threads)
{
#pragma omp parallel for schedule(dynamic, 16) num_threads(threads)
    for (int64_t k = from; k < p->n_nodes; k += DEQ_VOTE_NODES)
        find_block(p->matters + k, p, k + 1);
}

/* (1) for one N; returns the widest band. */
static double sum_nodes(double *pivots, problem *p, const deq_vote_sum *sum, double *used)
{
    int64_t n = p->terms.n;
    *used = 0;
    for (int64_t i = 0; i < n; i++) {
        pivots[i] = 2 * sum->w[i] / p->period;
        p->band[i] = 1;
    }
    for (int64_t k = 1; k <= p->n_nodes; k++) {
        if (!p->matters[k - 1]) continue;
        add_node(pivots, p, k);
        *used += 1;
    }
    double widest = 0;
    for (int64_t i = 0; i < n; i++) {
        widest = fmax(widest, p->band[i] / (double)(p->n_nodes + 1));
        pivots[i] = fmin(1, fmax(0, pivots[i]));
    }
    double rounding = 16 * DBL_EPSILON * (double)(n + 8) + 20 * nothing;
    return widest + rounding + 2 * beyond;
}

/* Elementary steps, about a nanosecond each: of a factor at a node that is used, and that is looked at. */
static const double use_work = 100, look_work = 4;
static const double factors_looked_at = 100;

static void solve(double *pivots, double *band, problem *p, const deq_vote_sum *sum,
                  const deq_vote_correctness_options *options, int threads)
{
    double used = 0, sources = (double)sum->n;
    int64_t done = 0;
    for (p->n_nodes = FIRST_NODES;; p->n_nodes *= GROW_BY) {
        double n = (double)p->n_nodes, before = used;
        find_nodes(p, done, threads);
        done = p->n_nodes;
        *band = sum_nodes(pivots, p, sum, &used);
        if (*band <= options->tol || n * GROW_BY > max_nodes) break;
        /* once the law is resolved, more nodes are nothing */
        double more = used > before ? GROW_BY * used : used;
        double next = more * sources * use_work +
                      GROW_BY * n * fmin(sources, factors_looked_at) * look_work;
        if (next > options->effort) break;
    }
}

deq_status deq_vote_fourier_pivots(double *pivots, double *band, deq_context *ctx,
                                   const deq_vote_sum *sum, double x,
                                   const deq_vote_correctness_options *options)
{
    deq_vote_tilt none = { .a = 0 };
    size_t n = (size_t)sum->n;
    none.mean = -x;
    for (size_t i = 0; i < n; i++) {
        none.mean += sum->w[i] * (sum->q[i] - sum->r[i]);
        none.variance += 4 * sum->w[i] * sum->w[i] * sum->q[i] * sum->r[i];
    }
    double w_max = n > 0 ? sum->w[0] : 0;
    problem p = { .x = x };
    p.period = 2.0001 * (deq_vote_tilt_reach(sum, x, &none, beyond) + 2 * w_max);
    double *memory = deq_alloc_array(ctx, 7 * n + 2, sizeof *memory);
    deq_vote_steps *steps = deq_alloc_array(ctx, n, sizeof *steps);
    p.matters = deq_alloc(ctx, (size_t)max_nodes);
    deq_status status = memory && steps && p.matters ? DEQ_OK : DEQ_ERR_NOMEM;
    if (status == DEQ_OK) {
        double *turns = memory, *bias = memory + n;
        p.band = memory + 2 * n;
        p.angle = memory + 3 * n;
        p.prefix = memory + 5 * n;
        for (size_t i = 0; i < n; i++) {
            turns[i] = sum->w[i] / p.period;
            bias[i] = sum->q[i] - sum->r[i];
        }
        deq_vote_steps_of(steps, turns, sum->n);
        p.terms = (deq_vote_terms){ sum->n, turns, bias, steps,
                                    deq_vote_kernels_for(deq_context_isa(ctx)) };
        solve(pivots, band, &p, sum, options, deq_context_threads(ctx));
    }
    deq_release(ctx, memory, (7 * n + 2) * sizeof *memory);
    deq_release(ctx, steps, n * sizeof *steps);
    deq_release(ctx, p.matters, (size_t)max_nodes);
    return status;
}
