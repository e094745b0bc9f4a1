/* SPDX-License-Identifier: MIT */
/* What the steps of both operators have in common: slots of the program around them. */
#ifndef DEQ_IMPLICIT_LOWER_H
#define DEQ_IMPLICIT_LOWER_H

#include "implicit/inner.h"
#include "implicit/operators.h"

/* Slots that a step reads and writes, by role. */
typedef struct deq_places {
    int n_states, n_captured;
    int first[DEQ_MAX_STATES];  /* z0 of the forward solve, z of a linear one */
    int second[DEQ_MAX_STATES]; /* w of a linear solve */
    int out[DEQ_MAX_STATES];    /* z* or u */
    int report[DEQ_REPORT_VALUES];
    int memory;          /* the forward solver's handle, written or read; -1 if none */
    int saved;           /* intermediate states; -1 if none */
    int *captured;       /* by the cell, then by the outer loss */
    int *reads, *writes; /* all of the above */
    int n_reads, n_writes;
} deq_places;

/* Slots of node n; linear solves have w and perhaps a memory behind their captured inputs. */
deq_status deq_places_find(deq_places *p, deq_lowering *l, const deq_node *n, bool linear);
/* One more slot of scratch memory, written by the step; -1 when out of memory. */
int deq_places_scratch(deq_places *p, deq_lowering *l, size_t bytes, deq_stage stage);

/* Bind the inner program's captured inputs, whose slots are given, to where they are now. */
deq_status deq_places_bind(const int *captured, deq_inner *inner, void *const *slot);
/* data[i] = where the state in slots[i] is now. */
void deq_places_data(const deq_places *p, const int *slots, void *const *slot, void **data);

/* A step that runs the parameter stage of an inner program when parameters change. */
deq_status deq_lower_parameters(deq_lowering *l, const int *captured, deq_inner *inner);

/* Leave the inner program's message to the program around. */
deq_status deq_inner_failed(const deq_inner *inner, deq_status status, char *message);

#endif
