/* SPDX-License-Identifier: MIT */
#include "support/memory.h"

#include <deq/io/archive.h>
#include <stdio.h>

static const deq_type pair_type = { DEQ_F32, { .rank = 1, .dim = { 2 } } };
static const float pair[] = { 1.5f, -2 };

static void tensors_are_copied_and_found_by_name(void **state)
{
    (void)state;
    test_memory m = { 0 };
    deq_context *ctx = test_memory_context(&m, 1);
    deq_archive *a;
    char name[32];
    float value;

    assert_int_equal(deq_archive_new(&a, ctx), DEQ_OK);
    assert_int_equal(deq_archive_count(a), 0);
    assert_null(deq_archive_at(a, 0));
    assert_null(deq_archive_find(a, "w0"));
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "w%d", i);
        value = (float)i;
        assert_int_equal(deq_archive_add(a, name, (deq_type){ DEQ_F32, DEQ_SCALAR }, &value),
                         DEQ_OK);
    }
    assert_int_equal(deq_archive_count(a), 1000);
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "w%d", i);
        const deq_archive_tensor *t = deq_archive_find(a, name);
        assert_ptr_equal(t, deq_archive_at(a, (size_t)i));
        assert_string_equal(t->name, name);
        assert_string_equal(t->stored, "f32");
        assert_true(*(const float *)t->data == (float)i);
    }
    assert_null(deq_archive_find(a, "w1000"));
    deq_archive_free(a);
    deq_archive_free(NULL);
    deq_context_free(ctx);
    assert_memory_clean(&m);
}

static void bad_tensors_are_refused_and_change_nothing(void **state)
{
    (void)state;
    const struct {
        const char *name;
        deq_type type;
        deq_status status;
        const char *message;
    } cases[] = {
        { "", pair_type, DEQ_ERR_NAME, "needs a name" },
        { "there", pair_type, DEQ_ERR_NAME, "two tensors are called 'there'" },
        { "w", { (deq_dtype)77, DEQ_SHAPE(2) }, DEQ_ERR_DTYPE, "unknown dtype 77" },
        { "w", { DEQ_F32, { .rank = 9 } }, DEQ_ERR_SHAPE, "rank 9" },
        { "w", { DEQ_F32, { .rank = -1 } }, DEQ_ERR_SHAPE, "rank -1" },
        { "w", { DEQ_F32, DEQ_SHAPE(3, -2) }, DEQ_ERR_SHAPE, "extent -2 in axis 1" },
        { "w", { DEQ_F32, DEQ_SHAPE(INT64_MAX, 2) }, DEQ_ERR_OVERFLOW, "too large" },
    };
    test_memory m = { 0 };
    deq_context *ctx = test_memory_context(&m, 1);
    deq_archive *a;

    assert_int_equal(deq_archive_new(&a, ctx), DEQ_OK);
    assert_int_equal(deq_archive_add(a, "there", pair_type, pair), DEQ_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(deq_archive_add(a, cases[i].name, cases[i].type, NULL), cases[i].status);
        assert_non_null(strstr(deq_last_error(ctx), cases[i].message));
        assert_int_equal(deq_archive_count(a), 1);
    }
    deq_archive_free(a);
    deq_context_free(ctx);
    assert_memory_clean(&m);
}

static void tensors_may_be_empty_and_start_as_zeros(void **state)
{
    (void)state;
    deq_context *ctx;
    deq_archive *a;

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    assert_int_equal(deq_archive_new(&a, ctx), DEQ_OK);
    assert_int_equal(
        deq_archive_add(a, "e", (deq_type){ DEQ_I64, DEQ_SHAPE(0, INT64_MAX, 2) }, NULL), DEQ_OK);
    assert_int_equal(deq_archive_add(a, "z", (deq_type){ DEQ_I64, DEQ_SHAPE(2) }, NULL), DEQ_OK);
    assert_int_equal(((const int64_t *)deq_archive_find(a, "z")->data)[1], 0);
    deq_archive_free(a);
    deq_context_free(ctx);
}

static void narrowing_keeps_what_begins_with_the_prefix(void **state)
{
    (void)state;
    test_memory m = { 0 };
    deq_context *ctx = test_memory_context(&m, 1);
    deq_archive *a;

    assert_int_equal(deq_archive_new(&a, ctx), DEQ_OK);
    assert_int_equal(deq_archive_add(a, "optimizer.step", pair_type, pair), DEQ_OK);
    assert_int_equal(deq_archive_add(a, "model.a", pair_type, pair), DEQ_OK);
    assert_int_equal(deq_archive_add(a, "model.b", pair_type, pair), DEQ_OK);
    assert_int_equal(deq_archive_narrow(a, "nothing."), DEQ_ERR_NAME);
    assert_int_equal(deq_archive_narrow(a, "model.a"), DEQ_ERR_NAME);
    assert_int_equal(deq_archive_count(a), 3);
    assert_int_equal(deq_archive_narrow(a, "model."), DEQ_OK);
    assert_int_equal(deq_archive_count(a), 2);
    assert_string_equal(deq_archive_at(a, 0)->name, "a");
    assert_ptr_equal(deq_archive_find(a, "b"), deq_archive_at(a, 1));
    assert_null(deq_archive_find(a, "model.b"));
    deq_archive_free(a);
    deq_context_free(ctx);
    assert_memory_clean(&m);
}

static void metadata_are_texts_by_key(void **state)
{
    (void)state;
    deq_context *ctx;
    deq_archive *a;
    const char *value;

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    assert_int_equal(deq_archive_new(&a, ctx), DEQ_OK);
    assert_null(deq_archive_metadata(a, "epoch"));
    assert_int_equal(deq_archive_set_metadata(a, "epoch", "5"), DEQ_OK);
    assert_int_equal(deq_archive_set_metadata(a, "model", "mdeq"), DEQ_OK);
    assert_int_equal(deq_archive_set_metadata(a, "epoch", "6"), DEQ_OK);
    assert_string_equal(deq_archive_metadata(a, "epoch"), "6");
    assert_string_equal(deq_archive_metadata_at(a, 1, &value), "model");
    assert_string_equal(value, "mdeq");
    assert_null(deq_archive_metadata_at(a, 2, &value));
    deq_archive_free(a);
    deq_context_free(ctx);
}

static deq_status build(deq_context *ctx)
{
    deq_archive *a;
    deq_status status = deq_archive_new(&a, ctx);
    if (status != DEQ_OK) return status;
    char name[] = "model.a";
    for (int i = 0; i < 20 && status == DEQ_OK; i++, name[6]++)
        status = deq_archive_add(a, name, pair_type, pair);
    if (status == DEQ_OK) status = deq_archive_set_metadata(a, "key", "value");
    if (status == DEQ_OK) status = deq_archive_narrow(a, "model.");
    deq_archive_free(a);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (size_t n = 1;; n++) {
        test_memory m = { .fail_at = n };
        deq_context *ctx = test_memory_context(&m, 1);
        const deq_status status = ctx ? build(ctx) : DEQ_ERR_NOMEM;
        deq_context_free(ctx);
        assert_memory_clean(&m);
        if (status == DEQ_OK) break;
        assert_int_equal(status, DEQ_ERR_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_are_copied_and_found_by_name),
        cmocka_unit_test(bad_tensors_are_refused_and_change_nothing),
        cmocka_unit_test(tensors_may_be_empty_and_start_as_zeros),
        cmocka_unit_test(narrowing_keeps_what_begins_with_the_prefix),
        cmocka_unit_test(metadata_are_texts_by_key),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
