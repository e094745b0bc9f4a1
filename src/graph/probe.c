/* SPDX-License-Identifier: MIT */
/* See probe.h. */
#include "graph/probe.h"

#include <stdio.h>
#include <string.h>

/* --- what the caller can get wrong -------------------------------------------------------------- */

static const deq_op *op_of(const deq_probe *s, deq_value v)
{
    return deq_node_of(s->g, v)->op;
}

static const deq_gradient_point *find_point(const deq_probe *s, deq_value v)
{
    for (int i = 0; i < s->n_points; i++)
        if (s->points[i].value.id == v.id) return &s->points[i];
    return NULL;
}

static deq_status refuse_point(const deq_probe *s, int i, const char *why)
{
    return deq_fail(s->g->ctx, DEQ_ERR_ARGUMENT, "gradient check: points[%d] %s", i, why);
}

static deq_status check_point(const deq_probe *s, int i)
{
    const deq_gradient_point *p = &s->points[i];
    bool leaf = deq_is_valid(s->g, p->value) &&
                (op_of(s, p->value) == &deq_op_input || op_of(s, p->value) == &deq_op_parameter);
    if (!leaf) return refuse_point(s, i, "is neither an input nor a parameter of this graph");
    if (find_point(s, p->value) != p) return refuse_point(s, i, "appears twice");
    bool parameter = op_of(s, p->value) == &deq_op_parameter;
    if (!parameter && !p->data) return refuse_point(s, i, "has no data");
    if (parameter && p->data && p->fixed)
        return refuse_point(s, i, "is a fixed parameter with data");
    return DEQ_OK;
}

static deq_status check_output(const deq_probe *s, int i)
{
    char text[256];
    if (!deq_is_valid(s->g, s->outputs[i]))
        return deq_fail(s->g->ctx, DEQ_ERR_ARGUMENT,
                        "gradient check: outputs[%d] is not a value of this graph", i);
    const deq_type *t = deq_type_of(s->g, s->outputs[i]);
    if (t->dtype == DEQ_F64) return DEQ_OK;
    return deq_fail(s->g->ctx, DEQ_ERR_DTYPE,
                    "gradient check: outputs[%d] is %s, differences need f64", i,
                    deq_type_format(text, sizeof text, t));
}

/* One value that the outputs depend on: no f32, and if it is an input it has data. */
static deq_status check_needed(const deq_probe *s, deq_value v)
{
    const deq_type *t = deq_type_of(s->g, v);
    char text[256];
    if (t->dtype == DEQ_F32)
        return deq_fail(s->g->ctx, DEQ_ERR_DTYPE,
                        "gradient check: %s gives %s, differences need f64 throughout",
                        op_of(s, v)->name, deq_type_format(text, sizeof text, t));
    if (op_of(s, v) != &deq_op_input || find_point(s, v)) return DEQ_OK;
    const char *name = s->g->values[v.id].name;
    return deq_fail(s->g->ctx, DEQ_ERR_ARGUMENT,
                    "gradient check: the outputs depend on input '%s', which is not among the "
                    "points",
                    name ? name : "");
}

static deq_status check_graph(deq_probe *s)
{
    const deq_graph *g = s->g;
    bool *needed = deq_arena_alloc(&s->arena, g->n_values * sizeof *needed);
    if (!needed) return DEQ_ERR_NOMEM;
    for (int i = 0; i < s->n_outputs; i++) needed[s->outputs[i].id] = true;
    for (size_t k = g->n_nodes; k-- > 0;) {
        const deq_node *node = &g->nodes[k];
        bool any = false;
        for (int o = 0; o < node->n_out; o++) {
            deq_value v = deq_node_out(node, o);
            any |= needed[v.id];
            if (needed[v.id]) DEQ_TRY(check_needed(s, v));
        }
        for (int i = 0; any && i < node->n_in; i++)
            if (deq_is(node->in[i])) needed[node->in[i].id] = true;
    }
    return DEQ_OK;
}

static deq_status check_arguments(deq_probe *s)
{
    DEQ_TRY(deq_graph_status(s->g));
    if (!s->outputs || s->n_outputs < 1 || !s->points || s->n_points < 1)
        return deq_fail(s->g->ctx, DEQ_ERR_ARGUMENT,
                        "gradient check: %d outputs and %d points, expected at least one of each",
                        s->outputs ? s->n_outputs : 0, s->points ? s->n_points : 0);
    for (int i = 0; i < s->n_points; i++) DEQ_TRY(check_point(s, i));
    for (int i = 0; i < s->n_outputs; i++) DEQ_TRY(check_output(s, i));
    return check_graph(s);
}

/* --- x and y ----------------------------------------------------------------------------------- */

