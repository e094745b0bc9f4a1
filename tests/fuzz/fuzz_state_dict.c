/* SPDX-License-Identifier: MIT */
/*
 * Foreign bytes choose a model and a state dictionary for it: what the model itself saved, with
 * tensors left out, renamed, of other shapes and dtypes, and others added.  It is loaded; a dictionary
 * that is refused must leave the weights as they were and a message, one that is accepted must have
 * had a use for every tensor.
 */
#include <deq/model.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MODELS = 6, MOST_EXTRA = 8 };

typedef struct bytes {
    const uint8_t *at, *end;
} bytes;

static int next(bytes *b, int n)
{
    return b->at < b->end ? *b->at++ % n : 0;
}

static void expect(int holds, const char *what)
{
    if (holds) return;
    fprintf(stderr, "not so: %s\n", what);
    abort();
}

/* Models are built once: building is not under test. */
typedef struct model {
    deq_model_options o;
    deq_weights *w;
    deq_archive *saved;
    void *copy[2]; /* of the values of parameters and buffers */
} model;

static deq_context *ctx;
static model models[MODELS];

static deq_model_options options_of(int which, deq_shape *input)
{
    static const deq_model_family family[MODELS] = { DEQ_MODEL_MLP,        DEQ_MODEL_MLP,
                                                     DEQ_MODEL_MLP,        DEQ_MODEL_MAZE,
                                                     DEQ_MODEL_MULTISCALE, DEQ_MODEL_MONOTONE };
    deq_model_options o = deq_model_defaults(family[which]);
    o.mlp.width = 3;
    o.mlp.layer_norm = which == 0;
    o.mlp.norm = (deq_weight_kind)(which % 3);
    o.recurrent = (deq_recurrent_options){ .width = 2, .blocks = 1, .head = { 2, 2 } };
    o.recurrent.norm = DEQ_WEIGHT_NORM;
    o.multiscale.channels[0] = o.multiscale.channels[1] = 8;
    o.monotone.width = o.monotone.rank = 3;
    *input = which < 3 || which == 5 ? DEQ_SHAPE(1, 4) : DEQ_SHAPE(1, 3, 8, 8);
    return o;
}

static size_t store_bytes(const deq_parameters *p)
{
    return (size_t)deq_parameters_length(p) * deq_dtype_size(deq_parameters_dtype(p));
}

static void make(model *m, int which)
{
    deq_graph *g = NULL;
    deq_nn *nn = NULL;
    deq_shape input;
    deq_model_outputs out;
    deq_dtype dtype = which % 2 ? DEQ_F64 : DEQ_F32;
    m->o = options_of(which, &input);
    expect(deq_graph_new(&g, ctx) == DEQ_OK && deq_weights_new(&m->w, ctx, dtype) == DEQ_OK &&
               deq_nn_new(&nn, g, m->w, false) == DEQ_OK,
           "there is memory");
    deq_value x = deq_input(g, "x", DEQ_STAGE_INJECTED, dtype, input);
    expect(deq_model_build(nn, &out, x, &m->o, NULL) == DEQ_OK, deq_graph_error(g));
    deq_nn_free(nn);
    deq_graph_free(g);
    expect(deq_weights_allocate(m->w) == DEQ_OK && deq_weights_initialise(m->w, 1) == DEQ_OK,
           "weights begin");
    expect(deq_archive_new(&m->saved, ctx) == DEQ_OK &&
               deq_weights_save(m->saved, m->w, "") == DEQ_OK,
           "weights are saved");
    for (int k = 0; k < 2; k++) {
        deq_parameters *p = k ? deq_weights_buffers(m->w) : deq_weights_parameters(m->w);
        m->copy[k] = calloc(1, store_bytes(p) + 1);
        if (store_bytes(p)) memcpy(m->copy[k], deq_parameters_values(p, -1), store_bytes(p));
    }
}

