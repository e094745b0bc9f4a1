/* SPDX-License-Identifier: MIT */
/*
 * Correctness from tails: with the sides of rule.h,
 *
 *   error = sum over Y of P(Y) ( P(N + N_0 < 0) + P(N + N_0 = 0) below(x_Y) )                   (1)
 *
 * and likewise the correctness from the other half, so that each keeps its own digits.
 */
#include "vote/importance.h"
#include "vote/rule.h"
#include "vote/special.h"

#include <math.h>
#include <string.h>

static const char *const names[DEQ_VOTE_CORRECTNESS_COUNT] = {
#define NAME(enumerator, name) name,
    DEQ_VOTE_CORRECTNESS_LIST(NAME)
#undef NAME
};

const char *deq_vote_correctness_method_name(deq_vote_correctness_method method)
{
    return (int)method >= 0 && method < DEQ_VOTE_CORRECTNESS_COUNT ? names[method] : "unknown";
}

deq_status deq_vote_correctness_method_find(deq_vote_correctness_method *method, const char *name)
{
    for (int i = 0; i < DEQ_VOTE_CORRECTNESS_COUNT; i++) {
        if (strcmp(names[i], name) != 0) continue;
        *method = (deq_vote_correctness_method)i;
        return DEQ_OK;
    }
    return DEQ_ERR_NAME;
}

deq_vote_correctness_options deq_vote_correctness_defaults(void)
{
    return (deq_vote_correctness_options){
        .struct_size = sizeof(deq_vote_correctness_options),
        .prior = 0.5,
        .weight_0 = NAN,
        .tol = 1e-6,
        .effort = 2e9,
        .draws = 100000,
        .confidence = 0.95,
        .seed = 1,
    };
}

deq_status deq_vote_correctness_check(deq_context *ctx, const char *who,
                                      const deq_vote_correctness_options *o)
{
    const char *bad = NULL;
    double value = 0;
#define REQUIRE(condition, field)                                                                  \
    if (!bad && !(condition)) bad = #field, value = (double)o->field
    REQUIRE(o->struct_size == sizeof *o, struct_size);
    if (!bad) {
        REQUIRE((int)o->method >= 0 && o->method < DEQ_VOTE_CORRECTNESS_COUNT, method);
        REQUIRE(o->prior >= 0 && o->prior <= 1, prior);
        REQUIRE(o->tol > 0 && o->tol < 1, tol);
        REQUIRE(o->effort >= 1e4 && isfinite(o->effort), effort);
        REQUIRE(o->draws >= 1, draws);
        REQUIRE(o->confidence > 0 && o->confidence < 1, confidence);
        REQUIRE(o->interval == DEQ_VOTE_INTERVAL_NORMAL ||
                    o->interval == DEQ_VOTE_INTERVAL_RIGOROUS,
                interval);
    }
#undef REQUIRE
    if (bad)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "%s: options.%s is %g, out of its range", who, bad,
                        value);
    return DEQ_OK;
}

/* The sides of (1), one after the other.  A share of 0 needs no tail. */
typedef struct accumulator {
    deq_vote_total error, correctness;
    double log_error, error_low, error_high, correctness_low, correctness_high;
    double variance, tie;
} accumulator;

static void add_side(accumulator *sum, deq_vote_correctness_result *result,
                     const deq_vote_side *side, const deq_vote_tail *below,
                     const deq_vote_tail *above)
{
    double wrong = side->share * side->wrong, right = side->share * side->right;
    double finite = side->share * side->finite;
    deq_vote_total_add(&sum->error, wrong);
    deq_vote_total_add(&sum->error, finite * below->value);
    deq_vote_total_add(&sum->correctness, right);
    deq_vote_total_add(&sum->correctness, finite * above->value);
    sum->log_error = deq_vote_log_add(sum->log_error,
                                      deq_vote_log_add(log(wrong), log(finite) + below->log_value));
    sum->error_low += wrong + finite * below->low;
    sum->error_high += wrong + finite * below->high;
    sum->correctness_low += right + finite * above->low;
    sum->correctness_high += right + finite * above->high;
    sum->variance += finite * finite * below->standard_error * below->standard_error;
    sum->tie += finite * below->tie;
    result->contradiction += side->share * side->contradiction;
    if (below->bound > result->bound) result->bound = below->bound;
    result->method = below->method;
    result->work += below->work;
    result->step = below->step;
}

