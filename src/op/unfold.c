/* SPDX-License-Identifier: MIT */
/*
 * im2col and its adjoint:
 *
 *   unfold2d   y[b, (c R + r) S + s, p Q + q] = x[b, c, h, v]                             (1)
 *   fold2d     x[b, c, h, v] = sum over (r, s, p, q) that read it of y[b, ..., ...]       (2)
 *
 * with h = p stride - padding + r dilation, v = q stride - padding + s dilation, and x zero outside.
 */
#include "op/unfold.h"

#include "op/real.h"

#include <deq/op/unfold.h>
#include <string.h>

/* --- shapes ----------------------------------------------------------------------------------- */

/* P, Q of a plane [H, W] and the number of taps R S. */
static bool infer_windows(deq_shape_rule *r, const int64_t in[2], int64_t out[2], int64_t *taps)
{
    static const char *const axis_name[2] = { "height", "width" };
    const deq_unfold_attr *a = r->attr;
    for (int i = 0; i < 2; i++) {
        deq_window w = { a->kernel[i], a->stride[i], a->padding[i], a->dilation[i] };
        if (!deq_rule_window(r, axis_name[i], &out[i], in[i], &w)) return false;
    }
    return deq_rule_product(r, taps, a->kernel[0], a->kernel[1]);
}

static bool infer_unfold(deq_shape_rule *r)
{
    int64_t out[2], taps;
    if (!deq_rule_float(r, 0) || !deq_rule_rank(r, 0, 4)) return false;
    const int64_t *x = r->in[0].shape.dim;
    deq_type *y = &r->out[0];
    if (!infer_windows(r, &x[2], out, &taps)) return false;
    y->dtype = r->in[0].dtype;
    y->shape.rank = 3;
    y->shape.dim[0] = x[0];
    return deq_rule_product(r, &y->shape.dim[1], x[1], taps) &&
           deq_rule_product(r, &y->shape.dim[2], out[0], out[1]);
}

static bool infer_fold(deq_shape_rule *r)
{
    int64_t out[2], taps, count;
    const deq_unfold_attr *a = r->attr;
    if (!deq_rule_float(r, 0) || !deq_rule_rank(r, 0, 3)) return false;
    const int64_t *columns = r->in[0].shape.dim;
    deq_type *x = &r->out[0];
    if (!infer_windows(r, a->size, out, &taps) || !deq_rule_product(r, &count, out[0], out[1]))
        return false;
    if (columns[1] % taps != 0)
        return deq_rule_fail(r, DEQ_ERR_SHAPE, "%lld rows cannot be divided by the %lld taps",
                             (long long)columns[1], (long long)taps);
    if (columns[2] != count)
        return deq_rule_fail(r, DEQ_ERR_SHAPE, "%lld columns, expected %lld x %lld = %lld",
                             (long long)columns[2], (long long)out[0], (long long)out[1],
                             (long long)count);
    x->dtype = r->in[0].dtype;
    x->shape = DEQ_SHAPE(columns[0], columns[1] / taps, a->size[0], a->size[1]);
    return true;
}

/* --- derivatives ------------------------------------------------------------------------------ */

static void vjp_unfold(const deq_frame *f, const deq_value *dy, deq_value *dx)
{
    deq_unfold_attr a = *(const deq_unfold_attr *)f->attr;
    deq_shape s = deq_value_type(f->g, f->in[0]).shape;
    memcpy(a.size, &s.dim[2], sizeof a.size);
    dx[0] = deq_emit1(f->g, &deq_op_fold2d, &a, sizeof a, dy, 1);
}

static void vjp_fold(const deq_frame *f, const deq_value *dy, deq_value *dx)
{
    deq_unfold_attr a = *(const deq_unfold_attr *)f->attr;
    memset(a.size, 0, sizeof a.size);
    dx[0] = deq_emit1(f->g, &deq_op_unfold2d, &a, sizeof a, dy, 1);
}

