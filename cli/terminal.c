/* SPDX-License-Identifier: MIT */
/* What stands behind stdout and stderr. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "terminal.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static colour_mode colours = COLOUR_AUTO;
static bool is_quiet;

void terminal_setup(colour_mode mode, bool quiet)
{
    colours = mode;
    is_quiet = quiet;
}

bool terminal_quiet(void)
{
    return is_quiet;
}

static bool is_set(const char *name)
{
    const char *value = getenv(name);
    return value && *value;
}

bool terminal_is(FILE *stream)
{
    const int fd = fileno(stream);
    const char *term = getenv("TERM");
    return fd >= 0 && isatty(fd) && !(term && strcmp(term, "dumb") == 0);
}

int terminal_width(FILE *stream)
{
    int width = 0;
    const char *columns = getenv("COLUMNS");
#ifdef TIOCGWINSZ
    struct winsize size;
    const int fd = fileno(stream);
    if (fd >= 0 && isatty(fd) && ioctl(fd, TIOCGWINSZ, &size) == 0) width = size.ws_col;
#endif
    if (width == 0 && columns) width = (int)strtol(columns, NULL, 10);
    if (width <= 0) width = 80;
    return width < 20 ? 20 : width > 1000 ? 1000 : width;
}

bool terminal_colours(FILE *stream)
{
    if (colours == COLOUR_AUTO) return terminal_is(stream) && !is_set("NO_COLOR");
    return colours == COLOUR_ALWAYS;
}

void print_styled(FILE *stream, text_style s, const char *format, ...)
{
    static const char *const codes[] = { "", "1", "2", "31", "32", "33" };
    const bool coloured = s != STYLE_PLAIN && terminal_colours(stream);
    va_list args;
    if (coloured) fprintf(stream, "\033[%sm", codes[s]);
    va_start(args, format);
    vfprintf(stream, format, args);
    va_end(args);
    if (coloured) fputs("\033[0m", stream);
}

double clock_seconds(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) return 0;
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
