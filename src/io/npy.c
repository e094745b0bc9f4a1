/* SPDX-License-Identifier: MIT */
/*
 * NumPy's .npy (NEP 1):
 *
 *     "\x93NUMPY"  major  minor  header length (2 bytes in format 1, 4 in formats 2 and 3)
 *     header: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }  spaces  newline
 *     the elements, without gaps
 *
 * The header is a Python literal.  It is read by a parser of just this dictionary: its three keys,
 * each once, in any order.
 */
#include "io/npy.h"

#include "base/text.h"
#include "io/output.h"

#include <deq/io/npy.h>
#include <string.h>

typedef struct header {
    deq_element element;
    bool big_endian, fortran;
    deq_shape shape;
    unsigned seen; /* keys, one bit each */
} header;

typedef struct parser {
    const deq_source *s;
    size_t at, end; /* within the header */
} parser;

static const char *const keys[] = { "descr", "fortran_order", "shape" };

static char peek(parser *p)
{
    while (p->at < p->end && (p->s->data[p->at] == ' ' || p->s->data[p->at] == '\n')) p->at++;
    return p->at < p->end ? (char)p->s->data[p->at] : '\0';
}

static deq_status unexpected(parser *p, const char *expected)
{
    char quoted[DEQ_QUOTED_BYTES];

    (void)peek(p);
    const size_t left = p->end - p->at;
    return deq_source_fail(p->s, p->at, "expected %s in the header of an array, found '%s'",
                           expected, deq_quote(quoted, p->s->data + p->at, left < 12 ? left : 12));
}

static bool skip(parser *p, const char *text)
{
    (void)peek(p);
    const size_t n = strlen(text);
    if (n > p->end - p->at || memcmp(p->s->data + p->at, text, n) != 0) return false;
    p->at += n;
    return true;
}

/* A string without escapes, in either kind of quotes. */
static deq_status string(parser *p, const char **text, size_t *length, const char *expected)
{
    const char quote = peek(p);

    if (quote != '\'' && quote != '"') return unexpected(p, expected);
    const size_t start = p->at + 1;
    size_t end = start;
    while (end < p->end && p->s->data[end] != (unsigned char)quote && p->s->data[end] != '\\')
        end++;
    if (end >= p->end || p->s->data[end] == '\\') return unexpected(p, expected);
    *text = (const char *)p->s->data + start;
    *length = end - start;
    p->at = end + 1;
    return DEQ_OK;
}

static deq_element element_of(char kind, char size)
{
    static const struct {
        char kind, size;
        deq_element element;
    } table[] = {
        { 'b', '1', DEQ_ELEMENT_BOOL }, { '?', 0, DEQ_ELEMENT_BOOL },
        { 'i', '1', DEQ_ELEMENT_I8 },   { 'i', '2', DEQ_ELEMENT_I16 },
        { 'i', '4', DEQ_ELEMENT_I32 },  { 'i', '8', DEQ_ELEMENT_I64 },
        { 'u', '1', DEQ_ELEMENT_U8 },   { 'u', '2', DEQ_ELEMENT_U16 },
        { 'u', '4', DEQ_ELEMENT_U32 },  { 'u', '8', DEQ_ELEMENT_U64 },
        { 'f', '2', DEQ_ELEMENT_F16 },  { 'f', '4', DEQ_ELEMENT_F32 },
        { 'f', '8', DEQ_ELEMENT_F64 },
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].kind == kind && table[i].size == size) return table[i].element;
    return DEQ_ELEMENT_NONE;
}

/* '<f4': order of bytes, kind, size. */
static deq_status descr(parser *p, header *h)
{
    const char *text;
    size_t length;
    char quoted[DEQ_QUOTED_BYTES];

    if (peek(p) == '[')
        return deq_source_refuse(p->s, DEQ_ERR_UNSUPPORTED, p->at,
                                 "the array holds records, expected numbers");
    const size_t start = p->at;
    DEQ_TRY(string(p, &text, &length, "an element type such as '<f4'"));
    const bool ordered = length > 0 && strchr("<>|=", text[0]) != NULL;
    const char *rest = text + ordered;
    const size_t left = length - ordered;
    if (left == 1 || left == 2) h->element = element_of(rest[0], left == 2 ? rest[1] : '\0');
    if (h->element == DEQ_ELEMENT_NONE)
        return deq_source_refuse(p->s, DEQ_ERR_UNSUPPORTED, start,
                                 "the elements have type '%s'; known are bool, i1 to i8, u1 to u8, "
                                 "f2, f4 and f8",
                                 deq_quote(quoted, text, length));
    h->big_endian = ordered && text[0] == '>';
    if (!ordered || text[0] == '=') h->big_endian = deq_host_is_big_endian();
    return DEQ_OK;
}

