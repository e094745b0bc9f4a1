/* SPDX-License-Identifier: MIT */
/* What others need to know of the operator "resize": op/resize.c states it. */
#ifndef DEQ_SRC_OP_RESIZE_H
#define DEQ_SRC_OP_RESIZE_H

#include "op/op.h"

extern const deq_op deq_op_resize;

typedef enum deq_resize_mode {
    DEQ_RESIZE_NEAREST,
    DEQ_RESIZE_HALF_PIXEL,
    DEQ_RESIZE_ALIGN_CORNERS
} deq_resize_mode;

typedef struct deq_resize_attr {
    int64_t height, width; /* of the output, also of the adjoint */
    int32_t mode;          /* deq_resize_mode */
    int32_t adjoint;       /* 0: y = R x, 1: x = R' y */
} deq_resize_attr;

#endif
