/* SPDX-License-Identifier: MIT */
/* What the commands below `deq vote` read: votes, gold, trust, priors, costs. */
#include "context.h"
#include "terminal.h"
#include "text.h"
#include "vote.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const char *const vote_separators[] = { "auto", "comma", "tab", "semicolon", NULL };
const char *const vote_duplicates[] = { "first", "last", "all", "error", NULL };
const char *const vote_ties[] = { "first", "random", "abstain", NULL };
const char *const vote_solvers[] = { "auto", "picard", "anderson", "squarem", NULL };
const char *const vote_priors[] = { "auto", "uniform", "free", NULL };

void vote_warn(voting *s, const char *format, ...)
{
    char text[512];
    text_buffer safe = { 0 };
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    put_safe(&safe, text);
    if (!terminal_quiet()) fail(CLI_OK, s->a->path, "warning: %s", text_string(&safe));
    json_push(s->warnings, json_text(text_string(&safe)));
    text_free(&safe);
}

void put_warnings(json_t *result, const voting *s)
{
    if (argument_flag(s->a, "json")) json_put(result, "warnings", json_incref(s->warnings));
}

bool knows_option(const arguments *a, const char *name)
{
    const option *o;
    for (int i = 0; (o = command_option(a->command, i)); i++)
        if (strcmp(o->name, name) == 0) return true;
    return false;
}

static bool given(const arguments *a, const char *name)
{
    return knows_option(a, name) && argument_given(a, name);
}

const char *vote_path(const char *path)
{
    return strcmp(path, "-") == 0 ? "/dev/stdin" : path;
}

/* Lists on the command line ------------------------------------------------------------------- */

/* Names live as long as the process: options of the library point at them. */
static char **kept_names;
static size_t n_kept;

/* The next name of a list "A,B"; NULL at the end. */
static char *next_name(const char **list)
{
    if (!*list) return NULL;
    const size_t n = strcspn(*list, ",");
    char *name = must_alloc(n + 1);
    kept_names = must_realloc(kept_names, (n_kept + 1) * sizeof *kept_names);
    kept_names[n_kept++] = name;
    memcpy(name, *list, n);
    name[n] = '\0';
    *list = (*list)[n] ? *list + n + 1 : NULL;
    return name;
}

int split_names(const char **names, int n, const arguments *a, const char *which)
{
    const char *list = argument_text(a, which);
    int found = 0;
    for (char *name; (name = next_name(&list)); found++) {
        if (found < n && *name)
            names[found] = name;
        else
            return fail(CLI_USAGE, a->path,
                        "option '--%s': expected %d name%s, separated by commas", which, n,
                        n > 1 ? "s" : "");
    }
    if (found == n) return CLI_OK;
    return fail(CLI_USAGE, a->path, "option '--%s': expected %d names, separated by commas", which,
                n);
}

int split_pair(double pair[2], const arguments *a, const char *which)
{
    return parse_pair(pair, a, which, argument_text(a, which));
}

int parse_pair(double pair[2], const arguments *a, const char *which, const char *text)
{
    char *end = NULL;
    pair[0] = strtod(text, &end);
    bool fine = end != text && *end == ',' && pair[0] > 0 && isfinite(pair[0]);
    if (fine) {
        const char *second = end + 1;
        pair[1] = strtod(second, &end);
        fine = end != second && *end == '\0' && pair[1] > 0 && isfinite(pair[1]);
    }
    if (fine) return CLI_OK;
    return fail(CLI_USAGE, a->path, "option '--%s': expected two positive numbers A,B", which);
}

/* Votes ---------------------------------------------------------------------------------------- */

static int label_options(deq_votes_options *o, const arguments *a)
{
    static const char **labels; /* kept like the names */
    const char *list = argument_text(a, "labels");
    int64_t n = 0;
    for (char *name; (name = next_name(&list)); n++) {
        labels = must_realloc(labels, (size_t)(n + 1) * sizeof *labels);
        labels[n] = name;
        for (int64_t i = 0; i < n; i++)
            if (strcmp(labels[i], name) == 0)
                return fail(CLI_USAGE, a->path, "option '--labels': '%s' is there twice", name);
        if (!*name) return fail(CLI_USAGE, a->path, "option '--labels': an empty label");
    }
    o->labels = labels;
    o->n_labels = n;
    o->closed = n > 0;
    return CLI_OK;
}

