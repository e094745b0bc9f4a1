/* SPDX-License-Identifier: MIT */
/* Graphs: storage, the adding of nodes, sticky errors. */
#include "graph/graph.h"

#include "base/text.h"

#include <string.h>

static const deq_value invalid = { -1 };

deq_status deq_graph_new(deq_graph **out, deq_context *ctx)
{
    *out = NULL;
    deq_graph *g = deq_alloc(ctx, sizeof *g);
    if (!g) return DEQ_ERR_NOMEM;
    g->ctx = ctx;
    g->n_values = 1; /* value 0 is DEQ_NONE */
    deq_arena_init(&g->arena, ctx);
    *out = g;
    return DEQ_OK;
}

void deq_graph_drop_nodes(deq_graph *g, size_t n_nodes)
{
    while (g->n_nodes > n_nodes) {
        const deq_node *n = &g->nodes[--g->n_nodes];
        g->n_values -= (size_t)n->n_out;
        if (n->op->release) n->op->release(n->attr);
    }
}

void deq_graph_free(deq_graph *g)
{
    if (!g) return;
    deq_context *ctx = g->ctx;
    deq_graph_drop_nodes(g, 0);
    deq_arena_free(&g->arena);
    deq_release(ctx, g->nodes, g->nodes_capacity * sizeof *g->nodes);
    deq_release(ctx, g->values, g->values_capacity * sizeof *g->values);
    deq_release(ctx, g, sizeof *g);
}

deq_status deq_graph_status(const deq_graph *g)
{
    return g->status;
}

const char *deq_graph_error(const deq_graph *g)
{
    return g->message;
}

deq_value deq_graph_fail(deq_graph *g, deq_status status, const char *format, ...)
{
    if (g->status != DEQ_OK) return invalid; /* the first mistake is the one that counts */
    va_list args;
    va_start(args, format);
    g->status = deq_vfail(g->ctx, status, format, args);
    va_end(args);
    memcpy(g->message, deq_last_error(g->ctx), sizeof g->message);
    return invalid;
}

/* Out of memory: the allocator has already left its message in the context. */
static deq_value graph_nomem(deq_graph *g)
{
    return deq_graph_fail(g, DEQ_ERR_NOMEM, "%s", deq_last_error(g->ctx));
}

deq_type deq_value_type(const deq_graph *g, deq_value v)
{
    return deq_is_valid(g, v) ? *deq_type_of(g, v) : (deq_type){ 0 };
}

deq_value deq_name(deq_graph *g, deq_value v, const char *name)
{
    if (g->status != DEQ_OK || !deq_is_valid(g, v)) return v;
    char *copy = deq_arena_strdup(&g->arena, name);
    if (!copy) return graph_nomem(g);
    g->values[v.id].name = copy;
    return v;
}

bool deq_check_type(deq_graph *g, const char *what, const deq_type *type)
{
    const deq_shape *s = &type->shape;
    size_t bytes = deq_dtype_size(type->dtype);
    if (!bytes) {
        deq_graph_fail(g, DEQ_ERR_DTYPE, "%s: %d is not a dtype", what, (int)type->dtype);
        return false;
    }
    if (s->rank < 0 || s->rank > DEQ_MAX_RANK) {
        deq_graph_fail(g, DEQ_ERR_SHAPE, "%s: rank %d, expected 0 to %d", what, s->rank,
                       DEQ_MAX_RANK);
        return false;
    }
    for (int i = 0; i < s->rank; i++) {
        char text[256];
        if (s->dim[i] < 1) {
            deq_graph_fail(g, DEQ_ERR_SHAPE,
                           "%s: extent %lld at axis %d of %s, expected at least 1", what,
                           (long long)s->dim[i], i, deq_type_format(text, sizeof text, type));
            return false;
        }
        if (!deq_size_mul(&bytes, bytes, (size_t)s->dim[i])) {
            deq_graph_fail(g, DEQ_ERR_OVERFLOW, "%s: %s has more bytes than memory can address",
                           what, deq_type_format(text, sizeof text, type));
            return false;
        }
    }
    return true;
}

void deq_text_add_value(deq_text *t, const deq_graph *g, deq_value v)
{
    if (!deq_is_valid(g, v)) {
        deq_text_add(t, "absent");
        return;
    }
    char type[256];
    if (g->values[v.id].name) deq_text_add(t, "'%s' ", g->values[v.id].name);
    deq_text_add(t, "%s", deq_type_format(type, sizeof type, deq_type_of(g, v)));
}

/* "conv2d: x has 3 channels, w expects 5 (inputs: 'image' f32 [..], f32 [..])" */
static void fail_with_inputs(deq_graph *g, const deq_op *op, deq_status status, const char *message,
                             const deq_value *in, int n_in)
{
    char data[DEQ_MESSAGE_BYTES];
    deq_text t = { data, sizeof data, 0 };
    deq_text_add(&t, "%s: %s", op->name, message);
    for (int i = 0; i < n_in; i++) {
        deq_text_add(&t, i ? ", " : " (inputs: ");
        deq_text_add_value(&t, g, in[i]);
    }
    if (n_in) deq_text_add(&t, ")");
    deq_graph_fail(g, status, "%s", data);
}

