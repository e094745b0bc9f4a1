/* SPDX-License-Identifier: MIT */
/* Weights as functions of parameters; every function here is a graph over public builders. */
#include "op/op.h"

#include <deq/normalise_weight.h>
#include <deq/op.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Norms below this count as this. */
#define TINY 1e-12

deq_normalise_options deq_normalise_defaults(void)
{
    return (deq_normalise_options){
        .struct_size = sizeof(deq_normalise_options), .target = 1, .clip_value = 1, .doublings = 3
    };
}

/* Checks ------------------------------------------------------------------------------------- */

static bool check_weight(deq_graph *g, const char *what, deq_value w, int axis)
{
    char text[256];
    deq_type t = deq_value_type(g, w);
    if (deq_graph_status(g) != DEQ_OK) return false;
    if (t.dtype != DEQ_F32 && t.dtype != DEQ_F64)
        deq_graph_fail(g, DEQ_ERR_DTYPE, "%s: the weight is %s, expected f32 or f64", what,
                       deq_type_format(text, sizeof text, &t));
    else if (axis < 0 || axis >= t.shape.rank)
        deq_graph_fail(g, DEQ_ERR_SHAPE, "%s: axis %d of a weight %s", what, axis,
                       deq_type_format(text, sizeof text, &t));
    return deq_graph_status(g) == DEQ_OK;
}

static bool check_options(deq_graph *g, const char *what, const deq_normalise_options *o)
{
    if (o->struct_size != sizeof *o)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "%s: options.struct_size is %zu, expected %zu", what,
                       o->struct_size, sizeof *o);
    else if (!(o->target > 0 && isfinite(o->target)))
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "%s: target is %g, expected > 0", what, o->target);
    else if (o->clip && !(o->clip_value > 0))
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "%s: clip_value is %g, expected > 0", what,
                       o->clip_value);
    return deq_graph_status(g) == DEQ_OK;
}

/* A vector of n elements of w's dtype. */
static bool check_vector(deq_graph *g, const char *what, const char *name, deq_value x, int64_t n,
                         deq_dtype dtype)
{
    char text[256];
    deq_type t = deq_value_type(g, x);
    if (t.dtype == dtype && t.shape.rank == 1 && t.shape.dim[0] == n) return true;
    deq_graph_fail(g, DEQ_ERR_SHAPE, "%s: %s is %s, expected %s [%lld]", what, name,
                   deq_type_format(text, sizeof text, &t), deq_dtype_name(dtype), (long long)n);
    return false;
}

/* Pieces ------------------------------------------------------------------------------------- */

/* [n] along one axis of a value of this rank. */
static deq_value along(deq_graph *g, deq_value x, int axis, int rank, int64_t n)
{
    deq_shape s = { .rank = rank };
    for (int i = 0; i < rank; i++) s.dim[i] = i == axis ? n : 1;
    return deq_reshape(g, x, s);
}

/* W2: [shape[axis], the rest]. */
static deq_value as_matrix(deq_graph *g, deq_value w, int axis)
{
    deq_shape s = deq_value_type(g, w).shape;
    int order[DEQ_MAX_RANK], n = 0;
    if (s.rank == 0) return w; /* out of memory since it was checked */
    order[n++] = axis;
    for (int i = 0; i < s.rank; i++)
        if (i != axis) order[n++] = i;
    if (axis) w = deq_permute(g, w, order, n);
    return deq_reshape(g, w, DEQ_SHAPE(s.dim[axis], deq_shape_count(&s) / s.dim[axis]));
}

/* max(x, floor), so that nothing is divided by zero. */
static deq_value at_least(deq_graph *g, deq_value x, double floor)
{
    return deq_max(g, x, deq_fill(g, deq_value_type(g, x).dtype, DEQ_SCALAR, floor));
}

/* 1 / |x| over the axes, which are kept. */
static deq_value inverse_norm(deq_graph *g, deq_value x, uint32_t axes)
{
    return deq_rsqrt(g, at_least(g, deq_squared_norm(g, x, axes, true), TINY * TINY));
}

/* w . min(clip_value, factor), or w . factor */
static deq_value scaled(deq_graph *g, deq_value w, deq_value factor, const deq_normalise_options *o)
{
    if (o->clip) {
        deq_dtype dtype = deq_value_type(g, w).dtype;
        factor = deq_min(g, factor, deq_fill(g, dtype, DEQ_SCALAR, o->clip_value));
    }
    return deq_mul(g, w, factor);
}

/* Weight norm -------------------------------------------------------------------------------- */

deq_value deq_weight_norm(deq_graph *g, deq_value v, deq_value scale,
                          const deq_normalise_options *options)
{
    deq_normalise_options o = options ? *options : deq_normalise_defaults();
    const deq_value invalid = { -1 };
    if (!check_options(g, "weight norm", &o) || !check_weight(g, "weight norm", v, o.axis))
        return invalid;
    deq_type t = deq_value_type(g, v);
    int64_t n = t.shape.dim[o.axis];
    uint32_t others = 0;
    for (int i = 0; i < t.shape.rank; i++)
        if (i != o.axis) others |= DEQ_AXIS(i);
    deq_value factor = inverse_norm(g, v, others);
    if (scale.id == 0) return scaled(g, v, deq_scale(g, factor, o.target), &o);
    if (!check_vector(g, "weight norm", "scale", scale, n, t.dtype)) return invalid;
    return scaled(g, v, deq_mul(g, along(g, scale, o.axis, t.shape.rank, n), factor), &o);
}

