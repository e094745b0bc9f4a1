/* SPDX-License-Identifier: MIT */
/* Plots: what is drawn, what is left out and said, and that any input gives well-formed SVG. */
#include "support/bytes.h"
#include "support/memory.h"
#include "xml.h"

#include <deq/report.h>

#include <float.h>
#include <math.h>

static deq_context *ctx;

static int begin(void **state)
{
    (void)state;
    return deq_context_new(&ctx, NULL) != DEQ_OK;
}

static int end(void **state)
{
    (void)state;
    deq_context_free(ctx);
    return 0;
}

static deq_plot *new_plot(const deq_plot_options *o)
{
    deq_plot *plot;

    assert_int_equal(deq_plot_new(&plot, ctx, o), DEQ_OK);
    return plot;
}

/* The SVG of a plot, which is freed. */
static char *svg_of(deq_plot *plot)
{
    written w = { 0 };

    assert_int_equal(deq_plot_write_svg(plot, keep_text, &w), DEQ_OK);
    (void)expect_xml(w.data);
    expect_no_part(w.data, "nan");
    expect_no_part(w.data, "inf");
    deq_plot_free(plot);
    return w.data;
}

static void a_plot_shows_its_points_names_and_numbers(void **state)
{
    const double x[] = { 0, 50, 100 }, y[] = { 1, 3, 2 };
    deq_plot *plot = new_plot(
        DEQ_PLOT(.title = "A title", .x = { .label = "step" },
                 .y = { .label = "loss", .fixed = true, .low = 0, .high = 4 }));

    (void)state;
    deq_plot_add(plot, DEQ_SERIES(.name = "first", .count = 3, .x = x, .y = y));
    deq_plot_add(plot, DEQ_SERIES(.name = "second", .mark = DEQ_MARK_SCATTER, .count = 2, .y = y));
    char *svg = svg_of(plot);
    expect_part(svg, ">A title</text>");
    expect_part(svg, ">step</text>");
    expect_part(svg, ">loss</text>");
    expect_part(svg, ">first</text>");
    expect_part(svg, "<title>first: 50, 3</title>");
    expect_part(svg, "<title>second: 1, 3</title>");
    expect_part(svg, "class=\"k1\"");
    expect_part(svg, "class=\"k2\"");
    expect_part(svg, ">100</text>");
    expect_no_part(svg, "left out");
    assert_int_equal(count_of(svg, "<circle"), 3);
    free(svg);
}

static void numbers_that_an_axis_cannot_show_are_left_out_and_said(void **state)
{
    const double y[] = { 1, NAN, 2, INFINITY, 0, -3, 5, 1e301 };

    (void)state;
    for (int log = 0; log < 2; log++) {
        deq_plot *plot = new_plot(
            DEQ_PLOT(.y = { .scale = log ? DEQ_SCALE_LOG : DEQ_SCALE_LINEAR }));
        deq_plot_add(plot, DEQ_SERIES(.count = 8, .y = y));
        char *svg = svg_of(plot);
        assert_int_equal(count_of(svg, "<circle"), log ? 3 : 5);
        expect_part(svg, "3 points are not finite and left out");
        if (log)
            expect_part(svg, "2 points are not above zero and left out of a logarithmic axis");
        else
            expect_no_part(svg, "logarithmic");
        free(svg);
    }
}

static void lines_break_where_a_number_is_missing(void **state)
{
    const double y[] = { 1, 2, NAN, 3, NAN, 1, 2 };
    deq_plot *plot = new_plot(NULL);

    (void)state;
    deq_plot_add(plot, DEQ_SERIES(.count = 7, .y = y));
    char *svg = svg_of(plot), *path = strstr(svg, "class=\"l\"");
    assert_non_null(path);
    *strstr(path, "/>") = '\0';
    assert_int_equal(count_of(path, "M"), 3);
    assert_int_equal(count_of(path, "L"), 2);
    assert_int_equal(count_of(path, "h0"), 1); /* a lonely point is a dot */
    free(svg);
}

