/* SPDX-License-Identifier: MIT */
/* Schedules at their borders, by hand. */
#include "support/test.h"

#include <deq/optim.h>

#include <math.h>
#include <string.h>

static const int64_t milestones[] = { 60, 100 };

static deq_schedule schedule(deq_schedule_law law, int64_t warmup)
{
    deq_schedule s = deq_schedule_defaults();

    s.law = law;
    s.rate = 2;
    s.warmup = warmup;
    s.total = 110;
    s.final = 0.25;
    s.milestones = milestones;
    s.n_milestones = 2;
    return s;
}

static void rates_at_borders_are_those_of_the_laws(void **state)
{
    static const struct {
        deq_schedule_law law;
        int64_t warmup, step;
        double rate;
    } rows[] = {
        { DEQ_SCHEDULE_CONSTANT, 0, 0, 2 },
        { DEQ_SCHEDULE_CONSTANT, 0, 1000000, 2 },
        { DEQ_SCHEDULE_CONSTANT, 0, -3, 2 },
        { DEQ_SCHEDULE_CONSTANT, 1, 0, 2 },
        { DEQ_SCHEDULE_CONSTANT, 10, 0, 0.2 }, /* rate / warmup */
        { DEQ_SCHEDULE_CONSTANT, 10, 4, 1 },
        { DEQ_SCHEDULE_CONSTANT, 10, 9, 2 },
        { DEQ_SCHEDULE_CONSTANT, 10, 10, 2 },
        { DEQ_SCHEDULE_STEP, 0, 59, 2 },
        { DEQ_SCHEDULE_STEP, 0, 60, 0.2 },
        { DEQ_SCHEDULE_STEP, 0, 99, 0.2 },
        { DEQ_SCHEDULE_STEP, 0, 100, 0.02 },
        { DEQ_SCHEDULE_STEP, 10, 9, 2 },
        { DEQ_SCHEDULE_STEP, 10, 1 << 30, 0.02 },
        { DEQ_SCHEDULE_COSINE, 10, 9, 2 },
        { DEQ_SCHEDULE_COSINE, 10, 10, 2 },
        { DEQ_SCHEDULE_COSINE, 10, 60, 1.25 }, /* half way between 2 and 0.5 */
        { DEQ_SCHEDULE_COSINE, 10, 110, 0.5 },
        { DEQ_SCHEDULE_COSINE, 10, INT64_MAX, 0.5 },
        { DEQ_SCHEDULE_COSINE, 0, 0, 2 },
        { DEQ_SCHEDULE_INVERSE_SQRT, 0, 0, 2 },
        { DEQ_SCHEDULE_INVERSE_SQRT, 0, 1, 2 },
        { DEQ_SCHEDULE_INVERSE_SQRT, 0, 4, 1 },
        { DEQ_SCHEDULE_INVERSE_SQRT, 25, 24, 2 },
        { DEQ_SCHEDULE_INVERSE_SQRT, 25, 25, 2 },
        { DEQ_SCHEDULE_INVERSE_SQRT, 25, 100, 1 },
    };

    (void)state;
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        const deq_schedule s = schedule(rows[k].law, rows[k].warmup);
        const double rate = deq_schedule_rate(&s, rows[k].step);
        if (!(fabs(rate - rows[k].rate) <= 1e-15 * rows[k].rate * 4))
            fail_msg("%s, warm-up %d, step %lld: %.17g, expected %.17g", deq_schedule_name(s.law),
                     (int)rows[k].warmup, (long long)rows[k].step, rate, rows[k].rate);
    }
}

static void rates_never_rise_after_the_warm_up(void **state)
{
    (void)state;
    for (int law = DEQ_SCHEDULE_CONSTANT; law <= DEQ_SCHEDULE_INVERSE_SQRT; law++) {
        const deq_schedule s = schedule((deq_schedule_law)law, 7);
        for (int64_t step = 0; step < 150; step++) {
            const double now = deq_schedule_rate(&s, step), next = deq_schedule_rate(&s, step + 1);
            assert_true(step < 6 ? next > now : next <= now);
        }
    }
}

static void bad_schedules_are_refused_by_name(void **state)
{
    static const int64_t falling[] = { 5, 5 }, negative[] = { -1 };
    deq_context *ctx;
    deq_schedule bad[10];
    const char *text[10] = { "struct_size", "law 4", "rate = 0",    "rate = inf",  "warmup = -1",
                             "total = 10",  "final", "factor = -1", "milestone 2", "milestone 1" };

    (void)state;
    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    for (int k = 0; k < 10; k++) bad[k] = schedule(DEQ_SCHEDULE_STEP, 0);
    bad[0].struct_size++;
    bad[1].law = (deq_schedule_law)4;
    bad[2].rate = 0;
    bad[3].rate = INFINITY;
    bad[4].warmup = -1;
    bad[5] = schedule(DEQ_SCHEDULE_COSINE, 10);
    bad[5].total = 10;
    bad[6] = schedule(DEQ_SCHEDULE_COSINE, 10);
    bad[6].final = 1.5;
    bad[7].factor = -1;
    bad[8].milestones = falling;
    bad[9].milestones = negative;
    bad[9].n_milestones = 1;
    for (int k = 0; k < 10; k++) {
        assert_int_equal(deq_schedule_check(ctx, &bad[k]), DEQ_ERR_ARGUMENT);
        if (!strstr(deq_last_error(ctx), text[k]))
            fail_msg("'%s' is not in '%s'", text[k], deq_last_error(ctx));
    }
    for (int law = DEQ_SCHEDULE_CONSTANT; law <= DEQ_SCHEDULE_INVERSE_SQRT; law++) {
        const deq_schedule s = schedule((deq_schedule_law)law, 10);
        assert_int_equal(deq_schedule_check(ctx, &s), DEQ_OK);
    }
    deq_context_free(ctx);
}

static void names_are_those_of_the_header(void **state)
{
    (void)state;
    assert_string_equal(deq_schedule_name(DEQ_SCHEDULE_CONSTANT), "constant");
    assert_string_equal(deq_schedule_name(DEQ_SCHEDULE_STEP), "step");
    assert_string_equal(deq_schedule_name(DEQ_SCHEDULE_COSINE), "cosine");
    assert_string_equal(deq_schedule_name(DEQ_SCHEDULE_INVERSE_SQRT), "inverse_sqrt");
    assert_string_equal(deq_schedule_name((deq_schedule_law)9), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_at_borders_are_those_of_the_laws),
        cmocka_unit_test(rates_never_rise_after_the_warm_up),
        cmocka_unit_test(bad_schedules_are_refused_by_name),
        cmocka_unit_test(names_are_those_of_the_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
