/* SPDX-License-Identifier: MIT */
/* Command lines: what is taken, what is refused and with which words. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* open_memstream */
#endif
#include "unit.h"

#include "parse.h"

#include <math.h>

/* A program of its own ----------------------------------------------------------------------- */

static const char *const colours[] = { "red", "green", "blue", NULL };

static const option options[] = {
    { .name = "count",
      .letter = 'c',
      .kind = VALUE_INTEGER,
      .least = 1,
      .most = 9,
      .initial = "3",
      .help = "how many" },
    { .name = "any", .kind = VALUE_INTEGER, .help = "any whole number" },
    { .name = "tol",
      .kind = VALUE_REAL,
      .low = 0,
      .above = true,
      .high = INFINITY,
      .initial = "1e-3",
      .help = "when to stop" },
    { .name = "part", .kind = VALUE_REAL, .low = 0, .high = 1, .help = "a part" },
    { .name = "shade", .kind = VALUE_CHOICE, .choices = colours, .help = "which" },
    { .name = "set", .letter = 's', .kind = VALUE_TEXT, .repeatable = true, .help = "a setting" },
    { .name = "out", .letter = 'o', .kind = VALUE_FILE, .help = "where to" },
    { .name = "verbose", .letter = 'v', .help = "say more" },
};

static const option operands[] = {
    { .name = "IN", .kind = VALUE_FILE, .required = true, .help = "a file" },
    { .name = "MORE", .kind = VALUE_INTEGER, .repeatable = true, .help = "numbers" },
};

static const option needs_key[] = {
    { .name = "key", .kind = VALUE_TEXT, .required = true, .help = "a key" }
};

static const example examples[] = { { "deq vote decide file", "an example" } };

/* What the last command that ran was given. */
static struct {
    int runs, count, n_set, n_more;
    double tol, part;
    int shade;
    bool verbose, quiet, json;
    char in[32], out[32], set[4][32], path[64];
    int64_t more[8], any;
} seen;

static void copy(char *to, size_t capacity, const char *text)
{
    snprintf(to, capacity, "%s", text ? text : "(none)");
}

static int run(const arguments *a)
{
    memset(&seen, 0, sizeof seen);
    seen.runs = 1;
    copy(seen.path, sizeof seen.path, a->path);
    copy(seen.in, sizeof seen.in, argument_text(a, "IN"));
    copy(seen.out, sizeof seen.out, argument_text(a, "out"));
    seen.count = (int)argument_integer(a, "count");
    seen.any = argument_integer(a, "any");
    seen.tol = argument_real(a, "tol");
    seen.part = argument_real(a, "part");
    seen.shade = argument_choice(a, "shade");
    seen.verbose = argument_flag(a, "verbose");
    seen.quiet = argument_flag(a, "quiet");
    seen.json = argument_flag(a, "json");
    seen.n_set = argument_count(a, "set");
    seen.n_more = argument_count(a, "MORE");
    for (int i = 0; i < seen.n_set && i < 4; i++)
        copy(seen.set[i], sizeof seen.set[i], argument_text_at(a, "set", i));
    for (int i = 0; i < seen.n_more && i < 8; i++) seen.more[i] = argument_integer_at(a, "MORE", i);
    return 7;
}

static const command decide = {
    .name = "decide",
    .summary = "decide",
    .description = "Decides.\n",
    .examples = examples,
    .n_examples = 1,
    .options = options,
    .n_options = LENGTH(options),
    .operands = operands,
    .n_operands = LENGTH(operands),
    .common = COMMON_JSON | COMMON_QUIET,
    .run = run,
};

static const command trust = {
    .name = "trust",
    .summary = "trust",
    .description = "Trusts.\n",
    .examples = examples,
    .n_examples = 1,
    .options = needs_key,
    .n_options = 1,
    .run = run,
};

static const command *const votes[] = { &decide, &trust, NULL };
static const command vote = { .name = "vote",
                              .summary = "votes",
                              .description = "Votes.\n",
                              .examples = examples,
                              .n_examples = 1,
                              .commands = votes };
static const command *const commands[] = { &vote, NULL };
static const command root = { .name = "",
                              .summary = "a program",
                              .description = "Does.\n",
                              .examples = examples,
                              .n_examples = 1,
                              .commands = commands };

/* Running ------------------------------------------------------------------------------------ */

static char *said; /* by the last call, on stderr */

/* Words separated by blanks; "_" is an empty word. */
static int call(bool really, const char *line)
{
    char buffer[512], *words[64];
    size_t size;
    int n = 0;
    snprintf(buffer, sizeof buffer, "%s", line);
    for (char *word = strtok(buffer, " "); word && n < 64; word = strtok(NULL, " "))
        words[n++] = strcmp(word, "_") == 0 ? word + 1 : word;
    free(said);
    FILE *to = open_memstream(&said, &size);
    assert_non_null(to);
    fail_to(to);
    seen.runs = 0;
    const int code = really ? command_line_run(&root, n, words)
                            : command_line_check(&root, n, words);
    fail_to(NULL);
    fclose(to);
    return code;
}

