/* SPDX-License-Identifier: MIT */
/* See checkpoint.h. */
#include "train/checkpoint.h"

#include "base/number.h"
#include "io/number.h"

#include <deq/io/safetensors.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT "deq checkpoint 1"

/* ---- counters as metadata ---- */

typedef struct counter_field {
    const char *name;
    size_t offset;
    bool real;
} counter_field;

#define INTEGER(field)                                                                             \
    {                                                                                              \
        "deq." #field, offsetof(counters, field), false                                            \
    }
#define REAL(field)                                                                                \
    {                                                                                              \
        "deq." #field, offsetof(counters, field), true                                             \
    }
static const counter_field fields[] = {
    INTEGER(step),          INTEGER(optimiser_steps), INTEGER(trouble),
    INTEGER(metrics_bytes), INTEGER(events_bytes),    REAL(best),
    REAL(seconds),
};
enum { N_FIELDS = sizeof fields / sizeof *fields };

static deq_status put_counters(deq_archive *a, const counters *c)
{
    for (int i = 0; i < N_FIELDS; i++) {
        const void *at = (const char *)c + fields[i].offset;
        char text[DEQ_NUMBER_BYTES];
        if (fields[i].real)
            deq_number_text(text, 'g', 17, *(const double *)at);
        else
            snprintf(text, sizeof text, "%" PRId64, *(const int64_t *)at);
        DEQ_TRY(deq_archive_set_metadata(a, fields[i].name, text));
    }
    return DEQ_OK;
}

static deq_status get_counters(counters *c, deq_context *ctx, const deq_archive *a,
                               const char *path)
{
    for (int i = 0; i < N_FIELDS; i++) {
        void *at = (char *)c + fields[i].offset;
        const char *text = deq_archive_metadata(a, fields[i].name);
        size_t length = text ? strlen(text) : 0;
        bool ok = fields[i].real ? deq_number_f64(at, text, length)
                                 : deq_number_i64(at, text, length);
        if (!ok)
            return deq_fail(ctx, DEQ_ERR_DATA, "%s: metadata '%s' is %s%s%s; expected a number",
                            path, fields[i].name, text ? "'" : "", text ? text : "missing",
                            text ? "'" : "");
    }
    if (c->step < 0 || c->metrics_bytes < 0 || c->events_bytes < 0 || c->optimiser_steps < 0)
        return deq_fail(ctx, DEQ_ERR_DATA, "%s: a counter in the metadata is negative", path);
    return DEQ_OK;
}

/* ---- configuration and form ---- */

typedef struct text_buffer {
    deq_context *ctx;
    char *data;
    size_t length, capacity;
} text_buffer;

static bool append(void *user, const char *text, size_t length)
{
    text_buffer *t = user;
    if (deq_grow(t->ctx, (void **)&t->data, &t->capacity, t->length + length + 1, 1) != DEQ_OK)
        return false;
    memcpy(t->data + t->length, text, length);
    t->length += length;
    return true;
}

static void format_shape(char *text, size_t size, const deq_shape *s)
{
    size_t n = 0;
    text[0] = 0;
    for (int i = 0; i < s->rank && n < size; i++)
        n += (size_t)snprintf(text + n, size - n, "%s%" PRId64, i ? "," : "", s->dim[i]);
}

static bool parse_shape(deq_shape *s, const char *text)
{
    *s = (deq_shape){ 0 };
    while (*text) {
        char *end;
        long long extent = strtoll(text, &end, 10);
        if (end == text || extent < 1 || s->rank + 2 > DEQ_MAX_RANK) return false;
        s->dim[s->rank++] = extent;
        if (*end && *end != ',') return false;
        text = *end ? end + 1 : end;
    }
    return true;
}

static deq_status put_config(deq_archive *a, deq_context *ctx, const training_state *s)
{
    text_buffer t = { .ctx = ctx };
    char shape[256];
    deq_status status = deq_config_write(s->config, false, append, &t);
    if (status == DEQ_OK) status = deq_archive_set_metadata(a, "deq.format", FORMAT);
    if (status == DEQ_OK) status = deq_archive_set_metadata(a, "deq.config", t.data);
    format_shape(shape, sizeof shape, &s->form.input);
    if (status == DEQ_OK) status = deq_archive_set_metadata(a, "deq.input", shape);
    format_shape(shape, sizeof shape, &s->form.target);
    if (status == DEQ_OK) status = deq_archive_set_metadata(a, "deq.target", shape);
    deq_release(ctx, t.data, t.capacity);
    return status;
}

deq_status deq_checkpoint_config(deq_config *config, deq_example_form *form, deq_context *ctx,
                                 const deq_archive *archive, const char *path)
{
    const char *format = deq_archive_metadata(archive, "deq.format");
    const char *text = deq_archive_metadata(archive, "deq.config");
    const char *input = deq_archive_metadata(archive, "deq.input");
    const char *target = deq_archive_metadata(archive, "deq.target");
    if (!format)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                        "%s: holds weights without a configuration; say which model they are for",
                        path);
    if (strcmp(format, FORMAT) != 0)
        return deq_fail(ctx, DEQ_ERR_DATA, "%s: is a '%s'; this version reads '%s'", path, format,
                        FORMAT);
    if (!text || !input || !target || !parse_shape(&form->input, input) ||
        !parse_shape(&form->target, target))
        return deq_fail(ctx, DEQ_ERR_DATA,
                        "%s: the metadata lack deq.config, or deq.input or deq.target is no shape",
                        path);
    *config = deq_config_defaults();
    DEQ_TRY(deq_config_parse(config, ctx, text, strlen(text), path));
    form->classes = config->model.classes;
    return DEQ_OK;
}