/* --- reference kernels ------------------------------------------------------------------------ */

/* One plane of the image and the rows that belong to it. */
typedef struct unfold_dims {
    int64_t planes, h, w, p, q;
    deq_window height, width;
    deq_dtype dtype;
} unfold_dims;

static unfold_dims dims_of(const deq_unfold_attr *a, const deq_type *x)
{
    const int64_t *d = x->shape.dim;
    unfold_dims u = { .planes = d[0] * d[1], .h = d[2], .w = d[3], .dtype = x->dtype };
    u.height = (deq_window){ a->kernel[0], a->stride[0], a->padding[0], a->dilation[0] };
    u.width = (deq_window){ a->kernel[1], a->stride[1], a->padding[1], a->dilation[1] };
    u.p = (u.h + 2 * a->padding[0] - a->dilation[0] * (a->kernel[0] - 1) - 1) / a->stride[0] + 1;
    u.q = (u.w + 2 * a->padding[1] - a->dilation[1] * (a->kernel[1] - 1) - 1) / a->stride[1] + 1;
    return u;
}

/* Elements of the matrix of columns. */
static double work_of(const unfold_dims *d)
{
    return (double)d->planes * (double)d->height.kernel * (double)d->width.kernel * (double)d->p *
           (double)d->q;
}

/* (1) for row (r, s) of a plane: y is the row's first element, x the plane's. */
static void unfold_row(const deq_kernel_call *c, const unfold_dims *d, int64_t r, int64_t s,
                       int64_t x, int64_t y)
{
    deq_span ps = deq_window_span(&d->height, r, d->h, d->p);
    deq_span qs = deq_window_span(&d->width, s, d->w, d->q);
    memset((char *)c->out[0] + (size_t)y * deq_dtype_size(d->dtype), 0,
           (size_t)(d->p * d->q) * deq_dtype_size(d->dtype));
    for (int64_t p = ps.from; p < ps.to; p++) {
        int64_t h = p * d->height.stride - d->height.padding + r * d->height.dilation;
        int64_t row = x + h * d->w - d->width.padding + s * d->width.dilation;
        for (int64_t q = qs.from; q < qs.to; q++)
            deq_store(c->out[0], d->dtype, y + p * d->q + q,
                      deq_load(c->in[0], d->dtype, row + q * d->width.stride));
    }
}

static deq_status kernel_unfold(const deq_kernel_call *c)
{
    unfold_dims d = dims_of(c->attr, &c->in_type[0]);
    int64_t taps = d.height.kernel * d.width.kernel;
    int workers = deq_window_workers(c->threads, d.planes, work_of(&d));
#pragma omp parallel for num_threads(workers) schedule(static) if (workers > 1)
    for (int64_t i = 0; i < d.planes; i++)
        for (int64_t t = 0; t < taps; t++)
            unfold_row(c, &d, t / d.width.kernel, t % d.width.kernel, i * d.h * d.w,
                       (i * taps + t) * d.p * d.q);
    return DEQ_OK;
}

/* (2) for row (r, s) of a plane: adds it to the plane's sums; y is the row's first element. */
static void fold_row(const deq_kernel_call *c, const unfold_dims *d, int64_t r, int64_t s,
                     double *sums, int64_t y)
{
    deq_span ps = deq_window_span(&d->height, r, d->h, d->p);
    deq_span qs = deq_window_span(&d->width, s, d->w, d->q);
    for (int64_t p = ps.from; p < ps.to; p++) {
        int64_t h = p * d->height.stride - d->height.padding + r * d->height.dilation;
        int64_t row = h * d->w - d->width.padding + s * d->width.dilation;
        for (int64_t q = qs.from; q < qs.to; q++)
            sums[row + q * d->width.stride] += deq_load(c->in[0], d->dtype, y + p * d->q + q);
    }
}

