/* SPDX-License-Identifier: MIT */
/* Storage of Broyden's inverse; see low_rank.h. */
#include "solver/low_rank.h"

static int capacity_that_fits(const deq_solver *s, int memory)
{
    size_t most = s->o.history_bytes / (2 * deq_batch_bytes(&s->b));
    if (memory > s->o.max_iter) memory = s->o.max_iter;
    if (s->o.history_bytes && (size_t)memory > most) memory = (int)most;
    return memory > 1 ? memory : 1;
}

deq_status deq_low_rank_prepare(deq_low_rank *l, deq_solver *s, int memory, double gamma)
{
    size_t B = (size_t)s->b.B;
    l->gamma = l->gamma_own = gamma;
    l->capacity = capacity_that_fits(s, memory);
    l->rank = deq_alloc_array(s->ctx, B, sizeof *l->rank);
    l->first = deq_alloc_array(s->ctx, B, sizeof *l->first);
    l->best = deq_alloc_array(s->ctx, B, sizeof *l->best);
    l->n_carried = deq_alloc_array(s->ctx, B, sizeof *l->n_carried);
    if (!l->rank || !l->first || !l->best || !l->n_carried) return DEQ_ERR_NOMEM;
    for (int i = 0; i < l->capacity; i++) {
        if (!(l->U[i] = deq_batch_vector(&s->b))) return DEQ_ERR_NOMEM;
        if (!(l->V[i] = deq_batch_vector(&s->b))) return DEQ_ERR_NOMEM;
    }
    l->scratch_size = s->o.broyden.reduction == DEQ_REDUCE_SVD ? deq_compress_scratch(l) : 0;
    l->scratch = deq_alloc_array(s->ctx, l->scratch_size, sizeof *l->scratch);
    return l->scratch ? deq_memory_prepare(s, l->capacity, gamma) : DEQ_ERR_NOMEM;
}

void deq_low_rank_release(deq_low_rank *l, deq_solver *s)
{
    size_t B = (size_t)s->b.B;
    deq_release(s->ctx, l->rank, B * sizeof *l->rank);
    deq_release(s->ctx, l->first, B * sizeof *l->first);
    deq_release(s->ctx, l->best, B * sizeof *l->best);
    deq_release(s->ctx, l->n_carried, B * sizeof *l->n_carried);
    deq_release(s->ctx, l->scratch, l->scratch_size * sizeof *l->scratch);
}

void deq_low_rank_begin(deq_low_rank *l, deq_solver *s)
{
    l->carried = s->start;
    l->transposed = s->start_transposed;
    l->gamma = l->carried ? l->carried->gamma : l->gamma_own;
    for (int64_t i = 0; i < s->b.B; i++) {
        int most = DEQ_MEMORY_MAX - l->capacity, carried = l->carried ? l->carried->rank[i] : 0;
        l->n_carried[i] = carried < most ? carried : most;
        l->first[i] = 0;
        l->rank[i] = l->best[i] = s->memory ? s->memory->rank[i] : 0;
        for (int k = 0; k < l->rank[i]; k++)
            deq_memory_get(s->memory, k, i, deq_at(&s->b, l->U[k], i, 0),
                           deq_at(&s->b, l->V[k], i, 0));
    }
}

void deq_low_rank_remember(const deq_low_rank *l, deq_solver *s, int64_t row)
{
    int64_t sample = s->b.sample[row];
    for (int i = 0; i < l->best[sample]; i++) {
        int t = deq_low_rank_slot(l, sample, i);
        deq_memory_put(s->memory, i, sample, deq_at(&s->b, l->U[t], row, 0),
                       deq_at(&s->b, l->V[t], row, 0));
    }
    s->memory->rank[sample] = l->best[sample];
}

void deq_low_rank_drop(deq_low_rank *l, int64_t sample)
{
    if (l->rank[sample] == 0) return;
    l->first[sample] = (l->first[sample] + 1) % l->capacity;
    l->rank[sample]--;
    if (l->best[sample] > 0) l->best[sample]--;
}

void deq_low_rank_forget(deq_low_rank *l, int64_t sample)
{
    l->first[sample] = l->rank[sample] = l->best[sample] = l->n_carried[sample] = 0;
}
