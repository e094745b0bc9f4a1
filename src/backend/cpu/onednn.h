/* SPDX-License-Identifier: MIT */
/*
 * oneDNN's convolutions and matrix products as steps of a program.  onednn.c alone sees the
 * library; it compiles with versions 2 and 3.
 *
 * A kernel family describes what it wants in a deq_onednn_spec (tensors by extents and strides, and
 * a chain of post-operations on the result), makes the primitive, packs what the library wants in a
 * layout of its own at the stage where that is known, and emits the step:
 *
 *     deq_onednn_new(l, &p, &spec);
 *     slot[DEQ_ONEDNN_B] = deq_onednn_pack(l, p, DEQ_ONEDNN_B, &weights, weights_slot, stage, ...);
 *     deq_onednn_emit(l, p, slot, stage, flops);
 */
#ifndef DEQ_BACKEND_CPU_ONEDNN_H
#define DEQ_BACKEND_CPU_ONEDNN_H

#include "graph/lower.h"

enum { DEQ_ONEDNN_RANK = DEQ_MAX_RANK + 1, DEQ_ONEDNN_POSTS = 6 };

/* A tensor of floats.  `any`: the library chooses how it lies in memory, stride is not read. */
typedef struct deq_onednn_tensor {
    int rank;
    int64_t dim[DEQ_ONEDNN_RANK], stride[DEQ_ONEDNN_RANK]; /* strides in elements */
    bool any;
} deq_onednn_tensor;

/* The arguments of a primitive, by their place in the equation result = a * b + bias. */
typedef enum deq_onednn_part {
    DEQ_ONEDNN_A,
    DEQ_ONEDNN_B,
    DEQ_ONEDNN_RESULT,
    DEQ_ONEDNN_BIAS,
    DEQ_ONEDNN_SCRATCH,
    DEQ_ONEDNN_POST, /* the operand of post-operation i is DEQ_ONEDNN_POST + i */
    DEQ_ONEDNN_PARTS = DEQ_ONEDNN_POST + DEQ_ONEDNN_POSTS
} deq_onednn_part;

/*   kind                     a      b      result
 *   CONVOLUTION              x      w      y
 *   CONVOLUTION_BACKWARD     dy     w      dx
 *   CONVOLUTION_WEIGHTS      x      dy     dw
 *   MATMUL                   A      B      A B
 *   REORDER                  any    -      a copy   */
typedef enum deq_onednn_kind {
    DEQ_ONEDNN_CONVOLUTION,
    DEQ_ONEDNN_CONVOLUTION_BACKWARD,
    DEQ_ONEDNN_CONVOLUTION_WEIGHTS,
    DEQ_ONEDNN_MATMUL,
    DEQ_ONEDNN_REORDER
} deq_onednn_kind;

/* An operand of the epilogue: where it comes from and how it is read. */
typedef struct deq_onednn_operand {
    deq_value value;
    bool full; /* of the result's shape, else one number for each channel or one altogether */
    deq_onednn_tensor tensor;
} deq_onednn_operand;

/* v <- alpha v + beta (code DEQ_EW_NONE), v <- f(v) or v <- v op operand. */
typedef struct deq_onednn_post {
    int code; /* DEQ_EW_* */
    float alpha, beta;
    deq_onednn_operand operand; /* of the binary ones */
} deq_onednn_post;

typedef struct deq_onednn_spec {
    deq_onednn_kind kind;
    deq_onednn_tensor a, b, result;
    int64_t stride[2], padding[2], dilation[2]; /* of convolutions; dilation 1 is dense */
    const char *prefer; /* begin of the name of a preferred implementation, or NULL */
    int threads;        /* the primitive runs on exactly so many */
    int channel;        /* the axis of the result that a bias belongs to */
    bool has_bias;      /* bias.tensor: [channels] for a convolution, of result's rank else */
    deq_onednn_operand bias;
    int n_posts;
    deq_onednn_post post[DEQ_ONEDNN_POSTS];
} deq_onednn_spec;

/* A primitive that is ready to run. */
typedef struct deq_onednn deq_onednn;

/* How good the implementation is that the library has for a spec. */
typedef enum deq_onednn_grade {
    DEQ_ONEDNN_NONE,      /* none */
    DEQ_ONEDNN_REFERENCE, /* plain loops */
    DEQ_ONEDNN_GEMM,      /* by way of a matrix product */
    DEQ_ONEDNN_TUNED      /* made for this operation */
} deq_onednn_grade;
deq_onednn_grade deq_onednn_probe(const deq_onednn_spec *spec);

/* Row-major strides. */
deq_onednn_tensor deq_onednn_dense(int rank, const int64_t *dim);

deq_status deq_onednn_new(deq_lowering *l, deq_onednn **out, const deq_onednn_spec *spec);
void deq_onednn_free(deq_onednn *p); /* only of a primitive that was not emitted */

/* The slot to give as `part` for data that lies in slot `from` as `tensor` says: `from` itself, or
 * a packed copy made by a step of `stage` (shared by all who ask for the same).  -1 with *status. */
int deq_onednn_pack(deq_lowering *l, const deq_onednn *p, deq_onednn_part part,
                    const deq_onednn_tensor *tensor, int from, deq_stage stage, deq_status *status);
/* A reorder that brings data from how p's part lies in memory to how `tensor` says; NULL when that
 * is the same.  For results: p writes to a slot of deq_onednn_bytes(), the reorder reads it. */
deq_status deq_onednn_unpack(deq_lowering *l, deq_onednn **out, const deq_onednn *p,
                             deq_onednn_part part, const deq_onednn_tensor *tensor);
size_t deq_onednn_bytes(const deq_onednn *p, deq_onednn_part part);

/* Append the step; p belongs to it from now on, whatever is returned.  slot[i] < 0: no such part;
 * scratch memory is taken care of. */
deq_status deq_onednn_emit(deq_lowering *l, deq_onednn *p, const int *slot, deq_stage stage,
                           double flops);

/* "2.6.3", and the name of the instruction set that the library uses, e.g. "avx512_core". */
void deq_onednn_version(char *buffer, size_t capacity);
const char *deq_onednn_isa(void);

/* Translation of epilogues (epilogue.c). */

/* Append the nodes of the group behind its anchor, and `node` unless it is -1, to the chain.  False
 * when the library cannot express them exactly enough. */
bool deq_onednn_epilogue(deq_onednn_spec *spec, const deq_lowering *l, const deq_group *group,
                         int node);
/* Where to read bias and operands; full-size ones in `layout`.  Fills slot[BIAS], slot[POST + i] */
void deq_onednn_read_operands(deq_lowering *l, const deq_onednn_spec *spec, deq_layout layout,
                              int *slot, deq_status *status);

#endif
