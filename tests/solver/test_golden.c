/* SPDX-License-Identifier: MIT */
/*
 * The compatibility mode against TorchDEQ's own numbers, and our evaluations against its best.
 *
 * The folder $DEQ_GOLDEN/solvers says in its README.md, in a table, which systems were solved with
 * which solver and arguments; problems.npz holds the systems, SYSTEM.npz the results.  Nothing about
 * them is known here.
 */
#include "support/npz.h"
#include "support/test.h"

#include <deq/solver.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* One row of the table. */
typedef struct run {
    char system[64], solver[64], name[64], arguments[256];
    int f_calls;
    bool stored;
} run;

typedef struct fixture {
    char folder[1024];
    run runs[1024];
    int n_runs;
    npz *problems;
} fixture;

static char *trimmed(char *s)
{
    while (*s == ' ') s++;
    for (size_t n = strlen(s); n && (s[n - 1] == ' ' || s[n - 1] == '\n'); n--) s[n - 1] = 0;
    return s;
}

/* | system | solver | run | arguments | f calls | ... */
static bool parse_row(run *r, char *line)
{
    char *cell[6] = { NULL };
    int n = 0;
    for (char *p = strtok(line, "|"); p && n < 6; p = strtok(NULL, "|")) cell[n++] = trimmed(p);
    if (n < 5) return false;
    bool known = strcmp(cell[1], "fixed_point_iter") == 0 || strcmp(cell[1], "anderson") == 0 ||
                 strcmp(cell[1], "broyden") == 0;
    if (!known) return false;
    snprintf(r->system, sizeof r->system, "%s", cell[0]);
    snprintf(r->solver, sizeof r->solver, "%s", cell[1]);
    snprintf(r->name, sizeof r->name, "%s", cell[2]);
    snprintf(r->arguments, sizeof r->arguments, "%s", cell[3]);
    r->stored = !strstr(cell[3], "NON-FINITE");
    r->f_calls = r->stored ? atoi(cell[4]) : 0;
    return true;
}

static void read_table(fixture *f)
{
    char path[1100], line[4096];
    snprintf(path, sizeof path, "%s/README.md", f->folder);
    FILE *file = fopen(path, "r");
    if (!file) fail_msg("%s cannot be read", path);
    while (fgets(line, sizeof line, file))
        if (line[0] == '|' && f->n_runs < 1024 && parse_row(&f->runs[f->n_runs], line)) f->n_runs++;
    fclose(file);
    if (f->n_runs == 0) fail_msg("%s has no table of runs", path);
}

static npz *open_archive(const fixture *f, const char *name)
{
    char path[1200];
    const char *why;
    snprintf(path, sizeof path, "%s/%s.npz", f->folder, name);
    npz *z = npz_open(path, &why);
    if (!z) fail_msg("%s: %s", path, why);
    return z;
}

static fixture golden;

static int load(void **state)
{
    const char *folder = getenv("DEQ_GOLDEN");
    (void)state;
    if (!folder) return 0;
    snprintf(golden.folder, sizeof golden.folder, "%s/solvers", folder);
    read_table(&golden);
    golden.problems = open_archive(&golden, "problems");
    return 0;
}

static int unload(void **state)
{
    (void)state;
    npz_close(golden.problems);
    return 0;
}

static void need_fixture(void)
{
    if (golden.problems) return;
    print_message("DEQ_GOLDEN is not set: there are no golden numbers to compare with\n");
    skip();
}

/* Systems: h = z W' + x U' + b, f(z) = tanh(h) or h --------------------------------------------- */

typedef struct system_f {
    int64_t B, d;
    const double *W;
    double *h0; /* x U' + b */
    bool affine;
    double *points; /* the first arguments of f, if wanted */
    int64_t n_points, n_calls;
} system_f;

static void open_system(system_f *s, const char *name)
{
    const npz_array *W = npz_need(golden.problems, "%s/W", name);
    const npz_array *U = npz_need(golden.problems, "%s/U", name);
    const npz_array *b = npz_need(golden.problems, "%s/b", name);
    const npz_array *x = npz_need(golden.problems, "%s/x", name);
    int64_t k = U->dim[1];
    *s = (system_f){ .B = x->dim[0], .d = W->dim[0], .W = W->data };
    s->affine = strncmp(name, "affine", 6) == 0;
    s->h0 = calloc((size_t)(s->B * s->d), sizeof *s->h0);
    for (int64_t r = 0; r < s->B; r++)
        for (int64_t i = 0; i < s->d; i++) {
            double v = b->data[i];
            for (int64_t j = 0; j < k; j++) v += U->data[i * k + j] * x->data[r * k + j];
            s->h0[r * s->d + i] = v;
        }
}

