/* SPDX-License-Identifier: MIT */
/* What all reductions have in common, and those that are sums: sum, mean, sum_to, squared_norm. */
#include "op/reduce.h"

#include <deq/op/elementwise.h>
#include <string.h>

bool deq_reduce_infer(deq_shape_rule *r)
{
    const deq_reduce_attr *a = r->attr;
    const deq_shape *x = &r->in[0].shape;
    deq_shape *y = &r->out[0].shape;
    if (!r->in[0].dtype) return deq_rule_fail(r, DEQ_ERR_ARGUMENT, "input 0 is absent");
    for (int i = x->rank; i < 32; i++)
        if (a->axes >> i & 1)
            return deq_rule_fail(r, DEQ_ERR_ARGUMENT, "axis %d, the input has rank %d", i, x->rank);
    r->out[0].dtype = r->in[0].dtype;
    for (int i = 0; i < x->rank; i++) {
        bool reduced = a->axes >> i & 1;
        if (!reduced || a->keep) y->dim[y->rank++] = reduced ? 1 : x->dim[i];
    }
    return true;
}

bool deq_reduce_infer_float(deq_shape_rule *r)
{
    return deq_rule_float(r, 0) && deq_reduce_infer(r);
}

deq_value deq_reduce_emit(deq_graph *g, const deq_op *op, deq_value x, uint32_t axes, bool keep)
{
    deq_type t = deq_value_type(g, x);
    deq_reduce_attr a = { axes, keep };
    if (axes == DEQ_ALL_AXES) a.axes = DEQ_AXIS(t.shape.rank) - 1;
    return deq_emit1(g, op, &a, sizeof a, &x, 1);
}

deq_value deq_reduce_restore(const deq_frame *n, deq_value v)
{
    const deq_reduce_attr *a = n->attr;
    deq_shape shape = deq_value_type(n->g, n->in[0]).shape;
    for (int i = 0; i < shape.rank; i++)
        if (a->axes >> i & 1) shape.dim[i] = 1;
    return deq_reshape(n->g, v, shape);
}

deq_value deq_reduce_sum_like(const deq_frame *n, deq_value v)
{
    const deq_reduce_attr *a = n->attr;
    return deq_sum(n->g, v, a->axes, a->keep);
}

/* --- sum:  y = sum_r x_r,  dx = dy, repeated ------------------------------------------------- */

#define FOLD_NAME sum_f32
#define FOLD_TYPE float
#define FOLD_SUM double
#define FOLD_START 0
#define FOLD_STEP(a, x, s) ((a) + (double)(x))
#define FOLD_JOIN(a, b) ((a) + (b))
#define FOLD_END(a, s) (a)
#include "op/reduce_fold.h"

#define FOLD_NAME sum_f64
#define FOLD_TYPE double
#define FOLD_SUM double
#define FOLD_START 0
#define FOLD_STEP(a, x, s) ((a) + (x))
#define FOLD_JOIN(a, b) ((a) + (b))
#define FOLD_END(a, s) (a)
#include "op/reduce_fold.h"

/* Integers wrap around: added as unsigned numbers, where that is defined. */
#define FOLD_NAME sum_i32
#define FOLD_TYPE uint32_t
#define FOLD_SUM uint64_t
#define FOLD_START 0
#define FOLD_STEP(a, x, s) ((a) + (x))
#define FOLD_JOIN(a, b) ((a) + (b))
#define FOLD_END(a, s) (a)
#include "op/reduce_fold.h"

#define FOLD_NAME sum_i64
#define FOLD_TYPE uint64_t
#define FOLD_SUM uint64_t
#define FOLD_START 0
#define FOLD_STEP(a, x, s) ((a) + (x))
#define FOLD_JOIN(a, b) ((a) + (b))
#define FOLD_END(a, s) (a)
#include "op/reduce_fold.h"

static bool infer_sum(deq_shape_rule *r)
{
    if (r->in[0].dtype == DEQ_BOOL)
        return deq_rule_fail(r, DEQ_ERR_DTYPE, "input 0 is bool, expected a number: cast it first");
    return deq_reduce_infer(r);
}

static void vjp_sum(const deq_frame *n, const deq_value *dy, deq_value *dx)
{
    deq_shape shape = deq_value_type(n->g, n->in[0]).shape;
    dx[0] = deq_broadcast(n->g, deq_reduce_restore(n, dy[0]), shape);
}

static deq_status sum_kernel(const deq_kernel_call *c)
{
    switch (c->in_type[0].dtype) {
    case DEQ_F32: return sum_f32(c);
    case DEQ_F64: return sum_f64(c);
    case DEQ_I32: return sum_i32(c);
    case DEQ_I64: return sum_i64(c);
    default: return DEQ_ERR_DTYPE;
    }
}

