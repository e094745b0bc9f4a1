/* SPDX-License-Identifier: MIT */
/*
 * Gradients, regularisers and spectral radii against the numbers of TorchDEQ.
 *
 * $DEQ_GOLDEN/gradients/README.md names the systems (first column of its table) and the agreement to
 * expect; SYSTEM.npz holds the results, ../solvers/problems.npz the systems.  What a method did is
 * in its name: phantom5_tau05.START is five steps with tau 0.5 from the array start/START.  Nothing
 * else about them is known here.
 */
#include "support/engine.h"
#include "support/npz.h"

#include <ctype.h>
#include <deq/cell_map.h>
#include <deq/regularise.h>
#include <deq/spectral.h>
#include <deq/supervision.h>
#include <stdio.h>

enum { SYSTEMS_MAX = 64 };

typedef struct fixture {
    char folder[1024], names[SYSTEMS_MAX][64], agreement[2048];
    int n;
    int max_iter; /* of the supervised solves: "f_max_iter 12" */
    npz *problems;
} fixture;

static fixture golden;

/* Reading the README ------------------------------------------------------------------------- */

static void read_system(char *line)
{
    char name[64];
    if (sscanf(line, "| %63[^ |]", name) != 1 || golden.n == SYSTEMS_MAX) return;
    char key[80];
    snprintf(key, sizeof key, "%s/W", name);
    if (!npz_find(golden.problems, key)) return; /* a heading */
    for (int i = 0; i < golden.n; i++)
        if (!strcmp(golden.names[i], name)) return;
    memcpy(golden.names[golden.n++], name, sizeof name);
}

static void read_readme(void)
{
    char path[1100], line[4096];
    bool agreement = false;
    snprintf(path, sizeof path, "%s/gradients/README.md", golden.folder);
    FILE *file = fopen(path, "r");
    if (!file) fail_msg("%s cannot be read", path);
    while (fgets(line, sizeof line, file)) {
        const char *limit = strstr(line, "f_max_iter ");
        if (limit) golden.max_iter = atoi(limit + strlen("f_max_iter "));
        if (line[0] == '#') agreement = strstr(line, "Agreement") != NULL;
        size_t used = strlen(golden.agreement);
        if (agreement)
            snprintf(golden.agreement + used, sizeof golden.agreement - used, "%s", line);
        if (line[0] == '|') read_system(line);
    }
    fclose(file);
    if (!golden.n || !golden.max_iter || !golden.agreement[0])
        fail_msg("%s lacks systems, f_max_iter or the agreement", path);
}

/* The n-th number like 1e-9 behind a word of the agreement. */
static double agreed(const char *word, int nth)
{
    const char *at = strstr(golden.agreement, word);
    if (!at) fail_msg("no agreement about '%s'", word);
    for (at += strlen(word); *at; at++) {
        int length = 0;
        double x;
        if (!isdigit((unsigned char)*at) || isdigit((unsigned char)at[-1])) continue;
        if (sscanf(at, "%lf%n", &x, &length) != 1 || !memchr(at, 'e', (size_t)length)) continue;
        if (nth-- == 0) return x;
        at += length - 1;
    }
    fail_msg("no number behind '%s'", word);
    return 0;
}

static npz *open_npz(const char *folder, const char *name)
{
    char path[1300];
    const char *why;
    snprintf(path, sizeof path, "%s/%s/%s.npz", golden.folder, folder, name);
    npz *z = npz_open(path, &why);
    if (!z) fail_msg("%s: %s", path, why);
    return z;
}

