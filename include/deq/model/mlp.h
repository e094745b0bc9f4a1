/* SPDX-License-Identifier: MIT */
/**
 * @file
 * The fully connected equilibrium classifier:
 *
 *     z* = act([norm] (W z* + U x + b)),    logits = V drop(z*) + c
 *
 * with the input flattened.
 */
#ifndef DEQ_MODEL_MLP_H
#define DEQ_MODEL_MLP_H

#include <deq/nn.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Activations. */
typedef enum deq_activation {
    DEQ_ACTIVATION_TANH = 0, /**< "tanh" */
    DEQ_ACTIVATION_RELU,     /**< "relu" */
    DEQ_ACTIVATION_GELU,     /**< "gelu" */
    DEQ_ACTIVATION_SIGMOID   /**< "sigmoid" */
} deq_activation;

/** Zero fields are the defaults. */
typedef struct deq_mlp_options {
    int64_t width;             /**< state extent; 0 means 256 */
    deq_activation activation; /**< default tanh */
    deq_weight_kind norm;      /**< of W; default plain */
    bool layer_norm;           /**< layer normalisation before the activation; default false */
    double dropout;            /**< rate on z*, in [0, 1); default 0 */
} deq_mlp_options;

#ifdef __cplusplus
}
#endif
#endif
