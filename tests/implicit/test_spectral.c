/* SPDX-License-Identifier: MIT */
/* Eigenvalues of Hessenberg matrices, and spectral estimates against known spectra. */
#include "implicit/hessenberg.h"
#include "support/engine.h"

#include <deq/cell_map.h>
#include <deq/spectral.h>

/* Eigenvalues -------------------------------------------------------------------------------- */

enum { N = 40 };

static const double pi = 3.14159265358979323846;

/* Each expected value has one computed value near it. */
static void match_spectrum(const char *name, const double *re, const double *im,
                           const double *want_re, const double *want_im, int n, double tol)
{
    bool used[N] = { false };
    for (int i = 0; i < n; i++) {
        int best = -1;
        for (int j = 0; j < n; j++) {
            if (used[j]) continue;
            double d = hypot(re[j] - want_re[i], im[j] - want_im[i]);
            if (best < 0 || d < hypot(re[best] - want_re[i], im[best] - want_im[i])) best = j;
        }
        used[best] = true;
        if (hypot(re[best] - want_re[i], im[best] - want_im[i]) > tol)
            fail_msg("%s: no eigenvalue near %g + %gi, the nearest is %.17g + %.17gi", name,
                     want_re[i], want_im[i], re[best], im[best]);
    }
}

/* Shifting all basis vectors on by one: the n-th roots of unity; plain shifts would cycle. */
static void cyclic_permutations_have_roots_of_unity(void **state)
{
    (void)state;
    for (int n = 1; n <= N; n++) {
        double h[N * N] = { 0 }, re[N], im[N], want_re[N], want_im[N];
        for (int i = 0; i < n; i++) h[((i + 1) % n) * n + i] = 1;
        for (int i = 0; i < n; i++) {
            want_re[i] = cos(2 * pi * i / n);
            want_im[i] = sin(2 * pi * i / n);
        }
        assert_true(deq_hessenberg_eigenvalues(h, n, n, re, im));
        match_spectrum("permutation", re, im, want_re, want_im, n, 1e-12);
    }
}

static void tridiagonal_matrices_have_real_eigenvalues(void **state)
{
    (void)state;
    for (int n = 1; n <= N; n++) {
        double h[N * N] = { 0 }, re[N], im[N], want_re[N], want_im[N] = { 0 };
        for (int i = 0; i < n; i++) {
            if (i) h[i * n + i - 1] = h[(i - 1) * n + i] = 1;
            want_re[i] = 2 * cos(pi * (i + 1) / (n + 1));
        }
        assert_true(deq_hessenberg_eigenvalues(h, n, n, re, im));
        match_spectrum("tridiagonal", re, im, want_re, want_im, n, 1e-12);
    }
}

static void triangles_of_blocks_have_the_eigenvalues_of_the_blocks(void **state)
{
    (void)state;
    enum { n = 11 };
    double h[n * n] = { 0 }, re[n], im[n], want_re[n], want_im[n] = { 0 };
    for (int i = 0; i < n; i++)
        for (int j = i; j < n; j++) h[i * n + j] = sin(3 * i + 5 * j);
    for (int i = 0; i + 1 < n; i += 2) { /* a + bi, a - bi */
        double a = 0.3 * i - 1, b = 0.2 + 0.1 * i;
        h[i * n + i] = h[(i + 1) * n + i + 1] = a;
        h[i * n + i + 1] = 2 * b;
        h[(i + 1) * n + i] = -b / 2;
        want_re[i] = want_re[i + 1] = a;
        want_im[i] = b;
        want_im[i + 1] = -b;
    }
    want_re[n - 1] = h[n * n - 1] = 7;
    assert_true(deq_hessenberg_eigenvalues(h, n, n, re, im));
    match_spectrum("blocks", re, im, want_re, want_im, n, 1e-12);
}

