/* SPDX-License-Identifier: MIT */
/*
 * The reversible estimator (arXiv 2509.12917): the exact gradient of N coupled steps, whose states
 * are computed again on the way back instead of being kept.
 *
 *   reversible          z0, c           -> z_N, y_N
 *   reversible_adjoint  z_N, y_N, c, gz, gy -> dz0, dc
 *
 *   forward    y' = (1 - beta) y + beta f(z),   z' = (1 - beta) z + beta f(y'),   y_0 = z_0
 *   backward   z, y from z', y' by the inverse;                                          (1)
 *              gy += beta gz J(y'),             dc += beta gz df/dc(y')                  (2)
 *              gz <- (1 - beta) gz + beta gy J(z),  dc += beta gy df/dc(z)               (3)
 *              gy <- (1 - beta) gy                                                       (4)
 *
 * and at the end dz0 = gz + gy.  options.tau is beta, options.forward.max_iter / 2 is N.
 */
#include "graph/program_internal.h"
#include "implicit/lower.h"

#include <deq/op.h>
#include <deq/reversible.h>
#include <stdio.h>
#include <string.h>

static const deq_op adjoint_op;

static const deq_body *body_of(const void *attr)
{
    return ((const deq_implicit_attr *)attr)->implicit->body;
}

static int steps_of(const deq_implicit *m)
{
    return (m->options.forward.max_iter + 1) / 2;
}

static void retain_attr(const void *attr)
{
    ((const deq_implicit_attr *)attr)->implicit->references++;
}

static void release_attr(const void *attr)
{
    deq_implicit_release(((const deq_implicit_attr *)attr)->implicit);
}

static bool is_float(const deq_type *t)
{
    return t->dtype == DEQ_F32 || t->dtype == DEQ_F64;
}

/* Graph side --------------------------------------------------------------------------------- */

static bool infer_forward(deq_shape_rule *r)
{
    int s = body_of(r->attr)->n_states;
    for (int i = 0; i < s; i++) r->out[i] = r->out[s + i] = r->in[i];
    r->n_out = 2 * s;
    return true;
}

/* dz0, then one cotangent for each floating captured value. */
static bool infer_adjoint(deq_shape_rule *r)
{
    const deq_body *b = body_of(r->attr);
    int n = 0;
    for (int i = 0; i < b->n_states; i++) r->out[n++] = r->in[i];
    for (int i = 0; i < b->n_captured; i++) {
        if (!is_float(&r->in[2 * b->n_states + i])) continue;
        if (n == DEQ_MAX_OUTPUTS)
            return deq_rule_fail(r, DEQ_ERR_UNSUPPORTED,
                                 "the cell captures more than %d floating values",
                                 DEQ_MAX_OUTPUTS - b->n_states);
        r->out[n++] = r->in[2 * b->n_states + i];
    }
    r->n_out = n;
    return true;
}

static void forward_vjp(const deq_frame *f, const deq_value *dy, deq_value *dx)
{
    const deq_body *b = body_of(f->attr);
    int s = b->n_states, c = b->n_captured, n = 0;
    deq_value out[DEQ_MAX_OUTPUTS];
    deq_value *in = deq_arena_alloc(&f->g->arena, (size_t)(4 * s + c) * sizeof *in);
    if (!in) {
        deq_graph_fail(f->g, DEQ_ERR_NOMEM, "%s", deq_last_error(f->g->ctx));
        return;
    }
    for (int i = 0; i < 2 * s; i++) in[n++] = f->out[i];
    for (int i = 0; i < c; i++) in[n++] = f->in[s + i];
    for (int i = 0; i < 2 * s; i++) {
        deq_type t = deq_value_type(f->g, f->out[i]);
        in[n++] = dy[i].id != 0 ? dy[i] : deq_fill(f->g, t.dtype, t.shape, 0);
    }
    deq_emit(f->g, &adjoint_op, f->attr, f->attr_bytes, in, n, out, DEQ_MAX_OUTPUTS);
    n = 0;
    for (int i = 0; i < s; i++) dx[i] = out[n++];
    for (int i = 0; i < c; i++)
        if (is_float(deq_type_of(f->g, f->in[s + i]))) dx[s + i] = out[n++];
}

static void no_derivative(const deq_frame *f)
{
    deq_graph_fail(f->g, DEQ_ERR_UNSUPPORTED,
                   "%s: this derivative of the reversible estimator is not defined; use another "
                   "gradient for derivatives of higher order or forward mode",
                   f->op->name);
}

static void no_vjp(const deq_frame *f, const deq_value *dy, deq_value *dx)
{
    (void)dy, (void)dx;
    no_derivative(f);
}

static void no_jvp(const deq_frame *f, const deq_value *dx, deq_value *dy)
{
    (void)dx, (void)dy;
    no_derivative(f);
}

