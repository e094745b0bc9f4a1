/* SPDX-License-Identifier: MIT */
/* What to do about a run in trouble: facts first, then what usually helps. */
#include "base/text.h"
#include "train/run.h"

#include <math.h>

/* Evaluations in a row with a spectral radius above one before it is called trouble. */
#define RADIUS_PATIENCE 3

static const char *key_of_gradient(deq_gradient gradient)
{
    return gradient == DEQ_GRADIENT_UNROLL || gradient == DEQ_GRADIENT_REVERSIBLE
               ? "lower gradient.tau"
               : "allow more evaluations (solver.max_iter) or a safer solver "
                 "(solver.anderson.mixing=0.5)";
}

void deq_run_advise(deq_run *run, const step_result *r)
{
    deq_text t = { .data = run->advice, .capacity = sizeof run->advice };
    const deq_config *c = &run->config;
    long long step = (long long)run->counters.step, row = (long long)run->counters.trouble;
    t.data[0] = 0;
    if (!isfinite(r->loss))
        deq_text_add(&t, "The loss is not finite at step %lld, for %lld steps in a row.", step,
                     row);
    else if (!isfinite(r->gradient_norm))
        deq_text_add(&t, "The gradient is not finite at step %lld, for %lld steps in a row.", step,
                     row);
    else
        deq_text_add(
            &t,
            "At step %lld, %lld of %lld solves diverged; more than half did for %lld steps "
            "in a row.",
            step, (long long)r->n_bad, (long long)c->training.batch, row);
    deq_text_add(&t,
                 "  Go back to the last checkpoint and try one of: a lower learning rate "
                 "(optimiser.rate=%g)",
                 c->schedule.rate / 3);
    if (c->training.clip <= 0) deq_text_add(&t, "; clipping (training.clip=1)");
    if (c->penalty.weight <= 0)
        deq_text_add(&t, "; Jacobian regularisation (penalty.weight=1, penalty.probability=0.3)");
    deq_text_add(&t, "; normalised weights in the cell; %s.",
                 key_of_gradient(c->equilibrium.gradient));
}

void deq_run_watch_radius(deq_run *run, const deq_evaluation *e)
{
    if (!run->config.evaluation.spectral_radius) return;
    run->radius_trouble = e->spectral_radius > 1 ? run->radius_trouble + 1 : 0;
    if (run->radius_trouble != RADIUS_PATIENCE) return;
    deq_log_line(
        run->ctx, DEQ_LOG_WARNING,
        "the spectral radius of df/dz is %.3g at step %lld, and was above 1 in the last %d "
        "evaluations: simple iterations do not converge there.  Jacobian regularisation "
        "(penalty.weight) or normalised weights (model.*.norm) bring it down",
        e->spectral_radius, (long long)run->counters.step, RADIUS_PATIENCE);
}