/* The companion matrix of (x - 1)(x - 2)...(x - 6), and of a polynomial with a double root. */
static void companion_matrices_have_the_roots_of_the_polynomial(void **state)
{
    (void)state;
    static const double roots[2][6] = { { 1, 2, 3, 4, 5, 6 }, { 0.5, 0.5, -1, 2, 0, -3 } };
    static const double tol[2] = { 1e-9, 1e-6 };
    for (int k = 0; k < 2; k++) {
        double c[7] = { 1 }, h[36] = { 0 }, re[6], im[6], zero[6] = { 0 };
        for (int i = 0; i < 6; i++)
            for (int j = i + 1; j > 0; j--) c[j] -= roots[k][i] * c[j - 1];
        for (int j = 0; j < 6; j++) {
            h[j] = -c[j + 1];
            if (j < 5) h[(j + 1) * 6 + j] = 1;
        }
        assert_true(deq_hessenberg_eigenvalues(h, 6, 6, re, im));
        match_spectrum("companion", re, im, roots[k], zero, 6, tol[k]);
    }
}

static void zero_matrices_work_and_nan_is_refused(void **state)
{
    (void)state;
    double h[9] = { 0 }, re[3], im[3];
    assert_true(deq_hessenberg_eigenvalues(h, 3, 3, re, im));
    for (int i = 0; i < 3; i++) assert_true(re[i] == 0 && im[i] == 0);
    h[4] = NAN;
    assert_false(deq_hessenberg_eigenvalues(h, 3, 3, re, im));
}

/* Maps --------------------------------------------------------------------------------------- */

enum { B = 3, D = 8 };

typedef struct dense {
    deq_dtype dtype;
    double J[B][D][D];
    int calls;
} dense;

static double get(deq_dtype t, const void *v, int64_t i)
{
    return t == DEQ_F32 ? (double)((const float *)v)[i] : ((const double *)v)[i];
}

static deq_status product(dense *m, bool transposed, void *out, const void *v,
                          const int64_t *samples, int64_t n)
{
    m->calls++;
    for (int64_t r = 0; r < n; r++)
        for (int i = 0; i < D; i++) {
            double sum = 0;
            for (int j = 0; j < D; j++) {
                double a = transposed ? m->J[samples[r]][j][i] : m->J[samples[r]][i][j];
                sum += a * get(m->dtype, v, r * D + j);
            }
            if (m->dtype == DEQ_F32)
                ((float *)out)[r * D + i] = (float)sum;
            else
                ((double *)out)[r * D + i] = sum;
        }
    return DEQ_OK;
}

static deq_status dense_jvp(void *user, void *jv, const void *v, const int64_t *samples, int64_t n)
{
    return product(user, false, jv, v, samples, n);
}

static deq_status dense_vjp(void *user, void *vj, const void *v, const int64_t *samples, int64_t n)
{
    return product(user, true, vj, v, samples, n);
}

static deq_map map_of(dense *m)
{
    return (deq_map){ .struct_size = sizeof(deq_map),
                      .eval = dense_jvp,
                      .jvp = dense_jvp,
                      .vjp = dense_vjp,
                      .user = m };
}

/* J = Q diag(blocks) Q', Q a reflection: block k has eigenvalues re[k] +- i im[k] (normal, so that
 * the norm is the radius), made non-normal by `skew`. */
static void set_spectrum(double J[D][D], const double *re, const double *im, double skew)
{
    double d[D][D] = { { 0 } }, t[D][D], v[D], vv = 0;
    for (int k = 0; k < D / 2; k++) {
        d[2 * k][2 * k] = d[2 * k + 1][2 * k + 1] = re[k];
        d[2 * k][2 * k + 1] = im[k];
        d[2 * k + 1][2 * k] = -im[k];
    }
    for (int i = 0; i < D; i++)
        for (int j = i / 2 * 2 + 2; j < D; j++) d[i][j] = skew * sin(i + 2 * j);
    for (int i = 0; i < D; i++) v[i] = 1 + sin(i);
    for (int i = 0; i < D; i++) vv += v[i] * v[i];
    for (int i = 0; i < D; i++)
        for (int j = 0; j < D; j++) {
            t[i][j] = 0;
            for (int k = 0; k < D; k++) t[i][j] += ((i == k) - 2 * v[i] * v[k] / vv) * d[k][j];
        }
    for (int i = 0; i < D; i++)
        for (int j = 0; j < D; j++) {
            J[i][j] = 0;
            for (int k = 0; k < D; k++) J[i][j] += t[i][k] * ((k == j) - 2 * v[k] * v[j] / vv);
        }
}

