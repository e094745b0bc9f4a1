/* SPDX-License-Identifier: MIT */
/*
 * Softmax and its logarithm along one axis.  With m = max_j x_j and s = sum_j exp(x_j - m),
 *
 *   softmax       y_k = exp(x_k - m) / s          dy = y (dx - sum_j y_j dx_j)        (1)
 *   log_softmax   y_k = x_k - m - log s           dy = dx - sum_j exp(y_j) dx_j       (2)
 *
 * (1) is symmetric, so it is also the vjp; the adjoint of (2) is  dx = dy - exp(y) sum_j dy_j.
 */
#include "op/op.h"
#include "op/real.h"

#include <deq/op.h>
#include <math.h>
#include <string.h>

/* Work below which a parallel region costs more than it saves. */
#define PARALLEL_ELEMENTS 8192

typedef struct softmax_attr {
    int64_t axis;
} softmax_attr;

static bool infer_softmax(deq_shape_rule *r)
{
    const softmax_attr *a = r->attr;
    const int rank = r->in[0].shape.rank;
    if (!deq_rule_float(r, 0)) return false;
    if (a->axis < 0 || a->axis >= rank)
        return deq_rule_fail(r, DEQ_ERR_SHAPE, "axis %lld, x has rank %d",
                             (long long)(a->axis < 0 ? a->axis - rank : a->axis), rank);
    r->out[0] = r->in[0];
    return true;
}

/* One row: n elements, `stride` apart, from `first`. */
typedef struct row {
    int64_t first, stride, n;
} row;

/* The largest element, and the sum of exp(x_j - m).  In a row of -infinity (or NaN) alone there is
 * no largest: m = 0 then gives the sum 0 (or NaN) that the definition asks for. */
static void row_statistics(double *m, double *s, const void *x, deq_dtype t, row r)
{
    *m = -INFINITY;
    *s = 0;
    for (int64_t k = 0; k < r.n; k++) *m = fmax(*m, deq_load(x, t, r.first + k * r.stride));
    if (*m == -INFINITY) *m = 0;
    for (int64_t k = 0; k < r.n; k++) *s += exp(deq_load(x, t, r.first + k * r.stride) - *m);
}

static void softmax_row(void *y, const void *x, deq_dtype t, row r)
{
    double m, s;
    row_statistics(&m, &s, x, t, r);
    double scale = s == 0 ? 0 : 1 / s;
    for (int64_t k = 0; k < r.n; k++) {
        int64_t i = r.first + k * r.stride;
        deq_store(y, t, i, exp(deq_load(x, t, i) - m) * scale);
    }
}

static void log_softmax_row(void *y, const void *x, deq_dtype t, row r)
{
    double m, s;
    row_statistics(&m, &s, x, t, r);
    double log_s = s == 0 ? 0 : log(s);
    for (int64_t k = 0; k < r.n; k++) {
        int64_t i = r.first + k * r.stride;
        deq_store(y, t, i, deq_load(x, t, i) - m - log_s); /* m + log_s would lose log_s */
    }
}

static deq_status for_rows(const deq_kernel_call *c,
                           void (*f)(void *y, const void *x, deq_dtype t, row r))
{
    const int axis = (int)((const softmax_attr *)c->attr)->axis;
    const deq_shape *x = &c->in_type[0].shape;
    int64_t inner = 1;
    for (int i = axis + 1; i < x->rank; i++) inner *= x->dim[i];
    const int64_t n = x->dim[axis], n_rows = deq_shape_count(x) / n;
#pragma omp parallel for schedule(static)                                                          \
    num_threads(c->threads) if (n * n_rows > PARALLEL_ELEMENTS)
    for (int64_t k = 0; k < n_rows; k++) {
        row r = { .first = k / inner * n * inner + k % inner, .stride = inner, .n = n };
        f(c->out[0], c->in[0], c->in_type[0].dtype, r);
    }
    return DEQ_OK;
}

static deq_status softmax_kernel(const deq_kernel_call *c)
{
    return for_rows(c, softmax_row);
}

static deq_status log_softmax_kernel(const deq_kernel_call *c)
{
    return for_rows(c, log_softmax_row);
}

static uint32_t axis_of(const deq_frame *f)
{
    return DEQ_AXIS(((const softmax_attr *)f->attr)->axis);
}

/* (1), which serves both modes. */
static deq_value softmax_derivative(const deq_frame *f, deq_value v)
{
    deq_graph *g = f->g;
    deq_value y = f->out[0];
    if (!v.id) return v;
    deq_value mean = deq_sum(g, deq_mul(g, y, v), axis_of(f), true); /* of v under y */
    return deq_mul(g, y, deq_sub(g, v, mean));
}

static void vjp_softmax(const deq_frame *f, const deq_value *dy, deq_value *dx)
{
    dx[0] = softmax_derivative(f, dy[0]);
}

static void jvp_softmax(const deq_frame *f, const deq_value *dx, deq_value *dy)
{
    dy[0] = softmax_derivative(f, dx[0]);
}

static void vjp_log_softmax(const deq_frame *f, const deq_value *dy, deq_value *dx)
{
    deq_graph *g = f->g;
    if (!dy[0].id) return;
    deq_value total = deq_sum(g, dy[0], axis_of(f), true);
    dx[0] = deq_sub(g, dy[0], deq_mul(g, deq_exp(g, f->out[0]), total));
}

static void jvp_log_softmax(const deq_frame *f, const deq_value *dx, deq_value *dy)
{
    deq_graph *g = f->g;
    if (!dx[0].id) return;
    deq_value p = deq_exp(g, f->out[0]);
    dy[0] = deq_sub(g, dx[0], deq_sum(g, deq_mul(g, p, dx[0]), axis_of(f), true));
}

static double flops_softmax(const deq_kernel_call *c)
{
    return 5 * (double)deq_shape_count(&c->in_type[0].shape);
}

static const deq_op op_softmax = { .name = "softmax",
                                   .n_out = 1,
                                   .attr_bytes = sizeof(softmax_attr),
                                   .infer = infer_softmax,
                                   .vjp = vjp_softmax,
                                   .jvp = jvp_softmax,
                                   .kernel = softmax_kernel,
                                   .flops = flops_softmax };

static const deq_op op_log_softmax = { .name = "log_softmax",
                                       .n_out = 1,
                                       .attr_bytes = sizeof(softmax_attr),
                                       .infer = infer_softmax,
                                       .vjp = vjp_log_softmax,
                                       .jvp = jvp_log_softmax,
                                       .kernel = log_softmax_kernel,
                                       .flops = flops_softmax };

static deq_value emit(deq_graph *g, const deq_op *op, deq_value x, int axis)
{
    softmax_attr a;
    memset(&a, 0, sizeof a);
    a.axis = axis < 0 ? axis + deq_value_type(g, x).shape.rank : axis;
    return deq_emit1(g, op, &a, sizeof a, &x, 1);
}

deq_value deq_softmax(deq_graph *g, deq_value x, int axis)
{
    return emit(g, &op_softmax, x, axis);
}

deq_value deq_log_softmax(deq_graph *g, deq_value x, int axis)
{
    return emit(g, &op_log_softmax, x, axis);
}
