/* SPDX-License-Identifier: MIT */
#include "vote/names.h"

#include <string.h>

#define LEAST_BITS 6
#define WINDOW 16                          /* slots, at most LEAST_SLOTS */
#define KEY_7 UINT64_C(0x00ffffffffffffff) /* a key without its last byte */
#define KEY_3 UINT64_C(0x00ffffff00ffffff) /* the same of four bytes, which are in it twice */
#define LOOKS 2                            /* slots of a queued name before going one by one */
#define LEAST_SLOTS ((size_t)1 << LEAST_BITS)

void deq_names_init(deq_names *names, deq_context *ctx)
{
    *names = (deq_names){ .ctx = ctx };
}

static void free_slots(deq_names *names)
{
    deq_release(names->ctx, names->slots, names->n_slots * sizeof *names->slots);
    names->slots = NULL;
    names->n_slots = 0;
}

void deq_names_free(deq_names *names)
{
    deq_release(names->ctx, names->text, names->text_capacity);
    deq_release(names->ctx, names->start, names->start_capacity * sizeof *names->start);
    free_slots(names);
    deq_names_init(names, names->ctx);
}

void deq_names_clear(deq_names *names)
{
    names->count = names->length = 0;
    names->recent = (deq_name_slot){ 0 };
    if (names->slots) memset(names->slots, 0, names->n_slots * sizeof *names->slots);
}

/* The same contents in a block of exactly their size. */
static deq_status fit(deq_context *ctx, void **array, size_t *capacity, size_t count, size_t size)
{
    if (*capacity == count) return DEQ_OK;
    void *moved = deq_alloc_array(ctx, count, size);
    if (!moved) return DEQ_ERR_NOMEM;
    if (count) memcpy(moved, *array, count * size);
    deq_release(ctx, *array, *capacity * size);
    *array = moved;
    *capacity = count;
    return DEQ_OK;
}

deq_status deq_names_rest(deq_names *names)
{
    void *text = names->text, *start = names->start;

    free_slots(names);
    deq_status status = fit(names->ctx, &text, &names->text_capacity, names->length, 1);
    names->text = text;
    DEQ_TRY(status);
    status = fit(names->ctx, &start, &names->start_capacity, names->count, sizeof *names->start);
    names->start = start;
    return status;
}

static inline uint64_t load(const char *text, size_t bytes)
{
    uint64_t x = 0;

    if (bytes == 8) {
        memcpy(&x, text, 8);
    } else {
        uint32_t y;
        memcpy(&y, text, 4);
        x = y;
    }
    return x;
}

#define SPREAD UINT64_C(0x9e3779b97f4a7c15)

/* Multiplication moves entropy upwards, the shift brings it down again. */
static inline uint64_t mix(uint64_t x)
{
    x *= SPREAD;
    return x ^ (x >> 32);
}

/* With the length, up to eight bytes are told apart. */
static inline uint64_t key_of(const char *text, size_t length)
{
    const unsigned char *p = (const unsigned char *)text;

    if (length == 0) return 0;
    if (length < 4)
        return (uint64_t)p[0] | (uint64_t)p[length / 2] << 8 | (uint64_t)p[length - 1] << 16;
    if (length <= 8) return load(text, 4) | load(text + length - 4, 4) << 32;
    uint64_t key = length;
    for (size_t i = 0; i + 8 < length; i += 8) key = mix(key ^ load(text + i, 8));
    return mix(key ^ load(text + length - 8, 8));
}

uint64_t deq_names_hash(const char *text, size_t length)
{
    const uint64_t hash = mix(mix(key_of(text, length)) + length);

    return hash ? hash : 1;
}

/* Where a name belongs.  Short names that differ in their last byte alone, as numbered ones do that
 * follow each other, share a window of slots: files that count up then miss the cache once a window. */
static inline size_t home(const deq_names *names, uint64_t key, size_t length)
{
    if (length < 4 || length > 8) return (size_t)(((key + length) * SPREAD) >> names->shift);
    const uint64_t rest = key & (length == 4 ? KEY_3 : KEY_7), hash = (rest + length) * SPREAD;
    return (size_t)(hash >> names->shift) ^ (size_t)((key >> 56) & (WINDOW - 1));
}

/* The slot to look at after slot i.  A name of a window that is taken goes to its own place in the next
 * window, where its neighbours go too; behind the last window come the other places of all of them, so
 * that no slot is left out. */
static inline size_t following(const deq_names *names, size_t i, size_t length)
{
    if (length < 4 || length > 8) return (i + 1) & (names->n_slots - 1);
    if (i + WINDOW < names->n_slots) return i + WINDOW;
    return (i + 1) & (WINDOW - 1);
}

