/* SPDX-License-Identifier: MIT */
/*
 * Bilinear sampling of images at points, to any order of derivatives.
 *
 * For a point (u, v) let j = floor(u), i = floor(v), s = u - j, t = v - i, and
 *
 *   w^0(s) = (1 - s, s),   w^1(s) = (-1, 1),   w^k(s) = 0 for k > 1
 *
 * the weights of the two neighbours along one axis and their derivatives.  The family is
 *
 *   sample   S_kl(x, c)_p = sum_{a, e in {0,1}} w^k_a(s_p) w^l_e(t_p) x[i_p + e, j_p + a]       (1)
 *   splat    T_kl(y, c)   = sum_p y_p (the weights of (1), placed at the four pixels of p)      (2)
 *
 * with zeros outside the image.  Both are linear in their first input, T_kl(., c) is the adjoint of
 * S_kl(., c), and moving the points raises an order:  dS_kl/du = S_{k+1,l},  dS_kl/dv = S_{k,l+1},
 * and the same for T.  With cotangents D of (1) and (2), sums over channels:
 *
 *   of (1)   dx = T_kl(D, c),   dc = ( sum D S_{k+1,l}(x, c),  sum D S_{k,l+1}(x, c) )          (3)
 *   of (2)   dy = S_kl(D, c),   dc = ( sum y S_{k+1,l}(D, c),  sum y S_{k,l+1}(D, c) )          (4)
 */
#include "op/op.h"
#include "op/real.h"

#include <deq/op.h>
#include <deq/op/resample.h>
#include <math.h>
#include <omp.h>
#include <string.h>

typedef struct sample_attr {
    int64_t height, width; /* of the image */
    int32_t k, l;          /* order of the derivative along u and v, each 0 or 1 */
    int64_t splat;         /* 0: (1), 1: (2) */
} sample_attr;

/* --- shape: inputs are the image (1) or the points' values (2), and the coordinates ------------- */

static bool infer(deq_shape_rule *r)
{
    const sample_attr *a = r->attr;
    const deq_shape *x = &r->in[0].shape, *c = &r->in[1].shape;
    if (!deq_rule_float(r, 0) || !deq_rule_float(r, 1) || !deq_rule_same_dtype(r, 0, 1) ||
        !deq_rule_rank(r, 0, 4) || !deq_rule_rank(r, 1, 4))
        return false;
    if (c->dim[1] != 2)
        return deq_rule_fail(r, DEQ_ERR_SHAPE, "coords has %lld channels, expected 2",
                             (long long)c->dim[1]);
    if (x->dim[0] != c->dim[0])
        return deq_rule_fail(r, DEQ_ERR_SHAPE, "x has batch extent %lld, coords %lld",
                             (long long)x->dim[0], (long long)c->dim[0]);
    r->out[0] = r->in[0];
    r->out[0].shape.dim[2] = a->splat ? a->height : c->dim[2];
    r->out[0].shape.dim[3] = a->splat ? a->width : c->dim[3];
    return true;
}

/* --- one point --------------------------------------------------------------------------------- */

/* The two neighbours of a coordinate along one axis. */
typedef struct pair {
    int64_t first;   /* floor(u); the other one is first + 1 */
    double w[2];     /* weights of the order asked for; zero for a neighbour outside */
    bool in[2], nan; /* whether each is inside */
} pair;

static pair pair_of(double u, int32_t order, int64_t extent)
{
    pair p = { 0 };
    p.nan = isnan(u);
    if (!(u >= -1 && u < (double)extent)) return p;
    double floor_u = floor(u), s = u - floor_u;
    p.first = (int64_t)floor_u;
    for (int a = 0; a < 2; a++) p.in[a] = p.first + a >= 0 && p.first + a < extent;
    p.w[0] = p.in[0] ? (order == 0 ? 1 - s : -1) : 0;
    p.w[1] = p.in[1] ? (order == 0 ? s : 1) : 0;
    return p;
}

/* Both axes at point p of batch element b. */
typedef struct corner {
    pair u, v;
} corner;

