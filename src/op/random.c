/* SPDX-License-Identifier: MIT */
/* Random values as functions of a key, and dropout.  A draw is constant: its derivative is zero. */
#include "tensor/random.h"
#include "op/op.h"

#include <deq/op.h>
#include <string.h>

typedef struct random_attr {
    deq_type type;
    int64_t stream;
    double probability; /* Bernoulli only, else 0 */
} random_attr;

static bool infer_random(deq_shape_rule *r)
{
    const random_attr *a = r->attr;
    if (a->type.dtype != DEQ_F32 && a->type.dtype != DEQ_F64)
        return deq_rule_fail(r, DEQ_ERR_DTYPE, "the result is to be %s, expected f32 or f64",
                             deq_dtype_name(a->type.dtype));
    if (a->stream < 0)
        return deq_rule_fail(r, DEQ_ERR_ARGUMENT, "stream is %lld, expected at least 0",
                             (long long)a->stream);
    if (!(a->probability >= 0 && a->probability <= 1))
        return deq_rule_fail(r, DEQ_ERR_ARGUMENT, "probability is %g, expected 0 to 1",
                             a->probability);
    if (!deq_rule_dtype(r, 0, DEQ_I64)) return false;
    if (r->in[0].shape.rank != 1 || r->in[0].shape.dim[0] != 2)
        return deq_rule_fail(r, DEQ_ERR_SHAPE, "the key must be i64 [2]: seed and step");
    r->out[0] = a->type;
    return true;
}

static deq_status draw(const deq_kernel_call *c, deq_random_kind kind)
{
    const random_attr *a = c->attr;
    const int64_t *seed_step = c->in[0];
    const deq_random_key key = { .seed = (uint64_t)seed_step[0],
                                 .step = (uint64_t)seed_step[1],
                                 .stream = (uint64_t)a->stream };
    const deq_random_law laws[] = {
        [DEQ_RANDOM_UNIFORM] = { DEQ_RANDOM_UNIFORM, 0, 1 },
        [DEQ_RANDOM_NORMAL] = { DEQ_RANDOM_NORMAL, 0, 1 },
        [DEQ_RANDOM_BERNOULLI] = { DEQ_RANDOM_BERNOULLI, a->probability, 0 },
        [DEQ_RANDOM_RADEMACHER] = { DEQ_RANDOM_RADEMACHER, 0, 0 },
    };
    deq_random_draw(c->out[0], a->type.dtype, deq_shape_count(&a->type.shape), key, laws[kind],
                    c->threads);
    return DEQ_OK;
}

static deq_status uniform_kernel(const deq_kernel_call *c)
{
    return draw(c, DEQ_RANDOM_UNIFORM);
}

static deq_status normal_kernel(const deq_kernel_call *c)
{
    return draw(c, DEQ_RANDOM_NORMAL);
}

static deq_status bernoulli_kernel(const deq_kernel_call *c)
{
    return draw(c, DEQ_RANDOM_BERNOULLI);
}

static deq_status rademacher_kernel(const deq_kernel_call *c)
{
    return draw(c, DEQ_RANDOM_RADEMACHER);
}

#define RANDOM_OP(text, function)                                                                  \
    {                                                                                              \
        .name = (text), .n_out = 1, .attr_bytes = sizeof(random_attr), .infer = infer_random,      \
        .kernel = (function)                                                                       \
    }
static const deq_op op_uniform = RANDOM_OP("random_uniform", uniform_kernel);
static const deq_op op_normal = RANDOM_OP("random_normal", normal_kernel);
static const deq_op op_bernoulli = RANDOM_OP("random_bernoulli", bernoulli_kernel);
static const deq_op op_rademacher = RANDOM_OP("random_rademacher", rademacher_kernel);

static deq_value emit(deq_graph *g, const deq_op *op, deq_value key, deq_dtype dtype,
                      const deq_shape *shape, int64_t stream, double probability)
{
    random_attr a;
    memset(&a, 0, sizeof a);
    a.type.dtype = dtype;
    a.type.shape.rank = shape->rank;
    for (int i = 0; i < shape->rank && i < DEQ_MAX_RANK; i++) a.type.shape.dim[i] = shape->dim[i];
    a.stream = stream;
    a.probability = probability;
    return deq_emit1(g, op, &a, sizeof a, &key, 1);
}

deq_value deq_random_uniform(deq_graph *g, deq_value key, deq_dtype dtype, deq_shape shape,
                             int64_t stream)
{
    return emit(g, &op_uniform, key, dtype, &shape, stream, 0);
}

deq_value deq_random_normal(deq_graph *g, deq_value key, deq_dtype dtype, deq_shape shape,
                            int64_t stream)
{
    return emit(g, &op_normal, key, dtype, &shape, stream, 0);
}

deq_value deq_random_bernoulli(deq_graph *g, deq_value key, deq_dtype dtype, deq_shape shape,
                               int64_t stream, double probability)
{
    return emit(g, &op_bernoulli, key, dtype, &shape, stream, probability);
}

deq_value deq_random_rademacher(deq_graph *g, deq_value key, deq_dtype dtype, deq_shape shape,
                                int64_t stream)
{
    return emit(g, &op_rademacher, key, dtype, &shape, stream, 0);
}

deq_value deq_dropout(deq_graph *g, deq_value x, deq_value key, int64_t stream, double rate,
                      uint32_t shared_axes)
{
    if (!(rate >= 0 && rate < 1))
        return deq_graph_fail(g, DEQ_ERR_ARGUMENT, "dropout: rate is %g, expected 0 <= rate < 1",
                              rate);
    if (rate == 0 || key.id == 0) return x;
    deq_type t = deq_value_type(g, x);
    if (shared_axes != DEQ_ALL_AXES && shared_axes >> t.shape.rank)
        return deq_graph_fail(g, DEQ_ERR_SHAPE, "dropout: shared_axes is 0x%x, x has rank %d",
                              (unsigned)shared_axes, t.shape.rank);
    for (int i = 0; i < t.shape.rank; i++)
        if (shared_axes >> i & 1) t.shape.dim[i] = 1;
    deq_value mask = emit(g, &op_bernoulli, key, t.dtype, &t.shape, stream, 1 - rate);
    /* Scaling the mask, not x, leaves one product per iteration of a solve. */
    return deq_mul(g, x, deq_scale(g, mask, 1 / (1 - rate)));
}
