/* SPDX-License-Identifier: MIT */
#ifndef DEQ_GRAPH_REWRITE_H
#define DEQ_GRAPH_REWRITE_H

#include "graph/lower.h"

typedef struct deq_rewriter {
    deq_graph *g;     /* the new graph */
    int32_t *map;     /* from values of the old graph */
    bool simplify;    /* apply rules, fold constants, share equal nodes */
    int32_t *buckets; /* hash table of nodes: index + 1, 0 empty */
    size_t n_buckets, n_entries;
} deq_rewriter;

/* Add a node to the new graph unless an equal one exists or it folds into a constant. */
void deq_rewrite_emit(deq_rewriter *r, const deq_op *op, const void *attr, size_t attr_bytes,
                      const deq_value *in, int n_in, deq_value *out, int n_out);

/* Local identities (simplify.c): something equal to the single output of node n applied to the new
 * graph's values `in`, or DEQ_NONE when no rule applies. */
deq_value deq_simplify(deq_rewriter *r, const deq_node *n, const deq_value *in);
/* Linear operators over inputs that change at different rates (split.c), likewise. */
deq_value deq_split_linear(deq_rewriter *r, const deq_node *n, const deq_value *in);

#endif