/* Sample 0: a dominant complex pair of modulus 0.9; 1: real, 1.3 twice; 2: zero. */
static void three_samples(dense *m, deq_dtype dtype, double skew)
{
    static const double re[2][D / 2] = { { 0.3, 0.2, -0.1, 0.5 }, { -1.3, 0.4, 0.1, -0.2 } };
    static const double im[2][D / 2] = { { 0.8485281374238570, 0.3, 0.1, 0 }, { 0, 0.3, 0.7, 0 } };
    *m = (dense){ .dtype = dtype };
    for (int b = 0; b < 2; b++) set_spectrum(m->J[b], re[b], im[b], skew);
}

static const double radius[B] = { 0.9, 1.3, 0 };

static void close_to(const char *name, double value, double wanted, double tol)
{
    if (!(fabs(value - wanted) <= tol)) fail_msg("%s: %.10g, expected %.10g", name, value, wanted);
}

static void arnoldi_finds_complex_pairs(void **state)
{
    (void)state;
    for (int k = 0; k < 8; k++) {
        deq_context *ctx = test_context();
        deq_dtype dtype = k & 1 ? DEQ_F32 : DEQ_F64;
        double tol = k & 1 ? 1e-3 : 1e-6; /* -1.3 is a double eigenvalue: sqrt of rounding */
        dense m;
        three_samples(&m, dtype, k & 2 ? 0.5 : 0);
        deq_map map = map_of(&m);
        deq_spectral_options o = deq_spectral_defaults();
        deq_spectral_info info[B];
        o.forward = k & 4;
        assert_int_equal(deq_spectral_arnoldi(info, ctx, &map, NULL, dtype, B, D, &o), DEQ_OK);
        for (int b = 0; b < B; b++) {
            close_to("radius", info[b].value, radius[b], tol);
            assert_true(info[b].converged);
        }
        close_to("real", info[0].real, 0.3, tol);
        close_to("imag", info[0].imag, 0.8485281374238570, tol);
        close_to("real", info[1].real, -1.3, tol);
        assert_int_equal(info[2].n_apply, 1);
        deq_context_free(ctx);
    }
}

static void power_iteration_measures_growth_where_rayleigh_quotients_swing(void **state)
{
    (void)state;
    for (int k = 0; k < 4; k++) {
        deq_context *ctx = test_context();
        deq_dtype dtype = k & 1 ? DEQ_F32 : DEQ_F64;
        dense m;
        three_samples(&m, dtype, 0);
        deq_map map = map_of(&m);
        deq_spectral_options o = deq_spectral_defaults();
        deq_spectral_info info[B];
        o.forward = k & 2;
        o.max_iter = 300;
        o.tol = 0;
        assert_int_equal(deq_spectral_power(info, NULL, ctx, &map, NULL, dtype, B, D, &o), DEQ_OK);
        for (int b = 0; b < B; b++) close_to("radius", info[b].value, radius[b], 2e-3);
        assert_true(fabs(fabs(info[0].real) - 0.9) > 0.2); /* the pair's real part, 0.3 */
        close_to("rayleigh", info[1].real, -1.3, 1e-4);
        assert_true(info[2].converged);
        deq_context_free(ctx);
    }
}

static void power_iteration_stops_when_steady(void **state)
{
    (void)state;
    deq_context *ctx = test_context();
    dense m;
    three_samples(&m, DEQ_F64, 0);
    deq_map map = map_of(&m);
    deq_spectral_info info[B];
    assert_int_equal(deq_spectral_power(info, NULL, ctx, &map, NULL, DEQ_F64, B, D, NULL), DEQ_OK);
    assert_true(info[1].converged && info[1].n_apply < 100);
    close_to("radius", info[1].value, 1.3, 0.02);
    deq_context_free(ctx);
}

