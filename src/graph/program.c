/* SPDX-License-Identifier: MIT */
/* Compiled programs: running them, and their inputs and outputs. */
#include "graph/workspace.h"

#include <stdio.h>
#include <string.h>

void deq_program_free(deq_program *p)
{
    if (!p) return;
    deq_context *ctx = p->ctx;
    if (p->workspace) deq_workspace_remove(p->workspace, p);
    for (int stage = 0; stage < DEQ_STAGES; stage++) {
        for (size_t k = 0; k < p->n_steps[stage]; k++) {
            deq_step *s = &p->steps[stage][k];
            if (s->release) s->release(s->self);
        }
        deq_release(ctx, p->steps[stage], p->steps_capacity[stage] * sizeof *p->steps[stage]);
    }
    deq_release(ctx, p->arena, p->arena_bytes);
    deq_release(ctx, p->slots, p->slots_capacity * sizeof *p->slots);
    deq_graph_free(p->graph);
    deq_arena_free(&p->memory);
    deq_release(ctx, p, sizeof *p);
}

static deq_status fail(deq_program *p, deq_status status, const char *format, ...) DEQ_PRINTF(3, 4);
static deq_status fail(deq_program *p, deq_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(p->message, sizeof p->message, format, args);
    va_end(args);
    return status;
}

deq_status deq_program_run_stage(deq_program *p, deq_stage stage)
{
    p->ready[stage] = false;
    for (size_t k = 0; k < p->n_steps[stage]; k++) {
        deq_step *s = &p->steps[stage][k];
        deq_status status = s->run(s->self, p->slot, p->message);
        if (status != DEQ_OK) return status;
    }
    p->ready[stage] = true;
    return DEQ_OK;
}

/* Before a run in a workspace: the block is ours, and every input in it was written since. */
static deq_status enter_workspace(deq_program *p)
{
    DEQ_TRY(deq_workspace_take(p->workspace, p));
    for (int i = 0; i < p->n_bindings; i++) {
        const deq_binding *b = &p->bindings[i];
        if (!b->is_input || b->written || b->slot < 0 || !p->slots[b->slot].lent) continue;
        if (p->slot[b->slot] == deq_program_place(p, &p->slots[b->slot]))
            return fail(p, DEQ_ERR_STATE,
                        "run: input %d has not been written since another program of the workspace "
                        "ran",
                        (int)b->value.id);
    }
    return DEQ_OK;
}

deq_status deq_program_run(deq_program *p, deq_stage from)
{
    if (from < DEQ_STAGE_PARAMETER || from > DEQ_STAGE_STATE)
        return fail(p, DEQ_ERR_ARGUMENT, "run: stage %d, expected %d to %d", (int)from,
                    DEQ_STAGE_PARAMETER, DEQ_STAGE_STATE);
    if (p->workspace) DEQ_TRY(enter_workspace(p));
    for (int stage = DEQ_STAGE_PARAMETER; stage < (int)from; stage++)
        if (!p->ready[stage])
            return fail(p, DEQ_ERR_STATE, "run: stage %d is asked for before stage %d has run",
                        (int)from, stage);
    for (int stage = (int)from; stage < DEQ_STAGES; stage++)
        DEQ_TRY(deq_program_run_stage(p, (deq_stage)stage));
    return DEQ_OK;
}

void *deq_program_place(const deq_program *p, const deq_slot *s)
{
    char *block = s->lent ? p->lent : p->arena;
    if (s->external) return s->external;
    return block && !s->bound ? block + s->offset : NULL;
}

deq_status deq_program_place_steps(deq_program *p)
{
    for (int stage = 0; stage < DEQ_STAGES; stage++)
        for (size_t k = 0; k < p->n_steps[stage]; k++) {
            const deq_step *step = &p->steps[stage][k];
            if (step->place) DEQ_TRY(step->place(step->self, p->slot));
        }
    return DEQ_OK;
}

deq_status deq_program_lend(deq_program *p, void *memory)
{
    char *old = p->lent;
    for (size_t i = 0; i < p->n_slots; i++) {
        const deq_slot *s = &p->slots[i];
        if (!s->lent) continue;
        bool bound = p->workspace && p->slot[i] != deq_program_place(p, s);
        p->lent = memory;
        if (!bound) p->slot[i] = deq_program_place(p, s);
        p->lent = old;
    }
    p->lent = memory;
    return deq_program_place_steps(p);
}

void deq_program_forget(deq_program *p)
{
    p->ready[DEQ_STAGE_INJECTED] = p->ready[DEQ_STAGE_STATE] = false;
    for (int i = 0; i < p->n_bindings; i++) p->bindings[i].written = false;
}

static const deq_binding *find(const deq_program *p, deq_value v)
{
    for (int i = 0; i < p->n_bindings; i++)
        if (p->bindings[i].value.id == v.id) return &p->bindings[i];
    return NULL;
}

/* The binding, with the size checked; NULL with *status set. */
static const deq_binding *checked(deq_program *p, const char *what, deq_value v, size_t bytes,
                                  deq_status *status)
{
    const deq_binding *b = find(p, v);
    if (!b) {
        *status = fail(p, DEQ_ERR_NAME, "%s: value %d is no input or output of this program", what,
                       (int)v.id);
        return NULL;
    }
    if (bytes != deq_type_bytes(&b->type)) {
        char text[256];
        *status = fail(p, DEQ_ERR_SHAPE, "%s: %zu bytes given, %s has %zu", what, bytes,
                       deq_type_format(text, sizeof text, &b->type), deq_type_bytes(&b->type));
        return NULL;
    }
    *status = DEQ_OK;
    return b;
}

