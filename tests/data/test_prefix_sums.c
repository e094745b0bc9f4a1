/* SPDX-License-Identifier: MIT */
#include "data/data.h"

static deq_dataset *sums(deq_context *ctx, int64_t bits, int64_t count, uint64_t seed)
{
    deq_prefix_sums o = deq_prefix_sums_defaults();
    deq_dataset *d;

    o.bits = bits;
    o.count = count;
    o.seed = seed;
    assert_done(ctx, deq_dataset_prefix_sums(&d, ctx, &o));
    return d;
}

/* Inputs are -1/2 or 1/2, targets the running exclusive or. */
static void check_rule(const one_example *e)
{
    int32_t sum = 0;

    for (int64_t i = 0; i < e->n_input; i++) {
        assert_true(e->input[i] == 0.5f || e->input[i] == -0.5f);
        sum ^= e->input[i] > 0;
        assert_int_equal(e->target[i], sum);
    }
}

static void targets_are_running_sums(void **state)
{
    (void)state;
    static const int64_t bits[] = { 1, 8, 23, 24, 31, 32, 33, 64, 512 };
    deq_context *ctx = data_context();

    for (size_t k = 0; k < COUNT_OF(bits); k++) {
        deq_dataset *d = sums(ctx, bits[k], 2, 1);
        const deq_example_form form = deq_dataset_form(d);
        one_example e = example_new(d);
        assert_true(deq_shape_equal(&form.input, &DEQ_SHAPE(1, bits[k])));
        assert_true(deq_shape_equal(&form.target, &DEQ_SHAPE(bits[k])));
        assert_int_equal(form.classes, 2);
        for (int64_t i = 0; i < 2; i++) {
            example_read(&e, d, i);
            check_rule(&e);
        }
        example_free(&e);
        deq_dataset_free(d);
    }
    deq_context_free(ctx);
}

/* The file was made by others from the same rule: 20 strings each of 5 lengths. */
static void the_rule_is_that_of_the_fixture(void **state)
{
    (void)state;
    char path[1024], line[1024];
    FILE *file = fopen(shared_file(path, "DEQ_DATA", "tasks/prefix_sums.txt"), "r");
    int strings = 0;

    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        int bits = 0;
        char x[512], y[512];
        if (line[0] == '#') continue;
        assert_int_equal(sscanf(line, "%d\t%511s\t%511s", &bits, x, y), 3);
        one_example e = { .n_input = bits,
                          .input = malloc((size_t)bits * sizeof(float)),
                          .target = malloc((size_t)bits * sizeof(int32_t)) };
        for (int i = 0; i < bits; i++) {
            e.input[i] = x[i] == '1' ? 0.5f : -0.5f;
            e.target[i] = y[i] - '0';
        }
        check_rule(&e);
        example_free(&e);
        strings++;
    }
    fclose(file);
    assert_int_equal(strings, 100);
}

static uint32_t as_number(const one_example *e)
{
    uint32_t x = 0;

    for (int64_t i = 0; i < e->n_input; i++) x |= (uint32_t)(e->input[i] > 0) << i;
    return x;
}

static void short_strings_come_once_each(void **state)
{
    (void)state;
    deq_context *ctx = data_context();

    for (int64_t bits = 1; bits <= 12; bits++) {
        const int64_t all = INT64_C(1) << bits;
        deq_dataset *d = sums(ctx, bits, all, 5);
        one_example e = example_new(d);
        bool *seen = calloc((size_t)all, 1);
        for (int64_t i = 0; i < all; i++) {
            example_read(&e, d, i);
            assert_false(seen[as_number(&e)]);
            seen[as_number(&e)] = true;
        }
        free(seen);
        example_free(&e);
        deq_dataset_free(d);
    }
    deq_context_free(ctx);
}

