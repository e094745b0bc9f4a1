/* SPDX-License-Identifier: MIT */
/*
 * gather and scatter_add along an axis; each is the other's adjoint, so the family is closed.
 *
 *   gather        y[p, i, q] = x[p, ids_i, q]                               (1)
 *   scatter_add   y[p, j, q] = x[p, j, q] + sum_{i: ids_i = j} s[p, i, q]   (2)
 *
 *   of (1)        dx = scatter_add(0, ids, dy)
 *   of (2)        dx = dy,  ds = gather(dy, ids)
 *
 * An array is seen as [outer, extent at the axis, inner].  The zeros of the first derivative are
 * an absent x.
 */
#include "op/op.h"
#include "op/real.h"
#include "op/strided.h"

#include <deq/op/index.h>
#include <string.h>

typedef struct index_attr {
    int64_t axis;
    int64_t extent; /* of x at the axis; scatter_add's x may be absent */
} index_attr;

/* Elements before and after the axes that stand for the index axis. */
typedef struct span {
    int64_t outer, inner;
} span;

static span span_of(const deq_shape *s, int64_t axis, int n_axes)
{
    span v = { 1, 1 };
    for (int i = 0; i < s->rank; i++) {
        if (i < axis) v.outer *= s->dim[i];
        if (i >= axis + n_axes) v.inner *= s->dim[i];
    }
    return v;
}

/* --- shapes ------------------------------------------------------------------------------------ */

static bool check_axis(deq_shape_rule *r, int64_t axis, int rank)
{
    if (axis >= 0 && axis < rank) return true;
    return deq_rule_fail(r, DEQ_ERR_ARGUMENT, "axis %lld, x has rank %d", (long long)axis, rank);
}

/* x's shape with the axis replaced by the axes of ids. */
static bool picked_shape(deq_shape_rule *r, const deq_shape *x, const deq_shape *ids, int axis,
                         deq_shape *y)
{
    memset(y, 0, sizeof *y);
    y->rank = x->rank - 1 + ids->rank;
    if (y->rank > DEQ_MAX_RANK)
        return deq_rule_fail(r, DEQ_ERR_SHAPE, "the result has rank %d, at most %d is possible",
                             y->rank, DEQ_MAX_RANK);
    for (int i = 0; i < axis; i++) y->dim[i] = x->dim[i];
    for (int i = 0; i < ids->rank; i++) y->dim[axis + i] = ids->dim[i];
    for (int i = axis + 1; i < x->rank; i++) y->dim[i - 1 + ids->rank] = x->dim[i];
    return true;
}

static bool infer_gather(deq_shape_rule *r)
{
    const index_attr *a = r->attr;
    const deq_shape *x = &r->in[0].shape;
    r->out[0].dtype = r->in[0].dtype;
    return check_axis(r, a->axis, x->rank) && deq_rule_dtype(r, 1, DEQ_I32) &&
           picked_shape(r, x, &r->in[1].shape, (int)a->axis, &r->out[0].shape);
}

/* Inputs: x or absent, ids, src. */
static bool infer_scatter(deq_shape_rule *r)
{
    const index_attr *a = r->attr;
    const deq_shape *ids = &r->in[1].shape, *src = &r->in[2].shape;
    if (!deq_rule_dtype(r, 1, DEQ_I32) || !deq_rule_float(r, 2)) return false;
    if (r->in[0].dtype) {
        deq_shape expected;
        r->out[0] = r->in[0];
        if (!check_axis(r, a->axis, r->in[0].shape.rank) || !deq_rule_same_dtype(r, 0, 2) ||
            !picked_shape(r, &r->in[0].shape, ids, (int)a->axis, &expected))
            return false;
        if (deq_shape_equal(&expected, src)) return true;
        char got[256], want[256];
        deq_type e = { r->in[2].dtype, expected };
        return deq_rule_fail(r, DEQ_ERR_SHAPE, "src is %s, expected %s",
                             deq_type_format(got, sizeof got, &r->in[2]),
                             deq_type_format(want, sizeof want, &e));
    }
    deq_shape *y = &r->out[0].shape;
    r->out[0].dtype = r->in[2].dtype;
    y->rank = src->rank - ids->rank + 1;
    for (int i = 0; i < y->rank; i++)
        y->dim[i] = i < a->axis   ? src->dim[i]
                    : i > a->axis ? src->dim[i - 1 + ids->rank]
                                  : a->extent;
    return true;
}

