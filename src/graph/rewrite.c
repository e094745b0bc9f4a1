/* SPDX-License-Identifier: MIT */
/*
 * Rewriting: copies the part of a graph that the outputs depend on into a new graph, node by node,
 * and on the way
 *
 *   - applies local identities (simplify.c),
 *   - folds nodes whose inputs are all constant,
 *   - finds equal nodes: same operator, same attributes, same inputs.
 *
 * A rule may leave nodes that nobody uses behind, so the result is copied once more without rules.
 */
#include "graph/rewrite.h"

#include <string.h>

/* Constants with more elements than this are left to the CONSTANT stage of the program. */
#define FOLD_ELEMENTS 65536

/* Equal nodes -------------------------------------------------------------------------------- */

static uint64_t hash_bytes(uint64_t h, const void *data, size_t n)
{
    const unsigned char *b = data; /* FNV-1a */
    for (size_t i = 0; i < n; i++) h = (h ^ b[i]) * UINT64_C(1099511628211);
    return h;
}

static size_t bucket_of(const deq_rewriter *r, const deq_node *n)
{
    uint64_t h = UINT64_C(14695981039346656037);
    h = hash_bytes(h, &n->op, sizeof n->op);
    h = hash_bytes(h, n->attr, n->attr_bytes);
    h = hash_bytes(h, n->in, (size_t)n->n_in * sizeof *n->in);
    return (size_t)(h ^ h >> 32) & (r->n_buckets - 1);
}

static bool equal_nodes(const deq_node *a, const deq_node *b)
{
    return a->op == b->op && a->n_in == b->n_in && a->attr_bytes == b->attr_bytes &&
           memcmp(a->attr, b->attr, a->attr_bytes) == 0 &&
           memcmp(a->in, b->in, (size_t)a->n_in * sizeof *a->in) == 0;
}

static deq_status grow_buckets(deq_rewriter *r)
{
    if (r->n_entries * 2 < r->n_buckets) return DEQ_OK;
    size_t old = r->n_buckets, larger = old ? old * 2 : 256;
    int32_t *before = r->buckets;
    r->buckets = deq_alloc_array(r->g->ctx, larger, sizeof *r->buckets);
    if (!r->buckets) {
        r->buckets = before;
        return DEQ_ERR_NOMEM;
    }
    r->n_buckets = larger;
    for (size_t i = 0; i < old; i++) {
        if (!before[i]) continue;
        size_t b = bucket_of(r, &r->g->nodes[before[i] - 1]);
        while (r->buckets[b]) b = (b + 1) & (larger - 1);
        r->buckets[b] = before[i];
    }
    deq_release(r->g->ctx, before, old * sizeof *before);
    return DEQ_OK;
}

/* The node that was emitted last, or an earlier one that is equal to it. */
static const deq_node *unique_node(deq_rewriter *r)
{
    const deq_node *n = &r->g->nodes[r->g->n_nodes - 1];
    if (grow_buckets(r) != DEQ_OK) {
        deq_graph_fail(r->g, DEQ_ERR_NOMEM, "%s", deq_last_error(r->g->ctx));
        return n;
    }
    size_t b = bucket_of(r, n);
    for (; r->buckets[b]; b = (b + 1) & (r->n_buckets - 1)) {
        const deq_node *other = &r->g->nodes[r->buckets[b] - 1];
        if (!equal_nodes(n, other)) continue;
        deq_graph_drop_nodes(r->g, r->g->n_nodes - 1); /* take the newcomer back */
        return other;
    }
    r->buckets[b] = (int32_t)r->g->n_nodes;
    r->n_entries++;
    return n;
}

/* Emission ----------------------------------------------------------------------------------- */

static bool is_constant(const deq_graph *g, deq_value v)
{
    const deq_op *op = deq_node_of(g, v)->op;
    return op == &deq_op_constant || op == &deq_op_fill;
}

