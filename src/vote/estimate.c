/* SPDX-License-Identifier: MIT */
/* One entrance to all methods: options, warnings, results. */
#include "vote/estimate.h"

#include "base/text.h"
#include "vote/votes.h"

#include <math.h>
#include <string.h>
#include <time.h>

typedef deq_status method_fn(deq_estimate *e, const deq_problem *p);

static const struct method {
    const char *name;
    method_fn *run;
    bool model;  /* solved by EM: has a likelihood, a solver, a class prior */
    bool counts; /* uses options.correct */
} methods[] = {
    [DEQ_MAJORITY] = { "majority", deq_estimate_majority, false, false },
    [DEQ_WAWA] = { "wawa", deq_estimate_wawa, false, false },
    [DEQ_ZBS] = { "zbs", deq_estimate_zbs, false, false },
    [DEQ_GOLD_MAJORITY] = { "gold_majority", deq_estimate_gold, false, true },
    [DEQ_GOLD_WMV] = { "gold_wmv", deq_estimate_gold, false, true },
    [DEQ_ONE_COIN] = { "one_coin", deq_estimate_one_coin, true, true },
    [DEQ_DAWID_SKENE] = { "dawid_skene", deq_estimate_dawid_skene, true, false },
    [DEQ_GLAD] = { "glad", deq_estimate_glad, true, false },
    [DEQ_MACE] = { "mace", deq_estimate_mace, true, false },
    [DEQ_KOS] = { "kos", deq_estimate_kos, false, false },
    [DEQ_M_MSR] = { "m_msr", deq_estimate_m_msr, false, false },
};

double deq_vote_seconds(void)
{
    struct timespec now;

    return timespec_get(&now, TIME_UTC) ? (double)now.tv_sec + 1e-9 * (double)now.tv_nsec : 0;
}

/* Names -------------------------------------------------------------------------------------- */

const char *deq_aggregation_name(deq_aggregation method)
{
    return (unsigned)method < DEQ_AGGREGATION_COUNT ? methods[method].name : "unknown";
}

static const char *name_at(const void *set, int i)
{
    (void)set;
    return methods[i].name;
}

deq_status deq_aggregation_find(deq_aggregation *method, deq_context *ctx, const char *name)
{
    char plain[32] = "";

    for (size_t i = 0; name[i] && i + 1 < sizeof plain; i++) {
        plain[i] = name[i] == '-' ? '_' : name[i];
        plain[i + 1] = '\0';
    }
    for (int i = 0; i < DEQ_AGGREGATION_COUNT; i++) {
        if (strcmp(methods[i].name, plain) != 0) continue;
        *method = (deq_aggregation)i;
        return DEQ_OK;
    }
    const char *nearest = deq_nearest_name(plain, name_at, NULL, DEQ_AGGREGATION_COUNT);
    return deq_fail(ctx, DEQ_ERR_NAME, "no method is called '%.40s'%s%s%s", name,
                    nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
}

/* Options ------------------------------------------------------------------------------------ */

deq_estimate_options deq_estimate_defaults(void)
{
    return (deq_estimate_options){ .struct_size = sizeof(deq_estimate_options),
                                   .method = DEQ_DAWID_SKENE,
                                   .anderson_depth = 5,
                                   .max_iter = 100,
                                   .tolerance = 1e-5,
                                   .prior_smoothing = 1,
                                   .a = 1,
                                   .b = 1,
                                   .smoothing = 0.01 };
}

static deq_status check_ranges(deq_context *ctx, const deq_estimate_options *o)
{
    if ((unsigned)o->method >= DEQ_AGGREGATION_COUNT)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "method: unknown value %d", (int)o->method);
    if (o->solver != DEQ_AUTO && o->solver != DEQ_PICARD && o->solver != DEQ_ANDERSON &&
        o->solver != DEQ_SQUAREM)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "solver %s, expected picard, anderson or squarem",
                        deq_method_name(o->solver));
    if (o->anderson_depth < 1 || o->anderson_depth > DEQ_DEPTH_MAX)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "anderson_depth %d, expected 1 to %d",
                        o->anderson_depth, DEQ_DEPTH_MAX);
    if (o->max_iter < 0 || o->restarts < 0 || !(o->tolerance >= 0))
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "max_iter %d, restarts %d, tolerance %g",
                        o->max_iter, o->restarts, o->tolerance);
    if (!(o->a > 0 && o->a <= 1e12 && o->b > 0 && o->b <= 1e12))
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "prior Beta(%g, %g), expected two positive numbers",
                        o->a, o->b);
    if (!(o->smoothing > 0 && o->smoothing <= 1e12) ||
        !(o->prior_smoothing >= 0 && o->prior_smoothing <= 1e12))
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "smoothing %g, prior_smoothing %g", o->smoothing,
                        o->prior_smoothing);
    if ((unsigned)o->class_prior > DEQ_PRIOR_GIVEN ||
        (o->class_prior == DEQ_PRIOR_GIVEN && !o->prior))
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "class_prior %d%s", (int)o->class_prior,
                        o->prior ? "" : ", and no prior");
    return DEQ_OK;
}

