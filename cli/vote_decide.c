/* SPDX-License-Identifier: MIT */
/* deq vote decide: from votes to decisions. */
#include "context.h"
#include "replace.h"
#include "terminal.h"
#include "text.h"
#include "vote.h"
#include "vote_stream.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Rows of tasks ---------------------------------------------------------------------------------- */

/* Columns: fixed ones, then a posterior for each label. */
static const char *const fixed[] = { "task",        "decision", "probability", "margin",
                                     "votes",       "tied",     "cost",        "flip_radius",
                                     "flip_worker", "flags",    "gold" };

void task_columns_make(task_columns *c, const deq_votes *votes)
{
    const int64_t K = deq_votes_values(votes).n_labels;
    const size_t n = LENGTH(fixed) + (size_t)K;
    *c = (task_columns){ .n_labels = K };
    c->titles = must_alloc((n + 1) * sizeof *c->titles);
    c->align = must_alloc(n + 1);
    memcpy(c->titles, fixed, sizeof fixed);
    memset(c->align, 'r', n);
    c->align[n] = '\0';
    c->align[0] = c->align[1] = c->align[8] = c->align[9] = c->align[10] = 'l';
    for (int64_t k = 0; k < K; k++) {
        text_buffer name = { 0 };
        put_format(&name, "p:%s", deq_votes_label_name(votes, k));
        c->titles[LENGTH(fixed) + k] = name.bytes;
    }
    c->titles[n] = NULL;
}

void task_columns_free(task_columns *c)
{
    for (int64_t k = 0; c->titles && k < c->n_labels; k++)
        free((void *)(uintptr_t)c->titles[LENGTH(fixed) + k]);
    free(c->titles);
    free(c->align);
}

static const char *flag_words(char buffer[80], int32_t flags)
{
    static const struct word {
        int flag;
        const char *text;
    } words[] = { { DEQ_DECISION_TIE, "tie" },
                  { DEQ_DECISION_CONTRADICTION, "contradiction" },
                  { DEQ_DECISION_CERTAIN, "certain" },
                  { DEQ_DECISION_NO_VOTES, "no-votes" },
                  { DEQ_DECISION_UNANIMOUS, "unanimous" } };
    size_t n = 0;
    for (int i = 0; i < LENGTH(words); i++)
        if (flags & words[i].flag)
            n += (size_t)snprintf(buffer + n, 80 - n, "%s%s", n ? " " : "", words[i].text);
    return n ? buffer : NULL;
}

void write_task(sheet *out, const deq_votes *votes, int64_t t, const deq_decision *d,
                const double *posterior, int64_t K, int32_t gold)
{
    char words[80];
    sheet_text(out, deq_votes_task_name(votes, t));
    sheet_text(out, d->label < 0 ? NULL : deq_votes_label_name(votes, d->label));
    sheet_number(out, d->probability);
    sheet_number(out, d->margin);
    sheet_integer(out, d->n_votes);
    sheet_integer(out, d->n_tied);
    sheet_number(out, d->cost);
    sheet_number(out, d->flip_radius);
    sheet_text(out, d->flip_worker < 0 ? NULL : deq_votes_worker_name(votes, d->flip_worker));
    sheet_text(out, flag_words(words, d->flags));
    sheet_text(out, gold < 0 ? NULL : deq_votes_label_name(votes, gold));
    for (int64_t c = 0; c < K; c++) sheet_number(out, posterior[c]);
}

static void write_tasks(sheet *out, void *user)
{
    const worker_rows *r = user;
    const int64_t K = r->s->v.n_labels;
    for (int64_t t = 0; t < r->s->v.n_tasks; t++)
        write_task(out, r->s->votes, t, &r->b->decisions[t], r->b->posterior + t * K, K,
                   r->s->gold ? r->s->gold[t] : -1);
}

/* For people: what matters of it. */
static const char *const short_titles[] = { "task",        "decision", "probability",
                                            "margin",      "votes",    "flip_radius",
                                            "flip_worker", "flags",    NULL };

