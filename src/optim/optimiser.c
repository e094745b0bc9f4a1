/* SPDX-License-Identifier: MIT */
/*
 * Optimisers: settings, state, and the scalars of a step.
 *
 * The updates are element-wise, so neither the partition among threads nor the stretches of
 * deq_optimiser_scale() change what an element becomes.
 */
#include <deq/optim.h>

#include "base/context.h"
#include "optim/update.h"

#include <math.h>
#include <omp.h>
#include <string.h>

/* Elements that are worth a thread. */
#define LEAST_PER_THREAD 16384
#define MOST_STATES 2

/* From `first` to the next stretch: factors of rate and decay. */
typedef struct stretch {
    int64_t first;
    double rate, decay;
} stretch;

struct deq_optimiser {
    deq_context *ctx;
    deq_dtype dtype;
    int64_t length, steps;
    deq_optimiser_options options;
    void *state[MOST_STATES];
    stretch *stretches; /* rising; the first begins at 0 */
    size_t n_stretches, capacity;
};

static const char *const kind_names[] = { "sgd", "adam", "adamw", "radam" };

static bool is_kind(deq_optimiser_kind kind)
{
    return kind >= DEQ_SGD && kind <= DEQ_RADAM;
}

const char *deq_optimiser_name(deq_optimiser_kind kind)
{
    return is_kind(kind) ? kind_names[kind] : "unknown";
}

deq_optimiser_options deq_optimiser_defaults(deq_optimiser_kind kind)
{
    return (deq_optimiser_options){
        .struct_size = sizeof(deq_optimiser_options),
        .kind = kind,
        .momentum = 0.9,
        .beta1 = 0.9,
        .beta2 = 0.999,
        .eps = 1e-8,
    };
}

static deq_status refuse(deq_context *ctx, const char *field, double value, const char *range)
{
    return deq_fail(ctx, DEQ_ERR_ARGUMENT, "optimiser: %s = %g, expected %s", field, value, range);
}

static bool is_fraction(double x)
{
    return x >= 0 && x < 1;
}

static bool is_size(double x)
{
    return x >= 0 && isfinite(x);
}

static deq_status check_options(deq_context *ctx, const deq_optimiser_options *o)
{
    if (o->struct_size != sizeof *o)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "optimiser: struct_size is %zu, expected %zu",
                        o->struct_size, sizeof *o);
    if (!is_kind(o->kind))
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "optimiser: kind %d is not known", (int)o->kind);
    if (!is_size(o->weight_decay)) return refuse(ctx, "weight_decay", o->weight_decay, ">= 0");
    if (o->kind == DEQ_SGD) {
        if (!is_fraction(o->momentum)) return refuse(ctx, "momentum", o->momentum, "[0, 1)");
        if (o->nesterov && o->momentum == 0)
            return deq_fail(ctx, DEQ_ERR_ARGUMENT, "optimiser: nesterov needs a momentum above 0");
        return DEQ_OK;
    }
    if (!is_fraction(o->beta1)) return refuse(ctx, "beta1", o->beta1, "[0, 1)");
    if (!is_fraction(o->beta2)) return refuse(ctx, "beta2", o->beta2, "[0, 1)");
    if (!(o->eps > 0 && isfinite(o->eps))) return refuse(ctx, "eps", o->eps, "above 0");
    return DEQ_OK;
}

static int n_states(const deq_optimiser *o)
{
    if (o->options.kind != DEQ_SGD) return 2;
    return o->options.momentum > 0 ? 1 : 0;
}

static size_t vector_bytes(const deq_optimiser *o)
{
    return (size_t)o->length * deq_dtype_size(o->dtype);
}

static deq_status allocate(deq_optimiser *o)
{
    for (int i = 0; i < n_states(o); i++) {
        o->state[i] = deq_alloc(o->ctx, vector_bytes(o));
        if (!o->state[i]) return DEQ_ERR_NOMEM;
    }
    DEQ_TRY(deq_grow(o->ctx, (void **)&o->stretches, &o->capacity, 1, sizeof *o->stretches));
    o->stretches[0] = (stretch){ 0, 1, 1 };
    o->n_stretches = 1;
    return DEQ_OK;
}

deq_status deq_optimiser_new(deq_optimiser **out, deq_context *ctx, deq_dtype dtype, int64_t length,
                             const deq_optimiser_options *options)
{
    const deq_optimiser_options o = options ? *options : deq_optimiser_defaults(DEQ_SGD);
    size_t bytes;

    *out = NULL;
    DEQ_TRY(check_options(ctx, &o));
    if (dtype != DEQ_F32 && dtype != DEQ_F64)
        return deq_fail(ctx, DEQ_ERR_DTYPE, "optimiser: vectors are %s, expected f32 or f64",
                        deq_dtype_name(dtype));
    if (length < 1 || !deq_size_mul(&bytes, (size_t)length, deq_dtype_size(dtype)))
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "optimiser: %lld elements, expected at least 1",
                        (long long)length);
    deq_optimiser *made = deq_alloc(ctx, sizeof *made);
    if (!made) return DEQ_ERR_NOMEM;
    made->ctx = ctx;
    made->dtype = dtype;
    made->length = length;
    made->options = o;
    deq_status status = allocate(made);
    if (status == DEQ_OK)
        *out = made;
    else
        deq_optimiser_free(made);
    return status;
}

void deq_optimiser_free(deq_optimiser *o)
{
    if (!o) return;
    for (int i = 0; i < MOST_STATES; i++) deq_release(o->ctx, o->state[i], vector_bytes(o));
    deq_release(o->ctx, o->stretches, o->capacity * sizeof *o->stretches);
    deq_release(o->ctx, o, sizeof *o);
}

