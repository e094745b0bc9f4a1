/* SPDX-License-Identifier: MIT */
/*
 * Recurrent-convolutional cells on sequences and images, without biases, all kernels of extent 3
 * (Schwarzschild et al. 2021; Bansal et al. 2022; Anil et al. 2022):
 *
 *   start    relu(conv(x))                                             projection           (1)
 *   cell     u = conv(concat(z, x)), [relu]                            cell.inject          (2)
 *            u <- relu([gn] conv2(relu([gn] conv1(u))) + u)            cell.block.i         (3)
 *   head     conv, relu, conv, relu, conv                              head.conv1 to 3      (4)
 */
#include "model/family.h"
#include "model/solve.h"
#include "nn/nn.h"

#include <deq/op.h>
#include <stdio.h>
#include <string.h>

typedef struct recurrent {
    deq_nn *nn;
    deq_recurrent_options o; /* nothing is zero that means a default */
    bool image;
    int64_t classes;
    deq_value x;
} recurrent;

/* The defaults of what is zero. */
static deq_recurrent_options settings(const deq_recurrent_options *given, bool image)
{
    deq_recurrent_options o = *given;
    if (o.width == 0) o.width = 128;
    if (o.blocks == 0) o.blocks = 2;
    if (o.head[0] == 0) o.head[0] = image ? 32 : o.width;
    if (o.head[1] == 0) o.head[1] = image ? 8 : (o.width + 1) / 2;
    return o;
}

static void sequence_defaults(deq_model_options *o)
{
    deq_recurrent_options r = { .inject_relu = true };
    o->classes = 2;
    o->recurrent = settings(&r, false);
}

static void maze_defaults(deq_model_options *o)
{
    deq_recurrent_options r = { 0 };
    o->classes = 2;
    o->recurrent = settings(&r, true);
}

static bool check(const recurrent *r, const char *what)
{
    deq_graph *g = deq_nn_graph(r->nn);
    const deq_recurrent_options *o = &r->o;
    int rank = r->image ? 4 : 3;
    deq_type t = deq_value_type(g, r->x);
    if (o->width < 1 || o->blocks < 1 || o->head[0] < 1 || o->head[1] < 1 || o->groups < 0)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT,
                       "%s: width %lld, %lld blocks, head %lld, %lld, %lld groups: none may be "
                       "negative",
                       what, (long long)o->width, (long long)o->blocks, (long long)o->head[0],
                       (long long)o->head[1], (long long)o->groups);
    else if (t.shape.rank != rank)
        deq_graph_fail(g, DEQ_ERR_SHAPE, "%s: the input has %d axes, expected %s", what,
                       t.shape.rank, r->image ? "[B, C, H, W]" : "[B, C, T]");
    return deq_graph_status(g) == DEQ_OK;
}

/* Layers ------------------------------------------------------------------------------------- */

static deq_value conv(const recurrent *r, const char *name, deq_value x, int64_t channels,
                      deq_weight_kind kind)
{
    const deq_layer_options *o = DEQ_LAYER(.no_bias = true, .weight = { .kind = kind });
    return r->image ? deq_nn_conv2d(r->nn, name, x, channels, 3, o)
                    : deq_nn_conv1d(r->nn, name, x, channels, 3, o);
}

/* A convolution of a block, with its group normalisation, if there is one. */
static deq_value normed(const recurrent *r, const char *name, deq_value x)
{
    deq_value y = conv(r, name, x, r->o.width, r->o.norm);
    return r->o.groups ? deq_nn_group_norm(r->nn, name, y, r->o.groups, false) : y;
}

static deq_value block(const recurrent *r, int64_t i, deq_value u)
{
    deq_graph *g = deq_nn_graph(r->nn);
    deq_nn_enter(r->nn, "block.%lld", (long long)i);
    deq_value h = deq_relu(g, normed(r, "conv1", u)); /* (3) */
    h = deq_relu(g, deq_add(g, normed(r, "conv2", h), u));
    deq_nn_leave(r->nn);
    return h;
}

