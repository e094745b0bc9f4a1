/* SPDX-License-Identifier: MIT */
/*
 * The parts of a multiscale equilibrium model: stem, injection, cell and head; the public header
 * names the papers.
 */
#ifndef DEQ_MODEL_MULTISCALE_PARTS_H
#define DEQ_MODEL_MULTISCALE_PARTS_H

#include <deq/model/multiscale.h>

/* What the cell knows besides the state; valid as long as the equilibrium is built. */
typedef struct deq_multiscale_cell {
    deq_nn *nn;
    const deq_multiscale_options *options;
    deq_value x; /* injected into branch 0; the others get nothing */
} deq_multiscale_cell;

/* Images -> features of channels[0]. */
deq_value deq_multiscale_stem(deq_nn *nn, deq_value x, const deq_multiscale_options *o);

/* Features -> what the cell adds; the identity where the original has none. */
deq_value deq_multiscale_injection(deq_nn *nn, deq_value stem, const deq_multiscale_options *o);

/* The shape of the state of each branch for features [B, C, H, W]. */
void deq_multiscale_shapes(deq_shape *shapes, deq_shape features, const deq_multiscale_options *o);

/* f: a deq_cell_fn; user is a deq_multiscale_cell. */
void deq_multiscale_map(deq_graph *g, const deq_value *z, deq_value *fz, void *user);

/* The states -> logits [B, classes]. */
deq_value deq_multiscale_head(deq_nn *nn, const deq_value *z, const deq_multiscale_options *o,
                              int64_t classes);

#endif
