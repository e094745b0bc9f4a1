/* SPDX-License-Identifier: MIT */
/* deq-bench: measures the library against what the machine can do, in one run. */
#define _POSIX_C_SOURCE 200809L
#include "bench.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static const bench_case *const cases[] = { &bench_cell,        &bench_adjoint,  &bench_dense,
                                           &bench_fused,       &bench_dispatch, &bench_solve,
                                           &bench_solver_step, &bench_gmres,    &bench_multiscale,
                                           &bench_train,       &bench_vote,     &bench_votes };
#define N_CASES ((int)(sizeof cases / sizeof *cases))

static const char usage[] =
    "usage: deq-bench [options] [case ...]\n"
    "\n"
    "Measures cases (all by default) and prints, for each, the median and 10 % quantile of the time\n"
    "of a call, the least time that this machine allows by limits measured in the same run, their\n"
    "ratio, and whether it meets the design's aim.\n"
    "\n"
    "  -t, --threads LIST  thread counts, e.g. 1,2 (default: 1 and all cores)\n"
    "  -s, --seconds S     time spent on a measurement (default 1.0)\n"
    "  -j, --json FILE     append one JSON record a line to FILE\n"
    "  -q, --quick         one repetition of each: does it work?\n"
    "  -l, --list          list the cases\n"
    "  -h, --help          this text\n"
    "\n"
    "Run it on an idle machine.  bench/compare.py compares two JSON files.\n";

typedef struct settings {
    int threads[16], n_threads;
    double seconds;
    bool quick;
    const char *json;
} settings;

static bool parse_threads(settings *s, const char *list)
{
    s->n_threads = 0;
    for (const char *p = list; *p && s->n_threads < 16;) {
        char *end;
        long n = strtol(p, &end, 10);
        if (end == p || n < 1 || n > 4096 || (*end && *end != ',')) return false;
        s->threads[s->n_threads++] = (int)n;
        p = *end ? end + 1 : end;
    }
    return s->n_threads > 0;
}

static bool parse_seconds(settings *s, const char *text)
{
    char *end;
    s->seconds = strtod(text, &end);
    return end != text && !*end && s->seconds > 0 && s->seconds < 3600;
}

static void list_cases(void)
{
    for (int i = 0; i < N_CASES; i++) printf("%-10s %s\n", cases[i]->name, cases[i]->about);
}

/* -1: go on; else the exit code. */
static int parse(settings *s, int argc, char **argv)
{
    static const struct option options[] = {
        { "threads", required_argument, NULL, 't' },
        { "seconds", required_argument, NULL, 's' },
        { "json", required_argument, NULL, 'j' },
        { "quick", no_argument, NULL, 'q' },
        { "list", no_argument, NULL, 'l' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    for (int c; (c = getopt_long(argc, argv, "t:s:j:qlh", options, NULL)) != -1;) {
        bool ok = true;
        switch (c) {
        case 't': ok = parse_threads(s, optarg); break;
        case 's': ok = parse_seconds(s, optarg); break;
        case 'j': s->json = optarg; break;
        case 'q': s->quick = true; break;
        case 'l': list_cases(); return 0;
        case 'h': fputs(usage, stdout); return 0;
        default: fprintf(stderr, "Try deq-bench --help\n"); return 2;
        }
        if (!ok) {
            fprintf(stderr, "deq-bench: '%s' is no valid argument of -%c\n", optarg, c);
            return 2;
        }
    }
    return -1;
}

static bool wanted(const bench_case *c, char **names, int n)
{
    for (int i = 0; i < n; i++)
        if (strcmp(names[i], c->name) == 0) return true;
    return n == 0;
}

static bool known(const char *name)
{
    for (int i = 0; i < N_CASES; i++)
        if (strcmp(cases[i]->name, name) == 0) return true;
    fprintf(stderr, "deq-bench: no case is called '%s'; deq-bench --list shows them\n", name);
    return false;
}

static int run_with(const settings *s, int threads, FILE *json, char **names, int n)
{
    deq_context_options o = deq_context_defaults();
    o.threads = threads;
    bench_run run = { .threads = threads, .seconds = s->seconds, .quick = s->quick, .json = json };
    if (deq_context_new(&run.ctx, &o) != DEQ_OK) return 1;
    run.machine = bench_machine_measure(threads, s->quick);
    printf(
        "\n%d thread%s: %.1f GFLOP/s fused multiply-add, %.2f GB/s triad, %.2f us fork-join, %s\n",
        threads, threads == 1 ? "" : "s", run.machine.flops * 1e-9, run.machine.bytes * 1e-9,
        run.machine.forkjoin * 1e6, deq_isa_name(deq_context_isa(run.ctx)));
    printf("%-10s %-26s %-16s %2s %10s %10s %10s  %6s\n", "case", "what", "shape", "t", "median ms",
           "p10 ms", "limit ms", "ratio");
    for (int i = 0; i < N_CASES; i++) {
        if (!wanted(cases[i], names, n)) continue;
        run.case_name = cases[i]->name;
        cases[i]->run(&run);
    }
    deq_context_free(run.ctx);
    return run.failures ? 1 : 0;
}

int main(int argc, char **argv)
{
    settings s = { .seconds = 1.0 };
    deq_context *probe = NULL;
    if (deq_context_new(&probe, NULL) != DEQ_OK) return 1;
    s.threads[s.n_threads++] = 1;
    if (deq_context_threads(probe) > 1) s.threads[s.n_threads++] = deq_context_threads(probe);
    deq_context_free(probe);

    int code = parse(&s, argc, argv);
    if (code >= 0) return code;
    for (int i = optind; i < argc; i++)
        if (!known(argv[i])) return 2;
    FILE *json = s.json ? fopen(s.json, "a") : NULL;
    if (s.json && !json) {
        perror(s.json);
        return 1;
    }
    code = 0;
    for (int i = 0; i < s.n_threads; i++)
        code |= run_with(&s, s.threads[i], json, argv + optind, argc - optind);
    if (json && fclose(json) != 0) {
        perror(s.json);
        code = 1;
    }
    return code;
}
