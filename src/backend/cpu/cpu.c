/* SPDX-License-Identifier: MIT */
/* The CPU backend: which kernel family computes which group. */
#include "backend/cpu/cpu.h"

static const deq_cpu_kernel *const kernels[] = {
    &deq_cpu_conv2d,
    &deq_cpu_conv2d_input_grad,
    &deq_cpu_conv2d_weight_grad,
    &deq_cpu_matmul,
    &deq_cpu_normalize,
    &deq_cpu_normalize_tangent,
    &deq_cpu_resize,
    &deq_cpu_sum,
};

static const deq_cpu_kernel *kernel_of_node(const deq_lowering *l, const deq_node *node)
{
    if (!l->options->tuned) return NULL;
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++)
        if (kernels[i]->op == node->op && kernels[i]->supports(l, node)) return kernels[i];
    return NULL;
}

/* NULL: the reference kernels. */
static const deq_cpu_kernel *kernel_of_group(const deq_lowering *l, const deq_group *group)
{
    if (group->anchor >= 0) return kernel_of_node(l, &l->g->nodes[group->anchor]);
    for (int i = 0; i < group->n_nodes; i++)
        if (!deq_cpu_fused.supports(l, &l->g->nodes[group->nodes[i]])) return NULL;
    return l->options->tuned ? &deq_cpu_fused : NULL;
}

static bool is_anchor(const deq_lowering *l, const deq_node *node)
{
    return kernel_of_node(l, node) != NULL;
}

static bool many_outputs(const deq_lowering *l, const deq_node *node)
{
    const deq_cpu_kernel *k = kernel_of_node(l, node);
    return k && k->many_outputs;
}

static bool takes_elementwise(const deq_lowering *l, const deq_node *node)
{
    return l->options->tuned && deq_cpu_fused.supports(l, node);
}

static bool takes_epilogue(const deq_lowering *l, const deq_group *group, int node)
{
    const deq_cpu_kernel *k = kernel_of_group(l, group);
    return k && k->takes_epilogue && k->takes_epilogue(l, group, node);
}

static bool takes_prologue(const deq_lowering *l, const deq_group *group, int node)
{
    const deq_cpu_kernel *k = kernel_of_group(l, group);
    return k && k->takes_prologue && k->takes_prologue(l, group, node);
}

static bool channels_last(const deq_lowering *l, const deq_group *group, bool inputs_are)
{
    const deq_cpu_kernel *k = kernel_of_group(l, group);
    return k && k->channels_last && k->channels_last(l, group, inputs_are);
}

static deq_status lower(deq_lowering *l, const deq_group *group, bool *done)
{
    const deq_cpu_kernel *k = kernel_of_group(l, group);
    *done = k != NULL;
    return k ? k->lower(l, group) : DEQ_OK;
}

const deq_backend deq_backend_cpu = {
    .name = "cpu",
    .is_anchor = is_anchor,
    .many_outputs = many_outputs,
    .takes_elementwise = takes_elementwise,
    .takes_epilogue = takes_epilogue,
    .takes_prologue = takes_prologue,
    .channels_last = channels_last,
    .lower = lower,
    .lower_copy = deq_cpu_lower_copy,
    .copy = deq_cpu_copy,
};
