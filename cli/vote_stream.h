/* SPDX-License-Identifier: MIT */
/* Decisions a few tasks at a time, and how a task is written. */
#ifndef DEQ_CLI_VOTE_STREAM_H
#define DEQ_CLI_VOTE_STREAM_H

#include "vote.h"

/* The columns of decisions: see deq vote decide. */
typedef struct task_columns {
    const char **titles; /* NULL behind the last */
    char *align;
    int64_t n_labels;
} task_columns;

void task_columns_make(task_columns *c, const deq_votes *votes);
void task_columns_free(task_columns *c);
/* gold: -1 if not known. */
void write_task(sheet *out, const deq_votes *votes, int64_t t, const deq_decision *d,
                const double *posterior, int64_t K, int32_t gold);

/* deq vote decide --stream. */
int decide_stream(const arguments *a);

#endif
