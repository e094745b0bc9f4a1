/* SPDX-License-Identifier: MIT */
/*
 * The benchmark program from inside: a case measures itself against a limit of this machine that
 * was measured in the same run, and reports one record a measurement.
 */
#ifndef DEQ_BENCH_BENCH_H
#define DEQ_BENCH_BENCH_H

#include <deq/deq.h>
#include <stdbool.h>
#include <stdio.h>

/* Quantiles of the times of one call, in seconds. */
typedef struct bench_time {
    double median, p10, p90, best;
    int repetitions;
} bench_time;

/* What the machine can do with a given number of threads, measured by machine.c. */
typedef struct bench_machine {
    double flops;    /* f32 fused multiply-adds, two operations each, per second */
    double bytes;    /* triad a = b + s c: bytes read and written per second */
    double forkjoin; /* seconds of an empty parallel region */
} bench_machine;

typedef struct bench_run {
    deq_context *ctx;
    int threads;
    double seconds; /* to spend on one measurement */
    bool quick;     /* few repetitions: does it work, not how fast */
    bench_machine machine;
    FILE *json; /* or NULL */
    const char *case_name;
    int failures; /* cases that could not run */
} bench_run;

/* One line of the table and one JSON record.  `limit` is the least time that the machine allows,
 * `allowed` the largest ratio time / limit that the design asks for (0: none stated). */
typedef struct bench_record {
    const char *name;  /* what: "forward", "adjoint" */
    const char *shape; /* "32x64x32x32" */
    const char *limit_name;
    bench_time time;
    double limit;
    double allowed;
    double flops, bytes; /* of one call, 0 if it makes no sense */
} bench_record;

typedef void bench_body(void *user);

/* Time calls of `body`: warm up, then repeat until the time is used up. */
bench_time bench_measure(const bench_run *run, bench_body *body, void *user);
/* Time two bodies turn by turn, so that both see the same machine. */
void bench_measure_both(const bench_run *run, bench_time *a, bench_body *body_a, void *user_a,
                        bench_time *b, bench_body *body_b, void *user_b);
void bench_report(bench_run *run, const bench_record *record);
/* A case that cannot run says why and counts as a failure. */
void bench_fail(bench_run *run, const char *why);

double bench_now(void);
/* Memory at a 64-byte boundary, filled with small numbers; never returns NULL (exits). */
float *bench_floats(size_t n);
bench_machine bench_machine_measure(int threads, bool quick);

/* A program over inputs filled with random numbers. */
typedef struct bench_program {
    deq_graph *g;
    deq_program *program;
    deq_parameters *parameters;
    bench_run *run;
} bench_program;

bool bench_program_begin(bench_program *p, bench_run *run);
/* A random parameter, with elements of about the given size. */
deq_value bench_parameter(bench_program *p, const char *name, deq_shape shape);
/* Compile for `outputs`, `native` ones in the layout that the program likes; fills inputs and
 * parameters with random numbers and runs all stages once. */
bool bench_program_compile(bench_program *p, const deq_value *outputs, int n_outputs,
                           const deq_value *inputs, int n_inputs, bool winograd);
void bench_program_end(bench_program *p);
/* One run of the state stage: a bench_body. */
void bench_state_run(void *program);

typedef struct bench_case {
    const char *name, *about;
    void (*run)(bench_run *run);
} bench_case;

extern const bench_case bench_cell, bench_adjoint, bench_dense, bench_fused, bench_dispatch,
    bench_solve, bench_solver_step, bench_gmres, bench_multiscale, bench_train, bench_vote,
    bench_votes;

#endif
