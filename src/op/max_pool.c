/* SPDX-License-Identifier: MIT */
/*
 * Max pooling.  With i(p) the place of the largest element of window p,
 *
 *   max_pool2d   y[p] = x[i(p)], and i                                        (1)
 *   pool_gather  y[p] = x[i(p)]        for given i: the derivative of (1)     (2)
 *   pool_scatter x[h] = sum_{p: i(p) = h} y[p]        the adjoint of (2)      (3)
 *
 * (2) and (3) are linear and each other's derivative.
 */
#include "op/pool.h"

#include "op/real.h"

#include <deq/op/pool.h>
#include <math.h>
#include <string.h>

/* --- shapes ----------------------------------------------------------------------------------- */

static bool infer_max(deq_shape_rule *r)
{
    if (!deq_rule_float(r, 0) || !deq_rule_rank(r, 0, 4)) return false;
    deq_type y = r->in[0];
    if (!deq_rule_pool(r, &y.shape.dim[2], &r->in[0].shape.dim[2])) return false;
    int64_t plane = r->in[0].shape.dim[2] * r->in[0].shape.dim[3];
    if (plane > INT32_MAX)
        return deq_rule_fail(r, DEQ_ERR_OVERFLOW,
                             "x has planes of %lld elements, expected at most %lld",
                             (long long)plane, (long long)INT32_MAX);
    r->out[0] = y;
    r->out[1] = y;
    r->out[1].dtype = DEQ_I32;
    return true;
}

static bool infer_indexed(deq_shape_rule *r)
{
    if (!deq_rule_float(r, 0) || !deq_rule_rank(r, 0, 4) || !deq_rule_dtype(r, 1, DEQ_I32) ||
        !deq_rule_rank(r, 1, 4))
        return false;
    const int64_t *x = r->in[0].shape.dim, *argmax = r->in[1].shape.dim;
    if (x[0] != argmax[0] || x[1] != argmax[1])
        return deq_rule_fail(r, DEQ_ERR_SHAPE, "%lld x %lld planes of data, %lld x %lld of indices",
                             (long long)x[0], (long long)x[1], (long long)argmax[0],
                             (long long)argmax[1]);
    return true;
}

static bool infer_gather(deq_shape_rule *r)
{
    if (!infer_indexed(r)) return false;
    r->out[0].dtype = r->in[0].dtype;
    r->out[0].shape = r->in[1].shape;
    return true;
}

static bool infer_scatter(deq_shape_rule *r)
{
    const deq_pool_scatter_attr *a = r->attr;
    if (!infer_indexed(r)) return false;
    if (!deq_shape_equal(&r->in[0].shape, &r->in[1].shape))
        return deq_rule_fail(r, DEQ_ERR_SHAPE, "planes of %lld x %lld data, %lld x %lld indices",
                             (long long)r->in[0].shape.dim[2], (long long)r->in[0].shape.dim[3],
                             (long long)r->in[1].shape.dim[2], (long long)r->in[1].shape.dim[3]);
    r->out[0] = r->in[0];
    memcpy(&r->out[0].shape.dim[2], a->size, sizeof a->size);
    return true;
}

/* --- derivatives ------------------------------------------------------------------------------ */

static deq_value gather(deq_graph *g, deq_value x, deq_value argmax)
{
    deq_value in[] = { x, argmax };
    return deq_emit1(g, &deq_op_pool_gather, NULL, 0, in, 2);
}

/* To planes of the extents that `like` has. */
static deq_value scatter(deq_graph *g, deq_value y, deq_value argmax, deq_value like)
{
    deq_pool_scatter_attr a;
    deq_shape s = deq_value_type(g, like).shape;
    memcpy(a.size, &s.dim[2], sizeof a.size);
    deq_value in[] = { y, argmax };
    return deq_emit1(g, &deq_op_pool_scatter, &a, sizeof a, in, 2);
}

static void vjp_max(const deq_frame *f, const deq_value *dy, deq_value *dx)
{
    if (deq_is(dy[0])) dx[0] = scatter(f->g, dy[0], f->out[1], f->in[0]);
}