static void finish(deq_vote_correctness_result *result, const accumulator *sum)
{
    result->error = fmin(1, deq_vote_total_value(sum->error));
    result->correctness = fmin(1, deq_vote_total_value(sum->correctness));
    result->log_error = fmin(0, sum->log_error);
    result->error_low = fmin(sum->error_low, result->error);
    result->error_high = fmax(fmin(1, sum->error_high), result->error);
    result->correctness_low = fmin(sum->correctness_low, result->correctness);
    result->correctness_high = fmax(fmin(1, sum->correctness_high), result->correctness);
    if (result->bound == DEQ_VOTE_BOUND_EXACT) {
        result->error_low = result->error_high = result->error;
        result->correctness_low = result->correctness_high = result->correctness;
    } else if (result->bound == DEQ_VOTE_BOUND_NONE) {
        result->error_low = result->correctness_low = 0;
        result->error_high = result->correctness_high = 1;
    }
    result->standard_error = sqrt(sum->variance);
    result->tie = sum->tie;
}

static deq_status evaluate(deq_vote_correctness_result *result, deq_context *ctx,
                           const deq_vote_rule *rule, const deq_vote_correctness_options *options)
{
    result->n_finite = rule->n_finite;
    if (options->method == DEQ_VOTE_CORRECTNESS_IMPORTANCE && rule->optimal)
        return deq_vote_importance_optimal(result, ctx, rule, options);
    accumulator sum = { .log_error = -INFINITY };
    deq_vote_correctness_options o = *options;
    if (rule->n_sides == 2) o.confidence = 1 - (1 - o.confidence) / 2; /* of both together */
    for (int s = 0; s < rule->n_sides; s++) {
        const deq_vote_side *side = &rule->sides[s];
        if (side->share == 0) continue;
        deq_vote_tail below, above;
        o.seed = options->seed + (uint64_t)s;
        DEQ_TRY(deq_vote_tail_of(&below, &above, ctx, &rule->sum, side->x, &o));
        add_side(&sum, result, side, &below, &above);
    }
    finish(result, &sum);
    return DEQ_OK;
}

static deq_status compute(deq_vote_correctness_result *result, deq_context *ctx, const char *who,
                          int64_t n, const double *weights, const double *p,
                          const deq_vote_correctness_options *options)
{
    deq_vote_correctness_options o = options ? *options : deq_vote_correctness_defaults();
    deq_vote_rule rule;
    deq_status status = deq_vote_rule_new(&rule, ctx, who, n, weights, p, &o);
    if (status == DEQ_OK) status = evaluate(result, ctx, &rule, &o);
    deq_vote_rule_free(&rule, ctx);
    if (status != DEQ_OK) *result = (deq_vote_correctness_result){ .correctness = 0 };
    return status;
}

deq_status deq_vote_correctness_weighted(deq_vote_correctness_result *result, deq_context *ctx,
                                         int64_t n, const double *weights, const double *p,
                                         const deq_vote_correctness_options *options)
{
    *result = (deq_vote_correctness_result){ .correctness = 0 };
    return compute(result, ctx, "deq_vote_correctness_weighted", n, weights, p, options);
}

deq_status deq_vote_correctness(deq_vote_correctness_result *result, deq_context *ctx, int64_t n,
                                const double *trust, const double *p,
                                const deq_vote_correctness_options *options)
{
    const char *who = "deq_vote_correctness";
    double *weights;
    *result = (deq_vote_correctness_result){ .correctness = 0 };
    DEQ_TRY(deq_vote_trust_weights(&weights, ctx, who, n, trust));
    deq_status status = compute(result, ctx, who, n, weights, p, options);
    deq_release(ctx, weights, (size_t)n * sizeof *weights);
    return status;
}
