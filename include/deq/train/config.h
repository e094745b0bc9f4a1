/* SPDX-License-Identifier: MIT */
/**
 * @file
 * The configuration of a run: data, model, solver, gradient, regulariser, optimiser, training,
 * evaluation.
 *
 * A configuration is a plain struct.  It is read from YAML and written as YAML through one table of
 * settings, which knows each key's type, range, meaning and place in the struct:
 *
 *     model:
 *       family: sequence
 *       width: 64
 *     training: { epochs: 10, batch: 100 }
 *
 * Keys that are not given keep the value that the struct had.  An unknown key, a value of another
 * type or out of its range is an error that names file, line, column, what was found, what was
 * expected, and the nearest known key.
 */
#ifndef DEQ_TRAIN_CONFIG_H
#define DEQ_TRAIN_CONFIG_H

#include <deq/data.h>
#include <deq/model.h>
#include <deq/optim.h>
#include <deq/write.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Bytes of a text in a configuration, its end included. */
#define DEQ_CONFIG_TEXT 1024
/** Most elements of a list in a configuration. */
#define DEQ_CONFIG_LIST 32

/** Where examples come from. */
typedef enum deq_source {
    DEQ_SOURCE_PREFIX_SUMS = 0, /**< "prefix-sums": generated */
    DEQ_SOURCE_MAZES,           /**< "mazes": generated */
    DEQ_SOURCE_MNIST,           /**< "mnist": the four IDX files in data.path, .gz or not */
    DEQ_SOURCE_CIFAR10,         /**< "cifar10": data_batch_*.bin and test_batch.bin in data.path */
    DEQ_SOURCE_CIFAR100,        /**< "cifar100": train.bin and test.bin in data.path */
    DEQ_SOURCE_FOLDER,          /**< "folder": data.path/CLASS/IMAGE, test images in data.test */
    DEQ_SOURCE_NPZ              /**< "npz": data.path, test examples in data.test */
} deq_source;

/** A list of integers. */
typedef struct deq_int_list {
    int64_t item[DEQ_CONFIG_LIST]; /**< elements */
    int count;                     /**< how many */
} deq_int_list;

/** A list of reals. */
typedef struct deq_real_list {
    double item[DEQ_CONFIG_LIST]; /**< elements */
    int count;                    /**< how many */
} deq_real_list;

/** The data of a run. */
typedef struct deq_data_config {
    deq_source source;          /**< where examples come from */
    char path[DEQ_CONFIG_TEXT]; /**< folder or file of the training data */
    char test[DEQ_CONFIG_TEXT]; /**< folder, npz: the test data */
    char inputs[64];            /**< npz: name of the array of inputs */
    char targets[64];           /**< npz: name of the array of targets */
    int64_t size;               /**< bits of prefix sums, s of mazes; 0: 32 and 9 */
    int64_t count;              /**< training examples; 0: all (generated: 10,000) */
    int64_t test_count;         /**< test examples; 0: all (generated: 2,000) */
    int64_t validation;         /**< so many examples are evaluated during training instead of the
                                     test set, and choose the best checkpoint: the last of the
                                     training examples, which are then not trained on; generated
                                     ones are drawn besides.  0: the test set is watched, and no
                                     checkpoint is called the best */
    int64_t seed;               /**< of generated examples */
    double percolation;         /**< mazes: chance that a remaining wall opens */
    deq_maze_start start;       /**< mazes: where they may start */
    int64_t channels;           /**< folder: 1 or 3 */
    int64_t height;             /**< folder: images are brought to this height ... */
    int64_t width;              /**< ... and this width */
    int64_t crop_pad;           /**< augmentation: pad by so much, crop anywhere; 0: not */
    bool flip;                  /**< augmentation: mirror half of the images */
    int64_t cutout;             /**< augmentation: side of the square that is cut out; 0: none */
    deq_real_list mean;         /**< of each channel, subtracted; empty: no normalisation */
    deq_real_list deviation;    /**< of each channel, divided by */
} deq_data_config;

