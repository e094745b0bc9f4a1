/* SPDX-License-Identifier: MIT */
/* Pages: well-formed, self-contained, the same bytes, and images that decode to what went in. */
#include "support/bytes.h"
#include "support/memory.h"
#include "xml.h"

#include <deq/report.h>

#include <math.h>
#include <png.h>

static const char evil[] = "</p></td><script>alert(1)</script><img src=x onerror=\"a\">'&\x02\xFE";

/* Everything that a page may hold, with texts of one kind. */
static void fill(deq_report *r, deq_context *ctx, const char *text)
{
    const deq_column columns[] = { { text, true }, { "loss", false }, { "n", false } };
    const double y[] = { 3, 2, 1 };
    const uint8_t pixels[12] = { 0, 255, 7, 9 };
    deq_plot *plot;

    for (int i = 0; i < 3; i++) deq_report_heading(r, 1, text);
    deq_report_heading(r, 2, text);
    deq_report_paragraph(r, "%s and %d", text, 7);
    deq_report_pair(r, text, "%s", text);
    deq_report_pair(r, "b", "%.2f", 0.5);
    deq_report_verbatim(r, NULL, text);
    deq_report_verbatim(r, text, text);
    deq_report_table(r, text, columns, 3, false);
    for (int i = 0; i < 4; i++) {
        deq_report_cell(r, i ? text : NULL);
        deq_report_number(r, i == 1 ? NAN : i == 2 ? -INFINITY : 0.1, 4);
        deq_report_integer(r, -i);
    }
    deq_report_table_end(r);
    deq_report_table(r, text, columns, 2, true);
    deq_report_table_end(r);
    if (deq_plot_new(&plot, ctx, DEQ_PLOT(.title = text)) != DEQ_OK) return;
    deq_plot_add(plot, DEQ_SERIES(.name = text, .count = 3, .y = y));
    deq_report_plot(r, plot, text);
    deq_report_plot(r, plot, NULL);
    deq_plot_free(plot);
    deq_report_picture(
        r, &(deq_picture){ .pixels = pixels, .channels = 3, .height = 2, .width = 2 }, text);
}

static char *page_of(const char *title, const char *text)
{
    deq_context *ctx;
    deq_report *r;
    written w = { 0 };

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    assert_int_equal(deq_report_new(&r, ctx, title), DEQ_OK);
    fill(r, ctx, text);
    if (deq_report_write(r, keep_text, &w) != DEQ_OK) fail_msg("%s", deq_last_error(ctx));
    deq_report_free(r);
    deq_context_free(ctx);
    return w.data;
}

static void a_page_is_well_formed_and_needs_nothing_else(void **state)
{
    static const char *const texts[] = { "text", "", evil, "\xE2\x88\x82 \xF0\x9F\x98\x80" };

    (void)state;
    for (size_t k = 0; k < 4; k++) {
        char *page = page_of(texts[k][0] ? texts[k] : "title", texts[k]);
        assert_true(expect_xml(page) > 50);
        expect_no_part(page, "<script");
        expect_no_part(page, "<link");
        expect_no_part(page, "url(");
        expect_no_part(page, "@import");
        expect_part(page, "default-src 'none'");
        expect_part(page, "prefers-color-scheme:dark");
        expect_part(page, "@media print");
        /* The names of the two vocabularies, and no other address. */
        assert_int_equal(count_of(page, "://"), 1 + 2);
        assert_int_equal(count_of(page, "<img src="), 0); /* ours begin with their size */
        free(page);
    }
}

static void what_was_added_stands_in_its_place(void **state)
{
    char *page = page_of("A run", "w");

    (void)state;
    expect_part(page, "<title>A run</title>");
    expect_part(page, "<h1>A run</h1>");
    expect_part(page, "<nav><ul>\n<li><a href=\"#s1\">w</a></li>");
    expect_part(page, "<h2 id=\"s1\">w</h2>");
    expect_part(page, "<h3 id=\"s4\">w</h3>");
    expect_part(page, "<p>w and 7</p>");
    expect_part(page, "<tr><th scope=\"row\">b</th><td>0.50</td></tr>\n</tbody></table>");
    expect_part(page, "<pre>\nw</pre>");
    expect_part(page, "<details><summary>w</summary>\n<pre>\nw</pre></details>");
    expect_part(page, "<tr><td class=\"s\"></td><td>0.1</td><td>0</td></tr>");
    expect_part(page, "<tr><td class=\"s\">w</td><td>NaN</td><td>-1</td></tr>");
    expect_part(page, "<td>\xE2\x88\x92\xE2\x88\x9E</td>");
    expect_part(page, "<figcaption>w</figcaption>");
    assert_int_equal(count_of(page, "<div class=\"figures\">"), 1); /* neighbours share it */
    assert_int_equal(count_of(page, "<table class=\"pairs\">"), 1);
    assert_int_equal(count_of(page, "svg.deq{"), 1);
    free(page);
}

