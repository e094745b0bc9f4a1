/* SPDX-License-Identifier: MIT */
/* A network of one test: context, graph, weights and the network being built. */
#ifndef DEQ_TESTS_SUPPORT_NETWORK_H
#define DEQ_TESTS_SUPPORT_NETWORK_H

#include "support/engine.h"

#include <deq/nn.h>

typedef struct test_network {
    test_graph t;
    deq_weights *w;
    deq_nn *nn;
} test_network;

/* f64, with weights of its own, or with those of another. */
static inline test_network network_new(deq_weights *shared, deq_context *ctx, bool training)
{
    test_network n = { { ctx, NULL }, shared, NULL };
    if (!ctx) n.t.ctx = test_context();
    assert_int_equal(deq_graph_new(&n.t.g, n.t.ctx), DEQ_OK);
    if (!shared) assert_int_equal(deq_weights_new(&n.w, n.t.ctx, DEQ_F64), DEQ_OK);
    assert_int_equal(deq_nn_new(&n.nn, n.t.g, n.w, training), DEQ_OK);
    return n;
}

/* The weights and the context, too, unless they came from elsewhere. */
static inline void network_free(test_network *n, bool owner)
{
    deq_nn_free(n->nn);
    deq_graph_free(n->t.g);
    if (!owner) return;
    deq_weights_free(n->w);
    deq_context_free(n->t.ctx);
}

static inline deq_value network_input(const test_network *n, deq_shape shape)
{
    return f64_input(&n->t, "x", DEQ_STAGE_INJECTED, shape);
}

/* Allocate and initialise. */
static inline void network_begin(const test_network *n, uint64_t seed)
{
    if (deq_weights_allocate(n->w) != DEQ_OK || deq_weights_initialise(n->w, seed) != DEQ_OK)
        fail_msg("%s", deq_last_error(n->t.ctx));
}

/* The values of a parameter or buffer. */
static inline double *network_weight(const test_network *n, const char *name, int64_t *count)
{
    deq_parameters *store = deq_weights_parameters(n->w);
    int i = deq_parameters_find(store, name);
    if (i < 0) {
        store = deq_weights_buffers(n->w);
        i = deq_parameters_find(store, name);
    }
    if (i < 0) fail_msg("no weight '%s'", name);
    if (count) *count = deq_parameters_info(store, i).count;
    return deq_parameters_values(store, i);
}

/* Deterministic data that is no pattern. */
static inline void wave(double *x, int64_t n, double phase)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = sin(1.7 * (double)i + phase) + 0.3 * cos(0.37 * (double)(i * i));
}

static inline void write_key(const test_network *n, deq_program *p, int64_t seed, int64_t step)
{
    int64_t key[2] = { seed, step };
    if (deq_nn_used_key(n->nn).id > 0) must_write(&n->t, p, deq_nn_used_key(n->nn), key);
}

/* Copy every update into its buffer, as a training loop does. */
static inline void keep_updates(const test_network *n, deq_program *p)
{
    int count;
    const deq_nn_update *u = deq_nn_updates(n->nn, &count);
    for (int i = 0; i < count; i++)
        must_read(&n->t, p, u[i].value,
                  deq_parameters_values(deq_weights_buffers(n->w), u[i].buffer));
}

#endif
