/* SPDX-License-Identifier: MIT */
/*
 * The largest element, and its smooth version.
 *
 *   reduce_max   y = m = max_r x_r                    dx_r = dy [x_r = y] / (number of r with x_r = y)
 *   logsumexp    y = m + log sum_r exp(x_r - m)       dx_r = dy exp(x_r - y)
 */
#include "op/reduce.h"

#include <deq/op/elementwise.h>
#include <float.h>
#include <math.h>

/* --- reduce_max ------------------------------------------------------------------------------ */

/* NaN wins over everything: it compares false with itself and with whatever comes after it. */
#define FOLD_NAME max_f32
#define FOLD_TYPE float
#define FOLD_SUM float
#define FOLD_START (-INFINITY)
#define FOLD_STEP(a, x, s) ((x) > (a) || (x) != (x) ? (x) : (a))
#define FOLD_JOIN(a, b) ((b) > (a) || (b) != (b) ? (b) : (a))
#define FOLD_END(a, s) (a)
#include "op/reduce_fold.h"

#define FOLD_NAME max_f64
#define FOLD_TYPE double
#define FOLD_SUM double
#define FOLD_START ((double)-INFINITY)
#define FOLD_STEP(a, x, s) ((x) > (a) || (x) != (x) ? (x) : (a))
#define FOLD_JOIN(a, b) ((b) > (a) || (b) != (b) ? (b) : (a))
#define FOLD_END(a, s) (a)
#include "op/reduce_fold.h"

#define FOLD_NAME max_i32
#define FOLD_TYPE int32_t
#define FOLD_SUM int32_t
#define FOLD_START INT32_MIN
#define FOLD_STEP(a, x, s) ((x) > (a) ? (x) : (a))
#define FOLD_JOIN(a, b) ((b) > (a) ? (b) : (a))
#define FOLD_END(a, s) (a)
#include "op/reduce_fold.h"

#define FOLD_NAME max_i64
#define FOLD_TYPE int64_t
#define FOLD_SUM int64_t
#define FOLD_START INT64_MIN
#define FOLD_STEP(a, x, s) ((x) > (a) ? (x) : (a))
#define FOLD_JOIN(a, b) ((b) > (a) ? (b) : (a))
#define FOLD_END(a, s) (a)
#include "op/reduce_fold.h"

#define FOLD_NAME max_bool
#define FOLD_TYPE uint8_t
#define FOLD_SUM uint8_t
#define FOLD_START 0
#define FOLD_STEP(a, x, s) ((x) > (a) ? (x) : (a))
#define FOLD_JOIN(a, b) ((b) > (a) ? (b) : (a))
#define FOLD_END(a, s) (a)
#include "op/reduce_fold.h"

static deq_value zero_like(const deq_frame *n)
{
    return deq_fill(n->g, deq_value_type(n->g, n->in[0]).dtype, DEQ_SCALAR, 0);
}

/* Where the elements are that equal the maximum, and how many there are. */
static deq_value hits(const deq_frame *n, deq_value *count)
{
    deq_value hit = deq_equal(n->g, n->in[0], deq_reduce_restore(n, n->out[0]));
    *count = deq_reduce_sum_like(n, deq_cast(n->g, hit, deq_value_type(n->g, n->in[0]).dtype));
    return hit;
}

static void vjp_max(const deq_frame *n, const deq_value *dy, deq_value *dx)
{
    deq_value count, hit = hits(n, &count);
    deq_value share = deq_reduce_restore(n, deq_div(n->g, dy[0], count));
    dx[0] = deq_where(n->g, hit, share, zero_like(n));
}

static void jvp_max(const deq_frame *n, const deq_value *dx, deq_value *dy)
{
    deq_value count, hit = hits(n, &count);
    deq_value sum = deq_reduce_sum_like(n, deq_where(n->g, hit, dx[0], zero_like(n)));
    dy[0] = deq_div(n->g, sum, count);
}

static deq_status max_kernel(const deq_kernel_call *c)
{
    switch (c->in_type[0].dtype) {
    case DEQ_F32: return max_f32(c);
    case DEQ_F64: return max_f64(c);
    case DEQ_I32: return max_i32(c);
    case DEQ_I64: return max_i64(c);
    case DEQ_BOOL: return max_bool(c);
    }
    return DEQ_ERR_DTYPE;
}

