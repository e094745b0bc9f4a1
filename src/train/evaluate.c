/* SPDX-License-Identifier: MIT */
/* A model over a whole dataset. */
#include "train/clock.h"
#include "train/measure.h"
#include "train/spectral.h"
#include "train/trained.h"

#include <math.h>
#include <string.h>

static void add_report(deq_evaluation *e, const deq_prediction *found, int64_t count,
                       int64_t *n_finite)
{
    for (int64_t i = 0; i < count; i++) {
        double r = found->residual[i];
        e->n_feval += found->n_feval[i];
        e->residual = isfinite(r) ? fmax(e->residual, r) : INFINITY;
        if (isfinite(r)) {
            e->mean_residual += r;
            ++*n_finite;
        }
        if (found->outcome[i] >= 0 && found->outcome[i] < DEQ_OUTCOME_COUNT)
            e->n_outcome[found->outcome[i]]++;
    }
}

/* The spectral radius on the first batch. */
static deq_status first_radius(deq_evaluation *e, deq_trained *t, const deq_example_form *form,
                               const deq_batch *batch, int64_t count)
{
    size_t elements = (size_t)(count * deq_shape_count(&form->input));
    float *x = deq_alloc_array(t->ctx, elements, sizeof *x);
    if (!x) return DEQ_ERR_NOMEM;
    deq_normalise_input(x, batch->input, count, &form->input, &t->config.data);
    deq_status status = deq_evaluation_radius(&e->spectral_radius, t->ctx, &t->config, form->input,
                                              count, t->weights, x);
    deq_release(t->ctx, x, elements * sizeof *x);
    return status;
}

static deq_status over_batches(deq_evaluation *e, score *s, deq_predictor *p, deq_loader *loader,
                               const deq_example_form *form, deq_trained *t, int64_t total,
                               deq_evaluation_progress_fn *progress, void *user)
{
    int64_t n_finite = 0, positions = deq_shape_count(&form->target);
    int64_t classes = t->config.model.classes, count = deq_predictor_batch(p);
    deq_trained *radius_of = t->config.evaluation.spectral_radius ? t : NULL;
    for (;;) {
        deq_batch batch;
        deq_prediction found;
        DEQ_TRY(deq_loader_next(loader, &batch));
        if (batch.count == 0) break;
        DEQ_TRY(deq_predictor_run(p, &found, batch.input));
        if (radius_of && s->n_examples == 0)
            DEQ_TRY(first_radius(e, radius_of, form, &batch, count));
        deq_score_add(s, found.logits, found.label, batch.target, batch.count, classes, positions);
        add_report(e, &found, batch.count, &n_finite);
        if (progress && !progress(user, s->n_examples, total)) break;
    }
    if (s->n_examples > 0) e->n_feval /= (double)s->n_examples;
    if (n_finite > 0) e->mean_residual /= (double)n_finite;
    return DEQ_OK;
}

deq_status deq_evaluate(deq_evaluation *result, deq_trained *t, const deq_dataset *d,
                        const deq_predictor_options *options, deq_evaluation_progress_fn *progress,
                        void *user)
{
    deq_example_form form = deq_dataset_form(d);
    deq_predictor_options o = options ? *options : deq_predictor_defaults();
    deq_evaluation e = { .spectral_radius = NAN };
    score s = { 0 };
    double start = deq_seconds();
    memset(result, 0, sizeof *result);
    if (form.classes > t->config.model.classes)
        return deq_fail(t->ctx, DEQ_ERR_SHAPE, "the data have %lld classes, the model %lld",
                        (long long)form.classes, (long long)t->config.model.classes);
    int64_t total = deq_dataset_count(d);
    if (o.batch <= 0) o.batch = t->config.evaluation.batch;
    if (o.batch > total) o.batch = total;

    deq_loader_options l = deq_loader_defaults();
    l.batch = o.batch;
    l.shuffle = l.drop_last = l.endless = false;
    l.threads = (int)t->config.training.loaders;
    deq_predictor *p = NULL;
    deq_loader *loader = NULL;
    deq_status status = deq_predictor_new(&p, t, form.input, &o);
    if (status == DEQ_OK) status = deq_loader_new(&loader, t->ctx, d, &l);
    if (status == DEQ_OK) status = over_batches(&e, &s, p, loader, &form, t, total, progress, user);
    deq_loader_free(loader);
    deq_predictor_free(p);
    e.n_examples = s.n_examples;
    e.n_right = s.n_right;
    e.n_positions = s.n_positions;
    e.n_positions_right = s.n_positions_right;
    e.loss = s.n_positions > 0 ? s.loss_sum / (double)s.n_positions : 0;
    e.seconds = deq_seconds() - start;
    if (status == DEQ_OK) *result = e;
    return status;
}