static void the_norm_is_the_largest_singular_value(void **state)
{
    (void)state;
    deq_context *ctx = test_context();
    dense m;
    three_samples(&m, DEQ_F64, 0); /* normal: norm = radius */
    m.J[2][1][4] = 3;              /* nilpotent: radius 0, norm 3 */
    deq_map map = map_of(&m);
    deq_spectral_options o = deq_spectral_defaults();
    deq_spectral_info info[B];
    o.tol = 1e-12;
    o.max_iter = 400;
    assert_int_equal(deq_jacobian_norm(info, ctx, &map, NULL, DEQ_F64, B, D, &o), DEQ_OK);
    close_to("norm", info[0].value, 0.9, 1e-6);
    close_to("norm", info[1].value, 1.3, 1e-6);
    close_to("norm", info[2].value, 3, 1e-12);
    assert_int_equal(deq_spectral_arnoldi(info, ctx, &map, NULL, DEQ_F64, B, D, &o), DEQ_OK);
    close_to("radius", info[2].value, 0, 1e-6);
    map.vjp = NULL;
    assert_int_equal(deq_jacobian_norm(info, ctx, &map, NULL, DEQ_F64, B, D, &o), DEQ_ERR_ARGUMENT);
    assert_non_null(strstr(deq_last_error(ctx), "no vjp"));
    deq_context_free(ctx);
}

static void a_nan_of_one_sample_stays_with_it(void **state)
{
    (void)state;
    deq_context *ctx = test_context();
    dense m;
    three_samples(&m, DEQ_F64, 0.1);
    m.J[1][0][0] = NAN;
    deq_map map = map_of(&m);
    deq_spectral_info info[B];
    for (int k = 0; k < 3; k++) {
        deq_status status =
            k == 0   ? deq_spectral_arnoldi(info, ctx, &map, NULL, DEQ_F64, B, D, NULL)
            : k == 1 ? deq_spectral_power(info, NULL, ctx, &map, NULL, DEQ_F64, B, D, NULL)
                     : deq_jacobian_norm(info, ctx, &map, NULL, DEQ_F64, B, D, NULL);
        assert_int_equal(status, DEQ_OK);
        assert_true(isnan(info[1].value) && !info[1].converged);
        assert_true(info[0].value > 0.8 && info[0].value < 1.5 && info[2].value == 0);
    }
    deq_context_free(ctx);
}

static void wrong_options_are_refused(void **state)
{
    (void)state;
    deq_context *ctx = test_context();
    dense m;
    three_samples(&m, DEQ_F64, 0);
    deq_map map = map_of(&m);
    deq_spectral_info info[B];
    deq_spectral_options o = deq_spectral_defaults();
    o.subspace = 65;
    assert_int_equal(deq_spectral_arnoldi(info, ctx, &map, NULL, DEQ_F64, B, D, &o),
                     DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_spectral_arnoldi(info, ctx, &map, NULL, DEQ_I32, B, D, NULL),
                     DEQ_ERR_DTYPE);
    assert_int_equal(deq_spectral_arnoldi(info, ctx, &map, NULL, DEQ_F64, 0, D, NULL),
                     DEQ_ERR_ARGUMENT);
    map.jvp = map.vjp = NULL;
    assert_int_equal(deq_spectral_arnoldi(info, ctx, &map, NULL, DEQ_F64, B, D, NULL),
                     DEQ_ERR_ARGUMENT);
    deq_context_free(ctx);
}

/* Contraction -------------------------------------------------------------------------------- */

static void ratios_along_a_solve_approach_the_radius(void **state)
{
    (void)state;
    deq_context *ctx = test_context();
    dense m;
    three_samples(&m, DEQ_F64, 0);
    for (int i = 0; i < D; i++)
        for (int j = 0; j < D; j++) m.J[1][i][j] /= 2; /* -0.65 dominates */
    deq_map map = map_of(&m);
    deq_contraction *c;
    deq_solver *solver;
    deq_solver_options o = deq_solver_defaults();
    double z[B * D];
    o.method = DEQ_PICARD;
    o.max_iter = 60;
    o.rtol = 0;
    for (int i = 0; i < B * D; i++) z[i] = sin(i + 1);
    assert_int_equal(deq_contraction_new(&c, ctx, &map, DEQ_F64, B, D), DEQ_OK);
    assert_int_equal(deq_solver_new(&solver, ctx, &o, B, D, DEQ_F64), DEQ_OK);
    deq_map watched = deq_contraction_map(c);
    assert_int_equal(deq_solve(z, NULL, solver, &watched), DEQ_OK);
    deq_contraction_info info = deq_contraction_of(c, 1);
    close_to("last", info.last, 0.65, 1e-6);
    assert_true(info.n > 10 && info.largest < 0.9 && info.mean > 0.3 && info.mean <= info.largest);
    info = deq_contraction_of(c, 0);
    close_to("largest", info.largest, 0.9, 1e-9); /* normal: never above the norm */
    assert_int_equal(deq_contraction_of(c, B).n, 0);
    deq_contraction_clear(c);
    assert_int_equal(deq_contraction_of(c, 1).n, 0);
    deq_solver_free(solver);
    deq_contraction_free(c);
    deq_context_free(ctx);
}

