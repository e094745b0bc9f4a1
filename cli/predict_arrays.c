/* SPDX-License-Identifier: MIT */
/* deq predict for arrays: x [N, ...] of a .npz to label [N, ...] and logits [N, K, ...] of another. */
#include "context.h"
#include "predict.h"
#include "terminal.h"

#include <deq/io/npy.h>
#include <stdlib.h>
#include <string.h>

typedef struct arrays {
    const deq_archive_tensor *x;
    deq_shape form;
    int64_t n, n_input, classes, positions;
    float *input;   /* a batch */
    int32_t *label; /* all */
    float *logits;  /* all */
} arrays;

static double element(const deq_archive_tensor *t, int64_t i)
{
    switch (t->type.dtype) {
    case DEQ_F32: return (double)((const float *)t->data)[i];
    case DEQ_F64: return ((const double *)t->data)[i];
    case DEQ_I32: return ((const int32_t *)t->data)[i];
    default: return (double)((const int64_t *)t->data)[i];
    }
}

static int find_x(use *u, arrays *r, const deq_archive *archive, const char *path)
{
    r->x = deq_archive_find(archive, "x");
    const char *why = deq_archive_left_out(archive, "x");
    if (!r->x && why) return fail(CLI_DATA, u->a->path, "%s", why);
    if (!r->x) return fail_about(CLI_DATA, u->a, path, "has no array 'x'");
    if (r->x->type.shape.rank < 2 || deq_shape_count(&r->x->type.shape) == 0 ||
        r->x->type.dtype == DEQ_BOOL)
        return fail_about(CLI_DATA, u->a, path, "'x' is no array [N, ...] of numbers");
    const deq_shape *s = &r->x->type.shape;
    r->form = (deq_shape){ .rank = s->rank - 1 };
    memcpy(r->form.dim, s->dim + 1, (size_t)(s->rank - 1) * sizeof *s->dim);
    r->n = s->dim[0];
    r->n_input = deq_shape_count(&r->form);
    const deq_config *c = deq_trained_config(u->model);
    bool everywhere = c->model.family == DEQ_MODEL_MAZE || c->model.family == DEQ_MODEL_SEQUENCE;
    r->classes = c->model.classes;
    r->positions = everywhere && r->form.dim[0] > 0 ? r->n_input / r->form.dim[0] : 1;
    return CLI_OK;
}

/* Bytes are scaled to [0, 1], as datasets do. */
static void fill(const arrays *r, int64_t first, int64_t batch)
{
    double scale = strcmp(r->x->stored, "u8") == 0 ? 1.0 / 255 : 1;
    for (int64_t b = 0; b < batch; b++) {
        int64_t row = first + b < r->n ? first + b : r->n - 1;
        for (int64_t i = 0; i < r->n_input; i++)
            r->input[b * r->n_input + i] = (float)(scale * element(r->x, row * r->n_input + i));
    }
}

static int run_batches(use *u, arrays *r, deq_predictor *p)
{
    int64_t batch = deq_predictor_batch(p), k = r->classes * r->positions;
    progress bar;
    progress_start(&bar, "predicting", r->n);
    deq_status status = DEQ_OK;
    for (int64_t first = 0; first < r->n && status == DEQ_OK; first += batch) {
        int64_t count = r->n - first < batch ? r->n - first : batch;
        deq_prediction found;
        fill(r, first, batch);
        status = deq_predictor_run(p, &found, r->input);
        if (status != DEQ_OK) break;
        memcpy(r->label + first * r->positions, found.label,
               (size_t)(count * r->positions) * sizeof *r->label);
        for (int64_t i = 0; i < count * k; i++) r->logits[first * k + i] = (float)found.logits[i];
        progress_update(&bar, first + count, NULL);
    }
    progress_end(&bar);
    return fail_status(u->a, u->ctx, status);
}

/* [N, (K,) positions...] */
static deq_type result_type(const arrays *r, deq_dtype dtype, bool classes)
{
    deq_type t = { dtype, DEQ_SHAPE(r->n) };
    if (classes) t.shape.dim[t.shape.rank++] = r->classes;
    for (int i = 1; r->positions > 1 && i < r->form.rank; i++)
        t.shape.dim[t.shape.rank++] = r->form.dim[i];
    return t;
}

static int store(use *u, const arrays *r, const char *out)
{
    deq_archive *a = NULL;
    deq_status status = deq_archive_new(&a, u->ctx);
    if (status == DEQ_OK)
        status = deq_archive_add(a, "label", result_type(r, DEQ_I32, false), r->label);
    if (status == DEQ_OK)
        status = deq_archive_add(a, "logits", result_type(r, DEQ_F32, true), r->logits);
    if (status == DEQ_OK) status = deq_npz_write(a, out, true);
    deq_archive_free(a);
    if (status == DEQ_OK && !argument_flag(u->a, "json"))
        printf("%s: labels and logits of %lld inputs\n", out, (long long)r->n);
    return fail_status(u->a, u->ctx, status);
}

static bool allocate(arrays *r, int64_t batch)
{
    if (batch <= 0 || r->n_input <= 0 || r->positions <= 0 || r->classes <= 0) return false;
    size_t labels = (size_t)(r->n * r->positions);
    r->input = malloc((size_t)(batch * r->n_input) * sizeof *r->input);
    r->label = malloc(labels * sizeof *r->label);
    r->logits = malloc(labels * (size_t)r->classes * sizeof *r->logits);
    return r->input && r->label && r->logits;
}

static int predict_archive(use *u, arrays *r, const char *out)
{
    deq_predictor_options o = deq_predictor_defaults();
    deq_predictor *p = NULL;
    const deq_config *c = deq_trained_config(u->model);
    o.batch = c->evaluation.batch < r->n ? c->evaluation.batch : r->n;
    o.max_iter = argument_given(u->a, "max-iter") ? (int)argument_integer(u->a, "max-iter") : 0;
    int code = fail_status(u->a, u->ctx, deq_predictor_new(&p, u->model, r->form, &o));
    if (code != CLI_OK) return code;
    bool room = allocate(r, o.batch);
    code = room ? run_batches(u, r, p) : fail(CLI_FAILED, u->a->path, "out of memory");
    if (room && code == CLI_OK) code = store(u, r, out);
    free(r->input);
    free(r->label);
    free(r->logits);
    deq_predictor_free(p);
    return code;
}

int predict_arrays(use *u, const char *path)
{
    const char *out = argument_text(u->a, "out");
    arrays r = { 0 };
    deq_archive *archive = NULL;
    if (!out) return fail(CLI_USAGE, u->a->path, "%s: arrays need --out FILE.npz", path);
    int code = fail_status(u->a, u->ctx, deq_npz_read(&archive, u->ctx, path));
    if (code == CLI_OK) code = find_x(u, &r, archive, path);
    if (code == CLI_OK) code = predict_archive(u, &r, out);
    deq_archive_free(archive);
    return code;
}
