/* SPDX-License-Identifier: MIT */
/*
 * Derivatives against central differences; the statements (1) to (3) stand in the public header.
 * What is differentiated is seen as y = F(x), x in R^n, y in R^m; see probe.h.
 */
#include <deq/gradient_check.h>

#include "graph/probe.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define CUBE_ROOT_OF_EPSILON 6.055454452393343e-06

typedef struct check {
    deq_probe s;
    deq_gradient_check_options o;
    int64_t n, m;             /* those of the probe */
    double *moved;            /* [n] a point near x */
    double *y, *plus, *minus; /* [m] F at x, F(x + h d), F(x - h d) */
    double *ws, *vs;          /* [directions, m], [directions, n] */
    double *vjps, *jvps;      /* [directions, n], [directions, m] */
    uint64_t random;
    deq_gradient_report *report;
} check;

deq_gradient_check_options deq_gradient_check_defaults(void)
{
    return (deq_gradient_check_options){ .struct_size = sizeof(deq_gradient_check_options),
                                         .step = CUBE_ROOT_OF_EPSILON,
                                         .tol = 1e-6,
                                         .adjoint_tol = 1e-10,
                                         .max_coordinates = 64,
                                         .directions = 2 };
}

static deq_status read_options(check *c, deq_context *ctx, const deq_gradient_check_options *given)
{
    deq_gradient_check_options d = deq_gradient_check_defaults();
    c->o = given ? *given : d;
    deq_gradient_check_options *o = &c->o;
    if (o->struct_size != sizeof *o)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                        "gradient check: options.struct_size is %zu, expected %zu", o->struct_size,
                        sizeof *o);
    if (o->step == 0) o->step = d.step;
    if (o->tol == 0) o->tol = d.tol;
    if (o->adjoint_tol == 0) o->adjoint_tol = d.adjoint_tol;
    if (o->max_coordinates == 0) o->max_coordinates = d.max_coordinates;
    if (o->directions == 0) o->directions = d.directions;
    if (!(o->step > 0) || !(o->tol > 0) || !(o->adjoint_tol > 0) || o->max_coordinates < 0)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                        "gradient check: step %g, tol %g, adjoint_tol %g, max_coordinates %lld, "
                        "expected positive numbers",
                        o->step, o->tol, o->adjoint_tol, (long long)o->max_coordinates);
    if (o->directions < 0 || o->directions > 64)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "gradient check: %d directions, expected 1 to 64",
                        o->directions);
    return DEQ_OK;
}

/* splitmix64 (Steele, Lea & Flood 2014), mapped to [-1, 1). */
static double uniform(check *c)
{
    uint64_t z = c->random += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return (double)(z >> 11) * 0x1p-52 - 1.0;
}

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static double dot_abs(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += fabs(a[i] * b[i]);
    return sum;
}

static double rms(const double *a, int64_t n)
{
    return sqrt(dot(a, a, n) / (double)n);
}

/* Where a comparison was made, in the words of a report. */
static deq_gradient_report vjp_place(int input, int64_t coordinate, int direction)
{
    return (deq_gradient_report){ .mode = DEQ_GRADIENT_MODE_VJP,
                                  .input = input,
                                  .coordinate = coordinate,
                                  .output = -1,
                                  .output_coordinate = -1,
                                  .direction = direction };
}

static deq_gradient_report jvp_place(int output, int64_t coordinate, int direction)
{
    return (deq_gradient_report){ .mode = DEQ_GRADIENT_MODE_JVP,
                                  .input = -1,
                                  .coordinate = -1,
                                  .output = output,
                                  .output_coordinate = coordinate,
                                  .direction = direction };
}

/* Keep the comparison if it is the worst so far.  `scale` is the size below which derivatives are
 * not told apart from rounding; `place` holds where and which. */
static void compare(check *c, double analytic, double numeric, double scale,
                    deq_gradient_report place)
{
    double error = fabs(analytic - numeric);
    double size = fmax(scale, fmax(fabs(analytic), fabs(numeric)));
    double relative = error == 0 ? 0 : error / size;
    if (!isfinite(relative) || !isfinite(size)) relative = INFINITY;
    deq_gradient_report *r = c->report;
    r->n_comparisons++;
    if (relative <= r->relative_error && r->n_comparisons > 1) return;
    r->relative_error = relative;
    r->absolute_error = error;
    r->analytic = analytic;
    r->numeric = numeric;
    r->mode = place.mode;
    r->input = place.input;
    r->coordinate = place.coordinate;
    r->output = place.output;
    r->output_coordinate = place.output_coordinate;
    r->direction = place.direction;
}

