/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Training runs that one can leave alone.
 *
 * A run lives in a folder:
 *
 *     config.yaml              the effective configuration
 *     metrics.jsonl            a line of JSON every few steps and for every evaluation
 *     events.out.tfevents.deq  the same for TensorBoard
 *     checkpoints/last.safetensors, best.safetensors
 *     report.html              curves, accuracy against solver budget; written at the end
 *
 * A checkpoint holds weights, optimiser, moving average, counters and the position in the data, and
 * the lengths of the files of metrics.  Everything random is a function of seed and step, so a run
 * that was killed at any moment and resumed ends with the same bits as one that was not.
 *
 * "best" are the weights of the best evaluation on the examples of data.validation.  Without them the
 * test set is evaluated while training, and there is no best checkpoint: one that was chosen on the
 * test set would make the accuracy reported on that set too good.
 *
 * A step is in trouble when the loss is not finite, or more than half of the samples diverged.
 * The update of a step whose gradient is not finite is left out.  training.patience such steps in a
 * row end the run with advice; its last good checkpoint stays.
 */
#ifndef DEQ_TRAIN_RUN_H
#define DEQ_TRAIN_RUN_H

#include <deq/train/config.h>
#include <deq/train/predict.h>

#ifdef __cplusplus
extern "C" {
#endif

/** See run.h. */
typedef struct deq_run deq_run;

/** How training ended. */
typedef enum deq_run_end {
    DEQ_RUN_DONE = 0, /**< all steps taken */
    DEQ_RUN_STOPPED,  /**< the callback asked for it; saved */
    DEQ_RUN_TROUBLE   /**< ended with advice: deq_run_advice() */
} deq_run_end;

/** What a callback is told, after each step. */
typedef struct deq_run_progress {
    int64_t step;               /**< steps taken */
    int64_t steps;              /**< of so many */
    int64_t epoch;              /**< 0, 1, ... */
    int64_t epochs;             /**< of so many */
    double loss;                /**< of the step, without the penalty */
    double accuracy;            /**< of the step's batch: examples right in every position */
    double penalty;             /**< the Jacobian penalty, if the step had one; otherwise 0 */
    double n_feval;             /**< mean evaluations of f an example; layers while pretraining */
    double residual;            /**< mean of |f(z) - z| over examples where it is finite */
    double gradient_norm;       /**< before clipping */
    double rate;                /**< learning rate */
    double examples_per_second; /**< of late */
    double seconds_left;        /**< estimate; negative while unknown */
    bool pretraining;           /**< whether the step was an unrolled one */
    const deq_evaluation *evaluation; /**< NULL unless the model was just evaluated */
    bool validation;    /**< whether that was on data.validation; otherwise on the test set */
    int64_t tested;     /**< after the last step: examples of the present test that are done */
    int64_t test_total; /**< of so many; 0 while training */
} deq_run_progress;

/** Returns false to stop after saving.  During the tests at the end it is called again, with test_total > 0
 *  and the numbers of the last step. */
typedef bool deq_run_progress_fn(void *user, const deq_run_progress *progress);

/**
 * Begin a run.
 *
 * @param out    receives it; free with deq_run_free().  NULL on failure.
 * @param ctx    supplies memory; must outlive it.
 * @param config the configuration.
 * @param folder made if it is not there; it must not hold a run.
 * @return DEQ_OK; DEQ_ERR_STATE (the folder holds a run); DEQ_ERR_IO; what the data or the model
 *         object to; DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_run_new(deq_run **out, deq_context *ctx, const deq_config *config,
                               const char *folder);

/**
 * Go on with a run from its last checkpoint (from the beginning, if it was killed before the first).
 *
 * @param out    receives it.  NULL on failure.
 * @param ctx    supplies memory.
 * @param folder of the run.
 * @param set    n_set assignments for deq_config_set(), such as "training.epochs=20"; what changes
 *               the model or the data is refused.
 * @param n_set  length of set.
 * @return as deq_run_new(); DEQ_ERR_DATA (broken checkpoint); DEQ_ERR_NAME, DEQ_ERR_SHAPE (a
 *         checkpoint of another model).
 */
DEQ_API deq_status deq_run_resume(deq_run **out, deq_context *ctx, const char *folder,
                                  const char *const *set, int n_set);

/**
 * Free a run.  Nothing is saved.
 *
 * @param run NULL is allowed.
 */
DEQ_API void deq_run_free(deq_run *run);

/** The effective configuration. @param run a run. @return lives as long as the run. */
DEQ_API const deq_config *deq_run_config(const deq_run *run);

/** Steps taken so far. @param run a run. @return steps. */
DEQ_API int64_t deq_run_step(const deq_run *run);

/** Steps that it will have taken. @param run a run. @return steps. */
DEQ_API int64_t deq_run_steps(const deq_run *run);

/** The weights. @param run a run. @return live as long as the run. */
DEQ_API deq_weights *deq_run_weights(deq_run *run);

/**
 * Train to the end, evaluate, write the report.
 *
 * @param end      receives how it ended.
 * @param run      a run.
 * @param progress NULL if not wanted.
 * @param user     passed to progress.
 * @return DEQ_OK, also for DEQ_RUN_STOPPED and DEQ_RUN_TROUBLE; otherwise what failed, with the last
 *         checkpoint intact.
 */
DEQ_API deq_status deq_run_train(deq_run_end *end, deq_run *run, deq_run_progress_fn *progress,
                                 void *user);

/** What to do about the trouble. @param run a run. @return "" if there is none. */
DEQ_API const char *deq_run_advice(const deq_run *run);

/** One row of accuracy against budget. */
typedef struct deq_budget_row {
    int64_t size;          /**< of generated examples; 0: the test set */
    int max_iter;          /**< evaluations allowed */
    deq_evaluation result; /**< what came out */
} deq_budget_row;

/**
 * The test results at the end of training: the test set and evaluation.sizes, each with
 * evaluation.max_iter and every one of evaluation.budgets.
 *
 * @param run   a run that is done.
 * @param count receives the number of rows.
 * @return rows; live as long as the run.
 */
DEQ_API const deq_budget_row *deq_run_results(const deq_run *run, int *count);

/**
 * Write (again) the report of a run from its metrics.
 *
 * @param ctx    supplies memory.
 * @param folder of a run.
 * @return DEQ_OK, DEQ_ERR_IO, DEQ_ERR_DATA, DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_run_write_report(deq_context *ctx, const char *folder);

#ifdef __cplusplus
}
#endif
#endif