static int run_line(const char *line)
{
    return call(true, line);
}

/* Claims ------------------------------------------------------------------------------------- */

static void options_come_in_every_form_and_place(void **state)
{
    static const char *const lines[] = {
        "vote decide --count=5 --out=x file", "vote decide --count 5 --out x file",
        "vote decide file --count 5 --out x", "vote decide -c 5 -o x file",
        "vote decide -c5 -ox file",           "vote decide --out x -c 5 -- file",
    };
    (void)state;
    for (int i = 0; i < LENGTH(lines); i++) {
        assert_int_equal(run_line(lines[i]), 7);
        assert_int_equal(seen.count, 5);
        assert_string_equal(seen.out, "x");
        assert_string_equal(seen.in, "file");
        assert_string_equal(seen.path, "vote decide");
        assert_string_equal(said, "");
    }
}

static void defaults_stand_in_for_what_is_not_given(void **state)
{
    (void)state;
    assert_int_equal(run_line("vote decide file"), 7);
    assert_int_equal(seen.count, 3);
    assert_true(seen.tol == 1e-3);
    assert_true(seen.part == 0);
    assert_int_equal(seen.shade, -1);
    assert_string_equal(seen.out, "(none)");
    assert_false(seen.verbose || seen.quiet || seen.json);
    assert_int_equal(seen.n_set, 0);
}

static void letters_may_stand_together(void **state)
{
    (void)state;
    assert_int_equal(run_line("vote decide -vqc4 file"), 7);
    assert_true(seen.verbose && seen.quiet);
    assert_int_equal(seen.count, 4);
}

static void repeated_values_keep_their_order(void **state)
{
    (void)state;
    assert_int_equal(run_line("vote decide --set a=1 file 4 -s b --set= 5 -- -6"), 7);
    assert_int_equal(seen.n_set, 3);
    assert_string_equal(seen.set[0], "a=1");
    assert_string_equal(seen.set[1], "b");
    assert_string_equal(seen.set[2], "");
    assert_int_equal(seen.n_more, 3);
    assert_int_equal(seen.more[0], 4);
    assert_int_equal(seen.more[1], 5);
    assert_int_equal(seen.more[2], -6);
}

static void numbers_are_read_whole(void **state)
{
    (void)state;
    assert_int_equal(run_line("vote decide --any -9223372036854775808 --tol 2.5e3 --part 1 f"), 7);
    assert_true(seen.any == INT64_MIN);
    assert_true(seen.tol == 2500);
    assert_true(seen.part == 1);
    assert_int_equal(run_line("vote decide --any +7 --shade blue f"), 7);
    assert_int_equal(seen.any, 7);
    assert_int_equal(seen.shade, 2);
}

static void mistakes_are_named(void **state)
{
    static const struct {
        const char *line, *says;
    } cases[] = {
        { "vote decide", "deq vote decide: IN is missing; see deq help vote decide" },
        { "vote decide _", "IN: the name is empty" },
        { "vote decide f x", "MORE: 'x' is no whole number" },
        { "vote decide f --count 0", "option '--count': '0' is out of range: 1 to 9" },
        { "vote decide f --count 10", "'10' is out of range: 1 to 9" },
        { "vote decide f --count", "option '--count' needs N" },
        { "vote decide f --count --", "option '--count' needs N" },
        { "vote decide f --count --verbose", "'--verbose' is an option" },
        { "vote decide f --count=", "'' is no whole number" },
        { "vote decide f --count 3x", "'3x' is no whole number" },
        { "vote decide f --count -", "'-' is no whole number" },
        { "vote decide f --count 0x3", "'0x3' is no whole number" },
        { "vote decide f --any 9223372036854775808", "no whole number of 64 bits" },
        { "vote decide f --tol 0", "'0' is out of range: above 0" },
        { "vote decide f --tol nan", "'nan' is no number" },
        { "vote decide f --tol 1e999", "'1e999' is no finite number" },
        { "vote decide f --tol 1e", "'1e' is no finite number" },
        { "vote decide f --part 1.1", "'1.1' is out of range: 0 to 1" },
        { "vote decide f --shade gren", "unknown value 'gren'; did you mean 'green'?" },
        { "vote decide f --shade 1", "unknown value '1'; it is one of red, green, blue" },
        { "vote decide f --shade red --shade red", "option '--shade' is given twice" },
        { "vote decide f --out=", "option '--out': the name is empty" },
        { "vote decide f --verbos", "unknown option '--verbos'; did you mean '--verbose'?" },
        { "vote decide f --verbose=1", "option '--verbose' takes no value" },
        { "vote decide f -x", "unknown option '-x'; see deq help vote decide" },
        { "vote decide f -vx", "unknown option '-vx'" },
        { "vote decide f --=", "unknown option '--='" },
        { "vote trust", "option '--key' is missing; see deq help vote trust" },
        { "vote trust --key k more", "unexpected argument 'more'" },
        { "vote decid", "deq vote: unknown command 'decid'; did you mean 'decide'?" },
        { "vote _", "unknown command ''; see deq help vote" },
        { "vote --version", "unknown option '--version'" },
        { "vote", "usage: deq vote <command>" },
        { "vote --", "usage: deq vote <command>" },
        { "votes", "deq: unknown command 'votes'; did you mean 'vote'?" },
        { "", "usage: deq <command>" },
    };
    (void)state;
    for (int i = 0; i < LENGTH(cases); i++) {
        print_message("deq %s\n", cases[i].line);
        assert_int_equal(run_line(cases[i].line), CLI_USAGE);
        assert_int_equal(seen.runs, 0);
        assert_says(said, cases[i].says);
    }
}

