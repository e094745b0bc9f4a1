/* SPDX-License-Identifier: MIT */
/* Convolutions of images and of sequences, of one extent, stride and padding in all directions. */
#include "nn/nn.h"

#include <deq/op.h>

/* The weight [channels, C, kernel, ...] of a layer on x, and its geometry. */
typedef struct layer {
    deq_layer_options o;
    int64_t stride, pad;
    deq_value weight, bias;
} layer;

static bool make_layer(layer *l, deq_nn *nn, const char *what, deq_value x, int rank,
                       int64_t channels, int64_t kernel, const deq_layer_options *options)
{
    if (!deq_nn_layer_settings(nn, options, &l->o) || !deq_nn_check(nn, what, x, rank, rank))
        return false;
    if (kernel < 1) {
        deq_nn_fail(nn, DEQ_ERR_ARGUMENT, "%s with a kernel of extent %lld", what,
                    (long long)kernel);
        return false;
    }
    deq_shape s = { .rank = rank };
    s.dim[0] = channels;
    s.dim[1] = deq_value_type(deq_nn_graph(nn), x).shape.dim[1];
    for (int i = 2; i < rank; i++) s.dim[i] = kernel;
    l->stride = l->o.stride ? l->o.stride : 1;
    l->pad = l->o.pad < 0 ? 0 : l->o.pad ? l->o.pad : (kernel - 1) / 2;
    l->weight = deq_nn_weight(nn, s, &l->o.weight);
    l->bias = deq_nn_bias(nn, channels, &l->o);
    return true;
}

deq_value deq_nn_conv2d(deq_nn *nn, const char *name, deq_value x, int64_t channels, int64_t kernel,
                        const deq_layer_options *options)
{
    layer l;
    deq_value y = { -1 };
    deq_nn_enter(nn, "%s", name);
    if (make_layer(&l, nn, "conv2d", x, 4, channels, kernel, options))
        y = deq_conv2d(deq_nn_graph(nn), x, l.weight, l.bias,
                       DEQ_CONV2D(.stride = { l.stride, l.stride }, .padding = { l.pad, l.pad }));
    deq_nn_leave(nn);
    return y;
}

deq_value deq_nn_conv1d(deq_nn *nn, const char *name, deq_value x, int64_t channels, int64_t kernel,
                        const deq_layer_options *options)
{
    layer l;
    deq_value y = { -1 };
    deq_nn_enter(nn, "%s", name);
    if (make_layer(&l, nn, "conv1d", x, 3, channels, kernel, options))
        y = deq_conv1d(deq_nn_graph(nn), x, l.weight, l.bias,
                       DEQ_CONV1D(.stride = l.stride, .padding = l.pad));
    deq_nn_leave(nn);
    return y;
}
