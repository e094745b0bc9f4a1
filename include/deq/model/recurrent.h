/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Recurrent-convolutional cells with input injection, for tasks that are learnt on small instances and
 * solved on large ones (Anil et al., NeurIPS 2022; Bansal et al., NeurIPS 2022), on sequences or
 * images, without biases:
 *
 *     projection   relu(conv(x))                              C -> width
 *     cell f(z,x)  u = conv(concat(z, x)), [relu,] then blocks times
 *                  u <- relu(conv(relu(conv(u))) + u)
 *     head         conv, relu, conv, relu, conv -> K          logits a position
 *
 * All kernels have extent 3.  The weights do not depend on the extents of the input.
 */
#ifndef DEQ_MODEL_RECURRENT_H
#define DEQ_MODEL_RECURRENT_H

#include <deq/nn.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Zero fields are the defaults. */
typedef struct deq_recurrent_options {
    int64_t width;        /**< channels of the state; 0 means 128 */
    int64_t blocks;       /**< residual blocks; 0 means 2 */
    int64_t head[2];      /**< channels inside the head; 0 means 32, 8 for images and width,
                               width / 2 for sequences */
    deq_weight_kind norm; /**< of the cell's convolutions; default plain */
    bool inject_relu; /**< relu behind the injection, as deep-thinking nets have it for sequences */
    bool no_injection; /**< the cell sees only z, which starts at the projection: the baseline
                               that overthinks; default false */
    int64_t groups;    /**< group normalisation behind each block; 0 (default): none */
} deq_recurrent_options;

#ifdef __cplusplus
}
#endif
#endif