static void any_data_give_a_plot(void **state)
{
    static const struct {
        const char *name;
        size_t count;
        double y[4];
    } rows[] = {
        { "empty", 0, { 0 } },
        { "one", 1, { 3 } },
        { "one zero", 1, { 0 } },
        { "only NaN", 2, { NAN, NAN } },
        { "constant", 3, { -2, -2, -2 } },
        { "huge", 2, { -1e300, 1e300 } },
        { "beyond", 2, { -DBL_MAX, DBL_MAX } },
        { "tiny", 2, { 1e-310, 5e-324 } },
        { "close", 2, { 1, 1 + DBL_EPSILON } },
        { "mixed", 4, { INFINITY, -INFINITY, NAN, 0 } },
        { "wide", 3, { 1e-200, 1, 1e200 } },
    };

    (void)state;
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
        for (int mark = DEQ_MARK_LINE; mark <= DEQ_MARK_BAR; mark++)
            for (int scales = 0; scales < 4; scales++) {
                deq_plot *plot = new_plot(
                    DEQ_PLOT(.x = { .scale = scales & 1 ? DEQ_SCALE_LOG : DEQ_SCALE_LINEAR },
                             .y = { .scale = scales & 2 ? DEQ_SCALE_LOG : DEQ_SCALE_LINEAR }));
                deq_plot_add(plot, DEQ_SERIES(.name = rows[k].name, .mark = (deq_mark)mark,
                                              .count = rows[k].count, .x = rows[k].y,
                                              .y = rows[k].y, .low = rows[k].y, .high = rows[k].y));
                deq_plot_guide(plot, DEQ_GUIDE_DIAGONAL, 0, NULL);
                deq_plot_guide(plot, DEQ_GUIDE_X, rows[k].y[0], "x");
                deq_plot_guide(plot, DEQ_GUIDE_Y, NAN, "y");
                char *svg = svg_of(plot);
                if (rows[k].count == 0) expect_part(svg, ">no data</text>");
                free(svg);
            }
}

static void many_points_are_thinned_and_the_plot_says_so(void **state)
{
    enum { MANY = 100000 };
    double *y = malloc(MANY * sizeof *y);

    (void)state;
    for (int i = 0; i < MANY; i++) y[i] = sin(i);
    y[54321] = 17.25;
    y[6789] = -8.125;
    for (int mark = DEQ_MARK_LINE; mark <= DEQ_MARK_BAR; mark++) {
        deq_plot *plot = new_plot(DEQ_PLOT(.most_points = 400));
        deq_plot_add(plot, DEQ_SERIES(.mark = (deq_mark)mark, .count = MANY, .y = y));
        char *svg = svg_of(plot);
        expect_part(svg, "of 100000 points are drawn; no extreme is lost");
        expect_part(svg, "<title>54321, 17.25</title>");
        expect_part(svg, "<title>6789, -8.125</title>");
        assert_in_range(count_of(svg, "<title>"), 16, 400);
        free(svg);
    }
    free(y);
}

static void bars_stand_at_zero_side_by_side_with_categories(void **state)
{
    const char *const names[] = { "a", "<b>", "c", "d" };
    const double one[] = { 1, -2, 3, 4 }, two[] = { 4, 3, 2, 1 }, low[] = { 3, 2, 1, 0.5 },
                 high[] = { 5, 4, 3, 2 };
    deq_plot *plot = new_plot(DEQ_PLOT(.categories = names, .n_categories = 4));

    (void)state;
    deq_plot_add(plot, DEQ_SERIES(.name = "one", .mark = DEQ_MARK_BAR, .count = 4, .y = one));
    deq_plot_add(plot, DEQ_SERIES(.name = "two", .mark = DEQ_MARK_BAR, .count = 4, .y = two,
                                  .low = low, .high = high));
    char *svg = svg_of(plot);
    assert_int_equal(count_of(svg, "<rect class=\"r\" x="), 8);
    expect_part(svg, "<title>one: &lt;b&gt;, -2</title>");
    expect_part(svg, "<title>two: a, 4 (3 to 5)</title>");
    expect_part(svg, ">0</text>");
    expect_no_part(svg, "rotate(-38)");
    free(svg);
}

