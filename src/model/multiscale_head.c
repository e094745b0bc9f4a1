/* SPDX-License-Identifier: MIT */
/*
 * What stands before and behind the equilibrium of a multiscale model.
 *
 *     stem       two (with more than two downsamplings: more) times conv 3x3, BN, relu
 *     injection  conv 1x1, BN, relu; the identity for small images and at most two branches
 *     head       b_i = bottleneck of z_i, 4 h_i channels
 *                y_0 = b_0,  y_{i+1} = b_{i+1} + relu(BN(conv 3x3 of stride 2(y_i)))
 *                logits = linear(average over the plane of relu(BN(conv 1x1(y_last))))
 */
#include "model/multiscale.h"

#include <deq/op.h>
#include <stdio.h>

static const deq_init narrow = { .law = DEQ_INIT_NORMAL, .value = 0.01 };

static deq_value convolve(deq_nn *nn, const char *name, deq_value x, int64_t channels,
                          int64_t kernel, int64_t stride, bool bias)
{
    return deq_nn_conv2d(nn, name, x, channels, kernel,
                         DEQ_LAYER(.no_bias = !bias, .stride = stride, .bias_init = &narrow,
                                   .weight = { .init = &narrow }));
}

static deq_value normalise(deq_nn *nn, const char *name, deq_value x)
{
    return deq_relu(deq_nn_graph(nn), deq_nn_batch_norm(nn, name, x, true, 0));
}

/* One convolution of the stem and what follows it. */
static deq_value stage(deq_nn *nn, const char *conv, const char *norm, deq_value x, int number,
                       const deq_multiscale_options *o)
{
    int64_t stride = number <= o->downsamplings ? 2 : 1;
    x = convolve(nn, conv, x, o->channels[0], 3, stride, false);
    if (!o->stem_group_norm) return normalise(nn, norm, x);
    return deq_relu(deq_nn_graph(nn), deq_nn_group_norm(nn, norm, x, o->groups, true));
}

deq_value deq_multiscale_stem(deq_nn *nn, deq_value x, const deq_multiscale_options *o)
{
    deq_nn_enter(nn, "downsample");
    x = stage(nn, "0", "1", x, 1, o);
    x = stage(nn, "3", "4", x, 2, o);
    for (int k = 3; k <= o->downsamplings; k++) {
        char conv[16], norm[16];
        snprintf(conv, sizeof conv, "DS%d", k);
        snprintf(norm, sizeof norm, "DS%d-BN", k);
        x = stage(nn, conv, norm, x, k, o);
    }
    deq_nn_leave(nn);
    return x;
}

deq_value deq_multiscale_injection(deq_nn *nn, deq_value stem, const deq_multiscale_options *o)
{
    if (o->downsamplings == 0 && o->n_branches <= 2) return stem;
    deq_nn_enter(nn, "stage0");
    deq_value x = normalise(nn, "1", convolve(nn, "0", stem, o->channels[0], 1, 1, false));
    deq_nn_leave(nn);
    return x;
}

/* Only the shortcut's normalisation has weight and bias. */
static deq_value bottleneck(deq_nn *nn, deq_value z, int64_t h)
{
    deq_graph *g = deq_nn_graph(nn);
    deq_value y = convolve(nn, "conv1", z, h, 1, 1, false);
    y = deq_relu(g, deq_nn_batch_norm(nn, "bn1", y, false, 0));
    y = convolve(nn, "conv2", y, h, 3, 1, false);
    y = deq_relu(g, deq_nn_batch_norm(nn, "bn2", y, false, 0));
    y = convolve(nn, "conv3", y, 4 * h, 1, 1, false);
    y = deq_nn_batch_norm(nn, "bn3", y, false, 0);
    deq_nn_enter(nn, "downsample");
    z = convolve(nn, "0", z, 4 * h, 1, 1, false);
    z = deq_nn_batch_norm(nn, "1", z, true, 0);
    deq_nn_leave(nn);
    return deq_relu(g, deq_add(g, y, z));
}

deq_value deq_multiscale_head(deq_nn *nn, const deq_value *z, const deq_multiscale_options *o,
                              int64_t classes)
{
    deq_graph *g = deq_nn_graph(nn);
    deq_value y = DEQ_NONE;
    for (int i = 0; i < o->n_branches; i++) {
        if (i > 0) {
            deq_nn_enter(nn, "downsamp_modules.%d", i - 1);
            y = normalise(nn, "1", convolve(nn, "0", y, 4 * o->head[i], 3, 2, true));
            deq_nn_leave(nn);
        }
        deq_nn_enter(nn, "incre_modules.%d.0", i);
        deq_value b = bottleneck(nn, z[i], o->head[i]);
        deq_nn_leave(nn);
        y = i > 0 ? deq_add(g, b, y) : b;
    }
    deq_nn_enter(nn, "final_layer");
    y = normalise(nn, "1", convolve(nn, "0", y, o->final, 1, 1, true));
    deq_nn_leave(nn);
    return deq_nn_linear(nn, "classifier", deq_global_average_pool(g, y, false), classes, NULL);
}
