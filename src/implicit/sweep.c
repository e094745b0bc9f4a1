/* SPDX-License-Identifier: MIT */
/* What the estimators of sweep.h share. */
#include "implicit/sweep.h"

#include "graph/program_internal.h"

#include <deq/op.h>
#include <stdio.h>
#include <string.h>

static const deq_body *body_of(const void *attr)
{
    return ((const deq_implicit_attr *)attr)->implicit->body;
}

void deq_sweep_retain(const void *attr)
{
    ((const deq_implicit_attr *)attr)->implicit->references++;
}

void deq_sweep_release(const void *attr)
{
    deq_implicit_release(((const deq_implicit_attr *)attr)->implicit);
}

static bool is_float(const deq_type *t)
{
    return t->dtype == DEQ_F32 || t->dtype == DEQ_F64;
}

/* Graph side --------------------------------------------------------------------------------- */

bool deq_sweep_infer_forward(deq_shape_rule *r, const deq_sweep_kind *k)
{
    int s = body_of(r->attr)->n_states;
    for (int i = 0; i < k->ends * s; i++) r->out[i] = r->in[i % s];
    r->n_out = k->ends * s;
    return true;
}

/* States that the adjoint reads first: z0, or the ends. */
static int n_first(const deq_sweep_kind *k, int n_states)
{
    return k->adjoint_starts ? n_states : k->ends * n_states;
}

/* Elements of dc. */
static int64_t captured_elements(const deq_body *b)
{
    int64_t n = 0;
    for (int i = 0; i < b->n_captured; i++) {
        const deq_type *t = deq_type_of(b->g, b->captured[i]);
        if (is_float(t)) n += deq_shape_count(&t->shape);
    }
    return n;
}

/* dz0, then dc if a floating value is captured. */
bool deq_sweep_infer_adjoint(deq_shape_rule *r)
{
    const deq_body *b = body_of(r->attr);
    int n = b->n_states;
    int64_t elements = captured_elements(b);
    for (int i = 0; i < n; i++) r->out[i] = r->in[i];
    if (elements > 0) r->out[n++] = (deq_type){ r->in[0].dtype, DEQ_SHAPE(elements) };
    r->n_out = n;
    return true;
}

/* The cotangents of the captured values, cut out of dc. */
static void cut_captured(const deq_frame *f, deq_value dc, deq_value *dx)
{
    const deq_body *b = body_of(f->attr);
    int64_t from = 0;
    for (int i = 0; i < b->n_captured; i++) {
        const deq_type t = *deq_type_of(b->g, b->captured[i]);
        if (!is_float(&t)) continue;
        int64_t count = deq_shape_count(&t.shape);
        deq_value flat = deq_cast(f->g, deq_slice(f->g, dc, 0, from, count), t.dtype);
        dx[b->n_states + i] = deq_reshape(f->g, flat, t.shape);
        from += count;
    }
}

void deq_sweep_vjp(const deq_frame *f, const deq_sweep_kind *k, const deq_value *dy, deq_value *dx)
{
    const deq_body *b = body_of(f->attr);
    int s = b->n_states, c = b->n_captured, n = 0;
    deq_value out[DEQ_MAX_STATES + 1] = { { 0 } };
    deq_value *in = deq_arena_alloc(&f->g->arena, (size_t)(4 * s + c) * sizeof *in);
    if (!in) {
        deq_graph_fail(f->g, DEQ_ERR_NOMEM, "%s", deq_last_error(f->g->ctx));
        return;
    }
    for (int i = 0; i < n_first(k, s); i++) in[n++] = k->adjoint_starts ? f->in[i] : f->out[i];
    for (int i = 0; i < c; i++) in[n++] = f->in[s + i];
    for (int i = 0; i < k->ends * s; i++) {
        deq_type t = deq_value_type(f->g, f->out[i]);
        in[n++] = dy[i].id != 0 ? dy[i] : deq_fill(f->g, t.dtype, t.shape, 0);
    }
    deq_emit(f->g, k->adjoint, f->attr, f->attr_bytes, in, n, out, s + 1);
    for (int i = 0; i < s; i++) dx[i] = out[i];
    if (deq_graph_status(f->g) == DEQ_OK) cut_captured(f, out[s], dx);
}

