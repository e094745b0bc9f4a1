/* SPDX-License-Identifier: MIT */
/* The CPU backend: which kernel computes which group. */
#include "graph/lower.h"

#include <string.h>

static bool is_anchor(const deq_lowering *l, const deq_node *node)
{
    (void)l, (void)node;
    return false;
}

static bool takes(const deq_lowering *l, const deq_group *group, int node)
{
    (void)l, (void)group, (void)node;
    return false;
}

static bool channels_last(const deq_lowering *l, const deq_group *group, bool inputs_are)
{
    (void)l, (void)group, (void)inputs_are;
    return false;
}

static deq_status lower(deq_lowering *l, const deq_group *group, bool *done)
{
    (void)l, (void)group;
    *done = false;
    return DEQ_OK;
}

static void copy(const deq_type *type, void *dst, deq_layout dst_layout, const void *src,
                 deq_layout src_layout, int threads)
{
    (void)dst_layout, (void)src_layout, (void)threads;
    memcpy(dst, src, deq_type_bytes(type));
}

typedef struct copy_step {
    deq_type type;
    int dst, src, threads;
    deq_layout dst_layout, src_layout;
} copy_step;

static deq_status run_copy(void *self, void *const *slot, char *message)
{
    const copy_step *c = self;
    (void)message;
    copy(&c->type, slot[c->dst], c->dst_layout, slot[c->src], c->src_layout, c->threads);
    return DEQ_OK;
}

static deq_status lower_copy(deq_lowering *l, const deq_type *type, int dst, deq_layout dst_layout,
                             int src, deq_layout src_layout, deq_stage stage)
{
    copy_step *c = deq_lower_alloc(l, sizeof *c);
    if (!c) return DEQ_ERR_NOMEM;
    *c = (copy_step){ *type, dst, src, l->threads, dst_layout, src_layout };
    double bytes = 2 * (double)deq_type_bytes(type);
    deq_step step = { .run = run_copy,
                      .self = c,
                      .stage = stage,
                      .n_reads = 1,
                      .n_writes = 1,
                      .reads = &src,
                      .writes = &dst,
                      .bytes = bytes,
                      .kernel = dst_layout == src_layout ? "copy" : "reorder" };
    return deq_lower_step(l, &step);
}

const deq_backend deq_backend_cpu = {
    .name = "cpu",
    .is_anchor = is_anchor,
    .takes_epilogue = takes,
    .takes_prologue = takes,
    .channels_last = channels_last,
    .lower = lower,
    .lower_copy = lower_copy,
    .copy = copy,
};
