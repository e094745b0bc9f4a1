/* SPDX-License-Identifier: MIT */
/*
 * The compatibility mode: what the library TorchDEQ (version 0.1.0) computes, to compare with.
 *
 *     stop       when the largest residual of the batch is below the tolerance; nobody is frozen
 *     lowest     per sample, the smallest residual seen and the state that goes with it
 *     traces     entry 0 is 1e8, measured entries follow, the lowest value fills the rest
 *
 * Picard measures the damped map and, like Anderson, returns the image of the best point; Broyden
 * returns the point.  Anderson's first two evaluations are not measured, Broyden's first neither, and
 * Broyden's iterations are counted without it.
 *
 * This is for comparison, not for work: rows one after another, no fused sweeps.
 */
#include "solver/solver.h"

#include <math.h>
#include <string.h>

static const double sentinel = 1e8, tiny = 1e-9;

enum { MAX_RING = DEQ_MEMORY_MAX };

typedef struct reference {
    int n_ring;
    void *a[MAX_RING], *b[MAX_RING]; /* X and F, or U and V */
    void *x, *y, *p, *g, *dx, *dg, *u, *v, *state;
    double *lowest; /* [2, B]: absolute, relative */
    int entries;    /* of the traces so far, the sentinel included */
} reference;

static void *row_of(const deq_solver *s, void *vector, int64_t row)
{
    return deq_at(&s->b, vector, row, 0);
}

static double dot(const deq_solver *s, const void *x, const void *y)
{
    double sum;
    s->b.k->dots(&sum, &x, NULL, 1, y, s->b.d);
    return sum;
}

/* out = a p + b q, rows; out may be p or q. */
static void sum(const deq_solver *s, void *out, double a, void *p, double b, void *q)
{
    for (int64_t r = 0; r < s->b.B; r++)
        s->b.k->combine(row_of(s, out, r), a, row_of(s, p, r), b, row_of(s, q, r), NULL, NULL, NULL,
                        0, s->b.d);
}

/* Lowest residuals, traces, stopping ----------------------------------------------------------- */

/* Account for g = image - point: `state` replaces a sample's best one where the residual of the stop
 * mode is the lowest.  Returns the largest residual of the batch. */
static double account(deq_solver *s, void *g, void *image, void *state, int step)
{
    reference *m = s->method;
    int64_t B = s->b.B, length = s->o.max_iter + 1;
    int mode = s->o.reference_relative;
    double largest = 0;
    for (int64_t r = 0; r < B; r++) {
        double f = sqrt(dot(s, row_of(s, image, r), row_of(s, image, r)));
        double value[2] = { sqrt(dot(s, row_of(s, g, r), row_of(s, g, r))), 0 };
        value[1] = value[0] / (f + tiny);
        for (int i = 0; i < 2; i++) {
            double *lowest = &m->lowest[i * B + r];
            bool lower = value[i] < *lowest || s->o.reference_final;
            if (lower) *lowest = value[i];
            if (s->trace) s->trace[(i * B + r) * length + m->entries] = value[i];
            s->last[i * B + r] = value[i];
            if (i != mode || !lower) continue;
            s->sample_info[r].best_feval = step;
            memcpy(row_of(s, m->state, r), row_of(s, state, r), (size_t)s->b.d * s->b.k->size);
        }
        if (!(value[mode] <= largest)) largest = value[mode]; /* a NaN stays */
    }
    m->entries++;
    deq_save_states(s, step);
    return largest;
}

static bool enough(const deq_solver *s, double largest)
{
    return !s->o.reference_final && largest < (s->o.reference_relative ? s->o.rtol : s->o.atol);
}

static bool observed_end(deq_solver *s)
{
    return !deq_observe(s, s->b.B);
}

static void fill_traces(deq_solver *s, int length)
{
    const reference *m = s->method;
    int64_t stride = s->o.max_iter + 1;
    s->trace_length = length > 1 ? length : 1;
    for (int64_t i = 0; s->trace && i < 2 * s->b.B; i++)
        for (int e = m->entries; e < length; e++) s->trace[i * stride + e] = m->lowest[i];
}

/* Picard --------------------------------------------------------------------------------------- */

static deq_status picard(deq_solver *s)
{
    reference *m = s->method;
    double tau = s->o.picard.damping;
    for (int k = 0; k < s->o.max_iter; k++) {
        DEQ_TRY(deq_solver_eval(s, m->y, m->x));
        sum(s, m->y, tau, m->y, 1 - tau, m->x);
        sum(s, m->g, 1, m->y, -1, m->x);
        double largest = account(s, m->g, m->y, m->y, k + 1);
        void *swap = m->x;
        m->x = m->y;
        m->y = swap;
        if (observed_end(s) || enough(s, largest)) break;
    }
    fill_traces(s, s->o.max_iter + 1);
    return DEQ_OK;
}

