/* SPDX-License-Identifier: MIT */
/*
 * Compilation: simplify, partition into groups, choose layouts, lower to steps, plan memory.
 */
#include "graph/workspace.h"
#include "op/shape.h"

#include <string.h>

deq_compile_options deq_compile_defaults(void)
{
    return (deq_compile_options){ .struct_size = sizeof(deq_compile_options),
                                  .simplify = true,
                                  .fuse = true,
                                  .tuned = true,
                                  .layout = true };
}

bool deq_is_alias(const deq_op *op)
{
    return op == &deq_op_reshape || op == &deq_op_stop_gradient;
}

/* What compilation works with and drops at its end. */
typedef struct compiler {
    deq_lowering l;
    const deq_graph *source;
    const deq_value *outputs;
    int n_outputs;
    int32_t *map;         /* [source values] -> value of the simplified graph, 0 if none */
    bool *is_native;      /* [source values] named in options.native */
    size_t n_mapped;      /* length of both */
    size_t n_values;      /* of the simplified graph */
    bool within;          /* a program within a program */
    const deq_value *own; /* of which: inputs with a place of their own */
    int n_own;
} compiler;

static deq_value mapped(const compiler *c, deq_value source)
{
    return (deq_value){ c->map[source.id] };
}

/* Before anything else of them is read: they may be shorter. */
static deq_status check_options(const deq_graph *g, const deq_compile_options *o)
{
    if (o->struct_size == sizeof *o) return DEQ_OK;
    return deq_fail(g->ctx, DEQ_ERR_ARGUMENT, "compile: options.struct_size is %zu, expected %zu",
                    o->struct_size, sizeof *o);
}

static deq_status check_arguments(deq_graph *g, const deq_value *outputs, int n_outputs,
                                  const deq_compile_options *o)
{
    if (g->status != DEQ_OK) return deq_fail(g->ctx, g->status, "%s", g->message);
    if (o->threads < 0 || o->n_native < 0 || (o->n_native && !o->native))
        return deq_fail(g->ctx, DEQ_ERR_ARGUMENT, "compile: negative threads or n_native");
    if (n_outputs < 1 || !outputs)
        return deq_fail(g->ctx, DEQ_ERR_ARGUMENT, "compile: no outputs given");
    for (int i = 0; i < n_outputs; i++)
        if (!deq_is_valid(g, outputs[i]))
            return deq_fail(g->ctx, DEQ_ERR_ARGUMENT,
                            "compile: outputs[%d] is not a value of this graph", i);
    for (int i = 0; i < o->n_native; i++)
        if (!deq_is_valid(g, o->native[i]))
            return deq_fail(g->ctx, DEQ_ERR_ARGUMENT,
                            "compile: native[%d] is not a value of this graph", i);
    return DEQ_OK;
}

/* Layouts ------------------------------------------------------------------------------------ */

/* Activations and the masks that go with them. */
static bool may_be_channels_last(const deq_type *t)
{
    return t->shape.rank == 4 && (t->dtype == DEQ_F32 || t->dtype == DEQ_BOOL);
}

/* Every group decides, in order, from the layouts of its full-size inputs. */
static bool choose_layouts(compiler *c)
{
    deq_lowering *l = &c->l;
    bool any = false;
    for (int i = 0; i < l->program->n_groups; i++) {
        const deq_group *grp = &l->program->groups[i];
        const deq_type *out = deq_type_of(l->g, grp->outputs[0]);
        bool inputs_are = false;
        for (int k = 0; k < grp->n_inputs; k++)
            inputs_are |= l->layout[grp->inputs[k].id] == DEQ_LAYOUT_CHANNELS_LAST &&
                          deq_shape_equal(&deq_type_of(l->g, grp->inputs[k])->shape, &out->shape);
        bool last = l->options->tuned && l->options->layout &&
                    l->program->backend->channels_last(l, grp, inputs_are);
        any |= last;
        for (int k = 0; k < grp->n_outputs; k++) {
            deq_value v = grp->outputs[k];
            bool can = last && may_be_channels_last(deq_type_of(l->g, v));
            l->layout[v.id] = can ? DEQ_LAYOUT_CHANNELS_LAST : DEQ_LAYOUT_PLAIN;
        }
    }
    return any;
}

