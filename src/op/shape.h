/* SPDX-License-Identifier: MIT */
/* Operators on shapes and sums, as graph passes see them: which they are and what they carry. */
#ifndef DEQ_OP_SHAPE_INTERNAL_H
#define DEQ_OP_SHAPE_INTERNAL_H

#include "op/op.h"

#include <deq/op/shape.h>

/* One input, one output.  Reshape and stop_gradient leave the elements where they are. */
extern const deq_op deq_op_broadcast;     /* deq_shape_attr */
extern const deq_op deq_op_reshape;       /* deq_shape_attr, without -1 */
extern const deq_op deq_op_stop_gradient; /* no attributes */
extern const deq_op deq_op_permute;       /* deq_permute_attr */
extern const deq_op deq_op_slice;         /* deq_slice_attr */
extern const deq_op deq_op_pad;           /* deq_pad_attr */
extern const deq_op deq_op_pad_adjoint;   /* deq_pad_attr: back to the extents inside */
extern const deq_op deq_op_sum;           /* deq_reduce_attr */

/* Any number of inputs. */
extern const deq_op deq_op_concat; /* deq_concat_attr */

typedef struct deq_shape_attr {
    deq_shape shape; /* of the output */
} deq_shape_attr;

typedef struct deq_permute_attr {
    int32_t rank;
    int32_t order[DEQ_MAX_RANK]; /* axis i of the output is axis order[i] of the input */
} deq_permute_attr;

typedef struct deq_concat_attr {
    int32_t axis;
} deq_concat_attr;

typedef struct deq_slice_attr {
    int64_t axis, start, length;
} deq_slice_attr;

typedef struct deq_pad_attr {
    int64_t mode; /* deq_pad_mode */
    int64_t before[DEQ_MAX_RANK], after[DEQ_MAX_RANK];
} deq_pad_attr;

typedef struct deq_reduce_attr {
    uint32_t axes; /* bit i: axis i is reduced; only axes that the input has */
    uint32_t keep; /* 1: reduced axes stay with extent one */
} deq_reduce_attr;

#endif
