/* SPDX-License-Identifier: MIT */
/*
 * Derivatives of element-wise operators.  For y = f(a, b, ...) each input has a partial derivative
 * that multiplies element by element, so one rule serves both modes:
 *
 *   reverse   da = sum_to( dy * df/da , shape of a )
 *   forward   dy = sum over inputs of  da * df/da
 *
 * `times_partial(f, i, d)` builds d * df/d(input i).  Conventions at kinks: the derivative of abs,
 * relu and sign at 0 is 0; of min and max at a tie half of each; of clamp at its ends 1.
 */
#include "op/elementwise_derive.h"

#include "op/elementwise.h"

#include <deq/op.h>

static deq_value constant(const deq_frame *f, double number)
{
    return deq_fill(f->g, deq_value_type(f->g, f->out[0]).dtype, DEQ_SCALAR, number);
}

/* d where condition, else zero: selected, never multiplied, so that infinities stay away. */
static deq_value keep_where(const deq_frame *f, deq_value condition, deq_value d)
{
    return deq_where(f->g, condition, d, constant(f, 0));
}

/* x^y:  d/dx = y x^(y-1), 0 where y = 0;   d/dy = x^y log x, 0 where x = 0 and y >= 0. */
static deq_value pow_partial(const deq_frame *f, int i, deq_value d)
{
    deq_graph *g = f->g;
    deq_value x = f->in[0], y = f->in[1], zero = constant(f, 0), one = constant(f, 1);
    if (i == 0) {
        deq_value slope = deq_mul(g, y, deq_pow(g, x, deq_sub(g, y, one)));
        return deq_mul(g, d, deq_where(g, deq_equal(g, y, zero), zero, slope));
    }
    deq_value flat = deq_logical_and(g, deq_equal(g, x, zero), deq_greater_equal(g, y, zero));
    deq_value log_x = deq_log(g, deq_where(g, flat, one, x));
    return deq_mul(g, d, deq_mul(g, f->out[0], log_x));
}

/* min and max: 1 for the chosen input, 1/2 at ties. */
static deq_value extremum_partial(const deq_frame *f, int i, deq_value d)
{
    deq_graph *g = f->g;
    deq_value mine = f->in[i], other = f->in[1 - i];
    deq_value chosen = f->op->elementwise == DEQ_EW_MAX ? deq_greater(g, mine, other)
                                                        : deq_less(g, mine, other);
    deq_value half = keep_where(f, deq_equal(g, mine, other), deq_scale(g, d, 0.5));
    return deq_where(g, chosen, d, half);
}

static deq_value binary_partial(const deq_frame *f, int i, deq_value d)
{
    deq_graph *g = f->g;
    deq_value a = f->in[0], b = f->in[1], y = f->out[0];
    switch (f->op->elementwise) {
    case DEQ_EW_ADD: return d;
    case DEQ_EW_SUB: return i == 0 ? d : deq_neg(g, d);
    case DEQ_EW_MUL: return deq_mul(g, d, i == 0 ? b : a);
    case DEQ_EW_DIV: return i == 0 ? deq_div(g, d, b) : deq_neg(g, deq_mul(g, d, deq_div(g, y, b)));
    case DEQ_EW_POW: return pow_partial(f, i, d);
    case DEQ_EW_MIN:
    case DEQ_EW_MAX: return extremum_partial(f, i, d);
    default: return DEQ_NONE;
    }
}

/* gelu(x) = x Phi(x):  Phi(x) + x phi(x),  Phi(x) = (1 + erf(x / sqrt 2)) / 2. */
static deq_value gelu_partial(deq_graph *g, deq_value x, deq_value d)
{
    deq_value cdf = deq_shift(
        g, deq_scale(g, deq_erf(g, deq_scale(g, x, 0.70710678118654752440)), 0.5), 0.5);
    deq_value pdf = deq_scale(g, deq_exp(g, deq_scale(g, deq_square(g, x), -0.5)),
                              0.39894228040143267794);
    return deq_mul(g, d, deq_add(g, cdf, deq_mul(g, x, pdf)));
}

/* x (1 + t) / 2 with t = tanh(u), u = c (x + 0.044715 x^3):  (1 + t) / 2 + x (1 - t^2) u' / 2. */
static deq_value gelu_tanh_partial(deq_graph *g, deq_value x, deq_value d)
{
    const double c = 0.79788456080286535588, k = 0.044715;
    deq_value x2 = deq_square(g, x);
    deq_value u = deq_mul(g, x, deq_shift(g, deq_scale(g, x2, c * k), c));
    deq_value t = deq_tanh(g, u);
    deq_value du = deq_shift(g, deq_scale(g, x2, 3 * c * k), c);
    deq_value sech2 = deq_shift(g, deq_neg(g, deq_square(g, t)), 1);
    deq_value tail = deq_scale(g, deq_mul(g, x, deq_mul(g, sech2, du)), 0.5);
    return deq_mul(g, d, deq_add(g, deq_scale(g, deq_shift(g, t, 1), 0.5), tail));
}

/* silu(x) = x s(x):  s (1 + x (1 - s)). */
static deq_value silu_partial(deq_graph *g, deq_value x, deq_value d)
{
    deq_value s = deq_sigmoid(g, x);
    deq_value tail = deq_mul(g, x, deq_shift(g, deq_neg(g, s), 1));
    return deq_mul(g, d, deq_mul(g, s, deq_shift(g, tail, 1)));
}

