/* SPDX-License-Identifier: MIT */
/*
 * One model, many gradients.  Each estimator gets a graph, a program and a context of its own; the
 * context counts the bytes that the program takes.  What the solves report is read from the nodes of
 * the graph: equilibria forwards, implicit solves backwards.
 */
#include "implicit/audit.h"

#include "implicit/operators.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define STANDARD_CASES 9

deq_audit_options deq_audit_defaults(void)
{
    return (deq_audit_options){ .struct_size = sizeof(deq_audit_options),
                                .base = deq_equilibrium_defaults(),
                                .steps = 5,
                                .tau = 0.5,
                                .refine = 5,
                                .repeats = 3 };
}

/* Memory, counted ---------------------------------------------------------------------------- */

typedef struct meter {
    deq_context *ctx;
    size_t bytes;
} meter;

/* deq_alloc() aligns to DEQ_ALIGNMENT, the most that a context asks for. */
static void *metered_alloc(void *user, size_t bytes, size_t align)
{
    meter *m = user;
    void *memory = align <= DEQ_ALIGNMENT ? deq_alloc(m->ctx, bytes) : NULL;
    if (memory) m->bytes += bytes;
    return memory;
}

static void metered_free(void *user, void *memory, size_t bytes)
{
    meter *m = user;
    m->bytes -= bytes;
    deq_release(m->ctx, memory, bytes);
}

static void pass_on(void *user, deq_log_level level, const char *message)
{
    deq_log_line(((meter *)user)->ctx, level, "%s", message);
}

static deq_status metered_context(deq_context **out, meter *m)
{
    deq_allocator a = { metered_alloc, metered_free, m };
    deq_context_options o = deq_context_defaults();
    o.allocator = &a;
    o.threads = deq_context_threads(m->ctx);
    o.isa = deq_context_isa(m->ctx);
    o.log = pass_on;
    o.log_user = m;
    return deq_context_new(out, &o);
}

/* One estimator ------------------------------------------------------------------------------ */

typedef struct auditor {
    deq_audit *audit;
    deq_audit_model_fn *model;
    deq_audit_feed_fn *feed;
    void *user;
    deq_parameters *parameters;
    const deq_audit_options *o;
} auditor;

/* A run in the making. */
typedef struct run {
    const auditor *a;
    deq_audit_entry *e;
    deq_context *ctx;
    deq_graph *g;
    deq_program *p;
    deq_value *values; /* loss, gradients, then evaluations and outcome of each solve */
    int n_values, capacity;
    int n_equilibria; /* solves forwards; the others are backwards */
} run;

static deq_status failed(run *r, deq_status status, const char *message)
{
    r->e->row.status = status;
    snprintf(r->e->message, sizeof r->e->message, "%s", message);
    return status;
}

/* The reports of all nodes of one kind, as outputs. */
static int add_reports(run *r, const deq_op *op)
{
    int found = 0;
    for (size_t k = 0; k < r->g->n_nodes && r->n_values + 2 <= r->capacity; k++) {
        const deq_node *n = &r->g->nodes[k];
        if (n->op != op) continue;
        int states = ((const deq_implicit_attr *)n->attr)->implicit->body->n_states;
        r->values[r->n_values++] = deq_node_out(n, states + DEQ_REPORT_EVALUATIONS);
        r->values[r->n_values++] = deq_node_out(n, states + DEQ_REPORT_OUTCOME);
        found++;
    }
    return found;
}

static deq_status build(run *r, const deq_equilibrium_options *o)
{
    if (deq_graph_new(&r->g, r->ctx) != DEQ_OK)
        return failed(r, DEQ_ERR_NOMEM, deq_last_error(r->ctx));
    r->values[0] = r->a->model(r->g, o, r->a->user);
    deq_status status = deq_gradients(r->g, r->values + 1, r->values[0],
                                      (deq_parameters *)r->a->parameters);
    if (status != DEQ_OK) return failed(r, status, deq_graph_error(r->g));
    r->n_values = 1 + r->a->audit->n_parameters;
    r->n_equilibria = add_reports(r, &deq_op_equilibrium);
    add_reports(r, &deq_op_implicit_solve);
    return DEQ_OK;
}

