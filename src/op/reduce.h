/* SPDX-License-Identifier: MIT */
/* What the reductions share: their shape rule, and the loop nest that a set of axes collapses to. */
#ifndef DEQ_OP_REDUCE_INTERNAL_H
#define DEQ_OP_REDUCE_INTERNAL_H

#include "op/shape.h"

#include <deq/op/reduce.h>

/*
 * A reduction as few loops as there are.  Neighbouring axes with the same fate are one axis, so what
 * remains alternates between kept and reduced:
 *
 *   x  [.., kept, over, kept, run, inner]       y  [.., kept, kept, inner]
 *
 * `run` is the innermost reduced axis and `inner` what is kept inside it (1 if nothing is).  Outputs
 * are numbered row * inner + j, where `row` counts through the outer kept axes; the `steps` elements
 * behind each of them are numbered by the outer reduced axes and the run.
 */
typedef struct deq_reduce_nest {
    int64_t inner, run;
    int64_t rows, steps; /* inner * rows outputs, each of `steps` elements */
    int n_kept, n_over;  /* outer axes, listed innermost first */
    int64_t kept_dim[DEQ_MAX_RANK], kept_step[DEQ_MAX_RANK];
    int64_t over_dim[DEQ_MAX_RANK], over_step[DEQ_MAX_RANK];
    int64_t block;  /* outputs side by side that are computed together, at most inner */
    int64_t blocks; /* of a row */
    int64_t splits; /* pieces that the steps of every output are cut into */
} deq_reduce_nest;

enum {
    DEQ_REDUCE_BLOCK = 128,     /* most outputs computed together */
    DEQ_REDUCE_PARALLEL = 16384 /* elements from which on threads pay */
};

deq_reduce_nest deq_reduce_nest_of(const deq_kernel_call *c);
/* Where in x, beyond the start of an output, the steps of one index of the outer reduced axes are. */
int64_t deq_reduce_over(const deq_reduce_nest *n, int64_t index);
/* The first step of a split; that of split n->splits is the end. */
int64_t deq_reduce_cut(const deq_reduce_nest *n, int64_t split);

/* Outputs that are computed together: where they start in x and y. */
typedef struct deq_reduce_block {
    int64_t x, y, width;
} deq_reduce_block;

deq_reduce_block deq_reduce_block_of(const deq_reduce_nest *n, int64_t item);

/* op->scratch: partial results of the splits, eight bytes each. */
size_t deq_reduce_scratch(const deq_kernel_call *c);
/* op->flops: one for each element of the input. */
double deq_reduce_flops(const deq_kernel_call *c);

/* op->infer of reductions, for any dtype. */
bool deq_reduce_infer(deq_shape_rule *r);
/* The same for f32 and f64. */
bool deq_reduce_infer_float(deq_shape_rule *r);

/* Emit a reduction. */
deq_value deq_reduce_emit(deq_graph *g, const deq_op *op, deq_value x, uint32_t axes, bool keep);
/* v, which has the shape of node n's output, with the reduced axes back in place (extent one): it
 * then broadcasts against the input. */
deq_value deq_reduce_restore(const deq_frame *n, deq_value v);
/* The sum of v, which has the shape of node n's input, over the node's axes. */
deq_value deq_reduce_sum_like(const deq_frame *n, deq_value v);

#endif
