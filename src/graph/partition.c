/* SPDX-License-Identifier: MIT */
/*
 * Partition of the nodes into groups that one kernel computes.
 *
 * Nodes are visited in topological order.  An element-wise node joins a group that computes one of
 * its inputs: the epilogue of an anchor (a convolution, a matrix product, a normalisation) if the
 * backend takes it, else an element-wise group of the same shape.  When a node ties two element-wise
 * groups together, they become one.  An anchor draws the element-wise group of its first input in as
 * its prologue.  All nodes of a group belong to one stage.
 *
 * Groups must run one after another, so the graph of groups must stay acyclic: a node may join G
 * only if none of its other inputs depends on G, and two groups may merge only if no third lies on a
 * path between them.
 */
#include "graph/program_internal.h"

typedef struct draft {
    deq_group group; /* nodes, anchor, stage; inputs and outputs come last */
    size_t capacity; /* of group.nodes */
    bool fusible;    /* element-wise, or anchored by a kernel with an epilogue */
    bool many_outputs;
    bool merged;    /* into another group: no longer there */
    int last;       /* highest node */
    int waiting;    /* groups that must run before, while ordering */
    unsigned visit; /* stamp of the last search */
} draft;

typedef struct partition {
    const deq_lowering *l;
    const deq_graph *g;
    const deq_backend *backend;
    deq_arena *arena;
    draft *drafts;
    int n_drafts;
    int *draft_of; /* [node], -1 for leaves */
    int *furthest; /* [node k] the highest node of any group that has a node up to k */
    int *stack;    /* for searches */
    unsigned stamp;
    bool nomem;
} partition;

static bool is_leaf(const deq_op *op)
{
    return op == &deq_op_input || op == &deq_op_parameter || op == &deq_op_fill ||
           op == &deq_op_constant;
}

static int producer(const partition *p, deq_value v)
{
    return deq_is(v) ? p->g->values[v.id].node : -1;
}

/* The group that computes a value, or -1. */
static int draft_of_value(const partition *p, deq_value v)
{
    int node = producer(p, v);
    return node < 0 ? -1 : p->draft_of[node];
}

static const deq_shape *shape_of(const partition *p, deq_value v)
{
    return &deq_type_of(p->g, v)->shape;
}

/* Does d, with all that it depends on, end before node `earliest`?  Then it cannot depend on a group
 * that begins there.  That d itself does is not enough: a group that it reads from may have grown
 * beyond. */
static bool all_end_before(const partition *p, int d, int earliest)
{
    int end = p->drafts[d].last;
    while (end < earliest && p->furthest[end] > end) end = p->furthest[end];
    return end < earliest;
}

/* Does group `from` depend on group `on` through at least one other group?  (Directly is fine.) */
static bool depends_through_others(partition *p, int from, int on)
{
    int n = 0;
    unsigned stamp = ++p->stamp;
    int earliest = p->drafts[on].group.nodes[0];
    p->stack[n++] = from;
    p->drafts[from].visit = stamp;
    while (n > 0) {
        int at = p->stack[--n];
        const deq_group *grp = &p->drafts[at].group;
        for (int k = 0; k < grp->n_nodes; k++) {
            const deq_node *node = &p->g->nodes[grp->nodes[k]];
            for (int i = 0; i < node->n_in; i++) {
                int d = draft_of_value(p, node->in[i]);
                if (d < 0 || d == at) continue;
                if (d == on) {
                    if (at != from) return true;
                    continue;
                }
                if (p->drafts[d].visit == stamp || all_end_before(p, d, earliest)) continue;
                p->drafts[d].visit = stamp;
                p->stack[n++] = d;
            }
        }
    }
    return false;
}

/* Would the new group `alone`, put into `into`, close a cycle? */
static bool may_merge(partition *p, int alone, int into)
{
    return !depends_through_others(p, alone, into) && !depends_through_others(p, into, alone);
}

/* Making groups ------------------------------------------------------------------------------ */

static bool add_node(partition *p, int d, int node)
{
    draft *t = &p->drafts[d];
    if ((size_t)t->group.n_nodes == t->capacity) {
        size_t larger = t->capacity ? 2 * t->capacity : 4;
        int *nodes = deq_arena_alloc(p->arena, larger * sizeof *nodes);
        if (!nodes) {
            p->nomem = true;
            return false;
        }
        for (int i = 0; i < t->group.n_nodes; i++) nodes[i] = t->group.nodes[i];
        t->group.nodes = nodes;
        t->capacity = larger;
    }
    int at = t->group.n_nodes++; /* keep them ascending */
    for (; at > 0 && t->group.nodes[at - 1] > node; at--)
        t->group.nodes[at] = t->group.nodes[at - 1];
    t->group.nodes[at] = node;
    if (node > t->last) t->last = node;
    for (int k = t->group.nodes[0]; k <= t->last; k++)
        if (p->furthest[k] < t->last) p->furthest[k] = t->last;
    p->draft_of[node] = d;
    return true;
}