/* Inputs must belong to the graph; the result of a mistake passes through silently because the
 * graph is marked already. */
static bool check_inputs(deq_graph *g, const deq_op *op, const deq_value *in, int n_in)
{
    for (int i = 0; i < n_in; i++)
        if (in[i].id < 0 || (size_t)in[i].id >= g->n_values) {
            deq_graph_fail(g, DEQ_ERR_ARGUMENT, "%s: input %d is not a value of this graph",
                           op->name, i);
            return false;
        }
    return true;
}

static deq_stage stage_of_inputs(const deq_graph *g, const deq_value *in, int n_in)
{
    deq_stage stage = DEQ_STAGE_CONSTANT;
    for (int i = 0; i < n_in; i++)
        if (deq_is(in[i]) && deq_node_of(g, in[i])->stage > stage)
            stage = deq_node_of(g, in[i])->stage;
    return stage;
}

/* Run the shape rule; r->out holds the outputs' types afterwards. */
static bool infer(deq_graph *g, const deq_op *op, deq_shape_rule *r, const deq_value *in)
{
    deq_type *types = deq_alloc_array(g->ctx, (size_t)r->n_in + 1, sizeof *types);
    if (!types) {
        graph_nomem(g);
        return false;
    }
    for (int i = 0; i < r->n_in; i++)
        if (deq_is(in[i])) types[i] = *deq_type_of(g, in[i]);
    r->in = types;
    bool ok = op->infer(r);
    r->in = NULL;
    deq_release(g->ctx, types, ((size_t)r->n_in + 1) * sizeof *types);
    if (!ok)
        fail_with_inputs(g, op, r->status ? r->status : DEQ_ERR_SHAPE, r->message, in, r->n_in);
    for (int o = 0; ok && o < r->n_out; o++) ok = deq_check_type(g, op->name, &r->out[o]);
    return ok;
}

/* Append the node; everything has been checked. */
static bool append(deq_graph *g, const deq_op *op, const void *attr, size_t attr_bytes,
                   const deq_value *in, const deq_shape_rule *r)
{
    deq_node n = { .op = op,
                   .attr_bytes = attr_bytes,
                   .n_in = r->n_in,
                   .n_out = r->n_out,
                   .first_out = (int32_t)g->n_values,
                   .stage = stage_of_inputs(g, in, r->n_in) };
    n.attr = deq_arena_copy(&g->arena, attr, attr_bytes);
    n.in = deq_arena_copy(&g->arena, in, (size_t)r->n_in * sizeof *in);
    if (!n.attr || !n.in ||
        deq_grow(g->ctx, (void **)&g->nodes, &g->nodes_capacity, g->n_nodes + 1, sizeof n) ||
        deq_grow(g->ctx, (void **)&g->values, &g->values_capacity, g->n_values + (size_t)r->n_out,
                 sizeof *g->values)) {
        graph_nomem(g);
        return false;
    }
    if (op == &deq_op_input) n.stage = ((const deq_input_attr *)attr)->stage;
    if (op == &deq_op_parameter) n.stage = DEQ_STAGE_PARAMETER;
    g->nodes[g->n_nodes] = n;
    if (op->retain) op->retain(n.attr);
    for (int o = 0; o < r->n_out; o++)
        g->values[g->n_values++] = (deq_value_info){ .node = (int32_t)g->n_nodes,
                                                     .type = r->out[o] };
    g->n_nodes++;
    return true;
}

void deq_emit(deq_graph *g, const deq_op *op, const void *attr, size_t attr_bytes,
              const deq_value *in, int n_in, deq_value *out, int n_out)
{
    for (int o = 0; o < n_out; o++) out[o] = invalid;
    if (g->status != DEQ_OK || !check_inputs(g, op, in, n_in)) return;
    deq_shape_rule r = { .attr = attr, .n_in = n_in, .n_out = op->n_out };
    if (!infer(g, op, &r, in)) return;
    if (!append(g, op, attr, attr_bytes, in, &r)) return;
    const deq_node *n = &g->nodes[g->n_nodes - 1];
    for (int o = 0; o < n_out && o < n->n_out; o++) out[o] = deq_node_out(n, o);
}

deq_value deq_emit1(deq_graph *g, const deq_op *op, const void *attr, size_t attr_bytes,
                    const deq_value *in, int n_in)
{
    deq_value out;
    deq_emit(g, op, attr, attr_bytes, in, n_in, &out, 1);
    return out;
}

void deq_node_types(const deq_graph *g, const deq_node *n, deq_type *in, deq_type *out)
{
    for (int i = 0; i < n->n_in; i++)
        in[i] = deq_is(n->in[i]) ? *deq_type_of(g, n->in[i]) : (deq_type){ 0 };
    for (int o = 0; o < n->n_out; o++) out[o] = *deq_type_of(g, deq_node_out(n, o));
}
