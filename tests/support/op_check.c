/* SPDX-License-Identifier: MIT */
/* See op_check.h. */
#include "support/op_check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_float(deq_dtype d)
{
    return d == DEQ_F32 || d == DEQ_F64;
}

static uint64_t test_seed(void)
{
    const char *text = getenv("DEQ_TEST_SEED");
    return text ? strtoull(text, NULL, 10) : 0;
}

static unsigned long long shown_seed(void)
{
    return (unsigned long long)test_seed();
}

/* splitmix64, mapped to [0, 1) */
static double uniform(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return (double)(z >> 11) * 0x1p-53;
}

/* Data that f32 holds exactly, so that both precisions see the same numbers. */
void random_data(const op_case *c, int i, double *x)
{
    int64_t n = deq_shape_count(&c->in[i].shape);
    bool given = c->low != 0 || c->high != 0;
    double low = given ? c->low : -1, high = given ? c->high : 1;
    uint64_t state = test_seed() * 1000003u + (uint64_t)i;
    for (const char *s = c->name; *s; s++) state = state * 31u + (unsigned char)*s;
    for (int64_t k = 0; k < n; k++)
        x[k] = c->data[i] ? c->data[i][k] : (double)(float)(low + (high - low) * uniform(&state));
}

deq_context *test_context(void)
{
    deq_context *ctx = NULL;
    deq_context_options o = deq_context_defaults();
    o.threads = 2;
    assert_int_equal(deq_context_new(&ctx, &o), DEQ_OK);
    return ctx;
}

/* A case built in one precision. */
typedef struct built {
    deq_context *ctx;
    deq_graph *g;
    deq_value in[OP_CASE_MAX_IN], out;
    double *data[OP_CASE_MAX_IN]; /* of floating inputs */
} built;

static built build(const op_case *c, deq_dtype dtype, const double *const *given)
{
    built b = { .ctx = test_context() };
    assert_int_equal(deq_graph_new(&b.g, b.ctx), DEQ_OK);
    for (int i = 0; i < c->n_in; i++) {
        char name[16];
        snprintf(name, sizeof name, "in%d", i);
        deq_dtype t = is_float(c->in[i].dtype) ? dtype : c->in[i].dtype;
        b.in[i] = deq_input(b.g, name, DEQ_STAGE_STATE, t, c->in[i].shape);
        size_t bytes = (size_t)deq_shape_count(&c->in[i].shape) * sizeof(double);
        if (!is_float(t)) continue;
        b.data[i] = malloc(bytes);
        assert_non_null(b.data[i]);
        if (given && given[i])
            memcpy(b.data[i], given[i], bytes);
        else
            random_data(c, i, b.data[i]);
    }
    b.out = c->build(b.g, b.in, c->n_in, c->user);
    return b;
}

static void discard(built *b)
{
    for (int i = 0; i < OP_CASE_MAX_IN; i++) free(b->data[i]);
    deq_graph_free(b->g);
    deq_context_free(b->ctx);
}

static void must(const op_case *c, const built *b, const char *what, deq_status status,
                 const deq_program *p)
{
    if (status == DEQ_OK) return;
    fail_msg("%s (seed %llu): %s: %s: %s", c->name, shown_seed(), what, deq_status_text(status),
             p ? deq_program_error(p) : deq_last_error(b->ctx));
}

/* Write the data of all inputs, converting to f32 where the graph is f32. */
static void write_inputs(const op_case *c, const built *b, deq_program *p)
{
    for (int i = 0; i < c->n_in; i++) {
        deq_type t = deq_value_type(b->g, b->in[i]);
        const void *data = b->data[i] ? b->data[i] : c->int_data[i];
        float *narrow = NULL;
        if (t.dtype == DEQ_F32) {
            int64_t n = deq_shape_count(&t.shape);
            narrow = malloc((size_t)n * sizeof *narrow);
            assert_non_null(narrow);
            for (int64_t k = 0; k < n; k++) narrow[k] = (float)b->data[i][k];
            data = narrow;
        }
        must(c, b, "write", deq_program_write(p, b->in[i], data, deq_type_bytes(&t)), p);
        free(narrow);
    }
}

static void read_output(const op_case *c, const built *b, deq_program *p, double *out)
{
    deq_type t = deq_value_type(b->g, b->out);
    int64_t n = deq_shape_count(&t.shape);
    if (t.dtype == DEQ_F64) {
        must(c, b, "read", deq_program_read(p, b->out, out, deq_type_bytes(&t)), p);
        return;
    }
    assert_int_equal(t.dtype, DEQ_F32);
    float *narrow = malloc((size_t)n * sizeof *narrow);
    assert_non_null(narrow);
    must(c, b, "read", deq_program_read(p, b->out, narrow, deq_type_bytes(&t)), p);
    for (int64_t k = 0; k < n; k++) out[k] = narrow[k];
    free(narrow);
}

