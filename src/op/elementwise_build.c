/* SPDX-License-Identifier: MIT */
/* Builder functions of the element-wise operators. */
#include "op/elementwise.h"

#include <deq/op.h>
#include <string.h>

static deq_value emit(deq_graph *g, int code, const deq_value *in, int n_in, double p0, double p1,
                      deq_dtype dtype)
{
    deq_elementwise_attr a;
    memset(&a, 0, sizeof a);
    a.p[0] = p0;
    a.p[1] = p1;
    a.dtype = (int64_t)dtype;
    return deq_emit1(g, &deq_elementwise_ops[code], &a, sizeof a, in, n_in);
}

static deq_value unary(deq_graph *g, int code, deq_value x)
{
    return emit(g, code, &x, 1, 0, 0, (deq_dtype)0);
}

static deq_value binary(deq_graph *g, int code, deq_value a, deq_value b)
{
    deq_value in[2] = { a, b };
    return emit(g, code, in, 2, 0, 0, (deq_dtype)0);
}

#define BINARY(name, code)                                                                         \
    deq_value deq_##name(deq_graph *g, deq_value a, deq_value b)                                   \
    {                                                                                              \
        return binary(g, DEQ_EW_##code, a, b);                                                     \
    }
#define UNARY(name, code)                                                                          \
    deq_value deq_##name(deq_graph *g, deq_value x)                                                \
    {                                                                                              \
        return unary(g, DEQ_EW_##code, x);                                                         \
    }

BINARY(add, ADD)
BINARY(sub, SUB)
BINARY(mul, MUL)
BINARY(div, DIV)
BINARY(pow, POW)
BINARY(min, MIN)
BINARY(max, MAX)
BINARY(equal, EQUAL)
BINARY(not_equal, NOT_EQUAL)
BINARY(less, LESS)
BINARY(less_equal, LESS_EQUAL)
BINARY(greater, GREATER)
BINARY(greater_equal, GREATER_EQUAL)
BINARY(logical_and, AND)
BINARY(logical_or, OR)
UNARY(logical_not, NOT)
UNARY(neg, NEG)
UNARY(abs, ABS)
UNARY(sign, SIGN)
UNARY(square, SQUARE)
UNARY(sqrt, SQRT)
UNARY(rsqrt, RSQRT)
UNARY(exp, EXP)
UNARY(log, LOG)
UNARY(log1p, LOG1P)
UNARY(erf, ERF)
UNARY(sin, SIN)
UNARY(cos, COS)
UNARY(tanh, TANH)
UNARY(sigmoid, SIGMOID)
UNARY(softplus, SOFTPLUS)
UNARY(relu, RELU)
UNARY(gelu, GELU)
UNARY(gelu_tanh, GELU_TANH)
UNARY(silu, SILU)

deq_value deq_leaky_relu(deq_graph *g, deq_value x, double slope)
{
    return emit(g, DEQ_EW_LEAKY_RELU, &x, 1, slope, 0, (deq_dtype)0);
}

deq_value deq_clamp(deq_graph *g, deq_value x, double low, double high)
{
    if (!(low <= high))
        return deq_graph_fail(g, DEQ_ERR_ARGUMENT, "clamp: low %g is not below high %g", low, high);
    return emit(g, DEQ_EW_CLAMP, &x, 1, low, high, (deq_dtype)0);
}

/* A scalar of x's dtype, so that constants fold and broadcast for free. */
static deq_value scalar_like(deq_graph *g, deq_value x, double number)
{
    deq_dtype d = deq_value_type(g, x).dtype;
    return d ? deq_fill(g, d, DEQ_SCALAR, number) : x;
}

deq_value deq_scale(deq_graph *g, deq_value x, double factor)
{
    return deq_mul(g, x, scalar_like(g, x, factor));
}

deq_value deq_shift(deq_graph *g, deq_value x, double offset)
{
    return deq_add(g, x, scalar_like(g, x, offset));
}

deq_value deq_where(deq_graph *g, deq_value condition, deq_value a, deq_value b)
{
    deq_value in[3] = { condition, a, b };
    return emit(g, DEQ_EW_WHERE, in, 3, 0, 0, (deq_dtype)0);
}

deq_value deq_cast(deq_graph *g, deq_value x, deq_dtype dtype)
{
    return emit(g, DEQ_EW_CAST, &x, 1, 0, 0, dtype);
}
