/* SPDX-License-Identifier: MIT */
/* The loop of training: steps, metrics, evaluations, checkpoints. */
#include "train/clock.h"
#include "train/run.h"

#include <math.h>
#include <string.h>

/* The caller of deq_run_train(). */
typedef struct listener {
    deq_run_progress_fn *call;
    void *user;
    bool stop;
    deq_run_progress last;
} listener;

static bool is_due(const deq_run *run, int64_t every)
{
    return run->counters.step % (every > 0 ? every : run->batches) == 0;
}

static deq_status log_step(deq_run *run, const step_result *r, double seconds)
{
    int64_t epoch = run->counters.step / run->batches;
    metric m[16] = {
        { "epoch", (double)epoch, true },
        { "loss", r->loss, false },
        { "accuracy", r->accuracy, false },
        { "element_accuracy", r->element_accuracy, false },
        { "n_feval", r->n_feval, false },
        { "residual", r->residual, false },
        { "gradient_norm", r->gradient_norm, false },
        { "rate", r->rate, false },
        { "n_diverged", (double)r->n_bad, true },
        { "seconds", seconds, false },
    };
    int n = 10;
    const adjoint_tally *a = &run->adjoint;
    if (r->has_penalty) m[n++] = (metric){ "penalty", r->penalty, false };
    if (a->n_samples > 0) {
        double samples = (double)a->n_samples;
        m[n++] = (metric){ "adjoint_products", (double)a->n_apply / samples, false };
        m[n++] = (metric){ "adjoint_residual", a->residual / samples, false };
        m[n++] = (metric){ "adjoint_failed", (double)a->n_failed / samples, false };
    }
    return deq_journal_add(&run->journal, "train", run->counters.step, m, n);
}

static deq_status log_evaluation(deq_run *run, const deq_evaluation *e)
{
    double n = e->n_examples > 0 ? (double)e->n_examples : 1;
    double positions = e->n_positions > 0 ? (double)e->n_positions : 1;
    metric m[10] = {
        { "examples", (double)e->n_examples, true },
        { "loss", e->loss, false },
        { "accuracy", (double)e->n_right / n, false },
        { "element_accuracy", (double)e->n_positions_right / positions, false },
        { "n_feval", e->n_feval, false },
        { "residual", e->mean_residual, false },
        { "converged", (double)e->n_outcome[DEQ_CONVERGED] / n, false },
    };
    int count = 7;
    if (run->config.evaluation.spectral_radius)
        m[count++] = (metric){ "spectral_radius", e->spectral_radius, false };
    return deq_journal_add(&run->journal, run->data.validation ? "validation" : "evaluation",
                           run->counters.step, m, count);
}

static void tell(deq_run *run, listener *l, const step_result *r, const deq_evaluation *e)
{
    int64_t left = run->steps - run->counters.step;
    if (!l->call) return;
    l->last = (deq_run_progress){
        .step = run->counters.step,
        .steps = run->steps,
        .epoch = run->counters.step / run->batches,
        .epochs = (run->steps + run->batches - 1) / run->batches,
        .loss = r->loss,
        .accuracy = r->accuracy,
        .penalty = r->penalty,
        .n_feval = r->n_feval,
        .residual = r->residual,
        .gradient_norm = r->gradient_norm,
        .rate = r->rate,
        .examples_per_second = run->recent > 0 ? (double)run->config.training.batch / run->recent
                                               : 0,
        .seconds_left = run->recent > 0 ? (double)left * run->recent : -1,
        .pretraining = r->pretraining,
        .evaluation = e,
        .validation = run->data.validation != NULL,
    };
    if (!l->call(l->user, &l->last)) l->stop = true;
    l->last.evaluation = NULL;
}

/* Evaluations in the loop are not stopped half-way: the checkpoint behind them has to know them.  The
 * best weights are chosen on what was kept back, never on the test set. */
static deq_status evaluate(deq_run *run, listener *l, const step_result *r)
{
    deq_evaluation e;
    const deq_dataset *d = run->data.validation ? run->data.validation : run->data.test;
    deq_trained t = deq_run_lend_weights(run);
    deq_status status = deq_evaluate(&e, &t, d, NULL, NULL, NULL);
    deq_run_return_weights(run);
    if (status != DEQ_OK) return status;
    DEQ_TRY(log_evaluation(run, &e));
    deq_run_watch_radius(run, &e);
    double accuracy = e.n_examples > 0 ? (double)e.n_right / (double)e.n_examples : 0;
    tell(run, l, r, &e);
    if (!run->data.validation || accuracy <= run->counters.best) return DEQ_OK;
    run->counters.best = accuracy;
    return deq_run_save(run, "best");
}

/* After a step: metrics, evaluation, checkpoint.  The checkpoint comes last, so that it knows all
 * that was written. */
static deq_status after_step(deq_run *run, listener *l, const step_result *r, double seconds)
{
    const deq_training_config *t = &run->config.training;
    bool last = run->counters.step == run->steps;
    if (run->counters.step % t->log_every == 0 || last || !r->finite)
        DEQ_TRY(log_step(run, r, seconds));
    tell(run, l, r, NULL);
    bool in_trouble = !r->finite || 2 * r->n_bad > t->batch;
    run->counters.trouble = in_trouble ? run->counters.trouble + 1 : 0;
    if (is_due(run, t->evaluate_every) || last) DEQ_TRY(evaluate(run, l, r));
    if (is_due(run, t->checkpoint_every) || last || l->stop) return deq_run_save(run, "last");
    return DEQ_OK;
}

static deq_status take_steps(deq_run_end *end, deq_run *run, listener *l)
{
    while (run->counters.step < run->steps) {
        step_result r;
        double start = deq_seconds();
        DEQ_TRY(deq_run_step_once(run, &r));
        double seconds = deq_seconds() - start;
        run->recent = run->recent > 0 ? 0.95 * run->recent + 0.05 * seconds : seconds;
        run->counters.seconds += seconds;
        DEQ_TRY(after_step(run, l, &r, seconds));
        if (run->counters.trouble >= run->config.training.patience) {
            deq_run_advise(run, &r);
            *end = DEQ_RUN_TROUBLE;
            return DEQ_OK;
        }
        if (l->stop && run->counters.step < run->steps) {
            *end = DEQ_RUN_STOPPED;
            return DEQ_OK;
        }
    }
    return DEQ_OK;
}

static bool go_on(void *user, int64_t done, int64_t total)
{
    listener *l = user;
    l->last.tested = done;
    l->last.test_total = total;
    if (l->call && !l->stop && !l->call(l->user, &l->last)) l->stop = true;
    return !l->stop;
}

deq_status deq_run_train(deq_run_end *end, deq_run *run, deq_run_progress_fn *progress, void *user)
{
    listener l = {
        .call = progress,
        .user = user,
        .last = { .step = run->counters.step, .steps = run->steps, .seconds_left = 0 },
    };
    *end = DEQ_RUN_DONE;
    deq_status status = take_steps(end, run, &l);
    if (status == DEQ_OK && *end == DEQ_RUN_DONE) status = deq_run_evaluate_all(run, go_on, &l);
    if (status != DEQ_OK) return status;
    if (*end == DEQ_RUN_DONE && l.stop) *end = DEQ_RUN_STOPPED; /* resuming evaluates again */
    if (*end == DEQ_RUN_STOPPED) run->n_results = 0;
    DEQ_TRY(deq_journal_flush(&run->journal));
    return deq_run_write_report(run->ctx, run->folder);
}
