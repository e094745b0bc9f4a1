/* SPDX-License-Identifier: MIT */
/*
 * Derivatives, graph to graph.
 *
 * Reverse (vjp): walk the nodes backwards and add up, for every value v that depends on an input,
 * its cotangent  dv = sum over uses  dy . dy/dv.
 * Forward (jvp): walk the nodes forwards and push tangents  dy = sum over inputs  dy/dv . dv.
 *
 * Both emit only nodes on a path from the inputs to the outputs.  The nodes they emit come after
 * the nodes they visit, so the walk is over the graph as it was.
 */
#include "graph/graph.h"

#include "base/text.h"

#include <deq/op.h>
#include <string.h>

static bool is_float(deq_dtype d)
{
    return d == DEQ_F32 || d == DEQ_F64;
}

deq_value deq_add_maybe(deq_graph *g, deq_value a, deq_value b)
{
    if (a.id == 0) return b;
    if (b.id == 0) return a;
    return deq_add(g, a, b);
}

static deq_value zeros(deq_graph *g, deq_value like)
{
    deq_type t = deq_value_type(g, like);
    return deq_fill(g, t.dtype, t.shape, 0.0);
}

/* Arguments of either mode: values of this graph, of a floating dtype. */
static bool check_values(deq_graph *g, const char *what, const char *list, const deq_value *v,
                         int n)
{
    if (g->status != DEQ_OK) return false;
    if (n < 1 || !v) {
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "%s: no %s given", what, list);
        return false;
    }
    for (int i = 0; i < n; i++) {
        if (!deq_is_valid(g, v[i])) {
            deq_graph_fail(g, DEQ_ERR_ARGUMENT, "%s: %s[%d] is not a value of this graph", what,
                           list, i);
            return false;
        }
        if (!is_float(deq_type_of(g, v[i])->dtype)) {
            char text[256];
            deq_graph_fail(g, DEQ_ERR_DTYPE, "%s: %s[%d] is %s, expected f32 or f64", what, list, i,
                           deq_type_format(text, sizeof text, deq_type_of(g, v[i])));
            return false;
        }
    }
    return true;
}

/* A given tangent or cotangent must have the type of its value; DEQ_NONE is zero. */
static bool check_directions(deq_graph *g, const char *what, const char *list, const deq_value *v,
                             const deq_value *d, int n)
{
    for (int i = 0; i < n; i++) {
        if (d[i].id == 0) continue;
        if (!deq_is_valid(g, d[i])) {
            deq_graph_fail(g, DEQ_ERR_ARGUMENT, "%s: %s[%d] is not a value of this graph", what,
                           list, i);
            return false;
        }
        deq_type a = deq_value_type(g, v[i]), b = deq_value_type(g, d[i]);
        if (a.dtype == b.dtype && deq_shape_equal(&a.shape, &b.shape)) continue;
        char ta[256], tb[256];
        deq_graph_fail(g, DEQ_ERR_SHAPE, "%s: %s[%d] is %s, its value is %s", what, list, i,
                       deq_type_format(tb, sizeof tb, &b), deq_type_format(ta, sizeof ta, &a));
        return false;
    }
    return true;
}

/* Values that depend on one of `from` through floating values. */
static void mark_dependent(bool *mark, const deq_graph *g, const deq_value *from, int n)
{
    for (int i = 0; i < n; i++) mark[from[i].id] = true;
    for (size_t k = 0; k < g->n_nodes; k++) {
        const deq_node *node = &g->nodes[k];
        bool any = false;
        for (int i = 0; i < node->n_in; i++) any |= mark[node->in[i].id];
        for (int o = 0; any && o < node->n_out; o++) {
            deq_value v = deq_node_out(node, o);
            if (is_float(deq_type_of(g, v)->dtype)) mark[v.id] = true;
        }
    }
}

/* Values that one of `to` depends on. */
static void mark_needed(bool *mark, const deq_graph *g, const deq_value *to, int n)
{
    for (int i = 0; i < n; i++) mark[to[i].id] = true;
    for (size_t k = g->n_nodes; k-- > 0;) {
        const deq_node *node = &g->nodes[k];
        bool any = false;
        for (int o = 0; o < node->n_out; o++) any |= mark[deq_node_out(node, o).id];
        for (int i = 0; any && i < node->n_in; i++) mark[node->in[i].id] = true;
    }
    mark[0] = false;
}

