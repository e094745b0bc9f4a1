/* SPDX-License-Identifier: MIT */
#include "support/bytes.h"
#include "support/comma.h"
#include "support/memory.h"

#include <deq/io/svmlight.h>

static deq_status parse(deq_context *ctx, const void *bytes, size_t size)
{
    deq_svmlight *r;
    const deq_status status = deq_svmlight_parse(&r, ctx, bytes, size, NULL);

    assert_true((status == DEQ_OK) == (r != NULL));
    deq_svmlight_free(r);
    return status;
}

static const char sample[] = "# two features\n+1 1:0.5 3:-2e1 # a comment\r\n\n-1\n0.25 2:1";

static void rows_are_labels_and_entries(void **state)
{
    (void)state;
    deq_context *ctx;
    deq_svmlight *r;

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    assert_int_equal(deq_svmlight_parse(&r, ctx, sample, sizeof sample - 1, NULL), DEQ_OK);
    assert_int_equal(r->rows, 3);
    assert_int_equal(r->columns, 3);
    assert_int_equal(r->entries, 3);
    assert_true(r->labels[0] == 1 && r->labels[1] == -1 && r->labels[2] == 0.25);
    assert_memory_equal(r->row_offsets, ((const int64_t[]){ 0, 2, 2, 3 }), 32);
    assert_memory_equal(r->indices, ((const int32_t[]){ 0, 2, 1 }), 12);
    assert_true(r->values[0] == 0.5 && r->values[1] == -20 && r->values[2] == 1);
    deq_svmlight_free(r);
    deq_svmlight_free(NULL);
    deq_context_free(ctx);
}

static void options_say_the_columns_and_where_they_begin(void **state)
{
    (void)state;
    deq_context *ctx;
    deq_svmlight *r;
    deq_svmlight_options o = deq_svmlight_defaults();

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    o.columns = 7;
    o.first_index = 0;
    assert_int_equal(deq_svmlight_parse(&r, ctx, "1 0:1 6:2", 9, &o), DEQ_OK);
    assert_int_equal(r->columns, 7);
    assert_int_equal(r->indices[1], 6);
    deq_svmlight_free(r);
    o.columns = 6;
    assert_int_equal(deq_svmlight_parse(&r, ctx, "1 0:1 6:2", 9, &o), DEQ_ERR_DATA);
    assert_non_null(strstr(deq_last_error(ctx), "line 1: expected an index of the columns"));
    o.first_index = 2;
    assert_int_equal(deq_svmlight_parse(&r, ctx, "1", 1, &o), DEQ_ERR_ARGUMENT);
    o.struct_size = 3;
    assert_int_equal(deq_svmlight_parse(&r, ctx, "1", 1, &o), DEQ_ERR_ARGUMENT);
    deq_context_free(ctx);
}

static const struct refusal {
    const char *text, *message;
} refusals[] = {
    { "x 1:1", "memory: line 1: expected a number as the label, found 'x'" },
    { "1\n2 1", "line 2: expected INDEX:VALUE, found '1'" },
    { "1 0:1", "an index of at least 1" },
    { "1 -1:1", "an index of at least 1" },
    { "1 2147483648:1", "an index of at least 1" },
    { "1 99999999999999999999:1", "an index of at least 1" },
    { "1 :1", "an index of at least 1" },
    { "1 qid:1 2:3", "an index of at least 1" },
    { "1 2:1 2:1", "rising indices, found '2:1'" },
    { "1 2:1 1:1", "rising indices" },
    { "1 1:", "a finite number" },
    { "1 1:nan", "a finite number" },
    { "1 1:inf", "a finite number" },
    { "1 1:1e999", "a finite number" },
    { "1 1:0x10", "a finite number" },
    { "1 1:1,5", "a finite number" },
    { "1 1:1e", "a finite number" },
    { "nan", "a number as the label" },
    { "1 1:1 \x01", "found '\\x01'" },
};

static void wrong_lines_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        check_refusal(parse, refusals[i].text, strlen(refusals[i].text), DEQ_ERR_DATA,
                      refusals[i].message);
    check_reads(parse, "", 0);
    check_reads(parse, "\n\n#\n", 4);
}

/* Much of a text is a text: what counts is that nothing is read past its end and nothing leaks. */
static bool any(size_t length)
{
    (void)length;
    return true;
}

static void damaged_texts_do_no_harm(void **state)
{
    (void)state;
    check_truncation(parse, sample, sizeof sample - 1, any);
    check_bit_flips(parse, sample, sizeof sample - 1);
    check_out_of_memory(parse, sample, sizeof sample - 1);
}

static void the_locale_does_not_matter(void **state)
{
    (void)state;
    if (!test_comma()) {
        print_message("no locale with a decimal comma\n");
        skip();
    }
    rows_are_labels_and_entries(state);
    test_point();
}

static void published_sets_have_their_counts(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        int64_t rows;
        int32_t columns;
        int64_t entries;
    } files[] = { { "libsvm/a9a", 32561, 123, 451592 },
                  { "libsvm/heart_scale", 270, 13, 3378 },
                  { "20news/20news.test.svm.gz", 7532, 0, 926964 } };
    deq_context *ctx;
    char path[1024];

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        deq_svmlight *r;
        shared_file(path, "DEQ_DATA", files[i].file);
        if (deq_svmlight_read(&r, ctx, path, NULL) != DEQ_OK) fail_msg("%s", deq_last_error(ctx));
        assert_int_equal(r->rows, files[i].rows);
        assert_int_equal(r->entries, files[i].entries);
        if (files[i].columns) assert_int_equal(r->columns, files[i].columns);
        deq_svmlight_free(r);
    }
    deq_context_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_labels_and_entries),
        cmocka_unit_test(options_say_the_columns_and_where_they_begin),
        cmocka_unit_test(wrong_lines_are_named),
        cmocka_unit_test(damaged_texts_do_no_harm),
        cmocka_unit_test(the_locale_does_not_matter),
        cmocka_unit_test(published_sets_have_their_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