static double now(void)
{
    struct timespec t;
    if (!timespec_get(&t, TIME_UTC)) return 0;
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static deq_status execute(run *r, meter *m)
{
    size_t before = m->bytes;
    deq_status status = deq_compile(&r->p, r->g, r->values, r->n_values, NULL);
    if (status != DEQ_OK) return failed(r, status, deq_last_error(r->ctx));
    if (r->a->feed) status = r->a->feed(r->p, r->a->user);
    if (status != DEQ_OK) return failed(r, status, deq_program_error(r->p));
    r->e->row.seconds = INFINITY;
    for (int i = 0; i < r->a->o->repeats; i++) {
        double start = now();
        status = deq_program_run(r->p, DEQ_STAGE_PARAMETER);
        if (status != DEQ_OK) return failed(r, status, deq_program_error(r->p));
        r->e->row.seconds = fmin(r->e->row.seconds, now() - start);
    }
    r->e->row.bytes = m->bytes - before;
    return DEQ_OK;
}

/* Reading ------------------------------------------------------------------------------------ */

/* A floating output, widened. */
static void read_real(const run *r, deq_value v, double *out)
{
    deq_type t = deq_value_type(r->g, v);
    int64_t n = deq_shape_count(&t.shape);
    deq_program_read(r->p, v, out, deq_type_bytes(&t));
    if (t.dtype == DEQ_F64) return;
    for (int64_t i = n; i-- > 0;) { /* backwards: the floats lie in the first half */
        float x;
        memcpy(&x, (const char *)out + (size_t)i * sizeof x, sizeof x);
        out[i] = (double)x;
    }
}

static void read_gradient(run *r)
{
    double *at = r->e->gradient;
    for (int i = 0; i < r->a->audit->n_parameters; i++) {
        read_real(r, r->values[1 + i], at);
        at += deq_parameters_info(r->a->parameters, i).count;
    }
    read_real(r, r->values[0], &r->e->row.loss);
}

/* The largest count of a solve's samples; adds those that did not converge. */
static int64_t read_report(run *r, int at)
{
    deq_type t = deq_value_type(r->g, r->values[at]);
    int64_t n = t.shape.dim[0], most = 0;
    const int32_t *count = deq_program_data(r->p, r->values[at]);
    const int32_t *outcome = deq_program_data(r->p, r->values[at + 1]);
    for (int64_t b = 0; b < n; b++) {
        if (count[b] > most) most = count[b];
        r->e->row.n_failed += outcome[b] != DEQ_CONVERGED;
    }
    return most;
}

/* What the nodes report, and what estimators without a node of their own cost by definition. */
static void read_costs(run *r, const deq_equilibrium_options *o, int n_equilibria)
{
    deq_audit_row *row = &r->e->row;
    int first = 1 + r->a->audit->n_parameters, n = r->n_equilibria;
    for (int i = 0; i < n; i++) row->n_feval += read_report(r, first + 2 * i);
    for (int at = first + 2 * n; at < r->n_values; at += 2) {
        int64_t before = row->n_failed;
        row->n_product += read_report(r, at);
        if (o->gradient != DEQ_GRADIENT_IFT) row->n_failed = before; /* truncated on purpose */
    }
    int64_t steps = o->forward.max_iter, k = n_equilibria;
    int passes = o->recompute ? 2 : 1;
    switch (o->gradient) {
    case DEQ_GRADIENT_PHANTOM_UNROLL:
        row->n_feval += k * o->steps * passes;
        row->n_product += k * o->steps;
        break;
    case DEQ_GRADIENT_UNROLL:
        row->n_feval += k * steps * passes;
        row->n_product += k * steps;
        break;
    case DEQ_GRADIENT_REVERSIBLE:
        row->n_feval += 4 * k * steps; /* two a step, and two to invert it */
        row->n_product += 2 * k * steps;
        break;
    default: row->n_product += k; /* the parameters' */
    }
}

/* Comparing ---------------------------------------------------------------------------------- */

static deq_audit_match compare(const double *a, const double *exact, int64_t n)
{
    double aa = 0, ee = 0, ae = 0;
    for (int64_t i = 0; i < n; i++) {
        aa += a[i] * a[i];
        ee += exact[i] * exact[i];
        ae += a[i] * exact[i];
    }
    if (aa == 0 && ee == 0) return (deq_audit_match){ 1, 1 };
    if (aa == 0 || ee == 0) return (deq_audit_match){ 0, aa == 0 ? 0 : INFINITY };
    return (deq_audit_match){ ae / sqrt(aa) / sqrt(ee), sqrt(aa) / sqrt(ee) };
}

static void match(const auditor *a, deq_audit_entry *e)
{
    const double *exact = a->audit->entry[0].gradient;
    int64_t at = 0;
    for (int i = 0; i < a->audit->n_parameters; i++) {
        int64_t n = deq_parameters_info(a->parameters, i).count;
        e->match[i] = compare(e->gradient + at, exact + at, n);
        at += n;
    }
    e->row.total = compare(e->gradient, exact, at);
}

/* Rows --------------------------------------------------------------------------------------- */

/* How many equilibria the model has: as many as the exact case solves. */
static void audit_case(const auditor *a, deq_audit_entry *e, const deq_audit_case *c,
                       int *n_equilibria)
{
    enum { ROOM = 128 }; /* reports of so many solves are read */
    meter m = { .ctx = a->audit->ctx };
    run r = { .a = a, .e = e, .capacity = 1 + a->audit->n_parameters + 2 * ROOM };
    snprintf(e->name, sizeof e->name, "%s", c->name ? c->name : "");
    size_t bytes = (size_t)r.capacity * sizeof *r.values;
    r.values = deq_alloc(a->audit->ctx, bytes);
    if (!r.values || metered_context(&r.ctx, &m) != DEQ_OK)
        failed(&r, DEQ_ERR_NOMEM, "out of memory");
    else if (build(&r, &c->options) == DEQ_OK && execute(&r, &m) == DEQ_OK) {
        if (*n_equilibria < 0) *n_equilibria = r.n_equilibria;
        read_gradient(&r);
        read_costs(&r, &c->options, *n_equilibria);
        match(a, e);
    }
    deq_program_free(r.p);
    deq_graph_free(r.g);
    deq_context_free(r.ctx);
    deq_release(a->audit->ctx, r.values, bytes);
}

static bool is_broyden(deq_method m)
{
    return m == DEQ_BROYDEN || m == DEQ_ADJOINT_BROYDEN;
}

static deq_audit_case exact_case(const auditor *a)
{
    bool f64 = deq_parameters_dtype(a->parameters) == DEQ_F64;
    double tight = a->o->tight > 0 ? a->o->tight : f64 ? 1e-12 : 2e-6;
    deq_audit_case c = { "exact", a->o->base };
    c.options.gradient = DEQ_GRADIENT_IFT;
    c.options.adjoint_by_solver = false;
    c.options.forward.rtol = c.options.adjoint.rtol = tight;
    c.options.forward.atol = c.options.adjoint.atol = 0;
    c.options.forward.max_iter = 1000;
    c.options.adjoint.max_iter = 1000;
    return c;
}

/* The standard cases behind the exact one. */
static int standard_cases(const auditor *a, deq_audit_case *c)
{
    static const struct {
        const char *name;
        deq_gradient gradient;
    } rows[] = {
        { "ift", DEQ_GRADIENT_IFT },
        { "jfb", DEQ_GRADIENT_JFB },
        { "phantom unroll", DEQ_GRADIENT_PHANTOM_UNROLL },
        { "phantom neumann", DEQ_GRADIENT_PHANTOM_NEUMANN },
        { "shine", DEQ_GRADIENT_SHINE },
        { "shine refined", DEQ_GRADIENT_SHINE },
        { "unroll", DEQ_GRADIENT_UNROLL },
        { "reversible", DEQ_GRADIENT_REVERSIBLE },
    };
    int n = (int)(sizeof rows / sizeof *rows);
    for (int i = 0; i < n; i++) {
        deq_equilibrium_options *o = &c[i].options;
        c[i] = (deq_audit_case){ rows[i].name, a->o->base };
        o->gradient = rows[i].gradient;
        o->steps = a->o->steps;
        o->tau = o->gradient == DEQ_GRADIENT_UNROLL ? 1 : a->o->tau;
        o->keep_memory = false;
        if (o->gradient == DEQ_GRADIENT_SHINE && !is_broyden(o->forward.method))
            o->forward.method = DEQ_BROYDEN;
        o->shine_refine = strcmp(rows[i].name, "shine refined") ? 0 : a->o->refine;
    }
    return n;
}

static bool make_entries(deq_audit *t, int n_rows, const deq_parameters *parameters)
{
    deq_context *ctx = t->ctx;
    t->n_rows = n_rows;
    t->entry = deq_alloc_array(ctx, (size_t)n_rows, sizeof *t->entry);
    t->parameter = deq_alloc_array(ctx, (size_t)t->n_parameters, sizeof *t->parameter);
    if (!t->entry || !t->parameter) return false;
    for (int i = 0; i < t->n_parameters; i++) {
        t->parameter[i] = deq_strdup(ctx, deq_parameters_info(parameters, i).name);
        if (!t->parameter[i]) return false;
    }
    for (int i = 0; i < n_rows; i++) {
        deq_audit_entry *e = &t->entry[i];
        e->gradient = deq_alloc_array(ctx, (size_t)t->elements, sizeof *e->gradient);
        e->match = deq_alloc_array(ctx, (size_t)t->n_parameters, sizeof *e->match);
        if (!e->gradient || !e->match) return false;
    }
    return true;
}

static deq_status check(const auditor *a, deq_context *ctx)
{
    const deq_audit_options *o = a->o;
    if (o->struct_size != sizeof *o || o->repeats < 1 || o->n_cases < 0 ||
        (o->n_cases > 0 && !o->cases) || !(o->tight >= 0))
        return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                        "audit: options out of range (struct_size %zu, repeats %d, n_cases %d, "
                        "tight %g)",
                        o->struct_size, o->repeats, o->n_cases, o->tight);
    if (!a->model) return deq_fail(ctx, DEQ_ERR_ARGUMENT, "audit: no model");
    if (!deq_parameters_values(a->parameters, -1))
        return deq_fail(ctx, DEQ_ERR_STATE, "audit: the parameters are not allocated");
    return DEQ_OK;
}

