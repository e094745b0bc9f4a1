/* SPDX-License-Identifier: MIT */
/* The normalisation layers, composed: statistics, then a scale and a shift that fuse. */
#include "op/norm.h"

#include <deq/op.h>
#include <math.h>

/* A vector per channel, [C], as [C, 1, 1, ...] so that it broadcasts against x: [B, C, ...]. */
static deq_value per_channel(deq_graph *g, const char *op, const char *what, const deq_type *x,
                             deq_value v)
{
    deq_type t = deq_value_type(g, v);
    if (t.shape.rank != 1 || t.shape.dim[0] != x->shape.dim[1] || t.dtype != x->dtype) {
        char text[256];
        return deq_graph_fail(g, DEQ_ERR_SHAPE,
                              "%s: %s is %s, expected %s [%lld], one a channel of x", op, what,
                              t.dtype ? deq_type_format(text, sizeof text, &t) : "absent",
                              deq_dtype_name(x->dtype), (long long)x->shape.dim[1]);
    }
    t.shape.rank = x->shape.rank - 1;
    for (int i = 1; i < t.shape.rank; i++) t.shape.dim[i] = 1;
    return deq_reshape(g, v, t.shape);
}

/* y gamma + beta, each per channel of x or absent. */
static deq_value affine(deq_graph *g, const char *op, const deq_type *x, deq_value y,
                        deq_value gamma, deq_value beta)
{
    if (gamma.id) y = deq_mul(g, y, per_channel(g, op, "gamma", x, gamma));
    if (beta.id) y = deq_add(g, y, per_channel(g, op, "beta", x, beta));
    return y;
}

/* What the shape rule of a single node would refuse. */
static bool check_input(deq_graph *g, const char *op, const deq_type *x, double eps)
{
    char text[256];
    if (deq_graph_status(g) != DEQ_OK) return false;
    if (x->dtype != DEQ_F32 && x->dtype != DEQ_F64)
        deq_graph_fail(g, DEQ_ERR_DTYPE, "%s: x is %s, expected f32 or f64", op,
                       x->dtype ? deq_dtype_name(x->dtype) : "absent");
    else if (x->shape.rank < 2)
        deq_graph_fail(g, DEQ_ERR_SHAPE, "%s: x is %s, expected [B, C, ...]", op,
                       deq_type_format(text, sizeof text, x));
    else if (!(isfinite(eps) && eps >= 0))
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "%s: eps is %g, expected a finite number >= 0", op,
                       eps);
    return deq_graph_status(g) == DEQ_OK;
}

static deq_value group_norm(deq_graph *g, const char *op, deq_value x, int64_t groups,
                            deq_value gamma, deq_value beta, double eps)
{
    deq_type t = deq_value_type(g, x);
    if (!check_input(g, op, &t, eps)) return (deq_value){ -1 };
    return affine(g, op, &t, deq_normalize(g, x, groups, eps, NULL), gamma, beta);
}

deq_value deq_group_norm(deq_graph *g, deq_value x, int64_t groups, deq_value gamma, deq_value beta,
                         double eps)
{
    return group_norm(g, "group_norm", x, groups, gamma, beta, eps);
}

deq_value deq_instance_norm(deq_graph *g, deq_value x, deq_value gamma, deq_value beta, double eps)
{
    deq_type t = deq_value_type(g, x);
    return group_norm(g, "instance_norm", x, t.shape.dim[1], gamma, beta, eps);
}

/* ---- layer norm --------------------------------------------------------------------------- */

static bool check_trailing(deq_graph *g, const char *what, const deq_type *x, int n_axes,
                           deq_value v)
{
    deq_type t = deq_value_type(g, v), want = { .dtype = x->dtype, .shape = { .rank = n_axes } };
    for (int i = 0; i < n_axes; i++) want.shape.dim[i] = x->shape.dim[x->shape.rank - n_axes + i];
    if (v.id == 0 || (t.dtype == want.dtype && deq_shape_equal(&t.shape, &want.shape))) return true;
    char have_text[256], want_text[256];
    deq_graph_fail(g, DEQ_ERR_SHAPE, "layer_norm: %s is %s, the last %d axes of x are %s", what,
                   deq_type_format(have_text, sizeof have_text, &t), n_axes,
                   deq_type_format(want_text, sizeof want_text, &want));
    return false;
}

deq_value deq_layer_norm(deq_graph *g, deq_value x, int n_axes, deq_value gamma, deq_value beta,
                         double eps)
{
    deq_type t = deq_value_type(g, x);
    if (deq_graph_status(g) != DEQ_OK) return (deq_value){ -1 };
    if (n_axes < 1 || n_axes > t.shape.rank)
        return deq_graph_fail(g, DEQ_ERR_SHAPE, "layer_norm: over %d axes, x has rank %d", n_axes,
                              t.shape.rank);
    if (!check_trailing(g, "gamma", &t, n_axes, gamma) ||
        !check_trailing(g, "beta", &t, n_axes, beta))
        return (deq_value){ -1 };
    int64_t inner = 1;
    for (int i = t.shape.rank - n_axes; i < t.shape.rank; i++) inner *= t.shape.dim[i];
    deq_shape rows = DEQ_SHAPE(deq_shape_count(&t.shape) / inner, inner);
    deq_value y = deq_normalize(g, deq_reshape(g, x, rows), 1, eps, NULL);
    y = deq_reshape(g, y, t.shape);
    if (gamma.id) y = deq_mul(g, y, gamma);
    if (beta.id) y = deq_add(g, y, beta);
    return y;
}

/* ---- batch norm --------------------------------------------------------------------------- */

deq_value deq_batch_norm(deq_graph *g, deq_value x, deq_value gamma, deq_value beta, double eps,
                         deq_value *mean, deq_value *variance)
{
    deq_type t = deq_value_type(g, x);
    if (mean) *mean = (deq_value){ -1 };
    if (variance) *variance = (deq_value){ -1 };
    if (!check_input(g, "batch_norm", &t, eps)) return (deq_value){ -1 };
    uint32_t axes = 0;
    for (int i = 0; i < t.shape.rank; i++) axes |= i == 1 ? 0u : DEQ_AXIS(i);
    deq_value m = deq_mean(g, x, axes, true);
    deq_value centred = deq_sub(g, x, m);
    deq_value v = deq_mean(g, deq_square(g, centred), axes, true);
    if (mean) *mean = deq_reshape(g, m, DEQ_SHAPE(t.shape.dim[1]));
    if (variance) *variance = deq_reshape(g, v, DEQ_SHAPE(t.shape.dim[1]));
    deq_value y = deq_mul(g, centred, deq_rsqrt(g, deq_shift(g, v, eps)));
    return affine(g, "batch_norm", &t, y, gamma, beta);
}

/* (x - mean) (gamma / sqrt(variance + eps)) + beta: the bracket leaves the loop of a solve. */
deq_value deq_batch_norm_frozen(deq_graph *g, deq_value x, deq_value gamma, deq_value beta,
                                deq_value mean, deq_value variance, double eps)
{
    static const char op[] = "batch_norm_frozen";
    deq_type t = deq_value_type(g, x);
    if (!check_input(g, op, &t, eps)) return (deq_value){ -1 };
    deq_value v = per_channel(g, op, "variance", &t, variance);
    deq_value scale = affine(g, op, &t, deq_rsqrt(g, deq_shift(g, v, eps)), gamma, DEQ_NONE);
    deq_value centred = deq_sub(g, x, per_channel(g, op, "mean", &t, mean));
    return affine(g, op, &t, deq_mul(g, centred, scale), DEQ_NONE, beta);
}
