/* SPDX-License-Identifier: MIT */
/* Sources with trust and accuracy, from the command line or a file. */
#include "vote_sources.h"

#include "context.h"
#include "text.h"

#include "vote.h"
#include <deq/io/csv.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void correctness_options(deq_vote_correctness_options *o, const arguments *a)
{
    *o = deq_vote_correctness_defaults();
    o->prior = argument_real(a, "prior");
    o->tol = argument_real(a, "tolerance");
    o->effort = argument_real(a, "effort");
    o->draws = argument_integer(a, "draws");
    o->confidence = argument_real(a, "confidence");
    o->interval = argument_flag(a, "rigorous") ? DEQ_VOTE_INTERVAL_RIGOROUS
                                               : DEQ_VOTE_INTERVAL_NORMAL;
    o->seed = (uint64_t)argument_integer(a, "seed");
}

/* "0.9,0.6": probabilities; *n is 0 where it is not known yet. */
static int parse_list(double **values, int64_t *n, const arguments *a, const char *which)
{
    const char *text = argument_text(a, which);
    int64_t count = 0;
    for (bool more = true; more; count++) {
        char *end;
        const double x = strtod(text, &end);
        if (end == text || (*end && *end != ',') || !(x >= 0 && x <= 1))
            return fail(CLI_USAGE, a->path,
                        "option '--%s': number %" PRId64 ": expected a probability in [0, 1]",
                        which, count + 1);
        *values = must_realloc(*values, (size_t)(count + 1) * sizeof **values);
        (*values)[count] = x;
        more = *end == ',';
        text = end + more;
    }
    if (*n == 0) *n = count;
    if (*n == count) return CLI_OK;
    return fail(CLI_USAGE, a->path, "option '--%s': %" PRId64 " numbers, but --t has %" PRId64,
                which, count, *n);
}

static int read_lists(sources *s)
{
    const arguments *a = s->a;
    int code = CLI_OK;
    if (!argument_given(a, "t") && !argument_given(a, "p"))
        return fail(CLI_USAGE, a->path, "expected --t, --p or FILE");
    if (argument_given(a, "columns") || argument_given(a, "beta"))
        return fail(CLI_USAGE, a->path, "--columns and --beta are for FILE");
    if (argument_given(a, "t")) code = parse_list(&s->t, &s->n, a, "t");
    if (code == CLI_OK && argument_given(a, "p")) code = parse_list(&s->p, &s->n, a, "p");
    if (code != CLI_OK) return code;
    if (!s->t) {
        s->t = must_alloc((size_t)s->n * sizeof *s->t);
        memcpy(s->t, s->p, (size_t)s->n * sizeof *s->t);
    }
    s->names = must_alloc((size_t)s->n * sizeof *s->names);
    for (int64_t i = 0; i < s->n; i++) {
        text_buffer name = { 0 };
        put_format(&name, "%" PRId64, i + 1);
        s->names[i] = name.bytes;
    }
    return CLI_OK;
}

/* Files ------------------------------------------------------------------------------------------ */

typedef struct file {
    deq_csv *csv;
    const deq_csv_row *row;
    size_t worker, trust, accuracy, correct, total; /* SIZE_MAX: no such column */
    double a, b;
    size_t room;
} file;

static size_t column(const deq_csv_row *header, const char *name)
{
    size_t found = SIZE_MAX;
    for (size_t i = header->count; i-- > 0;)
        if (strcmp(header->fields[i], name) == 0) found = i;
    return found;
}

static int find_columns(file *f, const arguments *a, const char *path)
{
    const char *names[3] = { "worker", "trust", "accuracy" };
    if (argument_given(a, "columns")) {
        const int code = split_names(names, 3, a, "columns");
        if (code != CLI_OK) return code;
    }
    f->worker = column(f->row, names[0]);
    f->trust = column(f->row, names[1]);
    f->accuracy = column(f->row, names[2]);
    f->correct = column(f->row, "correct");
    f->total = column(f->row, "total");
    if (f->trust != SIZE_MAX || f->accuracy != SIZE_MAX) return CLI_OK;
    if (f->correct != SIZE_MAX && f->total != SIZE_MAX) return CLI_OK;
    return fail_about(CLI_DATA, a, path, "has no column '%s' or '%s', nor 'correct' and 'total'",
                      names[1], names[2]);
}

