/* SPDX-License-Identifier: MIT */
/*
 * Average pooling and its adjoint.  With W(p) the elements of x in window p and n(p) their number,
 * or the extent of the window if the padding counts:
 *
 *   average_pool2d        y[p]  = sum_{h in W(p)} x[h] / n(p)                     (1)
 *   average_pool2d_grad   dx[h] = sum_{p: h in W(p)} dy[p] / n(p)                 (2)
 */
#include "op/pool.h"

#include "op/real.h"

#include <deq/op/pool.h>
#include <deq/op/reduce.h>
#include <string.h>

/* --- shapes ----------------------------------------------------------------------------------- */

static bool infer_average(deq_shape_rule *r)
{
    if (!deq_rule_float(r, 0) || !deq_rule_rank(r, 0, 4)) return false;
    r->out[0] = r->in[0];
    return deq_rule_pool(r, &r->out[0].shape.dim[2], &r->in[0].shape.dim[2]);
}

static bool infer_grad(deq_shape_rule *r)
{
    const deq_pool_attr *a = r->attr;
    int64_t out[2];
    if (!deq_rule_float(r, 0) || !deq_rule_rank(r, 0, 4)) return false;
    if (!deq_rule_pool(r, out, a->size)) return false;
    const int64_t *dy = r->in[0].shape.dim;
    if (out[0] != dy[2] || out[1] != dy[3])
        return deq_rule_fail(
            r, DEQ_ERR_SHAPE, "dy has planes of %lld x %lld, pooling gives %lld x %lld",
            (long long)dy[2], (long long)dy[3], (long long)out[0], (long long)out[1]);
    r->out[0] = r->in[0];
    memcpy(&r->out[0].shape.dim[2], a->size, sizeof a->size);
    return true;
}

/* --- derivatives ------------------------------------------------------------------------------ */

static void vjp_average(const deq_frame *f, const deq_value *dy, deq_value *dx)
{
    deq_pool_attr a = *(const deq_pool_attr *)f->attr;
    deq_shape s = deq_value_type(f->g, f->in[0]).shape;
    memcpy(a.size, &s.dim[2], sizeof a.size);
    dx[0] = deq_emit1(f->g, &deq_op_average_pool2d_grad, &a, sizeof a, dy, 1);
}

static void vjp_grad(const deq_frame *f, const deq_value *u, deq_value *d)
{
    deq_pool_attr a = *(const deq_pool_attr *)f->attr;
    memset(a.size, 0, sizeof a.size);
    d[0] = deq_emit1(f->g, &deq_op_average_pool2d, &a, sizeof a, u, 1);
}

/* --- reference kernels ------------------------------------------------------------------------ */

/* 1 / n(p) */
static double share(const deq_pool_attr *a, deq_span rows, deq_span columns)
{
    if (!a->exclude_padding) return 1.0 / ((double)a->kernel[0] * (double)a->kernel[1]);
    return 1.0 / ((double)(rows.to - rows.from) * (double)(columns.to - columns.from));
}

static double window_sum(const void *x, deq_dtype dtype, int64_t plane, int64_t width,
                         deq_span rows, deq_span columns)
{
    double sum = 0.0;
    for (int64_t h = rows.from; h < rows.to; h++)
        for (int64_t w = columns.from; w < columns.to; w++)
            sum += deq_load(x, dtype, plane + h * width + w);
    return sum;
}

static double operations(const deq_kernel_call *c, const deq_type *pooled)
{
    const deq_pool_attr *a = c->attr;
    return (double)deq_shape_count(&pooled->shape) * (double)a->kernel[0] * (double)a->kernel[1];
}

static deq_status kernel_average(const deq_kernel_call *c)
{
    const deq_pool_attr *a = c->attr;
    const int64_t *x = c->in_type[0].shape.dim, *y = c->out_type[0].shape.dim;
    deq_dtype dtype = c->in_type[0].dtype;
    int64_t planes = x[0] * x[1];
    int workers = deq_window_workers(c->threads, planes, operations(c, &c->out_type[0]));
#pragma omp parallel for num_threads(workers) schedule(static) if (workers > 1)
    for (int64_t i = 0; i < planes; i++)
        for (int64_t p = 0; p < y[2]; p++)
            for (int64_t q = 0; q < y[3]; q++) {
                deq_span rows = deq_pool_cells(a, 0, p, x[2]),
                         columns = deq_pool_cells(a, 1, q, x[3]);
                double sum = window_sum(c->in[0], dtype, i * x[2] * x[3], x[3], rows, columns);
                deq_store(c->out[0], dtype, (i * y[2] + p) * y[3] + q,
                          sum * share(a, rows, columns));
            }
    return DEQ_OK;
}

