/* SPDX-License-Identifier: MIT */
/*
 * The metrics of a run: lines of JSON in metrics.jsonl, and the same scalars for TensorBoard.  Both
 * are appended to; a resumed run cuts them to where its checkpoint was made, so no step stands twice.
 */
#ifndef DEQ_TRAIN_JOURNAL_H
#define DEQ_TRAIN_JOURNAL_H

#include "base/context.h"

#include <deq/io/tensorboard.h>
#include <stdio.h>

typedef struct journal {
    deq_context *ctx;
    FILE *lines;
    deq_tensorboard *events;
    char *path;
    int64_t bytes; /* of lines */
} journal;

/* One number of a line. */
typedef struct metric {
    const char *name;
    double value; /* not finite: null */
    bool integer;
} metric;

/* Begin (lines and events < 0), or go on behind so many bytes. */
deq_status deq_journal_open(journal *j, deq_context *ctx, const char *folder, int64_t lines,
                            int64_t events);
/* A line {"kind": kind, "step": step, metrics...}; TensorBoard gets kind/name. */
deq_status deq_journal_add(journal *j, const char *kind, int64_t step, const metric *metrics,
                           int n);
/* Bring everything to the disk, before a checkpoint keeps its length. */
deq_status deq_journal_flush(journal *j);
void deq_journal_close(journal *j);

#endif
