/* SPDX-License-Identifier: MIT */
/* Words for people: escapes, paragraphs, units, tables, results, progress. */
#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700 /* posix_openpt, open_memstream */
#endif
#include "unit.h"

#include "json.h"
#include "table.h"
#include "terminal.h"
#include "text.h"

#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

static void foreign_text_is_made_safe(void **state)
{
    static const struct {
        const char *from, *to;
    } cases[] = {
        { "", "" },
        { "plain text", "plain text" },
        { "a\033[31mb\n", "a\\x1b[31mb\\x0a" },
        { "\x7f", "\\x7f" },
        { "na\xc3\xafve \xe2\x82\xac \xf0\x9f\x98\x80",
          "na\xc3\xafve \xe2\x82\xac \xf0\x9f\x98\x80" },
        { "\xc2\x9b"
          "31m",
          "\\xc2\\x9b31m" },                            /* the C1 form of ESC [ */
        { "\xff\xfe", "\\xff\\xfe" },                   /* never in UTF-8 */
        { "\xc3", "\\xc3" },                            /* cut off */
        { "\xe2\x82", "\\xe2\\x82" },                   /* cut off */
        { "\xc0\xaf", "\\xc0\\xaf" },                   /* longer than needed */
        { "\xed\xa0\x80", "\\xed\\xa0\\x80" },          /* a surrogate */
        { "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" }, /* above U+10FFFF */
    };
    (void)state;
    for (int i = 0; i < LENGTH(cases); i++) {
        text_buffer t = { 0 };
        put_safe(&t, cases[i].from);
        assert_string_equal(text_string(&t), cases[i].to);
        text_free(&t);
    }
}

static void paragraphs_are_wrapped_and_other_lines_stay(void **state)
{
    text_buffer t = { 0 };
    (void)state;
    put_wrapped(&t, "one two\nthree four five\n\n  as it   is, however long it may be\nsix\n", 2,
                12);
    assert_string_equal(text_string(&t), "  one two\n  three four\n  five\n\n"
                                         "    as it   is, however long it may be\n  six\n");
    text_free(&t);
    put_wrapped(&t, "unbreakable", 4, 5);
    assert_string_equal(text_string(&t), "    unbreakable\n");
    text_free(&t);
}

static void numbers_have_units(void **state)
{
    char b[HUMAN_CAPACITY];
    (void)state;
    assert_string_equal(human_bytes(b, 0), "0 B");
    assert_string_equal(human_bytes(b, 1023), "1023 B");
    assert_string_equal(human_bytes(b, 1536), "1.5 KiB");
    assert_string_equal(human_bytes(b, (1u << 20) - 1), "1.0 MiB");
    assert_string_equal(human_bytes(b, UINT64_MAX), "16.0 EiB");
    assert_string_equal(human_seconds(b, 0.26), "0.3 s");
    assert_string_equal(human_seconds(b, 59.96), "1 min 00 s");
    assert_string_equal(human_seconds(b, 245), "4 min 05 s");
    assert_string_equal(human_seconds(b, 3599.6), "1 h 00 min");
    assert_string_equal(human_seconds(b, 7384), "2 h 03 min");
    assert_string_equal(human_seconds(b, NAN), "?");
    assert_string_equal(human_seconds(b, -1), "?");
}

static void tables_are_aligned(void **state)
{
    char *text;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    table *t = table_new((const char *const[]){ "name", "bytes", NULL }, "lr");
    (void)state;
    table_add(t, "%s", "caf\xc3\xa9");
    table_add(t, "%d", 1);
    table_add(t, "a%s", "\n");
    table_add(t, "%d", 123456);
    table_add(t, "last");
    table_print(t, to);
    table_free(t);
    fclose(to);
    assert_string_equal(text, "name    bytes\n"
                              "caf\xc3\xa9        1\n"
                              "a\\x0a  123456\n"
                              "last\n");
    free(text);
}

static void json_takes_any_text_and_number(void **state)
{
    json_t *text = json_text("a\xff"), *number = json_number(INFINITY);
    (void)state;
    assert_string_equal(json_string_value(text), "a\\xff");
    assert_true(json_is_null(number));
    json_decref(text);
    json_decref(number);
}

/* Progress ----------------------------------------------------------------------------------- */

static void wait_seconds(double seconds)
{
    struct timespec time = { .tv_nsec = (long)(1e9 * seconds) };
    nanosleep(&time, NULL);
}

/* What `act` writes to a stream while that is `to`, which is then read from `from`. */
static void capture_stream(char *buffer, size_t capacity, FILE *stream, int from, int to,
                           void (*act)(void))
{
    const int number = fileno(stream), kept = dup(number);
    fflush(stream);
    assert_true(dup2(to, number) >= 0);
    act();
    fflush(stream);
    assert_true(dup2(kept, number) >= 0);
    close(kept);
    fcntl(from, F_SETFL, O_NONBLOCK);
    size_t size = 0;
    for (ssize_t n; (n = read(from, buffer + size, capacity - 1 - size)) > 0;) size += (size_t)n;
    buffer[size] = '\0';
}

static void capture(char *buffer, size_t capacity, int from, int to, void (*act)(void))
{
    capture_stream(buffer, capacity, stderr, from, to, act);
}

