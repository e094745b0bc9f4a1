/* SPDX-License-Identifier: MIT */
/**
 * @file
 * The model families: networks around an equilibrium, from an input to logits.
 *
 *     mlp         fully connected:  z = act(W z + U x + b)
 *     monotone    monotone operator equilibria, fully connected or convolutional
 *     multiscale  multiscale equilibria of images (MDEQ)
 *     sequence    recurrent-convolutional cell on sequences (prefix sums)
 *     maze        recurrent-convolutional cell on images (mazes)
 *
 * A model is a function that builds a network (nn.h) over weights; how its equilibrium is solved and
 * differentiated is the caller's choice, the same for all families.
 */
#ifndef DEQ_MODEL_H
#define DEQ_MODEL_H

#include <deq/equilibrium.h>
#include <deq/io/archive.h>
#include <deq/model/mlp.h>
#include <deq/model/monotone.h>
#include <deq/model/multiscale.h>
#include <deq/model/recurrent.h>
#include <deq/model/solve.h>
#include <deq/nn.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The families. */
typedef enum deq_model_family {
    DEQ_MODEL_MLP = 0,    /**< "mlp", model/mlp.h */
    DEQ_MODEL_MONOTONE,   /**< "monotone", model/monotone.h */
    DEQ_MODEL_MULTISCALE, /**< "multiscale", model/multiscale.h */
    DEQ_MODEL_SEQUENCE,   /**< "sequence", model/recurrent.h in one dimension */
    DEQ_MODEL_MAZE,       /**< "maze", model/recurrent.h in two dimensions */
    DEQ_MODEL_COUNT       /**< number of families; not one itself */
} deq_model_family;

/** Which model.  Start from deq_model_defaults(). */
typedef struct deq_model_options {
    size_t struct_size;                /**< sizeof(deq_model_options) */
    deq_model_family family;           /**< which of the following counts */
    int64_t classes;                   /**< K >= 1: extent 1 of the logits */
    deq_mlp_options mlp;               /**< for DEQ_MODEL_MLP */
    deq_monotone_options monotone;     /**< for DEQ_MODEL_MONOTONE */
    deq_multiscale_options multiscale; /**< for DEQ_MODEL_MULTISCALE */
    deq_recurrent_options recurrent;   /**< for DEQ_MODEL_SEQUENCE and DEQ_MODEL_MAZE */
} deq_model_options;

/**
 * The default settings of a family.
 *
 * @param family which.
 * @return a struct to change; 10 classes (sequence, maze: 2).
 */
DEQ_API deq_model_options deq_model_defaults(deq_model_family family);

/**
 * The name of a family.
 *
 * @param family any value; unknown ones give "unknown".
 * @return a string that is never freed.
 */
DEQ_API const char *deq_model_name(deq_model_family family);

/**
 * Build a model.
 *
 * @param nn      where; declares weights that are not allocated yet.
 * @param out     receives what the model gives.
 * @param x       [B, C, H, W] images; [B, C, T] sequences; mlp: any [B, ...]; of the weights' dtype.
 *                maze and sequence take any extents H, W, T: the same weights serve all.
 * @param options which model.
 * @param solve   how its equilibrium is found and differentiated; NULL for the defaults.
 * @return DEQ_OK or the status of the graph; its message names what does not fit.
 */
DEQ_API deq_status deq_model_build(deq_nn *nn, deq_model_outputs *out, deq_value x,
                                   const deq_model_options *options, const deq_model_solve *solve);

/** What deq_model_load() did. */
typedef struct deq_load_report {
    int64_t n_loaded;  /**< tensors of the file that were copied or converted */
    int64_t n_ignored; /**< tensors of the file that the model has no use for by design: counters
                            such as num_batches_tracked, frozen second copies */
} deq_load_report;

/**
 * Copy a state dictionary into the weights of a model.  Names may be those of libdeq or of the
 * original implementations (docs/guide/models.md), with or without "module." in front.  f32 and f64
 * become each other, and extents of 1 may be missing or added.
 *
 * The weight of a layer may come in any form (deq_weight_kind): plain weights, weight-norm pairs and
 * spectral weights become what the model has, such that the layer computes the same:
 *
 *     W = weight = weight_v weight_g / |weight_v| = weight_orig weight_g / (u' weight_orig v)
 *
 * All or nothing: on failure the weights are unchanged.
 *
 * @param w       allocated weights of the model.
 * @param archive the state dictionary; see deq_archive_narrow() for one inside a larger file.
 * @param options which model.
 * @param report  receives counts; NULL if not wanted.
 * @return DEQ_OK; DEQ_ERR_NAME (a weight is missing, or the file has one that the model does not;
 *         the message names the first few and the nearest names), DEQ_ERR_SHAPE (with both shapes),
 *         DEQ_ERR_DTYPE (no floating numbers), DEQ_ERR_DATA (a number that f32 cannot hold),
 *         DEQ_ERR_STATE, DEQ_ERR_ARGUMENT (options of no model), DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_model_load(deq_weights *w, const deq_archive *archive,
                                  const deq_model_options *options, deq_load_report *report);

/**
 * Add all weights, parameters and buffers, to an archive under their names.
 *
 * @param archive receives copies.
 * @param w       allocated weights.
 * @param prefix  before each name; "" for none.
 * @return DEQ_OK, DEQ_ERR_NAME (a name is taken; the archive is unchanged), DEQ_ERR_STATE,
 *         DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_weights_save(deq_archive *archive, deq_weights *w, const char *prefix);

#ifdef __cplusplus
}
#endif
#endif