/* Cells of graphs ---------------------------------------------------------------------------- */

typedef struct weights {
    deq_value w, x;
} weights;

/* Two states: f0 = tanh(z1 W' + x), f1 = sin(z0 W);  w: [2, 3], x: [B, 2]. */
static void two_cell(deq_graph *g, const deq_value *z, deq_value *fz, void *user)
{
    const weights *c = user;
    fz[0] = deq_tanh(g, deq_add(g, deq_matmul(g, z[1], c->w, false, true), c->x));
    fz[1] = deq_sin(g, deq_matmul(g, z[0], c->w, false, false));
}

static void plain_f(double *f, const double *z, const double *w, const double *x)
{
    for (int b = 0; b < B; b++) {
        const double *z0 = z + 5 * b, *z1 = z0 + 2;
        for (int i = 0; i < 2; i++) {
            double h = x[2 * b + i];
            for (int j = 0; j < 3; j++) h += w[3 * i + j] * z1[j];
            f[5 * b + i] = tanh(h);
        }
        for (int j = 0; j < 3; j++) f[5 * b + 2 + j] = sin(w[j] * z0[0] + w[3 + j] * z0[1]);
    }
}

static void the_cell_of_a_graph_is_a_map_with_its_jacobian(void **state)
{
    (void)state;
    static const double w[6] = { 0.4, -0.3, 0.2, 0.5, 0.1, -0.6 };
    static const double x[2 * B] = { 0.1, 0.2, -0.5, 0.3, 0.8, -0.1 };
    test_graph t = test_graph_new();
    weights c = { f64_input(&t, "w", DEQ_STAGE_PARAMETER, DEQ_SHAPE(2, 3)),
                  f64_input(&t, "x", DEQ_STAGE_INJECTED, DEQ_SHAPE(B, 2)) };
    deq_value z[2] = { deq_sin(t.g, c.x), deq_fill(t.g, DEQ_F64, DEQ_SHAPE(B, 3), 0.4) };
    deq_cell_map *m;
    assert_int_equal(deq_cell_map_new(&m, t.g, two_cell, &c, z, 2, NULL), DEQ_OK);
    assert_int_equal(deq_cell_map_batch(m), B);
    assert_int_equal(deq_cell_map_dim(m), 5);
    assert_int_equal(deq_cell_map_dtype(m), DEQ_F64);
    must_write(&t, deq_cell_map_program(m), c.w, w);
    must_write(&t, deq_cell_map_program(m), c.x, x);
    assert_int_equal(deq_cell_map_update(m), DEQ_OK);

    deq_map map = deq_cell_map_get(m);
    const int64_t all[B] = { 0, 1, 2 };
    double point[B * 5], f[B * 5], expected[B * 5], v[B * 5], jv[B * 5], vj[B * 5], u[B * 5];
    memcpy(point, deq_cell_map_state(m), sizeof point);
    assert_true(point[0] == sin(x[0]) && point[4] == 0.4 && point[6] == sin(x[3]));
    assert_int_equal(map.eval(map.user, f, point, all, B), DEQ_OK);
    plain_f(expected, point, w, x);
    check_close("f", f, expected, B * 5, 1e-15);

    for (int moved = 0; moved < 2; moved++) {
        double plus[B * 5], minus[B * 5], fp[B * 5], fm[B * 5], left = 0, right = 0;
        for (int i = 0; i < B * 5; i++) {
            if (moved) point[i] += 0.1 * cos(i);
            v[i] = sin(2 * i);
            u[i] = cos(3 * i);
            plus[i] = point[i] + 1e-6 * v[i];
            minus[i] = point[i] - 1e-6 * v[i];
        }
        if (moved) assert_int_equal(map.linearise(map.user, point, all, B), DEQ_OK);
        assert_int_equal(map.jvp(map.user, jv, v, all, B), DEQ_OK);
        assert_int_equal(map.vjp(map.user, vj, u, all, B), DEQ_OK);
        plain_f(fp, plus, w, x);
        plain_f(fm, minus, w, x);
        for (int i = 0; i < B * 5; i++) {
            expected[i] = (fp[i] - fm[i]) / 2e-6;
            left += u[i] * jv[i];
            right += vj[i] * v[i];
        }
        check_close("jvp", jv, expected, B * 5, 1e-9);
        check_close("adjoint", &left, &right, 1, 1e-14);
    }
    deq_cell_map_free(m);
    test_graph_free(&t);
}