static void no_derivative(const deq_frame *f)
{
    deq_graph_fail(f->g, DEQ_ERR_UNSUPPORTED,
                   "%s: this derivative is not defined; use another gradient for derivatives of "
                   "higher order or forward mode",
                   f->op->name);
}

void deq_sweep_no_vjp(const deq_frame *f, const deq_value *dy, deq_value *dx)
{
    (void)dy, (void)dx;
    no_derivative(f);
}

void deq_sweep_no_jvp(const deq_frame *f, const deq_value *dx, deq_value *dy)
{
    (void)dx, (void)dy;
    no_derivative(f);
}

/* Running ------------------------------------------------------------------------------------ */

typedef struct sweep_step {
    deq_sweep s;
    const deq_sweep_kind *kind;
    bool adjoint;
} sweep_step;

static deq_status eval(void *user, void *fz, const void *z, const int64_t *samples, int64_t n)
{
    (void)samples, (void)n;
    return deq_inner_eval(&((deq_sweep *)user)->f, fz, z);
}

static deq_status begin(deq_sweep *s, void *const *slot)
{
    deq_inner_poison(slot[s->lent], s->lent_bytes);
    for (int i = 0; i < s->f.n_captured; i++) {
        DEQ_TRY(deq_program_bind(s->f.program, s->f.captured[i], slot[s->captured[i]]));
        if (s->products) DEQ_TRY(deq_program_bind(s->products, s->c[i], slot[s->captured[i]]));
    }
    s->from = DEQ_STAGE_PARAMETER;
    DEQ_TRY(deq_inner_run_parameters(&s->f));
    return deq_inner_run_injected(&s->f);
}

/* Rows `to`, `to` + 1, ... <- the states in some slots, n_states at a time. */
static void import(deq_sweep *s, int to, const int *slots, int n, void *const *slot)
{
    for (int at = 0; at < n; at += s->states.n, to++) {
        void *data[DEQ_MAX_STATES];
        for (int i = 0; i < s->states.n; i++) data[i] = slot[slots[at + i]];
        deq_inner_import(&s->f, slot[s->rows[to]], data);
    }
}

static void export(deq_sweep *s, int from, const int *slots, int n, void *const *slot)
{
    for (int at = 0; at < n; at += s->states.n, from++) {
        void *data[DEQ_MAX_STATES];
        for (int i = 0; i < s->states.n; i++) data[i] = slot[slots[at + i]];
        deq_inner_export(&s->f, data, slot[s->rows[from]]);
    }
}

/* Forward: z0 in row 0, ends in rows 0 and 1.  Adjoint: begins with rows 0 and 1, cotangents in
 * rows 2 and 3, dz0 in row 2. */
static deq_status run_kind(sweep_step *t, void *const *slot)
{
    deq_sweep *s = &t->s;
    int n = s->states.n;
    DEQ_TRY(begin(s, slot));
    if (!t->adjoint) {
        import(s, 0, s->first, n, slot);
        DEQ_TRY(t->kind->run_forward(s, slot));
        export(s, 0, s->out, s->n_ends, slot);
        return DEQ_OK;
    }
    import(s, 0, s->first, n_first(t->kind, n), slot);
    import(s, 2, s->g, s->n_ends, slot);
    if (s->n_dc) memset(slot[s->dc], 0, (size_t)s->n_dc * deq_dtype_size(s->states.dtype));
    DEQ_TRY(t->kind->run_adjoint(s, slot));
    export(s, 2, s->out, n, slot);
    return DEQ_OK;
}