const deq_op deq_op_sum = {
    .name = "sum",
    .n_out = 1,
    .attr_bytes = sizeof(deq_reduce_attr),
    .linear = 1,
    .joint = true,
    .infer = infer_sum,
    .vjp = vjp_sum,
    .kernel = sum_kernel,
    .scratch = deq_reduce_scratch,
    .flops = deq_reduce_flops,
};

deq_value deq_sum(deq_graph *g, deq_value x, uint32_t axes, bool keep)
{
    return deq_reduce_emit(g, &deq_op_sum, x, axes, keep);
}

/* --- mean and sum_to: sums, seen differently ------------------------------------------------- */

deq_value deq_mean(deq_graph *g, deq_value x, uint32_t axes, bool keep)
{
    deq_type t = deq_value_type(g, x);
    double n = 1;
    if (t.dtype && t.dtype != DEQ_F32 && t.dtype != DEQ_F64)
        return deq_graph_fail(g, DEQ_ERR_DTYPE, "mean: the input is %s, expected f32 or f64",
                              deq_dtype_name(t.dtype));
    for (int i = 0; i < t.shape.rank; i++)
        if (axes >> i & 1) n *= (double)t.shape.dim[i];
    return deq_scale(g, deq_sum(g, x, axes, keep), 1 / n);
}

deq_value deq_sum_to(deq_graph *g, deq_value x, deq_shape shape)
{
    deq_type t = deq_value_type(g, x);
    int added = t.shape.rank - shape.rank;
    uint32_t axes = 0;
    bool fits = shape.rank >= 0 && added >= 0;
    if (t.dtype && deq_shape_equal(&t.shape, &shape)) return x;
    for (int i = 0; fits && i < t.shape.rank; i++) {
        int64_t wanted = i < added ? 1 : shape.dim[i - added];
        if (t.shape.dim[i] == wanted) continue;
        axes |= DEQ_AXIS(i);
        fits = wanted == 1;
    }
    if (t.dtype && !fits) {
        char a[256], b[256];
        deq_type to = { t.dtype, shape };
        return deq_graph_fail(g, DEQ_ERR_SHAPE, "sum_to: %s does not repeat to %s",
                              deq_type_format(a, sizeof a, &to), deq_type_format(b, sizeof b, &t));
    }
    return deq_reshape(g, axes ? deq_sum(g, x, axes, true) : x, shape);
}

/* --- squared_norm:  y = sum_r x_r^2,  dx = 2 x dy -------------------------------------------- */

#define FOLD_NAME squares_f32
#define FOLD_TYPE float
#define FOLD_SUM double
#define FOLD_START 0
#define FOLD_STEP(a, x, s) ((a) + (double)(x) * (double)(x))
#define FOLD_JOIN(a, b) ((a) + (b))
#define FOLD_END(a, s) (a)
#include "op/reduce_fold.h"

#define FOLD_NAME squares_f64
#define FOLD_TYPE double
#define FOLD_SUM double
#define FOLD_START 0
#define FOLD_STEP(a, x, s) ((a) + (x) * (x))
#define FOLD_JOIN(a, b) ((a) + (b))
#define FOLD_END(a, s) (a)
#include "op/reduce_fold.h"

static void vjp_squared_norm(const deq_frame *n, const deq_value *dy, deq_value *dx)
{
    deq_value twice = deq_reduce_restore(n, deq_scale(n->g, dy[0], 2));
    dx[0] = deq_mul(n->g, n->in[0], twice);
}

static void jvp_squared_norm(const deq_frame *n, const deq_value *dx, deq_value *dy)
{
    deq_value inner = deq_reduce_sum_like(n, deq_mul(n->g, n->in[0], dx[0]));
    dy[0] = deq_scale(n->g, inner, 2);
}

static deq_status squared_norm_kernel(const deq_kernel_call *c)
{
    return c->in_type[0].dtype == DEQ_F32 ? squares_f32(c) : squares_f64(c);
}

static double squared_norm_flops(const deq_kernel_call *c)
{
    return 2 * deq_reduce_flops(c);
}

static const deq_op deq_op_squared_norm = {
    .name = "squared_norm",
    .n_out = 1,
    .attr_bytes = sizeof(deq_reduce_attr),
    .infer = deq_reduce_infer_float,
    .vjp = vjp_squared_norm,
    .jvp = jvp_squared_norm,
    .kernel = squared_norm_kernel,
    .scratch = deq_reduce_scratch,
    .flops = squared_norm_flops,
};

deq_value deq_squared_norm(deq_graph *g, deq_value x, uint32_t axes, bool keep)
{
    return deq_reduce_emit(g, &deq_op_squared_norm, x, axes, keep);
}