static deq_status eval(void *user, void *fz, const void *z, const int64_t *samples, int64_t n)
{
    system_f *s = user;
    const double *zr = z;
    double *fr = fz;
    if (s->n_calls < s->n_points)
        memcpy(s->points + s->n_calls * s->B * s->d, z, (size_t)(s->B * s->d) * sizeof(double));
    s->n_calls++;
    for (int64_t r = 0; r < n; r++)
        for (int64_t i = 0; i < s->d; i++) {
            double v = s->h0[samples[r] * s->d + i];
            for (int64_t j = 0; j < s->d; j++) v += s->W[i * s->d + j] * zr[r * s->d + j];
            fr[r * s->d + i] = s->affine ? v : tanh(v);
        }
    return DEQ_OK;
}

/* "max_iter=100 tol=1e-08 m=3": the value of a key, or its default. */
static double argument(const run *r, const char *key, double otherwise)
{
    size_t n = strlen(key);
    for (const char *p = r->arguments; (p = strstr(p, key)); p += n)
        if ((p == r->arguments || p[-1] == ' ') && p[n] == '=')
            return strncmp(p + n + 1, "True", 4) == 0 ? 1 : atof(p + n + 1);
    return otherwise;
}

static bool relative(const run *r)
{
    return strstr(r->arguments, "stop_mode=rel") != NULL;
}

/* The reference's arguments, its defaults where the table names none. */
static deq_solver_options options_of(const run *r)
{
    deq_solver_options o = deq_solver_defaults();
    double tol = argument(r, "tol", 1e-3);
    o.reference_batch_max = o.trace = true;
    o.max_iter = (int)argument(r, "max_iter", 50);
    o.reference_relative = relative(r);
    o.reference_final = argument(r, "return_final", 0) > 0;
    o.atol = relative(r) ? 0 : tol;
    o.rtol = relative(r) ? tol : 0;
    o.picard.damping = argument(r, "tau", 1);
    o.anderson.mixing = argument(r, "tau", 1);
    o.anderson.depth = (int)argument(r, "m", 6);
    o.anderson.ridge = argument(r, "lam", 1e-4);
    o.broyden.memory = (int)argument(r, "LBFGS_thres", o.max_iter);
    o.broyden.line_search = argument(r, "ls", 0) > 0;
    o.method = strcmp(r->solver, "fixed_point_iter") == 0 ? DEQ_PICARD
               : strcmp(r->solver, "anderson") == 0       ? DEQ_ANDERSON
                                                          : DEQ_BROYDEN;
    return o;
}

/* Comparing ------------------------------------------------------------------------------------ */

typedef struct verdict {
    const run *r;
    int wrong;
} verdict;

static void complain(verdict *v, const char *what, double ours, double theirs)
{
    if (v->wrong++ < 5)
        print_error("%s %s.%s: %s is %.17g, expected %.17g\n", v->r->system, v->r->solver,
                    v->r->name, what, ours, theirs);
}

static void compare_points(verdict *v, const system_f *s, const npz_array *want)
{
    int64_t size = s->B * s->d;
    for (int64_t k = 0; k < want->dim[0] && k < s->n_calls; k++) {
        double rtol = k < 6 ? 1e-10 : 1e-8;
        for (int64_t i = 0; i < size; i++) {
            double a = s->points[k * size + i], b = want->data[k * size + i];
            if (!(fabs(a - b) <= rtol * fmax(fabs(b), 1e-3))) {
                complain(v, "a coordinate of an evaluation point", a, b);
                return;
            }
        }
    }
}

static void compare_trace(verdict *v, const char *name, const double *ours, int64_t length,
                          const double *want)
{
    for (int64_t i = 0; i < length; i++) {
        double rtol = want[i] > 1e-6 ? 1e-6 : 1e-3;
        if (want[i] > 1e-8 && !(fabs(ours[i] - want[i]) <= rtol * want[i])) {
            complain(v, name, ours[i], want[i]);
            return;
        }
    }
}

/* Counts may differ by one where a residual lies within 1 % of the tolerance. */
static int slack_of(const run *r, const npz_array *trace, double tol)
{
    (void)r;
    for (int64_t i = 0; i < trace->count; i++)
        if (fabs(trace->data[i] - tol) < 0.01 * tol) return 1;
    return 0;
}

