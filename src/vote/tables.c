/* SPDX-License-Identifier: MIT */
/* The files beside the votes: gold, trust, class priors, costs. */
#include <deq/vote/tables.h>

#include "vote/columns.h"
#include "vote/votes.h"

#include <math.h>
#include <string.h>

/* A file that is being read. */
typedef struct table {
    deq_context *ctx;
    const char *path;
    deq_table_options options;
    deq_csv *csv;
    const deq_csv_row *row;
    deq_table_report report;
} table;

static const char *const task_names[] = { "task", "question", NULL };
static const char *const worker_names[] = { "worker", NULL };
static const char *const label_names[] = { "label", "answer", NULL };

deq_table_options deq_table_defaults(void)
{
    return (deq_table_options){ .struct_size = sizeof(deq_table_options),
                                .unknown_label = DEQ_UNKNOWN_ERROR,
                                .missing_value = 0.5 };
}

static deq_status check_options(deq_context *ctx, const deq_table_options *o)
{
    if (o->struct_size != sizeof *o)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "deq_table_options of another size");
    if ((unsigned)o->unknown > DEQ_UNKNOWN_ADD || (unsigned)o->unknown_label > DEQ_UNKNOWN_ADD)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "unknown %d, unknown_label %d", (int)o->unknown,
                        (int)o->unknown_label);
    if ((unsigned)o->missing > DEQ_MISSING_ERROR)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "missing: unknown value %d", (int)o->missing);
    if (!(o->missing_value >= 0 && o->missing_value <= 1))
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "missing_value %g, expected one in [0, 1]",
                        o->missing_value);
    return DEQ_OK;
}

/* Open the file and read its header line into t->row. */
static deq_status open_table(table *t, deq_context *ctx, const char *path,
                             const deq_table_options *options)
{
    *t = (table){ .ctx = ctx, .path = path, .options = options ? *options : deq_table_defaults() };
    DEQ_TRY(check_options(ctx, &t->options));
    DEQ_TRY(deq_columns_open(&t->csv, ctx, path, NULL, 0, t->options.separator, false));
    return deq_columns_header(&t->row, t->csv);
}

static deq_status next_row(table *t)
{
    DEQ_TRY(deq_csv_next(&t->row, t->csv));
    t->report.n_rows += t->row != NULL;
    return DEQ_OK;
}

static deq_status close_table(table *t, deq_table_report *report, deq_status status)
{
    deq_csv_close(t->csv);
    if (report) *report = t->report;
    return status;
}

/* The number of the name in a field; -1: the row is to be skipped. */
static deq_status known(int64_t *number, table *t, deq_names *names, size_t field,
                        deq_unknown unknown, const char *expected)
{
    const char *text = t->row->fields[field];
    const size_t length = t->row->lengths[field];
    deq_status status;
    uint32_t added_number;
    bool added;

    *number = deq_names_find(&status, names, text, length);
    DEQ_TRY(status);
    if (*number >= 0) return DEQ_OK;
    if (unknown == DEQ_UNKNOWN_ERROR || length == 0) return deq_csv_refuse(t->csv, field, expected);
    if (unknown == DEQ_UNKNOWN_COUNT) {
        t->report.n_unknown++;
        return DEQ_OK;
    }
    status = deq_names_add(&added_number, &added, names, text, length);
    if (status == DEQ_ERR_DATA) return deq_csv_refuse(t->csv, field, "UTF-8 text");
    *number = added_number;
    return status;
}

/* A field as a number in [low, high]. */
static deq_status number_in(double *value, table *t, size_t field, double low, double high,
                            const char *expected)
{
    if (deq_csv_number(value, t->csv, field) == DEQ_OK && *value >= low && *value <= high)
        return DEQ_OK;
    return deq_csv_refuse(t->csv, field, expected);
}

/* Gold --------------------------------------------------------------------------------------- */

static deq_status gold_row(int32_t *gold, table *t, deq_votes *votes, size_t key, size_t value)
{
    int64_t task, label;

    if (t->options.unknown == DEQ_UNKNOWN_ADD)
        return deq_fail(t->ctx, DEQ_ERR_ARGUMENT, "tasks cannot be added by a gold file");
    DEQ_TRY(known(&task, t, votes->tasks, key, t->options.unknown, "a task of the votes"));
    if (task < 0 || t->row->lengths[value] == 0) return DEQ_OK;
    DEQ_TRY(
        known(&label, t, votes->labels, value, t->options.unknown_label, "a label of the votes"));
    if (label < 0) return DEQ_OK;
    if (votes->labels->count > DEQ_VOTE_MAX_LABELS)
        return deq_csv_refuse(t->csv, value, "fewer labels in all");
    if (gold[task] >= 0 && gold[task] != label)
        return deq_csv_refuse(t->csv, value, "the label that an earlier row gives to this task");
    t->report.n_used += gold[task] < 0;
    gold[task] = (int32_t)label;
    return DEQ_OK;
}