static deq_compile_options plain_options(void)
{
    deq_compile_options o = deq_compile_defaults();
    o.simplify = o.fuse = o.tuned = o.layout = o.winograd = false;
    return o;
}

/* Compile and run once. */
static void evaluate(const op_case *c, const built *b, bool plain, double *out)
{
    deq_program *p = NULL;
    deq_compile_options o = plain_options();
    must(c, b, "build", deq_graph_status(b->g), NULL);
    must(c, b, "compile", deq_compile(&p, b->g, &b->out, 1, plain ? &o : NULL), NULL);
    write_inputs(c, b, p);
    must(c, b, "run", deq_program_run(p, DEQ_STAGE_PARAMETER), p);
    read_output(c, b, p, out);
    deq_program_free(p);
}

void forward_op(const op_case *c, const double *const *in, double *out)
{
    built b = build(c, DEQ_F64, in);
    evaluate(c, &b, false, out);
    discard(&b);
}

void forward_op_f32(const op_case *c, const double *const *in, double *out)
{
    built b = build(c, DEQ_F32, in);
    evaluate(c, &b, false, out);
    discard(&b);
}

deq_type type_of_op(const op_case *c)
{
    built b = build(c, DEQ_F64, NULL);
    must(c, &b, "build", deq_graph_status(b.g), NULL);
    deq_type t = deq_value_type(b.g, b.out);
    discard(&b);
    return t;
}

void check_close(const char *name, const double *a, const double *b, int64_t n, double tol)
{
    double size = 1;
    for (int64_t i = 0; i < n; i++)
        if (isfinite(b[i])) size = fmax(size, fabs(b[i]));
    for (int64_t i = 0; i < n; i++) {
        bool same = a[i] == b[i] || (isnan(a[i]) && isnan(b[i]));
        if (!same && !(fabs(a[i] - b[i]) <= tol * size))
            fail_msg("%s (seed %llu): element %lld is %.17g, expected %.17g", name, shown_seed(),
                     (long long)i, a[i], b[i]);
    }
}

/* f64 plain, f64 optimised, f32 plain and f32 optimised programs agree. */
static void check_forward(const op_case *c)
{
    deq_type t = type_of_op(c);
    int64_t n = deq_shape_count(&t.shape);
    double *expected = malloc((size_t)n * sizeof *expected), *y = malloc((size_t)n * sizeof *y);
    assert_non_null(expected);
    assert_non_null(y);
    for (int f32 = 0; f32 < 2; f32++) {
        built b = build(c, f32 ? DEQ_F32 : DEQ_F64, NULL);
        for (int plain = 1; plain >= 0; plain--) {
            char what[160];
            snprintf(what, sizeof what, "%s: %s %s program", c->name, plain ? "plain" : "optimised",
                     f32 ? "f32" : "f64");
            evaluate(c, &b, plain, y);
            if (!f32 && plain)
                memcpy(expected, y, (size_t)n * sizeof *y);
            else
                check_close(what, y, expected, n, !f32 ? 1e-12 : c->tol32 != 0 ? c->tol32 : 2e-5);
        }
        discard(&b);
    }
    free(expected);
    free(y);
}

/* Inputs of the case, and a random direction beside them that is differentiated too. */
typedef struct points {
    deq_gradient_point at[2 * OP_CASE_MAX_IN];
    deq_value moving[OP_CASE_MAX_IN];     /* inputs to differentiate */
    deq_value directions[OP_CASE_MAX_IN]; /* cotangent (one) or tangents */
    double *direction_data[OP_CASE_MAX_IN];
    int n, n_moving, n_directions;
} points;

static points points_of(const op_case *c, const built *b)
{
    points p = { .n = c->n_in };
    for (int i = 0; i < c->n_in; i++) {
        bool moves = b->data[i] && !c->fixed[i];
        p.at[i] = (deq_gradient_point){ .value = b->in[i],
                                        .data = b->data[i] ? b->data[i] : c->int_data[i],
                                        .fixed = !moves };
        if (moves) p.moving[p.n_moving++] = b->in[i];
    }
    return p;
}

static void add_direction(const op_case *c, points *p, deq_graph *g, deq_value like)
{
    deq_shape shape = deq_value_type(g, like).shape;
    int64_t n = deq_shape_count(&shape);
    double *data = malloc((size_t)n * sizeof *data);
    assert_non_null(data);
    char name[24];
    snprintf(name, sizeof name, "direction%d", p->n_directions);
    uint64_t state = test_seed() + 77u + (uint64_t)p->n_directions + (unsigned char)c->name[0];
    for (int64_t k = 0; k < n; k++) data[k] = 2 * uniform(&state) - 1;
    deq_value v = deq_input(g, name, DEQ_STAGE_STATE, DEQ_F64, shape);
    p->direction_data[p->n_directions] = data;
    p->directions[p->n_directions++] = v;
    p->at[p->n++] = (deq_gradient_point){ .value = v, .data = data };
}