static corner corner_of(const deq_kernel_call *c, int64_t b, int64_t p, int64_t points)
{
    const sample_attr *a = c->attr;
    deq_dtype t = c->in_type[1].dtype;
    double u = deq_load(c->in[1], t, 2 * b * points + p);
    double v = deq_load(c->in[1], t, (2 * b + 1) * points + p);
    return (corner){ pair_of(u, a->k, a->width), pair_of(v, a->l, a->height) };
}

/* (1) at one point of one plane.  Pixels outside are not read; weights do not multiply them. */
static double sample_point(const deq_kernel_call *c, const corner *q, int64_t plane)
{
    const sample_attr *a = c->attr;
    double sum = 0;
    if (q->u.nan || q->v.nan) return NAN;
    for (int e = 0; e < 2; e++)
        for (int d = 0; d < 2; d++)
            if (q->v.in[e] && q->u.in[d]) {
                int64_t at = (q->v.first + e) * a->width + q->u.first + d;
                sum += q->v.w[e] * q->u.w[d] *
                       deq_load(c->in[0], c->in_type[0].dtype, plane * a->height * a->width + at);
            }
    return sum;
}

/* (2) at one point.  A point without a place (NaN) adds nothing: the forward result said NaN. */
static void splat_point(double *image, const sample_attr *a, const corner *q, double y)
{
    for (int e = 0; e < 2; e++)
        for (int d = 0; d < 2; d++)
            if (q->v.in[e] && q->u.in[d])
                image[(q->v.first + e) * a->width + q->u.first + d] += q->v.w[e] * q->u.w[d] * y;
}

/* --- kernels ----------------------------------------------------------------------------------- */

typedef struct extents {
    int64_t batch, channels, points, pixels;
} extents;

static extents extents_of(const deq_kernel_call *c)
{
    const sample_attr *a = c->attr;
    const deq_shape *x = &c->in_type[0].shape, *coords = &c->in_type[1].shape;
    return (extents){ x->dim[0], x->dim[1], coords->dim[2] * coords->dim[3], a->height * a->width };
}

/* The corners of a point serve all channels. */
static void sample_all(const deq_kernel_call *c, const extents *n)
{
    int64_t all = n->batch * n->points;
    deq_dtype t = c->out_type[0].dtype;
#pragma omp parallel for num_threads(c->threads) schedule(static) if (all * n->channels > 16384)
    for (int64_t i = 0; i < all; i++) {
        int64_t b = i / n->points, p = i % n->points;
        corner q = corner_of(c, b, p, n->points);
        for (int64_t k = b * n->channels; k < (b + 1) * n->channels; k++)
            deq_store(c->out[0], t, k * n->points + p, sample_point(c, &q, k));
    }
}

/* One plane: summed in double in the order of the points, then stored. */
static void splat_plane(const deq_kernel_call *c, const extents *n, int64_t plane, double *image)
{
    deq_dtype t = c->out_type[0].dtype;
    memset(image, 0, (size_t)n->pixels * sizeof *image);
    for (int64_t p = 0; p < n->points; p++) {
        corner q = corner_of(c, plane / n->channels, p, n->points);
        splat_point(image, c->attr, &q, deq_load(c->in[0], t, plane * n->points + p));
    }
    for (int64_t i = 0; i < n->pixels; i++)
        deq_store(c->out[0], t, plane * n->pixels + i, image[i]);
}

static void splat_all(const deq_kernel_call *c, const extents *n)
{
    int64_t planes = n->batch * n->channels;
#pragma omp parallel for num_threads(c->threads) schedule(static) if (planes * n->points > 16384)
    for (int64_t k = 0; k < planes; k++)
        splat_plane(c, n, k, (double *)c->scratch + omp_get_thread_num() * n->pixels);
}

/* One plane of doubles a thread. */
static size_t scratch(const deq_kernel_call *c)
{
    const sample_attr *a = c->attr;
    return a->splat ? (size_t)c->threads * (size_t)extents_of(c).pixels * sizeof(double) : 0;
}

static deq_status kernel(const deq_kernel_call *c)
{
    const sample_attr *a = c->attr;
    extents n = extents_of(c);
    (a->splat ? splat_all : sample_all)(c, &n);
    return DEQ_OK;
}

