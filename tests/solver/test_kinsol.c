/* SPDX-License-Identifier: MIT */
/*
 * SUNDIALS' KINSOL as oracle: the same problems have the same solutions, for comparable numbers of
 * evaluations of f.  KINSOL judges by the largest component of g, we by the 2-norm, so ours is asked
 * for a little more.
 */
#include "solver/tanh_map.h"

#if DEQ_HAVE_KINSOL
#include <kinsol/kinsol.h>
#include <nvector/nvector_serial.h>
#include <sunlinsol/sunlinsol_spgmr.h>
#endif

#if DEQ_HAVE_KINSOL && SUNDIALS_VERSION_MAJOR >= 6

#if SUNDIALS_VERSION_MAJOR >= 7
#define NO_COMMUNICATOR SUN_COMM_NULL
#else
#define NO_COMMUNICATOR NULL
#endif

#define TOL 1e-10

/* A problem of one sample: f for us; KINSOL wants g = f - z for Newton and f for fixed points. */
typedef struct task {
    const char *name;
    deq_map f;
    int64_t d;
    double start;
    bool residual;
    int n_eval;
} task;

static int evaluate(N_Vector u, N_Vector out, void *user)
{
    static const int64_t sample = 0;
    task *t = user;
    double *z = NV_DATA_S(u), *f = NV_DATA_S(out);
    t->n_eval++;
    if (t->f.eval(t->f.user, f, z, &sample, 1) != DEQ_OK) return -1;
    for (int64_t i = 0; t->residual && i < t->d; i++) f[i] -= z[i];
    return 0;
}

/* Solve by KINSOL; evaluations of f, or -1. */
static int kinsol(task *t, int strategy, int depth, double *z)
{
    SUNContext ctx = NULL;
    SUNLinearSolver linear = NULL;
    assert_int_equal(SUNContext_Create(NO_COMMUNICATOR, &ctx), 0);
    N_Vector u = N_VNew_Serial((sunindextype)t->d, ctx), ones = N_VClone(u);
    void *mem = KINCreate(ctx);
    N_VConst(t->start, u);
    N_VConst(1, ones);
    t->residual = strategy != KIN_FP;
    t->n_eval = 0;
    if (depth) assert_int_equal(KINSetMAA(mem, depth), 0);
    assert_int_equal(KINInit(mem, evaluate, u), 0);
    assert_int_equal(KINSetUserData(mem, t), 0);
    assert_int_equal(KINSetFuncNormTol(mem, TOL), 0);
    assert_int_equal(KINSetNumMaxIters(mem, 1000), 0);
    if (strategy != KIN_FP) {
        linear = SUNLinSol_SPGMR(u, SUN_PREC_NONE, 20, ctx);
        assert_int_equal(KINSetLinearSolver(mem, linear, NULL), 0);
    }
    int flag = KINSol(mem, u, strategy, ones, ones);
    memcpy(z, NV_DATA_S(u), (size_t)t->d * sizeof *z);
    KINFree(&mem);
    if (linear) SUNLinSolFree(linear);
    N_VDestroy(ones);
    N_VDestroy(u);
    SUNContext_Free(&ctx);
    return flag >= 0 ? t->n_eval : -1;
}

static int ours(task *t, const deq_solver_options *o, double *z)
{
    deq_context *ctx = NULL;
    deq_solver *s = NULL;
    deq_solve_info info = { .struct_size = sizeof info };
    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    assert_int_equal(deq_solver_new(&s, ctx, o, 1, t->d, DEQ_F64), DEQ_OK);
    for (int64_t i = 0; i < t->d; i++) z[i] = t->start;
    assert_int_equal(deq_solve(z, &info, s, &t->f), DEQ_OK);
    int n = info.sample[0].outcome == DEQ_CONVERGED ? (int)info.sample[0].n_feval : -1;
    deq_solver_free(s);
    deq_context_free(ctx);
    return n;
}

/* x = cos x, coordinate by coordinate from different phases */
static deq_status cosine(void *user, void *fz, const void *z, const int64_t *samples, int64_t n)
{
    const int64_t *d = user;
    (void)samples;
    for (int64_t i = 0; i < n * *d; i++)
        ((double *)fz)[i] = cos(((const double *)z)[i] + 0.1 * (double)i);
    return DEQ_OK;
}

