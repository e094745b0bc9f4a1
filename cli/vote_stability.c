/* SPDX-License-Identifier: MIT */
/* deq vote stability: believed, achieved and possible accuracy when trust is estimated. */
#include "context.h"
#include "terminal.h"
#include "text.h"
#include "vote.h"

#include <deq/io/csv.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct simulation {
    const arguments *a;
    deq_context *ctx;
    deq_vote_stability_options options;
    json_t *rows;
    bool csv;
    progress p;
    int64_t before; /* draws of earlier settings */
} simulation;

static void show_draws(void *user, int64_t done, int64_t draws)
{
    simulation *m = user;
    (void)draws;
    progress_update(&m->p, m->before + done, NULL);
}

static const char *const rules[] = { "posterior", "frequency", NULL };

static const char *const titles[] = { "law",
                                      "a",
                                      "b",
                                      "n",
                                      "gold",
                                      "believed",
                                      "actual",
                                      "excess",
                                      "its_error",
                                      "optimal",
                                      "gap",
                                      "gap_error",
                                      "bound_distance",
                                      "bound_deviation",
                                      "bound_knowledge",
                                      "method",
                                      NULL };

static int set_options(simulation *m)
{
    const arguments *a = m->a;
    double assumed[2];
    m->options = deq_vote_stability_defaults();
    m->options.progress = show_draws;
    m->options.progress_user = m;
    m->options.draws = argument_integer(a, "draws");
    m->options.seed = (uint64_t)argument_integer(a, "seed");
    m->options.rule = argument_choice(a, "rule") == 1 ? DEQ_VOTE_TRUST_FREQUENCY
                                                      : DEQ_VOTE_TRUST_POSTERIOR;
    m->options.clip = argument_real(a, "clip");
    m->options.correctness.prior = argument_real(a, "prior");
    m->options.correctness.tol = argument_real(a, "tolerance");
    m->options.correctness.effort = 1e7; /* a draw: there are many */
    if (argument_given(a, "clip") && m->options.rule == DEQ_VOTE_TRUST_POSTERIOR)
        return fail(CLI_USAGE, a->path, "--clip is for --rule frequency");
    if (!argument_given(a, "assumed")) return CLI_OK;
    if (m->options.rule == DEQ_VOTE_TRUST_FREQUENCY)
        return fail(CLI_USAGE, a->path, "--assumed is for --rule posterior");
    const int code = split_pair(assumed, a, "assumed");
    if (code != CLI_OK) return code;
    m->options.trust_a = assumed[0];
    m->options.trust_b = assumed[1];
    return CLI_OK;
}

/* beta: NULL where each source has a law of its own. */
static void add_row(simulation *m, const double *beta, int64_t n, int64_t gold,
                    const deq_vote_stability_result *r)
{
    json_t *row = json_object();
    json_put(row, "law", json_string(beta ? "beta" : "posterior"));
    json_put(row, "a", json_number(beta ? beta[0] : NAN));
    json_put(row, "b", json_number(beta ? beta[1] : NAN));
    json_put(row, "n", json_integer(n));
    json_put(row, "gold", json_integer(gold));
    json_put(row, "believed", json_number(r->believed.mean));
    json_put(row, "actual", json_number(r->actual.mean));
    json_put(row, "excess", json_number(r->excess.mean));
    json_put(row, "its_error", json_number(r->excess.standard_error));
    json_put(row, "optimal", json_number(r->optimal.mean));
    json_put(row, "gap", json_number(r->gap.mean));
    json_put(row, "gap_error", json_number(r->gap.standard_error));
    json_put(row, "bound_distance", json_number(r->bound_distance));
    json_put(row, "bound_deviation", json_number(r->bound_deviation));
    json_put(row, "bound_knowledge", json_number(r->bound_knowledge));
    json_put(row, "method", json_string(deq_vote_correctness_method_name(r->method)));
    json_push(m->rows, row);
}

/* Settings: every law with every number of sources and of gold answers --------------------------- */

static int simulate(simulation *m, const double beta[2], int64_t n, int64_t gold)
{
    double *a = must_alloc((size_t)n * sizeof *a), *b = must_alloc((size_t)n * sizeof *b);
    int64_t *golds = must_alloc((size_t)n * sizeof *golds);
    deq_vote_stability_result r;
    for (int64_t i = 0; i < n; i++) {
        a[i] = beta[0];
        b[i] = beta[1];
        golds[i] = gold;
    }
    const deq_status status = deq_vote_stability(&r, m->ctx, n, a, b, golds, &m->options);
    m->before += m->options.draws;
    if (status == DEQ_OK) add_row(m, beta, n, gold, &r);
    free(a);
    free(b);
    free(golds);
    return fail_status(m->a, m->ctx, status);
}

/* The i-th value of a repeatable option that has a default. */
static int64_t integer_at(const arguments *a, const char *name, int i)
{
    return argument_count(a, name) > 0 ? argument_integer_at(a, name, i)
                                       : argument_integer(a, name);
}

static int values_of(const arguments *a, const char *name)
{
    const int n = argument_count(a, name);
    return n > 0 ? n : 1;
}

