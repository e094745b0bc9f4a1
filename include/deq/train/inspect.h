/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Models looked at: what they are made of, and what it takes to compute with them.
 *
 * An inspection knows the names and shapes of a model's weights without their numbers, so it is quick
 * and small however large the model is:
 *
 *     deq_inspect_config(&i, ctx, &config);
 *     deq_parameters *p = deq_weights_parameters(deq_inspection_weights(i));
 *     for (int k = 0; k < deq_parameters_count(p); k++) ... deq_parameters_info(p, k) ...
 *
 * A workload is a piece of work with the model, compiled as training and evaluation compile it, with
 * numbers to work on: to be described (deq_program_describe()), or run and timed.
 */
#ifndef DEQ_TRAIN_INSPECT_H
#define DEQ_TRAIN_INSPECT_H

#include <deq/program.h>
#include <deq/train/predict.h>

#ifdef __cplusplus
extern "C" {
#endif

/** See inspect.h. */
typedef struct deq_inspection deq_inspection;

/**
 * Look at the model of a configuration.
 *
 * @param out    receives it; free with deq_inspection_free().  NULL on failure.
 * @param ctx    supplies memory; must outlive it.
 * @param config which model, for which data.  The data are opened only if their form cannot be told
 *               from the configuration: always for npz; for folders, if model.classes is 0.
 * @return DEQ_OK; why the data could not be opened or the model not be built; DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_inspect_config(deq_inspection **out, deq_context *ctx,
                                      const deq_config *config);

/**
 * Look at a trained model, with its weights.
 *
 * @param out    receives it; free with deq_inspection_free().  NULL on failure.
 * @param ctx    supplies memory; must outlive it.
 * @param path   the folder of a run, or a checkpoint of a run.
 * @param which  for a folder.
 * @return as deq_trained_open().
 */
DEQ_API deq_status deq_inspect_trained(deq_inspection **out, deq_context *ctx, const char *path,
                                       deq_which which);

/**
 * Free an inspection.  Its workloads must have been freed before.
 *
 * @param i NULL is allowed.
 */
DEQ_API void deq_inspection_free(deq_inspection *i);

/** Its configuration, classes filled in. @param i an inspection. @return may be changed, before
 *  workloads are made, in what does not change the weights. */
DEQ_API deq_config *deq_inspection_config(deq_inspection *i);

/** The form of its examples. @param i an inspection. @return extents and classes. */
DEQ_API deq_example_form deq_inspection_form(const deq_inspection *i);

/** Its weights: declared; allocated if it was trained, or has a workload. @param i an inspection.
 *  @return live as long as it does. */
DEQ_API deq_weights *deq_inspection_weights(deq_inspection *i);

/**
 * The states of its equilibrium.
 *
 * @param i     an inspection.
 * @param shape receives the extents of one sample's, DEQ_MAX_STATES at most; NULL if not wanted.
 * @return how many there are.
 */
DEQ_API int deq_inspection_states(const deq_inspection *i, deq_shape *shape);

/** How far training came. */
typedef struct deq_training_state {
    int64_t step;     /**< steps taken; -1: it is no trained model */
    double best;      /**< best accuracy on data.validation; negative: none */
    double seconds;   /**< of training */
    const char *path; /**< the file of weights; lives as long as the inspection; NULL: none */
} deq_training_state;

/** How far training came. @param i an inspection. @return counters. */
DEQ_API deq_training_state deq_inspection_training(const deq_inspection *i);

/** Pieces of work. */
typedef enum deq_work {
    DEQ_WORK_MAP = 0,  /**< one evaluation of f at a random state */
    DEQ_WORK_SOLVE,    /**< from inputs to logits, the solver as evaluation.* says */
    DEQ_WORK_STEP,     /**< a step of training: solve, gradient, clipping, update; the rate is 0, so
                            that each step has the same work */
    DEQ_WORK_PENALTY,  /**< such a step with the Jacobian penalty */
    DEQ_WORK_PRETRAIN, /**< such a step of the unrolled network */
    DEQ_WORK_COUNT     /**< number of them; not one itself */
} deq_work;

/** See inspect.h. */
typedef struct deq_workload deq_workload;

/**
 * Compile a piece of work.  Weights that are only declared are allocated, and begin as training.seed
 * says.  Inputs are random numbers, N(0, 1), and random classes, until deq_workload_write().
 *
 * @param out   receives it; free with deq_workload_free().  NULL on failure.
 * @param i     an inspection; must outlive it.
 * @param work  which.
 * @param batch examples, >= 1; 0: evaluation.batch or training.batch.
 * @return DEQ_OK; why the model cannot be compiled; DEQ_ERR_ARGUMENT; DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_workload_new(deq_workload **out, deq_inspection *i, deq_work work,
                                    int64_t batch);

/**
 * Free a workload.
 *
 * @param w NULL is allowed.
 */
DEQ_API void deq_workload_free(deq_workload *w);

/** The batch. @param w a workload. @return examples. */
DEQ_API int64_t deq_workload_batch(const deq_workload *w);

/** The program behind it. @param w a workload. @return lives as long as it does. */
DEQ_API const deq_program *deq_workload_program(const deq_workload *w);

/**
 * Write a batch of examples.
 *
 * @param w      a workload.
 * @param input  [batch, ...] not normalised: data.mean and data.deviation are applied here.
 * @param target [batch, ...]; NULL for work without targets (map, solve).
 * @return DEQ_OK, or what deq_program_write() returned.
 */
DEQ_API deq_status deq_workload_write(deq_workload *w, const float *input, const int32_t *target);

/**
 * Do the work once.  The first time does more: what depends on weights and inputs alone.
 *
 * @param w a workload.
 * @return DEQ_OK or what the program returned; deq_last_error() of the context explains.
 */
DEQ_API deq_status deq_workload_run(deq_workload *w);

/** What the last run of a workload took. */
typedef struct deq_workload_cost {
    double n_feval;      /**< mean evaluations of f a sample; 1 for the map */
    int64_t n_feval_max; /**< of the sample that took most: evaluations of the whole batch */
    double n_apply; /**< mean products with df/dz a sample of the backward solve, if there was */
    int64_t n_apply_max; /**< of the sample that took most */
} deq_workload_cost;

/**
 * What the last run took.
 *
 * @param cost receives it.
 * @param w    a workload that was run.
 * @return DEQ_OK, DEQ_ERR_STATE (not run), DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_workload_last(deq_workload_cost *cost, deq_workload *w);

#ifdef __cplusplus
}
#endif
#endif
