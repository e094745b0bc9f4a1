/* SPDX-License-Identifier: MIT */
/* Votes from a file: whole, or as a stream of batches of tasks. */
#include "vote/columns.h"
#include "vote/votes.h"

#include <stdio.h>
#include <string.h>

typedef struct reader {
    deq_csv *csv;
    deq_votes_options options;
    size_t task, worker, label; /* columns */
    deq_votes_builder b;
    const char *source;
    size_t abstain_length;
    uint32_t short_labels[256]; /* by their only byte: number plus one; 0: not yet seen */
    uint32_t last_task;         /* of the row before, once nothing waits */
    deq_names_queue queue;      /* tasks of rows that wait, and what else these say */
    uint32_t workers[DEQ_NAMES_QUEUE];
    int32_t labels[DEQ_NAMES_QUEUE]; /* -1: abstained */
} reader;

deq_votes_options deq_votes_defaults(void)
{
    return (deq_votes_options){ .struct_size = sizeof(deq_votes_options),
                                .abstain = "",
                                .duplicates = DEQ_DUPLICATES_ALL };
}

static deq_status check_options(deq_context *ctx, const deq_votes_options *o)
{
    if (o->struct_size != sizeof *o)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "deq_votes_options of another size");
    if ((unsigned)o->duplicates > DEQ_DUPLICATES_ERROR)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "duplicates: unknown value %d", (int)o->duplicates);
    if (o->n_labels < 0 || o->n_labels > DEQ_VOTE_MAX_LABELS || (o->n_labels && !o->labels))
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "%lld labels", (long long)o->n_labels);
    if (o->closed && o->n_labels == 0)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "a closed set of labels has none");
    return DEQ_OK;
}

static deq_status add_labels(reader *r)
{
    uint32_t number;
    bool added;

    for (int64_t i = 0; i < r->options.n_labels; i++) {
        const char *text = r->options.labels[i];
        if (!text || !*text || !deq_utf8_valid(text, strlen(text)))
            return deq_fail(r->b.votes->ctx, DEQ_ERR_ARGUMENT, "label %lld is no UTF-8 text",
                            (long long)i);
        DEQ_TRY(deq_names_add(&number, &added, r->b.votes->labels, text, strlen(text)));
        if (!added)
            return deq_fail(r->b.votes->ctx, DEQ_ERR_ARGUMENT, "label '%.40s' is given twice",
                            text);
    }
    r->b.n_ordered = (size_t)r->options.n_labels;
    return DEQ_OK;
}

static deq_status find_columns(reader *r)
{
    static const char *const tasks[] = { "task", "question", NULL };
    static const char *const workers[] = { "worker", NULL };
    static const char *const labels[] = { "label", "answer", NULL };
    const deq_votes_options *o = &r->options;
    const deq_csv_row *header;

    DEQ_TRY(deq_columns_header(&header, r->csv));
    DEQ_TRY(deq_column_find(&r->task, r->csv, header, o->task_column, tasks, true));
    DEQ_TRY(deq_column_find(&r->worker, r->csv, header, o->worker_column, workers, true));
    DEQ_TRY(deq_column_find(&r->label, r->csv, header, o->label_column, labels, true));
    if (r->task == r->worker || r->task == r->label || r->worker == r->label)
        return deq_csv_refuse(r->csv, r->label, "three different columns");
    return DEQ_OK;
}

static deq_status begin(reader *r, deq_context *ctx, const char *path, const void *bytes,
                        size_t size, const deq_votes_options *options)
{
    *r = (reader){ .options = options ? *options : deq_votes_defaults(),
                   .source = path ? path : "memory" };
    DEQ_TRY(check_options(ctx, &r->options));
    DEQ_TRY(deq_columns_open(&r->csv, ctx, path, bytes, size, r->options.separator,
                             r->options.skip_bad));
    DEQ_TRY(deq_votes_empty(&r->b.votes, ctx));
    r->b.duplicates = r->options.duplicates;
    r->abstain_length = r->options.abstain ? strlen(r->options.abstain) : 0;
    DEQ_TRY(add_labels(r));
    return find_columns(r);
}

