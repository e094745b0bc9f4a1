/* SPDX-License-Identifier: MIT */
/* What a backend builds steps with: slots, reads with reorders, and the reference kernels. */
#include "graph/program_internal.h"

#include <string.h>

void *deq_lower_alloc(deq_lowering *l, size_t bytes)
{
    return deq_arena_alloc(&l->program->memory, bytes);
}

int deq_lower_slot(deq_lowering *l, size_t bytes, deq_stage stage)
{
    deq_program *p = l->program;
    if (deq_grow(l->ctx, (void **)&p->slots, &p->slots_capacity, p->n_slots + 1, sizeof *p->slots))
        return -1;
    p->slots[p->n_slots] =
        (deq_slot){ .kind = DEQ_SLOT_ARENA, .bytes = bytes ? bytes : 1, .stage = stage };
    return (int)p->n_slots++;
}

/* A constant gets memory when somebody reads it as memory; the program fills it once. */
static deq_status place_constant(deq_lowering *l, deq_value v)
{
    const deq_op *op = deq_node_of(l->g, v)->op;
    if (l->slots[v.id][DEQ_LAYOUT_PLAIN] >= 0) return DEQ_OK;
    if (op != &deq_op_fill && op != &deq_op_constant) return DEQ_OK;
    int slot = deq_lower_slot(l, deq_type_bytes(deq_type_of(l->g, v)), DEQ_STAGE_CONSTANT);
    if (slot < 0) return DEQ_ERR_NOMEM;
    l->program->slots[slot].kind = DEQ_SLOT_KEPT;
    l->slots[v.id][DEQ_LAYOUT_PLAIN] = slot;
    return DEQ_OK;
}

int deq_lower_read(deq_lowering *l, deq_value v, deq_layout layout, deq_status *status)
{
    int *slot = l->slots[v.id];
    if (*status == DEQ_OK) *status = place_constant(l, v);
    if (slot[layout] >= 0 || *status != DEQ_OK) return slot[layout];
    const deq_type *type = deq_type_of(l->g, v);
    deq_layout other = layout == DEQ_LAYOUT_PLAIN ? DEQ_LAYOUT_CHANNELS_LAST : DEQ_LAYOUT_PLAIN;
    deq_stage stage = deq_node_of(l->g, v)->stage;
    if (slot[other] < 0) {
        *status = deq_fail(l->ctx, DEQ_ERR_BACKEND, "a value is read before it is computed");
        return -1;
    }
    int copy = deq_lower_slot(l, deq_type_bytes(type), stage);
    if (copy < 0) {
        *status = DEQ_ERR_NOMEM;
        return -1;
    }
    int group = l->group_index;
    l->group_index = -1; /* the reorder belongs to no group */
    *status = l->program->backend->lower_copy(l, type, copy, layout, slot[other], other, stage);
    l->group_index = group;
    return slot[layout] = copy;
}

int deq_lower_write(deq_lowering *l, deq_value v, deq_status *status)
{
    int *slot = &l->slots[v.id][l->layout[v.id]];
    if (*slot < 0)
        *slot = deq_lower_slot(l, deq_type_bytes(deq_type_of(l->g, v)),
                               deq_node_of(l->g, v)->stage);
    if (*slot < 0) *status = DEQ_ERR_NOMEM;
    return *slot;
}

deq_status deq_lower_step(deq_lowering *l, const deq_step *step)
{
    deq_program *p = l->program;
    deq_stage stage = step->stage;
    deq_status status = deq_grow(l->ctx, (void **)&p->steps[stage], &p->steps_capacity[stage],
                                 p->n_steps[stage] + 1, sizeof *step);
    deq_step s = *step;
    s.reads = deq_arena_copy(&p->memory, step->reads, (size_t)step->n_reads * sizeof(int));
    s.writes = deq_arena_copy(&p->memory, step->writes, (size_t)step->n_writes * sizeof(int));
    s.overwrites = deq_arena_copy(&p->memory, step->overwrites,
                                  (size_t)step->n_overwrites * sizeof *step->overwrites);
    s.group = l->group_index;
    if (status != DEQ_OK || !s.reads || !s.writes || !s.overwrites) {
        if (step->release) step->release(step->self);
        return DEQ_ERR_NOMEM;
    }
    p->steps[stage][p->n_steps[stage]++] = s;
    return DEQ_OK;
}

/* Reference kernels -------------------------------------------------------------------------- */