static double flops(const deq_kernel_call *c)
{
    extents n = extents_of(c);
    return 8.0 * (double)n.batch * (double)n.channels * (double)n.points;
}

/* --- derivatives ------------------------------------------------------------------------------- */

static void vjp(const deq_frame *n, const deq_value *dy, deq_value *dx);
static void jvp(const deq_frame *n, const deq_value *dx, deq_value *dy);

static const deq_op sample_op = { .name = "sample_bilinear",
                                  .n_out = 1,
                                  .attr_bytes = sizeof(sample_attr),
                                  .linear = 1u << 0,
                                  .infer = infer,
                                  .vjp = vjp,
                                  .jvp = jvp,
                                  .kernel = kernel,
                                  .scratch = scratch,
                                  .flops = flops };

/* The member of the family with orders raised by dk and dl, on the coordinates of node n. */
static deq_value member(const deq_frame *n, bool splat, int dk, int dl, deq_value first)
{
    sample_attr a = *(const sample_attr *)n->attr;
    a.k += dk;
    a.l += dl;
    a.splat = splat;
    deq_value in[2] = { first, n->in[1] };
    return deq_emit1(n->g, &sample_op, &a, sizeof a, in, 2);
}

/* One channel of dc in (3) and (4): the sum over channels of  at * S(image, c);  zero once the
 * order along that axis is above one. */
static deq_value coordinate_cotangent(const deq_frame *n, int dk, int dl, deq_value at,
                                      deq_value image)
{
    const sample_attr *a = n->attr;
    if (a->k + dk > 1 || a->l + dl > 1) {
        deq_type t = deq_value_type(n->g, n->in[1]);
        t.shape.dim[1] = 1;
        return deq_fill(n->g, t.dtype, t.shape, 0.0);
    }
    return deq_sum(n->g, deq_mul(n->g, at, member(n, false, dk, dl, image)), DEQ_AXIS(1), true);
}

static void vjp(const deq_frame *n, const deq_value *dy, deq_value *dx)
{
    const sample_attr *a = n->attr;
    if (n->need[0]) dx[0] = member(n, !a->splat, 0, 0, dy[0]);
    if (!n->need[1] || (a->k && a->l)) return;
    deq_value at = a->splat ? n->in[0] : dy[0], image = a->splat ? dy[0] : n->in[0];
    deq_value dc[2] = { coordinate_cotangent(n, 1, 0, at, image),
                        coordinate_cotangent(n, 0, 1, at, image) };
    dx[1] = deq_concat(n->g, dc, 2, 1);
}

/* The change of the result when the points move by one channel of dc: of (1) that of the samples
 * times the step, of (2) a splat of the values times the step. */
static deq_value coordinate_tangent(const deq_frame *n, int dk, int dl, deq_value dc)
{
    const sample_attr *a = n->attr;
    if (a->k + dk > 1 || a->l + dl > 1) return DEQ_NONE;
    deq_value step = deq_slice(n->g, dc, 1, dk ? 0 : 1, 1);
    if (a->splat) return member(n, true, dk, dl, deq_mul(n->g, n->in[0], step));
    return deq_mul(n->g, member(n, false, dk, dl, n->in[0]), step);
}

static void jvp(const deq_frame *n, const deq_value *dx, deq_value *dy)
{
    const sample_attr *a = n->attr;
    if (dx[0].id) dy[0] = member(n, a->splat, 0, 0, dx[0]);
    if (!dx[1].id) return;
    dy[0] = deq_add_maybe(n->g, dy[0], coordinate_tangent(n, 1, 0, dx[1]));
    dy[0] = deq_add_maybe(n->g, dy[0], coordinate_tangent(n, 0, 1, dx[1]));
}

deq_value deq_sample_bilinear(deq_graph *g, deq_value x, deq_value coords)
{
    deq_shape s = deq_value_type(g, x).shape;
    sample_attr a;
    memset(&a, 0, sizeof a);
    a.height = s.dim[2];
    a.width = s.dim[3];
    return deq_emit1(g, &sample_op, &a, sizeof a, (deq_value[]){ x, coords }, 2);
}
