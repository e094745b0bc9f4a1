/* SPDX-License-Identifier: MIT */
/*
 * Matrix products over the last two axes; the axes before them are batch axes and broadcast.
 *
 *   y = A B            A = a or a^T, B = b or b^T                             (1)
 *   dA = dy B^T        dB = A^T dy                                            (2)
 *
 * The cotangents (2) are products of the same kind, summed over the axes that were broadcast.
 */
#include "op/matmul.h"

#include <deq/op/elementwise.h>
#include <deq/op/matmul.h>
#include <deq/op/reduce.h>
#include <deq/op/shape.h>
#include <string.h>

/* --- shape ------------------------------------------------------------------------------------ */

/* Batch axis i of the output, counted from the last one, where s may have fewer axes. */
static int64_t batch_extent(const deq_shape *s, int i)
{
    int axis = s->rank - 3 - i;
    return axis >= 0 ? s->dim[axis] : 1;
}

static bool infer_batch(deq_shape_rule *r)
{
    const deq_shape *a = &r->in[0].shape, *b = &r->in[1].shape;
    deq_shape *y = &r->out[0].shape;
    y->rank = a->rank > b->rank ? a->rank : b->rank;
    for (int i = 0; i < y->rank - 2; i++) {
        int64_t ea = batch_extent(a, i), eb = batch_extent(b, i);
        if (ea != eb && ea != 1 && eb != 1)
            return deq_rule_fail(r, DEQ_ERR_SHAPE,
                                 "batch extents do not broadcast: %lld in a, %lld in b",
                                 (long long)ea, (long long)eb);
        y->dim[y->rank - 3 - i] = ea == 1 ? eb : ea;
    }
    return true;
}

static bool infer(deq_shape_rule *r)
{
    const deq_matmul_attr *t = r->attr;
    if (!deq_rule_float(r, 0) || !deq_rule_float(r, 1) || !deq_rule_same_dtype(r, 0, 1))
        return false;
    const deq_shape *a = &r->in[0].shape, *b = &r->in[1].shape;
    if (a->rank < 2 || b->rank < 2)
        return deq_rule_fail(r, DEQ_ERR_SHAPE,
                             "%s has rank %d, expected at least 2; reshape a vector to a row or a "
                             "column",
                             a->rank < 2 ? "a" : "b", a->rank < 2 ? a->rank : b->rank);

    int64_t m = a->dim[a->rank - (t->transpose_a ? 1 : 2)];
    int64_t ka = a->dim[a->rank - (t->transpose_a ? 2 : 1)];
    int64_t kb = b->dim[b->rank - (t->transpose_b ? 1 : 2)];
    int64_t n = b->dim[b->rank - (t->transpose_b ? 2 : 1)];
    if (ka != kb)
        return deq_rule_fail(r, DEQ_ERR_SHAPE, "inner extents differ: %lld in a%s, %lld in b%s",
                             (long long)ka, t->transpose_a ? " (transposed)" : "", (long long)kb,
                             t->transpose_b ? " (transposed)" : "");
    if (!infer_batch(r)) return false;
    deq_type *y = &r->out[0];
    y->dtype = r->in[0].dtype;
    y->shape.dim[y->shape.rank - 2] = m;
    y->shape.dim[y->shape.rank - 1] = n;
    return true;
}

/* --- derivatives ------------------------------------------------------------------------------ */

static void vjp(const deq_frame *f, const deq_value *dy, deq_value *dx)
{
    const deq_matmul_attr *t = f->attr;
    bool ta = t->transpose_a, tb = t->transpose_b;
    deq_value a = f->in[0], b = f->in[1], d;
    if (f->need[0]) { /* (2): dA = dy B^T, or its transpose B dy^T */
        d = ta ? deq_matmul(f->g, b, dy[0], tb, true) : deq_matmul(f->g, dy[0], b, false, !tb);
        dx[0] = deq_sum_to(f->g, d, deq_value_type(f->g, a).shape);
    }
    if (f->need[1]) { /* (2): dB = A^T dy, or its transpose dy^T A */
        d = tb ? deq_matmul(f->g, dy[0], a, true, ta) : deq_matmul(f->g, a, dy[0], !ta, false);
        dx[1] = deq_sum_to(f->g, d, deq_value_type(f->g, b).shape);
    }
}

/* --- reference kernel ------------------------------------------------------------------------- */

