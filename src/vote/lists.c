/* SPDX-License-Identifier: MIT */
/*
 * Meeting in the middle.  The sources are split in two halves, A and B; each half's sums are listed in
 * order with their probabilities.  Then
 *
 *   below(x) = sum over a in A of P(a) ( P(B < x - a) + P(B <= x - a) ) / 2                      (1)
 *
 * and both probabilities are prefix sums of B at places that only move down as a goes up.  All terms
 * are positive: a tiny result keeps its digits.
 *
 * Sources of equal weight w may be one *group*: their sum is (2 k - m) w, where the number k of right
 * votes of m is Poisson-binomial.  A list of a half grows group by group: one shifted copy for each k,
 * merged pairwise, so that it is never sorted from scratch.
 */
#include "vote/lists.h"

#include "vote/special.h"

#include <math.h>
#include <string.h>

/* Weights closer than this part of themselves are equal. */
static const double same_weight = 1e-13;
static const double max_states = 0x1p25;
/* Multiplications that a group's law may take. */
static const double max_law_work = 4e9;

enum { MEET_MAX = 50, RUN_FROM = 64 };

/* Groups --------------------------------------------------------------------------------------- */

/* Where the group that begins at source i ends. */
static int64_t group_end(const deq_vote_sum *sum, int64_t i, bool grouped)
{
    int64_t end = i + 1;
    while (grouped && end < sum->n && sum->w[end] >= sum->w[i] * (1 - same_weight)) end++;
    return end;
}

/* Which half a group goes to: the one with fewer sums so far (in logarithms). */
static int choose_half(double log_states[2], int64_t members)
{
    int half = log_states[1] < log_states[0];
    log_states[half] += log((double)(members + 1));
    return half;
}

static double larger_half(const deq_vote_sum *sum, bool grouped, double *law_work)
{
    double log_states[2] = { 0, 0 };
    *law_work = 0;
    for (int64_t i = 0, end; i < sum->n; i = end) {
        end = group_end(sum, i, grouped);
        (void)choose_half(log_states, end - i);
        *law_work += 0.5 * (double)(end - i) * (double)(end - i);
    }
    return fmax(log_states[0], log_states[1]);
}

double deq_vote_group_states(const deq_vote_sum *sum)
{
    double work, log_states = larger_half(sum, true, &work);
    return work > max_law_work || log_states > 600 ? INFINITY : floor(exp(log_states) + 0.5);
}

/* law[k], k = 0..m, of a run of m equal sources: relative to the mode, by ratios, then normed. */
static void binomial_law(double *law, int64_t m, double q, double r)
{
    int64_t mode = (int64_t)((double)(m + 1) * q);
    if (mode > m) mode = m;
    law[mode] = 1;
    deq_vote_total all = { 1, 0 };
    for (int64_t k = mode; k < m; k++) {
        law[k + 1] = law[k] * ((double)(m - k) / (double)(k + 1)) * (q / r);
        deq_vote_total_add(&all, law[k + 1]);
    }
    for (int64_t k = mode; k > 0; k--) {
        law[k - 1] = law[k] * ((double)k / (double)(m - k + 1)) * (r / q);
        deq_vote_total_add(&all, law[k - 1]);
    }
    for (int64_t k = 0; k <= m; k++) law[k] /= deq_vote_total_value(all);
}

/* law[0..m] and run[0..k] to law[0..m+k]; from above, so that nothing is overwritten too early. */
static void convolve(double *law, int64_t m, const double *run, int64_t k)
{
    for (int64_t j = m + k; j >= 0; j--) {
        double value = 0;
        int64_t first = j > m ? j - m : 0, last = j < k ? j : k;
        for (int64_t i = first; i <= last; i++) value += run[i] * law[j - i];
        law[j] = value;
    }
}

/* The law of the number of right votes among sources i to end - 1. */
static void group_law(double *law, double *run, const deq_vote_sum *sum, int64_t i, int64_t end)
{
    int64_t m = 0;
    law[0] = 1;
    while (i < end) {
        int64_t k = 1;
        while (i + k < end && sum->q[i + k] == sum->q[i] && sum->r[i + k] == sum->r[i]) k++;
        if (k < RUN_FROM) k = 1;
        if (k == 1) {
            run[0] = sum->r[i];
            run[1] = sum->q[i];
        } else {
            binomial_law(run, k, sum->q[i], sum->r[i]);
        }
        convolve(law, m, run, k);
        m += k;
        i += k;
    }
}

