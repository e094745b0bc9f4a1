/* SPDX-License-Identifier: MIT */
/* Sources of which trust t and perhaps the true accuracy p are known: for accuracy and sensitivity. */
#ifndef DEQ_CLI_VOTE_SOURCES_H
#define DEQ_CLI_VOTE_SOURCES_H

#include "json.h"
#include "sheet.h"

#include <deq/vote.h>

/* clang-format off */
#define SOURCES_HELP                                                                               \
    "table with a column trust, or correct and total, and perhaps accuracy and worker;\n"          \
    "instead of --t and --p"
#define SOURCES_OPTIONS                                                                            \
    { .name = "t", .letter = 't', .kind = VALUE_TEXT, .argument = "T,T,...",                       \
      .help = "trust in each source: what its accuracy is believed to be" },                       \
    { .name = "p", .letter = 'p', .kind = VALUE_TEXT, .argument = "P,P,...",                       \
      .help = "the true accuracy of each; without --t trust is right" },                           \
    { .name = "columns", .kind = VALUE_TEXT, .argument = "WORKER,TRUST,ACCURACY",                  \
      .help = "what the header of FILE calls these columns" },                                     \
    { .name = "beta", .kind = VALUE_TEXT, .argument = "A,B", .initial = "1,1",                     \
      .help = "FILE with counts: prior of accuracies, Beta(A,B)" },                                      \
    { .name = "prior", .kind = VALUE_REAL, .argument = "P", .low = 0, .high = 1,                   \
      .initial = "0.5", .help = "probability of the first of the two answers" },                   \
    { .name = "tolerance", .kind = VALUE_REAL, .low = 0, .high = 0.999999, .above = true,          \
      .initial = "1e-6", .help = "certified methods: width of the interval as a part of the error" }, \
    { .name = "effort", .kind = VALUE_REAL, .low = 1e4, .high = INFINITY, .initial = "2e9",        \
      .help = "elementary steps that they may take for it" },                                      \
    { .name = "draws", .kind = VALUE_INTEGER, .argument = "N", .least = 1, .most = 1000000000000,  \
      .initial = "100000", .help = "how many votes Monte Carlo draws" },                                             \
    { .name = "confidence", .kind = VALUE_REAL, .low = 0, .high = 0.999999999, .above = true,      \
      .initial = "0.95", .help = "of its interval" },                                              \
    { .name = "rigorous",                                                                          \
      .help = "an interval of Monte Carlo that holds for every number of draws" },                   \
    { .name = "seed", .kind = VALUE_INTEGER, .argument = "N", .least = 0, .most = INT64_MAX,       \
      .initial = "1", .help = "of Monte Carlo" }
/* clang-format on */

typedef struct sources {
    const arguments *a;
    deq_context *ctx;
    int64_t n;
    char **names;  /* [n] */
    double *t, *p; /* [n]; p NULL if not known */
} sources;

/* CLI_OK, or another exit code with a message; close in any case. */
int sources_open(sources *s, const arguments *a);
void sources_close(sources *s);
/* Settings of a computation. */
void correctness_options(deq_vote_correctness_options *o, const arguments *a);

#endif