static deq_status check_arrays(const deq_problem *p)
{
    const deq_estimate_options *o = &p->options;
    double sum = 0;

    for (int64_t t = 0; o->gold && t < p->v.n_tasks; t++)
        if (o->gold[t] < -1 || o->gold[t] >= p->v.n_labels)
            return deq_fail(p->ctx, DEQ_ERR_ARGUMENT,
                            "gold of task %lld is %d, expected -1 to %lld", (long long)t,
                            (int)o->gold[t], (long long)p->v.n_labels - 1);
    for (int64_t c = 0; o->class_prior == DEQ_PRIOR_GIVEN && c < p->v.n_labels; c++)
        sum += o->prior[c] >= 0 ? o->prior[c] : NAN;
    if (o->class_prior == DEQ_PRIOR_GIVEN && !(fabs(sum - 1) <= 1e-6))
        return deq_fail(p->ctx, DEQ_ERR_ARGUMENT, "the priors sum to %.9g, expected 1", sum);
    if (!o->correct != !o->total)
        return deq_fail(p->ctx, DEQ_ERR_ARGUMENT, "correct and total come together");
    if (o->correct && !methods[o->method].counts)
        return deq_fail(p->ctx, DEQ_ERR_UNSUPPORTED, "%s does not use counts of right answers",
                        methods[o->method].name);
    for (int64_t i = 0; o->correct && i < p->v.n_workers; i++)
        if (o->correct[i] < 0 || o->correct[i] > o->total[i])
            return deq_fail(p->ctx, DEQ_ERR_ARGUMENT, "worker %lld: %lld right of %lld",
                            (long long)i, (long long)o->correct[i], (long long)o->total[i]);
    return DEQ_OK;
}

static deq_status check(const deq_problem *p)
{
    if (p->options.struct_size != sizeof p->options)
        return deq_fail(p->ctx, DEQ_ERR_ARGUMENT, "deq_estimate_options of another size");
    if (p->v.n_votes == 0) return deq_fail(p->ctx, DEQ_ERR_ARGUMENT, "there are no votes");
    if (p->v.n_labels < 2)
        return deq_fail(p->ctx, DEQ_ERR_ARGUMENT, "all votes are '%.40s': expected two labels",
                        deq_votes_label_name(p->votes, 0));
    DEQ_TRY(check_ranges(p->ctx, &p->options));
    return check_arrays(p);
}

/* Progress ----------------------------------------------------------------------------------- */

bool deq_estimate_tell(deq_estimate *e, const deq_problem *p, double change, double objective)
{
    const deq_estimate_options *o = &p->options;
    const int64_t extra = o->method == DEQ_KOS ? o->restarts - 1 : o->restarts;
    const bool starts = (o->method == DEQ_MACE || o->method == DEQ_KOS) && extra > 0;
    const deq_estimate_progress progress = { .method = o->method,
                                             .done = ++e->told,
                                             .most = o->max_iter * (starts ? extra + 1 : 1),
                                             .change = change,
                                             .objective = objective };

    if (o->observer && !o->observer(o->observer_user, &progress)) e->stopped = true;
    return !e->stopped;
}

