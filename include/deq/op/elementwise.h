/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Element-wise operators.  Inputs broadcast against each other: shapes are aligned at the last axis
 * and an extent of 1 stretches.  Unless said otherwise inputs are f32 or f64, all of one dtype, and
 * the result has that dtype.  A mistake marks the graph (graph.h) with DEQ_ERR_SHAPE or
 * DEQ_ERR_DTYPE and the result is invalid.
 */
#ifndef DEQ_OP_ELEMENTWISE_PUBLIC_H
#define DEQ_OP_ELEMENTWISE_PUBLIC_H

#include <deq/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * a + b.
 *
 * @param g a graph.
 * @param a any shape.
 * @param b any shape that broadcasts against a.
 * @return the value.
 */
DEQ_API deq_value deq_add(deq_graph *g, deq_value a, deq_value b);

/**
 * a - b.
 *
 * @param g a graph.
 * @param a any shape.
 * @param b any shape that broadcasts against a.
 * @return the value.
 */
DEQ_API deq_value deq_sub(deq_graph *g, deq_value a, deq_value b);

/**
 * a b.
 *
 * @param g a graph.
 * @param a any shape.
 * @param b any shape that broadcasts against a.
 * @return the value.
 */
DEQ_API deq_value deq_mul(deq_graph *g, deq_value a, deq_value b);

/**
 * a / b.
 *
 * @param g a graph.
 * @param a any shape.
 * @param b any shape that broadcasts against a.
 * @return the value.
 */
DEQ_API deq_value deq_div(deq_graph *g, deq_value a, deq_value b);

/**
 * a^b.  The derivative for a is 0 where b = 0; for b it is 0 where a = 0 and b >= 0.
 *
 * @param g a graph.
 * @param a any shape.
 * @param b any shape that broadcasts against a.
 * @return the value.
 */
DEQ_API deq_value deq_pow(deq_graph *g, deq_value a, deq_value b);

/**
 * min(a, b).  At a tie each input gets half of the derivative.
 *
 * @param g a graph.
 * @param a any shape.
 * @param b any shape that broadcasts against a.
 * @return the value.
 */
DEQ_API deq_value deq_min(deq_graph *g, deq_value a, deq_value b);

/**
 * max(a, b).  At a tie each input gets half of the derivative.
 *
 * @param g a graph.
 * @param a any shape.
 * @param b any shape that broadcasts against a.
 * @return the value.
 */
DEQ_API deq_value deq_max(deq_graph *g, deq_value a, deq_value b);

/**
 * -x.
 *
 * @param g a graph.
 * @param x any shape.
 * @return the value.
 */
DEQ_API deq_value deq_neg(deq_graph *g, deq_value x);

/**
 * |x|.  Derivative at 0: 0.
 *
 * @param g a graph.
 * @param x any shape.
 * @return the value.
 */
DEQ_API deq_value deq_abs(deq_graph *g, deq_value x);

/**
 * -1, 0 or 1.  Derivative 0 everywhere; NaN stays NaN.
 *
 * @param g a graph.
 * @param x any shape.
 * @return the value.
 */
DEQ_API deq_value deq_sign(deq_graph *g, deq_value x);

/**
 * x^2.
 *
 * @param g a graph.
 * @param x any shape.
 * @return the value.
 */
DEQ_API deq_value deq_square(deq_graph *g, deq_value x);

/**
 * sqrt(x).
 *
 * @param g a graph.
 * @param x any shape.
 * @return the value.
 */
DEQ_API deq_value deq_sqrt(deq_graph *g, deq_value x);

/**
 * 1 / sqrt(x).
 *
 * @param g a graph.
 * @param x any shape.
 * @return the value.
 */
DEQ_API deq_value deq_rsqrt(deq_graph *g, deq_value x);

/**
 * exp(x).
 *
 * @param g a graph.
 * @param x any shape.
 * @return the value.
 */
DEQ_API deq_value deq_exp(deq_graph *g, deq_value x);

/**
 * log(x).
 *
 * @param g a graph.
 * @param x any shape.
 * @return the value.
 */
DEQ_API deq_value deq_log(deq_graph *g, deq_value x);

/**
 * log(1 + x).  Accurate near 0.
 *
 * @param g a graph.
 * @param x any shape.
 * @return the value.
 */
DEQ_API deq_value deq_log1p(deq_graph *g, deq_value x);

/**
 * 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x.
 *
 * @param g a graph.
 * @param x any shape.
 * @return the value.
 */
DEQ_API deq_value deq_erf(deq_graph *g, deq_value x);

/**
 * sin(x), x in radians.
 *
 * @param g a graph.
 * @param x any shape.
 * @return the value.
 */
DEQ_API deq_value deq_sin(deq_graph *g, deq_value x);

/**
 * cos(x), x in radians.
 *
 * @param g a graph.
 * @param x any shape.
 * @return the value.
 */
DEQ_API deq_value deq_cos(deq_graph *g, deq_value x);

/**
 * tanh(x).
 *
 * @param g a graph.
 * @param x any shape.
 * @return the value.
 */
DEQ_API deq_value deq_tanh(deq_graph *g, deq_value x);

/**
 * 1 / (1 + exp(-x)).  Never overflows.
 *
 * @param g a graph.
 * @param x any shape.
 * @return the value.
 */
DEQ_API deq_value deq_sigmoid(deq_graph *g, deq_value x);

/**
 * log(1 + exp(x)).  Never overflows.
 *
 * @param g a graph.
 * @param x any shape.
 * @return the value.
 */
