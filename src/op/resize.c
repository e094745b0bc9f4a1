/* SPDX-License-Identifier: MIT */
/*
 * Resizing of images along both axes by a matrix with at most two entries a row:
 *
 *   resize     y = R_H x R_W^T           (R x)_i = (1 - t_i) x_{k_i} + t_i x_{l_i}        (1)
 *   adjoint    x = R_H^T y R_W           (R^T y)_k = sum over i that read k               (2)
 *
 * The positions that read pixel k follow each other, because k_i never falls; so (2) is written as
 * a sum for each pixel, which needs no care with threads.
 */
#include "op/resize.h"

#include "op/real.h"

#include <deq/op/resample.h>
#include <string.h>

static bool infer(deq_shape_rule *r)
{
    const deq_resize_attr *a = r->attr;
    r->out[0] = r->in[0];
    if (!deq_rule_float(r, 0) || !deq_rule_rank(r, 0, 4)) return false;
    if (a->height < 1 || a->width < 1)
        return deq_rule_fail(r, DEQ_ERR_ARGUMENT,
                             "new size is %lld x %lld, expected at least 1 x 1",
                             (long long)a->height, (long long)a->width);
    r->out[0].shape.dim[2] = a->height;
    r->out[0].shape.dim[3] = a->width;
    return true;
}

/* --- the matrix R ------------------------------------------------------------------------------ */

/* Row i of R. */
typedef struct tap {
    int64_t k, l; /* columns */
    double t;     /* weight of l; that of k is 1 - t */
} tap;

static tap bilinear_tap(double s, int64_t from)
{
    int64_t k = (int64_t)s; /* s is not negative */
    if (k > from - 1) k = from - 1;
    return (tap){ k, k + 1 < from ? k + 1 : k, s - (double)k };
}

/* Row i of the matrix that maps `from` pixels to `to`. */
static tap tap_of(int32_t mode, int64_t from, int64_t to, int64_t i)
{
    double n = (double)from, m = (double)to, at = (double)i;
    if (mode == DEQ_RESIZE_ALIGN_CORNERS)
        return bilinear_tap(to > 1 ? at * (n - 1) / (m - 1) : 0, from);
    if (mode == DEQ_RESIZE_HALF_PIXEL) {
        double s = (at + 0.5) * n / m - 0.5;
        return bilinear_tap(s > 0 ? s : 0, from);
    }
    int64_t k = i * (from / to) + i * (from % to) / to; /* floor(i from / to) */
    return (tap){ k, k, 0 };
}

/* Rows first to end - 1 of R have an entry in a column. */
typedef struct readers {
    int64_t first, end;
} readers;

static void fill_taps(tap *taps, int32_t mode, int64_t from, int64_t to)
{
    for (int64_t i = 0; i < to; i++) taps[i] = tap_of(mode, from, to, i);
}

static void fill_readers(readers *columns, const tap *taps, int64_t from, int64_t to)
{
    for (int64_t k = 0; k < from; k++) columns[k] = (readers){ to, 0 };
    for (int64_t i = to; i-- > 0;) {
        columns[taps[i].k].first = i;
        columns[taps[i].l].first = i;
    }
    for (int64_t i = 0; i < to; i++) {
        columns[taps[i].k].end = i + 1;
        columns[taps[i].l].end = i + 1;
    }
}

static double weight(const tap *p, int64_t k)
{
    return (p->k == k ? 1 - p->t : 0) + (p->l == k ? p->t : 0);
}

/* --- kernels ----------------------------------------------------------------------------------- */

/* What both directions know; `small` is x of (1), `large` is y, whichever is larger. */
typedef struct resize_plan {
    int64_t planes, small_h, small_w, large_h, large_w;
    tap *rows, *cols;
    readers *row_readers, *col_readers; /* (2) only */
} resize_plan;

static resize_plan plan_of(const deq_kernel_call *c)
{
    const deq_resize_attr *a = c->attr;
    const deq_shape *in = &c->in_type[0].shape, *out = &c->out_type[0].shape;
    const deq_shape *small = a->adjoint ? out : in, *large = a->adjoint ? in : out;
    return (resize_plan){ .planes = in->dim[0] * in->dim[1],
                          .small_h = small->dim[2],
                          .small_w = small->dim[3],
                          .large_h = large->dim[2],
                          .large_w = large->dim[3] };
}

static size_t scratch(const deq_kernel_call *c)
{
    resize_plan p = plan_of(c);
    return (size_t)(p.large_h + p.large_w) * sizeof(tap) +
           (size_t)(p.small_h + p.small_w) * sizeof(readers);
}

static void fill_plan(resize_plan *p, const deq_resize_attr *a, void *memory)
{
    p->rows = memory;
    p->cols = p->rows + p->large_h;
    p->row_readers = (readers *)(p->cols + p->large_w);
    p->col_readers = p->row_readers + p->small_h;
    fill_taps(p->rows, a->mode, p->small_h, p->large_h);
    fill_taps(p->cols, a->mode, p->small_w, p->large_w);
    if (!a->adjoint) return;
    fill_readers(p->row_readers, p->rows, p->small_h, p->large_h);
    fill_readers(p->col_readers, p->cols, p->small_w, p->large_w);
}

