/* SPDX-License-Identifier: MIT */
/* See settings.h. */
#include "settings.h"

#include "context.h"

/* A file's contents are at fault unless it could not be read. */
static int fail_file(const arguments *a, const deq_context *ctx, deq_status status)
{
    int code = fail_status(a, ctx, status);
    return status == DEQ_ERR_NAME || status == DEQ_ERR_ARGUMENT ? CLI_DATA : code;
}

/* The command line is at fault. */
static int fail_setting(const arguments *a, const deq_context *ctx, deq_status status)
{
    return fail_status(a, ctx, status) == CLI_OK ? CLI_OK : CLI_USAGE;
}

int apply_settings(deq_config *config, deq_context *ctx, const arguments *a)
{
    deq_status status = DEQ_OK;
    for (int i = 0; i < argument_count(a, "set") && status == DEQ_OK; i++)
        status = deq_config_set(config, ctx, argument_text_at(a, "set", i));
    return fail_setting(a, ctx, status);
}

int read_config(deq_config *config, deq_context *ctx, const arguments *a, const char *path)
{
    *config = deq_config_defaults();
    int code = path ? fail_file(a, ctx, deq_config_read(config, ctx, path)) : CLI_OK;
    if (code == CLI_OK) code = apply_settings(config, ctx, a);
    if (code == CLI_OK) code = fail_file(a, ctx, deq_config_check(config, ctx));
    return code;
}

int open_model(deq_trained **out, deq_context *ctx, const arguments *a)
{
    deq_config config;
    bool given = argument_given(a, "config");
    deq_which which = argument_flag(a, "last") ? DEQ_WHICH_LAST : DEQ_WHICH_BEST;
    *out = NULL;
    int code = given ? read_config(&config, ctx, a, argument_text(a, "config")) : CLI_OK;
    if (code != CLI_OK) return code;
    code = fail_status(
        a, ctx,
        deq_trained_open(out, ctx, argument_text(a, "MODEL"), which, given ? &config : NULL));
    if (code == CLI_OK && !given) code = apply_settings(deq_trained_config(*out), ctx, a);
    if (code == CLI_OK)
        code = fail_setting(a, ctx, deq_config_check(deq_trained_config(*out), ctx));
    if (code != CLI_OK) {
        deq_trained_free(*out);
        *out = NULL;
    }
    return code;
}

static bool print_piece(void *user, const char *text, size_t length)
{
    (void)user;
    return fwrite(text, 1, length, stdout) == length;
}

int print_config(deq_context *ctx, const arguments *a, const char *path)
{
    deq_config config;
    int code = read_config(&config, ctx, a, path);
    if (code != CLI_OK) return code;
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