/* What both modes work with: one slot a value, and room for one node's arguments. */
typedef struct sweep {
    deq_graph *g;
    size_t n_values, n_nodes; /* of the graph before the sweep */
    size_t width;             /* most inputs or outputs of a node */
    bool *active;             /* values on a path from the inputs */
    bool *needed;             /* values on a path to the outputs */
    bool *need;               /* of one node's inputs */
    deq_value *d;             /* tangent or cotangent of each value */
    deq_value *dx, *dy;       /* of one node's inputs and outputs */
    void *memory;
    size_t bytes;
} sweep;

static bool sweep_begin(sweep *s, deq_graph *g)
{
    *s =
        (sweep){ .g = g, .n_values = g->n_values, .n_nodes = g->n_nodes, .width = DEQ_MAX_OUTPUTS };
    for (size_t k = 0; k < g->n_nodes; k++)
        if ((size_t)g->nodes[k].n_in > s->width) s->width = (size_t)g->nodes[k].n_in;
    s->bytes = (s->n_values + 2 * s->width) * sizeof(deq_value) +
               (2 * s->n_values + s->width) * sizeof(bool);
    s->memory = deq_alloc(g->ctx, s->bytes);
    if (!s->memory) {
        deq_graph_fail(g, DEQ_ERR_NOMEM, "%s", deq_last_error(g->ctx));
        return false;
    }
    s->d = s->memory;
    s->dx = s->d + s->n_values;
    s->dy = s->dx + s->width;
    s->active = (bool *)(s->dy + s->width);
    s->needed = s->active + s->n_values;
    s->need = s->needed + s->n_values;
    return true;
}

static void sweep_end(sweep *s)
{
    deq_release(s->g->ctx, s->memory, s->bytes);
}

/* The node as its derivative sees it.  Its arrays live in the graph's arena and do not move. */
static deq_frame frame_of(const sweep *s, const deq_node *n, deq_value *outs)
{
    for (int o = 0; o < n->n_out; o++) outs[o] = deq_node_out(n, o);
    return (deq_frame){ .g = s->g,
                        .op = n->op,
                        .attr = n->attr,
                        .attr_bytes = n->attr_bytes,
                        .n_in = n->n_in,
                        .n_out = n->n_out,
                        .in = n->in,
                        .out = outs,
                        .need = s->need };
}

/* An operator's derivative must have the type of what it is the derivative of. */
static bool check_derivative(deq_graph *g, const deq_op *op, deq_value v, deq_value d)
{
    if (d.id <= 0) return g->status == DEQ_OK;
    deq_type a = deq_value_type(g, v), b = deq_value_type(g, d);
    if (a.dtype == b.dtype && deq_shape_equal(&a.shape, &b.shape)) return true;
    char ta[256], tb[256];
    deq_graph_fail(g, DEQ_ERR_SHAPE, "%s: a derivative is %s where the value is %s", op->name,
                   deq_type_format(tb, sizeof tb, &b), deq_type_format(ta, sizeof ta, &a));
    return false;
}

/* Push the cotangents of one node's outputs to its inputs. */
static bool pull_back(sweep *s, const deq_node node)
{
    deq_graph *g = s->g;
    bool any = false;
    for (int o = 0; o < node.n_out; o++) {
        s->dy[o] = s->d[deq_node_out(&node, o).id];
        any |= s->dy[o].id != 0;
    }
    if (!any || !node.op->vjp) return true;

    any = false;
    for (int i = 0; i < node.n_in; i++) {
        s->need[i] = s->active[node.in[i].id];
        s->dx[i] = DEQ_NONE;
        any |= s->need[i];
    }
    if (!any) return true;

    deq_value outs[DEQ_MAX_OUTPUTS];
    deq_frame f = frame_of(s, &node, outs);
    node.op->vjp(&f, s->dy, s->dx);
    for (int i = 0; i < node.n_in; i++) {
        if (!s->need[i] || s->dx[i].id == 0) continue;
        if (!check_derivative(g, node.op, node.in[i], s->dx[i])) return false;
        deq_value *d = &s->d[node.in[i].id];
        *d = deq_add_maybe(g, *d, s->dx[i]);
    }
    return g->status == DEQ_OK;
}