static deq_status run_step(void *self, void *const *slot, char *message)
{
    sweep_step *t = self;
    deq_status status = run_kind(t, slot);
    if (status == DEQ_OK) return DEQ_OK;
    const char *why = t->s.products ? deq_program_error(t->s.products) : "";
    snprintf(message, DEQ_MESSAGE_BYTES, "%s: %s",
             t->adjoint ? t->kind->adjoint->name : t->kind->forward->name,
             *why ? why : deq_program_error(t->s.f.program));
    return status;
}

static deq_status place_step(void *self, void *const *slot)
{
    deq_sweep *s = &((sweep_step *)self)->s;
    s->stored = slot[s->lent];
    char *lent = s->stored + s->stored_bytes;
    DEQ_TRY(deq_inner_lend(&s->f, &lent));
    return s->products ? deq_program_lend(s->products, lent) : DEQ_OK;
}

static void release_step(void *self)
{
    deq_sweep *s = &((sweep_step *)self)->s;
    deq_reversible_free(s->pair);
    deq_program_free(s->products);
    deq_inner_free(&s->f);
}

enum { PARALLEL_ELEMENTS = 1 << 14 }; /* from here on waking threads costs less than it saves */

#define COMBINE(T, name)                                                                           \
    static void name(T *y, double a, const T *x, double b, int64_t n)                              \
    {                                                                                              \
        for (int64_t i = 0; i < n; i++) y[i] = (T)(a * (double)y[i] + b * (double)x[i]);           \
    }
COMBINE(float, combine_f32)
COMBINE(double, combine_f64)

void deq_sweep_combine(const deq_sweep *s, deq_dtype dtype, void *y, double a, const void *x,
                       double b, int64_t n)
{
    int threads = n < PARALLEL_ELEMENTS ? 1 : s->states.threads;
    int64_t share = (n + threads - 1) / threads;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int t = 0; t < threads; t++) {
        int64_t at = t * share, left = n - at < share ? n - at : share;
        if (dtype == DEQ_F32)
            combine_f32((float *)y + at, a, (const float *)x + at, b, left);
        else
            combine_f64((double *)y + at, a, (const double *)x + at, b, left);
    }
}

/* The rows of all states in the memory of some values of the products' program, or back. */
static void move(deq_sweep *s, const deq_value *v, void *rows, bool into_program)
{
    void *data[DEQ_MAX_STATES];
    for (int i = 0; i < s->states.n; i++) data[i] = deq_program_data(s->products, v[i]);
    if (into_program)
        deq_states_unpack(&s->states, data, rows);
    else
        deq_states_pack(&s->states, rows, data);
}

deq_status deq_sweep_products(deq_sweep *s, void *uj, void *u, void *z, double factor,
                              void *const *slot)
{
    move(s, s->z, z, true);
    move(s, s->u, u, true);
    DEQ_TRY(deq_program_run(s->products, s->from));
    s->from = DEQ_STAGE_STATE; /* the rest of a sweep has the same captured values */
    move(s, s->uj, uj, false);
    if (s->n_dc)
        deq_sweep_combine(s, s->states.dtype, slot[s->dc], 1, deq_program_data(s->products, s->uc),
                          factor, s->n_dc);
    return DEQ_OK;
}

/* Lowering ----------------------------------------------------------------------------------- */

/* The inputs of the products: states z and their cotangents u, and the captured values. */
static void build_inputs(deq_sweep *s, deq_graph *g, const deq_body *b)
{
    char name[16];
    for (int i = 0; i < b->n_states; i++) {
        deq_type t = *deq_type_of(b->g, b->z[i]);
        snprintf(name, sizeof name, "z%d", i);
        s->z[i] = deq_input(g, name, DEQ_STAGE_STATE, t.dtype, t.shape);
        snprintf(name, sizeof name, "u%d", i);
        s->u[i] = deq_input(g, name, DEQ_STAGE_STATE, t.dtype, t.shape);
    }
    for (int i = 0; i < b->n_captured; i++) {
        deq_type t = *deq_type_of(b->g, b->captured[i]);
        snprintf(name, sizeof name, "c%d", i);
        s->c[i] = deq_input(g, name, deq_node_of(b->g, b->captured[i])->stage, t.dtype, t.shape);
    }
}

