/* SPDX-License-Identifier: MIT */
/**
 * @file
 * How a model finds, differentiates and regularises its equilibrium, and what a model gives.
 */
#ifndef DEQ_MODEL_SOLVE_H
#define DEQ_MODEL_SOLVE_H

#include <deq/cell_map.h>
#include <deq/equilibrium.h>
#include <deq/nn.h>
#include <deq/regularise.h>
#include <deq/supervision.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Most states (and logits) that one supervised solve may give. */
#define DEQ_MAX_SUPERVISED 32

/** Where a solve starts. */
typedef enum deq_start {
    DEQ_START_ZERO = 0, /**< z_0 = 0 */
    DEQ_START_NORMAL,   /**< z_0 ~ N(0, I) */
    DEQ_START_UNIFORM,  /**< z_0 ~ U(-1, 1) */
    DEQ_START_MIXED,    /**< the first half of the batch (the larger one) from 0, the other from
                          N(0, I): "mixed initialisation" of Anil et al., "Path independent equilibrium models can
                          better exploit test-time computation", NeurIPS 2022 */
    DEQ_START_MIXED_ELEMENTS, /**< each element from 0 or N(0, 1) with chance 1/2 (TorchDEQ's) */
    DEQ_START_PROJECTION,     /**< a projection of the input; families that have one */
    DEQ_START_GIVEN           /**< deq_model_solve.z0 */
} deq_start;

/** See the head of this file.  Start from deq_model_solve_defaults(). */
typedef struct deq_model_solve {
    size_t struct_size;                  /**< sizeof(deq_model_solve) */
    deq_equilibrium_options equilibrium; /**< forward and backward */
    deq_supervision supervision; /**< with several saved states or tail values: one logits each */
    deq_start start;             /**< default DEQ_START_ZERO; random starts only differ by key */
    bool has_start;              /**< false (default): the family's usual start; true: `start` */
    const deq_value *z0;         /**< DEQ_START_GIVEN: one value a state */
    /** NULL (default): none.  Its probability is taken as 1: the caller chooses between programs
     *  with and without it (deq_jacobian_applies()).  Stream 0 means one by name. */
    const deq_jacobian_options *penalty;
    /** NULL (default): none.  Else receives the cell at z* as a map of vectors, compiled with the
     *  defaults: for spectral radii, contraction estimates, other solvers.  Free with
     *  deq_cell_map_free().  NULL on failure. */
    deq_cell_map **map;
} deq_model_solve;

/** What a model gives. */
typedef struct deq_model_outputs {
    deq_value logits[DEQ_MAX_SUPERVISED]; /**< [B, K, ...]; the last is that of z* */
    int n_logits;                         /**< >= 1 */
    deq_value z_star[DEQ_MAX_STATES];     /**< the states behind the last logits */
    int n_states;                         /**< >= 1 */
    deq_value penalty;                    /**< scalar; DEQ_NONE without deq_model_solve.penalty */
    deq_equilibrium_report report;        /**< of the solve */
} deq_model_outputs;

/**
 * The default settings: those of deq_equilibrium_defaults().
 *
 * @return a struct to change.
 */
DEQ_API deq_model_solve deq_model_solve_defaults(void);

#ifdef __cplusplus
}
#endif
#endif
