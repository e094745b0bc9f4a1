/* SPDX-License-Identifier: MIT */
/* What the commands below `deq vote` print: facts, accuracies, rows of workers, warnings. */
#include "context.h"
#include "replace.h"
#include "terminal.h"
#include "text.h"
#include "vote.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

json_t *votes_json(const voting *s)
{
    const deq_votes_report r = deq_votes_reported(s->votes);
    json_t *o = json_object(), *labels = json_array();
    json_put(o, "file", json_text(s->path));
    json_put(o, "tasks", json_integer(s->v.n_tasks));
    json_put(o, "workers", json_integer(s->v.n_workers));
    for (int64_t c = 0; c < s->v.n_labels && c < 20; c++)
        json_push(labels, json_text(deq_votes_label_name(s->votes, c)));
    json_put(o, "n_labels", json_integer(s->v.n_labels));
    json_put(o, "labels", labels);
    json_put(o, "votes", json_integer(s->v.n_votes));
    if (r.n_abstained > 0) json_put(o, "abstentions", json_integer(r.n_abstained));
    if (r.n_duplicates > 0) json_put(o, "duplicates", json_integer(r.n_duplicates));
    if (r.n_bad > 0) json_put(o, "bad_rows", json_integer(r.n_bad));
    if (s->gold) json_put(o, "gold_tasks", json_integer(s->n_gold));
    return o;
}

json_t *info_json(const deq_estimate_info *info)
{
    json_t *o = json_object();
    if (info->solver == DEQ_AUTO && info->n_iter == 0) { /* nothing is iterated */
        json_put(o, "seconds", json_number(info->seconds));
        return o;
    }
    json_put(o, "converged", json_boolean(info->converged));
    if (info->solver != DEQ_AUTO) json_put(o, "solver", json_string(deq_method_name(info->solver)));
    json_put(o, "iterations", json_integer(info->n_iter));
    json_put(o, "evaluations", json_integer(info->n_eval));
    if (info->n_restart > 0) json_put(o, "steps_taken_back", json_integer(info->n_restart));
    if (isfinite(info->log_likelihood))
        json_put(o, "log_likelihood", json_number(info->log_likelihood));
    json_put(o, "seconds", json_number(info->seconds));
    return o;
}

/* 1.96 standard errors of the share that would come true if the posteriors were right. */
json_t *believed_json(const vote_belief *b, const voting *s)
{
    double sum = 0, variance = 0, n = 0;
    json_t *o = json_object();
    for (int64_t t = 0; t < s->v.n_tasks; t++) {
        const double p = b->decisions[t].probability;
        if (b->decisions[t].flags & DEQ_DECISION_NO_VOTES) continue;
        sum += p;
        variance += p * (1 - p);
        n++;
    }
    const double mean = sum / n, spread = 1.96 * sqrt(variance) / n;
    json_put(o, "accuracy", json_number(mean));
    json_put(o, "low", json_number(fmax(mean - spread, 0)));
    json_put(o, "high", json_number(fmin(mean + spread, 1)));
    if (!b->probabilities) json_put(o, "probabilities", json_false());
    return o;
}

/* Warnings ------------------------------------------------------------------------------------- */

/* "3 workers (7, 12, 30)": the first few names. */
static void put_names(text_buffer *t, const voting *s, const bool *which)
{
    int shown = 0;
    for (int64_t i = 0; i < s->v.n_workers; i++) {
        if (!which[i]) continue;
        if (++shown > 5) break;
        put_format(t, "%s%s", shown > 1 ? ", " : "", deq_votes_worker_name(s->votes, i));
    }
    if (shown > 5) put(t, ", ...");
}

static int64_t count_true(const bool *which, int64_t n)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) count += which[i];
    return count;
}

static void warn_of_workers(voting *s, const bool *which, const char *what)
{
    const int64_t n = count_true(which, s->v.n_workers);
    text_buffer names = { 0 };
    if (n == 0) return;
    put_names(&names, s, which);
    vote_warn(s, "%lld worker%s %s: %s", (long long)n, n > 1 ? "s" : "", what, text_string(&names));
    text_free(&names);
}

void warn_of_constants(voting *s)
{
    const size_t W = (size_t)s->v.n_workers;
    int32_t *constant = must_alloc((W ? W : 1) * sizeof *constant);
    bool *which = must_alloc((W ? W : 1) * sizeof *which);
    deq_votes_count_workers(NULL, constant, s->votes);
    for (size_t i = 0; i < W; i++) which[i] = constant[i] >= 0;
    warn_of_workers(s, which, "always gave the same label");
    free(which);
    free(constant);
}

