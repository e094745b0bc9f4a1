/* SPDX-License-Identifier: MIT */
/*
 * Jacobian regularisation as a graph over public functions:
 *
 *   r = eps' J                    one vjp of the cell at the held z*                  (1)
 *   value  |r|^2                                                                      (2)
 *   gradient  2 d(eps' J r)  with r held, since  d|eps' J|^2 = 2 (eps' dJ) (eps' J)'  (3)
 *
 * The reverse-over-jvp form has the value (2) and the derivative (3):  |held r|^2 + 2 (s - held s),
 * s = eps' J r by one jvp.  No reverse pass runs through a reverse pass.
 */
#include "implicit/body.h"
#include "tensor/random.h"

#include <deq/op.h>
#include <deq/regularise.h>
#include <string.h>

deq_jacobian_options deq_jacobian_defaults(void)
{
    return (deq_jacobian_options){ .struct_size = sizeof(deq_jacobian_options),
                                   .weight = 1,
                                   .probe = DEQ_PROBE_NORMAL,
                                   .n_probes = 1,
                                   .probability = 1 };
}

/* The cell at the held equilibrium. */
typedef struct point {
    deq_graph *g;
    const deq_jacobian_options *o;
    deq_value key;
    int n;
    int64_t batch, dim; /* dim: elements of a sample in all states together */
    deq_type type[DEQ_MAX_STATES];
    deq_value z[DEQ_MAX_STATES], fz[DEQ_MAX_STATES];
} point;

/* Checks ------------------------------------------------------------------------------------- */

static bool check_options(deq_graph *g, const deq_jacobian_options *o, deq_value key)
{
    if (o->struct_size != sizeof *o) {
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "jacobian penalty: options.struct_size is %zu, not %zu",
                       o->struct_size, sizeof *o);
        return false;
    }
    bool random = o->probe <= DEQ_PROBE_RADEMACHER || o->probability < 1;
    if (!(o->weight >= 0))
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "jacobian penalty: weight is %g, expected >= 0",
                       o->weight);
    else if (o->probe < DEQ_PROBE_NORMAL || o->probe > DEQ_PROBE_GIVEN)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "jacobian penalty: %d is not a probe", (int)o->probe);
    else if (o->form != DEQ_JACOBIAN_REVERSE_OVER_JVP && o->form != DEQ_JACOBIAN_DOUBLE_BACKWARD)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "jacobian penalty: %d is not a form", (int)o->form);
    else if (o->n_probes < 1)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "jacobian penalty: %d probes, expected at least 1",
                       o->n_probes);
    else if (!(o->probability >= 0 && o->probability <= 1))
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "jacobian penalty: probability is %g, expected 0 to 1",
                       o->probability);
    else if (o->stream < 0)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "jacobian penalty: stream is %lld, expected >= 0",
                       (long long)o->stream);
    else if (o->probe == DEQ_PROBE_GIVEN && !o->given)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "jacobian penalty: no probes given");
    else if (random && key.id == 0)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "jacobian penalty: no key for its random draws");
    return deq_graph_status(g) == DEQ_OK;
}

static bool check_point(point *p, const deq_value *z_star)
{
    if (!deq_check_states(p->g, z_star, p->n)) return false;
    for (int i = 0; i < p->n; i++) {
        p->type[i] = deq_value_type(p->g, z_star[i]);
        p->batch = p->type[i].shape.dim[0];
        p->dim += deq_shape_count(&p->type[i].shape) / p->batch;
    }
    if (p->o->probe == DEQ_PROBE_EXACT && p->dim > DEQ_EXACT_PROBES_MAX)
        deq_graph_fail(p->g, DEQ_ERR_SHAPE,
                       "jacobian penalty: exact probes for %lld elements a sample, at most %d",
                       (long long)p->dim, DEQ_EXACT_PROBES_MAX);
    return deq_graph_status(p->g) == DEQ_OK;
}

/* Probes ------------------------------------------------------------------------------------- */

/* Element `at` of every sample of the state. */
static deq_value unit_vector(const point *p, int state, int64_t at)
{
    deq_type t = p->type[state];
    deq_shape row = t.shape;
    double d[DEQ_EXACT_PROBES_MAX] = { 0 };
    float f[DEQ_EXACT_PROBES_MAX] = { 0 };
    row.dim[0] = 1;
    d[at] = 1;
    f[at] = 1;
    deq_value one = deq_constant(p->g, t.dtype, row, t.dtype == DEQ_F64 ? (void *)d : (void *)f);
    return deq_broadcast(p->g, one, t.shape);
}

static void unit_probe(const point *p, int64_t at, deq_value *eps)
{
    for (int i = 0; i < p->n; i++) {
        int64_t size = deq_shape_count(&p->type[i].shape) / p->batch;
        bool here = at >= 0 && at < size;
        eps[i] = here ? unit_vector(p, i, at)
                      : deq_fill(p->g, p->type[i].dtype, p->type[i].shape, 0);
        at -= size;
    }
}