/** How training goes. */
typedef struct deq_training_config {
    int64_t epochs;           /**< passes over the training set */
    int64_t steps;            /**< batches; if 0, as many as epochs has */
    int64_t batch;            /**< examples of a step */
    int64_t seed;             /**< of weights, order, masks */
    deq_dtype dtype;          /**< of weights and activations */
    double clip;              /**< limit of the gradient's norm; 0: none */
    double average;           /**< decay of the moving average of the weights; 0: none */
    double label_smoothing;   /**< of the cross entropy */
    int64_t pretrain_steps;   /**< first steps, taken with an unrolled network */
    int64_t pretrain_layers;  /**< its depth */
    deq_int_list depth;       /**< two numbers: evaluations allowed, drawn anew for each batch */
    int64_t log_every;        /**< steps between lines of metrics */
    int64_t checkpoint_every; /**< steps; 0: once an epoch */
    int64_t evaluate_every;   /**< steps; 0: once an epoch */
    int64_t patience;         /**< see train.h */
    int64_t loaders;          /**< threads that make batches */
    bool winograd;            /**< 3x3 convolutions by Winograd's algorithm where that is faster */
} deq_training_config;

/** How models are evaluated. */
typedef struct deq_evaluation_config {
    int64_t batch;        /**< examples at a time */
    int max_iter;         /**< evaluations of f; 0: as in training */
    double rtol;          /**< negative: as in training */
    double atol;          /**< negative: as in training */
    bool average;         /**< evaluate the moving average of the weights, if there is one */
    deq_int_list budgets; /**< values of max_iter for accuracy against budget */
    deq_int_list sizes;   /**< generated tasks: also instances of these sizes */
    int64_t count;        /**< examples of each of them */
    bool spectral_radius; /**< estimate the spectral radius of df/dz on one batch */
} deq_evaluation_config;

/** Settings of the Jacobian penalty. */
typedef struct deq_penalty_config {
    double weight;          /**< gamma; 0: none */
    double probability;     /**< of a penalty in a step */
    int probes;             /**< vectors of the estimate */
    deq_probe probe;        /**< their law */
    deq_jacobian_form form; /**< how it is differentiated */
    int64_t until;          /**< no penalty from this step on; 0: always */
    double increase;        /**< gamma grows by this ... */
    int64_t increase_every; /**< ... every so many steps; 0: never */
} deq_penalty_config;

/** A run's configuration.  Start from deq_config_defaults(). */
typedef struct deq_config {
    size_t struct_size;                  /**< sizeof(deq_config) */
    deq_data_config data;                /**< what is learnt from */
    deq_model_options model;             /**< what learns */
    deq_multiscale_preset preset;        /**< the multiscale options that model.* changes */
    deq_equilibrium_options equilibrium; /**< solver and gradient; but see the next four */
    int64_t history_bytes;               /**< forward.history_bytes */
    deq_int_list supervised;             /**< forward.state_index */
    deq_int_list tails;                  /**< deq_supervision.steps */
    deq_int_list locations;              /**< deq_supervision.locations */
    int gap;                             /**< deq_supervision.gap */
    deq_correction_options correction;   /**< weights of the losses of supervised states */
    deq_start start;                     /**< where a solve starts, if has_start */
    bool has_start;                      /**< otherwise where the model says */
    deq_penalty_config penalty;          /**< on the Jacobian */
    deq_optimiser_options optimiser;     /**< how weights move */
    bool decay_vectors;                  /**< weight decay for tensors of one axis or none too */
    deq_schedule schedule;               /**< of the learning rate; its milestones are the next */
    deq_int_list milestones;             /**< steps at which the rate falls */
    deq_training_config training;        /**< how training goes */
    deq_evaluation_config evaluation;    /**< how the model is evaluated */
} deq_config;

/**
 * The default configuration: a small prefix-sum model.
 *
 * @return a struct to change.
 */
DEQ_API deq_config deq_config_defaults(void);

