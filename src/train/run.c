/* SPDX-License-Identifier: MIT */
/* Runs: made, saved, resumed.  See include/deq/train/run.h for what their folders hold. */
#define _POSIX_C_SOURCE 200809L
#include "train/run.h"

#include "io/output.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* ---- the folder ---- */

static deq_status path_in(deq_run *run, char path[RUN_PATH + 64], const char *name)
{
    int n = snprintf(path, RUN_PATH + 64, "%s/%s", run->folder, name);
    return n > 0 && n < RUN_PATH + 64
               ? DEQ_OK
               : deq_fail(run->ctx, DEQ_ERR_ARGUMENT, "the path of the run is too long");
}

static bool exists(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0;
}

/* The folder and all above it. */
static deq_status make_folders(deq_context *ctx, const char *path)
{
    char part[RUN_PATH + 64];
    snprintf(part, sizeof part, "%s", path);
    for (char *c = part + 1;; c++) {
        char old = *c;
        if (old && old != '/') continue;
        *c = 0;
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return deq_fail(ctx, DEQ_ERR_IO, "%s: cannot be made: %s", part, strerror(errno));
        *c = old;
        if (!old) return DEQ_OK;
    }
}

static bool write_text(void *user, const char *text, size_t length)
{
    deq_output_write(user, text, length);
    return true;
}

static deq_status write_config(deq_run *run)
{
    char path[RUN_PATH + 64];
    deq_output o;
    DEQ_TRY(path_in(run, path, "config.yaml"));
    DEQ_TRY(deq_output_open(&o, run->ctx, path));
    return deq_output_close(&o, deq_config_write(&run->config, true, write_text, &o));
}

/* ---- parts of a run ---- */

static deq_status plan_steps(deq_run *run)
{
    const deq_training_config *t = &run->config.training;
    run->steps = t->steps > 0 ? t->steps : t->epochs * run->batches;
    run->schedule = run->config.schedule;
    run->schedule.milestones = run->config.milestones.item;
    run->schedule.n_milestones = run->config.milestones.count;
    deq_schedule *s = &run->schedule;
    if (s->total == 0) s->total = run->steps > s->warmup ? run->steps : s->warmup + 1;
    return deq_schedule_check(run->ctx, &run->schedule);
}

static deq_status open_loader(deq_run *run)
{
    const deq_config *c = &run->config;
    const deq_data_config *d = &c->data;
    deq_loader_options o = deq_loader_defaults();
    o.batch = c->training.batch;
    o.seed = (uint64_t)c->training.seed;
    o.position = run->counters.step;
    o.threads = (int)c->training.loaders;
    o.augment.crop_pad = d->crop_pad;
    o.augment.flip = d->flip;
    o.augment.cutout = d->cutout;
    o.augment.n_channels = d->mean.count;
    for (int i = 0; i < d->mean.count; i++) {
        o.augment.mean[i] = d->mean.item[i];
        o.augment.deviation[i] = d->deviation.item[i];
    }
    return deq_loader_new(&run->loader, run->ctx, run->data.train, &o);
}

static deq_status open_data(deq_run *run)
{
    deq_config *c = &run->config;
    DEQ_TRY(deq_config_datasets(&run->data, run->ctx, c));
    run->form = deq_dataset_form(run->data.train);
    if (c->model.classes == 0) c->model.classes = run->form.classes;
    if (c->model.classes < run->form.classes)
        return deq_fail(run->ctx, DEQ_ERR_SHAPE,
                        "the data have %lld classes, model.classes is %lld",
                        (long long)run->form.classes, (long long)c->model.classes);
    if (c->data.mean.count > 0 && c->data.mean.count != (int)run->form.input.dim[0])
        return deq_fail(run->ctx, DEQ_ERR_SHAPE, "data.mean has %d numbers, the data %lld channels",
                        c->data.mean.count, (long long)run->form.input.dim[0]);
    run->batches = deq_dataset_count(run->data.train) / c->training.batch;
    if (run->batches == 0)
        return deq_fail(run->ctx, DEQ_ERR_ARGUMENT,
                        "training.batch is %lld, but there are %lld training examples",
                        (long long)c->training.batch,
                        (long long)deq_dataset_count(run->data.train));
    return DEQ_OK;
}

/* Biases, scales and shifts have one axis or none. */
static deq_status spare_vectors(deq_run *run)
{
    deq_parameters *p = deq_weights_parameters(run->weights);
    if (run->config.decay_vectors) return DEQ_OK;
    for (int i = 0; i < deq_parameters_count(p); i++) {
        deq_parameter_info info = deq_parameters_info(p, i);
        if (info.shape.rank > 1) continue;
        DEQ_TRY(deq_optimiser_scale(run->optimiser, info.offset, info.count, 1, 0));
    }
    return DEQ_OK;
}