/* Warnings ----------------------------------------------------------------------------------- */

/* Whether every task with two votes or more is unanimous, and there is one. */
static bool all_unanimous(const deq_votes_view *v)
{
    bool any = false;

    for (int64_t t = 0; t < v->n_tasks; t++)
        for (int64_t j = v->begin[t] + 1; j < v->begin[t + 1]; j++) {
            if (v->label[j] != v->label[j - 1]) return false;
            any = true;
        }
    return any;
}

static int64_t leader(const double *q, int64_t K)
{
    int64_t best = 0;

    for (int64_t c = 1; c < K; c++)
        if (q[c] > q[best]) best = c;
    return best;
}

/* One label nearly everywhere, though majorities gave it to far fewer tasks. */
static bool degenerate(const deq_estimate *e, const deq_problem *p, double *share, double *votes)
{
    const int64_t K = p->v.n_labels;
    double n = 0;

    memset(share, 0, (size_t)K * sizeof *share);
    memset(votes, 0, (size_t)K * sizeof *votes);
    for (int64_t t = 0; t < p->v.n_tasks; t++) {
        if (p->v.begin[t] == p->v.begin[t + 1]) continue;
        share[leader(e->posterior + t * K, K)] += 1;
        n++;
    }
    for (int64_t j = 0; j < p->v.n_votes; j++) votes[p->v.label[j]] += 1 / (double)p->v.n_votes;
    const int64_t c = leader(share, K);
    return n >= 10 && share[c] >= 0.95 * n && votes[c] < 0.8;
}

static deq_status warn(deq_estimate *e, const deq_problem *p)
{
    const size_t K = (size_t)p->v.n_labels, W = (size_t)p->v.n_workers;
    double *sums = deq_alloc_array(p->ctx, 2 * K, sizeof *sums);
    int32_t *constant = deq_alloc_array(p->ctx, W, sizeof *constant);
    deq_estimate_info *info = &e->info;

    if (sums && constant) {
        deq_votes_count_workers(NULL, constant, p->votes);
        for (size_t i = 0; i < W; i++) {
            info->n_below_chance += p->n_votes[i] && e->trust[i] < 1 / (double)K - 1e-9;
            if (constant[i] >= 0 && p->n_votes[i] >= 5) info->warnings |= DEQ_WARN_CONSTANT;
        }
        if (info->n_below_chance) info->warnings |= DEQ_WARN_BELOW_CHANCE;
        if (deq_votes_reported(p->votes).n_duplicates) info->warnings |= DEQ_WARN_DUPLICATES;
        if (all_unanimous(&p->v)) info->warnings |= DEQ_WARN_UNANIMOUS;
        if (degenerate(e, p, sums, sums + K)) info->warnings |= DEQ_WARN_DEGENERATE;
        if (methods[p->options.method].model) info->warnings |= DEQ_WARN_SAME_VOTES;
    }
    const bool fits = sums && constant;
    deq_release(p->ctx, sums, 2 * K * sizeof *sums);
    deq_release(p->ctx, constant, W * sizeof *constant);
    return fits ? DEQ_OK : DEQ_ERR_NOMEM;
}

/* Estimates ---------------------------------------------------------------------------------- */

static deq_status new_estimate(deq_estimate **out, const deq_problem *p)
{
    const size_t T = (size_t)p->v.n_tasks, W = (size_t)p->v.n_workers, K = (size_t)p->v.n_labels;
    const deq_estimate_options *o = &p->options;
    size_t cells;

    if (!deq_size_mul(&cells, T, K))
        return deq_fail(p->ctx, DEQ_ERR_OVERFLOW, "%zu tasks with %zu labels", T, K);
    deq_estimate *e = *out = deq_alloc(p->ctx, sizeof *e);
    if (!e) return DEQ_ERR_NOMEM;
    *e = (deq_estimate){ .ctx = p->ctx,
                         .n_tasks = p->v.n_tasks,
                         .n_workers = p->v.n_workers,
                         .n_labels = p->v.n_labels,
                         .info = { .method = o->method, .objective = NAN, .log_likelihood = NAN } };
    e->posterior = deq_alloc_array(p->ctx, cells, sizeof *e->posterior);
    e->trust = deq_alloc_array(p->ctx, W, sizeof *e->trust);
    e->prior = deq_alloc_array(p->ctx, K, sizeof *e->prior);
    if (!e->posterior || !e->trust || !e->prior) return DEQ_ERR_NOMEM;
    for (size_t c = 0; c < K; c++)
        e->prior[c] = o->class_prior == DEQ_PRIOR_GIVEN ? o->prior[c] : 1 / (double)K;
    if (!o->trace || !methods[o->method].model) return DEQ_OK;
    e->trace_capacity = (size_t)o->max_iter + 1;
    e->trace = deq_alloc_array(p->ctx, e->trace_capacity, sizeof *e->trace);
    return e->trace ? DEQ_OK : DEQ_ERR_NOMEM;
}