/* Native inputs follow if anything is channels-last at all; that can make more groups follow. */
static void assign_layouts(compiler *c)
{
    deq_lowering *l = &c->l;
    if (!choose_layouts(c)) {
        memset(c->is_native, 0, c->n_mapped * sizeof *c->is_native);
        return;
    }
    for (size_t v = 1; v < c->n_mapped; v++) {
        const deq_value_info *info = &c->source->values[v];
        if (!may_be_channels_last(&info->type)) c->is_native[v] = false;
        if (c->is_native[v] && c->map[v] && c->source->nodes[info->node].op == &deq_op_input)
            l->layout[c->map[v]] = DEQ_LAYOUT_CHANNELS_LAST;
    }
    choose_layouts(c);
}

/* Slots of leaves ---------------------------------------------------------------------------- */

static deq_status place_leaves(compiler *c)
{
    deq_lowering *l = &c->l;
    for (size_t k = 0; k < l->g->n_nodes; k++) {
        const deq_node *n = &l->g->nodes[k];
        if (n->op != &deq_op_input && n->op != &deq_op_parameter) continue;
        deq_value v = deq_node_out(n, 0);
        int slot = deq_lower_slot(l, deq_type_bytes(deq_type_of(l->g, v)), n->stage);
        if (slot < 0) return DEQ_ERR_NOMEM;
        deq_slot *s = &l->program->slots[slot];
        s->kind = DEQ_SLOT_KEPT;
        if (n->op == &deq_op_parameter) {
            const deq_parameter_attr *a = n->attr;
            DEQ_TRY(deq_parameters_allocate(a->parameters));
            s->kind = DEQ_SLOT_PARAMETER;
            s->external = deq_parameters_values(a->parameters, (int)a->index);
        }
        l->slots[v.id][l->layout[v.id]] = slot;
    }
    return DEQ_OK;
}

/* Groups to steps ---------------------------------------------------------------------------- */

/* A reshape reads its input plain and is the same slot. */
static deq_status lower_alias(deq_lowering *l, const deq_group *group)
{
    const deq_node *n = &l->g->nodes[group->nodes[0]];
    deq_status status = DEQ_OK;
    int slot = deq_lower_read(l, n->in[0], DEQ_LAYOUT_PLAIN, &status);
    l->slots[deq_node_out(n, 0).id][DEQ_LAYOUT_PLAIN] = slot;
    return status;
}

static deq_status lower_group(deq_lowering *l, const deq_group *group)
{
    bool done = false;
    if (deq_is_alias(l->g->nodes[group->nodes[0]].op)) return lower_alias(l, group);
    if (l->options->tuned) DEQ_TRY(l->program->backend->lower(l, group, &done));
    return done ? DEQ_OK : deq_lower_reference(l, group);
}

static deq_status lower_groups(compiler *c)
{
    deq_lowering *l = &c->l;
    for (int i = 0; i < l->program->n_groups; i++) {
        l->group = &l->program->groups[i];
        l->group_index = i;
        DEQ_TRY(lower_group(l, l->group));
    }
    l->group_index = -1;
    return DEQ_OK;
}

/* Inputs and outputs ------------------------------------------------------------------------- */

/* An output needs a slot of its own: not an input's, a parameter's or that of another output, because
 * the caller may bind it elsewhere; nor a constant's, which no run computes again. */
static deq_status place_output(compiler *c, deq_binding *b, int n_before)
{
    deq_lowering *l = &c->l;
    deq_program *p = l->program;
    deq_value v = mapped(c, b->value);
    deq_status status = DEQ_OK;
    b->layout = c->is_native[b->value.id] ? DEQ_LAYOUT_CHANNELS_LAST : DEQ_LAYOUT_PLAIN;
    int slot = deq_lower_read(l, v, b->layout, &status);
    DEQ_TRY(status);

    bool taken = p->slots[slot].kind != DEQ_SLOT_ARENA ||
                 p->slots[slot].stage == DEQ_STAGE_CONSTANT;
    for (int i = 0; i < n_before; i++) taken |= p->bindings[i].slot == slot;
    if (taken) {
        deq_stage stage = deq_node_of(l->g, v)->stage;
        if (stage == DEQ_STAGE_CONSTANT) stage = DEQ_STAGE_PARAMETER; /* follow a later bind */
        int copy = deq_lower_slot(l, deq_type_bytes(&b->type), stage);
        if (copy < 0) return DEQ_ERR_NOMEM;
        DEQ_TRY(p->backend->lower_copy(l, &b->type, copy, b->layout, slot, b->layout, stage));
        slot = copy;
    }
    p->slots[slot].output = true;
    b->slot = slot;
    return DEQ_OK;
}

