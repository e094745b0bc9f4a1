/* SPDX-License-Identifier: MIT */
/* A graph from inside: nodes in the order of their making, which is a topological order. */
#ifndef DEQ_GRAPH_GRAPH_H
#define DEQ_GRAPH_GRAPH_H

#include "base/arena.h"
#include "base/text.h"
#include "op/op.h"

typedef struct deq_node {
    const deq_op *op;
    const void *attr;
    size_t attr_bytes;
    int n_in, n_out;
    const deq_value *in;
    int32_t first_out; /* outputs are the values first_out .. first_out + n_out - 1 */
    deq_stage stage;   /* the highest stage of its inputs; leaves say theirs */
} deq_node;

typedef struct deq_value_info {
    int32_t node;
    deq_type type;
    const char *name; /* or NULL */
} deq_value_info;

struct deq_graph {
    deq_context *ctx;
    deq_arena arena;
    deq_status status;
    char message[DEQ_MESSAGE_BYTES];
    deq_node *nodes;
    size_t n_nodes, nodes_capacity;
    deq_value_info *values; /* index 0 is unused: it is DEQ_NONE */
    size_t n_values, values_capacity;
};

/* Leaves (src/graph/leaf.c). */
extern const deq_op deq_op_input, deq_op_parameter, deq_op_fill, deq_op_constant;

typedef struct deq_input_attr {
    const char *name; /* in the arena of the graph */
    deq_stage stage;
    deq_type type;
} deq_input_attr;

typedef struct deq_parameter_attr {
    deq_parameters *parameters;
    int64_t index;
} deq_parameter_attr;

typedef struct deq_fill_attr {
    deq_type type;
    double number;
} deq_fill_attr;

typedef struct deq_constant_attr {
    deq_type type;
    const void *data; /* in the arena of the graph */
} deq_constant_attr;

static inline const deq_node *deq_node_of(const deq_graph *g, deq_value v)
{
    return &g->nodes[g->values[v.id].node];
}
static inline bool deq_is_valid(const deq_graph *g, deq_value v)
{
    return v.id > 0 && (size_t)v.id < g->n_values;
}
static inline const deq_type *deq_type_of(const deq_graph *g, deq_value v)
{
    return &g->values[v.id].type;
}
static inline deq_value deq_node_out(const deq_node *n, int i)
{
    return (deq_value){ n->first_out + i };
}
/* Take back the newest nodes until n_nodes are left. */
void deq_graph_drop_nodes(deq_graph *g, size_t n_nodes);
/* The number of a node that is a fill, else false. */
bool deq_is_fill(const deq_graph *g, deq_value v, double *number);
/* Extents valid and size representable; else the graph is marked. */
bool deq_check_type(deq_graph *g, const char *what, const deq_type *type);
/* "'name' f32 [2, 3]" of a value, for messages. */
void deq_text_add_value(deq_text *t, const deq_graph *g, deq_value v);
/* The kernel call of a node with types filled in and data pointers NULL; types in `types`. */
void deq_node_types(const deq_graph *g, const deq_node *n, deq_type *in, deq_type *out);

#endif
