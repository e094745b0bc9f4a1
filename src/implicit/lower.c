/* SPDX-License-Identifier: MIT */
#include "implicit/lower.h"

#include "graph/program_internal.h"

#include <stdio.h>
#include <string.h>

deq_status deq_places_find(deq_places *p, deq_lowering *l, const deq_node *n, bool linear)
{
    const deq_implicit_attr *a = n->attr;
    const deq_body *b = a->implicit->body;
    int s = b->n_states, c = b->n_captured;
    deq_status status = DEQ_OK;
    *p = (deq_places){ .n_states = s, .n_captured = c, .memory = -1, .saved = -1 };
    p->captured = deq_lower_alloc(l, (size_t)(n->n_in + 1) * sizeof(int));
    p->reads = deq_lower_alloc(l, (size_t)(n->n_in + 1) * sizeof(int));
    p->writes = deq_lower_alloc(l, (size_t)(n->n_out + 8) * sizeof(int));
    if (!p->captured || !p->reads || !p->writes) return DEQ_ERR_NOMEM;

    for (int i = 0; i < n->n_in; i++) {
        if (!deq_is(n->in[i])) continue;
        int slot = deq_lower_read(l, n->in[i], DEQ_LAYOUT_PLAIN, &status);
        int *role = i < s                  ? &p->first[i]
                    : i < s + c || !linear ? &p->captured[i - s]
                    : i < 2 * s + c        ? &p->second[i - s - c]
                                           : &p->memory;
        *role = slot;
        p->reads[p->n_reads++] = slot;
    }
    for (int o = 0; o < n->n_out; o++) {
        int slot = deq_lower_write(l, deq_node_out(n, o), &status);
        if (o < s)
            p->out[o] = slot;
        else if (o < s + DEQ_REPORT_VALUES)
            p->report[o - s] = slot;
        else if (o == s + DEQ_REPORT_VALUES && !linear)
            p->memory = slot;
        else
            p->saved = slot;
        p->writes[p->n_writes++] = slot;
    }
    return status;
}

int deq_places_scratch(deq_places *p, deq_lowering *l, size_t bytes, deq_stage stage)
{
    int slot = deq_lower_slot(l, bytes, stage);
    if (slot >= 0) p->writes[p->n_writes++] = slot;
    return slot;
}

deq_status deq_places_bind(const int *captured, deq_inner *inner, void *const *slot)
{
    for (int i = 0; i < inner->n_captured; i++)
        DEQ_TRY(deq_program_bind(inner->program, inner->captured[i], slot[captured[i]]));
    return DEQ_OK;
}

void deq_places_data(const deq_places *p, const int *slots, void *const *slot, void **data)
{
    for (int i = 0; i < p->n_states; i++) data[i] = slot[slots[i]];
}

deq_status deq_inner_failed(const deq_inner *inner, deq_status status, char *message)
{
    snprintf(message, DEQ_MESSAGE_BYTES, "%s", deq_program_error(inner->program));
    return status;
}

/* ------------------------------------------------------------------------------------------- */

typedef struct parameters_step {
    const int *captured;
    deq_inner *inner;
} parameters_step;

static deq_status run_parameters(void *self, void *const *slot, char *message)
{
    const parameters_step *s = self;
    deq_status status = deq_places_bind(s->captured, s->inner, slot);
    if (status == DEQ_OK) status = deq_inner_run_parameters(s->inner);
    return status == DEQ_OK ? DEQ_OK : deq_inner_failed(s->inner, status, message);
}

/* Only the captured values that parameters determine are there at this stage; the others are bound
 * too, to memory that the parameter stage of the inner program does not read. */
deq_status deq_lower_parameters(deq_lowering *l, const int *captured, deq_inner *inner)
{
    parameters_step *s = deq_lower_alloc(l, sizeof *s);
    int *reads = deq_lower_alloc(l, (size_t)(inner->n_captured + 1) * sizeof *reads);
    int n = 0;
    if (!s || !reads) return DEQ_ERR_NOMEM;
    for (int i = 0; i < inner->n_captured; i++)
        if (l->program->slots[captured[i]].stage <= DEQ_STAGE_PARAMETER) reads[n++] = captured[i];
    *s = (parameters_step){ captured, inner };
    deq_program_info info = deq_program_stats(inner->program);
    deq_step step = { .run = run_parameters,
                      .self = s,
                      .stage = DEQ_STAGE_PARAMETER,
                      .reads = reads,
                      .n_reads = n,
                      .writes = reads,
                      .kernel = "equilibrium parameters",
                      .flops = info.flops[DEQ_STAGE_PARAMETER],
                      .bytes = info.bytes[DEQ_STAGE_PARAMETER] };
    return deq_lower_step(l, &step);
}