static int beta_at(double beta[2], const arguments *a, int i)
{
    const char *text = argument_count(a, "beta") > 0 ? argument_text_at(a, "beta", i)
                                                     : argument_text(a, "beta");
    return parse_pair(beta, a, "beta", text);
}

static int simulate_grid(simulation *m)
{
    const arguments *a = m->a;
    const int laws = values_of(a, "beta"), sizes = values_of(a, "n"), golds = values_of(a, "gold");
    int code = CLI_OK;
    progress_start(&m->p, "draws", (int64_t)laws * sizes * golds * m->options.draws);
    for (int i = 0; i < laws && code == CLI_OK; i++)
        for (int j = 0; j < sizes && code == CLI_OK; j++)
            for (int k = 0; k < golds && code == CLI_OK; k++) {
                double beta[2];
                code = beta_at(beta, a, i);
                if (code == CLI_OK)
                    code = simulate(m, beta, integer_at(a, "n", j), integer_at(a, "gold", k));
            }
    progress_end(&m->p);
    return code;
}

/* Workers at hand: their laws are the posteriors of their counts ---------------------------------- */

typedef struct counts {
    double *a, *b;
    int64_t *gold, n;
} counts;

static size_t column(const deq_csv_row *header, const char *name)
{
    for (size_t i = 0; i < header->count; i++)
        if (strcmp(header->fields[i], name) == 0) return i;
    return SIZE_MAX;
}

static deq_status add_worker(counts *c, const deq_csv *csv, size_t correct, size_t total,
                             const double beta[2], int64_t gold)
{
    double s, m;
    if (deq_csv_number(&m, csv, total) != DEQ_OK || m < 0)
        return deq_csv_refuse(csv, total, "a count");
    if (deq_csv_number(&s, csv, correct) != DEQ_OK || s < 0 || s > m)
        return deq_csv_refuse(csv, correct, "a count that is at most the total");
    c->a = must_realloc(c->a, (size_t)(c->n + 1) * sizeof *c->a);
    c->b = must_realloc(c->b, (size_t)(c->n + 1) * sizeof *c->b);
    c->gold = must_realloc(c->gold, (size_t)(c->n + 1) * sizeof *c->gold);
    c->a[c->n] = beta[0] + s;
    c->b[c->n] = beta[1] + m - s;
    c->gold[c->n++] = gold;
    return DEQ_OK;
}

static int read_counts(counts *c, const simulation *m, const char *path, const double beta[2])
{
    deq_csv_options o = deq_csv_defaults();
    const deq_csv_row *row = NULL;
    deq_csv *csv = NULL;
    o.detect = true;
    deq_status status = deq_csv_open(&csv, m->ctx, vote_path(path), &o);
    if (status == DEQ_OK) status = deq_csv_next(&row, csv);
    const size_t correct = row ? column(row, "correct") : SIZE_MAX;
    size_t total = row ? column(row, "total") : SIZE_MAX;
    if (row && total == SIZE_MAX) total = column(row, "gold"); /* what deq vote trust writes */
    if (status == DEQ_OK && (correct == SIZE_MAX || total == SIZE_MAX))
        status = deq_csv_refuse(csv, SIZE_MAX, "has no columns 'correct' and 'total' (or 'gold')");
    while (status == DEQ_OK) {
        status = deq_csv_next(&row, csv);
        if (status != DEQ_OK || !row) break;
        status = add_worker(c, csv, correct, total, beta, integer_at(m->a, "gold", 0));
    }
    if (status == DEQ_OK && c->n == 0) status = deq_csv_refuse(csv, SIZE_MAX, "names no worker");
    deq_csv_close(csv);
    return fail_status(m->a, m->ctx, status);
}

static int simulate_workers(simulation *m, const char *path)
{
    const arguments *a = m->a;
    counts c = { 0 };
    double beta[2];
    if (argument_given(a, "n") || argument_given(a, "assumed") || values_of(a, "gold") > 1 ||
        values_of(a, "beta") > 1)
        return fail(CLI_USAGE, a->path,
                    "FILE gives the sources: no --n or --assumed, and one --gold and --beta");
    int code = beta_at(beta, a, 0);
    if (code == CLI_OK) code = read_counts(&c, m, path, beta);
    if (code == CLI_OK) {
        deq_vote_stability_result r;
        progress_start(&m->p, "draws", m->options.draws);
        code = fail_status(a, m->ctx,
                           deq_vote_stability(&r, m->ctx, c.n, c.a, c.b, c.gold, &m->options));
        progress_end(&m->p);
        if (code == CLI_OK) add_row(m, NULL, c.n, integer_at(a, "gold", 0), &r);
    }
    free(c.a);
    free(c.b);
    free(c.gold);
    return code;
}

/* ------------------------------------------------------------------------------------------------ */

