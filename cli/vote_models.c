/* SPDX-License-Identifier: MIT */
/*
 * Models as workers: each file of predictions is one, and votes for its most probable class.
 *
 *     .npz    `label` [N, ...] of integers, or `logits` [N, K, ...]: what deq predict writes; or the
 *             array that --array names; or the only one
 *     .npy    the same without a name: integers are labels, real numbers are scores of classes
 *     others  comma-separated values with a header line: task,label; or task and a column of scores for
 *             each class, called as the class.  Without a task the rows are tasks 0, 1, ...
 *
 * Task n of an array is called n; where there are several positions, n:p.  Class k is called k.
 * Negative labels are abstentions.  All of it becomes text that the reader of votes reads.
 */
#include "context.h"
#include "text.h"
#include "vote.h"

#include <deq/io/csv.h>
#include <deq/io/npy.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The table that is being made. */
typedef struct ensemble {
    voting *s;
    text_buffer text; /* task,worker,label */
    int64_t classes;  /* of arrays of scores; 0: none so far */
    int64_t tasks;    /* of the first file */
    const char *abstain;
} ensemble;

static bool ends_in(const char *s, const char *end)
{
    const size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

bool is_array_file(const char *path)
{
    return ends_in(path, ".npz") || ends_in(path, ".npy");
}

/* "runs/a/labels.npz" is called by its whole path without the ending: restarts often differ in the
 * folder alone. */
static char *worker_of(const char *path)
{
    text_buffer name = { 0 };
    const char *slash = strrchr(path, '/'), *dot = strrchr(path, '.');
    put_bytes(&name, path,
              dot && dot > path && (!slash || dot > slash + 1) ? (size_t)(dot - path)
                                                               : strlen(path));
    return name.bytes;
}

static void put_field(text_buffer *t, const char *s)
{
    put(t, "\"");
    for (; *s; s++) put_bytes(t, *s == '"' ? "\"\"" : s, *s == '"' ? 2 : 1);
    put(t, "\"");
}

static void put_vote(ensemble *e, const char *task, const char *worker, const char *label)
{
    put_field(&e->text, task);
    put(&e->text, ",");
    put_field(&e->text, worker);
    put(&e->text, ",");
    put_field(&e->text, label);
    put(&e->text, "\n");
}

/* Arrays --------------------------------------------------------------------------------------- */

static double element(const deq_archive_tensor *t, int64_t i)
{
    switch (t->type.dtype) {
    case DEQ_F32: return (double)((const float *)t->data)[i];
    case DEQ_F64: return ((const double *)t->data)[i];
    case DEQ_I32: return ((const int32_t *)t->data)[i];
    case DEQ_I64: return (double)((const int64_t *)t->data)[i];
    default: return ((const uint8_t *)t->data)[i];
    }
}

static bool is_real(const deq_archive_tensor *t)
{
    return t->type.dtype == DEQ_F32 || t->type.dtype == DEQ_F64;
}

static int find_array(const deq_archive_tensor **t, ensemble *e, const deq_archive *archive,
                      const char *path, const char *const *usual)
{
    const arguments *a = e->s->a;
    const char *name = argument_text(a, "array");
    *t = NULL;
    if (deq_archive_count(archive) == 1) *t = deq_archive_at(archive, 0);
    if (name && ends_in(path, ".npz")) {
        *t = deq_archive_find(archive, name);
        if (!*t) return fail_about(CLI_DATA, a, path, "has no array '%s'", name);
    }
    for (int i = 0; !*t && usual[i]; i++) *t = deq_archive_find(archive, usual[i]);
    if (!*t)
        return fail_about(CLI_DATA, a, path, "has no array '%s', but %zu others; see --array",
                          usual[0], deq_archive_count(archive));
    const deq_shape *shape = &(*t)->type.shape;
    if (shape->rank < 1 || deq_shape_count(shape) == 0)
        return fail_about(CLI_DATA, a, path, "'%s' has no elements", (*t)->name);
    if (is_real(*t) && shape->rank < 2)
        return fail_about(CLI_DATA, a, path, "'%s': scores of classes are an array [N, K]",
                          (*t)->name);
    return CLI_OK;
}

/* The class of most score at (n, p) of [N, K, P]; -1 for a score that is no number. */
static int64_t best_class(const deq_archive_tensor *t, int64_t K, int64_t P, int64_t n, int64_t p)
{
    int64_t best = 0;
    double most = -INFINITY;
    for (int64_t k = 0; k < K; k++) {
        const double score = element(t, (n * K + k) * P + p);
        if (isnan(score)) return -1;
        if (score > most) {
            most = score;
            best = k;
        }
    }
    return best;
}

static void name_task(char name[48], int64_t n, int64_t p, int64_t P)
{
    if (P == 1)
        snprintf(name, 48, "%" PRId64, n);
    else
        snprintf(name, 48, "%" PRId64 ":%" PRId64, n, p);
}

static int same_tasks(ensemble *e, const char *path, int64_t tasks)
{
    if (e->tasks == 0) e->tasks = tasks;
    if (e->tasks == tasks) return CLI_OK;
    return fail_about(CLI_DATA, e->s->a, path,
                      "predictions for %" PRId64 " tasks, where the first file has %" PRId64, tasks,
                      e->tasks);
}

static int vote_array(ensemble *e, const char *path, const char *worker,
                      const deq_archive_tensor *t)
{
    const deq_shape *shape = &t->type.shape;
    const bool scores = is_real(t);
    const int64_t N = shape->dim[0], K = scores ? shape->dim[1] : 1;
    const int64_t P = deq_shape_count(shape) / (N * K);
    char task[48], label[48];
    if (scores && e->classes < K) e->classes = K;
    for (int64_t n = 0; n < N; n++)
        for (int64_t p = 0; p < P; p++) {
            const int64_t c = scores ? best_class(t, K, P, n, p) : (int64_t)element(t, n * P + p);
            if (scores && c < 0)
                return fail_about(CLI_DATA, e->s->a, path,
                                  "'%s': a score of task %" PRId64 " is no number", t->name, n);
            name_task(task, n, p, P);
            snprintf(label, sizeof label, "%" PRId64, c);
            put_vote(e, task, worker, c < 0 ? e->abstain : label);
        }
    return same_tasks(e, path, N * P);
}

static int read_archive(deq_archive **archive, voting *s, const char *path)
{
    return fail_status(s->a, s->ctx,
                       ends_in(path, ".npy") ? deq_npy_read(archive, s->ctx, path)
                                             : deq_npz_read(archive, s->ctx, path));
}

static int add_archive(ensemble *e, const char *path, const char *worker)
{
    static const char *const usual[] = { "label",  "labels",        "prediction", "logits",
                                         "scores", "probabilities", NULL };
    const deq_archive_tensor *t;
    deq_archive *archive = NULL;
    int code = read_archive(&archive, e->s, path);
    if (code == CLI_OK) code = find_array(&t, e, archive, path, usual);
    if (code == CLI_OK) code = vote_array(e, path, worker, t);
    /* How many classes there are, also where nobody chose the last ones. */
    const deq_archive_tensor *logits = code == CLI_OK ? deq_archive_find(archive, "logits") : NULL;
    if (logits && logits->type.shape.rank >= 2 && e->classes < logits->type.shape.dim[1])
        e->classes = logits->type.shape.dim[1];
    deq_archive_free(archive);
    return code;
}

/* Text ----------------------------------------------------------------------------------------- */

typedef struct columns {
    size_t task, label; /* SIZE_MAX: none */
    char **classes;     /* [count] names of the columns */
    size_t count;
} columns;

static void find_columns(columns *c, const deq_csv_row *header)
{
    static const char *const tasks[] = { "task", "question", "id", "" };
    static const char *const labels[] = { "label", "answer", "prediction" };
    *c = (columns){ .task = SIZE_MAX, .label = SIZE_MAX, .count = header->count };
    c->classes = must_alloc(header->count * sizeof *c->classes);
    for (size_t i = 0; i < header->count; i++) {
        text_buffer name = { 0 };
        put_format(&name, "%s", *header->fields[i] ? header->fields[i] : "-");
        c->classes[i] = name.bytes;
        for (int k = 0; k < LENGTH(tasks); k++)
            if (c->task == SIZE_MAX && strcmp(header->fields[i], tasks[k]) == 0) c->task = i;
        for (int k = 0; k < LENGTH(labels); k++)
            if (c->label == SIZE_MAX && strcmp(header->fields[i], labels[k]) == 0) c->label = i;
    }
}

/* The class of most score in a row. */
static deq_status best_column(size_t *best, const columns *c, const deq_csv *csv)
{
    double most = -INFINITY;
    *best = SIZE_MAX;
    for (size_t i = 0; i < c->count; i++) {
        double score;
        if (i == c->task) continue;
        const deq_status status = deq_csv_number(&score, csv, i);
        if (status != DEQ_OK) return status;
        if (score > most) {
            most = score;
            *best = i;
        }
    }
    return DEQ_OK;
}

static deq_status vote_rows(ensemble *e, deq_csv *csv, const columns *c, const char *worker,
                            int64_t *tasks)
{
    for (*tasks = 0;; ++*tasks) {
        const deq_csv_row *row;
        char number[48];
        size_t best = c->label;
        deq_status status = deq_csv_next(&row, csv);
        if (status != DEQ_OK || !row) return status;
        if (c->label == SIZE_MAX) status = best_column(&best, c, csv);
        if (status != DEQ_OK) return status;
        name_task(number, *tasks, 0, 1);
        put_vote(e, c->task == SIZE_MAX ? number : row->fields[c->task], worker,
                 c->label == SIZE_MAX ? c->classes[best] : row->fields[best]);
    }
}

static int add_table(ensemble *e, const char *path, const char *worker)
{
    deq_csv_options o = deq_csv_defaults();
    const deq_csv_row *header = NULL;
    deq_csv *csv = NULL;
    columns c = { 0 };
    int64_t tasks = 0;
    o.detect = true;
    deq_status status = deq_csv_open(&csv, e->s->ctx, path, &o);
    if (status == DEQ_OK) status = deq_csv_next(&header, csv);
    if (status == DEQ_OK && header) {
        find_columns(&c, header);
        if (c.label == SIZE_MAX && c.count < (c.task == SIZE_MAX ? 2U : 3U))
            status = deq_csv_refuse(csv, SIZE_MAX,
                                    "expected a column 'label', or one for each class");
    }
    if (status == DEQ_OK && header) status = vote_rows(e, csv, &c, worker, &tasks);
    for (size_t i = 0; i < c.count; i++) free(c.classes[i]);
    free(c.classes);
    deq_csv_close(csv);
    const int code = fail_status(e->s->a, e->s->ctx, status);
    if (code != CLI_OK) return code;
    if (tasks == 0) return fail_about(CLI_DATA, e->s->a, path, "holds no predictions");
    return c.task == SIZE_MAX ? same_tasks(e, path, tasks) : CLI_OK;
}

/* ---------------------------------------------------------------------------------------------- */

static int check_options(const arguments *a)
{
    static const char *const no[] = { "columns", "separator", "skip-bad" };
    for (int i = 0; i < LENGTH(no); i++)
        if (argument_given(a, no[i]))
            return fail(CLI_USAGE, a->path, "--%s is not for --models", no[i]);
    for (int i = 0; i < argument_count(a, "VOTES"); i++)
        for (int k = 0; k < i; k++)
            if (strcmp(argument_text_at(a, "VOTES", i), argument_text_at(a, "VOTES", k)) == 0)
                return fail(CLI_USAGE, a->path, "%s is there twice",
                            argument_text_at(a, "VOTES", i));
    return CLI_OK;
}

/* The classes of scores are labels even if nobody votes for them. */
static const char **class_labels(int64_t n)
{
    const char **labels = must_alloc((size_t)n * sizeof *labels);
    for (int64_t c = 0; c < n; c++) {
        text_buffer name = { 0 };
        put_format(&name, "%" PRId64, c);
        labels[c] = name.bytes;
    }
    return labels;
}

static int parse(ensemble *e, deq_votes_options *o)
{
    const char **labels = NULL;
    if (e->classes > DEQ_VOTE_MAX_LABELS)
        return fail(CLI_DATA, e->s->a->path, "%lld classes, and at most %d are possible",
                    (long long)e->classes, DEQ_VOTE_MAX_LABELS);
    if (e->classes > 0 && !o->labels) {
        labels = class_labels(e->classes);
        o->labels = labels;
        o->n_labels = e->classes;
    }
    const int code = fail_status(
        e->s->a, e->s->ctx,
        deq_votes_parse(&e->s->votes, e->s->ctx, e->text.bytes, e->text.size, o));
    for (int64_t c = 0; labels && c < e->classes; c++) free((void *)(uintptr_t)labels[c]);
    free(labels);
    return code;
}

int read_models(voting *s, deq_votes_options *o)
{
    ensemble e = { .s = s, .abstain = o->abstain };
    int code = check_options(s->a);
    put(&e.text, "task,worker,label\n");
    for (int i = 0; i < argument_count(s->a, "VOTES") && code == CLI_OK; i++) {
        const char *path = argument_text_at(s->a, "VOTES", i);
        char *worker = worker_of(path);
        code = is_array_file(path) ? add_archive(&e, path, worker)
                                   : add_table(&e, vote_path(path), worker);
        free(worker);
    }
    o->separator = ',';
    if (code == CLI_OK) code = parse(&e, o);
    text_free(&e.text);
    return code;
}

static int gold_of_array(voting *s, const char *path, const deq_archive_tensor *t)
{
    const int64_t N = t->type.shape.dim[0], P = deq_shape_count(&t->type.shape) / N;
    int64_t unknown = 0;
    char task[48], label[48];
    if (is_real(t))
        return fail_about(CLI_DATA, s->a, path, "'%s': true labels are whole numbers", t->name);
    for (int64_t i = 0; i < s->v.n_tasks; i++) s->gold[i] = -1;
    for (int64_t i = 0; i < N * P; i++) {
        const int64_t truth = (int64_t)element(t, i);
        if (truth < 0) continue;
        name_task(task, i / P, i % P, P);
        snprintf(label, sizeof label, "%" PRId64, truth);
        const int64_t at = deq_votes_find_task(s->votes, task);
        const int64_t c = deq_votes_find_label(s->votes, label);
        if (c < 0)
            return fail_about(CLI_DATA, s->a, path,
                              "'%s': label %s of task %s is not among those of the votes "
                              "(see --labels)",
                              t->name, label, task);
        if (at < 0)
            unknown++;
        else
            s->gold[at] = (int32_t)c;
    }
    if (unknown > 0) vote_warn(s, "%s: %lld tasks have no votes", path, (long long)unknown);
    return CLI_OK;
}

int read_gold_array(voting *s, const char *path)
{
    static const char *const usual[] = { "y", "label", "labels", "target", "gold", NULL };
    const char *named[1] = { NULL };
    const deq_archive_tensor *t = NULL;
    deq_archive *archive = NULL;
    if (argument_given(s->a, "gold-columns")) {
        const int code = split_names(named, 1, s->a, "gold-columns");
        if (code != CLI_OK) return code;
    }
    int code = read_archive(&archive, s, path);
    if (code == CLI_OK && argument_given(s->a, "gold-columns")) {
        t = deq_archive_find(archive, named[0]);
        if (!t) code = fail_about(CLI_DATA, s->a, path, "has no array '%s'", named[0]);
    }
    if (code == CLI_OK && !t) {
        for (int i = 0; !t && usual[i]; i++) t = deq_archive_find(archive, usual[i]);
        if (!t && deq_archive_count(archive) == 1) t = deq_archive_at(archive, 0);
        if (!t) code = fail_about(CLI_DATA, s->a, path, "has no array 'y'; see --gold-columns");
    }
    if (code == CLI_OK && (t->type.shape.rank < 1 || deq_shape_count(&t->type.shape) == 0))
        code = fail_about(CLI_DATA, s->a, path, "'%s' has no elements", t->name);
    if (code == CLI_OK) code = gold_of_array(s, path, t);
    deq_archive_free(archive);
    return code;
}