/* Fill plus and minus with F at x + h d and x - h d, where d is `direction` in elements first to
 * first + count - 1 and zero elsewhere. */
static deq_status difference(check *c, const double *direction, int64_t first, int64_t count,
                             double h)
{
    memcpy(c->moved, c->s.x, (size_t)c->n * sizeof(double));
    for (int64_t i = 0; i < count; i++) c->moved[first + i] = c->s.x[first + i] + h * direction[i];
    DEQ_TRY(deq_probe_evaluate(&c->s, c->moved, c->plus));
    for (int64_t i = 0; i < count; i++) c->moved[first + i] = c->s.x[first + i] - h * direction[i];
    return deq_probe_evaluate(&c->s, c->moved, c->minus);
}

/* w . (F(x + h d) - F(x - h d)) / 2h */
static double slope(const check *c, const double *w, double h)
{
    double sum = 0;
    for (int64_t k = 0; k < c->m; k++) sum += w[k] * (c->plus[k] - c->minus[k]);
    return sum / (2 * h);
}

static double largest(const double *x, int64_t n)
{
    double most = 1;
    for (int64_t i = 0; i < n; i++) most = fmax(most, fabs(x[i]));
    return most;
}

/* A step that is a power of two loses nothing in h * d and 2h. */
static double step_for(const check *c, double size)
{
    return exp2(round(log2(c->o.step * size)));
}

/* Statement (1) at element j of a part. */
static deq_status check_coordinate(check *c, const deq_probe_part *p, int64_t j)
{
    const double one = 1;
    double h = step_for(c, fmax(1, fabs(c->s.x[p->offset + j])));
    DEQ_TRY(difference(c, &one, p->offset + j, 1, h));
    for (int d = 0; d < c->o.directions; d++) {
        const double *w = c->ws + d * c->m, *grad = c->vjps + d * c->n + p->offset;
        double scale = fmax(rms(grad, p->count), 1e-3 * dot_abs(w, c->y, c->m));
        compare(c, grad[j], slope(c, w, h), scale, vjp_place(p->point, j, d));
    }
    return DEQ_OK;
}

/* Statement (1) summed over a random direction within a part. */
static deq_status check_along(check *c, const deq_probe_part *p, int d)
{
    const double *w = c->ws + d * c->m, *grad = c->vjps + d * c->n + p->offset;
    const double *v = c->vs + d * c->n + p->offset;
    double h = step_for(c, largest(c->s.x + p->offset, p->count));
    DEQ_TRY(difference(c, v, p->offset, p->count, h));
    double scale = fmax(rms(grad, p->count), 1e-3 * dot_abs(w, c->y, c->m));
    compare(c, dot(grad, v, p->count), slope(c, w, h), scale, vjp_place(p->point, -1, d));
    return DEQ_OK;
}

static deq_status check_vjp(check *c)
{
    for (int i = 0; i < c->s.n_parts; i++) {
        const deq_probe_part *p = &c->s.parts[i];
        if (p->count <= c->o.max_coordinates)
            for (int64_t j = 0; j < p->count; j++) DEQ_TRY(check_coordinate(c, p, j));
        else
            for (int d = 0; d < c->o.directions; d++) DEQ_TRY(check_along(c, p, d));
    }
    return DEQ_OK;
}

/* Statement (2), all inputs moving together. */
static deq_status check_jvp(check *c)
{
    double h = step_for(c, largest(c->s.x, c->n));
    for (int d = 0; d < c->o.directions; d++) {
        const double *jvp = c->jvps + d * c->m;
        DEQ_TRY(difference(c, c->vs + d * c->n, 0, c->n, h));
        double scale = fmax(rms(jvp, c->m), 1e-3 * rms(c->y, c->m));
        int64_t k = 0;
        for (int o = 0; o < c->s.n_outputs; o++) {
            int64_t count = deq_shape_count(&deq_type_of(c->s.g, c->s.outputs[o])->shape);
            for (int64_t j = 0; j < count; j++, k++)
                compare(c, jvp[k], (c->plus[k] - c->minus[k]) / (2 * h),
                        fmax(scale, 1e-3 * fabs(c->y[k])), jvp_place(o, j, d));
        }
    }
    return DEQ_OK;
}

