/* SPDX-License-Identifier: MIT */
/*
 * deq reproduce wmv: exact values, and stability under estimated trust, of weighted majority voting.
 *
 * The figures of Bai, Wang, Muller, Cheng & Chen (AAMAS 2024) are not at hand.  The reference is a second
 * implementation of the same quantities: exact enumeration inside 6e4 to 4e5 draws of its own.
 */
#include "context.h"
#include "json.h"
#include "reproduce.h"
#include "terminal.h"

#include <deq/vote.h>
#include <math.h>

enum { MOST_SOURCES = 9 };

typedef struct counts {
    int checked, held;
} counts;

/* Exact values --------------------------------------------------------------------------------- */

static const struct exact {
    const char *what;
    int n;
    double trust[MOST_SOURCES], p[MOST_SOURCES];
    bool plain; /* weights 1: simple majority */
    double correctness, off;
} exacts[] = {
    { "a strong source dictates", 3, { 0.9, 0.6, 0.6 }, { 0.9, 0.6, 0.6 }, false, 0.9, 1e-14 },
    { "the same, simple majority", 3, { 0 }, { 0.9, 0.6, 0.6 }, true, 0.792, 1e-14 },
    { "five sources",
      5,
      { 0.9, 0.8, 0.7, 0.6, 0.55 },
      { 0.9, 0.8, 0.7, 0.6, 0.55 },
      false,
      0.912,
      1e-14 },
    { "the same, simple majority", 5, { 0 }, { 0.9, 0.8, 0.7, 0.6, 0.55 }, true, 0.86072, 1e-14 },
    { "nine sources, optimal",
      9,
      { 0.95, 0.90, 0.85, 0.80, 0.75, 0.70, 0.65, 0.60, 0.55 },
      { 0.95, 0.90, 0.85, 0.80, 0.75, 0.70, 0.65, 0.60, 0.55 },
      false,
      0.984073906250,
      5e-13 },
    { "nine sources, all trusted 0.75, actual",
      9,
      { 0.75, 0.75, 0.75, 0.75, 0.75, 0.75, 0.75, 0.75, 0.75 },
      { 0.95, 0.90, 0.85, 0.80, 0.75, 0.70, 0.65, 0.60, 0.55 },
      false,
      0.959984768750,
      5e-13 },
    { "nine sources, all trusted 0.75, believed",
      9,
      { 0.75, 0.75, 0.75, 0.75, 0.75, 0.75, 0.75, 0.75, 0.75 },
      { 0.75, 0.75, 0.75, 0.75, 0.75, 0.75, 0.75, 0.75, 0.75 },
      false,
      0.951072692871,
      5e-13 },
    { "a reversed vote dominates", 3, { 0.2, 0.6, 0.7 }, { 0.2, 0.6, 0.7 }, false, 0.8, 1e-14 },
};

static bool check(counts *c, bool holds)
{
    c->checked++;
    c->held += holds;
    return holds;
}

static deq_status add_exact(json_t *rows, counts *c, deq_context *ctx)
{
    static const double ones[MOST_SOURCES] = { 1, 1, 1, 1, 1, 1, 1, 1, 1 };
    for (int i = 0; i < LENGTH(exacts); i++) {
        deq_vote_correctness_result r;
        const struct exact *e = &exacts[i];
        const deq_status status = e->plain
                                      ? deq_vote_correctness_weighted(&r, ctx, e->n, ones, e->p,
                                                                      NULL)
                                      : deq_vote_correctness(&r, ctx, e->n, e->trust, e->p, NULL);
        if (status != DEQ_OK) return status;
        json_t *row = json_object();
        json_put(row, "what", json_string(e->what));
        json_put(row, "correctness", json_number(r.correctness));
        json_put(row, "reference", json_number(e->correctness));
        json_put(row, "method", json_string(deq_vote_correctness_method_name(r.method)));
        json_put(row, "holds",
                 json_boolean(check(c, fabs(r.correctness - e->correctness) <= e->off)));
        json_push(rows, row);
    }
    return DEQ_OK;
}

