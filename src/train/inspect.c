/* SPDX-License-Identifier: MIT */
/* Inspections: a model's weights by name and shape, and how far it was trained; see inspect.h. */
#include "train/inspect.h"

#include "io/number.h"
#include "train/checkpoint.h"

#include <string.h>

/* ---- the form of the examples ---- */

/* Folders of images need not be there if the configuration tells all of it, and of generated examples
 * one is enough. */
static deq_status find_form(deq_example_form *form, deq_context *ctx, const deq_config *config)
{
    const deq_data_config *d = &config->data;
    if (d->source == DEQ_SOURCE_FOLDER && config->model.classes > 0) {
        *form = (deq_example_form){ .input = DEQ_SHAPE(d->channels, d->height, d->width),
                                    .target = DEQ_SCALAR,
                                    .classes = config->model.classes };
        return DEQ_OK;
    }
    deq_config *one = deq_alloc(ctx, sizeof *one);
    if (!one) return DEQ_ERR_NOMEM;
    *one = *config;
    if (d->source == DEQ_SOURCE_PREFIX_SUMS || d->source == DEQ_SOURCE_MAZES) one->data.count = 1;
    deq_status status = deq_config_form(form, ctx, one);
    deq_release(ctx, one, sizeof *one);
    return status;
}

/* ---- declaring ---- */

/* Batched inputs: two, as everything that depends on the batch may then be there. */
static deq_shape two(deq_shape shape)
{
    deq_shape s = { .rank = shape.rank + 1, .dim = { 2 } };
    for (int i = 0; i < shape.rank && i + 1 < DEQ_MAX_RANK; i++) s.dim[i + 1] = shape.dim[i];
    return s;
}

static void keep_states(deq_inspection *i, const deq_graph *g, const deq_model_outputs *out)
{
    i->n_states = out->n_states;
    for (int k = 0; k < out->n_states; k++) {
        deq_shape s = deq_value_type(g, out->z_star[k]).shape;
        memmove(s.dim, s.dim + 1, (size_t)(s.rank - 1) * sizeof *s.dim);
        s.dim[--s.rank] = 0;
        i->state[k] = s;
    }
}

/* Build the model once, over `weights`: what it has not yet is declared. */
static deq_status declare(deq_inspection *i, deq_weights *weights)
{
    deq_graph *g = NULL;
    deq_nn *nn = NULL;
    deq_model_outputs out;
    deq_model_solve solve = deq_model_solve_defaults();
    deq_status status = deq_graph_new(&g, i->ctx);
    if (status == DEQ_OK) status = deq_nn_new(&nn, g, weights, true);
    if (status == DEQ_OK) {
        deq_value x = deq_input(g, "x", DEQ_STAGE_INJECTED, i->config.training.dtype,
                                two(i->form.input));
        status = deq_model_build(nn, &out, x, &i->config.model, &solve);
    }
    if (status == DEQ_OK) keep_states(i, g, &out);
    deq_nn_free(nn);
    deq_graph_free(g);
    return status;
}

/* ---- making ---- */

static deq_status inspect_config(deq_inspection *i, const deq_config *config)
{
    i->config = *config;
    i->steps = -1;
    i->best = -1;
    DEQ_TRY(find_form(&i->form, i->ctx, config));
    if (i->config.model.classes == 0) i->config.model.classes = i->form.classes;
    DEQ_TRY(deq_weights_new(&i->own, i->ctx, config->training.dtype));
    i->weights = i->own;
    return declare(i, i->weights);
}

static double number_of(const deq_archive *a, const char *key, double otherwise)
{
    const char *text = deq_archive_metadata(a, key);
    double value;
    return text && deq_number_f64(&value, text, strlen(text)) ? value : otherwise;
}

static deq_status inspect_trained(deq_inspection *i, const char *path, deq_which which)
{
    DEQ_TRY(deq_trained_open(&i->trained, i->ctx, path, which, NULL));
    i->config = i->trained->config;
    i->weights = i->trained->weights;
    i->steps = i->trained->steps;
    deq_archive *a = NULL;
    deq_status status = deq_archive_read(&a, i->ctx, i->trained->path);
    if (status == DEQ_OK) {
        deq_config *again = deq_alloc(i->ctx, sizeof *again);
        status = again ? deq_checkpoint_config(again, &i->form, i->ctx, a, i->trained->path)
                       : DEQ_ERR_NOMEM;
        deq_release(i->ctx, again, sizeof *again);
        i->best = number_of(a, "deq.best", -1);
        i->seconds = number_of(a, "deq.seconds", 0);
    }
    deq_archive_free(a);
    return status == DEQ_OK ? declare(i, i->weights) : status;
}

static deq_status new_inspection(deq_inspection **out, deq_context *ctx)
{
    *out = deq_alloc(ctx, sizeof **out);
    if (!*out) return DEQ_ERR_NOMEM;
    (*out)->ctx = ctx;
    return DEQ_OK;
}

static deq_status keep_or_free(deq_inspection **out, deq_status status)
{
    if (status == DEQ_OK) return DEQ_OK;
    deq_inspection_free(*out);
    *out = NULL;
    return status;
}

deq_status deq_inspect_config(deq_inspection **out, deq_context *ctx, const deq_config *config)
{
    DEQ_TRY(new_inspection(out, ctx));
    return keep_or_free(out, inspect_config(*out, config));
}

deq_status deq_inspect_trained(deq_inspection **out, deq_context *ctx, const char *path,
                               deq_which which)
{
    DEQ_TRY(new_inspection(out, ctx));
    return keep_or_free(out, inspect_trained(*out, path, which));
}

void deq_inspection_free(deq_inspection *i)
{
    if (!i) return;
    deq_trained_free(i->trained);
    deq_weights_free(i->own);
    deq_release(i->ctx, i, sizeof *i);
}

/* ---- asking ---- */

deq_config *deq_inspection_config(deq_inspection *i)
{
    return &i->config;
}

deq_example_form deq_inspection_form(const deq_inspection *i)
{
    return i->form;
}

deq_weights *deq_inspection_weights(deq_inspection *i)
{
    return i->weights;
}

int deq_inspection_states(const deq_inspection *i, deq_shape *shape)
{
    if (shape) memcpy(shape, i->state, (size_t)i->n_states * sizeof *shape);
    return i->n_states;
}

deq_training_state deq_inspection_training(const deq_inspection *i)
{
    return (deq_training_state){ .step = i->steps,
                                 .best = i->best,
                                 .seconds = i->seconds,
                                 .path = i->trained ? i->trained->path : NULL };
}