/* The slot of a name, or the empty one where it would go. */
static inline deq_name_slot *seek(const deq_names *names, uint64_t key, const char *text,
                                  size_t length)
{
    for (size_t i = home(names, key, length);; i = following(names, i, length)) {
        deq_name_slot *slot = &names->slots[i];
        if (slot->number == 0) return slot;
        if (slot->key != key || slot->length != length) continue;
        if (length <= 8) return slot;
        if (memcmp(names->text + names->start[slot->number - 1], text, length) == 0) return slot;
    }
}

static void place(deq_names *names, deq_name_slot slot)
{
    size_t at = home(names, slot.key, slot.length);

    while (names->slots[at].number) at = following(names, at, slot.length);
    names->slots[at] = slot;
}

/* A table that the present names and `more` others fill by half at most.  A slot's place is in the upper
 * bits of its hash, so copying from the old table, if there is one, goes through both in order. */
static deq_status rehash(deq_names *names, size_t more)
{
    deq_name_slot *old = names->slots;
    const size_t n_old = names->n_slots;
    size_t n = LEAST_SLOTS;
    int shift = 64 - LEAST_BITS;

    for (; n / 2 < names->count + more; n *= 2) shift--;
    deq_name_slot *slots = deq_alloc_array(names->ctx, n, sizeof *slots);
    if (!slots) return DEQ_ERR_NOMEM;
    names->slots = slots;
    names->n_slots = n;
    names->shift = shift;
    for (size_t i = 0; old && i < n_old; i++)
        if (old[i].number) place(names, old[i]);
    for (size_t i = 0; i < names->count && !old; i++) {
        const char *text = names->text + names->start[i];
        const size_t length = strlen(text);
        place(names, (deq_name_slot){ key_of(text, length), (uint32_t)length, (uint32_t)i + 1 });
    }
    deq_release(names->ctx, old, n_old * sizeof *old);
    return DEQ_OK;
}

static deq_status append(deq_names *names, const char *text, size_t length)
{
    void *all = names->text, *start = names->start;
    deq_status status = deq_grow(names->ctx, &all, &names->text_capacity,
                                 names->length + length + 1, 1);

    names->text = all;
    DEQ_TRY(status);
    status = deq_grow(names->ctx, &start, &names->start_capacity, names->count + 1,
                      sizeof *names->start);
    names->start = start;
    DEQ_TRY(status);
    memcpy(names->text + names->length, text, length);
    names->text[names->length + length] = '\0';
    names->start[names->count++] = names->length;
    names->length += length + 1;
    return DEQ_OK;
}

static void remember(deq_names *names, const deq_name_slot *slot)
{
    names->recent.key = slot->key;
    names->recent.length = slot->length;
    names->recent.number = slot->number;
}

static bool is_recent(const deq_names *names, uint64_t key, size_t length)
{
    return names->recent.number && key == names->recent.key && length == names->recent.length &&
           length <= 8;
}

/* A name that is valid UTF-8, into the empty slot that seek() found. */
static deq_status add_at(deq_name_slot *slot, deq_names *names, uint64_t key, const char *text,
                         size_t length)
{
    if (names->count >= DEQ_NAMES_MAX || length >= UINT32_MAX)
        return deq_fail(names->ctx, DEQ_ERR_OVERFLOW, "more than %lu names",
                        (unsigned long)DEQ_NAMES_MAX);
    DEQ_TRY(append(names, text, length));
    *slot = (deq_name_slot){ key, (uint32_t)length, (uint32_t)names->count };
    return DEQ_OK;
}

deq_status deq_names_add(uint32_t *number, bool *added, deq_names *names, const char *text,
                         size_t length)
{
    const uint64_t key = key_of(text, length);

    *added = false;
    if (is_recent(names, key, length)) {
        *number = names->recent.number - 1;
        return DEQ_OK;
    }
    if (names->count >= names->n_slots / 2 || !names->slots) DEQ_TRY(rehash(names, 1));
    deq_name_slot *slot = seek(names, key, text, length);
    if (!slot->number) {
        if (!deq_utf8_valid(text, length)) return DEQ_ERR_DATA;
        DEQ_TRY(add_at(slot, names, key, text, length));
        *added = true;
    }
    if (names->repeats) remember(names, slot);
    *number = slot->number - 1;
    return DEQ_OK;
}

/* Queues ------------------------------------------------------------------------------------- */

static bool is_ascii(uint64_t key, const char *text, size_t length)
{
    unsigned char all = 0;

    if (length <= 8) return (key & UINT64_C(0x8080808080808080)) == 0;
    for (size_t i = 0; i < length; i++) all |= (unsigned char)text[i];
    return all < 0x80;
}

