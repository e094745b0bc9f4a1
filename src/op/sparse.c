/* SPDX-License-Identifier: MIT */
/*
 * Products with a sparse matrix A(v) of fixed structure: entry k has value v_k, row r_k, column c_k.
 *
 *   product      y = A(v) b        y_i = sum_{k: r_k = i} v_k b_{c_k}                       (1)
 *   transposed   y = A(v)^T b      y_j = sum_{k: c_k = j} v_k b_{r_k}                       (2)
 *   sample_dot   v = S(a, b)       v_k = a_{r_k} . b_{c_k}                                  (3)
 *
 * Each is linear in each of its two floating inputs, and the three are each other's derivatives:
 *
 *   of (1)   dv = S(dy, b),   db = A(v)^T dy
 *   of (2)   dv = S(b, dy),   db = A(v) dy
 *   of (3)   da = A(dv) b,    db = A(dv)^T a
 *
 * Inputs of all: row_offsets, columns, then two floating ones.
 */
#include "op/op.h"
#include "op/real.h"

#include <deq/op/sparse.h>
#include <string.h>

typedef struct csr_attr {
    int64_t n_columns; /* N of A [M, N] */
} csr_attr;

/* --- shapes ------------------------------------------------------------------------------------ */

static bool infer_structure(deq_shape_rule *r)
{
    deq_dtype offsets = r->in[0].dtype;
    if (offsets != DEQ_I32 && offsets != DEQ_I64)
        return deq_rule_fail(r, DEQ_ERR_DTYPE, "row_offsets is %s, expected i32 or i64",
                             offsets ? deq_dtype_name(offsets) : "absent");
    if (!deq_rule_rank(r, 0, 1) || !deq_rule_dtype(r, 1, DEQ_I32) || !deq_rule_rank(r, 1, 1) ||
        !deq_rule_float(r, 2) || !deq_rule_same_dtype(r, 2, 3) || !deq_rule_rank(r, 3, 2))
        return false;
    r->out[0].dtype = r->in[2].dtype;
    if (r->in[0].shape.dim[0] >= 2) return true;
    return deq_rule_fail(r, DEQ_ERR_SHAPE, "row_offsets has %lld elements, expected at least 2",
                         (long long)r->in[0].shape.dim[0]);
}

/* Rows of input i against an expected number. */
static bool check_rows(deq_shape_rule *r, int i, const char *name, int64_t rows, const char *what)
{
    if (r->in[i].shape.dim[0] == rows) return true;
    return deq_rule_fail(r, DEQ_ERR_SHAPE, "%s has %lld rows, the sparse matrix has %lld %s", name,
                         (long long)r->in[i].shape.dim[0], (long long)rows, what);
}

static bool infer_values(deq_shape_rule *r)
{
    if (!infer_structure(r) || !deq_rule_rank(r, 2, 1)) return false;
    int64_t nnz = r->in[1].shape.dim[0];
    if (r->in[2].shape.dim[0] == nnz) return true;
    return deq_rule_fail(r, DEQ_ERR_SHAPE, "values has %lld elements, columns has %lld",
                         (long long)r->in[2].shape.dim[0], (long long)nnz);
}

static bool infer_product(deq_shape_rule *r)
{
    const csr_attr *a = r->attr;
    if (!infer_values(r) || !check_rows(r, 3, "b", a->n_columns, "columns")) return false;
    r->out[0].shape = DEQ_SHAPE(r->in[0].shape.dim[0] - 1, r->in[3].shape.dim[1]);
    return true;
}

static bool infer_transposed(deq_shape_rule *r)
{
    const csr_attr *a = r->attr;
    if (!infer_values(r) || !check_rows(r, 3, "b", r->in[0].shape.dim[0] - 1, "rows")) return false;
    if (a->n_columns < 1)
        return deq_rule_fail(r, DEQ_ERR_ARGUMENT, "n_columns is %lld, expected at least 1",
                             (long long)a->n_columns);
    r->out[0].shape = DEQ_SHAPE(a->n_columns, r->in[3].shape.dim[1]);
    return true;
}

