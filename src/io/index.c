/* SPDX-License-Identifier: MIT */
/* Open addressing with linear probing; at most two thirds of the slots are taken. */
#include "io/index.h"

#include <string.h>

struct deq_index_slot {
    const char *name; /* NULL: empty */
    uint64_t hash;
    size_t place;
};

/* FNV-1a (Fowler, Noll, Vo), with its high bits folded into the low ones. */
static uint64_t hash_of(const char *name)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    for (; *name; name++) h = (h ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
    return h ^ h >> 32;
}

void deq_index_init(deq_index *x, deq_context *ctx)
{
    *x = (deq_index){ .ctx = ctx };
}

void deq_index_free(deq_index *x)
{
    deq_release(x->ctx, x->slots, x->capacity * sizeof *x->slots);
    deq_index_init(x, x->ctx);
}

/* The slot of a name, or the empty one where it belongs. */
static struct deq_index_slot *slot_of(struct deq_index_slot *slots, size_t capacity,
                                      const char *name, uint64_t hash)
{
    size_t i = (size_t)hash & (capacity - 1);

    while (slots[i].name && (slots[i].hash != hash || strcmp(slots[i].name, name) != 0))
        i = (i + 1) & (capacity - 1);
    return &slots[i];
}

size_t deq_index_find(const deq_index *x, const char *name)
{
    if (x->capacity == 0) return DEQ_INDEX_NONE;
    const struct deq_index_slot *slot = slot_of(x->slots, x->capacity, name, hash_of(name));
    return slot->name ? slot->place : DEQ_INDEX_NONE;
}

static deq_status enlarge(deq_index *x)
{
    const size_t capacity = x->capacity ? 2 * x->capacity : 16;
    struct deq_index_slot *slots = deq_alloc_array(x->ctx, capacity, sizeof *slots);

    if (!slots) return DEQ_ERR_NOMEM;
    for (size_t i = 0; i < x->capacity; i++) {
        const struct deq_index_slot *old = &x->slots[i];
        if (old->name) *slot_of(slots, capacity, old->name, old->hash) = *old;
    }
    deq_release(x->ctx, x->slots, x->capacity * sizeof *x->slots);
    x->slots = slots;
    x->capacity = capacity;
    return DEQ_OK;
}

deq_status deq_index_add(deq_index *x, const char *name, size_t place)
{
    const uint64_t hash = hash_of(name);

    if (3 * (x->count + 1) > 2 * x->capacity) DEQ_TRY(enlarge(x));
    *slot_of(x->slots, x->capacity, name, hash) = (struct deq_index_slot){ name, hash, place };
    x->count++;
    return DEQ_OK;
}