static void write_short(sheet *out, void *user)
{
    const worker_rows *r = user;
    for (int64_t t = 0; t < r->s->v.n_tasks; t++) {
        const deq_decision *d = &r->b->decisions[t];
        char words[80];
        sheet_text(out, deq_votes_task_name(r->s->votes, t));
        sheet_text(out, d->label < 0 ? NULL : deq_votes_label_name(r->s->votes, d->label));
        sheet_number(out, d->probability);
        sheet_number(out, d->margin);
        sheet_integer(out, d->n_votes);
        sheet_number(out, d->flip_radius);
        sheet_text(out,
                   d->flip_worker < 0 ? NULL : deq_votes_worker_name(r->s->votes, d->flip_worker));
        sheet_text(out, flag_words(words, d->flags));
    }
}

/* ------------------------------------------------------------------------------------------------ */

static int64_t count_flag(const voting *s, const vote_belief *b, int flag)
{
    int64_t n = 0;
    for (int64_t t = 0; t < s->v.n_tasks; t++) n += (b->decisions[t].flags & flag) != 0;
    return n;
}

static json_t *summary(const voting *s, const vote_belief *b, const vote_check *k)
{
    static const struct flag {
        int flag;
        const char *name;
    } flags[] = { { DEQ_DECISION_TIE, "ties" },
                  { DEQ_DECISION_CONTRADICTION, "contradictions" },
                  { DEQ_DECISION_NO_VOTES, "tasks_without_votes" },
                  { DEQ_DECISION_UNANIMOUS, "unanimous" } };
    json_t *o = votes_json(s), *prior = json_array();
    json_put(o, "method", json_string(belief_name(b)));
    for (int i = 0; i < LENGTH(flags); i++)
        json_put(o, flags[i].name, json_integer(count_flag(s, b, flags[i].flag)));
    for (int64_t c = 0; b->belief.prior && c < s->v.n_labels && c < 20; c++)
        json_push(prior, json_number(b->belief.prior[c]));
    if (json_array_size(prior) > 0)
        json_put(o, "prior", prior);
    else
        json_decref(prior);
    if (!b->given) json_put(o, "estimation", info_json(&b->info));
    json_put(o, "believed", believed_json(b, s));
    if (k->done) json_put(o, "achieved", check_json(k));
    put_warnings(o, s);
    return o;
}

static int write_files(voting *s, const task_columns *c, worker_rows *rows)
{
    int code = CLI_OK;
    if (argument_given(s->a, "out"))
        code = write_rows(s->a, argument_text(s->a, "out"), c->titles, c->align, write_tasks, rows);
    if (code == CLI_OK && argument_given(s->a, "workers"))
        code = write_rows(s->a, argument_text(s->a, "workers"), worker_titles, worker_align,
                          write_workers, rows);
    return code;
}

static int show(voting *s, const vote_belief *b, const vote_check *k)
{
    worker_rows rows = { s, b };
    task_columns c;
    const bool full = argument_flag(s->a, "json") || argument_flag(s->a, "csv");
    task_columns_make(&c, s->votes);
    int code = write_files(s, &c, &rows);
    if (code == CLI_OK && argument_given(s->a, "out") && !argument_flag(s->a, "csv"))
        code = print_result(s->a, summary(s, b, k));
    else if (code == CLI_OK)
        code = print_rows_result(s->a, summary(s, b, k), "decisions",
                                 full ? c.titles : short_titles, full ? c.align : "llrrrrll",
                                 full ? write_tasks : write_short, &rows);
    task_columns_free(&c);
    return code;
}

/* Achieved accuracy by held-out gold, if there is enough of it. */
static int check(vote_check *k, voting *s, const vote_belief *b)
{
    int64_t folds = argument_integer(s->a, "folds");
    *k = (vote_check){ 0 };
    if (!s->gold || (folds == 0 && !b->given)) return CLI_OK;
    if (!b->given && folds > s->n_gold) {
        vote_warn(s, "%lld tasks of known truth cannot fill %lld folds: nothing is held out",
                  (long long)s->n_gold, (long long)folds);
        return CLI_OK;
    }
    return check_on_gold(k, s, b, (int)folds, DEQ_RELIABILITY_BINS / 2);
}

