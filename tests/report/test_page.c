/* SPDX-License-Identifier: MIT */
/* Escapes and numbers. */
#include "xml.h"

#include "report/page.h"
#include "support/comma.h"

#include <math.h>

static void expect_text(const char *from, const char *to)
{
    deq_context *ctx;

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    deq_page p = { .ctx = ctx };
    deq_page_text(&p, from);
    deq_page_bytes(&p, "", 1);
    assert_int_equal(p.status, DEQ_OK);
    assert_string_equal(p.data, to);
    deq_page_free(&p);
    deq_context_free(ctx);
}

#define BAD "\xEF\xBF\xBD"

static void foreign_text_is_escaped(void **state)
{
    (void)state;
    expect_text("", "");
    expect_text(NULL, "");
    expect_text("a<b>&\"'", "a&lt;b&gt;&amp;&quot;&#39;");
    expect_text("</title><script>", "&lt;/title&gt;&lt;script&gt;");
    expect_text("]]>", "]]&gt;");
    expect_text("&amp;", "&amp;amp;");
    expect_text("a\tb\nc\r", "a\tb\nc&#13;");
    expect_text("\x01\x1B[31m\x7F", BAD BAD "[31m" BAD);
    expect_text("\xC2\x85\xC2\xA0", BAD "\xC2\xA0");
    expect_text("\xEF\xBF\xBE\xEF\xBF\xBF\xF0\x9F\xBF\xBE", BAD BAD BAD);
    expect_text("\xED\xA0\x80", BAD BAD BAD);
    expect_text("\xC0\xBC", BAD BAD); /* an overlong < */
    expect_text("\xE2\x88\x82 \xF0\x9F\x98\x80", "\xE2\x88\x82 \xF0\x9F\x98\x80");
    expect_text("cut\xE2\x88", "cut" BAD BAD);
}

static void places_are_hundredths_and_bounded(void **state)
{
    static const struct {
        double place;
        const char *text;
    } rows[] = { { 0, "0" },           { 1.5, "1.5" },       { -0.004, "0" },
                 { -0.25, "-0.25" },   { 100, "100" },       { 12.345678, "12.35" },
                 { 1e300, "1000000" }, { -1e9, "-1000000" }, { -INFINITY, "-1000000" } };
    deq_context *ctx;

    (void)state;
    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        deq_page p = { .ctx = ctx };
        deq_page_place(&p, rows[k].place);
        deq_page_bytes(&p, "", 1);
        assert_string_equal(p.data, rows[k].text);
        deq_page_free(&p);
    }
    deq_context_free(ctx);
}

static void numbers_have_points_whatever_the_locale(void **state)
{
    deq_context *ctx;

    (void)state;
    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    for (int k = 0; k < 2; k++) {
        if (k && !test_comma()) print_message("no locale with a decimal comma\n");
        deq_page p = { .ctx = ctx };
        deq_page_number(&p, -1.5e-7, 3);
        deq_page_raw(&p, " ");
        deq_page_number(&p, 3.25, 17);
        deq_page_raw(&p, " ");
        deq_page_number(&p, NAN, 3);
        deq_page_number(&p, INFINITY, 3);
        deq_page_bytes(&p, "", 1);
        assert_string_equal(p.data, "-1.5e-07 3.25 NaN\xE2\x88\x9E");
        deq_page_free(&p);
    }
    test_point();
    deq_context_free(ctx);
}

static void cut_texts_end_with_an_ellipsis(void **state)
{
    deq_context *ctx;

    (void)state;
    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    deq_page p = { .ctx = ctx };
    deq_page_cut(&p, "abc", 3);
    deq_page_raw(&p, " ");
    deq_page_cut(&p, "a\xE2\x88\x82<d", 3);
    deq_page_bytes(&p, "", 1);
    assert_string_equal(p.data, "abc a\xE2\x88\x82\xE2\x80\xA6");
    deq_page_free(&p);
    deq_context_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(foreign_text_is_escaped),
        cmocka_unit_test(places_are_hundredths_and_bounded),
        cmocka_unit_test(numbers_have_points_whatever_the_locale),
        cmocka_unit_test(cut_texts_end_with_an_ellipsis),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
