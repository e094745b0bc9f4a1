/* SPDX-License-Identifier: MIT */
/*
 * A search for a step t > 0 along a line, phi(t) = h(x + t p), with the strong Wolfe conditions
 *
 *     phi(t)  <= phi(0) + c1 t phi'(0)          or its form for the floor of the precision,
 *     phi'(t) <= (2 c1 - 1) phi'(0)             where phi(t) and phi(0) cannot be told apart   (1)
 *     |phi'(t)| <= c2 |phi'(0)|                                                               (2)
 *
 * The search is a machine: it names the step to try, and is told value and slope there.  Bracketing
 * and zooming as in Nocedal & Wright, Numerical Optimization (2006), algorithms 3.5 and 3.6, with
 * cubic interpolation; the second form of (1) is Hager & Zhang's (2005) approximate Wolfe condition.
 */
#ifndef DEQ_SOLVER_WOLFE_H
#define DEQ_SOLVER_WOLFE_H

#include <stdbool.h>

typedef struct deq_wolfe_point {
    double t, value, slope;
} deq_wolfe_point;

typedef enum deq_wolfe_state {
    DEQ_WOLFE_TRY,    /* evaluate at `t` */
    DEQ_WOLFE_DONE,   /* the point told last satisfies both conditions */
    DEQ_WOLFE_ENOUGH, /* out of trials, and the point told last satisfies (1) at least */
    DEQ_WOLFE_FAILED
} deq_wolfe_state;

typedef struct deq_wolfe {
    double c1, c2, noise; /* noise: relative precision of phi */
    int trials;           /* left */
    bool zoom;
    double t;                         /* to try */
    deq_wolfe_point start, low, high; /* low: best so far that satisfies (1) */
} deq_wolfe;

void deq_wolfe_begin(deq_wolfe *w, double value, double slope, double t);
deq_wolfe_state deq_wolfe_tell(deq_wolfe *w, double value, double slope);

#endif