static void jvp_max(const deq_frame *f, const deq_value *dx, deq_value *dy)
{
    if (deq_is(dx[0])) dy[0] = gather(f->g, dx[0], f->out[1]);
}

static void vjp_gather(const deq_frame *f, const deq_value *dy, deq_value *dx)
{
    if (f->need[0]) dx[0] = scatter(f->g, dy[0], f->in[1], f->in[0]);
}

static void vjp_scatter(const deq_frame *f, const deq_value *dy, deq_value *dx)
{
    if (f->need[0]) dx[0] = gather(f->g, dy[0], f->in[1]);
}

/* --- reference kernels ------------------------------------------------------------------------ */

/* The place of the largest element of a window: the first of equal ones, but a NaN if there is one
 * (the last of them, as in PyTorch). */
static int64_t largest(const void *x, deq_dtype dtype, int64_t plane, int64_t width, deq_span rows,
                       deq_span columns)
{
    int64_t best = rows.from * width + columns.from;
    double max = -INFINITY;
    for (int64_t h = rows.from; h < rows.to; h++)
        for (int64_t w = columns.from; w < columns.to; w++) {
            double v = deq_load(x, dtype, plane + h * width + w);
            if (v > max || isnan(v)) {
                max = v;
                best = h * width + w;
            }
        }
    return best;
}

static deq_status kernel_max(const deq_kernel_call *c)
{
    const deq_pool_attr *a = c->attr;
    const int64_t *x = c->in_type[0].shape.dim, *y = c->out_type[0].shape.dim;
    deq_dtype dtype = c->in_type[0].dtype;
    int64_t planes = x[0] * x[1], count = y[2] * y[3];
    double work = (double)planes * (double)count * (double)a->kernel[0] * (double)a->kernel[1];
    int workers = deq_window_workers(c->threads, planes, work);
#pragma omp parallel for num_threads(workers) schedule(static) if (workers > 1)
    for (int64_t i = 0; i < planes; i++)
        for (int64_t p = 0; p < y[2]; p++)
            for (int64_t q = 0; q < y[3]; q++) {
                int64_t plane = i * x[2] * x[3], to = i * count + p * y[3] + q;
                int64_t at = largest(c->in[0], dtype, plane, x[3], deq_pool_cells(a, 0, p, x[2]),
                                     deq_pool_cells(a, 1, q, x[3]));
                deq_store(c->out[0], dtype, to, deq_load(c->in[0], dtype, plane + at));
                ((int32_t *)c->out[1])[to] = (int32_t)at;
            }
    return DEQ_OK;
}

/* The first index that points out of its plane, with the facts. */
static deq_status refuse_index(const deq_kernel_call *c, int64_t plane)
{
    const int32_t *argmax = c->in[1];
    int64_t n = deq_shape_count(&c->in_type[1].shape), i = 0;
    while (i < n - 1 && argmax[i] >= 0 && argmax[i] < plane) i++;
    return deq_kernel_fail(c, DEQ_ERR_DATA, "index %ld at %lld, expected 0 to %lld",
                           (long)argmax[i], (long long)i, (long long)(plane - 1));
}

static deq_status kernel_gather(const deq_kernel_call *c)
{
    const int64_t *x = c->in_type[0].shape.dim, *y = c->out_type[0].shape.dim;
    const int32_t *argmax = c->in[1];
    deq_dtype dtype = c->in_type[0].dtype;
    int64_t planes = x[0] * x[1], plane = x[2] * x[3], count = y[2] * y[3];
    int workers = deq_window_workers(c->threads, planes, (double)planes * (double)count);
    int bad = 0;
#pragma omp parallel for num_threads(workers) schedule(static) reduction(| : bad) if (workers > 1)
    for (int64_t i = 0; i < planes; i++)
        for (int64_t p = i * count; p < (i + 1) * count; p++) {
            bool inside = argmax[p] >= 0 && argmax[p] < plane;
            bad |= !inside;
            deq_store(c->out[0], dtype, p,
                      inside ? deq_load(c->in[0], dtype, i * plane + argmax[p]) : 0.0);
        }
    return bad ? refuse_index(c, plane) : DEQ_OK;
}

