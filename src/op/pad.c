/* SPDX-License-Identifier: MIT */
/*
 * Pad.  With b elements before and a after an axis of extent n:
 *
 *   zero        y_i = x_{i-b} if 0 <= i-b < n, else 0          adjoint: slice
 *   replicate   y_i = x_{min(max(i-b, 0), n-1)}                adjoint: pad_adjoint
 *   pad_adjoint x_j = sum of the y_i that replicate takes from x_j
 *
 * Rows run over the last padded axis and everything inside it, so that most of a row is one memcpy.
 */
#include "op/real.h"
#include "op/shape.h"
#include "op/strided.h"

#include <deq/op/reduce.h>
#include <string.h>

enum { BLOCK = 256, PARALLEL_ELEMENTS = 1 << 16 };

/* Both operators carry the widths; `small` is the type inside, x of the equations, and `big` y. */
typedef struct rows {
    int axis;       /* the last padded axis; 0 if there is none */
    int64_t inner;  /* elements inside one position of it */
    int64_t length; /* elements of a row of `small` */
    int64_t width;  /* elements of a row of `big` */
    int64_t before, after;
    const deq_shape *small, *big;
    const deq_pad_attr *attr;
} rows;

static rows rows_of(const deq_pad_attr *a, const deq_shape *small, const deq_shape *big)
{
    rows r = { .inner = 1, .small = small, .big = big, .attr = a };
    for (int i = 0; i < small->rank; i++)
        if (a->before[i] || a->after[i]) r.axis = i;
    for (int i = r.axis + 1; i < small->rank; i++) r.inner *= small->dim[i];
    r.length = r.width = r.inner;
    if (small->rank == 0) return r;
    r.length *= small->dim[r.axis];
    r.width *= big->dim[r.axis];
    r.before = a->before[r.axis];
    r.after = a->after[r.axis];
    return r;
}

/* --- forward --------------------------------------------------------------------------------- */

static bool check_attr(deq_shape_rule *r)
{
    const deq_pad_attr *a = r->attr;
    if (!r->in[0].dtype) return deq_rule_fail(r, DEQ_ERR_ARGUMENT, "input 0 is absent");
    if (a->mode != DEQ_PAD_ZERO && a->mode != DEQ_PAD_REPLICATE)
        return deq_rule_fail(r, DEQ_ERR_ARGUMENT, "mode %lld is unknown", (long long)a->mode);
    for (int i = 0; i < r->in[0].shape.rank; i++)
        if (a->before[i] < 0 || a->after[i] < 0)
            return deq_rule_fail(r, DEQ_ERR_ARGUMENT,
                                 "%lld before and %lld after axis %d, expected at least 0",
                                 (long long)a->before[i], (long long)a->after[i], i);
    return true;
}

static bool infer(deq_shape_rule *r)
{
    const deq_pad_attr *a = r->attr;
    if (!check_attr(r)) return false;
    r->out[0] = r->in[0];
    for (int i = 0; i < r->in[0].shape.rank; i++) {
        int64_t *extent = &r->out[0].shape.dim[i];
        if (a->before[i] > INT64_MAX - *extent || a->after[i] > INT64_MAX - *extent - a->before[i])
            return deq_rule_fail(r, DEQ_ERR_OVERFLOW, "axis %d becomes too long", i);
        *extent += a->before[i] + a->after[i];
    }
    return true;
}

static void vjp(const deq_frame *n, const deq_value *dy, deq_value *dx)
{
    const deq_pad_attr *a = n->attr;
    deq_type x = deq_value_type(n->g, n->in[0]);
    dx[0] = dy[0];
    if (a->mode == DEQ_PAD_REPLICATE)
        dx[0] = deq_emit1(n->g, &deq_op_pad_adjoint, a, sizeof *a, dy, 1);
    else
        for (int i = 0; i < x.shape.rank; i++)
            dx[0] = deq_slice(n->g, dx[0], i, a->before[i], x.shape.dim[i]);
}

