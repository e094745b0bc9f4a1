/* SPDX-License-Identifier: MIT */
/* The context from inside: memory, the last error, warnings. */
#ifndef DEQ_BASE_CONTEXT_H
#define DEQ_BASE_CONTEXT_H

#include <deq/context.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#if defined(__GNUC__)
#define DEQ_PRINTF(at, first) __attribute__((format(printf, at, first)))
#else
#define DEQ_PRINTF(at, first)
#endif

/* Propagate a status. */
#define DEQ_TRY(call)                                                                              \
    do {                                                                                           \
        deq_status try_status_ = (call);                                                           \
        if (try_status_ != DEQ_OK) return try_status_;                                             \
    } while (0)

/* Memory for vectors starts at cache lines. */
#define DEQ_ALIGNMENT 64
#define DEQ_MESSAGE_BYTES 1024

/* `bytes` zeroed bytes aligned to DEQ_ALIGNMENT (never NULL for 0 bytes unless out of memory). On
 * failure NULL, and the message says how much was asked for. */
void *deq_alloc(deq_context *ctx, size_t bytes);
/* count * size bytes, zeroed, with the product checked. */
void *deq_alloc_array(deq_context *ctx, size_t count, size_t size);
/* Give back what deq_alloc gave; `bytes` as asked for.  NULL is allowed. */
void deq_release(deq_context *ctx, void *memory, size_t bytes);
/* A copy of a string; free with deq_release(ctx, s, strlen(s) + 1). */
char *deq_strdup(deq_context *ctx, const char *s);
/* Grow a vector of elements to hold at least `need`; contents move, the rest is zeroed. */
deq_status deq_grow(deq_context *ctx, void **array, size_t *capacity, size_t need, size_t size);

/* A context for work in another thread: the memory of ctx, one thread, a message of its own.  It is
 * freed by deq_context_free(); NULL with DEQ_ERR_NOMEM, and no message then. */
deq_status deq_context_private(deq_context **out, const deq_context *ctx);

/* Keep the message and return the status. */
deq_status deq_fail(deq_context *ctx, deq_status status, const char *format, ...) DEQ_PRINTF(3, 4);
deq_status deq_vfail(deq_context *ctx, deq_status status, const char *format, va_list args);
#ifdef __clang_analyzer__ /* It sees one source at a time; tell it which status comes back. */
#define deq_fail(ctx, status, ...) ((deq_fail)(ctx, status, __VA_ARGS__), (status))
#endif

/* Send a line to the log callback, if there is one. */
void deq_log_line(deq_context *ctx, deq_log_level level, const char *format, ...) DEQ_PRINTF(3, 4);

/* a * b and a + b for sizes; false when the result does not fit. */
bool deq_size_mul(size_t *out, size_t a, size_t b);
bool deq_size_add(size_t *out, size_t a, size_t b);

#endif
