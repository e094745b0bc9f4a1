/* SPDX-License-Identifier: MIT */
/*
 * The splittings of a monotone equilibrium as maps, with M = I - W:
 *
 *     forward-backward   F(z) = relu(z - a M z + a c)                                             (1)
 *     Peaceman-Rachford  F(u) = 2 V(h + a c) - h,  h = 2 relu(u) - u = |u|,  V = (I + a M)^-1     (2)
 *                             = (2 V - I) |u| + 2 a V c,  and z = relu(u)
 *
 * Fully connected, W is a matrix and so is V, both computed once from the weights; an evaluation is
 * one product.  With convolutions M is applied, and V r is the solution of an inner equilibrium
 *
 *     v = v - s (v + a M v - r),    s = (1 + a m) / (1 + a L)^2                                   (3)
 *
 * which contracts, as (1) does with the default  a = m / L^2,  L >= |M|.
 */
#include "model/monotone.h"

#include <deq/equilibrium.h>
#include <deq/op.h>
#include <math.h>

deq_value deq_monotone_identity(deq_graph *g, deq_dtype dtype, int64_t n)
{
    /* 1 0 ... 0 | 0 1 0 ...: rows of n + 1, read as rows of n */
    const int64_t before[2] = { 0, 0 }, after[2] = { 0, n };
    deq_value ones = deq_fill(g, dtype, DEQ_SHAPE(n, 1), 1);
    deq_value rows = deq_pad(g, ones, before, after, DEQ_PAD_ZERO);
    deq_value flat = deq_reshape(g, rows, DEQ_SHAPE(n * (n + 1)));
    return deq_reshape(g, deq_slice(g, flat, 0, 0, n * n), DEQ_SHAPE(n, n));
}

/* Weights ------------------------------------------------------------------------------------ */

static deq_value strength(const deq_monotone_cell *c)
{
    const deq_monotone_options *o = c->options;
    deq_graph *g = deq_nn_graph(c->nn);
    if (!o->learn_m) return deq_fill(g, deq_nn_dtype(c->nn), DEQ_SCALAR, o->m);
    double raw = log(expm1(o->m - 1e-4));
    deq_value m = deq_nn_parameter(c->nn, "m_raw", DEQ_SCALAR, DEQ_INIT_TO(raw));
    return deq_shift(g, deq_softplus(g, m), 1e-4);
}

/* W = (1 - m) I - A'A + S - S' */
static deq_value dense(const deq_monotone_cell *c)
{
    deq_graph *g = deq_nn_graph(c->nn);
    deq_value I = deq_monotone_identity(g, deq_nn_dtype(c->nn), c->options->width);
    deq_value W = deq_mul(g, I, deq_sub(g, deq_fill(g, deq_nn_dtype(c->nn), DEQ_SCALAR, 1), c->m));
    W = deq_sub(g, W, deq_matmul(g, c->A, c->A, true, false));
    return deq_add(g, W, deq_sub(g, c->S, deq_transpose(g, c->S, 0, 1)));
}

/* M z with convolutions */
static deq_value apply(const deq_monotone_cell *c, deq_value z)
{
    deq_graph *g = deq_nn_graph(c->nn);
    int64_t pad = c->options->kernel / 2;
    const deq_conv2d_options *same = DEQ_CONV2D(.padding = { pad, pad });
    const deq_conv_transpose2d_options *back = DEQ_CONV_TRANSPOSE2D(.padding = { pad, pad });
    deq_value AAz = deq_conv_transpose2d(g, deq_conv2d(g, z, c->A, DEQ_NONE, same), c->A, DEQ_NONE,
                                         back);
    deq_value Sz = deq_conv2d(g, z, c->S, DEQ_NONE, same);
    deq_value Stz = deq_conv_transpose2d(g, z, c->S, DEQ_NONE, back);
    deq_value y = deq_add(g, deq_mul(g, z, c->m), AAz);
    return deq_add(g, y, deq_sub(g, Stz, Sz));
}

/* Steps -------------------------------------------------------------------------------------- */