/* Entries below 1e-8 are not promised: which of them is the lowest is chance. */
static bool within_noise(const npz_array *trace, int64_t sample, int64_t step, int64_t first)
{
    int64_t N = trace->dim[1], entry = step - first;
    return entry >= 0 && entry < N && trace->data[sample * N + entry] < 1e-8;
}

static void compare(verdict *v, npz *want, const system_f *s, deq_solver *solver,
                    const deq_solve_info *info, const double *z)
{
    const run *r = v->r;
    double tol = argument(r, "tol", 1e-3);
    double rho = npz_need(golden.problems, "%s/rho_J", r->system)->data[0];
    const npz_array *trace[2] = { npz_need(want, "%s.%s/abs_trace", r->solver, r->name),
                                  npz_need(want, "%s.%s/rel_trace", r->solver, r->name) };
    const npz_array *lowest = npz_need(want, "%s.%s/abs_lowest", r->solver, r->name);
    const npz_array *nstep = npz_need(want, "%s.%s/nstep", r->solver, r->name);
    const npz_array *state = npz_need(want, "%s.%s/z", r->solver, r->name);
    double f_calls = npz_need(want, "%s.%s/f_calls", r->solver, r->name)->data[0];
    double measured = npz_need(want, "%s.%s/true_trace_len", r->solver, r->name)->data[0];
    int64_t N = trace[0]->dim[1];
    int64_t first = strcmp(r->solver, "anderson") == 0 ? 2 : 0; /* step of trace entry 0 */
    int slack = slack_of(r, trace[relative(r)], tol);

    if (fabs((double)info->n_feval - f_calls) > slack)
        complain(v, "the number of evaluations", (double)info->n_feval, f_calls);
    if (info->n_feval != s->n_calls)
        complain(v, "the count of evaluations", (double)info->n_feval, (double)s->n_calls);
    for (int64_t i = 0; i < s->B; i++) {
        const deq_sample_info *in = &info->sample[i];
        deq_trace t = deq_solver_trace(solver, i);
        if (t.length != N) complain(v, "the length of a trace", (double)t.length, (double)N);
        if (t.length != N) return;
        compare_trace(v, "an absolute residual", t.residual, N, trace[0]->data + i * N);
        compare_trace(v, "a relative residual", t.relative, N, trace[1]->data + i * N);
        if (fabs((double)in->n_iter - measured) > slack)
            complain(v, "the number of residuals", (double)in->n_iter, measured);
        if (fabs((double)in->best_feval - nstep->data[i]) > slack &&
            !within_noise(trace[relative(r)], i, in->best_feval, first))
            complain(v, "the best step", (double)in->best_feval, nstep->data[i]);
        if (!(fabs(in->residual - lowest->data[i]) <= 1e-3 * lowest->data[i] + 1e-11))
            complain(v, "the lowest residual", in->residual, lowest->data[i]);
    }
    double bound = strncmp(r->name, "tight", 5) == 0 ? 1e-8 : 10 * tol / (1 - rho);
    for (int64_t i = 0; i < state->count; i++)
        if (!(fabs(z[i] - state->data[i]) <= bound)) {
            complain(v, "a coordinate of the state", z[i], state->data[i]);
            return;
        }
}

static int check_run(deq_context *ctx, const run *r)
{
    verdict v = { r, 0 };
    system_f s;
    npz *want = open_archive(&golden, r->system);
    const npz_array *z0 = npz_need(golden.problems, "%s/z0", r->system);
    const npz_array *points = npz_need(want, "%s.%s/eval_points", r->solver, r->name);
    open_system(&s, r->system);
    s.n_points = points->dim[0];
    s.points = calloc((size_t)points->count + 1, sizeof *s.points);
    double *z = malloc((size_t)z0->count * sizeof *z);
    memcpy(z, z0->data, (size_t)z0->count * sizeof *z);

    deq_solver_options o = options_of(r);
    deq_solver *solver = NULL;
    deq_solve_info info = { .struct_size = sizeof info };
    deq_map f = { .struct_size = sizeof f, .eval = eval, .user = &s, .partial = true };
    if (deq_solver_new(&solver, ctx, &o, s.B, s.d, DEQ_F64) != DEQ_OK)
        fail_msg("%s", deq_last_error(ctx));
    assert_int_equal(deq_solve(z, &info, solver, &f), DEQ_OK);
    compare_points(&v, &s, points);
    compare(&v, want, &s, solver, &info, z);

    deq_solver_free(solver);
    free(z);
    free(s.points);
    free(s.h0);
    npz_close(want);
    return v.wrong;
}