int votes_options(deq_votes_options *o, const arguments *a)
{
    static const char separators[] = { 0, ',', '\t', ';' };
    const char *columns[3] = { NULL, NULL, NULL };
    *o = deq_votes_defaults();
    if (argument_given(a, "columns")) {
        const int code = split_names(columns, 3, a, "columns");
        if (code != CLI_OK) return code;
    }
    o->task_column = columns[0];
    o->worker_column = columns[1];
    o->label_column = columns[2];
    o->separator = separators[argument_choice(a, "separator")];
    o->duplicates = (deq_duplicates)argument_choice(a, "dups");
    o->skip_bad = argument_flag(a, "skip-bad");
    if (argument_given(a, "abstain")) o->abstain = argument_text(a, "abstain");
    return label_options(o, a);
}

/* A file that takes a while says so. */
static void announce(progress *p, const char *path)
{
    struct stat file;
    char size[HUMAN_CAPACITY];
    progress_start(p, "reading", 0);
    if (stat(path, &file) == 0 && S_ISREG(file.st_mode) && file.st_size > 50000000)
        progress_update(p, 0, "%s", human_bytes(size, (uint64_t)file.st_size));
}

static int read_votes(voting *s)
{
    deq_votes_options o;
    progress p;
    int code = votes_options(&o, s->a);
    if (code != CLI_OK) return code;
    if (argument_flag(s->a, "models")) return read_models(s, &o);
    if (argument_given(s->a, "array")) return fail(CLI_USAGE, s->a->path, "--array needs --models");
    if (argument_count(s->a, "VOTES") > 1)
        return fail(CLI_USAGE, s->a->path, "several files are for --models");
    announce(&p, s->path);
    code = fail_status(s->a, s->ctx, deq_votes_read(&s->votes, s->ctx, vote_path(s->path), &o));
    progress_end(&p);
    return code;
}

static void warn_of_votes(voting *s)
{
    const deq_votes_report r = deq_votes_reported(s->votes);
    const bool first = argument_choice(s->a, "dups") != DEQ_DUPLICATES_ALL;
    if (r.n_bad > 0)
        vote_warn(s, "%lld malformed rows were skipped; the first: %s", (long long)r.n_bad,
                  r.first_bad);
    if (r.n_duplicates > 0)
        vote_warn(s,
                  "%lld votes are of a worker who had voted on the task before, %lld of them for "
                  "another label; %s",
                  (long long)r.n_duplicates, (long long)r.n_conflicting,
                  first ? "one is kept" : "all count (see --dups)");
}

/* The files beside ------------------------------------------------------------------------------ */

int table_options(deq_table_options *o, const arguments *a, const char *which)
{
    const char *columns[2] = { NULL, NULL };
    *o = deq_table_defaults();
    if (which && given(a, which)) {
        const int code = split_names(columns, 2, a, which);
        if (code != CLI_OK) return code;
    }
    o->key_column = columns[0];
    o->value_column = columns[1];
    return CLI_OK;
}

int missing_options(deq_table_options *o, const arguments *a)
{
    const char *text = argument_text(a, "missing-trust");
    char *end;
    o->missing = DEQ_MISSING_IGNORE;
    if (strcmp(text, "ignore") == 0) return CLI_OK;
    o->missing = DEQ_MISSING_ERROR;
    if (strcmp(text, "error") == 0) return CLI_OK;
    o->missing = DEQ_MISSING_VALUE;
    o->missing_value = strtod(text, &end);
    if (end != text && *end == '\0' && o->missing_value >= 0 && o->missing_value <= 1)
        return CLI_OK;
    return fail(CLI_USAGE, a->path,
                "option '--missing-trust': expected error, ignore or a number in [0, 1]");
}

static int read_trust(voting *s)
{
    const char *path = argument_text(s->a, "trust");
    deq_table_options o;
    deq_table_report r;
    int code = table_options(&o, s->a, "trust-columns");
    if (code == CLI_OK) code = missing_options(&o, s->a);
    if (code != CLI_OK) return code;
    code = fail_status(
        s->a, s->ctx,
        deq_vote_read_trust(&s->trust_file, &r, s->ctx, s->votes, vote_path(path), &o));
    if (code != CLI_OK) return code;
    s->has_trust = true;
    if (r.n_unknown > 0)
        vote_warn(s, "%s: %lld workers have no votes", path, (long long)r.n_unknown);
    if (r.n_missing > 0)
        vote_warn(s, "%s: %lld workers who voted are not there (see --missing-trust)", path,
                  (long long)r.n_missing);
    return CLI_OK;
}