static void free_points(points *p)
{
    for (int i = 0; i < p->n_directions; i++) free(p->direction_data[i]);
}

/* Differences of the outputs with respect to all points. */
static void check_values(const op_case *c, const built *b, const points *p, const char *what,
                         const deq_value *outputs, int n_outputs, double tol)
{
    deq_gradient_check_options o = deq_gradient_check_defaults();
    deq_gradient_report r;
    o.step = c->step;
    o.tol = tol;
    o.seed = test_seed() + 1;
    must(c, b, what, deq_gradient_check(&r, b->g, outputs, n_outputs, p->at, p->n, &o), NULL);
    if (!r.passed) fail_msg("%s (seed %llu): %s %s", c->name, shown_seed(), what, r.message);
}

static double tolerance(const op_case *c)
{
    return c->tol != 0 ? c->tol : 1e-6;
}

static void check_first(const op_case *c)
{
    built b = build(c, DEQ_F64, NULL);
    points p = points_of(c, &b);
    check_values(c, &b, &p, "first derivatives", &b.out, 1, tolerance(c));
    discard(&b);
}

/* The vjp is itself a function of the inputs and the cotangent: check its derivatives. */
static void check_vjp_again(const op_case *c)
{
    built b = build(c, DEQ_F64, NULL);
    points p = points_of(c, &b);
    deq_value grads[OP_CASE_MAX_IN];
    add_direction(c, &p, b.g, b.out);
    must(c, &b, "vjp", deq_vjp(b.g, grads, &b.out, p.directions, 1, p.moving, p.n_moving), NULL);
    check_values(c, &b, &p, "derivatives of the vjp", grads, p.n_moving, tolerance(c));
    free_points(&p);
    discard(&b);
}

/* The same for the jvp, a function of the inputs and the tangents. */
static void check_jvp_again(const op_case *c)
{
    built b = build(c, DEQ_F64, NULL);
    points p = points_of(c, &b);
    deq_value tangent;
    for (int i = 0; i < p.n_moving; i++) add_direction(c, &p, b.g, p.moving[i]);
    must(c, &b, "jvp", deq_jvp(b.g, &tangent, &b.out, 1, p.moving, p.directions, p.n_moving), NULL);
    check_values(c, &b, &p, "derivatives of the jvp", &tangent, 1, tolerance(c));
    free_points(&p);
    discard(&b);
}

void check_op(const op_case *c)
{
    check_forward(c);
    if (c->only_forward) return;
    check_first(c);
    if (c->once_only) return;
    check_vjp_again(c);
    check_jvp_again(c);
}

static void must_refuse(const char *name, deq_status got, const char *message, deq_status status,
                        const char *text)
{
    if (got != status)
        fail_msg("%s: status is '%s' (%s), expected '%s'", name, deq_status_text(got), message,
                 deq_status_text(status));
    if (!strstr(message, text)) fail_msg("%s: '%s' does not say '%s'", name, message, text);
}

/* Types are used as they stand: a refusal may be about the dtype. */
void check_refused(const op_case *c, deq_status status, const char *text)
{
    deq_context *ctx = test_context();
    deq_graph *g = NULL;
    deq_value in[OP_CASE_MAX_IN];
    assert_int_equal(deq_graph_new(&g, ctx), DEQ_OK);
    for (int i = 0; i < c->n_in; i++) {
        char name[16];
        snprintf(name, sizeof name, "in%d", i);
        in[i] = deq_input(g, name, DEQ_STAGE_STATE, c->in[i].dtype, c->in[i].shape);
    }
    deq_value out = c->build(g, in, c->n_in, c->user);
    assert_true(out.id < 0 || deq_graph_status(g) == DEQ_OK);
    must_refuse(c->name, deq_graph_status(g), deq_graph_error(g), status, text);
    deq_graph_free(g);
    deq_context_free(ctx);
}

void check_run_refused(const op_case *c, deq_status status, const char *text)
{
    built b = build(c, DEQ_F64, NULL);
    deq_program *p = NULL;
    must(c, &b, "build", deq_graph_status(b.g), NULL);
    must(c, &b, "compile", deq_compile(&p, b.g, &b.out, 1, NULL), NULL);
    write_inputs(c, &b, p);
    deq_status got = deq_program_run(p, DEQ_STAGE_PARAMETER);
    must_refuse(c->name, got, deq_program_error(p), status, text);
    deq_program_free(p);
    discard(&b);
}
