/* SPDX-License-Identifier: MIT */
/* Ticks and the reach of axes. */
#include "support/test.h"

#include "report/axis.h"

#include <float.h>
#include <math.h>
#include <string.h>

static void labels_are_those_that_a_person_would_write(void **state)
{
    static const struct {
        deq_range r;
        deq_scale scale;
        int about;
        const char *labels; /* with commas */
    } rows[] = {
        { { 0, 1 }, DEQ_SCALE_LINEAR, 5, "0,0.2,0.4,0.6,0.8,1.0" },
        { { 0, 10 }, DEQ_SCALE_LINEAR, 5, "0,2,4,6,8,10" },
        { { 0.3, 9.7 }, DEQ_SCALE_LINEAR, 5, "2,4,6,8" },
        { { -1, 1 },
          DEQ_SCALE_LINEAR,
          4,
          "\xE2\x88\x92"
          "1.0,\xE2\x88\x92"
          "0.5,0,0.5,1.0" },
        { { 0, 0.3 }, DEQ_SCALE_LINEAR, 3, "0,0.1,0.2,0.3" },
        { { 0, 50000 }, DEQ_SCALE_LINEAR, 5, "0,10000,20000,30000,40000,50000" },
        { { 0, 2e9 },
          DEQ_SCALE_LINEAR,
          2,
          "0,1\xC3\x97"
          "10\xE2\x81\xB9,2\xC3\x97"
          "10\xE2\x81\xB9" },
        { { 0, 3e-9 },
          DEQ_SCALE_LINEAR,
          3,
          "0,1\xC3\x97"
          "10\xE2\x81\xBB\xE2\x81\xB9,2\xC3\x97"
          "10\xE2\x81\xBB\xE2\x81\xB9,3\xC3\x97"
          "10\xE2\x81\xBB\xE2\x81\xB9" },
        { { 0.001, 10 }, DEQ_SCALE_LOG, 5, "0.001,0.01,0.1,1,10" },
        { { 1, 100 }, DEQ_SCALE_LOG, 6, "1,2,5,10,20,50,100" },
        { { 5, 320 }, DEQ_SCALE_LOG, 6, "5,10,20,50,100,200" },
        { { 1e-12, 1 },
          DEQ_SCALE_LOG,
          4,
          "10\xE2\x81\xBB\xC2\xB9\xC2\xB2,10\xE2\x81\xBB\xE2\x81\xB9,10\xE2\x81\xBB\xE2\x81\xB6,0.001,"
          "1" },
        { { 21, 29 }, DEQ_SCALE_LOG, 4, "22,24,26,28" },
    };

    (void)state;
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        deq_ticks t;
        char all[DEQ_MOST_TICKS * (DEQ_TICK_BYTES + 1)] = "";
        deq_ticks_make(&t, rows[k].r, rows[k].scale, rows[k].about);
        for (int i = 0; i < t.count; i++) {
            if (i) strcat(all, ",");
            strcat(all, t.label[i]);
        }
        if (strcmp(all, rows[k].labels) != 0)
            fail_msg("row %zu: '%s', expected '%s'", k, all, rows[k].labels);
    }
}

/* What every axis needs, over twelve orders of the span and thirty of the place. */
static void ticks_lie_within_rise_and_are_neither_few_nor_many(void **state)
{
    (void)state;
    for (int scale = DEQ_SCALE_LINEAR; scale <= DEQ_SCALE_LOG; scale++)
        for (int place = -15; place <= 15; place++)
            for (int span = -11; span <= 2; span++)
                for (int about = 2; about <= 12; about += 5) {
                    const double low = 1.37 * pow(10, place);
                    deq_range r = { low, low * (1 + 2.9 * pow(10, span)) };
                    deq_ticks t;
                    deq_ticks_make(&t, r, (deq_scale)scale, about);
                    if (t.count < 1 || t.count > 3 * about)
                        fail_msg("%d ticks, about %d, from %g to %g", t.count, about, r.low,
                                 r.high);
                    for (int i = 0; i < t.count; i++) {
                        const double error = 1e-5 * (r.high - r.low);
                        assert_true(t.at[i] >= r.low - error && t.at[i] <= r.high + error);
                        assert_true(i == 0 || t.at[i] > t.at[i - 1]);
                        assert_true(strlen(t.label[i]) > 0);
                    }
                }
}

