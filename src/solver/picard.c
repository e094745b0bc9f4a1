/* SPDX-License-Identifier: MIT */
/*
 * Damped Picard iteration (docs/math/picard.md):
 *
 *     z_{k+1} = (1 - tau) z_k + tau f(z_k)                                                  (1)
 *
 * With tau = 1 the vector that f wrote becomes the next z, and nothing moves but pointers: three
 * vectors go round, because f must not write where the best iterate may still lie.
 */
#include "solver/solver.h"

typedef struct picard {
    void *ring[3];
    int at; /* of s->z */
} picard;

static deq_status prepare(deq_solver *s)
{
    picard *p = s->method = deq_alloc(s->ctx, sizeof *p);
    if (!p) return DEQ_ERR_NOMEM;
    for (int i = 0; i < 3; i++)
        if (!(p->ring[i] = deq_batch_vector(&s->b))) return DEQ_ERR_NOMEM;
    return DEQ_OK;
}

static void release(deq_solver *s)
{
    deq_release(s->ctx, s->method, sizeof(picard));
}

static void begin(deq_solver *s)
{
    picard *p = s->method;
    p->at = 0;
    s->z = p->ring[0];
    s->fz = p->ring[1];
}

static void measure(void *self, int64_t row, int64_t at, int64_t count, double *sums)
{
    deq_solver *s = self;
    s->b.k->residual(NULL, deq_at(&s->b, s->fz, row, at), deq_at(&s->b, s->z, row, at), count,
                     sums);
}

static void judge(void *self, int64_t row, const double *sums)
{
    (void)deq_judge(self, row, sums[0], sums[1], false);
}

/* The vector that f will write next, which may hold the best iterate. */
static void *third(const deq_solver *s)
{
    const picard *p = s->method;
    return p->ring[(p->at + 2) % 3];
}

static void update(void *self, int64_t row, int64_t at, int64_t count, double *sums)
{
    deq_solver *s = self;
    double tau = s->o.picard.damping;
    void *f = deq_at(&s->b, s->fz, row, at);
    (void)sums;
    deq_rescue(s, row, at, count, third(s));
    if (tau != 1)
        s->b.k->combine(f, tau, f, 1 - tau, deq_at(&s->b, s->z, row, at), NULL, NULL, NULL, 0,
                        count); /* (1) */
}

static void updated(void *self, int64_t row, const double *sums)
{
    (void)sums;
    deq_rescued(self, row, third(self));
}

static deq_status step(deq_solver *s)
{
    static const deq_phase phases[] = { { 2, measure, judge }, { 0, update, updated } };
    picard *p = s->method;
    deq_batch_run(&s->b, phases, 2, s);
    s->z = s->fz;
    s->fz = third(s);
    p->at = (p->at + 1) % 3;
    return DEQ_OK;
}

const deq_method_kind deq_kind_picard = {
    .method = DEQ_PICARD, .prepare = prepare, .release = release, .begin = begin, .step = step
};
