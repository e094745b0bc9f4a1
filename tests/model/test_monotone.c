/* SPDX-License-Identifier: MIT */
/*
 * Monotone models: the operator is strongly monotone, its bounds hold, both splittings find the same
 * equilibrium and the same gradients, fully connected and with convolutions.
 */
#include "model/monotone.h"
#include "support/engine.h"

#include <deq/model.h>

enum { B = 2, N = 6, PLANE = 4 };

typedef struct built {
    test_graph t;
    deq_weights *w;
    deq_nn *nn;
    deq_value x;
} built;

static deq_model_options options(bool convolution, deq_splitting_method splitting)
{
    deq_model_options o = deq_model_defaults(DEQ_MODEL_MONOTONE);
    o.classes = 3;
    o.monotone.convolution = convolution;
    o.monotone.width = N;
    o.monotone.rank = 4;
    o.monotone.m = 0.5;
    o.monotone.learn_m = true;
    o.monotone.splitting = splitting;
    return o;
}

static built begin(bool convolution)
{
    built b = { .t = test_graph_new() };
    assert_int_equal(deq_weights_new(&b.w, b.t.ctx, DEQ_F64), DEQ_OK);
    assert_int_equal(deq_nn_new(&b.nn, b.t.g, b.w, true), DEQ_OK);
    b.x = deq_input(b.t.g, "x", DEQ_STAGE_INJECTED, DEQ_F64,
                    convolution ? DEQ_SHAPE(B, 2, PLANE, PLANE) : DEQ_SHAPE(B, 5));
    return b;
}

/* Allocate, draw, compile, write x and run. */
static deq_program *run(built *b, const deq_value *out, int n)
{
    assert_ok(&b->t);
    assert_int_equal(deq_weights_allocate(b->w), DEQ_OK);
    assert_int_equal(deq_weights_initialise(b->w, 3), DEQ_OK);
    deq_program *p = must_compile(&b->t, out, n, NULL);
    double x[B * 2 * PLANE * PLANE];
    for (size_t i = 0; i < COUNT_OF(x); i++) x[i] = 2 * sin((double)(i * i + 1));
    must_write(&b->t, p, b->x, x);
    must_run(p, DEQ_STAGE_PARAMETER);
    return p;
}

static void end(built *b)
{
    deq_nn_free(b->nn);
    deq_graph_free(b->t.g);
    b->t.g = NULL;
    deq_weights_free(b->w);
    test_graph_free(&b->t);
}

static double scalar(built *b, deq_program *p, deq_value v)
{
    double x;
    must_read(&b->t, p, v, &x);
    return x;
}

static deq_value dot(deq_graph *g, deq_value a, deq_value b)
{
    return deq_sum(g, deq_mul(g, a, b), DEQ_ALL_AXES, false);
}

/* M z = (z - F(z)) / a + c of forward-backward, where relu is not active: F is affine for large c. */
static deq_value operator_on(deq_graph *g, deq_monotone_cell *cell, deq_value z)
{
    deq_value fz, big = deq_shift(g, deq_scale(g, cell->c, 0), 1e6);
    deq_monotone_cell c = *cell;
    c.c = big;
    if (c.f.id) c.f = deq_mul(g, big, c.alpha);
    deq_monotone_map(g, &z, &fz, &c);
    return deq_sub(g, big, deq_div(g, deq_sub(g, fz, z), c.alpha));
}

static void the_operator_is_strongly_monotone_and_bounded(void **state)
{
    (void)state;
    for (int convolution = 0; convolution < 2; convolution++) {
        built b = begin(convolution);
        deq_model_options o = options(convolution, DEQ_SPLITTING_FORWARD_BACKWARD);
        deq_monotone_cell cell;
        o.monotone.alpha = 1;
        deq_monotone_begin(&cell, b.nn, b.x, &o.monotone);
        deq_graph *g = b.t.g;
        /* power iteration on M alone grows to at most |M|; z starts from anything */
        deq_value z = deq_sin(g, deq_scale(g, cell.c, 7)), out[4], norm = DEQ_NONE;
        out[0] = deq_div(g, dot(g, z, operator_on(g, &cell, z)), dot(g, z, z));
        for (int i = 0; i < 30; i++) {
            deq_value Mz = operator_on(g, &cell, z);
            norm = deq_sqrt(g, deq_div(g, dot(g, Mz, Mz), dot(g, z, z)));
            z = deq_div(g, Mz, deq_sqrt(g, dot(g, Mz, Mz)));
        }
        out[1] = norm;
        out[2] = cell.m;
        deq_value I = deq_monotone_identity(g, DEQ_F64, N);
        out[3] = convolution ? deq_monotone_convolution_bound(g, cell.A, cell.S, cell.m)
                             : deq_spectral_bound(g, deq_sub(g, I, cell.W), 6, 0);
        deq_program *p = run(&b, out, 4);
        double rayleigh = scalar(&b, p, out[0]), grown = scalar(&b, p, out[1]);
        double m = scalar(&b, p, out[2]), L = scalar(&b, p, out[3]);
        if (!(fabs(m - 0.5) < 1e-12 && rayleigh >= m && grown > m && grown <= L && L <= 3 * grown))
            fail_msg("m %g, quotient %g, growth %g, bound %g", m, rayleigh, grown, L);
        deq_program_free(p);
        end(&b);
    }
}

