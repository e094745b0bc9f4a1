/* SPDX-License-Identifier: MIT */
/* What all datasets have in common, slices, and datasets of the caller. */
#include "data/data.h"

/* Example i: two numbers i and -i, target i mod 3.  Example 5 fails. */
static deq_status give(void *user, int64_t index, float *input, int32_t *target, char *error,
                       size_t size)
{
    if (index == 5) {
        snprintf(error, size, "%s: no example 5", (const char *)user);
        return DEQ_ERR_IO;
    }
    if (index == 6) return DEQ_ERR_UNSUPPORTED;
    input[0] = (float)index;
    input[1] = -(float)index;
    *target = (int32_t)(index % 3);
    return DEQ_OK;
}

static deq_dataset *ten(deq_context *ctx)
{
    static char who[] = "the caller";
    const deq_example_form form = { DEQ_SHAPE(2), DEQ_SCALAR, 3 };
    deq_dataset *d;

    assert_done(ctx, deq_dataset_custom(&d, ctx, &form, 10, give, who));
    return d;
}

static void a_caller_gives_examples_and_reasons(void **state)
{
    (void)state;
    deq_context *ctx = data_context();
    deq_dataset *d = ten(ctx);
    one_example e = example_new(d);

    example_read(&e, d, 7);
    assert_true(e.input[0] == 7 && e.input[1] == -7 && e.target[0] == 1);
    example_free(&e);
    assert_unreadable(d, 5, DEQ_ERR_IO, "the caller: no example 5");
    assert_unreadable(d, 6, DEQ_ERR_UNSUPPORTED, "not supported");
    deq_dataset_free(d);
    deq_context_free(ctx);
}

static void only_examples_that_exist_are_read(void **state)
{
    (void)state;
    deq_context *ctx = data_context();
    deq_dataset *d = ten(ctx);
    float input[2];
    int32_t target;
    char name[8];

    assert_unreadable(d, 10, DEQ_ERR_ARGUMENT, "example 10 asked of a dataset of 10");
    assert_unreadable(d, -1, DEQ_ERR_ARGUMENT, "example -1");
    assert_int_equal(deq_dataset_read(d, 0, NULL, &target, NULL, 0), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_dataset_read(d, 0, input, NULL, NULL, 0), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_dataset_read(d, 0, input, &target, NULL, 0), DEQ_OK);
    assert_string_equal(deq_last_error(ctx), ""); /* the context is another thread's */
    deq_dataset_class_name(d, 2, name, sizeof name);
    assert_string_equal(name, "2");
    deq_dataset_class_name(d, 2, NULL, 0);
    deq_dataset_free(d);
    deq_dataset_free(NULL);
    deq_context_free(ctx);
}

static void a_slice_is_part_of_the_whole(void **state)
{
    (void)state;
    deq_context *ctx = data_context();
    deq_dataset *d = ten(ctx), *part, *part_of_part;
    one_example e = example_new(d);

    assert_done(ctx, deq_dataset_slice(&part, d, 7, 3));
    assert_done(ctx, deq_dataset_slice(&part_of_part, part, 1, 2));
    assert_int_equal(deq_dataset_count(part), 3);
    assert_int_equal(deq_dataset_form(part).classes, 3);
    example_read(&e, part, 2);
    assert_true(e.input[0] == 9);
    example_read(&e, part_of_part, 0);
    assert_true(e.input[0] == 8);
    assert_unreadable(part, 3, DEQ_ERR_ARGUMENT, "example 3 asked of a dataset of 3");
    deq_dataset_free(part_of_part);
    deq_dataset_free(part);

    static const int64_t wrong[][2] = {
        { -1, 2 }, { 0, 0 }, { 10, 1 }, { 9, 2 }, { 1, INT64_MAX }
    };
    for (size_t k = 0; k < COUNT_OF(wrong); k++) {
        assert_refused(ctx, deq_dataset_slice(&part, d, wrong[k][0], wrong[k][1]), DEQ_ERR_ARGUMENT,
                       "asked of a dataset of 10");
        assert_null(part);
    }
    example_free(&e);
    deq_dataset_free(d);
    deq_context_free(ctx);
}

static void forms_that_no_example_has_are_refused(void **state)
{
    (void)state;
    static const struct {
        deq_example_form form;
        int64_t count;
        const char *text;
    } cases[] = {
        { { { 1, { 2 } }, { 0 }, 3 }, 0, "a dataset of 0 examples" },
        { { { 1, { 2 } }, { 0 }, 0 }, 1, "a dataset of 0 classes" },
        { { { 0 }, { 0 }, 3 }, 1, "extents must be 1 or more" },
        { { { 1, { 0 } }, { 0 }, 3 }, 1, "extents must be 1 or more" },
        { { { 1, { 2 } }, { 1, { -2 } }, 3 }, 1, "extents must be 1 or more" },
        { { { 2, { INT64_MAX, 4 } }, { 0 }, 3 }, 1, "fit into memory" },
    };
    deq_context *ctx = data_context();
    deq_dataset *d;

    for (size_t k = 0; k < COUNT_OF(cases); k++) {
        assert_refused(ctx, deq_dataset_custom(&d, ctx, &cases[k].form, cases[k].count, give, NULL),
                       DEQ_ERR_ARGUMENT, cases[k].text);
        assert_null(d);
    }
    assert_refused(ctx, deq_dataset_custom(&d, ctx, NULL, 1, give, NULL), DEQ_ERR_ARGUMENT,
                   "without a form");
    assert_refused(ctx, deq_dataset_custom(&d, ctx, &cases[0].form, 1, NULL, NULL),
                   DEQ_ERR_ARGUMENT, "without a function");
    deq_context_free(ctx);
}

/* Making and reading generated examples, with each allocation failing. */
static void memory_may_end_anywhere(void **state)
{
    (void)state;
    for (size_t n = 1;; n++) {
        test_memory m = { .fail_at = n };
        deq_context *ctx = test_memory_context(&m, 1);
        if (!ctx) continue;
        deq_dataset *d = NULL, *part = NULL;
        deq_prefix_sums o = deq_prefix_sums_defaults();
        o.bits = 8;
        o.count = 100;
        float input[3 * 24 * 24];
        int32_t target[24 * 24];
        deq_status status = deq_dataset_prefix_sums(&d, ctx, &o);
        if (status == DEQ_OK) status = deq_dataset_slice(&part, d, 1, 2);
        if (status == DEQ_OK) status = deq_dataset_read(part, 0, input, target, NULL, 0);
        deq_dataset_free(part);
        deq_dataset_free(d);
        d = NULL;
        if (status == DEQ_OK) status = deq_dataset_mazes(&d, ctx, NULL);
        if (status == DEQ_OK) status = deq_dataset_read(d, 0, input, target, NULL, 0);
        deq_dataset_free(d);
        deq_context_free(ctx);
        assert_memory_clean(&m);
        if (m.calls < n) {
            assert_int_equal(status, DEQ_OK);
            break;
        }
        assert_int_equal(status, DEQ_ERR_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_caller_gives_examples_and_reasons),
        cmocka_unit_test(only_examples_that_exist_are_read),
        cmocka_unit_test(a_slice_is_part_of_the_whole),
        cmocka_unit_test(forms_that_no_example_has_are_refused),
        cmocka_unit_test(memory_may_end_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