/* Steps of both nodes ------------------------------------------------------------------------ */

typedef struct reversible {
    deq_context *ctx;
    const deq_implicit *implicit;
    deq_states states;
    deq_inner f;
    deq_reversible *pair;
    deq_map map;
    int first[2 * DEQ_MAX_STATES]; /* slots: z0, or z_N and y_N */
    int g[2 * DEQ_MAX_STATES];     /* slots: gz, gy */
    int out[DEQ_MAX_OUTPUTS];      /* slots */
    int n_out;
    int *captured;
    int rows[6]; /* slots: z, y, gz, gy, u J, and the y of the step undone */

    /* z, u -> u J, u df/dc: adjoint only. */
    deq_program *products;
    deq_value z[DEQ_MAX_STATES], u[DEQ_MAX_STATES], *c;
    deq_value back[DEQ_MAX_OUTPUTS]; /* u J, then u df/dc */
    deq_dtype dtype[DEQ_MAX_OUTPUTS];
    int64_t count[DEQ_MAX_OUTPUTS]; /* elements of u df/dc */
} reversible;

static deq_status eval(void *user, void *fz, const void *z, const int64_t *samples, int64_t n)
{
    (void)samples, (void)n;
    return deq_inner_eval(&((reversible *)user)->f, fz, z);
}

static deq_status begin(reversible *s, void *const *slot)
{
    for (int i = 0; i < s->f.n_captured; i++) {
        DEQ_TRY(deq_program_bind(s->f.program, s->f.captured[i], slot[s->captured[i]]));
        if (s->products) DEQ_TRY(deq_program_bind(s->products, s->c[i], slot[s->captured[i]]));
    }
    DEQ_TRY(deq_inner_run_parameters(&s->f));
    return deq_inner_run_injected(&s->f);
}

static void places(void **data, const int *slots, void *const *slot, int n)
{
    for (int i = 0; i < n; i++) data[i] = slot[slots[i]];
}

static deq_status failed(const char *why, deq_status status, char *message)
{
    snprintf(message, DEQ_MESSAGE_BYTES, "reversible: %s", why);
    return status;
}

static deq_status run_forward(void *self, void *const *slot, char *message)
{
    reversible *s = self;
    void *z = slot[s->rows[0]], *y = slot[s->rows[1]], *data[DEQ_MAX_STATES];
    deq_status status = begin(s, slot);
    places(data, s->first, slot, s->states.n);
    deq_inner_import(&s->f, z, data);
    memcpy(y, z, deq_states_bytes(&s->states));
    if (status == DEQ_OK)
        status = deq_reversible_forward(y, z, s->pair, &s->map, steps_of(s->implicit));
    if (status != DEQ_OK) return failed(deq_program_error(s->f.program), status, message);
    places(data, s->out, slot, s->states.n);
    deq_inner_export(&s->f, data, z);
    places(data, s->out + s->states.n, slot, s->states.n);
    deq_inner_export(&s->f, data, y);
    return DEQ_OK;
}

/* The backward sweep ------------------------------------------------------------------------- */

/* y <- a y + b x. */
static void combine(deq_dtype dtype, void *y, double a, const void *x, double b, int64_t n)
{
    if (dtype == DEQ_F32)
        for (int64_t i = 0; i < n; i++)
            ((float *)y)[i] = (float)(a * (double)((float *)y)[i] +
                                      b * (double)((const float *)x)[i]);
    else
        for (int64_t i = 0; i < n; i++)
            ((double *)y)[i] = a * ((double *)y)[i] + b * ((const double *)x)[i];
}

/* The rows of all states in the memory of some values of the products' program, or back. */
static void move(reversible *s, const deq_value *v, void *rows, bool into_program)
{
    void *data[DEQ_MAX_STATES];
    for (int i = 0; i < s->states.n; i++) data[i] = deq_program_data(s->products, v[i]);
    if (into_program)
        deq_states_unpack(&s->states, data, rows);
    else
        deq_states_pack(&s->states, rows, data);
}

/* uj = u J(z); dc += beta u df/dc(z). */
static deq_status products(reversible *s, void *uj, void *u, void *z, void *const *slot)
{
    move(s, s->z, z, true);
    move(s, s->u, u, true);
    DEQ_TRY(deq_program_run(s->products, DEQ_STAGE_PARAMETER));
    move(s, s->back, uj, false);
    for (int k = s->states.n; k < s->n_out; k++)
        combine(s->dtype[k], slot[s->out[k]], 1, deq_program_data(s->products, s->back[k]),
                s->implicit->options.tau, s->count[k]);
    return DEQ_OK;
}

