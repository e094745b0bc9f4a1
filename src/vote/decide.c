/* SPDX-License-Identifier: MIT */
#include "vote/decide.h"

#include "base/context.h"
#include "base/philox.h"
#include "vote/votes.h"

#include <float.h>
#include <math.h>
#include <string.h>

const char *deq_tie_name(deq_tie tie)
{
    static const char *const names[] = { "first", "random", "abstain" };

    return (unsigned)tie < sizeof names / sizeof *names ? names[tie] : "unknown";
}

deq_decide_options deq_decide_defaults(void)
{
    return (deq_decide_options){ .struct_size = sizeof(deq_decide_options), .flips = true };
}

/* What is believed, checked ------------------------------------------------------------------ */

static deq_status check_options(deq_context *ctx, const deq_rule *r)
{
    const deq_decide_options *o = &r->options;
    const deq_belief *b = &r->belief;

    if (o->struct_size != sizeof *o || b->struct_size != sizeof *b)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "deq_decide_options or deq_belief of another size");
    if ((unsigned)o->tie > DEQ_TIE_ABSTAIN)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "tie: unknown value %d", (int)o->tie);
    if (!(o->clip >= 0 && o->clip < 0.5))
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "clip %g, expected one in [0, 0.5)", o->clip);
    if (!b->trust == !b->confusion)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                        "expected trust or confusion matrices, and not both");
    if (o->linear && !b->trust) return deq_fail(ctx, DEQ_ERR_ARGUMENT, "linear weights need trust");
    if (r->v.n_labels < 1) return deq_fail(ctx, DEQ_ERR_ARGUMENT, "the votes have no labels");
    return DEQ_OK;
}

static deq_status check_prior(deq_context *ctx, const deq_rule *r, const deq_votes *votes)
{
    const double *prior = r->belief.prior;
    double sum = 0;

    for (int64_t c = 0; prior && c < r->v.n_labels; c++) {
        if (!(prior[c] >= 0 && prior[c] <= 1))
            return deq_fail(ctx, DEQ_ERR_ARGUMENT, "prior of label '%.40s' is %g, expected [0, 1]",
                            deq_votes_label_name(votes, c), prior[c]);
        sum += prior[c];
    }
    if (prior && !(fabs(sum - 1) <= 1e-6))
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "the priors sum to %.9g, expected 1", sum);
    return DEQ_OK;
}

static deq_status check_costs(deq_context *ctx, const deq_rule *r)
{
    const int64_t K = r->v.n_labels;

    for (int64_t i = 0; r->belief.cost && i < K * K; i++)
        if (!(r->belief.cost[i] >= 0 && r->belief.cost[i] <= DBL_MAX))
            return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                            "cost of deciding %lld when it is %lld is %g, expected a finite one "
                            "that is not negative",
                            (long long)(i % K), (long long)(i / K), r->belief.cost[i]);
    return DEQ_OK;
}

static deq_status check_trust(deq_context *ctx, const deq_rule *r, const deq_votes *votes)
{
    for (int64_t i = 0; r->belief.trust && i < r->v.n_workers; i++)
        if (!(r->belief.trust[i] >= 0 && r->belief.trust[i] <= 1))
            return deq_fail(ctx, DEQ_ERR_ARGUMENT, "trust of worker '%.40s' is %g, expected [0, 1]",
                            deq_votes_worker_name(votes, i), r->belief.trust[i]);
    return DEQ_OK;
}

static deq_status check_confusion(deq_context *ctx, const deq_rule *r, const deq_votes *votes)
{
    const int64_t K = r->v.n_labels;

    for (int64_t i = 0; r->belief.confusion && i < r->v.n_workers * K; i++) {
        double sum = 0;
        for (int64_t x = 0; x < K; x++) {
            const double e = r->belief.confusion[i * K + x];
            sum += e >= 0 && e <= 1 ? e : NAN;
        }
        if (!(fabs(sum - 1) <= 1e-6))
            return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                            "confusion of worker '%.40s', row '%.40s': expected probabilities that "
                            "sum to 1",
                            deq_votes_worker_name(votes, i / K),
                            deq_votes_label_name(votes, i % K));
    }
    return DEQ_OK;
}

/* The rule ----------------------------------------------------------------------------------- */

static void set_weights(deq_rule *r)
{
    const double others = (double)(r->v.n_labels > 1 ? r->v.n_labels - 1 : 1);
    const double clip = r->options.clip;

    for (int64_t i = 0; i < r->v.n_workers; i++) {
        const double t = fmin(fmax(r->belief.trust[i], clip), 1 - clip);
        r->trust[i] = t;
        r->infinite[i] = 0;
        if (r->options.linear)
            r->weight[i] = t;
        else if (t > 0 && t < 1)
            r->weight[i] = log(t) - log1p(-t) + log(others);
        else
            r->infinite[i] = t > 0 ? 1 : -1;
    }
}

