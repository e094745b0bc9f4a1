/* SPDX-License-Identifier: MIT */
#include "support/bytes.h"
#include "support/memory.h"

#include <deq/io/csv.h>
#include <stdio.h>

/* All rows, as fields in brackets, rows after each other. */
static deq_status collect(deq_context *ctx, const void *bytes, size_t size, const char *path,
                          char *text, size_t capacity)
{
    deq_csv *csv;
    const deq_csv_row *row;
    size_t n = 0;
    deq_status status = path ? deq_csv_open(&csv, ctx, path, NULL)
                             : deq_csv_parse(&csv, ctx, bytes, size, NULL);

    text[0] = '\0';
    if (status != DEQ_OK) {
        assert_null(csv);
        return status;
    }
    while ((status = deq_csv_next(&row, csv)) == DEQ_OK && row) {
        n += (size_t)snprintf(text + n, n < capacity ? capacity - n : 0, "%d:", (int)row->line);
        for (size_t i = 0; i < row->count && n < capacity; i++)
            n += (size_t)snprintf(text + n, capacity - n, "[%s]", row->fields[i]);
        if (n >= capacity) n = 0;
    }
    assert_null(row);
    deq_csv_close(csv);
    return status;
}

static deq_status parse(deq_context *ctx, const void *bytes, size_t size)
{
    char text[1000];

    return collect(ctx, bytes, size, NULL, text, sizeof text);
}

static const struct good {
    const char *text, *rows;
} goods[] = {
    { "", "" },
    { "a,b\n1,2\n", "1:[a][b]2:[1][2]" },
    { "a,b\r\n1,2", "1:[a][b]2:[1][2]" },
    { ",\n,", "1:[][]2:[][]" },
    { "\"a\"\"b\",\"c,d\"\n\"e\nf\",\"\"\n1,2", "1:[a\"b][c,d]2:[e\nf][]4:[1][2]" },
    { "\"a\r\nb\"", "1:[a\r\nb]" },
    { "a,b\n\n\r\n1,2\n\n", "1:[a][b]4:[1][2]" },
    { "a\n\nb", "1:[a]2:[]3:[b]" },
    { "\n\na,b", "3:[a][b]" },
    { "\xef\xbb\xbf"
      "a,b",
      "1:[a][b]" },
    { " a , b ", "1:[ a ][ b ]" },
    { "\"\"", "1:[]" },
};

static void rows_are_read_as_the_standard_says(void **state)
{
    (void)state;
    deq_context *ctx;
    char text[1000];

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    for (size_t i = 0; i < sizeof goods / sizeof *goods; i++) {
        assert_int_equal(
            collect(ctx, goods[i].text, strlen(goods[i].text), NULL, text, sizeof text), DEQ_OK);
        assert_string_equal(text, goods[i].rows);
    }
    deq_context_free(ctx);
}

static const struct refusal {
    const char *text, *message;
} refusals[] = {
    { "a,b\n1", "memory: line 2: found 1 fields, expected 2 as in line 1" },
    { "a,b\n1,2,3", "found 3 fields" },
    { "a\n\n\"b\nc", "line 3, field 1: quotes open here and never close" },
    { "a,\"b\"c", "line 1, field 2: text follows the closing quotes" },
    { "a,b\"c", "field 2: quotes inside a field" },
    { "a\rb", "a carriage return without a line feed" },
    { "a\r", "a carriage return without a line feed" },
};

static void wrong_rows_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        check_refusal(parse, refusals[i].text, strlen(refusals[i].text), DEQ_ERR_DATA,
                      refusals[i].message);
    check_refusal(parse, "a\0b", 3, DEQ_ERR_DATA, "found a zero byte");
    check_refusal(parse, "\"a\0b\"", 5, DEQ_ERR_DATA, "found a zero byte");
}

static bool any(size_t length)
{
    (void)length;
    return true;
}

static void damaged_texts_do_no_harm(void **state)
{
    (void)state;
    const char *text = goods[4].text;

    check_truncation(parse, text, strlen(text), any);
    check_bit_flips(parse, text, strlen(text));
    check_out_of_memory(parse, text, strlen(text));
}

static void options_set_separator_and_limit(void **state)
{
    (void)state;
    deq_csv_options o = deq_csv_defaults();
    deq_context *ctx;
    deq_csv *csv;
    const deq_csv_row *row;
    double x;

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    o.separator = ';';
    o.max_row_bytes = 8;
    assert_int_equal(deq_csv_parse(&csv, ctx, "1.5;a,b\n1234;678", 16, &o), DEQ_OK);
    assert_int_equal(deq_csv_next(&row, csv), DEQ_OK);
    assert_string_equal(row->fields[1], "a,b");
    assert_int_equal(deq_csv_number(&x, csv, 0), DEQ_OK);
    assert_true(x == 1.5);
    assert_int_equal(deq_csv_number(&x, csv, 1), DEQ_ERR_DATA);
    assert_non_null(strstr(deq_last_error(ctx), "line 1, field 2: expected a number, found 'a,b'"));
    assert_int_equal(deq_csv_number(&x, csv, 2), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_csv_next(&row, csv), DEQ_ERR_DATA);
    assert_non_null(strstr(deq_last_error(ctx), "longer than the limit"));
    deq_csv_close(csv);
    for (const char *bad = "\"\r\n"; *bad; bad++) {
        o.separator = *bad;
        assert_int_equal(deq_csv_parse(&csv, ctx, "", 0, &o), DEQ_ERR_ARGUMENT);
    }
    o.separator = '\0';
    assert_int_equal(deq_csv_parse(&csv, ctx, "", 0, &o), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_csv_open(&csv, ctx, "/nonexistent.csv", NULL), DEQ_ERR_IO);
    assert_int_equal(deq_csv_open(&csv, ctx, NULL, NULL), DEQ_ERR_ARGUMENT);
    deq_csv_close(NULL);
    deq_context_free(ctx);
}

