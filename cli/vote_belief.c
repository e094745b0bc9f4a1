/* SPDX-License-Identifier: MIT */
/*
 * Trust in workers, given or estimated, and the decisions that follow.
 *
 * Where weights or confusion matrices are known the decisions are made from the votes again (ties,
 * costs, margins, flip radii); methods without them have their posteriors decided.
 */
#include "context.h"
#include "terminal.h"
#include "text.h"
#include "vote.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const vote_methods[] = { "auto",     "majority", "wawa",        "zbs",  "gold_majority",
                                     "gold_wmv", "one_coin", "dawid_skene", "glad", "mace",
                                     "kos",      "m_msr",    NULL };

const char *belief_name(const vote_belief *b)
{
    return b->given ? "given" : deq_aggregation_name(b->method);
}

deq_aggregation method_of(const voting *s, const char *name)
{
    deq_aggregation method = DEQ_DAWID_SKENE;
    if (strcmp(name, "auto") == 0) return s->gold ? DEQ_GOLD_WMV : DEQ_DAWID_SKENE;
    if (deq_aggregation_find(&method, s->ctx, name) != DEQ_OK)
        fail(CLI_FAILED, s->a->path, "internal mistake: no method '%s'", name);
    return method;
}

int decide_options(deq_decide_options *o, const arguments *a)
{
    *o = deq_decide_defaults();
    if (!knows_option(a, "tie")) return CLI_OK;
    o->tie = (deq_tie)argument_choice(a, "tie");
    o->clip = argument_real(a, "clip");
    o->seed = (uint64_t)argument_integer(a, "seed");
    return CLI_OK;
}

int estimate_options(deq_estimate_options *o, voting *s)
{
    static const deq_method solvers[] = { DEQ_AUTO, DEQ_PICARD, DEQ_ANDERSON, DEQ_SQUAREM };
    static const deq_class_prior priors[] = { DEQ_PRIOR_AUTO, DEQ_PRIOR_UNIFORM, DEQ_PRIOR_FREE };
    const arguments *a = s->a;
    double beta[2];
    const int code = split_pair(beta, a, "beta");
    *o = deq_estimate_defaults();
    if (code != CLI_OK) return code;
    o->a = beta[0];
    o->b = beta[1];
    o->solver = solvers[argument_choice(a, "solver")];
    o->max_iter = (int)argument_integer(a, "max-iter");
    o->tolerance = argument_real(a, "tolerance");
    o->class_prior = priors[argument_choice(a, "class-prior")];
    o->prior_smoothing = argument_real(a, "prior-smoothing");
    o->smoothing = argument_real(a, "smoothing");
    o->restarts = (int)argument_integer(a, "restarts");
    o->seed = (uint64_t)argument_integer(a, "seed");
    o->gold = s->gold;
    if (s->prior) {
        o->class_prior = DEQ_PRIOR_GIVEN;
        o->prior = s->prior;
    }
    if (s->trust_file.counts) {
        o->correct = s->trust_file.correct;
        o->total = s->trust_file.total;
    }
    return CLI_OK;
}

/* Memory ----------------------------------------------------------------------------------------- */

static double *reals(int64_t n, double value)
{
    double *x = must_alloc((size_t)(n ? n : 1) * sizeof *x);
    for (int64_t i = 0; i < n; i++) x[i] = value;
    return x;
}

static int64_t *integers(int64_t n)
{
    int64_t *x = must_alloc((size_t)(n ? n : 1) * sizeof *x);
    memset(x, 0, (size_t)n * sizeof *x);
    return x;
}

void free_belief(vote_belief *b)
{
    deq_estimate_free(b->estimate);
    free(b->trust);
    free(b->low);
    free(b->high);
    free(b->correct);
    free(b->total);
    free(b->pivot);
    free(b->posterior);
    free(b->decisions);
}

static void make_room(vote_belief *b, const voting *s)
{
    const int64_t W = s->v.n_workers, T = s->v.n_tasks;
    b->trust = reals(W, 0.5);
    b->low = reals(W, NAN);
    b->high = reals(W, NAN);
    b->pivot = reals(W, NAN);
    b->correct = integers(W);
    b->total = integers(W);
    b->posterior = reals(T * s->v.n_labels, 0);
    b->decisions = must_alloc((size_t)(T ? T : 1) * sizeof *b->decisions);
}