/* The weights as they began, or whether they still are. */
static bool weights_are(model *m, bool restore)
{
    bool same = true;
    for (int k = 0; k < 2; k++) {
        deq_parameters *p = k ? deq_weights_buffers(m->w) : deq_weights_parameters(m->w);
        if (!store_bytes(p)) continue;
        same = same && memcmp(deq_parameters_values(p, -1), m->copy[k], store_bytes(p)) == 0;
        if (restore) memcpy(deq_parameters_values(p, -1), m->copy[k], store_bytes(p));
    }
    return same;
}

/* The name, or what an attacker or another library makes of it. */
static void rename_tensor(bytes *b, char *name, size_t size, const char *was)
{
    static const char *const ends[] = { "weight",
                                        "weight_g",
                                        "weight_v",
                                        "weight_orig",
                                        "weight_u",
                                        "bias",
                                        "num_batches_tracked",
                                        "parametrizations.weight.original0",
                                        "parametrizations.weight.original1" };
    const char *dot = strrchr(was, '.');
    int base = dot ? (int)(dot - was) + 1 : 0;
    switch (next(b, 4)) {
    case 0: snprintf(name, size, "module.%s", was); break;
    case 1: snprintf(name, size, "%.*s%s", base, was, ends[next(b, 9)]); break;
    case 2: snprintf(name, size, "%s%c", was, 1 + next(b, 255)); break;
    default: snprintf(name, size, "recur_block.%s", was);
    }
}

static void add(bytes *b, deq_archive *a, const deq_archive_tensor *t)
{
    static const double zeros[4096] = { 0 };
    static const deq_dtype dtypes[] = { DEQ_F32, DEQ_F64, DEQ_I32, DEQ_I64, DEQ_BOOL };
    char name[700];
    deq_type type = t->type;
    const void *data = t->data;
    int changes = next(b, 4) == 3 ? next(b, 16) : 0;
    if (changes == 15) return; /* left out */
    snprintf(name, sizeof name, "%s", t->name);
    if (changes & 1) rename_tensor(b, name, sizeof name, t->name);
    if (changes & 2) type.dtype = dtypes[next(b, 5)];
    if (changes & 4 && type.shape.rank > 0) type.shape.dim[next(b, type.shape.rank)] = next(b, 12);
    if (changes & 8 && type.shape.rank > 1) type.shape.dim[--type.shape.rank] = 0;
    if (changes & 14) data = zeros;
    if (deq_type_bytes(&type) > sizeof zeros) return;
    (void)deq_archive_add(a, name, type, data); /* a taken name is refused */
}

static void add_extra(bytes *b, deq_archive *a)
{
    char name[700];
    size_t length = (size_t)next(b, 256) * 3, n = 0;
    float number = 1;
    deq_type type = { DEQ_F32, DEQ_SCALAR };
    while (n < length && n + 1 < sizeof name && b->at < b->end) name[n++] = (char)*b->at++;
    name[n] = '\0';
    (void)deq_archive_add(a, name, type, &number);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bytes b = { data, data + size };
    deq_archive *a = NULL;
    deq_load_report report;
    if (!ctx) {
        expect(deq_context_new(&ctx, NULL) == DEQ_OK, "there is memory");
        for (int i = 0; i < MODELS; i++) make(&models[i], i);
    }
    model *m = &models[next(&b, MODELS)], *from = m;
    if (next(&b, 4) == 3) from = &models[next(&b, MODELS)]; /* a file of another model */
    expect(deq_archive_new(&a, ctx) == DEQ_OK, "there is memory");
    for (size_t i = 0; i < deq_archive_count(from->saved); i++)
        add(&b, a, deq_archive_at(from->saved, i));
    for (int i = next(&b, MOST_EXTRA); i > 0; i--) add_extra(&b, a);
    deq_status status = deq_model_load(m->w, a, &m->o, &report);
    if (status == DEQ_OK)
        expect(report.n_loaded + report.n_ignored == (int64_t)deq_archive_count(a),
               "every tensor has a use");
    else
        expect(*deq_last_error(ctx) != '\0', "a refusal has a message");
    expect(weights_are(m, true) || status == DEQ_OK, "a refused file changes nothing");
    deq_archive_free(a);
    return 0;
}
