/* SPDX-License-Identifier: MIT */
/*
 * Derivatives against central differences; the statements (1) to (3) stand in the public header.
 *
 * All checked leaves are seen as one vector x of length n, all outputs as one vector y of length m.
 * Two programs are compiled: y = F(x), and (w, v) -> (J^T w, J v) at the same x.
 */
#include <deq/gradient_check.h>

#include "base/arena.h"
#include "graph/graph.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define CUBE_ROOT_OF_EPSILON 6.055454452393343e-06

/* One checked leaf: its part of x. */
typedef struct part {
    int point;       /* index into points */
    int64_t offset;  /* first element in x */
    int64_t count;   /* elements */
    double *store;   /* parameters: where the store keeps them */
    deq_value value; /* the leaf itself */
} part;

typedef struct check {
    deq_graph *g;
    deq_arena arena; /* everything below */
    deq_gradient_check_options o;
    const deq_value *outputs;
    const deq_gradient_point *points;
    int n_outputs, n_points, n_parts;
    part *parts;
    deq_value *leaves; /* of the parts */
    deq_value *w, *v;  /* inputs of the derivative program: cotangents, tangents */
    deq_value *grads, *tangents;
    deq_program *forward, *derivative;
    int64_t n, m;
    double *x, *moved;        /* [n] the point, and a point nearby */
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

static deq_status read_options(check *c, const deq_gradient_check_options *given)
{
    deq_gradient_check_options d = deq_gradient_check_defaults();
    c->o = given ? *given : d;
    deq_gradient_check_options *o = &c->o;
    if (o->struct_size != sizeof *o)
        return deq_fail(c->g->ctx, DEQ_ERR_ARGUMENT,
                        "gradient check: options.struct_size is %zu, expected %zu", o->struct_size,
                        sizeof *o);
    if (o->step == 0) o->step = d.step;
    if (o->tol == 0) o->tol = d.tol;
    if (o->adjoint_tol == 0) o->adjoint_tol = d.adjoint_tol;
    if (o->max_coordinates == 0) o->max_coordinates = d.max_coordinates;
    if (o->directions == 0) o->directions = d.directions;
    if (!(o->step > 0) || !(o->tol > 0) || !(o->adjoint_tol > 0) || o->max_coordinates < 0)
        return deq_fail(c->g->ctx, DEQ_ERR_ARGUMENT,
                        "gradient check: step %g, tol %g, adjoint_tol %g, max_coordinates %lld, "
                        "expected positive numbers",
                        o->step, o->tol, o->adjoint_tol, (long long)o->max_coordinates);
    if (o->directions < 0 || o->directions > 64)
        return deq_fail(c->g->ctx, DEQ_ERR_ARGUMENT,
                        "gradient check: %d directions, expected 1 to 64", o->directions);
    return DEQ_OK;
}

static const deq_gradient_point *find_point(const check *c, deq_value v)
{
    for (int i = 0; i < c->n_points; i++)
        if (c->points[i].value.id == v.id) return &c->points[i];
    return NULL;
}

static bool is_leaf(const check *c, deq_value v)
{
    const deq_op *op = deq_node_of(c->g, v)->op;
    return op == &deq_op_input || op == &deq_op_parameter;
}

static deq_status check_points(const check *c)
{
    deq_context *ctx = c->g->ctx;
    for (int i = 0; i < c->n_points; i++) {
        const deq_gradient_point *p = &c->points[i];
        if (!deq_is_valid(c->g, p->value) || !is_leaf(c, p->value))
            return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                            "gradient check: points[%d] is neither an input nor a parameter of "
                            "this graph",
                            i);
        if (find_point(c, p->value) != p)
            return deq_fail(ctx, DEQ_ERR_ARGUMENT, "gradient check: points[%d] appears twice", i);
        if (!p->data && deq_node_of(c->g, p->value)->op == &deq_op_input)
            return deq_fail(ctx, DEQ_ERR_ARGUMENT, "gradient check: points[%d] has no data", i);
    }
    for (int i = 0; i < c->n_outputs; i++) {
        char text[256];
        if (!deq_is_valid(c->g, c->outputs[i]))
            return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                            "gradient check: outputs[%d] is not a value of this graph", i);
        const deq_type *t = deq_type_of(c->g, c->outputs[i]);
        if (t->dtype != DEQ_F64)
            return deq_fail(ctx, DEQ_ERR_DTYPE,
                            "gradient check: outputs[%d] is %s, differences need f64", i,
                            deq_type_format(text, sizeof text, t));
    }
    return DEQ_OK;
}

