/* SPDX-License-Identifier: MIT */
/*
 * What a model family is: one constant `deq_family`, entered in the table of model.c.
 *
 * A family's build function makes the layers outside of its equilibrium, describes the equilibrium
 * as a deq_model_problem (model/solve.h) and hands it to deq_model_equilibrium(), which all families
 * share: start, solve, head, penalty.
 */
#ifndef DEQ_MODEL_FAMILY_H
#define DEQ_MODEL_FAMILY_H

#include "base/context.h"

#include <deq/model.h>

/* What a state dictionary's name means to a family. */
typedef enum deq_name_use {
    DEQ_NAME_WEIGHT = 0, /* a weight: `mapped` has libdeq's name */
    DEQ_NAME_IGNORED     /* of no use by design: a counter, a frozen copy */
} deq_name_use;

typedef struct deq_family {
    const char *name;
    /* Set the family's part of the options, and classes. */
    void (*defaults)(deq_model_options *o);
    /* Build; a mistake marks the graph. */
    void (*build)(deq_nn *nn, deq_model_outputs *out, deq_value x, const deq_model_options *o,
                  const deq_model_solve *solve);
    /* libdeq's name for a name of another implementation, without "module."; names that the family
     * does not know are copied unchanged.  The endings of normalised weights (weight, weight_g,
     * weight_v) are left alone: deq_model_load() deals with those.  NULL: all names are libdeq's. */
    deq_name_use (*map_name)(char *mapped, size_t size, const char *name,
                             const deq_model_options *o);
} deq_family;

extern const deq_family deq_family_mlp, deq_family_monotone, deq_family_multiscale,
    deq_family_sequence, deq_family_maze;

/* The table's entry; NULL for what is no family. */
const deq_family *deq_family_find(deq_model_family family);

#endif