/* Trust ------------------------------------------------------------------------------------------ */

/* Right answers: on gold, and those that the file of trust counts. */
static void count(vote_belief *b, const voting *s)
{
    if (s->gold && !b->given) deq_vote_count_gold(b->correct, b->total, s->votes, s->gold, NULL);
    for (int64_t i = 0; s->trust_file.counts && i < s->v.n_workers; i++) {
        b->correct[i] += s->trust_file.correct[i];
        b->total[i] += s->trust_file.total[i];
    }
}

/* Posterior means and intervals from the counts; options get the prior that was found. */
static int trust_of_counts(vote_belief *b, voting *s, deq_estimate_options *o)
{
    deq_trust_options options = deq_trust_defaults();
    const int64_t W = s->v.n_workers;
    deq_trust *trust = must_alloc((size_t)(W ? W : 1) * sizeof *trust);
    options.a = o->a;
    options.b = o->b;
    options.empirical_bayes = argument_flag(s->a, "empirical-bayes");
    const deq_status status = deq_trust_from_counts(trust, &b->beta, s->ctx, W, b->correct,
                                                    b->total, &options);
    for (int64_t i = 0; status == DEQ_OK && i < W; i++) {
        b->trust[i] = trust[i].trust;
        b->low[i] = trust[i].low;
        b->high[i] = trust[i].high;
    }
    free(trust);
    b->has_beta = status == DEQ_OK;
    o->a = b->beta.a;
    o->b = b->beta.b;
    if (b->has_beta && b->beta.at_bound)
        vote_warn(s,
                  "empirical Bayes: the workers' counts do not differ more than chance does; all "
                  "get nearly the same trust");
    return fail_status(s->a, s->ctx, status);
}

static int take_given(vote_belief *b, voting *s)
{
    b->given = b->probabilities = b->by_weights = true;
    b->method = DEQ_GOLD_WMV;
    b->info = (deq_estimate_info){ .method = DEQ_GOLD_WMV, .converged = true };
    b->belief.trust = b->trust;
    b->belief.prior = s->prior;
    if (s->trust_file.counts) {
        deq_estimate_options o;
        int code = estimate_options(&o, s);
        count(b, s);
        if (code == CLI_OK) code = trust_of_counts(b, s, &o);
        const char *missing = argument_text(s->a, "missing-trust");
        for (int64_t i = 0; strcmp(missing, "ignore") != 0 && i < s->v.n_workers; i++)
            if (b->total[i] == 0) b->trust[i] = s->trust_file.trust[i];
        return code;
    }
    if (argument_flag(s->a, "empirical-bayes"))
        return fail(CLI_USAGE, s->a->path,
                    "--empirical-bayes needs gold or counts of right answers");
    memcpy(b->trust, s->trust_file.trust, (size_t)s->v.n_workers * sizeof *b->trust);
    return CLI_OK;
}

bool show_estimation(void *watch, const deq_estimate_progress *now)
{
    estimate_watch *w = watch;
    const char *name = deq_aggregation_name(now->method);
    if (w->p.total > 0)
        progress_update(&w->p, w->at, "%s: pass %lld of at most %lld, change %.1e", name,
                        (long long)now->done, (long long)now->most, now->change);
    else
        progress_update(&w->p, now->done, "at most %lld; %s, change %.1e", (long long)now->most,
                        name, now->change);
    return true;
}

static bool uses_counts(deq_aggregation m)
{
    return m == DEQ_GOLD_WMV || m == DEQ_GOLD_MAJORITY;
}

