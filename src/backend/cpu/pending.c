/* SPDX-License-Identifier: MIT */
/* Kernel families that are not written yet: weak definitions that decline, until the real ones are linked. */
#include "backend/cpu/cpu.h"
#include <string.h>
static bool none(const deq_lowering *l, const deq_node *n)
{
    (void)l, (void)n;
    return false;
}
#define PENDING(name) __attribute__((weak)) const deq_cpu_kernel name = { .supports = none }
PENDING(deq_cpu_conv2d);
PENDING(deq_cpu_conv2d_input_grad);
PENDING(deq_cpu_conv2d_weight_grad);
PENDING(deq_cpu_matmul);
PENDING(deq_cpu_normalize);
PENDING(deq_cpu_normalize_tangent);
PENDING(deq_cpu_fused);
__attribute__((weak)) void deq_cpu_copy(const deq_type *type, void *dst, deq_layout dst_layout, const void *src, deq_layout src_layout, int threads)
{
    (void)dst_layout, (void)src_layout, (void)threads;
    memcpy(dst, src, deq_type_bytes(type));
}
typedef struct copy_step { deq_type type; int dst, src; } copy_step;
static deq_status run_copy(void *self, void *const *slot, char *message)
{
    const copy_step *c = self;
    (void)message;
    memcpy(slot[c->dst], slot[c->src], deq_type_bytes(&c->type));
    return DEQ_OK;
}
__attribute__((weak)) deq_status deq_cpu_lower_copy(deq_lowering *l, const deq_type *type, int dst, deq_layout dl, int src, deq_layout sl, deq_stage stage)
{
    (void)dl, (void)sl;
    copy_step *c = deq_lower_alloc(l, sizeof *c);
    if (!c) return DEQ_ERR_NOMEM;
    *c = (copy_step){ *type, dst, src };
    deq_step step = { .run = run_copy, .self = c, .stage = stage, .n_reads = 1, .n_writes = 1, .reads = &src, .writes = &dst, .kernel = "copy" };
    return deq_lower_step(l, &step);
}
