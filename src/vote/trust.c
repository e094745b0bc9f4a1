/* SPDX-License-Identifier: MIT */
/*
 * Trust from counts, and the prior by empirical Bayes.  With mean mu and size n = a + b of the prior,
 *
 *     minimise  - sum_i log BetaBinomial(s_i | m_i, mu n, (1 - mu) n)                           (1)
 *
 * over x = (logit mu, log n) by L-BFGS; psi is the digamma function:
 *
 *     d/da log BetaBinomial = psi(a + s) - psi(a) + psi(a + b) - psi(a + b + m)                 (2)
 *
 * and likewise for b with m - s.  Where the optimum is at infinity (workers who do not differ, or who
 * never err) a quadratic wall holds x within bounds.
 */
#include <deq/minimise.h>
#include <deq/vote/beta.h>
#include <deq/vote/trust.h>

#include "base/context.h"

#include <math.h>

#define MOST_LOGIT 15.0
#define LEAST_SIZE 1e-3
#define MOST_SIZE 1e6
#define WALL 1e3

deq_trust_options deq_trust_defaults(void)
{
    return (deq_trust_options){
        .struct_size = sizeof(deq_trust_options), .a = 1, .b = 1, .level = 0.95
    };
}

static deq_status check(deq_context *ctx, int64_t n, const int64_t *correct, const int64_t *total,
                        const deq_trust_options *o)
{
    if (o->struct_size != sizeof *o)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "deq_trust_options of another size");
    if (!(o->a > 0 && o->a <= 1e12 && o->b > 0 && o->b <= 1e12))
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "prior Beta(%g, %g), expected two positive numbers",
                        o->a, o->b);
    if (!(o->level > 0 && o->level < 1))
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "level %g, expected one in (0, 1)", o->level);
    if (n < 0) return deq_fail(ctx, DEQ_ERR_ARGUMENT, "%lld workers", (long long)n);
    for (int64_t i = 0; i < n; i++)
        if (correct[i] < 0 || correct[i] > total[i])
            return deq_fail(ctx, DEQ_ERR_ARGUMENT, "worker %lld: %lld right of %lld", (long long)i,
                            (long long)correct[i], (long long)total[i]);
    return DEQ_OK;
}

void deq_vote_count_gold(int64_t *correct, int64_t *total, const deq_votes *votes,
                         const int32_t *gold, const bool *use)
{
    const deq_votes_view v = deq_votes_values(votes);

    for (int64_t t = 0; t < v.n_tasks; t++) {
        if (gold[t] < 0 || (use && !use[t])) continue;
        for (int64_t j = v.begin[t]; j < v.begin[t + 1]; j++) {
            total[v.worker[j]]++;
            correct[v.worker[j]] += v.label[j] == gold[t];
        }
    }
}

/* Empirical Bayes ---------------------------------------------------------------------------- */

typedef struct counts {
    int64_t n;
    const int64_t *correct, *total;
} counts;

/* psi(x) for x > 0: the recurrence up to 10, then Stirling's series. */
static double digamma(double x)
{
    double below = 0;

    while (x < 10) {
        below -= 1 / x;
        x += 1;
    }
    const double y = 1 / (x * x);
    const double series =
        y * (1.0 / 12 - y * (1.0 / 120 - y * (1.0 / 252 - y * (1.0 / 240 - y * (1.0 / 132)))));
    return below + log(x) - 0.5 / x - series;
}

static double log_likelihood(const counts *c, double a, double b)
{
    double sum = 0;

    for (int64_t i = 0; i < c->n; i++)
        if (c->total[i])
            sum += deq_vote_beta_binomial_log((double)c->correct[i], (double)c->total[i], a, b);
    return sum;
}

/* (2), summed over workers. */
static void gradient(double *da, double *db, const counts *c, double a, double b)
{
    const double psi_a = digamma(a), psi_b = digamma(b), psi_n = digamma(a + b);

    *da = *db = 0;
    for (int64_t i = 0; i < c->n; i++) {
        const double s = (double)c->correct[i], m = (double)c->total[i];
        if (m == 0) continue;
        const double both = psi_n - digamma(a + b + m);
        *da += both + digamma(a + s) - psi_a;
        *db += both + digamma(b + m - s) - psi_b;
    }
}

