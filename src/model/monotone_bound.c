/* SPDX-License-Identifier: MIT */
/*
 * How large is the operator of a convolutional monotone equilibrium?
 *
 *     I - W = m I + A'A - (S - S'),    |I - W| <= m + |A|^2 + |S - S'|                            (1)
 *
 * A convolution on a finite image with zeros around it is a compression of the one on the infinite
 * grid, whose norm is the largest of its symbol w(t) = sum_r w[r] exp(i r t), a matrix for each
 * frequency t:
 *
 *     |A| <= max_t |a(t)|,    |S - S'| <= max_t |s(t) - s(t)*|                                    (2)
 *
 * The maximum is taken over a grid of N frequencies an axis, N = 8 d for kernels of extent 2 d + 1.
 * A real trigonometric polynomial of degree d whose largest modulus is p(t0) = 1 has
 * p(t) >= cos(d (t - t0)) as long as d |t - t0| <= pi (M. Riesz 1914), and the nearest point of the
 * grid is not farther than pi / N on each axis, hence
 *
 *     max_t |p(t)| <= max_grid |p(t)| / cos(pi d / N)^2                                           (3)
 *
 * As w is real, frequencies t and -t give the same norms: half of the grid is enough.  Norms of the
 * matrices are bounded as deq_spectral_bound() does, by |G^q|_F^(1/2q) of G = p p* with q = 8.
 */
#include "model/monotone.h"

#include <deq/op.h>
#include <math.h>

enum {
    DOUBLINGS = 3,
    TAPS_MAX = DEQ_MONOTONE_KERNEL_MAX * DEQ_MONOTONE_KERNEL_MAX,
    AXIS_MAX = 8 * (DEQ_MONOTONE_KERNEL_MAX / 2), /* frequencies of an axis */
};

/* A matrix for each frequency, [F, n, n] + i [F, n, n]. */
typedef struct symbol {
    deq_value re, im;
} symbol;

/* cos or sin (r t) for all frequencies t of half of the grid and all taps r: [F, taps] */
static deq_value waves(deq_graph *g, deq_dtype dtype, int k, bool sine)
{
    static const double turn = 6.283185307179586;
    int d = k / 2, N = d ? 8 * d : 1, F = 0;
    double wave[AXIS_MAX * (AXIS_MAX / 2 + 1) * TAPS_MAX];
    for (int a = 0; a < N; a++)
        for (int b = 0; b <= N / 2; b++, F++)
            for (int r = 0; r < k * k; r++) {
                const int row = r / k - d, column = r % k - d;
                double angle = turn / N * (a * row + b * column);
                wave[F * k * k + r] = sine ? sin(angle) : cos(angle);
            }
    return deq_cast(g, deq_constant(g, DEQ_F64, DEQ_SHAPE(F, k * k), wave), dtype);
}

static symbol symbol_of(deq_graph *g, deq_value w)
{
    deq_type t = deq_value_type(g, w);
    int64_t n = t.shape.dim[0];
    int k = (int)t.shape.dim[2];
    deq_value part[2], taps = deq_reshape(g, w, DEQ_SHAPE(n * n, k * k));
    for (int sine = 0; sine < 2; sine++) {
        deq_value wave = waves(g, t.dtype, k, sine);
        deq_type wt = deq_value_type(g, wave);
        part[sine] = deq_reshape(g, deq_matmul(g, wave, taps, false, true),
                                 DEQ_SHAPE(wt.shape.dim[0], n, n));
    }
    return (symbol){ part[0], part[1] };
}

/* p - p* */
static symbol skew(deq_graph *g, symbol p)
{
    return (symbol){ deq_sub(g, p.re, deq_transpose(g, p.re, 1, 2)),
                     deq_add(g, p.im, deq_transpose(g, p.im, 1, 2)) };
}

/* p p* as a real symmetric matrix [F, 2 n, 2 n] of the same norm */
static deq_value gram(deq_graph *g, symbol p)
{
    deq_value re = deq_add(g, deq_matmul(g, p.re, p.re, false, true),
                           deq_matmul(g, p.im, p.im, false, true));
    deq_value im = deq_sub(g, deq_matmul(g, p.im, p.re, false, true),
                           deq_matmul(g, p.re, p.im, false, true));
    deq_value top[2] = { re, deq_neg(g, im) }, bottom[2] = { im, re };
    deq_value rows[2] = { deq_concat(g, top, 2, 2), deq_concat(g, bottom, 2, 2) };
    return deq_concat(g, rows, 2, 1);
}

/* max over F of |G|_2 <= |G^q|_F^(1/q): with G scaled to norm 1 before each squaring,
 * log |G^2q| = 2 log |G^q| + log |(G^q / |G^q|)^2| */
static deq_value largest(deq_graph *g, deq_value G)
{
    const uint32_t matrix = 1u << 1 | 1u << 2;
    deq_value logarithm = DEQ_NONE;
    double q = 1;
    for (int i = 0; i <= DOUBLINGS; i++) {
        deq_value squares = deq_shift(g, deq_squared_norm(g, G, matrix, true), 1e-30);
        deq_value here = deq_scale(g, deq_log(g, squares), 0.5);
        logarithm = i ? deq_add(g, deq_scale(g, logarithm, 2), here) : here;
        if (i == DOUBLINGS) break;
        deq_value H = deq_mul(g, G, deq_rsqrt(g, squares));
        G = deq_matmul(g, H, H, false, true);
        q *= 2;
    }
    return deq_exp(g, deq_scale(g, deq_reduce_max(g, logarithm, DEQ_ALL_AXES, false), 1 / q));
}

deq_value deq_monotone_convolution_bound(deq_graph *g, deq_value A, deq_value S, deq_value m)
{
    int64_t k = deq_value_type(g, A).shape.dim[2];
    double edge = k > 1 ? cos(3.141592653589793 / 8) : 1, factor = 1 / (edge * edge);
    deq_value a2 = largest(g, gram(g, symbol_of(g, A)));
    deq_value s2 = largest(g, gram(g, skew(g, symbol_of(g, S))));
    deq_value bound = deq_add(g, deq_scale(g, a2, factor * factor), m);
    return deq_add(g, bound, deq_scale(g, deq_sqrt(g, s2), factor));
}
