/* SPDX-License-Identifier: MIT */
/*
 * From votes in any order to a table sorted by task, by counting: the order within a task is kept.
 * Chunks are freed as they are copied, so that votes are hardly ever in memory twice.
 */
#include "vote/votes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A chunk behind the others of the part that the task is in. */
static deq_status add_chunk(deq_votes_builder *b, size_t part)
{
    deq_context *ctx = b->votes->ctx;
    void *parts = b->parts;

    if (part >= b->n_parts) {
        const deq_status status = deq_grow(ctx, &parts, &b->n_parts, part + 1, sizeof *b->parts);
        b->parts = parts;
        DEQ_TRY(status);
    }
    deq_votes_part *p = &b->parts[part];
    deq_votes_chunk *chunk = deq_alloc(ctx, sizeof *chunk);
    if (!chunk) return DEQ_ERR_NOMEM;
    if (p->last)
        p->last->next = chunk;
    else
        p->first = chunk;
    p->last = chunk;
    return DEQ_OK;
}

deq_status deq_votes_add(deq_votes_builder *b, uint32_t task, uint32_t worker, uint16_t label)
{
    const size_t part = task / DEQ_VOTES_PART;
    deq_votes_chunk *chunk = part < b->n_parts ? b->parts[part].last : NULL;

    if (!chunk || chunk->count == DEQ_VOTES_CHUNK) {
        DEQ_TRY(add_chunk(b, part));
        chunk = b->parts[part].last;
    }
    chunk->task[chunk->count] = task;
    chunk->worker[chunk->count] = worker;
    chunk->label[chunk->count++] = label;
    b->count++;
    return DEQ_OK;
}

static void drop_first(deq_votes_part *p, deq_context *ctx)
{
    deq_votes_chunk *next = p->first->next;

    deq_release(ctx, p->first, sizeof *p->first);
    p->first = next;
}

void deq_votes_drop_parts(deq_votes_builder *b)
{
    deq_context *ctx = b->votes->ctx;

    for (size_t i = 0; i < b->n_parts; i++)
        while (b->parts[i].first) drop_first(&b->parts[i], ctx);
    deq_release(ctx, b->parts, b->n_parts * sizeof *b->parts);
    b->parts = NULL;
    b->n_parts = 0;
    b->count = 0;
}

deq_status deq_votes_number(deq_names *names, int64_t count)
{
    char text[24];
    uint32_t number;
    bool added;

    for (int64_t i = 0; i < count; i++) {
        const int n = snprintf(text, sizeof text, "%lld", (long long)i);
        DEQ_TRY(deq_names_add(&number, &added, names, text, (size_t)n));
    }
    return DEQ_OK;
}

/* Labels ------------------------------------------------------------------------------------- */

typedef struct ordered_label {
    const char *name;
    uint16_t number;
} ordered_label;

static int by_bytes(const void *a, const void *b)
{
    return strcmp(((const ordered_label *)a)->name, ((const ordered_label *)b)->name);
}

/* An optional sign and at most 18 digits. */
static bool whole(const char *s)
{
    const size_t n = strspn(s += *s == '-' || *s == '+', "0123456789");

    return n > 0 && n <= 18 && s[n] == '\0';
}

static int by_value(const void *a, const void *b)
{
    const long long x = strtoll(((const ordered_label *)a)->name, NULL, 10);
    const long long y = strtoll(((const ordered_label *)b)->name, NULL, 10);

    return x < y ? -1 : x > y ? 1 : by_bytes(a, b);
}

static bool all_whole(const deq_names *labels)
{
    for (size_t i = 0; i < labels->count; i++)
        if (!whole(deq_names_get(labels, i))) return false;
    return true;
}

/* The names in their new order, and where each old number went. */
static deq_status renumber(deq_names *labels, uint16_t *to, ordered_label *order, size_t n_ordered)
{
    deq_names sorted;
    deq_status status = DEQ_OK;

    for (size_t i = 0; i < labels->count; i++)
        order[i] = (ordered_label){ deq_names_get(labels, i), (uint16_t)i };
    if (labels->count > n_ordered)
        qsort(order + n_ordered, labels->count - n_ordered, sizeof *order,
              all_whole(labels) ? by_value : by_bytes);
    deq_names_init(&sorted, labels->ctx);
    for (size_t i = 0; i < labels->count && status == DEQ_OK; i++) {
        uint32_t number;
        bool added;
        to[order[i].number] = (uint16_t)i;
        status = deq_names_add(&number, &added, &sorted, order[i].name, strlen(order[i].name));
    }
    if (status != DEQ_OK) {
        deq_names_free(&sorted);
        return status;
    }
    deq_names_free(labels);
    *labels = sorted;
    return DEQ_OK;
}