static void end(reader *r)
{
    deq_csv_close(r->csv);
    if (!r->b.votes) return;
    deq_votes_drop_parts(&r->b);
    deq_votes_free(r->b.votes);
}

/* The number of the name in a field. */
static deq_status number_of(uint32_t *number, const reader *r, deq_names *names,
                            const deq_csv_row *row, size_t field)
{
    bool added;

    const deq_status status = deq_names_add(number, &added, names, row->fields[field],
                                            row->lengths[field]);
    return status == DEQ_ERR_DATA ? deq_csv_refuse(r->csv, field, "UTF-8 text") : status;
}

static bool abstains(const reader *r, const deq_csv_row *row)
{
    return r->options.abstain && row->lengths[r->label] == r->abstain_length &&
           memcmp(row->fields[r->label], r->options.abstain, r->abstain_length) == 0;
}

static deq_status look_label_up(uint32_t *label, const reader *r, const deq_csv_row *row)
{
    deq_names *labels = r->b.votes->labels;
    const char *text = row->fields[r->label];
    deq_status status;

    const int64_t known = deq_names_find(&status, labels, text, row->lengths[r->label]);
    DEQ_TRY(status);
    *label = (uint32_t)known;
    if (known >= 0) return DEQ_OK;
    if (r->options.closed) return deq_csv_refuse(r->csv, r->label, "one of the labels given");
    if (labels->count >= DEQ_VOTE_MAX_LABELS)
        return deq_fail(r->b.votes->ctx, DEQ_ERR_OVERFLOW,
                        "%s: line %lld: more than %d labels: is '%.40s' a column of labels?",
                        r->source, (long long)row->line, DEQ_VOTE_MAX_LABELS,
                        r->options.label_column ? r->options.label_column : "label");
    return number_of(label, r, labels, row, r->label);
}

static deq_status label_of(uint32_t *label, reader *r, const deq_csv_row *row)
{
    const unsigned char first = (unsigned char)row->fields[r->label][0];
    const bool is_short = row->lengths[r->label] == 1;

    if (is_short && r->short_labels[first]) {
        *label = r->short_labels[first] - 1;
        return DEQ_OK;
    }
    DEQ_TRY(look_label_up(label, r, row));
    if (is_short) r->short_labels[first] = *label + 1;
    return DEQ_OK;
}

static deq_status check_names(const reader *r, const deq_csv_row *row)
{
    const size_t fields[] = { r->task, r->worker };

    for (int i = 0; i < 2; i++)
        if (row->lengths[fields[i]] == 0) return deq_csv_refuse(r->csv, fields[i], "a name");
    return DEQ_OK;
}

static deq_status add_vote(reader *r, uint32_t task, uint32_t worker, int32_t label)
{
    r->last_task = task;
    if (label >= 0) return deq_votes_add(&r->b, task, worker, (uint16_t)label);
    r->b.votes->report.n_abstained++;
    return DEQ_OK;
}

/* Add the votes that wait for the numbers of their tasks. */
static deq_status settle(reader *r)
{
    const size_t n = r->queue.count;

    DEQ_TRY(deq_names_add_queue(&r->queue, r->b.votes->tasks));
    for (size_t i = 0; i < n; i++)
        DEQ_TRY(add_vote(r, r->queue.numbers[i], r->workers[i], r->labels[i]));
    return DEQ_OK;
}

/* What the row says: a mistake in it adds no vote. */
static deq_status read_row(reader *r, const deq_csv_row *row)
{
    deq_votes *v = r->b.votes;
    const bool voted = !abstains(r, row);
    uint32_t task, worker, label = 0;

    DEQ_TRY(check_names(r, row));
    if (voted) DEQ_TRY(label_of(&label, r, row));
    DEQ_TRY(number_of(&worker, r, v->workers, row, r->worker));
    if (r->queue.count == DEQ_NAMES_QUEUE) DEQ_TRY(settle(r));
    const size_t at = r->queue.count;
    if (deq_names_enqueue(&r->queue, row->fields[r->task], row->lengths[r->task])) {
        r->workers[at] = worker;
        r->labels[at] = voted ? (int32_t)label : -1;
        return DEQ_OK;
    }
    DEQ_TRY(settle(r));
    DEQ_TRY(number_of(&task, r, v->tasks, row, r->task));
    return add_vote(r, task, worker, voted ? (int32_t)label : -1);
}

