/* SPDX-License-Identifier: MIT */
/*
 * The CPU backend from inside.  Each kernel family answers for its operators: what can be fused into
 * it, which layout it wants, and which steps compute it.
 */
#ifndef DEQ_BACKEND_CPU_CPU_H
#define DEQ_BACKEND_CPU_CPU_H

#include "graph/lower.h"

typedef struct deq_cpu_kernel {
    const deq_op *op;
    /* Does the kernel take this node (dtype, shapes, attributes) at all? */
    bool (*supports)(const deq_lowering *l, const deq_node *node);
    bool many_outputs; /* can store any value of its group; else only the last one computed */
    /* May element-wise `node` join the epilogue of the group?  NULL: never.  See graph/lower.h for
     * what has been checked before. */
    bool (*takes_epilogue)(const deq_lowering *l, const deq_group *group, int node);
    /* May element-wise `node` be computed while the anchor reads its first input?  NULL: never. */
    bool (*takes_prologue)(const deq_lowering *l, const deq_group *group, int node);
    /* Does the group want its rank-4 f32 inputs and write its outputs channels-last?  NULL: no.
     * Answering true obliges lower() to do so. */
    bool (*channels_last)(const deq_lowering *l, const deq_group *group, bool inputs_are);
    /* Emit the steps. */
    deq_status (*lower)(deq_lowering *l, const deq_group *group);
} deq_cpu_kernel;

/* Convolutions and matrix products through oneDNN (convolution.c, matmul.c). */
extern const deq_cpu_kernel deq_cpu_conv2d, deq_cpu_conv2d_input_grad, deq_cpu_conv2d_weight_grad;
extern const deq_cpu_kernel deq_cpu_matmul;
/* Normalisation with prologue and epilogue in one pass (normalize.c). */
extern const deq_cpu_kernel deq_cpu_normalize, deq_cpu_normalize_tangent;
/* Resizing to the nearest pixel by whole factors (resize.c). */
extern const deq_cpu_kernel deq_cpu_resize;
/* Sums over axes with prologue (reduce.c). */
extern const deq_cpu_kernel deq_cpu_sum;
/* Element-wise groups (fused.c); op is NULL, the group has no anchor. */
extern const deq_cpu_kernel deq_cpu_fused;

/* Copies between layouts (copy.c): deq_backend's copy and lower_copy. */
void deq_cpu_copy(const deq_type *type, void *dst, deq_layout dst_layout, const void *src,
                  deq_layout src_layout, int threads);
deq_status deq_cpu_lower_copy(deq_lowering *l, const deq_type *type, int dst, deq_layout dst_layout,
                              int src, deq_layout src_layout, deq_stage stage);

#endif
