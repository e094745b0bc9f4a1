/* SPDX-License-Identifier: MIT */
/* Text for people: safe, wrapped, and numbers with their units. */
#include "text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void *must_realloc(void *old, size_t bytes)
{
    void *memory = realloc(old, bytes ? bytes : 1);
    if (!memory) {
        fprintf(stderr, "deq: out of memory\n");
        exit(CLI_FAILED);
    }
    return memory;
}

void *must_alloc(size_t bytes)
{
    return must_realloc(NULL, bytes);
}

/* Growing ------------------------------------------------------------------------------------ */

static char *room(text_buffer *t, size_t n)
{
    if (t->capacity - t->size <= n) {
        t->capacity = 2 * t->capacity + n + 64;
        t->bytes = must_realloc(t->bytes, t->capacity);
    }
    return t->bytes + t->size;
}

void put_bytes(text_buffer *t, const char *s, size_t n)
{
    char *end = room(t, n);
    memcpy(end, s, n);
    end[n] = '\0';
    t->size += n;
}

void put(text_buffer *t, const char *s)
{
    put_bytes(t, s, strlen(s));
}

void put_format(text_buffer *t, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    const int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n > 0) {
        vsnprintf(room(t, (size_t)n), (size_t)n + 1, format, again);
        t->size += (size_t)n;
    }
    va_end(again);
}

void text_free(text_buffer *t)
{
    free(t->bytes);
    *t = (text_buffer){ 0 };
}

const char *text_string(const text_buffer *t)
{
    return t->bytes ? t->bytes : "";
}

/* UTF-8 -------------------------------------------------------------------------------------- */

/* Bytes of the code point that begins here; 0 if none does (RFC 3629: no surrogates, nothing longer
 * than needed). */
static size_t code_point(const unsigned char *s)
{
    static const struct {
        unsigned char first, last, low, high;
        size_t length;
    } forms[] = {
        { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
        { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 },
        { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
    };
    if (s[0] < 0x80) return 1;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (s[0] < forms[i].first || s[0] > forms[i].last) continue;
        if (s[1] < forms[i].low || s[1] > forms[i].high) return 0;
        for (size_t k = 2; k < forms[i].length; k++)
            if (s[k] < 0x80 || s[k] > 0xbf) return 0;
        return forms[i].length;
    }
    return 0;
}

/* Control characters of ASCII and of Latin 1 (U+0080 to U+009F). */
static bool is_control(const unsigned char *s)
{
    return s[0] < 0x20 || s[0] == 0x7f || (s[0] == 0xc2 && s[1] < 0xa0);
}

void put_safe(text_buffer *t, const char *s)
{
    const unsigned char *at = (const unsigned char *)s;
    while (*at) {
        const size_t n = code_point(at);
        if (n == 0 || is_control(at)) {
            for (size_t k = 0; k < (n ? n : 1); k++) put_format(t, "\\x%02x", at[k]);
        } else {
            put_bytes(t, (const char *)at, n);
        }
        at += n ? n : 1;
    }
}

size_t text_columns(const char *s)
{
    size_t n = 0;
    for (; *s; s++) n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

/* Paragraphs --------------------------------------------------------------------------------- */

static void put_blanks(text_buffer *t, int n)
{
    for (int i = 0; i < n; i++) put(t, " ");
}

/* One paragraph of n bytes, whose line ends are blanks. */
static void put_paragraph(text_buffer *t, const char *s, size_t n, int indent, int width)
{
    int column = 0; /* 0: nothing on this line yet */
    for (size_t at = 0; at < n;) {
        size_t length = 0;
        int columns = 0;
        for (; at + length < n && s[at + length] != ' ' && s[at + length] != '\n'; length++)
            columns += ((unsigned char)s[at + length] & 0xc0) != 0x80;
        if (length == 0) {
            at++;
            continue;
        }
        if (column > 0 && column + 1 + columns > width) {
            put(t, "\n");
            column = 0;
        }
        if (column == 0) {
            put_blanks(t, indent);
            column = indent + columns;
        } else {
            put(t, " ");
            column += 1 + columns;
        }
        put_bytes(t, s + at, length);
        at += length;
    }
    if (column > 0) put(t, "\n");
}

/* How many bytes belong together: one line that stays, or lines up to an empty or such a one. */
static size_t paragraph_bytes(const char *s)
{
    size_t n = 0;
    if (*s == '\n') return 1;
    do {
        n += strcspn(s + n, "\n");
        n += s[n] == '\n';
    } while (s[n] && s[n] != '\n' && strncmp(s, "  ", 2) != 0 && strncmp(s + n, "  ", 2) != 0);
    return n;
}

void put_wrapped(text_buffer *t, const char *s, int indent, int width)
{
    while (*s) {
        const size_t n = paragraph_bytes(s);
        if (*s == '\n') {
            put(t, "\n");
        } else if (strncmp(s, "  ", 2) == 0) {
            put_blanks(t, indent);
            put_bytes(t, s, n);
            if (s[n - 1] != '\n') put(t, "\n");
        } else {
            put_paragraph(t, s, n, indent, width);
        }
        s += n;
    }
}

/* Numbers ------------------------------------------------------------------------------------ */

const char *human_bytes(char buffer[HUMAN_CAPACITY], uint64_t bytes)
{
    static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    double x = (double)bytes / 1024;
    size_t unit = 0;
    if (bytes < 1024) {
        snprintf(buffer, HUMAN_CAPACITY, "%" PRIu64 " B", bytes);
        return buffer;
    }
    for (; x >= 1023.95 && unit + 1 < sizeof units / sizeof *units; unit++) x /= 1024;
    snprintf(buffer, HUMAN_CAPACITY, "%.1f %s", x, units[unit]);
    return buffer;
}

const char *human_seconds(char buffer[HUMAN_CAPACITY], double seconds)
{
    if (!(seconds >= 0) || seconds > 1e12)
        snprintf(buffer, HUMAN_CAPACITY, "?");
    else if (seconds < 59.95)
        snprintf(buffer, HUMAN_CAPACITY, "%.1f s", seconds);
    else if (seconds < 3599.5)
        snprintf(buffer, HUMAN_CAPACITY, "%d min %02d s", (int)(seconds + 0.5) / 60,
                 (int)(seconds + 0.5) % 60);
    else
        snprintf(buffer, HUMAN_CAPACITY, "%" PRId64 " h %02d min",
                 (int64_t)(seconds / 60 + 0.5) / 60, (int)((int64_t)(seconds / 60 + 0.5) % 60));
    return buffer;
}
