/* SPDX-License-Identifier: MIT */
/*
 * Local identities.  Each rule looks at one node and its inputs and gives an equal value, or
 * DEQ_NONE.  No rule multiplies by zero away: 0 * NaN is NaN.  Two rules reassociate sums so that
 * the part that changes less often can leave the loop; they change rounding, not meaning.
 */
#include "graph/rewrite.h"
#include "op/conv.h"
#include "op/elementwise.h"
#include "op/shape.h"

#include <string.h>

static const deq_type *type(const deq_rewriter *r, deq_value v)
{
    return deq_type_of(r->g, v);
}

static bool same_type(const deq_type *a, const deq_type *b)
{
    return a->dtype == b->dtype && deq_shape_equal(&a->shape, &b->shape);
}

static deq_stage stage(const deq_rewriter *r, deq_value v)
{
    return deq_node_of(r->g, v)->stage;
}

static deq_value emit(deq_rewriter *r, const deq_op *op, const void *attr, size_t attr_bytes,
                      const deq_value *in, int n_in)
{
    deq_value out;
    deq_rewrite_emit(r, op, attr, attr_bytes, in, n_in, &out, 1);
    return out;
}

static deq_value add(deq_rewriter *r, deq_value a, deq_value b)
{
    deq_elementwise_attr attr;
    memset(&attr, 0, sizeof attr);
    deq_value in[2] = { a, b };
    return emit(r, &deq_elementwise_ops[DEQ_EW_ADD], &attr, sizeof attr, in, 2);
}

/* The result shape of element-wise inputs, without the node. */
static bool broadcast_shape(const deq_rewriter *r, const deq_value *in, int n, deq_shape *out)
{
    *out = type(r, in[0])->shape;
    for (int i = 1; i < n; i++) {
        deq_shape before = *out;
        if (!deq_broadcast_shapes(out, &before, &type(r, in[i])->shape)) return false;
    }
    return true;
}

/* Arithmetic --------------------------------------------------------------------------------- */

/* x + 0, x - 0, x * 1, x / 1, x^1: x, if x already has the shape of the result. */
static deq_value neutral(const deq_rewriter *r, const deq_node *n, const deq_value *in,
                         const deq_type *out)
{
    double number;
    int code = n->op->elementwise;
    for (int i = 0; i < 2; i++) {
        deq_value x = in[1 - i];
        bool right_only = code == DEQ_EW_SUB || code == DEQ_EW_DIV || code == DEQ_EW_POW;
        if ((right_only && i == 0) || !deq_is_fill(r->g, in[i], &number)) continue;
        double neutral_number = code == DEQ_EW_ADD || code == DEQ_EW_SUB ? 0 : 1;
        if (code == DEQ_EW_MIN || code == DEQ_EW_MAX || number != neutral_number) continue;
        if (same_type(type(r, x), out)) return x;
    }
    return DEQ_NONE;
}

/* x^2 is square(x); x^0.5 sqrt(x); x^-0.5 rsqrt(x). */
static deq_value power(deq_rewriter *r, const deq_node *n, const deq_value *in, const deq_type *out)
{
    double number;
    if (!deq_is_fill(r->g, in[1], &number) || !same_type(type(r, in[0]), out)) return DEQ_NONE;
    int code = number == 2      ? DEQ_EW_SQUARE
               : number == 0.5  ? DEQ_EW_SQRT
               : number == -0.5 ? DEQ_EW_RSQRT
                                : 0;
    if (!code) return DEQ_NONE;
    return emit(r, &deq_elementwise_ops[code], n->attr, n->attr_bytes, in, 1);
}

/* (a + b) + c with stage(b), stage(c) < stage(a):  a + (b + c), so that b + c leaves the loop. */
static deq_value hoist_sum(deq_rewriter *r, const deq_value *in)
{
    for (int i = 0; i < 2; i++) {
        deq_value sum = in[i], c = in[1 - i];
        const deq_node *s = deq_node_of(r->g, sum);
        if (s->op->elementwise != DEQ_EW_ADD || stage(r, c) >= stage(r, sum)) continue;
        for (int k = 0; k < 2; k++) {
            deq_value a = s->in[k], b = s->in[1 - k];
            if (stage(r, b) >= stage(r, sum)) continue;
            /* No broadcast beyond what was there: b + c must not be larger than b or c alone. */
            deq_value bc[2] = { b, c };
            deq_shape shape;
            if (!broadcast_shape(r, bc, 2, &shape)) continue;
            return add(r, a, add(r, b, c));
        }
    }
    return DEQ_NONE;
}