/**
 * Read a YAML file into a configuration.
 *
 * @param config changed; on failure it is unspecified.
 * @param ctx    keeps the message.
 * @param path   a file.
 * @return DEQ_OK, DEQ_ERR_IO, DEQ_ERR_DATA (no YAML, or not of this form; the message names file,
 *         line and column), DEQ_ERR_NAME (unknown key), DEQ_ERR_ARGUMENT (value), DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_config_read(deq_config *config, deq_context *ctx, const char *path);

/**
 * Read YAML from memory.
 *
 * @param config changed; on failure it is unspecified.
 * @param ctx    keeps the message.
 * @param text   YAML, size bytes.
 * @param size   of text.
 * @param name   what messages call it.
 * @return as deq_config_read().
 */
DEQ_API deq_status deq_config_parse(deq_config *config, deq_context *ctx, const char *text,
                                    size_t size, const char *name);

/**
 * Change one setting.
 *
 * @param config     changed; unchanged on failure.
 * @param ctx        keeps the message.
 * @param assignment "training.batch=64"; lists as "[1, 2]".
 * @return DEQ_OK, DEQ_ERR_NAME, DEQ_ERR_ARGUMENT, DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_config_set(deq_config *config, deq_context *ctx, const char *assignment);

/**
 * What can only be seen of all settings together: mean without deviation, a path that is needed.
 *
 * @param config a configuration.
 * @param ctx    keeps the message.
 * @return DEQ_OK, DEQ_ERR_ARGUMENT.
 */
DEQ_API deq_status deq_config_check(const deq_config *config, deq_context *ctx);

/**
 * Write a configuration as YAML that reads back to the same bits, each setting with its meaning as a
 * comment.
 *
 * @param config   a configuration.
 * @param comments with comments.
 * @param write    receives the text.
 * @param user     passed to write.
 * @return DEQ_OK, DEQ_ERR_IO when write refused.
 */
DEQ_API deq_status deq_config_write(const deq_config *config, bool comments, deq_write_fn *write,
                                    void *user);

/** One line of the table of settings. */
typedef struct deq_setting_info {
    const char *key;  /**< "solver.max_iter" */
    const char *help; /**< one line */
    char type[224];   /**< "integer >= 1", "real in (0, 1]", "yes or no", "one of a, b", ... */
} deq_setting_info;

/**
 * The table of settings, for help and completion.
 *
 * @param index 0, 1, ...
 * @param info  receives the line; its strings are never freed.
 * @return false behind the last.
 */
DEQ_API bool deq_config_setting(int index, deq_setting_info *info);

/** The datasets of a configuration. */
typedef struct deq_datasets {
    deq_dataset *train;      /**< what is trained on */
    deq_dataset *validation; /**< what is kept back; NULL if nothing is */
    deq_dataset *test;       /**< the test examples */
    deq_dataset *owner[2];   /**< what they borrow from, or NULL */
} deq_datasets;

/**
 * Open the training, validation and test sets of a configuration.
 *
 * @param out    receives them; free with deq_datasets_free().
 * @param ctx    supplies memory.
 * @param config its data.*.
 * @return DEQ_OK or why a set could not be made; nothing is to be freed then.
 */
DEQ_API deq_status deq_config_datasets(deq_datasets *out, deq_context *ctx,
                                       const deq_config *config);

/**
 * Open the test set alone.
 *
 * @param out    receives it; the others are NULL.  Free with deq_datasets_free().
 * @param ctx    supplies memory.
 * @param config its data.*.
 * @return as deq_config_datasets().
 */
DEQ_API deq_status deq_config_test_set(deq_datasets *out, deq_context *ctx,
                                       const deq_config *config);

/**
 * Free datasets.
 *
 * @param d datasets; all become NULL.
 */
DEQ_API void deq_datasets_free(deq_datasets *d);

/**
 * Generated tasks: a test set of another size.
 *
 * @param out    receives it.
 * @param ctx    supplies memory.
 * @param config its data.*, with a generated source.
 * @param size   bits, or s.
 * @param count  examples.
 * @return DEQ_OK, DEQ_ERR_ARGUMENT, DEQ_ERR_UNSUPPORTED (not generated), DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_config_sized(deq_dataset **out, deq_context *ctx, const deq_config *config,
                                    int64_t size, int64_t count);

#ifdef __cplusplus
}
#endif
#endif
