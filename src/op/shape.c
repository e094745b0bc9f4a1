/* SPDX-License-Identifier: MIT */
/* Broadcast, reshape, stop_gradient: one input, the elements of which keep their order. */
#include "op/shape.h"

#include "op/strided.h"

#include <deq/op/reduce.h>
#include <string.h>

/* Field by field, because the bytes of attributes are compared and structs have padding. */
static deq_value emit_shape(deq_graph *g, const deq_op *op, deq_value x, const deq_shape *shape)
{
    deq_shape_attr a;
    memset(&a, 0, sizeof a);
    a.shape.rank = shape->rank;
    for (int i = 0; i < shape->rank && i < DEQ_MAX_RANK; i++) a.shape.dim[i] = shape->dim[i];
    return deq_emit1(g, op, &a, sizeof a, &x, 1);
}

static bool has_shape(const deq_graph *g, deq_value x, const deq_shape *shape)
{
    deq_type t = deq_value_type(g, x);
    return t.dtype && deq_shape_equal(&t.shape, shape);
}

/* The input is there and the wanted shape has a rank that shapes may have. */
static bool check_target(deq_shape_rule *r, const deq_shape *s)
{
    if (!r->in[0].dtype) return deq_rule_fail(r, DEQ_ERR_ARGUMENT, "input 0 is absent");
    if (s->rank >= 0 && s->rank <= DEQ_MAX_RANK) return true;
    return deq_rule_fail(r, DEQ_ERR_SHAPE, "the wanted rank is %d, expected 0 to %d", s->rank,
                         DEQ_MAX_RANK);
}

static deq_type wanted_type(const deq_shape_rule *r)
{
    const deq_shape_attr *a = r->attr;
    return (deq_type){ r->in[0].dtype, a->shape };
}

/* --- broadcast: y[.., i, ..] = x[.., 0, ..] where x has extent one --------------------------- */

static bool infer_broadcast(deq_shape_rule *r)
{
    const deq_shape *to = &((const deq_shape_attr *)r->attr)->shape, *from = &r->in[0].shape;
    char a[256];
    if (!check_target(r, to)) return false;
    r->out[0] = wanted_type(r);
    int added = to->rank - from->rank;
    bool fits = added >= 0;
    for (int i = 0; fits && i < from->rank; i++)
        fits = from->dim[i] == 1 || from->dim[i] == to->dim[i + added];
    if (fits) return true;
    return deq_rule_fail(r, DEQ_ERR_SHAPE, "the input does not repeat to %s",
                         deq_type_format(a, sizeof a, &r->out[0]));
}

static void vjp_broadcast(const deq_frame *n, const deq_value *dy, deq_value *dx)
{
    dx[0] = deq_sum_to(n->g, dy[0], deq_value_type(n->g, n->in[0]).shape);
}

static deq_status broadcast_kernel(const deq_kernel_call *c)
{
    const deq_shape *to = &c->out_type[0].shape, *from = &c->in_type[0].shape;
    deq_strided s = { .rank = to->rank, .size = deq_dtype_size(c->in_type[0].dtype) };
    int64_t step[DEQ_MAX_RANK];
    int added = to->rank - from->rank;
    deq_row_major_steps(step, &c->in_type[0]);
    deq_row_major_steps(s.to_step, &c->out_type[0]);
    for (int i = 0; i < to->rank; i++) {
        s.dim[i] = to->dim[i];
        s.from_step[i] = i < added || from->dim[i - added] == 1 ? 0 : step[i - added];
    }
    deq_strided_copy(c->out[0], c->in[0], &s, c->threads);
    return DEQ_OK;
}

const deq_op deq_op_broadcast = {
    .name = "broadcast",
    .n_out = 1,
    .attr_bytes = sizeof(deq_shape_attr),
    .linear = 1,
    .joint = true,
    .infer = infer_broadcast,
    .vjp = vjp_broadcast,
    .kernel = broadcast_kernel,
    .flops = deq_no_flops,
};

deq_value deq_broadcast(deq_graph *g, deq_value x, deq_shape shape)
{
    return has_shape(g, x, &shape) ? x : emit_shape(g, &deq_op_broadcast, x, &shape);
}

/* --- reshape: the same elements in the same order -------------------------------------------- */

static bool infer_reshape(deq_shape_rule *r)
{
    const deq_shape *to = &((const deq_shape_attr *)r->attr)->shape;
    char a[256];
    if (!check_target(r, to)) return false;
    r->out[0] = wanted_type(r);
    int64_t rest = deq_shape_count(&r->in[0].shape); /* elements not yet placed, without overflow */
    for (int i = 0; i < to->rank; i++)
        rest = to->dim[i] > 0 && rest % to->dim[i] == 0 ? rest / to->dim[i] : 0;
    if (rest == 1) return true;
    return deq_rule_fail(r, DEQ_ERR_SHAPE, "%lld elements do not make %s",
                         (long long)deq_shape_count(&r->in[0].shape),
                         deq_type_format(a, sizeof a, &r->out[0]));
}

static void vjp_reshape(const deq_frame *n, const deq_value *dy, deq_value *dx)
{
    dx[0] = deq_reshape(n->g, dy[0], deq_value_type(n->g, n->in[0]).shape);
}

static deq_status copy_kernel(const deq_kernel_call *c)
{
    memcpy(c->out[0], c->in[0], deq_type_bytes(&c->out_type[0]));
    return DEQ_OK;
}

const deq_op deq_op_reshape = {
    .name = "reshape",
    .n_out = 1,
    .attr_bytes = sizeof(deq_shape_attr),
    .linear = 1,
    .joint = true,
    .infer = infer_reshape,
    .vjp = vjp_reshape,
    .kernel = copy_kernel,
    .flops = deq_no_flops,
};

/* Put the extent that follows from the others in the place of the one -1.  What cannot be resolved
 * stays for the shape rule to refuse. */
static void resolve_extent(deq_shape *shape, int64_t count)
{
    int at = -1;
    if (shape->rank < 0 || shape->rank > DEQ_MAX_RANK) return;
    for (int i = 0; i < shape->rank; i++) {
        if (shape->dim[i] == -1 && at < 0)
            at = i;
        else if (shape->dim[i] < 1 || count % shape->dim[i] != 0)
            return;
        else
            count /= shape->dim[i];
    }
    if (at >= 0) shape->dim[at] = count;
}

deq_value deq_reshape(deq_graph *g, deq_value x, deq_shape shape)
{
    deq_type t = deq_value_type(g, x);
    if (t.dtype) resolve_extent(&shape, deq_shape_count(&t.shape));
    return has_shape(g, x, &shape) ? x : emit_shape(g, &deq_op_reshape, x, &shape);
}

/* --- stop_gradient: the identity, with no derivative ----------------------------------------- */

static bool infer_same(deq_shape_rule *r)
{
    if (!r->in[0].dtype) return deq_rule_fail(r, DEQ_ERR_ARGUMENT, "input 0 is absent");
    r->out[0] = r->in[0];
    return true;
}

const deq_op deq_op_stop_gradient = {
    .name = "stop_gradient",
    .n_out = 1,
    .infer = infer_same,
    .kernel = copy_kernel,
    .flops = deq_no_flops,
};

deq_value deq_stop_gradient(deq_graph *g, deq_value x)
{
    return deq_emit1(g, &deq_op_stop_gradient, NULL, 0, &x, 1);
}
