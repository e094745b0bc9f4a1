/* SPDX-License-Identifier: MIT */
/*
 * Batches, made in the background.
 *
 * Batch p of a run holds examples (p mod n) B to (p mod n) B + B - 1 of epoch p / n, with n batches an
 * epoch.  It depends on nothing but p, so any thread may make it, and a run can begin anywhere.
 *
 * There are slots for the batch that the caller holds and for `prefetch` others; batch p lives in slot
 * p mod slots.  A thread claims the next position once its slot is free (the indices are written at
 * once, since claims follow the order of the epoch), makes the batch without the lock, and announces
 * it:
 *
 *     FREE --claim--> MADE --done--> READY --deq_loader_next()--> lent, FREE at the next call
 *
 * A batch that cannot be made stays as FAILED with its message: every further call reports it.
 */
#define _POSIX_C_SOURCE 200809L

#include "data/augment.h"
#include "data/dataset.h"
#include "data/order.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

typedef enum slot_state { SLOT_FREE, SLOT_MADE, SLOT_READY, SLOT_FAILED } slot_state;

/* A batch: examples, and whether they are there. */
typedef struct slot {
    slot_state state; /* this and the last two under the lock */
    int64_t position;
    float *input;
    int32_t *target;
    int64_t *index;
    deq_status status;
    char message[DEQ_MESSAGE_BYTES];
} slot;

/* Who makes batches: a thread, or the caller's. */
typedef struct worker {
    struct deq_loader *loader;
    deq_context *own;
    float *input; /* an example before it is moved */
    int32_t *target;
    pthread_t thread;
    bool runs;
} worker;

struct deq_loader {
    deq_context *ctx;
    const deq_dataset *data;
    deq_loader_options o;
    int64_t batches;                   /* of an epoch */
    int64_t end;                       /* the position behind the last; INT64_MAX: none */
    int64_t input_count, target_count; /* elements of an example */

    slot *slots;
    size_t n_slots;
    worker *workers;
    size_t n_workers;
    float *inputs; /* of all slots and workers; likewise the next two */
    int32_t *targets;
    int64_t *indices;
    size_t n_examples;

    pthread_mutex_t lock;
    pthread_cond_t freed, made;
    bool has_lock;

    /* Under the lock. */
    int64_t claim; /* the next position to be made */
    int64_t given; /* the next position to be given to the caller */
    bool lent;     /* the caller holds the one before */
    bool stop;
    int64_t *order; /* [count] of epoch `ordered`; NULL: as they come */
    int64_t ordered;
};

/* The examples of a batch; behind the last comes the last again. */

static int64_t count_of(const deq_loader *l, int64_t position)
{
    const int64_t left = l->data->count - position % l->batches * l->o.batch;

    return left < l->o.batch ? left : l->o.batch;
}

static void write_indices(deq_loader *l, slot *s)
{
    const int64_t epoch = s->position / l->batches, first = s->position % l->batches * l->o.batch;
    const int64_t count = count_of(l, s->position);

    if (l->order && l->ordered != epoch) {
        deq_order_shuffle(l->order, l->data->count, l->o.seed, epoch);
        l->ordered = epoch;
    }
    for (int64_t i = 0; i < l->o.batch; i++) {
        const int64_t at = first + (i < count ? i : count - 1);
        s->index[i] = l->order ? l->order[at] : at;
    }
}

static deq_status make_example(worker *w, float *input, int32_t *target, int64_t epoch,
                               int64_t index)
{
    const deq_loader *l = w->loader;
    const deq_augment *a = &l->o.augment;
    const deq_example_form *form = &l->data->form;
    deq_draws draws = deq_draws_of(l->o.seed, (uint64_t)epoch, DEQ_DRAWS_AUGMENT, index);

    if (deq_augment_moves(a)) {
        DEQ_TRY(deq_dataset_read_own(l->data, index, w->input, w->target, w->own));
        deq_augment_move(input, target, a, form, w->input, w->target, &draws);
    } else {
        DEQ_TRY(deq_dataset_read_own(l->data, index, input, target, w->own));
    }
    deq_augment_change(input, a, form, &draws);
    return DEQ_OK;
}

