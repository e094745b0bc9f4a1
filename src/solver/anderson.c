/* SPDX-License-Identifier: MIT */
/*
 * Anderson acceleration (docs/math/anderson.md).  With f_k = f(z_k), g_k = f_k - z_k and differences
 * of neighbours in the window, DG_j = g_j - g_{j-1}, likewise DF and DZ,
 *
 *     type II      gamma = argmin |g_k - sum_j gamma_j DG_j|^2                               (1)
 *     type I       gamma solves  sum_j (DZ_i . DG_j) gamma_j = DZ_i . g_k  for all i         (2)
 *     constrained  alpha = argmin |sum_i alpha_i g_i|^2, sum_i alpha_i = 1                   (3)
 *                  gamma_j = sum of alpha_i of all pairs older than difference j
 *     update       z_{k+1} = f_k - (1 - beta) g_k - sum_j gamma_j (DF_j - (1 - beta) DG_j)   (4)
 *
 * The window is a ring of vectors F and G: f is written straight into F, g into G, and differences
 * are formed where they are used.  Products are kept per sample; a step computes one new row of them
 * in the sweep that forms g_k, solves a small system, and writes z_{k+1} in a second sweep that finds
 * the row in the cache.  Difference j is known by the slot of its newer pair.
 */
#include "solver/fit.h"
#include "solver/memory.h"

#include <math.h>
#include <string.h>

enum { M = DEQ_DEPTH_MAX };

static const double condition_default = 1e4, condition_constrained = 1e6;
static const double least_move = 0.01; /* of beta |g|: below it, a step is no step */

typedef struct window {
    int pairs;         /* in use, this round's included once it is measured */
    bool broken[M];    /* slots whose difference spans two solves */
    bool plain;        /* take a Picard step */
    bool back;         /* ... from the best pair */
    int best, age;     /* its slot, and the rounds since it was made */
    int n;             /* differences that the step uses */
    int slot[M];       /* [n] newest first */
    double gamma[M];   /* [n] */
    double gram[M][M]; /* by slots: DG_i.DG_j, DZ_i.DG_j (type I) or G_i.G_j (constrained) */
} window;

typedef struct anderson {
    int depth;
    void *F[M], *G[M], *zs[2];
    int at;         /* slot of this round */
    window *window; /* [batch] by sample */
} anderson;

static window *window_of(const deq_solver *s, int64_t row)
{
    const anderson *a = s->method;
    return &a->window[s->b.sample[row]];
}

static int before(const anderson *a, int slot)
{
    return slot ? slot - 1 : a->depth - 1;
}

static void *next_z(const deq_solver *s)
{
    const anderson *a = s->method;
    return s->z == a->zs[0] ? a->zs[1] : a->zs[0];
}

static bool constrained(const deq_solver *s)
{
    return s->o.anderson.fit == DEQ_FIT_CONSTRAINED;
}

/* Slots of the differences among `pairs` pairs, newest first; for the constrained form, of the pairs
 * themselves. */
static int list_slots(const deq_solver *s, int pairs, int *slot)
{
    const anderson *a = s->method;
    int n = constrained(s) ? pairs : pairs - 1;
    for (int i = 0, t = a->at; i < n; i++, t = before(a, t)) slot[i] = t;
    return n;
}

/* Pairs in the window when this round's is one of them. */
static int pairs_now(const deq_solver *s, const window *w)
{
    const anderson *a = s->method;
    return w->pairs < a->depth ? w->pairs + 1 : a->depth;
}

/* Measuring: g_k and a row of products -------------------------------------------------------- */

/* Elements `at` of the vectors in these slots and, at the end, in the one before the last. */
static void take(const deq_solver *s, const void **x, void *const *ring, const int *slot, int n,
                 int64_t row, int64_t at)
{
    for (int i = 0; i < n; i++) x[i] = deq_at(&s->b, ring[slot[i]], row, at);
    x[n] = deq_at(&s->b, ring[before(s->method, slot[n - 1])], row, at);
}

