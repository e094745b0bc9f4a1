/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Building networks: named layers on a graph, over a set of weights.
 *
 * A network is a function that builds nodes.  Built over weights that are not yet allocated, it
 * declares them; built again (for evaluation, for another batch), it finds them by name:
 *
 *     deq_nn_enter(nn, "block.%d", i);
 *     y = deq_relu(g, deq_nn_conv2d(nn, "conv1", x, channels, 3, NULL));      // block.0.conv1.weight
 *     deq_nn_leave(nn);
 *
 * Names are those of PyTorch's state dictionaries, so that checkpoints can be exchanged.  Like the
 * builders of a graph these functions never fail half-way: a mistake marks the graph.  They may be
 * called inside the cell of an equilibrium; what does not depend on the state leaves the loop.
 */
#ifndef DEQ_NN_H
#define DEQ_NN_H

#include <deq/graph.h>
#include <deq/normalise_weight.h>
#include <deq/weights.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
/** Arguments are checked against the format. */
#define DEQ_NN_PRINTF __attribute__((format(printf, 2, 3)))
#else
/** Arguments are checked where the compiler can. */
#define DEQ_NN_PRINTF
#endif

/** See nn.h. */
typedef struct deq_nn deq_nn;

/** A buffer that a step of training changes: after each run, value is to be copied to it. */
typedef struct deq_nn_update {
    int buffer;      /**< index in deq_weights_buffers() */
    deq_value value; /**< of the buffer's type; make it an output of the training program */
} deq_nn_update;

/**
 * Begin to build.
 *
 * @param out      receives it; free with deq_nn_free() once the graph is built.  NULL on failure.
 * @param g        a graph; must outlive it.
 * @param w        weights; must outlive the graph and its programs.
 * @param training whether dropout drops, batch normalisation uses the batch, power iterations step.
 * @return DEQ_OK, DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_nn_new(deq_nn **out, deq_graph *g, deq_weights *w, bool training);

/**
 * End to build.
 *
 * @param nn NULL is allowed.
 */
DEQ_API void deq_nn_free(deq_nn *nn);

/** The graph. @param nn a network. @return its graph. */
DEQ_API deq_graph *deq_nn_graph(const deq_nn *nn);

/** Whether it is built for training. @param nn a network. @return as given to deq_nn_new(). */
DEQ_API bool deq_nn_training(const deq_nn *nn);

/** The dtype of weights and activations. @param nn a network. @return DEQ_F32 or DEQ_F64. */
DEQ_API deq_dtype deq_nn_dtype(const deq_nn *nn);

/**
 * The key of all random values: an input "key" of the graph, i64 [2] = (seed, step), of
 * DEQ_STAGE_INJECTED, made when first asked for.
 *
 * @param nn a network.
 * @return the value.
 */
DEQ_API deq_value deq_nn_key(deq_nn *nn);

/**
 * Whether anything asked for the key: only then does a program have the input "key".
 *
 * @param nn a network.
 * @return the input, or DEQ_NONE.
 */
DEQ_API deq_value deq_nn_used_key(const deq_nn *nn);

/**
 * The random stream of a name in the present scope: the same name gives the same stream, so a cell
 * that is built twice has the same masks.
 *
 * @param nn   a network.
 * @param name of a layer.
 * @return >= 0.
 */
DEQ_API int64_t deq_nn_stream(const deq_nn *nn, const char *name);

/**
 * Enter a scope: names get its name and a dot in front.
 *
 * @param nn     a network.
 * @param format as for printf.
 */
DEQ_API void deq_nn_enter(deq_nn *nn, const char *format, ...) DEQ_NN_PRINTF;

/** Leave the scope entered last. @param nn a network. */
DEQ_API void deq_nn_leave(deq_nn *nn);

/**
 * A parameter: declared if the weights are not allocated yet, found otherwise.
 *
 * @param nn    a network.
 * @param name  in the present scope.
 * @param shape extents.
 * @param init  how it begins; `of` in the present scope.
 * @return its value.
 */
DEQ_API deq_value deq_nn_parameter(deq_nn *nn, const char *name, deq_shape shape, deq_init init);

/**
 * A buffer, likewise.
 *
 * @param nn    a network.
 * @param name  in the present scope.
 * @param shape extents.
 * @param init  how it begins.
 * @return its value: of DEQ_STAGE_PARAMETER, without gradient.
 */
DEQ_API deq_value deq_nn_buffer(deq_nn *nn, const char *name, deq_shape shape, deq_init init);

/**
 * What a buffer becomes after a step of training.  The last call for a buffer counts; ignored
 * unless deq_nn_training().
 *
 * @param nn    a network.
 * @param name  of a buffer in the present scope.
 * @param value of the buffer's type; no gradient flows through it.
 */
DEQ_API void deq_nn_update_buffer(deq_nn *nn, const char *name, deq_value value);

/**
 * All updates.
 *
 * @param nn    a network.
 * @param count receives their number.
 * @return valid until the next call of deq_nn_update_buffer() or deq_nn_free().
 */
DEQ_API const deq_nn_update *deq_nn_updates(const deq_nn *nn, int *count);