void deq_estimate_free(deq_estimate *e)
{
    if (!e) return;
    const size_t T = (size_t)e->n_tasks, W = (size_t)e->n_workers, K = (size_t)e->n_labels;
    deq_release(e->ctx, e->posterior, T * K * sizeof(double));
    deq_release(e->ctx, e->trust, W * sizeof(double));
    deq_release(e->ctx, e->prior, K * sizeof(double));
    deq_release(e->ctx, e->confusion, W * K * K * sizeof(double));
    deq_release(e->ctx, e->ability, W * sizeof(double));
    deq_release(e->ctx, e->ease, T * sizeof(double));
    deq_release(e->ctx, e->trace, e->trace_capacity * sizeof(double));
    deq_release(e->ctx, e, sizeof *e);
}

static deq_status run(deq_estimate **out, deq_problem *p)
{
    const size_t W = (size_t)p->v.n_workers;
    int64_t *n_votes = deq_alloc_array(p->ctx, W, sizeof *n_votes);
    deq_status status = n_votes ? DEQ_OK : DEQ_ERR_NOMEM;

    if (status == DEQ_OK) {
        deq_votes_count_workers(n_votes, NULL, p->votes);
        p->n_votes = n_votes;
        status = new_estimate(out, p);
    }
    if (status == DEQ_OK) status = methods[p->options.method].run(*out, p);
    if (status == DEQ_OK) status = warn(*out, p);
    deq_release(p->ctx, n_votes, W * sizeof *n_votes);
    return status;
}

deq_status deq_vote_estimate(deq_estimate **out, deq_context *ctx, const deq_votes *votes,
                             const deq_estimate_options *options)
{
    const double start = deq_vote_seconds();
    deq_problem p = { .ctx = ctx,
                      .votes = votes,
                      .v = deq_votes_values(votes),
                      .options = options ? *options : deq_estimate_defaults() };

    *out = NULL;
    DEQ_TRY(check(&p));
    p.free_prior = p.options.class_prior == DEQ_PRIOR_FREE ||
                   (p.options.class_prior == DEQ_PRIOR_AUTO && p.options.method == DEQ_DAWID_SKENE);
    p.threads = p.v.n_votes < 20000 ? 1 : deq_context_threads(ctx);
    const deq_status status = run(out, &p);
    if (status == DEQ_OK) {
        (*out)->info.trace = (*out)->trace;
        (*out)->info.seconds = deq_vote_seconds() - start;
        return DEQ_OK;
    }
    deq_estimate_free(*out);
    *out = NULL;
    return status;
}

deq_estimate_info deq_estimate_about(const deq_estimate *estimate)
{
    return estimate->info;
}

const double *deq_estimate_posterior(const deq_estimate *estimate)
{
    return estimate->posterior;
}

const double *deq_estimate_trust(const deq_estimate *estimate)
{
    return estimate->trust;
}

const double *deq_estimate_confusion(const deq_estimate *estimate)
{
    return estimate->confusion;
}

const double *deq_estimate_prior(const deq_estimate *estimate)
{
    return estimate->prior;
}

const double *deq_estimate_ability(const deq_estimate *estimate)
{
    return estimate->ability;
}

const double *deq_estimate_ease(const deq_estimate *estimate)
{
    return estimate->ease;
}