/* The error of the five sources, 0.088, by every method. */
static deq_status add_methods(json_t *rows, counts *c, deq_context *ctx, uint64_t seed)
{
    const struct exact *five = &exacts[2];
    for (int m = 1; m < DEQ_VOTE_CORRECTNESS_COUNT; m++) {
        deq_vote_correctness_options o = deq_vote_correctness_defaults();
        deq_vote_correctness_result r;
        o.method = (deq_vote_correctness_method)m;
        o.effort = 1e8;
        o.seed = seed;
        o.confidence = 0.999999;
        const deq_status status = deq_vote_correctness(&r, ctx, five->n, five->trust, five->p, &o);
        if (status != DEQ_OK) return status;
        const bool bounded = r.bound != DEQ_VOTE_BOUND_NONE;
        const double slack = r.bound == DEQ_VOTE_BOUND_EXACT ? 1e-15 : 0;
        json_t *row = json_object();
        json_put(row, "method", json_string(deq_vote_correctness_method_name(r.method)));
        json_put(row, "error", json_number(r.error));
        json_put(row, "low", json_number(bounded ? r.error_low : NAN));
        json_put(row, "high", json_number(bounded ? r.error_high : NAN));
        json_put(row, "reference", json_number(0.088));
        if (bounded)
            json_put(row, "holds",
                     json_boolean(
                         check(c, r.error_low <= 0.088 + slack && 0.088 <= r.error_high + slack)));
        json_push(rows, row);
    }
    return DEQ_OK;
}

/* Stability ------------------------------------------------------------------------------------ */

/* The gap of the first rows has three decimals, like most other figures; a NaN is not printed there. */
static const struct setting {
    double a, b;
    int n;
    int64_t gold;
    double believed, optimal, gap, frequency_believed, frequency_actual;
} settings[] = {
    { 1, 1, 1, 5, 0.7142, 0.7500, 0.0358, 0.797, 0.714 },
    { 1, 1, 3, 0, 0.5000, 0.883, 0.383, NAN, 0.5 },
    { 1, 1, 3, 1, 0.7407, 0.883, 0.1425, 0.9997, 0.741 },
    { 1, 1, 3, 5, 0.828, 0.883, 0.0546, 0.936, 0.828 },
    { 1, 1, 3, 20, 0.8666, 0.883, 0.0165, 0.897, 0.866 },
    { 1, 1, 3, 100, 0.8795, 0.883, 0.0035, 0.886, 0.8795 },
    { 1, 1, 9, 5, 0.948, 0.981, 0.0332, 0.997, 0.9435 },
    { 1, 1, 9, 20, 0.973, 0.981, 0.0083, 0.987, 0.972 },
    { 2, 1, 5, 0, 0.790, 0.939, 0.1485, NAN, 0.5 },
    { 2, 1, 5, 5, 0.895, 0.939, 0.0437, 0.977, 0.884 },
    { 8, 4, 5, 0, 0.790, 0.849, 0.0587, NAN, 0.5 },
    { 8, 4, 5, 5, 0.8046, 0.849, 0.0444, 0.945, 0.754 },
    { 8, 4, 5, 20, 0.8266, 0.849, 0.0225, 0.880, 0.818 },
    { 8, 4, 5, 100, 0.8427, 0.849, 0.0062, 0.856, 0.842 },
    { 8, 4, 9, 5, 0.874, 0.917, 0.0427, 0.985, 0.817 },
};

/* The reference's own standard errors are about 1e-4; its figures are rounded. */
static const double reference_error = 1e-4, three_decimals = 5e-4, four_decimals = 5e-5;

static bool agrees(deq_vote_mean got, double wanted, double rounding)
{
    const double error = hypot(got.standard_error, reference_error);
    return isnan(wanted) || fabs(got.mean - wanted) <= 3 * error + rounding;
}