/* Lists ---------------------------------------------------------------------------------------- */

/* Two sorted runs to one. */
static void merge(deq_vote_entry *to, const deq_vote_entry *a, size_t n_a, const deq_vote_entry *b,
                  size_t n_b)
{
    const deq_vote_entry *end_a = a + n_a, *end_b = b + n_b;
    while (a < end_a && b < end_b) *to++ = b->sum < a->sum ? *b++ : *a++;
    if (a < end_a) memcpy(to, a, (size_t)(end_a - a) * sizeof *a);
    if (b < end_b) memcpy(to, b, (size_t)(end_b - b) * sizeof *b);
}

/* The list in `from`, n sums, times a group: `from` and `to` hold n (m + 1) each and are used up in
 * turns.  Returns the one with the result. */
static deq_vote_entry *grow(deq_vote_entry *from, deq_vote_entry *to, size_t n, double w, int64_t m,
                            const double *law)
{
    for (int64_t k = 0; k <= m; k++)
        for (size_t j = 0; j < n; j++)
            to[(size_t)k * n + j] = (deq_vote_entry){ from[j].sum + (double)(2 * k - m) * w,
                                                      from[j].probability * law[k] };
    size_t all = n * (size_t)(m + 1);
    for (size_t run = n; run < all; run *= 2) {
        for (size_t at = 0; at < all; at += 2 * run) {
            size_t n_a = all - at < run ? all - at : run;
            size_t n_b = all - at - n_a < run ? all - at - n_a : run;
            merge(from + at, to + at, n_a, to + at + n_a, n_b);
        }
        deq_vote_entry *swap = from;
        from = to;
        to = swap;
    }
    return to;
}

typedef struct builder {
    deq_vote_entry *buffer[2];
    size_t capacity;
    double *law, *run;
    size_t law_length;
} builder;

static deq_status build_half(deq_vote_list *list, deq_context *ctx, builder *b,
                             const deq_vote_sum *sum, bool grouped, int half)
{
    double log_states[2] = { 0, 0 };
    size_t count = 1;
    for (int64_t i = 0, end; i < sum->n; i = end) {
        end = group_end(sum, i, grouped);
        if (choose_half(log_states, end - i) == half) count *= (size_t)(end - i) + 1;
    }
    b->capacity = count;
    for (int k = 0; k < 2; k++)
        if (!(b->buffer[k] = deq_alloc_array(ctx, count, sizeof(deq_vote_entry))))
            return DEQ_ERR_NOMEM;
    deq_vote_entry *now = b->buffer[0];
    now[0] = (deq_vote_entry){ 0, 1 };
    size_t n = 1;
    log_states[0] = log_states[1] = 0;
    for (int64_t i = 0, end; i < sum->n; i = end) {
        end = group_end(sum, i, grouped);
        if (choose_half(log_states, end - i) != half) continue;
        group_law(b->law, b->run, sum, i, end);
        now = grow(now, now == b->buffer[0] ? b->buffer[1] : b->buffer[0], n, sum->w[i], end - i,
                   b->law);
        n *= (size_t)(end - i) + 1;
    }
    *list = (deq_vote_list){ now, n, count };
    deq_vote_entry **used = now == b->buffer[0] ? &b->buffer[0] : &b->buffer[1];
    *used = NULL; /* the list's own now */
    return DEQ_OK;
}

static void drop_buffers(builder *b, deq_context *ctx)
{
    for (int k = 0; k < 2; k++) {
        deq_release(ctx, b->buffer[k], b->capacity * sizeof(deq_vote_entry));
        b->buffer[k] = NULL;
    }
}

deq_status deq_vote_lists_new(deq_vote_lists *lists, deq_context *ctx, const deq_vote_sum *sum,
                              bool grouped)
{
    *lists = (deq_vote_lists){ .half = { { NULL, 0, 0 } } };
    double work, log_states = larger_half(sum, grouped, &work);
    if (log_states > log(max_states) + 1e-9 || (grouped && work > max_law_work))
        return deq_fail(
            ctx, DEQ_ERR_UNSUPPORTED, "%s: %lld sources give e^%.0f sums on a side, beyond %.0f",
            grouped ? "grouping" : "meet-in-the-middle", (long long)sum->n, log_states, max_states);
    builder b = { .law_length = grouped ? (size_t)sum->n + 1 : 2 };
    b.law = deq_alloc_array(ctx, b.law_length, sizeof(double));
    b.run = deq_alloc_array(ctx, b.law_length, sizeof(double));
    deq_status status = b.law && b.run ? DEQ_OK : DEQ_ERR_NOMEM;
    for (int half = 0; half < 2 && status == DEQ_OK; half++) {
        status = build_half(&lists->half[half], ctx, &b, sum, grouped, half);
        drop_buffers(&b, ctx);
    }
    deq_release(ctx, b.law, b.law_length * sizeof(double));
    deq_release(ctx, b.run, b.law_length * sizeof(double));
    if (status != DEQ_OK) return status;
    deq_vote_total prefix = { 0, 0 };
    deq_vote_list *second = &lists->half[1];
    for (size_t j = 0; j < second->count; j++) {
        deq_vote_total_add(&prefix, second->entries[j].probability);
        second->entries[j].probability = deq_vote_total_value(prefix);
    }
    return DEQ_OK;
}