static deq_status read_gold(int32_t *gold, table *t, deq_votes *votes)
{
    static const char *const usual[] = { "label", "answer", "gold", NULL };
    size_t key, value;

    DEQ_TRY(deq_column_find(&key, t->csv, t->row, t->options.key_column, task_names, true));
    DEQ_TRY(deq_column_find(&value, t->csv, t->row, t->options.value_column, usual, true));
    for (;;) {
        DEQ_TRY(next_row(t));
        if (!t->row) break;
        DEQ_TRY(gold_row(gold, t, votes, key, value));
    }
    t->report.n_missing = (int64_t)votes->tasks->count - t->report.n_used;
    return DEQ_OK;
}

deq_status deq_vote_read_gold(int32_t *gold, deq_table_report *report, deq_votes *votes,
                              const char *path, const deq_table_options *options)
{
    table t;

    for (size_t i = 0; i < votes->tasks->count; i++) gold[i] = -1;
    deq_status status = open_table(&t, votes->ctx, path, options);
    if (status == DEQ_OK) status = read_gold(gold, &t, votes);
    return close_table(&t, report, status);
}

/* Trust -------------------------------------------------------------------------------------- */

#define UNREAD (-1.0) /* trust of a worker not yet named */

typedef struct trust_columns {
    size_t worker, trust, correct, total;
} trust_columns;

/* Arrays for all workers, also those just added. */
static deq_status make_room(deq_trust_file *f, size_t *capacity, deq_context *ctx, size_t need)
{
    size_t a = *capacity, b = a, c = a;
    void *trust = f->trust, *correct = f->correct, *total = f->total;

    if (need <= a) return DEQ_OK;
    deq_status status = deq_grow(ctx, &trust, &a, need, sizeof *f->trust);
    f->trust = trust;
    if (status == DEQ_OK) status = deq_grow(ctx, &correct, &b, need, sizeof *f->correct);
    f->correct = correct;
    if (status == DEQ_OK) status = deq_grow(ctx, &total, &c, need, sizeof *f->total);
    f->total = total;
    if (status != DEQ_OK) { /* keep the three of one size */
        deq_release(ctx, f->trust, a * sizeof *f->trust);
        deq_release(ctx, f->correct, b * sizeof *f->correct);
        deq_release(ctx, f->total, c * sizeof *f->total);
        *f = (deq_trust_file){ 0 };
        *capacity = 0;
        return status;
    }
    for (size_t i = *capacity; i < a; i++) f->trust[i] = UNREAD;
    *capacity = a;
    return DEQ_OK;
}

static deq_status count_in(int64_t *count, table *t, size_t field, double most,
                           const char *expected)
{
    double value;

    DEQ_TRY(number_in(&value, t, field, 0, most, expected));
    if (value != floor(value)) return deq_csv_refuse(t->csv, field, expected);
    *count = (int64_t)value;
    return DEQ_OK;
}

static deq_status trust_row(deq_trust_file *f, size_t *capacity, table *t, deq_votes *votes,
                            const trust_columns *column)
{
    int64_t w;

    DEQ_TRY(
        known(&w, t, votes->workers, column->worker, t->options.unknown, "a worker of the votes"));
    if (w < 0) return DEQ_OK;
    DEQ_TRY(make_room(f, capacity, t->ctx, votes->workers->count));
    if (f->trust[w] != UNREAD) return deq_csv_refuse(t->csv, column->worker, "each worker once");
    t->report.n_used++;
    if (!f->counts)
        return number_in(&f->trust[w], t, column->trust, 0, 1, "a probability in [0, 1]");
    DEQ_TRY(count_in(&f->total[w], t, column->total, 9007199254740992.0, "a count"));
    DEQ_TRY(count_in(&f->correct[w], t, column->correct, (double)f->total[w],
                     "a count that is at most the total"));
    f->trust[w] = (1 + (double)f->correct[w]) / (2 + (double)f->total[w]);
    return DEQ_OK;
}