/* Which strings are first does not depend on how many there are. */
static void a_larger_set_begins_with_the_smaller(void **state)
{
    (void)state;
    deq_context *ctx = data_context();

    for (int64_t bits = 16; bits <= 32; bits += 16) {
        deq_dataset *a = sums(ctx, bits, 10, 3), *b = sums(ctx, bits, 1000, 3);
        one_example e = example_new(a), f = example_new(b);
        for (int64_t i = 0; i < 10; i++) {
            example_read(&e, a, i);
            example_read(&f, b, i);
            assert_int_equal(as_number(&e), as_number(&f));
        }
        example_free(&e);
        example_free(&f);
        deq_dataset_free(a);
        deq_dataset_free(b);
    }
    deq_context_free(ctx);
}

/* Bits are fair at every place, pairs of neighbours too, and strings of other seeds are others. */
static void bits_are_fair_and_independent(void **state)
{
    (void)state;
    enum { N = 4000 };
    deq_context *ctx = data_context();

    for (int64_t bits = 20; bits <= 40; bits += 20) {
        deq_dataset *d = sums(ctx, bits, N, 0), *other = sums(ctx, bits, N, 1);
        one_example e = example_new(d), f = example_new(other);
        int64_t ones[40][2] = { { 0 } }, pairs[4] = { 0 }, same = 0;
        for (int64_t i = 0; i < N; i++) {
            example_read(&e, d, i);
            example_read(&f, other, i);
            for (int64_t k = 0; k < bits; k++) ones[k][e.input[k] > 0]++;
            for (int64_t k = 0; k + 1 < bits; k += 2)
                pairs[2 * (e.input[k] > 0) + (e.input[k + 1] > 0)]++;
            same += memcmp(e.input, f.input, (size_t)bits * sizeof *e.input) == 0;
        }
        for (int64_t k = 0; k < bits; k++) assert_uniform(ones[k], 2, "a bit");
        assert_uniform(pairs, 4, "two bits");
        assert_true(same <= 2); /* 4000 / 2^20 expected */
        example_free(&e);
        example_free(&f);
        deq_dataset_free(d);
        deq_dataset_free(other);
    }
    deq_context_free(ctx);
}

static void impossible_settings_are_refused(void **state)
{
    (void)state;
    deq_context *ctx = data_context();
    deq_dataset *d;
    deq_prefix_sums o = deq_prefix_sums_defaults();

    o.bits = 0;
    assert_refused(ctx, deq_dataset_prefix_sums(&d, ctx, &o), DEQ_ERR_ARGUMENT,
                   "prefix sums of 0 bits, expected 1 or more");
    o.bits = 13;
    assert_refused(ctx, deq_dataset_prefix_sums(&d, ctx, &o), DEQ_ERR_ARGUMENT,
                   "10000 prefix sums of 13 bits: there are only 8192 strings");
    o.bits = 32;
    o.count = 0;
    assert_refused(ctx, deq_dataset_prefix_sums(&d, ctx, &o), DEQ_ERR_ARGUMENT, "0 prefix sums");
    o.count = 1;
    o.bits = INT64_MAX / 2;
    assert_refused(ctx, deq_dataset_prefix_sums(&d, ctx, &o), DEQ_ERR_ARGUMENT, "fit into memory");
    o.struct_size = 1;
    assert_refused(ctx, deq_dataset_prefix_sums(&d, ctx, &o), DEQ_ERR_ARGUMENT, "of 1 bytes");
    assert_null(d);
    assert_done(ctx, deq_dataset_prefix_sums(&d, ctx, NULL));
    assert_int_equal(deq_dataset_count(d), 10000);
    deq_dataset_free(d);
    deq_context_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets_are_running_sums),
        cmocka_unit_test(the_rule_is_that_of_the_fixture),
        cmocka_unit_test(short_strings_come_once_each),
        cmocka_unit_test(a_larger_set_begins_with_the_smaller),
        cmocka_unit_test(bits_are_fair_and_independent),
        cmocka_unit_test(impossible_settings_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
