/* SPDX-License-Identifier: MIT */
/*
 * Two-dimensional convolution and its two adjoints.  All three are partial derivatives of the one
 * trilinear form
 *
 *   T(x, w, dy) = sum  x[b, c, h, v] w[k, c, r, s] dy[b, k, p, q],                   (1)
 *                 h = p stride - padding + r dilation,  v = q stride - padding + s dilation
 *
 * over all indices that stay inside the arrays (k and c of the same group):
 *
 *   conv2d(x, w)               = dT/d dy        y  [B, K, P, Q]
 *   conv2d_input_grad(dy, w)   = dT/dx          dx [B, C, H, W]
 *   conv2d_weight_grad(x, dy)  = dT/dw          dw [K, C/g, R, S]
 *
 * So the cotangents of each are the other two, and the family is closed under differentiation.
 * The builders stand in conv_build.c.
 */
#include "op/conv.h"

#include <string.h>

/* --- shapes ----------------------------------------------------------------------------------- */

static const char *const axis_name[2] = { "height", "width" };

static deq_window window_of(const deq_conv_attr *a, int axis, int64_t kernel)
{
    return (deq_window){ kernel, a->stride[axis], a->padding[axis], a->dilation[axis] };
}

static bool infer_common(deq_shape_rule *r)
{
    const deq_conv_attr *a = r->attr;
    if (!deq_rule_float(r, 0) || !deq_rule_float(r, 1) || !deq_rule_same_dtype(r, 0, 1) ||
        !deq_rule_rank(r, 0, 4) || !deq_rule_rank(r, 1, 4))
        return false;
    if (a->groups < 1)
        return deq_rule_fail(r, DEQ_ERR_ARGUMENT, "groups is %lld, expected at least 1",
                             (long long)a->groups);
    r->out[0].dtype = r->in[0].dtype;
    r->out[0].shape.rank = 4;
    return true;
}

static bool check_divides(deq_shape_rule *r, const char *what, int64_t n)
{
    const deq_conv_attr *a = r->attr;
    if (n % a->groups == 0) return true;
    return deq_rule_fail(r, DEQ_ERR_SHAPE, "%lld %s cannot be divided into %lld groups",
                         (long long)n, what, (long long)a->groups);
}

static bool infer_conv2d(deq_shape_rule *r)
{
    if (!infer_common(r)) return false;
    const deq_conv_attr *a = r->attr;
    const int64_t *x = r->in[0].shape.dim, *w = r->in[1].shape.dim;
    int64_t *y = r->out[0].shape.dim;
    if (!check_divides(r, "channels of x", x[1]) || !check_divides(r, "output channels of w", w[0]))
        return false;
    if (x[1] / a->groups != w[1])
        return deq_rule_fail(r, DEQ_ERR_SHAPE, "x has %lld channels, w expects %lld",
                             (long long)x[1], (long long)(w[1] * a->groups));
    y[0] = x[0];
    y[1] = w[0];
    for (int i = 0; i < 2; i++) {
        deq_window window = window_of(a, i, w[2 + i]);
        if (!deq_rule_window(r, axis_name[i], &y[2 + i], x[2 + i], &window)) return false;
    }
    return true;
}

/* The convolution of `in` positions must give the `out` that dy has. */
static bool check_extent(deq_shape_rule *r, int axis, int64_t in, int64_t kernel, int64_t out)
{
    deq_window window = window_of(r->attr, axis, kernel);
    int64_t expected;
    if (!deq_rule_window(r, axis_name[axis], &expected, in, &window)) return false;
    if (expected == out) return true;
    return deq_rule_fail(r, DEQ_ERR_SHAPE, "%s: dy has extent %lld, the convolution gives %lld",
                         axis_name[axis], (long long)out, (long long)expected);
}

static bool infer_input_grad(deq_shape_rule *r)
{
    if (!infer_common(r)) return false;
    const deq_conv_attr *a = r->attr;
    const int64_t *dy = r->in[0].shape.dim, *w = r->in[1].shape.dim;
    int64_t *dx = r->out[0].shape.dim;
    if (!check_divides(r, "channels of dy", dy[1])) return false;
    if (dy[1] != w[0])
        return deq_rule_fail(r, DEQ_ERR_SHAPE, "dy has %lld channels, w expects %lld",
                             (long long)dy[1], (long long)w[0]);
    dx[0] = dy[0];
    if (!deq_rule_product(r, &dx[1], w[1], a->groups)) return false;
    for (int i = 0; i < 2; i++) {
        dx[2 + i] = a->size[i];
        if (!check_extent(r, i, dx[2 + i], w[2 + i], dy[2 + i])) return false;
    }
    return true;
}