static deq_status bind_values(compiler *c)
{
    deq_lowering *l = &c->l;
    deq_program *p = l->program;
    size_t most = c->source->n_nodes + (size_t)c->n_outputs;
    p->bindings = deq_lower_alloc(l, most * sizeof *p->bindings);
    if (!p->bindings) return DEQ_ERR_NOMEM;
    for (size_t k = 0; k < c->source->n_nodes; k++) {
        const deq_node *n = &c->source->nodes[k];
        if (n->op != &deq_op_input) continue;
        deq_value v = deq_node_out(n, 0);
        deq_binding b = {
            .value = v, .type = *deq_type_of(c->source, v), .slot = -1, .is_input = true
        };
        int32_t id = c->map[v.id];
        if (id) {
            b.layout = l->layout[id];
            b.slot = l->slots[id][b.layout];
        }
        p->bindings[p->n_bindings++] = b;
    }
    for (int i = 0; i < c->n_outputs; i++) {
        deq_value v = c->outputs[i];
        bool known = false; /* an input, or an output named before */
        for (int k = 0; k < p->n_bindings; k++) known |= p->bindings[k].value.id == v.id;
        if (known) continue;
        deq_binding b = { .value = v, .type = *deq_type_of(c->source, v), .slot = -1 };
        DEQ_TRY(place_output(c, &b, p->n_bindings));
        p->bindings[p->n_bindings++] = b;
    }
    return DEQ_OK;
}

/* Inputs of a program within a program that the program around always binds. */
static void mark_bound(const compiler *c)
{
    deq_program *p = c->l.program;
    for (int i = 0; c->within && i < p->n_bindings; i++) {
        const deq_binding *b = &p->bindings[i];
        bool own = false;
        for (int k = 0; k < c->n_own; k++) own |= c->own[k].id == b->value.id;
        if (b->is_input && b->slot >= 0) p->slots[b->slot].bound = !own;
    }
}

/* Memory ------------------------------------------------------------------------------------- */

static deq_status place_memory(deq_program *p)
{
    DEQ_TRY(deq_plan(p));
    p->arena = deq_alloc(p->ctx, p->arena_bytes);
    p->slot = deq_arena_alloc(&p->memory, (p->n_slots + 1) * sizeof *p->slot);
    if (!p->arena || !p->slot) return DEQ_ERR_NOMEM;
    for (size_t i = 0; i < p->n_slots; i++) p->slot[i] = deq_program_place(p, &p->slots[i]);
    return p->within ? DEQ_OK : deq_program_place_steps(p);
}

static deq_status fill_constants(compiler *c)
{
    deq_lowering *l = &c->l;
    deq_program *p = l->program;
    for (size_t k = 0; k < l->g->n_nodes; k++) {
        const deq_node *n = &l->g->nodes[k];
        int slot = l->slots[n->first_out][DEQ_LAYOUT_PLAIN];
        if ((n->op != &deq_op_fill && n->op != &deq_op_constant) || slot < 0) continue;
        deq_kernel_call call = { .attr = n->attr, .n_out = 1, .out = &p->slot[slot], .threads = 1 };
        DEQ_TRY(n->op->kernel(&call));
    }
    for (size_t i = 0; i < p->n_steps[DEQ_STAGE_CONSTANT]; i++) {
        deq_step *s = &p->steps[DEQ_STAGE_CONSTANT][i];
        deq_status status = s->run(s->self, p->slot, p->message);
        if (status != DEQ_OK) return deq_fail(p->ctx, status, "%s", p->message);
    }
    return DEQ_OK;
}

/* The whole ---------------------------------------------------------------------------------- */

