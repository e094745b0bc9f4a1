/* SPDX-License-Identifier: MIT */
/* The context a command works with, and failures that the library explains. */
#include "context.h"

#include "terminal.h"
#include "text.h"

#include <stdarg.h>
#include <string.h>

/* A training run may warn at every step.  Warnings are alike if they are up to their first digit; of
 * those that are alike the first three are printed, then every time their number is a power of ten. */
enum { KINDS = 16, KIND_BYTES = 64, PRINTED = 3 };

static int64_t count_alike(const char *message)
{
    static struct {
        char text[KIND_BYTES];
        int64_t count;
    } kinds[KINDS];
    const size_t length = strcspn(message, "0123456789");
    const size_t n = length < KIND_BYTES - 1 ? length : KIND_BYTES - 1;
    for (int i = 0; i < KINDS; i++) {
        if (kinds[i].count == 0) memcpy(kinds[i].text, message, n); /* its end is zero already */
        if (strncmp(kinds[i].text, message, n) == 0 && kinds[i].text[n] == 0)
            return ++kinds[i].count;
    }
    return 1;
}

static bool is_power_of_ten(int64_t n)
{
    while (n % 10 == 0) n /= 10;
    return n == 1;
}

static void log_warning(void *user, deq_log_level level, const char *message)
{
    const arguments *a = user;
    if (level < DEQ_LOG_WARNING) return;
    const int64_t alike = count_alike(message);
    if (alike > PRINTED && !is_power_of_ten(alike)) return;
    text_buffer safe = { 0 };
    put_safe(&safe, message);
    if (alike > PRINTED)
        fail(CLI_OK, a->path, "warning: %s (%lld like this so far)", text_string(&safe),
             (long long)alike);
    else
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
