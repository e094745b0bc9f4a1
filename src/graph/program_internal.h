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
    bool written; /* an input in a workspace: since the program has had the block */
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
    bool within; /* runs in a block that is lent to it, by a program around or a workspace */
    deq_workspace *workspace; /* or NULL */
    void *lent;               /* the block, or NULL */
    size_t lent_bytes;        /* that it needs */
    bool ready[DEQ_STAGES];   /* the stage has run */
    char message[DEQ_MESSAGE_BYTES];
};

/* A program within a program.  What its injected and state stages use lives in a block of lent_bytes
 * that the program around lends it once, when it has memory itself: scratch of one of its steps, which
 * others use while that step does not run.  Its own arena keeps constants and what its parameter stage
 * computes.  Of its inputs only those in `own` have a place; the others must be bound. */
deq_status deq_compile_within(deq_program **out, deq_graph *g, const deq_value *outputs,
                              int n_outputs, const deq_compile_options *options,
                              const deq_value *own, int n_own);
/* `memory` is aligned to DEQ_ALIGNMENT.  What lay in the old block is lost; in a workspace what is
 * bound elsewhere stays there. */
deq_status deq_program_lend(deq_program *p, void *memory);
/* The content of the lent block is gone. */
void deq_program_forget(deq_program *p);
/* Tell the steps that the slots have their places. */
deq_status deq_program_place_steps(deq_program *p);
/* Where a slot lives when nothing else is bound to it; NULL if that is nowhere (yet). */
void *deq_program_place(const deq_program *p, const deq_slot *s);

/* The steps of one stage alone, for programs within programs. */
deq_status deq_program_run_stage(deq_program *p, deq_stage stage);

#endif