static bool infer_weight_grad(deq_shape_rule *r)
{
    if (!infer_common(r)) return false;
    const deq_conv_attr *a = r->attr;
    const int64_t *x = r->in[0].shape.dim, *dy = r->in[1].shape.dim;
    int64_t *dw = r->out[0].shape.dim;
    if (x[0] != dy[0])
        return deq_rule_fail(r, DEQ_ERR_SHAPE, "batches differ: %lld in x, %lld in dy",
                             (long long)x[0], (long long)dy[0]);
    if (!check_divides(r, "channels of x", x[1]) || !check_divides(r, "channels of dy", dy[1]))
        return false;
    dw[0] = dy[1];
    dw[1] = x[1] / a->groups;
    for (int i = 0; i < 2; i++) {
        dw[2 + i] = a->size[i];
        if (!check_extent(r, i, x[2 + i], dw[2 + i], dy[2 + i])) return false;
    }
    return true;
}

/* --- derivatives ------------------------------------------------------------------------------ */

/* One of the three with the attributes of the node, except for the size: that of `like`. */
static deq_value emit(const deq_frame *f, const deq_op *op, deq_value a, deq_value b,
                      const deq_value *like)
{
    deq_conv_attr attr = *(const deq_conv_attr *)f->attr;
    deq_shape s = { 0 };
    if (like) s = deq_value_type(f->g, *like).shape;
    for (int i = 0; i < 2; i++) attr.size[i] = s.dim[2 + i];
    deq_value in[] = { a, b };
    return deq_emit1(f->g, op, &attr, sizeof attr, in, 2);
}

static void vjp_conv2d(const deq_frame *f, const deq_value *dy, deq_value *dx)
{
    deq_value x = f->in[0], w = f->in[1];
    if (f->need[0]) dx[0] = emit(f, &deq_op_conv2d_input_grad, dy[0], w, &x);
    if (f->need[1]) dx[1] = emit(f, &deq_op_conv2d_weight_grad, x, dy[0], &w);
}

/* Here the node's inputs are (dy, w), its output dx, and `u` the cotangent of dx. */
static void vjp_input_grad(const deq_frame *f, const deq_value *u, deq_value *d)
{
    deq_value dy = f->in[0], w = f->in[1];
    if (f->need[0]) d[0] = emit(f, &deq_op_conv2d, u[0], w, NULL);
    if (f->need[1]) d[1] = emit(f, &deq_op_conv2d_weight_grad, u[0], dy, &w);
}

/* Here the node's inputs are (x, dy), its output dw, and `u` the cotangent of dw. */
static void vjp_weight_grad(const deq_frame *f, const deq_value *u, deq_value *d)
{
    deq_value x = f->in[0], dy = f->in[1];
    if (f->need[0]) d[0] = emit(f, &deq_op_conv2d_input_grad, dy, u[0], &x);
    if (f->need[1]) d[1] = emit(f, &deq_op_conv2d, x, u[0], NULL);
}

/* --- reference kernels ------------------------------------------------------------------------ */

static deq_conv_dims dims_of(const deq_conv_attr *a, const deq_type *x, const deq_type *w,
                             const deq_type *y)
{
    const int64_t *dx = x->shape.dim, *dw = w->shape.dim, *dy = y->shape.dim;
    return (deq_conv_dims){ .batch = dx[0],
                            .groups = a->groups,
                            .c = dx[1],
                            .k = dw[0],
                            .h = dx[2],
                            .w = dx[3],
                            .r = dw[2],
                            .s = dw[3],
                            .p = dy[2],
                            .q = dy[3],
                            .height = window_of(a, 0, dw[2]),
                            .width = window_of(a, 1, dw[3]) };
}

deq_conv_dims deq_conv2d_dims(const deq_kernel_call *c)
{
    return dims_of(c->attr, &c->in_type[0], &c->in_type[1], &c->out_type[0]);
}

deq_conv_dims deq_conv2d_input_grad_dims(const deq_kernel_call *c)
{
    return dims_of(c->attr, &c->out_type[0], &c->in_type[1], &c->in_type[0]);
}

deq_conv_dims deq_conv2d_weight_grad_dims(const deq_kernel_call *c)
{
    return dims_of(c->attr, &c->in_type[0], &c->out_type[0], &c->in_type[1]);
}

/* What tap (r, s) joins: y[p, q] with x[h0 + p stride, v0 + q stride], p and q in their spans.  If one
 * span is empty, that of p is. */
typedef struct tap {
    deq_span p, q;
    int64_t h0, v0;
} tap;

static inline tap tap_of(const deq_conv_dims *d, int64_t r, int64_t s)
{
    deq_span p = deq_window_span(&d->height, r, d->h, d->p);
    deq_span q = deq_window_span(&d->width, s, d->w, d->q);
    return (tap){ .p = q.from < q.to ? p : (deq_span){ 0, 0 },
                  .q = q,
                  .h0 = r * d->height.dilation - d->height.padding,
                  .v0 = s * d->width.dilation - d->width.padding };
}

static inline int64_t extent(deq_span s)
{
    return s.to - s.from;
}

/* Where in a plane of x the tap meets the first q of output row p. */
static inline int64_t row_of(const deq_conv_dims *d, const tap *t, int64_t p)
{
    return (t->h0 + p * d->height.stride) * d->w + t->v0 + t->q.from * d->width.stride;
}