bool deq_names_enqueue(deq_names_queue *queue, const char *text, size_t length)
{
    const size_t i = queue->count;

    if (i == DEQ_NAMES_QUEUE || length > DEQ_NAMES_QUEUE_BYTES) return false;
    const uint64_t key = key_of(text, length);
    if (!is_ascii(key, text, length)) return false;
    queue->keys[i] = key;
    queue->lengths[i] = (uint32_t)length;
    if (length > 8) memcpy(queue->text[i], text, length);
    queue->count++;
    return true;
}

/* The text that key_of() made a key of. */
static void text_of_key(char text[8], uint64_t key, size_t length)
{
    const uint32_t low = (uint32_t)key, high = (uint32_t)(key >> 32);

    if (length < 4) {
        for (size_t i = 0; i < 3; i++) text[i] = (char)(key >> 8 * i & 0x7f);
        return;
    }
    memcpy(text, &low, 4);
    memcpy(text + length - 4, &high, 4);
}

static deq_status add_queued(deq_names_queue *queue, size_t i, deq_names *names)
{
    const uint64_t key = queue->keys[i];
    const size_t length = queue->lengths[i];
    char *text = queue->text[i];

    deq_name_slot *slot = seek(names, key, text, length);
    if (!slot->number) {
        if (length <= 8) text_of_key(text, key, length);
        DEQ_TRY(add_at(slot, names, key, text, length));
    }
    if (names->repeats) remember(names, slot);
    queue->numbers[i] = slot->number;
    return DEQ_OK;
}

/* Look at the slots of queued names, which all are fetched before the first is waited for.  The numbers
 * are those of the names found, plus one, 0 for the others; *left names these, and *at moves on to the
 * slots to look at after. */
static size_t look(deq_names_queue *queue, const deq_names *names, size_t *left, size_t n,
                   size_t *at)
{
    deq_name_slot slots[DEQ_NAMES_QUEUE];
    size_t more = 0;

    for (size_t k = 0; k < n; k++) slots[k] = names->slots[at[left[k]]];
    for (size_t k = 0; k < n; k++) {
        const size_t i = left[k];
        const bool hit = (slots[k].key == queue->keys[i]) & (slots[k].length == queue->lengths[i]) &
                         (queue->lengths[i] <= 8);
        queue->numbers[i] = hit ? slots[k].number : 0;
        at[i] = following(names, at[i], queue->lengths[i]);
        left[more] = i;
        more += !hit;
    }
    return more;
}

deq_status deq_names_add_queue(deq_names_queue *queue, deq_names *names)
{
    const size_t n = queue->count;
    size_t at[DEQ_NAMES_QUEUE], left[DEQ_NAMES_QUEUE], more = 0;

    queue->count = 0;
    if (n == 0) return DEQ_OK;
    if (names->count + n > names->n_slots / 2 || !names->slots) DEQ_TRY(rehash(names, n));
    for (size_t i = 0; i < n; i++) {
        const bool recent = is_recent(names, queue->keys[i], queue->lengths[i]);
        queue->numbers[i] = recent ? names->recent.number : 0;
        at[i] = home(names, queue->keys[i], queue->lengths[i]);
        left[more] = i;
        more += !recent;
    }
    for (int round = 0; round < LOOKS && more > 0; round++)
        more = look(queue, names, left, more, at);
    for (size_t k = 0; k < more; k++) DEQ_TRY(add_queued(queue, left[k], names));
    for (size_t i = 0; i < n; i++) queue->numbers[i]--;
    return DEQ_OK;
}

int64_t deq_names_find(deq_status *status, deq_names *names, const char *text, size_t length)
{
    *status = names->slots ? DEQ_OK : rehash(names, 1);
    if (*status != DEQ_OK) return -1;
    return (int64_t)seek(names, key_of(text, length), text, length)->number - 1;
}

const char *deq_names_get(const deq_names *names, size_t number)
{
    return number < names->count ? names->text + names->start[number] : NULL;
}

/* Bytes of the sequence that begins here, of at most `room`; 0: none is valid. */
static size_t sequence(const unsigned char *p, size_t room)
{
    const unsigned char first = *p;
    const size_t n = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;

    if (n == 0 || n > room || first > 0xf4) return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    if ((first == 0xe0 && p[1] < 0xa0) || (first == 0xed && p[1] > 0x9f)) return 0;
    if ((first == 0xf0 && p[1] < 0x90) || (first == 0xf4 && p[1] > 0x8f)) return 0;
    return n;
}

bool deq_utf8_valid(const char *text, size_t length)
{
    const unsigned char *p = (const unsigned char *)text;

    for (size_t i = 0; i < length;) {
        const size_t n = sequence(p + i, length - i);
        if (n == 0) return false;
        i += n;
    }
    return true;
}
