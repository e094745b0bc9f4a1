/* SPDX-License-Identifier: MIT */
/*
 * Random graphs of smooth operators, and an interpreter that computes them one node after another,
 * each into memory of its own: what compiled programs are compared with.
 */
#ifndef DEQ_TESTS_GRAPH_RANDOM_GRAPH_H
#define DEQ_TESTS_GRAPH_RANDOM_GRAPH_H

#include "support/engine.h"

#include "graph/program_internal.h"

enum { RANDOM_VALUES = 64, RANDOM_INPUTS = 24, RANDOM_OUTPUTS = 5, RANDOM_ELEMENTS = 2048 };

typedef struct random_graph {
    test_graph t;
    uint64_t seed, state;
    deq_dtype dtype;
    deq_value pool[RANDOM_VALUES];
    int n_pool;
    deq_value input[RANDOM_INPUTS], output[RANDOM_OUTPUTS];
    deq_stage stage[RANDOM_INPUTS]; /* of the inputs */
    void *data[RANDOM_INPUTS];      /* their elements */
    int n_inputs, n_outputs;
} random_graph;

/* The same seed gives the same graph; `steps` operators are tried. */
void random_graph_begin(random_graph *r, uint64_t seed, deq_dtype dtype, int steps);
void random_graph_end(random_graph *r);

/* The next random number below n. */
int random_below(random_graph *r, int n);

/* New random elements for the inputs of stage `from` and above, or of that stage alone. */
void random_graph_data(random_graph *r, deq_stage from, bool alone);
/* Write the data of all inputs. */
void random_graph_write(const random_graph *r, deq_program *p);

/* Compute outputs by the reference kernels; results[i] receives those of output i. */
void random_graph_interpret(const random_graph *r, double *const *results);
/* Read the outputs of a program, widened. */
void random_graph_read(const random_graph *r, deq_program *p, double *const *results);

/* All outputs of a and b agree, relative to the largest element. */
void random_graph_compare(const random_graph *r, const char *what, double *const *a,
                          double *const *b, double tol);

/* Room for results. */
typedef struct random_results {
    double *of[RANDOM_OUTPUTS];
    double room[RANDOM_OUTPUTS][RANDOM_ELEMENTS];
} random_results;
random_results *random_results_new(void);

#endif