static void reverse(deq_graph *g, deq_value *grads, const deq_value *outputs,
                    const deq_value *cotangents, int n_outputs, const deq_value *inputs,
                    int n_inputs)
{
    if (!check_values(g, "vjp", "outputs", outputs, n_outputs) ||
        !check_values(g, "vjp", "inputs", inputs, n_inputs))
        return;
    if (cotangents && !check_directions(g, "vjp", "cotangents", outputs, cotangents, n_outputs))
        return;
    for (int i = 0; !cotangents && i < n_outputs; i++)
        if (deq_type_of(g, outputs[i])->shape.rank != 0) {
            char text[256];
            deq_graph_fail(g, DEQ_ERR_SHAPE,
                           "vjp: outputs[%d] is %s; without cotangents a scalar is expected", i,
                           deq_type_format(text, sizeof text, deq_type_of(g, outputs[i])));
            return;
        }

    sweep s;
    if (!sweep_begin(&s, g)) return;
    mark_dependent(s.active, g, inputs, n_inputs);
    for (int i = 0; i < n_outputs; i++) {
        deq_value one = cotangents
                            ? cotangents[i]
                            : deq_fill(g, deq_type_of(g, outputs[i])->dtype, DEQ_SCALAR, 1.0);
        s.d[outputs[i].id] = deq_add_maybe(g, s.d[outputs[i].id], one);
    }
    for (size_t k = s.n_nodes; k-- > 0;)
        if (!pull_back(&s, g->nodes[k])) break;
    for (int j = 0; j < n_inputs; j++) {
        deq_value d = s.d[inputs[j].id];
        grads[j] = d.id != 0 ? d : zeros(g, inputs[j]);
    }
    sweep_end(&s);
}

/* What a derivative that failed gives.  Set at the end: the caller's lists may be one array. */
static deq_status finish(const deq_graph *g, deq_value *results, int n)
{
    for (int i = 0; g->status != DEQ_OK && i < n; i++) results[i] = (deq_value){ -1 };
    return g->status;
}

deq_status deq_vjp(deq_graph *g, deq_value *grads, const deq_value *outputs,
                   const deq_value *cotangents, int n_outputs, const deq_value *inputs,
                   int n_inputs)
{
    reverse(g, grads, outputs, cotangents, n_outputs, inputs, n_inputs);
    return finish(g, grads, n_inputs);
}

/* Multilinear: the sum over inputs of the operator with that input replaced by its tangent. */
static void tangent_multilinear(const deq_frame *f, const deq_value *dx, deq_value *dy,
                                deq_value *in)
{
    for (int i = 0; i < f->n_in; i++) {
        if (dx[i].id == 0 || !(f->op->linear >> i & 1)) continue;
        memcpy(in, f->in, (size_t)f->n_in * sizeof *in);
        in[i] = dx[i];
        deq_value term[DEQ_MAX_OUTPUTS];
        deq_emit(f->g, f->op, f->attr, f->attr_bytes, in, f->n_in, term, f->n_out);
        for (int o = 0; o < f->n_out; o++) dy[o] = deq_add_maybe(f->g, dy[o], term[o]);
    }
}

/* Jointly linear: the operator applied to the tangents. */
static void tangent_joint(const deq_frame *f, const deq_value *dx, deq_value *dy, deq_value *in)
{
    for (int i = 0; i < f->n_in; i++) in[i] = dx[i].id != 0 ? dx[i] : zeros(f->g, f->in[i]);
    deq_emit(f->g, f->op, f->attr, f->attr_bytes, in, f->n_in, dy, f->n_out);
}

