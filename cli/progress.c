/* SPDX-License-Identifier: MIT */
/* Progress on stderr: a line that is redrawn, or plain lines now and then. */
#include "terminal.h"
#include "text.h"

#include <inttypes.h>
#include <stdarg.h>

#define REDRAW_SECONDS 0.1
#define BAR_CELLS 20

/* "[########............]" */
static void put_bar(text_buffer *t, double part)
{
    const int full = (int)(part * BAR_CELLS + 0.5);
    put(t, " [");
    for (int i = 0; i < BAR_CELLS; i++) put(t, i < full ? "#" : ".");
    put(t, "]");
}

static void put_state(text_buffer *t, const progress *p, int64_t done, double now, bool bar)
{
    char time[HUMAN_CAPACITY];
    const double elapsed = now - p->begin;
    put_safe(t, p->what);
    if (p->total > 0) {
        const double part = done >= p->total ? 1 : done > 0 ? (double)done / (double)p->total : 0;
        if (bar) put_bar(t, part);
        put_format(t, " %3d%% %" PRId64 "/%" PRId64, (int)(100 * part), done, p->total);
        if (part > 0 && part < 1)
            put_format(t, ", %s left", human_seconds(time, elapsed * (1 - part) / part));
    } else {
        put_format(t, " %" PRId64, done);
    }
    put_format(t, ", %s", human_seconds(time, elapsed));
}

/* The one whose line stands on the terminal. */
static progress *standing;

/* Redraws the line, no longer than the terminal is wide. */
static void draw(progress *p, const char *line)
{
    int left = terminal_width(stderr) - 1;
    size_t n = 0;
    while (line[n]) {
        if (((unsigned char)line[n] & 0xc0) != 0x80 && left-- == 0) break;
        n++;
    }
    fprintf(stderr, "\r\033[K%.*s", (int)n, line);
    fflush(stderr);
    standing = p;
}

void progress_hide(void)
{
    if (standing) fputs("\r\033[K", stderr);
    standing = NULL;
}

void progress_start(progress *p, const char *what, int64_t total)
{
    const double now = clock_seconds();
    *p = (progress){ .what = what, .total = total, .begin = now, .shown = now };
}

void progress_update(progress *p, int64_t done, const char *format, ...)
{
    if (terminal_quiet()) return;
    const bool redraw = terminal_is(stderr);
    const double now = clock_seconds();
    if (now - p->shown < (redraw ? REDRAW_SECONDS : PROGRESS_PLAIN_SECONDS)) return;
    p->shown = now;
    text_buffer line = { 0 };
    put_state(&line, p, done, now, redraw);
    if (format) {
        char more[256];
        va_list args;
        va_start(args, format);
        vsnprintf(more, sizeof more, format, args);
        va_end(args);
        put(&line, "  ");
        put_safe(&line, more);
    }
    if (redraw)
        draw(p, text_string(&line));
    else
        fprintf(stderr, "%s\n", text_string(&line));
    text_free(&line);
}

void progress_note(progress *p, const char *format, ...)
{
    va_list args;
    (void)p; /* whichever line stands has to go */
    if (terminal_quiet()) return;
    progress_hide();
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

void progress_end(progress *p)
{
    if (standing == p) progress_hide();
    fflush(stderr);
}
