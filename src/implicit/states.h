/* SPDX-License-Identifier: MIT */
/*
 * The states of an equilibrium as a solver sees them: one row a sample.  A single state [B, ...] is
 * such rows already and is never copied; several are laid behind each other in each row.
 */
#ifndef DEQ_IMPLICIT_STATES_H
#define DEQ_IMPLICIT_STATES_H

#include "implicit/body.h"

typedef struct deq_states {
    int n;
    deq_dtype dtype;
    int threads;                    /* that copying may use */
    int64_t batch, dim;             /* of the rows */
    int64_t size[DEQ_MAX_STATES];   /* elements of one sample in each state */
    int64_t offset[DEQ_MAX_STATES]; /* where they begin in a row */
} deq_states;

deq_states deq_states_of(const deq_body *body, int threads);
size_t deq_states_bytes(const deq_states *s);
/* rows [batch, dim] <- states, and back. */
void deq_states_pack(const deq_states *s, void *rows, void *const *state);
void deq_states_unpack(const deq_states *s, void *const *state, const void *rows);

#endif
