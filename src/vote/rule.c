/* SPDX-License-Identifier: MIT */
/* Rules in normal form; see rule.h. */
#include "vote/rule.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Sums of weights closer than this part of the sum of |weights| are equal. */
static const double tie_tolerance = 1e-12;

typedef struct source {
    double w, q, r;
} source;

static int falling(const void *a, const void *b)
{
    const source *x = a, *y = b;
    if (x->w != y->w) return x->w < y->w ? 1 : -1;
    return x->q < y->q ? 1 : x->q > y->q ? -1 : 0;
}

static deq_status check_sources(deq_context *ctx, const char *who, int64_t n, const double *weights,
                                const double *p)
{
    if (n < 0) return deq_fail(ctx, DEQ_ERR_ARGUMENT, "%s: n is %lld", who, (long long)n);
    double total = 0;
    for (int64_t i = 0; i < n; i++) {
        if (isnan(weights[i]))
            return deq_fail(ctx, DEQ_ERR_ARGUMENT, "%s: weights[%lld] is not a number", who,
                            (long long)i);
        if (!(p[i] >= 0 && p[i] <= 1))
            return deq_fail(ctx, DEQ_ERR_ARGUMENT, "%s: p[%lld] is %g, not in [0, 1]", who,
                            (long long)i, p[i]);
        if (isfinite(weights[i])) total += fabs(weights[i]);
    }
    if (!isfinite(total))
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "%s: the sum of the weights overflows", who);
    return DEQ_OK;
}

/* The law of N: law[k] = P(N = 2 k - m) after m infinite votes. */
static deq_status count_infinite(deq_vote_rule *rule, deq_context *ctx, int64_t m,
                                 const double *weights, const double *p, int64_t n)
{
    size_t length = (size_t)m + 1;
    double *law = deq_alloc_array(ctx, length, sizeof *law);
    if (!law) return DEQ_ERR_NOMEM;
    law[0] = 1;
    int64_t done = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!isinf(weights[i])) continue;
        double q = weights[i] > 0 ? p[i] : 1 - p[i];
        done++;
        for (int64_t k = done; k > 0; k--) law[k] = law[k] * (1 - q) + law[k - 1] * q;
        law[0] *= 1 - q;
    }
    for (int s = 0; s < rule->n_sides; s++) {
        deq_vote_side *side = &rule->sides[s];
        int64_t by_prior = isinf(rule->weight_0) ? ((rule->weight_0 > 0) == (s == 0) ? 1 : -1) : 0;
        for (int64_t k = 0; k <= m; k++) {
            int64_t votes = 2 * k - m + by_prior;
            *(votes < 0 ? &side->wrong : votes > 0 ? &side->right : &side->finite) += law[k];
        }
        side->contradiction = m > 0 || by_prior ? side->finite : 0;
    }
    deq_release(ctx, law, length * sizeof *law);
    return DEQ_OK;
}

/* The finite part: fills the sum and returns what the known votes add to it. */
static double collect(deq_vote_rule *rule, source *sources, const double *weights, const double *p,
                      int64_t n)
{
    double known = 0;
    deq_vote_sum *sum = &rule->sum;
    for (int64_t i = 0; i < n; i++) {
        double w = fabs(weights[i]), right = p[i], wrong = 1 - p[i];
        double q = weights[i] > 0 ? right : wrong, r = weights[i] > 0 ? wrong : right;
        if (w == 0 || isinf(w)) continue;
        rule->n_finite++;
        sum->total += w;
        if (q == 0 || r == 0)
            known += r == 0 ? w : -w;
        else
            sources[sum->n++] = (source){ w, q, r };
    }
    qsort(sources, (size_t)sum->n, sizeof *sources, falling);
    for (int64_t i = 0; i < sum->n; i++) {
        sum->w[i] = sources[i].w;
        sum->q[i] = sources[i].q;
        sum->r[i] = sources[i].r;
    }
    return known;
}