static void probe(const point *p, int m, deq_value *eps)
{
    const deq_jacobian_options *o = p->o;
    if (o->probe == DEQ_PROBE_EXACT) {
        unit_probe(p, m, eps);
        return;
    }
    for (int i = 0; i < p->n; i++) {
        const deq_type *t = &p->type[i];
        int64_t stream = o->stream + 1 + (int64_t)m * p->n + i;
        if (o->probe == DEQ_PROBE_GIVEN)
            eps[i] = o->given[m * p->n + i];
        else if (o->probe == DEQ_PROBE_NORMAL)
            eps[i] = deq_random_normal(p->g, p->key, t->dtype, t->shape, stream);
        else
            eps[i] = deq_random_rademacher(p->g, p->key, t->dtype, t->shape, stream);
    }
}

/* The penalty -------------------------------------------------------------------------------- */

static deq_value inner_product(const point *p, const deq_value *a, const deq_value *b)
{
    deq_value sum = DEQ_NONE;
    for (int i = 0; i < p->n; i++)
        sum = deq_add_maybe(p->g, sum,
                            deq_sum(p->g, deq_mul(p->g, a[i], b[i]), DEQ_ALL_AXES, false));
    return sum;
}

/* |eps' J|^2 over the batch. */
static deq_value one_probe(const point *p, const deq_value *eps)
{
    deq_graph *g = p->g;
    deq_value r[DEQ_MAX_STATES], jr[DEQ_MAX_STATES];
    if (deq_vjp(g, r, p->fz, eps, p->n, p->z, p->n) != DEQ_OK) return r[0];        /* (1) */
    if (p->o->form == DEQ_JACOBIAN_DOUBLE_BACKWARD) return inner_product(p, r, r); /* (2) */

    for (int i = 0; i < p->n; i++) r[i] = deq_stop_gradient(g, r[i]);
    if (deq_jvp(g, jr, p->fz, p->n, p->z, r, p->n) != DEQ_OK) return r[0];
    deq_value s = inner_product(p, eps, jr); /* (3) */
    deq_value change = deq_sub(g, s, deq_stop_gradient(g, s));
    return deq_add(g, inner_product(p, r, r), deq_scale(g, change, 2));
}

/* value where the draw is 1, else an exact zero, with the derivatives likewise. */
static deq_value applied(const point *p, deq_value value)
{
    if (p->o->probability >= 1) return value;
    deq_dtype dtype = p->type[0].dtype;
    deq_value zero = deq_fill(p->g, dtype, DEQ_SCALAR, 0);
    deq_value tau = deq_random_bernoulli(p->g, p->key, dtype, DEQ_SCALAR, p->o->stream,
                                         p->o->probability);
    return deq_where(p->g, deq_greater(p->g, tau, zero), value, zero);
}

deq_value deq_jacobian_penalty(deq_graph *g, deq_cell_fn *cell, void *user, const deq_value *z_star,
                               int n_states, deq_value key, const deq_jacobian_options *options)
{
    deq_jacobian_options o = deq_jacobian_defaults();
    const deq_value invalid = { -1 };
    if (options) o = *options;
    point p = { .g = g, .o = &o, .key = key, .n = n_states };
    if (deq_graph_status(g) != DEQ_OK || !check_options(g, &o, key) || !check_point(&p, z_star))
        return invalid;
    for (int i = 0; i < n_states; i++) {
        p.z[i] = deq_stop_gradient(g, z_star[i]);
        p.fz[i] = invalid;
    }
    cell(g, p.z, p.fz, user);
    int count = o.probe == DEQ_PROBE_EXACT ? (int)p.dim : o.n_probes;
    double mean = o.probe == DEQ_PROBE_EXACT ? 1 : o.n_probes;
    deq_value sum = DEQ_NONE;
    for (int m = 0; m < count && deq_graph_status(g) == DEQ_OK; m++) {
        deq_value eps[DEQ_MAX_STATES];
        probe(&p, m, eps);
        sum = deq_add_maybe(g, sum, one_probe(&p, eps));
    }
    if (deq_graph_status(g) != DEQ_OK) return invalid;
    return applied(&p, deq_scale(g, sum, o.weight / (mean * (double)p.batch * (double)p.dim)));
}

bool deq_jacobian_applies(uint64_t seed, uint64_t step, const deq_jacobian_options *options)
{
    deq_jacobian_options o = options ? *options : deq_jacobian_defaults();
    if (o.probability >= 1) return true;
    double tau = 0;
    deq_random_key key = { .seed = seed, .step = step, .stream = (uint64_t)o.stream };
    deq_random_draw(&tau, DEQ_F64, 1, key,
                    (deq_random_law){ DEQ_RANDOM_BERNOULLI, o.probability, 0 }, 1);
    return tau > 0;
}
