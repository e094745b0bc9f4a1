/* SPDX-License-Identifier: MIT */
/*
 * From element-wise nodes behind a convolution or a matrix product to post-operations of oneDNN.
 *
 * Only what the library computes as the operators promise is taken.  Left to the fused kernels are
 *
 *   relu, clamp, min, max    the library turns NaN into a number; a solver must see NaN
 *   exp                      the same: NaN becomes infinity
 *   log, softplus            relative errors of 25 % near log 1, 2 % at softplus(-10)
 *
 * The others agree with the C library's functions in double within an absolute 1e-6 or three units
 * in the last place: tanh 6e-8, sigmoid 1.2e-7, gelu 5e-7 (2e-6 in version 3), silu 3e-7 relative.
 */
#include "backend/cpu/onednn.h"
#include "op/elementwise.h"

#include <string.h>

static deq_onednn_post *append(deq_onednn_spec *s, int code)
{
    if (s->n_posts == DEQ_ONEDNN_POSTS) return NULL;
    deq_onednn_post *p = &s->post[s->n_posts++];
    *p = (deq_onednn_post){ .code = code };
    return p;
}

/* Version 2 gives two functions of one kind the numbers of the first one, so they must be equal. */
static bool append_function(deq_onednn_spec *s, int code, double alpha, double beta)
{
    for (int i = 0; i < s->n_posts; i++) {
        const deq_onednn_post *p = &s->post[i];
        if (p->code == code && (p->alpha != (float)alpha || p->beta != (float)beta)) return false;
    }
    deq_onednn_post *p = append(s, code);
    if (!p) return false;
    p->alpha = (float)alpha;
    p->beta = (float)beta;
    return true;
}

/* v <- alpha v + beta; two in a row are one. */
static bool append_linear(deq_onednn_spec *s, double alpha, double beta)
{
    if (s->n_posts > 0 && s->post[s->n_posts - 1].code == DEQ_EW_NONE) {
        const deq_onednn_post *last = &s->post[--s->n_posts];
        beta += alpha * (double)last->beta;
        alpha *= (double)last->alpha;
    }
    return append_function(s, DEQ_EW_NONE, alpha, beta);
}

static bool append_unary(deq_onednn_spec *s, int code, const deq_elementwise_attr *a)
{
    switch (code) {
    case DEQ_EW_NEG: return append_linear(s, -1, 0);
    case DEQ_EW_LEAKY_RELU:
        /* With slope 0 the library takes its way for relu. */
        return (float)a->p[0] != 0 && append_function(s, code, a->p[0], 0);
    case DEQ_EW_ABS:
    case DEQ_EW_SQUARE:
    case DEQ_EW_SQRT:
    case DEQ_EW_TANH:
    case DEQ_EW_SIGMOID:
    case DEQ_EW_SILU:
    case DEQ_EW_GELU:
    case DEQ_EW_GELU_TANH: return append_function(s, code, 0, 0);
    default: return false;
    }
}

/* v op number, or number op v. */
static bool append_number(deq_onednn_spec *s, int code, double number, bool v_first)
{
    switch (code) {
    case DEQ_EW_ADD: return append_linear(s, 1, number);
    case DEQ_EW_MUL: return append_linear(s, number, 0);
    case DEQ_EW_SUB: return v_first ? append_linear(s, 1, -number) : append_linear(s, -1, number);
    default: return false;
    }
}

/* How the operand is read beside a result of type `result`: full-size, one number for each channel,
 * or a single number. */
static bool describe_operand(const deq_onednn_spec *s, deq_onednn_operand *o,
                             const deq_shape *operand, const deq_shape *result, int channel_axis)
{
    o->full = deq_shape_equal(operand, result);
    o->tensor = s->result;
    if (o->full) return true;

    int64_t dim[DEQ_ONEDNN_RANK];
    for (int i = 0; i < s->result.rank; i++) dim[i] = 1;
    for (int i = 0; i < operand->rank; i++) {
        if (operand->dim[i] == 1) continue;
        if (result->rank - operand->rank + i != channel_axis) return false;
        dim[s->channel] = operand->dim[i];
    }
    o->tensor = deq_onednn_dense(s->result.rank, dim);
    return true;
}