static deq_status number_in(double *x, const file *f, size_t field, double most,
                            const char *expected)
{
    if (deq_csv_number(x, f->csv, field) == DEQ_OK && *x >= 0 && *x <= most) return DEQ_OK;
    return deq_csv_refuse(f->csv, field, expected);
}

static deq_status trust_of_row(double *t, const file *f)
{
    double correct, total;
    if (f->trust != SIZE_MAX) return number_in(t, f, f->trust, 1, "a probability in [0, 1]");
    if (f->correct == SIZE_MAX || f->total == SIZE_MAX)
        return number_in(t, f, f->accuracy, 1, "a probability in [0, 1]");
    deq_status status = number_in(&total, f, f->total, 9007199254740992.0, "a count");
    if (status == DEQ_OK)
        status = number_in(&correct, f, f->correct, total, "a count that is at most the total");
    if (status == DEQ_OK) *t = (f->a + correct) / (f->a + f->b + total);
    return status;
}

static deq_status add_row(sources *s, file *f)
{
    const size_t i = (size_t)s->n;
    text_buffer name = { 0 };
    if (i == f->room) {
        f->room = 2 * f->room + 16;
        s->t = must_realloc(s->t, f->room * sizeof *s->t);
        s->names = must_realloc(s->names, f->room * sizeof *s->names);
        if (f->accuracy != SIZE_MAX) s->p = must_realloc(s->p, f->room * sizeof *s->p);
    }
    deq_status status = trust_of_row(&s->t[i], f);
    if (status == DEQ_OK && s->p)
        status = number_in(&s->p[i], f, f->accuracy, 1, "a probability in [0, 1]");
    if (status != DEQ_OK) return status;
    if (f->worker == SIZE_MAX)
        put_format(&name, "%zu", i + 1);
    else
        put_format(&name, "%s", *f->row->fields[f->worker] ? f->row->fields[f->worker] : "-");
    s->names[i] = name.bytes;
    s->n++;
    return DEQ_OK;
}

static int read_rows(sources *s, file *f)
{
    for (;;) {
        deq_status status = deq_csv_next(&f->row, f->csv);
        if (status == DEQ_OK && !f->row) return CLI_OK;
        if (status == DEQ_OK) status = add_row(s, f);
        if (status != DEQ_OK) return fail_status(s->a, s->ctx, status);
    }
}

static int read_file(sources *s, const char *path)
{
    deq_csv_options o = deq_csv_defaults();
    double beta[2];
    file f = { 0 };
    if (argument_given(s->a, "t") || argument_given(s->a, "p"))
        return fail(CLI_USAGE, s->a->path, "FILE stands instead of --t and --p");
    int code = split_pair(beta, s->a, "beta");
    if (code != CLI_OK) return code;
    f.a = beta[0];
    f.b = beta[1];
    o.detect = true;
    code = fail_status(s->a, s->ctx, deq_csv_open(&f.csv, s->ctx, vote_path(path), &o));
    if (code == CLI_OK) code = fail_status(s->a, s->ctx, deq_csv_next(&f.row, f.csv));
    if (code == CLI_OK)
        code = f.row ? find_columns(&f, s->a, path) : fail_about(CLI_DATA, s->a, path, "is empty");
    if (code == CLI_OK) code = read_rows(s, &f);
    if (code == CLI_OK && s->n == 0) code = fail_about(CLI_DATA, s->a, path, "names no source");
    deq_csv_close(f.csv);
    return code;
}

int sources_open(sources *s, const arguments *a)
{
    const char *path = argument_text(a, "FILE");
    *s = (sources){ .a = a };
    const int code = open_context(&s->ctx, a);
    if (code != CLI_OK) return code;
    return path ? read_file(s, path) : read_lists(s);
}

void sources_close(sources *s)
{
    for (int64_t i = 0; s->names && i < s->n; i++) free(s->names[i]);
    free(s->names);
    free(s->t);
    free(s->p);
    deq_context_free(s->ctx);
}