deq_matmul_dims deq_matmul_dims_of(const deq_kernel_call *c)
{
    const deq_matmul_attr *t = c->attr;
    const deq_shape *a = &c->in_type[0].shape, *b = &c->in_type[1].shape,
                    *y = &c->out_type[0].shape;
    int64_t a_last = a->dim[a->rank - 1], b_last = b->dim[b->rank - 1];
    deq_matmul_dims d = { .batch = 1,
                          .m = y->dim[y->rank - 2],
                          .n = y->dim[y->rank - 1],
                          .k = t->transpose_a ? a->dim[a->rank - 2] : a_last,
                          .a_row = t->transpose_a ? 1 : a_last,
                          .a_col = t->transpose_a ? a_last : 1,
                          .b_row = t->transpose_b ? 1 : b_last,
                          .b_col = t->transpose_b ? b_last : 1,
                          .n_batch_axes = y->rank - 2 };
    int64_t a_step = d.m * d.k, b_step = d.k * d.n;
    for (int i = 0; i < d.n_batch_axes; i++) {
        int axis = d.n_batch_axes - 1 - i;
        int64_t ea = batch_extent(a, i), eb = batch_extent(b, i);
        d.batch_dim[axis] = y->dim[axis];
        d.a_batch[axis] = ea > 1 ? a_step : 0;
        d.b_batch[axis] = eb > 1 ? b_step : 0;
        d.batch *= y->dim[axis];
        a_step *= ea;
        b_step *= eb;
    }
    return d;
}

void deq_matmul_offsets(const deq_matmul_dims *d, int64_t i, int64_t *a, int64_t *b)
{
    *a = *b = 0;
    for (int axis = d->n_batch_axes - 1; axis >= 0; axis--) {
        int64_t at = i % d->batch_dim[axis];
        i /= d->batch_dim[axis];
        *a += at * d->a_batch[axis];
        *b += at * d->b_batch[axis];
    }
}

/*
 * The output is cut into tiles of at most TILE x TILE elements, and the inner axis into pieces of
 * DEPTH.  A thread works on one tile at a time: it gathers a piece of A and of B, in double and in
 * the order in which the innermost loop reads them, and adds their product to the tile's sums.  So
 * both dtypes and all transpositions share one inner loop, its operands come from the first or
 * second cache level, and a sum's order depends on neither the threads nor the tiling.
 *
 *   A piece: [TILE/MR][DEPTH][MR]    B piece: [TILE/NR][DEPTH][NR]    sums: [TILE][TILE]
 */
enum { TILE = 64, DEPTH = 256, MR = 4, NR = 4 };

typedef struct tile_plan {
    int64_t tile_m, tile_n, depth;    /* extents of a full tile, rounded up to MR and NR */
    int64_t rows, columns, tiles;     /* tiles in m, tiles in n, tiles altogether */
    size_t a_part, b_part, sums_part; /* doubles of scratch memory of one worker */
    int workers;
} tile_plan;

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t round_up(int64_t a, int64_t unit)
{
    return (a + unit - 1) / unit * unit;
}

static tile_plan plan_tiles(const deq_matmul_dims *d, int threads)
{
    tile_plan p = { .tile_m = least(TILE, round_up(d->m, MR)),
                    .tile_n = least(TILE, round_up(d->n, NR)),
                    .depth = least(DEPTH, d->k) };
    p.rows = (d->m + p.tile_m - 1) / p.tile_m;
    p.columns = (d->n + p.tile_n - 1) / p.tile_n;
    p.tiles = d->batch * p.rows * p.columns;
    p.a_part = (size_t)(p.tile_m * p.depth);
    p.b_part = (size_t)(p.tile_n * p.depth);
    p.sums_part = (size_t)(p.tile_m * p.tile_n);
    double work = (double)d->batch * (double)d->m * (double)d->n * (double)d->k;
    p.workers = work < 1e5 ? 1 : (int)least(threads, p.tiles);
    return p;
}

static size_t scratch(const deq_kernel_call *c)
{
    deq_matmul_dims d = deq_matmul_dims_of(c);
    tile_plan p = plan_tiles(&d, c->threads);
    return (size_t)p.workers * (p.a_part + p.b_part + p.sums_part) * sizeof(double);
}

/* sums[MR, NR] += A[MR, depth] B[depth, NR], the operands packed. */
static void multiply_block(double *sums, int64_t row_step, const double *a, const double *b,
                           int64_t depth)
{
    double s[MR][NR];
    for (int i = 0; i < MR; i++)
        for (int j = 0; j < NR; j++) s[i][j] = sums[i * row_step + j];
    for (int64_t k = 0; k < depth; k++, a += MR, b += NR)
        for (int i = 0; i < MR; i++)
            for (int j = 0; j < NR; j++) s[i][j] += a[i] * b[j];
    for (int i = 0; i < MR; i++)
        for (int j = 0; j < NR; j++) sums[i * row_step + j] = s[i][j];
}

static void multiply_pieces(double *sums, const double *a, const double *b, int64_t rows,
                            int64_t columns, int64_t depth)
{
    for (int64_t j = 0; j < columns; j += NR)
        for (int64_t i = 0; i < rows; i += MR)
            multiply_block(sums + i * columns + j, columns, a + i * depth, b + j * depth, depth);
}

