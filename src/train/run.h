/* SPDX-License-Identifier: MIT */
/* A run from inside.  run.c makes, saves and resumes it; step.c takes one step; train.c is the loop. */
#ifndef DEQ_TRAIN_RUN_INTERNAL_H
#define DEQ_TRAIN_RUN_INTERNAL_H

#include "train/checkpoint.h"
#include "train/journal.h"
#include "train/program.h"
#include "train/trained.h"

#include <deq/train/run.h>

#define RUN_PATH 2048
#define MAX_RESULTS 512

/* The programs of training, compiled when they are first needed. */
enum { PROGRAM_PRETRAIN, PROGRAM_PLAIN, PROGRAM_PENALTY, N_PROGRAMS };

/* What the backward solves of a step reported. */
typedef struct adjoint_tally {
    int64_t n_samples, n_failed, n_apply; /* products with J */
    double residual;                      /* sum over samples */
} adjoint_tally;

/* What came out of a step. */
typedef struct step_result {
    double loss, penalty, accuracy, element_accuracy;
    double n_feval, residual, gradient_norm, rate;
    int64_t n_bad; /* samples that diverged or were not finite */
    bool has_penalty, finite, pretraining;
} step_result;

struct deq_run {
    deq_context *ctx;
    deq_config config;
    char folder[RUN_PATH];
    deq_datasets data;
    deq_example_form form;
    deq_weights *weights;
    deq_optimiser *optimiser;
    deq_schedule schedule;
    void *average; /* NULL: none */
    size_t vector_bytes;
    deq_loader *loader;
    int64_t steps, batches;   /* in all; an epoch has */
    deq_workspace *workspace; /* of all its programs, evaluation included */
    model_program programs[N_PROGRAMS];
    bool compiled[N_PROGRAMS];
    int64_t depth; /* evaluations allowed in this step */
    adjoint_tally adjoint;
    /* room for a batch */
    double *logits, *wide;
    int32_t *label, *outcome, *n_feval;
    size_t n_logits, n_wide, n_label;
    journal journal;
    counters counters;
    double started, recent; /* when this process began to train; smoothed seconds a step */
    int radius_trouble;     /* evaluations in a row with a spectral radius above 1 */
    char advice[1024];
    deq_budget_row *results;
    int n_results;
};

/* One step: forward, backward, clip, update.  A gradient that is not finite updates nothing. */
deq_status deq_run_step_once(deq_run *run, step_result *result);

/* The model with the weights as they are; swaps the average in, if evaluation wants it, until
 * deq_run_return_weights(). */
deq_trained deq_run_lend_weights(deq_run *run);
void deq_run_return_weights(deq_run *run);

deq_status deq_run_save(deq_run *run, const char *name);

/* Fill run->results and write them to the metrics. */
deq_status deq_run_evaluate_all(deq_run *run, deq_evaluation_progress_fn *progress, void *user);

/* Fill run->advice. */
void deq_run_advise(deq_run *run, const step_result *r);
/* Warn when the spectral radius stays above 1. */
void deq_run_watch_radius(deq_run *run, const deq_evaluation *e);

#endif