deq_status deq_gradient_audit(deq_audit **out, deq_context *ctx, deq_audit_model_fn *model,
                              deq_audit_feed_fn *feed, void *user, deq_parameters *parameters,
                              const deq_audit_options *options)
{
    deq_audit_options o = options ? *options : deq_audit_defaults();
    auditor a = { .model = model, .feed = feed, .user = user, .parameters = parameters, .o = &o };
    deq_audit_case standard[STANDARD_CASES];
    *out = NULL;
    DEQ_TRY(check(&a, ctx));
    a.audit = deq_alloc(ctx, sizeof *a.audit);
    if (!a.audit) return DEQ_ERR_NOMEM;
    *a.audit = (deq_audit){ .ctx = ctx,
                            .n_parameters = deq_parameters_count(parameters),
                            .elements = deq_parameters_elements(parameters) };
    const deq_audit_case *cases = o.cases ? o.cases : standard;
    int n = o.cases ? o.n_cases : standard_cases(&a, standard), n_equilibria = -1;
    if (!make_entries(a.audit, n + 1, parameters)) {
        deq_audit_free(a.audit);
        return DEQ_ERR_NOMEM;
    }
    deq_audit_case exact = exact_case(&a);
    audit_case(&a, &a.audit->entry[0], &exact, &n_equilibria);
    deq_status status = a.audit->entry[0].row.status;
    if (status != DEQ_OK) {
        deq_fail(ctx, status, "audit: exact gradient: %s", a.audit->entry[0].message);
        deq_audit_free(a.audit);
        return status;
    }
    for (int i = 0; i < n; i++) audit_case(&a, &a.audit->entry[i + 1], &cases[i], &n_equilibria);
    *out = a.audit;
    return DEQ_OK;
}

