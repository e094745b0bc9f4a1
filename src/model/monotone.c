/* SPDX-License-Identifier: MIT */
/* Monotone equilibrium models from end to end; the cell is in monotone_cell.c. */
#include "model/monotone.h"

#include "model/family.h"
#include "model/solve.h"
#include "nn/nn.h"

#include <deq/op.h>
#include <stdio.h>
#include <string.h>

typedef struct monotone {
    deq_monotone_cell cell; /* first: the problem's user is this one too */
    int64_t classes;
} monotone;

static void defaults(deq_model_options *o)
{
    o->monotone = (deq_monotone_options){ 0 };
    deq_monotone_settle(&o->monotone);
}

/* Zero fields have been given their defaults. */
static bool check(deq_graph *g, deq_value x, const deq_monotone_options *o)
{
    deq_type t = deq_value_type(g, x);
    if (deq_graph_status(g) != DEQ_OK) return false;
    if (o->width < 1 || o->rank < 1 || o->pool < 1)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT,
                       "monotone: width %lld, rank %lld, pool %lld, expected >= 1",
                       (long long)o->width, (long long)o->rank, (long long)o->pool);
    else if (o->kernel < 1 || o->kernel > DEQ_MONOTONE_KERNEL_MAX || o->kernel % 2 == 0)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "monotone: kernel is %lld, expected odd and 1 to %d",
                       (long long)o->kernel, DEQ_MONOTONE_KERNEL_MAX);
    else if (!(o->m > (o->learn_m ? 1e-4 : 0)))
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "monotone: m is %g, expected > %g", o->m,
                       o->learn_m ? 1e-4 : 0);
    else if (!(o->alpha >= 0))
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "monotone: alpha is %g, expected > 0, or 0", o->alpha);
    else if (o->splitting != DEQ_SPLITTING_FORWARD_BACKWARD &&
             o->splitting != DEQ_SPLITTING_PEACEMAN_RACHFORD)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "monotone: %d is not a splitting", (int)o->splitting);
    else if (o->convolution ? t.shape.rank != 4 : t.shape.rank < 2)
        deq_graph_fail(g, DEQ_ERR_SHAPE, "monotone: the input has %d axes, expected %s",
                       t.shape.rank, o->convolution ? "[B, C, H, W]" : "[B, ...]");
    else if (o->convolution && (t.shape.dim[2] < o->pool || t.shape.dim[3] < o->pool))
        deq_graph_fail(g, DEQ_ERR_SHAPE, "monotone: images of %lld x %lld, pooled by %lld",
                       (long long)t.shape.dim[2], (long long)t.shape.dim[3], (long long)o->pool);
    return deq_graph_status(g) == DEQ_OK;
}

static deq_value head(deq_nn *nn, const deq_value *v, void *user)
{
    const monotone *m = user;
    (void)nn;
    return deq_monotone_head(&m->cell, deq_monotone_state(&m->cell, v[0]), m->classes);
}

/* A start is one of the splitting's variable; what comes out is the equilibrium. */
static void build(deq_nn *nn, deq_model_outputs *out, deq_value x, const deq_model_options *options,
                  const deq_model_solve *solve)
{
    monotone m = { .classes = options->classes };
    deq_monotone_options o = options->monotone;
    deq_monotone_settle(&o);
    if (!check(deq_nn_graph(nn), x, &o)) return;
    deq_monotone_begin(&m.cell, nn, x, &o);
    deq_model_problem p = { .cell = deq_monotone_map, .head = head, .user = &m, .n_states = 1 };
    p.shape[0] = deq_value_type(deq_nn_graph(nn), m.cell.c).shape;
    if (deq_model_equilibrium(nn, out, &p, solve) == DEQ_OK)
        out->z_star[0] = deq_monotone_state(&m.cell, out->z_star[0]);
}

/* The fully connected model of Winston & Kolter's own code. */
static deq_name_use map_name(char *mapped, size_t size, const char *name,
                             const deq_model_options *o)
{
    static const struct {
        const char *theirs, *ours;
    } names[] = {
        { "mon.linear_module.U.weight", "mon.core.U" },
        { "mon.linear_module.U.bias", "mon.core.b" },
        { "mon.linear_module.A.weight", "mon.core.A" },
        { "mon.linear_module.B.weight", "mon.core.S" },
        { "Wout.weight", "classifier.weight" },
        { "Wout.bias", "classifier.bias" },
    };
    (void)o;
    snprintf(mapped, size, "%s", name);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(name, names[i].theirs)) snprintf(mapped, size, "%s", names[i].ours);
    return DEQ_NAME_WEIGHT;
}

const deq_family deq_family_monotone = { "monotone", defaults, build, map_name };
