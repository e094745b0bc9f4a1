/* SPDX-License-Identifier: MIT */
/* The common path of all families; see model/solve.h. */
#include "model/solve.h"

#include "implicit/operators.h"
#include "nn/nn.h"

#include <deq/op.h>
#include <stdio.h>
#include <string.h>

deq_model_solve deq_model_solve_defaults(void)
{
    return (deq_model_solve){ .struct_size = sizeof(deq_model_solve),
                              .equilibrium = deq_equilibrium_defaults(),
                              .supervision = deq_supervision_defaults() };
}

/* Checks ------------------------------------------------------------------------------------- */

/* What deq_supervised_count() relies on; the rest is deq_equilibrium_supervised()'s to check. */
static bool check_supervision(deq_graph *g, const deq_model_solve *s)
{
    const deq_supervision *v = &s->supervision;
    int saved = deq_implicit_n_saved(&s->equilibrium.forward);
    if (v->struct_size != sizeof *v)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "model: supervision.struct_size is %zu, expected %zu",
                       v->struct_size, sizeof *v);
    else if (v->steps && v->n_steps != saved)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "model: steps of %d tails for %d saved states",
                       v->n_steps, saved);
    else if (v->n_locations > 0 && !v->locations)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "model: supervision.locations is missing");
    return deq_graph_status(g) == DEQ_OK;
}

static bool check_solve(deq_graph *g, const deq_model_solve *s)
{
    if (s->struct_size != sizeof *s)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "model: solve.struct_size is %zu, expected %zu",
                       s->struct_size, sizeof *s);
    else if (s->equilibrium.struct_size != sizeof s->equilibrium)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "model: equilibrium.struct_size is %zu, expected %zu",
                       s->equilibrium.struct_size, sizeof s->equilibrium);
    if (deq_graph_status(g) != DEQ_OK || !check_supervision(g, s)) return false;
    int n = deq_supervised_count(&s->equilibrium, &s->supervision);
    if (n < 1 || n > DEQ_MAX_SUPERVISED)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "model: %d states are supervised, expected 1 to %d", n,
                       DEQ_MAX_SUPERVISED);
    return deq_graph_status(g) == DEQ_OK;
}

/* Start -------------------------------------------------------------------------------------- */

deq_start deq_model_start(const deq_model_solve *solve, deq_start usual)
{
    return solve && solve->has_start ? solve->start : usual;
}

static deq_value normal(deq_nn *nn, deq_shape shape, int64_t stream)
{
    return deq_random_normal(deq_nn_graph(nn), deq_nn_key(nn), deq_nn_dtype(nn), shape, stream);
}

/* [B, 1, ...]: 0 for the first half of the batch (the larger one), 1 for the other. */
static deq_value second_half(deq_nn *nn, deq_shape shape)
{
    deq_graph *g = deq_nn_graph(nn);
    deq_dtype dtype = deq_nn_dtype(nn);
    int64_t batch = shape.dim[0], zeros = (batch + 1) / 2;
    for (int i = 1; i < shape.rank; i++) shape.dim[i] = 1;
    deq_shape first = shape, other = shape;
    first.dim[0] = zeros;
    other.dim[0] = batch - zeros;
    deq_value part[2] = { deq_fill(g, dtype, first, 0) };
    if (batch == zeros) return part[0];
    part[1] = deq_fill(g, dtype, other, 1);
    return deq_concat(g, part, 2, 0);
}

static deq_value start_of_state(deq_nn *nn, deq_start start, deq_shape shape, int index)
{
    deq_graph *g = deq_nn_graph(nn);
    deq_dtype dtype = deq_nn_dtype(nn);
    char name[32];
    snprintf(name, sizeof name, "start.%d", index);
    int64_t stream = deq_nn_stream(nn, name);
    switch (start) {
    case DEQ_START_ZERO: return deq_fill(g, dtype, shape, 0);
    case DEQ_START_NORMAL: return normal(nn, shape, stream);
    case DEQ_START_UNIFORM: {
        deq_value u = deq_random_uniform(g, deq_nn_key(nn), dtype, shape, stream);
        return deq_shift(g, deq_scale(g, u, 2), -1);
    }
    case DEQ_START_MIXED: return deq_mul(g, normal(nn, shape, stream), second_half(nn, shape));
    case DEQ_START_MIXED_ELEMENTS: {
        deq_value mask = deq_random_bernoulli(g, deq_nn_key(nn), dtype, shape,
                                              deq_nn_stream(nn, "start.mask") + index, 0.5);
        return deq_mul(g, normal(nn, shape, stream), mask);
    }
    default: return deq_graph_fail(g, DEQ_ERR_ARGUMENT, "model: %d is not a start", (int)start);
    }
}

