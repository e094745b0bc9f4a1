/* SPDX-License-Identifier: MIT */
/* deq vote accuracy: how often a weighted majority is right. */
#include "context.h"
#include "vote.h"
#include "vote_sources.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const methods[] = {
#define NAME(name, text) text,
    DEQ_VOTE_CORRECTNESS_LIST(NAME)
#undef NAME
        "all",
    NULL
};

static const char *const bounds[] = { "exact", "certified", "confidence", "none" };

typedef struct reckoning {
    sources s;
    deq_vote_correctness_options options;
    json_t *rows;
} reckoning;

static void add_row(reckoning *r, const char *what, const deq_vote_correctness_result *c)
{
    json_t *row = json_object();
    const bool bounded = c->bound != DEQ_VOTE_BOUND_NONE;
    json_put(row, "accuracy", json_string(what));
    json_put(row, "value", json_number(c->correctness));
    json_put(row, "error", json_number(c->error));
    json_put(row, "error_low", json_number(bounded ? c->error_low : NAN));
    json_put(row, "error_high", json_number(bounded ? c->error_high : NAN));
    json_put(row, "bound", json_string(bounds[c->bound]));
    json_put(row, "method", json_string(deq_vote_correctness_method_name(c->method)));
    json_put(row, "log_error", json_number(c->log_error));
    json_put(row, "tie", json_number(c->tie));
    json_put(row, "contradiction", json_number(c->contradiction));
    json_put(row, "work", json_number(c->work));
    json_push(r->rows, row);
}

/* A row of one quantity, or of every method that reaches it. */
static int add(reckoning *r, const char *what, const double *t, const double *p, bool weighted)
{
    const int chosen = argument_choice(r->s.a, "method");
    const bool all = chosen == DEQ_VOTE_CORRECTNESS_COUNT;
    for (int m = all ? 1 : chosen; m < (all ? DEQ_VOTE_CORRECTNESS_COUNT : chosen + 1); m++) {
        deq_vote_correctness_result c;
        deq_vote_correctness_options o = r->options;
        o.method = (deq_vote_correctness_method)m;
        if (weighted) o.weight_0 = 0;
        const deq_status status = weighted ? deq_vote_correctness_weighted(&c, r->s.ctx, r->s.n, t,
                                                                           p, &o)
                                           : deq_vote_correctness(&c, r->s.ctx, r->s.n, t, p, &o);
        if (all && status == DEQ_ERR_UNSUPPORTED) continue;
        if (status != DEQ_OK) return fail_status(r->s.a, r->s.ctx, status);
        add_row(r, what, &c);
    }
    return CLI_OK;
}

static int add_majority(reckoning *r)
{
    double *ones = malloc((size_t)r->s.n * sizeof *ones);
    if (!ones) return fail(CLI_FAILED, r->s.a->path, "out of memory");
    for (int64_t i = 0; i < r->s.n; i++) ones[i] = 1;
    const int code = add(r, "simple majority, actual", ones, r->s.p, true);
    free(ones);
    return code;
}

static int add_all(reckoning *r)
{
    int code = add(r, "believed", r->s.t, r->s.t, false);
    if (!r->s.p) return code;
    if (code == CLI_OK) code = add(r, "actual", r->s.t, r->s.p, false);
    if (code == CLI_OK) code = add(r, "optimal", r->s.p, r->s.p, false);
    return code == CLI_OK ? add_majority(r) : code;
}

/* Bounds on the error of the optimal rule; without p of the rule if trust is right. */
static int put_bounds(json_t *result, reckoning *r)
{
    deq_vote_bounds_result b;
    json_t *o = json_object();
    const int code = fail_status(r->s.a, r->s.ctx,
                                 deq_vote_bounds(&b, r->s.ctx, r->s.n, r->s.p ? r->s.p : r->s.t));
    json_put(o, "on_the_error", json_string(r->s.p ? "optimal" : "believed"));
    json_put(o, "bhattacharyya_low", json_number(b.bhattacharyya_low));
    json_put(o, "bhattacharyya_high", json_number(b.bhattacharyya_high));
    json_put(o, "bhattacharyya", json_number(exp(b.log_bhattacharyya)));
    json_put(o, "potential", json_number(b.potential));
    json_put(o, "potential_low", json_number(b.potential_low));
    json_put(o, "potential_high", json_number(b.potential_high));
    json_put(o, "best_source", json_number(b.best_source));
    json_put(result, "bounds", o);
    return code;
}

static int run(const arguments *a)
{
    reckoning r = { .rows = json_array() };
    json_t *result = json_object();
    int code = sources_open(&r.s, a);
    if (code == CLI_OK) {
        correctness_options(&r.options, a);
        code = add_all(&r);
    }
    json_put(result, "sources", json_integer(r.s.n));
    json_put(result, "prior", json_number(argument_real(a, "prior")));
    json_put(result, "accuracies", r.rows);
    if (code == CLI_OK && r.options.prior == 0.5) code = put_bounds(result, &r);
    if (code == CLI_OK)
        code = print_result(a, result);
    else
        json_decref(result);
    sources_close(&r.s);
    return code;
}

static const option options[] = {
    SOURCES_OPTIONS,
    { .name = "method",
      .letter = 'm',
      .kind = VALUE_CHOICE,
      .choices = methods,
      .initial = "auto",
      .help = "how it is computed; all: by every method that reaches so many sources" },
};

static const option operands[] = {
    { .name = "FILE", .kind = VALUE_FILE, .help = SOURCES_HELP },
};

static const example examples[] = {
    { "deq vote accuracy --p 0.9,0.8,0.7,0.6,0.55", "the best that five sources can do" },
    { "deq vote accuracy --t 0.75,0.75,0.75 --p 0.9,0.7,0.6",
      "what is believed, achieved and possible when all are trusted alike" },
    { "deq vote accuracy workers.csv --method all", "every method, with its error bound" },
};

const command command_vote_accuracy = {
    .name = "accuracy",
    .summary = "compute how often a weighted majority is right",
    .description =
        "Sources answer one question with two answers, each right with its probability p, independently; the rule "
        "weighs them by the log-odds of their trust t. Three accuracies are told apart:\n"
        "  believed   C(t,t): by whoever trusts t\n"
        "  actual     C(t,p): of the rule of t, when p is true\n"
        "  optimal    C(p,p): of the best rule\n"
        "auto enumerates, meets in the middle or counts where that is exact, and otherwise bounds the "
        "error with certainty (lattice, fft, fourier); see docs/math/voting.md. The column bound says what "
        "error_low and error_high mean; certified ones include rounding.\n",
    .options = options,
    .n_options = LENGTH(options),
    .operands = operands,
    .n_operands = LENGTH(operands),
    .examples = examples,
    .n_examples = LENGTH(examples),
    .common = COMMON_JSON | COMMON_THREADS,
    .run = run,
};