/* The offset in x of the row that row `row` of y is made from; *outside: it lies in the padding. */
static int64_t source_row(const rows *r, int64_t row, bool *outside)
{
    int64_t offset = 0, step = r->length;
    *outside = false;
    for (int i = r->axis; i-- > 0;) {
        int64_t at = row % r->big->dim[i] - r->attr->before[i], last = r->small->dim[i] - 1;
        row /= r->big->dim[i];
        *outside |= at < 0 || at > last;
        offset += (at < 0 ? 0 : at > last ? last : at) * step;
        step *= r->small->dim[i];
    }
    return offset;
}

/* `n` copies of `bytes` bytes, side by side; of zeros when there is nothing to copy from. */
static char *repeat(char *to, const char *from, int64_t n, size_t bytes)
{
    if (!from) {
        memset(to, 0, (size_t)n * bytes);
        return to + (size_t)n * bytes;
    }
    for (int64_t i = 0; i < n; i++, to += bytes) memcpy(to, from, bytes);
    return to;
}

static deq_status kernel(const deq_kernel_call *c)
{
    const deq_pad_attr *a = c->attr;
    rows r = rows_of(a, &c->in_type[0].shape, &c->out_type[0].shape);
    size_t size = deq_dtype_size(c->in_type[0].dtype);
    size_t inner = (size_t)r.inner * size, length = (size_t)r.length * size;
    bool zero = a->mode == DEQ_PAD_ZERO;
    int64_t count = deq_shape_count(&c->out_type[0].shape), n_rows = count / r.width;
#pragma omp parallel for num_threads(c->threads) if (count > PARALLEL_ELEMENTS)
    for (int64_t row = 0; row < n_rows; row++) {
        bool outside;
        const char *x = (const char *)c->in[0] + (size_t)source_row(&r, row, &outside) * size;
        char *y = (char *)c->out[0] + (size_t)(row * r.width) * size;
        if (zero && outside) {
            repeat(y, NULL, r.width, size);
            continue;
        }
        y = repeat(y, zero ? NULL : x, r.before, inner);
        memcpy(y, x, length);
        repeat(y + length, zero ? NULL : x + length - inner, r.after, inner);
    }
    return DEQ_OK;
}

const deq_op deq_op_pad = {
    .name = "pad",
    .n_out = 1,
    .attr_bytes = sizeof(deq_pad_attr),
    .linear = 1,
    .joint = true,
    .infer = infer,
    .vjp = vjp,
    .kernel = kernel,
    .flops = deq_no_flops,
};

deq_value deq_pad(deq_graph *g, deq_value x, const int64_t *before, const int64_t *after,
                  deq_pad_mode mode)
{
    deq_pad_attr a;
    deq_type t = deq_value_type(g, x);
    bool any = !t.dtype; /* what is no value is for deq_emit1 to refuse */
    memset(&a, 0, sizeof a);
    a.mode = mode;
    for (int i = 0; i < t.shape.rank; i++) {
        a.before[i] = before[i];
        a.after[i] = after[i];
        any |= before[i] != 0 || after[i] != 0;
    }
    return any ? deq_emit1(g, &deq_op_pad, &a, sizeof a, &x, 1) : x;
}

/* --- adjoint of replicate -------------------------------------------------------------------- */

static bool infer_adjoint(deq_shape_rule *r)
{
    const deq_pad_attr *a = r->attr;
    if (!check_attr(r) || !deq_rule_float(r, 0)) return false;
    r->out[0] = r->in[0];
    for (int i = 0; i < r->in[0].shape.rank; i++) {
        int64_t *extent = &r->out[0].shape.dim[i];
        if (a->before[i] >= *extent || a->after[i] >= *extent - a->before[i])
            return deq_rule_fail(r, DEQ_ERR_SHAPE, "nothing is left of axis %d of extent %lld", i,
                                 (long long)*extent);
        *extent -= a->before[i] + a->after[i];
    }
    return true;
}