static void the_same_additions_give_the_same_bytes(void **state)
{
    char *one = page_of("t", "w"), *two = page_of("t", "w");

    (void)state;
    assert_string_equal(one, two);
    free(one);
    free(two);
}

static size_t decode_base64(unsigned char *to, const char *from)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = 0;
    uint32_t bits = 0;
    int have = 0;

    for (; *from != '"' && *from != '='; from++) {
        bits = bits << 6 | (uint32_t)(strchr(digits, *from) - digits);
        have += 6;
        if (have >= 8) to[n++] = (unsigned char)(bits >> (have -= 8));
    }
    while (*from == '=') from++;
    assert_int_equal(*from, '"');
    return n;
}

static void images_decode_to_what_went_in(void **state)
{
    static const png_uint_32 formats[] = { 0, PNG_FORMAT_GRAY, 0, PNG_FORMAT_RGB, PNG_FORMAT_RGBA };
    deq_context *ctx;

    (void)state;
    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    for (int channels = 1; channels <= 4; channels++)
        for (int width = 1; width <= 7; width += 3) {
            enum { HEIGHT = 5 };
            uint8_t pixels[4 * HEIGHT * 7], decoded[4 * HEIGHT * 7];
            unsigned char file[4096];
            deq_report *r;
            written w = { 0 };
            if (channels == 2) continue;
            const int plane = HEIGHT * width;
            for (int i = 0; i < channels * plane; i++) pixels[i] = (uint8_t)(37 * i + 11);
            assert_int_equal(deq_report_new(&r, ctx, "t"), DEQ_OK);
            deq_report_picture(r, &(deq_picture){ pixels, channels, HEIGHT, width, 0 }, "c");
            assert_int_equal(deq_report_write(r, keep_text, &w), DEQ_OK);
            deq_report_free(r);
            const char *data = strstr(w.data, "data:image/png;base64,");
            assert_non_null(data);
            const size_t size = decode_base64(file, data + 22);
            png_image image;
            memset(&image, 0, sizeof image);
            image.version = PNG_IMAGE_VERSION;
            assert_true(png_image_begin_read_from_memory(&image, file, size));
            assert_int_equal(image.width, width);
            assert_int_equal(image.height, HEIGHT);
            image.format = formats[channels];
            assert_true(png_image_finish_read(&image, NULL, decoded, 0, NULL));
            for (int k = 0; k < channels; k++)
                for (int i = 0; i < plane; i++)
                    assert_int_equal(decoded[i * channels + k], pixels[k * plane + i]);
            free(w.data);
        }
    deq_context_free(ctx);
}

/* What is wrong with a report, tried one after the other. */
static void mistake(deq_report *r, int which)
{
    static const deq_column column[] = { { "a", false }, { "b", false } };
    const uint8_t pixel = 0;

    switch (which) {
    case 0: deq_report_heading(r, 4, "x"); break;
    case 1: deq_report_cell(r, "x"); break;
    case 2: deq_report_table(r, NULL, column, 0, false); break;
    case 3:
        deq_report_table(r, NULL, column, 2, false);
        deq_report_cell(r, "x");
        deq_report_table_end(r);
        break;
    case 4:
        deq_report_table(r, NULL, column, 2, false);
        deq_report_paragraph(r, "x");
        break;
    case 5: deq_report_table(r, NULL, column, 2, false); break;
    case 6: deq_report_picture(r, &(deq_picture){ &pixel, 2, 1, 1, 0 }, NULL); break;
    case 7: deq_report_picture(r, &(deq_picture){ &pixel, 1, 0, 1, 0 }, NULL); break;
    case 8: deq_report_picture(r, &(deq_picture){ NULL, 1, 1, 1, 0 }, NULL); break;
    default: deq_report_table_end(r);
    }
}