void warn_of_trust(voting *s, const vote_belief *b)
{
    const size_t W = (size_t)s->v.n_workers;
    bool *which = must_alloc((W ? W : 1) * sizeof *which);
    const double chance = 1 / (double)s->v.n_labels;
    for (size_t i = 0; i < W; i++)
        which[i] = (b->probabilities || b->given) && b->trust[i] < chance - 1e-12;
    warn_of_workers(s, which, "worse than chance, so that their votes count against the label");
    const bool gold = b->has_beta;
    for (size_t i = 0; i < W; i++) which[i] = gold && b->total[i] < 5;
    warn_of_workers(s, which, "with fewer than 5 tasks of known truth");
    free(which);
}

void warn_of_estimate(voting *s, const deq_estimate_info *info)
{
    const char *name = deq_aggregation_name(info->method);
    if (info->warnings & DEQ_WARN_DEGENERATE)
        vote_warn(s,
                  "%s gave nearly all tasks one label though the votes vary: class prior and "
                  "accuracies explain each other; try --class-prior uniform",
                  name);
    if (info->warnings & DEQ_WARN_UNANIMOUS)
        vote_warn(s, "every task is unanimous: nothing tells the workers apart");
    if (info->warnings & DEQ_WARN_SAME_VOTES)
        vote_warn(s,
                  "%s takes trust from the votes that it then weighs: what is believed is too high "
                  "(deq vote calibrate)",
                  name);
    if (!info->converged)
        vote_warn(s, "%s has not converged within --max-iter %lld", name,
                  (long long)argument_integer(s->a, "max-iter"));
}

/* Gold ----------------------------------------------------------------------------------------- */

/* Trust is given: gold is only looked at. */
static int score_given(vote_check *k, voting *s, const vote_belief *b, int bins)
{
    deq_estimate_options o = deq_estimate_defaults();
    deq_estimate *majority = NULL;
    deq_vote_score score;
    o.method = DEQ_MAJORITY;
    deq_vote_score_posterior(&k->c.score, NULL, s->votes, b->posterior, s->gold, NULL, bins);
    k->c.soc_residual = k->c.score.accuracy - k->c.score.believed;
    const int code = fail_status(s->a, s->ctx, deq_vote_estimate(&majority, s->ctx, s->votes, &o));
    if (code != CLI_OK) return code;
    deq_vote_score_posterior(&score, NULL, s->votes, deq_estimate_posterior(majority), s->gold,
                             NULL, bins);
    k->c.majority_accuracy = score.accuracy;
    deq_estimate_free(majority);
    return CLI_OK;
}

/* Each fold is an estimation; those before the present one are done. */
static bool show_fold(void *watch, const deq_estimate_progress *now)
{
    estimate_watch *w = watch;
    w->at += now->done == 1;
    return show_estimation(watch, now);
}

int check_on_gold(vote_check *k, voting *s, const vote_belief *b, int folds, int bins)
{
    int code = CLI_OK;
    *k = (vote_check){ .folds = b->given ? 0 : folds };
    if (b->given) {
        code = score_given(k, s, b, bins);
    } else {
        deq_compare_options o = deq_compare_defaults();
        deq_estimate_options e;
        estimate_watch watch = { .at = -1 };
        code = estimate_options(&e, s);
        if (code != CLI_OK) return code;
        e.observer = show_fold;
        e.observer_user = &watch;
        o.estimate = &e;
        o.folds = folds;
        o.seed = e.seed;
        o.n_bins = bins;
        o.empirical_bayes = argument_flag(s->a, "empirical-bayes");
        progress_start(&watch.p, "folds", folds);
        if (s->v.n_votes > 500000) progress_update(&watch.p, 0, NULL);
        code = fail_status(s->a, s->ctx,
                           deq_vote_calibrate(&k->c, s->ctx, s->votes, s->gold, b->method, &o));
        progress_end(&watch.p);
    }
    if (code != CLI_OK) return code;
    deq_vote_wilson(&k->low, &k->high, k->c.score.accuracy * (double)k->c.score.n_gold,
                    (double)k->c.score.n_gold, 0.95);
    k->done = true;
    return CLI_OK;
}

json_t *check_json(const vote_check *k)
{
    const deq_vote_score *s = &k->c.score;
    json_t *o = json_object();
    json_put(o, "gold_tasks", json_integer(s->n_gold));
    json_put(o, "folds",
             k->folds ? json_integer(k->folds) : json_string("none: gold was not used"));
    json_put(o, "accuracy", json_number(s->accuracy));
    json_put(o, "low", json_number(k->low));
    json_put(o, "high", json_number(k->high));
    json_put(o, "believed", json_number(s->believed));
    json_put(o, "difference", json_number(k->c.soc_residual));
    json_put(o, "its_error", json_number(s->standard_error));
    json_put(o, "majority_accuracy", json_number(k->c.majority_accuracy));
    json_put(o, "log_loss", json_number(s->log_loss));
    json_put(o, "brier", json_number(s->brier));
    json_put(o, "calibration_error", json_number(s->calibration_error));
    json_put(o, "chi_square", json_number(s->chi_square));
    json_put(o, "bins_in_it", json_integer(s->chi_square_bins));
    json_put(o, "p_value", json_number(s->p_value));
    return o;
}

