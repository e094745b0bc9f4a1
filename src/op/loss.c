/* SPDX-License-Identifier: MIT */
/* Losses, composed of other operators so that derivatives of any order come by composition. */
#include "op/pick.h"

#include <deq/op.h>
#include <string.h>

/* ---- cross entropy ------------------------------------------------------------------------ */

/* What deq_cross_entropy() was asked for, checked. */
typedef struct plan {
    deq_type logits;
    deq_pick_attr pick;
    deq_reduction reduction;
    double smoothing;
} plan;

static bool read_options(deq_graph *g, plan *p, deq_value logits,
                         const deq_cross_entropy_options *given)
{
    static const char op[] = "cross_entropy";
    deq_cross_entropy_options o = { .struct_size = sizeof o };
    memset(p, 0, sizeof *p);
    p->logits = deq_value_type(g, logits);
    if (deq_graph_status(g) != DEQ_OK) return false;
    if (given && given->struct_size != sizeof o)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "%s: options.struct_size is %zu, expected %zu", op,
                       given->struct_size, sizeof o);
    else if (given)
        o = *given;
    const int rank = p->logits.shape.rank;
    const int axis = o.axis == 0 ? 1 : o.axis < 0 ? o.axis + rank : o.axis;
    if (axis < 0 || axis >= rank)
        deq_graph_fail(g, DEQ_ERR_SHAPE, "%s: class axis %d, logits have rank %d", op,
                       o.axis == 0 ? 1 : o.axis, rank);
    if (o.reduction < DEQ_REDUCTION_MEAN || o.reduction > DEQ_REDUCTION_NONE)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "%s: reduction %d is unknown", op, (int)o.reduction);
    if (!(o.label_smoothing >= 0 && o.label_smoothing <= 1))
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "%s: label_smoothing is %g, expected 0 to 1", op,
                       o.label_smoothing);
    if (deq_graph_status(g) != DEQ_OK) return false;
    p->pick.axis = axis;
    p->pick.classes = p->logits.shape.dim[axis];
    p->pick.has_ignore = o.has_ignore;
    p->pick.ignore_index = o.has_ignore ? o.ignore_index : 0;
    p->reduction = o.reduction;
    p->smoothing = o.label_smoothing;
    return true;
}

/* Which positions count, as bool; DEQ_NONE when all do. */
static deq_value counted_positions(deq_graph *g, const plan *p, deq_value labels)
{
    if (!p->pick.has_ignore) return DEQ_NONE;
    deq_value ignored = deq_fill(g, DEQ_I32, DEQ_SCALAR, (double)p->pick.ignore_index);
    return deq_not_equal(g, labels, ignored);
}

/* (1 - a) log p_t + (a / K) sum_k log p_k at each position, 0 where ignored. */
static deq_value log_likelihood(deq_graph *g, const plan *p, deq_value log_p, deq_value labels,
                                deq_value counted)
{
    deq_value picked = deq_pick(g, log_p, labels, &p->pick);
    if (p->smoothing == 0) return picked;
    deq_value mean = deq_mean(g, log_p, DEQ_AXIS(p->pick.axis), false);
    if (counted.id) mean = deq_where(g, counted, mean, deq_fill(g, p->logits.dtype, DEQ_SCALAR, 0));
    return deq_add(g, deq_scale(g, picked, 1 - p->smoothing), deq_scale(g, mean, p->smoothing));
}

deq_value deq_cross_entropy(deq_graph *g, deq_value logits, deq_value labels,
                            const deq_cross_entropy_options *options)
{
    plan p;
    if (!read_options(g, &p, logits, options)) return (deq_value){ -1 };
    deq_value log_p = deq_log_softmax(g, logits, (int)p.pick.axis);
    deq_value counted = counted_positions(g, &p, labels);
    deq_value loss = deq_neg(g, log_likelihood(g, &p, log_p, labels, counted));
    if (p.reduction == DEQ_REDUCTION_NONE) return loss;
    if (p.reduction == DEQ_REDUCTION_MEAN && !counted.id)
        return deq_mean(g, loss, DEQ_ALL_AXES, false);
    loss = deq_sum(g, loss, DEQ_ALL_AXES, false);
    if (p.reduction == DEQ_REDUCTION_SUM) return loss;
    deq_value n = deq_sum(g, deq_cast(g, counted, p.logits.dtype), DEQ_ALL_AXES, false);
    return deq_div(g, loss, deq_max(g, n, deq_fill(g, p.logits.dtype, DEQ_SCALAR, 1)));
}

/* ---- errors ------------------------------------------------------------------------------- */

/* prediction - target, of equal types: a forgotten axis that broadcasts is a common slip. */
static deq_value difference(deq_graph *g, const char *op, deq_value prediction, deq_value target)
{
    deq_type a = deq_value_type(g, prediction), b = deq_value_type(g, target);
    if (deq_graph_status(g) != DEQ_OK) return (deq_value){ -1 };
    if (a.dtype == b.dtype && deq_shape_equal(&a.shape, &b.shape))
        return deq_sub(g, prediction, target);
    char ta[256], tb[256];
    return deq_graph_fail(g, a.dtype == b.dtype ? DEQ_ERR_SHAPE : DEQ_ERR_DTYPE,
                          "%s: the prediction is %s, the target %s", op,
                          deq_type_format(ta, sizeof ta, &a), deq_type_format(tb, sizeof tb, &b));
}

deq_value deq_mse(deq_graph *g, deq_value prediction, deq_value target)
{
    deq_value d = difference(g, "mse", prediction, target);
    return deq_mean(g, deq_square(g, d), DEQ_ALL_AXES, false);
}

deq_value deq_l1(deq_graph *g, deq_value prediction, deq_value target)
{
    deq_value d = difference(g, "l1", prediction, target);
    return deq_mean(g, deq_abs(g, d), DEQ_ALL_AXES, false);
}