/* Anderson ------------------------------------------------------------------------------------- */

enum { N = DEQ_DEPTH_MAX + 1 };

/* A x = b by elimination with partial pivoting, in place. */
static void solve_dense(double A[N][N], double *b, int n)
{
    for (int k = 0; k < n; k++) {
        int p = k;
        for (int i = k + 1; i < n; i++)
            if (fabs(A[i][k]) > fabs(A[p][k])) p = i;
        for (int j = 0; j < n; j++) {
            double swap = A[k][j];
            A[k][j] = A[p][j];
            A[p][j] = swap;
        }
        double swap = b[k];
        b[k] = b[p];
        b[p] = swap;
        for (int i = k + 1; i < n; i++) {
            double l = A[i][k] / A[k][k];
            for (int j = k; j < n; j++) A[i][j] -= l * A[k][j];
            b[i] -= l * b[k];
        }
    }
    for (int i = n - 1; i >= 0; i--) {
        for (int j = i + 1; j < n; j++) b[i] -= A[i][j] * b[j];
        b[i] /= A[i][i];
    }
}

/* The weights solve  [0 1'; 1 G G' + lambda I] [nu; alpha] = [1; 0]. */
static void mix(deq_solver *s, int64_t r, int n, void *out)
{
    const reference *m = s->method;
    double A[N][N] = { { 0 } }, b[N] = { 1 }, c[2 * N], tau = s->o.anderson.mixing;
    const void *x[2 * N] = { NULL }, *f[N], *p[N];
    for (int i = 0; i < n; i++) {
        f[i] = x[i] = row_of(s, m->b[i], r);
        p[i] = x[n + i] = row_of(s, m->a[i], r);
    }
    for (int i = 0; i < n; i++) {
        void *g = row_of(s, m->g, r);
        s->b.k->combine(g, 1, f[i], -1, p[i], NULL, NULL, NULL, 0, s->b.d);
        s->b.k->dots(&A[i + 1][1], f, p, n, g, s->b.d);
        A[i + 1][i + 1] += s->o.anderson.ridge;
        A[0][i + 1] = A[i + 1][0] = 1;
    }
    solve_dense(A, b, n + 1);
    for (int i = 0; i < n; i++) {
        c[i] = tau * b[i + 1];
        c[n + i] = (1 - tau) * b[i + 1];
    }
    s->b.k->combine(out, 0, NULL, 0, NULL, c, x, NULL, tau < 1 ? 2 * n : n, s->b.d);
}

static deq_status anderson(deq_solver *s)
{
    reference *m = s->method;
    int depth = m->n_ring;
    size_t bytes = deq_batch_bytes(&s->b);
    if (s->o.max_iter > 0) {
        memcpy(m->a[0], m->x, bytes);
        DEQ_TRY(deq_solver_eval(s, m->b[0], m->a[0]));
        memcpy(m->a[1], m->b[0], bytes);
        DEQ_TRY(deq_solver_eval(s, m->b[1], m->a[1]));
    }
    for (int k = 2; k < s->o.max_iter; k++) {
        for (int64_t r = 0; r < s->b.B; r++) mix(s, r, k < depth ? k : depth, row_of(s, m->y, r));
        memcpy(m->a[k % depth], m->y, bytes);
        DEQ_TRY(deq_solver_eval(s, m->b[k % depth], m->a[k % depth]));
        sum(s, m->g, 1, m->b[k % depth], -1, m->a[k % depth]);
        double largest = account(s, m->g, m->b[k % depth], m->b[k % depth], k + 1);
        if (observed_end(s) || enough(s, largest)) break;
    }
    fill_traces(s, s->o.max_iter - 1);
    return DEQ_OK;
}

/* Broyden -------------------------------------------------------------------------------------- */

/* g = f(y) - y; returns |g|^2 over the whole batch, infinite if it is not finite. */
static deq_status root(deq_solver *s, void *g, void *y, double *phi)
{
    DEQ_TRY(deq_solver_eval(s, g, y));
    sum(s, g, 1, g, -1, y);
    *phi = 0;
    for (int64_t r = 0; r < s->b.B; r++) *phi += dot(s, row_of(s, g, r), row_of(s, g, r));
    if (!isfinite(*phi)) *phi = INFINITY;
    return DEQ_OK;
}

/* y = x + step p and g there. */
static deq_status try_step(deq_solver *s, double step, double *phi)
{
    reference *m = s->method;
    sum(s, m->y, 1, m->x, step, m->p);
    return root(s, m->g, m->y, phi);
}