static int load(void **state)
{
    const char *folder = getenv("DEQ_GOLDEN");
    (void)state;
    if (!folder) return 0;
    snprintf(golden.folder, sizeof golden.folder, "%s", folder);
    golden.problems = open_npz("solvers", "problems");
    read_readme();
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

/* Systems ------------------------------------------------------------------------------------ */

/* f(z) = tanh(z W' + x U' + b), or without the tanh; in one graph. */
typedef struct model {
    deq_value W, U, b, x;
    bool affine;
} model;

typedef struct problem {
    const char *name;
    npz *file;
    test_graph t;
    model m;
    const npz_array *data[4]; /* of W, U, b, x */
    deq_dtype dtype;
    int64_t B, d;
    deq_value z0, c;
} problem;

static void cell(deq_graph *g, const deq_value *z, deq_value *fz, void *user)
{
    const model *m = user;
    deq_value h = deq_add(g, deq_linear(g, z[0], m->W, DEQ_NONE), deq_linear(g, m->x, m->U, m->b));
    fz[0] = m->affine ? h : deq_tanh(g, h);
}

static deq_shape shape_of(const npz_array *a)
{
    deq_shape s = { .rank = a->rank };
    for (int i = 0; i < a->rank; i++) s.dim[i] = a->dim[i];
    return s;
}

static deq_value constant(const problem *p, const npz_array *a)
{
    return deq_cast(p->t.g, deq_constant(p->t.g, DEQ_F64, shape_of(a), a->data), p->dtype);
}

static problem open_problem(const char *name, deq_dtype dtype)
{
    static const char *const keys[4] = { "W", "U", "b", "x" };
    problem p = { .name = name, .file = open_npz("gradients", name), .dtype = dtype };
    deq_value in[4];
    p.t = test_graph_new();
    for (int i = 0; i < 4; i++) {
        p.data[i] = npz_need(golden.problems, "%s/%s", name, keys[i]);
        in[i] = deq_input(p.t.g, keys[i], i == 3 ? DEQ_STAGE_INJECTED : DEQ_STAGE_PARAMETER, dtype,
                          shape_of(p.data[i]));
    }
    p.m = (model){ in[0], in[1], in[2], in[3], !strncmp(name, "affine", 6) };
    p.B = p.data[3]->dim[0];
    p.d = p.data[0]->dim[0];
    p.z0 = constant(&p, npz_need(golden.problems, "%s/z0", name));
    p.c = constant(&p, npz_need(p.file, "shine/w")); /* the cotangent c of every loss */
    return p;
}

static void close_problem(problem *p)
{
    test_graph_free(&p->t);
    npz_close(p->file);
}

/* Largest difference relative to the largest reference entry. */
static void agree(const problem *p, const char *what, const double *got, const npz_array *want,
                  double tol)
{
    double largest = 0, worst = 0;
    for (int64_t i = 0; i < want->count; i++) {
        largest = fmax(largest, fabs(want->data[i]));
        double gap = fabs(got[i] - want->data[i]);
        worst = gap > worst || gap != gap ? gap : worst;
    }
    if (!(worst <= tol * fmax(largest, 1e-300)) && worst != 0)
        fail_msg("%s, %s: off by %.3g of %.3g, agreed are %.3g", p->name, what, worst, largest,
                 tol);
}

static void write_real(const problem *p, deq_program *program, deq_value v, const npz_array *a)
{
    if (p->dtype == DEQ_F64) {
        must_write(&p->t, program, v, a->data);
        return;
    }
    float *narrow = malloc((size_t)a->count * sizeof *narrow);
    assert_non_null(narrow);
    for (int64_t i = 0; i < a->count; i++) narrow[i] = (float)a->data[i];
    must_write(&p->t, program, v, narrow);
    free(narrow);
}

static deq_program *compile(const problem *p, const deq_value *out, int n)
{
    const deq_value in[4] = { p->m.W, p->m.U, p->m.b, p->m.x };
    assert_ok(&p->t);
    deq_program *program = must_compile(&p->t, out, n, NULL);
    for (int i = 0; i < 4; i++) write_real(p, program, in[i], p->data[i]);
    must_run(program, DEQ_STAGE_PARAMETER);
    return program;
}

/* Each output, cast to f64 on the graph, against METHOD/KEY; keys ending in d? are gradients. */
static void compare_all(const problem *p, const char *method, const char *const *keys,
                        deq_value *out, int n, double tol)
{
    for (int i = 0; i < n; i++) out[i] = deq_cast(p->t.g, out[i], DEQ_F64);
    deq_program *program = compile(p, out, n);
    for (int i = 0; i < n; i++) {
        char what[160];
        const npz_array *want = npz_need(p->file, "%s%s", method, keys[i]);
        double *got = malloc((size_t)want->count * sizeof *got);
        assert_non_null(got);
        snprintf(what, sizeof what, "%s%s", method, keys[i]);
        must_read(&p->t, program, out[i], got);
        agree(p, what, got, want, tol);
        free(got);
    }
    deq_program_free(program);
}

static const char *const gradient_keys[5] = { "loss", "dW", "dU", "db", "dx" };

/* loss and its gradients against METHOD/loss, /dW, /dU, /db, /dx. */
static void compare_gradients(const problem *p, const char *method, deq_value loss, double tol)
{
    const deq_value in[4] = { p->m.W, p->m.U, p->m.b, p->m.x };
    char prefix[136];
    deq_value out[5] = { loss };
    deq_vjp(p->t.g, out + 1, &loss, NULL, 1, in, 4);
    snprintf(prefix, sizeof prefix, "%s/", method);
    compare_all(p, prefix, gradient_keys, out, 5, tol);
}

static deq_value loss_of(const problem *p, deq_value z)
{
    return deq_sum(p->t.g, deq_mul(p->t.g, p->c, z), DEQ_ALL_AXES, false);
}

typedef void check_fn(problem *p);

static void each_system(deq_dtype dtype, check_fn *check)
{
    need_fixture();
    for (int i = 0; i < golden.n; i++) {
        problem p = open_problem(golden.names[i], dtype);
        check(&p);
        close_problem(&p);
    }
}

/* Exact gradients ---------------------------------------------------------------------------- */

static deq_equilibrium_options tight(deq_dtype dtype)
{
    deq_equilibrium_options o = deq_equilibrium_defaults();
    double tol = dtype == DEQ_F64 ? 1e-13 : 1e-6;
    o.forward.rtol = 0;
    o.forward.atol = 10 * tol;
    o.forward.max_iter = 500;
    o.adjoint.rtol = tol;
    o.adjoint.max_iter = 500;
    o.adjoint_solver.rtol = tol;
    o.adjoint_solver.max_iter = 500;
    return o;
}

static void check_exact(problem *p)
{
    static const deq_linear_method methods[] = { DEQ_LINEAR_GMRES, DEQ_LINEAR_BICGSTAB,
                                                 DEQ_LINEAR_NEUMANN };
    bool f64 = p->dtype == DEQ_F64;
    double tol = agreed(f64 ? "ift/exact" : "float32", 0);
    for (size_t i = 0; i < COUNT_OF(methods) + 2; i++) {
        deq_equilibrium_options o = tight(p->dtype);
        o.adjoint_by_solver = i == COUNT_OF(methods);
        if (!o.adjoint_by_solver && i <= COUNT_OF(methods)) o.adjoint.method = methods[i];
        if (i > COUNT_OF(methods)) { /* on top of the forward solver's factors */
            o.gradient = DEQ_GRADIENT_SHINE;
            o.shine_refine = 500;
        }
        deq_value z = deq_equilibrium(p->t.g, cell, &p->m, p->z0, &o, NULL);
        compare_gradients(p, "ift", loss_of(p, z), tol);
        deq_value loss = loss_of(p, z), in[1] = { p->m.W }, dW;
        deq_vjp(p->t.g, &dW, &loss, NULL, 1, in, 1);
        compare_all(p, "exact/", (const char *const[]){ "zstar", "dW" }, (deq_value[]){ z, dW }, 2,
                    tol);
    }
}

static void implicit_gradients_are_those_of_dense_solves(void **state)
{
    (void)state;
    each_system(DEQ_F64, check_exact);
}

static void implicit_gradients_in_f32_are_close(void **state)
{
    (void)state;
    each_system(DEQ_F32, check_exact);
}

/* Phantom gradients -------------------------------------------------------------------------- */

/* "05" is 0.5, "1" is 1. */
static double parse_tau(const char *digits, int length)
{
    double x = 0;
    for (int i = length - 1; i >= 0; i--) x = x / 10 + digits[i] - '0';
    return x;
}

/* METHOD is phantomK[_tauT].START or onestep[_tauT].START; false for any other. */
static bool parse_phantom(const char *method, int *steps, double *tau, char *start)
{
    const char *at = method;
    *steps = 1;
    *tau = 1;
    if (!strncmp(at, "onestep", 7))
        at += 7;
    else if (sscanf(at, "phantom%d", steps) == 1)
        at += strcspn(at, "_.");
    else
        return false;
    if (!strncmp(at, "_tau", 4)) {
        size_t length = strcspn(at + 4, ".");
        *tau = parse_tau(at + 4, (int)length);
        at += 4 + length;
    }
    if (*at != '.') return false;
    snprintf(start, 64, "%s", at + 1);
    return true;
}

/* One evaluation returns the start itself, of which the tail then starts. */
static deq_value from_start(const problem *p, const char *start, deq_gradient gradient, int steps,
                            double tau)
{
    deq_equilibrium_options o = deq_equilibrium_defaults();
    o.forward.method = DEQ_PICARD;
    o.forward.max_iter = 1;
    o.gradient = gradient;
    o.steps = steps;
    o.tau = tau;
    deq_value z0 = constant(p, npz_need(p->file, "start/%s", start));
    return deq_equilibrium(p->t.g, cell, (void *)(uintptr_t)&p->m, z0, &o, NULL);
}

static void check_phantom(problem *p)
{
    double tol = agreed(p->dtype == DEQ_F64 ? "phantom" : "float32", 0);
    double at_z_star = agreed(p->dtype == DEQ_F64 ? "ift/exact" : "float32", 0);
    int found = 0;
    for (int i = 0; i < npz_count(p->file); i++) {
        char method[128], start[64];
        int steps;
        double tau;
        size_t length = strcspn(npz_name(p->file, i), "/");
        if (strcmp(npz_name(p->file, i) + length, "/dW") != 0) continue;
        snprintf(method, sizeof method, "%.*s", (int)length, npz_name(p->file, i));
        if (!parse_phantom(method, &steps, &tau, start)) continue;
        found++;
        deq_value z = from_start(p, start, DEQ_GRADIENT_PHANTOM_UNROLL, steps, tau);
        compare_gradients(p, method, loss_of(p, z), tol);
        if (strcmp(start, "zstar") != 0) continue; /* where series and unrolling agree */
        z = from_start(p, start, DEQ_GRADIENT_PHANTOM_NEUMANN, steps, tau);
        compare_gradients(p, method, loss_of(p, z), at_z_star);
        if (steps > 1 || tau != 1) continue;
        z = from_start(p, start, DEQ_GRADIENT_JFB, 1, 1);
        compare_gradients(p, method, loss_of(p, z), at_z_star);
    }
    assert_true(found > 0);
}

static void phantom_gradients_agree(void **state)
{
    (void)state;
    each_system(DEQ_F64, check_phantom);
}

static void phantom_gradients_in_f32_are_close(void **state)
{
    (void)state;
    each_system(DEQ_F32, check_phantom);
}

/* Whole solves of the reference -------------------------------------------------------------- */

/* Its Picard iteration, with its stopping rule and the state that it returns. */
static deq_equilibrium_options reference_picard(int max_iter, double tol, int steps, double tau)
{
    deq_equilibrium_options o = deq_equilibrium_defaults();
    o.forward.method = DEQ_PICARD;
    o.forward.reference_batch_max = true;
    o.forward.max_iter = max_iter;
    o.forward.atol = tol;
    o.forward.rtol = 0;
    o.gradient = DEQ_GRADIENT_PHANTOM_UNROLL;
    o.steps = steps;
    o.tau = tau;
    return o;
}

/* deq_picard12_grad5_tau05 */
static void check_whole(problem *p)
{
    int found = 0;
    for (int i = 0; i < npz_count(p->file); i++) {
        const char *name = npz_name(p->file, i);
        char method[128];
        int max_iter, steps, at = 0;
        size_t length = strcspn(name, "/");
        if (strcmp(name + length, "/dW") != 0) continue;
        if (sscanf(name, "deq_picard%d_grad%d_tau%n", &max_iter, &steps, &at) != 2 || !at) continue;
        found++;
        snprintf(method, sizeof method, "%.*s", (int)length, name);
        double tau = parse_tau(name + at, (int)length - at);
        deq_equilibrium_options o = reference_picard(max_iter, 1e-12, steps, tau);
        deq_value z = deq_equilibrium(p->t.g, cell, &p->m, p->z0, &o, NULL);
        compare_gradients(p, method, loss_of(p, z), agreed("phantom", 0));
    }
    assert_true(found > 0);
}

static void solves_with_phantom_tails_agree(void **state)
{
    (void)state;
    each_system(DEQ_F64, check_whole);
}

/* The reference's slices: a solve of its own each, from the end of the tail before. */
static void slices(const problem *p, deq_value *z, int n, const deq_equilibrium_options *whole)
{
    deq_equilibrium_options o = *whole;
    deq_value start = p->z0;
    o.forward.max_iter = whole->forward.max_iter / n;
    for (int i = 0; i < n; i++) {
        z[i] = deq_equilibrium(p->t.g, cell, (void *)(uintptr_t)&p->m, start, &o, NULL);
        start = deq_stop_gradient(p->t.g, z[i]);
    }
}

/* sliced_n3_grad2_tau08, indexing_n3_grad2_tau08: loss = sum_i 0.8^(n-1-i) c . z_i */
static void check_supervised(problem *p)
{
    int found = 0;
    for (int i = 0; i < npz_count(p->file); i++) {
        const char *name = npz_name(p->file, i);
        char core[16], method[128];
        int n, steps, at = 0;
        size_t length = strcspn(name, "/");
        if (strcmp(name + length, "/states") != 0) continue;
        if (sscanf(name, "%15[a-z]_n%d_grad%d_tau%n", core, &n, &steps, &at) != 3 || !at) continue;
        assert_in_range(n, 1, 8);
        found++;
        snprintf(method, sizeof method, "%.*s/", (int)length, name);
        deq_equilibrium_options o = reference_picard(golden.max_iter, 1e-12, steps,
                                                     parse_tau(name + at, (int)length - at));
        deq_value z[8], losses[8];
        if (strcmp(core, "sliced") != 0) {
            o.forward.n_states = n;
            deq_equilibrium_supervised(p->t.g, z, cell, &p->m, &p->z0, 1, &o, NULL, NULL);
        } else {
            slices(p, z, n, &o);
        }
        deq_value rows[8];
        for (int k = 0; k < n; k++) {
            losses[k] = loss_of(p, z[k]);
            rows[k] = deq_reshape(p->t.g, z[k], DEQ_SHAPE(1, p->B, p->d));
        }
        deq_value stacked = deq_concat(p->t.g, rows, n, 0);
        compare_all(p, method, (const char *const[]){ "states" }, &stacked, 1, agreed("sliced", 0));
        method[length] = 0;
        compare_gradients(p, method, deq_fixed_point_correction(p->t.g, losses, n, NULL),
                          agreed("sliced", 0));
    }
    assert_true(found > 0);
}

static void supervised_states_agree(void **state)
{
    (void)state;
    each_system(DEQ_F64, check_supervised);
}

/* Its function form: zhat = f(z) with z held, J at zhat, u by Picard iteration from 0. */
typedef struct adjoint {
    const model *m;
    deq_value z, w;
} adjoint;

static void adjoint_cell(deq_graph *g, const deq_value *u, deq_value *fu, void *user)
{
    const adjoint *a = user;
    deq_value fz, uJ;
    cell(g, &a->z, &fz, (void *)(uintptr_t)a->m);
    deq_vjp(g, &uJ, &fz, u, 1, &a->z, 1);
    fu[0] = deq_add(g, a->w, uJ);
}

static void check_defaults(problem *p)
{
    deq_graph *g = p->t.g;
    deq_equilibrium_options o = reference_picard(40, 1e-3, 1, 1);
    o.gradient = DEQ_GRADIENT_JFB;
    deq_value z = deq_stop_gradient(g, deq_equilibrium(g, cell, &p->m, p->z0, &o, NULL)), zhat;
    cell(g, &z, &zhat, &p->m);
    adjoint a = { &p->m, deq_stop_gradient(g, zhat), p->c };
    o.forward.atol = 1e-6;
    deq_value u0 = deq_fill(g, p->dtype, DEQ_SHAPE(p->B, p->d), 0);
    deq_value u = deq_stop_gradient(g, deq_equilibrium(g, adjoint_cell, &a, u0, &o, NULL));
    /* c . zhat in value, u . dzhat in gradient */
    deq_value uz = deq_sum(g, deq_mul(g, u, zhat), DEQ_ALL_AXES, false);
    deq_value loss = deq_add(g, deq_stop_gradient(g, loss_of(p, zhat)),
                             deq_sub(g, uz, deq_stop_gradient(g, uz)));
    compare_gradients(p, "ift_defaults", loss, agreed("ift_defaults", 0));
}

static void the_default_implicit_gradient_agrees(void **state)
{
    (void)state;
    each_system(DEQ_F64, check_defaults);
}

/* Jacobian ----------------------------------------------------------------------------------- */

static void check_jacobian(problem *p)
{
    static const deq_jacobian_form forms[2] = { DEQ_JACOBIAN_REVERSE_OVER_JVP,
                                                DEQ_JACOBIAN_DOUBLE_BACKWARD };
    deq_graph *g = p->t.g;
    const npz_array *noise = npz_need(p->file, "jac/noise"), *J = npz_need(p->file, "jac/J");
    const deq_value in[4] = { p->m.W, p->m.U, p->m.b, p->m.x };
    deq_value z = constant(p, npz_need(p->file, "exact/zstar")), all = constant(p, noise), eps[16];
    deq_jacobian_options o = deq_jacobian_defaults();
    o.probe = DEQ_PROBE_GIVEN;
    o.given = eps;
    assert_in_range(noise->dim[0], 1, 16);
    for (int m = 0; m < noise->dim[0]; m++)
        eps[m] = deq_reshape(g, deq_slice(g, all, 0, m, 1), DEQ_SHAPE(p->B, p->d));
    for (o.n_probes = 1; o.n_probes <= noise->dim[0]; o.n_probes++)
        for (int k = 0; k < 2; k++) {
            static const char *const keys[5] = { "_value", "_dW", "_dU", "_db", "_dx" };
            char method[64];
            o.form = forms[k];
            deq_value out[5] = { deq_jacobian_penalty(g, cell, &p->m, &z, 1, DEQ_NONE, &o) };
            deq_vjp(g, out + 1, out, NULL, 1, in, 4);
            snprintf(method, sizeof method, "jac/vecs%d", o.n_probes);
            compare_all(p, method, keys, out, 5, agreed("jac", 0));
        }
    if (p->d > DEQ_EXACT_PROBES_MAX) return;
    double norm = 0, got;
    for (int64_t i = 0; i < J->count; i++) norm += J->data[i] * J->data[i] / (double)(p->B * p->d);
    o.probe = DEQ_PROBE_EXACT;
    deq_value exact = deq_jacobian_penalty(g, cell, &p->m, &z, 1, DEQ_NONE, &o);
    deq_program *program = compile(p, &exact, 1);
    must_read(&p->t, program, exact, &got);
    check_close("|J|^2", &got, &norm, 1, agreed("jac", 0));
    deq_program_free(program);
}

static void jacobian_penalties_agree(void **state)
{
    (void)state;
    each_system(DEQ_F64, check_jacobian);
}

/* Spectral radius ---------------------------------------------------------------------------- */

static void check_iterations(const problem *p, const deq_map *map, int n)
{
    char key[64], what[96];
    deq_spectral_options o = deq_spectral_defaults();
    deq_spectral_info *info = calloc((size_t)p->B, sizeof *info);
    double *v = malloc((size_t)(p->B * p->d) * sizeof *v);
    double *radius = malloc((size_t)p->B * sizeof *radius);
    assert_true(info && v && radius);
    memcpy(v, npz_need(p->file, "power/v0")->data, (size_t)(p->B * p->d) * sizeof *v);
    o.max_iter = n;
    o.tol = 0;
    assert_int_equal(deq_spectral_power(info, v, p->t.ctx, map, NULL, DEQ_F64, p->B, p->d, &o),
                     DEQ_OK);
    for (int64_t b = 0; b < p->B; b++) radius[b] = fabs(info[b].real);
    double tol = agreed("power radius", n >= 100);
    snprintf(key, sizeof key, "power/iters%d", n);
    snprintf(what, sizeof what, "%s_radius", key);
    agree(p, what, radius, npz_need(p->file, "%s_radius", key), tol);
    snprintf(what, sizeof what, "%s_vector", key);
    agree(p, what, v, npz_need(p->file, "%s_vector", key), tol);
    free(info);
    free(v);
    free(radius);
}

static void check_true_radius(const problem *p, const deq_map *map)
{
    deq_spectral_options o = deq_spectral_defaults();
    deq_spectral_info *info = calloc((size_t)p->B, sizeof *info);
    double *radius = malloc((size_t)p->B * sizeof *radius);
    assert_true(info && radius);
    o.subspace = p->d < DEQ_SUBSPACE_MAX ? (int)p->d : DEQ_SUBSPACE_MAX;
    assert_int_equal(deq_spectral_arnoldi(info, p->t.ctx, map, NULL, DEQ_F64, p->B, p->d, &o),
                     DEQ_OK);
    for (int64_t b = 0; b < p->B; b++) radius[b] = info[b].value;
    agree(p, "true radius by Arnoldi", radius, npz_need(p->file, "power/true_radius"),
          agreed("power radius", 0));
    free(info);
    free(radius);
}

static void check_power(problem *p)
{
    const deq_value in[4] = { p->m.W, p->m.U, p->m.b, p->m.x };
    deq_value z = constant(p, npz_need(p->file, "exact/zstar"));
    deq_cell_map *m;
    assert_int_equal(deq_cell_map_new(&m, p->t.g, cell, &p->m, &z, 1, NULL), DEQ_OK);
    for (int i = 0; i < 4; i++) write_real(p, deq_cell_map_program(m), in[i], p->data[i]);
    assert_int_equal(deq_cell_map_update(m), DEQ_OK);
    deq_map map = deq_cell_map_get(m);
    int found = 0;
    for (int i = 0; i < npz_count(p->file); i++) {
        int n, at = 0;
        const char *name = npz_name(p->file, i);
        if (sscanf(name, "power/iters%d_radius%n", &n, &at) != 1 || !at) continue;
        check_iterations(p, &map, n);
        found++;
    }
    assert_true(found > 0);
    check_true_radius(p, &map);
    deq_cell_map_free(m);
}

static void power_iterations_and_true_radii_agree(void **state)
{
    (void)state;
    each_system(DEQ_F64, check_power);
}

/* SHINE -------------------------------------------------------------------------------------- */

/* u where Broyden's best iterate is its last: there the factors are those of the fixture. */
static void check_shine(problem *p)
{
    const deq_value in[4] = { p->m.W, p->m.U, p->m.b, p->m.x };
    const npz_array *u = npz_need(p->file, "shine/u"), *x = npz_need(p->file, "shine/x_n");
    int n = (int)npz_need(p->file, "shine/n_updates")->data[0], compared = 0;
    deq_cell_map *m;
    deq_solver *solver;
    deq_solver_memory *memory;
    deq_solver_options o = deq_solver_defaults();
    assert_int_equal(deq_cell_map_new(&m, p->t.g, cell, &p->m, &p->z0, 1, NULL), DEQ_OK);
    for (int i = 0; i < 4; i++) write_real(p, deq_cell_map_program(m), in[i], p->data[i]);
    assert_int_equal(deq_cell_map_update(m), DEQ_OK);
    assert_int_equal(deq_solver_memory_new(&memory, p->t.ctx), DEQ_OK);
    o.method = DEQ_BROYDEN;
    o.broyden.memory = n;
    o.broyden.safeguard = 0;
    o.divergence = 0;
    o.rtol = 0;
    o.max_iter = n + 1;
    o.memory = memory;
    assert_int_equal(deq_solver_new(&solver, p->t.ctx, &o, p->B, p->d, DEQ_F64), DEQ_OK);
    double *z = malloc((size_t)u->count * sizeof *z);
    assert_non_null(z);
    memcpy(z, deq_cell_map_state(m), (size_t)u->count * sizeof *z);
    deq_map map = deq_cell_map_get(m);
    assert_int_equal(deq_solve(z, NULL, solver, &map), DEQ_OK);
    bool *last = calloc((size_t)p->B, sizeof *last);
    assert_non_null(last);
    for (int64_t b = 0; b < p->B; b++) {
        last[b] = deq_solver_memory_rank(memory, b) == n;
        for (int64_t i = b * p->d; last[b] && i < (b + 1) * p->d; i++)
            assert_true(fabs(z[i] - x->data[i]) < agreed("shine", 0));
    }
    const double *w = npz_need(p->file, "shine/w")->data;
    assert_int_equal(deq_solver_memory_apply(z, memory, w, false), DEQ_OK);
    for (int64_t b = 0; b < p->B; b++) {
        npz_array row = { .count = p->d, .data = u->data + b * p->d };
        if (last[b]) agree(p, "shine/u", z + b * p->d, &row, agreed("shine", 0));
        compared += last[b];
    }
    if (compared == 0) fail_msg("%s: no sample's best iterate is its last", p->name);
    free(last);
    free(z);
    deq_solver_free(solver);
    deq_solver_memory_free(memory);
    deq_cell_map_free(m);
}

static void shine_directions_agree(void **state)
{
    (void)state;
    each_system(DEQ_F64, check_shine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(implicit_gradients_are_those_of_dense_solves),
        cmocka_unit_test(implicit_gradients_in_f32_are_close),
        cmocka_unit_test(phantom_gradients_agree),
        cmocka_unit_test(phantom_gradients_in_f32_are_close),
        cmocka_unit_test(solves_with_phantom_tails_agree),
        cmocka_unit_test(supervised_states_agree),
        cmocka_unit_test(the_default_implicit_gradient_agrees),
        cmocka_unit_test(jacobian_penalties_agree),
        cmocka_unit_test(power_iterations_and_true_radii_agree),
        cmocka_unit_test(shine_directions_agree),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
