/* SPDX-License-Identifier: MIT */
/*
 * Codes of the element-wise operators.  The reference kernel (op/elementwise.c) and the fused
 * kernels of a backend interpret the same codes, so a chain of them can become one pass.
 *
 *   y_i = f(a_i)    y_i = f(a_i, b_i)    y_i = f(a_i, b_i, c_i)
 *
 * with broadcasting; truth values are 0 and 1 of any dtype.
 */
#ifndef DEQ_OP_ELEMENTWISE_H
#define DEQ_OP_ELEMENTWISE_H

#include "op/op.h"

/* X(code, name, number of inputs, kind).  Kinds: MAP floats to floats, TEST gives bool, LOGIC takes
 * and gives bool, PICK is where(bool, x, y), CAST changes the dtype. */
#define DEQ_ELEMENTWISE_LIST(X)                                                                    \
    X(ADD, "add", 2, MAP)                                                                          \
    X(SUB, "sub", 2, MAP)                                                                          \
    X(MUL, "mul", 2, MAP)                                                                          \
    X(DIV, "div", 2, MAP)                                                                          \
    X(POW, "pow", 2, MAP)                                                                          \
    X(MIN, "min", 2, MAP)                                                                          \
    X(MAX, "max", 2, MAP)                                                                          \
    X(NEG, "neg", 1, MAP)                                                                          \
    X(ABS, "abs", 1, MAP)                                                                          \
    X(SIGN, "sign", 1, MAP)                                                                        \
    X(SQUARE, "square", 1, MAP)                                                                    \
    X(SQRT, "sqrt", 1, MAP)                                                                        \
    X(RSQRT, "rsqrt", 1, MAP)                                                                      \
    X(EXP, "exp", 1, MAP)                                                                          \
    X(LOG, "log", 1, MAP)                                                                          \
    X(LOG1P, "log1p", 1, MAP)                                                                      \
    X(ERF, "erf", 1, MAP)                                                                          \
    X(SIN, "sin", 1, MAP)                                                                          \
    X(COS, "cos", 1, MAP)                                                                          \
    X(TANH, "tanh", 1, MAP)                                                                        \
    X(SIGMOID, "sigmoid", 1, MAP)                                                                  \
    X(SOFTPLUS, "softplus", 1, MAP)                                                                \
    X(RELU, "relu", 1, MAP)                                                                        \
    X(LEAKY_RELU, "leaky_relu", 1, MAP)                                                            \
    X(GELU, "gelu", 1, MAP)                                                                        \
    X(GELU_TANH, "gelu_tanh", 1, MAP)                                                              \
    X(SILU, "silu", 1, MAP)                                                                        \
    X(CLAMP, "clamp", 1, MAP)                                                                      \
    X(WHERE, "where", 3, PICK)                                                                     \
    X(EQUAL, "equal", 2, TEST)                                                                     \
    X(NOT_EQUAL, "not_equal", 2, TEST)                                                             \
    X(LESS, "less", 2, TEST)                                                                       \
    X(LESS_EQUAL, "less_equal", 2, TEST)                                                           \
    X(GREATER, "greater", 2, TEST)                                                                 \
    X(GREATER_EQUAL, "greater_equal", 2, TEST)                                                     \
    X(AND, "logical_and", 2, LOGIC)                                                                \
    X(OR, "logical_or", 2, LOGIC)                                                                  \
    X(NOT, "logical_not", 1, LOGIC)                                                                \
    X(CAST, "cast", 1, CAST)

enum deq_elementwise_code {
    DEQ_EW_NONE = 0,
#define DEQ_EW_ENUM(code, name, arity, kind) DEQ_EW_##code,
    DEQ_ELEMENTWISE_LIST(DEQ_EW_ENUM)
#undef DEQ_EW_ENUM
        DEQ_EW_COUNT
};

/* Attributes of every element-wise node. */
typedef struct deq_elementwise_attr {
    double p[2];   /* leaky_relu: slope; clamp: low, high */
    int64_t dtype; /* cast: the new dtype */
} deq_elementwise_attr;

/* The operators, indexed by code. */
extern const deq_op deq_elementwise_ops[DEQ_EW_COUNT];

/* The shape that both broadcast to, aligned at the last axis; false when there is none. */
bool deq_broadcast_shapes(deq_shape *out, const deq_shape *a, const deq_shape *b);

#endif