/* The minimum of the cubic through two trials a, b with values fa, fb beyond the tangent at 0. */
static double cubic(double a, double fa, double b, double fb, double slope)
{
    double factor = a * a * b * b * (b - a);
    double c3 = (a * a * fb - b * b * fa) / factor, c2 = (b * b * b * fa - a * a * a * fb) / factor;
    return (-c2 + sqrt(fabs(c2 * c2 - 3 * c3 * slope))) / (3 * c3);
}

/* One step length for the batch: 1, then the minima of a parabola and of cubics, until the decrease
 * suffices; 1 again when none does. */
static deq_status search(deq_solver *s, double phi0)
{
    double slope = -phi0, c1 = s->o.broyden.armijo, a = 1, b, phi_a, phi_b;
    DEQ_TRY(try_step(s, a, &phi_a));
    if (!s->o.broyden.line_search || phi_a <= phi0 + c1 * a * slope) return DEQ_OK;
    b = -slope * a * a / 2 / (phi_a - phi0 - slope * a);
    DEQ_TRY(try_step(s, b, &phi_b)); /* never taken itself */
    while (b > s->o.broyden.min_step) {
        double phi_c, c = cubic(a, phi_a - phi0 - slope * a, b, phi_b - phi0 - slope * b, slope);
        DEQ_TRY(try_step(s, c, &phi_c));
        if (phi_c <= phi0 + c1 * c * slope) return DEQ_OK;
        if (b - c > b / 2 || 1 - c / b < 0.96) c = b / 2;
        a = b;
        phi_a = phi_b;
        b = c;
        phi_b = phi_c;
    }
    return try_step(s, 1, &phi_a);
}

/* out = -x + sum_i (y_i . x) z_i: B x with (V, U), x' B with (U, V). */
static void times(const deq_solver *s, int64_t r, void *out, void *x, void *const *y,
                  void *const *z, int n)
{
    double c[MAX_RING];
    const void *yr[MAX_RING] = { NULL }, *zr[MAX_RING] = { NULL };
    for (int i = 0; i < n; i++) {
        yr[i] = row_of(s, y[i], r);
        zr[i] = row_of(s, z[i], r);
    }
    s->b.k->dots(c, yr, NULL, n, x, s->b.d);
    s->b.k->combine(out, -1, x, 0, NULL, c, zr, NULL, n, s->b.d);
}

static void drop_nan(const deq_solver *s, void *v)
{
    for (int64_t i = 0; i < s->b.d; i++) {
        if (s->dtype == DEQ_F32) {
            if (isnan(((float *)v)[i])) ((float *)v)[i] = 0;
        } else if (isnan(((double *)v)[i])) {
            ((double *)v)[i] = 0;
        }
    }
}

/* The pair of this step into its slot, and the next direction -B g. */
static void update(deq_solver *s, int step)
{
    reference *m = s->method;
    int cap = m->n_ring, before = step - 1 < cap ? step - 1 : cap, after = step < cap ? step : cap;
    for (int64_t r = 0; r < s->b.B; r++) {
        void *dx = row_of(s, m->dx, r), *dg = row_of(s, m->dg, r), *p = row_of(s, m->p, r);
        void *g = row_of(s, m->g, r), *u = row_of(s, m->u, r), *v = row_of(s, m->v, r);
        times(s, r, v, dx, m->a, m->b, before);
        times(s, r, u, dg, m->b, m->a, before);
        double scale = 1 / dot(s, v, dg);
        s->b.k->combine(u, scale, dx, -scale, u, NULL, NULL, NULL, 0, s->b.d);
        drop_nan(s, u);
        drop_nan(s, v);
        memcpy(row_of(s, m->a[(step - 1) % cap], r), u, (size_t)s->b.d * s->b.k->size);
        memcpy(row_of(s, m->b[(step - 1) % cap], r), v, (size_t)s->b.d * s->b.k->size);
        times(s, r, p, g, m->b, m->a, after);
        s->b.k->combine(p, -1, p, 0, NULL, NULL, NULL, NULL, 0, s->b.d);
    }
}

/* Hardly any movement in the last 30 entries, near the tolerance? */
static bool stalls(const deq_solver *s, int step, double largest)
{
    const reference *m = s->method;
    int mode = s->o.reference_relative;
    double tol = mode ? s->o.rtol : s->o.atol;
    if (step <= 30 || !(largest < 3 * tol) || !s->trace) return false;
    for (int64_t r = 0; r < s->b.B; r++) {
        const double *t = s->trace + (mode * s->b.B + r) * (s->o.max_iter + 1) + m->entries - 30;
        double low = t[0], high = t[0];
        for (int i = 1; i < 30; i++) {
            low = fmin(low, t[i]);
            high = fmax(high, t[i]);
        }
        if (!(high / low < 1.3)) return false;
    }
    return true;
}

