/* SPDX-License-Identifier: MIT */
/* What goes onto the page of `deq vote ... --report`. */
#include "context.h"
#include "text.h"
#include "vote.h"
#include "vote_page.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ACCURACIES = 64 };

static void fact(vote_page *page, const char *name, const char *format, ...) CLI_PRINTF(3, 4);

static void fact(vote_page *page, const char *name, const char *format, ...)
{
    page_fact *f = &page->facts[page->n_facts];
    va_list args;
    if (page->n_facts == PAGE_FACTS) return;
    va_start(args, format);
    vsnprintf(f->value, sizeof f->value, format, args);
    va_end(args);
    f->name = name;
    page->n_facts++;
}

static void put_facts(vote_page *page, const voting *s, const vote_belief *b)
{
    fact(page, "votes", "%lld", (long long)s->v.n_votes);
    fact(page, "tasks", "%lld", (long long)s->v.n_tasks);
    fact(page, "workers", "%lld", (long long)s->v.n_workers);
    fact(page, "labels", "%lld", (long long)s->v.n_labels);
    if (s->gold) fact(page, "tasks of known truth", "%lld", (long long)s->n_gold);
    if (!b) return;
    fact(page, "method", "%s", belief_name(b));
    if (b->has_beta) fact(page, "prior of accuracies", "Beta(%.4g, %.4g)", b->beta.a, b->beta.b);
    if (b->given) return;
    fact(page, "iterations", "%lld%s", (long long)b->info.n_iter,
         b->info.converged ? "" : ", not converged");
    if (b->info.solver != DEQ_AUTO) fact(page, "solver", "%s", deq_method_name(b->info.solver));
}

static page_bin *bins_of(const deq_vote_bin *bins, int n)
{
    page_bin *out = must_alloc((size_t)(n ? n : 1) * sizeof *out);
    for (int i = 0; i < n; i++)
        out[i] = (page_bin){ bins[i].low, bins[i].high, bins[i].believed, bins[i].achieved,
                             bins[i].count };
    return out;
}

/* Accuracies: of the one method beside majority, or of those compared. */
static int put_accuracies(page_accuracy *out, const voting *s, const vote_belief *b,
                          const vote_check *k, const deq_comparison *lines, int n_lines)
{
    int n = 0;
    for (int i = 0; i < n_lines && n < MOST_ACCURACIES; i++) {
        const deq_vote_score *score = &lines[i].score;
        page_accuracy *a = &out[n++];
        *a = (page_accuracy){ deq_aggregation_name(lines[i].method),
                              lines[i].info.solver == DEQ_AUTO
                                  ? ""
                                  : deq_method_name(lines[i].info.solver),
                              score->believed,
                              score->accuracy,
                              NAN,
                              NAN };
        deq_vote_wilson(&a->low, &a->high, score->accuracy * (double)score->n_gold,
                        (double)score->n_gold, 0.95);
    }
    if (b && k) {
        out[n++] = (page_accuracy){ belief_name(b),
                                    k->folds ? "trust from other folds" : "",
                                    k->c.score.believed,
                                    k->c.score.accuracy,
                                    k->low,
                                    k->high };
        out[n++] = (page_accuracy){ "majority", "", NAN, k->c.majority_accuracy, NAN, NAN };
    } else if (b) {
        double sum = 0;
        for (int64_t t = 0; t < s->v.n_tasks; t++) sum += b->decisions[t].probability;
        out[n++] = (page_accuracy){ belief_name(b),
                                    "no known truth to compare with",
                                    sum / (double)s->v.n_tasks,
                                    NAN,
                                    NAN,
                                    NAN };
    }
    return n;
}

static int by_influence(const void *a, const void *b)
{
    const page_worker *x = a, *y = b;
    const double one = x->pivot * (double)x->votes, other = y->pivot * (double)y->votes;
    if (one != other) return one > other ? -1 : 1;
    return x->votes != y->votes ? (x->votes > y->votes ? -1 : 1) : strcmp(x->name, y->name);
}

/* Those whose influence is known, the largest first. */
static page_worker *workers_of(int64_t *n, const voting *s, const vote_belief *b)
{
    const int64_t W = s->v.n_workers;
    page_worker *out = must_alloc((size_t)(W ? W : 1) * sizeof *out);
    int64_t *votes = must_alloc((size_t)(W ? W : 1) * sizeof *votes);
    deq_votes_count_workers(votes, NULL, s->votes);
    *n = 0;
    for (int64_t i = 0; i < W; i++) {
        if (isnan(b->pivot[i])) continue;
        out[(*n)++] = (page_worker){ .name = deq_votes_worker_name(s->votes, i),
                                     .votes = votes[i],
                                     .gold = b->total[i],
                                     .correct = b->correct[i],
                                     .trust = b->trust[i],
                                     .low = b->low[i],
                                     .high = b->high[i],
                                     .weight = weight_of(b, b->trust[i], s->v.n_labels),
                                     .pivot = b->pivot[i] };
    }
    free(votes);
    qsort(out, (size_t)*n, sizeof *out, by_influence);
    return out;
}

static void put_check(vote_page *page, page_bin **decisions, page_bin **trust, const vote_check *k)
{
    page->decisions = *decisions = bins_of(k->c.score.bins, k->c.score.n_bins);
    page->n_decisions = k->c.score.n_bins;
    page->calibration_error = k->c.score.calibration_error;
    page->p_value = k->c.score.p_value;
    if (k->folds == 0) return;
    page->trust = *trust = bins_of(k->c.workers, k->c.n_bins);
    page->n_trust = k->c.n_bins;
}

int save_vote_report(const voting *s, const vote_belief *b, const vote_check *k,
                     const deq_comparison *lines, int n_lines)
{
    page_accuracy accuracies[MOST_ACCURACIES + 2];
    page_bin *decisions = NULL, *trust = NULL;
    page_worker *workers = NULL;
    text_buffer title = { 0 };
    vote_page page = { .accuracies = accuracies };
    put_format(&title, "Votes: %s", s->path);
    page.title = text_string(&title);
    put_facts(&page, s, b);
    page.n_accuracies = put_accuracies(accuracies, s, b, k, lines, n_lines);
    if (k) put_check(&page, &decisions, &trust, k);
    page.all_workers = s->v.n_workers;
    if (b) page.workers = workers = workers_of(&page.n_workers, s, b);
    const deq_status status = write_vote_page(s->ctx, &page, argument_text(s->a, "report"));
    free(decisions);
    free(trust);
    free(workers);
    text_free(&title);
    return fail_status(s->a, s->ctx, status);
}