static deq_status make_batch(worker *w, slot *s)
{
    const deq_loader *l = w->loader;
    const int64_t epoch = s->position / l->batches, count = count_of(l, s->position);
    const size_t input_bytes = (size_t)l->input_count * sizeof *s->input;
    const size_t target_bytes = (size_t)l->target_count * sizeof *s->target;

    for (int64_t i = 0; i < l->o.batch; i++) {
        float *input = s->input + i * l->input_count;
        int32_t *target = s->target + i * l->target_count;
        if (i >= count) {
            memcpy(input, input - l->input_count, input_bytes);
            memcpy(target, target - l->target_count, target_bytes);
            continue;
        }
        deq_status status = make_example(w, input, target, epoch, s->index[i]);
        if (status != DEQ_OK)
            return deq_fail(w->own, status, "%s (example %lld, epoch %lld, batch %lld)",
                            deq_last_error(w->own), (long long)s->index[i], (long long)epoch,
                            (long long)(s->position % l->batches));
    }
    return DEQ_OK;
}

/* The next position, if its slot is free; NULL: nothing to do now.  Under the lock. */
static slot *claim(deq_loader *l)
{
    slot *s = &l->slots[(size_t)(l->claim % (int64_t)l->n_slots)];

    if (l->claim >= l->end || s->state != SLOT_FREE) return NULL;
    s->state = SLOT_MADE;
    s->position = l->claim++;
    write_indices(l, s);
    return s;
}

/* Under the lock. */
static void announce(slot *s, deq_status status, const deq_context *own)
{
    s->status = status;
    s->state = status == DEQ_OK ? SLOT_READY : SLOT_FAILED;
    if (status != DEQ_OK) memcpy(s->message, deq_last_error(own), sizeof s->message);
}

static void *work(void *user)
{
    worker *w = user;
    deq_loader *l = w->loader;

    (void)pthread_mutex_lock(&l->lock);
    for (;;) {
        slot *s = NULL;
        while (!l->stop && !(s = claim(l))) (void)pthread_cond_wait(&l->freed, &l->lock);
        if (!s) break;
        (void)pthread_mutex_unlock(&l->lock);
        const deq_status status = make_batch(w, s);
        (void)pthread_mutex_lock(&l->lock);
        announce(s, status, w->own);
        (void)pthread_cond_signal(&l->made);
    }
    (void)pthread_mutex_unlock(&l->lock);
    return NULL;
}

/* The slot of a position, made; without background threads, made here.  Under the lock. */
static slot *wait_for(deq_loader *l, int64_t position)
{
    slot *s = &l->slots[(size_t)(position % (int64_t)l->n_slots)];

    if (l->o.prefetch == 0 && s->state == SLOT_FREE && claim(l))
        announce(s, make_batch(l->workers, s), l->workers->own);
    while (s->state != SLOT_READY && s->state != SLOT_FAILED)
        (void)pthread_cond_wait(&l->made, &l->lock);
    return s;
}

/* The caller comes again: what was lent is free.  Under the lock. */
static void take_back(deq_loader *l)
{
    if (!l->lent) return;
    l->lent = false;
    l->slots[(size_t)((l->given - 1) % (int64_t)l->n_slots)].state = SLOT_FREE;
    (void)pthread_cond_signal(&l->freed);
}

deq_status deq_loader_next(deq_loader *l, deq_batch *batch)
{
    deq_status status = DEQ_OK;

    *batch = (deq_batch){ 0 };
    (void)pthread_mutex_lock(&l->lock);
    take_back(l);
    batch->position = l->given;
    batch->epoch = l->given / l->batches;
    batch->number = l->given % l->batches;
    if (l->given < l->end) {
        const slot *s = wait_for(l, l->given);
        status = s->status;
        if (status != DEQ_OK) {
            (void)deq_fail(l->ctx, status, "%s", s->message);
        } else {
            batch->input = s->input;
            batch->target = s->target;
            batch->index = s->index;
            batch->count = count_of(l, l->given++);
            l->lent = true;
        }
    }
    (void)pthread_mutex_unlock(&l->lock);
    return status;
}