deq_status deq_votes_order_labels(deq_votes_builder *b)
{
    deq_context *ctx = b->votes->ctx;
    deq_names *labels = b->votes->labels;
    const size_t n = labels->count;
    uint16_t *to = deq_alloc_array(ctx, n, sizeof *to);
    ordered_label *order = deq_alloc_array(ctx, n, sizeof *order);

    deq_status status = to && order ? renumber(labels, to, order, b->n_ordered) : DEQ_ERR_NOMEM;
    bool moved = false;
    for (size_t i = 0; i < n && status == DEQ_OK; i++) moved |= to[i] != i;
    for (size_t p = 0; p < b->n_parts && moved; p++)
        for (deq_votes_chunk *c = b->parts[p].first; c; c = c->next)
            for (size_t i = 0; i < c->count; i++) c->label[i] = to[c->label[i]];
    deq_release(ctx, order, n * sizeof *order);
    deq_release(ctx, to, n * sizeof *to);
    return status;
}

/* Sorting by task ---------------------------------------------------------------------------- */

static deq_status reserve(deq_votes *v, size_t n_tasks, size_t n_votes)
{
    deq_context *ctx = v->ctx;

    v->n_votes = 0;
    if (n_tasks + 1 > v->begin_capacity) {
        deq_release(ctx, v->begin, v->begin_capacity * sizeof *v->begin);
        v->begin = deq_alloc_array(ctx, n_tasks + 1, sizeof *v->begin);
        v->begin_capacity = v->begin ? n_tasks + 1 : 0;
        if (!v->begin) return DEQ_ERR_NOMEM;
    }
    memset(v->begin, 0, v->begin_capacity * sizeof *v->begin);
    if (n_votes <= v->vote_capacity) return DEQ_OK;
    deq_release(ctx, v->worker, v->vote_capacity * sizeof *v->worker);
    deq_release(ctx, v->label, v->vote_capacity * sizeof *v->label);
    v->worker = deq_alloc_array(ctx, n_votes, sizeof *v->worker);
    v->label = deq_alloc_array(ctx, n_votes, sizeof *v->label);
    v->vote_capacity = n_votes;
    return v->worker && v->label ? DEQ_OK : DEQ_ERR_NOMEM;
}

/* begin[t + 1] becomes where task t begins, for the tasks of a part; *at: behind their votes. */
static void find_begins(deq_votes *v, const deq_votes_part *p, size_t from, size_t end, int64_t *at)
{
    for (const deq_votes_chunk *c = p->first; c; c = c->next)
        for (size_t i = 0; i < c->count; i++) v->begin[(size_t)c->task[i] + 1]++;
    for (size_t t = from; t < end; t++) {
        const int64_t n = v->begin[t + 1];
        v->begin[t + 1] = *at;
        *at += n;
    }
}

/* begin[t + 1] counts up from where task t begins to where it ends. */
static void sort(deq_votes_builder *b)
{
    deq_votes *v = b->votes;
    const size_t n_tasks = v->tasks->count;
    int64_t at = 0;

    for (size_t from = 0, i = 0; from < n_tasks; from += DEQ_VOTES_PART, i++) {
        deq_votes_part none = { NULL, NULL }, *p = i < b->n_parts ? &b->parts[i] : &none;
        const size_t end = n_tasks - from < DEQ_VOTES_PART ? n_tasks : from + DEQ_VOTES_PART;
        find_begins(v, p, from, end, &at);
        for (; p->first; drop_first(p, v->ctx)) {
            const deq_votes_chunk *c = p->first;
            for (size_t k = 0; k < c->count; k++) {
                const int64_t to = v->begin[c->task[k] + 1]++;
                v->worker[to] = c->worker[k];
                v->label[to] = c->label[k];
            }
        }
    }
    v->n_votes = b->count;
}

/* Duplicates --------------------------------------------------------------------------------- */

/* Where a worker's first vote on the present task went. */
typedef struct seen {
    int64_t task; /* plus one */
    int64_t at;
} seen;

static deq_status refuse_duplicate(const deq_votes *v, const char *source, int64_t task,
                                   uint32_t worker)
{
    return deq_fail(v->ctx, DEQ_ERR_DATA, "%s: worker '%.40s' votes more than once on task '%.40s'",
                    source, deq_names_get(v->workers, worker),
                    deq_names_get(v->tasks, (size_t)task));
}

/* Whether vote j of task t is the first of its worker; counts if not. */
static bool is_first(deq_votes *v, seen *s, int64_t t, int64_t j, int64_t at)
{
    if (s->task != t + 1) {
        *s = (seen){ t + 1, at };
        return true;
    }
    v->report.n_duplicates++;
    v->report.n_conflicting += v->label[j] != v->label[s->at];
    return false;
}

