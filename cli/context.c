/* SPDX-License-Identifier: MIT */
/* The context a command works with, and failures that the library explains. */
#include "context.h"

#include "terminal.h"
#include "text.h"

#include <stdarg.h>

static void log_warning(void *user, deq_log_level level, const char *message)
{
    const arguments *a = user;
    if (level < DEQ_LOG_WARNING) return;
    text_buffer safe = { 0 };
    put_safe(&safe, message);
    fail(CLI_OK, a->path, "warning: %s", text_string(&safe));
    text_free(&safe);
}

int open_context(deq_context **ctx, const arguments *a)
{
    deq_context_options options = deq_context_defaults();
    if ((a->command->common & COMMON_THREADS) && argument_given(a, "threads"))
        options.threads = (int)argument_integer(a, "threads");
    options.log = log_warning;
    options.log_user = (void *)(uintptr_t)a;
    const deq_status status = deq_context_new(ctx, &options);
    if (status == DEQ_OK) return CLI_OK;
    return fail(CLI_FAILED, a->path, "no context: %s", deq_status_text(status));
}

int fail_status(const arguments *a, const deq_context *ctx, deq_status status)
{
    const char *message = deq_last_error(ctx);
    text_buffer safe = { 0 };
    if (status == DEQ_OK) return CLI_OK;
    put_safe(&safe, *message ? message : deq_status_text(status));
    const int code = status == DEQ_ERR_DATA || status == DEQ_ERR_UNSUPPORTED ? CLI_DATA
                                                                             : CLI_FAILED;
    fail(code, a->path, "%s", text_string(&safe));
    text_free(&safe);
    return code;
}

int fail_about(int code, const arguments *a, const char *name, const char *format, ...)
{
    char why[512];
    text_buffer safe = { 0 };
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    put_safe(&safe, name);
    fail(code, a->path, "%s: %s", text_string(&safe), why);
    text_free(&safe);
    return code;
}