/* A row that is malformed ends the work, or is counted. */
static deq_status bad_row(reader *r, deq_status status)
{
    deq_votes_report *report = &r->b.votes->report;

    if (status != DEQ_ERR_DATA || !r->options.skip_bad) return status;
    if (report->n_bad++ == 0)
        snprintf(report->first_bad, sizeof report->first_bad, "%s",
                 deq_last_error(r->b.votes->ctx));
    return DEQ_OK;
}

/* The next row that can be read; NULL at the end. */
static deq_status next_row(const deq_csv_row **row, reader *r)
{
    for (;;) {
        const deq_status status = deq_csv_next(row, r->csv);
        r->b.votes->report.n_rows += *row || status == DEQ_ERR_DATA;
        if (status == DEQ_OK) return DEQ_OK;
        DEQ_TRY(bad_row(r, status));
    }
}

static deq_status read_all(reader *r)
{
    const deq_votes_report *report = &r->b.votes->report;
    const deq_csv_row *row;

    for (;;) {
        DEQ_TRY(next_row(&row, r));
        if (!row) break;
        const deq_status status = read_row(r, row);
        if (status != DEQ_OK) DEQ_TRY(bad_row(r, status));
    }
    DEQ_TRY(settle(r));
    if (report->n_rows == report->n_bad)
        return deq_csv_refuse(r->csv, SIZE_MAX, "no votes; expected a row for each");
    DEQ_TRY(deq_names_rest(r->b.votes->tasks));
    DEQ_TRY(deq_votes_order_labels(&r->b));
    return deq_votes_build(&r->b, r->source);
}

static deq_status read_votes(deq_votes **out, deq_context *ctx, const char *path, const void *bytes,
                             size_t size, const deq_votes_options *options)
{
    reader r;

    *out = NULL;
    deq_status status = begin(&r, ctx, path, bytes, size, options);
    if (status == DEQ_OK) status = read_all(&r);
    if (status == DEQ_OK) {
        *out = r.b.votes;
        r.b.votes = NULL;
    }
    end(&r);
    return status;
}

deq_status deq_votes_read(deq_votes **out, deq_context *ctx, const char *path,
                          const deq_votes_options *options)
{
    return read_votes(out, ctx, path, NULL, 0, options);
}

deq_status deq_votes_parse(deq_votes **out, deq_context *ctx, const void *bytes, size_t size,
                           const deq_votes_options *options)
{
    return read_votes(out, ctx, NULL, bytes ? bytes : "", bytes ? size : 0, options);
}

/* Streams ------------------------------------------------------------------------------------ */

/* Hashes of the tasks of earlier batches, none of them zero. */
typedef struct hash_set {
    uint64_t *slots;
    size_t n_slots, count;
} hash_set;

struct deq_votes_stream {
    deq_context *ctx;
    char *path;
    reader r;
    int64_t votes_a_batch;
    const deq_csv_row *pending; /* read, and not yet in a batch */
    bool finished;
    hash_set before;
};

static bool insert(uint64_t *slots, size_t n_slots, uint64_t hash)
{
    size_t i = (size_t)hash & (n_slots - 1);

    for (; slots[i]; i = (i + 1) & (n_slots - 1))
        if (slots[i] == hash) return false;
    slots[i] = hash;
    return true;
}

static deq_status grow_set(hash_set *set, deq_context *ctx)
{
    const size_t n = set->n_slots ? 2 * set->n_slots : 1024;
    uint64_t *slots = deq_alloc_array(ctx, n, sizeof *slots);

    if (!slots) return DEQ_ERR_NOMEM;
    for (size_t i = 0; i < set->n_slots; i++)
        if (set->slots[i]) (void)insert(slots, n, set->slots[i]);
    deq_release(ctx, set->slots, set->n_slots * sizeof *slots);
    set->slots = slots;
    set->n_slots = n;
    return DEQ_OK;
}