/* One name a line.  Names with line ends stay out: no subfolder of sense has one. */
static deq_status put_classes(deq_archive *a, deq_context *ctx, const training_state *s)
{
    text_buffer t = { .ctx = ctx };
    int64_t classes = s->data ? deq_dataset_form(s->data).classes : 0;
    bool ok = true;
    for (int64_t k = 0; k < classes && ok; k++) {
        char name[256];
        deq_dataset_class_name(s->data, k, name, sizeof name);
        name[strcspn(name, "\r\n")] = 0;
        ok = append(&t, name, strlen(name)) && append(&t, "\n", 1);
    }
    deq_status status = ok ? DEQ_OK : DEQ_ERR_NOMEM;
    if (ok && t.data) status = deq_archive_set_metadata(a, "deq.classes", t.data);
    deq_release(ctx, t.data, t.capacity);
    return status;
}

/* ---- vectors ---- */

static deq_type vector_type(deq_parameters *p)
{
    return (deq_type){ deq_parameters_dtype(p), DEQ_SHAPE(deq_parameters_length(p)) };
}

static deq_status put_vectors(deq_archive *a, const training_state *s)
{
    deq_type type = vector_type(deq_weights_parameters(s->weights));
    for (int i = 0;; i++) {
        deq_optimiser_state v = deq_optimiser_state_at(s->optimiser, i);
        char name[64];
        if (!v.name) break;
        snprintf(name, sizeof name, "optimiser.%s", v.name);
        DEQ_TRY(deq_archive_add(a, name, type, v.data));
    }
    return s->average ? deq_archive_add(a, "average", type, s->average) : DEQ_OK;
}

static deq_status find_vector(const deq_archive_tensor **out, deq_context *ctx,
                              const deq_archive *a, const char *path, const char *name,
                              const deq_type *type)
{
    char found[128], expected[128];
    *out = deq_archive_find(a, name);
    if (!*out)
        return deq_fail(ctx, DEQ_ERR_NAME,
                        "%s: has no '%s'; it was made with another optimiser or without an average",
                        path, name);
    if ((*out)->type.dtype == type->dtype && deq_shape_equal(&(*out)->type.shape, &type->shape))
        return DEQ_OK;
    return deq_fail(ctx, DEQ_ERR_SHAPE, "%s: '%s' is %s; this model's is %s", path, name,
                    deq_type_format(found, sizeof found, &(*out)->type),
                    deq_type_format(expected, sizeof expected, type));
}

/* First everything is looked up, then everything is copied. */
static deq_status take_vectors(deq_context *ctx, const deq_archive *a, const char *path,
                               training_state *s, bool copy)
{
    deq_type type = vector_type(deq_weights_parameters(s->weights));
    const deq_archive_tensor *t;
    for (int i = 0; s->optimiser; i++) {
        deq_optimiser_state v = deq_optimiser_state_at(s->optimiser, i);
        char name[64];
        if (!v.name) break;
        snprintf(name, sizeof name, "optimiser.%s", v.name);
        DEQ_TRY(find_vector(&t, ctx, a, path, name, &type));
        if (copy) memcpy(v.data, t->data, deq_type_bytes(&type));
    }
    if (!s->average) return DEQ_OK;
    DEQ_TRY(find_vector(&t, ctx, a, path, "average", &type));
    if (copy) memcpy(s->average, t->data, deq_type_bytes(&type));
    return DEQ_OK;
}

/* ---- the whole ---- */

deq_status deq_checkpoint_write(deq_context *ctx, const char *path, const training_state *s)
{
    deq_archive *a = NULL;
    deq_status status = deq_archive_new(&a, ctx);
    if (status == DEQ_OK) status = deq_weights_save(a, s->weights, "model.");
    if (status == DEQ_OK) status = put_vectors(a, s);
    if (status == DEQ_OK) status = put_config(a, ctx, s);
    if (status == DEQ_OK) status = put_classes(a, ctx, s);
    if (status == DEQ_OK) status = put_counters(a, &s->counters);
    if (status == DEQ_OK) status = deq_safetensors_write(a, path);
    deq_archive_free(a);
    return status;
}

deq_status deq_checkpoint_restore(deq_context *ctx, deq_archive *archive, const char *path,
                                  training_state *s)
{
    counters c;
    DEQ_TRY(get_counters(&c, ctx, archive, path));
    DEQ_TRY(take_vectors(ctx, archive, path, s, false));

    deq_archive *weights = NULL; /* "model." alone, for deq_model_load() */
    deq_status status = deq_archive_new(&weights, ctx);
    for (size_t i = 0; status == DEQ_OK && i < deq_archive_count(archive); i++) {
        const deq_archive_tensor *t = deq_archive_at(archive, i);
        if (strncmp(t->name, "model.", 6) == 0)
            status = deq_archive_add(weights, t->name + 6, t->type, t->data);
    }
    if (status == DEQ_OK) status = deq_model_load(s->weights, weights, &s->config->model, NULL);
    deq_archive_free(weights);
    if (status != DEQ_OK) {
        char message[DEQ_MESSAGE_BYTES];
        snprintf(message, sizeof message, "%s", deq_last_error(ctx));
        return deq_fail(ctx, status, "%s: %s", path, message);
    }
    DEQ_TRY(take_vectors(ctx, archive, path, s, true));
    if (s->optimiser) deq_optimiser_set_steps(s->optimiser, c.optimiser_steps);
    s->counters = c;
    return DEQ_OK;
}