static json_t *row_of(const struct setting *s)
{
    char prior[32];
    json_t *row = json_object();
    snprintf(prior, sizeof prior, "Beta(%g,%g)", s->a, s->b);
    json_put(row, "prior", json_string(prior));
    json_put(row, "n", json_integer(s->n));
    json_put(row, "gold", json_integer(s->gold));
    return row;
}

static json_t *unbiased_row(counts *c, const struct setting *s, const deq_vote_stability_result *r)
{
    json_t *row = row_of(s);
    const double gap_rounding = s->gap > 0.2 ? three_decimals : four_decimals;
    const bool stable = fabs(r->excess.mean) <= 3 * r->excess.standard_error + 1e-14;
    const bool near = agrees(r->believed, s->believed, three_decimals) &&
                      agrees(r->actual, s->believed, three_decimals) &&
                      agrees(r->optimal, s->optimal, three_decimals) &&
                      agrees(r->gap, s->gap, gap_rounding);
    json_put(row, "believed", json_number(r->believed.mean));
    json_put(row, "actual", json_number(r->actual.mean));
    json_put(row, "reference", json_number(s->believed));
    json_put(row, "excess", json_number(r->excess.mean));
    json_put(row, "excess_error", json_number(r->excess.standard_error));
    json_put(row, "optimal", json_number(r->optimal.mean));
    json_put(row, "gap", json_number(r->gap.mean));
    json_put(row, "reference_gap", json_number(s->gap));
    json_put(row, "bound_distance", json_number(r->bound_distance));
    json_put(row, "bound_deviation", json_number(r->bound_deviation));
    json_put(row, "bound_knowledge", json_number(r->bound_knowledge));
    json_put(row, "holds", json_boolean(check(c, stable && near)));
    return row;
}

static json_t *biased_row(counts *c, const struct setting *s, const deq_vote_stability_result *r)
{
    json_t *row = row_of(s);
    const bool near = agrees(r->believed, s->frequency_believed, three_decimals) &&
                      agrees(r->actual, s->frequency_actual, three_decimals);
    json_put(row, "believed", json_number(r->believed.mean));
    json_put(row, "reference_believed", json_number(s->frequency_believed));
    json_put(row, "actual", json_number(r->actual.mean));
    json_put(row, "reference_actual", json_number(s->frequency_actual));
    json_put(row, "excess", json_number(r->excess.mean));
    json_put(row, "excess_error", json_number(r->excess.standard_error));
    json_put(row, "holds", json_boolean(check(c, near)));
    return row;
}

static deq_status add_setting(json_t *unbiased, json_t *biased, counts *c, deq_context *ctx,
                              const struct setting *s, deq_vote_stability_options o)
{
    double a[MOST_SOURCES], b[MOST_SOURCES];
    int64_t gold[MOST_SOURCES];
    deq_vote_stability_result r;
    for (int i = 0; i < s->n; i++) {
        a[i] = s->a;
        b[i] = s->b;
        gold[i] = s->gold;
    }
    deq_status status = deq_vote_stability(&r, ctx, s->n, a, b, gold, &o);
    if (status != DEQ_OK) return status;
    json_push(unbiased, unbiased_row(c, s, &r));
    o.rule = DEQ_VOTE_TRUST_FREQUENCY;
    status = deq_vote_stability(&r, ctx, s->n, a, b, gold, &o);
    if (status == DEQ_OK) json_push(biased, biased_row(c, s, &r));
    return status;
}

/* Progress over all settings, each simulated twice. */
typedef struct simulated {
    progress p;
    int64_t draws, before;
} simulated;

static void show_draws(void *user, int64_t done, int64_t draws)
{
    simulated *m = user;
    progress_update(&m->p, m->before + done, NULL);
    if (done == draws) m->before += draws;
}