static void vjp_adjoint(const deq_frame *n, const deq_value *dy, deq_value *dx)
{
    const deq_pad_attr *a = n->attr;
    dx[0] = deq_pad(n->g, dy[0], a->before, a->after, DEQ_PAD_REPLICATE);
}

/* The rows of y that a row of x is copied to: on each outer axis the positions first .. last. */
typedef struct box {
    int rank;
    int64_t first[DEQ_MAX_RANK], last[DEQ_MAX_RANK], at[DEQ_MAX_RANK], step[DEQ_MAX_RANK];
} box;

static box target_rows(const rows *r, int64_t row)
{
    box b = { .rank = r->axis };
    int64_t step = r->width;
    for (int i = r->axis; i-- > 0;) {
        int64_t n = r->small->dim[i], at = row % n;
        row /= n;
        b.first[i] = b.at[i] = at == 0 ? 0 : at + r->attr->before[i];
        b.last[i] = at == n - 1 ? r->big->dim[i] - 1 : at + r->attr->before[i];
        b.step[i] = step;
        step *= r->big->dim[i];
    }
    return b;
}

static int64_t box_offset(const box *b)
{
    int64_t offset = 0;
    for (int i = 0; i < b->rank; i++) offset += b->at[i] * b->step[i];
    return offset;
}

static bool box_next(box *b)
{
    for (int i = b->rank; i-- > 0;) {
        if (++b->at[i] <= b->last[i]) return true;
        b->at[i] = b->first[i];
    }
    return false;
}

/* Add to sum[0 .. n), the elements k .. k+n of a row of x, what one row of y holds for them. */
static void gather(double *sum, const void *y, int64_t start, deq_dtype d, const rows *r, int64_t k,
                   int64_t n)
{
    int64_t middle = start + r->before * r->inner, tail = r->length - r->inner;
    for (int64_t i = 0; i < n; i++) sum[i] += deq_load(y, d, middle + k + i);
    for (int64_t p = 0; p < r->before; p++)
        for (int64_t i = k; i < k + n && i < r->inner; i++)
            sum[i - k] += deq_load(y, d, start + p * r->inner + i);
    for (int64_t p = 1; p <= r->after; p++)
        for (int64_t i = k > tail ? k : tail; i < k + n; i++)
            sum[i - k] += deq_load(y, d, middle + p * r->inner + i);
}

static void fold_row(void *x, const void *y, deq_dtype d, const rows *r, int64_t row)
{
    const box all = target_rows(r, row);
    for (int64_t k = 0; k < r->length; k += BLOCK) {
        int64_t n = r->length - k < BLOCK ? r->length - k : BLOCK;
        double sum[BLOCK] = { 0 };
        box b = all;
        do gather(sum, y, box_offset(&b), d, r, k, n);
        while (box_next(&b));
        for (int64_t i = 0; i < n; i++) deq_store(x, d, row * r->length + k + i, sum[i]);
    }
}

static deq_status adjoint_kernel(const deq_kernel_call *c)
{
    rows r = rows_of(c->attr, &c->out_type[0].shape, &c->in_type[0].shape);
    int64_t count = deq_shape_count(&c->in_type[0].shape);
    int64_t n_rows = deq_shape_count(&c->out_type[0].shape) / r.length;
#pragma omp parallel for num_threads(c->threads) if (count > PARALLEL_ELEMENTS)
    for (int64_t row = 0; row < n_rows; row++)
        fold_row(c->out[0], c->in[0], c->in_type[0].dtype, &r, row);
    return DEQ_OK;
}

static double adjoint_flops(const deq_kernel_call *c)
{
    return (double)deq_shape_count(&c->in_type[0].shape);
}

const deq_op deq_op_pad_adjoint = {
    .name = "pad_adjoint",
    .n_out = 1,
    .attr_bytes = sizeof(deq_pad_attr),
    .linear = 1,
    .joint = true,
    .infer = infer_adjoint,
    .vjp = vjp_adjoint,
    .kernel = adjoint_kernel,
    .flops = adjoint_flops,
};
