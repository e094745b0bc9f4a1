/* SPDX-License-Identifier: MIT */
/* The context a command works with, and failures that the library explains. */
#ifndef DEQ_CLI_CONTEXT_H
#define DEQ_CLI_CONTEXT_H

#include "command.h"

#include <deq/context.h>

/* A context with the threads of --threads (COMMON_THREADS); its warnings go to stderr.  Free it with
 * deq_context_free().  CLI_OK, or another exit code with a message; *ctx is NULL then. */
int open_context(deq_context **ctx, const arguments *a);

/* Says on stderr what the library says.  CLI_DATA when a file's contents are at fault, otherwise
 * CLI_FAILED; CLI_OK, silently, for DEQ_OK. */
int fail_status(const arguments *a, const deq_context *ctx, deq_status status);

/* A message about something whose name may come from anywhere, made safe: "deq info: NAME: why".
 * Returns code. */
int fail_about(int code, const arguments *a, const char *name, const char *format, ...)
    CLI_PRINTF(4, 5);

#endif
