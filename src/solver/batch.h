/* SPDX-License-Identifier: MIT */
/*
 * The vectors of a batch: which rows are in use, whose they are, and how work on them is cut.
 *
 * A vector is a block [batch, dim].  Rows 0 .. n - 1 are in use; row r belongs to sample[r].  A
 * sample is active until it is finished; deq_batch_compact() moves rows of all vectors so that those
 * of active samples stand together, and forgets the others.  What is kept by sample, not by row,
 * need not move.
 *
 * Work on rows is done in phases.  A phase treats each row in chunks of fixed length, whatever the
 * number of threads; a chunk leaves partial sums, which are added in the order of the chunks once the
 * row is complete, and then `finish` draws its conclusion, which the next phase of that row may use.
 * Rows of samples that are not active, or no longer after an earlier phase, are left out.  A thread
 * takes whole rows as far as rows go round, phase after phase while the row is in its cache; the rows
 * left over are split over the threads.  The bits do not depend on which way a row went.
 */
#ifndef DEQ_SOLVER_BATCH_H
#define DEQ_SOLVER_BATCH_H

#include "base/context.h"
#include "solver/kernel.h"

enum {
    DEQ_CHUNK = 2048,      /* elements */
    DEQ_MAX_VECTORS = 320, /* of one batch */
};

typedef struct deq_batch {
    deq_context *ctx;
    const deq_kernels *k;
    int64_t B, d, chunks; /* samples, elements of a row, chunks of a row */
    int64_t n;            /* rows in use */
    int64_t *sample;      /* [B] row -> sample; a permutation of all samples */
    bool *active;         /* [B] by sample */
    int threads;
    int max_sums;    /* partial sums of a chunk, at most */
    double *partial; /* [B, chunks, max_sums] */
    double *total;   /* [B, max_sums] */
    void *vector[DEQ_MAX_VECTORS];
    int n_vectors;
    bool within; /* vectors are lent */
    char *lent;  /* the memory for them; NULL: not there yet */
} deq_batch;

typedef struct deq_phase {
    int n_sums; /* of a chunk, at most max_sums */
    /* Elements at .. at + count - 1 of a row; `sums` arrives zeroed.  May be NULL. */
    void (*chunk)(void *self, int64_t row, int64_t at, int64_t count, double *sums);
    /* After the last chunk of a row: the sums over the row.  May be NULL. */
    void (*finish)(void *self, int64_t row, const double *sums);
} deq_phase;

deq_status deq_batch_init(deq_batch *b, deq_context *ctx, int64_t batch, int64_t dim,
                          deq_dtype dtype, int max_sums);
/* Of a batch that is all zero, or was initialised, well or not. */
void deq_batch_free(deq_batch *b);
/* One more vector [B, d], of any content; it lives as long as the batch.  NULL when out of memory.
 * Before deq_batch_lend() the vectors of a batch `within` are only counted: what is returned is not
 * memory. */
void *deq_batch_vector(deq_batch *b);
/* Of a batch `within`: what its vectors need; and where they are from now on, to be asked for anew. */
size_t deq_batch_lent_bytes(const deq_batch *b);
void deq_batch_lend(deq_batch *b, void *memory);
/* All rows in use, in the order of the samples, all active. */
void deq_batch_reset(deq_batch *b);
/* Run phases over the rows in use. */
void deq_batch_run(deq_batch *b, const deq_phase *phases, int n_phases, void *self);
/* Forget the rows of samples that are not active; rows of all vectors move with their samples. */
void deq_batch_compact(deq_batch *b);
/* Bytes of one vector. */
static inline size_t deq_batch_bytes(const deq_batch *b)
{
    return (size_t)(b->B * b->d) * b->k->size;
}

/* Element `at` of row `row` of a vector of this batch. */
static inline void *deq_at(const deq_batch *b, const void *vector, int64_t row, int64_t at)
{
    return (char *)vector + (size_t)(row * b->d + at) * b->k->size;
}

#endif
