/* SPDX-License-Identifier: MIT */
/* What settings say together.  A setting that could have no effect is a mistake, not a detail. */
#include "base/context.h"

#include <deq/train/config.h>

typedef struct rule {
    bool broken;
    const char *message;
} rule;

static bool rising(const deq_int_list *list)
{
    for (int i = 1; i < list->count; i++)
        if (list->item[i] <= list->item[i - 1]) return false;
    return true;
}

static bool all_positive(const deq_real_list *list)
{
    for (int i = 0; i < list->count; i++)
        if (!(list->item[i] > 0)) return false;
    return true;
}

static deq_status first_broken(deq_context *ctx, const rule *rules, int n)
{
    for (int i = 0; i < n; i++)
        if (rules[i].broken) return deq_fail(ctx, DEQ_ERR_ARGUMENT, "%s", rules[i].message);
    return DEQ_OK;
}

static deq_status check_data(const deq_config *c, deq_context *ctx)
{
    const deq_data_config *d = &c->data;
    bool mazes = d->source == DEQ_SOURCE_MAZES, sums = d->source == DEQ_SOURCE_PREFIX_SUMS;
    bool generated = mazes || sums;
    bool apart = d->source == DEQ_SOURCE_FOLDER || d->source == DEQ_SOURCE_NPZ;
    const rule rules[] = {
        { d->mean.count != d->deviation.count,
          "data.mean and data.deviation have different lengths" },
        { d->mean.count > 4, "data.mean has more than 4 numbers" },
        { !all_positive(&d->deviation), "data.deviation has a number that is not above 0" },
        { !mazes && d->percolation > 0, "data.percolation is for mazes; data.source is another" },
        { !mazes && d->start != DEQ_MAZE_START_ROOT,
          "data.start is for mazes; data.source is another" },
        { !generated && d->size > 0,
          "data.size is for generated examples; data.source is another" },
        { generated && (d->path[0] || d->test[0]),
          "data.path and data.test are for files; data.source is generated" },
        { !apart && d->test[0], "data.test is for data.source folder and npz" },
        { apart && !d->test[0], "data.test is not set; it says where the test data are" },
        { generated && (d->crop_pad > 0 || d->flip || d->cutout > 0),
          "data.crop_pad, data.flip and data.cutout are for images; data.source is generated" },
        { d->channels != 1 && d->channels != 3, "data.channels is neither 1 nor 3" },
        { !generated && c->evaluation.sizes.count > 0,
          "evaluation.sizes is for generated examples; data.source is another" },
    };
    return first_broken(ctx, rules, (int)(sizeof rules / sizeof *rules));
}

static deq_status check_training(const deq_config *c, deq_context *ctx)
{
    const deq_int_list *depth = &c->training.depth;
    const deq_equilibrium_options *e = &c->equilibrium;
    const rule rules[] = {
        { depth->count != 0 && depth->count != 2,
          "training.depth has to be two numbers, [low, high], or none" },
        { depth->count == 2 && depth->item[0] > depth->item[1],
          "training.depth: the first number is above the second" },
        { depth->count == 2 && depth->item[1] > c->equilibrium.forward.max_iter,
          "training.depth: the second number is above solver.max_iter" },
        { depth->count == 2 && (c->equilibrium.gradient == DEQ_GRADIENT_UNROLL ||
                                c->equilibrium.gradient == DEQ_GRADIENT_REVERSIBLE),
          "training.depth needs a gradient method that solves; unroll and reversible take "
          "solver.max_iter steps" },
        { c->equilibrium.forward.n_states > 1 && c->supervised.count > 0,
          "supervision.count and supervision.states exclude each other" },
        { c->schedule.total > 0 && c->schedule.law != DEQ_SCHEDULE_COSINE,
          "optimiser.total is for optimiser.schedule: cosine" },
        { c->schedule.total > 0 && c->schedule.total <= c->schedule.warmup,
          "optimiser.total has to be above optimiser.warmup" },
        { !c->decay_vectors && c->optimiser.weight_decay <= 0,
          "optimiser.decay_vectors: no needs an optimiser.weight_decay" },
        { e->gradient == DEQ_GRADIENT_REVERSIBLE && !(e->tau < 1),
          "gradient.method: reversible needs a gradient.tau below 1, such as 0.8" },
        { e->gradient == DEQ_GRADIENT_SHINE && e->forward.method != DEQ_AUTO &&
              e->forward.method != DEQ_BROYDEN && e->forward.method != DEQ_ADJOINT_BROYDEN,
          "gradient.method: shine needs solver.method: broyden, adjoint_broyden or auto" },
        { e->forward.anderson.type == 1 && e->forward.anderson.fit != DEQ_FIT_DIFFERENCE,
          "solver.anderson.type: 1 has solver.anderson.fit: difference only" },
        { !rising(&c->supervised), "supervision.states does not rise" },
        { c->supervised.count > 0 &&
              c->supervised.item[c->supervised.count - 1] >= c->equilibrium.forward.max_iter,
          "supervision.states: all have to be below solver.max_iter, which counts anyway" },
        { c->tails.count > 0 && c->tails.count != c->supervised.count + 1,
          "supervision.steps needs one number for each of supervision.states and one for the last "
          "state" },
        { !rising(&c->milestones), "optimiser.milestones does not rise" },
        { c->milestones.count > 0 && c->schedule.law != DEQ_SCHEDULE_STEP,
          "optimiser.milestones is for optimiser.schedule: step" },
        { c->penalty.increase > 0 && c->penalty.increase_every == 0,
          "penalty.increase needs penalty.increase_every" },
        { c->equilibrium.gradient == DEQ_GRADIENT_IFT && c->equilibrium.shine_refine > 0,
          "gradient.shine_refine is for gradient.method: shine" },
    };
    return first_broken(ctx, rules, (int)(sizeof rules / sizeof *rules));
}

deq_status deq_config_check(const deq_config *config, deq_context *ctx)
{
    if (config->struct_size != sizeof *config)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "configuration: struct_size is %zu, expected %zu",
                        config->struct_size, sizeof *config);
    DEQ_TRY(check_data(config, ctx));
    return check_training(config, ctx);
}