/* Push the tangents of one node's inputs to its outputs. */
static bool push_forward(sweep *s, const deq_node node)
{
    deq_graph *g = s->g;
    bool wanted = false, any = false;
    for (int o = 0; o < node.n_out; o++) wanted |= s->needed[deq_node_out(&node, o).id];
    for (int i = 0; i < node.n_in; i++) {
        s->dx[i] = s->d[node.in[i].id];
        any |= s->dx[i].id != 0;
    }
    if (!wanted || !any) return true;

    deq_value outs[DEQ_MAX_OUTPUTS];
    deq_frame f = frame_of(s, &node, outs);
    for (int o = 0; o < node.n_out; o++) s->dy[o] = DEQ_NONE;
    if (node.op->jvp) {
        node.op->jvp(&f, s->dx, s->dy);
    } else if (node.op->linear || node.op->joint) {
        deq_value *in = deq_arena_alloc(&g->arena, (size_t)node.n_in * sizeof *in);
        if (!in) {
            deq_graph_fail(g, DEQ_ERR_NOMEM, "%s", deq_last_error(g->ctx));
            return false;
        }
        (node.op->joint ? tangent_joint : tangent_multilinear)(&f, s->dx, s->dy, in);
    }
    for (int o = 0; o < node.n_out; o++) {
        if (s->dy[o].id == 0 || !is_float(deq_type_of(g, outs[o])->dtype)) continue;
        if (!check_derivative(g, node.op, outs[o], s->dy[o])) return false;
        s->d[outs[o].id] = deq_add_maybe(g, s->d[outs[o].id], s->dy[o]);
    }
    return g->status == DEQ_OK;
}

static void forward(deq_graph *g, deq_value *out_tangents, const deq_value *outputs, int n_outputs,
                    const deq_value *inputs, const deq_value *tangents, int n_inputs)
{
    if (!check_values(g, "jvp", "outputs", outputs, n_outputs) ||
        !check_values(g, "jvp", "inputs", inputs, n_inputs))
        return;
    if (!tangents) {
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "jvp: no tangents given");
        return;
    }
    if (!check_directions(g, "jvp", "tangents", inputs, tangents, n_inputs)) return;

    sweep s;
    if (!sweep_begin(&s, g)) return;
    mark_needed(s.needed, g, outputs, n_outputs);
    for (int j = 0; j < n_inputs; j++)
        s.d[inputs[j].id] = deq_add_maybe(g, s.d[inputs[j].id], tangents[j]);
    for (size_t k = 0; k < s.n_nodes; k++)
        if (!push_forward(&s, g->nodes[k])) break;
    for (int i = 0; i < n_outputs; i++) {
        deq_value d = s.d[outputs[i].id];
        out_tangents[i] = d.id != 0 ? d : zeros(g, outputs[i]);
    }
    sweep_end(&s);
}

deq_status deq_jvp(deq_graph *g, deq_value *out_tangents, const deq_value *outputs, int n_outputs,
                   const deq_value *inputs, const deq_value *tangents, int n_inputs)
{
    forward(g, out_tangents, outputs, n_outputs, inputs, tangents, n_inputs);
    return finish(g, out_tangents, n_outputs);
}

/* A value of its own for every parameter, so that each can be bound to a place of its own. */
static void separate(deq_graph *g, deq_value *v, int n)
{
    for (int i = 1; i < n; i++)
        for (int k = 0; k < i && g->status == DEQ_OK; k++)
            if (v[k].id == v[i].id) v[i] = deq_scale(g, v[i], 1);
}

deq_status deq_gradients(deq_graph *g, deq_value *grads, deq_value loss, deq_parameters *parameters)
{
    int n = deq_parameters_count(parameters);
    size_t bytes = (size_t)n * sizeof(deq_value);
    deq_value *theta = deq_alloc(g->ctx, bytes);
    if (!theta) {
        deq_graph_fail(g, DEQ_ERR_NOMEM, "%s", deq_last_error(g->ctx));
        return finish(g, grads, n);
    }
    for (int i = 0; i < n; i++)
        theta[i] = deq_parameter(g, parameters, deq_parameters_info(parameters, i).name);
    if (deq_vjp(g, grads, &loss, NULL, 1, theta, n) == DEQ_OK) separate(g, grads, n);
    deq_release(g->ctx, theta, bytes);
    return finish(g, grads, n);
}
