/* SPDX-License-Identifier: MIT */
/*
 * The fully connected equilibrium classifier.
 *
 *   f(z, x) = act(norm(W z + U x + b))        state.*, input.*, norm.*          (1)
 *   logits  = V drop(z*) + c                  head.*                            (2)
 */
#include "model/family.h"
#include "model/solve.h"
#include "nn/nn.h"

#include <deq/op.h>

typedef struct mlp {
    deq_nn *nn;
    const deq_mlp_options *o;
    int64_t width, classes;
    deq_value injected; /* U x + b */
} mlp;

static void defaults(deq_model_options *o)
{
    o->mlp = (deq_mlp_options){ .width = 256 };
}

static deq_value activate(const mlp *m, deq_value x)
{
    deq_graph *g = deq_nn_graph(m->nn);
    switch (m->o->activation) {
    case DEQ_ACTIVATION_TANH: return deq_tanh(g, x);
    case DEQ_ACTIVATION_RELU: return deq_relu(g, x);
    case DEQ_ACTIVATION_GELU: return deq_gelu(g, x);
    case DEQ_ACTIVATION_SIGMOID: return deq_sigmoid(g, x);
    }
    return deq_graph_fail(g, DEQ_ERR_ARGUMENT, "mlp: %d is not an activation",
                          (int)m->o->activation);
}

static void cell(deq_graph *g, const deq_value *z, deq_value *fz, void *user)
{
    const mlp *m = user;
    deq_value h = deq_nn_linear(m->nn, "state", z[0], m->width,
                                DEQ_LAYER(.no_bias = true, .weight = { .kind = m->o->norm }));
    h = deq_add(g, h, m->injected);
    if (m->o->layer_norm) h = deq_nn_layer_norm(m->nn, "norm", h, true);
    fz[0] = activate(m, h); /* (1) */
}

static deq_value head(deq_nn *nn, const deq_value *z, void *user)
{
    const mlp *m = user;
    deq_value h = deq_nn_dropout(nn, "dropout", z[0], m->o->dropout, 0);
    return deq_nn_linear(nn, "head", h, m->classes, NULL); /* (2) */
}

static void build(deq_nn *nn, deq_model_outputs *out, deq_value x, const deq_model_options *o,
                  const deq_model_solve *solve)
{
    deq_graph *g = deq_nn_graph(nn);
    deq_shape s = deq_value_type(g, x).shape;
    mlp m = { .nn = nn, .o = &o->mlp, .width = o->mlp.width, .classes = o->classes };
    if (m.width == 0) m.width = 256;
    if (m.width < 1 || s.rank < 2) {
        deq_graph_fail(g, m.width < 1 ? DEQ_ERR_ARGUMENT : DEQ_ERR_SHAPE, "mlp: %s",
                       m.width < 1 ? "the width is below 1"
                                   : "the input needs a batch and features");
        return;
    }
    x = deq_reshape(g, x, DEQ_SHAPE(s.dim[0], deq_shape_count(&s) / s.dim[0]));
    m.injected = deq_nn_linear(nn, "input", x, m.width, NULL);
    deq_model_problem p = { .cell = cell, .head = head, .user = &m, .n_states = 1 };
    p.shape[0] = DEQ_SHAPE(s.dim[0], m.width);
    deq_model_equilibrium(nn, out, &p, solve);
}

const deq_family deq_family_mlp = { "mlp", defaults, build, NULL };