/* Where the store of a parameter keeps it; NULL for inputs. */
static double *store_of(const deq_probe *s, deq_value v)
{
    if (op_of(s, v) != &deq_op_parameter) return NULL;
    const deq_parameter_attr *a = deq_node_of(s->g, v)->attr;
    return deq_parameters_values(a->parameters, (int)a->index);
}

static deq_status add_part(deq_probe *s, int i)
{
    const deq_gradient_point *p = &s->points[i];
    const deq_type *t = deq_type_of(s->g, p->value);
    double *store = store_of(s, p->value);
    if (op_of(s, p->value) == &deq_op_parameter && !store)
        return deq_fail(s->g->ctx, DEQ_ERR_STATE,
                        "gradient check: the store of points[%d] is not allocated", i);
    bool real = t->dtype == DEQ_F32 || t->dtype == DEQ_F64;
    if (p->fixed || !real) return DEQ_OK;
    if (t->dtype == DEQ_F32)
        return deq_fail(s->g->ctx, DEQ_ERR_DTYPE,
                        "gradient check: points[%d] is f32, differences need f64", i);
    int64_t count = deq_shape_count(&t->shape);
    s->leaves[s->n_parts] = p->value;
    s->parts[s->n_parts++] = (deq_probe_part){ i, s->n, count, store };
    s->n += count;
    return DEQ_OK;
}

static deq_status make_parts(deq_probe *s)
{
    s->parts = deq_arena_alloc(&s->arena, (size_t)s->n_points * sizeof *s->parts);
    s->leaves = deq_arena_alloc(&s->arena, (size_t)s->n_points * sizeof *s->leaves);
    if (!s->parts || !s->leaves) return DEQ_ERR_NOMEM;
    for (int i = 0; i < s->n_points; i++) DEQ_TRY(add_part(s, i));
    if (!s->n_parts)
        return deq_fail(s->g->ctx, DEQ_ERR_ARGUMENT,
                        "gradient check: none of the %d points is to be differentiated",
                        s->n_points);
    for (int i = 0; i < s->n_outputs; i++)
        s->m += deq_shape_count(&deq_type_of(s->g, s->outputs[i])->shape);
    return DEQ_OK;
}

double *deq_probe_vector(deq_probe *s, int64_t rows, int64_t length)
{
    size_t count = 0, bytes = 0;
    if (!deq_size_mul(&count, (size_t)rows, (size_t)length) ||
        !deq_size_mul(&bytes, count, sizeof(double))) {
        (void)deq_fail(s->g->ctx, DEQ_ERR_NOMEM, "gradient check: %lld x %lld elements",
                       (long long)rows, (long long)length);
        return NULL;
    }
    return deq_arena_alloc(&s->arena, bytes);
}

static deq_status read_point(deq_probe *s)
{
    double *x = deq_probe_vector(s, 1, s->n), *saved = deq_probe_vector(s, 1, s->n);
    if (!x || !saved) return DEQ_ERR_NOMEM;
    for (int i = 0; i < s->n_parts; i++) {
        const deq_probe_part *p = &s->parts[i];
        const void *data = s->points[p->point].data;
        size_t bytes = (size_t)p->count * sizeof *x;
        memcpy(x + p->offset, data ? data : p->store, bytes);
        if (p->store) memcpy(saved + p->offset, p->store, bytes);
    }
    s->x = x;
    s->saved = saved;
    return DEQ_OK;
}

/* --- programs ---------------------------------------------------------------------------------- */

/* Programs keep their own message; the caller looks in the context. */
static deq_status from_program(const deq_probe *s, const deq_program *p, deq_status status)
{
    if (status == DEQ_OK) return DEQ_OK;
    return deq_fail(s->g->ctx, status, "gradient check: %s", deq_program_error(p));
}

static deq_status write_value(const deq_probe *s, deq_program *p, deq_value v, const void *data)
{
    size_t bytes = deq_type_bytes(deq_type_of(s->g, v));
    return from_program(s, p, deq_program_write(p, v, data, bytes));
}

/* Inputs that do not move. */
static deq_status write_fixed(const deq_probe *s, deq_program *p)
{
    for (int i = 0; i < s->n_points; i++) {
        bool moves = false;
        for (int k = 0; k < s->n_parts; k++) moves |= s->parts[k].point == i;
        if (!moves && s->points[i].data)
            DEQ_TRY(write_value(s, p, s->points[i].value, s->points[i].data));
    }
    return DEQ_OK;
}

static deq_status write_point(const deq_probe *s, deq_program *p, const double *x)
{
    for (int i = 0; i < s->n_parts; i++) {
        const deq_probe_part *q = &s->parts[i];
        if (q->store)
            memcpy(q->store, x + q->offset, (size_t)q->count * sizeof *x);
        else
            DEQ_TRY(write_value(s, p, s->leaves[i], x + q->offset));
    }
    return DEQ_OK;
}

