/* SPDX-License-Identifier: MIT */
#ifndef DEQ_GRAPH_PROGRAM_INTERNAL_H
#define DEQ_GRAPH_PROGRAM_INTERNAL_H

#include "graph/lower.h"

/* A value of the caller's graph that is an input or output of the program. */
typedef struct deq_binding {
    deq_value value; /* of the caller's graph */
    deq_type type;
    int slot; /* -1: an input that nothing depends on */
    deq_layout layout;
    bool is_input;
} deq_binding;

struct deq_program {
    deq_context *ctx;
    deq_arena memory; /* groups, steps, kernels' state */
    int threads;
    const deq_backend *backend;
    deq_layout *layout; /* [values of graph] as their producers write them */
    deq_graph *graph;   /* the simplified graph: for describe and kernels' attributes */
    deq_group *groups;
    int n_groups;
    deq_slot *slots;
    size_t n_slots, slots_capacity;
    void **slot; /* where each slot lives now */
    deq_step *steps[DEQ_STAGES];
    size_t n_steps[DEQ_STAGES], steps_capacity[DEQ_STAGES];
    deq_binding *bindings;
    int n_bindings;
    void *arena;
    size_t arena_bytes;
    bool ready[DEQ_STAGES]; /* the stage has run */
    char message[DEQ_MESSAGE_BYTES];
};

/* The steps of one stage alone, for programs within programs. */
deq_status deq_program_run_stage(deq_program *p, deq_stage stage);

#endif