static int check_usage(const arguments *a)
{
    sheet_format format;
    int code = check_formats(a);
    if (code == CLI_OK && argument_integer(a, "folds") == 1)
        code = fail(CLI_USAGE, a->path, "option '--folds': 2 or more, or 0: nothing is held out");
    if (code == CLI_OK && argument_given(a, "out"))
        code = sheet_format_of(&format, a, argument_text(a, "out"));
    if (code == CLI_OK && argument_given(a, "workers"))
        code = sheet_format_of(&format, a, argument_text(a, "workers"));
    return code;
}

static int run(const arguments *a)
{
    voting s;
    vote_belief b = { 0 };
    vote_check k = { 0 };
    int code = check_usage(a);
    if (code != CLI_OK) return code;
    if (argument_flag(a, "stream")) return decide_stream(a);
    code = voting_open(&s, a);
    if (code == CLI_OK) code = make_belief(&b, &s);
    if (code == CLI_OK) {
        if (!b.given) warn_of_estimate(&s, &b.info);
        warn_of_trust(&s, &b);
        code = check(&k, &s, &b);
    }
    if (code == CLI_OK && argument_given(a, "report"))
        code = save_vote_report(&s, &b, k.done ? &k : NULL, NULL, 0);
    if (code == CLI_OK) code = show(&s, &b, &k);
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
    DECIDE_OPTIONS,
    FOLDS_OPTION("gold: hold out each of so many parts once to see what is achieved; 0: do not"),
    { .name = "stream",
      .help = "read, decide and write a few tasks at a time; needs --trust and --labels, and\n"
              "the rows of a task next to each other" },
    { .name = "out",
      .letter = 'o',
      .kind = VALUE_FILE,
      .argument = "FILE",
      .help = "write all decisions there: .csv, .tsv or .json" },
    { .name = "workers",
      .kind = VALUE_FILE,
      .argument = "FILE",
      .help = "write the workers there, as deq vote trust does" },
    CSV_OPTION("the decisions"),
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
    { "deq vote decide votes.csv --gold gold.csv --report votes.html",
      "weights from known answers, and a page on what they are worth" },
    { "deq vote decide votes.csv --method one_coin --out decisions.csv",
      "no known answers: trust from the votes themselves" },
    { "deq vote decide big.csv --stream --trust trust.csv --labels no,yes -o decisions.csv",
      "a file that does not fit into memory" },
    { "deq vote decide --models a.npz b.npz c.npz --gold test.npz",
      "an ensemble of models, from what deq predict --out writes" },
};

const command command_vote_decide = {
    .name = "decide",
    .summary = "decide tasks by weighted majority",
    .description =
        "Every task is decided for the label of most evidence: the log-odds of the trust in those who "
        "voted for it, or their confusion matrices (dawid_skene), and the prior; with --cost for the "
        "label of least expected cost. Trust is given by --trust, or estimated from --gold or from "
        "the votes alone.\n"
        "\n"
        "A row for each task: decision, its probability, margin (score of the best label minus that of the "
        "second), votes, labels tied, expected cost, flip radius (the least change of one worker's "
        "trust that changes the decision) with that worker, flags, the known label, and the posterior "
        "p:LABEL of each label. Tasks of known truth are decided from their votes as others are.\n"
        "\n"
        "Accuracies: `believed` is the mean probability of the decisions, with the spread that chance "
        "gives it if the posteriors are right. `achieved` is counted on tasks of known truth that were "
        "held out, part by part, while trust was estimated; difference is achieved - believed on "
        "those tasks. The two agree if trust is unbiased. Of majority, wawa, zbs, gold_majority, kos and "
        "m_msr posteriors are shares of weights and no probabilities.\n"
        "\n"
        "With --stream random ties depend on the part of the file that a task is in.\n",
    .options = options,
    .n_options = LENGTH(options),
    .operands = operands,
    .n_operands = LENGTH(operands),
    .examples = examples,
    .n_examples = LENGTH(examples),
    .common = COMMON_JSON | COMMON_THREADS | COMMON_QUIET,
    .run = run,
};
