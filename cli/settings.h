/* SPDX-License-Identifier: MIT */
/* Configurations on the command line: a file and --set; and evaluations as JSON. */
#ifndef DEQ_CLI_SETTINGS_H
#define DEQ_CLI_SETTINGS_H

#include "command.h"
#include "json.h"

#include <deq/train.h>

/* The defaults, changed by the file (NULL: none) and by every --set of the command.  Returns an exit
 * code, as all of these. */
int read_config(deq_config *config, deq_context *ctx, const arguments *a, const char *path);
/* The --set alone. */
int apply_settings(deq_config *config, deq_context *ctx, const arguments *a);
/* As YAML with comments on stdout. */
int print_config(deq_context *ctx, const arguments *a, const char *path);

/* MODEL with --config, --set and --last of the command; see deq_trained_open(). */
int open_model(deq_trained **out, deq_context *ctx, const arguments *a);

json_t *evaluation_json(const deq_evaluation *e);

#endif