static void categories_that_would_touch_are_tilted(void **state)
{
    enum { MANY = 200 };
    const char *names[MANY];
    double y[MANY];

    (void)state;
    for (int i = 0; i < MANY; i++) {
        names[i] = "a rather long name of a worker, too long for anything";
        y[i] = i;
    }
    deq_plot *plot = new_plot(DEQ_PLOT(.categories = names, .n_categories = MANY));
    deq_plot_add(plot, DEQ_SERIES(.mark = DEQ_MARK_BAR, .count = MANY, .y = y));
    char *svg = svg_of(plot);
    assert_in_range(count_of(svg, "rotate(-38)"), 10, 60);
    expect_part(svg, "\xE2\x80\xA6</text>");
    free(svg);
}

static void hostile_texts_stay_texts(void **state)
{
    static const char evil[] = "</text></svg><script>alert(1)</script>\"'&]]>\x01\xFF\xED\xA0\x80";
    const char *const evils[] = { evil, NULL };
    const double y[] = { 1, 2 };
    deq_plot *plot = new_plot(DEQ_PLOT(.title = evil, .x = { .label = evil },
                                       .y = { .label = evil }, .categories = evils,
                                       .n_categories = 2));

    (void)state;
    deq_plot_add(plot, DEQ_SERIES(.name = evil, .mark = DEQ_MARK_LINE_POINTS, .count = 2, .y = y,
                                  .titles = evils));
    deq_plot_guide(plot, DEQ_GUIDE_Y, 1.5, evil);
    char *svg = svg_of(plot);
    expect_no_part(svg, "<script");
    assert_int_equal(count_of(svg, "</svg>"), 2); /* the field and the paper */
    free(svg);
}

static void guides_stretch_axes_and_carry_labels(void **state)
{
    const double y[] = { 1, 2 };
    deq_plot *plot = new_plot(NULL);

    (void)state;
    deq_plot_add(plot, DEQ_SERIES(.count = 2, .y = y));
    deq_plot_guide(plot, DEQ_GUIDE_X, 30, "trained with 30");
    deq_plot_guide(plot, DEQ_GUIDE_Y, 9, "chance");
    deq_plot_guide(plot, DEQ_GUIDE_DIAGONAL, 0, NULL);
    char *svg = svg_of(plot);
    expect_part(svg, ">trained with 30</text>");
    expect_part(svg, ">chance</text>");
    expect_part(svg, ">30</text>");
    expect_part(svg, ">10</text>");
    assert_int_equal(count_of(svg, "class=\"u\""), 3);
    free(svg);
}

static void data_are_copied_and_bytes_are_the_same(void **state)
{
    char name[] = "name", title[] = "title";
    double x[] = { 1, 2, 3 }, y[] = { 4, 5, 6 };
    char *svg[2];

    (void)state;
    for (int k = 0; k < 2; k++) {
        deq_plot *plot = new_plot(DEQ_PLOT(.title = title));
        deq_plot_add(plot, DEQ_SERIES(.name = name, .count = 3, .x = x, .y = y));
        if (k == 1) {
            memset(name, 'x', 4);
            memset(title, 'x', 5);
            memset(x, 0, sizeof x);
            memset(y, 0, sizeof y);
        }
        svg[k] = svg_of(plot);
    }
    assert_string_equal(svg[0], svg[1]);
    free(svg[0]);
    free(svg[1]);
}

