/* SPDX-License-Identifier: MIT */
/*
 * Names and their numbers, by first appearance.
 *
 * A slot of the hash table holds a 64-bit key of the name: its bytes, if they are at most eight, so
 * that looking a short name up touches one cache line; else a hash of them.
 */
#ifndef DEQ_SRC_VOTE_NAMES_H
#define DEQ_SRC_VOTE_NAMES_H

#include "base/context.h"

/* Numbers are below this. */
#define DEQ_NAMES_MAX UINT32_MAX

typedef struct deq_name_slot {
    uint64_t key;
    uint32_t length;
    uint32_t number; /* plus one; 0: empty */
} deq_name_slot;

typedef struct deq_names {
    deq_context *ctx;
    char *text; /* names after each other, each terminated */
    size_t length, text_capacity;
    size_t *start; /* of name i in the text */
    size_t count, start_capacity;
    deq_name_slot *slots; /* NULL after deq_names_rest() */
    size_t n_slots;       /* a power of two, or 0 */
    int shift;            /* 64 minus its logarithm */
    bool repeats;         /* the same name often comes again at once: look at the last one first */
    deq_name_slot recent; /* that one */
} deq_names;

void deq_names_init(deq_names *names, deq_context *ctx);
void deq_names_free(deq_names *names);
/* Forget all names, keep the memory. */
void deq_names_clear(deq_names *names);
/* Give back the memory that only adding needs. */
deq_status deq_names_rest(deq_names *names);

/* The number of a name, which is added if it is new; *added tells.  DEQ_ERR_DATA, without a message:
 * it is not UTF-8. */
deq_status deq_names_add(uint32_t *number, bool *added, deq_names *names, const char *text,
                         size_t length);
/* Names to be looked up together: those of one batch are fetched side by side, so that a table larger
 * than the cache is waited for once a batch and not once a name. */
#define DEQ_NAMES_QUEUE 64
#define DEQ_NAMES_QUEUE_BYTES 40 /* longest name that goes into one */

typedef struct deq_names_queue {
    size_t count;
    uint64_t keys[DEQ_NAMES_QUEUE];
    uint32_t lengths[DEQ_NAMES_QUEUE];
    char text[DEQ_NAMES_QUEUE][DEQ_NAMES_QUEUE_BYTES]; /* of names longer than a key */
    uint32_t numbers[DEQ_NAMES_QUEUE];                 /* after deq_names_add_queue() */
} deq_names_queue;

/* Whether the name is in the queue now.  It is not if it is long, if it is not ASCII, or if the queue is
 * full: deq_names_add_queue(), then deq_names_add(). */
bool deq_names_enqueue(deq_names_queue *queue, const char *text, size_t length);
/* As deq_names_add() of each, in order; the queue is empty afterwards, but for its numbers. */
deq_status deq_names_add_queue(deq_names_queue *queue, deq_names *names);

/* The number of a name; -1: unknown.  May have to rebuild the hash table: *status tells. */
int64_t deq_names_find(deq_status *status, deq_names *names, const char *text, size_t length);
const char *deq_names_get(const deq_names *names, size_t number);

/* 64 bits of a name, never zero. */
uint64_t deq_names_hash(const char *text, size_t length);

/* Whether text is UTF-8 (RFC 3629: no surrogates, nothing overlong, at most U+10FFFF). */
bool deq_utf8_valid(const char *text, size_t length);

#endif