static int read_gold_table(voting *s, const char *path)
{
    deq_table_options o;
    deq_table_report r;
    int code = table_options(&o, s->a, "gold-columns");
    if (code != CLI_OK) return code;
    o.unknown_label = argument_given(s->a, "labels") ? DEQ_UNKNOWN_ERROR : DEQ_UNKNOWN_ADD;
    code = fail_status(s->a, s->ctx,
                       deq_vote_read_gold(s->gold, &r, s->votes, vote_path(path), &o));
    if (code == CLI_OK && r.n_unknown > 0)
        vote_warn(s, "%s: %lld tasks have no votes", path, (long long)r.n_unknown);
    return code;
}

static int read_gold(voting *s)
{
    const char *path = argument_text(s->a, "gold");
    const int64_t before = s->v.n_labels;
    s->gold = must_alloc((size_t)(s->v.n_tasks ? s->v.n_tasks : 1) * sizeof *s->gold);
    const int code = is_array_file(path) ? read_gold_array(s, path) : read_gold_table(s, path);
    if (code != CLI_OK) return code;
    s->v = deq_votes_values(s->votes);
    if (s->v.n_labels > before)
        vote_warn(s, "%s: %lld labels are nobody's vote", path,
                  (long long)(s->v.n_labels - before));
    for (int64_t t = 0; t < s->v.n_tasks; t++) s->n_gold += s->gold[t] >= 0;
    if (s->n_gold == 0)
        return fail_about(CLI_DATA, s->a, path, "no task of the votes has a true label there");
    return CLI_OK;
}

static int read_prior(voting *s)
{
    deq_table_options o;
    const int code = table_options(&o, s->a, "prior-columns");
    if (code != CLI_OK) return code;
    s->prior = must_alloc((size_t)s->v.n_labels * sizeof *s->prior);
    return fail_status(
        s->a, s->ctx,
        deq_vote_read_prior(s->prior, s->votes, vote_path(argument_text(s->a, "prior")), &o));
}

static int read_costs(voting *s)
{
    const size_t K = (size_t)s->v.n_labels;
    s->cost = must_alloc(K * K * sizeof *s->cost);
    return fail_status(
        s->a, s->ctx,
        deq_vote_read_costs(s->cost, s->votes, vote_path(argument_text(s->a, "cost")), NULL));
}

/* What stands on the command line, before anything is read.  Columns of a file that is not given would be
 * ignored. */
static int check_usage(const arguments *a)
{
    double pair[2];
    deq_table_options o;
    static const char *const needs[][2] = { { "gold-columns", "gold" },
                                            { "prior-columns", "prior" },
                                            { "trust-columns", "trust" },
                                            { "missing-trust", "trust" } };
    for (int i = 0; i < LENGTH(needs); i++)
        if (given(a, needs[i][0]) && !given(a, needs[i][1]))
            return fail(CLI_USAGE, a->path, "--%s needs --%s", needs[i][0], needs[i][1]);
    if (given(a, "prior") && given(a, "class-prior"))
        return fail(CLI_USAGE, a->path, "--prior gives what --class-prior would choose");
    int code = knows_option(a, "beta") ? split_pair(pair, a, "beta") : CLI_OK;
    if (code == CLI_OK && knows_option(a, "missing-trust")) code = missing_options(&o, a);
    return code;
}

int voting_open(voting *s, const arguments *a)
{
    *s = (voting){ .a = a, .path = argument_text(a, "VOTES"), .warnings = json_array() };
    int code = check_usage(a);
    if (code == CLI_OK) code = open_context(&s->ctx, a);
    if (code == CLI_OK) code = read_votes(s);
    if (code != CLI_OK) return code;
    s->v = deq_votes_values(s->votes);
    warn_of_votes(s);
    if (given(a, "trust")) code = read_trust(s);
    if (code == CLI_OK && given(a, "gold")) code = read_gold(s);
    if (code == CLI_OK && given(a, "prior")) code = read_prior(s);
    if (code == CLI_OK && given(a, "cost")) code = read_costs(s);
    return code;
}

void voting_close(voting *s)
{
    if (s->ctx) deq_trust_file_free(&s->trust_file, s->ctx);
    deq_votes_free(s->votes);
    free(s->gold);
    free(s->prior);
    free(s->cost);
    json_decref(s->warnings);
    deq_context_free(s->ctx);
}
