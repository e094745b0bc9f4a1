/* SPDX-License-Identifier: MIT */
/* The solver's kernels, at every instruction set this machine has, against plain loops. */
#include "solver/kernel.h"

#include "solver/fixed_points.h"

enum { MOST = 2050, VECTORS = 12 };

static const int64_t lengths[] = { 1, 7, 8, 15, 16, 31, 32, 33, 63, 64, 100, 1000, 2048, 2049 };
enum { N_LENGTHS = sizeof lengths / sizeof *lengths };

typedef struct fixture {
    const deq_kernels *k;
    deq_dtype dtype;
    int64_t n;
    char room[VECTORS + 1][(MOST + 8) * sizeof(double)];
    const void *x[VECTORS];
    void *out;
    double tolerance; /* of values */
} fixture;

static double at(const fixture *f, const void *v, int64_t i)
{
    return test_get(v, f->dtype, i);
}

/* Vectors at odd addresses: rows of a batch begin anywhere. */
static void fill(fixture *f, deq_dtype dtype, deq_isa isa, int64_t n)
{
    size_t size = deq_dtype_size(dtype);
    uint64_t seed = 9;
    f->k = deq_kernels_for(dtype, isa);
    f->dtype = dtype;
    f->n = n;
    f->tolerance = dtype == DEQ_F32 ? 1e-6 : 1e-14;
    assert_int_equal(f->k->size, size);
    for (int v = 0; v < VECTORS; v++) {
        f->x[v] = f->room[v] + (size_t)(v % 3) * size;
        for (int64_t i = 0; i < n; i++)
            test_put(f->room[v] + (size_t)(v % 3) * size, dtype, i, test_number(&seed));
    }
    f->out = f->room[VECTORS] + size;
}

/* x_i . x_j, or differences of neighbours. */
static double product(const fixture *f, int a, int a_less, int b, int b_less)
{
    double sum = 0;
    for (int64_t i = 0; i < f->n; i++) {
        double u = at(f, f->x[a], i) - (a_less < 0 ? 0 : at(f, f->x[a_less], i));
        double v = at(f, f->x[b], i) - (b_less < 0 ? 0 : at(f, f->x[b_less], i));
        sum += u * v;
    }
    return sum;
}

static void near(const fixture *f, double value, double want)
{
    double bound = 1e-14 * (double)(f->n + 10);
    if (!(fabs(value - want) <= bound))
        fail_msg("%s, %d elements: %.17g, expected %.17g", deq_dtype_name(f->dtype), (int)f->n,
                 value, want);
}

static void check_products(fixture *f)
{
    double sums[2 * VECTORS], second[VECTORS];
    f->k->residual(f->out, f->x[0], f->x[1], f->n, sums);
    for (int64_t i = 0; i < f->n; i++)
        assert_true(fabs(at(f, f->out, i) - at(f, f->x[0], i) + at(f, f->x[1], i)) < f->tolerance);
    near(f, sums[0], product(f, 0, 1, 0, 1));
    near(f, sums[1], product(f, 0, -1, 0, -1));
    double again = sums[0];
    f->k->residual(NULL, f->x[0], f->x[1], f->n, sums);
    assert_true(sums[0] == again);
    for (int m = 0; m < VECTORS - 1; m++) {
        f->k->dots(sums, f->x, NULL, m, f->x[2], f->n);
        for (int j = 0; j < m; j++) near(f, sums[j], product(f, j, -1, 2, -1));
        f->k->dots(sums, f->x, f->x + 1, m, f->x[2], f->n);
        for (int j = 0; j < m; j++) near(f, sums[j], product(f, j, j + 1, 2, -1));
        f->k->dots_two(sums, second, f->x, m, f->x[3], f->x[4], f->n);
        for (int j = 0; j < m; j++) near(f, sums[j], product(f, j, -1, 3, -1));
        for (int j = 0; j < m; j++) near(f, second[j], product(f, j, -1, 4, -1));
        f->k->neighbours(sums, f->x, m, f->n);
        for (int j = 0; j < m; j++) near(f, sums[j], product(f, j, j + 1, 0, -1));
        for (int j = 0; j < m; j++) near(f, sums[m + j], product(f, j, j + 1, 0, 1));
    }
    near(f, f->k->distance(f->x[0], f->x[1], f->n), product(f, 0, 1, 0, 1));
}

static void check_combinations(fixture *f)
{
    double c[VECTORS], moved, want_moved;
    for (int j = 0; j < VECTORS; j++) c[j] = 0.1 * j - 0.4;
    for (int m = 0; m < VECTORS - 1; m++)
        for (int form = 0; form < 8; form++) {
            const void *p = form & 1 ? f->x[5] : NULL, *q = form & 2 ? f->x[6] : NULL;
            f->k->combine(f->out, 0.5, p, -2, q, c, f->x, form & 4 ? f->x + 1 : NULL, m, f->n);
            for (int64_t i = 0; i < f->n; i++) {
                double v = (p ? 0.5 * at(f, p, i) : 0) - (q ? 2 * at(f, q, i) : 0);
                for (int j = 0; j < m; j++)
                    v += c[j] * (at(f, f->x[j], i) - (form & 4 ? at(f, f->x[j + 1], i) : 0));
                assert_true(fabs(at(f, f->out, i) - v) < 4 * f->tolerance);
            }
        }
    for (int m = 0; m < VECTORS - 1; m++) {
        want_moved = 0;
        moved = f->k->advance(f->out, f->x[5], c, f->x, m, f->x[6], f->n);
        for (int64_t i = 0; i < f->n; i++) {
            double v = at(f, f->x[5], i);
            for (int j = 0; j < m; j++) v += c[j] * (at(f, f->x[j], i) - at(f, f->x[j + 1], i));
            assert_true(fabs(at(f, f->out, i) - v) < 4 * f->tolerance);
            want_moved += (v - at(f, f->x[6], i)) * (v - at(f, f->x[6], i));
        }
        assert_true(fabs(moved - want_moved) <= 1e-4 * want_moved);
    }
}

static void kernels_agree_with_plain_loops(void **state)
{
    static fixture f;
    deq_context *ctx;
    (void)state;
    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    for (deq_isa isa = DEQ_ISA_BASELINE; isa <= deq_context_isa(ctx); isa++)
        for (deq_dtype dtype = DEQ_F32; dtype <= DEQ_F64; dtype++)
            for (int i = 0; i < N_LENGTHS; i++) {
                fill(&f, dtype, isa, lengths[i]);
                check_products(&f);
                check_combinations(&f);
            }
    deq_context_free(ctx);
}

static void a_combination_may_overwrite_its_terms(void **state)
{
    static fixture f;
    double c = 3, want[100];
    (void)state;
    for (int place = 0; place < 3; place++) {
        fill(&f, DEQ_F64, DEQ_ISA_BASELINE, 100);
        void *x[3] = { f.room[0], f.room[3], f.room[6] };
        const void *term = x[2];
        for (int64_t i = 0; i < 100; i++)
            want[i] = 2 * at(&f, x[0], i) - at(&f, x[1], i) + 3 * at(&f, x[2], i);
        f.k->combine(x[place], 2, x[0], -1, x[1], &c, &term, NULL, 1, 100);
        for (int64_t i = 0; i < 100; i++) assert_true(fabs(at(&f, x[place], i) - want[i]) < 1e-14);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_agree_with_plain_loops),
        cmocka_unit_test(a_combination_may_overwrite_its_terms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
