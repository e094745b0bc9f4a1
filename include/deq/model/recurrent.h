/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Recurrent-convolutional cells with input injection, for tasks that are learnt on small instances and
 * solved on large ones (Anil et al., NeurIPS 2022; Bansal et al., NeurIPS 2022), on sequences or
 * images, without biases:
 *
 *     projection   relu(conv(x))                              C -> width
 *     cell f(z,x)  u = conv(concat(z, x)), [relu,] then blocks times
 *                  u <- relu([norm] conv(relu([norm] conv(u))) + u)
 *     head         conv, relu, conv, relu, conv -> K          logits a position
 *
 * All kernels have extent 3.  The weights do not depend on the extents of the input.
 *
 * The projection is where a solve usually starts, and nothing else: with an implicit gradient,
 * which does not depend on the start, it keeps its initial values; unrolled it is trained.
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
    bool no_injection; /**< the cell sees only z, which starts at the projection (or is given): the
                               baseline that overthinks; default false */
    int64_t groups;    /**< groups of a normalisation without weights behind each convolution of the
                               blocks (deep-thinking nets: 4); 0 (default): none */
} deq_recurrent_options;

#ifdef __cplusplus
}
#endif
#endif