/* Let a stretch begin at `first`, with the factors of the one that it cuts; its index.  There is
 * room. */
static size_t cut(deq_optimiser *o, int64_t first)
{
    size_t i = o->n_stretches;

    while (o->stretches[i - 1].first > first) i--; /* the first begins at 0 */
    if (o->stretches[i - 1].first == first) return i - 1;
    memmove(o->stretches + i + 1, o->stretches + i, (o->n_stretches - i) * sizeof *o->stretches);
    o->stretches[i] = o->stretches[i - 1];
    o->stretches[i].first = first;
    o->n_stretches++;
    return i;
}

deq_status deq_optimiser_scale(deq_optimiser *o, int64_t first, int64_t count, double rate,
                               double decay)
{
    if (first < 0 || count < 0 || first > o->length || count > o->length - first)
        return deq_fail(o->ctx, DEQ_ERR_ARGUMENT,
                        "optimiser: %lld elements from %lld on are not within %lld",
                        (long long)count, (long long)first, (long long)o->length);
    if (!is_size(rate)) return refuse(o->ctx, "factor of the rate", rate, ">= 0");
    if (!is_size(decay)) return refuse(o->ctx, "factor of the weight decay", decay, ">= 0");
    if (count == 0) return DEQ_OK;
    DEQ_TRY(deq_grow(o->ctx, (void **)&o->stretches, &o->capacity, o->n_stretches + 2,
                     sizeof *o->stretches));
    const size_t begin = cut(o, first);
    const size_t end = first + count < o->length ? cut(o, first + count) : o->n_stretches;
    o->stretches[begin].rate = rate;
    o->stretches[begin].decay = decay;
    memmove(o->stretches + begin + 1, o->stretches + end,
            (o->n_stretches - end) * sizeof *o->stretches);
    o->n_stretches -= end - begin - 1;
    return DEQ_OK;
}

/* The scalars of Adam and RAdam in step t, see optim.h.  Division by 1 - beta1^t goes into the rate;
 * sqrt(vhat) = sqrt(v) / sqrt(1 - beta2^t), which RAdam writes with eps outside. */
static void prepare_adam(deq_update *u, const deq_optimiser_options *o, double t)
{
    const double bias1 = 1 - pow(o->beta1, t), power2 = pow(o->beta2, t), bias2 = 1 - power2;

    u->beta1 = o->beta1;
    u->beta2 = o->beta2;
    u->eps = o->eps;
    u->rate /= bias1;
    u->root = 1 / sqrt(bias2);
    u->adaptive = true;
    if (o->kind != DEQ_RADAM) return;

    const double rho_inf = 2 / (1 - o->beta2) - 1, rho = rho_inf - 2 * t * power2 / bias2;
    u->adaptive = rho > 5;
    u->root = 1;
    if (u->adaptive)
        u->rate *= sqrt(bias2) *
                   sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho));
}

static deq_update prepare(const deq_optimiser *o, const stretch *s, double rate)
{
    const deq_optimiser_options *p = &o->options;
    deq_update u = { .rate = rate * s->rate, .decay = p->weight_decay * s->decay, .keep = 1 };

    if (p->kind == DEQ_SGD) {
        u.momentum = p->momentum;
        u.nesterov = p->nesterov;
        return u;
    }
    if (p->kind == DEQ_ADAMW) {
        u.keep = 1 - u.rate * u.decay;
        u.decay = 0;
    }
    prepare_adam(&u, p, (double)o->steps);
    return u;
}

static int threads_for(const deq_optimiser *o, int64_t count)
{
    const int64_t useful = count / LEAST_PER_THREAD, most = deq_context_threads(o->ctx);

    return (int)(useful < 1 ? 1 : useful < most ? useful : most);
}

static void run_stretch(deq_optimiser *o, const deq_update *u, void *values, const void *grads,
                        int64_t first, int64_t length)
{
    deq_update_fn *const run = o->options.kind == DEQ_SGD
                                   ? (o->dtype == DEQ_F32 ? deq_sgd_f32 : deq_sgd_f64)
                                   : (o->dtype == DEQ_F32 ? deq_adam_f32 : deq_adam_f64);
    const int threads = threads_for(o, length);

#pragma omp parallel for num_threads(threads) schedule(static, 1) if (threads > 1)
    for (int part = 0; part < threads; part++) {
        int64_t begin, count;
        deq_update_part(&begin, &count, length, part, threads);
        run(u, values, grads, o->state[0], o->state[1], first + begin, count);
    }
}

deq_status deq_optimiser_step(deq_optimiser *o, void *values, const void *grads, double rate)
{
    if (!is_size(rate)) return refuse(o->ctx, "rate", rate, ">= 0");
    o->steps++;
    for (size_t i = 0; i < o->n_stretches; i++) {
        const stretch *s = &o->stretches[i];
        const int64_t end = i + 1 < o->n_stretches ? s[1].first : o->length;
        if (s->rate == 0) continue;
        const deq_update u = prepare(o, s, rate);
        run_stretch(o, &u, values, grads, s->first, end - s->first);
    }
    return DEQ_OK;
}

int64_t deq_optimiser_steps(const deq_optimiser *o)
{
    return o->steps;
}

void deq_optimiser_set_steps(deq_optimiser *o, int64_t steps)
{
    o->steps = steps > 0 ? steps : 0;
}

deq_optimiser_state deq_optimiser_state_at(deq_optimiser *o, int index)
{
    static const char *const moments[] = { "first_moment", "second_moment" };

    if (index < 0 || index >= n_states(o)) return (deq_optimiser_state){ NULL, NULL };
    return (deq_optimiser_state){ o->options.kind == DEQ_SGD ? "momentum" : moments[index],
                                  o->state[index] };
}