static deq_status prepare(compiler *c, const deq_compile_options *o)
{
    deq_lowering *l = &c->l;
    deq_program *p = l->program;
    DEQ_TRY(deq_rewrite(&p->graph, c->map, c->source, c->outputs, c->n_outputs, o->simplify));
    l->g = p->graph;
    c->n_values = p->graph->n_values;
    l->slots = deq_alloc_array(l->ctx, c->n_values, sizeof *l->slots);
    l->layout = p->layout = deq_lower_alloc(l, c->n_values * sizeof *l->layout);
    c->is_native = deq_alloc_array(l->ctx, c->n_mapped, sizeof *c->is_native);
    l->uses = deq_alloc_array(l->ctx, c->n_values, sizeof *l->uses);
    if (!l->slots || !l->layout || !l->uses || !c->is_native) return DEQ_ERR_NOMEM;
    for (size_t k = 0; k < l->g->n_nodes; k++)
        for (int i = 0; i < l->g->nodes[k].n_in; i++) l->uses[l->g->nodes[k].in[i].id]++;
    for (int i = 0; i < c->n_outputs; i++) l->uses[mapped(c, c->outputs[i]).id]++;
    for (size_t v = 0; v < c->n_values; v++) l->slots[v][0] = l->slots[v][1] = -1;
    for (int i = 0; i < o->n_native; i++) c->is_native[o->native[i].id] = true;
    return DEQ_OK;
}

static deq_status compile(compiler *c, const deq_compile_options *o)
{
    deq_program *p = c->l.program;
    DEQ_TRY(prepare(c, o));
    DEQ_TRY(deq_partition(&p->groups, &p->n_groups, &p->memory, &c->l, p->backend));
    assign_layouts(c);
    DEQ_TRY(place_leaves(c));
    DEQ_TRY(lower_groups(c));
    DEQ_TRY(bind_values(c));
    mark_bound(c);
    DEQ_TRY(place_memory(p));
    DEQ_TRY(fill_constants(c));
    return o->workspace ? deq_workspace_add(o->workspace, p) : DEQ_OK;
}

static deq_program *program_new(deq_context *ctx, int threads)
{
    deq_program *p = deq_alloc(ctx, sizeof *p);
    if (!p) return NULL;
    p->ctx = ctx;
    p->threads = threads;
    p->backend = &deq_backend_cpu;
    deq_arena_init(&p->memory, ctx);
    return p;
}

static deq_status compile_any(deq_program **out, deq_graph *g, const deq_value *outputs,
                              int n_outputs, const deq_compile_options *options, bool within,
                              const deq_value *own, int n_own)
{
    *out = NULL;
    deq_compile_options o = deq_compile_defaults();
    if (options) DEQ_TRY(check_options(g, options));
    if (options) o = *options;
    DEQ_TRY(check_arguments(g, outputs, n_outputs, &o));
    deq_program *p = program_new(g->ctx, o.threads ? o.threads : deq_context_threads(g->ctx));
    if (!p) return DEQ_ERR_NOMEM;
    p->within = within || o.workspace;
    if (within) o.workspace = NULL; /* it is the program's around */

    compiler c = { .l = { .ctx = g->ctx,
                          .options = &o,
                          .threads = p->threads,
                          .program = p,
                          .group_index = -1 },
                   .source = g,
                   .outputs = outputs,
                   .n_outputs = n_outputs,
                   .n_mapped = g->n_values,
                   .within = within,
                   .own = own,
                   .n_own = n_own };
    c.map = deq_alloc_array(g->ctx, c.n_mapped, sizeof *c.map);
    deq_status status = c.map ? compile(&c, &o) : DEQ_ERR_NOMEM;

    deq_release(g->ctx, c.map, c.n_mapped * sizeof *c.map);
    deq_release(g->ctx, c.l.slots, c.n_values * sizeof *c.l.slots);
    deq_release(g->ctx, c.l.uses, c.n_values * sizeof *c.l.uses);
    deq_release(g->ctx, c.is_native, c.n_mapped * sizeof *c.is_native);
    if (status != DEQ_OK) {
        deq_program_free(p);
        return status;
    }
    *out = p;
    return DEQ_OK;
}

deq_status deq_compile(deq_program **out, deq_graph *g, const deq_value *outputs, int n_outputs,
                       const deq_compile_options *options)
{
    return compile_any(out, g, outputs, n_outputs, options, false, NULL, 0);
}

deq_status deq_compile_within(deq_program **out, deq_graph *g, const deq_value *outputs,
                              int n_outputs, const deq_compile_options *options,
                              const deq_value *own, int n_own)
{
    return compile_any(out, g, outputs, n_outputs, options, true, own, n_own);
}
