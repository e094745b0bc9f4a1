/* SPDX-License-Identifier: MIT */
/*
 * What a command of the program is: one constant table, from which come the parser, the help text,
 * the manual page, the completions of three shells and the suggestions for what is misspelt.
 *
 * A command stands in one file, `const command command_NAME`; main.c has the list.  Commands nest:
 * one that has commands of its own (`deq vote decide`) has no `run`.
 *
 *     static const option options[] = {
 *         { .name = "epochs", .kind = VALUE_INTEGER, .argument = "N", .least = 1, .most = INT64_MAX,
 *           .initial = "10", .help = "passes over the data" },
 *         { .name = "set", .kind = VALUE_TEXT, .argument = "KEY=VALUE", .repeatable = true,
 *           .help = "change a setting of the configuration" },
 *     };
 *     static const option operands[] = {
 *         { .name = "CONFIG", .kind = VALUE_FILE, .required = true, .help = "what to train" },
 *     };
 *
 *     static int run(const arguments *a)
 *     {
 *         deq_context *ctx = NULL;
 *         int code = open_context(&ctx, a);          ... --threads, messages; context.h
 *         int64_t epochs = argument_integer(a, "epochs");
 *         for (int i = 0; i < argument_count(a, "set"); i++) ... argument_text_at(a, "set", i) ...
 *     }
 *
 * A command writes its result to stdout and everything else to stderr (terminal.h), and returns an
 * exit code.  With --json the result is one JSON object (json.h).
 *
 * Options are never abbreviated, so that a script means the same with a later version; that is why
 * getopt_long does not serve here.
 */
#ifndef DEQ_CLI_COMMAND_H
#define DEQ_CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#if defined(__GNUC__)
#define CLI_PRINTF(at, first) __attribute__((format(printf, at, first)))
#else
#define CLI_PRINTF(at, first)
#endif

/* Entries of a table that is an array. */
#define LENGTH(table) ((int)(sizeof(table) / sizeof *(table)))

/* Exit codes: docs/guide/command-line.md and every manual page name them. */
enum {
    CLI_OK = 0,
    CLI_FAILED = 1,       /* the work could not be done */
    CLI_USAGE = 2,        /* the command line is wrong */
    CLI_DATA = 3,         /* a file's contents are wrong: data, checkpoint, configuration */
    CLI_UNMET = 4,        /* the work was done, and what was to be checked does not hold */
    CLI_INTERRUPTED = 130 /* by the user, with what there was stored */
};

/* What may stand as a value.  Every value is checked before the command runs. */
typedef enum value_kind {
    VALUE_NONE = 0, /* a flag */
    VALUE_TEXT,
    VALUE_INTEGER, /* least <= value <= most */
    VALUE_REAL,    /* finite, low <= value <= high */
    VALUE_CHOICE,  /* one of `choices` */
    VALUE_FILE,    /* text, which shells complete as a file */
    VALUE_FOLDER,  /* text, which shells complete as a folder */
    VALUE_COMMAND  /* text, which shells complete as a command of this program */
} value_kind;

/* An option, or an operand (which has a place instead of dashes). */
typedef struct option {
    const char *name; /* "json", without its dashes; of an operand "FILE" */
    char letter;      /* short form, 0 if none; letters h, q are taken */
    value_kind kind;
    const char *argument; /* what the value is called in the help text; NULL: after its kind */
    const char *help;     /* one line or more (\n), no capital and no full stop */
    const char *initial;  /* the default, written as a user would; NULL: none */
    int64_t least, most;  /* INTEGER; both 0: any.  INT64_MAX: no upper end */
    double low, high;     /* REAL; both 0: any finite.  INFINITY: no upper end */
    bool above;           /* REAL: low itself is not allowed */
    const char *const *choices; /* CHOICE; NULL behind the last */
    bool repeatable;            /* may be given many times; of operands the last one only */
    bool required;              /* it is a mistake to leave it out */
} option;

typedef struct example {
    const char *line; /* the command line, beginning with "deq " */
    const char *what; /* what it does, one line */
} example;

/* Options that many commands share; --help and --color come by themselves. */
enum {
    COMMON_JSON = 1,    /* --json: print one JSON object */
    COMMON_THREADS = 2, /* --threads N; see open_context() */
    COMMON_QUIET = 4    /* -q, --quiet: no progress on stderr; see terminal.h */
};

typedef struct arguments arguments;

typedef struct command {
    const char *name;        /* of one word */
    const char *summary;     /* one line, no capital and no full stop */
    const char *description; /* paragraphs, separated by an empty line; wrapped where printed.
                                Lines that begin with two blanks are left as they are. */
    const example *examples;
    int n_examples; /* at least 1 */
    const option *options;
    int n_options;
    const option *operands; /* in order; required ones first */
    int n_operands;
    unsigned common;                       /* COMMON_... */
    const struct command *const *commands; /* NULL behind the last; NULL: it is run */
    int (*run)(const arguments *a);        /* returns an exit code */
} command;

/* A value that was given, checked. */
typedef struct argument_value {
    const option *option;
    const char *text; /* "" for a flag; a string of argv or of the table */
    int64_t integer;
    double real;
    int choice; /* its place in choices */
} argument_value;

/* A command line, taken apart. */
struct arguments {
    const command *command;
    const char *path; /* "vote decide", for fail() */
    const argument_value *values;
    int n_values; /* without defaults */
};

/* What was given; `name` is that of an option (of the shared ones too) or operand in the command's
 * table: any other is a mistake of ours, and ends the program. */
bool argument_given(const arguments *a, const char *name);
/* The last one given, or the default.  Text: NULL without either. */
const char *argument_text(const arguments *a, const char *name);
int64_t argument_integer(const arguments *a, const char *name); /* 0 without either */
double argument_real(const arguments *a, const char *name);     /* 0 without either */
int argument_choice(const arguments *a, const char *name);      /* -1 without either */
bool argument_flag(const arguments *a, const char *name);
/* Of what is repeatable: how many were given (a default does not count), and each of them. */
int argument_count(const arguments *a, const char *name);
const char *argument_text_at(const arguments *a, const char *name, int i);
int64_t argument_integer_at(const arguments *a, const char *name, int i);
double argument_real_at(const arguments *a, const char *name, int i);
int argument_choice_at(const arguments *a, const char *name, int i);

/* The program itself: a command without a name whose commands are those of main.c. */
extern const command root_command;

/* Take a command line apart (without the program's name), and run it.  Returns an exit code. */
int command_line_run(const command *root, int n, char **words);
/* Only look whether it is right; complains as the former would.  Asking for help is right. */
int command_line_check(const command *root, int n, char **words);

/* The command that words name below root.  If there is none: NULL, and *bad is the word. */
const command *command_find(const command *root, int n, const char *const *words, int *bad);

/* Every option a command takes, with the shared ones: NULL behind the last. */
const option *command_option(const command *c, int i);

/* A message on stderr, "deq info: ...", where `who` is a->path or NULL.  Returns code. */
int fail(int code, const char *who, const char *format, ...) CLI_PRINTF(3, 4);
/* Where those messages go; NULL, as at the beginning: to stderr. */
void fail_to(FILE *stream);

/* The nearest of the names that name(set, 0), name(set, 1), ... give until NULL.  NULL when none is
 * near (more than half of it would change). */
const char *nearest_name(const char *wanted, const char *(*name)(const void *set, int i),
                         const void *set);

#endif