/* sums:  DG_i . g,  DG_i . DG_0;  for type I also  DF_i . g,  DF_i . DG_0,  DF_0 . DG_i  (n each). */
static void measure_products(const deq_solver *s, const int *slot, int n, int64_t row, int64_t at,
                             int64_t count, double *sums)
{
    const anderson *a = s->method;
    const deq_kernels *k = s->b.k;
    const void *G[M + 1], *F[M + 1];
    double newest[DEQ_CHUNK]; /* room for either dtype */
    const double one = 1;
    take(s, G, a->G, slot, n, row, at);
    if (constrained(s)) {
        k->dots(sums, G, NULL, n, G[0], count);
        return;
    }
    k->neighbours(sums, G, n, count);
    if (s->o.anderson.type == 2) return;
    take(s, F, a->F, slot, n, row, at);
    k->dots(sums + 2 * n, F, F + 1, n, G[0], count);
    k->combine(newest, 0, NULL, 0, NULL, &one, G, G + 1, 1, count);
    k->dots(sums + 3 * n, F, F + 1, n, newest, count);
    k->combine(newest, 0, NULL, 0, NULL, &one, F, F + 1, 1, count);
    k->dots(sums + 4 * n, G, G + 1, n, newest, count);
}

static void measure(void *self, int64_t row, int64_t at, int64_t count, double *sums)
{
    deq_solver *s = self;
    const anderson *a = s->method;
    const window *w = window_of(s, row);
    int slot[M], n = list_slots(s, pairs_now(s, w), slot);
    s->b.k->residual(deq_at(&s->b, a->G[a->at], row, at), deq_at(&s->b, s->fz, row, at),
                     deq_at(&s->b, s->z, row, at), count, sums);
    if (n) measure_products(s, slot, n, row, at, count, sums + 2);
}

/* Fitting ------------------------------------------------------------------------------------ */

/* The new row of products, and the right-hand side b. */
static void store_products(const deq_solver *s, window *w, const int *slot, int n,
                           const double *sums, double *b)
{
    bool one = s->o.anderson.type == 1;
    for (int i = 0; i < n; i++) {
        double row = constrained(s) ? sums[i] : sums[n + i], column = row;
        b[i] = constrained(s) ? 1 : sums[i];
        if (one) {
            b[i] = sums[2 * n + i] - sums[i];
            column = sums[3 * n + i] - sums[n + i]; /* DZ_i . DG_0 */
            row = sums[4 * n + i] - sums[n + i];    /* DZ_0 . DG_i */
        }
        w->gram[slot[0]][slot[i]] = row;
        w->gram[slot[i]][slot[0]] = column;
    }
}

/* Columns are scaled to unit length, as far as the diagonal tells.  Differences that depend on newer
 * ones are left out.  Dependent residuals, on the other hand, are what the constrained form looks
 * for: there the diagonal is lifted a little instead. */
static int solve_scaled(const deq_solver *s, const window *w, const int *slot, int n, double *b,
                        double *x)
{
    double A[M * M], scale[M], condition = s->o.anderson.condition, ridge = s->o.anderson.ridge;
    if (condition == 0) condition = constrained(s) ? condition_constrained : condition_default;
    double tolerance = 1 / (condition * condition);
    if (constrained(s)) {
        ridge = fmax(ridge, tolerance);
        tolerance = 0;
    }
    for (int i = 0; i < n; i++) {
        double v = fabs(w->gram[slot[i]][slot[i]]);
        scale[i] = v > 0 ? 1 / sqrt(v) : 0;
        b[i] *= scale[i];
    }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) A[i * n + j] = w->gram[slot[i]][slot[j]] * scale[i] * scale[j];
    for (int i = 0; i < n; i++) A[i * n + i] *= 1 + ridge;
    int left_out = deq_fit(x, A, b, n, tolerance);
    for (int i = 0; i < n; i++) x[i] *= scale[i];
    return left_out;
}