/* Values that lie one after the other in a vector. */
static deq_status write_values(const deq_probe *s, deq_program *p, const deq_value *v, int n,
                               const double *data)
{
    for (int i = 0; i < n; i++) {
        DEQ_TRY(write_value(s, p, v[i], data));
        data += deq_shape_count(&deq_type_of(s->g, v[i])->shape);
    }
    return DEQ_OK;
}

static deq_status read_values(const deq_probe *s, deq_program *p, const deq_value *v, int n,
                              double *data)
{
    for (int i = 0; i < n; i++) {
        const deq_type *t = deq_type_of(s->g, v[i]);
        DEQ_TRY(from_program(s, p, deq_program_read(p, v[i], data, deq_type_bytes(t))));
        data += deq_shape_count(&t->shape);
    }
    return DEQ_OK;
}

static deq_status run(const deq_probe *s, deq_program *p)
{
    return from_program(s, p, deq_program_run(p, DEQ_STAGE_PARAMETER));
}

/* An input of the type of `like`, under a name that is not taken yet. */
static deq_value direction_input(deq_probe *s, const char *kind, deq_value like)
{
    char name[96];
    snprintf(name, sizeof name, "gradient_check/%s/%zu", kind, s->g->n_values);
    return deq_input(s->g, name, DEQ_STAGE_STATE, DEQ_F64, deq_type_of(s->g, like)->shape);
}

/* Add the derivatives to the graph and compile both programs. */
static deq_status compile(deq_probe *s, const deq_compile_options *options)
{
    int n = s->n_parts, m = s->n_outputs;
    deq_value *all = deq_arena_alloc(&s->arena, (size_t)(2 * (n + m)) * sizeof *all);
    if (!all) return DEQ_ERR_NOMEM;
    s->grads = all;
    s->tangents = s->grads + n;
    s->v = s->tangents + m;
    s->w = s->v + n;
    DEQ_TRY(deq_compile(&s->forward, s->g, s->outputs, m, options));
    for (int i = 0; i < m; i++) s->w[i] = direction_input(s, "cotangent", s->outputs[i]);
    for (int i = 0; i < n; i++) s->v[i] = direction_input(s, "tangent", s->leaves[i]);
    DEQ_TRY(deq_graph_status(s->g));
    DEQ_TRY(deq_vjp(s->g, s->grads, s->outputs, s->w, m, s->leaves, n));
    DEQ_TRY(deq_jvp(s->g, s->tangents, s->outputs, m, s->leaves, s->v, n));
    DEQ_TRY(deq_compile(&s->derivative, s->g, all, n + m, options));
    DEQ_TRY(write_fixed(s, s->forward));
    return write_fixed(s, s->derivative);
}

deq_status deq_probe_open(deq_probe *s, deq_graph *g, const deq_value *outputs, int n_outputs,
                          const deq_gradient_point *points, int n_points,
                          const deq_compile_options *options)
{
    *s = (deq_probe){
        .g = g, .outputs = outputs, .points = points, .n_outputs = n_outputs, .n_points = n_points
    };
    deq_arena_init(&s->arena, g->ctx);
    DEQ_TRY(check_arguments(s));
    DEQ_TRY(make_parts(s));
    DEQ_TRY(read_point(s));
    return compile(s, options);
}

void deq_probe_close(deq_probe *s)
{
    for (int i = 0; s->saved && i < s->n_parts; i++)
        if (s->parts[i].store)
            memcpy(s->parts[i].store, s->saved + s->parts[i].offset,
                   (size_t)s->parts[i].count * sizeof(double));
    deq_program_free(s->forward);
    deq_program_free(s->derivative);
    deq_arena_free(&s->arena);
}

deq_status deq_probe_evaluate(deq_probe *s, const double *x, double *y)
{
    DEQ_TRY(write_point(s, s->forward, x));
    DEQ_TRY(run(s, s->forward));
    s->n_evaluations++;
    return read_values(s, s->forward, s->outputs, s->n_outputs, y);
}

deq_status deq_probe_differentiate(deq_probe *s, const double *w, const double *v, double *vjp,
                                   double *jvp)
{
    DEQ_TRY(write_point(s, s->derivative, s->x));
    DEQ_TRY(write_values(s, s->derivative, s->w, s->n_outputs, w));
    DEQ_TRY(write_values(s, s->derivative, s->v, s->n_parts, v));
    DEQ_TRY(run(s, s->derivative));
    DEQ_TRY(read_values(s, s->derivative, s->grads, s->n_parts, vjp));
    return read_values(s, s->derivative, s->tangents, s->n_outputs, jvp);
}
