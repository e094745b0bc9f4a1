/* SPDX-License-Identifier: MIT */
/* See settings.h. */
#include "settings.h"

#include "context.h"

deq_status apply_settings(deq_config *config, deq_context *ctx, const arguments *a)
{
    deq_status status = DEQ_OK;
    for (int i = 0; i < argument_count(a, "set") && status == DEQ_OK; i++)
        status = deq_config_set(config, ctx, argument_text_at(a, "set", i));
    return status;
}

deq_status read_config(deq_config *config, deq_context *ctx, const arguments *a, const char *path)
{
    deq_status status = DEQ_OK;
    *config = deq_config_defaults();
    if (path) status = deq_config_read(config, ctx, path);
    return status == DEQ_OK ? apply_settings(config, ctx, a) : status;
}

deq_status open_model(deq_trained **out, deq_context *ctx, const arguments *a)
{
    deq_config config;
    bool given = argument_given(a, "config");
    deq_which which = argument_flag(a, "last") ? DEQ_WHICH_LAST : DEQ_WHICH_BEST;
    *out = NULL;
    if (given) {
        deq_status status = read_config(&config, ctx, a, argument_text(a, "config"));
        if (status != DEQ_OK) return status;
    }
    deq_status status = deq_trained_open(out, ctx, argument_text(a, "MODEL"), which,
                                         given ? &config : NULL);
    if (status == DEQ_OK && !given) status = apply_settings(deq_trained_config(*out), ctx, a);
    if (status == DEQ_OK) status = deq_config_check(deq_trained_config(*out), ctx);
    if (status != DEQ_OK) {
        deq_trained_free(*out);
        *out = NULL;
    }
    return status;
}

static bool print_piece(void *user, const char *text, size_t length)
{
    (void)user;
    return fwrite(text, 1, length, stdout) == length;
}

int print_config(deq_context *ctx, const arguments *a, const char *path)
{
    deq_config config;
    deq_status status = read_config(&config, ctx, a, path);
    if (status == DEQ_OK) status = deq_config_check(&config, ctx);
    if (status != DEQ_OK) return fail_status(a, ctx, status);
    return deq_config_write(&config, true, print_piece, NULL) == DEQ_OK ? CLI_OK : CLI_FAILED;
}

json_t *evaluation_json(const deq_evaluation *e)
{
    json_t *o = json_object(), *outcomes = json_object();
    double n = e->n_examples > 0 ? (double)e->n_examples : 1;
    double positions = e->n_positions > 0 ? (double)e->n_positions : 1;
    json_put(o, "examples", json_integer(e->n_examples));
    json_put(o, "right", json_integer(e->n_right));
    json_put(o, "accuracy", json_number((double)e->n_right / n));
    json_put(o, "element_accuracy", json_number((double)e->n_positions_right / positions));
    json_put(o, "loss", json_number(e->loss));
    json_put(o, "n_feval", json_number(e->n_feval));
    json_put(o, "residual", json_number(e->residual));
    json_put(o, "mean_residual", json_number(e->mean_residual));
    for (int i = 0; i < DEQ_OUTCOME_COUNT; i++)
        json_put(outcomes, deq_outcome_text((deq_outcome)i), json_integer(e->n_outcome[i]));
    json_put(o, "outcomes", outcomes);
    json_put(o, "spectral_radius", json_number(e->spectral_radius));
    json_put(o, "seconds", json_number(e->seconds));
    return o;
}
