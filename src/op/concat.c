/* SPDX-License-Identifier: MIT */
/*
 * Concat and slice.  Each is the other's adjoint:
 *
 *   y = concat(x_1, .., x_n)     dx_k = the slice of dy where x_k lies
 *   y = slice(x)                 dx   = dy, surrounded by zeros
 */
#include "op/shape.h"
#include "op/strided.h"

#include <string.h>

static bool check_axis(deq_shape_rule *r, int64_t axis)
{
    if (!r->in[0].dtype) return deq_rule_fail(r, DEQ_ERR_ARGUMENT, "input 0 is absent");
    if (axis >= 0 && axis < r->in[0].shape.rank) return true;
    return deq_rule_fail(r, DEQ_ERR_ARGUMENT, "axis %lld, the input has rank %d", (long long)axis,
                         r->in[0].shape.rank);
}

/* --- concat ---------------------------------------------------------------------------------- */

static bool check_companion(deq_shape_rule *r, int i, int axis)
{
    const deq_shape *a = &r->in[0].shape, *b = &r->in[i].shape;
    if (!r->in[i].dtype) return deq_rule_fail(r, DEQ_ERR_ARGUMENT, "input %d is absent", i);
    if (!deq_rule_same_dtype(r, 0, i) || !deq_rule_rank(r, i, a->rank)) return false;
    for (int k = 0; k < a->rank; k++)
        if (k != axis && a->dim[k] != b->dim[k])
            return deq_rule_fail(r, DEQ_ERR_SHAPE,
                                 "axis %d has extent %lld in input 0, %lld in input %d", k,
                                 (long long)a->dim[k], (long long)b->dim[k], i);
    return true;
}

static bool infer_concat(deq_shape_rule *r)
{
    int axis = ((const deq_concat_attr *)r->attr)->axis;
    if (!check_axis(r, axis)) return false;
    r->out[0] = r->in[0];
    int64_t *sum = &r->out[0].shape.dim[axis];
    for (int i = 1; i < r->n_in; i++) {
        if (!check_companion(r, i, axis)) return false;
        if (r->in[i].shape.dim[axis] > INT64_MAX - *sum)
            return deq_rule_fail(r, DEQ_ERR_OVERFLOW, "the extents of axis %d add up to too much",
                                 axis);
        *sum += r->in[i].shape.dim[axis];
    }
    return true;
}

static void vjp_concat(const deq_frame *n, const deq_value *dy, deq_value *dx)
{
    int axis = ((const deq_concat_attr *)n->attr)->axis;
    int64_t start = 0;
    for (int i = 0; i < n->n_in; i++) {
        int64_t length = deq_value_type(n->g, n->in[i]).shape.dim[axis];
        if (n->need[i]) dx[i] = deq_slice(n->g, dy[0], axis, start, length);
        start += length;
    }
}

static deq_status concat_kernel(const deq_kernel_call *c)
{
    int axis = ((const deq_concat_attr *)c->attr)->axis;
    char *to = c->out[0];
    for (int i = 0; i < c->n_in; i++) {
        deq_strided s = deq_strided_between(&c->out_type[0], &c->in_type[i], &c->in_type[i].shape);
        deq_strided_copy(to, c->in[i], &s, c->threads);
        to += s.dim[axis] * s.to_step[axis];
    }
    return DEQ_OK;
}

const deq_op deq_op_concat = {
    .name = "concat",
    .n_out = 1,
    .attr_bytes = sizeof(deq_concat_attr),
    .joint = true,
    .infer = infer_concat,
    .vjp = vjp_concat,
    .kernel = concat_kernel,
    .flops = deq_no_flops,
};

deq_value deq_concat(deq_graph *g, const deq_value *x, int n, int axis)
{
    deq_concat_attr a = { axis };
    if (n < 1 || !x) return deq_graph_fail(g, DEQ_ERR_ARGUMENT, "concat: no values given");
    return deq_emit1(g, &deq_op_concat, &a, sizeof a, x, n);
}

/* --- slice ----------------------------------------------------------------------------------- */

static bool infer_slice(deq_shape_rule *r)
{
    const deq_slice_attr *a = r->attr;
    if (!check_axis(r, a->axis)) return false;
    int64_t extent = r->in[0].shape.dim[a->axis];
    if (a->start < 0 || a->length < 1 || a->length > extent || a->start > extent - a->length)
        return deq_rule_fail(
            r, DEQ_ERR_SHAPE,
            "start %lld and length %lld do not lie within axis %lld of extent %lld",
            (long long)a->start, (long long)a->length, (long long)a->axis, (long long)extent);
    r->out[0] = r->in[0];
    r->out[0].shape.dim[a->axis] = a->length;
    return true;
}

static void vjp_slice(const deq_frame *n, const deq_value *dy, deq_value *dx)
{
    const deq_slice_attr *a = n->attr;
    int64_t before[DEQ_MAX_RANK] = { 0 }, after[DEQ_MAX_RANK] = { 0 };
    int64_t extent = deq_value_type(n->g, n->in[0]).shape.dim[a->axis];
    before[a->axis] = a->start;
    after[a->axis] = extent - a->start - a->length;
    dx[0] = deq_pad(n->g, dy[0], before, after, DEQ_PAD_ZERO);
}

static deq_status slice_kernel(const deq_kernel_call *c)
{
    const deq_slice_attr *a = c->attr;
    deq_strided s = deq_strided_between(&c->out_type[0], &c->in_type[0], &c->out_type[0].shape);
    deq_strided_copy(c->out[0], (const char *)c->in[0] + a->start * s.from_step[a->axis], &s,
                     c->threads);
    return DEQ_OK;
}

const deq_op deq_op_slice = {
    .name = "slice",
    .n_out = 1,
    .attr_bytes = sizeof(deq_slice_attr),
    .linear = 1,
    .joint = true,
    .infer = infer_slice,
    .vjp = vjp_slice,
    .kernel = slice_kernel,
    .flops = deq_no_flops,
};

deq_value deq_slice(deq_graph *g, deq_value x, int axis, int64_t start, int64_t length)
{
    deq_slice_attr a = { axis, start, length };
    deq_type t = deq_value_type(g, x);
    bool whole = axis >= 0 && axis < t.shape.rank && start == 0 && length == t.shape.dim[axis];
    return whole ? x : deq_emit1(g, &deq_op_slice, &a, sizeof a, &x, 1);
}
