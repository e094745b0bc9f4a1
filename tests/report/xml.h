/* SPDX-License-Identifier: MIT */
/*
 * Is it well-formed XML 1.0?  Elements nest and close, attributes are quoted and named once, references
 * are known, every character is one, and nothing stands outside of the root.
 */
#ifndef DEQ_TESTS_REPORT_XML_H
#define DEQ_TESTS_REPORT_XML_H

#include "support/test.h"

#include "base/utf8.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* What a writer wrote. */
typedef struct written {
    char *data;
    size_t length, capacity,
        refuse_at; /* refuse_at: the length from which on it refuses; 0: none */
} written;

static inline bool keep_text(void *user, const char *text, size_t length)
{
    written *w = user;

    if (w->refuse_at && w->length + length > w->refuse_at) return false;
    if (w->length + length + 1 > w->capacity) {
        w->capacity = 2 * (w->length + length + 1);
        w->data = realloc(w->data, w->capacity);
        assert_non_null(w->data);
    }
    memcpy(w->data + w->length, text, length);
    w->length += length;
    w->data[w->length] = '\0';
    return true;
}

static inline int count_of(const char *text, const char *what)
{
    int n = 0;

    for (const char *at = text; (at = strstr(at, what)) != NULL; at += strlen(what)) n++;
    return n;
}

static inline void expect_part(const char *text, const char *part)
{
    assert_non_null(text);
    if (!strstr(text, part)) fail_msg("'%s' is not in:\n%.4000s", part, text);
}

static inline void expect_no_part(const char *text, const char *part)
{
    const char *at = strstr(text, part);

    if (at) fail_msg("'%s' is in: ...%.100s", part, at);
}

#define XML_ASSERT(holds, at)                                                                      \
    do {                                                                                           \
        if (!(holds)) fail_msg("not so: %s, at '%.80s'", #holds, at);                              \
    } while (0)

static inline bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("-_:.", c));
}

/* name has 64 bytes.  The type does not say so: under the sanitizers gcc draws wrong conclusions
 * from it. */
static inline const char *xml_name(char *name, const char *at)
{
    size_t n = 0;

    XML_ASSERT(is_name_byte(*at) && *at != '-' && *at != '.' && !(*at >= '0' && *at <= '9'), at);
    while (is_name_byte(at[n]) && n < 63) n++;
    memcpy(name, at, n);
    name[n] = '\0';
    return at + n;
}

/* One character of text, which is not `end` and not '<'. */
static inline const char *xml_character(const char *at)
{
    static const char *const known[] = { "&amp;", "&lt;", "&gt;", "&quot;", "&#39;", "&#13;" };

    XML_ASSERT(*at != '<', at);
    if (*at == '&') {
        for (size_t k = 0; k < sizeof known / sizeof *known; k++)
            if (strncmp(at, known[k], strlen(known[k])) == 0) return at + strlen(known[k]);
        fail_msg("unknown reference at '%.20s'", at);
    }
    const char *from = at;
    const uint32_t c = deq_utf8_next(&at);
    XML_ASSERT(c == '\t' || c == '\n' || (c >= 0x20 && c != DEQ_UTF8_BAD && (c & 0xFFFE) != 0xFFFE),
               from);
    return at;
}

static inline const char *xml_attributes(const char *at)
{
    char names[32][64];
    int n = 0;

    while (*at == ' ') {
        XML_ASSERT(n < 32, at);
        at = xml_name(names[n], at + 1);
        for (int k = 0; k < n; k++) XML_ASSERT(strcmp(names[k], names[n]) != 0, at);
        n++;
        XML_ASSERT(at[0] == '=' && at[1] == '"', at);
        for (at += 2; *at != '"';) at = xml_character(at);
        at++;
    }
    return at;
}

/* Fails the test at the first thing that is wrong; returns the number of elements. */
static inline int expect_xml(const char *at)
{
    char open[64][64];
    int depth = 0, elements = 0;

    if (strncmp(at, "<?xml ", 6) == 0) at = strstr(at, "?>\n") + 3;
    if (strncmp(at, "<!DOCTYPE html>\n", 16) == 0) at += 16;
    XML_ASSERT(*at == '<', at);
    while (*at) {
        char name[64];
        if (*at != '<') {
            XML_ASSERT(depth > 0 || *at == '\n', at);
            at = xml_character(at);
        } else if (at[1] == '/') {
            at = xml_name(name, at + 2);
            XML_ASSERT(depth > 0 && strcmp(open[depth - 1], name) == 0, at);
            depth--;
            XML_ASSERT(*at == '>', at);
            at++;
        } else {
            XML_ASSERT(depth > 0 || elements == 0, at);
            XML_ASSERT(depth < 64, at);
            at = xml_name(open[depth], at + 1);
            at = xml_attributes(at);
            elements++;
            if (*at == '/')
                at++;
            else
                depth++;
            XML_ASSERT(*at == '>', at);
            at++;
        }
    }
    assert_int_equal(depth, 0);
    return elements;
}

#endif
