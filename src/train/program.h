/* SPDX-License-Identifier: MIT */
/*
 * The programs of a run: a model with its objective, built from a configuration and compiled.
 *
 *     loss = sum_i weight_i CE(logits_i, target) + gamma penalty                      (1)
 *
 * CE is the mean over the positions that count.  One configuration gives several programs: unrolled
 * pre-training, steps with and without the penalty, evaluation for each form of input and budget.
 */
#ifndef DEQ_TRAIN_PROGRAM_H
#define DEQ_TRAIN_PROGRAM_H

#include "base/context.h"

#include <deq/program.h>
#include <deq/train/config.h>

/* Most buffers that a step may change (running averages, power iterations). */
#define MAX_UPDATES 256

typedef struct model_program {
    deq_program *p;
    deq_dtype dtype;
    int64_t batch;
    deq_value x, target, key, gamma; /* inputs; those that it lacks are DEQ_NONE */
    deq_value data_loss, penalty, logits;
    deq_equilibrium_report report;
    deq_nn_update updates[MAX_UPDATES];
    int n_updates;
} model_program;

/* What a training program is to be. */
typedef struct step_variant {
    bool pretraining; /* unrolled */
    bool penalty;
    const int64_t *depth; /* evaluations allowed in the present solve; NULL: solver.max_iter */
    deq_adjoint_observer_fn *observer;
    void *observer_user;
    deq_workspace *workspace; /* NULL: memory of its own */
} step_variant;

/* A step of training: loss and gradients, bound to the weights' gradient vector. */
deq_status deq_step_program(model_program *m, deq_context *ctx, const deq_config *config,
                            const deq_example_form *form, deq_weights *weights,
                            const step_variant *variant);

/* How an equilibrium is solved in evaluation; negative and zero numbers: as evaluation.* says. */
deq_model_solve deq_evaluation_solve(const deq_config *config, int max_iter, double rtol,
                                     double atol);

/* Build the model for m->batch inputs, and set m->x, m->logits, m->report. */
deq_status deq_build_evaluation(model_program *m, deq_nn *nn, const deq_config *config,
                                deq_shape input, const deq_model_solve *solve);

/* Logits and report for inputs [batch, input...]; the solver as evaluation.* and the arguments say.
 * `workspace` may be NULL. */
deq_status deq_predict_program(model_program *m, deq_context *ctx, const deq_config *config,
                               deq_shape input, int64_t batch, deq_weights *weights, int max_iter,
                               double rtol, double atol, deq_workspace *workspace);

/* Declare and allocate the weights of the configuration's model. */
deq_status deq_declare_weights(deq_weights **out, deq_context *ctx, const deq_config *config,
                               deq_shape input);

/* Write the batch and the random key (seed, step).  `scratch` holds x_count doubles; it is used when
 * the program is of double precision. */
deq_status deq_program_feed(model_program *m, const float *x, size_t x_count, const int32_t *target,
                            size_t target_count, uint64_t seed, uint64_t step, void *scratch);

void deq_model_program_free(model_program *m);

#endif