static int new_draft(partition *p, int node, bool fusible)
{
    int d = p->n_drafts++;
    p->drafts[d] = (draft){ .group = { .anchor = -1, .stage = p->g->nodes[node].stage },
                            .fusible = fusible };
    return add_node(p, d, node) ? d : -1;
}

static void merge(partition *p, int from, int into)
{
    for (int i = 0; i < p->drafts[from].group.n_nodes; i++)
        if (!add_node(p, into, p->drafts[from].group.nodes[i])) return;
    p->drafts[from].merged = true;
}

/* Joining ------------------------------------------------------------------------------------ */

/* The shape that a group iterates over: of its anchor's first output, or of any of its nodes. */
static const deq_shape *iteration_shape(const partition *p, const draft *t)
{
    int node = t->group.anchor >= 0 ? t->group.anchor : t->group.nodes[0];
    return shape_of(p, deq_node_out(&p->g->nodes[node], 0));
}

/* Does `node` continue from the anchor or epilogue of the group, as graph/lower.h promises? */
static bool continues_epilogue(const partition *p, int node, int d)
{
    const draft *t = &p->drafts[d];
    const deq_node *n = &p->g->nodes[node];
    bool any = false;
    for (int i = 0; i < n->n_in; i++) {
        if (draft_of_value(p, n->in[i]) != d) continue;
        if (producer(p, n->in[i]) < t->group.anchor) return false;
        if (!t->many_outputs && (p->l->uses[n->in[i].id] != 1 || producer(p, n->in[i]) != t->last))
            return false;
        any = true;
    }
    return any;
}

/* May element-wise `node`, now alone in group `alone`, join group `d`? */
static bool may_join(partition *p, int node, int alone, int d)
{
    const draft *t = &p->drafts[d];
    const deq_node *n = &p->g->nodes[node];
    if (d == alone || !t->fusible || t->group.stage != n->stage) return false;
    if (!deq_shape_equal(iteration_shape(p, t), shape_of(p, deq_node_out(n, 0)))) return false;
    if (t->group.anchor >= 0 &&
        (!continues_epilogue(p, node, d) || !p->backend->takes_epilogue(p->l, &t->group, node)))
        return false;
    return may_merge(p, alone, d);
}

/* Anchored groups first: an epilogue saves a pass over memory. */
static void place_elementwise(partition *p, int node)
{
    const deq_node *n = &p->g->nodes[node];
    int mine = new_draft(p, node, true);
    for (int anchored = 1; anchored >= 0 && mine >= 0; anchored--)
        for (int i = 0; i < n->n_in; i++) {
            int d = draft_of_value(p, n->in[i]);
            if (d < 0 || (p->drafts[d].group.anchor >= 0) != anchored) continue;
            if (!may_join(p, node, mine, d)) continue;
            merge(p, mine, d);
            if (anchored || p->nomem) return; /* no merging across anchors */
            mine = d;                         /* ties with further element-wise groups */
        }
}

static void draw_prologue(partition *p, int anchor, int mine)
{
    const deq_node *n = &p->g->nodes[anchor];
    int d = n->n_in ? draft_of_value(p, n->in[0]) : -1;
    if (d < 0) return;
    draft *t = &p->drafts[d];
    if (!t->fusible || t->group.anchor >= 0 || t->group.stage != n->stage) return;
    if (!deq_shape_equal(iteration_shape(p, t), shape_of(p, n->in[0]))) return;
    for (int i = 0; i < t->group.n_nodes; i++)
        if (!p->backend->takes_prologue(p->l, &p->drafts[mine].group, t->group.nodes[i])) return;
    if (may_merge(p, mine, d)) merge(p, d, mine);
}

static void place_anchor(partition *p, int node)
{
    int mine = new_draft(p, node, true);
    if (mine < 0) return;
    p->drafts[mine].group.anchor = node;
    p->drafts[mine].many_outputs = p->backend->many_outputs(p->l, &p->g->nodes[node]);
    if (p->l->options->fuse) draw_prologue(p, node, mine);
    p->drafts[mine].fusible = p->l->options->fuse;
}

static void place(partition *p, int node)
{
    const deq_op *op = p->g->nodes[node].op;
    if (is_leaf(op)) return;
    if (op->elementwise && p->l->options->tuned &&
        p->backend->takes_elementwise(p->l, &p->g->nodes[node])) {
        if (p->l->options->fuse)
            place_elementwise(p, node);
        else
            (void)new_draft(p, node, false);
    } else if (!deq_is_alias(op) && p->backend->is_anchor(p->l, &p->g->nodes[node])) {
        place_anchor(p, node);
    } else {
        int d = new_draft(p, node, false);
        if (d >= 0) p->drafts[d].group.anchor = node;
    }
}

/* Inputs, outputs, order --------------------------------------------------------------------- */

static bool contains(const deq_value *list, int n, deq_value v)
{
    for (int i = 0; i < n; i++)
        if (list[i].id == v.id) return true;
    return false;
}