/* Statement (3). */
static void check_adjoint(check *c)
{
    for (int d = 0; d < c->o.directions; d++) {
        const double *w = c->ws + d * c->m, *v = c->vs + d * c->n;
        const double *jvp = c->jvps + d * c->m, *vjp = c->vjps + d * c->n;
        double error = fabs(dot(w, jvp, c->m) - dot(vjp, v, c->n));
        double size = fmax(dot_abs(w, jvp, c->m), dot_abs(vjp, v, c->n));
        double gap = error == 0 ? 0 : error / size;
        if (!isfinite(gap)) gap = INFINITY;
        c->report->adjoint_gap = fmax(c->report->adjoint_gap, gap);
    }
}

static void describe(check *c)
{
    deq_gradient_report *r = c->report;
    char place[96];
    if (r->mode == DEQ_GRADIENT_MODE_JVP)
        snprintf(place, sizeof place, "jvp of output %d at element %lld", r->output,
                 (long long)r->output_coordinate);
    else if (r->coordinate >= 0)
        snprintf(place, sizeof place, "vjp to input %d at element %lld", r->input,
                 (long long)r->coordinate);
    else
        snprintf(place, sizeof place, "vjp to input %d along a direction", r->input);
    snprintf(r->message, sizeof r->message,
             "%s: worst is %s (pair %d): analytic %.10g, numeric %.10g, relative error %.3g; "
             "adjoint gap %.3g",
             r->passed ? "passed" : "failed", place, r->direction, r->analytic, r->numeric,
             r->relative_error, r->adjoint_gap);
}

static deq_status make_vectors(check *c)
{
    int64_t d = c->o.directions;
    c->n = c->s.n;
    c->m = c->s.m;
    bool ok = (c->moved = deq_probe_vector(&c->s, 1, c->n)) != NULL &&
              (c->y = deq_probe_vector(&c->s, 1, c->m)) != NULL &&
              (c->plus = deq_probe_vector(&c->s, 1, c->m)) != NULL &&
              (c->minus = deq_probe_vector(&c->s, 1, c->m)) != NULL &&
              (c->ws = deq_probe_vector(&c->s, d, c->m)) != NULL &&
              (c->vs = deq_probe_vector(&c->s, d, c->n)) != NULL &&
              (c->vjps = deq_probe_vector(&c->s, d, c->n)) != NULL &&
              (c->jvps = deq_probe_vector(&c->s, d, c->m)) != NULL;
    return ok ? DEQ_OK : DEQ_ERR_NOMEM;
}

/* J^T w and J v for every random pair (w, v). */
static deq_status differentiate(check *c)
{
    for (int64_t i = 0; i < c->o.directions * c->m; i++) c->ws[i] = uniform(c);
    for (int64_t i = 0; i < c->o.directions * c->n; i++) c->vs[i] = uniform(c);
    for (int d = 0; d < c->o.directions; d++)
        DEQ_TRY(deq_probe_differentiate(&c->s, c->ws + d * c->m, c->vs + d * c->n,
                                        c->vjps + d * c->n, c->jvps + d * c->m));
    return DEQ_OK;
}

static deq_status perform(check *c)
{
    deq_gradient_report *r = c->report;
    DEQ_TRY(make_vectors(c));
    DEQ_TRY(differentiate(c));
    DEQ_TRY(deq_probe_evaluate(&c->s, c->s.x, c->y));
    DEQ_TRY(check_vjp(c));
    DEQ_TRY(check_jvp(c));
    check_adjoint(c);
    r->n_evaluations = c->s.n_evaluations;
    r->passed = r->relative_error <= c->o.tol && r->adjoint_gap <= c->o.adjoint_tol;
    describe(c);
    return DEQ_OK;
}

deq_status deq_gradient_check(deq_gradient_report *report, deq_graph *g, const deq_value *outputs,
                              int n_outputs, const deq_gradient_point *points, int n_points,
                              const deq_gradient_check_options *options)
{
    *report = vjp_place(-1, -1, 0);
    check c = { .report = report };
    DEQ_TRY(read_options(&c, g->ctx, options));
    c.random = c.o.seed;
    deq_status status = deq_probe_open(&c.s, g, outputs, n_outputs, points, n_points, c.o.compile);
    if (status == DEQ_OK) status = perform(&c);
    deq_probe_close(&c.s);
    return status;
}
