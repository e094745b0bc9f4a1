/* SPDX-License-Identifier: MIT */
#include "backend/cpu/share.h"

#include "graph/program_internal.h"

int deq_cpu_find_step(const deq_lowering *l, deq_stage stage, deq_step_fn *run, int from,
                      deq_cpu_same_fn *same, const void *key)
{
    const deq_program *p = l->program;
    for (size_t k = 0; k < p->n_steps[stage]; k++) {
        const deq_step *s = &p->steps[stage][k];
        if (s->run == run && s->reads[0] == from && same(s->self, key)) return s->writes[0];
    }
    return -1;
}
