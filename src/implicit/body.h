/* SPDX-License-Identifier: MIT */
/*
 * The body of an equilibrium: the graph of its cell f(z; c).
 *
 * A cell is an ordinary builder function on the graph around it.  Tracing calls it once with
 * placeholders for the state and keeps, in a graph of its own, just what depends on them.  Whatever
 * else the cell used (weights, the injected input, anything computed from them) is *captured*: it
 * stays outside, is computed once, and becomes an input of the body.
 *
 *     outside:  c = (W, U x + b, ...)          body:  z, c  ->  f(z; c)
 *
 * Bodies are immutable and counted: several nodes, graphs and programs may hold one.
 */
#ifndef DEQ_IMPLICIT_BODY_H
#define DEQ_IMPLICIT_BODY_H

#include "graph/graph.h"

#include <deq/equilibrium.h>

typedef struct deq_body {
    deq_context *ctx;
    int references;
    deq_graph *g;
    int n_states, n_captured;
    deq_value *z;        /* [n_states] inputs of g */
    deq_value *captured; /* [n_captured] inputs of g */
    deq_value *fz;       /* [n_states] */
    size_t bytes;        /* of the block that holds the three arrays */
} deq_body;

/* Whether n values can be the states of one equilibrium: floating, of one dtype and batch.  Else the
 * graph is marked. */
bool deq_check_states(deq_graph *g, const deq_value *z, int n);

/* Trace `cell` on g for states of the types of z0.  outer[i] receives the value of g that the body
 * captures as captured[i]; it is allocated in g's arena.  NULL after marking the graph. */
deq_body *deq_body_trace(deq_graph *g, deq_cell_fn *cell, void *user, const deq_value *z0,
                         int n_states, const deq_value **outer);
deq_body *deq_body_retain(deq_body *body);
void deq_body_release(deq_body *body);

/* Add f(z; captured) to g: fz[i] for each state. */
void deq_body_inline(deq_graph *g, const deq_body *body, const deq_value *z,
                     const deq_value *captured, deq_value *fz);

#endif