void deq_audit_free(deq_audit *t)
{
    if (!t) return;
    for (int i = 0; t->entry && i < t->n_rows; i++) {
        deq_release(t->ctx, t->entry[i].gradient, (size_t)t->elements * sizeof(double));
        deq_release(t->ctx, t->entry[i].match, (size_t)t->n_parameters * sizeof(deq_audit_match));
    }
    for (int i = 0; t->parameter && i < t->n_parameters; i++)
        if (t->parameter[i]) deq_release(t->ctx, t->parameter[i], strlen(t->parameter[i]) + 1);
    deq_release(t->ctx, t->parameter, (size_t)t->n_parameters * sizeof *t->parameter);
    deq_release(t->ctx, t->entry, (size_t)t->n_rows * sizeof *t->entry);
    deq_release(t->ctx, t, sizeof *t);
}

int deq_audit_count(const deq_audit *audit)
{
    return audit->n_rows;
}

deq_audit_row deq_audit_get(const deq_audit *audit, int row)
{
    if (row < 0 || row >= audit->n_rows) return (deq_audit_row){ 0 };
    deq_audit_row r = audit->entry[row].row;
    r.name = audit->entry[row].name;
    r.message = audit->entry[row].message;
    return r;
}

deq_audit_match deq_audit_parameter(const deq_audit *audit, int row, int parameter)
{
    if (row < 0 || row >= audit->n_rows || parameter < 0 || parameter >= audit->n_parameters)
        return (deq_audit_match){ 0 };
    return audit->entry[row].match[parameter];
}