static void set_logarithms(deq_rule *r)
{
    const int64_t K = r->v.n_labels;

    for (int64_t c = 0; c < K; c++) {
        const double p = r->belief.prior ? r->belief.prior[c] : 1 / (double)K;
        r->impossible[c] = !(p > 0);
        r->log_prior[c] = p > 0 && !r->options.linear ? log(p) : 0;
    }
    for (int64_t i = 0; r->log_confusion && i < r->v.n_workers; i++)
        for (int64_t c = 0; c < K; c++)
            for (int64_t x = 0; x < K; x++)
                r->log_confusion[(i * K + x) * K + c] = log(
                    r->belief.confusion[(i * K + c) * K + x]);
}

/* What r needs, or a failed allocation. */
static deq_status make_rule(deq_rule *r, deq_context *ctx, const deq_votes *votes)
{
    const size_t W = (size_t)r->v.n_workers, K = (size_t)r->v.n_labels;
    size_t cells = 0;

    DEQ_TRY(check_options(ctx, r));
    DEQ_TRY(check_prior(ctx, r, votes));
    DEQ_TRY(check_costs(ctx, r));
    DEQ_TRY(check_trust(ctx, r, votes));
    DEQ_TRY(check_confusion(ctx, r, votes));
    r->trust = deq_alloc_array(ctx, W, sizeof *r->trust);
    r->weight = deq_alloc_array(ctx, W, sizeof *r->weight);
    r->infinite = deq_alloc_array(ctx, W, sizeof *r->infinite);
    r->log_prior = deq_alloc_array(ctx, K, sizeof *r->log_prior);
    r->impossible = deq_alloc_array(ctx, K, sizeof *r->impossible);
    if (!r->trust || !r->weight || !r->infinite || !r->log_prior || !r->impossible)
        return DEQ_ERR_NOMEM;
    if (r->belief.confusion) {
        if (!deq_size_mul(&cells, K, K) || !deq_size_mul(&cells, cells, W))
            return deq_fail(ctx, DEQ_ERR_OVERFLOW, "%zu confusion matrices of %zu labels", W, K);
        r->log_confusion = deq_alloc_array(ctx, cells, sizeof *r->log_confusion);
        if (!r->log_confusion) return DEQ_ERR_NOMEM;
    } else {
        set_weights(r);
    }
    set_logarithms(r);
    return DEQ_OK;
}

static void free_rule(deq_rule *r, deq_context *ctx)
{
    const size_t W = (size_t)r->v.n_workers, K = (size_t)r->v.n_labels;

    deq_release(ctx, r->trust, W * sizeof *r->trust);
    deq_release(ctx, r->weight, W * sizeof *r->weight);
    deq_release(ctx, r->infinite, W * sizeof *r->infinite);
    deq_release(ctx, r->log_prior, K * sizeof *r->log_prior);
    deq_release(ctx, r->impossible, K * sizeof *r->impossible);
    deq_release(ctx, r->log_confusion, W * K * K * sizeof *r->log_confusion);
}

/* One task ----------------------------------------------------------------------------------- */

static void exclude(deq_evidence *e, int64_t label)
{
    e->excluded[label]++;
    e->infinite[label]--;
}

static void add_by_trust(deq_evidence *e, const deq_rule *r, uint32_t w, uint16_t x)
{
    e->score[x] += r->weight[w];
    e->scale += fabs(r->weight[w]);
    if (r->infinite[w] < 0) exclude(e, x);
    if (r->infinite[w] <= 0) return;
    e->certain[x]++;
    e->infinite[x]++;
}

static void add_by_confusion(deq_evidence *e, const deq_rule *r, uint32_t w, uint16_t x)
{
    const size_t K = (size_t)r->v.n_labels;
    const double *row = r->log_confusion + ((size_t)w * K + x) * K;
    double most = 0;

    for (size_t c = 0; c < K; c++) {
        if (row[c] < -DBL_MAX) {
            exclude(e, (int64_t)c);
            continue;
        }
        e->score[c] += row[c];
        most = fmax(most, -row[c]);
    }
    e->scale += most;
}