static void fold_plane(const deq_kernel_call *c, const unfold_dims *d, int64_t i, double *sums)
{
    int64_t taps = d->height.kernel * d->width.kernel, plane = d->h * d->w;
    memset(sums, 0, (size_t)plane * sizeof *sums);
    for (int64_t t = 0; t < taps; t++)
        fold_row(c, d, t / d->width.kernel, t % d->width.kernel, sums,
                 (i * taps + t) * d->p * d->q);
    for (int64_t h = 0; h < plane; h++) deq_store(c->out[0], d->dtype, i * plane + h, sums[h]);
}

static deq_status kernel_fold(const deq_kernel_call *c)
{
    unfold_dims d = dims_of(c->attr, &c->out_type[0]);
    int workers = deq_window_workers(c->threads, d.planes, work_of(&d));
#pragma omp parallel for num_threads(workers) schedule(static) if (workers > 1)
    for (int w = 0; w < workers; w++)
        for (int64_t i = d.planes * w / workers; i < d.planes * (w + 1) / workers; i++)
            fold_plane(c, &d, i, (double *)c->scratch + w * d.h * d.w);
    return DEQ_OK;
}

/* A plane of sums in double for each worker. */
static size_t scratch_fold(const deq_kernel_call *c)
{
    unfold_dims d = dims_of(c->attr, &c->out_type[0]);
    int workers = deq_window_workers(c->threads, d.planes, work_of(&d));
    return (size_t)workers * (size_t)(d.h * d.w) * sizeof(double);
}

static double flops_unfold(const deq_kernel_call *c)
{
    (void)c;
    return 0.0; /* moves elements */
}

static double flops_fold(const deq_kernel_call *c)
{
    unfold_dims d = dims_of(c->attr, &c->out_type[0]);
    return work_of(&d);
}

const deq_op deq_op_unfold2d = { .name = "unfold2d",
                                 .n_out = 1,
                                 .attr_bytes = sizeof(deq_unfold_attr),
                                 .linear = 1u << 0,
                                 .infer = infer_unfold,
                                 .vjp = vjp_unfold,
                                 .kernel = kernel_unfold,
                                 .flops = flops_unfold };

const deq_op deq_op_fold2d = { .name = "fold2d",
                               .n_out = 1,
                               .attr_bytes = sizeof(deq_unfold_attr),
                               .linear = 1u << 0,
                               .infer = infer_fold,
                               .vjp = vjp_fold,
                               .kernel = kernel_fold,
                               .scratch = scratch_fold,
                               .flops = flops_fold };

/* --- builders --------------------------------------------------------------------------------- */

static bool read_options(deq_graph *g, const char *op, deq_unfold_attr *a,
                         const deq_unfold2d_options *o)
{
    memset(a, 0, sizeof *a);
    if (!o) {
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "%s: options with a kernel are needed", op);
        return false;
    }
    memcpy(a->padding, o->padding, sizeof a->padding);
    return deq_window_options(g, op, o->struct_size, sizeof *o) &&
           deq_window_pair(g, op, "kernel", a->kernel, o->kernel, 0) &&
           deq_window_pair(g, op, "stride", a->stride, o->stride, 1) &&
           deq_window_pair(g, op, "dilation", a->dilation, o->dilation, 1);
}

deq_value deq_unfold2d(deq_graph *g, deq_value x, const deq_unfold2d_options *options)
{
    deq_unfold_attr a;
    if (!read_options(g, "unfold2d", &a, options)) return (deq_value){ -1 };
    return deq_emit1(g, &deq_op_unfold2d, &a, sizeof a, &x, 1);
}

deq_value deq_fold2d(deq_graph *g, deq_value columns, int64_t height, int64_t width,
                     const deq_unfold2d_options *options)
{
    deq_unfold_attr a;
    if (!read_options(g, "fold2d", &a, options)) return (deq_value){ -1 };
    a.size[0] = height;
    a.size[1] = width;
    return deq_emit1(g, &deq_op_fold2d, &a, sizeof a, &columns, 1);
}
