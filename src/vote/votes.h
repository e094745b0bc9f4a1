/* SPDX-License-Identifier: MIT */
/* A table of votes from inside, and how it is built. */
#ifndef DEQ_SRC_VOTE_VOTES_H
#define DEQ_SRC_VOTE_VOTES_H

#include <deq/vote/votes.h>

#include "vote/names.h"

struct deq_votes {
    deq_context *ctx;
    deq_names *tasks, *workers, *labels;
    int64_t *begin; /* [begin_capacity], of which tasks + 1 count */
    uint32_t *worker;
    uint16_t *label;
    int64_t n_votes;
    size_t begin_capacity, vote_capacity;
    deq_votes_report report;
};

/* Votes in the order of their coming, apart for each DEQ_VOTES_PART tasks that follow each other, so that
 * sorting a part stays in the cache; in chunks that can be given back one by one. */
#define DEQ_VOTES_CHUNK 16384
#define DEQ_VOTES_PART 32768

typedef struct deq_votes_chunk {
    struct deq_votes_chunk *next;
    size_t count;
    uint32_t task[DEQ_VOTES_CHUNK], worker[DEQ_VOTES_CHUNK];
    uint16_t label[DEQ_VOTES_CHUNK];
} deq_votes_chunk;

typedef struct deq_votes_part {
    deq_votes_chunk *first, *last;
} deq_votes_part;

typedef struct deq_votes_builder {
    deq_votes *votes;
    deq_votes_part *parts; /* [n_parts] */
    size_t n_parts;
    int64_t count;
    size_t n_ordered; /* labels whose order is given */
    deq_duplicates duplicates;
} deq_votes_builder;

/* An empty table. */
deq_status deq_votes_empty(deq_votes **out, deq_context *ctx);
/* Names for counts without names: "0", "1", ... */
deq_status deq_votes_number(deq_names *names, int64_t count);

deq_status deq_votes_add(deq_votes_builder *b, uint32_t task, uint32_t worker, uint16_t label);
/* Put the votes into the table, sorted by task; the parts are gone afterwards, also on failure. */
deq_status deq_votes_build(deq_votes_builder *b, const char *source);
void deq_votes_drop_parts(deq_votes_builder *b);
/* Put the labels behind the first n_ordered in order, and translate those of the chunks. */
deq_status deq_votes_order_labels(deq_votes_builder *b);

#endif
