/* SPDX-License-Identifier: MIT */
/* Permute:  y[i_order[0], i_order[1], ..] = x[i_0, i_1, ..]. */
#include "op/shape.h"
#include "op/strided.h"

#include <string.h>

static bool infer(deq_shape_rule *r)
{
    const deq_permute_attr *a = r->attr;
    const deq_shape *x = &r->in[0].shape;
    unsigned seen = 0;
    if (!r->in[0].dtype) return deq_rule_fail(r, DEQ_ERR_ARGUMENT, "input 0 is absent");
    if (a->rank != x->rank)
        return deq_rule_fail(r, DEQ_ERR_ARGUMENT, "the order names %d axes, the input has %d",
                             (int)a->rank, x->rank);
    r->out[0].dtype = r->in[0].dtype;
    r->out[0].shape.rank = x->rank;
    for (int i = 0; i < x->rank; i++) {
        int axis = a->order[i];
        if (axis < 0 || axis >= x->rank)
            return deq_rule_fail(r, DEQ_ERR_ARGUMENT, "axis %d in the order, expected 0 to %d",
                                 axis, x->rank - 1);
        if (seen >> axis & 1)
            return deq_rule_fail(r, DEQ_ERR_ARGUMENT, "axis %d is in the order twice", axis);
        seen |= 1u << axis;
        r->out[0].shape.dim[i] = x->dim[axis];
    }
    return true;
}

static void vjp(const deq_frame *n, const deq_value *dy, deq_value *dx)
{
    const deq_permute_attr *a = n->attr;
    int inverse[DEQ_MAX_RANK] = { 0 };
    for (int i = 0; i < a->rank; i++) inverse[a->order[i]] = i;
    dx[0] = deq_permute(n->g, dy[0], inverse, a->rank);
}

static deq_status kernel(const deq_kernel_call *c)
{
    const deq_permute_attr *a = c->attr;
    deq_strided s = { .rank = a->rank, .size = deq_dtype_size(c->in_type[0].dtype) };
    int64_t step[DEQ_MAX_RANK];
    deq_row_major_steps(step, &c->in_type[0]);
    deq_row_major_steps(s.to_step, &c->out_type[0]);
    for (int i = 0; i < a->rank; i++) {
        s.dim[i] = c->out_type[0].shape.dim[i];
        s.from_step[i] = step[a->order[i]];
    }
    deq_strided_copy(c->out[0], c->in[0], &s, c->threads);
    return DEQ_OK;
}

const deq_op deq_op_permute = {
    .name = "permute",
    .n_out = 1,
    .attr_bytes = sizeof(deq_permute_attr),
    .linear = 1,
    .joint = true,
    .infer = infer,
    .vjp = vjp,
    .kernel = kernel,
    .flops = deq_no_flops,
};

static bool is_identity(const deq_graph *g, deq_value x, const int *order, int n)
{
    deq_type t = deq_value_type(g, x);
    if (!t.dtype || t.shape.rank != n) return false;
    for (int i = 0; i < n; i++)
        if (order[i] != i) return false;
    return true;
}

deq_value deq_permute(deq_graph *g, deq_value x, const int *order, int n)
{
    deq_permute_attr a;
    memset(&a, 0, sizeof a);
    a.rank = n;
    for (int i = 0; i < n && i < DEQ_MAX_RANK; i++) a.order[i] = order[i];
    return is_identity(g, x, order, n) ? x : deq_emit1(g, &deq_op_permute, &a, sizeof a, &x, 1);
}

deq_value deq_transpose(deq_graph *g, deq_value x, int a, int b)
{
    deq_type t = deq_value_type(g, x);
    int order[DEQ_MAX_RANK], n = t.shape.rank;
    if (t.dtype && (a < 0 || b < 0 || a >= n || b >= n))
        return deq_graph_fail(g, DEQ_ERR_ARGUMENT,
                              "transpose: axes %d and %d, the input has rank %d", a, b, n);
    for (int i = 0; i < n; i++) order[i] = i == a ? b : i == b ? a : i;
    return deq_permute(g, x, order, n);
}
