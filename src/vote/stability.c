/* SPDX-License-Identifier: MIT */
/*
 * Simulation of believed, actual and optimal correctness under estimated trust.
 *
 * One draw: P_i ~ Beta(a_i, b_i), s_i ~ Binomial(m_i, P_i), T_i from s_i.  Votes are not drawn.  With
 * a(v), b(v) the likelihoods of the votes v under Y = +1 and -1, b(v) = a(-v),
 *
 *   C(T, q)  = sum_v q(v) ( pi g(S(v) + w_0) + (1 - pi) g(S(v) - w_0) ),  q = T or P             (1)
 *   C(P, P)  = sum_v max(pi a(v), (1 - pi) b(v))                                                 (2)
 *
 * from tables of 2^n sums and products made by doubling, where -v is the complement of the index.  For
 * many sources deq_vote_correctness() takes over.
 */
#include <deq/vote/stability.h>

#include "vote/draw.h"
#include "vote/rule.h"
#include "vote/special.h"

#include <math.h>
#include <omp.h>

static const char who[] = "deq_vote_stability";

enum { TABLE_SOURCES = 14, CHUNK = 256 };

/* What one draw gives, and their first two moments. */
enum { BELIEVED, ACTUAL, OPTIMAL, EXCESS, GAP, DISTANCE, DEVIATION, QUANTITIES };

typedef struct moments {
    double sum[QUANTITIES], square[QUANTITIES];
} moments;

typedef struct simulation {
    deq_context *ctx;
    int64_t n;
    const double *a, *b;
    const int64_t *gold;
    deq_vote_stability_options options;
    double weight_0;
} simulation;

/* One draw's sources and tables, [n] each and [2^n] each. */
typedef struct workspace {
    double *trust, *p, *weights;
    double *sums, *believed, *actual;
} workspace;

deq_vote_stability_options deq_vote_stability_defaults(void)
{
    return (deq_vote_stability_options){
        .struct_size = sizeof(deq_vote_stability_options),
        .draws = 20000,
        .seed = 1,
        .trust_a = NAN,
        .trust_b = NAN,
        .clip = 0.01,
        .correctness = deq_vote_correctness_defaults(),
    };
}

/* One draw ------------------------------------------------------------------------------------- */

static double trust_of(const simulation *s, int64_t i, double right)
{
    const deq_vote_stability_options *o = &s->options;
    double m = (double)s->gold[i];
    if (o->rule == DEQ_VOTE_TRUST_FREQUENCY) {
        double share = m > 0 ? right / m : 0.5;
        return fmin(1 - o->clip, fmax(o->clip, share));
    }
    double a = isnan(o->trust_a) ? s->a[i] : o->trust_a;
    double b = isnan(o->trust_b) ? s->b[i] : o->trust_b;
    return (a + right) / (a + b + m);
}

/* P, T and weights; *deviation is the sum of sd(P_i | data). */
static void draw_sources(workspace *w, const simulation *s, int64_t draw, double *distance,
                         double *deviation)
{
    deq_random_key key = { s->options.seed, 0, 0 };
    *distance = *deviation = 0;
    for (int64_t i = 0; i < s->n; i++) {
        key.stream = (uint64_t)i;
        deq_vote_draw d = deq_vote_draw_begin(key, (uint64_t)draw);
        double p = deq_vote_draw_beta_one(&d, s->a[i], s->b[i]), m = (double)s->gold[i];
        double right = (double)deq_vote_draw_binomial(&d, s->gold[i], p);
        double a = s->a[i] + right, b = s->b[i] + (m - right), all = a + b;
        w->p[i] = p;
        w->trust[i] = trust_of(s, i, right);
        w->weights[i] = deq_vote_log_odds(w->trust[i]);
        *distance += fabs(p - w->trust[i]);
        *deviation += sqrt(a / all * (b / all) / (all + 1));
    }
}

