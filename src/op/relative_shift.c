/* SPDX-License-Identifier: MIT */
/*
 * The relative shift P of a [T, S] matrix, and its adjoint.
 *
 *   P    y[i, j] = padded[i S + j + T],   padded = [0 | x] row-major               (1)
 *   P^T  x[i, j] = y[m - T] where m = i (S + 1) + j + 1 is at least T, else 0      (2)
 *
 * Both move elements without adding any; each is the other's derivative.
 */
#include "op/op.h"
#include "op/strided.h"

#include <deq/op/relative_shift.h>
#include <string.h>

typedef struct shift_attr {
    int64_t adjoint; /* 0: (1), 1: (2) */
} shift_attr;

static bool infer(deq_shape_rule *r)
{
    r->out[0] = r->in[0];
    if (!deq_rule_float(r, 0)) return false;
    if (r->in[0].shape.rank >= 2) return true;
    return deq_rule_fail(r, DEQ_ERR_SHAPE, "x has rank %d, expected at least 2",
                         r->in[0].shape.rank);
}

/* Row i of (1): runs of the padded matrix, each a zero and then a piece of a row of x. */
static void shift_row(char *y, const char *x, int64_t i, int64_t rows, int64_t cols, size_t size)
{
    int64_t m = i * cols + rows;
    for (int64_t j = 0; j < cols;) {
        int64_t row = (m + j) / (cols + 1), col = (m + j) % (cols + 1);
        if (col == 0) {
            memset(y + (size_t)j++ * size, 0, size);
            continue;
        }
        int64_t n = cols + 1 - col < cols - j ? cols + 1 - col : cols - j;
        memcpy(y + (size_t)j * size, x + (size_t)(row * cols + col - 1) * size, (size_t)n * size);
        j += n;
    }
}

/* Row i of (2). */
static void unshift_row(char *x, const char *y, int64_t i, int64_t rows, int64_t cols, size_t size)
{
    int64_t first = i * (cols + 1) + 1 - rows; /* the element of y that x[i, 0] went to */
    int64_t lost = first < 0 ? (-first < cols ? -first : cols) : 0;
    memset(x, 0, (size_t)lost * size);
    if (lost < cols)
        memcpy(x + (size_t)lost * size, y + (size_t)(first + lost) * size,
               (size_t)(cols - lost) * size);
}

static deq_status kernel(const deq_kernel_call *c)
{
    const shift_attr *a = c->attr;
    const deq_shape *s = &c->in_type[0].shape;
    int64_t rows = s->dim[s->rank - 2], cols = s->dim[s->rank - 1];
    int64_t n = deq_shape_count(s) / cols; /* rows of all matrices */
    size_t size = deq_dtype_size(c->in_type[0].dtype);
#pragma omp parallel for num_threads(c->threads) schedule(static) if (n * cols > 65536)
    for (int64_t k = 0; k < n; k++) {
        size_t matrix = (size_t)(k / rows * rows * cols) * size;
        const char *in = (const char *)c->in[0] + matrix;
        char *out = (char *)c->out[0] + (size_t)(k * cols) * size;
        (a->adjoint ? unshift_row : shift_row)(out, in, k % rows, rows, cols, size);
    }
    return DEQ_OK;
}

static void vjp(const deq_frame *n, const deq_value *dy, deq_value *dx)
{
    const shift_attr *a = n->attr;
    shift_attr other = { !a->adjoint };
    dx[0] = deq_emit1(n->g, n->op, &other, sizeof other, dy, 1);
}

static const deq_op shift_op = { .name = "relative_shift",
                                 .n_out = 1,
                                 .attr_bytes = sizeof(shift_attr),
                                 .linear = 1u << 0,
                                 .infer = infer,
                                 .vjp = vjp,
                                 .kernel = kernel,
                                 .flops = deq_no_flops };

deq_value deq_relative_shift(deq_graph *g, deq_value x)
{
    shift_attr a = { 0 };
    return deq_emit1(g, &shift_op, &a, sizeof a, &x, 1);
}
