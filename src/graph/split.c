/* SPDX-License-Identifier: MIT */
/*
 * The share of a linear operator that acts on input which changes less often:
 *
 *     A . concat(z, x) = A_z . z + A_x . x
 *
 * for a convolution (concatenated channels) or a matrix product (concatenated inner extent), when
 * the parts of the concatenation belong to different stages.  The term of x then leaves the loop
 * over z, and z is not copied next to x any more.
 */
#include "graph/rewrite.h"
#include "op/conv.h"
#include "op/elementwise.h"
#include "op/matmul.h"
#include "op/shape.h"

#include <string.h>

/* The parts belong to more than one stage. */
static bool changes_at_different_rates(const deq_graph *g, const deq_node *concat)
{
    for (int i = 1; i < concat->n_in; i++)
        if (deq_node_of(g, concat->in[i])->stage != deq_node_of(g, concat->in[0])->stage)
            return true;
    return false;
}

/* Which input of n is split along which axis, and which axis of the other input goes with it. */
typedef struct split {
    int input, axis, other, other_axis;
} split;

static bool find_split(const deq_graph *g, const deq_node *n, const deq_value *in, split *s)
{
    if (n->op == &deq_op_conv2d) {
        if (((const deq_conv_attr *)n->attr)->groups != 1) return false;
        *s = (split){ 0, 1, 1, 1 };
    } else if (n->op == &deq_op_matmul) {
        const deq_matmul_attr *a = n->attr;
        int ra = deq_type_of(g, in[0])->shape.rank, rb = deq_type_of(g, in[1])->shape.rank;
        *s = (split){ 0, a->transpose_a ? ra - 2 : ra - 1, 1, a->transpose_b ? rb - 1 : rb - 2 };
    } else {
        return false;
    }
    const deq_node *c = deq_node_of(g, in[s->input]);
    return c->op == &deq_op_concat && ((const deq_concat_attr *)c->attr)->axis == s->axis &&
           changes_at_different_rates(g, c);
}

static deq_value slice_of(deq_rewriter *r, deq_value v, int axis, int64_t start, int64_t length)
{
    deq_slice_attr a;
    memset(&a, 0, sizeof a);
    a.axis = axis;
    a.start = start;
    a.length = length;
    deq_value out;
    deq_rewrite_emit(r, &deq_op_slice, &a, sizeof a, &v, 1, &out, 1);
    return out;
}

/* The terms, added in order of rising stage so that all but the last addition can leave the loop. */
deq_value deq_split_linear(deq_rewriter *r, const deq_node *n, const deq_value *in)
{
    split s;
    if (!find_split(r->g, n, in, &s)) return DEQ_NONE;
    deq_node concat = *deq_node_of(r->g, in[s.input]); /* a copy: nodes move as the graph grows */
    deq_value sum = DEQ_NONE;
    for (deq_stage stage = DEQ_STAGE_CONSTANT; stage <= DEQ_STAGE_STATE; stage++) {
        int64_t at = 0;
        for (int i = 0; i < concat.n_in; i++) {
            int64_t length = deq_type_of(r->g, concat.in[i])->shape.dim[s.axis];
            int64_t start = at;
            at += length;
            if (deq_node_of(r->g, concat.in[i])->stage != stage) continue;
            deq_value part[2], term;
            part[s.input] = concat.in[i];
            part[s.other] = slice_of(r, in[s.other], s.other_axis, start, length);
            deq_rewrite_emit(r, n->op, n->attr, n->attr_bytes, part, 2, &term, 1);
            if (r->g->status != DEQ_OK) return term;
            if (sum.id == 0) {
                sum = term;
                continue;
            }
            deq_elementwise_attr a;
            memset(&a, 0, sizeof a);
            deq_value both[2] = { term, sum };
            deq_rewrite_emit(r, &deq_elementwise_ops[DEQ_EW_ADD], &a, sizeof a, both, 2, &sum, 1);
        }
    }
    return sum;
}
