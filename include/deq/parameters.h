/* SPDX-License-Identifier: MIT */
/**
 * @file
 * The parameter store: named tensors in one flat vector of values and one of gradients, so that
 * optimisers, checkpoints and all-reduce see a single array each.
 *
 * Every parameter starts at a multiple of 64 bytes; the gap before the next one holds zeros in both
 * vectors and stays zero under any element-wise optimiser.
 */
#ifndef DEQ_PARAMETERS_H
#define DEQ_PARAMETERS_H

#include <deq/context.h>
#include <deq/type.h>

#ifdef __cplusplus
extern "C" {
#endif

/** See parameters.h. */
typedef struct deq_parameters deq_parameters;

/** Where one parameter lives. */
typedef struct deq_parameter_info {
    const char *name; /**< valid as long as the store */
    deq_shape shape;  /**< extents */
    int64_t offset;   /**< first element in the flat vectors */
    int64_t count;    /**< number of elements */
} deq_parameter_info;

/**
 * Make an empty store.
 *
 * @param out   receives the store; free with deq_parameters_free().  NULL on failure.
 * @param ctx   supplies memory; must outlive the store.
 * @param dtype DEQ_F32 or DEQ_F64, for all parameters.
 * @return DEQ_OK, DEQ_ERR_DTYPE, DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_parameters_new(deq_parameters **out, deq_context *ctx, deq_dtype dtype);

/**
 * Free a store.  Programs that use it must not run afterwards.
 *
 * @param p NULL is allowed.
 */
DEQ_API void deq_parameters_free(deq_parameters *p);

/**
 * Declare a parameter.  Allowed until deq_parameters_allocate().
 *
 * @param p     a store.
 * @param name  unique in the store; copied.
 * @param shape extents, each at least 1.
 * @return DEQ_OK, DEQ_ERR_NAME (duplicate or empty), DEQ_ERR_SHAPE, DEQ_ERR_OVERFLOW,
 *         DEQ_ERR_STATE (already allocated), DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_parameters_add(deq_parameters *p, const char *name, deq_shape shape);

/**
 * Allocate both flat vectors, filled with zeros.  From here on the store's memory never moves.
 * A second call does nothing.
 *
 * @param p a store with at least one parameter.
 * @return DEQ_OK, DEQ_ERR_STATE (no parameter), DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_parameters_allocate(deq_parameters *p);

/**
 * Number of parameters (tensors).
 *
 * @param p a store.
 * @return how many were added.
 */
DEQ_API int deq_parameters_count(const deq_parameters *p);

/**
 * Length of the flat vectors in elements, gaps included.
 *
 * @param p a store.
 * @return elements.
 */
DEQ_API int64_t deq_parameters_length(const deq_parameters *p);

/**
 * Number of trainable elements, gaps excluded: the "parameter count" of a model.
 *
 * @param p a store.
 * @return elements.
 */
DEQ_API int64_t deq_parameters_elements(const deq_parameters *p);

/**
 * The dtype of all parameters.
 *
 * @param p a store.
 * @return DEQ_F32 or DEQ_F64.
 */
DEQ_API deq_dtype deq_parameters_dtype(const deq_parameters *p);

/**
 * Where a parameter lives.
 *
 * @param p     a store.
 * @param index 0 to deq_parameters_count(p) - 1; others give a zeroed struct.
 * @return name, shape, offset and count.
 */
DEQ_API deq_parameter_info deq_parameters_info(const deq_parameters *p, int index);

/**
 * Find a parameter by name.
 *
 * @param p    a store.
 * @param name a name.
 * @return its index, or -1.
 */
DEQ_API int deq_parameters_find(const deq_parameters *p, const char *name);

/**
 * The flat vector of values, or one parameter's part of it.
 *
 * @param p     an allocated store.
 * @param index a parameter, or -1 for the start of the vector.
 * @return memory owned by the store, 64-byte aligned; NULL before deq_parameters_allocate() or for
 *         an unknown index.
 */
DEQ_API void *deq_parameters_values(deq_parameters *p, int index);

/**
 * The flat vector of gradients, or one parameter's part of it.
 *
 * @param p     an allocated store.
 * @param index a parameter, or -1 for the start of the vector.
 * @return as deq_parameters_values().
 */
DEQ_API void *deq_parameters_gradients(deq_parameters *p, int index);

#ifdef __cplusplus
}
#endif
#endif
