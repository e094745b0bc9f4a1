/* SPDX-License-Identifier: MIT */
/* y = x W' + b */
#include "nn/nn.h"

#include <deq/op.h>

deq_value deq_nn_linear(deq_nn *nn, const char *name, deq_value x, int64_t n,
                        const deq_layer_options *options)
{
    deq_graph *g = deq_nn_graph(nn);
    deq_layer_options o;
    deq_value y = { -1 };
    deq_nn_enter(nn, "%s", name);
    if (deq_nn_layer_settings(nn, options, &o) && deq_nn_check(nn, "linear", x, 1, DEQ_MAX_RANK)) {
        deq_shape s = deq_value_type(g, x).shape;
        deq_value w = deq_nn_weight(nn, DEQ_SHAPE(n, s.dim[s.rank - 1]), &o.weight);
        y = deq_linear(g, x, w, deq_nn_bias(nn, n, &o));
    }
    deq_nn_leave(nn);
    return y;
}
