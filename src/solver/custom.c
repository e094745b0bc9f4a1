/* SPDX-License-Identifier: MIT */
/* Methods of the user: the step of one sample is theirs, everything else ours. */
#include "solver/solver.h"

#include <string.h>

typedef struct custom {
    void *zs[2], **vector; /* [n_vectors] */
    const void *next;
    void **rows; /* [batch, n_vectors]: the vectors of one row */
    char *state; /* [batch, state_bytes] by sample */
} custom;

static size_t n_vectors(const deq_solver *s)
{
    return (size_t)s->custom.n_vectors;
}

static deq_status prepare(deq_solver *s)
{
    size_t B = (size_t)s->b.B;
    custom *c = s->method = deq_alloc(s->ctx, sizeof *c);
    if (!c) return DEQ_ERR_NOMEM;
    c->vector = deq_alloc_array(s->ctx, n_vectors(s), sizeof *c->vector);
    c->rows = deq_alloc_array(s->ctx, B * n_vectors(s), sizeof *c->rows);
    c->state = deq_alloc_array(s->ctx, B, s->custom.state_bytes);
    if (!c->vector || !c->rows || !c->state) return DEQ_ERR_NOMEM;
    for (int i = 0; i < 2; i++)
        if (!(c->zs[i] = deq_batch_vector(&s->b))) return DEQ_ERR_NOMEM;
    for (size_t i = 0; i < n_vectors(s); i++)
        if (!(c->vector[i] = deq_batch_vector(&s->b))) return DEQ_ERR_NOMEM;
    return (s->fz = deq_batch_vector(&s->b)) ? DEQ_OK : DEQ_ERR_NOMEM;
}

static void release(deq_solver *s)
{
    size_t B = (size_t)s->b.B;
    custom *c = s->method;
    if (!c) return;
    deq_release(s->ctx, c->vector, n_vectors(s) * sizeof *c->vector);
    deq_release(s->ctx, c->rows, B * n_vectors(s) * sizeof *c->rows);
    deq_release(s->ctx, c->state, B * s->custom.state_bytes);
    deq_release(s->ctx, c, sizeof *c);
}

static void begin(deq_solver *s)
{
    custom *c = s->method;
    s->z = c->zs[0];
    memset(c->state, 0, (size_t)s->b.B * s->custom.state_bytes);
}

static void *next_z(const deq_solver *s)
{
    custom *c = s->method;
    return s->z == c->zs[0] ? c->zs[1] : c->zs[0];
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

static void rescue(void *self, int64_t row, int64_t at, int64_t count, double *sums)
{
    (void)sums;
    deq_rescue(self, row, at, count, next_z(self));
}

static void take_step(void *self, int64_t row, const double *sums)
{
    deq_solver *s = self;
    custom *c = s->method;
    int64_t sample = s->b.sample[row];
    void **rows = c->rows + (size_t)row * n_vectors(s);
    (void)sums;
    deq_rescued(s, row, next_z(s));
    for (size_t i = 0; i < n_vectors(s); i++) rows[i] = deq_at(&s->b, c->vector[i], row, 0);
    deq_custom_step step = { .dtype = s->dtype,
                             .dim = s->b.d,
                             .sample = sample,
                             .step = s->sample_info[sample].n_feval - 1,
                             .residual = s->sample[sample].residual,
                             .z = deq_at(&s->b, s->z, row, 0),
                             .fz = deq_at(&s->b, s->fz, row, 0),
                             .z_next = deq_at(&s->b, next_z(s), row, 0),
                             .vectors = rows,
                             .state = c->state + (size_t)sample * s->custom.state_bytes };
    s->custom.step(s->custom.user, &step);
}

static deq_status step(deq_solver *s)
{
    static const deq_phase phases[] = { { 2, measure, judge }, { 0, rescue, take_step } };
    deq_batch_run(&s->b, phases, 2, s);
    s->z = next_z(s);
    return DEQ_OK;
}

const deq_method_kind deq_kind_custom = {
    .method = DEQ_CUSTOM, .prepare = prepare, .release = release, .begin = begin, .step = step
};
