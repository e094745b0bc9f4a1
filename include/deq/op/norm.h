/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Normalisation of activations: group, layer, instance and batch normalisation.
 *
 * All of them compute  y = (x - mean) / sqrt(variance + eps) . gamma + beta  with the biased
 * variance; they differ in the elements that mean and variance are taken over.  eps is part of the
 * function that a model was trained with: PyTorch's default is 1e-5.
 */
#ifndef DEQ_OP_NORM_H
#define DEQ_OP_NORM_H

#include <deq/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Group normalisation (Wu & He, ECCV 2018): statistics per sample and group of C / groups
 * consecutive channels, over these channels and all axes behind them.
 *
 * @param g      a graph.
 * @param x      [B, C, ...], f32 or f64, of rank 2 or more.
 * @param groups divides C.
 * @param gamma  [C], or DEQ_NONE for 1.
 * @param beta   [C], or DEQ_NONE for 0.
 * @param eps    finite, at least 0; with 0 a group of equal elements gives NaN.
 * @return y, of x's type; invalid after DEQ_ERR_SHAPE, DEQ_ERR_DTYPE or DEQ_ERR_ARGUMENT.
 */
DEQ_API deq_value deq_group_norm(deq_graph *g, deq_value x, int64_t groups, deq_value gamma,
                                 deq_value beta, double eps);

/**
 * Layer normalisation (Ba, Kiros & Hinton 2016): statistics over the last n_axes axes.
 *
 * @param g      a graph.
 * @param x      f32 or f64, of rank n_axes or more.
 * @param n_axes at least 1.
 * @param gamma  of the shape of the last n_axes axes, or DEQ_NONE for 1.
 * @param beta   likewise, or DEQ_NONE for 0.
 * @param eps    finite, at least 0.
 * @return y, of x's type; invalid after DEQ_ERR_SHAPE, DEQ_ERR_DTYPE or DEQ_ERR_ARGUMENT.
 */
DEQ_API deq_value deq_layer_norm(deq_graph *g, deq_value x, int n_axes, deq_value gamma,
                                 deq_value beta, double eps);

/**
 * Instance normalisation (Ulyanov, Vedaldi & Lempitsky 2016): group normalisation with one channel
 * a group.
 *
 * @param g     a graph.
 * @param x     [B, C, ...], f32 or f64, of rank 2 or more.
 * @param gamma [C], or DEQ_NONE for 1.
 * @param beta  [C], or DEQ_NONE for 0.
 * @param eps   finite, at least 0.
 * @return y, of x's type; invalid after DEQ_ERR_SHAPE, DEQ_ERR_DTYPE or DEQ_ERR_ARGUMENT.
 */
DEQ_API deq_value deq_instance_norm(deq_graph *g, deq_value x, deq_value gamma, deq_value beta,
                                    double eps);

/**
 * Batch normalisation (Ioffe & Szegedy, ICML 2015) as in training: statistics per channel, over the
 * batch and all axes behind the channels.  A sample's result depends on its companions, so it does
 * not belong inside an equilibrium.
 *
 * For running averages, make `mean` and `variance` outputs of the program.  With n elements a
 * channel, the unbiased variance that some libraries average is n / (n - 1) times this one.
 *
 * @param g        a graph.
 * @param x        [B, C, ...], f32 or f64, of rank 2 or more.
 * @param gamma    [C], or DEQ_NONE for 1.
 * @param beta     [C], or DEQ_NONE for 0.
 * @param eps      finite, at least 0.
 * @param mean     receives the batch mean [C]; may be NULL.
 * @param variance receives the biased batch variance [C]; may be NULL.
 * @return y, of x's type; invalid after DEQ_ERR_SHAPE, DEQ_ERR_DTYPE or DEQ_ERR_ARGUMENT.
 */
DEQ_API deq_value deq_batch_norm(deq_graph *g, deq_value x, deq_value gamma, deq_value beta,
                                 double eps, deq_value *mean, deq_value *variance);

/**
 * Batch normalisation with given statistics, as in evaluation: element-wise, and differentiable in
 * the statistics too.
 *
 * @param g        a graph.
 * @param x        [B, C, ...], f32 or f64, of rank 2 or more.
 * @param gamma    [C], or DEQ_NONE for 1.
 * @param beta     [C], or DEQ_NONE for 0.
 * @param mean     [C].
 * @param variance [C], not negative.
 * @param eps      finite, at least 0.
 * @return y, of x's type; invalid after DEQ_ERR_SHAPE, DEQ_ERR_DTYPE or DEQ_ERR_ARGUMENT.
 */
DEQ_API deq_value deq_batch_norm_frozen(deq_graph *g, deq_value x, deq_value gamma, deq_value beta,
                                        deq_value mean, deq_value variance, double eps);

#ifdef __cplusplus
}
#endif
#endif