/* The elements of a constant or fill, in memory of the graph. */
static const void *elements_of(deq_graph *g, deq_value v)
{
    const deq_node *n = deq_node_of(g, v);
    if (n->op == &deq_op_constant) return ((const deq_constant_attr *)n->attr)->data;
    void *data = deq_arena_alloc(&g->arena, deq_type_bytes(deq_type_of(g, v)));
    deq_kernel_call call = { .attr = n->attr, .n_out = 1, .out = &data, .threads = 1 };
    if (data) (void)n->op->kernel(&call);
    return data;
}

static bool may_fold(const deq_graph *g, const deq_node *n)
{
    if (!n->op->kernel || n->n_in == 0 || n->n_out != 1 || n->op->scratch) return false;
    if (deq_shape_count(&deq_type_of(g, deq_node_out(n, 0))->shape) > FOLD_ELEMENTS) return false;
    for (int i = 0; i < n->n_in; i++) {
        if (!deq_is(n->in[i]) || !is_constant(g, n->in[i])) return false;
        if (deq_shape_count(&deq_type_of(g, n->in[i])->shape) > FOLD_ELEMENTS) return false;
    }
    return true;
}

#define FOLD_INPUTS 8

/* Compute the node now; DEQ_NONE when its kernel refuses (it will refuse again when run). */
static deq_value fold(deq_graph *g, deq_node n)
{
    deq_type in[FOLD_INPUTS], out[DEQ_MAX_OUTPUTS];
    const void *data[FOLD_INPUTS];
    char message[DEQ_MESSAGE_BYTES];
    if (n.n_in > FOLD_INPUTS) return DEQ_NONE;
    deq_node_types(g, &n, in, out);
    void *result = deq_arena_alloc(&g->arena, deq_type_bytes(&out[0]));
    bool ready = result != NULL;
    for (int i = 0; i < n.n_in; i++) {
        data[i] = elements_of(g, n.in[i]);
        ready = ready && data[i];
    }
    deq_kernel_call call = { .attr = n.attr,
                             .n_in = n.n_in,
                             .n_out = 1,
                             .in_type = in,
                             .out_type = out,
                             .in = data,
                             .out = &result,
                             .threads = 1,
                             .message = message };
    if (!ready) return deq_graph_fail(g, DEQ_ERR_NOMEM, "%s", deq_last_error(g->ctx));
    if (n.op->kernel(&call) != DEQ_OK) return DEQ_NONE;
    return deq_constant(g, out[0].dtype, out[0].shape, result);
}

/* A copy of a leaf owns what the original's attributes point to. */
static deq_value copy_leaf(deq_graph *g, const deq_node *n)
{
    if (n->op == &deq_op_input) {
        const deq_input_attr *a = n->attr;
        return deq_input(g, a->name, a->stage, a->type.dtype, a->type.shape);
    }
    const deq_constant_attr *a = n->attr;
    return deq_constant(g, a->type.dtype, a->type.shape, a->data);
}

static void rewrite_node(deq_rewriter *r, const deq_graph *from, const deq_node *n)
{
    deq_graph *g = r->g;
    deq_value out[DEQ_MAX_OUTPUTS] = { { 0 } };
    deq_value *in = deq_arena_alloc(&g->arena, ((size_t)n->n_in + 1) * sizeof *in);
    if (!in) {
        deq_graph_fail(g, DEQ_ERR_NOMEM, "%s", deq_last_error(g->ctx));
        return;
    }
    for (int i = 0; i < n->n_in; i++) in[i].id = r->map[n->in[i].id];

    if (n->op == &deq_op_input || n->op == &deq_op_constant) {
        out[0] = copy_leaf(g, n);
    } else {
        deq_value simpler = r->simplify ? deq_simplify(r, n, in) : DEQ_NONE;
        if (simpler.id != 0)
            out[0] = simpler;
        else
            deq_rewrite_emit(r, n->op, n->attr, n->attr_bytes, in, n->n_in, out, n->n_out);
    }
    for (int o = 0; o < n->n_out; o++) {
        const char *name = from->values[n->first_out + o].name;
        r->map[n->first_out + o] = out[o].id;
        if (deq_is_valid(g, out[o]) && name && !g->values[out[o].id].name)
            deq_name(g, out[o], name);
    }
}

