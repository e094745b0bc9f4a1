/* SPDX-License-Identifier: MIT */
/* A table of votes: what is in it. */
#include "vote/votes.h"

#include <string.h>

static deq_status new_names(deq_names **out, deq_context *ctx)
{
    *out = deq_alloc(ctx, sizeof **out);
    if (!*out) return DEQ_ERR_NOMEM;
    deq_names_init(*out, ctx);
    return DEQ_OK;
}

static void free_names(deq_names *names, deq_context *ctx)
{
    if (!names) return;
    deq_names_free(names);
    deq_release(ctx, names, sizeof *names);
}

deq_status deq_votes_empty(deq_votes **out, deq_context *ctx)
{
    *out = NULL;
    deq_votes *v = deq_alloc(ctx, sizeof *v);
    if (!v) return DEQ_ERR_NOMEM;
    v->ctx = ctx;
    v->begin_capacity = 1;
    v->begin = deq_alloc(ctx, sizeof *v->begin);
    if (!v->begin || new_names(&v->tasks, ctx) != DEQ_OK || new_names(&v->workers, ctx) != DEQ_OK ||
        new_names(&v->labels, ctx) != DEQ_OK) {
        deq_votes_free(v);
        return DEQ_ERR_NOMEM;
    }
    v->tasks->repeats = true;
    *out = v;
    return DEQ_OK;
}

void deq_votes_free(deq_votes *votes)
{
    if (!votes) return;
    deq_context *ctx = votes->ctx;
    free_names(votes->tasks, ctx);
    free_names(votes->workers, ctx);
    free_names(votes->labels, ctx);
    deq_release(ctx, votes->begin, votes->begin_capacity * sizeof *votes->begin);
    deq_release(ctx, votes->worker, votes->vote_capacity * sizeof *votes->worker);
    deq_release(ctx, votes->label, votes->vote_capacity * sizeof *votes->label);
    deq_release(ctx, votes, sizeof *votes);
}

deq_votes_view deq_votes_values(const deq_votes *votes)
{
    return (deq_votes_view){ .n_tasks = (int64_t)votes->tasks->count,
                             .n_workers = (int64_t)votes->workers->count,
                             .n_labels = (int64_t)votes->labels->count,
                             .n_votes = votes->n_votes,
                             .begin = votes->begin,
                             .worker = votes->worker,
                             .label = votes->label };
}

deq_votes_report deq_votes_reported(const deq_votes *votes)
{
    return votes->report;
}

static const char *name_of(const deq_names *names, int64_t number)
{
    return number < 0 ? NULL : deq_names_get(names, (size_t)number);
}

const char *deq_votes_task_name(const deq_votes *votes, int64_t task)
{
    return name_of(votes->tasks, task);
}

const char *deq_votes_worker_name(const deq_votes *votes, int64_t worker)
{
    return name_of(votes->workers, worker);
}

const char *deq_votes_label_name(const deq_votes *votes, int64_t label)
{
    return name_of(votes->labels, label);
}

static int64_t find(deq_names *names, const char *name)
{
    deq_status status;

    return name ? deq_names_find(&status, names, name, strlen(name)) : -1;
}

int64_t deq_votes_find_task(const deq_votes *votes, const char *name)
{
    return find(votes->tasks, name);
}

int64_t deq_votes_find_worker(const deq_votes *votes, const char *name)
{
    return find(votes->workers, name);
}

int64_t deq_votes_find_label(const deq_votes *votes, const char *name)
{
    return find(votes->labels, name);
}

/* constant: -1 nothing yet, in the end; -2 - label while a worker has given one label only once. */
void deq_votes_count_workers(int64_t *total, int32_t *constant, const deq_votes *votes)
{
    const size_t n = votes->workers->count;

    if (total) memset(total, 0, n * sizeof *total);
    for (size_t i = 0; constant && i < n; i++) constant[i] = INT32_MIN;
    for (int64_t j = 0; j < votes->n_votes; j++) {
        const uint32_t w = votes->worker[j];
        const int32_t x = votes->label[j];
        if (total) total[w]++;
        if (!constant || constant[w] == -1) continue;
        if (constant[w] == INT32_MIN)
            constant[w] = -2 - x;
        else
            constant[w] = constant[w] == -2 - x || constant[w] == x ? x : -1;
    }
    for (size_t i = 0; constant && i < n; i++)
        if (constant[i] < -1) constant[i] = -1;
}