static bool infer_dot(deq_shape_rule *r)
{
    const csr_attr *a = r->attr;
    if (!infer_structure(r) || !deq_rule_rank(r, 2, 2) ||
        !check_rows(r, 2, "a", r->in[0].shape.dim[0] - 1, "rows") ||
        !check_rows(r, 3, "b", a->n_columns, "columns"))
        return false;
    if (r->in[2].shape.dim[1] != r->in[3].shape.dim[1])
        return deq_rule_fail(r, DEQ_ERR_SHAPE, "rows have %lld elements in a, %lld in b",
                             (long long)r->in[2].shape.dim[1], (long long)r->in[3].shape.dim[1]);
    r->out[0].shape = r->in[1].shape;
    return true;
}

/* --- structure --------------------------------------------------------------------------------- */

typedef struct structure {
    const void *offsets;
    bool wide; /* offsets are i64 */
    const int32_t *columns;
    int64_t rows, n_columns, nnz;
} structure;

static int64_t offset(const structure *s, int64_t i)
{
    return s->wide ? ((const int64_t *)s->offsets)[i] : ((const int32_t *)s->offsets)[i];
}

static structure structure_of(const deq_kernel_call *c)
{
    return (structure){ .offsets = c->in[0],
                        .wide = c->in_type[0].dtype == DEQ_I64,
                        .columns = c->in[1],
                        .rows = c->in_type[0].shape.dim[0] - 1,
                        .n_columns = ((const csr_attr *)c->attr)->n_columns,
                        .nnz = c->in_type[1].shape.dim[0] };
}

static deq_status check_structure(const deq_kernel_call *c, const structure *s)
{
    if (offset(s, 0) != 0)
        return deq_kernel_fail(c, DEQ_ERR_DATA, "row_offsets[0] is %lld, expected 0",
                               (long long)offset(s, 0));
    for (int64_t i = 0; i < s->rows; i++)
        if (offset(s, i + 1) < offset(s, i))
            return deq_kernel_fail(
                c, DEQ_ERR_DATA, "row_offsets[%lld] is %lld, less than the %lld before it",
                (long long)(i + 1), (long long)offset(s, i + 1), (long long)offset(s, i));
    if (offset(s, s->rows) != s->nnz)
        return deq_kernel_fail(c, DEQ_ERR_DATA,
                               "row_offsets ends with %lld, there are %lld entries",
                               (long long)offset(s, s->rows), (long long)s->nnz);
    for (int64_t k = 0; k < s->nnz; k++)
        if (s->columns[k] < 0 || s->columns[k] >= s->n_columns)
            return deq_kernel_fail(
                c, DEQ_ERR_DATA, "column %ld at entry %lld is out of range: 0 to %lld",
                (long)s->columns[k], (long long)k, (long long)(s->n_columns - 1));
    return DEQ_OK;
}

/* --- kernels ----------------------------------------------------------------------------------- */

#define BLOCK 64

/* sum += weight * row of b, m elements from column d0 on. */
static void add_scaled(double *sum, double weight, const void *b, deq_dtype t, int64_t start,
                       int64_t m)
{
    for (int64_t d = 0; d < m; d++) sum[d] += weight * deq_load(b, t, start + d);
}

static void store_block(void *y, deq_dtype t, int64_t start, const double *sum, int64_t m)
{
    for (int64_t d = 0; d < m; d++) deq_store(y, t, start + d, sum[d]);
}