/* One value that the outputs depend on: no f32, and if it is an input it has data. */
static deq_status check_needed(const check *c, deq_value v)
{
    const deq_type *t = deq_type_of(c->g, v);
    char text[256];
    if (t->dtype == DEQ_F32)
        return deq_fail(c->g->ctx, DEQ_ERR_DTYPE,
                        "gradient check: %s gives %s, differences need f64 throughout",
                        deq_node_of(c->g, v)->op->name, deq_type_format(text, sizeof text, t));
    if (deq_node_of(c->g, v)->op == &deq_op_input && !find_point(c, v)) {
        const char *name = c->g->values[v.id].name;
        return deq_fail(c->g->ctx, DEQ_ERR_ARGUMENT,
                        "gradient check: the outputs depend on input '%s', which is not among the "
                        "points",
                        name ? name : "");
    }
    return DEQ_OK;
}

static deq_status check_graph(check *c)
{
    const deq_graph *g = c->g;
    bool *needed = deq_arena_alloc(&c->arena, g->n_values * sizeof *needed);
    if (!needed) return DEQ_ERR_NOMEM;
    for (int i = 0; i < c->n_outputs; i++) needed[c->outputs[i].id] = true;
    for (size_t k = g->n_nodes; k-- > 0;) {
        const deq_node *node = &g->nodes[k];
        bool any = false;
        for (int o = 0; o < node->n_out; o++) {
            deq_value v = deq_node_out(node, o);
            any |= needed[v.id];
            if (needed[v.id]) DEQ_TRY(check_needed(c, v));
        }
        for (int i = 0; any && i < node->n_in; i++)
            if (deq_is(node->in[i])) needed[node->in[i].id] = true;
    }
    return DEQ_OK;
}

/* The parameter's values in its store. */
static double *store_of(const check *c, deq_value v)
{
    const deq_parameter_attr *a = deq_node_of(c->g, v)->attr;
    return deq_parameters_values(a->parameters, (int)a->index);
}

/* Lay the checked leaves and the outputs out as x and y. */
static deq_status make_parts(check *c)
{
    c->parts = deq_arena_alloc(&c->arena, (size_t)c->n_points * sizeof *c->parts);
    c->leaves = deq_arena_alloc(&c->arena, (size_t)c->n_points * sizeof *c->leaves);
    if (!c->parts || !c->leaves) return DEQ_ERR_NOMEM;
    for (int i = 0; i < c->n_points; i++) {
        deq_value v = c->points[i].value;
        const deq_type *t = deq_type_of(c->g, v);
        bool parameter = deq_node_of(c->g, v)->op == &deq_op_parameter;
        if (parameter && !store_of(c, v))
            return deq_fail(c->g->ctx, DEQ_ERR_STATE,
                            "gradient check: the store of points[%d] is not allocated", i);
        if (c->points[i].fixed || t->dtype == DEQ_I32 || t->dtype == DEQ_I64 ||
            t->dtype == DEQ_BOOL)
            continue;
        if (t->dtype != DEQ_F64)
            return deq_fail(c->g->ctx, DEQ_ERR_DTYPE,
                            "gradient check: points[%d] is %s, differences need f64", i,
                            deq_dtype_name(t->dtype));
        int64_t count = deq_shape_count(&t->shape);
        c->leaves[c->n_parts] = v;
        c->parts[c->n_parts++] = (part){ .point = i,
                                         .offset = c->n,
                                         .count = count,
                                         .store = parameter ? store_of(c, v) : NULL,
                                         .value = v };
        c->n += count;
    }
    if (!c->n_parts)
        return deq_fail(c->g->ctx, DEQ_ERR_ARGUMENT,
                        "gradient check: none of the %d points is to be differentiated",
                        c->n_points);
    for (int i = 0; i < c->n_outputs; i++)
        c->m += deq_shape_count(&deq_type_of(c->g, c->outputs[i])->shape);
    return DEQ_OK;
}

static bool take(check *c, double **vector, int64_t rows, int64_t length)
{
    size_t count = 0, bytes = 0;
    if (!deq_size_mul(&count, (size_t)rows, (size_t)length) ||
        !deq_size_mul(&bytes, count, sizeof **vector))
        return false;
    *vector = deq_arena_alloc(&c->arena, bytes);
    return *vector != NULL;
}