static void fill_tables(workspace *w, int64_t n)
{
    w->sums[0] = 0;
    w->believed[0] = w->actual[0] = 1;
    for (int64_t i = 0; i < n; i++) {
        double weight = w->weights[i], t = w->trust[i], p = w->p[i];
        for (int64_t v = 0, half = (int64_t)1 << i; v < half; v++) {
            w->sums[half + v] = w->sums[v] + weight;
            w->sums[v] -= weight;
            w->believed[half + v] = w->believed[v] * t;
            w->believed[v] *= 1 - t;
            w->actual[half + v] = w->actual[v] * p;
            w->actual[v] *= 1 - p;
        }
    }
}

static double won(double sum, double tie)
{
    return sum > tie ? 1 : sum < -tie ? 0 : 0.5;
}

static void by_tables(double value[QUANTITIES], workspace *w, const simulation *s)
{
    int64_t patterns = (int64_t)1 << s->n;
    double pi = s->options.correctness.prior, tie = fabs(s->weight_0);
    double believed = 0, actual = 0, optimal = 0;
    for (int64_t i = 0; i < s->n; i++) tie += fabs(w->weights[i]);
    tie *= 1e-12;
    fill_tables(w, s->n);
    for (int64_t v = 0; v < patterns; v++) {
        double sum = w->sums[v], a = w->actual[v], b = w->actual[patterns - 1 - v];
        double g = pi * won(sum + s->weight_0, tie) + (1 - pi) * won(sum - s->weight_0, tie);
        believed += w->believed[v] * g;
        actual += a * g;
        optimal += fmax(pi * a, (1 - pi) * b);
    }
    value[BELIEVED] = believed;
    value[ACTUAL] = actual;
    value[OPTIMAL] = optimal;
}

static deq_status by_correctness(double value[QUANTITIES], workspace *w, const simulation *s,
                                 deq_vote_correctness_method *method)
{
    deq_vote_correctness_result result;
    deq_vote_correctness_options o = s->options.correctness;
    DEQ_TRY(deq_vote_correctness_weighted(&result, s->ctx, s->n, w->weights, w->trust, &o));
    value[BELIEVED] = result.correctness;
    DEQ_TRY(deq_vote_correctness_weighted(&result, s->ctx, s->n, w->weights, w->p, &o));
    value[ACTUAL] = result.correctness;
    *method = result.method;
    o.weight_0 = NAN; /* the best rule weighs the prior rightly */
    DEQ_TRY(deq_vote_correctness(&result, s->ctx, s->n, w->p, w->p, &o));
    value[OPTIMAL] = result.correctness;
    return DEQ_OK;
}

/* No trust can round to 0 or 1, whose infinite weights the tables do not know. */
static bool weights_are_finite(const simulation *s)
{
    const deq_vote_stability_options *o = &s->options;
    if (!isfinite(s->weight_0)) return false;
    if (o->rule == DEQ_VOTE_TRUST_FREQUENCY) return o->clip > 1e-12;
    for (int64_t i = 0; i < s->n; i++) {
        double a = isnan(o->trust_a) ? s->a[i] : o->trust_a;
        double b = isnan(o->trust_b) ? s->b[i] : o->trust_b;
        if (fmin(a, b) < 1e-12 * (a + b + (double)s->gold[i])) return false;
    }
    return true;
}

static bool uses_tables(const simulation *s)
{
    return s->n <= TABLE_SOURCES && weights_are_finite(s) &&
           (s->options.correctness.method == DEQ_VOTE_CORRECTNESS_AUTO ||
            s->options.correctness.method == DEQ_VOTE_CORRECTNESS_ENUMERATION);
}

static deq_status one_draw(moments *sum, workspace *w, const simulation *s, int64_t draw,
                           bool tables, deq_vote_correctness_method *method)
{
    double value[QUANTITIES];
    draw_sources(w, s, draw, &value[DISTANCE], &value[DEVIATION]);
    if (tables)
        by_tables(value, w, s);
    else
        DEQ_TRY(by_correctness(value, w, s, method));
    value[EXCESS] = value[BELIEVED] - value[ACTUAL];
    value[GAP] = value[OPTIMAL] - value[ACTUAL];
    for (int k = 0; k < QUANTITIES; k++) {
        sum->sum[k] += value[k];
        sum->square[k] += value[k] * value[k];
    }
    return DEQ_OK;
}

