/* SPDX-License-Identifier: MIT */
/* Trained models: from a run's folder, a checkpoint, or weights from elsewhere. */
#include "train/trained.h"

#include "train/checkpoint.h"
#include "train/program.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static bool is_folder(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

static bool exists(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0;
}

/* The file that holds the weights wanted. */
static deq_status find_file(deq_trained *t, const char *path, deq_which which)
{
    static const char *const names[] = { "best", "last" };
    size_t size = sizeof t->path;
    int n = snprintf(t->path, size, "%s", path);
    if (n >= 0 && (size_t)n < size && !is_folder(path)) return DEQ_OK;
    for (int i = which == DEQ_WHICH_LAST; i < 2 && n >= 0 && (size_t)n < size; i++) {
        n = snprintf(t->path, size, "%s/checkpoints/%s.safetensors", path, names[i]);
        if (n >= 0 && (size_t)n < size && exists(t->path)) return DEQ_OK;
    }
    if (n < 0 || (size_t)n >= size)
        return deq_fail(t->ctx, DEQ_ERR_ARGUMENT, "the path is longer than %zu bytes", size - 1);
    return deq_fail(t->ctx, DEQ_ERR_IO,
                    "%s: has no checkpoint (checkpoints/last.safetensors); is it the folder of a "
                    "run?",
                    path);
}

/* The run's model with the caller's other settings. */
static void override(deq_trained *t, const deq_config *config)
{
    deq_config own = t->config;
    t->config = *config;
    t->config.model.family = own.model.family;
    t->config.preset = own.preset;
    t->config.model = own.model;
    t->config.training.dtype = own.training.dtype;
}

static deq_status load_run(deq_trained *t, deq_archive *a, const deq_config *config)
{
    training_state s = { .config = &t->config };
    DEQ_TRY(deq_checkpoint_config(&t->config, &s.form, t->ctx, a, t->path));
    if (config) override(t, config);
    DEQ_TRY(deq_declare_weights(&t->weights, t->ctx, &t->config, s.form.input));
    s.weights = t->weights;
    deq_parameters *p = deq_weights_parameters(t->weights);
    if (t->config.evaluation.average && deq_archive_find(a, "average"))
        s.average = deq_parameters_values(p, -1);
    DEQ_TRY(deq_checkpoint_restore(t->ctx, a, t->path, &s));
    const char *classes = deq_archive_metadata(a, "deq.classes");
    if (classes && !(t->classes = deq_strdup(t->ctx, classes))) return DEQ_ERR_NOMEM;
    t->steps = s.counters.step;
    return DEQ_OK;
}

static deq_status load_foreign(deq_trained *t, deq_archive *a, const deq_config *config)
{
    deq_example_form form;
    t->config = *config;
    t->steps = -1;
    DEQ_TRY(deq_config_form(&form, t->ctx, config));
    if (t->config.model.classes == 0) t->config.model.classes = form.classes;
    DEQ_TRY(deq_declare_weights(&t->weights, t->ctx, &t->config, form.input));
    return deq_model_load(t->weights, a, &t->config.model, NULL);
}

/* Messages of the loaders name the tensor; here comes the file. */
static deq_status name_file(deq_trained *t, deq_status status)
{
    char message[DEQ_MESSAGE_BYTES];
    snprintf(message, sizeof message, "%s", deq_last_error(t->ctx));
    if (strstr(message, t->path)) return status;
    return deq_fail(t->ctx, status, "%s: %s", t->path, message);
}

deq_status deq_trained_open(deq_trained **out, deq_context *ctx, const char *path, deq_which which,
                            const deq_config *config)
{
    *out = NULL;
    deq_trained *t = deq_alloc(ctx, sizeof *t);
    if (!t) return DEQ_ERR_NOMEM;
    t->ctx = ctx;
    deq_archive *a = NULL;
    deq_status status = find_file(t, path, which);
    if (status == DEQ_OK) status = deq_archive_read(&a, ctx, t->path);
    if (status == DEQ_OK) {
        bool foreign = !deq_archive_metadata(a, "deq.format") && config;
        status = foreign ? load_foreign(t, a, config) : load_run(t, a, config);
        if (status != DEQ_OK) status = name_file(t, status);
    }
    deq_archive_free(a);
    if (status != DEQ_OK) {
        deq_trained_free(t);
        return status;
    }
    *out = t;
    return DEQ_OK;
}

void deq_trained_free(deq_trained *t)
{
    if (!t) return;
    if (!t->borrowed) deq_weights_free(t->weights);
    if (t->classes) deq_release(t->ctx, t->classes, strlen(t->classes) + 1);
    deq_release(t->ctx, t, sizeof *t);
}

deq_config *deq_trained_config(deq_trained *t)
{
    return &t->config;
}

deq_weights *deq_trained_weights(deq_trained *t)
{
    return t->weights;
}

void deq_trained_class_name(const deq_trained *t, int64_t class_, char *buffer, size_t size)
{
    const char *name = t->classes;
    for (int64_t k = 0; name && *name && k < class_; k++) name = strchr(name, '\n') + 1;
    if (name && *name)
        snprintf(buffer, size, "%.*s", (int)strcspn(name, "\n"), name);
    else
        snprintf(buffer, size, "%lld", (long long)class_);
}

int64_t deq_trained_steps(const deq_trained *t)
{
    return t->steps;
}

const char *deq_trained_path(const deq_trained *t)
{
    return t->path;
}