/* f(broadcast(x), y) = f(x, y) if y alone has the shape of the result. */
static deq_value drop_broadcast(deq_rewriter *r, const deq_node *n, const deq_value *in,
                                const deq_type *out)
{
    deq_value direct[3];
    if (n->n_in > 3) return DEQ_NONE;
    for (int i = 0; i < n->n_in; i++) {
        memcpy(direct, in, (size_t)n->n_in * sizeof *in);
        const deq_node *b = deq_node_of(r->g, in[i]);
        if (b->op != &deq_op_broadcast) continue;
        direct[i] = b->in[0];
        deq_shape shape;
        if (!broadcast_shape(r, direct, n->n_in, &shape)) continue;
        if (!deq_shape_equal(&shape, &out->shape)) continue;
        return emit(r, n->op, n->attr, n->attr_bytes, direct, n->n_in);
    }
    return DEQ_NONE;
}

static deq_value reshaped(deq_rewriter *r, deq_value v, const deq_shape *shape)
{
    deq_shape_attr a;
    memset(&a, 0, sizeof a);
    a.shape = *shape;
    return emit(r, &deq_op_reshape, &a, sizeof a, &v, 1);
}

/* f(reshape(x), y) = reshape(f(x, reshape(y))): the reshape goes on until it meets its opposite, as
 * those around a convolution of sequences do, and what lies between them becomes one chain.  Fills
 * of rank 0 fit any shape. */
static deq_value sink_reshape(deq_rewriter *r, const deq_node *n, const deq_value *in,
                              const deq_type *out)
{
    const deq_shape *inner = NULL;
    deq_value moved[3];
    if (n->n_in > 3) return DEQ_NONE;
    for (int i = 0; i < n->n_in; i++) {
        const deq_shape *shape = &type(r, in[i])->shape;
        const deq_node *source = deq_node_of(r->g, in[i]);
        if (shape->rank == 0) continue;
        if (!deq_shape_equal(shape, &out->shape)) return DEQ_NONE;
        if (!inner && source->op == &deq_op_reshape) inner = &type(r, source->in[0])->shape;
    }
    if (!inner) return DEQ_NONE;
    deq_shape to = *inner; /* the graph grows, and its types move */
    for (int i = 0; i < n->n_in; i++) {
        const deq_node *source = deq_node_of(r->g, in[i]);
        if (type(r, in[i])->shape.rank == 0)
            moved[i] = in[i];
        else if (source->op == &deq_op_reshape &&
                 deq_shape_equal(&type(r, source->in[0])->shape, &to))
            moved[i] = source->in[0];
        else
            moved[i] = reshaped(r, in[i], &to);
    }
    return reshaped(r, emit(r, n->op, n->attr, n->attr_bytes, moved, n->n_in), &out->shape);
}

static deq_value elementwise(deq_rewriter *r, const deq_node *n, const deq_value *in)
{
    deq_shape_rule rule = { .attr = n->attr, .n_in = n->n_in, .n_out = 1 };
    deq_type types[3];
    for (int i = 0; i < n->n_in; i++) types[i] = *type(r, in[i]);
    rule.in = types;
    if (!n->op->infer(&rule)) return DEQ_NONE;
    const deq_type *out = &rule.out[0];

    int code = n->op->elementwise;
    deq_value v = DEQ_NONE;
    if (code >= DEQ_EW_ADD && code <= DEQ_EW_MAX) v = neutral(r, n, in, out);
    if (v.id == 0 && code == DEQ_EW_POW) v = power(r, n, in, out);
    if (v.id == 0 && code == DEQ_EW_ADD) v = hoist_sum(r, in);
    if (v.id == 0 && code == DEQ_EW_CAST && types[0].dtype == out->dtype) v = in[0];
    if (v.id == 0 && code == DEQ_EW_NEG && deq_node_of(r->g, in[0])->op == n->op)
        v = deq_node_of(r->g, in[0])->in[0];
    if (v.id == 0) v = drop_broadcast(r, n, in, out);
    if (v.id == 0) v = sink_reshape(r, n, in, out);
    return v;
}

/* Shapes ------------------------------------------------------------------------------------- */

/* Moving the elements of a fill gives a fill. */
static deq_value move_fill(deq_rewriter *r, const deq_node *n, const deq_value *in)
{
    double number;
    if (!deq_is_fill(r->g, in[0], &number)) return DEQ_NONE;
    deq_shape_rule rule = { .attr = n->attr, .n_in = 1, .n_out = 1, .in = type(r, in[0]) };
    if (!n->op->infer(&rule)) return DEQ_NONE;
    return deq_fill(r->g, rule.out[0].dtype, rule.out[0].shape, number);
}