/* From weights of pairs to coefficients of differences (3); the oldest pair has no difference. */
static int differences_of_weights(double *gamma, const double *alpha, int n)
{
    double sum = 0, older = 0;
    for (int i = 0; i < n; i++) sum += alpha[i];
    if (!(fabs(sum) > 0)) return 0;
    for (int i = n - 1; i > 0; i--) {
        older += alpha[i] / sum;
        gamma[i - 1] = older;
    }
    return n - 1;
}

/* Leave out the difference that spans two solves, if it is in the window. */
static int usable(const deq_solver *s, const window *w, int *slot, int n, double *b)
{
    int kept = 0;
    for (int i = 0; i < n; i++) {
        if (w->broken[slot[i]] && !constrained(s)) continue;
        slot[kept] = slot[i];
        b[kept++] = b[i];
    }
    return kept;
}

static void fit(deq_solver *s, int64_t row, window *w, const int *slot, int n, double *b)
{
    double x[M];
    int left_out = solve_scaled(s, w, slot, n, b, x);
    if (left_out) deq_row_info(s, row)->n_singular++;
    w->n = n;
    if (constrained(s))
        w->n = differences_of_weights(w->gamma, x, n);
    else
        memcpy(w->gamma, x, (size_t)n * sizeof *x);
    memcpy(w->slot, slot, (size_t)n * sizeof *slot);
    for (int i = 0; i < w->n; i++)
        if (!isfinite(w->gamma[i])) w->n = 0;
}

/* Is it time to forget the window?  Then its newest pair stays; but when the step went far astray, the
 * next one starts from the best pair, as long as the ring has it. */
static bool start_anew(const deq_solver *s, int64_t row, window *w)
{
    const anderson *a = s->method;
    const deq_anderson_options *o = &s->o.anderson;
    const deq_sample_info *in = deq_row_info(s, row);
    bool astray = o->safeguard > 0 &&
                  deq_row_sample(s, row)->residual > o->safeguard * in->residual;
    w->back = astray && w->age < a->depth;
    return astray || (o->restart && in->n_feval > 1 && (in->n_feval - 1) % o->restart == 0);
}

static void judge_and_fit(void *self, int64_t row, const double *sums)
{
    deq_solver *s = self;
    window *w = window_of(s, row);
    int slot[M], n = list_slots(s, pairs_now(s, w), slot);
    double b[M];
    bool goes_on = deq_judge(s, row, sums[0], sums[1], false);
    bool is_best = deq_row_sample(s, row)->is_best;
    w->age = is_best ? 0 : w->age + 1;
    if (is_best) w->best = ((const anderson *)s->method)->at;
    w->n = 0;
    w->plain = false;
    if (n) store_products(s, w, slot, n, sums + 2, b);
    w->pairs = pairs_now(s, w);
    if (!goes_on) return;
    if (start_anew(s, row, w)) {
        w->pairs = w->back ? 0 : 1;
        deq_row_info(s, row)->n_restart++;
        deq_row_info(s, row)->n_fallback += w->back;
    } else if ((n = usable(s, w, slot, n, b)) > 0) {
        fit(s, row, w, slot, n, b);
    }
}

/* Moving ------------------------------------------------------------------------------------- */

/* (4) with beta = 1; returns the square of the move. */
static double advance(const deq_solver *s, const window *w, int n, int64_t row, int64_t at,
                      int64_t count)
{
    const anderson *a = s->method;
    const void *x[M + 1];
    double c[M] = { 0 };
    int slot[M], m = 0;
    for (int i = 0, t = a->at; i < n; t = before(a, t)) { /* slots left out get weight 0 */
        slot[m] = t;
        if (t == w->slot[i]) c[m] = -w->gamma[i++];
        m++;
    }
    if (m) take(s, x, a->F, slot, m, row, at);
    const void *f = deq_at(&s->b, w->back ? a->F[w->best] : s->fz, row, at);
    return s->b.k->advance(deq_at(&s->b, next_z(s), row, at), f, c, x, m,
                           deq_at(&s->b, s->z, row, at), count);
}