static deq_status find_trust_columns(trust_columns *column, bool *counts, table *t)
{
    static const char *const trusts[] = { "trust", NULL }, *const rights[] = { "correct", NULL };
    static const char *const totals[] = { "total", NULL };
    const char *value = t->options.value_column;

    DEQ_TRY(deq_column_find(&column->worker, t->csv, t->row, t->options.key_column, worker_names,
                            true));
    DEQ_TRY(deq_column_find(&column->correct, t->csv, t->row, NULL, rights, false));
    DEQ_TRY(deq_column_find(&column->total, t->csv, t->row, NULL, totals, false));
    DEQ_TRY(deq_column_find(&column->trust, t->csv, t->row, value, trusts, value != NULL));
    *counts = column->trust == SIZE_MAX && column->correct != SIZE_MAX && column->total != SIZE_MAX;
    if (*counts || column->trust != SIZE_MAX) return DEQ_OK;
    return deq_csv_refuse(t->csv, SIZE_MAX,
                          "no column 'trust', nor the columns 'correct' and 'total'");
}

static deq_status fill_missing(deq_trust_file *f, table *t, const deq_votes *votes)
{
    const size_t n = votes->workers->count, n_labels = votes->labels->count;
    const double value = t->options.missing == DEQ_MISSING_VALUE ? t->options.missing_value
                                                                 : 1 / (double)n_labels;

    for (size_t w = 0; w < n; w++) {
        if (f->trust[w] != UNREAD) continue;
        t->report.n_missing++;
        if (t->options.missing == DEQ_MISSING_ERROR || !(value <= 1))
            return deq_fail(t->ctx, DEQ_ERR_DATA, "%s: has no trust for worker '%.40s'", t->path,
                            deq_names_get(votes->workers, w));
        f->trust[w] = value;
    }
    return DEQ_OK;
}

static deq_status read_trust(deq_trust_file *f, size_t *capacity, table *t, deq_votes *votes)
{
    trust_columns column;

    DEQ_TRY(find_trust_columns(&column, &f->counts, t));
    DEQ_TRY(make_room(f, capacity, t->ctx, votes->workers->count));
    for (;;) {
        DEQ_TRY(next_row(t));
        if (!t->row) break;
        DEQ_TRY(trust_row(f, capacity, t, votes, &column));
    }
    return fill_missing(f, t, votes);
}

static void free_trust(deq_trust_file *f, deq_context *ctx, size_t capacity)
{
    deq_release(ctx, f->trust, capacity * sizeof *f->trust);
    deq_release(ctx, f->correct, capacity * sizeof *f->correct);
    deq_release(ctx, f->total, capacity * sizeof *f->total);
    *f = (deq_trust_file){ 0 };
}

/* Copies of exactly n elements, for deq_trust_file_free(). */
static deq_status fit(deq_trust_file *out, const deq_trust_file *f, deq_context *ctx, size_t n)
{
    *out = (deq_trust_file){ .trust = deq_alloc_array(ctx, n, sizeof *f->trust),
                             .correct = deq_alloc_array(ctx, n, sizeof *f->correct),
                             .total = deq_alloc_array(ctx, n, sizeof *f->total),
                             .count = (int64_t)n,
                             .counts = f->counts };
    if (!out->trust || !out->correct || !out->total) {
        free_trust(out, ctx, n);
        return DEQ_ERR_NOMEM;
    }
    if (n == 0) return DEQ_OK;
    memcpy(out->trust, f->trust, n * sizeof *f->trust);
    memcpy(out->correct, f->correct, n * sizeof *f->correct);
    memcpy(out->total, f->total, n * sizeof *f->total);
    return DEQ_OK;
}

deq_status deq_vote_read_trust(deq_trust_file *out, deq_table_report *report, deq_context *ctx,
                               deq_votes *votes, const char *path, const deq_table_options *options)
{
    table t;
    deq_trust_file f = { 0 };
    size_t capacity = 0;

    *out = f;
    deq_status status = open_table(&t, ctx, path, options);
    if (status == DEQ_OK) status = read_trust(&f, &capacity, &t, votes);
    if (status == DEQ_OK) status = fit(out, &f, ctx, votes->workers->count);
    free_trust(&f, ctx, capacity);
    return close_table(&t, report, status);
}

void deq_trust_file_free(deq_trust_file *file, deq_context *ctx)
{
    free_trust(file, ctx, (size_t)file->count);
}

