/* SPDX-License-Identifier: MIT */
/* The results at the end of a run: every test set at every budget. */
#include "train/run.h"

static deq_status log_result(deq_run *run, const deq_budget_row *row)
{
    const deq_evaluation *e = &row->result;
    double n = e->n_examples > 0 ? (double)e->n_examples : 1;
    double positions = e->n_positions > 0 ? (double)e->n_positions : 1;
    metric m[] = {
        { "size", (double)row->size, true },
        { "max_iter", row->max_iter, true },
        { "examples", (double)e->n_examples, true },
        { "loss", e->loss, false },
        { "accuracy", (double)e->n_right / n, false },
        { "element_accuracy", (double)e->n_positions_right / positions, false },
        { "n_feval", e->n_feval, false },
        { "residual", e->mean_residual, false },
        { "converged", (double)e->n_outcome[DEQ_CONVERGED] / n, false },
        { "seconds", e->seconds, false },
    };
    return deq_journal_add(&run->journal, "test", run->counters.step, m,
                           (int)(sizeof m / sizeof *m));
}

static deq_status add_result(deq_run *run, deq_trained *t, const deq_dataset *d, int64_t size,
                             int max_iter, deq_evaluation_progress_fn *progress, void *user)
{
    if (run->n_results == MAX_RESULTS) return DEQ_OK;
    deq_budget_row *row = &run->results[run->n_results];
    deq_predictor_options o = deq_predictor_defaults();
    o.max_iter = max_iter;
    *row = (deq_budget_row){ .size = size, .max_iter = max_iter };
    DEQ_TRY(deq_evaluate(&row->result, t, d, &o, progress, user));
    if (row->result.n_examples < deq_dataset_count(d)) return DEQ_OK; /* stopped */
    DEQ_TRY(log_result(run, row));
    run->n_results++;
    return DEQ_OK;
}

/* One dataset with the usual budget and with all that evaluation.budgets names. */
static deq_status over_budgets(deq_run *run, deq_trained *t, const deq_dataset *d, int64_t size,
                               deq_evaluation_progress_fn *progress, void *user)
{
    const deq_evaluation_config *v = &run->config.evaluation;
    int usual = v->max_iter > 0 ? v->max_iter : run->config.equilibrium.forward.max_iter;
    bool listed = false;
    for (int i = 0; i < v->budgets.count; i++) {
        listed = listed || v->budgets.item[i] == usual;
        DEQ_TRY(add_result(run, t, d, size, (int)v->budgets.item[i], progress, user));
    }
    return listed ? DEQ_OK : add_result(run, t, d, size, usual, progress, user);
}

static deq_status evaluate_all(deq_run *run, deq_trained *t, deq_evaluation_progress_fn *progress,
                               void *user)
{
    const deq_evaluation_config *v = &run->config.evaluation;
    DEQ_TRY(over_budgets(run, t, run->data.test, 0, progress, user));
    for (int i = 0; i < v->sizes.count; i++) {
        deq_dataset *d = NULL;
        DEQ_TRY(deq_config_sized(&d, run->ctx, &run->config, v->sizes.item[i], v->count));
        deq_status status = over_budgets(run, t, d, v->sizes.item[i], progress, user);
        deq_dataset_free(d);
        if (status != DEQ_OK) return status;
    }
    return DEQ_OK;
}

deq_status deq_run_evaluate_all(deq_run *run, deq_evaluation_progress_fn *progress, void *user)
{
    run->n_results = 0;
    if (!run->results) run->results = deq_alloc_array(run->ctx, MAX_RESULTS, sizeof *run->results);
    if (!run->results) return DEQ_ERR_NOMEM;
    deq_trained t = deq_run_lend_weights(run);
    deq_status status = evaluate_all(run, &t, progress, user);
    deq_run_return_weights(run);
    return status;
}