/* Values of any shape behind each other. */
static deq_value flatten(deq_graph *g, deq_value *v, int n, deq_dtype dtype)
{
    if (n == 0) return DEQ_NONE;
    for (int i = 0; i < n; i++) {
        deq_shape shape = deq_value_type(g, v[i]).shape;
        v[i] = deq_cast(g, deq_reshape(g, v[i], DEQ_SHAPE(deq_shape_count(&shape))), dtype);
    }
    return deq_concat(g, v, n, 0);
}

/* The graph of u J and u df/dc. */
static deq_status build_products(deq_sweep *s, deq_graph *g, const deq_body *b)
{
    size_t most = (size_t)(b->n_states + b->n_captured);
    deq_value fz[DEQ_MAX_STATES];
    deq_value *wanted = deq_arena_alloc(&g->arena, most * sizeof *wanted);
    deq_value *back = deq_arena_alloc(&g->arena, most * sizeof *back);
    int n = 0;
    if (!wanted || !back) return DEQ_ERR_NOMEM;
    build_inputs(s, g, b);
    for (int i = 0; i < b->n_states; i++) wanted[n++] = s->z[i];
    for (int i = 0; i < b->n_captured; i++)
        if (is_float(deq_type_of(b->g, b->captured[i]))) wanted[n++] = s->c[i];
    deq_body_inline(g, b, s->z, s->c, fz);
    DEQ_TRY(deq_vjp(g, back, fz, s->u, b->n_states, wanted, n));
    memcpy(s->uj, back, (size_t)b->n_states * sizeof *back);
    s->uc = flatten(g, back + b->n_states, n - b->n_states, s->states.dtype);
    return deq_graph_status(g);
}

/* The products must like the layout that f likes: their rows are the same. */
static deq_status check_layouts(const deq_sweep *s)
{
    for (int i = 0; i < s->states.n; i++) {
        deq_layout f = deq_program_layout(s->f.program, s->f.in[i]);
        if (deq_program_layout(s->products, s->z[i]) != f ||
            deq_program_layout(s->products, s->u[i]) != f ||
            deq_program_layout(s->products, s->uj[i]) != f)
            return deq_fail(s->ctx, DEQ_ERR_BACKEND, "f and its products choose different layouts");
    }
    return DEQ_OK;
}

static deq_status compile_products(deq_sweep *s, deq_lowering *l, const deq_body *b)
{
    deq_value native[3 * DEQ_MAX_STATES], own[2 * DEQ_MAX_STATES], out[DEQ_MAX_STATES + 1];
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
        native[n++] = out[i] = s->uj[i];
    }
    out[b->n_states] = s->uc;
    o.native = native;
    o.n_native = n;
    o.threads = l->threads;
    /* own: z and u, which are copied in; the captured values are bound */
    for (int i = 0; i < b->n_states; i++) {
        own[i] = s->z[i];
        own[b->n_states + i] = s->u[i];
    }
    if (status == DEQ_OK)
        status = deq_compile_within(&s->products, g, out, b->n_states + (s->n_dc > 0), &o, own,
                                    2 * b->n_states);
    deq_graph_free(g);
    return status == DEQ_OK ? check_layouts(s) : status;
}

