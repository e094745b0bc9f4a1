/* SPDX-License-Identifier: MIT */
/*
 * V = M^-1 by the iteration of Schulz (1933), Newton's method for X^-1 = M:
 *
 *     X <- 2 X - X M X,    X_0 = M' / (|M|_1 |M|_inf)                                             (1)
 *
 * It converges for every regular M, quadratically once |I - X M| is small, after about
 * 2 log2(condition) steps.  Where it arrives is held.  Two more steps from there carry the derivatives:
 * a step squares the error, so after j steps the derivatives up to order 2^j - 1 are those of M^-1.
 */
#include "model/monotone.h"

#include <deq/equilibrium.h>
#include <deq/op.h>

/* 2 X - X M X */
static deq_value schulz(deq_graph *g, deq_value X, deq_value M)
{
    deq_value XM = deq_matmul(g, X, M, false, false);
    return deq_sub(g, deq_scale(g, X, 2), deq_matmul(g, XM, X, false, false));
}

static void cell(deq_graph *g, const deq_value *X, deq_value *next, void *user)
{
    next[0] = schulz(g, X[0], *(const deq_value *)user);
}

/* The largest sum of moduli of a row (axis 1) or a column (axis 0). */
static deq_value largest_sum(deq_graph *g, deq_value M, int axis)
{
    return deq_reduce_max(g, deq_sum(g, deq_abs(g, M), 1u << axis, false), DEQ_ALL_AXES, false);
}

deq_value deq_monotone_inverse(deq_graph *g, deq_value M)
{
    deq_type t = deq_value_type(g, M);
    int64_t n = t.shape.dim[0];
    deq_value held = deq_stop_gradient(g, M);
    deq_value scale = deq_mul(g, largest_sum(g, held, 0), largest_sum(g, held, 1));
    deq_value X = deq_div(g, deq_transpose(g, held, 0, 1), scale);

    /* a batch of one */
    deq_value M1 = deq_reshape(g, held, DEQ_SHAPE(1, n, n));
    deq_equilibrium_options o = deq_equilibrium_defaults();
    o.forward.method = DEQ_PICARD;
    o.forward.max_iter = 100;
    o.forward.rtol = t.dtype == DEQ_F64 ? 1e-9 : 1e-5; /* two steps square it twice */
    o.forward.divergence = 0;
    o.forward.stagnation_window = 0;
    X = deq_equilibrium(g, cell, &M1, deq_reshape(g, X, DEQ_SHAPE(1, n, n)), &o, NULL);
    X = deq_stop_gradient(g, deq_reshape(g, X, DEQ_SHAPE(n, n)));
    for (int j = 0; j < 2; j++) X = schulz(g, X, M);
    return X;
}
