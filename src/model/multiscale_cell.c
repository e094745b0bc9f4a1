/* SPDX-License-Identifier: MIT */
/*
 * The cell of a multiscale equilibrium: z_i' = f_i(z_0, z_1, ...; x).
 *
 *     block       o_i = GN(drop(conv(relu(GN(conv(z_i))))) + x_i) + z_i                         (1)
 *                 y_i = GN(relu(o_i))                                                           (2)
 *     fusion      s_i = y_i + sum_{j != i} T_ij(y_j)                                            (3)
 *     T_ij, j > i conv 1x1, GN, nearest upsampling by 2^(j-i)                                   (4)
 *     T_ij, j < i i - j stages conv 3x3 of stride 2, GN, with relu between them                 (5)
 *     behind it   z_i' = GN_{G/2}(conv 1x1(relu(s_i)))                                          (6)
 *
 * With one branch f is (1) and (2) alone.
 */
#include "model/multiscale.h"

#include <deq/op.h>

static const deq_init narrow = { .law = DEQ_INIT_NORMAL, .value = 0.01 };

/* A convolution without bias.  The original initialises all of them with deviation 0.01, which the
 * normalised ones never see: those keep PyTorch's default. */
static deq_value convolve(deq_nn *nn, const char *name, deq_value x, int64_t channels,
                          int64_t kernel, int64_t stride, deq_weight_kind kind)
{
    deq_weight_options weight = { .kind = kind };
    if (kind == DEQ_WEIGHT_PLAIN) weight.init = &narrow;
    return deq_nn_conv2d(nn, name, x, channels, kernel,
                         DEQ_LAYER(.no_bias = true, .stride = stride, .weight = weight));
}

/* (1), (2) */
static deq_value block(const deq_multiscale_cell *c, int i, deq_value z)
{
    const deq_multiscale_options *o = c->options;
    deq_nn *nn = c->nn;
    deq_graph *g = deq_nn_graph(nn);
    const uint32_t plane = 1u << 2 | 1u << 3;
    deq_nn_enter(nn, "branches.%d.blocks.0", i);
    deq_value h = convolve(nn, "conv1", z, o->expansion * o->channels[i], o->kernel1, 1, o->norm);
    h = deq_relu(g, deq_nn_group_norm(nn, "gn1", h, o->groups, true));
    h = convolve(nn, "conv2", h, o->channels[i], o->kernel2, 1, o->norm);
    h = deq_nn_dropout(nn, "drop", h, o->dropout, plane);
    if (i == 0) h = deq_add(g, h, c->x);
    h = deq_add(g, deq_nn_group_norm(nn, "gn2", h, o->groups, true), z);
    h = deq_nn_group_norm(nn, "gn3", deq_relu(g, h), o->groups, true);
    deq_nn_leave(nn);
    return h;
}

/* (4) */
static deq_value upward(const deq_multiscale_cell *c, int i, int j, deq_value y)
{
    const deq_multiscale_options *o = c->options;
    deq_graph *g = deq_nn_graph(c->nn);
    deq_weight_kind kind = o->norm_fusion ? o->norm : DEQ_WEIGHT_PLAIN;
    deq_type t = deq_value_type(g, y);
    deq_value h = convolve(c->nn, "conv", y, o->channels[i], 1, 1, kind);
    h = deq_nn_group_norm(c->nn, "gnorm", h, o->groups, true);
    return deq_resize_nearest(g, h, t.shape.dim[2] << (j - i), t.shape.dim[3] << (j - i));
}

/* (5) */
static deq_value downward(const deq_multiscale_cell *c, int i, int j, deq_value y)
{
    const deq_multiscale_options *o = c->options;
    deq_graph *g = deq_nn_graph(c->nn);
    deq_weight_kind kind = o->norm_fusion ? o->norm : DEQ_WEIGHT_PLAIN;
    for (int k = 0; k < i - j; k++) {
        int64_t channels = o->channels[k == i - j - 1 ? i : j];
        if (k > 0) y = deq_relu(g, y);
        deq_nn_enter(c->nn, "%d", k);
        y = convolve(c->nn, "conv", y, channels, 3, 2, kind);
        y = deq_nn_group_norm(c->nn, "gnorm", y, o->groups, true);
        deq_nn_leave(c->nn);
    }
    return y;
}

/* (3) */
static deq_value fuse(const deq_multiscale_cell *c, int i, const deq_value *y)
{
    deq_value s = y[i];
    for (int j = 0; j < c->options->n_branches; j++) {
        if (j == i) continue;
        deq_nn_enter(c->nn, "fuse_layers.%d.%d.net", i, j);
        deq_value t = j > i ? upward(c, i, j, y[j]) : downward(c, i, j, y[j]);
        s = deq_add(deq_nn_graph(c->nn), s, t);
        deq_nn_leave(c->nn);
    }
    return s;
}

/* (6) */
static deq_value finish(const deq_multiscale_cell *c, int i, deq_value s)
{
    const deq_multiscale_options *o = c->options;
    deq_nn_enter(c->nn, "post_fuse_layers.%d", i);
    deq_value h = deq_relu(deq_nn_graph(c->nn), s);
    h = convolve(c->nn, "conv", h, o->channels[i], 1, 1, o->norm);
    h = deq_nn_group_norm(c->nn, "gnorm", h, o->groups / 2, o->post_fuse_affine);
    deq_nn_leave(c->nn);
    return h;
}

void deq_multiscale_map(deq_graph *g, const deq_value *z, deq_value *fz, void *user)
{
    const deq_multiscale_cell *c = user;
    int n = c->options->n_branches;
    deq_value y[DEQ_MAX_BRANCHES];
    (void)g;
    deq_nn_enter(c->nn, "fullstage");
    for (int i = 0; i < n; i++) y[i] = block(c, i, z[i]);
    for (int i = 0; i < n; i++) fz[i] = n == 1 ? y[0] : finish(c, i, fuse(c, i, y));
    deq_nn_leave(c->nn);
}

void deq_multiscale_shapes(deq_shape *shapes, deq_shape features, const deq_multiscale_options *o)
{
    for (int i = 0; i < o->n_branches; i++)
        shapes[i] = DEQ_SHAPE(features.dim[0], o->channels[i], features.dim[2] >> i,
                              features.dim[3] >> i);
}
