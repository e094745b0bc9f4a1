/* SPDX-License-Identifier: MIT */
/*
 * The matrix product of op/matmul.h in single precision.
 *
 *   y[.., m, n] = f(sum_k A[.., m, k] B[.., k, n] + bias[n], ...)
 *
 * Batch axes that only A has are rows of one larger product.  A factor B that changes less often
 * than y (weights) is packed at its own stage.
 */
#include "op/matmul.h"
#include "backend/cpu/cpu.h"
#include "backend/cpu/onednn.h"

/* --- description ------------------------------------------------------------------------------ */

/* One node, as oneDNN shall see it. */
typedef struct product {
    const deq_node *node;
    deq_matmul_dims d;
    double flops;
    bool packed;         /* B is packed at its own stage */
    deq_onednn_tensor b; /* before packing */
    deq_onednn_spec spec;
} product;

/* Does a factor have all the batch axes of the result, or none? */
static bool has_all(const deq_matmul_dims *d, const int64_t *batch_stride)
{
    for (int i = 0; i < d->n_batch_axes; i++)
        if (d->batch_dim[i] > 1 && batch_stride[i] == 0) return false;
    return true;
}

static bool has_none(const deq_matmul_dims *d, const int64_t *batch_stride)
{
    for (int i = 0; i < d->n_batch_axes; i++)
        if (batch_stride[i] != 0) return false;
    return true;
}

/* The same product with the fewest batch axes. */
static deq_matmul_dims collapse(deq_matmul_dims d)
{
    bool a_all = has_all(&d, d.a_batch), b_all = has_all(&d, d.b_batch);
    bool a_none = has_none(&d, d.a_batch), b_none = has_none(&d, d.b_batch);
    if (d.n_batch_axes == 0) return d;
    if (a_all && b_none && d.a_col == 1) {
        d.m *= d.batch; /* consecutive matrices A are consecutive rows */
        d.a_row = d.k;
        d.batch = 1;
        d.n_batch_axes = 0;
    } else if ((a_all || a_none) && (b_all || b_none)) {
        d.n_batch_axes = 1;
        d.batch_dim[0] = d.batch;
        d.a_batch[0] = a_none ? 0 : d.m * d.k;
        d.b_batch[0] = b_none ? 0 : d.k * d.n;
    }
    return d;
}

/* A matrix with batch axes; extent 1 along those that it does not have. */
static deq_onednn_tensor factor(const deq_matmul_dims *d, const int64_t *batch_stride, int64_t rows,
                                int64_t columns, int64_t row, int64_t column)
{
    int n = d->n_batch_axes;
    deq_onednn_tensor t = { .rank = n + 2 };
    for (int i = 0; i < n; i++) {
        t.dim[i] = batch_stride[i] ? d->batch_dim[i] : 1;
        t.stride[i] = batch_stride[i] ? batch_stride[i] : rows * columns;
    }
    t.dim[n] = rows;
    t.dim[n + 1] = columns;
    t.stride[n] = row;
    t.stride[n + 1] = column;
    return t;
}

static deq_onednn_tensor result(const deq_matmul_dims *d)
{
    int64_t dim[DEQ_ONEDNN_RANK];
    int n = d->n_batch_axes;
    for (int i = 0; i < n; i++) dim[i] = d->batch_dim[i];
    dim[n] = d->m;
    dim[n + 1] = d->n;
    return deq_onednn_dense(n + 2, dim);
}

/* A parallel region costs some microseconds; in one a core computes a hundred operations or reads a
 * hundred bytes of cached factors each nanosecond. */
static int threads_for(const deq_lowering *l, const deq_matmul_dims *d, double flops)
{
    double batch = (double)d->batch, m = (double)d->m, n = (double)d->n, k = (double)d->k;
    double bytes = 4 * batch * (m * k + k * n + m * n);
    return flops + bytes < 6e5 ? 1 : l->threads;
}

static void describe(product *p, const deq_lowering *l, const deq_node *node)
{
    deq_type in[2], out;
    deq_kernel_call call = { .attr = node->attr, .in_type = in, .out_type = &out };
    deq_node_types(l->g, node, in, &out);
    deq_matmul_dims d = collapse(deq_matmul_dims_of(&call));

    *p = (product){ .node = node, .d = d, .flops = node->op->flops(&call) };
    p->packed = deq_node_of(l->g, node->in[1])->stage < node->stage;
    p->b = factor(&d, d.b_batch, d.k, d.n, d.b_row, d.b_col);

    deq_onednn_spec *s = &p->spec;
    s->kind = DEQ_ONEDNN_MATMUL;
    s->threads = threads_for(l, &d, p->flops);
    s->a = factor(&d, d.a_batch, d.m, d.k, d.a_row, d.a_col);
    s->b = p->b;
    s->b.any = p->packed;
    s->result = result(&d);
    s->channel = s->result.rank - 1;
    if (!p->packed && d.m < 64) s->prefer = "gemm"; /* the others would pack B first */
}