static void cell(deq_graph *g, const deq_value *z, deq_value *fz, void *user)
{
    const recurrent *r = user;
    const deq_value both[2] = { z[0], r->x };
    deq_value u = z[0];
    deq_nn_enter(r->nn, "cell");
    if (!r->o.no_injection) {
        u = conv(r, "inject", deq_concat(g, both, 2, 1), r->o.width, r->o.norm); /* (2) */
        if (r->o.inject_relu) u = deq_relu(g, u);
    }
    for (int64_t i = 0; i < r->o.blocks; i++) u = block(r, i, u);
    deq_nn_leave(r->nn);
    fz[0] = u;
}

static deq_value head(deq_nn *nn, const deq_value *z, void *user)
{
    const recurrent *r = user;
    deq_graph *g = deq_nn_graph(nn);
    deq_nn_enter(nn, "head");
    deq_value h = deq_relu(g, conv(r, "conv1", z[0], r->o.head[0], DEQ_WEIGHT_PLAIN)); /* (4) */
    h = deq_relu(g, conv(r, "conv2", h, r->o.head[1], DEQ_WEIGHT_PLAIN));
    h = conv(r, "conv3", h, r->classes, DEQ_WEIGHT_PLAIN);
    deq_nn_leave(nn);
    return h;
}

static void build(deq_nn *nn, deq_model_outputs *out, deq_value x, const deq_model_options *o,
                  const deq_model_solve *solve)
{
    deq_graph *g = deq_nn_graph(nn);
    bool image = o->family == DEQ_MODEL_MAZE;
    recurrent r = { nn, settings(&o->recurrent, image), image, o->classes, x };
    const char *what = image ? "maze" : "sequence";
    if (!check(&r, what)) return;
    deq_start start = deq_model_start(solve, DEQ_START_PROJECTION);
    if (r.o.no_injection && start != DEQ_START_PROJECTION && start != DEQ_START_GIVEN) {
        deq_graph_fail(g, DEQ_ERR_ARGUMENT,
                       "%s: without injection the input enters by the projection alone; the start "
                       "must be that, or given",
                       what);
        return;
    }
    deq_value projection = deq_relu(
        g, conv(&r, "projection", x, r.o.width, DEQ_WEIGHT_PLAIN)); /* (1) */
    deq_model_problem p = { .cell = cell,
                            .head = head,
                            .user = &r,
                            .n_states = 1,
                            .usual = DEQ_START_PROJECTION,
                            .projection = &projection };
    p.shape[0] = deq_value_type(g, projection).shape;
    deq_model_equilibrium(nn, out, &p, solve);
}

/* Names -------------------------------------------------------------------------------------- */

/* The names of deep-thinking nets (github.com/aks2203/deep-thinking), whose modules are lists; block
 * i of layer j is recur_block.j.i, and recur_block.0.weight the injection:
 *
 *   projection.0, recur_block.0, recur_block.j.i.conv1, head.0, head.2, head.4 */
static deq_name_use map_name(char *mapped, size_t size, const char *name,
                             const deq_model_options *o)
{
    static const char *const table[][2] = {
        { "projection.0.weight", "projection.weight" },
        { "recur_block.0.weight", "cell.inject.weight" },
        { "head.0.weight", "head.conv1.weight" },
        { "head.2.weight", "head.conv2.weight" },
        { "head.4.weight", "head.conv3.weight" },
    };
    (void)o;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        size_t n = strlen(table[i][0]); /* "_g" and "_v" may follow */
        if (strncmp(name, table[i][0], n) != 0) continue;
        snprintf(mapped, size, "%s%s", table[i][1], name + n);
        return DEQ_NAME_WEIGHT;
    }
    static const char layers[] = "recur_block.";
    const char *rest = strncmp(name, layers, strlen(layers)) == 0
                           ? strchr(name + strlen(layers), '.')
                           : NULL;
    snprintf(mapped, size, "%s%s", rest ? "cell.block" : "", rest ? rest : name);
    return DEQ_NAME_WEIGHT;
}

const deq_family deq_family_sequence = { "sequence", sequence_defaults, build, map_name };
const deq_family deq_family_maze = { "maze", maze_defaults, build, map_name };
