/* SPDX-License-Identifier: MIT */
/* An inspection from inside. */
#ifndef DEQ_TRAIN_INSPECT_INTERNAL_H
#define DEQ_TRAIN_INSPECT_INTERNAL_H

#include "train/trained.h"

#include <deq/train/inspect.h>

struct deq_inspection {
    deq_context *ctx;
    deq_config config;
    deq_example_form form;
    deq_weights *weights; /* those of `trained`, or `own` */
    deq_weights *own;
    bool allocated; /* own */
    deq_trained *trained;
    int n_states;
    deq_shape state[DEQ_MAX_STATES]; /* of one sample */
    int64_t steps;                   /* -1: not trained */
    double best, seconds;
};

#endif
