/* SPDX-License-Identifier: MIT */
/*
 * SQUAREM, the squared extrapolation of Varadhan & Roland (Scand. J. Stat. 35, 2008), scheme S3.
 * A cycle evaluates f three times:
 *
 *   z_1 = f(z_0),  z_2 = f(z_1)
 *   r   = z_1 - z_0,  v = (z_2 - z_1) - r
 *   a   = |r| / |v|, held within [1, longest]                  (1)
 *   z'  = z_0 + 2 a r + a^2 v;  a = 1 gives z_2                (2)
 *   z_0 = f(z')                                                (3)
 *
 * `longest` begins at 1 and grows GROWTH-fold whenever it held a back.  A z' whose residual exceeds
 * TOLERATED times that of z_1 is dropped for z_2, and `longest` shrinks.  Some growth must be allowed:
 * a long step that removes the slowest component of the error stretches the fast ones, which the
 * next steps remove.
 */
#include "solver/solver.h"
#include "solver/vector.h"

#include <math.h>

#define GROWTH 4
#define TOLERATED 10

typedef struct squarem {
    int at;         /* what is evaluated: 0: z_0, 1: z_1, 2: z' */
    double longest; /* 0 at first */
    double residual, a;
} squarem;

enum { R, Z2, N_VECTORS };

/* z_1 was evaluated: (1) and (2). */
static void extrapolate(const deq_vectors *d, const deq_custom_step *s, squarem *q)
{
    void *r = s->vectors[R], *z2 = s->vectors[Z2], *next = s->z_next;
    double rr = deq_vector_dot(d, r, r);
    double vv = (deq_vector_sum(d, next, 1, s->fz, -1, s->z),
                 deq_vector_combine(d, next, -1, r, 1));
    q->a = fmin(q->longest, fmax(1, vv > 0 ? sqrt(rr / vv) : 1));
    q->residual = s->residual;
    deq_vector_copy(d, z2, s->fz);
    if (q->a == 1) {
        deq_vector_copy(d, next, z2);
        return;
    }
    /* z' = z_1 - r + 2 a r + a^2 v */
    (void)deq_vector_sum(d, next, q->a * q->a, next, 2 * q->a - 1, r);
    (void)deq_vector_combine(d, next, 1, s->z, 1);
}

static void step(void *user, const deq_custom_step *s)
{
    const deq_solver *solver = user;
    deq_vectors d = { .dtype = s->dtype, .k = solver->b.k, .threads = 1, .n = s->dim };
    squarem *q = s->state;
    if (q->longest == 0) q->longest = 1;
    if (q->at == 0) {
        (void)deq_vector_sum(&d, s->vectors[R], 1, s->fz, -1, s->z);
        deq_vector_copy(&d, s->z_next, s->fz);
        q->at = 1;
    } else if (q->at == 1) {
        extrapolate(&d, s, q);
        q->at = 2;
    } else {
        bool good = s->residual <= TOLERATED * q->residual;
        if (good && q->a == q->longest) q->longest *= GROWTH;
        if (!good) q->longest = fmax(1, q->longest / GROWTH);
        deq_vector_copy(&d, s->z_next, good || q->a == 1 ? s->fz : s->vectors[Z2]); /* (3) */
        q->at = 0;
    }
}

const deq_custom_method deq_squarem = { .struct_size = sizeof(deq_custom_method),
                                        .name = "squarem",
                                        .n_vectors = N_VECTORS,
                                        .state_bytes = sizeof(squarem),
                                        .step = step };
