/* SPDX-License-Identifier: MIT */
/* Networks: scopes of names, weights found or declared, the key, updates of buffers. */
#include "nn/nn.h"

#include "base/text.h"

#include <deq/op.h>
#include <stdio.h>
#include <string.h>

struct deq_nn {
    deq_context *ctx;
    deq_graph *g;
    deq_weights *w;
    bool training;
    deq_value key;
    char scope[DEQ_NN_NAME_BYTES]; /* "a.b." */
    size_t length;                 /* of scope */
    size_t *outer;                 /* lengths of the scopes around */
    size_t depth, outer_capacity;
    deq_nn_update *update;
    size_t n_updates, update_capacity;
};

deq_status deq_nn_new(deq_nn **out, deq_graph *g, deq_weights *w, bool training)
{
    deq_context *ctx = deq_weights_context(w);
    *out = NULL;
    deq_nn *nn = deq_alloc(ctx, sizeof *nn);
    if (!nn) return DEQ_ERR_NOMEM;
    nn->ctx = ctx;
    nn->g = g;
    nn->w = w;
    nn->training = training;
    *out = nn;
    return DEQ_OK;
}

void deq_nn_free(deq_nn *nn)
{
    if (!nn) return;
    deq_context *ctx = nn->ctx;
    deq_release(ctx, nn->outer, nn->outer_capacity * sizeof *nn->outer);
    deq_release(ctx, nn->update, nn->update_capacity * sizeof *nn->update);
    deq_release(ctx, nn, sizeof *nn);
}

deq_context *deq_nn_context(const deq_nn *nn)
{
    return nn->ctx;
}

deq_graph *deq_nn_graph(const deq_nn *nn)
{
    return nn->g;
}

bool deq_nn_training(const deq_nn *nn)
{
    return nn->training;
}

deq_dtype deq_nn_dtype(const deq_nn *nn)
{
    return deq_parameters_dtype(nn->w->parameters);
}

/* Mistakes ----------------------------------------------------------------------------------- */

const char *deq_nn_scope(const deq_nn *nn)
{
    return nn->scope;
}

