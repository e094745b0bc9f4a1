/* SPDX-License-Identifier: MIT */
/*
 * Command lines: bytes become words (a line each), which a table with every kind of value takes apart.
 * What comes through is as the table promises.
 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "command.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const colours[] = { "red", "green", "blue", NULL };

static const option options[] = {
    { .name = "count",
      .letter = 'c',
      .kind = VALUE_INTEGER,
      .least = 1,
      .most = 9,
      .initial = "3",
      .help = "x" },
    { .name = "any", .kind = VALUE_INTEGER, .help = "x" },
    { .name = "tol",
      .kind = VALUE_REAL,
      .above = true,
      .high = INFINITY,
      .initial = "1",
      .help = "x" },
    { .name = "shade", .letter = 's', .kind = VALUE_CHOICE, .choices = colours, .help = "x" },
    { .name = "set", .kind = VALUE_TEXT, .repeatable = true, .help = "x" },
    { .name = "out", .letter = 'o', .kind = VALUE_FILE, .help = "x" },
    { .name = "verbose", .letter = 'v', .help = "x" },
};

static const option operands[] = {
    { .name = "IN", .kind = VALUE_FILE, .required = true, .help = "x" },
    { .name = "MORE", .kind = VALUE_REAL, .low = -1, .high = 1, .repeatable = true, .help = "x" },
};

static void expect(bool holds, const char *what)
{
    if (holds) return;
    fprintf(stderr, "not so: %s\n", what);
    abort();
}

static int run(const arguments *a)
{
    const int64_t count = argument_integer(a, "count");
    const int shade = argument_choice(a, "shade");
    expect(count >= 1 && count <= 9, "an integer is in its range");
    expect(argument_real(a, "tol") > 0 && isfinite(argument_real(a, "tol")), "a real too");
    expect(shade >= -1 && shade <= 2, "a choice is one");
    expect(shade < 0 || strcmp(colours[shade], argument_text(a, "shade")) == 0, "the one named");
    expect(!argument_given(a, "out") || *argument_text(a, "out"), "no file has an empty name");
    expect(argument_count(a, "IN") == 1, "what is required is there, once");
    for (int i = 0; i < argument_count(a, "set"); i++)
        expect(argument_text_at(a, "set", i) != NULL, "each is there");
    for (int i = 0; i < argument_count(a, "MORE"); i++)
        expect(fabs(argument_real_at(a, "MORE", i)) <= 1, "each operand is in its range");
    return CLI_OK;
}

static const command leaf = { .name = "leaf",
                              .summary = "x",
                              .description = "x",
                              .options = options,
                              .n_options = LENGTH(options),
                              .operands = operands,
                              .n_operands = LENGTH(operands),
                              .common = COMMON_JSON | COMMON_THREADS | COMMON_QUIET,
                              .run = run };
static const command *const leaves[] = { &leaf, NULL };
static const command group = {
    .name = "group", .summary = "x", .description = "x", .commands = leaves
};
static const command *const commands[] = { &leaf, &group, NULL };
static const command root = {
    .name = "", .summary = "x", .description = "x", .commands = commands
};

/* Only what asks for help or the version may print to stdout. */
static bool prints(int n, char **words)
{
    for (int i = 0; i < n; i++)
        if (words[i][0] == '-' && strpbrk(words[i], "hV")) return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { MOST = 64 };
    static FILE *null;
    char *bytes = malloc(size + 1), *words[MOST];
    int n = 0;
    if (!null) null = fopen("/dev/null", "w");
    if (!bytes || !null) abort();
    if (size > 0) memcpy(bytes, data, size);
    bytes[size] = '\0';
    for (char *at = bytes; n < MOST && at;) {
        words[n++] = at;
        at = strchr(at, '\n');
        if (at) *at++ = '\0';
    }
    fail_to(null);
    const int code = prints(n, words) ? command_line_check(&root, n, words)
                                      : command_line_run(&root, n, words);
    fail_to(NULL);
    expect(code == CLI_OK || code == CLI_USAGE, "a command line is right or wrong");
    free(bytes);
    return 0;
}