/* L >= |M| */
static deq_value bound(const deq_monotone_cell *c)
{
    deq_graph *g = deq_nn_graph(c->nn);
    if (c->options->convolution)
        return deq_monotone_convolution_bound(g, deq_stop_gradient(g, c->A),
                                              deq_stop_gradient(g, c->S), c->m);
    deq_value I = deq_monotone_identity(g, deq_nn_dtype(c->nn), c->options->width);
    return deq_spectral_bound(g, deq_sub(g, I, deq_stop_gradient(g, c->W)), 6, 0);
}

static deq_value splitting_step(const deq_monotone_cell *c)
{
    const deq_monotone_options *o = c->options;
    deq_graph *g = deq_nn_graph(c->nn);
    bool forward = o->splitting == DEQ_SPLITTING_FORWARD_BACKWARD;
    if (o->alpha != 0 || !forward)
        return deq_fill(g, deq_nn_dtype(c->nn), DEQ_SCALAR, o->alpha != 0 ? o->alpha : 1);
    return deq_stop_gradient(g, deq_div(g, c->m, deq_square(g, bound(c))));
}

/* s of (3) */
static deq_value inner_step(const deq_monotone_cell *c)
{
    deq_graph *g = deq_nn_graph(c->nn);
    deq_value low = deq_shift(g, deq_mul(g, c->alpha, c->m), 1);
    deq_value high = deq_shift(g, deq_mul(g, c->alpha, bound(c)), 1);
    return deq_stop_gradient(g, deq_div(g, low, deq_square(g, high)));
}

/* (1) and (2) as one product */
static void prepare_dense(deq_monotone_cell *c)
{
    deq_graph *g = deq_nn_graph(c->nn);
    deq_value I = deq_monotone_identity(g, deq_nn_dtype(c->nn), c->options->width);
    deq_value aM = deq_mul(g, deq_sub(g, I, c->W), c->alpha);
    if (c->options->splitting == DEQ_SPLITTING_FORWARD_BACKWARD) {
        c->F = deq_sub(g, I, aM);
        c->f = deq_mul(g, c->c, c->alpha);
        return;
    }
    deq_value V = deq_scale(g, deq_monotone_inverse(g, deq_add(g, I, aM)), 2);
    c->F = deq_sub(g, V, I);
    c->f = deq_mul(g, deq_linear(g, c->c, V, DEQ_NONE), c->alpha);
}

void deq_monotone_settle(deq_monotone_options *o)
{
    if (!o->width) o->width = o->convolution ? 64 : 100;
    if (!o->rank) o->rank = o->width;
    if (!o->kernel) o->kernel = 3;
    if (!o->pool) o->pool = 4;
    if (o->m == 0) o->m = 1;
}

static void find_weights(deq_monotone_cell *c, deq_value x)
{
    static const deq_init fan_in = { .law = DEQ_INIT_FAN_IN, .value = 1 };
    static const deq_init fan_in_of_U = { .law = DEQ_INIT_FAN_IN, .value = 1, .of = "U" };
    const deq_monotone_options *o = c->options;
    deq_graph *g = deq_nn_graph(c->nn);
    deq_type t = deq_value_type(g, x);
    int64_t n = o->width, k = o->kernel, features = 1;
    for (int i = 1; i < t.shape.rank; i++) features *= t.shape.dim[i];
    deq_shape of_A = o->convolution ? DEQ_SHAPE(n, n, k, k) : DEQ_SHAPE(o->rank, n);
    deq_shape of_S = o->convolution ? DEQ_SHAPE(n, n, k, k) : DEQ_SHAPE(n, n);
    deq_shape of_U = o->convolution ? DEQ_SHAPE(n, t.shape.dim[1], k, k) : DEQ_SHAPE(n, features);
    deq_nn_enter(c->nn, "mon.core");
    c->A = deq_nn_parameter(c->nn, "A", of_A, fan_in);
    c->S = deq_nn_parameter(c->nn, "S", of_S, fan_in);
    c->m = strength(c);
    deq_value U = deq_nn_parameter(c->nn, "U", of_U, fan_in);
    deq_value b = deq_nn_parameter(c->nn, "b", DEQ_SHAPE(n), fan_in_of_U);
    deq_nn_leave(c->nn);
    if (o->convolution) {
        c->c = deq_conv2d(g, x, U, b, DEQ_CONV2D(.padding = { k / 2, k / 2 }));
    } else {
        c->c = deq_linear(g, deq_reshape(g, x, DEQ_SHAPE(t.shape.dim[0], features)), U, b);
        c->W = dense(c);
    }
}