/* The tasks of the batch that ends have been. */
static deq_status remember(deq_votes_stream *s)
{
    const deq_names *tasks = s->r.b.votes->tasks;

    for (size_t t = 0; t < tasks->count; t++) {
        const char *name = deq_names_get(tasks, t);
        if (s->before.count >= s->before.n_slots / 2) DEQ_TRY(grow_set(&s->before, s->ctx));
        if (!insert(s->before.slots, s->before.n_slots, deq_names_hash(name, strlen(name))))
            return deq_fail(s->ctx, DEQ_ERR_DATA,
                            "%s: task '%.40s' comes again behind others: sort the file by task, or "
                            "read it whole",
                            s->path, name);
        s->before.count++;
    }
    return DEQ_OK;
}

/* Whether the row is of another task than the one before. */
static deq_status begins_task(bool *other, reader *r, const deq_csv_row *row)
{
    DEQ_TRY(settle(r));
    const char *last = deq_names_get(r->b.votes->tasks, r->last_task);
    *other = last && strcmp(last, row->fields[r->task]) != 0;
    return DEQ_OK;
}

/* Rows until the batch is full and another task begins. */
static deq_status fill_batch(deq_votes_stream *s)
{
    reader *r = &s->r;
    bool other = false;
    int64_t n = 0;

    for (;; n++) {
        if (!s->pending) DEQ_TRY(next_row(&s->pending, r));
        if (!s->pending) {
            s->finished = true;
            return settle(r);
        }
        if (n >= s->votes_a_batch) DEQ_TRY(begins_task(&other, r, s->pending));
        if (other) return DEQ_OK;
        const deq_status status = read_row(r, s->pending);
        s->pending = NULL;
        if (status != DEQ_OK) DEQ_TRY(bad_row(r, status));
    }
}

static deq_status open_stream(deq_votes_stream *s, const char *path,
                              const deq_votes_options *options)
{
    if (!path) return deq_fail(s->ctx, DEQ_ERR_ARGUMENT, "no path of a file to read");
    if (s->votes_a_batch < 1)
        return deq_fail(s->ctx, DEQ_ERR_ARGUMENT, "batches of %lld votes",
                        (long long)s->votes_a_batch);
    if (!options || !options->closed)
        return deq_fail(s->ctx, DEQ_ERR_ARGUMENT,
                        "a stream has to know all labels: name them, and close the set");
    s->path = deq_strdup(s->ctx, path);
    if (!s->path) return DEQ_ERR_NOMEM;
    return begin(&s->r, s->ctx, s->path, NULL, 0, options);
}

deq_status deq_votes_stream_open(deq_votes_stream **out, deq_context *ctx, const char *path,
                                 const deq_votes_options *options, int64_t votes_a_batch)
{
    *out = NULL;
    deq_votes_stream *s = deq_alloc(ctx, sizeof *s);
    if (!s) return DEQ_ERR_NOMEM;
    s->ctx = ctx;
    s->votes_a_batch = votes_a_batch;
    const deq_status status = open_stream(s, path, options);
    if (status != DEQ_OK) {
        deq_votes_stream_close(s);
        return status;
    }
    *out = s;
    return DEQ_OK;
}

deq_status deq_votes_stream_next(const deq_votes **batch, deq_votes_stream *stream)
{
    reader *r = &stream->r;

    *batch = NULL;
    if (stream->finished) return DEQ_OK;
    deq_names_clear(r->b.votes->tasks);
    DEQ_TRY(fill_batch(stream));
    if (r->b.votes->tasks->count == 0) return DEQ_OK;
    DEQ_TRY(remember(stream));
    DEQ_TRY(deq_votes_build(&r->b, stream->path));
    *batch = r->b.votes;
    return DEQ_OK;
}

deq_votes *deq_votes_stream_table(deq_votes_stream *stream)
{
    return stream->r.b.votes;
}

void deq_votes_stream_close(deq_votes_stream *stream)
{
    if (!stream) return;
    end(&stream->r);
    if (stream->path) deq_release(stream->ctx, stream->path, strlen(stream->path) + 1);
    deq_release(stream->ctx, stream->before.slots,
                stream->before.n_slots * sizeof *stream->before.slots);
    deq_release(stream->ctx, stream, sizeof *stream);
}
