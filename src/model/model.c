/* SPDX-License-Identifier: MIT */
/* The table of families, and what is done alike for all of them. */
#include "model/family.h"
#include "op/op.h"

#include <string.h>

static const deq_family *const families[DEQ_MODEL_COUNT] = {
    [DEQ_MODEL_MLP] = &deq_family_mlp,
    [DEQ_MODEL_MONOTONE] = &deq_family_monotone,
    [DEQ_MODEL_MULTISCALE] = &deq_family_multiscale,
    [DEQ_MODEL_SEQUENCE] = &deq_family_sequence,
    [DEQ_MODEL_MAZE] = &deq_family_maze,
};

const deq_family *deq_family_find(deq_model_family family)
{
    return family >= 0 && family < DEQ_MODEL_COUNT ? families[family] : NULL;
}

const char *deq_model_name(deq_model_family family)
{
    const deq_family *f = deq_family_find(family);
    return f ? f->name : "unknown";
}

deq_model_options deq_model_defaults(deq_model_family family)
{
    const deq_family *f = deq_family_find(family);
    deq_model_options o = { .struct_size = sizeof o, .family = family, .classes = 10 };
    if (f && f->defaults) f->defaults(&o);
    return o;
}

static bool check(deq_nn *nn, deq_value x, const deq_model_options *o)
{
    char text[256];
    deq_graph *g = deq_nn_graph(nn);
    deq_type t = deq_value_type(g, x);
    if (deq_graph_status(g) != DEQ_OK) return false;
    if (o->struct_size != sizeof *o)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "model: options.struct_size is %zu, expected %zu",
                       o->struct_size, sizeof *o);
    else if (!deq_family_find(o->family))
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "model: %d is not a family", (int)o->family);
    else if (o->classes < 1)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "model: %lld classes, expected at least 1",
                       (long long)o->classes);
    else if (t.dtype != deq_nn_dtype(nn))
        deq_graph_fail(g, DEQ_ERR_DTYPE, "model: the input is %s, but the weights are %s",
                       deq_type_format(text, sizeof text, &t), deq_dtype_name(deq_nn_dtype(nn)));
    return deq_graph_status(g) == DEQ_OK;
}

deq_status deq_model_build(deq_nn *nn, deq_model_outputs *out, deq_value x,
                           const deq_model_options *options, const deq_model_solve *solve)
{
    memset(out, 0, sizeof *out);
    if (check(nn, x, options)) deq_family_find(options->family)->build(nn, out, x, options, solve);
    return deq_graph_status(deq_nn_graph(nn));
}
