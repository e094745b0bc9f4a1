/* SPDX-License-Identifier: MIT */
/*
 * The two operators under every per-sample normalisation.  x is [B, C, ...]; a group is C / groups
 * consecutive channels of one sample with all axes behind them, n elements; m(.) is the mean over a
 * group.
 *
 *   normalize           x               ->  xhat = (x - m(x)) rstd,
 *                                           rstd = 1 / sqrt(m((x - m(x))^2) + eps)
 *   normalize_tangent   v, xhat, rstd   ->  rstd (v - m(v) - xhat m(xhat v))
 *
 * xhat has the type of x, rstd is [B, groups].  The second is the Jacobian of xhat applied to v; as
 * the Jacobian is symmetric, it serves both derivatives of the first.
 */
#ifndef DEQ_SRC_OP_NORM_H
#define DEQ_SRC_OP_NORM_H

#include "op/op.h"

extern const deq_op deq_op_normalize, deq_op_normalize_tangent;

typedef struct deq_normalize_attr {
    int64_t groups;
    double eps;
} deq_normalize_attr;

typedef struct deq_normalize_tangent_attr {
    int64_t groups;
} deq_normalize_tangent_attr;

/* Add the nodes; rstd may be NULL. */
deq_value deq_normalize(deq_graph *g, deq_value x, int64_t groups, double eps, deq_value *rstd);
deq_value deq_normalize_tangent(deq_graph *g, deq_value v, deq_value xhat, deq_value rstd,
                                int64_t groups);

#endif