static int scatter_workers(const deq_kernel_call *c)
{
    const int64_t *x = c->out_type[0].shape.dim;
    return deq_window_workers(c->threads, x[0] * x[1],
                              (double)deq_shape_count(&c->in_type[0].shape));
}

/* A plane of sums in double for each worker. */
static size_t scratch_scatter(const deq_kernel_call *c)
{
    const int64_t *x = c->out_type[0].shape.dim;
    return (size_t)scatter_workers(c) * (size_t)(x[2] * x[3]) * sizeof(double);
}

/* One plane of (3); whether an index points out of it. */
static bool scatter_plane(const deq_kernel_call *c, int64_t i, double *sums)
{
    const int64_t *x = c->out_type[0].shape.dim, *y = c->in_type[0].shape.dim;
    const int32_t *argmax = c->in[1];
    int64_t plane = x[2] * x[3], count = y[2] * y[3];
    bool bad = false;
    memset(sums, 0, (size_t)plane * sizeof *sums);
    for (int64_t p = i * count; p < (i + 1) * count; p++)
        if (argmax[p] >= 0 && argmax[p] < plane)
            sums[argmax[p]] += deq_load(c->in[0], c->in_type[0].dtype, p);
        else
            bad = true;
    for (int64_t h = 0; h < plane; h++)
        deq_store(c->out[0], c->in_type[0].dtype, i * plane + h, sums[h]);
    return bad;
}

static deq_status kernel_scatter(const deq_kernel_call *c)
{
    const int64_t *x = c->out_type[0].shape.dim;
    int64_t planes = x[0] * x[1], plane = x[2] * x[3];
    int workers = scatter_workers(c), bad = 0;
#pragma omp parallel for num_threads(workers) schedule(static) reduction(| : bad) if (workers > 1)
    for (int w = 0; w < workers; w++)
        for (int64_t i = planes * w / workers; i < planes * (w + 1) / workers; i++)
            bad |= scatter_plane(c, i, (double *)c->scratch + w * plane);
    return bad ? refuse_index(c, plane) : DEQ_OK;
}

static double flops_max(const deq_kernel_call *c)
{
    const deq_pool_attr *a = c->attr;
    return (double)deq_shape_count(&c->out_type[0].shape) * (double)a->kernel[0] *
           (double)a->kernel[1];
}

const deq_op deq_op_max_pool2d = { .name = "max_pool2d",
                                   .n_out = 2,
                                   .attr_bytes = sizeof(deq_pool_attr),
                                   .infer = infer_max,
                                   .vjp = vjp_max,
                                   .jvp = jvp_max,
                                   .kernel = kernel_max,
                                   .flops = flops_max };

const deq_op deq_op_pool_gather = { .name = "pool_gather",
                                    .n_out = 1,
                                    .linear = 1u << 0,
                                    .infer = infer_gather,
                                    .vjp = vjp_gather,
                                    .kernel = kernel_gather };

const deq_op deq_op_pool_scatter = { .name = "pool_scatter",
                                     .n_out = 1,
                                     .attr_bytes = sizeof(deq_pool_scatter_attr),
                                     .linear = 1u << 0,
                                     .infer = infer_scatter,
                                     .vjp = vjp_scatter,
                                     .kernel = kernel_scatter,
                                     .scratch = scratch_scatter };

/* --- builder ---------------------------------------------------------------------------------- */

deq_value deq_max_pool2d(deq_graph *g, deq_value x, const deq_max_pool2d_options *options,
                         deq_value *argmax)
{
    static const char *const op = "max_pool2d";
    deq_value out[2] = { { -1 }, { -1 } };
    deq_pool_attr a;
    if (argmax) *argmax = out[1];
    if (!options)
        return deq_graph_fail(g, DEQ_ERR_ARGUMENT, "%s: options with a kernel are needed", op);
    if (!deq_window_options(g, op, options->struct_size, sizeof *options) ||
        !deq_pool_read(g, op, &a, options->kernel, options->stride, options->padding))
        return out[0];
    deq_emit(g, &deq_op_max_pool2d, &a, sizeof a, &x, 1, out, 2);
    if (argmax) *argmax = out[1];
    return out[0];
}