/* Priors ------------------------------------------------------------------------------------- */

static deq_status read_prior(double *prior, table *t, const deq_votes *votes)
{
    static const char *const usual[] = { "prior", "probability", NULL };
    const size_t n = votes->labels->count;
    double sum = 0;
    size_t key, value;
    int64_t c;

    DEQ_TRY(deq_column_find(&key, t->csv, t->row, t->options.key_column, label_names, true));
    DEQ_TRY(deq_column_find(&value, t->csv, t->row, t->options.value_column, usual, true));
    for (size_t i = 0; i < n; i++) prior[i] = UNREAD;
    for (;;) {
        DEQ_TRY(next_row(t));
        if (!t->row) break;
        DEQ_TRY(known(&c, t, votes->labels, key, DEQ_UNKNOWN_ERROR, "a label of the votes"));
        if (prior[c] != UNREAD) return deq_csv_refuse(t->csv, key, "each label once");
        DEQ_TRY(number_in(&prior[c], t, value, 0, 1, "a probability in [0, 1]"));
        sum += prior[c];
    }
    for (size_t i = 0; i < n; i++)
        if (prior[i] == UNREAD)
            return deq_fail(t->ctx, DEQ_ERR_DATA, "%s: has no prior for label '%.40s'", t->path,
                            deq_names_get(votes->labels, i));
    if (!(fabs(sum - 1) <= 1e-6))
        return deq_fail(t->ctx, DEQ_ERR_DATA, "%s: the priors sum to %.9g, expected 1", t->path,
                        sum);
    for (size_t i = 0; i < n; i++) prior[i] /= sum;
    return DEQ_OK;
}

deq_status deq_vote_read_prior(double *prior, const deq_votes *votes, const char *path,
                               const deq_table_options *options)
{
    table t;

    deq_status status = open_table(&t, votes->ctx, path, options);
    if (status == DEQ_OK) status = read_prior(prior, &t, votes);
    return close_table(&t, NULL, status);
}

/* Costs -------------------------------------------------------------------------------------- */

/* Columns `truth` and `decision`, or the two called `label`, in this order. */
static deq_status find_cost_columns(size_t column[3], table *t)
{
    static const char *const truth[] = { "truth", NULL }, *const cost[] = { "cost", NULL };
    static const char *const decision[] = { "decision", NULL };
    const char *const *fields = t->row->fields;
    size_t found = 0;

    DEQ_TRY(deq_column_find(&column[2], t->csv, t->row, t->options.value_column, cost, true));
    for (size_t i = 0; i < t->row->count && found < 2; i++)
        if (strcmp(fields[i], "label") == 0) column[found++] = i;
    if (found == 2) return DEQ_OK;
    DEQ_TRY(deq_column_find(&column[0], t->csv, t->row, t->options.key_column, truth, true));
    return deq_column_find(&column[1], t->csv, t->row, NULL, decision, true);
}

static deq_status read_costs(double *cost, table *t, const deq_votes *votes)
{
    const size_t n = votes->labels->count;
    size_t column[3];
    int64_t truth, decision;

    DEQ_TRY(find_cost_columns(column, t));
    for (size_t i = 0; i < n * n; i++) cost[i] = UNREAD;
    for (;;) {
        DEQ_TRY(next_row(t));
        if (!t->row) break;
        DEQ_TRY(
            known(&truth, t, votes->labels, column[0], DEQ_UNKNOWN_ERROR, "a label of the votes"));
        DEQ_TRY(known(&decision, t, votes->labels, column[1], DEQ_UNKNOWN_ERROR,
                      "a label of the votes"));
        double *cell = &cost[(size_t)truth * n + (size_t)decision];
        if (*cell != UNREAD) return deq_csv_refuse(t->csv, column[1], "each pair once");
        DEQ_TRY(number_in(cell, t, column[2], 0, 1e300, "a cost that is not negative"));
    }
    for (size_t i = 0; i < n * n; i++)
        if (cost[i] == UNREAD) cost[i] = i / n == i % n ? 0 : 1;
    return DEQ_OK;
}

deq_status deq_vote_read_costs(double *cost, const deq_votes *votes, const char *path,
                               const deq_table_options *options)
{
    table t;

    deq_status status = open_table(&t, votes->ctx, path, options);
    if (status == DEQ_OK) status = read_costs(cost, &t, votes);
    return close_table(&t, NULL, status);
}