int64_t deq_loader_batches(const deq_loader *l)
{
    return l->batches;
}

/* Making and freeing. */

deq_loader_options deq_loader_defaults(void)
{
    return (deq_loader_options){
        .struct_size = sizeof(deq_loader_options),
        .batch = 32,
        .shuffle = true,
        .drop_last = true,
        .endless = true,
        .prefetch = 2,
        .threads = 1,
    };
}

static deq_status check(deq_context *ctx, const deq_dataset *d, const deq_loader_options *o)
{
    if (o->struct_size != sizeof *o)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "deq_loader_options of %zu bytes, expected %zu",
                        o->struct_size, sizeof *o);
    if (o->batch < 1)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "batches of %lld examples, expected 1 or more",
                        (long long)o->batch);
    if (o->drop_last && o->batch > d->count)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                        "batches of %lld examples from a dataset of %lld: with drop_last there "
                        "is none",
                        (long long)o->batch, (long long)d->count);
    if (o->position < 0)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "position %lld, expected 0 or more",
                        (long long)o->position);
    if (o->prefetch < 0 || o->prefetch > 4096)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "%d batches made ahead, expected 0 to 4096",
                        o->prefetch);
    if (o->threads < 1 || o->threads > 1024)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "%d threads, expected 1 to 1024", o->threads);
    return deq_augment_check(ctx, &o->augment, &d->form);
}

/* The end of the epoch in which a position lies. */
static int64_t end_of_epoch(int64_t position, int64_t batches)
{
    const int64_t left = batches - position % batches;

    return position > INT64_MAX - left ? INT64_MAX : position + left;
}

/* Room for one example in all: of every slot, and one of each worker. */
static deq_status take_memory(deq_loader *l)
{
    size_t n;

    if (!deq_size_mul(&n, l->n_slots, (size_t)l->o.batch) || !deq_size_add(&n, n, l->n_workers))
        return deq_fail(l->ctx, DEQ_ERR_NOMEM, "out of memory: %zu batches of %lld examples",
                        l->n_slots, (long long)l->o.batch);
    l->n_examples = n;
    l->indices = deq_alloc_array(l->ctx, n, sizeof *l->indices);
    if (l->indices)
        l->inputs = deq_alloc_array(l->ctx, n, (size_t)l->input_count * sizeof *l->inputs);
    if (l->inputs)
        l->targets = deq_alloc_array(l->ctx, n, (size_t)l->target_count * sizeof *l->targets);
    if (l->targets) l->slots = deq_alloc_array(l->ctx, l->n_slots, sizeof *l->slots);
    if (l->slots) l->workers = deq_alloc_array(l->ctx, l->n_workers, sizeof *l->workers);
    if (!l->workers) return DEQ_ERR_NOMEM;
    if (l->o.shuffle) {
        l->order = deq_alloc_array(l->ctx, (size_t)l->data->count, sizeof *l->order);
        if (!l->order) return DEQ_ERR_NOMEM;
    }
    return DEQ_OK;
}

static deq_status divide_memory(deq_loader *l)
{
    int64_t at = 0;

    for (size_t i = 0; i < l->n_slots; i++, at += l->o.batch) {
        l->slots[i].input = l->inputs + at * l->input_count;
        l->slots[i].target = l->targets + at * l->target_count;
        l->slots[i].index = l->indices + at;
    }
    for (size_t i = 0; i < l->n_workers; i++, at++) {
        worker *w = &l->workers[i];
        w->loader = l;
        w->input = l->inputs + at * l->input_count;
        w->target = l->targets + at * l->target_count;
        if (deq_context_private(&w->own, l->ctx) != DEQ_OK)
            return deq_fail(l->ctx, DEQ_ERR_NOMEM, "out of memory: a loader's thread");
    }
    return DEQ_OK;
}