static void mistakes_are_reported_when_a_plot_is_written(void **state)
{
    const double y[] = { 1 };
    const deq_series bad[] = {
        { .struct_size = 1 },
        { .struct_size = sizeof *bad, .mark = (deq_mark)9 },
        { .struct_size = sizeof *bad, .color = 9 },
        { .struct_size = sizeof *bad, .count = 1 },
        { .struct_size = sizeof *bad, .count = 1, .y = y, .low = y },
    };
    static const char *const text[] = { "struct_size", "mark", "color", "no y", "one end" };
    const deq_plot_options *const options[] = {
        &(deq_plot_options){ .struct_size = 3 },
        DEQ_PLOT(.width = 100),
        DEQ_PLOT(.height = 4001),
        DEQ_PLOT(.most_points = 5),
        DEQ_PLOT(.n_categories = 2),
        DEQ_PLOT(.x = { .fixed = true, .low = 1, .high = 1 }),
        DEQ_PLOT(.y = { .fixed = true, .high = 1, .scale = DEQ_SCALE_LOG }),
        DEQ_PLOT(.y = { .scale = (deq_scale)7 }),
    };
    written w = { 0 };
    deq_plot *plot;

    (void)state;
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        plot = new_plot(NULL);
        deq_plot_add(plot, &bad[k]);
        deq_plot_add(plot, &bad[0]); /* the first one counts */
        assert_int_equal(deq_plot_write_svg(plot, keep_text, &w), DEQ_ERR_ARGUMENT);
        if (!strstr(deq_last_error(ctx), text[k]))
            fail_msg("'%s' is not in '%s'", text[k], deq_last_error(ctx));
        deq_plot_free(plot);
    }
    for (size_t k = 0; k < sizeof options / sizeof *options; k++) {
        assert_int_equal(deq_plot_new(&plot, ctx, options[k]), DEQ_ERR_ARGUMENT);
        assert_null(plot);
    }
    plot = new_plot(NULL);
    deq_plot_guide(plot, (deq_guide)5, 0, NULL);
    assert_int_equal(deq_plot_write_svg(plot, keep_text, &w), DEQ_ERR_ARGUMENT);
    deq_plot_free(plot);
    assert_null(w.data);
    w.refuse_at = 10;
    plot = new_plot(NULL);
    assert_int_equal(deq_plot_write_svg(plot, keep_text, &w), DEQ_ERR_IO);
    deq_plot_free(plot);
    deq_plot_free(NULL);
}

static void files_are_replaced_whole(void **state)
{
    char path[256];
    size_t size;

    (void)state;
    scratch_path(path, ".svg");
    deq_plot *plot = new_plot(NULL);
    assert_int_equal(deq_plot_save_svg(plot, path), DEQ_OK);
    char *text = load_file(path, &size);
    assert_true(size > 1000 && memcmp(text, "<?xml", 5) == 0);
    free(text);
    assert_int_equal(remove(path), 0);
    assert_int_equal(deq_plot_save_svg(plot, "/nowhere/at/all.svg"), DEQ_ERR_IO);
    deq_plot_free(plot);
}

static void every_allocation_may_fail(void **state)
{
    const double y[] = { 1, 2, 3 };
    const char *const names[] = { "a", "b", "c" };
    deq_status status = DEQ_ERR_NOMEM;

    (void)state;
    for (size_t n = 2; status == DEQ_ERR_NOMEM; n++) {
        test_memory m = { 0 };
        deq_context *own = test_memory_context(&m, 1);
        deq_plot *plot;
        written w = { 0 };
        m.fail_at = n;
        status = deq_plot_new(&plot, own,
                              DEQ_PLOT(.title = "t", .categories = names, .n_categories = 3));
        if (plot) {
            deq_plot_add(plot, DEQ_SERIES(.name = "s", .count = 3, .y = y, .titles = names));
            deq_plot_guide(plot, DEQ_GUIDE_Y, 1, "g");
            status = deq_plot_write_svg(plot, keep_text, &w);
            deq_plot_free(plot);
        }
        free(w.data);
        assert_true(status == DEQ_OK || status == DEQ_ERR_NOMEM);
        deq_context_free(own);
        assert_memory_clean(&m);
        assert_in_range(n, 2, 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plot_shows_its_points_names_and_numbers),
        cmocka_unit_test(numbers_that_an_axis_cannot_show_are_left_out_and_said),
        cmocka_unit_test(lines_break_where_a_number_is_missing),
        cmocka_unit_test(any_data_give_a_plot),
        cmocka_unit_test(many_points_are_thinned_and_the_plot_says_so),
        cmocka_unit_test(bars_stand_at_zero_side_by_side_with_categories),
        cmocka_unit_test(categories_that_would_touch_are_tilted),
        cmocka_unit_test(hostile_texts_stay_texts),
        cmocka_unit_test(guides_stretch_axes_and_carry_labels),
        cmocka_unit_test(data_are_copied_and_bytes_are_the_same),
        cmocka_unit_test(mistakes_are_reported_when_a_plot_is_written),
        cmocka_unit_test(files_are_replaced_whole),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