void deq_rewrite_emit(deq_rewriter *r, const deq_op *op, const void *attr, size_t attr_bytes,
                      const deq_value *in, int n_in, deq_value *out, int n_out)
{
    deq_graph *g = r->g;
    deq_emit(g, op, attr, attr_bytes, in, n_in, out, n_out);
    if (g->status != DEQ_OK || !r->simplify) return;
    deq_node n = *unique_node(r);
    for (int o = 0; o < n_out; o++) out[o] = deq_node_out(&n, o);
    if (!may_fold(g, &n)) return;
    deq_value constant = fold(g, n);
    if (deq_is(constant)) out[0] = constant;
}

/* Passes ------------------------------------------------------------------------------------- */

static void mark_reachable(bool *mark, const deq_graph *g, const deq_value *outputs, int n)
{
    for (int i = 0; i < n; i++) mark[deq_is(outputs[i]) ? g->values[outputs[i].id].node : 0] = true;
    for (size_t k = g->n_nodes; k-- > 0;) {
        const deq_node *node = &g->nodes[k];
        for (int i = 0; mark[k] && i < node->n_in; i++)
            if (deq_is(node->in[i])) mark[g->values[node->in[i].id].node] = true;
    }
}

static deq_status pass(deq_graph **out, int32_t *map, const deq_graph *from,
                       const deq_value *outputs, int n_outputs, bool simplify)
{
    bool *reachable = NULL;
    DEQ_TRY(deq_graph_new(out, from->ctx));
    deq_rewriter r = { .g = *out, .map = map, .simplify = simplify };
    reachable = deq_alloc_array(from->ctx, from->n_nodes + 1, sizeof *reachable);
    if (reachable) {
        mark_reachable(reachable, from, outputs, n_outputs);
        for (size_t k = 0; k < from->n_nodes && r.g->status == DEQ_OK; k++)
            if (reachable[k]) rewrite_node(&r, from, &from->nodes[k]);
    }
    deq_status status = reachable ? r.g->status : DEQ_ERR_NOMEM;
    deq_release(from->ctx, reachable, (from->n_nodes + 1) * sizeof *reachable);
    deq_release(from->ctx, r.buckets, r.n_buckets * sizeof *r.buckets);
    if (status != DEQ_OK) {
        deq_graph_free(*out);
        *out = NULL;
    }
    return status;
}

/* map[v] = second[map[v]], and the outputs as values of the middle graph. */
static void compose(int32_t *map, size_t n, const int32_t *second)
{
    for (size_t v = 1; v < n; v++) map[v] = second[map[v]];
}

/* One more pass over what *out holds; the maps are composed. */
static deq_status again(deq_graph **out, int32_t *map, size_t n_map, const deq_value *outputs,
                        int n_outputs, bool simplify)
{
    deq_graph *before = *out;
    deq_context *ctx = before->ctx;
    size_t n = before->n_values;
    int32_t *second = deq_alloc_array(ctx, n, sizeof *second);
    deq_value *ends = deq_alloc_array(ctx, (size_t)n_outputs, sizeof *ends);
    deq_status status = DEQ_ERR_NOMEM;
    *out = NULL;
    if (second && ends) {
        for (int i = 0; i < n_outputs; i++) ends[i].id = map[outputs[i].id];
        status = pass(out, second, before, ends, n_outputs, simplify);
        if (status == DEQ_OK) compose(map, n_map, second);
    }
    deq_release(ctx, second, n * sizeof *second);
    deq_release(ctx, ends, (size_t)n_outputs * sizeof *ends);
    deq_graph_free(before);
    return status;
}

deq_status deq_rewrite(deq_graph **out, int32_t *map, const deq_graph *g, const deq_value *outputs,
                       int n_outputs, bool simplify)
{
    *out = NULL;
    DEQ_TRY(pass(out, map, g, outputs, n_outputs, simplify));
    if (!simplify) return DEQ_OK;
    /* What one rule makes another may take up; then drop what nobody uses any more. */
    DEQ_TRY(again(out, map, g->n_values, outputs, n_outputs, true));
    return again(out, map, g->n_values, outputs, n_outputs, false);
}