static deq_status extent(parser *p, int64_t *value)
{
    *value = 0;
    const char first = peek(p);
    if (first < '0' || first > '9') return unexpected(p, "an extent");
    const size_t start = p->at;
    for (; p->at < p->end && p->s->data[p->at] >= '0' && p->s->data[p->at] <= '9'; p->at++) {
        const int digit = p->s->data[p->at] - '0';
        if (*value > (INT64_MAX - digit) / 10)
            return deq_source_fail(p->s, start, "an extent is too large");
        *value = *value * 10 + digit;
    }
    (void)skip(p, "L"); /* Python 2's long integers */
    return DEQ_OK;
}

/* (), (5,) or (2, 3) */
static deq_status shape(parser *p, header *h)
{
    const size_t start = p->at;

    if (!skip(p, "(")) return unexpected(p, "a tuple of extents");
    bool separated = true;
    while (!skip(p, ")")) {
        if (!separated) return unexpected(p, "',' or ')'");
        if (h->shape.rank == DEQ_MAX_RANK)
            return deq_source_refuse(p->s, DEQ_ERR_UNSUPPORTED, start,
                                     "the array has more than %d axes", DEQ_MAX_RANK);
        DEQ_TRY(extent(p, &h->shape.dim[h->shape.rank++]));
        separated = skip(p, ",");
    }
    return DEQ_OK;
}

static deq_status entry(parser *p, header *h)
{
    const char *text;
    size_t length;
    unsigned key = 0;

    (void)peek(p);
    const size_t start = p->at;
    DEQ_TRY(string(p, &text, &length, "a key"));
    while (key < 3 && (strlen(keys[key]) != length || memcmp(keys[key], text, length) != 0)) key++;
    if (key == 3 || h->seen >> key & 1) {
        p->at = start;
        return unexpected(p, "'descr', 'fortran_order' and 'shape', each once,");
    }
    h->seen |= 1u << key;
    if (!skip(p, ":")) return unexpected(p, "':'");
    if (key == 0) return descr(p, h);
    if (key == 2) return shape(p, h);
    h->fortran = skip(p, "True");
    return h->fortran || skip(p, "False") ? DEQ_OK : unexpected(p, "True or False");
}

static deq_status dictionary(parser *p, header *h)
{
    bool separated = true;

    if (!skip(p, "{")) return unexpected(p, "'{'");
    while (!skip(p, "}")) {
        if (!separated) return unexpected(p, "',' or '}'");
        DEQ_TRY(entry(p, h));
        separated = skip(p, ",");
    }
    if (h->seen != 7) return unexpected(p, "'descr', 'fortran_order' and 'shape'");
    return peek(p) ? unexpected(p, "nothing more") : DEQ_OK;
}

/* Where the elements begin. */
static deq_status read_header(const deq_source *s, header *h, size_t *start)
{
    char quoted[DEQ_QUOTED_BYTES];

    if (s->size < 6 || memcmp(s->data, "\x93NUMPY", 6) != 0)
        return deq_source_fail(s, 0, "expected '\\x93NUMPY', found '%s': not a NumPy array",
                               deq_quote(quoted, s->data, s->size < 6 ? s->size : 6));
    DEQ_TRY(deq_source_need(s, 6, 4, "the header of an array"));
    const unsigned major = s->data[6];
    if (major < 1 || major > 3 || s->data[7] != 0)
        return deq_source_refuse(s, DEQ_ERR_UNSUPPORTED, 6,
                                 "NumPy format %u.%u; known are 1.0, 2.0 and 3.0", major,
                                 (unsigned)s->data[7]);
    const size_t first = major == 1 ? 10 : 12;
    DEQ_TRY(deq_source_need(s, 6, first - 6, "the header of an array"));
    const size_t length = major == 1 ? deq_le16(s->data + 8) : deq_le32(s->data + 8);
    DEQ_TRY(deq_source_need(s, first, length, "the header of an array"));
    parser p = { s, first, first + length };
    *start = p.end;
    return dictionary(&p, h);
}

/* Axis 0 runs fastest in the file; both orders have all elements, so one buffer turns to another:
 * element (i_0, ..., i_r-1) of the result stands at i_0 + d_0 (i_1 + d_1 (i_2 + ...)). */
static void to_row_major(unsigned char *dst, const unsigned char *src, const deq_shape *shape,
                         size_t size)
{
    const size_t count = (size_t)deq_shape_count(shape);
    size_t stride[DEQ_MAX_RANK], from = 0;
    int64_t at[DEQ_MAX_RANK] = { 0 };

    for (int i = 0; i < shape->rank; i++)
        stride[i] = i == 0 ? 1 : stride[i - 1] * (size_t)shape->dim[i - 1];
    for (size_t k = 0; k < count; k++) {
        memcpy(dst + k * size, src + from * size, size);
        for (int i = shape->rank - 1; i >= 0; i--) {
            from += stride[i];
            if (++at[i] < shape->dim[i]) break;
            from -= stride[i] * (size_t)shape->dim[i];
            at[i] = 0;
        }
    }
}

