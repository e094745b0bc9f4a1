/* SPDX-License-Identifier: MIT */
/* deq vote trust: how much each worker is worth. */
#include "context.h"
#include "vote.h"

#include <math.h>

static const char *const confusion_titles[] = { "worker", "truth", "vote", "probability", NULL };

static void write_confusion(sheet *out, void *user)
{
    const worker_rows *r = user;
    const deq_votes *votes = r->s->votes;
    const int64_t K = r->s->v.n_labels;
    for (int64_t i = 0; i < r->s->v.n_workers; i++)
        for (int64_t cell = 0; cell < K * K; cell++) {
            sheet_text(out, deq_votes_worker_name(votes, i));
            sheet_text(out, deq_votes_label_name(votes, cell / K));
            sheet_text(out, deq_votes_label_name(votes, cell % K));
            sheet_number(out, r->b->belief.confusion[i * K * K + cell]);
        }
}

static json_t *summary(const voting *s, const vote_belief *b)
{
    json_t *o = votes_json(s), *beta = json_object();
    json_put(o, "method", json_string(belief_name(b)));
    if (!b->given) json_put(o, "estimation", info_json(&b->info));
    if (b->has_beta) {
        json_put(beta, "a", json_number(b->beta.a));
        json_put(beta, "b", json_number(b->beta.b));
        json_put(beta, "log_likelihood", json_number(b->beta.log_likelihood));
        json_put(beta, "empirical_bayes", json_boolean(argument_flag(s->a, "empirical-bayes")));
        json_put(o, "beta_prior", beta);
    } else {
        json_decref(beta);
    }
    put_warnings(o, s);
    return o;
}

static int show(voting *s, const vote_belief *b)
{
    worker_rows rows = { s, b };
    int code = CLI_OK;
    if (argument_given(s->a, "confusion") && !b->belief.confusion)
        return fail(CLI_USAGE, s->a->path, "--confusion is for dawid_skene");
    if (argument_given(s->a, "confusion"))
        code = write_rows(s->a, argument_text(s->a, "confusion"), confusion_titles, "lllr",
                          write_confusion, &rows);
    if (code == CLI_OK && argument_given(s->a, "out"))
        code = write_rows(s->a, argument_text(s->a, "out"), worker_titles, worker_align,
                          write_workers, &rows);
    if (code == CLI_OK && argument_given(s->a, "out") && !argument_flag(s->a, "csv"))
        return print_result(s->a, summary(s, b));
    if (code == CLI_OK)
        code = print_rows_result(s->a, summary(s, b), "trust", worker_titles, worker_align,
                                 write_workers, &rows);
    return code;
}

static int check_usage(const arguments *a)
{
    static const char *const files[] = { "out", "confusion" };
    sheet_format format;
    int code = check_formats(a);
    for (int i = 0; i < LENGTH(files) && code == CLI_OK; i++)
        if (argument_given(a, files[i]))
            code = sheet_format_of(&format, a, argument_text(a, files[i]));
    return code;
}

static int run(const arguments *a)
{
    voting s;
    vote_belief b = { 0 };
    int code = check_usage(a);
    if (code != CLI_OK) return code;
    code = voting_open(&s, a);
    if (code == CLI_OK) code = make_belief(&b, &s);
    if (code == CLI_OK) {
        if (!b.given) warn_of_estimate(&s, &b.info);
        warn_of_trust(&s, &b);
        warn_of_constants(&s);
        code = show(&s, &b);
    }
    if (code == CLI_OK && argument_given(a, "report"))
        code = save_vote_report(&s, &b, NULL, NULL, 0);
    free_belief(&b);
    voting_close(&s);
    return code;
}

static const option options[] = {
    VOTES_OPTIONS,
    GOLD_OPTIONS(false),
    TRUST_OPTIONS,
    PRIOR_OPTIONS,
    METHOD_OPTION,
    ESTIMATE_OPTIONS,
    { .name = "out",
      .letter = 'o',
      .kind = VALUE_FILE,
      .argument = "FILE",
      .help = "write all workers there: .csv, .tsv or .json; decide --trust reads them" },
    { .name = "confusion",
      .kind = VALUE_FILE,
      .argument = "FILE",
      .help = "dawid_skene: write the confusion matrices there" },
    CSV_OPTION("the workers"),
    ROWS_OPTION,
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
    { "deq vote trust votes.csv --gold gold.csv --out trust.csv",
      "posterior means and intervals from known answers" },
    { "deq vote trust votes.csv --gold gold.csv --empirical-bayes",
      "with the Beta prior that fits these workers best" },
    { "deq vote trust votes.csv --method dawid_skene --confusion confusion.csv",
      "confusion matrices from the votes alone" },
};

const command command_vote_trust = {
    .name = "trust",
    .summary = "estimate the trust in workers",
    .description =
        "With --gold the trust in a worker who was right s times of m is the posterior mean (a + s) / (a + "
        "b + m) under the prior --beta, with its 95 % interval; workers without known answers have the mean "
        "of the prior. Otherwise trust comes from the votes alone, and is overconfident: it was fitted to the "
        "votes that it then weighs.\n"
        "\n"
        "weight is what a vote of the worker counts, where that is one number. pivot is the share of the worker's "
        "votes for which the others leave the decision to it (half, if it comes to a tie).\n",
    .options = options,
    .n_options = LENGTH(options),
    .operands = operands,
    .n_operands = LENGTH(operands),
    .examples = examples,
    .n_examples = LENGTH(examples),
    .common = COMMON_JSON | COMMON_THREADS | COMMON_QUIET,
    .run = run,
};