static deq_status sweep(reversible *s, void *const *slot)
{
    void *z = slot[s->rows[0]], *y = slot[s->rows[1]], *gz = slot[s->rows[2]];
    void *gy = slot[s->rows[3]], *uj = slot[s->rows[4]], *y_next = slot[s->rows[5]];
    const deq_states *st = &s->states;
    double beta = s->implicit->options.tau;
    int64_t n = st->batch * st->dim;
    for (int k = steps_of(s->implicit); k-- > 0;) {
        memcpy(y_next, y, deq_states_bytes(st));
        DEQ_TRY(deq_reversible_backward(y, z, s->pair, &s->map, 1)); /* (1) */
        DEQ_TRY(products(s, uj, gz, y_next, slot));
        combine(st->dtype, gy, 1, uj, beta, n); /* (2) */
        DEQ_TRY(products(s, uj, gy, z, slot));
        combine(st->dtype, gz, 1 - beta, uj, beta, n); /* (3) */
        combine(st->dtype, gy, 1 - beta, gy, 0, n);    /* (4) */
    }
    combine(st->dtype, gz, 1, gy, 1, n); /* y_0 = z_0 */
    return DEQ_OK;
}

static deq_status run_adjoint(void *self, void *const *slot, char *message)
{
    reversible *s = self;
    void *data[2 * DEQ_MAX_STATES];
    int n = s->states.n;
    deq_status status = begin(s, slot);
    places(data, s->first, slot, 2 * n);
    deq_inner_import(&s->f, slot[s->rows[0]], data);
    deq_inner_import(&s->f, slot[s->rows[1]], data + n);
    places(data, s->g, slot, 2 * n);
    deq_inner_import(&s->f, slot[s->rows[2]], data);
    deq_inner_import(&s->f, slot[s->rows[3]], data + n);
    for (int k = n; k < s->n_out; k++)
        memset(slot[s->out[k]], 0, (size_t)s->count[k] * deq_dtype_size(s->dtype[k]));
    if (status == DEQ_OK) status = sweep(s, slot);
    if (status != DEQ_OK) {
        const char *why = deq_program_error(s->products);
        return failed(*why ? why : deq_program_error(s->f.program), status, message);
    }
    places(data, s->out, slot, n);
    deq_inner_export(&s->f, data, slot[s->rows[2]]);
    return DEQ_OK;
}

static void release(void *self)
{
    reversible *s = self;
    deq_reversible_free(s->pair);
    deq_program_free(s->products);
    deq_inner_free(&s->f);
}

/* Lowering ----------------------------------------------------------------------------------- */

/* The graph of u J and u df/dc, with u and z as inputs. */
static deq_status build_products(reversible *s, deq_graph *g, const deq_body *b)
{
    deq_value fz[DEQ_MAX_STATES], wanted[DEQ_MAX_OUTPUTS];
    int n = 0;
    for (int i = 0; i < b->n_states; i++) {
        char name[16];
        deq_type t = *deq_type_of(b->g, b->z[i]);
        snprintf(name, sizeof name, "z%d", i);
        wanted[n++] = s->z[i] = deq_input(g, name, DEQ_STAGE_STATE, t.dtype, t.shape);
        snprintf(name, sizeof name, "u%d", i);
        s->u[i] = deq_input(g, name, DEQ_STAGE_STATE, t.dtype, t.shape);
    }
    for (int i = 0; i < b->n_captured; i++) {
        char name[16];
        deq_type t = *deq_type_of(b->g, b->captured[i]);
        snprintf(name, sizeof name, "c%d", i);
        s->c[i] = deq_input(g, name, deq_node_of(b->g, b->captured[i])->stage, t.dtype, t.shape);
        if (!is_float(&t)) continue;
        s->dtype[n] = t.dtype;
        s->count[n] = deq_shape_count(&t.shape);
        wanted[n++] = s->c[i];
    }
    s->n_out = n;
    deq_body_inline(g, b, s->z, s->c, fz);
    return deq_vjp(g, s->back, fz, s->u, b->n_states, wanted, n);
}

/* The products must like the layout that f likes: their rows are the same. */
static deq_status check_layouts(const reversible *s)
{
    for (int i = 0; i < s->states.n; i++) {
        deq_layout f = deq_program_layout(s->f.program, s->f.in[i]);
        if (deq_program_layout(s->products, s->z[i]) != f ||
            deq_program_layout(s->products, s->u[i]) != f ||
            deq_program_layout(s->products, s->back[i]) != f)
            return deq_fail(s->ctx, DEQ_ERR_BACKEND,
                            "reversible: f and its products choose different layouts");
    }
    return DEQ_OK;
}

