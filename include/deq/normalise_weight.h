/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Normalised weights: reparametrisations that keep a cell contractive.
 *
 * A normalised weight is a value of the graph like any other, computed from parameters only, so the
 * compiler puts it into the parameter stage: once a training step, never inside a solve.  Build it
 * outside of the cell and let the cell capture it.  See docs/math/weight-normalisation.md.
 *
 * Below, `axis` is the axis of the outputs of the weight: 0 for linear maps [N, K] and convolutions
 * [O, I, H, W], 1 for transposed convolutions [I, O, H, W].  W2 is the weight as a matrix of
 * shape[axis] rows.
 */
#ifndef DEQ_NORMALISE_WEIGHT_H
#define DEQ_NORMALISE_WEIGHT_H

#include <deq/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Settings of both normalisations.  Start from deq_normalise_defaults(). */
typedef struct deq_normalise_options {
    size_t struct_size; /**< sizeof(deq_normalise_options) */
    int axis;           /**< of the outputs, >= 0; default 0 */
    double target;      /**< the scale where none is given, > 0; default 1 */
    bool clip;          /**< use min(clip_value, factor): only ever shrink; default false */
    double clip_value;  /**< > 0; default 1 */
    bool per_channel;   /**< spectral: a scale for each output channel, as TorchDEQ has it; the norm
                             is then anything up to the largest scale; default false */
    int doublings;      /**< spectral, without u and v: see deq_spectral_bound(); default 3 */
} deq_normalise_options;

/**
 * The default settings.
 *
 * @return a struct to change.
 */
DEQ_API deq_normalise_options deq_normalise_defaults(void);

/**
 * Weight normalisation (Salimans & Kingma, NeurIPS 2016):
 *
 *     W = v . f,    f = scale / |v|   or with clipping  min(clip_value, scale / |v|)
 *
 * with the norm of each slice along `axis`.  A slice of norm below 1e-12 counts as one of 1e-12.
 *
 * @param g       a graph.
 * @param v       directions, f32 or f64, of rank 1 or more.
 * @param scale   [shape[axis]], learned; DEQ_NONE for options->target.
 * @param options NULL for the defaults.
 * @return W, of v's type; invalid after DEQ_ERR_ARGUMENT, DEQ_ERR_SHAPE or DEQ_ERR_DTYPE.
 */
DEQ_API deq_value deq_weight_norm(deq_graph *g, deq_value v, deq_value scale,
                                  const deq_normalise_options *options);

/**
 * Steps of power iteration on W2, for the vectors that deq_spectral_norm() wants:
 *
 *     v <- W2' u / |W2' u|,    u <- W2 v / |W2 v|
 *
 * Held: no derivative runs through them.  The caller keeps the vectors: u comes in as an input of
 * the parameter stage, u_next and v_next are outputs of the training program, and are copied to the
 * inputs for the next step.  Start from random u; one step a training step is usual.
 *
 * @param g       a graph.
 * @param u_next  receives [shape[axis]].
 * @param v_next  receives [K], K elements of a row of W2.
 * @param w       the weight, f32 or f64, of rank 1 or more.
 * @param u       [shape[axis]], not zero.
 * @param steps   at least 1.
 * @param options only `axis` is read; NULL for the defaults.
 * @return DEQ_OK or the status of the graph.
 */
DEQ_API deq_status deq_spectral_step(deq_graph *g, deq_value *u_next, deq_value *v_next,
                                     deq_value w, deq_value u, int steps,
                                     const deq_normalise_options *options);

/**
 * An upper bound of |W2|_2, at most r^(1 / 4m) times too large, with m = 2^doublings and r the
 * smaller extent of W2: with 3 doublings at most 14% for r = 64 and 22% for r = 512:
 *
 *     |W2|_2 <= |G^m|_F^(1 / 2m),    G = W2 W2' or W2' W2
 *
 * Smooth, without state, by `doublings` + 1 products of r x r matrices.
 *
 * @param g         a graph.
 * @param w         the weight, f32 or f64, of rank 1 or more.
 * @param doublings 0 (the Frobenius norm of G, nearly) to 20.
 * @param axis      of the outputs.
 * @return a scalar; invalid after DEQ_ERR_ARGUMENT, DEQ_ERR_SHAPE or DEQ_ERR_DTYPE.
 */
DEQ_API deq_value deq_spectral_bound(deq_graph *g, deq_value w, int doublings, int axis);

/**
 * Spectral normalisation (Miyato et al., ICLR 2018):
 *
 *     W = w . f,    f = scale / sigma   or with clipping  min(clip_value, scale / sigma)
 *
 * With u and v, sigma = u' W2 v: |W2|_2 once power iteration has converged, and less before; u and v
 * are held.  Without, sigma is deq_spectral_bound(), and |W| <= scale always.
 *
 * @param g       a graph.
 * @param w       the weight.
 * @param u       [shape[axis]] of norm 1; DEQ_NONE for the bound.
 * @param v       [K] of norm 1; DEQ_NONE for the bound.
 * @param scale   learned: a scalar or [1], with options->per_channel [shape[axis]]; DEQ_NONE for
 *                options->target.
 * @param options NULL for the defaults.
 * @return W, of w's type; invalid after DEQ_ERR_ARGUMENT, DEQ_ERR_SHAPE or DEQ_ERR_DTYPE.
 */
DEQ_API deq_value deq_spectral_norm(deq_graph *g, deq_value w, deq_value u, deq_value v,
                                    deq_value scale, const deq_normalise_options *options);

#ifdef __cplusplus
}
#endif
#endif