/* The wall's height at x, and its slope added to *slope. */
static double wall(double *slope, double x, double low, double high)
{
    const double out = x < low ? x - low : x > high ? x - high : 0;

    *slope += 2 * WALL * out;
    return WALL * out * out;
}

static void prior_at(double *a, double *b, const double x[2])
{
    const double n = exp(fmin(fmax(x[1], -20), 30)), logit = fmin(fmax(x[0], -30), 30);

    *a = n / (1 + exp(-logit));
    *b = n / (1 + exp(logit));
}

/* (1) and its gradient in x. */
static deq_status evaluate(void *user, double *value, void *grad, const void *point,
                           const int64_t *samples, int64_t n)
{
    const counts *c = user;
    const double *x = point;
    double *g = grad, a, b, da, db;

    (void)samples;
    (void)n; /* one sample */
    prior_at(&a, &b, x);
    gradient(&da, &db, c, a, b);
    g[0] = -(da - db) * a * b / (a + b);
    g[1] = -(da * a + db * b);
    *value = -log_likelihood(c, a, b);
    *value += wall(&g[0], x[0], -MOST_LOGIT, MOST_LOGIT);
    *value += wall(&g[1], x[1], log(LEAST_SIZE), log(MOST_SIZE));
    return DEQ_OK;
}

static deq_status fit_prior(deq_trust_prior *prior, deq_context *ctx, const counts *c)
{
    const deq_objective objective = { .struct_size = sizeof objective,
                                      .eval = evaluate,
                                      .user = (void *)c };
    deq_lbfgs_options o = deq_lbfgs_defaults();
    deq_lbfgs *lbfgs;
    double right = 1, all = 2, x[2] = { 0, log(4) };

    for (int64_t i = 0; i < c->n; i++) {
        right += (double)c->correct[i];
        all += (double)c->total[i];
    }
    x[0] = log(right / (all - right));
    o.atol = 1e-7;
    o.rtol = 1e-9;
    DEQ_TRY(deq_lbfgs_new(&lbfgs, ctx, DEQ_F64, 1, 2, &o));
    const deq_status status = deq_lbfgs_minimise(x, NULL, lbfgs, &objective);
    deq_lbfgs_free(lbfgs);
    DEQ_TRY(status);
    prior->at_bound = x[1] >= log(MOST_SIZE) - 1e-3;
    x[0] = fmin(fmax(x[0], -MOST_LOGIT), MOST_LOGIT);
    x[1] = fmin(fmax(x[1], log(LEAST_SIZE)), log(MOST_SIZE));
    prior_at(&prior->a, &prior->b, x);
    return DEQ_OK;
}

/* -------------------------------------------------------------------------------------------- */

static deq_trust trust_of(int64_t correct, int64_t total, const deq_trust_prior *prior,
                          double level)
{
    const double a = prior->a + (double)correct, b = prior->b + (double)(total - correct);

    return (deq_trust){ .trust = a / (a + b),
                        .low = deq_vote_beta_quantile((1 - level) / 2, a, b),
                        .high = deq_vote_beta_quantile((1 + level) / 2, a, b),
                        .correct = correct,
                        .total = total };
}

deq_status deq_trust_from_counts(deq_trust *trust, deq_trust_prior *prior, deq_context *ctx,
                                 int64_t n, const int64_t *correct, const int64_t *total,
                                 const deq_trust_options *options)
{
    const deq_trust_options o = options ? *options : deq_trust_defaults();
    const counts c = { n, correct, total };

    DEQ_TRY(check(ctx, n, correct, total, &o));
    deq_trust_prior used = { .a = o.a, .b = o.b };
    if (o.empirical_bayes) DEQ_TRY(fit_prior(&used, ctx, &c));
    used.log_likelihood = log_likelihood(&c, used.a, used.b);
    for (int64_t i = 0; i < n; i++) trust[i] = trust_of(correct[i], total[i], &used, o.level);
    if (prior) *prior = used;
    return DEQ_OK;
}