static deq_status broyden(deq_solver *s)
{
    reference *m = s->method;
    size_t bytes = deq_batch_bytes(&s->b);
    double phi;
    DEQ_TRY(root(s, m->g, m->x, &phi));
    memcpy(m->p, m->g, bytes);
    for (int step = 1; step <= s->o.max_iter; step++) {
        memcpy(m->dg, m->g, bytes);
        DEQ_TRY(search(s, phi));
        sum(s, m->dx, 1, m->y, -1, m->x);
        sum(s, m->dg, 1, m->g, -1, m->dg);
        memcpy(m->x, m->y, bytes);
        sum(s, m->y, 1, m->g, 1, m->x);
        double largest = account(s, m->g, m->y, m->x, step);
        if (observed_end(s) || enough(s, largest) || stalls(s, step, largest)) break;
        update(s, step);
        phi = 0;
        for (int64_t r = 0; r < s->b.B; r++) phi += dot(s, row_of(s, m->g, r), row_of(s, m->g, r));
    }
    fill_traces(s, s->o.max_iter + 1);
    return DEQ_OK;
}

/* Both ends ------------------------------------------------------------------------------------ */

static void begin(deq_solver *s)
{
    reference *m = s->method;
    int64_t length = s->o.max_iter + 1;
    memcpy(m->x, s->result, deq_batch_bytes(&s->b));
    memcpy(m->state, s->result, deq_batch_bytes(&s->b));
    m->entries = 1;
    for (int64_t i = 0; i < 2 * s->b.B; i++) {
        m->lowest[i] = s->last[i] = sentinel;
        if (s->trace) s->trace[i * length] = sentinel;
    }
    for (int64_t i = 0; i < s->b.B; i++) s->sample[i].best = m->state;
}

/* Outcomes are told by the tolerance; the reference has none. */
static void end(deq_solver *s)
{
    const reference *m = s->method;
    for (int64_t r = 0; r < s->b.B; r++) {
        deq_sample_info *in = &s->sample_info[r];
        in->residual = m->lowest[r];
        in->relative = m->lowest[s->b.B + r];
        in->n_feval = s->info.n_feval;
        in->n_iter = m->entries - 1;
        double value = s->o.reference_relative ? in->relative : in->residual;
        in->outcome = value < (s->o.reference_relative ? s->o.rtol : s->o.atol) ? DEQ_CONVERGED
                                                                                : DEQ_MAX_ITER;
        if (!isfinite(s->last[r])) in->outcome = DEQ_NON_FINITE;
    }
}

static deq_status step(deq_solver *s)
{
    deq_status status;
    if (s->o.method == DEQ_PICARD)
        status = picard(s);
    else if (s->o.method == DEQ_BROYDEN)
        status = broyden(s);
    else
        status = anderson(s);
    end(s);
    return status;
}

static deq_status prepare(deq_solver *s)
{
    reference *m = s->method = deq_alloc(s->ctx, sizeof *m);
    if (!m) return DEQ_ERR_NOMEM;
    void **vector[] = { &m->x, &m->y, &m->p, &m->g, &m->dx, &m->dg, &m->u, &m->v, &m->state };
    for (int i = 0; i < 9; i++)
        if (!(*vector[i] = deq_batch_vector(&s->b))) return DEQ_ERR_NOMEM;
    if (s->o.method == DEQ_BROYDEN) m->n_ring = s->o.broyden.memory;
    if (s->o.method == DEQ_ANDERSON) m->n_ring = s->o.anderson.depth > 2 ? s->o.anderson.depth : 2;
    for (int i = 0; i < m->n_ring; i++) {
        if (!(m->a[i] = deq_batch_vector(&s->b))) return DEQ_ERR_NOMEM;
        if (!(m->b[i] = deq_batch_vector(&s->b))) return DEQ_ERR_NOMEM;
    }
    m->lowest = deq_alloc_array(s->ctx, 2 * (size_t)s->b.B, sizeof *m->lowest);
    return m->lowest ? DEQ_OK : DEQ_ERR_NOMEM;
}

static void release(deq_solver *s)
{
    reference *m = s->method;
    deq_release(s->ctx, m->lowest, 2 * (size_t)s->b.B * sizeof *m->lowest);
    deq_release(s->ctx, m, sizeof *m);
}

const deq_method_kind deq_kind_reference = {
    .method = DEQ_AUTO, .prepare = prepare, .release = release, .begin = begin, .step = step
};
