/* SPDX-License-Identifier: MIT */
/**
 * @file
 * The context: allocator, threads, instruction set, log, and the message of the last error.
 *
 * Everything else is made from a context and must be freed before it.  A context, and the graphs
 * made from it, serve one calling thread at a time.  Compiled programs are independent of each
 * other: different programs of one context may run in different threads.
 */
#ifndef DEQ_CONTEXT_H
#define DEQ_CONTEXT_H

#include <deq/status.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/** See context.h. */
typedef struct deq_context deq_context;

/**
 * Where memory comes from.  Both functions must be callable from any thread.
 */
typedef struct deq_allocator {
    /** At least `bytes` (> 0) bytes aligned to `align` (a power of two), or NULL. */
    void *(*alloc)(void *user, size_t bytes, size_t align);
    /** Give back what alloc returned; `bytes` is the size asked for.  Never called with NULL. */
    void (*free)(void *user, void *memory, size_t bytes);
    void *user; /**< passed to both */
} deq_allocator;

/** Instruction sets that the library's own kernels exist for, in rising order. */
typedef enum deq_isa {
    DEQ_ISA_AUTO = 0, /**< the best that this machine has */
    DEQ_ISA_BASELINE, /**< what the compiler targets by default */
    DEQ_ISA_AVX2,     /**< AVX2 + FMA */
    DEQ_ISA_AVX512    /**< AVX-512 F, BW, DQ, VL */
} deq_isa;

/** How urgent a log line is. */
typedef enum deq_log_level { DEQ_LOG_DEBUG, DEQ_LOG_INFO, DEQ_LOG_WARNING } deq_log_level;

/** Receives log lines (no newline at the end); the library itself never prints. */
typedef void deq_log_fn(void *user, deq_log_level level, const char *message);

/** Settings of a context.  Start from deq_context_defaults(). */
typedef struct deq_context_options {
    size_t struct_size;             /**< sizeof(deq_context_options) */
    const deq_allocator *allocator; /**< copied; NULL for the C library's */
    int threads; /**< threads a program may use, >= 1; 0: what OpenMP would (OMP_NUM_THREADS, cores) */
    deq_isa isa;     /**< upper limit for own kernels; default DEQ_ISA_AUTO */
    deq_log_fn *log; /**< NULL to drop log lines */
    void *log_user;  /**< passed to log */
} deq_context_options;

/**
 * The default settings: C library allocator, all cores, best instruction set, no log.
 *
 * @return a struct to change and pass to deq_context_new().
 */
DEQ_API deq_context_options deq_context_defaults(void);

/**
 * Make a context.
 *
 * @param out      receives the context; free with deq_context_free().  NULL on failure.
 * @param options  NULL for the defaults.
 * @return DEQ_OK, DEQ_ERR_ARGUMENT (struct_size, threads or isa out of range), DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_context_new(deq_context **out, const deq_context_options *options);

/**
 * Free a context.  Everything made from it must have been freed before.
 *
 * @param ctx NULL is allowed.
 */
DEQ_API void deq_context_free(deq_context *ctx);

/**
 * What went wrong last, with the facts: what was expected, what came, where.
 *
 * @param ctx a context.
 * @return "" when nothing failed yet; valid until the next failing call on ctx.
 */
DEQ_API const char *deq_last_error(const deq_context *ctx);

/**
 * The number of threads that programs of this context use.
 *
 * @param ctx a context.
 * @return at least 1.
 */
DEQ_API int deq_context_threads(const deq_context *ctx);

/**
 * The instruction set that the library's own kernels use in this context.
 *
 * @param ctx a context.
 * @return never DEQ_ISA_AUTO.
 */
DEQ_API deq_isa deq_context_isa(const deq_context *ctx);

/**
 * The name of an instruction set: "baseline", "avx2", "avx512".
 *
 * @param isa any value; unknown ones give "unknown".
 * @return a string that is never freed.
 */
DEQ_API const char *deq_isa_name(deq_isa isa);

#ifdef __cplusplus
}
#endif
#endif