static deq_status kernel_product(const deq_kernel_call *c)
{
    structure s = structure_of(c);
    deq_dtype t = c->out_type[0].dtype;
    int64_t width = c->out_type[0].shape.dim[1];
    DEQ_TRY(check_structure(c, &s));
#pragma omp parallel for num_threads(c->threads) schedule(static) if (s.nnz * width > 65536)
    for (int64_t i = 0; i < s.rows; i++)
        for (int64_t d = 0; d < width; d += BLOCK) {
            double sum[BLOCK] = { 0 };
            int64_t m = width - d < BLOCK ? width - d : BLOCK;
            for (int64_t k = offset(&s, i); k < offset(&s, i + 1); k++)
                add_scaled(sum, deq_load(c->in[2], t, k), c->in[3], t, s.columns[k] * width + d, m);
            store_block(c->out[0], t, i * width + d, sum, m);
        }
    return DEQ_OK;
}

/* The entries of each column, ascending, as lists in scratch memory; and the row of each entry. */
typedef struct lists {
    int64_t *first; /* [n_columns]: the first entry, or -1 */
    int64_t *next;  /* [nnz]: the entry after k in the same column, or -1 */
    int64_t *row;   /* [nnz] */
} lists;

static lists list_columns(void *scratch, const structure *s)
{
    lists l = { .first = scratch };
    l.next = l.first + s->n_columns;
    l.row = l.next + s->nnz;
    for (int64_t j = 0; j < s->n_columns; j++) l.first[j] = -1;
    for (int64_t i = s->rows; i-- > 0;)
        for (int64_t k = offset(s, i + 1); k-- > offset(s, i);) {
            l.row[k] = i;
            l.next[k] = l.first[s->columns[k]];
            l.first[s->columns[k]] = k;
        }
    return l;
}

static size_t scratch_transposed(const deq_kernel_call *c)
{
    int64_t nnz = c->in_type[1].shape.dim[0];
    return (size_t)(((const csr_attr *)c->attr)->n_columns + 2 * nnz) * sizeof(int64_t);
}

static deq_status kernel_transposed(const deq_kernel_call *c)
{
    structure s = structure_of(c);
    deq_dtype t = c->out_type[0].dtype;
    int64_t width = c->out_type[0].shape.dim[1];
    DEQ_TRY(check_structure(c, &s));
    lists l = list_columns(c->scratch, &s);
#pragma omp parallel for num_threads(c->threads) schedule(static) if (s.nnz * width > 65536)
    for (int64_t j = 0; j < s.n_columns; j++)
        for (int64_t d = 0; d < width; d += BLOCK) {
            double sum[BLOCK] = { 0 };
            int64_t m = width - d < BLOCK ? width - d : BLOCK;
            for (int64_t k = l.first[j]; k >= 0; k = l.next[k])
                add_scaled(sum, deq_load(c->in[2], t, k), c->in[3], t, l.row[k] * width + d, m);
            store_block(c->out[0], t, j * width + d, sum, m);
        }
    return DEQ_OK;
}

static deq_status kernel_dot(const deq_kernel_call *c)
{
    structure s = structure_of(c);
    deq_dtype t = c->out_type[0].dtype;
    int64_t width = c->in_type[2].shape.dim[1];
    DEQ_TRY(check_structure(c, &s));
#pragma omp parallel for num_threads(c->threads) schedule(static) if (s.nnz * width > 65536)
    for (int64_t i = 0; i < s.rows; i++)
        for (int64_t k = offset(&s, i); k < offset(&s, i + 1); k++) {
            double sum = 0;
            for (int64_t d = 0; d < width; d++)
                sum += deq_load(c->in[2], t, i * width + d) *
                       deq_load(c->in[3], t, s.columns[k] * width + d);
            deq_store(c->out[0], t, k, sum);
        }
    return DEQ_OK;
}

static double flops(const deq_kernel_call *c)
{
    return 2.0 * (double)c->in_type[1].shape.dim[0] * (double)c->in_type[3].shape.dim[1];
}

/* --- derivatives ------------------------------------------------------------------------------- */