static deq_status make_model(deq_run *run)
{
    const deq_config *c = &run->config;
    DEQ_TRY(deq_declare_weights(&run->weights, run->ctx, c, run->form.input));
    DEQ_TRY(deq_weights_initialise(run->weights, (uint64_t)c->training.seed));
    deq_parameters *p = deq_weights_parameters(run->weights);
    int64_t length = deq_parameters_length(p);
    DEQ_TRY(deq_optimiser_new(&run->optimiser, run->ctx, c->training.dtype, length, &c->optimiser));
    DEQ_TRY(spare_vectors(run));
    run->vector_bytes = (size_t)length * deq_dtype_size(c->training.dtype);
    if (c->training.average > 0) {
        run->average = deq_alloc(run->ctx, run->vector_bytes);
        if (!run->average) return DEQ_ERR_NOMEM;
        memcpy(run->average, deq_parameters_values(p, -1), run->vector_bytes);
    }
    return DEQ_OK;
}

static deq_status make_room(deq_run *run)
{
    size_t b = (size_t)run->config.training.batch;
    size_t positions = (size_t)deq_shape_count(&run->form.target);
    size_t input = b * (size_t)deq_shape_count(&run->form.input);
    run->n_label = b * positions;
    run->n_logits = run->n_label * (size_t)run->config.model.classes;
    run->n_wide = input > run->n_logits ? input : run->n_logits;
    run->logits = deq_alloc_array(run->ctx, run->n_logits, sizeof *run->logits);
    run->wide = deq_alloc_array(run->ctx, run->n_wide, sizeof *run->wide);
    run->label = deq_alloc_array(run->ctx, run->n_label, sizeof *run->label);
    run->outcome = deq_alloc_array(run->ctx, b, sizeof *run->outcome);
    run->n_feval = deq_alloc_array(run->ctx, b, sizeof *run->n_feval);
    bool all = run->logits && run->wide && run->label && run->outcome && run->n_feval;
    return all ? deq_workspace_new(&run->workspace, run->ctx) : DEQ_ERR_NOMEM;
}

static deq_status start(deq_run **out, deq_context *ctx, const deq_config *config,
                        const char *folder)
{
    *out = NULL;
    if (strlen(folder) >= RUN_PATH)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "the path of the run is longer than %d bytes",
                        RUN_PATH - 1);
    DEQ_TRY(deq_config_check(config, ctx));
    deq_run *run = deq_alloc(ctx, sizeof *run);
    if (!run) return DEQ_ERR_NOMEM;
    run->ctx = ctx;
    run->config = *config;
    run->counters.best = -1;
    snprintf(run->folder, sizeof run->folder, "%s", folder);
    deq_status status = open_data(run);
    if (status == DEQ_OK) status = make_model(run);
    if (status == DEQ_OK) status = make_room(run);
    if (status == DEQ_OK) status = plan_steps(run);
    if (status != DEQ_OK) {
        deq_run_free(run);
        return status;
    }
    *out = run;
    return DEQ_OK;
}

/* ---- public ---- */

static deq_status begin(deq_run *run)
{
    char path[RUN_PATH + 64];
    DEQ_TRY(path_in(run, path, "checkpoints"));
    DEQ_TRY(make_folders(run->ctx, path));
    DEQ_TRY(write_config(run));
    DEQ_TRY(deq_journal_open(&run->journal, run->ctx, run->folder, -1, -1));
    return open_loader(run);
}

deq_status deq_run_new(deq_run **out, deq_context *ctx, const deq_config *config,
                       const char *folder)
{
    char path[RUN_PATH + 64];
    snprintf(path, sizeof path, "%.*s/config.yaml", RUN_PATH, folder);
    *out = NULL;
    if (exists(path))
        return deq_fail(ctx, DEQ_ERR_STATE,
                        "%s: holds a run already; resume it, or choose another folder", folder);
    deq_run *run;
    DEQ_TRY(start(&run, ctx, config, folder));
    deq_status status = begin(run);
    if (status != DEQ_OK) {
        deq_run_free(run);
        return status;
    }
    *out = run;
    return DEQ_OK;
}

/* From the last checkpoint; from the beginning if there is none yet. */
static deq_status continue_from(deq_run *run)
{
    char path[RUN_PATH + 64];
    DEQ_TRY(path_in(run, path, "checkpoints"));
    DEQ_TRY(make_folders(run->ctx, path));
    DEQ_TRY(path_in(run, path, "checkpoints/last.safetensors"));
    if (!exists(path)) {
        DEQ_TRY(deq_journal_open(&run->journal, run->ctx, run->folder, -1, -1));
        return open_loader(run);
    }
    deq_archive *a = NULL;
    deq_status status = deq_archive_read(&a, run->ctx, path);
    training_state s = { .config = &run->config,
                         .weights = run->weights,
                         .optimiser = run->optimiser,
                         .average = run->average };
    if (status == DEQ_OK) status = deq_checkpoint_restore(run->ctx, a, path, &s);
    deq_archive_free(a);
    if (status != DEQ_OK) return status;
    run->counters = s.counters;
    DEQ_TRY(deq_journal_open(&run->journal, run->ctx, run->folder, run->counters.metrics_bytes,
                             run->counters.events_bytes));
    return open_loader(run);
}

/* Settings that may change between two parts of a run: not what weights, data and random numbers hang
 * on. */