void deq_monotone_begin(deq_monotone_cell *c, deq_nn *nn, deq_value x,
                        const deq_monotone_options *options)
{
    *c = (deq_monotone_cell){ .nn = nn, .options = options };
    find_weights(c, x);
    c->alpha = splitting_step(c);
    if (!options->convolution)
        prepare_dense(c);
    else if (options->splitting == DEQ_SPLITTING_PEACEMAN_RACHFORD)
        c->step = inner_step(c);
}

/* Maps --------------------------------------------------------------------------------------- */

/* What (3) captures besides the weights. */
typedef struct resolvent {
    const deq_monotone_cell *c;
    deq_value r;
} resolvent;

static void inner_map(deq_graph *g, const deq_value *v, deq_value *fv, void *user)
{
    const resolvent *p = user;
    deq_value aMv = deq_mul(g, apply(p->c, v[0]), p->c->alpha);
    deq_value residual = deq_sub(g, deq_add(g, v[0], aMv), p->r);
    fv[0] = deq_sub(g, v[0], deq_mul(g, residual, p->c->step));
}

/* V r, by Anderson's acceleration of (3): an affine map, so nearly GMRES */
static deq_value resolve(const deq_monotone_cell *c, deq_value r)
{
    bool wide = deq_nn_dtype(c->nn) == DEQ_F64;
    resolvent p = { c, r };
    deq_equilibrium_options o = deq_equilibrium_defaults();
    o.forward.method = DEQ_ANDERSON;
    o.forward.max_iter = 200;
    o.forward.rtol = wide ? 1e-11 : 1e-6;
    o.adjoint.max_iter = 200;
    o.adjoint.rtol = wide ? 1e-11 : 1e-6;
    return deq_equilibrium(deq_nn_graph(c->nn), inner_map, &p, r, &o, NULL);
}

void deq_monotone_map(deq_graph *g, const deq_value *v, deq_value *fv, void *user)
{
    const deq_monotone_cell *c = user;
    bool forward = c->options->splitting == DEQ_SPLITTING_FORWARD_BACKWARD;
    if (!c->options->convolution) {
        deq_value y = deq_linear(g, forward ? v[0] : deq_abs(g, v[0]), c->F, DEQ_NONE);
        y = deq_add(g, y, c->f);
        fv[0] = forward ? deq_relu(g, y) : y;
    } else if (forward) {
        deq_value y = deq_sub(g, c->c, apply(c, v[0]));
        fv[0] = deq_relu(g, deq_add(g, v[0], deq_mul(g, y, c->alpha)));
    } else {
        deq_value h = deq_abs(g, v[0]);
        deq_value r = deq_add(g, h, deq_mul(g, c->c, c->alpha));
        fv[0] = deq_sub(g, deq_scale(g, resolve(c, r), 2), h);
    }
}

deq_value deq_monotone_state(const deq_monotone_cell *c, deq_value v)
{
    bool forward = c->options->splitting == DEQ_SPLITTING_FORWARD_BACKWARD;
    return forward ? v : deq_relu(deq_nn_graph(c->nn), v);
}

deq_value deq_monotone_head(const deq_monotone_cell *c, deq_value z, int64_t classes)
{
    deq_graph *g = deq_nn_graph(c->nn);
    if (c->options->convolution) {
        int64_t pool = c->options->pool;
        z = deq_average_pool2d(g, z, DEQ_AVERAGE_POOL2D(.kernel = { pool, pool }));
        deq_shape s = deq_value_type(g, z).shape;
        z = deq_reshape(g, z, DEQ_SHAPE(s.dim[0], s.dim[1] * s.dim[2] * s.dim[3]));
    }
    return deq_nn_linear(c->nn, "classifier", z, classes, NULL);
}
