/* SPDX-License-Identifier: MIT */
/* Trust from gold, as weights of a majority (accuracies) or of log-odds: trust.h, decide.h. */
#include <deq/vote/decide.h>
#include <deq/vote/trust.h>

#include "vote/estimate.h"

#include <string.h>

static deq_status decide(deq_estimate *e, const deq_problem *p)
{
    const size_t T = (size_t)p->v.n_tasks;
    const deq_belief belief = { .struct_size = sizeof belief,
                                .trust = e->trust,
                                .prior = e->prior };
    deq_decide_options o = deq_decide_defaults();
    deq_decision *decisions = deq_alloc_array(p->ctx, T, sizeof *decisions);

    if (!decisions) return DEQ_ERR_NOMEM;
    o.flips = false;
    const deq_status status = deq_vote_decide(decisions, e->posterior, p->ctx, p->votes, &belief,
                                              &o);
    deq_release(p->ctx, decisions, T * sizeof *decisions);
    return status;
}

/* counts: [2, n_workers] right and all; trust: [n_workers]. */
static deq_status weigh(deq_estimate *e, const deq_problem *p, int64_t *counts, deq_trust *trust)
{
    const int64_t W = p->v.n_workers;
    const deq_estimate_options *o = &p->options;
    deq_trust_options t = deq_trust_defaults();

    t.a = o->a;
    t.b = o->b;
    if (o->correct) {
        memcpy(counts, o->correct, (size_t)W * sizeof *counts);
        memcpy(counts + W, o->total, (size_t)W * sizeof *counts);
    }
    if (o->gold) deq_vote_count_gold(counts, counts + W, p->votes, o->gold, NULL);
    for (int64_t i = 0; i < W; i++)
        if (counts[W + i] < 5 && p->n_votes[i]) e->info.warnings |= DEQ_WARN_FEW_GOLD;
    DEQ_TRY(deq_trust_from_counts(trust, NULL, p->ctx, W, counts, counts + W, &t));
    for (int64_t i = 0; i < W; i++) e->trust[i] = trust[i].trust;
    if (o->method == DEQ_GOLD_WMV) return decide(e, p);
    deq_vote_shares(e->posterior, p, e->trust);
    return DEQ_OK;
}

deq_status deq_estimate_gold(deq_estimate *e, const deq_problem *p)
{
    const size_t W = (size_t)p->v.n_workers;

    if (!p->options.gold && !p->options.correct)
        return deq_fail(p->ctx, DEQ_ERR_ARGUMENT, "%s needs gold, or counts of right answers",
                        deq_aggregation_name(p->options.method));
    int64_t *counts = deq_alloc_array(p->ctx, W, 2 * sizeof *counts);
    deq_trust *trust = deq_alloc_array(p->ctx, W, sizeof *trust);
    const deq_status status = counts && trust ? weigh(e, p, counts, trust) : DEQ_ERR_NOMEM;
    deq_release(p->ctx, counts, W * 2 * sizeof *counts);
    deq_release(p->ctx, trust, W * sizeof *trust);
    e->info.converged = status == DEQ_OK;
    return status;
}
