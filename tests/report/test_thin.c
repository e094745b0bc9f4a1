/* SPDX-License-Identifier: MIT */
/* Thinning keeps extremes, order and gaps. */
#include "support/test.h"

#include "report/thin.h"

#include <math.h>
#include <string.h>

enum { MANY = 20000 };

static deq_point *line(bool interval)
{
    deq_point *p = calloc(MANY, sizeof *p);

    assert_non_null(p);
    for (int i = 0; i < MANY; i++) {
        p[i] = (deq_point){ .x = i, .y = sin(0.37 * i) * cos(0.0021 * i), .index = (size_t)i };
        p[i].low = p[i].y - (interval ? 0.1 + 0.05 * sin(i) : 0);
        p[i].high = p[i].y + (interval ? 0.1 + 0.05 * cos(i) : 0);
        p[i].at_x = p[i].x / 30;
        p[i].at_y = 100 * p[i].y;
    }
    return p;
}

static void expect_rising_parts(const deq_point *p, size_t n, const deq_point *all)
{
    for (size_t i = 0; i < n; i++) {
        assert_true(p[i].index < MANY && (i == 0 || p[i].index > p[i - 1].index));
        assert_true(p[i].y == all[p[i].index].y && p[i].x == all[p[i].index].x);
    }
}

/* In every 1/75 of the paper: no strip is wider. */
static void lines_keep_the_extremes_of_every_strip(void **state)
{
    (void)state;
    for (int interval = 0; interval < 2; interval++) {
        deq_point *all = line(interval), *p = line(interval);
        const size_t most = 602, n = deq_thin_line(p, MANY, most);
        const size_t strips = interval ? 150 : 300, width = MANY / strips;

        assert_true(n <= most && n >= strips);
        expect_rising_parts(p, n, all);
        assert_int_equal(p[0].index, 0);
        assert_int_equal(p[n - 1].index, MANY - 1);
        /* The largest y (and high) of a strip and its neighbours is that of the points kept there. */
        for (size_t at = width; at + 2 * width < MANY; at += width) {
            double top = -9, kept = -9, high = -9, kept_high = -9;
            for (size_t i = at; i < at + width; i++) {
                top = fmax(top, all[i].y);
                high = fmax(high, all[i].high);
            }
            for (size_t i = 0; i < n; i++)
                if (p[i].index >= at - width && p[i].index < at + 2 * width) {
                    kept = fmax(kept, p[i].y);
                    kept_high = fmax(kept_high, p[i].high);
                }
            assert_true(kept >= top && (!interval || kept_high >= high));
        }
        free(all);
        free(p);
    }
}

static void a_single_peak_stays(void **state)
{
    (void)state;
    for (size_t where = 0; where < MANY; where += 997) {
        deq_point *p = calloc(MANY, sizeof *p);
        for (int i = 0; i < MANY; i++) p[i] = (deq_point){ .x = i, .at_x = i, .index = (size_t)i };
        p[where].y = p[where].high = 1;
        p[(where + 5000) % MANY].y = p[(where + 5000) % MANY].low = -1;
        const size_t n = deq_thin_line(p, MANY, 16);
        int peaks = 0, pits = 0;
        for (size_t i = 0; i < n; i++) {
            peaks += p[i].y == 1;
            pits += p[i].y == -1;
        }
        assert_true(n <= 16 && peaks == 1 && pits == 1);
        free(p);
    }
}

static void gaps_are_not_bridged(void **state)
{
    deq_point *p = line(false);
    int gaps = 0;

    (void)state;
    p[5003].gap = p[12345].gap = true;
    const size_t n = deq_thin_line(p, MANY, 100);
    for (size_t i = 0; i < n; i++) {
        const bool expected = i > 0 && ((p[i - 1].index < 5003 && p[i].index >= 5003) ||
                                        (p[i - 1].index < 12345 && p[i].index >= 12345));
        assert_int_equal(p[i].gap, expected);
        gaps += p[i].gap;
    }
    assert_int_equal(gaps, 2);
    free(p);
}

static void lines_whose_x_goes_back_are_thinned_by_position(void **state)
{
    deq_point *p = line(false), *all = line(false);

    (void)state;
    for (int i = 0; i < MANY; i++) p[i].at_x = p[i].x = all[i].x = cos(i);
    const size_t n = deq_thin_line(p, MANY, 200);
    assert_true(n <= 200 && n > 100);
    expect_rising_parts(p, n, all);
    free(p);
    free(all);
}

static void clouds_keep_their_ends_and_few_enough(void **state)
{
    deq_context *ctx;

    (void)state;
    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    for (size_t most = 16; most <= 4096; most *= 4) {
        deq_point *p = calloc(MANY, sizeof *p);
        double x[2] = { 9, -9 }, y[2] = { 9, -9 };
        size_t n;
        for (int i = 0; i < MANY; i++) {
            p[i] = (deq_point){ .x = sin(i), .y = cos(1.7 * i), .index = (size_t)i };
            p[i].at_x = 300 * (p[i].x + 1);
            p[i].at_y = 200 * (1 - p[i].y);
            x[0] = fmin(x[0], p[i].x);
            x[1] = fmax(x[1], p[i].x);
            y[0] = fmin(y[0], p[i].y);
            y[1] = fmax(y[1], p[i].y);
        }
        assert_int_equal(deq_thin_cloud(&n, ctx, p, MANY, most), DEQ_OK);
        assert_true(n <= most && n >= most / 4);
        int ends = 0;
        for (size_t i = 0; i < n; i++) {
            ends += (p[i].x == x[0]) + (p[i].x == x[1]) + (p[i].y == y[0]) + (p[i].y == y[1]);
            assert_true(p[i].x == sin((int)p[i].index));
        }
        assert_int_equal(ends, 4);
        free(p);
    }
    deq_context_free(ctx);
}

static void points_in_one_place_stay_one(void **state)
{
    deq_context *ctx;
    deq_point p[100] = { { 0 } };
    size_t n;

    (void)state;
    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    assert_int_equal(deq_thin_cloud(&n, ctx, p, 100, 16), DEQ_OK);
    assert_int_equal(n, 1);
    assert_true(deq_thin_line(p, 100, 16) <= 16);
    assert_int_equal(deq_thin_line(p, 3, 16), 3);
    deq_context_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_keep_the_extremes_of_every_strip),
        cmocka_unit_test(a_single_peak_stays),
        cmocka_unit_test(gaps_are_not_bridged),
        cmocka_unit_test(lines_whose_x_goes_back_are_thinned_by_position),
        cmocka_unit_test(clouds_keep_their_ends_and_few_enough),
        cmocka_unit_test(points_in_one_place_stay_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