static void collect_inputs(const partition *p, int d)
{
    deq_group *grp = &p->drafts[d].group;
    for (int k = 0; k < grp->n_nodes; k++) {
        const deq_node *n = &p->g->nodes[grp->nodes[k]];
        for (int i = 0; i < n->n_in; i++)
            if (deq_is(n->in[i]) && draft_of_value(p, n->in[i]) != d &&
                !contains(grp->inputs, grp->n_inputs, n->in[i]))
                grp->inputs[grp->n_inputs++] = n->in[i];
    }
}

/* Values with more uses than the group itself has for them. */
static void collect_outputs(const partition *p, int d)
{
    deq_group *grp = &p->drafts[d].group;
    for (int k = 0; k < grp->n_nodes; k++) {
        const deq_node *n = &p->g->nodes[grp->nodes[k]];
        for (int o = 0; o < n->n_out; o++) {
            deq_value v = deq_node_out(n, o);
            int inside = 0;
            for (int j = k + 1; j < grp->n_nodes; j++) {
                const deq_node *user = &p->g->nodes[grp->nodes[j]];
                for (int i = 0; i < user->n_in; i++) inside += user->in[i].id == v.id;
            }
            if (p->l->uses[v.id] > inside) grp->outputs[grp->n_outputs++] = v;
        }
    }
}

static bool collect_ends(partition *p, int d)
{
    deq_group *grp = &p->drafts[d].group;
    size_t n_in = 0, n_out = 0;
    for (int k = 0; k < grp->n_nodes; k++) {
        n_in += (size_t)p->g->nodes[grp->nodes[k]].n_in;
        n_out += (size_t)p->g->nodes[grp->nodes[k]].n_out;
    }
    grp->inputs = deq_arena_alloc(p->arena, (n_in + 1) * sizeof *grp->inputs);
    grp->outputs = deq_arena_alloc(p->arena, (n_out + 1) * sizeof *grp->outputs);
    if (!grp->inputs || !grp->outputs) return false;
    collect_inputs(p, d);
    collect_outputs(p, d);
    return true;
}

/* Of the groups whose inputs are there, the one that ends first in the order of the nodes. */
static int next_ready(const partition *p, const bool *done)
{
    int best = -1;
    for (int d = 0; d < p->n_drafts; d++) {
        if (p->drafts[d].merged || done[d]) continue;
        if (best >= 0 && p->drafts[d].last >= p->drafts[best].last) continue;
        bool ready = true;
        for (int i = 0; ready && i < p->drafts[d].group.n_inputs; i++) {
            int on = draft_of_value(p, p->drafts[d].group.inputs[i]);
            ready = on < 0 || done[on];
        }
        if (ready) best = d;
    }
    return best;
}

static deq_status order_groups(partition *p, deq_group **groups, int *n_groups)
{
    bool *done = deq_arena_alloc(p->arena, (size_t)p->n_drafts + 1);
    deq_group *all = deq_arena_alloc(p->arena, ((size_t)p->n_drafts + 1) * sizeof *all);
    if (!done || !all) return DEQ_ERR_NOMEM;
    for (int d = 0; d < p->n_drafts; d++)
        if (!p->drafts[d].merged && !collect_ends(p, d)) return DEQ_ERR_NOMEM;
    int n = 0;
    for (int d; (d = next_ready(p, done)) >= 0; done[d] = true) all[n++] = p->drafts[d].group;
    *groups = all;
    *n_groups = n;
    return DEQ_OK;
}

deq_status deq_partition(deq_group **groups, int *n_groups, deq_arena *arena, const deq_lowering *l,
                         const deq_backend *backend)
{
    deq_context *ctx = l->ctx;
    size_t n = l->g->n_nodes + 1;
    partition p = { .l = l, .g = l->g, .backend = backend, .arena = arena };
    p.drafts = deq_alloc_array(ctx, n, sizeof *p.drafts);
    p.draft_of = deq_alloc_array(ctx, n, sizeof *p.draft_of);
    p.furthest = deq_alloc_array(ctx, n, sizeof *p.furthest);
    p.stack = deq_alloc_array(ctx, n, sizeof *p.stack);
    deq_status status = DEQ_ERR_NOMEM;
    if (p.drafts && p.draft_of && p.furthest && p.stack) {
        for (size_t k = 0; k < n; k++) p.draft_of[k] = -1;
        for (size_t k = 0; k < l->g->n_nodes && !p.nomem; k++) place(&p, (int)k);
        if (!p.nomem) status = order_groups(&p, groups, n_groups);
    }
    deq_release(ctx, p.drafts, n * sizeof *p.drafts);
    deq_release(ctx, p.draft_of, n * sizeof *p.draft_of);
    deq_release(ctx, p.furthest, n * sizeof *p.furthest);
    deq_release(ctx, p.stack, n * sizeof *p.stack);
    return status;
}