static deq_status make_lock(deq_loader *l)
{
    if (pthread_mutex_init(&l->lock, NULL) != 0)
        return deq_fail(l->ctx, DEQ_ERR_STATE, "the system has no lock left for a loader");
    l->has_lock = pthread_cond_init(&l->freed, NULL) == 0;
    if (l->has_lock && pthread_cond_init(&l->made, NULL) != 0) {
        l->has_lock = false;
        (void)pthread_cond_destroy(&l->freed);
    }
    if (l->has_lock) return DEQ_OK;
    (void)pthread_mutex_destroy(&l->lock);
    return deq_fail(l->ctx, DEQ_ERR_STATE, "the system has no condition left for a loader");
}

/* Signals are for the program's own threads. */
static deq_status start_threads(deq_loader *l)
{
    sigset_t all, before;
    int error = 0;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    for (size_t i = 0; i < l->n_workers && !error; i++) {
        worker *w = &l->workers[i];
        error = pthread_create(&w->thread, NULL, work, w);
        w->runs = error == 0;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!error) return DEQ_OK;
    return deq_fail(l->ctx, DEQ_ERR_STATE, "no thread could be made for a loader (error %d)",
                    error);
}

static deq_status build(deq_loader *l)
{
    const int64_t rest = l->data->count % l->o.batch;

    l->batches = l->data->count / l->o.batch + (!l->o.drop_last && rest ? 1 : 0);
    l->end = l->o.endless ? INT64_MAX : end_of_epoch(l->o.position, l->batches);
    l->claim = l->given = l->o.position;
    l->ordered = -1;
    l->input_count = deq_shape_count(&l->data->form.input);
    l->target_count = deq_shape_count(&l->data->form.target);
    l->n_slots = (size_t)l->o.prefetch + 1;
    l->n_workers = l->o.prefetch ? (size_t)l->o.threads : 1;
    DEQ_TRY(take_memory(l));
    DEQ_TRY(divide_memory(l));
    DEQ_TRY(make_lock(l));
    return l->o.prefetch ? start_threads(l) : DEQ_OK;
}

deq_status deq_loader_new(deq_loader **out, deq_context *ctx, const deq_dataset *d,
                          const deq_loader_options *options)
{
    const deq_loader_options o = options ? *options : deq_loader_defaults();

    *out = NULL;
    DEQ_TRY(check(ctx, d, &o));
    deq_loader *l = deq_alloc(ctx, sizeof *l);
    if (!l) return DEQ_ERR_NOMEM;
    l->ctx = ctx;
    l->data = d;
    l->o = o;
    const deq_status status = build(l);
    if (status == DEQ_OK)
        *out = l;
    else
        deq_loader_free(l);
    return status;
}

static void stop_threads(deq_loader *l)
{
    if (!l->has_lock) return;
    (void)pthread_mutex_lock(&l->lock);
    l->stop = true;
    (void)pthread_cond_broadcast(&l->freed);
    (void)pthread_mutex_unlock(&l->lock);
    for (size_t i = 0; i < l->n_workers; i++)
        if (l->workers[i].runs) (void)pthread_join(l->workers[i].thread, NULL);
    (void)pthread_cond_destroy(&l->freed);
    (void)pthread_cond_destroy(&l->made);
    (void)pthread_mutex_destroy(&l->lock);
}

void deq_loader_free(deq_loader *l)
{
    if (!l) return;
    stop_threads(l);
    for (size_t i = 0; l->workers && i < l->n_workers; i++) deq_context_free(l->workers[i].own);
    deq_release(l->ctx, l->workers, l->n_workers * sizeof *l->workers);
    deq_release(l->ctx, l->slots, l->n_slots * sizeof *l->slots);
    deq_release(l->ctx, l->inputs, l->n_examples * (size_t)l->input_count * sizeof *l->inputs);
    deq_release(l->ctx, l->targets, l->n_examples * (size_t)l->target_count * sizeof *l->targets);
    deq_release(l->ctx, l->indices, l->n_examples * sizeof *l->indices);
    deq_release(l->ctx, l->order, (size_t)l->data->count * sizeof *l->order);
    deq_release(l->ctx, l, sizeof *l);
}
