/* SPDX-License-Identifier: MIT */
/**
 * @file
 * The cell of a graph as a map of vectors: f, J v and v J for solvers (solver.h), spectral radii and
 * contraction estimates (spectral.h), outside of any equilibrium node.
 *
 *     deq_cell_map_new(&m, g, cell, user, &z_star, 1, NULL);
 *     deq_program_write(deq_cell_map_program(m), x, data, bytes);   (the model's inputs)
 *     deq_cell_map_update(m);                                       (z* and what the cell captures)
 *     deq_map f = deq_cell_map_get(m);
 *     deq_spectral_arnoldi(info, ctx, &f, NULL, deq_cell_map_dtype(m), ..., NULL);
 */
#ifndef DEQ_CELL_MAP_H
#define DEQ_CELL_MAP_H

#include <deq/equilibrium.h>
#include <deq/program.h>

#ifdef __cplusplus
extern "C" {
#endif

/** See cell_map.h. */
typedef struct deq_cell_map deq_cell_map;

/**
 * Compile a cell for use as a map.
 *
 * @param out      receives the map; free with deq_cell_map_free().  NULL on failure.
 * @param g        the graph; the cell is called on it once.
 * @param cell     builds f, as for deq_equilibrium_many().
 * @param user     passed to cell.
 * @param z        n_states values of g: where J is taken, an equilibrium usually.
 * @param n_states 1 to DEQ_MAX_STATES.
 * @param options  of all programs; NULL for the defaults.
 * @return DEQ_OK, the first mistake of the graph, DEQ_ERR_ARGUMENT, DEQ_ERR_NOMEM, DEQ_ERR_BACKEND;
 *         deq_last_error() of the graph's context explains.
 */
DEQ_API deq_status deq_cell_map_new(deq_cell_map **out, deq_graph *g, deq_cell_fn *cell, void *user,
                                    const deq_value *z, int n_states,
                                    const deq_compile_options *options);

/**
 * Free a map.
 *
 * @param m NULL is allowed.
 */
DEQ_API void deq_cell_map_free(deq_cell_map *m);

/**
 * The program that computes z and what the cell captures: write the inputs of the graph to it.
 *
 * @param m a map.
 * @return owned by m.
 */
DEQ_API deq_program *deq_cell_map_program(deq_cell_map *m);

/**
 * Compute z and the captured values from the inputs and parameters as they are now; J is taken at z.
 *
 * @param m a map.
 * @return DEQ_OK or what deq_program_run() returned; deq_last_error() explains.
 */
DEQ_API deq_status deq_cell_map_update(deq_cell_map *m);

/**
 * The map of rows [batch, dim]: each sample's states behind each other.  It evaluates whole batches
 * only.  linearise() moves the point where J is taken; deq_cell_map_update() moves it back.
 *
 * @param m a map, updated.
 * @return callbacks that are valid as long as m.
 */
DEQ_API deq_map deq_cell_map_get(deq_cell_map *m);

/**
 * z as rows.
 *
 * @param m a map, updated.
 * @return [batch, dim], until the next update.
 */
DEQ_API const void *deq_cell_map_state(const deq_cell_map *m);

/**
 * The dtype of the states.
 *
 * @param m a map.
 * @return DEQ_F32 or DEQ_F64.
 */
DEQ_API deq_dtype deq_cell_map_dtype(const deq_cell_map *m);

/**
 * Samples of the batch.
 *
 * @param m a map.
 * @return at least 1.
 */
DEQ_API int64_t deq_cell_map_batch(const deq_cell_map *m);

/**
 * Elements of a sample in all states together.
 *
 * @param m a map.
 * @return at least 1.
 */
DEQ_API int64_t deq_cell_map_dim(const deq_cell_map *m);

#ifdef __cplusplus
}
#endif
#endif
