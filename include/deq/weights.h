/* SPDX-License-Identifier: MIT */
/**
 * @file
 * The weights of a model: parameters that are trained, buffers that are not (running averages, the
 * vectors of power iterations), and the law by which each begins.
 *
 * Weights are declared while the model is built for the first time (nn.h), then allocated and
 * initialised or loaded.  Element i of an initial value is a function of the seed, the parameter's
 * name and i alone, so a model begins alike whatever the order of its layers.
 */
#ifndef DEQ_WEIGHTS_H
#define DEQ_WEIGHTS_H

#include <deq/parameters.h>

#ifdef __cplusplus
extern "C" {
#endif

/** See weights.h. */
typedef struct deq_weights deq_weights;

/** How a weight begins. */
typedef enum deq_init_law {
    DEQ_INIT_CONSTANT = 0, /**< every element is `value` */
    DEQ_INIT_NORMAL,       /**< normal with mean 0 and deviation `value` */
    DEQ_INIT_UNIFORM,      /**< uniform in [-value, value) */
    DEQ_INIT_FAN_IN, /**< uniform in [-value, value) / sqrt(fan_in), fan_in = elements of a slice
                                along `axis` (of `of`, if given: the bias of a weight); PyTorch's
                                default for linear and convolution layers is value = 1 */
    DEQ_INIT_FAN_IN_NORMAL, /**< normal with deviation value / sqrt(fan_in); He et al. 2015 with
                                value = sqrt(2) */
    DEQ_INIT_SLICE_NORM, /**< value times the norms of the slices of `of` along `axis`: the scale of a
                              weight normalisation that changes nothing at first */
    DEQ_INIT_LEFT_SINGULAR, /**< value times the leading left singular vector of `of` as a matrix with
                                 a row for each slice along `axis`, by power iteration */
    DEQ_INIT_RIGHT_SINGULAR /**< the right one; both have agreeing signs */
} deq_init_law;

/** A law with its numbers. */
typedef struct deq_init {
    deq_init_law law; /**< which */
    double value;     /**< see the law; finite, not negative where it is a deviation or a range */
    const char *of;   /**< name of another parameter in the same scope, or NULL; it begins by a law
                           that does not need a third one */
    int axis;         /**< of the outputs of the weight, >= 0 */
} deq_init;

/** Every element equal to `number`. */
#define DEQ_INIT_TO(number) ((deq_init){ .law = DEQ_INIT_CONSTANT, .value = (number) })

/**
 * Make an empty set of weights.
 *
 * @param out   receives it; free with deq_weights_free().  NULL on failure.
 * @param ctx   supplies memory; must outlive it.
 * @param dtype DEQ_F32 or DEQ_F64, for all of them.
 * @return DEQ_OK, DEQ_ERR_DTYPE, DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_weights_new(deq_weights **out, deq_context *ctx, deq_dtype dtype);

/**
 * Free weights.  Programs that use them must not run afterwards.
 *
 * @param w NULL is allowed.
 */
DEQ_API void deq_weights_free(deq_weights *w);

/**
 * Declare a weight.  Declaring a known name again with the same shape does nothing.
 *
 * @param w       weights.
 * @param name    unique among parameters and buffers; copied.
 * @param shape   extents.
 * @param init    its law; `of` is a full name here; copied.
 * @param trained true: a parameter; false: a buffer.
 * @return DEQ_OK, DEQ_ERR_NAME (empty, or known as the other kind), DEQ_ERR_SHAPE (known with another
 *         shape), DEQ_ERR_STATE (unknown, but the weights are allocated; the message has the nearest
 *         known name), DEQ_ERR_ARGUMENT (the law), DEQ_ERR_OVERFLOW, DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_weights_declare(deq_weights *w, const char *name, deq_shape shape,
                                       deq_init init, bool trained);

/**
 * End the declarations and allocate everything, filled with zeros.  A second call does nothing.
 *
 * @param w weights with at least one parameter.
 * @return DEQ_OK, DEQ_ERR_STATE (no parameter), DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_weights_allocate(deq_weights *w);

/**
 * Give every weight its initial value.
 *
 * @param w    allocated weights.
 * @param seed of the experiment.
 * @return DEQ_OK, DEQ_ERR_STATE, DEQ_ERR_NAME (a law names an unknown weight), DEQ_ERR_SHAPE (a law
 *         does not fit the shapes), DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_weights_initialise(deq_weights *w, uint64_t seed);

/**
 * The store of what is trained.
 *
 * @param w weights.
 * @return lives as long as w.
 */
DEQ_API deq_parameters *deq_weights_parameters(deq_weights *w);

/**
 * The store of what is not trained; its gradient vector is not used.  It may have no element.
 *
 * @param w weights.
 * @return lives as long as w.
 */
DEQ_API deq_parameters *deq_weights_buffers(deq_weights *w);

#ifdef __cplusplus
}
#endif
#endif
