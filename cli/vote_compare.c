/* SPDX-License-Identifier: MIT */
/* deq vote compare: methods against known answers. */
#include "context.h"
#include "terminal.h"
#include "text.h"
#include "vote.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_LINES = 4 * DEQ_AGGREGATION_COUNT };

typedef struct comparing {
    voting *s;
    deq_comparison lines[MOST_LINES];
    int n;
} comparing;

static const char *const titles[] = { "method",      "accuracy",   "low",       "high",
                                      "believed",    "difference", "log_loss",  "calibration_error",
                                      "gold",        "solver",     "converged", "iterations",
                                      "evaluations", "seconds",    NULL };
static const char align[] = "lrrrrrrrlllrrr";

static bool uses_gold(deq_aggregation m)
{
    return m == DEQ_GOLD_WMV || m == DEQ_GOLD_MAJORITY;
}

static void write_lines(sheet *out, void *user)
{
    const comparing *c = user;
    for (int i = 0; i < c->n; i++) {
        const deq_comparison *l = &c->lines[i];
        const deq_vote_score *s = &l->score;
        double low, high;
        deq_vote_wilson(&low, &high, s->accuracy * (double)s->n_gold, (double)s->n_gold, 0.95);
        sheet_text(out, deq_aggregation_name(l->method));
        sheet_number(out, s->accuracy);
        sheet_number(out, low);
        sheet_number(out, high);
        sheet_number(out, s->believed);
        sheet_number(out, s->accuracy - s->believed);
        sheet_number(out, s->log_loss);
        sheet_number(out, s->calibration_error);
        sheet_text(out, !uses_gold(l->method) ? "not used"
                        : l->held_out         ? "held out"
                                              : "in sample");
        sheet_text(out, l->info.solver == DEQ_AUTO ? NULL : deq_method_name(l->info.solver));
        sheet_text(out, l->info.converged ? "yes" : "no");
        sheet_integer(out, l->info.n_iter);
        sheet_integer(out, l->info.n_eval);
        sheet_number(out, l->seconds);
    }
}

/* For people fewer digits, and less of them. */
static const char *const short_titles[] = { "method",     "accuracy",    "interval", "believed",
                                            "difference", "gold",        "solver",   "converged",
                                            "iterations", "evaluations", "time",     NULL };

static const char *short_time(char buffer[HUMAN_CAPACITY], double seconds)
{
    if (seconds >= 1) return human_seconds(buffer, seconds);
    snprintf(buffer, HUMAN_CAPACITY, "%.1f ms", 1e3 * seconds);
    return buffer;
}

static void cell(sheet *out, const char *format, double x)
{
    char text[64];
    snprintf(text, sizeof text, format, x);
    sheet_text(out, text);
}

static void write_short(sheet *out, void *user)
{
    const comparing *c = user;
    for (int i = 0; i < c->n; i++) {
        const deq_comparison *l = &c->lines[i];
        const deq_vote_score *s = &l->score;
        char text[64], time[HUMAN_CAPACITY];
        double low, high;
        deq_vote_wilson(&low, &high, s->accuracy * (double)s->n_gold, (double)s->n_gold, 0.95);
        snprintf(text, sizeof text, "%.4f-%.4f", low, high);
        sheet_text(out, deq_aggregation_name(l->method));
        cell(out, "%.4f", s->accuracy);
        sheet_text(out, text);
        cell(out, "%.4f", s->believed);
        cell(out, "%+.4f", s->accuracy - s->believed);
        sheet_text(out, !uses_gold(l->method) ? "not used"
                        : l->held_out         ? "held out"
                                              : "in sample");
        sheet_text(out, l->info.solver == DEQ_AUTO ? NULL : deq_method_name(l->info.solver));
        sheet_text(out, l->info.converged ? "yes" : "no");
        sheet_integer(out, l->info.n_iter);
        sheet_integer(out, l->info.n_eval);
        sheet_text(out, short_time(time, l->seconds));
    }
}