static void write_rows_csv(sheet *out, void *user)
{
    const simulation *m = user;
    json_t *row;
    size_t i;
    json_array_foreach(m->rows, i, row) for (int k = 0; titles[k]; k++)
    {
        const json_t *value = json_object_get(row, titles[k]);
        if (json_is_string(value))
            sheet_text(out, json_string_value(value));
        else if (json_is_integer(value))
            sheet_integer(out, (int64_t)json_integer_value(value));
        else
            sheet_number(out, json_is_null(value) ? NAN : json_number_value(value));
    }
}

static int show(simulation *m)
{
    json_t *result = json_object();
    json_put(result, "draws", json_integer(m->options.draws));
    json_put(result, "rule", json_string(rules[argument_choice(m->a, "rule")]));
    return print_rows_result(m->a, result, "settings", titles, "lrrrrrrrrrrrrrrl", write_rows_csv,
                             m);
}

static int run(const arguments *a)
{
    simulation m = { .a = a };
    const char *path = argument_text(a, "FILE");
    int code = check_formats(a);
    if (code == CLI_OK) code = set_options(&m);
    if (code == CLI_OK) code = open_context(&m.ctx, a);
    if (code != CLI_OK) return code;
    m.rows = json_array();
    code = path ? simulate_workers(&m, path) : simulate_grid(&m);
    if (code == CLI_OK) code = show(&m);
    json_decref(m.rows);
    deq_context_free(m.ctx);
    return code;
}

static const option options[] = {
    { .name = "beta",
      .kind = VALUE_TEXT,
      .argument = "A,B",
      .initial = "1,1",
      .repeatable = true,
      .help = "law of the accuracies, Beta(A,B); of FILE the prior of its workers" },
    { .name = "n",
      .letter = 'n',
      .kind = VALUE_INTEGER,
      .argument = "N",
      .least = 1,
      .most = 1000000,
      .initial = "5",
      .repeatable = true,
      .help = "sources" },
    { .name = "gold",
      .letter = 'g',
      .kind = VALUE_INTEGER,
      .argument = "M",
      .least = 0,
      .most = 1000000000,
      .initial = "10",
      .repeatable = true,
      .help = "known answers of each source from which trust is estimated" },
    { .name = "rule",
      .kind = VALUE_CHOICE,
      .choices = rules,
      .initial = "posterior",
      .help = "trust is the posterior mean, or the plain frequency (which is biased)" },
    { .name = "assumed",
      .kind = VALUE_TEXT,
      .argument = "A,B",
      .help = "a wrong prior in the posterior mean" },
    { .name = "clip",
      .kind = VALUE_REAL,
      .low = 0,
      .high = 0.499999,
      .initial = "0.01",
      .help = "frequencies are held within [CLIP, 1 - CLIP]" },
    { .name = "prior",
      .kind = VALUE_REAL,
      .argument = "P",
      .low = 0,
      .high = 1,
      .initial = "0.5",
      .help = "probability of the first of the two answers" },
    { .name = "tolerance",
      .kind = VALUE_REAL,
      .low = 0,
      .high = 0.999999,
      .above = true,
      .initial = "1e-3",
      .help = "of each draw, as a part of the error, where many sources are not exact" },
    { .name = "draws",
      .kind = VALUE_INTEGER,
      .argument = "N",
      .least = 2,
      .most = 1000000000,
      .initial = "20000",
      .help = "of accuracies and known answers" },
    { .name = "seed",
      .kind = VALUE_INTEGER,
      .argument = "N",
      .least = 0,
      .most = INT64_MAX,
      .initial = "1",
      .help = "the same seed gives the same numbers" },
    CSV_OPTION("the settings"),
};

static const option operands[] = {
    { .name = "FILE",
      .kind = VALUE_FILE,
      .help = "workers with columns correct and total: what would --gold more answers gain" },
};

static const example examples[] = {
    { "deq vote stability --beta 1,1 --n 3 --gold 0 --gold 5 --gold 20 --gold 100",
      "what more known answers buy" },
    { "deq vote stability --rule frequency --n 9 --gold 5",
      "trust by plain frequency: far too confident" },
    { "deq vote stability --gold 0 workers.csv",
      "of workers at hand: the price of not knowing them" },
};

const command command_vote_stability = {
    .name = "stability",
    .summary = "simulate what estimated trust does to accuracy",
    .description =
        "Sources whose accuracies follow a Beta law answer some questions of known truth, from which trust is "
        "estimated; then they vote. Each draw is evaluated exactly, so only accuracies and answers are "
        "drawn.\n"
        "  excess   believed - actual: zero on average if trust is unbiased\n"
        "           (stability of correctness, Bai et al., AAMAS 2024)\n"
        "  gap      optimal - actual: the price of estimating, not zero\n"
        "The bounds are upper bounds of the gap: 2 sum E|p - t|, 2 sum of posterior deviations, 1 - "
        "believed; the last two for unbiased trust only. With FILE the laws are the posteriors of its "
        "workers, who answer --gold further questions: the gap is what is lost as long as they are not "
        "known better.\n",
    .options = options,
    .n_options = LENGTH(options),
    .operands = operands,
    .n_operands = LENGTH(operands),
    .examples = examples,
    .n_examples = LENGTH(examples),
    .common = COMMON_JSON | COMMON_THREADS | COMMON_QUIET,
    .run = run,
};