static void gather(deq_evidence *e, const deq_rule *r, int64_t task)
{
    const int64_t K = r->v.n_labels;

    e->scale = 0;
    for (int64_t c = 0; c < K; c++) {
        e->score[c] = r->log_prior[c];
        e->scale = fmax(e->scale, fabs(r->log_prior[c] - r->log_prior[0]));
        e->certain[c] = 0;
        e->excluded[c] = r->impossible[c] ? 1 : 0;
        e->infinite[c] = -e->excluded[c];
    }
    for (int64_t j = r->v.begin[task]; j < r->v.begin[task + 1]; j++) {
        if (r->log_confusion)
            add_by_confusion(e, r, r->v.worker[j], r->v.label[j]);
        else
            add_by_trust(e, r, r->v.worker[j], r->v.label[j]);
    }
    e->most = e->infinite[0];
    for (int64_t c = 1; c < K; c++)
        if (e->infinite[c] > e->most) e->most = e->infinite[c];
}

static bool is_candidate(const deq_evidence *e, int64_t c)
{
    return e->infinite[c] == e->most;
}

static double best_score(const deq_evidence *e, int64_t K)
{
    double best = -INFINITY;

    for (int64_t c = 0; c < K; c++)
        if (is_candidate(e, c) && e->score[c] > best) best = e->score[c];
    return best;
}

/* (2), over the candidates. */
static void set_posterior(deq_evidence *e, const deq_rule *r, double best)
{
    const int64_t K = r->v.n_labels;
    double sum = 0;

    for (int64_t c = 0; c < K; c++) {
        const double q = r->options.linear ? e->score[c] : exp(e->score[c] - best);
        e->posterior[c] = is_candidate(e, c) ? q : 0;
        sum += e->posterior[c];
    }
    for (int64_t c = 0; c < K; c++)
        e->posterior[c] = sum > 0 ? e->posterior[c] / sum : 1 / (double)K;
}

static void set_costs(deq_evidence *e, const deq_rule *r)
{
    const int64_t K = r->v.n_labels;

    for (int64_t a = 0; a < K; a++) {
        e->cost[a] = 0;
        for (int64_t c = 0; c < K; c++) e->cost[a] += e->posterior[c] * r->belief.cost[c * K + a];
    }
}

/* Whether label c is among the best by (3). */
static bool is_best(const deq_evidence *e, const deq_rule *r, int64_t c, double best, double least)
{
    if (r->belief.cost) return e->cost[c] <= least + DEQ_TIE_TOLERANCE * fabs(least);
    return is_candidate(e, c) && e->score[c] >= best - DEQ_TIE_TOLERANCE * e->scale;
}

/* Infinite evidence that cannot all be true. */
static bool contradicts(const deq_evidence *e, int64_t K)
{
    int64_t n_certain = 0, n_excluded = 0;

    for (int64_t c = 0; c < K; c++) {
        n_certain += e->certain[c] > 0;
        n_excluded += e->excluded[c] > 0;
        if (e->certain[c] && e->excluded[c]) return true;
    }
    return n_certain > 1 || n_excluded == K;
}

static int32_t flags_of(const deq_evidence *e, const deq_rule *r, int64_t task)
{
    const int64_t K = r->v.n_labels, begin = r->v.begin[task], end = r->v.begin[task + 1];
    int64_t n_candidates = 0, same = 0;
    int32_t flags = begin == end ? DEQ_DECISION_NO_VOTES : 0;

    for (int64_t j = begin; j < end; j++) same += r->v.label[j] == r->v.label[begin];
    for (int64_t c = 0; c < K; c++) n_candidates += is_candidate(e, c);
    if (same > 1 && same == end - begin) flags |= DEQ_DECISION_UNANIMOUS;
    if (contradicts(e, K)) flags |= DEQ_DECISION_CONTRADICTION;
    if (n_candidates == 1 && K > 1) flags |= DEQ_DECISION_CERTAIN;
    return flags;
}

/* The best score above the second; 0 when they tie. */
static double margin_of(const deq_evidence *e, int64_t K, double best)
{
    double second = -INFINITY;
    bool passed = false;

    for (int64_t c = 0; c < K; c++) {
        if (!is_candidate(e, c)) continue;
        if (!passed && e->score[c] == best)
            passed = true;
        else if (e->score[c] > second)
            second = e->score[c];
    }
    return best - second <= DEQ_TIE_TOLERANCE * e->scale ? 0 : best - second;
}

static uint32_t draw(uint64_t seed, int64_t task, uint32_t n)
{
    const deq_philox_stream s = deq_philox_stream_of(seed, 0, 0);
    uint32_t words[4];

    deq_philox_words(words, &s, DEQ_PHILOX_HIGH, (uint64_t)task / 4);
    return (uint32_t)((uint64_t)words[task % 4] * n >> 32);
}

