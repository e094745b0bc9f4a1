/* SPDX-License-Identifier: MIT */
/*
 * Two operators that are each other's adjoint.  With labels t of x's shape without the class axis
 * of K classes,
 *
 *   pick    y[b, s]    = x[b, t[b, s], s]                 0 where t is ignored
 *   place   x[b, k, s] = y[b, s] if k = t[b, s], else 0   all 0 where t is ignored
 *
 * A label outside 0 to K - 1 that is not ignored is DEQ_ERR_DATA at run time.
 */
#ifndef DEQ_SRC_OP_PICK_H
#define DEQ_SRC_OP_PICK_H

#include "op/op.h"

typedef struct deq_pick_attr {
    int64_t axis;         /* of the classes in x, at least 0 */
    int64_t classes;      /* K */
    int64_t has_ignore;   /* 0 or 1 */
    int64_t ignore_index; /* 0 without has_ignore */
} deq_pick_attr;

deq_value deq_pick(deq_graph *g, deq_value x, deq_value labels, const deq_pick_attr *a);
deq_value deq_place(deq_graph *g, deq_value y, deq_value labels, const deq_pick_attr *a);

#endif
