/* SPDX-License-Identifier: MIT */
/*
 * Memory plan: every slot gets an offset in one arena, so that slots whose lifetimes overlap do not
 * overlap in memory.
 *
 * Time is the index of a step, all stages one after another.  A slot lives
 *
 *     from its first write to its last read     if only its own stage reads it,
 *     from its first write to the end           if a later stage reads it, since that stage runs
 *                                               again and again, or if it is an output,
 *     always                                    if it is an input or a constant.
 *
 * A step that may write over what it reads does so if it is the last to read it: then both slots are
 * one place, which lives from the first write of the one to the end of the other.
 *
 * Placement is greedy: largest first, each at the lowest offset that is free over its lifetime.
 *
 * A program within a program has two blocks: its arena, for constants and whatever its parameter stage
 * touches, and a lent one for the rest, which is computed anew whenever the program around runs it.
 */
#include "graph/program_internal.h"

#include <stdlib.h>

typedef struct lifetime {
    int slot;
    int place;  /* the slot whose place this one takes over; its own number: none */
    bool taken; /* another has taken over its place */
    size_t bytes;
    int first, last; /* inclusive */
} lifetime;

#define FOREVER INT32_MAX

static size_t round_up(size_t bytes)
{
    return (bytes + DEQ_ALIGNMENT - 1) / DEQ_ALIGNMENT * DEQ_ALIGNMENT;
}

static void extend(const deq_program *p, lifetime *life, int slot, int time, deq_stage stage)
{
    lifetime *t = &life[slot];
    const deq_slot *s = &p->slots[slot];
    if (t->last < 0) t->first = t->last = time;
    if (time < t->first) t->first = time;
    if (time > t->last) t->last = time;
    if (stage > s->stage || s->output) t->last = FOREVER;
}

static void find_lifetimes(const deq_program *p, lifetime *life)
{
    for (size_t i = 0; i < p->n_slots; i++) {
        const deq_slot *s = &p->slots[i];
        bool always = s->kind == DEQ_SLOT_KEPT;
        life[i] = (lifetime){ .slot = (int)i,
                              .place = (int)i,
                              .bytes = round_up(s->bytes),
                              .last = always ? FOREVER : -1 };
        if (s->kind == DEQ_SLOT_PARAMETER || s->bound) life[i].bytes = 0;
    }
    int time = 0;
    for (int stage = 0; stage < DEQ_STAGES; stage++)
        for (size_t k = 0; k < p->n_steps[stage]; k++, time++) {
            const deq_step *step = &p->steps[stage][k];
            for (int i = 0; i < step->n_writes; i++)
                extend(p, life, step->writes[i], time, step->stage);
            for (int i = 0; i < step->n_reads; i++)
                extend(p, life, step->reads[i], time, step->stage);
        }
}

/* May slot `o.write`, first written at this time, take over the place of `o.read`? */
static bool takes_over(const deq_program *p, const lifetime *life, deq_overwrite o, int time)
{
    const deq_slot *r = &p->slots[o.read], *w = &p->slots[o.write];
    const lifetime *from = &life[life[o.read].place], *to = &life[o.write];
    return r->kind == DEQ_SLOT_ARENA && w->kind == DEQ_SLOT_ARENA && r->lent == w->lent &&
           !life[o.read].taken && to->place == o.write && to->first == time && from->last == time &&
           from->bytes == to->bytes;
}

/* life[i] is that of slot i. */
static void share_places(const deq_program *p, lifetime *life)
{
    int time = 0;
    for (int stage = 0; stage < DEQ_STAGES; stage++)
        for (size_t k = 0; k < p->n_steps[stage]; k++, time++) {
            const deq_step *step = &p->steps[stage][k];
            for (int i = 0; i < step->n_overwrites; i++) {
                deq_overwrite o = step->overwrites[i];
                if (!takes_over(p, life, o, time)) continue;
                life[o.read].taken = true;
                life[o.write].place = life[o.read].place;
                life[life[o.read].place].last = life[o.write].last;
            }
        }
}

static int larger_first(const void *a, const void *b)
{
    const lifetime *x = a, *y = b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return x->slot - y->slot; /* the same plan everywhere, whatever sort is used */
}

static bool overlap(const lifetime *a, const lifetime *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* The lowest offset where `t` fits among the `n` slots placed before, which are sorted by offset. */
static size_t lowest_offset(const deq_program *p, const lifetime *t, const lifetime *life,
                            const int *placed, int n)
{
    size_t at = 0;
    for (int i = 0; i < n; i++) {
        const lifetime *other = &life[placed[i]];
        size_t begin = p->slots[other->slot].offset, end = begin + other->bytes;
        if (!overlap(t, other) || end <= at) continue;
        if (begin >= at + t->bytes) break;
        at = end;
    }
    return at;
}

static void insert_sorted(const deq_program *p, const lifetime *life, int *placed, int n, int which)
{
    size_t offset = p->slots[life[which].slot].offset;
    while (n > 0 && p->slots[life[placed[n - 1]].slot].offset > offset) {
        placed[n] = placed[n - 1];
        n--;
    }
    placed[n] = which;
}

static void choose_blocks(deq_program *p)
{
    for (size_t i = 0; i < p->n_slots; i++)
        p->slots[i].lent = p->within && p->slots[i].stage >= DEQ_STAGE_INJECTED;
    for (int stage = 0; stage < DEQ_STAGE_INJECTED; stage++)
        for (size_t k = 0; k < p->n_steps[stage]; k++) {
            const deq_step *step = &p->steps[stage][k];
            for (int i = 0; i < step->n_writes; i++) p->slots[step->writes[i]].lent = false;
            for (int i = 0; i < step->n_reads; i++) p->slots[step->reads[i]].lent = false;
        }
}

/* Places in one of the two blocks, for slots in the order of `life`; returns its size. */
static size_t place(deq_program *p, const lifetime *life, int *placed, bool lent)
{
    size_t bytes = 0;
    int n = 0;
    for (size_t i = 0; i < p->n_slots; i++) {
        deq_slot *s = &p->slots[life[i].slot];
        if (s->lent != lent || life[i].bytes == 0 || life[i].last < 0) continue;
        if (life[i].place != life[i].slot) continue;
        s->offset = lowest_offset(p, &life[i], life, placed, n);
        if (s->offset + life[i].bytes > bytes) bytes = s->offset + life[i].bytes;
        insert_sorted(p, life, placed, n++, (int)i);
    }
    return bytes;
}

deq_status deq_plan(deq_program *p)
{
    lifetime *life = deq_alloc_array(p->ctx, p->n_slots + 1, sizeof *life);
    int *placed = deq_alloc_array(p->ctx, p->n_slots + 1, sizeof *placed);
    if (life && placed) {
        choose_blocks(p);
        find_lifetimes(p, life);
        share_places(p, life);
        qsort(life, p->n_slots, sizeof *life, larger_first);
        p->arena_bytes = place(p, life, placed, false);
        p->lent_bytes = place(p, life, placed, true);
        for (size_t i = 0; i < p->n_slots; i++)
            p->slots[life[i].slot].offset = p->slots[life[i].place].offset;
    }
    deq_status status = life && placed ? DEQ_OK : DEQ_ERR_NOMEM;
    deq_release(p->ctx, life, (p->n_slots + 1) * sizeof *life);
    deq_release(p->ctx, placed, (p->n_slots + 1) * sizeof *placed);
    return status;
}