/* (4) with beta < 1. */
static double advance_mixed(const deq_solver *s, const window *w, int n, int64_t row, int64_t at,
                            int64_t count)
{
    const anderson *a = s->method;
    double rest = 1 - s->o.anderson.mixing, c[2 * M] = { 0 };
    const void *x[2 * M] = { NULL }, *y[2 * M] = { NULL };
    void *out = deq_at(&s->b, next_z(s), row, at);
    for (int i = 0; i < n; i++) {
        int older = before(a, w->slot[i]);
        x[i] = deq_at(&s->b, a->F[w->slot[i]], row, at);
        y[i] = deq_at(&s->b, a->F[older], row, at);
        c[i] = -w->gamma[i];
        x[n + i] = deq_at(&s->b, a->G[w->slot[i]], row, at);
        y[n + i] = deq_at(&s->b, a->G[older], row, at);
        c[n + i] = rest * w->gamma[i];
    }
    int from = w->back ? w->best : a->at;
    s->b.k->combine(out, 1, deq_at(&s->b, a->F[from], row, at), -rest,
                    deq_at(&s->b, a->G[from], row, at), c, x, y, 2 * n, count);
    return s->b.k->distance(out, deq_at(&s->b, s->z, row, at), count);
}

static double write_next(const deq_solver *s, const window *w, int n, int64_t row, int64_t at,
                         int64_t count)
{
    return s->o.anderson.mixing < 1 ? advance_mixed(s, w, n, row, at, count)
                                    : advance(s, w, n, row, at, count);
}

static void move(void *self, int64_t row, int64_t at, int64_t count, double *sums)
{
    deq_solver *s = self;
    const window *w = window_of(s, row);
    deq_rescue(s, row, at, count, next_z(s));
    sums[0] = write_next(s, w, w->n, row, at, count);
}

/* A window that sends the iterate back to where it stands is worth nothing. */
static void moved(void *self, int64_t row, const double *sums)
{
    deq_solver *s = self;
    window *w = window_of(s, row);
    double least = least_move * s->o.anderson.mixing * deq_row_sample(s, row)->residual;
    deq_rescued(s, row, next_z(s));
    if (w->n == 0 || sqrt(sums[0]) >= least) return;
    w->plain = true;
    w->pairs = 1;
    deq_row_info(s, row)->n_fallback++;
    deq_row_info(s, row)->n_restart++;
}

static void move_plainly(void *self, int64_t row, int64_t at, int64_t count, double *sums)
{
    deq_solver *s = self;
    const window *w = window_of(s, row);
    (void)sums;
    if (w->plain) (void)write_next(s, w, 0, row, at, count);
}

static deq_status step(deq_solver *s)
{
    static const deq_phase phases[] = { { 2 + 5 * M, measure, judge_and_fit },
                                        { 1, move, moved },
                                        { 0, move_plainly, NULL } };
    anderson *a = s->method;
    deq_batch_run(&s->b, phases, 3, s);
    s->z = next_z(s);
    a->at = (a->at + 1) % a->depth;
    s->fz = a->F[a->at];
    for (int64_t i = 0; i < s->b.B; i++) a->window[i].broken[a->at] = false;
    return DEQ_OK;
}

/* From solve to solve ------------------------------------------------------------------------ */

/* The window, oldest pair first.  A difference that spans two solves is marked by NaN. */
static void remember(deq_solver *s, int64_t row)
{
    const anderson *a = s->method;
    const window *w = window_of(s, row);
    int64_t sample = s->b.sample[row];
    int slot[M], pairs = w->pairs;
    deq_outcome outcome = s->sample_info[sample].outcome;
    if (outcome == DEQ_DIVERGED || outcome == DEQ_NON_FINITE) pairs = 0;
    for (int i = pairs - 1, t = a->at; i >= 0; i--, t = before(a, t)) slot[i] = t;
    for (int i = 0; i < pairs; i++) {
        deq_memory_put(s->memory, i, sample, deq_at(&s->b, a->F[slot[i]], row, 0),
                       deq_at(&s->b, a->G[slot[i]], row, 0));
        double *table = deq_memory_row(s->memory, sample, i);
        for (int j = 0; j < pairs; j++) table[j] = w->gram[slot[i]][slot[j]];
        if (w->broken[slot[i]]) table[i] = NAN;
    }
    s->memory->rank[sample] = pairs;
}