static void ranges_become_usable_whatever_they_are(void **state)
{
    static const deq_range rows[] = { { INFINITY, -INFINITY },
                                      { 0, 0 },
                                      { 5, 5 },
                                      { -3, -3 },
                                      { 1e300, 1e300 },
                                      { -1e300, 1e300 },
                                      { 1, 1 + DBL_EPSILON },
                                      { 1e-270, 1e-270 },
                                      { 1e-320, 2e-320 },
                                      { -0x1p-1074, 0x1p-1074 } };

    (void)state;
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
        for (int scale = DEQ_SCALE_LINEAR; scale <= DEQ_SCALE_LOG; scale++) {
            if (scale == DEQ_SCALE_LOG && rows[k].low < 1e-280) continue;
            deq_range r = deq_range_usable(rows[k], (deq_scale)scale);
            assert_true(isfinite(r.low) && isfinite(r.high) && r.low < r.high);
            assert_true(rows[k].low > rows[k].high ||
                        (r.low <= rows[k].low && r.high >= rows[k].high));
            r = deq_range_padded(r, (deq_scale)scale, 0.02);
            assert_true(isfinite(r.high - r.low) && r.low < r.high);
            const deq_range wide = deq_range_rounded(r, (deq_scale)scale, 5);
            if (!(wide.low < wide.high)) fail_msg("row %zu: %g to %g", k, wide.low, wide.high);
            deq_ticks t;
            deq_ticks_make(&t, wide, (deq_scale)scale, 5);
            assert_in_range(t.count, 0, DEQ_MOST_TICKS);
        }
}

static void rounded_ranges_end_at_ticks_and_hold_the_data(void **state)
{
    static const struct {
        deq_range r, rounded;
        deq_scale scale;
    } rows[] = {
        { { 0.03, 0.97 }, { 0, 1 }, DEQ_SCALE_LINEAR },
        { { 0, 1 }, { 0, 1 }, DEQ_SCALE_LINEAR },
        { { -17, 31 }, { -20, 40 }, DEQ_SCALE_LINEAR },
        { { 0.03, 7 }, { 0.02, 10 }, DEQ_SCALE_LOG },
        { { 1, 1000 }, { 1, 1000 }, DEQ_SCALE_LOG },
        { { 2.5, 3.5 }, { 2, 5 }, DEQ_SCALE_LOG },
    };

    (void)state;
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        const deq_range r = deq_range_rounded(rows[k].r, rows[k].scale, 5);
        if (!(fabs(r.low - rows[k].rounded.low) < 1e-12) ||
            !(fabs(r.high - rows[k].rounded.high) < 1e-9))
            fail_msg("row %zu: %.17g to %.17g", k, r.low, r.high);
    }
}

static void places_are_even_in_numbers_or_in_logarithms(void **state)
{
    const deq_map even = { DEQ_SCALE_LINEAR, 10, 20, 0, 100 },
                  log = { DEQ_SCALE_LOG, 1, 100, 200, 0 };

    (void)state;
    assert_true(deq_map_place(&even, 10) == 0 && deq_map_place(&even, 12.5) == 25);
    assert_true(deq_map_place(&log, 1) == 200 && fabs(deq_map_place(&log, 10) - 100) < 1e-12);
    assert_true(deq_axis_shows(DEQ_SCALE_LINEAR, 0) && !deq_axis_shows(DEQ_SCALE_LOG, 0));
    assert_true(!deq_axis_shows(DEQ_SCALE_LINEAR, NAN) && !deq_axis_shows(DEQ_SCALE_LOG, INFINITY));
    assert_true(!deq_axis_shows(DEQ_SCALE_LINEAR, -1e301) &&
                !deq_axis_shows(DEQ_SCALE_LOG, 1e-310));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_are_those_that_a_person_would_write),
        cmocka_unit_test(ticks_lie_within_rise_and_are_neither_few_nor_many),
        cmocka_unit_test(ranges_become_usable_whatever_they_are),
        cmocka_unit_test(rounded_ranges_end_at_ticks_and_hold_the_data),
        cmocka_unit_test(places_are_even_in_numbers_or_in_logarithms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
