/* SPDX-License-Identifier: MIT */
/*
 * A graph as a function y = F(x) of one long vector, with J^T w and J v at a point.
 *
 * x is the f64 leaves that may move, one after the other; y is the outputs.  Two programs are
 * compiled: F, and both products.  Messages speak of the gradient check, which is who asks.
 */
#ifndef DEQ_GRAPH_PROBE_H
#define DEQ_GRAPH_PROBE_H

#include "graph/graph.h"

#include <deq/gradient_check.h>

/* One leaf that moves: its part of x. */
typedef struct deq_probe_part {
    int point;             /* index into points */
    int64_t offset, count; /* elements of x */
    double *store;         /* of a parameter: where its store keeps it; else NULL */
} deq_probe_part;

typedef struct deq_probe {
    deq_graph *g;
    deq_arena arena; /* everything below, and what the owner takes */
    const deq_value *outputs;
    const deq_gradient_point *points;
    int n_outputs, n_points, n_parts;
    int64_t n, m; /* lengths of x and y */
    deq_probe_part *parts;
    double *x;     /* [n] the point as the caller gave it */
    double *saved; /* [n] what parameter stores held */
    deq_value *leaves, *w, *v, *grads, *tangents;
    deq_program *forward, *derivative;
    int64_t n_evaluations;
} deq_probe;

/* Check everything that the caller of deq_gradient_check() can get wrong about the graph, and
 * compile.  Close in any case: that restores parameter stores and frees. */
deq_status deq_probe_open(deq_probe *s, deq_graph *g, const deq_value *outputs, int n_outputs,
                          const deq_gradient_point *points, int n_points,
                          const deq_compile_options *options);
void deq_probe_close(deq_probe *s);

/* y = F(x) for any x. */
deq_status deq_probe_evaluate(deq_probe *s, const double *x, double *y);
/* J^T w into [n] and J v into [m], at s->x. */
deq_status deq_probe_differentiate(deq_probe *s, const double *w, const double *v, double *vjp,
                                   double *jvp);

/* rows * length zeroed doubles that live as long as the probe; NULL when out of memory. */
double *deq_probe_vector(deq_probe *s, int64_t rows, int64_t length);

#endif
