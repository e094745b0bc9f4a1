/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Graphs of operators in static single assignment form, and their derivatives.
 *
 * A graph is built once by calling the functions of op.h, each of which adds nodes and returns a
 * value.  Shapes are static.  Derivatives are graph to graph: deq_vjp() and deq_jvp() add the nodes
 * that compute them, so a derivative can be differentiated again.
 *
 * Errors are sticky: a mistake marks the graph, later calls pass through and return an invalid
 * value, and deq_graph_status() or deq_compile() reports the *first* mistake with the operator, its
 * inputs' names and shapes.
 */
#ifndef DEQ_GRAPH_H
#define DEQ_GRAPH_H

#include <deq/context.h>
#include <deq/parameters.h>
#include <deq/type.h>

#ifdef __cplusplus
extern "C" {
#endif

/** See graph.h. */
typedef struct deq_graph deq_graph;

/** A value of a graph: an index that is meaningful to that graph alone. */
typedef struct deq_value {
    int32_t id; /**< > 0 a value, 0 DEQ_NONE, < 0 the result of a mistake */
} deq_value;

/** No value: an optional input that is absent, a cotangent that is zero. */
#define DEQ_NONE ((deq_value){ 0 })

/**
 * How often a value changes, in rising order.  What depends only on lower stages is computed when
 * those change and not again; see deq_program_run().
 */
typedef enum deq_stage {
    DEQ_STAGE_CONSTANT = 0, /**< never: folded when the graph is compiled */
    DEQ_STAGE_PARAMETER,    /**< once per training step: weights and what is derived from them */
    DEQ_STAGE_INJECTED,     /**< once per solve: the injected input x, random masks, labels */
    DEQ_STAGE_STATE         /**< every iteration: the state z */
} deq_stage;

/**
 * Make an empty graph.
 *
 * @param out  receives the graph; free with deq_graph_free().  NULL on failure.
 * @param ctx  supplies memory; must outlive the graph.
 * @return DEQ_OK, DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_graph_new(deq_graph **out, deq_context *ctx);

/**
 * Free a graph.  Programs compiled from it live on.
 *
 * @param g NULL is allowed.
 */
DEQ_API void deq_graph_free(deq_graph *g);

/**
 * The first mistake made while building; its message is also in deq_last_error().
 *
 * @param g a graph.
 * @return DEQ_OK while there is none.
 */
DEQ_API deq_status deq_graph_status(const deq_graph *g);

/**
 * The message of the first mistake.
 *
 * @param g a graph.
 * @return "" while there is none; valid as long as the graph.
 */
DEQ_API const char *deq_graph_error(const deq_graph *g);

/**
 * An input whose data is given before a run (deq_program_write(), deq_program_bind()).
 *
 * @param g     a graph.
 * @param name  unique among the inputs of the graph; copied.
 * @param stage DEQ_STAGE_PARAMETER, DEQ_STAGE_INJECTED or DEQ_STAGE_STATE.
 * @param dtype any dtype.
 * @param shape extents, each at least 1.
 * @return the value; invalid after DEQ_ERR_NAME, DEQ_ERR_SHAPE, DEQ_ERR_OVERFLOW, DEQ_ERR_DTYPE,
 *         DEQ_ERR_ARGUMENT or DEQ_ERR_NOMEM.
 */
DEQ_API deq_value deq_input(deq_graph *g, const char *name, deq_stage stage, deq_dtype dtype,
                            deq_shape shape);

/**
 * A named parameter of a store.  Asking twice for the same parameter gives the same value.
 *
 * @param g          a graph.
 * @param parameters the store; must outlive the graph and programs compiled from it.
 * @param name       a name known to the store.
 * @return the value, of stage DEQ_STAGE_PARAMETER; invalid after DEQ_ERR_NAME (the message names
 *         the nearest known name) or DEQ_ERR_NOMEM.
 */
DEQ_API deq_value deq_parameter(deq_graph *g, deq_parameters *parameters, const char *name);

/**
 * A constant with the given elements.
 *
 * @param g     a graph.
 * @param dtype any dtype.
 * @param shape extents.
 * @param data  row-major elements; copied.
 * @return the value.
 */
DEQ_API deq_value deq_constant(deq_graph *g, deq_dtype dtype, deq_shape shape, const void *data);

/**
 * A constant whose elements are all equal.  Takes no memory.
 *
 * @param g     a graph.
 * @param dtype any dtype; number is converted to it.
 * @param shape extents; DEQ_SCALAR for a scalar that broadcasts against anything.
 * @param number the element.
 * @return the value.
 */
DEQ_API deq_value deq_fill(deq_graph *g, deq_dtype dtype, deq_shape shape, double number);

/**
 * Give a value a name for messages and pictures.
 *
 * @param g    a graph.
 * @param v    a value; passes through if invalid.
 * @param name copied; need not be unique.
 * @return v.
 */
DEQ_API deq_value deq_name(deq_graph *g, deq_value v, const char *name);

/**
 * The type of a value.
 *
 * @param g a graph.
 * @param v a value.
 * @return valid as long as the graph; a zeroed type (dtype 0, rank 0) for an invalid value.
 */
DEQ_API deq_type deq_value_type(const deq_graph *g, deq_value v);

/**
 * Vector-Jacobian products: adds the nodes that compute, for y = F(x),
 *
 *     grads[j] = sum_i  cotangents[i] . d outputs[i] / d inputs[j]
 *
 * @param g          a graph.
 * @param grads      receives n_inputs values, each of the type of its input; zeros where no output
 *                   depends on it.
 * @param outputs    n_outputs values of a floating dtype.
 * @param cotangents n_outputs values of the outputs' types; DEQ_NONE for zero.  NULL only for
 *                   outputs that are scalars: each then has cotangent 1.
 * @param n_outputs  at least 1.
 * @param inputs     n_inputs values of a floating dtype: inputs, parameters or any others.
 * @param n_inputs   at least 1.
 * @return DEQ_OK, or the status of the graph.
 */
DEQ_API deq_status deq_vjp(deq_graph *g, deq_value *grads, const deq_value *outputs,
                           const deq_value *cotangents, int n_outputs, const deq_value *inputs,
                           int n_inputs);

/**
 * Jacobian-vector products: adds the nodes that compute, for y = F(x),
 *
 *     out_tangents[i] = sum_j  d outputs[i] / d inputs[j] . tangents[j]
 *
 * @param g            a graph.
 * @param out_tangents receives n_outputs values, each of the type of its output.
 * @param outputs      n_outputs values of a floating dtype.
 * @param n_outputs    at least 1.
 * @param inputs       n_inputs values of a floating dtype.
 * @param tangents     n_inputs values of the inputs' types; DEQ_NONE for zero.
 * @param n_inputs     at least 1.
 * @return DEQ_OK, or the status of the graph.
 */
DEQ_API deq_status deq_jvp(deq_graph *g, deq_value *out_tangents, const deq_value *outputs,
                           int n_outputs, const deq_value *inputs, const deq_value *tangents,
                           int n_inputs);

/**
 * The gradient of a scalar with respect to every parameter of a store: deq_vjp() with cotangent 1.
 *
 * @param g          a graph.
 * @param grads      receives deq_parameters_count(parameters) values.
 * @param loss       a scalar of a floating dtype.
 * @param parameters the store; parameters that the graph does not use get zeros.
 * @return DEQ_OK, or the status of the graph.
 */
DEQ_API deq_status deq_gradients(deq_graph *g, deq_value *grads, deq_value loss,
                                 deq_parameters *parameters);

#ifdef __cplusplus
}
#endif
#endif