static deq_status compile_products(reversible *s, deq_lowering *l, const deq_body *b)
{
    deq_value native[3 * DEQ_MAX_STATES];
    deq_compile_options o = *l->options;
    deq_graph *g;
    int n = 0;
    s->c = deq_lower_alloc(l, ((size_t)b->n_captured + 1) * sizeof *s->c);
    if (!s->c) return DEQ_ERR_NOMEM;
    DEQ_TRY(deq_graph_new(&g, l->ctx));
    deq_status status = build_products(s, g, b);
    for (int i = 0; i < b->n_states; i++) {
        native[n++] = s->z[i];
        native[n++] = s->u[i];
        native[n++] = s->back[i];
    }
    o.native = native;
    o.n_native = n;
    o.threads = l->threads;
    if (status == DEQ_OK) status = deq_compile(&s->products, g, s->back, s->n_out, &o);
    deq_graph_free(g);
    return status == DEQ_OK ? check_layouts(s) : status;
}

/* Slots of the node, all of them among reads or writes. */
static deq_status find_slots(reversible *s, deq_lowering *l, const deq_node *n, int *reads,
                             int *writes, int *n_writes)
{
    int k = s->states.n, c = s->f.n_captured, first = n->op == &adjoint_op ? 2 * k : k;
    deq_status status = DEQ_OK;
    for (int i = 0; i < n->n_in; i++) {
        reads[i] = deq_lower_read(l, n->in[i], DEQ_LAYOUT_PLAIN, &status);
        if (i < first)
            s->first[i] = reads[i];
        else if (i < first + c)
            s->captured[i - first] = reads[i];
        else
            s->g[i - first - c] = reads[i];
    }
    for (int o = 0; o < n->n_out; o++)
        s->out[o] = writes[(*n_writes)++] = deq_lower_write(l, deq_node_out(n, o), &status);
    for (int i = 0; i < 6 && status == DEQ_OK; i++) {
        s->rows[i] = writes[(*n_writes)++] = deq_lower_slot(l, deq_states_bytes(&s->states),
                                                            n->stage);
        if (s->rows[i] < 0) status = DEQ_ERR_NOMEM;
    }
    return status;
}

static deq_status prepare(reversible *s, deq_lowering *l, const deq_node *n, int *reads,
                          int *writes, int *n_writes)
{
    const deq_body *b = s->implicit->body;
    DEQ_TRY(deq_inner_new(&s->f, l, b, DEQ_INNER_MAP));
    s->states = s->f.states;
    s->captured = deq_lower_alloc(l, ((size_t)b->n_captured + 1) * sizeof(int));
    if (!s->captured) return DEQ_ERR_NOMEM;
    if (n->op == &adjoint_op) DEQ_TRY(compile_products(s, l, b));
    DEQ_TRY(deq_reversible_new(&s->pair, l->ctx, s->states.dtype, s->states.batch, s->states.dim,
                               s->implicit->options.tau));
    return find_slots(s, l, n, reads, writes, n_writes);
}

static deq_status lower(deq_lowering *l, const deq_node *n)
{
    const deq_implicit_attr *a = n->attr;
    reversible *s = deq_lower_alloc(l, sizeof *s);
    int *reads = deq_lower_alloc(l, ((size_t)n->n_in + 1) * sizeof *reads);
    int *writes = deq_lower_alloc(l, ((size_t)n->n_out + 8) * sizeof *writes), n_writes = 0;
    if (!s || !reads || !writes) return DEQ_ERR_NOMEM;
    *s = (reversible){ .ctx = l->ctx, .implicit = a->implicit };
    s->map = (deq_map){ .struct_size = sizeof(deq_map), .eval = eval, .user = s };
    deq_status status = prepare(s, l, n, reads, writes, &n_writes);
    if (status != DEQ_OK) {
        release(s);
        return status;
    }
    deq_program_info info = deq_program_stats(s->f.program);
    double evaluations = 2.0 * steps_of(a->implicit);
    deq_step step = { .run = n->op == &adjoint_op ? run_adjoint : run_forward,
                      .self = s,
                      .release = release,
                      .stage = n->stage > DEQ_STAGE_PARAMETER ? n->stage : DEQ_STAGE_PARAMETER,
                      .reads = reads,
                      .n_reads = n->n_in,
                      .writes = writes,
                      .n_writes = n_writes,
                      .kernel = "reversible",
                      .flops = evaluations * info.flops[DEQ_STAGE_STATE],
                      .bytes = evaluations * info.bytes[DEQ_STAGE_STATE] };
    return deq_lower_step(l, &step);
}

const deq_op deq_op_reversible = {
    .name = "reversible",
    .attr_bytes = sizeof(deq_implicit_attr),
    .infer = infer_forward,
    .vjp = forward_vjp,
    .jvp = no_jvp,
    .retain = retain_attr,
    .release = release_attr,
    .lower = lower,
};

static const deq_op adjoint_op = {
    .name = "reversible_adjoint",
    .attr_bytes = sizeof(deq_implicit_attr),
    .infer = infer_adjoint,
    .vjp = no_vjp,
    .jvp = no_jvp,
    .retain = retain_attr,
    .release = release_attr,
    .lower = lower,
};