/* --- kernels ----------------------------------------------------------------------------------- */

static deq_status check_ids(const deq_kernel_call *c, const int32_t *ids, int64_t n, int64_t extent)
{
    for (int64_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= extent)
            return deq_kernel_fail(c, DEQ_ERR_DATA,
                                   "index %ld at position %lld is out of range: 0 to %lld",
                                   (long)ids[i], (long long)i, (long long)(extent - 1));
    return DEQ_OK;
}

static deq_status kernel_gather(const deq_kernel_call *c)
{
    const index_attr *a = c->attr;
    const int32_t *ids = c->in[1];
    const char *x = c->in[0];
    char *y = c->out[0];
    int64_t n = deq_shape_count(&c->in_type[1].shape);
    span s = span_of(&c->in_type[0].shape, a->axis, 1);
    size_t run = (size_t)s.inner * deq_dtype_size(c->in_type[0].dtype);
    DEQ_TRY(check_ids(c, ids, n, a->extent));
#pragma omp parallel for num_threads(c->threads) schedule(static) if (s.outer * n * s.inner > 65536)
    for (int64_t k = 0; k < s.outer * n; k++) {
        int64_t from = k / n * a->extent + ids[k % n];
        memcpy(y + (size_t)k * run, x + (size_t)from * run, run);
    }
    return DEQ_OK;
}

/* For each entry j the positions i with ids[i] = j, ascending, as lists in scratch memory. */
typedef struct lists {
    int64_t *first; /* [extent]: the first position, or -1 */
    int64_t *next;  /* [n]: the position after i, or -1 */
} lists;

static lists list_positions(void *scratch, const int32_t *ids, int64_t n, int64_t extent)
{
    lists l = { scratch, (int64_t *)scratch + extent };
    for (int64_t j = 0; j < extent; j++) l.first[j] = -1;
    for (int64_t i = n; i-- > 0;) {
        l.next[i] = l.first[ids[i]];
        l.first[ids[i]] = i;
    }
    return l;
}

static size_t scratch_scatter(const deq_kernel_call *c)
{
    const index_attr *a = c->attr;
    int64_t n = deq_shape_count(&c->in_type[1].shape);
    return (size_t)(a->extent + n) * sizeof(int64_t);
}

#define BLOCK 64

/* One entry (outer o, j): (2) for all q, some at a time in double. */
static void add_entry(const deq_kernel_call *c, lists l, int64_t o, int64_t j, int64_t n,
                      int64_t inner)
{
    const index_attr *a = c->attr;
    deq_dtype t = c->out_type[0].dtype;
    int64_t row = (o * a->extent + j) * inner;
    for (int64_t q0 = 0; q0 < inner; q0 += BLOCK) {
        int64_t m = inner - q0 < BLOCK ? inner - q0 : BLOCK;
        double sum[BLOCK] = { 0 };
        if (c->in[0])
            for (int64_t q = 0; q < m; q++) sum[q] = deq_load(c->in[0], t, row + q0 + q);
        for (int64_t i = l.first[j]; i >= 0; i = l.next[i])
            for (int64_t q = 0; q < m; q++)
                sum[q] += deq_load(c->in[2], t, (o * n + i) * inner + q0 + q);
        for (int64_t q = 0; q < m; q++) deq_store(c->out[0], t, row + q0 + q, sum[q]);
    }
}

static deq_status kernel_scatter(const deq_kernel_call *c)
{
    const index_attr *a = c->attr;
    const int32_t *ids = c->in[1];
    int64_t n = deq_shape_count(&c->in_type[1].shape);
    span s = span_of(&c->out_type[0].shape, a->axis, 1);
    DEQ_TRY(check_ids(c, ids, n, a->extent));
    lists l = list_positions(c->scratch, ids, n, a->extent);
    int64_t rows = s.outer * a->extent;
#pragma omp parallel for num_threads(c->threads) schedule(static) if (rows * s.inner > 65536)
    for (int64_t r = 0; r < rows; r++) add_entry(c, l, r / a->extent, r % a->extent, n, s.inner);
    return DEQ_OK;
}

