/* SPDX-License-Identifier: MIT */
/* Copies between arrays whose axes lie at arbitrary distances: the kernel of all shape operators. */
#ifndef DEQ_OP_STRIDED_H
#define DEQ_OP_STRIDED_H

#include "op/op.h"

/*
 * For every index i below dim:  to[sum i_k to_step_k] = from[sum i_k from_step_k].
 *
 * Steps are in bytes.  A from_step of zero repeats.  Places in `to` are distinct, and the two arrays
 * do not overlap.
 */
typedef struct deq_strided {
    int rank;
    size_t size; /* bytes of an element: 1, 4 or 8 */
    int64_t dim[DEQ_MAX_RANK], to_step[DEQ_MAX_RANK], from_step[DEQ_MAX_RANK];
} deq_strided;

void deq_strided_copy(void *to, const void *from, const deq_strided *copy, int threads);

/* The distances, in bytes, of the axes of a type stored row-major without gaps. */
void deq_row_major_steps(int64_t *step, const deq_type *type);

/* The copy of the first `dim` elements of each axis between row-major arrays of two types. */
deq_strided deq_strided_between(const deq_type *to, const deq_type *from, const deq_shape *dim);

/* op->flops of operators that only move elements. */
double deq_no_flops(const deq_kernel_call *c);

#endif