/* One row of (1): r counts the rows of all planes. */
static void resize_row(const deq_kernel_call *c, const resize_plan *p, int64_t r)
{
    deq_dtype t = c->out_type[0].dtype;
    const tap *v = &p->rows[r % p->large_h];
    int64_t plane = r / p->large_h * p->small_h;
    int64_t top = (plane + v->k) * p->small_w, bottom = (plane + v->l) * p->small_w;
    for (int64_t j = 0; j < p->large_w; j++) {
        const tap *h = &p->cols[j];
        double a = (1 - h->t) * deq_load(c->in[0], t, top + h->k) +
                   h->t * deq_load(c->in[0], t, top + h->l);
        double b = (1 - h->t) * deq_load(c->in[0], t, bottom + h->k) +
                   h->t * deq_load(c->in[0], t, bottom + h->l);
        deq_store(c->out[0], t, r * p->large_w + j, (1 - v->t) * a + v->t * b);
    }
}

/* The same without weights. */
static void copy_row(const deq_kernel_call *c, const resize_plan *p, int64_t r)
{
    deq_dtype t = c->out_type[0].dtype;
    int64_t from = (r / p->large_h * p->small_h + p->rows[r % p->large_h].k) * p->small_w;
    for (int64_t j = 0; j < p->large_w; j++)
        deq_store(c->out[0], t, r * p->large_w + j, deq_load(c->in[0], t, from + p->cols[j].k));
}

/* One row of (2). */
static void gather_row(const deq_kernel_call *c, const resize_plan *p, int64_t r)
{
    deq_dtype t = c->out_type[0].dtype;
    int64_t k = r % p->small_h, plane = r / p->small_h * p->large_h;
    readers v = p->row_readers[k];
    for (int64_t l = 0; l < p->small_w; l++) {
        readers h = p->col_readers[l];
        double sum = 0;
        for (int64_t i = v.first; i < v.end; i++) {
            double line = 0;
            for (int64_t j = h.first; j < h.end; j++)
                line += weight(&p->cols[j], l) *
                        deq_load(c->in[0], t, (plane + i) * p->large_w + j);
            sum += weight(&p->rows[i], k) * line;
        }
        deq_store(c->out[0], t, r * p->small_w + l, sum);
    }
}

static deq_status kernel(const deq_kernel_call *c)
{
    const deq_resize_attr *a = c->attr;
    resize_plan p = plan_of(c);
    fill_plan(&p, a, c->scratch);
    int64_t rows = p.planes * c->out_type[0].shape.dim[2];
    int64_t work = p.planes * (p.large_h * p.large_w + p.small_h * p.small_w);
#pragma omp parallel for num_threads(c->threads) schedule(static) if (work > 32768)
    for (int64_t r = 0; r < rows; r++)
        (a->adjoint ? gather_row : a->mode == DEQ_RESIZE_NEAREST ? copy_row : resize_row)(c, &p, r);
    return DEQ_OK;
}

static double flops(const deq_kernel_call *c)
{
    const deq_resize_attr *a = c->attr;
    const deq_type *large = a->adjoint ? &c->in_type[0] : &c->out_type[0];
    double n = (double)deq_shape_count(&large->shape);
    return a->mode != DEQ_RESIZE_NEAREST ? 9 * n : a->adjoint ? n : 0;
}

/* --- derivatives and builders ------------------------------------------------------------------ */

static void vjp(const deq_frame *n, const deq_value *dy, deq_value *dx)
{
    deq_shape x = deq_value_type(n->g, n->in[0]).shape;
    deq_resize_attr other = *(const deq_resize_attr *)n->attr;
    other.height = x.dim[2];
    other.width = x.dim[3];
    other.adjoint = !other.adjoint;
    dx[0] = deq_emit1(n->g, n->op, &other, sizeof other, dy, 1);
}

const deq_op deq_op_resize = { .name = "resize",
                               .n_out = 1,
                               .attr_bytes = sizeof(deq_resize_attr),
                               .linear = 1u << 0,
                               .infer = infer,
                               .vjp = vjp,
                               .kernel = kernel,
                               .scratch = scratch,
                               .flops = flops };

static deq_value build(deq_graph *g, deq_value x, int64_t height, int64_t width, int32_t mode)
{
    deq_resize_attr a;
    memset(&a, 0, sizeof a);
    a.height = height;
    a.width = width;
    a.mode = mode;
    return deq_emit1(g, &deq_op_resize, &a, sizeof a, &x, 1);
}

deq_value deq_resize_nearest(deq_graph *g, deq_value x, int64_t height, int64_t width)
{
    return build(g, x, height, width, DEQ_RESIZE_NEAREST);
}

deq_value deq_resize_bilinear(deq_graph *g, deq_value x, int64_t height, int64_t width,
                              bool align_corners)
{
    return build(g, x, height, width,
                 align_corners ? DEQ_RESIZE_ALIGN_CORNERS : DEQ_RESIZE_HALF_PIXEL);
}