deq_value deq_nn_fail(deq_nn *nn, deq_status status, const char *format, ...)
{
    char message[DEQ_MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return deq_graph_fail(nn->g, status, "network: %.*s%s%s",
                          (int)(nn->length ? nn->length - 1 : 0), nn->scope, nn->length ? ": " : "",
                          message);
}

bool deq_nn_check(deq_nn *nn, const char *layer, deq_value x, int least, int most)
{
    char text[256];
    deq_type t = deq_value_type(nn->g, x);
    if (deq_graph_status(nn->g) != DEQ_OK) return false;
    if (t.dtype != deq_nn_dtype(nn)) {
        deq_nn_fail(nn, DEQ_ERR_DTYPE, "%s of %s, but the weights are %s", layer,
                    deq_type_format(text, sizeof text, &t), deq_dtype_name(deq_nn_dtype(nn)));
    } else if (t.shape.rank < least || t.shape.rank > most) {
        const char *more = least == most ? "" : " or more";
        deq_nn_fail(nn, DEQ_ERR_SHAPE, "%s of %s, expected rank %d%s", layer,
                    deq_type_format(text, sizeof text, &t), least, more);
    }
    return deq_graph_status(nn->g) == DEQ_OK;
}

/* Scopes ------------------------------------------------------------------------------------- */

void deq_nn_enter(deq_nn *nn, const char *format, ...)
{
    size_t room = sizeof nn->scope - nn->length, before = nn->length;
    if (deq_grow(nn->ctx, (void **)&nn->outer, &nn->outer_capacity, nn->depth + 1,
                 sizeof *nn->outer) != DEQ_OK) {
        deq_graph_fail(nn->g, DEQ_ERR_NOMEM, "%s", deq_last_error(nn->ctx));
        return;
    }
    nn->outer[nn->depth++] = before;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(nn->scope + before, room, format, args);
    va_end(args);
    if (n <= 0 || (size_t)n + 2 > room) {
        nn->scope[before] = '\0';
        deq_nn_fail(nn, DEQ_ERR_NAME, "the name of a scope is %s",
                    n <= 0 ? "empty" : "too long to be entered");
        return;
    }
    nn->length = before + (size_t)n + 1;
    nn->scope[nn->length - 1] = '.';
    nn->scope[nn->length] = '\0';
}

void deq_nn_leave(deq_nn *nn)
{
    if (nn->depth == 0) {
        deq_nn_fail(nn, DEQ_ERR_STATE, "a scope is left that was not entered");
        return;
    }
    nn->length = nn->outer[--nn->depth];
    nn->scope[nn->length] = '\0';
}

/* scope.name; false, with the graph marked, when it is too long. */
static bool full_name(deq_nn *nn, char full[DEQ_NN_NAME_BYTES], const char *name)
{
    int n = snprintf(full, DEQ_NN_NAME_BYTES, "%s%s", nn->scope, name);
    if (n > 0 && n < DEQ_NN_NAME_BYTES) return true;
    deq_nn_fail(nn, DEQ_ERR_NAME, "the name of a weight has %d bytes, expected 1 to %d", n,
                DEQ_NN_NAME_BYTES - 1);
    return false;
}

int64_t deq_nn_stream(const deq_nn *nn, const char *name)
{
    char full[2 * DEQ_NN_NAME_BYTES];
    snprintf(full, sizeof full, "%s%s", nn->scope, name);
    return deq_name_stream("layer", full);
}

deq_value deq_nn_key(deq_nn *nn)
{
    if (nn->key.id == 0)
        nn->key = deq_input(nn->g, "key", DEQ_STAGE_INJECTED, DEQ_I64, DEQ_SHAPE(2));
    return nn->key;
}

deq_value deq_nn_used_key(const deq_nn *nn)
{
    return nn->key;
}

/* Weights ------------------------------------------------------------------------------------ */

static deq_value weight(deq_nn *nn, const char *name, deq_shape shape, deq_init init, bool trained)
{
    char full[DEQ_NN_NAME_BYTES], of[DEQ_NN_NAME_BYTES];
    const deq_value invalid = { -1 };
    if (deq_graph_status(nn->g) != DEQ_OK || !full_name(nn, full, name)) return invalid;
    if (init.of) {
        if (!full_name(nn, of, init.of)) return invalid;
        init.of = of;
    }
    deq_status status = deq_weights_declare(nn->w, full, shape, init, trained);
    if (status != DEQ_OK) return deq_graph_fail(nn->g, status, "%s", deq_last_error(nn->ctx));
    return deq_parameter(nn->g, trained ? nn->w->parameters : nn->w->buffers, full);
}

deq_value deq_nn_parameter(deq_nn *nn, const char *name, deq_shape shape, deq_init init)
{
    return weight(nn, name, shape, init, true);
}

deq_value deq_nn_buffer(deq_nn *nn, const char *name, deq_shape shape, deq_init init)
{
    return deq_stop_gradient(nn->g, weight(nn, name, shape, init, false));
}

void deq_nn_update_buffer(deq_nn *nn, const char *name, deq_value value)
{
    char full[DEQ_NN_NAME_BYTES], want[256], got[256];
    if (!nn->training || deq_graph_status(nn->g) != DEQ_OK || !full_name(nn, full, name)) return;
    int buffer = deq_parameters_find(nn->w->buffers, full);
    if (buffer < 0) {
        deq_nn_fail(nn, DEQ_ERR_NAME, "an update of '%s', which is no buffer", name);
        return;
    }
    deq_type a = { deq_nn_dtype(nn), deq_parameters_info(nn->w->buffers, buffer).shape };
    deq_type b = deq_value_type(nn->g, value);
    if (a.dtype != b.dtype || !deq_shape_equal(&a.shape, &b.shape)) {
        deq_nn_fail(nn, DEQ_ERR_SHAPE, "buffer '%s' is %s, its update %s", name,
                    deq_type_format(want, sizeof want, &a), deq_type_format(got, sizeof got, &b));
        return;
    }
    size_t i = 0;
    while (i < nn->n_updates && nn->update[i].buffer != buffer) i++;
    if (i == nn->n_updates && deq_grow(nn->ctx, (void **)&nn->update, &nn->update_capacity, i + 1,
                                       sizeof *nn->update) != DEQ_OK) {
        deq_graph_fail(nn->g, DEQ_ERR_NOMEM, "%s", deq_last_error(nn->ctx));
        return;
    }
    if (i == nn->n_updates) nn->n_updates++;
    nn->update[i] = (deq_nn_update){ buffer, deq_stop_gradient(nn->g, value) };
}

const deq_nn_update *deq_nn_updates(const deq_nn *nn, int *count)
{
    *count = (int)nn->n_updates;
    return nn->update;
}
