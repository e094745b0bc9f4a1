/* SPDX-License-Identifier: MIT */
/* Predictors: a compiled model and the arrays of what it finds. */
#include "train/measure.h"
#include "train/program.h"
#include "train/trained.h"

#include <math.h>
#include <string.h>

struct deq_predictor {
    deq_context *ctx;
    deq_trained *trained;
    model_program m;
    deq_shape input;
    uint64_t seed, runs;
    int64_t n_input, classes, positions;
    float *x;
    double *wide, *logits, *residual; /* wide: scratch for either direction */
    int32_t *label, *outcome, *n_feval;
};

deq_predictor_options deq_predictor_defaults(void)
{
    return (deq_predictor_options){ .struct_size = sizeof(deq_predictor_options),
                                    .rtol = -1,
                                    .atol = -1 };
}

/* The arrays of a predictor, in one table for allocation and release. */
typedef struct array {
    void **place;
    size_t count, size;
} array;

static int list_arrays(array out[7], deq_predictor *p)
{
    size_t b = (size_t)p->m.batch, logits = b * (size_t)(p->classes * p->positions);
    size_t input = b * (size_t)p->n_input;
    out[0] = (array){ (void **)&p->x, input, sizeof *p->x };
    out[1] = (array){ (void **)&p->wide, input > logits ? input : logits, sizeof *p->wide };
    out[2] = (array){ (void **)&p->logits, logits, sizeof *p->logits };
    out[3] = (array){ (void **)&p->residual, b, sizeof *p->residual };
    out[4] = (array){ (void **)&p->label, b * (size_t)p->positions, sizeof *p->label };
    out[5] = (array){ (void **)&p->outcome, b, sizeof *p->outcome };
    out[6] = (array){ (void **)&p->n_feval, b, sizeof *p->n_feval };
    return 7;
}

/* The shape of the logits is known to the graph alone: K = classes and the positions of the input. */
static int64_t count_positions(const deq_config *config, const deq_shape *input)
{
    int64_t n = 1;
    bool everywhere = config->model.family == DEQ_MODEL_SEQUENCE ||
                      config->model.family == DEQ_MODEL_MAZE;
    for (int i = 1; everywhere && i < input->rank; i++) n *= input->dim[i];
    return n;
}

deq_status deq_predictor_new(deq_predictor **out, deq_trained *t, deq_shape input,
                             const deq_predictor_options *options)
{
    deq_context *ctx = t->ctx;
    deq_predictor_options o = options ? *options : deq_predictor_defaults();
    *out = NULL;
    if (o.struct_size != sizeof o)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "predictor: struct_size is %zu, expected %zu",
                        o.struct_size, sizeof o);
    int64_t batch = o.batch > 0 ? o.batch : t->config.evaluation.batch;
    deq_predictor *p = deq_alloc(ctx, sizeof *p);
    if (!p) return DEQ_ERR_NOMEM;
    p->ctx = ctx;
    p->trained = t;
    p->input = input;
    p->seed = o.seed;
    deq_status status = deq_predict_program(&p->m, ctx, &t->config, input, batch, t->weights,
                                            o.max_iter, o.rtol, o.atol, t->workspace);
    p->n_input = deq_shape_count(&input);
    p->classes = t->config.model.classes;
    p->positions = count_positions(&t->config, &input);
    p->m.batch = batch;
    array arrays[7];
    int n = list_arrays(arrays, p);
    for (int i = 0; status == DEQ_OK && i < n; i++) {
        *arrays[i].place = deq_alloc_array(ctx, arrays[i].count, arrays[i].size);
        if (!*arrays[i].place) status = DEQ_ERR_NOMEM;
    }
    if (status != DEQ_OK) {
        deq_predictor_free(p);
        return status;
    }
    *out = p;
    return DEQ_OK;
}

void deq_predictor_free(deq_predictor *p)
{
    if (!p) return;
    array arrays[7];
    int n = list_arrays(arrays, p);
    for (int i = 0; i < n; i++)
        deq_release(p->ctx, *arrays[i].place, arrays[i].count * arrays[i].size);
    deq_model_program_free(&p->m);
    deq_release(p->ctx, p, sizeof *p);
}

int64_t deq_predictor_batch(const deq_predictor *p)
{
    return p->m.batch;
}

const deq_program *deq_predictor_program(const deq_predictor *p)
{
    return p->m.p;
}

void deq_normalise_input(float *out, const float *x, int64_t batch, const deq_shape *input,
                         const deq_data_config *data)
{
    int64_t channels = input->rank > 0 ? input->dim[0] : 1, rest = 1;
    bool normalise = data->mean.count > 0 && data->mean.count == channels;
    for (int i = 1; i < input->rank; i++) rest *= input->dim[i];
    for (int64_t b = 0; b < batch; b++)
        for (int64_t c = 0; c < channels; c++) {
            float mean = normalise ? (float)data->mean.item[c] : 0;
            float scale = normalise ? (float)(1 / data->deviation.item[c]) : 1;
            int64_t at = (b * channels + c) * rest;
            for (int64_t i = at; i < at + rest; i++) out[i] = (x[i] - mean) * scale;
        }
}

/* An output as doubles. */
static deq_status read_wide(deq_predictor *p, deq_value v, double *out, size_t count)
{
    if (p->m.dtype == DEQ_F64) return deq_program_read(p->m.p, v, out, count * sizeof *out);
    float *narrow = (float *)(void *)p->wide;
    DEQ_TRY(deq_program_read(p->m.p, v, narrow, count * sizeof *narrow));
    for (size_t i = 0; i < count; i++) out[i] = (double)narrow[i];
    return DEQ_OK;
}

static deq_status run(deq_predictor *p, const float *input)
{
    size_t b = (size_t)p->m.batch;
    deq_normalise_input(p->x, input, p->m.batch, &p->input, &p->trained->config.data);
    DEQ_TRY(
        deq_program_feed(&p->m, p->x, b * (size_t)p->n_input, NULL, 0, p->seed, p->runs, p->wide));
    DEQ_TRY(deq_program_run(p->m.p, p->runs == 0 ? DEQ_STAGE_PARAMETER : DEQ_STAGE_INJECTED));
    p->runs++;
    DEQ_TRY(read_wide(p, p->m.logits, p->logits, b * (size_t)(p->classes * p->positions)));
    DEQ_TRY(read_wide(p, p->m.report.residual, p->residual, b));
    DEQ_TRY(deq_program_read(p->m.p, p->m.report.outcome, p->outcome, b * sizeof *p->outcome));
    return deq_program_read(p->m.p, p->m.report.n_feval, p->n_feval, b * sizeof *p->n_feval);
}

deq_status deq_predictor_run(deq_predictor *p, deq_prediction *found, const float *input)
{
    deq_status status = run(p, input);
    if (status != DEQ_OK) {
        const char *why = deq_program_error(p->m.p);
        return *why ? deq_fail(p->ctx, status, "%s", why) : status;
    }
    deq_labels_from_logits(p->label, p->logits, p->m.batch, p->classes, p->positions);
    *found = (deq_prediction){ .logits = p->logits,
                               .label = p->label,
                               .residual = p->residual,
                               .outcome = p->outcome,
                               .n_feval = p->n_feval };
    return DEQ_OK;
}