static int grad_workers(const deq_kernel_call *c)
{
    const int64_t *dx = c->out_type[0].shape.dim;
    return deq_window_workers(c->threads, dx[0] * dx[1], operations(c, &c->in_type[0]));
}

/* A plane of sums in double for each worker. */
static size_t scratch_grad(const deq_kernel_call *c)
{
    const int64_t *dx = c->out_type[0].shape.dim;
    return (size_t)grad_workers(c) * (size_t)(dx[2] * dx[3]) * sizeof(double);
}

/* One plane of (2). */
static void spread_plane(const deq_kernel_call *c, int64_t i, double *sums)
{
    const deq_pool_attr *a = c->attr;
    const int64_t *dx = c->out_type[0].shape.dim, *dy = c->in_type[0].shape.dim;
    deq_dtype dtype = c->in_type[0].dtype;
    int64_t plane = dx[2] * dx[3];
    memset(sums, 0, (size_t)plane * sizeof *sums);
    for (int64_t p = 0; p < dy[2]; p++)
        for (int64_t q = 0; q < dy[3]; q++) {
            deq_span rows = deq_pool_cells(a, 0, p, dx[2]),
                     columns = deq_pool_cells(a, 1, q, dx[3]);
            double part = deq_load(c->in[0], dtype, (i * dy[2] + p) * dy[3] + q) *
                          share(a, rows, columns);
            for (int64_t h = rows.from; h < rows.to; h++)
                for (int64_t w = columns.from; w < columns.to; w++) sums[h * dx[3] + w] += part;
        }
    for (int64_t h = 0; h < plane; h++) deq_store(c->out[0], dtype, i * plane + h, sums[h]);
}

static deq_status kernel_grad(const deq_kernel_call *c)
{
    const int64_t *dx = c->out_type[0].shape.dim;
    int64_t planes = dx[0] * dx[1], plane = dx[2] * dx[3];
    int workers = grad_workers(c);
#pragma omp parallel for num_threads(workers) schedule(static) if (workers > 1)
    for (int w = 0; w < workers; w++)
        for (int64_t i = planes * w / workers; i < planes * (w + 1) / workers; i++)
            spread_plane(c, i, (double *)c->scratch + w * plane);
    return DEQ_OK;
}

static double flops_average(const deq_kernel_call *c)
{
    return operations(c, &c->out_type[0]);
}

static double flops_grad(const deq_kernel_call *c)
{
    return operations(c, &c->in_type[0]);
}

const deq_op deq_op_average_pool2d = { .name = "average_pool2d",
                                       .n_out = 1,
                                       .attr_bytes = sizeof(deq_pool_attr),
                                       .linear = 1u << 0,
                                       .infer = infer_average,
                                       .vjp = vjp_average,
                                       .kernel = kernel_average,
                                       .flops = flops_average };

const deq_op deq_op_average_pool2d_grad = { .name = "average_pool2d_grad",
                                            .n_out = 1,
                                            .attr_bytes = sizeof(deq_pool_attr),
                                            .linear = 1u << 0,
                                            .infer = infer_grad,
                                            .vjp = vjp_grad,
                                            .kernel = kernel_grad,
                                            .scratch = scratch_grad,
                                            .flops = flops_grad };

/* --- builders --------------------------------------------------------------------------------- */

deq_value deq_average_pool2d(deq_graph *g, deq_value x, const deq_average_pool2d_options *options)
{
    static const char *const op = "average_pool2d";
    deq_pool_attr a;
    if (!options)
        return deq_graph_fail(g, DEQ_ERR_ARGUMENT, "%s: options with a kernel are needed", op);
    if (!deq_window_options(g, op, options->struct_size, sizeof *options) ||
        !deq_pool_read(g, op, &a, options->kernel, options->stride, options->padding))
        return (deq_value){ -1 };
    a.exclude_padding = options->exclude_padding;
    return deq_emit1(g, &deq_op_average_pool2d, &a, sizeof a, &x, 1);
}

deq_value deq_global_average_pool(deq_graph *g, deq_value x, bool keep)
{
    deq_type t = deq_value_type(g, x);
    char text[256];
    if (deq_graph_status(g) == DEQ_OK && t.shape.rank != 4)
        return deq_graph_fail(g, DEQ_ERR_SHAPE,
                              "global_average_pool: x is %s, expected [B, C, H, W]",
                              deq_type_format(text, sizeof text, &t));
    return deq_mean(g, x, DEQ_AXIS(2) | DEQ_AXIS(3), keep);
}