/* The k-th of the best labels. */
static int32_t pick(const deq_evidence *e, const deq_rule *r, uint32_t k, double best, double least)
{
    for (int64_t c = 0; c < r->v.n_labels; c++)
        if (is_best(e, r, c, best, least) && k-- == 0) return (int32_t)c;
    return -1;
}

static void decide(deq_decision *d, deq_evidence *e, const deq_rule *r, int64_t task)
{
    const int64_t K = r->v.n_labels;

    gather(e, r, task);
    const double best = best_score(e, K);
    double least = INFINITY;
    set_posterior(e, r, best);
    if (r->belief.cost) {
        set_costs(e, r);
        for (int64_t c = 0; c < K; c++) least = fmin(least, e->cost[c]);
    }
    *d = (deq_decision){ .n_votes = (int32_t)(r->v.begin[task + 1] - r->v.begin[task]),
                         .flags = flags_of(e, r, task),
                         .margin = margin_of(e, K, best),
                         .flip_radius = INFINITY,
                         .flip_worker = -1 };
    for (int64_t c = 0; c < K; c++) d->n_tied += is_best(e, r, c, best, least);
    const bool tie = d->n_tied > 1, random = tie && r->options.tie == DEQ_TIE_RANDOM;
    const int32_t first = pick(e, r, 0, best, least);
    d->label = random ? pick(e, r, draw(r->options.seed, task, (uint32_t)d->n_tied), best, least)
                      : first;
    const int32_t shown = d->label;
    if (tie) d->flags |= DEQ_DECISION_TIE;
    if (tie && r->options.tie == DEQ_TIE_ABSTAIN) d->label = -1;
    d->probability = e->posterior[shown];
    d->cost = r->belief.cost ? e->cost[shown] : 1 - d->probability;
    if (tie)
        d->flip_radius = 0;
    else if (r->options.flips && r->belief.trust && !r->options.linear)
        deq_flip_radius(d, r, e, task);
}

/* All tasks ---------------------------------------------------------------------------------- */

/* One thread's evidence in one block. */
static size_t evidence_bytes(int64_t K)
{
    const size_t k = ((size_t)K + 15) / 16 * 16;

    return k * (3 * sizeof(double) + 3 * sizeof(int32_t));
}

static deq_evidence evidence_in(void *block, int64_t K)
{
    const size_t k = ((size_t)K + 15) / 16 * 16;
    double *reals = block;
    int32_t *counts = (int32_t *)(void *)(reals + 3 * k);

    return (deq_evidence){ .score = reals,
                           .posterior = reals + k,
                           .cost = reals + 2 * k,
                           .infinite = counts,
                           .certain = counts + k,
                           .excluded = counts + 2 * k };
}

static void decide_all(deq_decision *decisions, double *posterior, const deq_rule *r, char *scratch,
                       int threads)
{
    const int64_t K = r->v.n_labels, T = r->v.n_tasks;

#pragma omp parallel for schedule(static, 1) num_threads(threads)
    for (int part = 0; part < threads; part++) {
        deq_evidence e = evidence_in(scratch + (size_t)part * evidence_bytes(K), K);
        for (int64_t t = T * part / threads; t < T * (part + 1) / threads; t++) {
            decide(&decisions[t], &e, r, t);
            if (posterior) memcpy(posterior + t * K, e.posterior, (size_t)K * sizeof *posterior);
        }
    }
}

deq_status deq_vote_decide(deq_decision *decisions, double *posterior, deq_context *ctx,
                           const deq_votes *votes, const deq_belief *belief,
                           const deq_decide_options *options)
{
    deq_rule r = { .v = deq_votes_values(votes),
                   .options = options ? *options : deq_decide_defaults(),
                   .repeats = deq_votes_reported(votes).n_duplicates > 0 };
    const int threads = r.v.n_votes < 4096 ? 1 : deq_context_threads(ctx);
    const size_t bytes = evidence_bytes(r.v.n_labels) * (size_t)threads;
    char *scratch = NULL;

    if (!belief) return deq_fail(ctx, DEQ_ERR_ARGUMENT, "nothing is believed");
    r.belief = *belief;
    deq_status status = make_rule(&r, ctx, votes);
    if (status == DEQ_OK) {
        scratch = deq_alloc(ctx, bytes);
        if (!scratch) status = DEQ_ERR_NOMEM;
    }
    if (status == DEQ_OK) decide_all(decisions, posterior, &r, scratch, threads);
    deq_release(ctx, scratch, bytes);
    free_rule(&r, ctx);
    return status;
}
