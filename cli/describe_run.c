/* SPDX-License-Identifier: MIT */
/* deq info of runs, their checkpoints, and configurations. */
#include "context.h"
#include "describe.h"
#include "model_json.h"
#include "settings.h"

#include <string.h>
#include <sys/stat.h>

/* Of models with more parameters programs are compiled only when asked for. */
#define LARGE 20000000

static bool has(const char *folder, const char *name)
{
    char path[4096];
    struct stat about;
    int n = snprintf(path, sizeof path, "%s/%s", folder, name);
    return n > 0 && (size_t)n < sizeof path && stat(path, &about) == 0;
}

static bool knows_run(const file_head *head)
{
    return head->is_folder && (has(head->path, "config.yaml") || has(head->path, "checkpoints"));
}

/* Metadata come first in safetensors, and the format first among them. */
static bool knows_checkpoint(const file_head *head)
{
    static const char sign[] = "{\"__metadata__\":{\"deq.format\":";
    return head->n > 8 + sizeof sign && memcmp(head->first + 8, sign, sizeof sign - 1) == 0;
}

static bool knows_config(const file_head *head)
{
    return !head->is_folder && (name_ends(head, ".yaml") || name_ends(head, ".yml"));
}

static int put_program(json_t *into, const char *name, const arguments *a, deq_context *ctx,
                       deq_inspection *model, deq_work work)
{
    deq_workload *w;
    deq_status status = deq_workload_new(&w, model, work, argument_integer(a, "batch"));
    if (status != DEQ_OK) return fail_status(a, ctx, status);
    json_put(into, name, program_json(deq_workload_program(w), argument_flag(a, "program")));
    deq_workload_free(w);
    return CLI_OK;
}

static int put_programs(json_t *into, const arguments *a, deq_context *ctx, deq_inspection *model)
{
    const deq_parameters *p = deq_weights_parameters(deq_inspection_weights(model));
    if (deq_parameters_elements(p) > LARGE && !argument_flag(a, "program")) return CLI_OK;
    json_put(into, "program_batch", json_integer(argument_integer(a, "batch")));
    int code = put_program(into, "program", a, ctx, model, DEQ_WORK_SOLVE);
    return code == CLI_OK ? put_program(into, "map", a, ctx, model, DEQ_WORK_MAP) : code;
}

static int describe(json_t *into, const arguments *a, deq_context *ctx, deq_inspection *model)
{
    put_model(into, model, argument_flag(a, "statistics"));
    int code = put_programs(into, a, ctx, model);
    deq_inspection_free(model);
    return code;
}

static int describe_trained(json_t *into, const arguments *a, deq_context *ctx, const char *path)
{
    deq_inspection *model;
    deq_which which = argument_flag(a, "last") ? DEQ_WHICH_LAST : DEQ_WHICH_BEST;
    deq_status status = deq_inspect_trained(&model, ctx, path, which);
    if (status != DEQ_OK) return fail_status(a, ctx, status);
    int code = apply_settings(deq_inspection_config(model), ctx, a);
    if (code == CLI_OK) return describe(into, a, ctx, model);
    deq_inspection_free(model);
    return code;
}

int read_model_config(deq_config *config, deq_context *ctx, const arguments *a, const char *path)
{
    *config = deq_config_defaults();
    deq_status status = deq_config_read(config, ctx, path);
    int code = fail_status(a, ctx, status);
    if (status == DEQ_ERR_NAME || status == DEQ_ERR_ARGUMENT) code = CLI_DATA;
    return code == CLI_OK ? apply_settings(config, ctx, a) : code;
}

static int describe_configured(json_t *into, const arguments *a, deq_context *ctx, const char *path)
{
    deq_inspection *model;
    deq_config config;
    int code = read_model_config(&config, ctx, a, path);
    if (code != CLI_OK) return code;
    deq_status status = deq_inspect_config(&model, ctx, &config);
    return status == DEQ_OK ? describe(into, a, ctx, model) : fail_status(a, ctx, status);
}

/* A run that was killed before its first checkpoint is still a configuration. */
static int run(json_t *into, const arguments *a, deq_context *ctx, const file_head *head)
{
    char path[4096];
    json_put(into, "format", json_string("run"));
    if (has(head->path, "checkpoints/last.safetensors") ||
        has(head->path, "checkpoints/best.safetensors"))
        return describe_trained(into, a, ctx, head->path);
    json_put(into, "steps", json_integer(0));
    snprintf(path, sizeof path, "%s/config.yaml", head->path);
    return describe_configured(into, a, ctx, path);
}

static int checkpoint(json_t *into, const arguments *a, deq_context *ctx, const file_head *head)
{
    json_put(into, "format", json_string("checkpoint"));
    return describe_trained(into, a, ctx, head->path);
}

static int configuration(json_t *into, const arguments *a, deq_context *ctx, const file_head *head)
{
    if (argument_flag(a, "statistics"))
        return fail(CLI_USAGE, a->path,
                    "--statistics is for weights, and a configuration has none");
    json_put(into, "format", json_string("config"));
    return describe_configured(into, a, ctx, head->path);
}

const describer describe_run = { "run", knows_run, run };
const describer describe_checkpoint = { "checkpoint", knows_checkpoint, checkpoint };
const describer describe_config = { "config", knows_config, configuration };
