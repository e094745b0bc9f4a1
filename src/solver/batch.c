/* SPDX-License-Identifier: MIT */
/* Rows of a batch, worked on in phases; see batch.h. */
#include "solver/batch.h"

#include <string.h>

enum { PARALLEL_ELEMENTS = 1 << 14 }; /* from here on a fork and join costs less than it saves */

deq_status deq_batch_init(deq_batch *b, deq_context *ctx, int64_t batch, int64_t dim,
                          deq_dtype dtype, int max_sums)
{
    *b = (deq_batch){ .ctx = ctx,
                      .k = deq_kernels_for(dtype, deq_context_isa(ctx)),
                      .B = batch,
                      .d = dim,
                      .chunks = (dim + DEQ_CHUNK - 1) / DEQ_CHUNK,
                      .threads = deq_context_threads(ctx),
                      .max_sums = max_sums };
    size_t bytes, all, sums = (size_t)max_sums * sizeof(double), n_sums;
    if (!deq_size_mul(&bytes, (size_t)batch, (size_t)dim) ||
        !deq_size_mul(&bytes, bytes, b->k->size) ||
        !deq_size_mul(&all, bytes + DEQ_ALIGNMENT, DEQ_MAX_VECTORS) ||
        !deq_size_mul(&n_sums, (size_t)batch, (size_t)b->chunks) ||
        !deq_size_mul(&n_sums, n_sums, sums))
        return deq_fail(ctx, DEQ_ERR_OVERFLOW, "solver: %lld samples of %lld elements are too many",
                        (long long)batch, (long long)dim);
    b->sample = deq_alloc_array(ctx, (size_t)batch, sizeof *b->sample);
    b->active = deq_alloc_array(ctx, (size_t)batch, sizeof *b->active);
    b->partial = deq_alloc_array(ctx, (size_t)(batch * b->chunks), sums);
    b->total = deq_alloc_array(ctx, (size_t)batch, sums);
    if (!b->sample || !b->active || !b->partial || !b->total) return DEQ_ERR_NOMEM;
    deq_batch_reset(b);
    return DEQ_OK;
}

void deq_batch_free(deq_batch *b)
{
    size_t B = (size_t)b->B, sums = (size_t)b->max_sums * sizeof(double);
    if (!b->ctx) return;
    for (int i = 0; i < b->n_vectors && !b->within; i++)
        deq_release(b->ctx, b->vector[i], deq_batch_bytes(b));
    deq_release(b->ctx, b->sample, B * sizeof *b->sample);
    deq_release(b->ctx, b->active, B * sizeof *b->active);
    deq_release(b->ctx, b->partial, B * (size_t)b->chunks * sums);
    deq_release(b->ctx, b->total, B * sums);
    *b = (deq_batch){ .ctx = NULL };
}

/* Of a lent vector, so that all are aligned. */
static size_t stride(const deq_batch *b)
{
    return (deq_batch_bytes(b) + DEQ_ALIGNMENT - 1) / DEQ_ALIGNMENT * DEQ_ALIGNMENT;
}

size_t deq_batch_lent_bytes(const deq_batch *b)
{
    return (size_t)b->n_vectors * stride(b);
}

void deq_batch_lend(deq_batch *b, void *memory)
{
    b->lent = memory;
    b->n_vectors = 0;
}

void *deq_batch_vector(deq_batch *b)
{
    if (b->n_vectors == DEQ_MAX_VECTORS) {
        (void)deq_fail(b->ctx, DEQ_ERR_NOMEM, "solver: more than %d vectors", DEQ_MAX_VECTORS);
        return NULL;
    }
    void *v = b->lent ? b->lent + (size_t)b->n_vectors * stride(b) : (char *)b;
    if (!b->within) v = deq_alloc(b->ctx, deq_batch_bytes(b));
    if (v) b->vector[b->n_vectors++] = v;
    return v;
}

void deq_batch_reset(deq_batch *b)
{
    b->n = b->B;
    for (int64_t i = 0; i < b->B; i++) {
        b->sample[i] = i;
        b->active[i] = true;
    }
}

/* Running phases ----------------------------------------------------------------------------- */

static double *partial_of(const deq_batch *b, int64_t row, int64_t chunk)
{
    return b->partial + (row * b->chunks + chunk) * b->max_sums;
}

static bool in_work(const deq_batch *b, int64_t row)
{
    return b->active[b->sample[row]];
}

static void run_chunk(deq_batch *b, const deq_phase *p, void *self, int64_t row, int64_t chunk)
{
    double *sums = partial_of(b, row, chunk);
    int64_t at = chunk * DEQ_CHUNK, left = b->d - at;
    for (int i = 0; i < p->n_sums; i++) sums[i] = 0;
    p->chunk(self, row, at, left < DEQ_CHUNK ? left : DEQ_CHUNK, sums);
}

static void run_finish(deq_batch *b, const deq_phase *p, void *self, int64_t row)
{
    double *total = b->total + row * b->max_sums;
    if (!p->finish) return;
    for (int i = 0; i < p->n_sums; i++) total[i] = 0;
    for (int64_t c = 0; p->chunk && c < b->chunks; c++) {
        const double *sums = partial_of(b, row, c);
        for (int i = 0; i < p->n_sums; i++) total[i] += sums[i];
    }
    p->finish(self, row, total);
}

/* All phases of one row, by one thread. */
static void run_row(deq_batch *b, const deq_phase *phases, int n_phases, void *self, int64_t row)
{
    for (int i = 0; i < n_phases && in_work(b, row); i++) {
        for (int64_t c = 0; phases[i].chunk && c < b->chunks; c++)
            run_chunk(b, &phases[i], self, row, c);
        run_finish(b, &phases[i], self, row);
    }
}

void deq_batch_run(deq_batch *b, const deq_phase *phases, int n_phases, void *self)
{
    int threads = b->n * b->d < PARALLEL_ELEMENTS ? 1 : b->threads;
    int64_t whole = b->n / threads * threads, left = b->n - whole;
    if (threads == 1) {
        for (int64_t r = 0; r < b->n; r++) run_row(b, phases, n_phases, self, r);
        return;
    }
#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(static) nowait
        for (int64_t r = 0; r < whole; r++) run_row(b, phases, n_phases, self, r);
        for (int i = 0; left && i < n_phases; i++) {
#pragma omp for schedule(static)
            for (int64_t t = 0; t < (phases[i].chunk ? left * b->chunks : 0); t++) {
                int64_t row = whole + t / b->chunks;
                if (in_work(b, row)) run_chunk(b, &phases[i], self, row, t % b->chunks);
            }
#pragma omp for schedule(static)
            for (int64_t r = whole; r < b->n; r++)
                if (in_work(b, r)) run_finish(b, &phases[i], self, r);
        }
    }
}

/* Compaction --------------------------------------------------------------------------------- */

static void move_row(deq_batch *b, int64_t to, int64_t from)
{
    size_t bytes = (size_t)b->d * b->k->size;
    int64_t sample = b->sample[to];
    for (int i = 0; i < b->n_vectors; i++)
        memcpy(deq_at(b, b->vector[i], to, 0), deq_at(b, b->vector[i], from, 0), bytes);
    b->sample[to] = b->sample[from];
    b->sample[from] = sample;
}

/* The last row in work fills the first gap. */
void deq_batch_compact(deq_batch *b)
{
    int64_t gap = 0;
    for (;;) {
        while (gap < b->n && in_work(b, gap)) gap++;
        while (b->n > gap && !in_work(b, b->n - 1)) b->n--;
        if (gap >= b->n) return;
        move_row(b, gap, b->n - 1);
        b->n--;
    }
}
