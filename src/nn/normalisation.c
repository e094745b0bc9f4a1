/* SPDX-License-Identifier: MIT */
/*
 * Normalisation of activations with the weights "weight" and "bias".  Batch normalisation keeps
 *
 *   running <- (1 - momentum) running + momentum new
 *
 * of the batch's mean and unbiased variance (n / (n - 1) times the biased one), and evaluates with
 * the averages.
 */
#include "nn/nn.h"

#include <deq/op.h>

#define EPS 1e-5
#define MOMENTUM 0.1

/* weight and bias [n], or DEQ_NONE. */
static void affine_weights(deq_nn *nn, bool affine, int64_t n, deq_value *weight, deq_value *bias)
{
    *weight = *bias = DEQ_NONE;
    if (!affine) return;
    *weight = deq_nn_parameter(nn, "weight", DEQ_SHAPE(n), DEQ_INIT_TO(1));
    *bias = deq_nn_parameter(nn, "bias", DEQ_SHAPE(n), DEQ_INIT_TO(0));
}

deq_value deq_nn_group_norm(deq_nn *nn, const char *name, deq_value x, int64_t groups, bool affine)
{
    deq_value weight, bias, y = { -1 };
    deq_nn_enter(nn, "%s", name);
    if (deq_nn_check(nn, "group norm", x, 2, DEQ_MAX_RANK)) {
        affine_weights(nn, affine, deq_value_type(deq_nn_graph(nn), x).shape.dim[1], &weight,
                       &bias);
        y = deq_group_norm(deq_nn_graph(nn), x, groups, weight, bias, EPS);
    }
    deq_nn_leave(nn);
    return y;
}

deq_value deq_nn_layer_norm(deq_nn *nn, const char *name, deq_value x, bool affine)
{
    deq_value weight, bias, y = { -1 };
    deq_nn_enter(nn, "%s", name);
    if (deq_nn_check(nn, "layer norm", x, 1, DEQ_MAX_RANK)) {
        deq_shape s = deq_value_type(deq_nn_graph(nn), x).shape;
        affine_weights(nn, affine, s.dim[s.rank - 1], &weight, &bias);
        y = deq_layer_norm(deq_nn_graph(nn), x, 1, weight, bias, EPS);
    }
    deq_nn_leave(nn);
    return y;
}

/* (1 - momentum) running + momentum factor new */
static void average(deq_nn *nn, const char *name, deq_value running, deq_value value,
                    double momentum, double factor)
{
    deq_graph *g = deq_nn_graph(nn);
    value = deq_scale(g, deq_stop_gradient(g, value), momentum * factor);
    deq_nn_update_buffer(nn, name, deq_add(g, deq_scale(g, running, 1 - momentum), value));
}

static deq_value batch_norm(deq_nn *nn, deq_value x, bool affine, double momentum)
{
    deq_graph *g = deq_nn_graph(nn);
    deq_shape s = deq_value_type(g, x).shape;
    int64_t n = deq_shape_count(&s) / s.dim[1]; /* elements a channel */
    deq_value weight, bias, mean, variance;
    affine_weights(nn, affine, s.dim[1], &weight, &bias);
    deq_value running_mean = deq_nn_buffer(nn, "running_mean", DEQ_SHAPE(s.dim[1]), DEQ_INIT_TO(0));
    deq_value running_var = deq_nn_buffer(nn, "running_var", DEQ_SHAPE(s.dim[1]), DEQ_INIT_TO(1));
    if (!deq_nn_training(nn))
        return deq_batch_norm_frozen(g, x, weight, bias, running_mean, running_var, EPS);
    if (n < 2)
        return deq_nn_fail(nn, DEQ_ERR_SHAPE,
                           "batch norm in training of one element a channel has no variance");
    deq_value y = deq_batch_norm(g, x, weight, bias, EPS, &mean, &variance);
    average(nn, "running_mean", running_mean, mean, momentum, 1);
    average(nn, "running_var", running_var, variance, momentum, (double)n / (double)(n - 1));
    return y;
}

deq_value deq_nn_batch_norm(deq_nn *nn, const char *name, deq_value x, bool affine, double momentum)
{
    deq_value y = { -1 };
    deq_nn_enter(nn, "%s", name);
    if (!(momentum >= 0 && momentum <= 1))
        deq_nn_fail(nn, DEQ_ERR_ARGUMENT, "batch norm with momentum %g, expected (0, 1]", momentum);
    else if (deq_nn_check(nn, "batch norm", x, 2, DEQ_MAX_RANK))
        y = batch_norm(nn, x, affine, momentum > 0 ? momentum : MOMENTUM);
    deq_nn_leave(nn);
    return y;
}
