/* SPDX-License-Identifier: MIT */
/*
 * The parts of a monotone equilibrium model: its weights, its splitting as a cell, and its head; the
 * public header states the model.
 */
#ifndef DEQ_MODEL_MONOTONE_PARTS_H
#define DEQ_MODEL_MONOTONE_PARTS_H

#include <deq/model/monotone.h>

/* Largest extent of a kernel. */
#define DEQ_MONOTONE_KERNEL_MAX 7

/* What a solve needs to know; everything but c is computed from parameters alone. */
typedef struct deq_monotone_cell {
    deq_nn *nn;
    const deq_monotone_options *options;
    deq_value A, S;  /* fully connected [rank, n], [n, n]; else [n, n, k, k] */
    deq_value m;     /* scalar */
    deq_value W;     /* fully connected: [n, n] */
    deq_value c;     /* U x + b: [B, n] or [B, n, H, W] */
    deq_value alpha; /* scalar: step of the splitting; held */
    deq_value step;  /* convolution, Peaceman-Rachford: step of the resolvent's inner solve; held */
    deq_value F, f;  /* fully connected: F(v) = phi(v) F' + f */
} deq_monotone_cell;

/* Give fields that are 0 their defaults. */
void deq_monotone_settle(deq_monotone_options *o);

/* Declare or find the weights and prepare the splitting for inputs x; the cell borrows the settled
 * options. */
void deq_monotone_begin(deq_monotone_cell *c, deq_nn *nn, deq_value x,
                        const deq_monotone_options *options);

/* The map of the splitting: a deq_cell_fn; user is a deq_monotone_cell. */
void deq_monotone_map(deq_graph *g, const deq_value *v, deq_value *fv, void *user);

/* The equilibrium from a fixed point of the map. */
deq_value deq_monotone_state(const deq_monotone_cell *c, deq_value v);

/* Logits [B, classes] from the equilibrium. */
deq_value deq_monotone_head(const deq_monotone_cell *c, deq_value z, int64_t classes);

/* n x n. */
deq_value deq_monotone_identity(deq_graph *g, deq_dtype dtype, int64_t n);

/* V = M^-1 for M [n, n] whose symmetric part is positive definite. */
deq_value deq_monotone_inverse(deq_graph *g, deq_value M);

/* An upper bound of |I - W|_2, W a sum of convolutions with weights of odd extent, for images of any
 * size. */
deq_value deq_monotone_convolution_bound(deq_graph *g, deq_value A, deq_value S, deq_value m);

#endif