static int estimate(vote_belief *b, voting *s)
{
    deq_estimate_options o;
    estimate_watch watch = { .at = 0 };
    int code = estimate_options(&o, s);
    if (code != CLI_OK) return code;
    o.observer = show_estimation;
    o.observer_user = &watch;
    o.method = b->method;
    if (s->trust_file.counts && !uses_counts(b->method) && b->method != DEQ_ONE_COIN)
        return fail(CLI_USAGE, s->a->path, "%s does not use the counts of --trust",
                    deq_aggregation_name(b->method));
    if (uses_counts(b->method) && !s->gold && !s->trust_file.counts)
        return fail(CLI_USAGE, s->a->path, "%s needs --gold, or --trust with counts",
                    deq_aggregation_name(b->method));
    if (argument_flag(s->a, "empirical-bayes") && !uses_counts(b->method))
        return fail(CLI_USAGE, s->a->path, "--empirical-bayes is for gold_wmv and gold_majority");
    count(b, s);
    if (uses_counts(b->method)) code = trust_of_counts(b, s, &o);
    if (code != CLI_OK) return code;
    progress_start(&watch.p, "estimating: pass", 0);
    if (s->v.n_votes > 2000000) progress_update(&watch.p, 0, "%lld votes", (long long)s->v.n_votes);
    code = fail_status(s->a, s->ctx, deq_vote_estimate(&b->estimate, s->ctx, s->votes, &o));
    progress_end(&watch.p);
    if (code != CLI_OK) return code;
    b->info = deq_estimate_about(b->estimate);
    memcpy(b->trust, deq_estimate_trust(b->estimate), (size_t)s->v.n_workers * sizeof *b->trust);
    return CLI_OK;
}

static void set_belief(vote_belief *b)
{
    const deq_aggregation m = b->method;
    b->probabilities = uses_counts(m) ? m == DEQ_GOLD_WMV
                                      : m == DEQ_ONE_COIN || m == DEQ_DAWID_SKENE ||
                                            m == DEQ_GLAD || m == DEQ_MACE;
    b->by_weights = m == DEQ_GOLD_WMV || m == DEQ_ONE_COIN || m == DEQ_DAWID_SKENE;
    b->belief.prior = deq_estimate_prior(b->estimate);
    if (m == DEQ_DAWID_SKENE)
        b->belief.confusion = deq_estimate_confusion(b->estimate);
    else
        b->belief.trust = b->trust;
}

/* Decisions -------------------------------------------------------------------------------------- */

static int decide(vote_belief *b, voting *s)
{
    deq_decide_options o;
    const int code = decide_options(&o, s->a);
    if (code != CLI_OK) return code;
    const size_t cells = (size_t)s->v.n_tasks * (size_t)s->v.n_labels;
    if (b->by_weights)
        return fail_status(
            s->a, s->ctx,
            deq_vote_decide(b->decisions, b->posterior, s->ctx, s->votes, &b->belief, &o));
    if (o.clip > 0)
        return fail(CLI_USAGE, s->a->path, "--clip is for methods that weigh votes by trust");
    memcpy(b->posterior, deq_estimate_posterior(b->estimate), cells * sizeof *b->posterior);
    return fail_status(
        s->a, s->ctx,
        deq_vote_decide_posterior(b->decisions, s->ctx, s->votes, b->posterior, s->cost, &o));
}

/* How often each worker decides.  Majorities weigh by trust itself, simple majority by 1. */
static int find_pivots(vote_belief *b, voting *s)
{
    deq_belief belief = b->belief;
    deq_decide_options o;
    const deq_aggregation m = b->method;
    double *ones = reals(s->v.n_workers, 1);
    int code = decide_options(&o, s->a);
    o.linear = m == DEQ_MAJORITY || m == DEQ_WAWA || m == DEQ_ZBS || m == DEQ_GOLD_MAJORITY;
    if (m == DEQ_MAJORITY) belief.trust = ones;
    if (o.linear) o.clip = 0;
    if (code == CLI_OK && (o.linear || b->by_weights))
        code = fail_status(s->a, s->ctx,
                           deq_vote_influence(b->pivot, s->ctx, s->votes, &belief, &o));
    free(ones);
    return code;
}

int make_belief(vote_belief *b, voting *s)
{
    const bool automatic = !argument_given(s->a, "method") ||
                           strcmp(argument_text(s->a, "method"), "auto") == 0;
    int code;
    *b = (vote_belief){ .belief = { .struct_size = sizeof(deq_belief) } };
    if (s->has_trust && !automatic && !s->trust_file.counts)
        return fail(CLI_USAGE, s->a->path, "--method would estimate what --trust gives");
    make_room(b, s);
    if (s->has_trust && automatic) {
        code = take_given(b, s);
    } else {
        b->method = method_of(s, argument_text(s->a, "method"));
        code = estimate(b, s);
        if (code == CLI_OK) set_belief(b);
    }
    b->belief.cost = s->cost;
    if (code == CLI_OK) code = decide(b, s);
    if (code == CLI_OK) code = find_pivots(b, s);
    return code;
}
