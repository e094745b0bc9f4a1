/* SPDX-License-Identifier: MIT */
/* The search of wolfe.h. */
#include "solver/wolfe.h"

#include <math.h>

#define STRETCH 3.0 /* of a step that was too short */
#define MARGIN 0.1  /* a trial keeps this share of the bracket away from its ends */

void deq_wolfe_begin(deq_wolfe *w, double value, double slope, double t)
{
    w->start = w->low = (deq_wolfe_point){ 0, value, slope };
    w->high = (deq_wolfe_point){ INFINITY, INFINITY, 0 };
    w->zoom = false;
    w->t = t;
}

/* (1) */
static bool decreases(const deq_wolfe *w, const deq_wolfe_point *p)
{
    if (p->value <= w->start.value + w->c1 * p->t * w->start.slope) return true;
    return p->value <= w->start.value + w->noise * fabs(w->start.value) &&
           p->slope <= (2 * w->c1 - 1) * w->start.slope;
}

/* The minimum of the cubic through two points and their slopes; NaN if there is none. */
static double cubic(const deq_wolfe_point *a, const deq_wolfe_point *b)
{
    double d1 = a->slope + b->slope - 3 * (a->value - b->value) / (a->t - b->t);
    double d2 = copysign(sqrt(d1 * d1 - a->slope * b->slope), b->t - a->t);
    return b->t - (b->t - a->t) * (b->slope + d2 - d1) / (b->slope - a->slope + 2 * d2);
}

/* Inside the bracket, not too near its ends. */
static double choose(const deq_wolfe *w)
{
    double width = w->high.t - w->low.t, t = cubic(&w->low, &w->high);
    double share = (t - w->low.t) / width;
    if (!isfinite(share)) return w->low.t + 0.5 * width;
    return w->low.t + fmin(fmax(share, MARGIN), 1 - MARGIN) * width;
}

static deq_wolfe_state narrow(deq_wolfe *w, const deq_wolfe_point *p)
{
    if (!decreases(w, p) || (w->low.t > 0 && p->value >= w->low.value)) {
        w->high = *p;
    } else {
        if (p->slope * (w->high.t - w->low.t) >= 0) w->high = w->low;
        w->low = *p;
    }
    w->t = choose(w);
    return DEQ_WOLFE_TRY;
}

static deq_wolfe_state widen(deq_wolfe *w, const deq_wolfe_point *p)
{
    bool worse = !decreases(w, p) || (w->low.t > 0 && p->value >= w->low.value);
    if (worse) {
        w->high = *p;
    } else if (p->slope >= 0) {
        w->high = w->low;
        w->low = *p;
    } else {
        w->low = *p;
        w->t = STRETCH * p->t;
        return DEQ_WOLFE_TRY;
    }
    w->zoom = true;
    w->t = choose(w);
    return DEQ_WOLFE_TRY;
}

deq_wolfe_state deq_wolfe_tell(deq_wolfe *w, double value, double slope)
{
    deq_wolfe_point p = { w->t, value, slope };
    bool finite = isfinite(value) && isfinite(slope);
    if (!finite) p = (deq_wolfe_point){ w->t, INFINITY, NAN };
    if (finite && decreases(w, &p) && fabs(slope) <= w->c2 * fabs(w->start.slope))
        return DEQ_WOLFE_DONE;
    if (w->trials <= 0) /* this was `low` once more, or there is nothing */
        return finite && decreases(w, &p) ? DEQ_WOLFE_ENOUGH : DEQ_WOLFE_FAILED;
    deq_wolfe_state next = w->zoom ? narrow(w, &p) : widen(w, &p);
    if (--w->trials > 0 && fabs(w->high.t - w->low.t) > 1e-15 * w->low.t) return next;
    w->trials = 0;
    if (w->low.t == 0) return DEQ_WOLFE_FAILED;
    if (w->low.t == p.t) return DEQ_WOLFE_ENOUGH;
    w->t = w->low.t;
    return DEQ_WOLFE_TRY;
}
