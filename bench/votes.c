/* SPDX-License-Identifier: MIT */
/*
 * Ten million votes: a million tasks, ten votes each by ten thousand workers, four labels, the task's
 * votes beside each other.  Reading the text (limit: 200 MB/s, the aim on one core), the same with its
 * rows shuffled, Dawid-Skene to convergence, and deciding every task with known trust (limit of both:
 * reading the votes from memory once a pass).
 *
 * DEQ_BENCH_VOTES names a file to read instead; bench/peers/crowdkit_ds.py takes the same one, and
 * writes such files.
 */
#include "bench.h"

#include <deq/vote.h>
#include <stdlib.h>
#include <string.h>

enum { WORKERS = 10000, PER_TASK = 10, LABELS = 4 };

typedef struct votes_case {
    bench_run *run;
    const char *path; /* or NULL: the text */
    char *text;
    size_t size;
    deq_votes *votes;
    deq_estimate_info info;
    double *trust;
    deq_decision *decisions;
    deq_status status;
} votes_case;

static uint32_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33);
}

/* Worker w is right with probability (35 + w mod 60) %. */
static bool write_text(votes_case *c, int tasks)
{
    const size_t room = (size_t)tasks * PER_TASK * 20 + 64;
    uint64_t state = 1;
    size_t n;

    c->text = malloc(room);
    if (!c->text) return false;
    n = (size_t)snprintf(c->text, room, "task,worker,label\n");
    for (int t = 0; t < tasks; t++) {
        const uint32_t truth = next_random(&state) % LABELS;
        for (int i = 0; i < PER_TASK; i++) {
            const uint32_t w = next_random(&state) % WORKERS, u = next_random(&state) % 100;
            const uint32_t wrong = truth + 1 + next_random(&state) % (LABELS - 1);
            n += (size_t)snprintf(c->text + n, room - n, "t%d,w%u,%u\n", t, w,
                                  u < 35 + w % 60 ? truth : wrong % LABELS);
        }
    }
    c->size = n;
    return true;
}

/* Rows of the text in random order (Fisher & Yates). */
static bool shuffle_text(votes_case *c)
{
    const size_t n = c->run->quick ? 10000 * PER_TASK : 1000000 * PER_TASK;
    const char **rows = malloc(n * sizeof *rows), *at = c->text;
    char *text = malloc(c->size), *to = text;
    uint64_t state = 2;

    for (size_t i = 0; rows && i < n; i++) rows[i] = at = strchr(at, '\n') + 1;
    for (size_t i = n; rows && i-- > 1;) {
        const size_t k = (((uint64_t)next_random(&state) << 31) | next_random(&state)) % (i + 1);
        const char *swap = rows[i];
        rows[i] = rows[k];
        rows[k] = swap;
    }
    if (rows && text) {
        const size_t header = (size_t)(strchr(c->text, '\n') + 1 - c->text);
        memcpy(to, c->text, header);
        to += header;
        for (size_t i = 0; i < n; i++) {
            const size_t length = (size_t)(strchr(rows[i], '\n') + 1 - rows[i]);
            memcpy(to, rows[i], length);
            to += length;
        }
        free(c->text);
        c->text = text;
        text = NULL;
    }
    const bool done = rows && !text;
    free(text);
    free((void *)rows);
    return done;
}

static void read_votes(void *user)
{
    votes_case *c = user;

    deq_votes_free(c->votes);
    c->votes = NULL;
    c->status = c->path ? deq_votes_read(&c->votes, c->run->ctx, c->path, NULL)
                        : deq_votes_parse(&c->votes, c->run->ctx, c->text, c->size, NULL);
}

static void estimate(void *user)
{
    votes_case *c = user;
    deq_estimate *e;

    c->status = deq_vote_estimate(&e, c->run->ctx, c->votes, NULL);
    if (c->status != DEQ_OK) return;
    c->info = deq_estimate_about(e);
    deq_estimate_free(e);
}

static void decide(void *user)
{
    votes_case *c = user;
    const deq_belief belief = { .struct_size = sizeof belief, .trust = c->trust };

    c->status = deq_vote_decide(c->decisions, NULL, c->run->ctx, c->votes, &belief, NULL);
}

static void measure(votes_case *c, const char *name, bench_body *body, const char *limit_name,
                    double allowed, double bytes)
{
    bench_run *run = c->run;
    char shape[32];

    const bench_time time = bench_measure(run, body, c);
    if (c->status != DEQ_OK) {
        bench_fail(run, deq_last_error(run->ctx));
        return;
    }
    const double passes = body == estimate ? (double)c->info.n_eval : 1;
    const double limit = body == read_votes ? bytes / 200e6 : passes * bytes / run->machine.bytes;
    snprintf(shape, sizeof shape, "%lldx%lld", (long long)deq_votes_values(c->votes).n_votes,
             (long long)passes);
    bench_report(run, &(bench_record){ .name = name,
                                       .shape = shape,
                                       .limit_name = limit_name,
                                       .time = time,
                                       .limit = limit,
                                       .allowed = allowed,
                                       .bytes = passes * bytes });
}

static bool prepare(votes_case *c)
{
    FILE *file;

    if (!c->path) return write_text(c, c->run->quick ? 10000 : 1000000);
    file = fopen(c->path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) return false;
    c->size = (size_t)ftell(file);
    return fclose(file) == 0;
}

static void run_votes(bench_run *run)
{
    votes_case c = { .run = run, .path = getenv("DEQ_BENCH_VOTES") };

    if (!prepare(&c)) {
        bench_fail(run, "no votes to read");
        return;
    }
    measure(&c, "read", read_votes, "200 MB/s", 1, (double)c.size);
    if (c.status == DEQ_OK) {
        const deq_votes_view v = deq_votes_values(c.votes);
        const double bytes = 6.0 * (double)v.n_votes + 8.0 * (double)v.n_tasks;
        measure(&c, "dawid_skene", estimate, "votes from memory a pass", 0, bytes);
        c.trust = malloc((size_t)v.n_workers * sizeof *c.trust);
        c.decisions = malloc((size_t)v.n_tasks * sizeof *c.decisions);
        for (int64_t i = 0; c.trust && i < v.n_workers; i++)
            c.trust[i] = 0.35 + 0.01 * (double)(i % 60);
        if (c.trust && c.decisions)
            measure(&c, "decide", decide, "votes from memory a pass", 0, bytes);
    }
    if (c.status == DEQ_OK && !c.path) {
        if (shuffle_text(&c))
            measure(&c, "read_shuffled", read_votes, "200 MB/s", 1, (double)c.size);
        else
            bench_fail(run, "no memory for shuffled votes");
    }
    deq_votes_free(c.votes);
    free(c.decisions);
    free(c.trust);
    free(c.text);
}

const bench_case bench_votes = { "votes", "ten million votes: read, estimate, decide", run_votes };
