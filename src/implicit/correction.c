/* SPDX-License-Identifier: MIT */
/* Weighted sums of the losses of several states. */
#include "op/op.h"

#include <deq/op.h>
#include <deq/supervision.h>
#include <math.h>

deq_correction_options deq_correction_defaults(deq_correction_law law)
{
    return (deq_correction_options){ .struct_size = sizeof(deq_correction_options),
                                     .law = law,
                                     .factor = law == DEQ_CORRECTION_EXPONENTIAL ? 0.8
                                               : law == DEQ_CORRECTION_LINEAR    ? 0.9
                                                                                 : 1 };
}

double deq_correction_weight(const deq_correction_options *options, int n, int i)
{
    deq_correction_options o = deq_correction_defaults(DEQ_CORRECTION_EXPONENTIAL);
    if (options) o = *options;
    switch (o.law) {
    case DEQ_CORRECTION_EXPONENTIAL: return pow(o.factor, n - i - 1);
    case DEQ_CORRECTION_LINEAR: return 1 - o.factor * (n - i - 1) / n + o.bias;
    default: return o.factor;
    }
}

static bool check(deq_graph *g, const deq_value *losses, int n, const deq_correction_options *o)
{
    if (o && o->struct_size != sizeof *o)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "correction: options.struct_size is %zu, not %zu",
                       o->struct_size, sizeof *o);
    else if (o && (o->law < DEQ_CORRECTION_EXPONENTIAL || o->law > DEQ_CORRECTION_CONSTANT))
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "correction: %d is not a law", (int)o->law);
    else if (o && !(isfinite(o->factor) && isfinite(o->bias)))
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "correction: factor %g, bias %g", o->factor, o->bias);
    else if (n < 1)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "correction: no losses");
    for (int i = 1; i < n && deq_graph_status(g) == DEQ_OK; i++) {
        char text[256], expected[256];
        deq_type a = deq_value_type(g, losses[0]), b = deq_value_type(g, losses[i]);
        if (a.dtype != b.dtype || !deq_shape_equal(&a.shape, &b.shape))
            deq_graph_fail(g, DEQ_ERR_SHAPE, "correction: loss %d is %s, loss 0 is %s", i,
                           deq_type_format(text, sizeof text, &b),
                           deq_type_format(expected, sizeof expected, &a));
    }
    return deq_graph_status(g) == DEQ_OK;
}

deq_value deq_fixed_point_correction(deq_graph *g, const deq_value *losses, int n,
                                     const deq_correction_options *options)
{
    deq_value sum = DEQ_NONE;
    if (!check(g, losses, n, options)) return (deq_value){ -1 };
    for (int i = 0; i < n; i++) {
        double weight = deq_correction_weight(options, n, i);
        sum = deq_add_maybe(g, sum, deq_scale(g, losses[i], weight));
    }
    return sum;
}
