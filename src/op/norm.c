/* SPDX-License-Identifier: MIT */
/*
 * Normalisation over groups of channels, and its derivatives.
 *
 * In the notation of op/norm.h, for one group of n elements with r = rstd and x^ = xhat:
 *
 *   x^ = (x - m(x)) r                                                     (1)
 *   r  = (m((x - m(x))^2) + eps)^(-1/2)                                   (2)
 *
 *   d x^ = T(dx, x^, r),   T(v, x^, r) = r (v - m(v) - x^ m(x^ v))        (3)
 *   d r  = -r^2 m(x^ dx)                                                  (4)
 *
 * T is linear in v and in r.  In x^, which it takes as independent of v and r:
 *
 *   d T = -r (dx^ m(x^ v) + x^ m(v dx^))                                  (5)
 *
 * and the adjoint of (5) at a cotangent c is  -r (c m(x^ v) + v m(c x^)).   (6)
 */
#include "op/norm.h"
#include "op/real.h"

#include <deq/op.h>
#include <math.h>
#include <string.h>

/* Work below which a parallel region costs more than it saves. */
#define PARALLEL_ELEMENTS 32768

/* ---- groups ------------------------------------------------------------------------------- */

static int64_t group_elements(const deq_type *x, int64_t groups)
{
    return deq_shape_count(&x->shape) / (x->shape.dim[0] * groups);
}

/* x as [B, groups, n]. */
static deq_value by_group(deq_graph *g, deq_value x, int64_t groups)
{
    deq_type t = deq_value_type(g, x);
    if (t.shape.rank < 2) return x; /* the result of a mistake */
    return deq_reshape(g, x, DEQ_SHAPE(t.shape.dim[0], groups, group_elements(&t, groups)));
}

/* [B, groups] -> [B, groups, 1]. */
static deq_value per_group(deq_graph *g, deq_value s)
{
    deq_type t = deq_value_type(g, s);
    return deq_reshape(g, s, DEQ_SHAPE(t.shape.dim[0], t.shape.dim[1], 1));
}

/* m(a b) as [B, groups, 1], of values that are [B, groups, n]. */
static deq_value mean_product(deq_graph *g, deq_value a, deq_value b)
{
    return deq_mean(g, deq_mul(g, a, b), DEQ_AXIS(2), true);
}

static bool check_groups(deq_shape_rule *r, int64_t groups)
{
    const deq_shape *x = &r->in[0].shape;
    if (!deq_rule_float(r, 0)) return false;
    if (x->rank < 2)
        return deq_rule_fail(r, DEQ_ERR_SHAPE, "x has rank %d, expected [B, C, ...]", x->rank);
    if (groups < 1 || x->dim[1] % groups != 0)
        return deq_rule_fail(r, DEQ_ERR_SHAPE,
                             "x has %lld channels, which %lld groups do not divide",
                             (long long)x->dim[1], (long long)groups);
    return true;
}

/* ---- normalize ---------------------------------------------------------------------------- */

static bool infer_normalize(deq_shape_rule *r)
{
    const deq_normalize_attr *a = r->attr;
    if (!check_groups(r, a->groups)) return false;
    if (!(isfinite(a->eps) && a->eps >= 0))
        return deq_rule_fail(r, DEQ_ERR_ARGUMENT, "eps is %g, expected a finite number >= 0",
                             a->eps);
    r->out[0] = r->in[0];
    r->out[1].dtype = r->in[0].dtype;
    r->out[1].shape = DEQ_SHAPE(r->in[0].shape.dim[0], a->groups);
    return true;
}

/* (1), (2) for the n elements from `first`; two passes, because the variance of numbers far from
 * zero is lost in the difference of their squares. */
static double normalize_group(const deq_kernel_call *c, deq_dtype t, int64_t first, int64_t n,
                              double eps)
{
    const void *x = c->in[0];
    double mean = 0, variance = 0;
    for (int64_t i = first; i < first + n; i++) mean += deq_load(x, t, i);
    mean /= (double)n;
    for (int64_t i = first; i < first + n; i++) {
        double d = deq_load(x, t, i) - mean;
        variance += d * d;
    }
    double rstd = 1 / sqrt(variance / (double)n + eps);
    for (int64_t i = first; i < first + n; i++)
        deq_store(c->out[0], t, i, (deq_load(x, t, i) - mean) * rstd);
    return rstd;
}

