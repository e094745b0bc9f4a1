/* SPDX-License-Identifier: MIT */
/*
 * Where the program's words go: is it a terminal, how wide, may it have colours; and progress, shown
 * on stderr.
 *
 * Colours and redrawn lines are for terminals only.  NO_COLOR (no-color.org) and TERM=dumb are
 * respected; --color decides over all of them.  Elsewhere progress becomes a plain line now and then.
 */
#ifndef DEQ_CLI_TERMINAL_H
#define DEQ_CLI_TERMINAL_H

#include "command.h"

typedef enum colour_mode { COLOUR_AUTO, COLOUR_ALWAYS, COLOUR_NEVER } colour_mode;

typedef enum text_style {
    STYLE_PLAIN,
    STYLE_BOLD,
    STYLE_DIM,
    STYLE_RED,
    STYLE_GREEN,
    STYLE_YELLOW
} text_style;

/* Called once the options --color and --quiet are known. */
void terminal_setup(colour_mode mode, bool quiet);

bool terminal_is(FILE *stream);
/* Columns: of the terminal, else of COLUMNS, else 80; 20 at least. */
int terminal_width(FILE *stream);
bool terminal_colours(FILE *stream);
bool terminal_quiet(void);

/* printf() with a style, where colours are allowed. */
void print_styled(FILE *stream, text_style s, const char *format, ...) CLI_PRINTF(3, 4);

/* Seconds of a clock that never goes back. */
double clock_seconds(void);

/*
 * Progress of something long:
 *
 *     progress p;
 *     progress_start(&p, "epoch 3", n_batches);
 *     for (...) progress_update(&p, i + 1, "loss %.4f", loss);
 *     progress_end(&p);
 *
 * On a terminal one line is redrawn, at most ten times a second; it is taken away at the end.
 * Elsewhere a line is printed every PROGRESS_PLAIN_SECONDS.  With --quiet nothing is.
 */
#define PROGRESS_PLAIN_SECONDS 10.0

typedef struct progress {
    const char *what; /* must live as long */
    int64_t total;    /* 0: unknown */
    double begin;     /* clock_seconds() */
    double shown;     /* when something was last printed */
} progress;

void progress_start(progress *p, const char *what, int64_t total);
/* `format` may be NULL. */
void progress_update(progress *p, int64_t done, const char *format, ...) CLI_PRINTF(3, 4);
/* A line on stderr that stays, also while progress is shown (p, or NULL); not with --quiet. */
void progress_note(progress *p, const char *format, ...) CLI_PRINTF(2, 3);
void progress_end(progress *p);
/* Takes away whatever line is drawn, before something else is written; fail() does so. */
void progress_hide(void);

/* Ctrl-C, for commands that have something to store: after interrupt_watch() the first one only makes
 * interrupted() true; the second ends the program. */
void interrupt_watch(void);
bool interrupted(void);

#endif
