/* SPDX-License-Identifier: MIT */
/* Making and freeing solvers. */
#include "solver/solver.h"

#include <string.h>

static const deq_method_kind *const kinds[] = { &deq_kind_picard,        &deq_kind_anderson,
                                                &deq_kind_broyden,       &deq_kind_adjoint_broyden,
                                                &deq_kind_newton_krylov, &deq_kind_custom };

static const deq_method_kind *kind_of(deq_method method)
{
    if (method == DEQ_AUTO) method = DEQ_ANDERSON;
    if (method == DEQ_SQUAREM || method == DEQ_REVERSIBLE) method = DEQ_CUSTOM;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i]->method == method) return kinds[i];
    return NULL;
}

/* States are saved after (k + 1) D evaluations, D = floor(max_iter / n); when n does not divide
 * max_iter, after max_iter - (n - 1 - k) D. */
static deq_status choose_states(deq_solver *s)
{
    const deq_solver_options *o = &s->o;
    int n = o->n_state_index ? o->n_state_index + 1 : o->n_states, D = o->max_iter / n;
    s->n_states = n;
    s->state_index = deq_alloc_array(s->ctx, (size_t)n, sizeof *s->state_index);
    s->state = deq_alloc_array(s->ctx, (size_t)n, sizeof *s->state);
    if (!s->state_index || !s->state) return DEQ_ERR_NOMEM;
    for (int k = 0; k < n - 1; k++) {
        s->state_index[k] = o->n_state_index ? o->state_index[k] : o->max_iter - (n - 1 - k) * D;
        s->state[k] = deq_alloc(s->ctx, deq_batch_bytes(&s->b));
        if (!s->state[k]) return DEQ_ERR_NOMEM;
    }
    s->state_index[n - 1] = o->max_iter;
    s->o.state_index = NULL;
    return DEQ_OK;
}

static deq_status make_vectors(deq_solver *s)
{
    s->kept = deq_batch_vector(&s->b);
    return s->kept ? s->kind->prepare(s) : DEQ_ERR_NOMEM;
}

static void release_method(deq_solver *s)
{
    if (s->method) s->kind->release(s);
    s->method = NULL;
}

static deq_status make(deq_solver *s, int64_t batch, int64_t dim, bool within)
{
    size_t B = (size_t)batch;
    int max_sums = 3 * DEQ_MEMORY_MAX + 8;
    DEQ_TRY(deq_batch_init(&s->b, s->ctx, batch, dim, s->dtype, max_sums));
    s->b.within = within;
    DEQ_TRY(choose_states(s));
    s->sample = deq_alloc_array(s->ctx, B, sizeof *s->sample);
    s->sample_info = deq_alloc_array(s->ctx, B, sizeof *s->sample_info);
    s->last = deq_alloc_array(s->ctx, 2 * B, sizeof *s->last);
    if (!s->sample || !s->sample_info || !s->last) return DEQ_ERR_NOMEM;
    if (s->o.trace) {
        s->trace = deq_alloc_array(s->ctx, 2 * B * ((size_t)s->o.max_iter + 1), sizeof *s->trace);
        if (!s->trace) return DEQ_ERR_NOMEM;
    }
    return make_vectors(s);
}

static void choose_custom(deq_solver *s)
{
    if (s->o.method == DEQ_CUSTOM) s->custom = *s->o.custom;
    if (s->o.method == DEQ_SQUAREM) s->custom = deq_squarem;
    if (s->o.method == DEQ_REVERSIBLE) s->custom = deq_reversible_method;
    if (s->o.method != DEQ_CUSTOM) s->custom.user = s;
}

static deq_status new_solver(deq_solver **out, deq_context *ctx, const deq_solver_options *options,
                             int64_t batch, int64_t dim, deq_dtype dtype, bool within)
{
    if (!out || !ctx) return DEQ_ERR_ARGUMENT;
    *out = NULL;
    deq_solver_options o = options ? *options : deq_solver_defaults();
    DEQ_TRY(deq_solver_check(ctx, &o));
    const deq_method_kind *kind = kind_of(o.method);
    if (!kind)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "solver: no method has the number %d",
                        (int)o.method);
    if (o.reference_batch_max && o.method != DEQ_PICARD && o.method != DEQ_ANDERSON &&
        o.method != DEQ_BROYDEN)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                        "solver: the reference mode has picard, anderson and broyden, not %s",
                        deq_method_name(o.method));
    if (batch < 1 || dim < 1)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                        "solver: batch is %lld and dim %lld, both must be >= 1", (long long)batch,
                        (long long)dim);
    if (dtype != DEQ_F32 && dtype != DEQ_F64)
        return deq_fail(ctx, DEQ_ERR_DTYPE, "solver: dtype is %s, expected f32 or f64",
                        deq_dtype_name(dtype));

    deq_solver *s = deq_alloc(ctx, sizeof *s);
    if (!s) return DEQ_ERR_NOMEM;
    s->ctx = ctx;
    s->o = o;
    s->kind = o.reference_batch_max ? &deq_kind_reference : kind;
    s->dtype = dtype;
    choose_custom(s);
    deq_status status = make(s, batch, dim, within);
    if (status != DEQ_OK) {
        deq_solver_free(s);
        return status;
    }
    *out = s;
    return DEQ_OK;
}

deq_status deq_solver_new(deq_solver **out, deq_context *ctx, const deq_solver_options *options,
                          int64_t batch, int64_t dim, deq_dtype dtype)
{
    return new_solver(out, ctx, options, batch, dim, dtype, false);
}

deq_status deq_solver_new_within(deq_solver **out, deq_context *ctx,
                                 const deq_solver_options *options, int64_t batch, int64_t dim,
                                 deq_dtype dtype)
{
    return new_solver(out, ctx, options, batch, dim, dtype, true);
}

size_t deq_solver_lent_bytes(const deq_solver *s)
{
    return deq_batch_lent_bytes(&s->b);
}

/* The methods keep pointers to their vectors, so they are made again. */
deq_status deq_solver_lend(deq_solver *s, void *memory)
{
    release_method(s);
    deq_batch_lend(&s->b, memory);
    return make_vectors(s);
}

void deq_solver_free(deq_solver *s)
{
    if (!s) return;
    size_t B = (size_t)s->b.B, n = (size_t)s->n_states;
    release_method(s);
    for (size_t k = 0; s->state && k + 1 < n; k++)
        deq_release(s->ctx, s->state[k], deq_batch_bytes(&s->b));
    deq_release(s->ctx, s->state, n * sizeof *s->state);
    deq_release(s->ctx, s->state_index, n * sizeof *s->state_index);
    deq_release(s->ctx, s->sample, B * sizeof *s->sample);
    deq_release(s->ctx, s->sample_info, B * sizeof *s->sample_info);
    deq_release(s->ctx, s->last, 2 * B * sizeof *s->last);
    deq_release(s->ctx, s->trace, 2 * B * ((size_t)s->o.max_iter + 1) * sizeof *s->trace);
    deq_batch_free(&s->b);
    deq_release(s->ctx, s, sizeof *s);
}
