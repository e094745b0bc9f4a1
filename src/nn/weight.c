/* SPDX-License-Identifier: MIT */
/*
 * The weight of a layer, from its parameters:
 *
 *   plain     weight
 *   norm      weight_v . weight_g / |weight_v|                    slice by slice (Salimans & Kingma 2016)
 *   spectral  weight_orig . weight_g / (u' weight_orig v)         (Miyato et al. 2018)
 *
 * Only parameters and buffers go in, so it is computed once a training step.  In training the
 * vectors u and v take one step of power iteration first, and are to be kept: weight_u, weight_v.
 */
#include "nn/nn.h"

#include <deq/op.h>

/* [n, 1, 1, ...], as state dictionaries have it. */
static deq_shape per_output(const deq_shape *shape)
{
    deq_shape s = { .rank = shape->rank };
    for (int i = 0; i < shape->rank; i++) s.dim[i] = i == 0 ? shape->dim[0] : 1;
    return s;
}

static deq_value weight_norm(deq_nn *nn, deq_shape shape, const deq_weight_options *o,
                             const deq_normalise_options *normalise, deq_init init)
{
    deq_graph *g = deq_nn_graph(nn);
    deq_value v = deq_nn_parameter(nn, "weight_v", shape, init), scale = DEQ_NONE;
    deq_init norms = { .law = DEQ_INIT_SLICE_NORM, .value = 1, .of = "weight_v" };
    if (!o->fixed_scale) {
        scale = deq_nn_parameter(nn, "weight_g", per_output(&shape), norms);
        scale = deq_reshape(g, scale, DEQ_SHAPE(shape.dim[0]));
    }
    return deq_weight_norm(g, v, scale, normalise);
}

static deq_value spectral_norm(deq_nn *nn, deq_shape shape, const deq_weight_options *o,
                               const deq_normalise_options *normalise, deq_init init)
{
    deq_graph *g = deq_nn_graph(nn);
    int64_t rows = shape.dim[0], rest = deq_shape_count(&shape) / rows;
    deq_init left = { .law = DEQ_INIT_LEFT_SINGULAR, .value = 1, .of = "weight_orig" };
    deq_init right = { .law = DEQ_INIT_RIGHT_SINGULAR, .value = 1, .of = "weight_orig" };
    deq_value w = deq_nn_parameter(nn, "weight_orig", shape, init), scale = DEQ_NONE;
    deq_value u = deq_nn_buffer(nn, "weight_u", DEQ_SHAPE(rows), left);
    deq_value v = deq_nn_buffer(nn, "weight_v", DEQ_SHAPE(rest), right);
    if (!o->fixed_scale) {
        int64_t n = normalise->per_channel ? rows : 1;
        scale = deq_nn_parameter(nn, "weight_g", DEQ_SHAPE(n), DEQ_INIT_TO(normalise->target));
    }
    if (deq_nn_training(nn)) {
        deq_spectral_step(g, &u, &v, w, u, 1, normalise);
        deq_nn_update_buffer(nn, "weight_u", u);
        deq_nn_update_buffer(nn, "weight_v", v);
    }
    return deq_spectral_norm(g, w, u, v, scale, normalise);
}

deq_value deq_nn_weight(deq_nn *nn, deq_shape shape, const deq_weight_options *options)
{
    deq_init init = { .law = DEQ_INIT_FAN_IN, .value = 1 };
    deq_normalise_options normalise = deq_normalise_defaults();
    if (options->init) init = *options->init;
    if (options->normalise) normalise = *options->normalise;
    if (normalise.axis != 0)
        return deq_nn_fail(nn, DEQ_ERR_ARGUMENT,
                           "the outputs of a layer's weight are axis 0, not %d", normalise.axis);
    switch (options->kind) {
    case DEQ_WEIGHT_PLAIN: return deq_nn_parameter(nn, "weight", shape, init);
    case DEQ_WEIGHT_NORM: return weight_norm(nn, shape, options, &normalise, init);
    case DEQ_WEIGHT_SPECTRAL: return spectral_norm(nn, shape, options, &normalise, init);
    }
    return deq_nn_fail(nn, DEQ_ERR_ARGUMENT, "%d is not a kind of weight", (int)options->kind);
}

deq_value deq_nn_bias(deq_nn *nn, int64_t n, const deq_layer_options *o)
{
    static const char *const direction[] = { "weight", "weight_v", "weight_orig" };
    if (o->no_bias || deq_graph_status(deq_nn_graph(nn)) != DEQ_OK) return DEQ_NONE;
    deq_init init = { .law = DEQ_INIT_FAN_IN, .value = 1, .of = direction[o->weight.kind] };
    return deq_nn_parameter(nn, "bias", DEQ_SHAPE(n), o->bias_init ? *o->bias_init : init);
}

bool deq_nn_layer_settings(deq_nn *nn, const deq_layer_options *options, deq_layer_options *o)
{
    *o = options ? *options : (deq_layer_options){ .struct_size = sizeof *o };
    if (o->struct_size != sizeof *o)
        deq_nn_fail(nn, DEQ_ERR_ARGUMENT, "options.struct_size is %zu, expected %zu",
                    o->struct_size, sizeof *o);
    else if (o->stride < 0 || o->pad < -1)
        deq_nn_fail(nn, DEQ_ERR_ARGUMENT, "stride %lld and pad %lld, expected >= 0 and >= -1",
                    (long long)o->stride, (long long)o->pad);
    return deq_graph_status(deq_nn_graph(nn)) == DEQ_OK;
}
