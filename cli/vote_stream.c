/* SPDX-License-Identifier: MIT */
/*
 * deq vote decide --stream: with trust that is known, a task needs its own votes only.  Memory: a batch,
 * the workers, and 16 bytes a task that has been.
 */
#include "vote_stream.h"

#include "context.h"
#include "replace.h"
#include "terminal.h"
#include "text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { VOTES_A_BATCH = 1 << 18 };

typedef struct stream {
    voting s; /* votes: the stream's own table; without gold */
    deq_votes_stream *stream;
    deq_belief belief;
    deq_decide_options options;
    double *trust; /* [room] */
    int64_t room;
    double missing;
    deq_decision *decisions; /* [tasks] */
    double *posterior;       /* [tasks, K] */
    int64_t tasks;
    sheet out;
    /* Sums over all batches. */
    int64_t n_batches, n_tasks, n_votes, n_ties, n_contradictions, n_strangers;
    double believed, variance, n_believed;
    progress progress;
} stream;

/* Whatever else the command could do needs all votes at once. */
static int check_usage(const arguments *a)
{
    static const char *const no[] = { "gold",        "models",    "empirical-bayes",
                                      "workers",     "report",    "rows",
                                      "solver",      "max-iter",  "tolerance",
                                      "class-prior", "smoothing", "prior-smoothing",
                                      "restarts",    "folds" };
    for (int i = 0; i < LENGTH(no); i++)
        if (argument_given(a, no[i]))
            return fail(CLI_USAGE, a->path, "--%s is not for --stream", no[i]);
    if (strcmp(argument_text(a, "method"), "auto") != 0)
        return fail(CLI_USAGE, a->path, "--stream needs --trust: --method would need all votes");
    if (!argument_given(a, "trust") || !argument_given(a, "labels"))
        return fail(CLI_USAGE, a->path, "--stream needs --trust and --labels");
    if (argument_count(a, "VOTES") > 1)
        return fail(CLI_USAGE, a->path, "several files are for --models");
    if (argument_flag(a, "json") && !argument_given(a, "out"))
        return fail(CLI_USAGE, a->path, "--stream with --json needs --out for the decisions");
    return CLI_OK;
}

static int open_votes(stream *r)
{
    deq_votes_options o;
    const int code = votes_options(&o, r->s.a);
    if (code != CLI_OK) return code;
    const deq_status status = deq_votes_stream_open(&r->stream, r->s.ctx, vote_path(r->s.path), &o,
                                                    VOTES_A_BATCH);
    if (status == DEQ_OK) r->s.votes = deq_votes_stream_table(r->stream);
    return fail_status(r->s.a, r->s.ctx, status);
}

/* Trust in those whom the file names; the others get what --missing-trust says. */
static int read_trust(stream *r)
{
    const arguments *a = r->s.a;
    deq_table_options o;
    double beta[2];
    int code = table_options(&o, a, "trust-columns");
    if (code == CLI_OK) code = missing_options(&o, a);
    if (code == CLI_OK) code = split_pair(beta, a, "beta");
    if (code != CLI_OK) return code;
    o.unknown = DEQ_UNKNOWN_ADD;
    code = fail_status(a, r->s.ctx,
                       deq_vote_read_trust(&r->s.trust_file, NULL, r->s.ctx, r->s.votes,
                                           vote_path(argument_text(a, "trust")), &o));
    if (code != CLI_OK) return code;
    const double ignored = 1 / (double)deq_votes_values(r->s.votes).n_labels;
    r->missing = o.missing == DEQ_MISSING_VALUE   ? o.missing_value
                 : o.missing == DEQ_MISSING_ERROR ? NAN
                 : r->s.trust_file.counts         ? beta[0] / (beta[0] + beta[1])
                                                  : ignored;
    r->room = r->s.trust_file.count;
    r->trust = must_alloc((size_t)(r->room + 1) * sizeof *r->trust);
    for (int64_t i = 0; i < r->room; i++) {
        const deq_trust_file *f = &r->s.trust_file;
        r->trust[i] = f->counts ? (beta[0] + (double)f->correct[i]) /
                                      (beta[0] + beta[1] + (double)f->total[i])
                                : f->trust[i];
    }
    return CLI_OK;
}

