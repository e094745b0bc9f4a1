/* SPDX-License-Identifier: MIT */
/* The kernels of votes, at every instruction set this machine has, against the formulas. */
#include "vote/kernel.h"

#include "support/test.h"
#include "vote/fourier.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double two_pi = 6.28318530717958647693;
enum { N = DEQ_VOTE_NODES, LONGEST = 1024 };

static double number(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(*state >> 11) * 0x1p-53 - 0.5;
}

static void near(double value, double want, double bound)
{
    if (!(fabs(value - want) <= bound)) fail_msg("%.17g, expected %.17g", value, want);
}

static void check_nodes(const deq_vote_kernels *k)
{
    const double t = 0.0371, bias = 0.8;
    const int64_t first = 12345;
    double re[N], im[N], product[N], least[N], c, s, most = 0;
    deq_vote_steps steps;
    uint64_t state = 3;

    deq_vote_steps_of(&steps, &t, 1);
    deq_vote_turn(&c, &s, (double)first, t);
    for (int i = 0; i < N; i++) {
        re[i] = number(&state);
        im[i] = number(&state);
        product[i] = 1 + number(&state);
        least[i] = i % 3 ? 1 : 0.01;
    }
    double x[N], y[N];
    memcpy(x, re, sizeof x);
    memcpy(y, im, sizeof y);
    k->turn(re, im, &steps, bias, c, s);
    for (int i = 0; i < N; i++) { /* eight steps of rotation, each of them rounded */
        const double a = two_pi * fmod((double)(first + i) * t, 1), b = bias * sin(a);
        near(re[i], x[i] * cos(a) - y[i] * b, 1e-11); /* (first + i) t is rounded here */
        near(im[i], x[i] * b + y[i] * cos(a), 1e-11);
        most = fmax(most, re[i] * re[i] + im[i] * im[i]);
    }
    near(k->largest(re, im), most, 1e-15);
    memcpy(x, product, sizeof x);
    memcpy(y, least, sizeof y);
    k->weaken(product, least, &steps, bias, c, s);
    for (int i = 0; i < N; i++) {
        const double a = two_pi * fmod((double)(first + i) * t, 1);
        const double square = cos(a) * cos(a) + bias * bias * sin(a) * sin(a);
        near(product[i], x[i] * fmax(square, y[i]), 1e-10);
        near(least[i], fmin(square, y[i]), 1e-10);
    }
}

static void check_convolution(const deq_vote_kernels *k)
{
    static const size_t lengths[] = { 1, 2, 7, 8, 33, 100 }, steps[] = { 1, 3, 8, 40, 150 };
    double f[100], out[260];
    uint64_t state = 5;

    for (int i = 0; i < 100; i++) f[i] = number(&state);
    for (size_t a = 0; a < 6; a++)
        for (size_t b = 0; b < 5; b++) {
            const size_t n = lengths[a], d = steps[b];
            for (int i = 0; i < 260; i++) out[i] = -7;
            k->convolve(out, f, n, d, 0.3);
            for (size_t i = 0; i < n + d; i++)
                near(out[i], (i < n ? 0.7 * f[i] : 0) + (i >= d ? 0.3 * f[i - d] : 0), 1e-16);
            assert_true(out[n + d] == -7);
        }
}

static size_t reversed(size_t k, size_t m)
{
    size_t r = 0;

    for (size_t bit = 1; bit < m; bit *= 2) r = 2 * r + (k / bit & 1);
    return r;
}

static void check_transforms(const deq_vote_kernels *k)
{
    static double roots_re[LONGEST], roots_im[LONGEST], re[LONGEST], im[LONGEST], x[LONGEST],
        y[LONGEST];
    uint64_t state = 7;

    for (size_t h = 1; h < LONGEST; h *= 2)
        for (size_t i = 0; i < h; i++) {
            roots_re[h + i] = cos(0.5 * two_pi * (double)i / (double)h);
            roots_im[h + i] = -sin(0.5 * two_pi * (double)i / (double)h);
        }
    for (size_t m = 1; m <= LONGEST; m *= 2) {
        for (size_t i = 0; i < m; i++) {
            x[i] = re[i] = number(&state);
            y[i] = im[i] = number(&state);
        }
        k->forward(re, im, roots_re, roots_im, m);
        for (size_t j = 0; j < m; j++) {
            double sum_re = 0, sum_im = 0;
            for (size_t i = 0; i < m; i++) {
                const double a = -two_pi * (double)(i * j % m) / (double)m;
                sum_re += x[i] * cos(a) - y[i] * sin(a);
                sum_im += x[i] * sin(a) + y[i] * cos(a);
            }
            near(re[reversed(j, m)], sum_re, 1e-14 * (double)(m + 10));
            near(im[reversed(j, m)], sum_im, 1e-14 * (double)(m + 10));
        }
        k->backward(im, re, roots_re, roots_im, m); /* exchanged: the inverse */
        for (size_t i = 0; i < m; i++) {
            near(re[i] / (double)m, x[i], 1e-14);
            near(im[i] / (double)m, y[i], 1e-14);
        }
    }
}

static void kernels_of_every_instruction_set_are_the_formulas(void **state)
{
    (void)state;
    deq_context *ctx;

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    for (deq_isa isa = DEQ_ISA_BASELINE; isa <= deq_context_isa(ctx); isa++) {
        const deq_vote_kernels *k = deq_vote_kernels_for(isa);
        check_nodes(k);
        check_convolution(k);
        check_transforms(k);
    }
    deq_context_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_of_every_instruction_set_are_the_formulas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
