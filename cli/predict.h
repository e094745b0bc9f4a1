/* SPDX-License-Identifier: MIT */
/* What the parts of `deq predict` share: predict.c chooses, predict_*.c know one kind of input. */
#ifndef DEQ_CLI_PREDICT_H
#define DEQ_CLI_PREDICT_H

#include "command.h"
#include "json.h"

#include <deq/train.h>

/* A model in use. */
typedef struct use {
    const arguments *a;
    deq_context *ctx;
    deq_trained *model;
    deq_predictor *predictor;
    deq_shape form; /* what the predictor takes */
    bool several;   /* inputs: --out is a folder then */
    json_t *rows;   /* one for each input, with --json */
} use;

/* Apply the model to one input.  Returns an exit code, as all of these do. */
int predict_one(use *u, deq_prediction *found, const deq_shape *form, const float *input);
/* How the solve went. */
json_t *prediction_json(const deq_prediction *found);

/* By kind of input. */
int predict_bits(use *u, const char *word);
int predict_image(use *u, const char *path);
int predict_maze_file(use *u, const char *path);
int predict_arrays(use *u, const char *path);

/* Print (or keep for --json) what was found; target: NULL, or what would be right. */
int show_prediction(use *u, const char *name, const deq_example_form *form, const float *input,
                    const int32_t *target, const deq_prediction *found);

#endif