static void affine(deq_graph *g, const deq_value *z, deq_value *fz, void *user)
{
    const weights *c = user;
    fz[0] = deq_add(g, deq_linear(g, z[0], c->w, DEQ_NONE), c->x);
}

/* Weights in a store, the equilibrium itself as the point. */
static void the_radius_of_an_affine_cell_is_that_of_its_matrix(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_parameters *store;
    deq_cell_map *m;
    dense d;
    deq_spectral_info info[2];
    three_samples(&d, DEQ_F32, 0.2);
    assert_int_equal(deq_parameters_new(&store, t.ctx, DEQ_F32), DEQ_OK);
    assert_int_equal(deq_parameters_add(store, "w", DEQ_SHAPE(D, D)), DEQ_OK);
    assert_int_equal(deq_parameters_allocate(store), DEQ_OK);
    float *w = deq_parameters_values(store, 0);
    for (int i = 0; i < D; i++)
        for (int j = 0; j < D; j++) w[i * D + j] = (float)d.J[0][i][j];
    weights c = { deq_parameter(t.g, store, "w"), deq_fill(t.g, DEQ_F32, DEQ_SHAPE(2, D), 0.5) };
    deq_value z = deq_equilibrium(t.g, affine, &c, c.x, NULL, NULL);
    assert_int_equal(deq_cell_map_new(&m, t.g, affine, &c, &z, 1, NULL), DEQ_OK);
    assert_int_equal(deq_cell_map_update(m), DEQ_OK);
    deq_map map = deq_cell_map_get(m);
    assert_int_equal(deq_spectral_arnoldi(info, t.ctx, &map, deq_cell_map_state(m),
                                          deq_cell_map_dtype(m), deq_cell_map_batch(m),
                                          deq_cell_map_dim(m), NULL),
                     DEQ_OK);
    for (int b = 0; b < 2; b++) close_to("radius", info[b].value, 0.9, 1e-4);
    deq_cell_map_free(m);
    deq_parameters_free(store);
    test_graph_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cyclic_permutations_have_roots_of_unity),
        cmocka_unit_test(tridiagonal_matrices_have_real_eigenvalues),
        cmocka_unit_test(triangles_of_blocks_have_the_eigenvalues_of_the_blocks),
        cmocka_unit_test(companion_matrices_have_the_roots_of_the_polynomial),
        cmocka_unit_test(zero_matrices_work_and_nan_is_refused),
        cmocka_unit_test(arnoldi_finds_complex_pairs),
        cmocka_unit_test(power_iteration_measures_growth_where_rayleigh_quotients_swing),
        cmocka_unit_test(power_iteration_stops_when_steady),
        cmocka_unit_test(the_norm_is_the_largest_singular_value),
        cmocka_unit_test(a_nan_of_one_sample_stays_with_it),
        cmocka_unit_test(wrong_options_are_refused),
        cmocka_unit_test(ratios_along_a_solve_approach_the_radius),
        cmocka_unit_test(the_cell_of_a_graph_is_a_map_with_its_jacobian),
        cmocka_unit_test(the_radius_of_an_affine_cell_is_that_of_its_matrix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