static int read_prior_and_costs(stream *r)
{
    const arguments *a = r->s.a;
    const size_t K = (size_t)deq_votes_values(r->s.votes).n_labels;
    deq_table_options o;
    int code = table_options(&o, a, "prior-columns");
    if (code == CLI_OK && argument_given(a, "prior")) {
        r->s.prior = must_alloc(K * sizeof *r->s.prior);
        code = fail_status(
            a, r->s.ctx,
            deq_vote_read_prior(r->s.prior, r->s.votes, vote_path(argument_text(a, "prior")), &o));
    }
    if (code == CLI_OK && argument_given(a, "cost")) {
        r->s.cost = must_alloc(K * K * sizeof *r->s.cost);
        code = fail_status(
            a, r->s.ctx,
            deq_vote_read_costs(r->s.cost, r->s.votes, vote_path(argument_text(a, "cost")), NULL));
    }
    return code;
}

/* Room for a batch, and trust for workers who come up in it. */
static int make_room(stream *r, const deq_votes *batch)
{
    const deq_votes_view v = deq_votes_values(batch);
    if (v.n_tasks > r->tasks) {
        r->tasks = v.n_tasks;
        r->decisions = must_realloc(r->decisions, (size_t)r->tasks * sizeof *r->decisions);
        r->posterior = must_realloc(r->posterior,
                                    (size_t)(r->tasks * v.n_labels) * sizeof *r->posterior);
    }
    if (v.n_workers <= r->room) return CLI_OK;
    if (isnan(r->missing))
        return fail_about(CLI_DATA, r->s.a, deq_votes_worker_name(batch, r->room),
                          "this worker has no trust (see --missing-trust)");
    const int64_t before = r->room;
    r->n_strangers += v.n_workers - before;
    r->room = v.n_workers;
    r->trust = must_realloc(r->trust, (size_t)(2 * r->room) * sizeof *r->trust);
    for (int64_t i = before; i < r->room; i++) r->trust[i] = r->missing;
    return CLI_OK;
}

static void add(stream *r, const deq_votes *batch)
{
    const deq_votes_view v = deq_votes_values(batch);
    for (int64_t t = 0; t < v.n_tasks; t++) {
        const deq_decision *d = &r->decisions[t];
        write_task(&r->out, batch, t, d, r->posterior + t * v.n_labels, v.n_labels, -1);
        r->n_ties += (d->flags & DEQ_DECISION_TIE) != 0;
        r->n_contradictions += (d->flags & DEQ_DECISION_CONTRADICTION) != 0;
        if (d->flags & DEQ_DECISION_NO_VOTES) continue;
        r->believed += d->probability;
        r->variance += d->probability * (1 - d->probability);
        r->n_believed++;
    }
    r->n_tasks += v.n_tasks;
    r->n_votes += v.n_votes;
    progress_update(&r->progress, r->n_votes, "%lld tasks", (long long)r->n_tasks);
}

static int decide_batches(stream *r)
{
    for (;;) {
        const deq_votes *batch;
        deq_status status = deq_votes_stream_next(&batch, r->stream);
        if (status != DEQ_OK) return fail_status(r->s.a, r->s.ctx, status);
        if (!batch) return CLI_OK;
        if (interrupted()) return fail(CLI_INTERRUPTED, r->s.a->path, "interrupted");
        const int code = make_room(r, batch);
        if (code != CLI_OK) return code;
        r->belief.trust = r->trust;
        r->options.seed = (uint64_t)argument_integer(r->s.a, "seed") +
                          0x9e3779b97f4a7c15U * (uint64_t)r->n_batches++;
        status = deq_vote_decide(r->decisions, r->posterior, r->s.ctx, batch, &r->belief,
                                 &r->options);
        if (status != DEQ_OK) return fail_status(r->s.a, r->s.ctx, status);
        add(r, batch);
    }
}