static const char *method_at(const void *set, int i)
{
    return ((const char *const *)set)[i];
}

/* --methods A,B,...: none for all. */
static int choose(deq_aggregation methods[DEQ_AGGREGATION_COUNT], int *n, const arguments *a)
{
    const char *list = argument_text(a, "methods");
    *n = 0;
    while (list && *list) {
        char name[64];
        int m = 0;
        const size_t length = strcspn(list, ",");
        snprintf(name, sizeof name, "%.*s", (int)(length < 63 ? length : 63), list);
        while (m < DEQ_AGGREGATION_COUNT &&
               strcmp(name, deq_aggregation_name((deq_aggregation)m)) != 0)
            m++;
        if (m == DEQ_AGGREGATION_COUNT) {
            const char *near = nearest_name(name, method_at, vote_methods + 1);
            return fail(CLI_USAGE, a->path, "option '--methods': unknown method '%s'%s%s%s", name,
                        near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
        }
        for (int i = 0; i < *n; i++)
            if ((int)methods[i] == m)
                return fail(CLI_USAGE, a->path, "option '--methods': %s is there twice", name);
        methods[(*n)++] = (deq_aggregation)m;
        list += length + (list[length] == ',');
    }
    if (list && *n == 0) return fail(CLI_USAGE, a->path, "option '--methods': an empty list");
    return CLI_OK;
}

/* One method at a time, so that there is something to show. */
static int compare_one(comparing *c, deq_aggregation method, const deq_compare_options *options)
{
    deq_compare_options o = *options;
    int room = 1;
    o.methods = &method;
    o.n_methods = 1;
    const deq_status status = deq_vote_compare(&c->lines[c->n], &room, c->s->ctx, c->s->votes,
                                               c->s->gold, &o);
    if (status == DEQ_OK) c->n += room;
    return fail_status(c->s->a, c->s->ctx, status);
}

/* A model solved by EM, by each solver. */
static int compare_solvers(comparing *c, deq_aggregation method, const deq_compare_options *options,
                           deq_estimate_options *e)
{
    static const deq_method solvers[] = { DEQ_PICARD, DEQ_ANDERSON, DEQ_SQUAREM };
    int code = CLI_OK;
    for (int i = 0; i < LENGTH(solvers) && code == CLI_OK; i++) {
        e->solver = solvers[i];
        code = compare_one(c, method, options);
    }
    return code;
}

static bool is_solved(deq_aggregation m)
{
    return m == DEQ_ONE_COIN || m == DEQ_DAWID_SKENE || m == DEQ_GLAD || m == DEQ_MACE;
}

static int compare(comparing *c)
{
    voting *s = c->s;
    deq_aggregation methods[DEQ_AGGREGATION_COUNT];
    deq_estimate_options e;
    deq_compare_options o = deq_compare_defaults();
    estimate_watch watch = { .at = 0 };
    int n, code = choose(methods, &n, s->a);
    if (code == CLI_OK) code = estimate_options(&e, s);
    if (code != CLI_OK) return code;
    e.gold = NULL;
    e.observer = show_estimation;
    e.observer_user = &watch;
    o.estimate = &e;
    o.folds = (int)argument_integer(s->a, "folds");
    o.seed = e.seed;
    o.empirical_bayes = argument_flag(s->a, "empirical-bayes");
    const bool all = n == 0;
    if (all) n = DEQ_AGGREGATION_COUNT;
    progress_start(&watch.p, "methods", n);
    for (int i = 0; i < n && code == CLI_OK; i++) {
        const deq_aggregation m = all ? (deq_aggregation)i : methods[i];
        if (all && m == DEQ_KOS && s->v.n_labels != 2) continue;
        watch.at = i;
        progress_update(&watch.p, i, "%s", deq_aggregation_name(m));
        code = argument_flag(s->a, "solvers") && is_solved(m) ? compare_solvers(c, m, &o, &e)
                                                              : compare_one(c, m, &o);
    }
    progress_end(&watch.p);
    return code;
}

static void warn(comparing *c)
{
    for (int i = 0; i < c->n; i++) {
        deq_estimate_info info = c->lines[i].info;
        info.warnings &= ~DEQ_WARN_SAME_VOTES; /* the difference shows it */
        warn_of_estimate(c->s, &info);
    }
}

static int run(const arguments *a)
{
    voting s;
    comparing c = { .s = &s };
    deq_aggregation methods[DEQ_AGGREGATION_COUNT];
    int n, code = check_formats(a);
    if (code == CLI_OK && argument_integer(a, "folds") == 1)
        code = fail(CLI_USAGE, a->path, "option '--folds': 2 or more, or 0: trust from all gold");
    if (code == CLI_OK) code = choose(methods, &n, a);
    if (code != CLI_OK) return code;
    code = voting_open(&s, a);
    if (code == CLI_OK) code = compare(&c);
    if (code == CLI_OK && argument_given(a, "report"))
        code = save_vote_report(&s, NULL, NULL, c.lines, c.n);
    if (code == CLI_OK) {
        const bool full = argument_flag(a, "json") || argument_flag(a, "csv");
        json_t *o = votes_json(&s);
        warn(&c);
        json_put(o, "folds", json_integer(argument_integer(a, "folds")));
        put_warnings(o, &s);
        code = print_rows_result(a, o, "methods", full ? titles : short_titles,
                                 full ? align : "lrrrrlllrrr", full ? write_lines : write_short,
                                 &c);
    }
    voting_close(&s);
    return code;
}

static const option options[] = {
    VOTES_OPTIONS,
    GOLD_OPTIONS(true),
    PRIOR_OPTIONS,
    { .name = "methods",
      .letter = 'm',
      .kind = VALUE_TEXT,
      .argument = "A,B,...",
      .help = "these only, in this order; default: all that fit the votes" },
    { .name = "solvers", .help = "the models of EM by each solver: plain EM, Anderson, SQUAREM" },
    ESTIMATE_OPTIONS,
    FOLDS_OPTION("methods that use gold: trust from the other parts of so many; 0: from all\n"
                 "gold, also that of the task itself (optimistic)"),
    CSV_OPTION("the table"),
    REPORT_OPTION,
};

static const option operands[] = {
    { .name = "VOTES",
      .kind = VALUE_FILE,
      .required = true,
      .repeatable = true,
      .help = VOTES_HELP },
};

static const example examples[] = {
    { "deq vote compare votes.csv --gold gold.csv", "all methods" },
    { "deq vote compare votes.csv --gold gold.csv --methods dawid_skene,glad --solvers",
      "iterations and time of plain and accelerated EM" },
    { "deq vote compare --models run1.npz run2.npz run3.npz --gold test.npz",
      "ways to combine models" },
};

const command command_vote_compare = {
    .name = "compare",
    .summary = "compare methods on tasks of known truth",
    .description =
        "Majority, majorities weighted by skill (wawa, zbs, gold_majority), log-odds weights from known answers "
        "(gold_wmv), models of the workers solved by EM (one_coin, dawid_skene, glad, mace), message passing (kos, "
        "two labels only) and robust completion (m_msr). A tie of k labels that has the right one counts 1/k.\n"
        "\n"
        "accuracy is achieved on the tasks of known truth, with Wilson's 95 % interval; believed is the mean "
        "probability of the label decided, difference is achieved - believed. Methods that use gold take it "
        "from other folds than the task's; the others never see it.\n",
    .options = options,
    .n_options = LENGTH(options),
    .operands = operands,
    .n_operands = LENGTH(operands),
    .examples = examples,
    .n_examples = LENGTH(examples),
    .common = COMMON_JSON | COMMON_THREADS | COMMON_QUIET,
    .run = run,
};
