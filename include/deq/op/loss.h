/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Softmax and losses.
 */
#ifndef DEQ_OP_LOSS_H
#define DEQ_OP_LOSS_H

#include <deq/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Softmax along an axis:  y_k = exp(x_k) / sum_j exp(x_j).
 *
 * Computed from differences to the largest element, so large x do not overflow.  Elements that are
 * -infinity (masked) get 0; where all are, y is 0 and so is its derivative.  NaN or +infinity
 * anywhere makes its row NaN.
 *
 * @param g    a graph.
 * @param x    f32 or f64, of rank 1 or more.
 * @param axis 0 to rank - 1, or negative to count from the last: -1 is the last.
 * @return y, of x's type; invalid after DEQ_ERR_SHAPE or DEQ_ERR_DTYPE.
 */
DEQ_API deq_value deq_softmax(deq_graph *g, deq_value x, int axis);

/**
 * The logarithm of softmax:  y_k = x_k - log sum_j exp(x_j).
 *
 * -infinity where x is; NaN or +infinity anywhere makes its row NaN.
 *
 * @param g    a graph.
 * @param x    f32 or f64, of rank 1 or more.
 * @param axis as for deq_softmax().
 * @return y, of x's type; invalid after DEQ_ERR_SHAPE or DEQ_ERR_DTYPE.
 */
DEQ_API deq_value deq_log_softmax(deq_graph *g, deq_value x, int axis);

/** How the losses of single positions become the result. */
typedef enum deq_reduction {
    DEQ_REDUCTION_MEAN = 0, /**< a scalar: their mean over the positions that count */
    DEQ_REDUCTION_SUM,      /**< a scalar: their sum */
    DEQ_REDUCTION_NONE      /**< one loss a position, 0 where ignored */
} deq_reduction;

/** Settings of deq_cross_entropy(); zero fields are the defaults. */
typedef struct deq_cross_entropy_options {
    size_t struct_size;      /**< sizeof(deq_cross_entropy_options) */
    deq_reduction reduction; /**< default DEQ_REDUCTION_MEAN */
    bool has_ignore;         /**< whether ignore_index means anything; default no */
    int32_t ignore_index;    /**< positions with this label do not count (others use -100) */
    double label_smoothing;  /**< a in [0, 1] below; default 0 */
    int axis; /**< axis of the classes, negative from the last; 0, the default, means 1 */
} deq_cross_entropy_options;

/** Options in place: DEQ_CROSS_ENTROPY(.label_smoothing = 0.1). */
#define DEQ_CROSS_ENTROPY(...)                                                                     \
    (&(deq_cross_entropy_options){ .struct_size = sizeof(deq_cross_entropy_options), __VA_ARGS__ })

/**
 * Cross entropy of logits and integer labels.  At each position with label t, over K classes,
 *
 *     loss = -(1 - a) log p_t  -  (a / K) sum_k log p_k,    p = softmax(logits)
 *
 * with label smoothing a (Szegedy et al., CVPR 2016, section 7).  When every position is ignored,
 * the loss is 0 and so is its gradient.
 *
 * @param g       a graph.
 * @param logits  [B, K, ...], f32 or f64 (K elsewhere with options->axis).
 * @param labels  i32 of the shape of logits without the class axis.  At run time a label outside
 *                0 to K - 1 that is not ignored is DEQ_ERR_DATA; the message names it.
 * @param options NULL for the defaults: mean, nothing ignored, no smoothing, axis 1.
 * @return a scalar, or [B, ...] for DEQ_REDUCTION_NONE; invalid after DEQ_ERR_SHAPE, DEQ_ERR_DTYPE
 *         or DEQ_ERR_ARGUMENT.
 */
DEQ_API deq_value deq_cross_entropy(deq_graph *g, deq_value logits, deq_value labels,
                                    const deq_cross_entropy_options *options);

/**
 * Mean squared error:  the mean over all elements of (prediction - target)^2.
 *
 * @param g          a graph.
 * @param prediction f32 or f64.
 * @param target     of the same type: nothing broadcasts here.
 * @return a scalar; invalid after DEQ_ERR_SHAPE or DEQ_ERR_DTYPE.
 */
DEQ_API deq_value deq_mse(deq_graph *g, deq_value prediction, deq_value target);

/**
 * Mean absolute error:  the mean over all elements of |prediction - target|.  Its derivative is 0
 * where they are equal.
 *
 * @param g          a graph.
 * @param prediction f32 or f64.
 * @param target     of the same type: nothing broadcasts here.
 * @return a scalar; invalid after DEQ_ERR_SHAPE or DEQ_ERR_DTYPE.
 */
DEQ_API deq_value deq_l1(deq_graph *g, deq_value prediction, deq_value target);

#ifdef __cplusplus
}
#endif
#endif