static void checking_runs_nothing(void **state)
{
    (void)state;
    assert_int_equal(call(false, "vote decide file"), CLI_OK);
    assert_int_equal(call(false, "vote decide --help"), CLI_OK);
    assert_int_equal(call(false, "--version"), CLI_OK);
    assert_int_equal(call(false, "vote decide"), CLI_USAGE);
    assert_int_equal(seen.runs, 0);
}

static void help_tells_everything(void **state)
{
    static const char *const parts[] = {
        "usage: deq vote decide IN [MORE...] [options]",
        "-c, --count N",
        "how many (1 to 9; default 3)",
        "when to stop (above 0; default 1e-3)",
        "--shade red|green|blue",
        "(may be repeated)",
        "--json",
        "-q, --quiet",
        "--color auto|always|never",
        "-h, --help",
        "deq vote decide file\n      an example\n",
    };
    text_buffer t = { 0 };
    (void)state;
    put_help(&t, &decide, "vote decide", 80);
    for (int i = 0; i < LENGTH(parts); i++) assert_says(text_string(&t), parts[i]);
    text_free(&t);
}

static void sound_tables_have_no_faults(void **state)
{
    text_buffer t = { 0 };
    (void)state;
    put_faults(&t, &root);
    assert_string_equal(text_string(&t), "");
}

/* One table with every fault, and what is said of each. */
static void faults_in_tables_are_found(void **state)
{
    static const char *const none[] = { NULL };
    static const option bad_options[] = {
        { .name = "One", .help = "Capital." },
        { .name = "two", .letter = 'h', .kind = VALUE_INTEGER, .least = 2, .most = 1, .help = "x" },
        { .name = "two", .kind = VALUE_CHOICE, .choices = none, .help = "x" },
        { .name = "four", .kind = VALUE_REAL, .low = 0, .high = 1, .initial = "2", .help = "x" },
        { .name = "five", .kind = VALUE_TEXT, .required = true, .initial = "x", .help = "" },
    };
    static const option bad_operands[] = {
        { .name = "in", .kind = VALUE_TEXT, .repeatable = true, .help = "x" },
        { .name = "OUT", .required = true, .help = "x" },
    };
    static const example bad_examples[] = { { "deq bad --unknown", "an example" }, { "x", "y" } };
    static const command bad = { .name = "bad",
                                 .summary = "bad",
                                 .description = "",
                                 .options = bad_options,
                                 .n_options = LENGTH(bad_options),
                                 .operands = bad_operands,
                                 .n_operands = LENGTH(bad_operands),
                                 .examples = bad_examples,
                                 .n_examples = LENGTH(bad_examples) };
    static const command *const all[] = { &bad, &bad, NULL };
    static const command bad_root = {
        .name = "", .summary = "x", .description = "x", .commands = all
    };
    static const char *const faults[] = {
        "One: no name for an option",       "One: the help text begins with a capital",
        "One: the help text ends with",     "help: two options of one letter",
        "two: two options of one name",     "two: an empty range",
        "two: a choice without choices",    "four: the default is not allowed",
        "five: a default that is never",    "five: no help text",
        "in: an operand is called in",      "in: only the last may repeat",
        "OUT: an operand is no flag",       "OUT: required behind one that is not",
        "bad: either runs or has commands", "description: is missing",
        "the example is no right",          "x: an example begins with deq",
        "bad: two commands of one name",    ": no example",
    };
    text_buffer t = { 0 };
    FILE *null = fopen("/dev/null", "w");
    (void)state;
    assert_non_null(null);
    fail_to(null);
    put_faults(&t, &bad_root);
    fail_to(NULL);
    fclose(null);
    for (int i = 0; i < LENGTH(faults); i++) assert_says(text_string(&t), faults[i]);
    text_free(&t);
}

static int free_said(void **state)
{
    (void)state;
    free(said);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_come_in_every_form_and_place),
        cmocka_unit_test(defaults_stand_in_for_what_is_not_given),
        cmocka_unit_test(letters_may_stand_together),
        cmocka_unit_test(repeated_values_keep_their_order),
        cmocka_unit_test(numbers_are_read_whole),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(checking_runs_nothing),
        cmocka_unit_test(help_tells_everything),
        cmocka_unit_test(sound_tables_have_no_faults),
        cmocka_unit_test(faults_in_tables_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, free_said);
}