static const deq_op deq_op_reduce_max = {
    .name = "reduce_max",
    .n_out = 1,
    .attr_bytes = sizeof(deq_reduce_attr),
    .infer = deq_reduce_infer,
    .vjp = vjp_max,
    .jvp = jvp_max,
    .kernel = max_kernel,
    .scratch = deq_reduce_scratch,
    .flops = deq_reduce_flops,
};

deq_value deq_reduce_max(deq_graph *g, deq_value x, uint32_t axes, bool keep)
{
    return deq_reduce_emit(g, &deq_op_reduce_max, x, axes, keep);
}

/* --- logsumexp ------------------------------------------------------------------------------- */

/* m, where it is a number.  An infinite maximum is the result by itself: the sum is then 0 or inf. */
static double shift(double m)
{
    return isinf(m) ? 0 : m;
}

#define FOLD_NAME exps_f32
#define FOLD_TYPE float
#define FOLD_SUM double
#define FOLD_START 0
#define FOLD_STEP(a, x, s) ((a) + (double)expf((x) - (float)shift((double)(s))))
#define FOLD_JOIN(a, b) ((a) + (b))
#define FOLD_END(a, s) (shift((double)(s)) + log(a))
#include "op/reduce_fold.h"

#define FOLD_NAME exps_f64
#define FOLD_TYPE double
#define FOLD_SUM double
#define FOLD_START 0
#define FOLD_STEP(a, x, s) ((a) + exp((x)-shift(s)))
#define FOLD_JOIN(a, b) ((a) + (b))
#define FOLD_END(a, s) (shift(s) + log(a))
#include "op/reduce_fold.h"

static deq_value replace(deq_graph *g, deq_value v, double number, double by)
{
    deq_dtype d = deq_value_type(g, v).dtype;
    deq_value from = deq_fill(g, d, DEQ_SCALAR, number), to = deq_fill(g, d, DEQ_SCALAR, by);
    return deq_where(g, deq_equal(g, v, from), to, v);
}

/* softmax_r = exp(x_r - y).  The largest number stands for infinity, so that inf - inf is 0 where x
 * and y are +inf; where y is -inf all x are, and x - y stays -inf. */
static deq_value softmax(const deq_frame *n)
{
    deq_graph *g = n->g;
    double large = deq_value_type(g, n->in[0]).dtype == DEQ_F32 ? (double)FLT_MAX : DBL_MAX;
    deq_value y = replace(g, replace(g, n->out[0], INFINITY, large), -INFINITY, -large);
    deq_value x = replace(g, n->in[0], INFINITY, large);
    return deq_exp(g, deq_sub(g, x, deq_reduce_restore(n, y)));
}

static void vjp_logsumexp(const deq_frame *n, const deq_value *dy, deq_value *dx)
{
    dx[0] = deq_mul(n->g, softmax(n), deq_reduce_restore(n, dy[0]));
}

static void jvp_logsumexp(const deq_frame *n, const deq_value *dx, deq_value *dy)
{
    dy[0] = deq_reduce_sum_like(n, deq_mul(n->g, softmax(n), dx[0]));
}

/* The maximum goes to y, where the sum of exponentials finds it. */
static deq_status logsumexp_kernel(const deq_kernel_call *c)
{
    bool single = c->in_type[0].dtype == DEQ_F32;
    DEQ_TRY(single ? max_f32(c) : max_f64(c));
    return single ? exps_f32(c) : exps_f64(c);
}

static double logsumexp_flops(const deq_kernel_call *c)
{
    return 4 * deq_reduce_flops(c); /* compare, subtract, exp, add */
}

static const deq_op deq_op_logsumexp = {
    .name = "logsumexp",
    .n_out = 1,
    .attr_bytes = sizeof(deq_reduce_attr),
    .infer = deq_reduce_infer_float,
    .vjp = vjp_logsumexp,
    .jvp = jvp_logsumexp,
    .kernel = logsumexp_kernel,
    .scratch = deq_reduce_scratch,
    .flops = logsumexp_flops,
};

deq_value deq_logsumexp(deq_graph *g, deq_value x, uint32_t axes, bool keep)
{
    return deq_reduce_emit(g, &deq_op_logsumexp, x, axes, keep);
}
