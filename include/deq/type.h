/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Data types, shapes and the type of a value.  Extents are row-major, outermost first.
 */
#ifndef DEQ_TYPE_H
#define DEQ_TYPE_H

#include <deq/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Element types. */
typedef enum deq_dtype {
    DEQ_F32 = 1, /**< float; the type of work */
    DEQ_F64,     /**< double; gradient checks, bilevel problems, voting */
    DEQ_I32,     /**< int32_t; indices and labels */
    DEQ_I64,     /**< int64_t; random keys, counters */
    DEQ_BOOL     /**< one byte, 0 or 1; results of comparisons */
} deq_dtype;

/** Most axes a value may have. */
#define DEQ_MAX_RANK 8

/** Extents of a value, outermost first; each at least 1.  Rank 0 is a scalar. */
typedef struct deq_shape {
    int rank;                  /**< number of axes, 0 to DEQ_MAX_RANK */
    int64_t dim[DEQ_MAX_RANK]; /**< extents; entries from rank on are zero */
} deq_shape;

/** What is known of a value before anything runs. */
typedef struct deq_type {
    deq_dtype dtype; /**< element type */
    deq_shape shape; /**< extents */
} deq_type;

/** A shape from its extents: DEQ_SHAPE(32, 64).  Scalars: DEQ_SCALAR. */
#define DEQ_SHAPE(...)                                                                             \
    ((deq_shape){ .rank = (int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)),             \
                  .dim = { __VA_ARGS__ } })
/** The shape of a scalar. */
#define DEQ_SCALAR ((deq_shape){ .rank = 0 })

/**
 * Bytes of one element.
 *
 * @param dtype any value.
 * @return 0 for an unknown dtype.
 */
DEQ_API size_t deq_dtype_size(deq_dtype dtype);

/**
 * The name of a dtype: "f32", "f64", "i32", "i64", "bool".
 *
 * @param dtype any value; unknown ones give "unknown".
 * @return a string that is never freed.
 */
DEQ_API const char *deq_dtype_name(deq_dtype dtype);

/**
 * Number of elements of a valid shape (1 for a scalar).
 *
 * @param shape extents whose product is known to fit (any shape that a graph accepted).
 * @return the product of the extents.
 */
DEQ_API int64_t deq_shape_count(const deq_shape *shape);

/**
 * Whether two shapes have the same rank and extents.
 *
 * @param a a shape.
 * @param b a shape.
 * @return true when equal.
 */
DEQ_API bool deq_shape_equal(const deq_shape *a, const deq_shape *b);

/**
 * Bytes of a value of this type, stored row-major without gaps.
 *
 * @param type a type that a graph accepted.
 * @return elements times bytes of an element.
 */
DEQ_API size_t deq_type_bytes(const deq_type *type);

/**
 * Write a type as text, e.g. "f32 [32, 64]".
 *
 * @param buffer   receives the text, always terminated when capacity > 0.
 * @param capacity bytes of buffer.
 * @param type     a type; its rank is clamped to DEQ_MAX_RANK.
 * @return buffer.
 */
DEQ_API const char *deq_type_format(char *buffer, size_t capacity, const deq_type *type);

#ifdef __cplusplus
}
#endif
#endif