deq_status deq_program_write(deq_program *p, deq_value input, const void *data, size_t bytes)
{
    deq_status status;
    const deq_binding *b = checked(p, "write", input, bytes, &status);
    if (!b) return status;
    if (!b->is_input)
        return fail(p, DEQ_ERR_NAME, "write: value %d is an output, not an input", (int)input.id);
    if (b->slot < 0) return DEQ_OK;
    if (p->workspace) DEQ_TRY(deq_workspace_take(p->workspace, p));
    p->bindings[b - p->bindings].written = true;
    p->backend->copy(&b->type, p->slot[b->slot], b->layout, data, DEQ_LAYOUT_PLAIN, p->threads);
    return DEQ_OK;
}

/* Does the value lie in a workspace that another program has now? */
static bool is_lost(const deq_program *p, const deq_binding *b)
{
    const deq_slot *s = &p->slots[b->slot];
    return p->workspace && s->lent && p->slot[b->slot] == deq_program_place(p, s) &&
           !deq_workspace_holds(p->workspace, p);
}

deq_status deq_program_read(deq_program *p, deq_value value, void *data, size_t bytes)
{
    deq_status status;
    const deq_binding *b = checked(p, "read", value, bytes, &status);
    if (!b) return status;
    if (b->slot < 0)
        return fail(p, DEQ_ERR_NAME, "read: nothing depends on input %d, it is not kept",
                    (int)value.id);
    if (is_lost(p, b))
        return fail(p, DEQ_ERR_STATE,
                    "read: value %d is lost, another program of the workspace has run since",
                    (int)value.id);
    p->backend->copy(&b->type, data, DEQ_LAYOUT_PLAIN, p->slot[b->slot], b->layout, p->threads);
    return DEQ_OK;
}

deq_status deq_program_bind(deq_program *p, deq_value value, void *memory)
{
    const deq_binding *b = find(p, value);
    if (!b)
        return fail(p, DEQ_ERR_NAME, "bind: value %d is no input or output of this program",
                    (int)value.id);
    if ((uintptr_t)memory % DEQ_ALIGNMENT)
        return fail(p, DEQ_ERR_ARGUMENT, "bind: memory is not aligned to %d bytes", DEQ_ALIGNMENT);
    if (b->slot < 0) return DEQ_OK;
    const deq_slot *slot = &p->slots[b->slot];
    void *place = memory ? memory : deq_program_place(p, slot);
    /* An output has to be computed again where it is now before a later stage can read it. */
    if (!b->is_input && place != p->slot[b->slot]) p->ready[slot->stage] = false;
    p->slot[b->slot] = place;
    return DEQ_OK;
}

deq_status deq_program_bind_gradients(deq_program *p, deq_parameters *parameters,
                                      const deq_value *grads)
{
    if (!deq_parameters_gradients(parameters, -1))
        return fail(p, DEQ_ERR_STATE, "bind: the parameter store is not allocated");
    for (int i = 0; i < deq_parameters_count(parameters); i++)
        DEQ_TRY(deq_program_bind(p, grads[i], deq_parameters_gradients(parameters, i)));
    return DEQ_OK;
}

void *deq_program_data(deq_program *p, deq_value value)
{
    const deq_binding *b = find(p, value);
    return b && b->slot >= 0 ? p->slot[b->slot] : NULL;
}

deq_layout deq_program_layout(const deq_program *p, deq_value value)
{
    const deq_binding *b = find(p, value);
    return b ? b->layout : DEQ_LAYOUT_PLAIN;
}

deq_status deq_program_convert(const deq_program *p, deq_value value, void *native, void *plain,
                               bool to_native)
{
    const deq_binding *b = find(p, value);
    if (!b) return DEQ_ERR_NAME;
    if (to_native)
        p->backend->copy(&b->type, native, b->layout, plain, DEQ_LAYOUT_PLAIN, p->threads);
    else
        p->backend->copy(&b->type, plain, DEQ_LAYOUT_PLAIN, native, b->layout, p->threads);
    return DEQ_OK;
}

const char *deq_program_error(const deq_program *p)
{
    return p->message;
}

deq_program_info deq_program_stats(const deq_program *p)
{
    deq_program_info info = { .arena_bytes = p->arena_bytes, .n_nodes = (int)p->graph->n_nodes };
    if (p->workspace) info.arena_bytes += p->lent_bytes;
    for (size_t i = 0; i < p->n_slots; i++)
        if (p->slots[i].kind == DEQ_SLOT_PARAMETER) info.parameter_bytes += p->slots[i].bytes;
    for (int stage = 0; stage < DEQ_STAGES; stage++) {
        info.n_steps[stage] = (int)p->n_steps[stage];
        for (size_t k = 0; k < p->n_steps[stage]; k++) {
            info.flops[stage] += p->steps[stage][k].flops;
            info.bytes[stage] += p->steps[stage][k].bytes;
        }
    }
    return info;
}