/* Broyden's tridiagonal system, g_i = (3 - 2 z_i) z_i - z_{i-1} - 2 z_{i+1} + 1, as z + g / 5 */
static deq_status tridiagonal(void *user, void *fz, const void *z, const int64_t *samples,
                              int64_t n)
{
    const int64_t d = *(const int64_t *)user;
    const double *x = z;
    (void)samples;
    for (int64_t i = 0; i < n * d; i++) {
        double left = i > 0 ? x[i - 1] : 0, right = i + 1 < d ? x[i + 1] : 0;
        ((double *)fz)[i] = x[i] - ((3 - 2 * x[i]) * x[i] - left - 2 * right + 1) / 5;
    }
    return DEQ_OK;
}

enum { TANH_SLOW, TANH_FAST, COSINE, TRIDIAGONAL, N_TASKS, MOST = 40 };

typedef struct tasks {
    task t[N_TASKS];
    tanh_map maps[2];
    int64_t d;
} tasks;

static void make_tasks(tasks *s)
{
    const deq_map f = { .struct_size = sizeof f, .user = &s->d, .partial = true };
    s->d = 20;
    s->maps[0] = tanh_map_new(1, MOST, DEQ_F64, 0.95);
    s->maps[1] = tanh_map_new(1, MOST, DEQ_F64, 0.5);
    for (int i = 0; i < 2; i++)
        s->t[i] = (task){ .name = i == TANH_SLOW ? "tanh 0.95" : "tanh 0.5",
                          .f = tanh_map_of(&s->maps[i], false, true),
                          .d = MOST };
    s->t[COSINE] = (task){ .name = "cos", .f = f, .d = s->d, .start = 1 };
    s->t[COSINE].f.eval = cosine;
    s->t[TRIDIAGONAL] = (task){ .name = "tridiagonal", .f = f, .d = s->d, .start = -1 };
    s->t[TRIDIAGONAL].f.eval = tridiagonal;
}

static void free_tasks(tasks *s)
{
    for (int i = 0; i < 2; i++) tanh_map_free(&s->maps[i]);
}

static void assert_same(const task *t, const double *a, const double *b, int ours_n, int theirs_n,
                        double factor)
{
    double gap = 0;
    for (int64_t i = 0; i < t->d; i++) gap = fmax(gap, fabs(a[i] - b[i]));
    if (ours_n < 0 || theirs_n < 0 || gap > 1e-7 || ours_n > factor * theirs_n + 5)
        fail_msg("%s: %d evaluations against %d, gap %g", t->name, ours_n, theirs_n, gap);
    print_message("%-12s %4d evaluations, KINSOL %4d\n", t->name, ours_n, theirs_n);
}

/* One task both ways: at most `factor` times KINSOL's evaluations. */
static void compare(task *t, const deq_solver_options *o, int strategy, int depth, double factor)
{
    double a[MOST], b[MOST];
    int theirs = kinsol(t, strategy, depth, b), mine = ours(t, o, a);
    assert_same(t, a, b, mine, theirs, factor);
}

static void newton_krylov_agrees_with_kinsol(void **state)
{
    (void)state;
    tasks s;
    deq_solver_options o = options_of(DEQ_NEWTON_KRYLOV, TOL, 2000);
    make_tasks(&s);
    for (int i = 0; i < N_TASKS; i++) compare(&s.t[i], &o, KIN_LINESEARCH, 0, 1.3);
    free_tasks(&s);
}

static void anderson_agrees_with_kinsol(void **state)
{
    (void)state;
    tasks s;
    deq_solver_options o = options_of(DEQ_ANDERSON, TOL, 2000);
    o.anderson.depth = 6; /* pairs; KINSOL counts differences */
    make_tasks(&s);
    for (int i = 0; i < N_TASKS; i++) compare(&s.t[i], &o, KIN_FP, 5, 1.3);
    free_tasks(&s);
}

/* Without acceleration both do the same thing. */
static void picard_agrees_with_kinsol(void **state)
{
    (void)state;
    tasks s;
    deq_solver_options o = options_of(DEQ_PICARD, TOL, 2000);
    make_tasks(&s);
    compare(&s.t[TANH_FAST], &o, KIN_FP, 0, 1.05);
    free_tasks(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(newton_krylov_agrees_with_kinsol),
        cmocka_unit_test(anderson_agrees_with_kinsol),
        cmocka_unit_test(picard_agrees_with_kinsol),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

#include <stdio.h>

int main(void)
{
    puts("SKIPPED: built without KINSOL (SUNDIALS 6 or newer; Debian: libsundials-dev)");
    return 0;
}

#endif
