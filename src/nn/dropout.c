/* SPDX-License-Identifier: MIT */
/* Dropout: the mask is a function of the key and the layer's name, so it is fixed during a solve. */
#include "nn/nn.h"

#include <deq/op.h>

deq_value deq_nn_dropout(deq_nn *nn, const char *name, deq_value x, double rate,
                         uint32_t shared_axes)
{
    if (!(rate >= 0 && rate < 1))
        return deq_nn_fail(nn, DEQ_ERR_ARGUMENT, "%s: dropout with rate %g, expected [0, 1)", name,
                           rate);
    if (!deq_nn_training(nn) || rate == 0) return x;
    return deq_dropout(deq_nn_graph(nn), x, deq_nn_key(nn), deq_nn_stream(nn, name), rate,
                       shared_axes);
}