#define REAL float
#define TYPED(name) name##_f32
#include "op/matmul_kernel.h"
#define REAL double
#define TYPED(name) name##_f64
#include "op/matmul_kernel.h"

static deq_status kernel(const deq_kernel_call *c)
{
    deq_matmul_dims d = deq_matmul_dims_of(c);
    tile_plan p = plan_tiles(&d, c->threads);
    size_t part = p.a_part + p.b_part + p.sums_part;
    /* Worker w takes a fixed run of consecutive tiles. */
#pragma omp parallel for num_threads(p.workers) schedule(static) if (p.workers > 1)
    for (int w = 0; w < p.workers; w++) {
        double *mine = (double *)c->scratch + (size_t)w * part;
        for (int64_t t = p.tiles * w / p.workers; t < p.tiles * (w + 1) / p.workers; t++)
            if (c->in_type[0].dtype == DEQ_F32)
                tile_f32(c->out[0], c->in[0], c->in[1], &d, &p, t, mine);
            else
                tile_f64(c->out[0], c->in[0], c->in[1], &d, &p, t, mine);
    }
    return DEQ_OK;
}

static double flops(const deq_kernel_call *c)
{
    deq_matmul_dims d = deq_matmul_dims_of(c);
    return 2.0 * (double)d.batch * (double)d.m * (double)d.n * (double)d.k;
}

const deq_op deq_op_matmul = { .name = "matmul",
                               .n_out = 1,
                               .attr_bytes = sizeof(deq_matmul_attr),
                               .linear = 1u << 0 | 1u << 1,
                               .infer = infer,
                               .vjp = vjp,
                               .kernel = kernel,
                               .scratch = scratch,
                               .flops = flops };

/* --- builders --------------------------------------------------------------------------------- */

static deq_value matmul(deq_graph *g, deq_value a, deq_value b, bool ta, bool tb)
{
    deq_matmul_attr attr = { ta, tb };
    deq_value in[] = { a, b };
    return deq_emit1(g, &deq_op_matmul, &attr, sizeof attr, in, 2);
}

deq_value deq_matmul(deq_graph *g, deq_value a, deq_value b, bool transpose_a, bool transpose_b)
{
    deq_shape sa = deq_value_type(g, a).shape, sb = deq_value_type(g, b).shape;
    if (transpose_a || sa.rank <= 2 || sb.rank != 2)
        return matmul(g, a, b, transpose_a, transpose_b);

    /* One matrix b for all batch elements: a single product of all rows, and a gradient of b that
     * is no sum over copies of b. */
    int last = sa.rank - 1;
    deq_value rows = deq_reshape(g, a, DEQ_SHAPE(-1, sa.dim[last]));
    deq_value y = matmul(g, rows, b, false, transpose_b);
    sa.dim[last] = sb.dim[transpose_b ? 0 : 1];
    return deq_reshape(g, y, sa);
}

/* What deq_matmul and deq_add would not notice or would report in words of their own. */
static bool check_linear(deq_graph *g, deq_value x, deq_value w, deq_value b)
{
    if (deq_graph_status(g) != DEQ_OK) return false;
    deq_type tx = deq_value_type(g, x), tw = deq_value_type(g, w), tb = deq_value_type(g, b);
    char text[256];
    if (tx.shape.rank < 1)
        deq_graph_fail(g, DEQ_ERR_SHAPE, "linear: x is %s, expected [..., K]",
                       deq_type_format(text, sizeof text, &tx));
    else if (tw.shape.rank != 2)
        deq_graph_fail(g, DEQ_ERR_SHAPE, "linear: w is %s, expected [N, K]",
                       deq_type_format(text, sizeof text, &tw));
    else if (tx.shape.dim[tx.shape.rank - 1] != tw.shape.dim[1])
        deq_graph_fail(g, DEQ_ERR_SHAPE, "linear: x has %lld features, w expects %lld",
                       (long long)tx.shape.dim[tx.shape.rank - 1], (long long)tw.shape.dim[1]);
    else if (b.id != 0 && (tb.shape.rank != 1 || tb.shape.dim[0] != tw.shape.dim[0]))
        deq_graph_fail(g, DEQ_ERR_SHAPE, "linear: bias is %s, expected [%lld]",
                       deq_type_format(text, sizeof text, &tb), (long long)tw.shape.dim[0]);
    return deq_graph_status(g) == DEQ_OK;
}

deq_value deq_linear(deq_graph *g, deq_value x, deq_value w, deq_value b)
{
    if (!check_linear(g, x, w, b)) return (deq_value){ -1 };
    bool vector = deq_value_type(g, x).shape.rank == 1;
    if (vector) x = deq_reshape(g, x, DEQ_SHAPE(1, -1));
    deq_value y = deq_matmul(g, x, w, false, true);
    if (vector) y = deq_reshape(g, y, DEQ_SHAPE(-1));
    return b.id != 0 ? deq_add(g, y, b) : y;
}
