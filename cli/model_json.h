/* SPDX-License-Identifier: MIT */
/* What `deq info` and `deq bench` say of a model: its configuration, its weights, its programs. */
#ifndef DEQ_CLI_MODEL_JSON_H
#define DEQ_CLI_MODEL_JSON_H

#include "command.h"
#include "json.h"

#include <deq/train.h>

/* Every setting, nested as in YAML. */
json_t *config_json(const deq_config *config);

/* The settings that count for this configuration: members data, model, solver, gradient, ... */
void put_settings(json_t *into, const deq_config *config);

/* Stages, memory plan and costs of a program; its steps and slots too, if `all` is set. */
json_t *program_json(const deq_program *p, bool all);

/* Defaults, file and --set, without deq_config_check(): data need not be named to look at a model.
 * Returns an exit code. */
int read_model_config(deq_config *config, deq_context *ctx, const arguments *a, const char *path);

/* Family, weights, states, and how far training came. */
void put_model(json_t *into, deq_inspection *model, bool statistics);

#endif