static void check_solver(const char *solver)
{
    int wrong = 0, checked = 0;
    deq_context *ctx;
    need_fixture();
    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    for (int i = 0; i < golden.n_runs; i++)
        if (golden.runs[i].stored && strcmp(golden.runs[i].solver, solver) == 0) {
            wrong += check_run(ctx, &golden.runs[i]);
            checked++;
        }
    deq_context_free(ctx);
    print_message("%d runs compared\n", checked);
    assert_true(checked > 0);
    assert_int_equal(wrong, 0);
}

static void the_reference_mode_reproduces_picard(void **state)
{
    (void)state;
    check_solver("fixed_point_iter");
}

static void the_reference_mode_reproduces_anderson(void **state)
{
    (void)state;
    check_solver("anderson");
}

static void the_reference_mode_reproduces_broyden(void **state)
{
    (void)state;
    check_solver("broyden");
}

/* Evaluations ---------------------------------------------------------------------------------- */

/* The fewest evaluations with which a run of the table reached this absolute tolerance. */
static int fewest(const char *system, double tol)
{
    int best = 0;
    for (int i = 0; i < golden.n_runs; i++) {
        const run *r = &golden.runs[i];
        bool reached = r->stored && r->f_calls < argument(r, "max_iter", 50);
        if (strcmp(r->system, system) != 0 || !reached || relative(r)) continue;
        if (argument(r, "tol", 1e-3) > tol || argument(r, "return_final", 0) > 0) continue;
        if (!best || r->f_calls < best) best = r->f_calls;
    }
    return best;
}

static int evaluations(deq_context *ctx, const char *system, deq_method method, double tol)
{
    system_f s;
    const npz_array *z0 = npz_need(golden.problems, "%s/z0", system);
    const npz_array *exact = npz_need(golden.problems, "%s/zstar_newton", system);
    double rho = npz_need(golden.problems, "%s/rho_J", system)->data[0];
    double *z = malloc((size_t)z0->count * sizeof *z);
    memcpy(z, z0->data, (size_t)z0->count * sizeof *z);
    open_system(&s, system);

    deq_solver_options o = deq_solver_defaults();
    deq_solver *solver = NULL;
    deq_solve_info info = { .struct_size = sizeof info };
    deq_map f = { .struct_size = sizeof f, .eval = eval, .user = &s, .partial = true };
    o.method = method;
    o.max_iter = 300;
    o.atol = tol;
    o.rtol = 0;
    assert_int_equal(deq_solver_new(&solver, ctx, &o, s.B, s.d, DEQ_F64), DEQ_OK);
    assert_int_equal(deq_solve(z, &info, solver, &f), DEQ_OK);
    assert_int_equal(info.n_outcome[DEQ_CONVERGED], s.B);
    assert_int_equal(info.n_feval, s.n_calls);
    for (int64_t i = 0; i < z0->count; i++)
        assert_true(fabs(z[i] - exact->data[i]) < 10 * tol / (1 - rho));
    deq_solver_free(solver);
    free(s.h0);
    free(z);
    return (int)info.n_feval;
}

/* The systems of the table, each once. */
static const char *system_at(int n)
{
    for (int i = 0; i < golden.n_runs; i++) {
        bool seen = false;
        for (int j = 0; j < i; j++)
            seen = seen || strcmp(golden.runs[i].system, golden.runs[j].system) == 0;
        if (!seen && n-- == 0) return golden.runs[i].system;
    }
    return NULL;
}

static void the_defaults_need_no_more_evaluations_than_any_reference_run(void **state)
{
    const double tol = 1e-8;
    int wrong = 0;
    deq_context *ctx;
    (void)state;
    need_fixture();
    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    for (int i = 0; system_at(i); i++) {
        const char *name = system_at(i);
        int best = fewest(name, tol), ours = evaluations(ctx, name, DEQ_AUTO, tol);
        int anderson = evaluations(ctx, name, DEQ_ANDERSON, tol);
        int broyden = evaluations(ctx, name, DEQ_BROYDEN, tol);
        int picard = evaluations(ctx, name, DEQ_PICARD, tol);
        print_message("%-12s reference %3d; auto %3d, anderson %3d, broyden %3d, picard %3d\n",
                      name, best, ours, anderson, broyden, picard);
        wrong += best && (ours > best || anderson > best);
        wrong += ours > anderson || ours > broyden || ours > picard;
    }
    deq_context_free(ctx);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reference_mode_reproduces_picard),
        cmocka_unit_test(the_reference_mode_reproduces_anderson),
        cmocka_unit_test(the_reference_mode_reproduces_broyden),
        cmocka_unit_test(the_defaults_need_no_more_evaluations_than_any_reference_run),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