static deq_status set_some(deq_config *config, deq_context *ctx, const char *const *set, int n)
{
    static const char *const fixed[] = { "data.",          "model.",         "training.seed",
                                         "training.dtype", "training.batch", "optimiser.method" };
    for (int i = 0; i < n; i++) {
        for (size_t j = 0; j < sizeof fixed / sizeof *fixed; j++)
            if (strncmp(set[i], fixed[j], strlen(fixed[j])) == 0)
                return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                                "--set %s: a run that is resumed keeps its %.*s", set[i],
                                (int)strcspn(set[i], "="), set[i]);
        DEQ_TRY(deq_config_set(config, ctx, set[i]));
    }
    return DEQ_OK;
}

static deq_status check_steps(deq_run *run)
{
    if (run->counters.step <= run->steps) return DEQ_OK;
    return deq_fail(run->ctx, DEQ_ERR_ARGUMENT,
                    "%s: has taken %lld steps; training.steps and training.epochs allow %lld",
                    run->folder, (long long)run->counters.step, (long long)run->steps);
}

deq_status deq_run_resume(deq_run **out, deq_context *ctx, const char *folder,
                          const char *const *set, int n_set)
{
    char path[RUN_PATH + 64];
    deq_config config = deq_config_defaults();
    *out = NULL;
    snprintf(path, sizeof path, "%.*s/config.yaml", RUN_PATH, folder);
    if (!exists(path))
        return deq_fail(ctx, DEQ_ERR_IO, "%s: %s; is it the folder of a run?", path,
                        strerror(errno));
    DEQ_TRY(deq_config_read(&config, ctx, path));
    DEQ_TRY(set_some(&config, ctx, set, n_set));
    deq_run *run;
    DEQ_TRY(start(&run, ctx, &config, folder));
    deq_status status = continue_from(run);
    if (status == DEQ_OK) status = check_steps(run);
    if (status == DEQ_OK && n_set > 0) status = write_config(run);
    if (status != DEQ_OK) {
        deq_run_free(run);
        return status;
    }
    *out = run;
    return DEQ_OK;
}

void deq_run_free(deq_run *run)
{
    if (!run) return;
    deq_context *ctx = run->ctx;
    size_t b = (size_t)run->config.training.batch;
    deq_loader_free(run->loader);
    deq_journal_close(&run->journal);
    for (int i = 0; i < N_PROGRAMS; i++) deq_model_program_free(&run->programs[i]);
    deq_workspace_free(run->workspace);
    deq_optimiser_free(run->optimiser);
    deq_weights_free(run->weights);
    deq_datasets_free(&run->data);
    deq_release(ctx, run->average, run->vector_bytes);
    deq_release(ctx, run->logits, run->n_logits * sizeof *run->logits);
    deq_release(ctx, run->wide, run->n_wide * sizeof *run->wide);
    deq_release(ctx, run->label, run->n_label * sizeof *run->label);
    deq_release(ctx, run->outcome, b * sizeof *run->outcome);
    deq_release(ctx, run->n_feval, b * sizeof *run->n_feval);
    deq_release(ctx, run->results, MAX_RESULTS * sizeof *run->results);
    deq_release(ctx, run, sizeof *run);
}

deq_status deq_run_save(deq_run *run, const char *name)
{
    char file[64], path[RUN_PATH + 64];
    snprintf(file, sizeof file, "checkpoints/%s.safetensors", name);
    DEQ_TRY(path_in(run, path, file));
    DEQ_TRY(deq_journal_flush(&run->journal));
    run->counters.metrics_bytes = run->journal.bytes;
    run->counters.events_bytes = deq_tensorboard_bytes(run->journal.events);
    training_state s = { .config = &run->config,
                         .form = run->form,
                         .data = run->data.train,
                         .weights = run->weights,
                         .optimiser = run->optimiser,
                         .average = run->average,
                         .counters = run->counters };
    return deq_checkpoint_write(run->ctx, path, &s);
}

static void swap_average(deq_run *run)
{
    unsigned char *a = run->average;
    unsigned char *b = deq_parameters_values(deq_weights_parameters(run->weights), -1);
    for (size_t i = 0; i < run->vector_bytes; i++) {
        unsigned char old = a[i];
        a[i] = b[i];
        b[i] = old;
    }
}

deq_trained deq_run_lend_weights(deq_run *run)
{
    if (run->average && run->config.evaluation.average) swap_average(run);
    return (deq_trained){ .ctx = run->ctx,
                          .config = run->config,
                          .weights = run->weights,
                          .borrowed = true,
                          .workspace = run->workspace };
}

void deq_run_return_weights(deq_run *run)
{
    if (run->average && run->config.evaluation.average) swap_average(run);
}

const deq_config *deq_run_config(const deq_run *run)
{
    return &run->config;
}

int64_t deq_run_step(const deq_run *run)
{
    return run->counters.step;
}

int64_t deq_run_steps(const deq_run *run)
{
    return run->steps;
}

deq_weights *deq_run_weights(deq_run *run)
{
    return run->weights;
}

const char *deq_run_advice(const deq_run *run)
{
    return run->advice;
}

const deq_budget_row *deq_run_results(const deq_run *run, int *count)
{
    *count = run->n_results;
    return run->results;
}
