/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Random values inside a graph, and dropout.
 *
 * A random value has no hidden state: element i is a function of (seed, step, stream, i) alone,
 * where (seed, step) is data, a value of type i64 [2] that the training loop writes before each
 * step, and the stream is fixed when the graph is built (give every layer its own).  So a mask
 * stays the same during all iterations of a solve, is drawn again alike in the backward pass, and
 * is the same for any number of threads.  Two nodes with equal key, stream, shape and law are one
 * value.
 *
 * The generator is that of random.h, and deq_draw_uniform() and deq_draw_normal() give the same
 * numbers.  Both dtypes see the same draws: masks are equal, uniform and normal values agree to the
 * precision of f32.  Nothing here is differentiable with respect to the key.
 */
#ifndef DEQ_OP_RANDOM_H
#define DEQ_OP_RANDOM_H

#include <deq/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Independent draws, uniform in [0, 1).
 *
 * @param g      a graph.
 * @param key    i64 [2]: (seed, step); bits are read as unsigned.
 * @param dtype  DEQ_F32 or DEQ_F64.
 * @param shape  extents of the result.
 * @param stream number of the sequence, at least 0.
 * @return the value; invalid after DEQ_ERR_DTYPE, DEQ_ERR_SHAPE or DEQ_ERR_ARGUMENT.
 */
DEQ_API deq_value deq_random_uniform(deq_graph *g, deq_value key, deq_dtype dtype, deq_shape shape,
                                     int64_t stream);

/**
 * Independent standard normal draws (Box & Muller 1958).
 *
 * @param g      a graph.
 * @param key    i64 [2]: (seed, step).
 * @param dtype  DEQ_F32 or DEQ_F64.
 * @param shape  extents of the result.
 * @param stream number of the sequence, at least 0.
 * @return the value; invalid as for deq_random_uniform().
 */
DEQ_API deq_value deq_random_normal(deq_graph *g, deq_value key, deq_dtype dtype, deq_shape shape,
                                    int64_t stream);

/**
 * Independent draws of 1 with the given probability, else 0.
 *
 * @param g           a graph.
 * @param key         i64 [2]: (seed, step).
 * @param dtype       DEQ_F32 or DEQ_F64.
 * @param shape       extents of the result.
 * @param stream      number of the sequence, at least 0.
 * @param probability of a 1, in [0, 1]; resolved to 2^-32.
 * @return the value; invalid as for deq_random_uniform().
 */
DEQ_API deq_value deq_random_bernoulli(deq_graph *g, deq_value key, deq_dtype dtype,
                                       deq_shape shape, int64_t stream, double probability);

/**
 * Independent draws of 1 or -1 with probability 1/2 each, for trace estimates.
 *
 * @param g      a graph.
 * @param key    i64 [2]: (seed, step).
 * @param dtype  DEQ_F32 or DEQ_F64.
 * @param shape  extents of the result.
 * @param stream number of the sequence, at least 0.
 * @return the value; invalid as for deq_random_uniform().
 */
DEQ_API deq_value deq_random_rademacher(deq_graph *g, deq_value key, deq_dtype dtype,
                                        deq_shape shape, int64_t stream);

/**
 * Dropout (Srivastava et al., JMLR 15, 2014), scaled while training so that the mean is kept:
 *
 *     y = x . m / (1 - rate),   m ~ Bernoulli(1 - rate)
 *
 * One draw is shared along every axis of `shared_axes`: 0 masks elements; DEQ_AXIS(2) | DEQ_AXIS(3)
 * masks whole channels of [B, C, H, W]; DEQ_AXIS(1) masks features of [B, T, D] alike for all
 * tokens; DEQ_AXIS(2) masks whole tokens of it; DEQ_ALL_AXES
 * makes one draw for all.
 *
 * @param g           a graph.
 * @param x           the value to mask, of a floating dtype.
 * @param key         i64 [2]: (seed, step); DEQ_NONE gives x itself, as for evaluation.
 * @param stream      number of the sequence, at least 0.
 * @param rate        probability of a zero, in [0, 1); 0 gives x itself.
 * @param shared_axes bit mask of axes of x, see DEQ_AXIS() in reduce.h.
 * @return y, of x's type; invalid after DEQ_ERR_DTYPE, DEQ_ERR_SHAPE (an axis that x lacks) or
 *         DEQ_ERR_ARGUMENT.
 */
DEQ_API deq_value deq_dropout(deq_graph *g, deq_value x, deq_value key, int64_t stream, double rate,
                              uint32_t shared_axes);

#ifdef __cplusplus
}
#endif
#endif
