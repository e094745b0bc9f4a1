/* SPDX-License-Identifier: MIT */
/* Text that grows, escapes, and numbers. */
#include "report/page.h"

#include "base/utf8.h"
#include "io/output.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void deq_page_free(deq_page *p)
{
    deq_release(p->ctx, p->data, p->capacity);
    p->data = NULL;
    p->length = p->capacity = 0;
}

void deq_page_bytes(deq_page *p, const char *bytes, size_t count)
{
    size_t need;

    if (p->status != DEQ_OK || count == 0) return;
    if (!deq_size_add(&need, p->length, count))
        p->status = deq_fail(p->ctx, DEQ_ERR_NOMEM, "a page of more than %zu bytes", p->length);
    else
        p->status = deq_grow(p->ctx, (void **)&p->data, &p->capacity, need, 1);
    if (p->status != DEQ_OK) return;
    memcpy(p->data + p->length, bytes, count);
    p->length += count;
}

void deq_page_raw(deq_page *p, const char *markup)
{
    deq_page_bytes(p, markup, strlen(markup));
}

void deq_page_format(deq_page *p, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    deq_page_raw(p, text);
}

/* What XML 1.0 knows as a character, without the controls that nobody sees. */
static bool is_character(uint32_t c)
{
    if (c < 0x20) return c == '\t' || c == '\n' || c == '\r';
    return c != DEQ_UTF8_BAD && !(c >= 0x7F && c < 0xA0) && (c & 0xFFFE) != 0xFFFE;
}

static const char *escape(uint32_t c)
{
    switch (c) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&#39;";
    case '\r': return "&#13;";
    default: return is_character(c) ? NULL : "\xEF\xBF\xBD";
    }
}

void deq_page_cut(deq_page *p, const char *text, size_t most)
{
    const char *at = text ? text : "";

    for (size_t n = 0;; n++) {
        const char *from = at;
        const uint32_t c = deq_utf8_next(&at);
        if (c == 0) return;
        if (n + 1 >= most && *at) {
            deq_page_raw(p, "\xE2\x80\xA6");
            return;
        }
        const char *other = escape(c);
        if (other)
            deq_page_raw(p, other);
        else
            deq_page_bytes(p, from, (size_t)(at - from));
    }
}

void deq_page_text(deq_page *p, const char *text)
{
    deq_page_cut(p, text, SIZE_MAX);
}

size_t deq_text_characters(const char *text)
{
    size_t n = 0;

    while (text && deq_utf8_next(&text) != 0) n++;
    return n;
}

void deq_page_place(deq_page *p, double place)
{
    /* Far outside is as good as anywhere outside. */
    const double bounded = fmin(fmax(place, -1e6), 1e6);
    const long hundredths = lround(bounded * 100), size = hundredths < 0 ? -hundredths : hundredths;
    char text[32];

    int n = snprintf(text, sizeof text, "%s%ld.%02ld", hundredths < 0 ? "-" : "", size / 100,
                     size % 100);
    while (text[n - 1] == '0') n--;
    if (text[n - 1] == '.') n--;
    deq_page_bytes(p, text, (size_t)n);
}

void deq_page_number(deq_page *p, double value, int digits)
{
    char text[DEQ_NUMBER_BYTES];

    if (isnan(value))
        deq_page_raw(p, "NaN");
    else if (isinf(value))
        deq_page_raw(p, value > 0 ? "\xE2\x88\x9E" : "\xE2\x88\x92\xE2\x88\x9E");
    else
        deq_page_raw(p, deq_number_text(text, 'g', digits, value));
}

deq_status deq_page_write(const deq_page *p, deq_write_fn *write, void *user)
{
    if (p->status != DEQ_OK) return p->status;
    if (p->length && !write(user, p->data, p->length))
        return deq_fail(p->ctx, DEQ_ERR_IO, "the page was not taken");
    return DEQ_OK;
}

static bool write_to_output(void *user, const char *text, size_t length)
{
    deq_output *o = user;

    deq_output_write(o, text, length);
    return o->error == 0;
}

deq_status deq_page_save(deq_context *ctx, const char *path, deq_page_writer *writer, void *object)
{
    deq_output o;

    DEQ_TRY(deq_output_open(&o, ctx, path));
    deq_status status = writer(object, write_to_output, &o);
    if (o.error) status = DEQ_OK; /* closing says why, with the file's name */
    return deq_output_close(&o, status);
}