static deq_status normalize_kernel(const deq_kernel_call *c)
{
    const deq_normalize_attr *a = c->attr;
    const deq_dtype t = c->in_type[0].dtype;
    const int64_t n = group_elements(&c->in_type[0], a->groups);
    const int64_t n_groups = deq_shape_count(&c->out_type[1].shape);
#pragma omp parallel for schedule(static)                                                          \
    num_threads(c->threads) if (n * n_groups > PARALLEL_ELEMENTS)
    for (int64_t k = 0; k < n_groups; k++)
        deq_store(c->out[1], t, k, normalize_group(c, t, k * n, n, a->eps));
    return DEQ_OK;
}

/* The adjoints of (3), which is itself, and of (4). */
static void vjp_normalize(const deq_frame *f, const deq_value *dy, deq_value *dx)
{
    const int64_t groups = ((const deq_normalize_attr *)f->attr)->groups;
    deq_graph *g = f->g;
    deq_value xhat = f->out[0], rstd = f->out[1];
    if (dy[0].id) dx[0] = deq_normalize_tangent(g, dy[0], xhat, rstd, groups);
    if (dy[1].id) {
        deq_type t = deq_value_type(g, xhat);
        double n = (double)group_elements(&t, groups);
        deq_value s = deq_scale(g, deq_mul(g, dy[1], deq_square(g, rstd)), -1 / n);
        s = deq_mul(g, by_group(g, xhat, groups), per_group(g, s));
        dx[0] = deq_add_maybe(g, dx[0], deq_reshape(g, s, t.shape));
    }
}

/* (3) and (4). */
static void jvp_normalize(const deq_frame *f, const deq_value *dx, deq_value *dy)
{
    const int64_t groups = ((const deq_normalize_attr *)f->attr)->groups;
    deq_graph *g = f->g;
    deq_value xhat = f->out[0], rstd = f->out[1];
    if (!dx[0].id) return;
    dy[0] = deq_normalize_tangent(g, dx[0], xhat, rstd, groups);
    deq_value m = mean_product(g, by_group(g, xhat, groups), by_group(g, dx[0], groups));
    m = deq_reshape(g, m, deq_value_type(g, rstd).shape);
    dy[1] = deq_neg(g, deq_mul(g, deq_square(g, rstd), m));
}

static double flops_normalize(const deq_kernel_call *c)
{
    return 6 * (double)deq_shape_count(&c->in_type[0].shape);
}

const deq_op deq_op_normalize = { .name = "normalize",
                                  .n_out = 2,
                                  .attr_bytes = sizeof(deq_normalize_attr),
                                  .infer = infer_normalize,
                                  .vjp = vjp_normalize,
                                  .jvp = jvp_normalize,
                                  .kernel = normalize_kernel,
                                  .flops = flops_normalize };

deq_value deq_normalize(deq_graph *g, deq_value x, int64_t groups, double eps, deq_value *rstd)
{
    deq_normalize_attr a;
    memset(&a, 0, sizeof a);
    a.groups = groups;
    a.eps = eps;
    deq_value out[2];
    deq_emit(g, &deq_op_normalize, &a, sizeof a, &x, 1, out, 2);
    if (rstd) *rstd = out[1];
    return out[0];
}

/* ---- normalize_tangent -------------------------------------------------------------------- */

static bool infer_tangent(deq_shape_rule *r)
{
    const deq_normalize_tangent_attr *a = r->attr;
    if (!check_groups(r, a->groups) || !deq_rule_same_dtype(r, 0, 1) ||
        !deq_rule_same_dtype(r, 0, 2))
        return false;
    deq_shape rstd = DEQ_SHAPE(r->in[0].shape.dim[0], a->groups);
    if (!deq_shape_equal(&r->in[0].shape, &r->in[1].shape) ||
        !deq_shape_equal(&rstd, &r->in[2].shape))
        return deq_rule_fail(r, DEQ_ERR_SHAPE, "v and xhat must be [B, C, ...], rstd [B, %lld]",
                             (long long)a->groups);
    r->out[0] = r->in[0];
    return true;
}

/* (3) for the n elements from `first`. */
static void tangent_group(const deq_kernel_call *c, deq_dtype t, int64_t first, int64_t n,
                          double rstd)
{
    const void *v = c->in[0], *xhat = c->in[1];
    double mean_v = 0, mean_xv = 0;
    for (int64_t i = first; i < first + n; i++) {
        mean_v += deq_load(v, t, i);
        mean_xv += deq_load(v, t, i) * deq_load(xhat, t, i);
    }
    mean_v /= (double)n;
    mean_xv /= (double)n;
    for (int64_t i = first; i < first + n; i++)
        deq_store(c->out[0], t, i,
                  rstd * (deq_load(v, t, i) - mean_v - deq_load(xhat, t, i) * mean_xv));
}