/* The bound of a convolution without A and S with a single tap is that of a matrix. */
static void the_bound_of_a_single_tap_is_that_of_its_matrix(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    double S[3 * 3 * 9] = { 0 }, zero[3 * 3 * 9] = { 0 }, L;
    S[(0 * 3 + 1) * 9 + 4] = 2; /* S - S' turns two channels: norm 2 */
    deq_value A = deq_constant(t.g, DEQ_F64, DEQ_SHAPE(3, 3, 3, 3), zero);
    deq_value s = deq_constant(t.g, DEQ_F64, DEQ_SHAPE(3, 3, 3, 3), S);
    deq_value m = deq_fill(t.g, DEQ_F64, DEQ_SCALAR, 0.25);
    deq_value bound = deq_monotone_convolution_bound(t.g, A, s, m);
    deq_program *p = must_compile(&t, &bound, 1, NULL);
    must_run(p, DEQ_STAGE_PARAMETER);
    must_read(&t, p, bound, &L);
    /* the factors that are given away: 1 / cos(pi / 8)^2 = 1.17 for the grid and 4^(1/16) = 1.09
     * for the Frobenius norm of a matrix of rank 4 */
    if (!(L >= 2.25 && L <= 0.25 + 2 * 1.18 * 1.1)) fail_msg("the bound is %g", L);
    deq_program_free(p);
    test_graph_free(&t);
}

static void the_inverse_has_its_derivatives(void **state)
{
    enum { n = 5 };
    double M[n * n], V[n * n], first[n * n], second[n * n];
    (void)state;
    test_graph t = test_graph_new();
    for (int i = 0; i < n * n; i++) M[i] = sin(i * 3.7) + (i % (n + 1) == 0 ? 2 : 0);
    deq_value m = f64_input(&t, "M", DEQ_STAGE_PARAMETER, DEQ_SHAPE(n, n));
    deq_value d = f64_input(&t, "d", DEQ_STAGE_PARAMETER, DEQ_SHAPE(n, n)), out[5], want[2];
    out[0] = deq_monotone_inverse(t.g, m);
    deq_jvp(t.g, &out[1], &out[0], 1, &m, &d, 1);
    deq_jvp(t.g, &out[2], &out[1], 1, &m, &d, 1);
    /* V' = -V d V, V'' = 2 V d V d V */
    deq_value Vd = deq_matmul(t.g, out[0], d, false, false);
    deq_value VdV = deq_matmul(t.g, Vd, out[0], false, false);
    want[0] = deq_neg(t.g, VdV);
    want[1] = deq_scale(t.g, deq_matmul(t.g, Vd, VdV, false, false), 2);
    out[3] = deq_sub(t.g, out[1], want[0]);
    out[4] = deq_sub(t.g, out[2], want[1]);
    deq_program *p = must_compile(&t, out, 5, NULL);
    double direction[n * n];
    for (int i = 0; i < n * n; i++) direction[i] = cos(i * 1.3);
    must_write(&t, p, m, M);
    must_write(&t, p, d, direction);
    must_run(p, DEQ_STAGE_PARAMETER);
    must_read(&t, p, out[0], V);
    must_read(&t, p, out[3], first);
    must_read(&t, p, out[4], second);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            double sum = 0;
            for (int k = 0; k < n; k++) sum += M[i * n + k] * V[k * n + j];
            if (!(fabs(sum - (i == j)) < 1e-12)) fail_msg("M V [%d][%d] is %g", i, j, sum);
            assert_true(fabs(first[i * n + j]) < 1e-11 && fabs(second[i * n + j]) < 1e-10);
        }
    deq_program_free(p);
    test_graph_free(&t);
}

/* Logits, their loss' gradients, and the residual relu(z - M z + c) - z of what was found. */
typedef struct found {
    double logits[B * 3], gradients[1000], residual;
    int64_t count;
} found;