static deq_status treat_duplicates(deq_votes_builder *b, const char *source)
{
    deq_votes *v = b->votes;
    const int64_t n_tasks = (int64_t)v->tasks->count;
    seen *last = deq_alloc_array(v->ctx, v->workers->count, sizeof *last);
    deq_status status = last ? DEQ_OK : DEQ_ERR_NOMEM;
    int64_t kept = 0, from = 0;

    for (int64_t t = 0; t < n_tasks && status == DEQ_OK; t++) {
        const int64_t end = v->begin[t + 1];
        for (int64_t j = from; j < end && status == DEQ_OK; j++) {
            const uint32_t w = v->worker[j];
            const bool first = is_first(v, &last[w], t, j, kept);
            if (!first && b->duplicates == DEQ_DUPLICATES_ERROR)
                status = refuse_duplicate(v, source, t, w);
            if (!first && b->duplicates == DEQ_DUPLICATES_LAST) v->label[last[w].at] = v->label[j];
            if (!first && b->duplicates != DEQ_DUPLICATES_ALL) continue;
            v->worker[kept] = w;
            v->label[kept++] = v->label[j];
        }
        from = end;
        v->begin[t + 1] = kept;
    }
    v->n_votes = kept;
    deq_release(v->ctx, last, v->workers->count * sizeof *last);
    return status;
}

deq_status deq_votes_build(deq_votes_builder *b, const char *source)
{
    deq_votes *v = b->votes;
    deq_status status = reserve(v, v->tasks->count, (size_t)b->count);

    if (status == DEQ_OK) {
        sort(b);
        status = treat_duplicates(b, source);
    }
    deq_votes_drop_parts(b);
    return status;
}

/* Arrays ------------------------------------------------------------------------------------- */

/* The caller's names are UTF-8: that is checked before. */
static deq_status add_names(deq_names *names, const char *const *text, int64_t count,
                            const char *what)
{
    uint32_t number;
    bool added;

    if (!text) return deq_votes_number(names, count);
    for (int64_t i = 0; i < count; i++) {
        if (!text[i] || !deq_utf8_valid(text[i], strlen(text[i])))
            return deq_fail(names->ctx, DEQ_ERR_ARGUMENT, "the name of %s %lld is no UTF-8 text",
                            what, (long long)i);
        DEQ_TRY(deq_names_add(&number, &added, names, text[i], strlen(text[i])));
        if (!added)
            return deq_fail(names->ctx, DEQ_ERR_NAME, "two %ss are called '%.40s'", what, text[i]);
    }
    return DEQ_OK;
}

static deq_status check_arrays(deq_context *ctx, const deq_votes_arrays *a)
{
    if (!a || a->struct_size != sizeof *a)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "deq_votes_arrays of another size");
    if (a->n_tasks < 0 || a->n_workers < 0 || a->n_labels < 0 || a->n_votes < 0 ||
        a->n_labels > DEQ_VOTE_MAX_LABELS || a->n_tasks > INT32_MAX || a->n_workers > INT32_MAX)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "%lld tasks, %lld workers, %lld labels, %lld votes",
                        (long long)a->n_tasks, (long long)a->n_workers, (long long)a->n_labels,
                        (long long)a->n_votes);
    if (a->n_votes && (!a->task || !a->worker || !a->label))
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "an array of votes is NULL");
    if ((unsigned)a->duplicates > DEQ_DUPLICATES_ERROR)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "duplicates: unknown value %d", (int)a->duplicates);
    for (int64_t i = 0; i < a->n_votes; i++)
        if (a->task[i] < 0 || a->task[i] >= a->n_tasks || a->worker[i] < 0 ||
            a->worker[i] >= a->n_workers || a->label[i] < -1 || a->label[i] >= a->n_labels)
            return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                            "vote %lld: task %d of %lld, worker %d of %lld, label %d of %lld",
                            (long long)i, (int)a->task[i], (long long)a->n_tasks, (int)a->worker[i],
                            (long long)a->n_workers, (int)a->label[i], (long long)a->n_labels);
    return DEQ_OK;
}

static deq_status fill(deq_votes_builder *b, const deq_votes_arrays *a)
{
    deq_votes *v = b->votes;

    DEQ_TRY(add_names(v->tasks, a->task_names, a->n_tasks, "task"));
    DEQ_TRY(add_names(v->workers, a->worker_names, a->n_workers, "worker"));
    DEQ_TRY(add_names(v->labels, a->label_names, a->n_labels, "label"));
    DEQ_TRY(deq_names_rest(v->tasks));
    v->report.n_rows = a->n_votes;
    for (int64_t i = 0; i < a->n_votes; i++) {
        if (a->label[i] < 0)
            v->report.n_abstained++;
        else
            DEQ_TRY(deq_votes_add(b, (uint32_t)a->task[i], (uint32_t)a->worker[i],
                                  (uint16_t)a->label[i]));
    }
    return deq_votes_build(b, "votes");
}

deq_status deq_votes_new(deq_votes **out, deq_context *ctx, const deq_votes_arrays *arrays)
{
    deq_votes_builder b = { 0 };

    *out = NULL;
    DEQ_TRY(check_arrays(ctx, arrays));
    DEQ_TRY(deq_votes_empty(&b.votes, ctx));
    b.duplicates = arrays->duplicates;
    const deq_status status = fill(&b, arrays);
    deq_votes_drop_parts(&b);
    if (status != DEQ_OK) {
        deq_votes_free(b.votes);
        return status;
    }
    *out = b.votes;
    return DEQ_OK;
}