/* A first sum with one number for each channel is the bias of the primitive. */
static bool takes_as_bias(const deq_onednn_spec *s, int code, const deq_onednn_operand *o)
{
    return code == DEQ_EW_ADD && !s->has_bias && s->n_posts == 0 && !o->full &&
           s->kind != DEQ_ONEDNN_CONVOLUTION_BACKWARD &&
           o->tensor.dim[s->channel] == s->result.dim[s->channel];
}

static bool append_binary(deq_onednn_spec *s, int code, const deq_onednn_operand *o, bool v_first)
{
    if (takes_as_bias(s, code, o)) {
        s->has_bias = true;
        s->bias = *o;
        if (s->kind == DEQ_ONEDNN_CONVOLUTION)
            s->bias.tensor = deq_onednn_dense(1, &o->tensor.dim[s->channel]);
        return true;
    }
    if (code == DEQ_EW_SUB && !v_first) { /* o - v = -v + o */
        if (!append_linear(s, -1, 0)) return false;
        code = DEQ_EW_ADD;
    }
    if (code == DEQ_EW_DIV && !v_first) return false;
    if (code != DEQ_EW_ADD && code != DEQ_EW_SUB && code != DEQ_EW_MUL && code != DEQ_EW_DIV)
        return false;
    deq_onednn_post *p = append(s, code);
    if (p) p->operand = *o;
    return p != NULL;
}

/* Append the node, which continues from *v, and move *v to its output. */
static bool append_node(deq_onednn_spec *s, const deq_lowering *l, deq_value *v,
                        const deq_node *node, int channel_axis)
{
    int code = node->op->elementwise;
    deq_value from = *v;
    *v = deq_node_out(node, 0);
    if (node->n_in == 1 && node->in[0].id == from.id) return append_unary(s, code, node->attr);
    if (node->n_in != 2 || node->in[0].id == node->in[1].id) return false;

    bool v_first = node->in[0].id == from.id;
    deq_value other = node->in[v_first ? 1 : 0];
    if (!v_first && node->in[1].id != from.id) return false;
    double number;
    if (deq_is_fill(l->g, other, &number)) return append_number(s, code, number, v_first);
    deq_onednn_operand o = { .value = other };
    return describe_operand(s, &o, &deq_type_of(l->g, other)->shape,
                            &deq_type_of(l->g, from)->shape, channel_axis) &&
           append_binary(s, code, &o, v_first);
}

bool deq_onednn_epilogue(deq_onednn_spec *s, const deq_lowering *l, const deq_group *group,
                         int node)
{
    deq_value v = deq_node_out(&l->g->nodes[group->anchor], 0);
    int channel_axis = s->kind == DEQ_ONEDNN_MATMUL ? deq_type_of(l->g, v)->shape.rank - 1 : 1;
    for (int i = 0; i < group->n_nodes; i++)
        if (group->nodes[i] > group->anchor &&
            !append_node(s, l, &v, &l->g->nodes[group->nodes[i]], channel_axis))
            return false;
    return node < 0 || append_node(s, l, &v, &l->g->nodes[node], channel_axis);
}

void deq_onednn_read_operands(deq_lowering *l, const deq_onednn_spec *s, deq_layout layout,
                              int *slot, deq_status *status)
{
    if (s->has_bias)
        slot[DEQ_ONEDNN_BIAS] = deq_lower_read(l, s->bias.value, DEQ_LAYOUT_PLAIN, status);
    for (int i = 0; i < s->n_posts; i++) {
        const deq_onednn_operand *o = &s->post[i].operand;
        if (!deq_is(o->value)) continue;
        slot[DEQ_ONEDNN_POST + i] = deq_lower_read(l, o->value, o->full ? layout : DEQ_LAYOUT_PLAIN,
                                                   status);
    }
}