DEQ_API deq_value deq_softplus(deq_graph *g, deq_value x);

/**
 * max(x, 0).  Derivative at 0: 0; NaN stays NaN.
 *
 * @param g a graph.
 * @param x any shape.
 * @return the value.
 */
DEQ_API deq_value deq_relu(deq_graph *g, deq_value x);

/**
 * x Phi(x), Phi the normal distribution function.  Hendrycks & Gimpel (2016), exact form.
 *
 * @param g a graph.
 * @param x any shape.
 * @return the value.
 */
DEQ_API deq_value deq_gelu(deq_graph *g, deq_value x);

/**
 * x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2.  Hendrycks & Gimpel (2016), tanh form.
 *
 * @param g a graph.
 * @param x any shape.
 * @return the value.
 */
DEQ_API deq_value deq_gelu_tanh(deq_graph *g, deq_value x);

/**
 * x / (1 + exp(-x)).
 *
 * @param g a graph.
 * @param x any shape.
 * @return the value.
 */
DEQ_API deq_value deq_silu(deq_graph *g, deq_value x);

/**
 * x where x > 0, else slope x.
 *
 * @param g a graph.
 * @param x any shape.
 * @param slope factor of the negative side.
 * @return the value.
 */
DEQ_API deq_value deq_leaky_relu(deq_graph *g, deq_value x, double slope);

/**
 * min(max(x, low), high).  The derivative is 1 from low to high, ends included.
 *
 * @param g a graph.
 * @param x any shape.
 * @param low lower end.
 * @param high upper end, not below low (else DEQ_ERR_ARGUMENT).
 * @return the value.
 */
DEQ_API deq_value deq_clamp(deq_graph *g, deq_value x, double low, double high);

/**
 * factor x.
 *
 * @param g a graph.
 * @param x any shape.
 * @param factor a constant.
 * @return the value.
 */
DEQ_API deq_value deq_scale(deq_graph *g, deq_value x, double factor);

/**
 * x + offset.
 *
 * @param g a graph.
 * @param x any shape.
 * @param offset a constant.
 * @return the value.
 */
DEQ_API deq_value deq_shift(deq_graph *g, deq_value x, double offset);

/**
 * a where condition holds, else b: selected, never multiplied.
 *
 * @param g a graph.
 * @param condition DEQ_BOOL.
 * @param a any dtype.
 * @param b of the dtype of a.
 * @return the value.
 */
DEQ_API deq_value deq_where(deq_graph *g, deq_value condition, deq_value a, deq_value b);

/**
 * a = b, as DEQ_BOOL.  Comparisons with NaN are false, except not_equal.
 *
 * @param g a graph.
 * @param a any dtype.
 * @param b of the dtype of a.
 * @return the value.
 */
DEQ_API deq_value deq_equal(deq_graph *g, deq_value a, deq_value b);

/**
 * a != b, as DEQ_BOOL.  Comparisons with NaN are false, except not_equal.
 *
 * @param g a graph.
 * @param a any dtype.
 * @param b of the dtype of a.
 * @return the value.
 */
DEQ_API deq_value deq_not_equal(deq_graph *g, deq_value a, deq_value b);

/**
 * a < b, as DEQ_BOOL.  Comparisons with NaN are false, except not_equal.
 *
 * @param g a graph.
 * @param a any dtype.
 * @param b of the dtype of a.
 * @return the value.
 */
DEQ_API deq_value deq_less(deq_graph *g, deq_value a, deq_value b);

/**
 * a <= b, as DEQ_BOOL.  Comparisons with NaN are false, except not_equal.
 *
 * @param g a graph.
 * @param a any dtype.
 * @param b of the dtype of a.
 * @return the value.
 */
DEQ_API deq_value deq_less_equal(deq_graph *g, deq_value a, deq_value b);

/**
 * a > b, as DEQ_BOOL.  Comparisons with NaN are false, except not_equal.
 *
 * @param g a graph.
 * @param a any dtype.
 * @param b of the dtype of a.
 * @return the value.
 */
DEQ_API deq_value deq_greater(deq_graph *g, deq_value a, deq_value b);

/**
 * a >= b, as DEQ_BOOL.  Comparisons with NaN are false, except not_equal.
 *
 * @param g a graph.
 * @param a any dtype.
 * @param b of the dtype of a.
 * @return the value.
 */
DEQ_API deq_value deq_greater_equal(deq_graph *g, deq_value a, deq_value b);

/**
 * a and b.
 *
 * @param g a graph.
 * @param a DEQ_BOOL.
 * @param b DEQ_BOOL.
 * @return the value.
 */
DEQ_API deq_value deq_logical_and(deq_graph *g, deq_value a, deq_value b);

/**
 * a or b.
 *
 * @param g a graph.
 * @param a DEQ_BOOL.
 * @param b DEQ_BOOL.
 * @return the value.
 */
DEQ_API deq_value deq_logical_or(deq_graph *g, deq_value a, deq_value b);

/**
 * not a.
 *
 * @param g a graph.
 * @param a DEQ_BOOL.
 * @return the value.
 */
DEQ_API deq_value deq_logical_not(deq_graph *g, deq_value a);

/**
 * x in another dtype.  Floats become integers towards zero, NaN becomes 0, values out of range the
 * nearest end; bool is x != 0.  Differentiable between f32 and f64.
 *
 * @param g a graph.
 * @param x any dtype.
 * @param dtype any dtype.
 * @return the value.
 */
DEQ_API deq_value deq_cast(deq_graph *g, deq_value x, deq_dtype dtype);

#ifdef __cplusplus
}
#endif
#endif