/* Terms of (1), boundaries not subtracted. */
static double terms(const deq_conv_dims *d)
{
    int64_t depth = d->c / d->groups;
    return (double)d->batch * (double)d->k * (double)d->p * (double)d->q * (double)depth *
           (double)d->r * (double)d->s;
}

#define REAL float
#define TYPED(name) name##_f32
#include "op/conv_kernel.h"
#define REAL double
#define TYPED(name) name##_f64
#include "op/conv_kernel.h"

/* Each kernel fills `items` independent parts of its output (planes [P, Q], planes [H, W], or the
 * taps [R, S] of one pair of channels), with sums of one part in double. */
typedef void part_fn(void *out, const void *a, const void *b, const deq_conv_dims *d, int64_t item,
                     double *sums);

static void run_parts(const deq_kernel_call *c, const deq_conv_dims *d, part_fn *f32, part_fn *f64,
                      int64_t items, int64_t part)
{
    part_fn *fill = c->in_type[0].dtype == DEQ_F32 ? f32 : f64;
    int workers = deq_window_workers(c->threads, items, terms(d));
    /* Worker w takes a fixed run of consecutive parts. */
#pragma omp parallel for num_threads(workers) schedule(static) if (workers > 1)
    for (int w = 0; w < workers; w++)
        for (int64_t i = items * w / workers; i < items * (w + 1) / workers; i++)
            fill(c->out[0], c->in[0], c->in[1], d, i, (double *)c->scratch + w * part);
}

static deq_status kernel_conv2d(const deq_kernel_call *c)
{
    deq_conv_dims d = deq_conv2d_dims(c);
    run_parts(c, &d, conv2d_f32, conv2d_f64, d.batch * d.k, d.p * d.q);
    return DEQ_OK;
}

static deq_status kernel_input_grad(const deq_kernel_call *c)
{
    deq_conv_dims d = deq_conv2d_input_grad_dims(c);
    run_parts(c, &d, input_grad_f32, input_grad_f64, d.batch * d.c, d.h * d.w);
    return DEQ_OK;
}

static deq_status kernel_weight_grad(const deq_kernel_call *c)
{
    deq_conv_dims d = deq_conv2d_weight_grad_dims(c);
    run_parts(c, &d, weight_grad_f32, weight_grad_f64, d.k * (d.c / d.groups), d.r * d.s);
    return DEQ_OK;
}

static size_t scratch_for(const deq_kernel_call *c, const deq_conv_dims *d, int64_t items,
                          int64_t part)
{
    int workers = deq_window_workers(c->threads, items, terms(d));
    return (size_t)workers * (size_t)part * sizeof(double);
}

static size_t scratch_conv2d(const deq_kernel_call *c)
{
    deq_conv_dims d = deq_conv2d_dims(c);
    return scratch_for(c, &d, d.batch * d.k, d.p * d.q);
}

static size_t scratch_input_grad(const deq_kernel_call *c)
{
    deq_conv_dims d = deq_conv2d_input_grad_dims(c);
    return scratch_for(c, &d, d.batch * d.c, d.h * d.w);
}

static size_t scratch_weight_grad(const deq_kernel_call *c)
{
    deq_conv_dims d = deq_conv2d_weight_grad_dims(c);
    return scratch_for(c, &d, d.k * (d.c / d.groups), d.r * d.s);
}

static double flops_conv2d(const deq_kernel_call *c)
{
    deq_conv_dims d = deq_conv2d_dims(c);
    return 2.0 * terms(&d);
}

static double flops_input_grad(const deq_kernel_call *c)
{
    deq_conv_dims d = deq_conv2d_input_grad_dims(c);
    return 2.0 * terms(&d);
}

static double flops_weight_grad(const deq_kernel_call *c)
{
    deq_conv_dims d = deq_conv2d_weight_grad_dims(c);
    return 2.0 * terms(&d);
}

#define BILINEAR (1u << 0 | 1u << 1)

const deq_op deq_op_conv2d = { .name = "conv2d",
                               .n_out = 1,
                               .attr_bytes = sizeof(deq_conv_attr),
                               .linear = BILINEAR,
                               .infer = infer_conv2d,
                               .vjp = vjp_conv2d,
                               .kernel = kernel_conv2d,
                               .scratch = scratch_conv2d,
                               .flops = flops_conv2d };

const deq_op deq_op_conv2d_input_grad = { .name = "conv2d_input_grad",
                                          .n_out = 1,
                                          .attr_bytes = sizeof(deq_conv_attr),
                                          .linear = BILINEAR,
                                          .infer = infer_input_grad,
                                          .vjp = vjp_input_grad,
                                          .kernel = kernel_input_grad,
                                          .scratch = scratch_input_grad,
                                          .flops = flops_input_grad };

const deq_op deq_op_conv2d_weight_grad = { .name = "conv2d_weight_grad",
                                           .n_out = 1,
                                           .attr_bytes = sizeof(deq_conv_attr),
                                           .linear = BILINEAR,
                                           .infer = infer_weight_grad,
                                           .vjp = vjp_weight_grad,
                                           .kernel = kernel_weight_grad,
                                           .scratch = scratch_weight_grad,
                                           .flops = flops_weight_grad };