/* The pairs of one sample into the slots from `first` on. */
static void recall_sample(deq_solver *s, int64_t sample, int first)
{
    anderson *a = s->method;
    window *w = &a->window[sample];
    int rank = s->memory->rank[sample];
    for (int i = 0; i < rank; i++) {
        const double *table = deq_memory_row(s->memory, sample, i);
        deq_memory_get(s->memory, i, sample, deq_at(&s->b, a->F[first + i], sample, 0),
                       deq_at(&s->b, a->G[first + i], sample, 0));
        for (int j = 0; j < rank; j++) w->gram[first + i][first + j] = table[j];
        w->broken[first + i] = isnan(table[i]);
    }
    w->pairs = rank;
    w->broken[(first + rank) % a->depth] = rank > 0;
}

/* Lay the pairs of every sample end to end with the first slot of this solve, which it returns. */
static int recall(deq_solver *s)
{
    const deq_solver_memory *m = s->memory;
    int most = 0;
    for (int64_t i = 0; i < s->b.B; i++) most = m->rank[i] > most ? m->rank[i] : most;
    for (int64_t i = 0; i < s->b.B; i++) recall_sample(s, i, most - m->rank[i]);
    return most % ((const anderson *)s->method)->depth;
}

static void begin(deq_solver *s)
{
    anderson *a = s->method;
    for (int64_t i = 0; i < s->b.B; i++) a->window[i] = (window){ .age = M };
    a->at = s->memory && s->o.anderson.fit == DEQ_FIT_DIFFERENCE ? recall(s) : 0;
    s->z = a->zs[0];
    s->fz = a->F[a->at];
}

/* Making ------------------------------------------------------------------------------------- */

static int depth_that_fits(const deq_solver *s)
{
    size_t pair = 2 * deq_batch_bytes(&s->b), most = s->o.history_bytes / pair;
    int depth = s->o.anderson.depth;
    if (depth > s->o.max_iter) depth = s->o.max_iter;
    if (s->o.history_bytes && (size_t)depth > most) depth = (int)most;
    return depth > 1 ? depth : 1;
}

static deq_status prepare(deq_solver *s)
{
    anderson *a = s->method = deq_alloc(s->ctx, sizeof *a);
    if (!a) return DEQ_ERR_NOMEM;
    a->depth = depth_that_fits(s);
    a->window = deq_alloc_array(s->ctx, (size_t)s->b.B, sizeof *a->window);
    if (!a->window) return DEQ_ERR_NOMEM;
    for (int i = 0; i < 2; i++)
        if (!(a->zs[i] = deq_batch_vector(&s->b))) return DEQ_ERR_NOMEM;
    for (int i = 0; i < a->depth; i++) {
        if (!(a->F[i] = deq_batch_vector(&s->b))) return DEQ_ERR_NOMEM;
        if (!(a->G[i] = deq_batch_vector(&s->b))) return DEQ_ERR_NOMEM;
    }
    return deq_memory_prepare(s, a->depth, 0);
}

static void release(deq_solver *s)
{
    anderson *a = s->method;
    deq_release(s->ctx, a->window, (size_t)s->b.B * sizeof *a->window);
    deq_release(s->ctx, a, sizeof *a);
}

const deq_method_kind deq_kind_anderson = { .method = DEQ_ANDERSON,
                                            .prepare = prepare,
                                            .release = release,
                                            .begin = begin,
                                            .step = step,
                                            .remember = remember };
