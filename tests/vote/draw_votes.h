/* SPDX-License-Identifier: MIT */
/* Votes for tests: from text, or drawn from a model. */
#ifndef DEQ_TESTS_VOTE_VOTES_H
#define DEQ_TESTS_VOTE_VOTES_H

#include "support/test.h"

#include <deq/random.h>
#include <deq/vote/votes.h>
#include <string.h>

static inline deq_votes *votes_of(deq_context *ctx, const char *text)
{
    deq_votes *votes;

    if (deq_votes_parse(&votes, ctx, text, strlen(text), NULL) != DEQ_OK)
        fail_msg("%s", deq_last_error(ctx));
    return votes;
}

/* One-coin votes: every worker votes on every task; accuracies p[n_workers], truth by the draw. */
static inline deq_votes *draw_votes(int32_t *truth, deq_context *ctx, int tasks, const double *p,
                                    int workers, int labels, uint64_t seed)
{
    const size_t n = (size_t)tasks * (size_t)workers;
    int32_t *task = malloc(n * sizeof *task), *worker = malloc(n * sizeof *worker);
    int32_t *label = malloc(n * sizeof *label);
    double *u = malloc((2 * n + (size_t)tasks) * sizeof *u);
    deq_votes *votes;

    assert_true(task && worker && label && u);
    assert_int_equal(deq_draw_uniform(u, DEQ_F64, (int64_t)(2 * n) + tasks,
                                      (deq_random_key){ seed, 0, 0 }, 0, 1),
                     DEQ_OK);
    for (int t = 0; t < tasks; t++) truth[t] = (int32_t)(u[2 * n + (size_t)t] * labels);
    for (size_t i = 0; i < n; i++) {
        const int32_t t = (int32_t)(i / (size_t)workers), w = (int32_t)(i % (size_t)workers);
        const int32_t other = 1 + (int32_t)(u[2 * i + 1] * (labels - 1));
        task[i] = t;
        worker[i] = w;
        label[i] = u[2 * i] < p[w] ? truth[t] : (truth[t] + other) % labels;
    }
    const deq_votes_arrays a = { .struct_size = sizeof a,
                                 .n_tasks = tasks,
                                 .n_workers = workers,
                                 .n_labels = labels,
                                 .n_votes = (int64_t)n,
                                 .task = task,
                                 .worker = worker,
                                 .label = label };
    assert_int_equal(deq_votes_new(&votes, ctx, &a), DEQ_OK);
    free(task);
    free(worker);
    free(label);
    free(u);
    return votes;
}

#endif
