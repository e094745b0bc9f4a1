/* SPDX-License-Identifier: MIT */
/* A model of one test, built in f64: inputs, outputs, a loss and its gradients. */
#ifndef DEQ_TESTS_MODEL_BUILT_H
#define DEQ_TESTS_MODEL_BUILT_H

#include "support/network.h"

#include <deq/model.h>

typedef struct built {
    test_network n;
    deq_value x, labels;
    deq_model_outputs out;
} built;

/* Solves to rounding, so that differences of losses mean something. */
static inline deq_model_solve exact_solve(void)
{
    deq_model_solve s = deq_model_solve_defaults();
    s.equilibrium.forward.rtol = 0;
    s.equilibrium.forward.atol = 1e-13;
    s.equilibrium.forward.max_iter = 300;
    s.equilibrium.adjoint.rtol = 1e-13;
    s.equilibrium.adjoint.max_iter = 300;
    return s;
}

/* Initial values; group normalisations get gains of 1/4 and biases, so that cells which have them
 * contract. */
static inline void begin_calmly(const test_network *n, uint64_t seed)
{
    deq_parameters *p = deq_weights_parameters(n->w);
    network_begin(n, seed);
    for (int i = 0; i < deq_parameters_count(p); i++) {
        deq_parameter_info info = deq_parameters_info(p, i);
        double *w = deq_parameters_values(p, i);
        bool bias = strstr(info.name, ".bias") != NULL;
        if (!strstr(info.name, "gn")) continue;
        for (int64_t k = 0; k < info.count; k++)
            w[k] = bias ? 0.7 * sin(3.0 * (double)(k + i)) : 0.25;
    }
}

/* No check of the graph: refusals are tested, too. */
static inline built build_model(deq_weights *shared, deq_context *ctx, bool training,
                                deq_shape shape, const deq_model_options *o,
                                const deq_model_solve *solve)
{
    built b = { .n = network_new(shared, ctx, training) };
    b.x = network_input(&b.n, shape);
    deq_model_build(b.n.nn, &b.out, b.x, o, solve);
    return b;
}

static inline void built_free(built *b, bool owner)
{
    network_free(&b->n, owner);
}

/* The mean cross-entropy of the last logits; labels [B, ...], i32. */
static inline deq_value loss_of(built *b)
{
    deq_type t = deq_value_type(b->n.t.g, b->out.logits[b->out.n_logits - 1]);
    deq_shape s = { .rank = t.shape.rank - 1 };
    s.dim[0] = t.shape.dim[0];
    for (int i = 1; i < s.rank; i++) s.dim[i] = t.shape.dim[i + 1];
    b->labels = deq_input(b->n.t.g, "labels", DEQ_STAGE_INJECTED, DEQ_I32, s);
    return deq_cross_entropy(b->n.t.g, b->out.logits[b->out.n_logits - 1], b->labels, NULL);
}

static inline void write_inputs(const built *b, deq_program *p)
{
    enum { MOST = 8192 };
    double x[MOST];
    int32_t labels[MOST];
    deq_type t = deq_value_type(b->n.t.g, b->x), l = deq_value_type(b->n.t.g, b->labels);
    deq_type logits = deq_value_type(b->n.t.g, b->out.logits[0]);
    assert_true(deq_shape_count(&t.shape) <= MOST && deq_shape_count(&l.shape) <= MOST);
    wave(x, deq_shape_count(&t.shape), 1);
    must_write(&b->n.t, p, b->x, x);
    if (b->labels.id > 0) {
        for (int64_t i = 0; i < deq_shape_count(&l.shape); i++)
            labels[i] = (int32_t)((i * 7 + i / 3) % logits.shape.dim[1]);
        must_write(&b->n.t, p, b->labels, labels);
    }
    write_key(&b->n, p, 3, 14);
}

/* Run once for one output, with the inputs of write_inputs(). */
static inline void value_of(const built *b, deq_value out, void *result)
{
    deq_program *p = must_compile(&b->n.t, &out, 1, NULL);
    write_inputs(b, p);
    must_run(p, DEQ_STAGE_PARAMETER);
    must_read(&b->n.t, p, out, result);
    deq_program_free(p);
}

static inline int64_t count_of(const built *b, deq_value v)
{
    deq_type t = deq_value_type(b->n.t.g, v);
    return deq_shape_count(&t.shape);
}

/* Small models of each family, and an input for each. */
static inline deq_model_options small_model(deq_model_family family, deq_shape *input)
{
    deq_model_options o = deq_model_defaults(family);
    o.classes = 3;
    switch (family) {
    case DEQ_MODEL_MLP:
        o.mlp.width = 12;
        *input = DEQ_SHAPE(4, 2, 3);
        break;
    case DEQ_MODEL_MONOTONE:
        o.monotone.width = 8;
        o.monotone.rank = 8;
        *input = DEQ_SHAPE(4, 6);
        break;
    case DEQ_MODEL_MULTISCALE:
        o.multiscale = deq_multiscale_defaults(DEQ_MULTISCALE_CIFAR_TINY);
        o.multiscale.channels[0] = o.multiscale.channels[1] = 8;
        o.multiscale.head[0] = o.multiscale.head[1] = 2;
        o.multiscale.final = 8;
        o.multiscale.expansion = 2;
        o.multiscale.post_fuse_affine = true;
        *input = DEQ_SHAPE(3, 3, 8, 8);
        break;
    case DEQ_MODEL_SEQUENCE:
        o.recurrent.width = 6;
        o.recurrent.blocks = 1;
        o.recurrent.head[0] = o.recurrent.head[1] = 0;
        *input = DEQ_SHAPE(2, 1, 9);
        break;
    default:
        o.recurrent.width = 5;
        o.recurrent.blocks = 1;
        o.recurrent.head[0] = 4;
        o.recurrent.head[1] = 3;
        *input = DEQ_SHAPE(2, 3, 6, 5);
    }
    return o;
}

#endif
