/* SPDX-License-Identifier: MIT */
/* A trained model from inside. */
#ifndef DEQ_TRAIN_TRAINED_H
#define DEQ_TRAIN_TRAINED_H

#include "base/context.h"

#include <deq/train/predict.h>

struct deq_trained {
    deq_context *ctx;
    deq_config config;
    deq_weights *weights;
    bool borrowed;            /* the weights are a run's */
    deq_workspace *workspace; /* of that run, else NULL */
    int64_t steps;
    char *classes; /* names, each ended by a line end; NULL: there are none */
    char path[DEQ_CONFIG_TEXT];
};

/* The form of the inputs that a configuration's data have, without reading them if it can be told;
 * and the number of classes. */
deq_status deq_config_form(deq_example_form *form, deq_context *ctx, const deq_config *config);

/* Subtract the mean, divide by the deviation, channel by channel: x [batch, C, rest]. */
void deq_normalise_input(float *out, const float *x, int64_t batch, const deq_shape *input,
                         const deq_data_config *data);

#endif
