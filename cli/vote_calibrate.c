/* SPDX-License-Identifier: MIT */
/* deq vote calibrate: is the accuracy that is believed achieved? */
#include "context.h"
#include "vote.h"

#include <math.h>

static json_t *bins_json(const deq_vote_bin *bins, int n)
{
    json_t *rows = json_array();
    for (int i = 0; i < n; i++) {
        json_t *row = json_object();
        double low = NAN, high = NAN;
        const double count = (double)bins[i].count;
        if (bins[i].count > 0)
            deq_vote_wilson(&low, &high, fmin(bins[i].achieved * count, count), count, 0.95);
        json_put(row, "from", json_number(bins[i].low));
        json_put(row, "to", json_number(bins[i].high));
        json_put(row, "count", json_integer(bins[i].count));
        json_put(row, "believed", json_number(bins[i].believed));
        json_put(row, "achieved", json_number(bins[i].achieved));
        json_put(row, "low", json_number(low));
        json_put(row, "high", json_number(high));
        json_push(rows, row);
    }
    return rows;
}

static json_t *result_of(const voting *s, const vote_belief *b, const vote_check *k)
{
    json_t *o = votes_json(s), *beta;
    json_put(o, "method", json_string(belief_name(b)));
    if (!b->given) json_put(o, "estimation", info_json(&k->c.info));
    if (k->c.prior.a > 0) {
        beta = json_object();
        json_put(beta, "a", json_number(k->c.prior.a));
        json_put(beta, "b", json_number(k->c.prior.b));
        json_put(o, "beta_prior", beta);
    }
    json_put(o, "achieved", check_json(k));
    json_put(o, "decisions", bins_json(k->c.score.bins, k->c.score.n_bins));
    if (!b->given) {
        json_put(o, "trust_in_workers", bins_json(k->c.workers, k->c.n_bins));
        json_put(o, "worker_calibration_error", json_number(k->c.worker_calibration_error));
    }
    put_warnings(o, s);
    return o;
}

static int check_limit(const voting *s, const vote_check *k)
{
    if (!argument_given(s->a, "within")) return CLI_OK;
    const double limit = argument_real(s->a, "within");
    if (fabs(k->c.soc_residual) <= limit) return CLI_OK;
    return fail(CLI_UNMET, s->a->path, "achieved - believed is %.4f, beyond --within %g",
                k->c.soc_residual, limit);
}

static int run(const arguments *a)
{
    voting s;
    vote_belief b = { 0 };
    vote_check k;
    if (argument_integer(a, "folds") < 2)
        return fail(CLI_USAGE, a->path, "option '--folds': expected 2 or more");
    int code = voting_open(&s, a);
    if (code == CLI_OK) code = make_belief(&b, &s);
    if (code == CLI_OK) {
        if (!b.given) warn_of_estimate(&s, &b.info);
        warn_of_trust(&s, &b);
        code = check_on_gold(&k, &s, &b, (int)argument_integer(a, "folds"),
                             (int)argument_integer(a, "bins"));
    }
    if (code == CLI_OK && argument_given(a, "report")) code = save_vote_report(&s, &b, &k, NULL, 0);
    if (code == CLI_OK) code = print_result(a, result_of(&s, &b, &k));
    if (code == CLI_OK) code = check_limit(&s, &k);
    free_belief(&b);
    voting_close(&s);
    return code;
}

static const option options[] = {
    VOTES_OPTIONS,
    GOLD_OPTIONS(true),
    TRUST_OPTIONS,
    PRIOR_OPTIONS,
    METHOD_OPTION,
    ESTIMATE_OPTIONS,
    FOLDS_OPTION("parts into which the tasks of known truth are cut; 2 or more"),
    BINS_OPTION,
    { .name = "within",
      .kind = VALUE_REAL,
      .low = 0,
      .high = 1,
      .help = "exit with 4 if achieved and believed accuracy differ by more" },
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
    { "deq vote calibrate votes.csv --gold gold.csv", "trust from known answers" },
    { "deq vote calibrate votes.csv --gold gold.csv --method dawid_skene --report votes.html",
      "trust from the votes, where it is overconfident; with a reliability diagram" },
    { "deq vote calibrate votes.csv --gold gold.csv --within 0.05",
      "as a check: exit code 4 if it does not hold" },
};

const command command_vote_calibrate = {
    .name = "calibrate",
    .summary = "test whether the accuracy that is believed is achieved",
    .description =
        "Cuts the tasks of known truth into folds; the trust that decides a fold comes from the other folds, so "
        "no task is judged by what its own answer taught. Stability of correctness (Bai et al., AAMAS 2024) says "
        "that with unbiased trust achieved - believed is zero on average: `difference`, with its standard "
        "error. chi_square compares belief and outcome bin by bin (Hosmer & Lemeshow); a small p_value says "
        "that the posteriors are wrong.\n"
        "\n"
        "decisions: posteriors of the labels decided against the share that was right. trust_in_workers: the "
        "trust in the worker of each held-out vote against the share that was right. With --trust gold is "
        "not used for trust, and nothing needs to be held out.\n",
    .options = options,
    .n_options = LENGTH(options),
    .operands = operands,
    .n_operands = LENGTH(operands),
    .examples = examples,
    .n_examples = LENGTH(examples),
    .common = COMMON_JSON | COMMON_THREADS | COMMON_QUIET,
    .run = run,
};
