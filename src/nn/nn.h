/* SPDX-License-Identifier: MIT */
/* Networks from inside: what the layers share. */
#ifndef DEQ_NN_NN_H
#define DEQ_NN_NN_H

#include "nn/weights.h"
#include "op/op.h"

#include <deq/nn.h>

/* Longest full name of a weight. */
#define DEQ_NN_NAME_BYTES 512

deq_context *deq_nn_context(const deq_nn *nn);
/* "" in the outermost scope, else "block.0."; valid until the scope changes. */
const char *deq_nn_scope(const deq_nn *nn);
/* Mark the graph, with the scope in front: "network: block.0.conv1: ...". */
deq_value deq_nn_fail(deq_nn *nn, deq_status status, const char *format, ...) DEQ_PRINTF(3, 4);
/* Whether x is of the network's dtype and of rank `least` to `most`; else the graph is marked. */
bool deq_nn_check(deq_nn *nn, const char *layer, deq_value x, int least, int most);
/* options, or the defaults; false when they are not valid. */
bool deq_nn_layer_settings(deq_nn *nn, const deq_layer_options *options, deq_layer_options *o);

/* The weight of a layer in the present scope, made from its parameters; axis 0 is that of the
 * outputs. */
deq_value deq_nn_weight(deq_nn *nn, deq_shape shape, const deq_weight_options *options);
/* Its bias [n], or DEQ_NONE. */
deq_value deq_nn_bias(deq_nn *nn, int64_t n, const deq_layer_options *o);

#endif
