/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Status codes: whether the work could be done.
 *
 * A status never tells how the mathematics went (that is an outcome, reported beside the result).
 * The list below is the only place where a code and its text are written.
 */
#ifndef DEQ_STATUS_H
#define DEQ_STATUS_H

#include <deq/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Every status with its text: X(name, text). */
#define DEQ_STATUS_LIST(X)                                                                         \
    X(DEQ_OK, "success")                                                                           \
    X(DEQ_ERR_ARGUMENT, "invalid argument")                                                        \
    X(DEQ_ERR_SHAPE, "shapes do not fit")                                                          \
    X(DEQ_ERR_DTYPE, "unsupported data type")                                                      \
    X(DEQ_ERR_OVERFLOW, "size too large")                                                          \
    X(DEQ_ERR_NOMEM, "out of memory")                                                              \
    X(DEQ_ERR_NAME, "unknown or duplicate name")                                                   \
    X(DEQ_ERR_STATE, "call out of order")                                                          \
    X(DEQ_ERR_DATA, "invalid data")                                                                \
    X(DEQ_ERR_UNSUPPORTED, "not supported")                                                        \
    X(DEQ_ERR_BACKEND, "kernel library failed")                                                    \
    X(DEQ_ERR_IO, "input or output failed")                                                        \
    X(DEQ_ERR_MISMATCH, "values disagree")

/** Whether a call did its work; DEQ_OK is zero. */
typedef enum deq_status {
#define DEQ_STATUS_ENUM(name, text) name,
    DEQ_STATUS_LIST(DEQ_STATUS_ENUM)
#undef DEQ_STATUS_ENUM
        DEQ_STATUS_COUNT /**< number of codes; not a status */
} deq_status;

/**
 * The text of a status, e.g. "out of memory".
 *
 * @param status any value; unknown ones give "unknown status".
 * @return a string that is never freed.
 */
DEQ_API const char *deq_status_text(deq_status status);

#ifdef __cplusplus
}
#endif
#endif
