/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Trained models: read, evaluated, used.
 */
#ifndef DEQ_TRAIN_PREDICT_H
#define DEQ_TRAIN_PREDICT_H

#include <deq/program.h>
#include <deq/train/config.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A model with its weights and the configuration it was made by. */
typedef struct deq_trained deq_trained;

/** Which weights of a run. */
typedef enum deq_which {
    DEQ_WHICH_BEST = 0, /**< of the best evaluation on data.validation; the last if there is none */
    DEQ_WHICH_LAST      /**< of the last checkpoint */
} deq_which;

/**
 * Read a trained model.
 *
 * @param out    receives it; free with deq_trained_free().  NULL on failure.
 * @param ctx    supplies memory; must outlive it.
 * @param path   the folder of a run; a checkpoint of a run; or a file of weights of any kind that
 *               deq_archive_read() knows, for which `config` says what model it is for.
 * @param which  for a folder.
 * @param config NULL: that of the run.  Otherwise it replaces the run's, except model.*, which the
 *               weights decide, if they come from a run.
 * @return DEQ_OK; DEQ_ERR_IO; DEQ_ERR_DATA (broken file); DEQ_ERR_ARGUMENT (no configuration);
 *         DEQ_ERR_NAME, DEQ_ERR_SHAPE (weights of another model); DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_trained_open(deq_trained **out, deq_context *ctx, const char *path,
                                    deq_which which, const deq_config *config);

/**
 * Free a model.  Predictors made from it must have been freed before.
 *
 * @param t NULL is allowed.
 */
DEQ_API void deq_trained_free(deq_trained *t);

/** Its configuration, classes filled in. @param t a model. @return may be changed by the caller. */
DEQ_API deq_config *deq_trained_config(deq_trained *t);

/** Its weights. @param t a model. @return live as long as it does. */
DEQ_API deq_weights *deq_trained_weights(deq_trained *t);

/** Steps of training behind it, -1 if unknown. @param t a model. @return steps. */
DEQ_API int64_t deq_trained_steps(const deq_trained *t);

/** The file that its weights were read from. @param t a model. @return lives as long as it does. */
DEQ_API const char *deq_trained_path(const deq_trained *t);

/**
 * The name of a class, as the training data had it; its number if they had none.
 *
 * @param t      a model.
 * @param class_ 0, 1, ...
 * @param buffer receives the name, cut if too long.
 * @param size   of buffer.
 */
DEQ_API void deq_trained_class_name(const deq_trained *t, int64_t class_, char *buffer,
                                    size_t size);

/** A program that applies a model to batches of one form. */
typedef struct deq_predictor deq_predictor;

/** How a model is applied.  Start from deq_predictor_defaults(). */
typedef struct deq_predictor_options {
    size_t struct_size; /**< sizeof(deq_predictor_options) */
    int64_t batch;      /**< examples at a time; 0 (default): evaluation.batch */
    int max_iter;       /**< evaluations of f; 0 (default): evaluation.max_iter */
    double rtol;        /**< negative (default): evaluation.rtol */
    double atol;        /**< negative (default): evaluation.atol */
    uint64_t seed;      /**< of random start states; default 0 */
} deq_predictor_options;

/** What was found for a batch; the arrays are the predictor's until it runs again. */
typedef struct deq_prediction {
    const double *logits;   /**< [batch, K, ...] */
    const int32_t *label;   /**< [batch, ...] the class of the largest logit */
    const double *residual; /**< [batch] |f(z) - z| */
    const int32_t *outcome; /**< [batch] deq_outcome */
    const int32_t *n_feval; /**< [batch] evaluations of f */
} deq_prediction;

/** The default settings. @return a struct to change. */
DEQ_API deq_predictor_options deq_predictor_defaults(void);

/**
 * Compile a model for inputs of one form.
 *
 * @param out     receives it; free with deq_predictor_free().  NULL on failure.
 * @param t       a model; must outlive it.
 * @param input   extents of one input, as deq_example_form.input.
 * @param options NULL for the defaults.
 * @return DEQ_OK or why the model cannot take such inputs.
 */
DEQ_API deq_status deq_predictor_new(deq_predictor **out, deq_trained *t, deq_shape input,
                                     const deq_predictor_options *options);

/**
 * Free a predictor.
 *
 * @param p NULL is allowed.
 */
DEQ_API void deq_predictor_free(deq_predictor *p);

/** The batch that it takes. @param p a predictor. @return examples. */
DEQ_API int64_t deq_predictor_batch(const deq_predictor *p);

/**
 * The program behind it, for deq_program_describe() and deq_program_stats().
 *
 * @param p a predictor.
 * @return lives as long as it does.
 */
DEQ_API const deq_program *deq_predictor_program(const deq_predictor *p);

/**
 * Apply the model to a batch.
 *
 * @param p     a predictor.
 * @param found receives what was found.
 * @param input [batch, ...] not normalised: data.mean and data.deviation are applied here.
 * @return DEQ_OK or the status of the run.
 */
DEQ_API deq_status deq_predictor_run(deq_predictor *p, deq_prediction *found, const float *input);

/** How well a model does on a dataset. */
typedef struct deq_evaluation {
    int64_t n_examples;        /**< evaluated */
    int64_t n_right;           /**< of them, those right in every position */
    int64_t n_positions;       /**< positions that count */
    int64_t n_positions_right; /**< of them, right ones */
    double loss;               /**< mean cross entropy of a position */
    double n_feval;            /**< mean evaluations of f an example */
    double residual;           /**< largest |f(z) - z| of an example; infinite if one has none */
    double mean_residual;      /**< over examples with a finite one */
    int64_t n_outcome[DEQ_OUTCOME_COUNT]; /**< examples by outcome */
    double spectral_radius; /**< largest of df/dz over the first batch, by Arnoldi's method; NaN
                                 unless evaluation.spectral_radius is set */
    double seconds;         /**< that it took */
} deq_evaluation;

/** Called now and then; returns false to stop. */
typedef bool deq_evaluation_progress_fn(void *user, int64_t done, int64_t total);

/**
 * Evaluate a model on a dataset.
 *
 * @param result   receives the numbers.
 * @param t        a model.
 * @param d        a dataset.
 * @param options  how the model is applied; NULL for the defaults.
 * @param progress NULL if not wanted.
 * @param user     passed to progress.
 * @return DEQ_OK, also when progress stopped it: n_examples tells.  Otherwise what failed.
 */
DEQ_API deq_status deq_evaluate(deq_evaluation *result, deq_trained *t, const deq_dataset *d,
                                const deq_predictor_options *options,
                                deq_evaluation_progress_fn *progress, void *user);

#ifdef __cplusplus
}
#endif
#endif
