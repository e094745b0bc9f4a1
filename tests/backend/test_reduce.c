/* SPDX-License-Identifier: MIT */
/* Sums against the reference kernels: every pattern of axes, both layouts, with a prologue. */
#include "support/test.h"

#include "backend/isa.h"

static const struct shape {
    const char *name;
    int rank;
    int64_t dim[5];
} shapes[] = {
    { "one element", 1, { 1 } },
    { "vector", 1, { 17 } },
    { "long vector", 1, { 100003 } },
    { "two rows", 2, { 2, 5000 } },
    { "many short rows", 2, { 9000, 3 } },
    { "rows of 64", 2, { 777, 64 } },
    { "wide", 2, { 3, 5000 } },
    { "very wide", 2, { 40, 4097 } },
    { "rank 3", 3, { 6, 33, 20 } },
    { "one pixel", 4, { 5, 7, 1, 1 } },
    { "one channel", 4, { 5, 1, 6, 7 } },
    { "image", 4, { 4, 24, 9, 10 } },
    { "large image", 4, { 2, 40, 24, 33 } },
    { "many channels", 4, { 2, 3000, 2, 2 } },
    { "rank 5", 5, { 2, 3, 4, 5, 6 } },
};

static deq_shape shape_of(const struct shape *s)
{
    deq_shape t = { .rank = s->rank };
    for (int i = 0; i < s->rank; i++) t.dim[i] = s->dim[i];
    return t;
}

/* A convolution by a weight a channel makes x channels-last where layouts are free. */
static deq_value source(compared *c, const struct shape *s, bool convolve)
{
    deq_value x = compared_input(c, DEQ_STAGE_STATE, shape_of(s));
    if (!convolve) return x;
    int64_t C = s->dim[1];
    deq_value w = compared_input(c, DEQ_STAGE_PARAMETER, DEQ_SHAPE(C, 1, 1, 1));
    return c->out[c->n_out++] = deq_conv2d(c->t.g, x, w, DEQ_NONE, DEQ_CONV2D(.groups = C));
}

static void check_axes(deq_isa isa, const struct shape *s, uint32_t axes, bool convolve)
{
    char name[128], text[160];
    compared c = { .t = test_graph_for(isa) };
    deq_graph *g = c.t.g;
    deq_value x = source(&c, s, convolve), y = compared_input(&c, DEQ_STAGE_STATE, shape_of(s));
    deq_value product = deq_mul(g, deq_tanh(g, x), y);
    c.out[c.n_out++] = deq_sum(g, x, axes, false);
    c.out[c.n_out++] = deq_sum(g, product, axes, true);
    c.out[c.n_out++] = deq_sum(g, deq_relu(g, y), axes, true); /* relu(y) leaves, too */
    c.out[c.n_out++] = deq_relu(g, y);
    snprintf(name, sizeof name, "axes %x of %s%s", (unsigned)axes, s->name,
             convolve ? " after a convolution" : "");
    compare_programs(with_isa(text, sizeof text, name, isa), &c, 2e-6);
    test_graph_free(&c.t);
}

static void sums_match_the_reference_for_every_set_of_axes(void **state)
{
    (void)state;
    FOR_EACH_ISA(isa)
    for (size_t k = 0; k < COUNT_OF(shapes); k++)
        for (uint32_t axes = 1; axes < 1U << shapes[k].rank; axes++)
            for (int convolve = 0; convolve <= (shapes[k].rank == 4); convolve++)
                check_axes(isa, &shapes[k], axes, convolve);
}

/* Statistics and gradients of images are read as they lie: the only steps of the state are the
 * convolution and the sum. */
static void sums_of_images_need_no_reorder(void **state)
{
    static const uint32_t sets[] = { 0xD, 0xC, 0xF, 0xE }; /* BHW, HW, all, CHW */
    (void)state;
    for (size_t k = 0; k < COUNT_OF(sets); k++) {
        compared c = { .t = test_graph_for(DEQ_ISA_AUTO) };
        deq_value x = source(&c, &shapes[11], true);
        c.out[c.n_out++] = deq_sum(c.t.g, deq_square(c.t.g, x), sets[k], false);
        deq_program *p = compile_native(&c, 2);
        if (uses_kernel(p, "reference") || uses_kernel(p, "reorder"))
            fail_msg("axes %x", (unsigned)sets[k]);
        assert_int_equal(deq_program_stats(p).n_steps[DEQ_STAGE_STATE], 2);
        deq_program_free(p);
        test_graph_free(&c.t);
    }
}

static void bits_do_not_depend_on_the_number_of_threads(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT_OF(shapes); k++)
        for (uint32_t axes = 1; axes < 1U << shapes[k].rank; axes++) {
            size_t n;
            float *y[3];
            compared c = { .t = test_graph_for(DEQ_ISA_AUTO) };
            deq_value x = source(&c, &shapes[k], false);
            c.out[c.n_out++] = deq_sum(c.t.g, deq_square(c.t.g, x), axes, false);
            bool tuned = true; /* reference kernels promise less */
            for (int threads = 1; threads <= 3; threads++) {
                deq_program *p = compile_native(&c, threads);
                y[threads - 1] = compared_run(&c, p, &n);
                tuned &= !uses_kernel(p, "reference");
                deq_program_free(p);
            }
            if (!tuned) n = 0;
            if (memcmp(y[0], y[1], n * sizeof(float)) != 0 ||
                memcmp(y[0], y[2], n * sizeof(float)) != 0)
                fail_msg("axes %x of %s", (unsigned)axes, shapes[k].name);
            for (int i = 0; i < 3; i++) free(y[i]);
            test_graph_free(&c.t);
        }
}

/* 10^6 times 0.1: a single f32 sum would be off in the fourth digit. */
static void long_sums_stay_exact(void **state)
{
    enum { N = 1000000 };
    test_graph t = test_graph_new();
    float *x = malloc(N * sizeof *x), y;
    (void)state;
    assert_non_null(x);
    for (int i = 0; i < N; i++) x[i] = 0.1F;
    deq_value in = deq_input(t.g, "x", DEQ_STAGE_STATE, DEQ_F32, DEQ_SHAPE(N));
    deq_value sum = deq_sum(t.g, in, DEQ_ALL_AXES, false);
    deq_program *p = must_compile(&t, &sum, 1, NULL);
    must_write(&t, p, in, x);
    must_run(p, DEQ_STAGE_PARAMETER);
    must_read(&t, p, sum, &y);
    assert_true(fabs((double)y - N * (double)0.1F) < 1e-6 * N * 0.1);
    deq_program_free(p);
    test_graph_free(&t);
    free(x);
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(sums_match_the_reference_for_every_set_of_axes),
        cmocka_unit_test(sums_of_images_need_no_reorder),
        cmocka_unit_test(bits_do_not_depend_on_the_number_of_threads),
        cmocka_unit_test(long_sums_stay_exact),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