/* All draws ------------------------------------------------------------------------------------ */

static size_t table_length(const simulation *s, bool tables)
{
    return 3 * (size_t)s->n + (tables ? 3 * ((size_t)1 << s->n) : 0);
}

static workspace workspace_in(double *memory, int64_t n, bool tables)
{
    workspace w = { .trust = memory, .p = memory + n, .weights = memory + 2 * n };
    if (tables) {
        double *at = memory + 3 * n;
        int64_t patterns = (int64_t)1 << n;
        w.sums = at;
        w.believed = at + patterns;
        w.actual = at + 2 * patterns;
    }
    return w;
}

/* So many more draws are done; the first thread is the caller's. */
static void tell(int64_t *done, const simulation *s, int64_t more)
{
    int64_t now;

#pragma omp atomic capture
    now = *done += more;
    if (s->options.progress && omp_get_thread_num() == 0 && now < s->options.draws)
        s->options.progress(s->options.progress_user, now, s->options.draws);
}

/* Chunks of a fixed size, so that sums do not depend on the threads. */
static deq_status run_chunks(moments *parts, double *memory, size_t length, const simulation *s,
                             bool tables, deq_vote_correctness_method *method)
{
    int64_t draws = s->options.draws, chunks = (draws + CHUNK - 1) / CHUNK;
    deq_status status = DEQ_OK;
    int64_t done = 0;
#pragma omp parallel for schedule(dynamic, 1) num_threads(deq_context_threads(s->ctx)) if (tables)
    for (int64_t c = 0; c < chunks; c++) {
        int64_t end = (c + 1) * CHUNK < draws ? (c + 1) * CHUNK : draws;
        workspace w = workspace_in(memory + (size_t)omp_get_thread_num() * length, s->n, tables);
        for (int64_t d = c * CHUNK; d < end && (tables || status == DEQ_OK); d++) {
            deq_status one = one_draw(&parts[c], &w, s, d, tables, method);
            if (!tables) status = one;
        }
        tell(&done, s, end - c * CHUNK);
    }
    if (status == DEQ_OK && s->options.progress)
        s->options.progress(s->options.progress_user, draws, draws);
    return status;
}

static deq_vote_mean mean_of(const moments *parts, int64_t chunks, int64_t draws, int k)
{
    deq_vote_total sum = { 0, 0 }, square = { 0, 0 };
    for (int64_t c = 0; c < chunks; c++) {
        deq_vote_total_add(&sum, parts[c].sum[k]);
        deq_vote_total_add(&square, parts[c].square[k]);
    }
    double n = (double)draws, mean = deq_vote_total_value(sum) / n;
    double variance = fmax(0, deq_vote_total_value(square) / n - mean * mean) * n / (n - 1);
    return (deq_vote_mean){ mean, sqrt(variance / n) };
}

static void summarise(deq_vote_stability_result *result, const simulation *s, const moments *parts,
                      int64_t chunks)
{
    int64_t draws = s->options.draws;
    bool unbiased = s->options.rule == DEQ_VOTE_TRUST_POSTERIOR && isnan(s->options.trust_a);
    result->believed = mean_of(parts, chunks, draws, BELIEVED);
    result->actual = mean_of(parts, chunks, draws, ACTUAL);
    result->optimal = mean_of(parts, chunks, draws, OPTIMAL);
    result->excess = mean_of(parts, chunks, draws, EXCESS);
    result->gap = mean_of(parts, chunks, draws, GAP);
    result->bound_distance = 2 * mean_of(parts, chunks, draws, DISTANCE).mean;
    result->bound_deviation = unbiased ? 2 * mean_of(parts, chunks, draws, DEVIATION).mean : NAN;
    result->bound_knowledge = unbiased ? 1 - result->believed.mean : NAN;
    result->draws = draws;
}

