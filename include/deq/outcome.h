/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Outcomes: how the mathematics went for one sample.
 *
 * A status tells whether the work could be done; an outcome tells what came of it.  Running out of
 * iterations is no error.
 */
#ifndef DEQ_OUTCOME_H
#define DEQ_OUTCOME_H

#include <deq/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Every outcome with its text: X(name, text). */
#define DEQ_OUTCOME_LIST(X)                                                                        \
    X(DEQ_CONVERGED, "converged")                                                                  \
    X(DEQ_MAX_ITER, "out of iterations")                                                           \
    X(DEQ_STAGNATED, "stagnated")                                                                  \
    X(DEQ_DIVERGED, "diverged")                                                                    \
    X(DEQ_NON_FINITE, "non-finite")

/** How a solve ended for one sample; DEQ_CONVERGED is zero. */
typedef enum deq_outcome {
#define DEQ_OUTCOME_ENUM(name, text) name,
    DEQ_OUTCOME_LIST(DEQ_OUTCOME_ENUM)
#undef DEQ_OUTCOME_ENUM
        DEQ_OUTCOME_COUNT /**< number of outcomes; not an outcome */
} deq_outcome;

/**
 * The text of an outcome, e.g. "stagnated".
 *
 * @param outcome any value; unknown ones give "unknown outcome".
 * @return a string that is never freed.
 */
DEQ_API const char *deq_outcome_text(deq_outcome outcome);

#ifdef __cplusplus
}
#endif
#endif
