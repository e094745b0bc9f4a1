/* SPDX-License-Identifier: MIT */
#include "graph/program_internal.h"
deq_status deq_partition(deq_group **groups, int *n_groups, deq_arena *arena, const deq_lowering *l,
                         const deq_backend *backend, const deq_value *outputs, int n_outputs,
                         const int32_t *map)
{
    (void)backend, (void)outputs, (void)n_outputs, (void)map;
    const deq_graph *g = l->g;
    deq_group *all = deq_arena_alloc(arena, (g->n_nodes + 1) * sizeof *all);
    int n = 0;
    if (!all) return DEQ_ERR_NOMEM;
    for (size_t k = 0; k < g->n_nodes; k++) {
        const deq_node *node = &g->nodes[k];
        if (node->op == &deq_op_input || node->op == &deq_op_parameter ||
            node->op == &deq_op_fill || node->op == &deq_op_constant)
            continue;
        deq_group *grp = &all[n++];
        int *nodes = deq_arena_alloc(arena, sizeof *nodes);
        deq_value *v = deq_arena_alloc(arena, (size_t)(node->n_in + node->n_out) * sizeof *v);
        if (!nodes || !v) return DEQ_ERR_NOMEM;
        nodes[0] = (int)k;
        *grp = (deq_group){ .nodes = nodes, .n_nodes = 1, .anchor = (int)k, .stage = node->stage };
        grp->inputs = v;
        for (int i = 0; i < node->n_in; i++)
            if (deq_is(node->in[i])) v[grp->n_inputs++] = node->in[i];
        grp->outputs = v + node->n_in;
        for (int o = 0; o < node->n_out; o++)
            grp->outputs[grp->n_outputs++] = deq_node_out(node, o);
    }
    *groups = all;
    *n_groups = n;
    return DEQ_OK;
}
