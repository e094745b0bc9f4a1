/* SPDX-License-Identifier: MIT */
/* The context: allocator, threads, instruction set, log, last error. */
#include "base/context.h"

#include "base/isa.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct deq_context {
    deq_allocator allocator;
    int threads;
    deq_isa isa;
    deq_log_fn *log;
    void *log_user;
    char message[DEQ_MESSAGE_BYTES];
};

static void *system_alloc(void *user, size_t bytes, size_t align)
{
    (void)user;
    size_t rounded = (bytes + align - 1) / align * align; /* as aligned_alloc wants it */
    return rounded < bytes ? NULL : aligned_alloc(align, rounded);
}

static void system_free(void *user, void *memory, size_t bytes)
{
    (void)user;
    (void)bytes;
    free(memory);
}

deq_context_options deq_context_defaults(void)
{
    return (deq_context_options){ .struct_size = sizeof(deq_context_options) };
}

deq_status deq_context_new(deq_context **out, const deq_context_options *options)
{
    if (!out) return DEQ_ERR_ARGUMENT;
    *out = NULL;

    if (options && options->struct_size != sizeof *options) return DEQ_ERR_ARGUMENT;
    deq_context_options o = options ? *options : deq_context_defaults();
    if (o.threads < 0 || o.threads > 4096) return DEQ_ERR_ARGUMENT;
    if (o.isa < DEQ_ISA_AUTO || o.isa > DEQ_ISA_AVX512) return DEQ_ERR_ARGUMENT;

    deq_allocator a = o.allocator ? *o.allocator
                                  : (deq_allocator){ system_alloc, system_free, NULL };
    if (!a.alloc || !a.free) return DEQ_ERR_ARGUMENT;

    deq_context *ctx = a.alloc(a.user, sizeof *ctx, DEQ_ALIGNMENT);
    if (!ctx) return DEQ_ERR_NOMEM;

    deq_isa best = deq_isa_detect();
    *ctx = (deq_context){
        .allocator = a,
        .threads = o.threads ? o.threads : omp_get_max_threads(),
        .isa = o.isa == DEQ_ISA_AUTO || o.isa > best ? best : o.isa,
        .log = o.log,
        .log_user = o.log_user,
    };
    *out = ctx;
    return DEQ_OK;
}

void deq_context_free(deq_context *ctx)
{
    if (!ctx) return;
    deq_allocator a = ctx->allocator;
    a.free(a.user, ctx, sizeof *ctx);
}

deq_status deq_context_private(deq_context **out, const deq_context *ctx)
{
    *out = ctx->allocator.alloc(ctx->allocator.user, sizeof **out, DEQ_ALIGNMENT);
    if (!*out) return DEQ_ERR_NOMEM;
    **out = (deq_context){ .allocator = ctx->allocator, .threads = 1, .isa = ctx->isa };
    return DEQ_OK;
}

const char *deq_last_error(const deq_context *ctx)
{
    return ctx ? ctx->message : "";
}

int deq_context_threads(const deq_context *ctx)
{
    return ctx->threads;
}

deq_isa deq_context_isa(const deq_context *ctx)
{
    return ctx->isa;
}

bool deq_size_mul(size_t *out, size_t a, size_t b)
{
    if (b && a > (size_t)PTRDIFF_MAX / b) return false;
    *out = a * b;
    return true;
}

bool deq_size_add(size_t *out, size_t a, size_t b)
{
    if (a > (size_t)PTRDIFF_MAX - b) return false;
    *out = a + b;
    return true;
}

void *deq_alloc(deq_context *ctx, size_t bytes)
{
    if (bytes == 0) bytes = 1;
    void *memory = ctx->allocator.alloc(ctx->allocator.user, bytes, DEQ_ALIGNMENT);
    if (memory)
        memset(memory, 0, bytes);
    else
        (void)deq_fail(ctx, DEQ_ERR_NOMEM, "out of memory: asked for %zu bytes", bytes);
    return memory;
}

void *deq_alloc_array(deq_context *ctx, size_t count, size_t size)
{
    size_t bytes;
    if (!deq_size_mul(&bytes, count, size)) {
        (void)deq_fail(ctx, DEQ_ERR_NOMEM, "out of memory: %zu elements of %zu bytes", count, size);
        return NULL;
    }
    return deq_alloc(ctx, bytes);
}

void deq_release(deq_context *ctx, void *memory, size_t bytes)
{
    if (memory) ctx->allocator.free(ctx->allocator.user, memory, bytes ? bytes : 1);
}

char *deq_strdup(deq_context *ctx, const char *s)
{
    size_t bytes = strlen(s) + 1;
    char *copy = deq_alloc(ctx, bytes);
    if (copy) memcpy(copy, s, bytes);
    return copy;
}

deq_status deq_grow(deq_context *ctx, void **array, size_t *capacity, size_t need, size_t size)
{
    if (need <= *capacity) return DEQ_OK;
    size_t larger = *capacity ? *capacity * 2 : 16;
    if (larger < need) larger = need;
    void *moved = deq_alloc_array(ctx, larger, size);
    if (!moved) return DEQ_ERR_NOMEM;
    if (*array) memcpy(moved, *array, *capacity * size);
    deq_release(ctx, *array, *capacity * size);
    *array = moved;
    *capacity = larger;
    return DEQ_OK;
}

deq_status deq_vfail(deq_context *ctx, deq_status status, const char *format, va_list args)
{
    /* Formatted aside first: the arguments may point into the previous message. */
    char text[DEQ_MESSAGE_BYTES];
    vsnprintf(text, sizeof text, format, args);
    memcpy(ctx->message, text, sizeof text);
    return status;
}

deq_status(deq_fail)(deq_context *ctx, deq_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    deq_vfail(ctx, status, format, args);
    va_end(args);
    return status;
}

void deq_log_line(deq_context *ctx, deq_log_level level, const char *format, ...)
{
    if (!ctx->log) return;
    char line[DEQ_MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    ctx->log(ctx->log_user, level, line);
}