static void mistakes_are_reported_when_a_page_is_written(void **state)
{
    static const struct {
        deq_status status;
        const char *text;
    } rows[] = {
        { DEQ_ERR_ARGUMENT, "level 4" },    { DEQ_ERR_STATE, "a cell outside" },
        { DEQ_ERR_ARGUMENT, "0 columns" },  { DEQ_ERR_STATE, "a row of 1 cells, expected 2" },
        { DEQ_ERR_STATE, "was not ended" }, { DEQ_ERR_STATE, "was not ended" },
        { DEQ_ERR_ARGUMENT, "2 channels" }, { DEQ_ERR_ARGUMENT, "0 x 1 pixels" },
        { DEQ_ERR_ARGUMENT, "an image" },   { DEQ_ERR_STATE, "outside of a table" },
    };
    deq_context *ctx;
    deq_report *r;
    deq_plot *plot;
    written w = { 0 };

    (void)state;
    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    for (int k = 0; k < 10; k++) {
        assert_int_equal(deq_report_new(&r, ctx, "t"), DEQ_OK);
        mistake(r, k);
        if (k != 5) { /* an open table may still be ended */
            deq_report_heading(r, 9, "later mistakes do not count");
        }
        for (int again = 0; again < 2; again++) {
            assert_int_equal(deq_report_write(r, keep_text, &w), rows[k].status);
            if (!strstr(deq_last_error(ctx), rows[k].text))
                fail_msg("'%s' is not in '%s'", rows[k].text, deq_last_error(ctx));
        }
        deq_report_free(r);
    }
    assert_null(w.data);

    assert_int_equal(deq_report_new(&r, ctx, "t"), DEQ_OK);
    assert_int_equal(deq_plot_new(&plot, ctx, NULL), DEQ_OK);
    deq_plot_add(plot, &(deq_series){ .struct_size = 1 });
    deq_report_plot(r, plot, NULL);
    deq_plot_free(plot);
    assert_int_equal(deq_report_write(r, keep_text, &w), DEQ_ERR_ARGUMENT);
    assert_non_null(strstr(deq_last_error(ctx), "series 1"));
    deq_report_free(r);

    assert_int_equal(deq_report_new(&r, ctx, ""), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_report_new(&r, ctx, NULL), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_report_new(&r, ctx, "t"), DEQ_OK);
    w.refuse_at = 100;
    assert_int_equal(deq_report_write(r, keep_text, &w), DEQ_ERR_IO);
    assert_int_equal(deq_report_save(r, "/nowhere/at/all.html"), DEQ_ERR_IO);
    deq_report_free(r);
    deq_report_free(NULL);
    deq_context_free(ctx);
}

static void a_page_may_be_written_added_to_and_written_again(void **state)
{
    deq_context *ctx;
    deq_report *r;
    char path[256];
    size_t size;

    (void)state;
    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    assert_int_equal(deq_report_new(&r, ctx, "t"), DEQ_OK);
    scratch_path(path, ".html");
    for (int k = 1; k <= 3; k++) {
        deq_report_pair(r, "a", "%d", k);
        assert_int_equal(deq_report_save(r, path), DEQ_OK);
        char *page = load_file(path, &size);
        page = realloc(page, size + 1);
        page[size] = '\0';
        (void)expect_xml(page);
        assert_int_equal(count_of(page, "<tr>"), k);
        free(page);
    }
    assert_int_equal(remove(path), 0);
    deq_report_free(r);
    deq_context_free(ctx);
}

static void every_allocation_may_fail(void **state)
{
    deq_status status = DEQ_ERR_NOMEM;

    (void)state;
    for (size_t n = 2; status == DEQ_ERR_NOMEM; n++) {
        test_memory m = { 0 };
        deq_context *ctx = test_memory_context(&m, 1);
        deq_report *r;
        written w = { 0 };
        m.fail_at = n;
        status = deq_report_new(&r, ctx, "t");
        if (r) {
            fill(r, ctx, "text");
            status = deq_report_write(r, keep_text, &w);
            /* The allocation that failed may have been the plot's, which the report never saw. */
            if (status == DEQ_OK && m.calls >= n && !strstr(w.data, "<svg")) status = DEQ_ERR_NOMEM;
            deq_report_free(r);
        }
        free(w.data);
        assert_true(status == DEQ_OK || status == DEQ_ERR_NOMEM);
        deq_context_free(ctx);
        assert_memory_clean(&m);
        assert_in_range(n, 2, 300);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_is_well_formed_and_needs_nothing_else),
        cmocka_unit_test(what_was_added_stands_in_its_place),
        cmocka_unit_test(the_same_additions_give_the_same_bytes),
        cmocka_unit_test(images_decode_to_what_went_in),
        cmocka_unit_test(mistakes_are_reported_when_a_page_is_written),
        cmocka_unit_test(a_page_may_be_written_added_to_and_written_again),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