static bool is_identity_order(const deq_permute_attr *a)
{
    for (int i = 0; i < a->rank; i++)
        if (a->order[i] != i) return false;
    return true;
}

static deq_value permute(deq_rewriter *r, const deq_node *n, const deq_value *in)
{
    const deq_permute_attr *a = n->attr;
    if (is_identity_order(a)) return in[0];
    const deq_node *inner = deq_node_of(r->g, in[0]);
    if (inner->op != &deq_op_permute) return DEQ_NONE;
    const deq_permute_attr *b = inner->attr;
    deq_permute_attr both;
    memset(&both, 0, sizeof both);
    both.rank = a->rank;
    for (int i = 0; i < a->rank; i++) both.order[i] = b->order[a->order[i]];
    if (is_identity_order(&both)) return inner->in[0];
    return emit(r, n->op, &both, sizeof both, inner->in, 1);
}

/* Reshape and broadcast to the shape that is already there; a chain of either is its last. */
static deq_value reshape_or_broadcast(deq_rewriter *r, const deq_node *n, const deq_value *in)
{
    const deq_shape_attr *a = n->attr;
    if (deq_shape_equal(&type(r, in[0])->shape, &a->shape)) return in[0];
    const deq_node *inner = deq_node_of(r->g, in[0]);
    if (inner->op != n->op) return DEQ_NONE;
    if (deq_shape_equal(&type(r, inner->in[0])->shape, &a->shape)) return inner->in[0];
    return emit(r, n->op, a, n->attr_bytes, inner->in, 1);
}

static deq_value slice(deq_rewriter *r, const deq_node *n, const deq_value *in)
{
    const deq_slice_attr *a = n->attr;
    if (a->start == 0 && a->length == type(r, in[0])->shape.dim[a->axis]) return in[0];
    const deq_node *c = deq_node_of(r->g, in[0]);
    if (c->op != &deq_op_concat || ((const deq_concat_attr *)c->attr)->axis != a->axis)
        return DEQ_NONE;
    int64_t at =
        0; /* a slice that lies within one part of a concatenation is a slice of the part */
    for (int i = 0; i < c->n_in; i++) {
        int64_t length = type(r, c->in[i])->shape.dim[a->axis];
        if (a->start >= at && a->start + a->length <= at + length) {
            deq_slice_attr part = *a;
            part.start -= at;
            if (part.start == 0 && part.length == length) return c->in[i];
            return emit(r, n->op, &part, sizeof part, &c->in[i], 1);
        }
        at += length;
    }
    return DEQ_NONE;
}

/* A sum over axes of extent one is a reshape. */
static deq_value sum(deq_rewriter *r, const deq_node *n, const deq_value *in)
{
    const deq_reduce_attr *a = n->attr;
    const deq_type *t = type(r, in[0]);
    for (int i = 0; i < t->shape.rank; i++)
        if ((a->axes >> i & 1) && t->shape.dim[i] != 1) return DEQ_NONE;
    if (!a->axes) return in[0];
    deq_shape_rule rule = { .attr = n->attr, .n_in = 1, .n_out = 1, .in = t };
    if (!n->op->infer(&rule)) return DEQ_NONE;
    if (same_type(&rule.out[0], t)) return in[0];
    deq_shape_attr shape;
    memset(&shape, 0, sizeof shape);
    shape.shape.rank = rule.out[0].shape.rank;
    memcpy(shape.shape.dim, rule.out[0].shape.dim, sizeof shape.shape.dim);
    return emit(r, &deq_op_reshape, &shape, sizeof shape, in, 1);
}

deq_value deq_simplify(deq_rewriter *r, const deq_node *n, const deq_value *in)
{
    for (int i = 0; i < n->n_in; i++)
        if (!deq_is_valid(r->g, in[i])) return DEQ_NONE; /* absent inputs: leave it alone */
    deq_value v = DEQ_NONE;
    if (n->op->elementwise) return elementwise(r, n, in);
    if (n->op == &deq_op_stop_gradient) return in[0];
    if (n->op == &deq_op_reshape || n->op == &deq_op_broadcast || n->op == &deq_op_permute ||
        n->op == &deq_op_slice)
        v = move_fill(r, n, in);
    if (v.id != 0) return v;
    if (n->op == &deq_op_reshape || n->op == &deq_op_broadcast)
        return reshape_or_broadcast(r, n, in);
    if (n->op == &deq_op_permute) return permute(r, n, in);
    if (n->op == &deq_op_slice) return slice(r, n, in);
    if (n->op == &deq_op_sum) return sum(r, n, in);
    if (n->op == &deq_op_concat && n->n_in == 1) return in[0];
    return deq_split_linear(r, n, in);
}
