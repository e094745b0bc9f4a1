/* SPDX-License-Identifier: MIT */
/* Groups of element-wise nodes without an anchor: one tile program each, run by all threads. */
#include "backend/cpu/cpu.h"
#include "backend/cpu/tile.h"

#include <omp.h>
#include <stdalign.h>

typedef struct fused {
    const deq_tile_program *p;
    int threads;
    int scratch; /* slot of working memory, -1: the stack has enough */
} fused;

/* The share of one thread: tiles in order, as many for each as the division allows. */
static void run_share(const fused *f, void *const *slot, int thread, int threads)
{
    alignas(DEQ_ALIGNMENT) char stack[DEQ_TILE_STACK];
    const deq_tile_program *p = f->p;
    deq_tile_run run;
    void *work = f->scratch < 0 ? stack : (char *)slot[f->scratch] + (size_t)thread * p->work;
    deq_tile_begin(&run, p, slot, work, NULL, NULL);
    deq_tile_range(&run, p->tiles * thread / threads, p->tiles * (thread + 1) / threads);
}

static deq_status run_fused(void *self, void *const *slot, char *message)
{
    const fused *f = self;
    (void)message;
    if (f->threads == 1) {
        run_share(f, slot, 0, 1);
        return DEQ_OK;
    }
#pragma omp parallel num_threads(f->threads)
    run_share(f, slot, omp_get_thread_num(), omp_get_num_threads());
    return DEQ_OK;
}

/* The space that a group iterates over; false when a tile program cannot compute it. */
static bool request_of(const deq_lowering *l, const deq_group *group, deq_tile_request *r)
{
    *r = (deq_tile_request){ .nodes = group->nodes,
                             .n_nodes = group->n_nodes,
                             .anchor = -1,
                             .outputs = group->outputs,
                             .n_outputs = group->n_outputs,
                             .type = *deq_type_of(l->g, group->outputs[0]) };
    return deq_tile_fits(l, r->nodes, r->n_nodes, -1, r->outputs, r->n_outputs, &r->type);
}

/* As the inputs are, if every output can be channels-last. */
static bool channels_last(const deq_lowering *l, const deq_group *group, bool inputs_are)
{
    deq_tile_request r;
    if (!inputs_are || !request_of(l, group, &r) || r.type.shape.rank != 4) return false;
    for (int i = 0; i < group->n_outputs; i++) {
        deq_dtype dtype = deq_type_of(l->g, group->outputs[i])->dtype;
        if (dtype != DEQ_F32 && dtype != DEQ_BOOL) return false;
    }
    return true;
}

static deq_status lower(deq_lowering *l, const deq_group *group)
{
    deq_tile_request r;
    deq_tile_program *p;
    if (!request_of(l, group, &r)) return deq_lower_reference(l, group);
    r.layout = l->layout[group->outputs[0].id];
    deq_tile_space(&r);
    DEQ_TRY(deq_tile_compile(&p, l, &r));

    fused *f = deq_lower_alloc(l, sizeof *f);
    if (!f) return DEQ_ERR_NOMEM;
    *f = (fused){ p, deq_tile_threads(p->cost, l->threads), -1 };
    if (p->tiles < f->threads) f->threads = (int)p->tiles;
    if (p->work > DEQ_TILE_STACK) {
        f->scratch = deq_lower_slot(l, p->work * (size_t)f->threads, group->stage);
        if (f->scratch < 0) return DEQ_ERR_NOMEM;
        p->writes[p->n_writes++] = f->scratch;
    }
    deq_overwrite *over = deq_lower_alloc(l,
                                          ((size_t)(p->n_reads * p->n_writes) + 1) * sizeof *over);
    if (!over) return DEQ_ERR_NOMEM;
    deq_step step = { .run = run_fused,
                      .self = f,
                      .stage = group->stage,
                      .n_reads = p->n_reads,
                      .n_writes = p->n_writes,
                      .reads = p->reads,
                      .writes = p->writes,
                      .overwrites = over,
                      .n_overwrites = deq_tile_list_overwrites(p, over),
                      .kernel = "fused",
                      .flops = p->flops,
                      .bytes = p->bytes };
    return deq_lower_step(l, &step);
}

const deq_cpu_kernel deq_cpu_fused = {
    .supports = deq_tile_supports,
    .many_outputs = true,
    .channels_last = channels_last,
    .lower = lower,
};