/* Rows ----------------------------------------------------------------------------------------- */

int check_formats(const arguments *a)
{
    if (argument_flag(a, "json") && knows_option(a, "csv") && argument_flag(a, "csv"))
        return fail(CLI_USAGE, a->path, "--json and --csv: only one can be printed");
    return CLI_OK;
}

/* The object's text without its last brace, the rows, and the brace. */
static int print_json_rows(json_t *result, const char *name, const char *const *titles,
                           const char *align, rows_writer *write, void *user)
{
    sheet s;
    char *text = json_dumps(result, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    if (!text) return fail(CLI_FAILED, NULL, "out of memory");
    size_t n = strlen(text);
    while (n > 0 && (text[n - 1] == '}' || text[n - 1] == '\n')) n--;
    printf("%.*s,\n  \"%s\": ", (int)n, text, name);
    free(text);
    sheet_begin(&s, stdout, SHEET_JSON, titles, align, 0);
    write(&s, user);
    sheet_end(&s);
    fputs("\n}\n", stdout);
    return CLI_OK;
}

int print_rows_result(const arguments *a, json_t *result, const char *name,
                      const char *const *titles, const char *align, rows_writer *write, void *user)
{
    sheet s;
    int code = CLI_OK;
    if (argument_flag(a, "json")) {
        code = print_json_rows(result, name, titles, align, write, user);
        json_decref(result);
        return code;
    }
    if (knows_option(a, "csv") && argument_flag(a, "csv")) {
        json_decref(result);
        sheet_begin(&s, stdout, SHEET_CSV, titles, align, 0);
    } else {
        print_result(a, result);
        printf("\n");
        print_styled(stdout, STYLE_BOLD, "%s:", name);
        printf("\n");
        sheet_begin(&s, stdout, SHEET_TABLE, titles, align,
                    knows_option(a, "rows") ? argument_integer(a, "rows") : 0);
    }
    write(&s, user);
    sheet_end(&s);
    return code;
}

int write_rows(const arguments *a, const char *path, const char *const *titles, const char *align,
               rows_writer *write, void *user)
{
    sheet s;
    replacement r;
    sheet_format format;
    const int code = sheet_format_of(&format, a, path);
    if (code != CLI_OK) return code;
    FILE *to = replace_open(&r, a, path);
    if (!to) return CLI_FAILED;
    sheet_begin(&s, to, format, titles, align, 0);
    write(&s, user);
    sheet_end(&s);
    if (format == SHEET_JSON) putc('\n', to);
    return replace_close(&r, CLI_OK);
}

/* Workers -------------------------------------------------------------------------------------- */

const char *const worker_titles[] = { "worker", "votes", "gold",   "correct", "trust",
                                      "low",    "high",  "weight", "pivot",   NULL };
const char worker_align[] = "lrrrrrrrr";

double weight_of(const vote_belief *b, double trust, int64_t K)
{
    const deq_aggregation m = b->method;
    double weight = NAN;
    if (b->given || m == DEQ_GOLD_WMV || m == DEQ_ONE_COIN)
        weight = log(trust) - log1p(-trust) + log((double)(K > 1 ? K - 1 : 1));
    else if (m == DEQ_MAJORITY)
        weight = 1;
    else if (m == DEQ_WAWA || m == DEQ_ZBS || m == DEQ_GOLD_MAJORITY)
        weight = trust;
    return weight;
}

void write_workers(sheet *out, void *user)
{
    const worker_rows *r = user;
    const vote_belief *b = r->b;
    const int64_t W = r->s->v.n_workers;
    int64_t *votes = must_alloc((size_t)(W ? W : 1) * sizeof *votes);
    deq_votes_count_workers(votes, NULL, r->s->votes);
    for (int64_t i = 0; i < W; i++) {
        sheet_text(out, deq_votes_worker_name(r->s->votes, i));
        sheet_integer(out, votes[i]);
        sheet_integer(out, b->total[i]);
        sheet_integer(out, b->correct[i]);
        sheet_number(out, b->trust[i]);
        sheet_number(out, b->low[i]);
        sheet_number(out, b->high[i]);
        sheet_number(out, weight_of(b, b->trust[i], r->s->v.n_labels));
        sheet_number(out, b->pivot[i]);
    }
    free(votes);
}