static deq_status make_vectors(check *c)
{
    int64_t d = c->o.directions;
    bool ok = take(c, &c->x, 1, c->n) && take(c, &c->moved, 1, c->n) && take(c, &c->y, 1, c->m) &&
              take(c, &c->plus, 1, c->m) && take(c, &c->minus, 1, c->m) &&
              take(c, &c->ws, d, c->m) && take(c, &c->vs, d, c->n) && take(c, &c->vjps, d, c->n) &&
              take(c, &c->jvps, d, c->m);
    if (!ok) return DEQ_ERR_NOMEM;
    for (int i = 0; i < c->n_parts; i++) {
        const part *p = &c->parts[i];
        const void *data = c->points[p->point].data;
        memcpy(c->x + p->offset, data ? data : p->store, (size_t)p->count * sizeof(double));
    }
    return DEQ_OK;
}

/* An input shaped like `like` under a name that is not taken yet. */
static deq_value direction_input(check *c, const char *kind, int i, deq_value like)
{
    char name[96];
    snprintf(name, sizeof name, "gradient_check/%zu/%s/%d", c->g->n_values, kind, i);
    return deq_input(c->g, name, DEQ_STAGE_STATE, DEQ_F64, deq_type_of(c->g, like)->shape);
}

/* Add the derivatives to the graph and compile both programs. */
static deq_status compile(check *c)
{
    int n = c->n_parts, m = c->n_outputs;
    deq_value *all = deq_arena_alloc(&c->arena, (size_t)(2 * (n + m)) * sizeof *all);
    if (!all) return DEQ_ERR_NOMEM;
    c->grads = all;
    c->tangents = all + n;
    c->v = c->tangents + m;
    c->w = c->v + n;
    DEQ_TRY(deq_compile(&c->forward, c->g, c->outputs, m, c->o.compile));
    for (int i = 0; i < m && deq_graph_status(c->g) == DEQ_OK; i++)
        c->w[i] = direction_input(c, "cotangent", i, c->outputs[i]);
    for (int i = 0; i < n && deq_graph_status(c->g) == DEQ_OK; i++)
        c->v[i] = direction_input(c, "tangent", i, c->leaves[i]);
    DEQ_TRY(deq_graph_status(c->g));
    DEQ_TRY(deq_vjp(c->g, c->grads, c->outputs, c->w, m, c->leaves, n));
    DEQ_TRY(deq_jvp(c->g, c->tangents, c->outputs, m, c->leaves, c->v, n));
    return deq_compile(&c->derivative, c->g, all, n + m, c->o.compile);
}

/* Programs keep their own message; the caller looks in the context. */
static deq_status from_program(const check *c, const deq_program *p, deq_status status)
{
    if (status == DEQ_OK) return DEQ_OK;
    return deq_fail(c->g->ctx, status, "gradient check: %s", deq_program_error(p));
}

static deq_status write_value(const check *c, deq_program *p, deq_value v, const void *data)
{
    size_t bytes = deq_type_bytes(deq_type_of(c->g, v));
    return from_program(c, p, deq_program_write(p, v, data, bytes));
}

/* Leaves that never move. */
static deq_status write_fixed(const check *c, deq_program *p)
{
    for (int i = 0; i < c->n_points; i++) {
        const deq_gradient_point *q = &c->points[i];
        bool moves = false;
        for (int k = 0; k < c->n_parts; k++) moves |= c->parts[k].point == i;
        if (moves || !q->data) continue;
        if (deq_node_of(c->g, q->value)->op == &deq_op_parameter)
            return deq_fail(c->g->ctx, DEQ_ERR_ARGUMENT,
                            "gradient check: points[%d] is a fixed parameter with data", i);
        DEQ_TRY(write_value(c, p, q->value, q->data));
    }
    return DEQ_OK;
}

static deq_status write_point(const check *c, deq_program *p, const double *x)
{
    for (int i = 0; i < c->n_parts; i++) {
        const part *q = &c->parts[i];
        if (q->store)
            memcpy(q->store, x + q->offset, (size_t)q->count * sizeof(double));
        else
            DEQ_TRY(write_value(c, p, q->value, x + q->offset));
    }
    return DEQ_OK;
}

static deq_status run(const check *c, deq_program *p)
{
    return from_program(c, p, deq_program_run(p, DEQ_STAGE_PARAMETER));
}