void deq_vote_lists_free(deq_vote_lists *lists, deq_context *ctx)
{
    for (int half = 0; half < 2; half++)
        deq_release(ctx, lists->half[half].entries,
                    lists->half[half].capacity * sizeof(deq_vote_entry));
    *lists = (deq_vote_lists){ .half = { { NULL, 0, 0 } } };
}

double deq_vote_lists_below(const deq_vote_lists *lists, double x, double tie, double *equal)
{
    const deq_vote_list *a = &lists->half[0], *b = &lists->half[1];
    size_t less = b->count, up_to = b->count;
    deq_vote_total below = { 0, 0 }, not_above = { 0, 0 };
    for (size_t i = 0; i < a->count; i++) {
        double y = x - a->entries[i].sum, p = a->entries[i].probability;
        while (less > 0 && b->entries[less - 1].sum >= y - tie) less--;
        while (up_to > 0 && b->entries[up_to - 1].sum > y + tie) up_to--;
        if (up_to == 0) break;
        if (less > 0) deq_vote_total_add(&below, p * b->entries[less - 1].probability);
        deq_vote_total_add(&not_above, p * b->entries[up_to - 1].probability);
    }
    double low = deq_vote_total_value(below), high = deq_vote_total_value(not_above);
    *equal = high - low;
    return 0.5 * (low + high);
}

bool deq_vote_lists_nearest(const deq_vote_lists *lists, double x, double tie, double *low,
                            double *high)
{
    const deq_vote_list *a = &lists->half[0], *b = &lists->half[1];
    size_t less = b->count, up_to = b->count;
    bool between = false;
    *low = -INFINITY;
    *high = INFINITY;
    for (size_t i = 0; i < a->count; i++) {
        double s = a->entries[i].sum, y = x - s;
        while (less > 0 && b->entries[less - 1].sum >= y - tie) less--;
        while (up_to > 0 && b->entries[up_to - 1].sum > y + tie) up_to--;
        if (less > 0) *low = fmax(*low, s + b->entries[less - 1].sum);
        if (up_to < b->count) *high = fmin(*high, s + b->entries[up_to].sum);
        between = between || less < up_to;
    }
    return between;
}

/* Methods -------------------------------------------------------------------------------------- */

static deq_status by_lists(deq_vote_tail *out, deq_context *ctx, const deq_vote_sum *sum, double x,
                           bool grouped)
{
    deq_vote_lists lists;
    deq_status status = deq_vote_lists_new(&lists, ctx, sum, grouped);
    if (status == DEQ_OK) {
        out->value = deq_vote_lists_below(&lists, x, sum->tie, &out->tie);
        out->low = out->high = out->value;
        out->log_value = log(out->value);
        out->work = (double)lists.half[0].count + (double)lists.half[1].count;
    }
    deq_vote_lists_free(&lists, ctx);
    return status;
}

deq_status deq_vote_tail_meet(deq_vote_tail *out, deq_context *ctx, const deq_vote_sum *sum,
                              double x, const deq_vote_correctness_options *options)
{
    (void)options;
    if (sum->n > MEET_MAX)
        return deq_fail(ctx, DEQ_ERR_UNSUPPORTED,
                        "meet-in-the-middle: %lld sources, but lists of 2^(n/2) are too long "
                        "beyond %d",
                        (long long)sum->n, MEET_MAX);
    return by_lists(out, ctx, sum, x, false);
}

deq_status deq_vote_tail_group(deq_vote_tail *out, deq_context *ctx, const deq_vote_sum *sum,
                               double x, const deq_vote_correctness_options *options)
{
    (void)options;
    return by_lists(out, ctx, sum, x, true);
}