static deq_status add_stability(json_t *unbiased, json_t *biased, counts *c, deq_context *ctx,
                                const arguments *a)
{
    deq_vote_stability_options o = deq_vote_stability_defaults();
    simulated m = { .draws = argument_integer(a, "draws") };
    deq_status status = DEQ_OK;
    o.draws = m.draws;
    o.seed = (uint64_t)argument_integer(a, "seed");
    o.progress = show_draws;
    o.progress_user = &m;
    progress_start(&m.p, "draws", 2 * LENGTH(settings) * m.draws);
    for (int i = 0; i < LENGTH(settings) && status == DEQ_OK; i++)
        status = add_setting(unbiased, biased, c, ctx, &settings[i], o);
    progress_end(&m.p);
    return status;
}

/* ---------------------------------------------------------------------------------------------- */

static int run(const arguments *a)
{
    deq_context *ctx = NULL;
    int code = open_context(&ctx, a);
    if (code != CLI_OK) return code;
    json_t *exact = json_array(), *methods = json_array(), *unbiased = json_array(),
           *biased = json_array(), *result = json_object();
    counts c = { 0, 0 };
    deq_status status = add_exact(exact, &c, ctx);
    if (status == DEQ_OK)
        status = add_methods(methods, &c, ctx, (uint64_t)argument_integer(a, "seed"));
    if (status == DEQ_OK) status = add_stability(unbiased, biased, &c, ctx, a);
    json_put(result, "draws", json_integer(argument_integer(a, "draws")));
    json_put(result, "checks", json_integer(c.checked));
    json_put(result, "hold", json_integer(c.held));
    json_put(result, "exact", exact);
    json_put(result, "methods", methods);
    json_put(result, "posterior_mean", unbiased);
    json_put(result, "frequency", biased);
    if (status == DEQ_OK) {
        code = print_result(a, result);
        if (code == CLI_OK && c.held < c.checked)
            code = fail(CLI_UNMET, a->path, "%d of %d checks do not hold", c.checked - c.held,
                        c.checked);
    } else {
        json_decref(result);
        code = fail_status(a, ctx, status);
    }
    deq_context_free(ctx);
    return code;
}

static const option options[] = {
    { .name = "draws",
      .kind = VALUE_INTEGER,
      .argument = "N",
      .least = 100,
      .most = 1000000000,
      .initial = "100000",
      .help = "draws of accuracies and gold answers in each setting" },
    { .name = "seed",
      .kind = VALUE_INTEGER,
      .argument = "N",
      .least = 0,
      .most = INT64_MAX,
      .initial = "1",
      .help = "of the draws: the same seed gives the same numbers" },
};

static const example examples[] = {
    { "deq reproduce wmv", "all tables, in seconds" },
    { "deq reproduce wmv --draws 1000000 --json", "with smaller errors, for programs" },
};

const command command_reproduce_wmv = {
    .name = "wmv",
    .summary = "weighted majority voting under estimated weights",
    .description =
        "Exact values of small votes; the error of one vote by every method; and, for sources whose "
        "accuracies follow a Beta law and whose trust is estimated from gold questions, what is "
        "believed, achieved and possible. With the posterior mean as trust, believed and actual "
        "correctness agree (stability of correctness: `excess`, with its standard error), and the "
        "optimal one is larger (no stability of optimality: `gap`, beside three bounds on it). With the "
        "plain frequency, held within [0.01, 0.99], they do not agree.\n"
        "\n"
        "The paper is Bai, Wang, Muller, Cheng & Chen, AAMAS 2024; its figures are not public text. The "
        "reference is a second implementation: exact enumeration inside 60,000 to 400,000 draws. A "
        "row holds if every number is within three standard errors (of both) and the rounding of the "
        "printed reference, and if believed - actual is within three standard errors of zero. With "
        "some other seed one row in a hundred may miss by chance.\n",
    .options = options,
    .n_options = LENGTH(options),
    .examples = examples,
    .n_examples = LENGTH(examples),
    .common = COMMON_JSON | COMMON_THREADS | COMMON_QUIET,
    .run = run,
};