/* Spectral norm ------------------------------------------------------------------------------ */

/* x / |x| */
static deq_value unit(deq_graph *g, deq_value x)
{
    return deq_mul(g, x, inverse_norm(g, x, DEQ_ALL_AXES));
}

deq_status deq_spectral_step(deq_graph *g, deq_value *u_next, deq_value *v_next, deq_value w,
                             deq_value u, int steps, const deq_normalise_options *options)
{
    deq_normalise_options o = options ? *options : deq_normalise_defaults();
    *u_next = *v_next = (deq_value){ -1 };
    if (steps < 1)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "spectral step: %d steps, expected at least 1", steps);
    if (!check_options(g, "spectral step", &o) || !check_weight(g, "spectral step", w, o.axis))
        return deq_graph_status(g);
    deq_value m = as_matrix(g, deq_stop_gradient(g, w), o.axis), v = DEQ_NONE;
    deq_shape s = deq_value_type(g, m).shape;
    if (!check_vector(g, "spectral step", "u", u, s.dim[0], deq_value_type(g, w).dtype))
        return deq_graph_status(g);
    u = deq_reshape(g, deq_stop_gradient(g, u), DEQ_SHAPE(s.dim[0], 1));
    for (int k = 0; k < steps; k++) {
        v = unit(g, deq_matmul(g, m, u, true, false));
        u = unit(g, deq_matmul(g, m, v, false, false));
    }
    *u_next = deq_reshape(g, u, DEQ_SHAPE(s.dim[0]));
    *v_next = deq_reshape(g, v, DEQ_SHAPE(s.dim[1]));
    return deq_graph_status(g);
}

/* With G normalised after each squaring, |G^m|_F = n_0^m n_1^(m/2) ... n_p, m = 2^p: its m-th root
 * is the exponential of the sum of log n_i / 2^i, and nothing overflows. */
deq_value deq_spectral_bound(deq_graph *g, deq_value w, int doublings, int axis)
{
    if (doublings < 0 || doublings > 20)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "spectral bound: %d doublings, expected 0 to 20",
                       doublings);
    if (!check_weight(g, "spectral bound", w, axis)) return (deq_value){ -1 };
    deq_value m = as_matrix(g, w, axis), sum = DEQ_NONE;
    deq_shape s = deq_value_type(g, m).shape;
    bool wide = s.dim[0] <= s.dim[1];
    deq_value G = deq_matmul(g, m, m, !wide, wide);
    for (int i = 0; i <= doublings; i++) {
        if (i) G = deq_matmul(g, G, G, false, true); /* symmetric */
        deq_value square = deq_squared_norm(g, G, DEQ_ALL_AXES, false);
        deq_value norm = deq_sqrt(g, at_least(g, square, TINY * TINY));
        sum = deq_add_maybe(g, sum, deq_scale(g, deq_log(g, norm), ldexp(0.5, -i)));
        G = deq_div(g, G, norm);
    }
    return deq_exp(g, sum); /* half of each logarithm: the root of |W2|^2 */
}

/* u' W2 v with u and v held, or the bound. */
static deq_value spectral_sigma(deq_graph *g, deq_value w, deq_value u, deq_value v,
                                const deq_normalise_options *o)
{
    const deq_value invalid = { -1 };
    if (u.id == 0 && v.id == 0) return deq_spectral_bound(g, w, o->doublings, o->axis);
    deq_value m = as_matrix(g, w, o->axis);
    deq_shape s = deq_value_type(g, m).shape;
    deq_dtype dtype = deq_value_type(g, w).dtype;
    if (!check_vector(g, "spectral norm", "u", u, s.dim[0], dtype) ||
        !check_vector(g, "spectral norm", "v", v, s.dim[1], dtype))
        return invalid;
    u = deq_reshape(g, deq_stop_gradient(g, u), DEQ_SHAPE(s.dim[0], 1));
    v = deq_reshape(g, deq_stop_gradient(g, v), DEQ_SHAPE(s.dim[1], 1));
    deq_value sigma = deq_sum(g, deq_mul(g, u, deq_matmul(g, m, v, false, false)), DEQ_ALL_AXES,
                              false);
    return at_least(g, sigma, TINY);
}

deq_value deq_spectral_norm(deq_graph *g, deq_value w, deq_value u, deq_value v, deq_value scale,
                            const deq_normalise_options *options)
{
    deq_normalise_options o = options ? *options : deq_normalise_defaults();
    const deq_value invalid = { -1 };
    if (!check_options(g, "spectral norm", &o) || !check_weight(g, "spectral norm", w, o.axis))
        return invalid;
    deq_type t = deq_value_type(g, w), st = deq_value_type(g, scale);
    int64_t n = t.shape.dim[o.axis];
    deq_value sigma = spectral_sigma(g, w, u, v, &o);
    if (deq_graph_status(g) != DEQ_OK) return invalid;
    if (scale.id == 0) {
        scale = deq_fill(g, t.dtype, DEQ_SCALAR, o.target);
    } else if (o.per_channel) {
        if (!check_vector(g, "spectral norm", "scale", scale, n, t.dtype)) return invalid;
        scale = along(g, scale, o.axis, t.shape.rank, n);
    } else if (st.shape.rank == 0 && st.dtype == t.dtype) {
        /* as it is */
    } else {
        if (!check_vector(g, "spectral norm", "scale", scale, 1, t.dtype)) return invalid;
        scale = deq_reshape(g, scale, DEQ_SCALAR);
    }
    return scaled(g, w, deq_div(g, scale, sigma), &o);
}