static deq_status tangent_kernel(const deq_kernel_call *c)
{
    const deq_normalize_tangent_attr *a = c->attr;
    const deq_dtype t = c->in_type[0].dtype;
    const int64_t n = group_elements(&c->in_type[0], a->groups);
    const int64_t n_groups = deq_shape_count(&c->in_type[2].shape);
#pragma omp parallel for schedule(static)                                                          \
    num_threads(c->threads) if (n * n_groups > PARALLEL_ELEMENTS)
    for (int64_t k = 0; k < n_groups; k++) tangent_group(c, t, k * n, n, deq_load(c->in[2], t, k));
    return DEQ_OK;
}

/* -r (a m(x^ v) + b m(c d)): the form that (5) and (6) share. */
static deq_value tangent_in_xhat(const deq_frame *f, deq_value a, deq_value b, deq_value c,
                                 deq_value d)
{
    const int64_t groups = ((const deq_normalize_tangent_attr *)f->attr)->groups;
    deq_graph *g = f->g;
    deq_value v = by_group(g, f->in[0], groups), xhat = by_group(g, f->in[1], groups);
    deq_value minus_r = deq_neg(g, per_group(g, f->in[2]));
    deq_value m_xv = deq_mul(g, minus_r, mean_product(g, xhat, v));
    deq_value m_cd = deq_mul(g, minus_r,
                             mean_product(g, by_group(g, c, groups), by_group(g, d, groups)));
    deq_value sum = deq_add(g, deq_mul(g, by_group(g, a, groups), m_xv),
                            deq_mul(g, by_group(g, b, groups), m_cd));
    return deq_reshape(g, sum, deq_value_type(g, f->in[0]).shape);
}

static void vjp_tangent(const deq_frame *f, const deq_value *dy, deq_value *dx)
{
    const int64_t groups = ((const deq_normalize_tangent_attr *)f->attr)->groups;
    deq_graph *g = f->g;
    deq_value v = f->in[0], xhat = f->in[1], rstd = f->in[2], c = dy[0];
    if (!c.id) return;
    if (f->need[0]) dx[0] = deq_normalize_tangent(g, c, xhat, rstd, groups);
    if (f->need[1]) dx[1] = tangent_in_xhat(f, c, v, c, xhat); /* (6) */
    if (f->need[2]) { /* linear: the sum over the group of c T(v, x^, 1) */
        deq_type r = deq_value_type(g, rstd);
        deq_value one = deq_fill(g, r.dtype, r.shape, 1);
        deq_value t = deq_mul(g, c, deq_normalize_tangent(g, v, xhat, one, groups));
        dx[2] = deq_sum(g, by_group(g, t, groups), DEQ_AXIS(2), false);
    }
}

static void jvp_tangent(const deq_frame *f, const deq_value *dx, deq_value *dy)
{
    const int64_t groups = ((const deq_normalize_tangent_attr *)f->attr)->groups;
    deq_graph *g = f->g;
    deq_value v = f->in[0], xhat = f->in[1], rstd = f->in[2];
    if (dx[0].id) dy[0] = deq_normalize_tangent(g, dx[0], xhat, rstd, groups);
    if (dx[1].id)
        dy[0] = deq_add_maybe(g, dy[0], tangent_in_xhat(f, dx[1], xhat, v, dx[1])); /* (5) */
    if (dx[2].id) dy[0] = deq_add_maybe(g, dy[0], deq_normalize_tangent(g, v, xhat, dx[2], groups));
}

static double flops_tangent(const deq_kernel_call *c)
{
    return 7 * (double)deq_shape_count(&c->in_type[0].shape);
}

const deq_op deq_op_normalize_tangent = { .name = "normalize_tangent",
                                          .n_out = 1,
                                          .attr_bytes = sizeof(deq_normalize_tangent_attr),
                                          .linear = 1u << 0 | 1u << 2,
                                          .infer = infer_tangent,
                                          .vjp = vjp_tangent,
                                          .jvp = jvp_tangent,
                                          .kernel = tangent_kernel,
                                          .flops = flops_tangent };

deq_value deq_normalize_tangent(deq_graph *g, deq_value v, deq_value xhat, deq_value rstd,
                                int64_t groups)
{
    deq_normalize_tangent_attr a;
    memset(&a, 0, sizeof a);
    a.groups = groups;
    const deq_value in[3] = { v, xhat, rstd };
    return deq_emit1(g, &deq_op_normalize_tangent, &a, sizeof a, in, 3);
}