static deq_status simulate(deq_vote_stability_result *result, const simulation *s)
{
    int64_t chunks = (s->options.draws + CHUNK - 1) / CHUNK;
    bool tables = uses_tables(s);
    size_t length = table_length(s, tables);
    size_t copies = tables ? (size_t)deq_context_threads(s->ctx) : 1;
    moments *parts = deq_alloc_array(s->ctx, (size_t)chunks, sizeof *parts);
    double *memory = deq_alloc_array(s->ctx, copies * length, sizeof *memory);
    deq_vote_correctness_method method = DEQ_VOTE_CORRECTNESS_ENUMERATION;
    deq_status status = parts && memory ? DEQ_OK : DEQ_ERR_NOMEM;
    if (status == DEQ_OK) status = run_chunks(parts, memory, length, s, tables, &method);
    if (status == DEQ_OK) {
        summarise(result, s, parts, chunks);
        result->method = method;
    }
    deq_release(s->ctx, parts, (size_t)chunks * sizeof *parts);
    deq_release(s->ctx, memory, copies * length * sizeof *memory);
    return status;
}

/* Arguments ------------------------------------------------------------------------------------ */

static deq_status check_options(deq_context *ctx, const deq_vote_stability_options *o)
{
    if (o->struct_size != sizeof *o)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "%s: options.struct_size is %zu, not %zu", who,
                        o->struct_size, sizeof *o);
    DEQ_TRY(deq_vote_correctness_check(ctx, who, &o->correctness));
    if (o->correctness.method >= DEQ_VOTE_CORRECTNESS_MONTE_CARLO)
        return deq_fail(ctx, DEQ_ERR_UNSUPPORTED, "%s: method %s inside a simulation", who,
                        deq_vote_correctness_method_name(o->correctness.method));
    bool both = isnan(o->trust_a) == isnan(o->trust_b);
    bool positive = isnan(o->trust_a) || (o->trust_a > 0 && isfinite(o->trust_a) &&
                                          o->trust_b > 0 && isfinite(o->trust_b));
    bool rule = o->rule == DEQ_VOTE_TRUST_POSTERIOR || o->rule == DEQ_VOTE_TRUST_FREQUENCY;
    if (o->draws < 2 || o->draws > INT64_MAX / 2 || !both || !positive || !rule ||
        !(o->clip >= 0 && o->clip < 0.5))
        return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                        "%s: options: draws %lld, rule %d, trust_a %g, trust_b %g, clip %g", who,
                        (long long)o->draws, (int)o->rule, o->trust_a, o->trust_b, o->clip);
    return DEQ_OK;
}

static deq_status check_sources(deq_context *ctx, int64_t n, const double *a, const double *b,
                                const int64_t *gold)
{
    if (n < 1) return deq_fail(ctx, DEQ_ERR_ARGUMENT, "%s: n is %lld", who, (long long)n);
    for (int64_t i = 0; i < n; i++)
        if (!(a[i] > 0 && isfinite(a[i]) && b[i] > 0 && isfinite(b[i])) || gold[i] < 0)
            return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                            "%s: source %lld has a = %g, b = %g, %lld gold questions", who,
                            (long long)i, a[i], b[i], (long long)gold[i]);
    return DEQ_OK;
}

deq_status deq_vote_stability(deq_vote_stability_result *result, deq_context *ctx, int64_t n,
                              const double *a, const double *b, const int64_t *gold,
                              const deq_vote_stability_options *options)
{
    *result = (deq_vote_stability_result){ .draws = 0 };
    simulation s = { .ctx = ctx, .n = n, .a = a, .b = b, .gold = gold };
    s.options = options ? *options : deq_vote_stability_defaults();
    DEQ_TRY(check_options(ctx, &s.options));
    DEQ_TRY(check_sources(ctx, n, a, b, gold));
    s.weight_0 = s.options.correctness.weight_0;
    if (isnan(s.weight_0)) s.weight_0 = deq_vote_log_odds(s.options.correctness.prior);
    deq_status status = simulate(result, &s);
    if (status != DEQ_OK) *result = (deq_vote_stability_result){ .draws = 0 };
    return status;
}