/** How a layer's weight is made from parameters; names below the layer's name. */
typedef enum deq_weight_kind {
    DEQ_WEIGHT_PLAIN = 0, /**< "weight" */
    DEQ_WEIGHT_NORM,      /**< "weight_g", "weight_v": deq_weight_norm() */
    DEQ_WEIGHT_SPECTRAL /**< "weight_orig", learned scale "weight_g", buffers "weight_u", "weight_v":
                               deq_spectral_norm() with one step of power iteration a training step */
} deq_weight_kind;

/** The weight of a layer; zero fields are the defaults. */
typedef struct deq_weight_options {
    deq_weight_kind kind;                   /**< default plain */
    const deq_normalise_options *normalise; /**< NULL: the defaults, learned scale */
    bool fixed_scale;                       /**< the scale is normalise->target, not learned */
    const deq_init *init; /**< of the weight (or of v); NULL: DEQ_INIT_FAN_IN with value 1 */
} deq_weight_options;

/** Settings of linear and convolution layers; zero fields are the defaults. */
typedef struct deq_layer_options {
    size_t struct_size;        /**< sizeof(deq_layer_options) */
    bool no_bias;              /**< default: with "bias" */
    int64_t stride;            /**< convolutions; 0 (default) means 1 */
    int64_t pad;               /**< convolutions; -1: none; 0 (default): (kernel - 1) / 2 */
    deq_weight_options weight; /**< how the weight is made */
    const deq_init *bias_init; /**< NULL: as PyTorch, uniform within 1 / sqrt(fan_in) */
} deq_layer_options;

/** Options in place: DEQ_LAYER(.no_bias = true). */
#define DEQ_LAYER(...)                                                                             \
    (&(deq_layer_options){ .struct_size = sizeof(deq_layer_options), __VA_ARGS__ })

/**
 * y = x W' + b for x [..., K], W [n, K].
 *
 * @param nn      a network.
 * @param name    of the layer.
 * @param x       of rank 1 or more.
 * @param n       outputs.
 * @param options NULL for the defaults.
 * @return y [..., n].
 */
DEQ_API deq_value deq_nn_linear(deq_nn *nn, const char *name, deq_value x, int64_t n,
                                const deq_layer_options *options);

/**
 * Square convolution, weight [channels, C, kernel, kernel].
 *
 * @param nn       a network.
 * @param name     of the layer.
 * @param x        [B, C, H, W].
 * @param channels of the result.
 * @param kernel   extent, >= 1.
 * @param options  NULL for the defaults.
 * @return [B, channels, H', W'].
 */
DEQ_API deq_value deq_nn_conv2d(deq_nn *nn, const char *name, deq_value x, int64_t channels,
                                int64_t kernel, const deq_layer_options *options);

/**
 * Convolution of sequences, weight [channels, C, kernel].
 *
 * @param nn       a network.
 * @param name     of the layer.
 * @param x        [B, C, T].
 * @param channels of the result.
 * @param kernel   extent, >= 1.
 * @param options  NULL for the defaults.
 * @return [B, channels, T'].
 */
DEQ_API deq_value deq_nn_conv1d(deq_nn *nn, const char *name, deq_value x, int64_t channels,
                                int64_t kernel, const deq_layer_options *options);

/**
 * Group normalisation with eps 1e-5.
 *
 * @param nn     a network.
 * @param name   of the layer.
 * @param x      [B, C, ...].
 * @param groups divides C.
 * @param affine with "weight" (1 at first) and "bias" (0).
 * @return of x's type.
 */
DEQ_API deq_value deq_nn_group_norm(deq_nn *nn, const char *name, deq_value x, int64_t groups,
                                    bool affine);

/**
 * Layer normalisation over the last axis with eps 1e-5.
 *
 * @param nn     a network.
 * @param name   of the layer.
 * @param x      of rank 1 or more.
 * @param affine with "weight" and "bias".
 * @return of x's type.
 */
DEQ_API deq_value deq_nn_layer_norm(deq_nn *nn, const char *name, deq_value x, bool affine);

/**
 * Batch normalisation with eps 1e-5: statistics of the batch in training, running averages
 * ("running_mean", "running_var": old (1 - momentum) + new momentum, unbiased variance) otherwise.
 *
 * Not for the cell of an equilibrium: averages that depend on the state have no value outside of it,
 * and deq_compile() refuses a program that asks for them.
 *
 * @param nn       a network.
 * @param name     of the layer.
 * @param x        [B, C, ...].
 * @param affine   with "weight" and "bias".
 * @param momentum in (0, 1]; 0 means 0.1.
 * @return of x's type.
 */
DEQ_API deq_value deq_nn_batch_norm(deq_nn *nn, const char *name, deq_value x, bool affine,
                                    double momentum);

/**
 * Dropout in training, x otherwise; see deq_dropout().
 *
 * @param nn          a network.
 * @param name        of the layer: names its random stream.
 * @param x           of any shape.
 * @param rate        in [0, 1).
 * @param shared_axes axes along which one draw is shared.
 * @return of x's type.
 */
DEQ_API deq_value deq_nn_dropout(deq_nn *nn, const char *name, deq_value x, double rate,
                                 uint32_t shared_axes);

#ifdef __cplusplus
}
#endif
#endif