static void vjp_product(const deq_frame *n, const deq_value *dy, deq_value *dx);
static void vjp_transposed(const deq_frame *n, const deq_value *dy, deq_value *dx);
static void vjp_dot(const deq_frame *n, const deq_value *dy, deq_value *dx);

#define BILINEAR ((1u << 2) | (1u << 3))

static const deq_op product_op = { .name = "csr_matmul",
                                   .n_out = 1,
                                   .attr_bytes = sizeof(csr_attr),
                                   .linear = BILINEAR,
                                   .infer = infer_product,
                                   .vjp = vjp_product,
                                   .kernel = kernel_product,
                                   .flops = flops };

static const deq_op transposed_op = { .name = "csr_matmul_transposed",
                                      .n_out = 1,
                                      .attr_bytes = sizeof(csr_attr),
                                      .linear = BILINEAR,
                                      .infer = infer_transposed,
                                      .vjp = vjp_transposed,
                                      .kernel = kernel_transposed,
                                      .scratch = scratch_transposed,
                                      .flops = flops };

static const deq_op dot_op = { .name = "csr_sample_dot",
                               .n_out = 1,
                               .attr_bytes = sizeof(csr_attr),
                               .linear = BILINEAR,
                               .infer = infer_dot,
                               .vjp = vjp_dot,
                               .kernel = kernel_dot,
                               .flops = flops };

/* Another member of the family on the structure of a node. */
static deq_value member(const deq_frame *n, const deq_op *op, deq_value u, deq_value v)
{
    deq_value in[4] = { n->in[0], n->in[1], u, v };
    return deq_emit1(n->g, op, n->attr, n->attr_bytes, in, 4);
}

static void vjp_product(const deq_frame *n, const deq_value *dy, deq_value *dx)
{
    if (n->need[2]) dx[2] = member(n, &dot_op, dy[0], n->in[3]);
    if (n->need[3]) dx[3] = member(n, &transposed_op, n->in[2], dy[0]);
}

static void vjp_transposed(const deq_frame *n, const deq_value *dy, deq_value *dx)
{
    if (n->need[2]) dx[2] = member(n, &dot_op, n->in[3], dy[0]);
    if (n->need[3]) dx[3] = member(n, &product_op, n->in[2], dy[0]);
}

static void vjp_dot(const deq_frame *n, const deq_value *dy, deq_value *dx)
{
    if (n->need[2]) dx[2] = member(n, &product_op, dy[0], n->in[3]);
    if (n->need[3]) dx[3] = member(n, &transposed_op, dy[0], n->in[2]);
}

/* --- builders ---------------------------------------------------------------------------------- */

static deq_value build(deq_graph *g, const deq_op *op, int64_t n_columns, deq_value row_offsets,
                       deq_value columns, deq_value u, deq_value v)
{
    deq_value in[4] = { row_offsets, columns, u, v };
    csr_attr a = { n_columns };
    return deq_emit1(g, op, &a, sizeof a, in, 4);
}

/* The number of columns is that of b's rows; other ranks are refused by the shape rules. */
static int64_t rows_of(const deq_graph *g, deq_value b)
{
    deq_shape s = deq_value_type(g, b).shape;
    return s.rank > 0 ? s.dim[0] : 0;
}

deq_value deq_csr_matmul(deq_graph *g, deq_value row_offsets, deq_value columns, deq_value values,
                         deq_value b)
{
    return build(g, &product_op, rows_of(g, b), row_offsets, columns, values, b);
}

deq_value deq_csr_matmul_transposed(deq_graph *g, deq_value row_offsets, deq_value columns,
                                    deq_value values, deq_value b, int64_t n_columns)
{
    return build(g, &transposed_op, n_columns, row_offsets, columns, values, b);
}

deq_value deq_csr_sample_dot(deq_graph *g, deq_value row_offsets, deq_value columns, deq_value a,
                             deq_value b)
{
    return build(g, &dot_op, rows_of(g, b), row_offsets, columns, a, b);
}