/* --- what is taken ---------------------------------------------------------------------------- */

/* Calling the library takes longer than so many operations in a plain loop. */
static bool is_tiny(const product *p)
{
    return p->flops <= 500;
}

static bool supports(const deq_lowering *l, const deq_node *node)
{
    product p;
    if (deq_type_of(l->g, node->in[0])->dtype != DEQ_F32) return false;
    describe(&p, l, node);
    return is_tiny(&p) || deq_onednn_probe(&p.spec) > DEQ_ONEDNN_REFERENCE;
}

static bool takes_epilogue(const deq_lowering *l, const deq_group *group, int node)
{
    product p, plain;
    describe(&p, l, &l->g->nodes[group->anchor]);
    plain = p;
    return !is_tiny(&p) && deq_onednn_epilogue(&p.spec, l, group, node) &&
           deq_onednn_probe(&p.spec) >= deq_onednn_probe(&plain.spec);
}

/* --- a plain loop for tiny products ----------------------------------------------------------- */

typedef struct tiny {
    deq_matmul_dims d;
    int a, b, y;
} tiny;

static deq_status run_tiny(void *self, void *const *slot, char *message)
{
    const tiny *t = self;
    const deq_matmul_dims *d = &t->d;
    float *y = slot[t->y];
    (void)message;
    for (int64_t i = 0; i < d->batch; i++) {
        int64_t a_at, b_at;
        deq_matmul_offsets(d, i, &a_at, &b_at);
        for (int64_t m = 0; m < d->m; m++)
            for (int64_t n = 0; n < d->n; n++) {
                const float *a = (const float *)slot[t->a] + a_at + m * d->a_row;
                const float *b = (const float *)slot[t->b] + b_at + n * d->b_col;
                double sum = 0;
                for (int64_t k = 0; k < d->k; k++)
                    sum += (double)a[k * d->a_col] * (double)b[k * d->b_row];
                *y++ = (float)sum;
            }
    }
    return DEQ_OK;
}

static deq_status lower_tiny(deq_lowering *l, const product *p, deq_value result)
{
    deq_status status = DEQ_OK;
    int reads[2], write;
    reads[0] = deq_lower_read(l, p->node->in[0], DEQ_LAYOUT_PLAIN, &status);
    reads[1] = deq_lower_read(l, p->node->in[1], DEQ_LAYOUT_PLAIN, &status);
    write = deq_lower_write(l, result, &status);
    DEQ_TRY(status);
    tiny *t = deq_lower_alloc(l, sizeof *t);
    if (!t) return DEQ_ERR_NOMEM;
    *t = (tiny){ p->d, reads[0], reads[1], write };
    deq_step step = { .run = run_tiny,
                      .self = t,
                      .stage = p->node->stage,
                      .reads = reads,
                      .n_reads = 2,
                      .writes = &write,
                      .n_writes = 1,
                      .kernel = "tiny matmul",
                      .flops = p->flops };
    return deq_lower_step(l, &step);
}

/* --- lowering --------------------------------------------------------------------------------- */

static deq_status lower(deq_lowering *l, const deq_group *group)
{
    product p;
    deq_onednn *primitive;
    deq_status status = DEQ_OK;
    int slot[DEQ_ONEDNN_PARTS];
    for (int i = 0; i < DEQ_ONEDNN_PARTS; i++) slot[i] = -1;

    describe(&p, l, &l->g->nodes[group->anchor]);
    if (is_tiny(&p)) return lower_tiny(l, &p, group->outputs[0]);
    if (!deq_onednn_epilogue(&p.spec, l, group, -1))
        return deq_fail(l->ctx, DEQ_ERR_BACKEND, "matmul: the epilogue is not expressible");
    deq_value b = p.node->in[1];
    deq_onednn_read_operands(l, &p.spec, DEQ_LAYOUT_PLAIN, slot, &status);
    slot[DEQ_ONEDNN_A] = deq_lower_read(l, p.node->in[0], DEQ_LAYOUT_PLAIN, &status);
    slot[DEQ_ONEDNN_B] = deq_lower_read(l, b, DEQ_LAYOUT_PLAIN, &status);
    slot[DEQ_ONEDNN_RESULT] = deq_lower_write(l, group->outputs[0], &status);
    DEQ_TRY(status);

    DEQ_TRY(deq_onednn_new(l, &primitive, &p.spec));
    if (p.packed)
        slot[DEQ_ONEDNN_B] = deq_onednn_pack(l, primitive, DEQ_ONEDNN_B, &p.b, slot[DEQ_ONEDNN_B],
                                             deq_node_of(l->g, b)->stage, &status);
    if (status == DEQ_OK) return deq_onednn_emit(l, primitive, slot, p.node->stage, p.flops);
    deq_onednn_free(primitive);
    return status;
}

const deq_cpu_kernel deq_cpu_matmul = {
    .op = &deq_op_matmul, .supports = supports, .takes_epilogue = takes_epilogue, .lower = lower
};
