/* SPDX-License-Identifier: MIT */
/*
 * Checkpoints: a safetensors file with
 *
 *     model.NAME        every weight, parameters and buffers
 *     optimiser.NAME    the vectors of the optimiser's state
 *     average           the moving average of the parameters, if there is one
 *     metadata          the configuration, the names of the classes, and the counters below
 *
 * Vectors lie as in the parameter store, gaps included.
 */
#ifndef DEQ_TRAIN_CHECKPOINT_H
#define DEQ_TRAIN_CHECKPOINT_H

#include "base/context.h"

#include <deq/io/archive.h>
#include <deq/train/config.h>

/* The counters of a run. */
typedef struct counters {
    int64_t step;            /* steps taken; also the position in the data */
    int64_t optimiser_steps; /* fewer than step, if updates were left out */
    int64_t trouble;         /* steps in trouble in a row */
    int64_t metrics_bytes, events_bytes;
    double best;    /* accuracy of the best evaluation; negative: none yet */
    double seconds; /* of training so far */
} counters;

/* What a checkpoint is made of. */
typedef struct training_state {
    const deq_config *config;
    deq_example_form form;
    const deq_dataset *data; /* names the classes; NULL: they stay without names */
    deq_weights *weights;
    deq_optimiser *optimiser; /* NULL: only the weights are wanted */
    void *average;            /* NULL: there is none */
    counters counters;
} training_state;

deq_status deq_checkpoint_write(deq_context *ctx, const char *path, const training_state *s);

/* Put what a checkpoint holds in place: into s->weights, s->optimiser, s->average, s->counters.  All
 * or nothing. */
deq_status deq_checkpoint_restore(deq_context *ctx, deq_archive *archive, const char *path,
                                  training_state *s);

/* The configuration and form that a checkpoint was made with; DEQ_ERR_ARGUMENT: it has none, being a
 * file of weights from elsewhere. */
deq_status deq_checkpoint_config(deq_config *config, deq_example_form *form, deq_context *ctx,
                                 const deq_archive *archive, const char *path);

#endif
