/* SPDX-License-Identifier: MIT */
/* Reliability diagrams, by hand. */
#include "xml.h"

#include <deq/report.h>

#include <math.h>

static void predictions_on_borders_belong_to_the_bin_above(void **state)
{
    (void)state;
    for (size_t n_bins = 1; n_bins <= 100; n_bins++) {
        deq_reliability_bin bins[100];
        double confidence[101];
        bool correct[101] = { false };
        for (size_t i = 0; i <= n_bins; i++) confidence[i] = (double)i / (double)n_bins;
        assert_int_equal(deq_reliability_sort(bins, n_bins, confidence, correct, n_bins + 1, 0), 0);
        for (size_t b = 0; b < n_bins; b++)
            assert_int_equal(bins[b].count, b + 1 < n_bins ? 1 : 2); /* 1 is in the last */
        /* The number just below a border stays below, although its product may round up. */
        for (size_t i = 1; i <= n_bins; i++) confidence[i] = nextafter(confidence[i], 0);
        assert_int_equal(deq_reliability_sort(bins, n_bins, confidence + 1, correct, n_bins, 0), 0);
        for (size_t b = 0; b < n_bins; b++) assert_int_equal(bins[b].count, 1);
    }
}

/* Wilson's interval of 8 right of 10 at z = 1.96: 0.490 to 0.943 (Wilson, JASA 1927). */
static void bins_have_means_and_intervals(void **state)
{
    deq_reliability_bin bins[2];
    double confidence[13];
    bool correct[13];

    (void)state;
    for (int i = 0; i < 10; i++) {
        confidence[i] = 0.5 + 0.05 * i;
        correct[i] = i >= 2;
    }
    confidence[10] = 0.25;
    correct[10] = true;
    confidence[11] = NAN;
    confidence[12] = 1.5;
    correct[11] = correct[12] = true;
    assert_int_equal(deq_reliability_sort(bins, 2, confidence, correct, 13, 1.96), 2);
    assert_int_equal(bins[0].count, 1);
    assert_int_equal(bins[1].count, 10);
    assert_true(bins[0].low == 0 && bins[0].high == 0.5 && bins[1].high == 1);
    assert_true(fabs(bins[1].confidence - 0.725) < 1e-12 && bins[1].accuracy == 0.8);
    assert_true(fabs(bins[1].accuracy_low - 0.4902) < 5e-5);
    assert_true(fabs(bins[1].accuracy_high - 0.9433) < 5e-5);
    assert_true(bins[0].accuracy == 1 && bins[0].accuracy_high == 1);
    /* (1 |1 - 0.25| + 10 |0.8 - 0.725|) / 11 */
    assert_true(fabs(deq_reliability_error(bins, 2) - 1.5 / 11) < 1e-12);
    assert_true(deq_reliability_error(bins, 0) == 0);
}

static void a_diagram_shows_bins_gaps_counts_and_the_error(void **state)
{
    const deq_reliability_bin bins[] = { { 0, 0.25, 0, 0, 0, 0, 0 },
                                         { 0.25, 0.5, 20, 0.4, 0.5, 0.3, 0.7 },
                                         { 0.5, 1, 60, 0.8, 0.7, 0.6, 0.8 } };
    const deq_reliability_options o = { .struct_size = sizeof o,
                                        .title = "<Calibration>",
                                        .x_label = "believed",
                                        .y_label = "achieved" };
    deq_context *ctx;
    deq_plot *plot;
    written w = { 0 };

    (void)state;
    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    assert_int_equal(deq_plot_reliability(&plot, ctx, bins, 3, &o), DEQ_OK);
    assert_int_equal(deq_plot_write_svg(plot, keep_text, &w), DEQ_OK);
    (void)expect_xml(w.data);
    expect_part(w.data, "&lt;Calibration&gt;");
    expect_part(w.data, "believed 0.4, achieved 0.5 (0.3 to 0.7), 20 predictions");
    expect_part(w.data, "expected calibration error 0.1, 80 predictions");
    assert_int_equal(count_of(w.data, "class=\"e\""), 2);
    assert_int_equal(count_of(w.data, "class=\"m\""), 2);
    assert_int_equal(count_of(w.data, "<title>60</title>"), 1);
    free(w.data);
    deq_plot_free(plot);
    deq_context_free(ctx);
}

static void bad_bins_are_refused(void **state)
{
    static const deq_reliability_bin bad[] = {
        { 0.5, 0.5, 0, 0, 0, 0, 0 },
        { 1, 0, 0, 0, 0, 0, 0 },
        { NAN, 1, 0, 0, 0, 0, 0 },
        { 0, 1, -1, 0, 0, 0, 0 },
        { 0, 1, 1, 0.5, 1.5, 0, 0 },
        { 0, 1, 1, 0.5, NAN, 0, 0 },
        { 0, 1, 1, INFINITY, 0.5, 0, 0 },
        { 0, 1, 1, 0.5, 0.5, -1, 1 },
        { -INFINITY, INFINITY, 0, 0, 0, 0, 0 },
    };
    const deq_reliability_bin twice[] = { { 0, 0.6, 0, 0, 0, 0, 0 }, { 0.5, 1, 0, 0, 0, 0, 0 } };
    deq_context *ctx;
    deq_plot *plot;

    (void)state;
    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        assert_int_equal(deq_plot_reliability(&plot, ctx, &bad[k], 1, NULL), DEQ_ERR_ARGUMENT);
        assert_null(plot);
        assert_non_null(strstr(deq_last_error(ctx), "bin 0"));
    }
    assert_int_equal(deq_plot_reliability(&plot, ctx, twice, 2, NULL), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_plot_reliability(&plot, ctx, NULL, 0, NULL), DEQ_ERR_ARGUMENT);
    const deq_reliability_options o = { .struct_size = 1 };
    assert_int_equal(deq_plot_reliability(&plot, ctx, twice, 1, &o), DEQ_ERR_ARGUMENT);
    deq_context_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(predictions_on_borders_belong_to_the_bin_above),
        cmocka_unit_test(bins_have_means_and_intervals),
        cmocka_unit_test(a_diagram_shows_bins_gaps_counts_and_the_error),
        cmocka_unit_test(bad_bins_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
