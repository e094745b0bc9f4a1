/* SPDX-License-Identifier: MIT */
/* A folder and a context for each test of runs.  Wants _XOPEN_SOURCE 700. */
#ifndef DEQ_TESTS_TRAIN_PLACE_H
#define DEQ_TESTS_TRAIN_PLACE_H

#include "support/test.h"

#include <deq/context.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct place {
    deq_context *ctx;
    char root[64];
} place;

static inline int make_place(void **state)
{
    static place p;
    deq_context_options o = deq_context_defaults();
    o.threads = 2;
    strcpy(p.root, "/tmp/deq-run-XXXXXX");
    assert_non_null(mkdtemp(p.root));
    assert_int_equal(deq_context_new(&p.ctx, &o), DEQ_OK);
    *state = &p;
    return 0;
}

static inline int remove_one(const char *path, const struct stat *s, int kind, struct FTW *f)
{
    (void)s;
    (void)kind;
    (void)f;
    return remove(path);
}

static inline int clear_place(void **state)
{
    place *p = *state;
    deq_context_free(p->ctx);
    nftw(p->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}

#endif
