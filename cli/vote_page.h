/* SPDX-License-Identifier: MIT */
/*
 * The page of `deq vote ... --report`: plain numbers in, HTML out.  It knows nothing of votes, as
 * vote_report.c knows nothing of pages.
 */
#ifndef DEQ_CLI_VOTE_PAGE_H
#define DEQ_CLI_VOTE_PAGE_H

#include <deq/context.h>
#include <stdbool.h>
#include <stdint.h>

/* Beliefs in [low, high] and what came of them. */
typedef struct page_bin {
    double low, high, believed, achieved;
    int64_t count;
} page_bin;

/* What was believed and achieved by one method; NaN where it is not known. */
typedef struct page_accuracy {
    const char *name, *note;
    double believed, achieved, low, high;
} page_accuracy;

typedef struct page_worker {
    const char *name;
    int64_t votes, gold, correct;
    double trust, low, high, weight, pivot;
} page_worker;

typedef struct page_fact {
    const char *name;
    char value[96];
} page_fact;

enum { PAGE_FACTS = 24 };

typedef struct vote_page {
    const char *title;
    page_fact facts[PAGE_FACTS];
    int n_facts;
    const page_accuracy *accuracies;
    int n_accuracies;
    const page_bin *decisions, *trust; /* reliability; NULL without gold */
    int n_decisions, n_trust;
    double calibration_error, p_value;
    const page_worker *workers; /* the most influential first; NULL: none */
    int64_t n_workers;          /* of them */
    int64_t all_workers;
} vote_page;

deq_status write_vote_page(deq_context *ctx, const vote_page *page, const char *path);

#endif