static double flops_scatter(const deq_kernel_call *c)
{
    return (double)deq_shape_count(&c->in_type[2].shape);
}

/* --- derivatives ------------------------------------------------------------------------------- */

static void vjp_gather(const deq_frame *n, const deq_value *dy, deq_value *dx);
static void vjp_scatter(const deq_frame *n, const deq_value *dy, deq_value *dx);
static void jvp_scatter(const deq_frame *n, const deq_value *dx, deq_value *dy);

static const deq_op gather_op = { .name = "gather",
                                  .n_out = 1,
                                  .attr_bytes = sizeof(index_attr),
                                  .linear = 1u << 0,
                                  .infer = infer_gather,
                                  .vjp = vjp_gather,
                                  .kernel = kernel_gather,
                                  .flops = deq_no_flops };

static const deq_op scatter_op = { .name = "scatter_add",
                                   .n_out = 1,
                                   .attr_bytes = sizeof(index_attr),
                                   .infer = infer_scatter,
                                   .vjp = vjp_scatter,
                                   .jvp = jvp_scatter,
                                   .kernel = kernel_scatter,
                                   .scratch = scratch_scatter,
                                   .flops = flops_scatter };

static deq_value scatter(const deq_frame *n, deq_value x, deq_value ids, deq_value src)
{
    return deq_emit1(n->g, &scatter_op, n->attr, n->attr_bytes, (deq_value[]){ x, ids, src }, 3);
}

static void vjp_gather(const deq_frame *n, const deq_value *dy, deq_value *dx)
{
    if (n->need[0]) dx[0] = scatter(n, DEQ_NONE, n->in[1], dy[0]);
}

static void vjp_scatter(const deq_frame *n, const deq_value *dy, deq_value *dx)
{
    dx[0] = dy[0];
    if (n->need[2])
        dx[2] = deq_emit1(n->g, &gather_op, n->attr, n->attr_bytes,
                          (deq_value[]){ dy[0], n->in[1] }, 2);
}

/* (2) is linear in x and s together. */
static void jvp_scatter(const deq_frame *n, const deq_value *dx, deq_value *dy)
{
    dy[0] = dx[2].id ? scatter(n, dx[0], n->in[1], dx[2]) : dx[0];
}

/* --- builders ---------------------------------------------------------------------------------- */

/* Negative axes count from the end; the shape rules refuse what is still out of range. */
static index_attr attr_of(deq_graph *g, deq_value x, int axis)
{
    deq_shape s = deq_value_type(g, x).shape;
    index_attr a;
    memset(&a, 0, sizeof a);
    a.axis = axis < 0 ? axis + s.rank : axis;
    a.extent = a.axis >= 0 && a.axis < s.rank ? s.dim[a.axis] : 0;
    return a;
}

deq_value deq_gather(deq_graph *g, deq_value x, int axis, deq_value ids)
{
    index_attr a = attr_of(g, x, axis);
    return deq_emit1(g, &gather_op, &a, sizeof a, (deq_value[]){ x, ids }, 2);
}

deq_value deq_embedding(deq_graph *g, deq_value table, deq_value ids)
{
    deq_type t = deq_value_type(g, table);
    if (t.dtype && t.shape.rank != 2)
        return deq_graph_fail(g, DEQ_ERR_SHAPE, "embedding: the table has rank %d, expected 2",
                              t.shape.rank);
    return deq_gather(g, table, 0, ids);
}

deq_value deq_scatter_add(deq_graph *g, deq_value x, int axis, deq_value ids, deq_value src)
{
    index_attr a = attr_of(g, x, axis);
    if (x.id == 0) return deq_graph_fail(g, DEQ_ERR_ARGUMENT, "scatter_add: x is absent");
    return deq_emit1(g, &scatter_op, &a, sizeof a, (deq_value[]){ x, ids, src }, 3);
}
