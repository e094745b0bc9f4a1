/* SPDX-License-Identifier: MIT */
/*
 * From graph to program: the interface between the compiler and its backends.
 *
 * The compiler partitions the nodes into groups, and a backend turns each group into steps.  A step
 * is a function with its own state that reads and writes slots.  A slot is a place in memory with a
 * lifetime; the planner puts slots into one arena.  Nothing here runs while a program runs, except
 * the steps.
 */
#ifndef DEQ_GRAPH_LOWER_H
#define DEQ_GRAPH_LOWER_H

#include "graph/graph.h"

#include <deq/program.h>

#define DEQ_STAGES 4

/* One kernel call of a program.  slot[i] is where slot i lives at this moment; steps may keep slot
 * numbers, never pointers.  Returns DEQ_OK or a status with `message` (DEQ_MESSAGE_BYTES) set. */
typedef deq_status deq_step_fn(void *self, void *const *slot, char *message);

/* The step reads every element of slot `read` before, or when, it writes the same element of `write`:
 * the two may be one place if nobody reads the old content later. */
typedef struct deq_overwrite {
    int read, write;
} deq_overwrite;

typedef struct deq_step {
    deq_step_fn *run;
    void *self;
    void (*release)(void *self); /* frees what self holds beyond program memory; or NULL */
    /* Called once, when the slots have their places and before the first run, for steps that make
     * something of scratch memory.  May be NULL. */
    deq_status (*place)(void *self, void *const *slot);
    deq_stage stage;
    int n_reads, n_writes;
    const int *reads, *writes; /* slots, scratch included among the writes */
    const deq_overwrite *overwrites;
    int n_overwrites;
    const char *kernel; /* "onednn convolution", "fused", "reference": for describe */
    int group;          /* the group it computes, -1 for reorders and copies */
    double flops, bytes;
} deq_step;

typedef enum deq_slot_kind {
    DEQ_SLOT_ARENA,    /* placed by the planner within its lifetime */
    DEQ_SLOT_KEPT,     /* in the arena for the whole life of the program: inputs, constants */
    DEQ_SLOT_PARAMETER /* memory of a parameter store */
} deq_slot_kind;

typedef struct deq_slot {
    deq_slot_kind kind;
    size_t bytes;
    deq_stage stage; /* of the step that writes it */
    bool output;     /* lives from its first write to the end */
    bool bound;      /* an input that has no place of its own: it is bound before it is read */
    bool lent;       /* its place is in the lent block, not in the arena */
    size_t offset;   /* in the arena or the lent block, from the planner */
    void *external;  /* parameter memory */
} deq_slot;

/* Nodes computed together.  `anchor` is the node that decides which kernel (a convolution, a matrix
 * product, a normalisation), or -1 for a purely element-wise group.  Nodes before the anchor in
 * `nodes` are its prologue, those after it its epilogue.  Only the values in `outputs` leave. */
typedef struct deq_group {
    int *nodes; /* ascending, hence in topological order */
    int n_nodes;
    int anchor;
    deq_value *inputs, *outputs;
    int n_inputs, n_outputs;
    deq_stage stage;
} deq_group;

typedef struct deq_lowering {
    deq_context *ctx;
    const deq_graph *g; /* simplified; n_nodes in topological order */
    const deq_compile_options *options;
    int threads;
    deq_program *program;
    int *uses;              /* of each value: by nodes, and as an output of the program */
    int (*slots)[2];        /* [value][layout]: where a value lives, -1 if it does not (yet) */
    deq_layout *layout;     /* of each value: the layout its producer writes */
    const deq_group *group; /* being lowered */
    int group_index;
} deq_lowering;

typedef struct deq_backend {
    const char *name;
    /* Can `node` be the anchor of a group with an epilogue (or a prologue)? */
    bool (*is_anchor)(const deq_lowering *l, const deq_node *node);
    /* Can element-wise `node` be part of a fused group at all? */
    bool (*takes_elementwise)(const deq_lowering *l, const deq_node *node);
    /* Can the kernel of anchor `node` store any value of its group?  Otherwise only the last. */
    bool (*many_outputs)(const deq_lowering *l, const deq_node *node);
    /* May element-wise `node` join the epilogue of the group?  It has the shape of the anchor's
     * first output and at least one input computed by the anchor or its epilogue, none by the
     * prologue; without many_outputs that input is the last value of the group and has no other
     * use. */
    bool (*takes_epilogue)(const deq_lowering *l, const deq_group *group, int node);
    /* May element-wise `node`, on which the anchor's first input depends, be computed on the fly?
     * It has the shape of that input. */
    bool (*takes_prologue)(const deq_lowering *l, const deq_group *group, int node);
    /* Does the kernel of the group write (and want its full-size inputs) channels-last? */
    bool (*channels_last)(const deq_lowering *l, const deq_group *group, bool inputs_are);
    /* Emit the steps of a group.  Set *done = false to leave it to the reference kernels. */
    deq_status (*lower)(deq_lowering *l, const deq_group *group, bool *done);
    /* Copy src to dst between layouts or within one. */
    deq_status (*lower_copy)(deq_lowering *l, const deq_type *type, int dst, deq_layout dst_layout,
                             int src, deq_layout src_layout, deq_stage stage);
    /* The same at once, for deq_program_write and _read. */
    void (*copy)(const deq_type *type, void *dst, deq_layout dst_layout, const void *src,
                 deq_layout src_layout, int threads);
} deq_backend;

extern const deq_backend deq_backend_cpu;

/* Nodes that move no data: their output is their input under another type. */
bool deq_is_alias(const deq_op *op);
/* Memory that lives as long as the program; NULL when out of memory. */
void *deq_lower_alloc(deq_lowering *l, size_t bytes);
/* A new slot; -1 when out of memory. */
int deq_lower_slot(deq_lowering *l, size_t bytes, deq_stage stage);
/* Where to read a value in a layout; a reorder at the value's own stage is added if needed. -1 when
 * out of memory. */
int deq_lower_read(deq_lowering *l, deq_value v, deq_layout layout, deq_status *status);
/* Where to write a value that the group produces, in the layout chosen for it. */
int deq_lower_write(deq_lowering *l, deq_value v, deq_status *status);
/* Append a step to its stage. reads, writes and overwrites are copied. */
deq_status deq_lower_step(deq_lowering *l, const deq_step *step);
/* Steps with the reference kernels, one a node. */
deq_status deq_lower_reference(deq_lowering *l, const deq_group *group);

/* The phases of compilation (one file each). */

/* The part of g that the outputs depend on, simplified; map[id in g] = id in *out, 0 if dropped. */
deq_status deq_rewrite(deq_graph **out, int32_t *map, const deq_graph *g, const deq_value *outputs,
                       int n_outputs, bool simplify);
/* Groups in an order in which they can run; arrays live in the arena. */
deq_status deq_partition(deq_group **groups, int *n_groups, deq_arena *arena, const deq_lowering *l,
                         const deq_backend *backend);
deq_status deq_plan(deq_program *p);

#endif