static deq_status put_fortran(deq_archive *a, const char *name, const header *h,
                              const deq_source *s, size_t start, size_t bytes)
{
    deq_context *ctx = deq_archive_context(a);
    unsigned char *turned = deq_alloc(ctx, bytes);

    if (!turned) return DEQ_ERR_NOMEM;
    DEQ_TRY(deq_archive_take(a, turned, bytes));
    to_row_major(turned, s->data + start, &h->shape, deq_element_size(h->element));
    const deq_source rows = { .ctx = ctx, .name = s->name, .data = turned, .size = bytes };
    return deq_archive_put(a, name, h->element, &h->shape, &rows, 0, h->big_endian, true);
}

deq_status deq_npy_check(const deq_source *s)
{
    header h = { 0 };
    size_t start;

    return read_header(s, &h, &start);
}

deq_status deq_npy_decode(deq_archive *a, const char *name, const deq_source *s, bool lent)
{
    header h = { 0 };
    size_t start = 0, bytes;

    DEQ_TRY(read_header(s, &h, &start));
    if (!deq_element_bytes(&bytes, &h.shape, deq_element_size(h.element)) ||
        bytes != s->size - start)
        return deq_source_fail(s, start,
                               "%zu bytes of elements follow the header, which announces "
                               "another number",
                               s->size - start);
    if (h.fortran && h.shape.rank > 1) return put_fortran(a, name, &h, s, start, bytes);
    return deq_archive_put(a, name, h.element, &h.shape, s, start, h.big_endian, lent);
}

static deq_status read(deq_archive **out, deq_source *s)
{
    deq_archive *a;

    *out = NULL;
    DEQ_TRY(deq_archive_new(&a, s->ctx));
    const deq_source view = { .ctx = s->ctx, .name = s->name, .data = s->data, .size = s->size };
    const bool lent = s->owned != NULL;
    deq_status status = deq_archive_take_source(a, s);
    if (status == DEQ_OK) status = deq_npy_decode(a, "data", &view, lent);
    if (status == DEQ_OK)
        *out = a;
    else
        deq_archive_free(a);
    return status;
}

deq_status deq_npy_read(deq_archive **out, deq_context *ctx, const char *path)
{
    deq_source s;

    *out = NULL;
    DEQ_TRY(deq_source_open(&s, ctx, path));
    deq_status status = read(out, &s);
    deq_source_close(&s);
    return status;
}

deq_status deq_npy_parse(deq_archive **out, deq_context *ctx, const void *bytes, size_t size)
{
    deq_source s = deq_source_memory(ctx, bytes, size);

    return read(out, &s);
}

size_t deq_npy_header(char head[DEQ_NPY_HEADER_BYTES], const deq_type *type)
{
    static const char *const descr[] = {
        [DEQ_F32] = "f4", [DEQ_F64] = "f8", [DEQ_I32] = "i4", [DEQ_I64] = "i8", [DEQ_BOOL] = "b1",
    };
    static const char magic[8] = { '\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0 };
    const char order = type->dtype == DEQ_BOOL ? '|' : deq_host_is_big_endian() ? '>' : '<';
    deq_text t = { head + 10, DEQ_NPY_HEADER_BYTES - 10, 0 };

    memcpy(head, magic, sizeof magic);
    deq_text_add(&t, "{'descr': '%c%s', 'fortran_order': False, 'shape': (", order,
                 descr[type->dtype]);
    for (int i = 0; i < type->shape.rank; i++)
        deq_text_add(&t, "%s%lld%s", i ? " " : "", (long long)type->shape.dim[i],
                     i + 1 < type->shape.rank || i == 0 ? "," : "");
    deq_text_add(&t, "), }");
    size_t bytes = (10 + t.length + 1 + 63) / 64 * 64;
    memset(head + 10 + t.length, ' ', bytes - 10 - t.length);
    head[bytes - 1] = '\n';
    head[8] = (char)((bytes - 10) & 255);
    head[9] = (char)((bytes - 10) >> 8);
    return bytes;
}

deq_status deq_npy_write(deq_context *ctx, const char *path, deq_type type, const void *data)
{
    char head[DEQ_NPY_HEADER_BYTES];
    size_t bytes;
    deq_output o;

    DEQ_TRY(deq_archive_check_type(ctx, "data", &type, &bytes));
    if (!data && bytes) return deq_fail(ctx, DEQ_ERR_ARGUMENT, "no data to write");
    DEQ_TRY(deq_output_open(&o, ctx, path));
    deq_output_write(&o, head, deq_npy_header(head, &type));
    deq_output_write(&o, data, bytes);
    return deq_output_close(&o, DEQ_OK);
}