/* z0[i] has the type that the family says. */
static void check_given(deq_nn *nn, const deq_model_problem *p, const deq_value *z0)
{
    deq_graph *g = deq_nn_graph(nn);
    for (int i = 0; i < p->n_states && deq_graph_status(g) == DEQ_OK; i++) {
        char want[256], got[256];
        deq_type a = { deq_nn_dtype(nn), p->shape[i] }, b = deq_value_type(g, z0[i]);
        if (a.dtype == b.dtype && deq_shape_equal(&a.shape, &b.shape)) continue;
        deq_graph_fail(g, DEQ_ERR_SHAPE, "model: the start of state %d is %s, expected %s", i,
                       deq_type_format(got, sizeof got, &b),
                       deq_type_format(want, sizeof want, &a));
    }
}

static void make_start(deq_nn *nn, deq_value *z0, const deq_model_problem *p,
                       const deq_model_solve *solve)
{
    deq_graph *g = deq_nn_graph(nn);
    deq_start start = deq_model_start(solve, p->usual);
    const deq_value *given = start == DEQ_START_GIVEN ? solve->z0 : p->projection;
    if (start != DEQ_START_GIVEN && start != DEQ_START_PROJECTION) {
        for (int i = 0; i < p->n_states; i++) z0[i] = start_of_state(nn, start, p->shape[i], i);
    } else if (given) {
        memcpy(z0, given, (size_t)p->n_states * sizeof *z0);
        check_given(nn, p, z0);
    } else {
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "model: %s",
                       start == DEQ_START_GIVEN
                           ? "a given start without z0"
                           : "this family has no projection of its input to start from");
    }
}

/* The path ----------------------------------------------------------------------------------- */

static deq_value penalty(deq_nn *nn, const deq_model_problem *p, const deq_value *z_star,
                         const deq_jacobian_options *options)
{
    deq_jacobian_options o = *options;
    deq_value key = DEQ_NONE;
    if (o.probe == DEQ_PROBE_NORMAL || o.probe == DEQ_PROBE_RADEMACHER) key = deq_nn_key(nn);
    if (o.stream == 0) o.stream = deq_nn_stream(nn, "jacobian");
    o.probability = 1; /* the caller chooses between programs, deq_jacobian_applies() */
    return deq_jacobian_penalty(deq_nn_graph(nn), p->cell, p->user, z_star, p->n_states, key, &o);
}

deq_status deq_model_equilibrium(deq_nn *nn, deq_model_outputs *out, const deq_model_problem *p,
                                 const deq_model_solve *solve)
{
    deq_graph *g = deq_nn_graph(nn);
    deq_value z0[DEQ_MAX_STATES], z[DEQ_MAX_SUPERVISED * DEQ_MAX_STATES];
    deq_model_solve s = solve ? *solve : deq_model_solve_defaults();
    if (s.struct_size == sizeof s && s.map) *s.map = NULL;
    if (deq_graph_status(g) != DEQ_OK || !check_solve(g, &s)) return deq_graph_status(g);
    make_start(nn, z0, p, &s);
    if (deq_graph_status(g) != DEQ_OK) return deq_graph_status(g);
    deq_equilibrium_supervised(g, z, p->cell, p->user, z0, p->n_states, &s.equilibrium,
                               &s.supervision, &out->report);
    if (deq_graph_status(g) != DEQ_OK) return deq_graph_status(g);

    out->n_states = p->n_states;
    out->n_logits = deq_supervised_count(&s.equilibrium, &s.supervision);
    for (int i = 0; i < out->n_logits; i++)
        out->logits[i] = p->head(nn, z + (ptrdiff_t)i * p->n_states, p->user);
    const deq_value *last = z + (ptrdiff_t)(out->n_logits - 1) * p->n_states;
    memcpy(out->z_star, last, (size_t)p->n_states * sizeof *last);
    if (s.penalty) out->penalty = penalty(nn, p, last, s.penalty);
    if (!s.map || deq_graph_status(g) != DEQ_OK) return deq_graph_status(g);
    deq_status status = deq_cell_map_new(s.map, g, p->cell, p->user, last, p->n_states, NULL);
    if (status != DEQ_OK) deq_graph_fail(g, status, "%s", deq_last_error(deq_nn_context(nn)));
    return deq_graph_status(g);
}