/* The last call of print_result() as text. */
static void report(void)
{
    static const command plain = { .name = "plain" };
    const arguments a = { .command = &plain, .path = "plain" };
    json_t *result = json_pack("{ss, sf, sn, s[ii], s[{ss, si}, {ss, sb}], s{si, s{ss}}, s{}}",
                               "name", "a\033", "x", 0.25, "nothing", "shape", 2, 3, "rows", "key",
                               "one", "n", 7, "key", "two", "extra", 1, "solver", "depth", 6,
                               "inner", "kind", "gmres", "empty");
    assert_non_null(result);
    assert_int_equal(print_result(&a, result), CLI_OK);
}

static void results_as_text_say_all_that_json_would(void **state)
{
    char buffer[4096];
    int ends[2];
    (void)state;
    assert_int_equal(pipe(ends), 0);
    capture_stream(buffer, sizeof buffer, stdout, ends[0], ends[1], report);
    close(ends[0]);
    close(ends[1]);
    assert_string_equal(buffer, "name     a\\x1b\n"
                                "x        0.25\n"
                                "nothing  -\n"
                                "shape    [2, 3]\n"
                                "\n"
                                "rows:\n"
                                "key  n  extra\n"
                                "one  7\n"
                                "two     yes\n"
                                "\n"
                                "solver:\n"
                                "  depth  6\n"
                                "\n"
                                "solver inner:\n"
                                "  kind  gmres\n");
}

static double elapsed;

static void work(void)
{
    progress p;
    const double begin = clock_seconds();
    progress_start(&p, "epoch 1", 1000);
    for (int i = 0; i < 350; i++) {
        progress_update(&p, i + 1, "loss %.1f", 0.5);
        wait_seconds(0.001);
    }
    progress_note(&p, "a note");
    progress_end(&p);
    elapsed = clock_seconds() - begin;
}

static void progress_on_a_terminal_redraws_at_most_ten_times_a_second(void **state)
{
    char buffer[65536];
    int drawn = 0;
    const int master = posix_openpt(O_RDWR | O_NOCTTY);
    (void)state;
    if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0) {
        print_message("no pseudo-terminal here\n");
        skip();
    }
    const char *name = ptsname(master);
    const int slave = name ? open(name, O_RDWR | O_NOCTTY) : -1;
    assert_true(slave >= 0);
    setenv("TERM", "xterm", 1);
    capture(buffer, sizeof buffer, master, slave, work);
    close(slave);
    close(master);
    assert_says(buffer, "epoch 1 [");
    assert_says(buffer, "loss 0.5");
    assert_says(buffer, "\r\033[Ka note");
    for (const char *at = buffer; (at = strstr(at, "epoch 1 [")); at++) drawn++;
    assert_in_range(drawn, 1, (int)(10 * elapsed) + 1);
}

static void progress_elsewhere_is_plain(void **state)
{
    char buffer[4096];
    int ends[2];
    (void)state;
    assert_int_equal(pipe(ends), 0);
    capture(buffer, sizeof buffer, ends[0], ends[1], work);
    close(ends[0]);
    close(ends[1]);
    assert_string_equal(buffer, "a note\n"); /* less than PROGRESS_PLAIN_SECONDS */
}

static void work_long(void)
{
    progress p;
    progress_start(&p, "epoch 1", 4);
    p.begin -= 60;
    for (int i = 0; i < 3; i++) {
        p.shown -= PROGRESS_PLAIN_SECONDS;
        progress_update(&p, i + 1, NULL);
        progress_update(&p, i + 1, NULL); /* too soon */
    }
    progress_end(&p);
}

static void long_progress_elsewhere_is_a_line_now_and_then(void **state)
{
    char buffer[4096];
    int ends[2];
    (void)state;
    assert_int_equal(pipe(ends), 0);
    capture(buffer, sizeof buffer, ends[0], ends[1], work_long);
    close(ends[0]);
    close(ends[1]);
    assert_string_equal(buffer, "epoch 1  25% 1/4, 3 min 00 s left, 1 min 00 s\n"
                                "epoch 1  50% 2/4, 1 min 00 s left, 1 min 00 s\n"
                                "epoch 1  75% 3/4, 20.0 s left, 1 min 00 s\n");
}

static void quiet_is_quiet(void **state)
{
    char buffer[4096];
    int ends[2];
    (void)state;
    assert_int_equal(pipe(ends), 0);
    terminal_setup(COLOUR_ALWAYS, true);
    capture(buffer, sizeof buffer, ends[0], ends[1], work);
    terminal_setup(COLOUR_AUTO, false);
    close(ends[0]);
    close(ends[1]);
    assert_string_equal(buffer, "");
}

static void an_interrupt_asks_once(void **state)
{
    (void)state;
    assert_false(interrupted());
    interrupt_watch();
    assert_false(interrupted());
    assert_int_equal(raise(SIGINT), 0);
    assert_true(interrupted());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(foreign_text_is_made_safe),
        cmocka_unit_test(paragraphs_are_wrapped_and_other_lines_stay),
        cmocka_unit_test(numbers_have_units),
        cmocka_unit_test(tables_are_aligned),
        cmocka_unit_test(json_takes_any_text_and_number),
        cmocka_unit_test(progress_on_a_terminal_redraws_at_most_ten_times_a_second),
        cmocka_unit_test(progress_elsewhere_is_plain),
        cmocka_unit_test(long_progress_elsewhere_is_a_line_now_and_then),
        cmocka_unit_test(results_as_text_say_all_that_json_would),
        cmocka_unit_test(quiet_is_quiet),
        cmocka_unit_test(an_interrupt_asks_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