/* Longer than the reader's buffer, so that rows and quotes cross its ends. */
static void long_files_are_read_in_pieces(void **state)
{
    (void)state;
    test_memory m = { 0 };
    deq_context *ctx = test_memory_context(&m, 1);
    deq_csv *csv;
    const deq_csv_row *row;
    char path[256];
    int i = 0;

    FILE *file = fopen(scratch_path(path, ".csv"), "wb");
    assert_non_null(file);
    for (i = 0; i < 50000; i++) fprintf(file, "%d,\"a\"\"%d\"\r\n", i, 3 * i);
    fclose(file);
    assert_int_equal(deq_csv_open(&csv, ctx, path, NULL), DEQ_OK);
    for (i = 0; deq_csv_next(&row, csv) == DEQ_OK && row; i++) {
        char expected[32];
        snprintf(expected, sizeof expected, "a\"%d", 3 * i);
        assert_int_equal(row->line, i + 1);
        assert_string_equal(row->fields[1], expected);
    }
    assert_int_equal(i, 50000);
    assert_true(m.live_bytes < 100000);
    deq_csv_close(csv);
    assert_int_equal(deq_csv_open(&csv, ctx, "/", NULL), DEQ_OK);
    assert_int_equal(deq_csv_next(&row, csv), DEQ_ERR_IO);
    deq_csv_close(csv);
    assert_int_equal(remove(path), 0);
    deq_context_free(ctx);
    assert_memory_clean(&m);
}

/* Rows and what became of each: "!" for a refusal. */
static void a_reader_can_go_on_behind_bad_rows(void **state)
{
    (void)state;
    static const struct {
        const char *text, *lines;
    } cases[] = {
        { "a,b\n1\n2,3\n", "1 ! 3 " },
        { "a,b\n1,2\"\n2,3\n", "1 ! 3 " },
        { "a,b\n\"1\"x,2\n2,3", "1 ! 3 " },
        { "a,b\n\"1,2\n2,3\n", "1 ! 3 " },
        { "a,b\n1\r,2\n2,3\n", "1 ! 3 " },
        { "a,b\n1,2,3", "1 ! " },
        { "a,b\n\"p\"\"q\nr\",2,3\n4,5", "1 ! ! 4 " },
    };
    deq_csv_options o = deq_csv_defaults();
    deq_context *ctx;

    o.recover = true;
    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char lines[64] = "";
        size_t n = 0;
        deq_csv *csv;
        const deq_csv_row *row;
        assert_int_equal(deq_csv_parse(&csv, ctx, cases[i].text, strlen(cases[i].text), &o),
                         DEQ_OK);
        for (;;) {
            const deq_status status = deq_csv_next(&row, csv);
            if (status == DEQ_OK && !row) break;
            n += (size_t)(row ? snprintf(lines + n, sizeof lines - n, "%d ", (int)row->line)
                              : snprintf(lines + n, sizeof lines - n, "! "));
            assert_true(n < sizeof lines);
        }
        assert_string_equal(lines, cases[i].lines);
        deq_csv_close(csv);
    }
    deq_context_free(ctx);
}

static void fields_come_with_their_lengths_and_can_be_refused(void **state)
{
    (void)state;
    const char *text = "a,\"b\"\"c\",\"\"\n";
    deq_context *ctx;
    deq_csv *csv;
    const deq_csv_row *row;

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    assert_int_equal(deq_csv_parse(&csv, ctx, text, strlen(text), NULL), DEQ_OK);
    assert_int_equal(deq_csv_next(&row, csv), DEQ_OK);
    for (size_t i = 0; i < row->count; i++)
        assert_int_equal(row->lengths[i], strlen(row->fields[i]));
    assert_int_equal(deq_csv_refuse(csv, 1, "a colour"), DEQ_ERR_DATA);
    assert_string_equal(deq_last_error(ctx),
                        "memory: line 1, field 2: expected a colour, found 'b\"c'");
    assert_int_equal(deq_csv_refuse(csv, 9, "no colour at all"), DEQ_ERR_DATA);
    assert_string_equal(deq_last_error(ctx), "memory: line 1: no colour at all");
    deq_csv_close(csv);
    deq_context_free(ctx);
}

static void the_separator_is_found_in_the_first_line(void **state)
{
    (void)state;
    static const char *texts[] = { "a;b,c\n1,2;3", "a\tb,c;d\n", "\"a,b\";c\n1;2", "a\n1,2\n",
                                   ("\xef\xbb\xbf"
                                    "a;b") };
    static const size_t counts[] = { 2, 2, 2, 1, 2 };
    deq_csv_options o = deq_csv_defaults();
    deq_context *ctx;

    o.detect = true;
    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        deq_csv *csv;
        const deq_csv_row *row;
        assert_int_equal(deq_csv_parse(&csv, ctx, texts[i], strlen(texts[i]), &o), DEQ_OK);
        assert_int_equal(deq_csv_next(&row, csv), DEQ_OK);
        assert_int_equal(row->count, counts[i]);
        deq_csv_close(csv);
    }
    deq_context_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_read_as_the_standard_says),
        cmocka_unit_test(wrong_rows_are_named),
        cmocka_unit_test(damaged_texts_do_no_harm),
        cmocka_unit_test(options_set_separator_and_limit),
        cmocka_unit_test(long_files_are_read_in_pieces),
        cmocka_unit_test(a_reader_can_go_on_behind_bad_rows),
        cmocka_unit_test(the_separator_is_found_in_the_first_line),
        cmocka_unit_test(fields_come_with_their_lengths_and_can_be_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
