/* SPDX-License-Identifier: MIT */
/*
 * Tile programs: element-wise nodes of one iteration shape, computed together.
 *
 * The iteration space is cut into tiles of a few hundred elements.  For each tile a short list of
 * instructions runs, each a vector loop over the tile, so that what the nodes hand to each other
 * stays in the first-level cache.  An instruction works on operands:
 *
 *   immediate   a number, repeated over a tile when the program is made
 *   in place    an array whose elements of one tile lie side by side: read where it is
 *   gathered    any other array (broadcast, strided, truth values): copied into a tile first; the
 *               copy is kept while the next tiles need the same elements
 *   temporary   a tile buffer, reused as soon as nobody needs its value any more
 *   output      an array that the program writes, in place
 *
 * Axes are merged where all operands allow, so that most spaces have one or two axes left.  With
 * axes d_0 (innermost), d_1, ... a tile is the full product of the axes before some d_k times a block
 * of d_k: a bias [N] on [M, N] with small N is repeated over several rows once, and then serves every
 * tile.
 *
 * A normalisation between element-wise nodes is computed by a hook, the one instruction that the
 * program does not know.
 */
#ifndef DEQ_BACKEND_CPU_TILE_H
#define DEQ_BACKEND_CPU_TILE_H

#include "backend/cpu/tile_kernels.h"
#include "graph/lower.h"

#define DEQ_TILE_RANK (DEQ_MAX_RANK + 4)

/* An axis of the iteration space: `extent` places, `step` elements apart along an axis of the shape. */
typedef struct deq_tile_axis {
    int axis;
    int64_t extent, step;
} deq_tile_axis;

/* What to compile.  deq_tile_space() sets the last part to all axes, none of them special. */
typedef struct deq_tile_request {
    const int *nodes; /* ascending: element-wise nodes, and at most one anchor */
    int n_nodes;
    int anchor;               /* the node that the hook computes, or -1 */
    bool sink;                /* the hook looks at the anchor's inputs and computes nothing */
    const deq_value *outputs; /* to be stored, all of the iteration shape */
    int n_outputs;
    const deq_value *ready; /* computed by some of `nodes`, but stored already: to be read */
    int n_ready;
    deq_type type;     /* iteration shape; f32 or f64, in which everything is computed */
    deq_layout layout; /* in which operands of rank 4 are read */

    deq_tile_axis axes[DEQ_TILE_RANK]; /* outermost first */
    int n_axes;
    int instances; /* axes before this one number instances: a tile that is part of one ends with it */
    int covered; /* every tile has the whole of the axes from this one on */
} deq_tile_request;

void deq_tile_space(deq_tile_request *r);

/* Can the element-wise node be part of a tile program at all? */
bool deq_tile_supports(const deq_lowering *l, const deq_node *node);
/* Can these element-wise nodes be one program that stores these values?  Sets type->dtype. */
bool deq_tile_fits(const deq_lowering *l, const int *nodes, int n_nodes, int anchor,
                   const deq_value *outputs, int n_outputs, deq_type *type);

typedef enum deq_tile_kind {
    DEQ_TILE_NONE, /* operand 0: absent */
    DEQ_TILE_IMMEDIATE,
    DEQ_TILE_IN_PLACE,
    DEQ_TILE_GATHERED,
    DEQ_TILE_TEMPORARY,
    DEQ_TILE_OUTPUT
} deq_tile_kind;

typedef struct deq_tile_operand {
    deq_tile_kind kind;
    int slot;                      /* of an array */
    size_t size;                   /* bytes of its elements */
    int64_t stride[DEQ_TILE_RANK]; /* between them, along the merged axes, innermost first */
    deq_tile_gather *gather;
    int buffer; /* of a temporary or gathered operand */
    double number;
    void *immediate;
} deq_tile_operand;

typedef struct deq_tile_instruction {
    deq_tile_op *op; /* NULL: the hook */
    int a, b, c, y;  /* operands */
    double p[2];
    int code;
} deq_tile_instruction;

typedef struct deq_tile_program {
    deq_tile_operand *operands;
    int n_operands;
    deq_tile_instruction *code;
    int n_code;
    int *arrays; /* operands that are arrays */
    int n_arrays;

    size_t size; /* bytes of an element of a tile */
    int rank;    /* merged axes, innermost first */
    int64_t dim[DEQ_TILE_RANK];
    int split;                   /* k: tiles are blocks of axis k ... */
    int64_t inner, rows, blocks; /* ... of `rows` places with `inner` elements each */
    int64_t tiles;               /* blocks times the axes behind k; numbered from 0 */

    int buffers;
    size_t work;         /* bytes of working memory of a thread */
    double cost;         /* of all tiles, estimated, in ns on one thread */
    double flops, bytes; /* bytes: every array once */
    int *reads, *writes; /* slots */
    int n_reads, n_writes;
} deq_tile_program;

/* Compile; reads become slots, outputs are written where deq_lower_write() says.  The program lives
 * as long as the one that is being lowered. */
deq_status deq_tile_compile(deq_tile_program **out, deq_lowering *l, const deq_tile_request *r);
/* May the program write output `write` over array `read`, for it reads what it needs of a tile before it
 * writes that tile?  (Slots, as in reads and writes.) */
bool deq_tile_overwrites(const deq_tile_program *p, int read, int write);
/* All such pairs; room for n_reads n_writes.  Returns how many there are. */
int deq_tile_list_overwrites(const deq_tile_program *p, deq_overwrite *list);
/* How many threads the work is worth. */
int deq_tile_threads(double cost, int threads);

/* Running ------------------------------------------------------------------------------------ */

/* The tile that the hook is called for: elements [first, first + n) of the iteration space. */
typedef struct deq_tile {
    int64_t first, n;
} deq_tile;

/* Computes y from a and b, the first inputs of the anchor (b NULL if there is one only), for one
 * tile; y may be a, and is NULL for a sink. */
typedef void deq_tile_hook(void *user, const deq_tile *tile, const void *a, const void *b, void *y);

/* A thread at work on a program. */
typedef struct deq_tile_run {
    const deq_tile_program *p;
    void *const *slot;
    deq_tile_hook *hook;
    void *user;
    void **at;      /* [operand]: its tile */
    int64_t *held;  /* [operand]: the offset that a gathered operand holds, -1 for none */
    int64_t *outer; /* [operand]: the part of its offset that the axes behind k make */
    int64_t index[DEQ_TILE_RANK]; /* on the axes behind k */
    int64_t outer_index, block;
} deq_tile_run;

/* Most programs need no more working memory; it may then be on the stack. */
#define DEQ_TILE_STACK 49152

/* `work`: p->work bytes, 64-byte aligned. */
void deq_tile_begin(deq_tile_run *run, const deq_tile_program *p, void *const *slot, void *work,
                    deq_tile_hook *hook, void *user);
/* Compute tiles [begin, end).  What is gathered stays from call to call. */
void deq_tile_range(deq_tile_run *run, int64_t begin, int64_t end);

#endif