static int decide_into(stream *r, FILE *to, sheet_format format)
{
    task_columns c;
    task_columns_make(&c, r->s.votes);
    sheet_begin(&r->out, to, format, c.titles, c.align, 0);
    progress_start(&r->progress, "votes", 0);
    const int code = decide_batches(r);
    progress_end(&r->progress);
    sheet_end(&r->out);
    if (format == SHEET_JSON) putc('\n', to);
    task_columns_free(&c);
    return code;
}

static int summarise(stream *r)
{
    const deq_votes_report report = deq_votes_reported(r->s.votes);
    const double mean = r->believed / r->n_believed;
    const double spread = 1.96 * sqrt(r->variance) / r->n_believed;
    json_t *o = json_object(), *believed = json_object();
    json_put(o, "file", json_text(r->s.path));
    json_put(o, "tasks", json_integer(r->n_tasks));
    json_put(o, "workers", json_integer(r->room));
    json_put(o, "votes", json_integer(r->n_votes));
    json_put(o, "abstentions", json_integer(report.n_abstained));
    json_put(o, "duplicates", json_integer(report.n_duplicates));
    json_put(o, "bad_rows", json_integer(report.n_bad));
    json_put(o, "method", json_string("given"));
    json_put(o, "ties", json_integer(r->n_ties));
    json_put(o, "contradictions", json_integer(r->n_contradictions));
    json_put(believed, "accuracy", json_number(mean));
    json_put(believed, "low", json_number(fmax(mean - spread, 0)));
    json_put(believed, "high", json_number(fmin(mean + spread, 1)));
    json_put(o, "believed", believed);
    put_warnings(o, &r->s);
    return print_result(r->s.a, o);
}

static void warn(stream *r)
{
    const deq_votes_report report = deq_votes_reported(r->s.votes);
    if (report.n_bad > 0)
        vote_warn(&r->s, "%lld malformed rows were skipped; the first: %s", (long long)report.n_bad,
                  report.first_bad);
    if (report.n_duplicates > 0)
        vote_warn(&r->s, "%lld votes are of a worker who had voted on the task before",
                  (long long)report.n_duplicates);
    if (r->n_strangers > 0)
        vote_warn(&r->s, "%lld workers who voted have no trust (see --missing-trust)",
                  (long long)r->n_strangers);
}

/* Rows go to --out and the summary to stdout, or the rows alone to stdout. */
static int decide_all(stream *r)
{
    const char *out = argument_text(r->s.a, "out");
    sheet_format format = SHEET_CSV;
    replacement file;
    int code;
    if (!out) {
        code = decide_into(r, stdout, format);
    } else {
        code = sheet_format_of(&format, r->s.a, out);
        if (code != CLI_OK) return code;
        FILE *to = replace_open(&file, r->s.a, out);
        if (!to) return CLI_FAILED;
        code = replace_close(&file, decide_into(r, to, format));
    }
    if (code == CLI_OK) warn(r);
    return code == CLI_OK && out ? summarise(r) : code;
}

int decide_stream(const arguments *a)
{
    stream r = { .s = { .a = a, .path = argument_text(a, "VOTES") },
                 .belief = { .struct_size = sizeof(deq_belief) } };
    int code = check_usage(a);
    if (code != CLI_OK) return code;
    r.s.warnings = json_array();
    code = open_context(&r.s.ctx, a);
    if (code == CLI_OK) code = open_votes(&r);
    if (code == CLI_OK) code = read_trust(&r);
    if (code == CLI_OK) code = read_prior_and_costs(&r);
    if (code == CLI_OK) code = decide_options(&r.options, a);
    r.belief.prior = r.s.prior;
    r.belief.cost = r.s.cost;
    interrupt_watch();
    if (code == CLI_OK) code = decide_all(&r);
    deq_votes_stream_close(r.stream);
    r.s.votes = NULL; /* it was the stream's */
    free(r.trust);
    free(r.decisions);
    free(r.posterior);
    voting_close(&r.s);
    return code;
}
