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
    deq_node concat; /* a copy: nodes move as the graph grows */
    bool reshaped;   /* its parts need the shape that the concatenation was given */
} split;

static int last_axis(const deq_graph *g, deq_value v)
{
    return deq_type_of(g, v)->shape.rank - 1;
}

/* The axis that a reshape leaves alone: as many elements before it, and the same extent.  -1 if there
 * is none. */
static int axis_before(const deq_shape *from, const deq_shape *to, int axis)
{
    int64_t before = 1, reached = 1;
    for (int i = 0; i < axis; i++) before *= to->dim[i];
    for (int i = 0; i < from->rank; i++) {
        if (reached == before && from->dim[i] == to->dim[axis]) return i;
        reached *= from->dim[i];
    }
    return -1;
}

/* The concatenation behind v along the axis that is split; perhaps behind a reshape that leaves this
 * axis alone: a matrix product of more than two axes and a convolution of sequences are written so. */
static bool find_concat(const deq_graph *g, deq_value v, split *s)
{
    const deq_node *c = deq_node_of(g, v);
    int axis = s->axis;
    s->reshaped = c->op == &deq_op_reshape;
    if (s->reshaped) {
        axis = axis_before(&deq_type_of(g, c->in[0])->shape, &deq_type_of(g, v)->shape, axis);
        c = deq_node_of(g, c->in[0]);
    }
    s->concat = *c;
    return c->op == &deq_op_concat && ((const deq_concat_attr *)c->attr)->axis == axis &&
           changes_at_different_rates(g, c);
}

static bool find_split(const deq_graph *g, const deq_node *n, const deq_value *in, split *s)
{
    if (n->op == &deq_op_conv2d) {
        if (((const deq_conv_attr *)n->attr)->groups != 1) return false;
        *s = (split){ .input = 0, .axis = 1, .other = 1, .other_axis = 1 };
    } else if (n->op == &deq_op_matmul) {
        const deq_matmul_attr *a = n->attr;
        int la = last_axis(g, in[0]), lb = last_axis(g, in[1]);
        *s = (split){ .input = 0,
                      .axis = a->transpose_a ? la - 1 : la,
                      .other = 1,
                      .other_axis = a->transpose_b ? lb : lb - 1 };
    } else {
        return false;
    }
    return find_concat(g, in[s->input], s);
}

/* Part i of the concatenation as an input of the operator that is split. */
static deq_value part_of(deq_rewriter *r, const split *s, int i, deq_value whole)
{
    deq_value v = s->concat.in[i], out;
    if (!s->reshaped) return v;
    deq_shape_attr a;
    memset(&a, 0, sizeof a);
    const deq_shape *shape = &deq_type_of(r->g, whole)->shape;
    a.shape.rank = shape->rank;
    for (int k = 0; k < shape->rank; k++) a.shape.dim[k] = shape->dim[k];
    a.shape.dim[s->axis] =
        deq_type_of(r->g, v)->shape.dim[((const deq_concat_attr *)s->concat.attr)->axis];
    deq_rewrite_emit(r, &deq_op_reshape, &a, sizeof a, &v, 1, &out, 1);
    return out;
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
    int parts_axis = ((const deq_concat_attr *)s.concat.attr)->axis;
    deq_value sum = DEQ_NONE;
    for (deq_stage stage = DEQ_STAGE_CONSTANT; stage <= DEQ_STAGE_STATE; stage++) {
        int64_t at = 0;
        for (int i = 0; i < s.concat.n_in; i++) {
            int64_t length = deq_type_of(r->g, s.concat.in[i])->shape.dim[parts_axis];
            int64_t start = at;
            at += length;
            if (deq_node_of(r->g, s.concat.in[i])->stage != stage) continue;
            deq_value part[2], term;
            part[s.input] = part_of(r, &s, i, in[s.input]);
            part[s.other] = slice_of(r, in[s.other], s.other_axis, start, length);
            deq_rewrite_emit(r, n->op, n->attr, n->attr_bytes, part, 2, &term, 1);
            if (r->g->status != DEQ_OK) return (deq_value){ -1 };
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