static bool is_optimal(const deq_vote_rule *rule, int64_t n, const double *weights, const double *p,
                       double prior)
{
    double off = rule->weight_0 - deq_vote_log_odds(prior);
    if (!(fabs(off) <= 1e-14 * (1 + fabs(rule->weight_0)))) return false;
    for (int64_t i = 0; i < n; i++) {
        double w = deq_vote_log_odds(p[i]);
        if (!(fabs(weights[i] - w) <= 1e-14 * (1 + fabs(w)))) return false;
    }
    return true;
}

deq_status deq_vote_rule_new(deq_vote_rule *rule, deq_context *ctx, const char *who, int64_t n,
                             const double *weights, const double *p,
                             const deq_vote_correctness_options *options)
{
    *rule = (deq_vote_rule){ .n_sides = 2 };
    DEQ_TRY(deq_vote_correctness_check(ctx, who, options));
    DEQ_TRY(check_sources(ctx, who, n, weights, p));
    double prior = options->prior;
    rule->weight_0 = isnan(options->weight_0) ? deq_vote_log_odds(prior) : options->weight_0;
    rule->sides[0].share = prior;
    rule->sides[1].share = 1 - prior;
    if (rule->weight_0 == 0) {
        rule->n_sides = 1;
        rule->sides[0].share = 1;
    }
    int64_t infinite = 0;
    for (int64_t i = 0; i < n; i++) infinite += isinf(weights[i]) != 0;
    DEQ_TRY(count_infinite(rule, ctx, infinite, weights, p, n));

    rule->capacity = (size_t)n;
    rule->sum.w = deq_alloc_array(ctx, (size_t)n, sizeof(double));
    rule->sum.q = deq_alloc_array(ctx, (size_t)n, sizeof(double));
    rule->sum.r = deq_alloc_array(ctx, (size_t)n, sizeof(double));
    source *sources = deq_alloc_array(ctx, (size_t)n, sizeof *sources);
    deq_status status = rule->sum.w && rule->sum.q && rule->sum.r && sources ? DEQ_OK
                                                                             : DEQ_ERR_NOMEM;
    if (status == DEQ_OK) {
        double known = collect(rule, sources, weights, p, n);
        double w_0 = isinf(rule->weight_0) ? 0 : rule->weight_0;
        rule->sides[0].x = -w_0 - known;
        rule->sides[1].x = w_0 - known;
        rule->sum.tie = tie_tolerance * (rule->sum.total + fabs(w_0));
        rule->optimal = is_optimal(rule, n, weights, p, prior);
    }
    deq_release(ctx, sources, (size_t)n * sizeof *sources);
    return status;
}

void deq_vote_rule_free(deq_vote_rule *rule, deq_context *ctx)
{
    deq_release(ctx, rule->sum.w, rule->capacity * sizeof(double));
    deq_release(ctx, rule->sum.q, rule->capacity * sizeof(double));
    deq_release(ctx, rule->sum.r, rule->capacity * sizeof(double));
    *rule = (deq_vote_rule){ .n_sides = 0 };
}

deq_status deq_vote_trust_weights(double **weights, deq_context *ctx, const char *who, int64_t n,
                                  const double *trust)
{
    *weights = NULL;
    if (n < 0) return deq_fail(ctx, DEQ_ERR_ARGUMENT, "%s: n is %lld", who, (long long)n);
    double *w = deq_alloc_array(ctx, (size_t)n, sizeof *w);
    if (!w) return DEQ_ERR_NOMEM;
    for (int64_t i = 0; i < n; i++) {
        w[i] = deq_vote_log_odds(trust[i]);
        if (!isnan(w[i])) continue;
        deq_release(ctx, w, (size_t)n * sizeof *w);
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "%s: trust[%lld] is %g, not in [0, 1]", who,
                        (long long)i, trust[i]);
    }
    *weights = w;
    return DEQ_OK;
}