typedef struct reference {
    const deq_op *op;
    deq_kernel_call call;
    const void **in;
    void **out;
    int *reads, *writes; /* -1: absent */
    int scratch;         /* slot, or -1 */
} reference;

static deq_status run_reference(void *self, void *const *slot, char *message)
{
    reference *r = self;
    for (int i = 0; i < r->call.n_in; i++) r->in[i] = r->reads[i] < 0 ? NULL : slot[r->reads[i]];
    for (int o = 0; o < r->call.n_out; o++) r->out[o] = slot[r->writes[o]];
    r->call.scratch = r->scratch < 0 ? NULL : slot[r->scratch];
    r->call.message = message;
    return r->op->kernel(&r->call);
}

/* Bytes that a call touches: every input and output once. */
static double touched(const deq_kernel_call *c)
{
    double bytes = 0;
    for (int i = 0; i < c->n_in; i++)
        if (c->in_type[i].dtype) bytes += (double)deq_type_bytes(&c->in_type[i]);
    for (int o = 0; o < c->n_out; o++) bytes += (double)deq_type_bytes(&c->out_type[o]);
    return bytes;
}

static reference *reference_new(deq_lowering *l, const deq_node *n)
{
    reference *r = deq_lower_alloc(l, sizeof *r);
    size_t in = (size_t)n->n_in, out = (size_t)n->n_out;
    deq_type *types = deq_lower_alloc(l, (in + out) * sizeof *types);
    const void **pointers = deq_lower_alloc(l, (in + out) * sizeof *pointers);
    int *slots = deq_lower_alloc(l, (in + out + 1) * sizeof *slots);
    if (!r || !types || !pointers || !slots) return NULL;
    deq_node_types(l->g, n, types, types + in);
    *r = (reference){ .op = n->op,
                      .in = pointers,
                      .out = (void **)(uintptr_t)(pointers + in),
                      .reads = slots,
                      .writes = slots + in,
                      .scratch = -1 };
    r->call = (deq_kernel_call){ .attr = n->attr,
                                 .n_in = n->n_in,
                                 .n_out = n->n_out,
                                 .in_type = types,
                                 .out_type = types + in,
                                 .in = r->in,
                                 .out = r->out,
                                 .threads = l->threads };
    return r;
}

static deq_status lower_node(deq_lowering *l, const deq_node *n)
{
    reference *r = reference_new(l, n);
    if (!r) return DEQ_ERR_NOMEM;
    deq_status status = DEQ_OK;
    int n_reads = 0, n_writes = n->n_out;
    int *reads = deq_lower_alloc(l, ((size_t)n->n_in + 1) * sizeof *reads);
    if (!reads) return DEQ_ERR_NOMEM;
    for (int i = 0; i < n->n_in; i++) {
        r->reads[i] = deq_is(n->in[i]) ? deq_lower_read(l, n->in[i], DEQ_LAYOUT_PLAIN, &status)
                                       : -1;
        if (r->reads[i] >= 0) reads[n_reads++] = r->reads[i];
    }
    for (int o = 0; o < n->n_out; o++)
        r->writes[o] = deq_lower_write(l, deq_node_out(n, o), &status);
    DEQ_TRY(status);
    size_t scratch = n->op->scratch ? n->op->scratch(&r->call) : 0;
    if (scratch) {
        r->scratch = deq_lower_slot(l, scratch, n->stage);
        if (r->scratch < 0) return DEQ_ERR_NOMEM;
        r->writes[n_writes++] = r->scratch; /* room was made for one more */
    }
    double elements = (double)deq_shape_count(&r->call.out_type[0].shape);
    deq_step step = { .run = run_reference,
                      .self = r,
                      .stage = n->stage,
                      .reads = reads,
                      .n_reads = n_reads,
                      .writes = r->writes,
                      .n_writes = n_writes,
                      .kernel = "reference",
                      .flops = n->op->flops ? n->op->flops(&r->call) : elements,
                      .bytes = touched(&r->call) };
    return deq_lower_step(l, &step);
}

deq_status deq_lower_reference(deq_lowering *l, const deq_group *group)
{
    for (int i = 0; i < group->n_nodes; i++) {
        const deq_node *n = &l->g->nodes[group->nodes[i]];
        DEQ_TRY(n->op->lower ? n->op->lower(l, n) : lower_node(l, n));
    }
    return DEQ_OK;
}