static void solve(found *f, bool convolution, deq_splitting_method splitting)
{
    built b = begin(convolution);
    deq_graph *g = b.t.g;
    deq_model_options o = options(convolution, splitting);
    deq_model_solve s = deq_model_solve_defaults();
    deq_model_outputs m;
    s.equilibrium.forward.max_iter = 4000;
    s.equilibrium.forward.rtol = 1e-10;
    s.equilibrium.forward.stagnation_window = 0;
    s.equilibrium.forward.method = DEQ_PICARD;
    s.equilibrium.adjoint.max_iter = 1000;
    s.equilibrium.adjoint.restart = 100;
    s.equilibrium.adjoint.rtol = 1e-9;
    if (deq_model_build(b.nn, &m, b.x, &o, &s) != DEQ_OK) fail_msg("%s", deq_graph_error(g));

    deq_model_options plain = options(convolution, DEQ_SPLITTING_FORWARD_BACKWARD);
    deq_monotone_cell cell;
    deq_value Fz, out[16];
    plain.monotone.alpha = 1;
    deq_monotone_begin(&cell, b.nn, b.x, &plain.monotone);
    deq_monotone_map(g, &m.z_star[0], &Fz, &cell);
    deq_value gap = deq_sub(g, Fz, m.z_star[0]);

    deq_parameters *p = deq_weights_parameters(b.w);
    int n = deq_parameters_count(p);
    assert_true(n <= 14);
    deq_value loss = deq_mean(g, deq_square(g, m.logits[0]), DEQ_ALL_AXES, false);
    assert_int_equal(deq_gradients(g, out, loss, p), DEQ_OK);
    out[n] = m.logits[0];
    out[n + 1] = deq_sqrt(g, dot(g, gap, gap));
    deq_program *program = run(&b, out, n + 2);
    f->count = 0;
    for (int i = 0; i < n; i++) {
        assert_true(f->count + deq_parameters_info(p, i).count <= 1000);
        must_read(&b.t, program, out[i], f->gradients + f->count);
        f->count += deq_parameters_info(p, i).count;
    }
    must_read(&b.t, program, out[n], f->logits);
    f->residual = scalar(&b, program, out[n + 1]);
    deq_program_free(program);
    end(&b);
}

static double gap_of(const double *a, const double *b, int64_t n)
{
    double largest = 0, gap = 0;
    for (int64_t i = 0; i < n; i++) {
        largest = fmax(largest, fabs(a[i]));
        gap = fmax(gap, fabs(a[i] - b[i]));
    }
    return gap / largest;
}

static void both_splittings_find_the_same(bool convolution)
{
    static found forward, peaceman;
    solve(&forward, convolution, DEQ_SPLITTING_FORWARD_BACKWARD);
    solve(&peaceman, convolution, DEQ_SPLITTING_PEACEMAN_RACHFORD);
    if (!(forward.residual < 1e-6 && peaceman.residual < 1e-6))
        fail_msg("residuals %g and %g", forward.residual, peaceman.residual);
    double logits = gap_of(forward.logits, peaceman.logits, B * 3);
    double gradients = gap_of(forward.gradients, peaceman.gradients, forward.count);
    if (!(logits < 1e-7 && gradients < 1e-6))
        fail_msg("logits differ by %g, gradients by %g", logits, gradients);
}

static void both_splittings_find_the_same_fully_connected(void **state)
{
    (void)state;
    both_splittings_find_the_same(false);
}

static void both_splittings_find_the_same_with_convolutions(void **state)
{
    (void)state;
    both_splittings_find_the_same(true);
}

static void what_does_not_fit_is_refused(void **state)
{
    static const struct refusal {
        const char *text;
        int64_t width, kernel, pool;
        double m, alpha;
        int splitting;
        deq_status status;
    } table[] = {
        { "width -1", -1, 3, 4, 1, 0, 0, DEQ_ERR_ARGUMENT },
        { "kernel is 4", 6, 4, 4, 1, 0, 0, DEQ_ERR_ARGUMENT },
        { "m is -1", 6, 3, 4, -1, 0, 0, DEQ_ERR_ARGUMENT },
        { "alpha is -2", 6, 3, 4, 1, -2, 0, DEQ_ERR_ARGUMENT },
        { "7 is not a splitting", 6, 3, 4, 1, 0, 7, DEQ_ERR_ARGUMENT },
        { "pooled by 9", 6, 3, 9, 1, 0, 0, DEQ_ERR_SHAPE },
    };
    (void)state;
    for (size_t k = 0; k < COUNT_OF(table); k++) {
        const struct refusal *r = &table[k];
        built b = begin(true);
        deq_model_options o = options(true, (deq_splitting_method)r->splitting);
        deq_model_outputs m;
        o.monotone.width = r->width;
        o.monotone.kernel = r->kernel;
        o.monotone.pool = r->pool;
        o.monotone.m = r->m;
        o.monotone.alpha = r->alpha;
        assert_int_equal(deq_model_build(b.nn, &m, b.x, &o, NULL), r->status);
        assert_refused(&b.t, r->status, "monotone", r->text, NULL);
        end(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_operator_is_strongly_monotone_and_bounded),
        cmocka_unit_test(the_bound_of_a_single_tap_is_that_of_its_matrix),
        cmocka_unit_test(the_inverse_has_its_derivatives),
        cmocka_unit_test(both_splittings_find_the_same_fully_connected),
        cmocka_unit_test(both_splittings_find_the_same_with_convolutions),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