/* Slots of the node, all of them among reads or writes. */
static deq_status find_slots(sweep_step *t, deq_lowering *l, const deq_node *n, int *reads,
                             int *writes, int *n_writes)
{
    deq_sweep *s = &t->s;
    int c = s->f.n_captured;
    int first = t->adjoint ? n_first(t->kind, s->states.n) : s->states.n;
    deq_status status = DEQ_OK;
    for (int i = 0; i < n->n_in; i++) {
        reads[i] = deq_lower_read(l, n->in[i], DEQ_LAYOUT_PLAIN, &status);
        int *role = i < first       ? &s->first[i]
                    : i < first + c ? &s->captured[i - first]
                                    : &s->g[i - first - c];
        *role = reads[i];
    }
    for (int o = 0; o < n->n_out; o++) {
        int *role = t->adjoint && o == s->states.n ? &s->dc : &s->out[o];
        *role = writes[(*n_writes)++] = deq_lower_write(l, deq_node_out(n, o), &status);
    }
    for (int i = 0; i < DEQ_SWEEP_ROWS && status == DEQ_OK; i++) {
        s->rows[i] = writes[(*n_writes)++] = deq_lower_slot(l, deq_states_bytes(&s->states),
                                                            n->stage);
        if (s->rows[i] < 0) status = DEQ_ERR_NOMEM;
    }
    s->lent_bytes = s->stored_bytes + deq_inner_lent_bytes(&s->f) +
                    (s->products ? s->products->lent_bytes : 0);
    s->lent = writes[(*n_writes)++] = deq_lower_slot(l, s->lent_bytes, n->stage);
    return s->lent < 0 ? DEQ_ERR_NOMEM : status;
}

static deq_status prepare(sweep_step *t, deq_lowering *l, const deq_node *n, int *reads,
                          int *writes, int *n_writes)
{
    deq_sweep *s = &t->s;
    const deq_body *b = s->implicit->body;
    DEQ_TRY(deq_inner_new(&s->f, l, b, DEQ_INNER_MAP));
    s->states = s->f.states;
    s->n_ends = t->kind->ends * s->states.n;
    s->captured = deq_lower_alloc(l, ((size_t)b->n_captured + 1) * sizeof(int));
    if (!s->captured) return DEQ_ERR_NOMEM;
    s->n_dc = captured_elements(b);
    if (t->adjoint) DEQ_TRY(compile_products(s, l, b));
    DEQ_TRY(t->kind->prepare(s, l, t->adjoint));
    return find_slots(t, l, n, reads, writes, n_writes);
}

deq_status deq_sweep_lower(deq_lowering *l, const deq_node *n, const deq_sweep_kind *k)
{
    const deq_implicit_attr *a = n->attr;
    sweep_step *t = deq_lower_alloc(l, sizeof *t);
    int *reads = deq_lower_alloc(l, ((size_t)n->n_in + 1) * sizeof *reads);
    int *writes = deq_lower_alloc(l, ((size_t)n->n_out + DEQ_SWEEP_ROWS + 1) * sizeof *writes);
    int n_writes = 0;
    if (!t || !reads || !writes) return DEQ_ERR_NOMEM;
    *t = (sweep_step){ .kind = k, .adjoint = n->op == k->adjoint };
    t->s.ctx = l->ctx;
    t->s.implicit = a->implicit;
    t->s.map = (deq_map){ .struct_size = sizeof(deq_map), .eval = eval, .user = &t->s };
    deq_status status = prepare(t, l, n, reads, writes, &n_writes);
    if (status != DEQ_OK) {
        release_step(t);
        return status;
    }
    deq_program_info info = deq_program_stats(t->s.f.program);
    double evaluations = a->implicit->options.forward.max_iter;
    deq_step step = { .run = run_step,
                      .self = t,
                      .release = release_step,
                      .place = place_step,
                      .stage = n->stage > DEQ_STAGE_PARAMETER ? n->stage : DEQ_STAGE_PARAMETER,
                      .reads = reads,
                      .n_reads = n->n_in,
                      .writes = writes,
                      .n_writes = n_writes,
                      .kernel = n->op->name,
                      .flops = evaluations * info.flops[DEQ_STAGE_STATE],
                      .bytes = evaluations * info.bytes[DEQ_STAGE_STATE] };
    return deq_lower_step(l, &step);
}