static deq_value clamp_partial(const deq_frame *f, deq_value d)
{
    const deq_elementwise_attr *a = f->attr;
    deq_graph *g = f->g;
    deq_value inside = deq_logical_and(g, deq_greater_equal(g, f->in[0], constant(f, a->p[0])),
                                       deq_less_equal(g, f->in[0], constant(f, a->p[1])));
    return keep_where(f, inside, d);
}

static deq_value unary_partial(const deq_frame *f, deq_value d)
{
    deq_graph *g = f->g;
    const deq_elementwise_attr *a = f->attr;
    deq_value x = f->in[0], y = f->out[0];
    switch (f->op->elementwise) {
    case DEQ_EW_NEG: return deq_neg(g, d);
    case DEQ_EW_ABS: return deq_mul(g, d, deq_sign(g, x));
    case DEQ_EW_SQUARE: return deq_mul(g, d, deq_scale(g, x, 2));
    case DEQ_EW_SQRT: return deq_div(g, deq_scale(g, d, 0.5), y);
    case DEQ_EW_RSQRT: return deq_mul(g, deq_scale(g, d, -0.5), deq_mul(g, y, deq_square(g, y)));
    case DEQ_EW_EXP: return deq_mul(g, d, y);
    case DEQ_EW_LOG: return deq_div(g, d, x);
    case DEQ_EW_LOG1P: return deq_div(g, d, deq_shift(g, x, 1));
    case DEQ_EW_ERF: /* 2 / sqrt(pi) exp(-x^2) */
        return deq_mul(
            g, d, deq_scale(g, deq_exp(g, deq_neg(g, deq_square(g, x))), 1.12837916709551257390));
    case DEQ_EW_SIN: return deq_mul(g, d, deq_cos(g, x));
    case DEQ_EW_COS: return deq_neg(g, deq_mul(g, d, deq_sin(g, x)));
    case DEQ_EW_TANH: return deq_mul(g, d, deq_shift(g, deq_neg(g, deq_square(g, y)), 1));
    case DEQ_EW_SIGMOID: return deq_mul(g, d, deq_mul(g, y, deq_shift(g, deq_neg(g, y), 1)));
    case DEQ_EW_SOFTPLUS: return deq_mul(g, d, deq_sigmoid(g, x));
    case DEQ_EW_RELU: /* y > 0 where x > 0; asking y lets a kernel that fused the relu forget x */
        return keep_where(f, deq_greater(g, y, constant(f, 0)), d);
    case DEQ_EW_LEAKY_RELU:
        return deq_where(g, deq_greater(g, x, constant(f, 0)), d, deq_scale(g, d, a->p[0]));
    case DEQ_EW_GELU: return gelu_partial(g, x, d);
    case DEQ_EW_GELU_TANH: return gelu_tanh_partial(g, x, d);
    case DEQ_EW_SILU: return silu_partial(g, x, d);
    case DEQ_EW_CLAMP: return clamp_partial(f, d);
    default: return DEQ_NONE; /* sign: zero almost everywhere */
    }
}

/* d * df/d(input i), of the output's shape; DEQ_NONE for zero. */
static deq_value times_partial(const deq_frame *f, int i, deq_value d)
{
    if (f->op->elementwise == DEQ_EW_WHERE) {
        if (i == 0) return DEQ_NONE;
        deq_value zero = constant(f, 0);
        return i == 1 ? deq_where(f->g, f->in[0], d, zero) : deq_where(f->g, f->in[0], zero, d);
    }
    return f->n_in == 2 ? binary_partial(f, i, d) : unary_partial(f, d);
}

static bool is_float(const deq_frame *f, deq_value v)
{
    deq_dtype d = deq_value_type(f->g, v).dtype;
    return d == DEQ_F32 || d == DEQ_F64;
}

void deq_elementwise_vjp(const deq_frame *f, const deq_value *dy, deq_value *dx)
{
    for (int i = 0; i < f->n_in; i++) {
        deq_type t = deq_value_type(f->g, f->in[i]);
        if (!f->need[i] || !is_float(f, f->in[i])) continue;
        if (f->op->elementwise == DEQ_EW_CAST) {
            dx[i] = deq_cast(f->g, dy[0], t.dtype);
            continue;
        }
        deq_value d = times_partial(f, i, dy[0]);
        if (d.id != 0) dx[i] = deq_sum_to(f->g, d, t.shape);
    }
}

void deq_elementwise_jvp(const deq_frame *f, const deq_value *dx, deq_value *dy)
{
    deq_type out = deq_value_type(f->g, f->out[0]);
    for (int i = 0; i < f->n_in; i++) {
        if (dx[i].id == 0) continue;
        deq_value d = f->op->elementwise == DEQ_EW_CAST ? deq_cast(f->g, dx[i], out.dtype)
                                                        : times_partial(f, i, dx[i]);
        dy[0] = deq_add_maybe(f->g, dy[0], d);
    }
    /* add(a, b) with a tangent for the broadcast one alone has a's shape so far. */
    if (dy[0].id != 0) dy[0] = deq_broadcast(f->g, dy[0], out.shape);
}