static deq_status read_values(const check *c, deq_program *p, const deq_value *values, int n,
                              double *out)
{
    for (int i = 0; i < n; i++) {
        const deq_type *t = deq_type_of(c->g, values[i]);
        DEQ_TRY(from_program(c, p, deq_program_read(p, values[i], out, deq_type_bytes(t))));
        out += deq_shape_count(&t->shape);
    }
    return DEQ_OK;
}

/* y = F(x) */
static deq_status evaluate(check *c, const double *x, double *y)
{
    DEQ_TRY(write_point(c, c->forward, x));
    DEQ_TRY(run(c, c->forward));
    c->report->n_evaluations++;
    return read_values(c, c->forward, c->outputs, c->n_outputs, y);
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

/* J^T w and J v for every random pair (w, v). */
static deq_status differentiate(check *c)
{
    for (int64_t i = 0; i < c->o.directions * c->m; i++) c->ws[i] = uniform(c);
    for (int64_t i = 0; i < c->o.directions * c->n; i++) c->vs[i] = uniform(c);
    DEQ_TRY(write_fixed(c, c->derivative));
    DEQ_TRY(write_point(c, c->derivative, c->x));
    for (int d = 0; d < c->o.directions; d++) {
        const double *w = c->ws + d * c->m, *v = c->vs + d * c->n;
        for (int i = 0; i < c->n_outputs; i++) {
            DEQ_TRY(write_value(c, c->derivative, c->w[i], w));
            w += deq_shape_count(&deq_type_of(c->g, c->outputs[i])->shape);
        }
        for (int i = 0; i < c->n_parts; i++)
            DEQ_TRY(write_value(c, c->derivative, c->v[i], v + c->parts[i].offset));
        DEQ_TRY(run(c, c->derivative));
        DEQ_TRY(read_values(c, c->derivative, c->grads, c->n_parts, c->vjps + d * c->n));
        DEQ_TRY(read_values(c, c->derivative, c->tangents, c->n_outputs, c->jvps + d * c->m));
    }
    return DEQ_OK;
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

/* Keep the comparison if it is the worst so far.  `scale` is the size below which derivatives are
 * not told apart from rounding; `place` holds where and which. */
static void compare(check *c, double analytic, double numeric, double scale,
                    const deq_gradient_report *place)
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
    r->mode = place->mode;
    r->input = place->input;
    r->coordinate = place->coordinate;
    r->output = place->output;
    r->output_coordinate = place->output_coordinate;
    r->direction = place->direction;
}

/* Fill plus and minus with F at x + h d and x - h d, where d is `direction` in elements first to
 * first + count - 1 and zero elsewhere. */
static deq_status difference(check *c, const double *direction, int64_t first, int64_t count,
                             double h)
{
    memcpy(c->moved, c->x, (size_t)c->n * sizeof(double));
    for (int64_t i = 0; i < count; i++) c->moved[first + i] = c->x[first + i] + h * direction[i];
    DEQ_TRY(evaluate(c, c->moved, c->plus));
    for (int64_t i = 0; i < count; i++) c->moved[first + i] = c->x[first + i] - h * direction[i];
    return evaluate(c, c->moved, c->minus);
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
static deq_status check_coordinate(check *c, const part *p, int64_t j)
{
    const double one = 1;
    double h = step_for(c, fmax(1, fabs(c->x[p->offset + j])));
    DEQ_TRY(difference(c, &one, p->offset + j, 1, h));
    for (int d = 0; d < c->o.directions; d++) {
        const double *w = c->ws + d * c->m, *grad = c->vjps + d * c->n + p->offset;
        double scale = fmax(rms(grad, p->count), 1e-3 * dot_abs(w, c->y, c->m));
        compare(c, grad[j], slope(c, w, h), scale,
                &(deq_gradient_report){ .mode = DEQ_GRADIENT_MODE_VJP,
                                        .input = p->point,
                                        .coordinate = j,
                                        .output = -1,
                                        .output_coordinate = -1,
                                        .direction = d });
    }
    return DEQ_OK;
}

/* Statement (1) summed over a random direction within a part. */
static deq_status check_along(check *c, const part *p, int d)
{
    const double *w = c->ws + d * c->m, *grad = c->vjps + d * c->n + p->offset;
    const double *v = c->vs + d * c->n + p->offset;
    double h = step_for(c, largest(c->x + p->offset, p->count));
    DEQ_TRY(difference(c, v, p->offset, p->count, h));
    double scale = fmax(rms(grad, p->count), 1e-3 * dot_abs(w, c->y, c->m));
    compare(c, dot(grad, v, p->count), slope(c, w, h), scale,
            &(deq_gradient_report){ .mode = DEQ_GRADIENT_MODE_VJP,
                                    .input = p->point,
                                    .coordinate = -1,
                                    .output = -1,
                                    .output_coordinate = -1,
                                    .direction = d });
    return DEQ_OK;
}

static deq_status check_vjp(check *c)
{
    for (int i = 0; i < c->n_parts; i++) {
        const part *p = &c->parts[i];
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
    double h = step_for(c, largest(c->x, c->n));
    for (int d = 0; d < c->o.directions; d++) {
        const double *jvp = c->jvps + d * c->m;
        DEQ_TRY(difference(c, c->vs + d * c->n, 0, c->n, h));
        double scale = fmax(rms(jvp, c->m), 1e-3 * rms(c->y, c->m));
        int64_t k = 0;
        for (int o = 0; o < c->n_outputs; o++) {
            int64_t count = deq_shape_count(&deq_type_of(c->g, c->outputs[o])->shape);
            for (int64_t j = 0; j < count; j++, k++)
                compare(c, jvp[k], (c->plus[k] - c->minus[k]) / (2 * h),
                        fmax(scale, 1e-3 * fabs(c->y[k])),
                        &(deq_gradient_report){ .mode = DEQ_GRADIENT_MODE_JVP,
                                                .input = -1,
                                                .coordinate = -1,
                                                .output = o,
                                                .output_coordinate = j,
                                                .direction = d });
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

static deq_status perform(check *c)
{
    DEQ_TRY(compile(c));
    DEQ_TRY(differentiate(c));
    DEQ_TRY(write_fixed(c, c->forward));
    DEQ_TRY(evaluate(c, c->x, c->y));
    DEQ_TRY(check_vjp(c));
    DEQ_TRY(check_jvp(c));
    check_adjoint(c);
    c->report->passed = c->report->relative_error <= c->o.tol &&
                        c->report->adjoint_gap <= c->o.adjoint_tol;
    describe(c);
    return DEQ_OK;
}

static deq_status prepare(check *c, const deq_gradient_check_options *options)
{
    DEQ_TRY(read_options(c, options));
    c->random = c->o.seed;
    DEQ_TRY(deq_graph_status(c->g));
    if (!c->outputs || c->n_outputs < 1 || !c->points || c->n_points < 1)
        return deq_fail(c->g->ctx, DEQ_ERR_ARGUMENT,
                        "gradient check: %d outputs and %d points, expected at least one of each",
                        c->outputs ? c->n_outputs : 0, c->points ? c->n_points : 0);
    DEQ_TRY(check_points(c));
    DEQ_TRY(check_graph(c));
    DEQ_TRY(make_parts(c));
    return make_vectors(c);
}

/* What the stores of checked parameters held before; taken before anything is written. */
static deq_status save_stores(check *c, double **saved)
{
    if (!take(c, saved, 1, c->n)) return DEQ_ERR_NOMEM;
    for (int i = 0; i < c->n_parts; i++)
        if (c->parts[i].store)
            memcpy(*saved + c->parts[i].offset, c->parts[i].store,
                   (size_t)c->parts[i].count * sizeof(double));
    return DEQ_OK;
}

static void restore_stores(const check *c, const double *saved)
{
    for (int i = 0; i < c->n_parts; i++)
        if (c->parts[i].store)
            memcpy(c->parts[i].store, saved + c->parts[i].offset,
                   (size_t)c->parts[i].count * sizeof(double));
}

deq_status deq_gradient_check(deq_gradient_report *report, deq_graph *g, const deq_value *outputs,
                              int n_outputs, const deq_gradient_point *points, int n_points,
                              const deq_gradient_check_options *options)
{
    *report = (deq_gradient_report){ .input = -1, .coordinate = -1, .output = -1 };
    check c = { .g = g,
                .outputs = outputs,
                .points = points,
                .n_outputs = n_outputs,
                .n_points = n_points,
                .report = report };
    double *saved = NULL;
    deq_arena_init(&c.arena, g->ctx);
    deq_status status = prepare(&c, options);
    if (status == DEQ_OK) status = save_stores(&c, &saved);
    if (status == DEQ_OK) {
        status = perform(&c);
        restore_stores(&c, saved);
    }
    deq_program_free(c.forward);
    deq_program_free(c.derivative);
    deq_arena_free(&c.arena);
    return status;
}
