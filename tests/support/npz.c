/* SPDX-License-Identifier: MIT */
/* The zip directory at the end of the file names the members; zlib inflates them. */
#include "support/npz.h"

#include "support/test.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

typedef struct member {
    char *name;
    unsigned method;
    uint32_t packed, size, at; /* at: of the local header */
    bool loaded;
    npz_array array;
} member;

struct npz {
    unsigned char *bytes;
    size_t length;
    member *members;
    int count;
};

static uint32_t u16(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t u32(const unsigned char *p)
{
    return u16(p) | u16(p + 2) << 16;
}

static bool read_file(npz *z, const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) return false;
    long length = fseek(f, 0, SEEK_END) == 0 ? ftell(f) : -1;
    if (length > 0 && fseek(f, 0, SEEK_SET) == 0) {
        z->length = (size_t)length;
        z->bytes = malloc(z->length);
        if (z->bytes && fread(z->bytes, 1, z->length, f) != z->length) z->length = 0;
    }
    fclose(f);
    return z->bytes && z->length > 22;
}

/* The record of the end of the directory, or NULL. */
static const unsigned char *find_end(const npz *z)
{
    size_t last = z->length - 22, first = last > 65535 ? last - 65535 : 0;
    for (size_t i = last + 1; i-- > first;)
        if (u32(z->bytes + i) == 0x06054b50) return z->bytes + i;
    return NULL;
}

static bool read_directory(npz *z)
{
    const unsigned char *end = find_end(z);
    if (!end) return false;
    size_t at = u32(end + 16), n = u16(end + 10);
    z->members = calloc(n ? n : 1, sizeof *z->members);
    for (size_t i = 0; z->members && i < n; i++) {
        const unsigned char *p = z->bytes + at;
        if (at + 46 > z->length || u32(p) != 0x02014b50) return false;
        size_t name = u16(p + 28);
        if (at + 46 + name > z->length) return false;
        member *m = &z->members[z->count++];
        *m = (member){
            .method = u16(p + 10), .packed = u32(p + 20), .size = u32(p + 24), .at = u32(p + 42)
        };
        size_t shown = name > 4 && memcmp(p + 46 + name - 4, ".npy", 4) == 0 ? name - 4 : name;
        m->name = calloc(shown + 1, 1);
        if (!m->name) return false;
        memcpy(m->name, p + 46, shown);
        at += 46 + name + u16(p + 30) + u16(p + 32);
    }
    return z->members != NULL;
}

npz *npz_open(const char *path, const char **why)
{
    npz *z = calloc(1, sizeof *z);
    const char *reason = NULL;
    if (!z || !read_file(z, path))
        reason = "the file cannot be read";
    else if (!read_directory(z))
        reason = "the file is no zip archive";
    if (why) *why = reason;
    if (!reason) return z;
    npz_close(z);
    return NULL;
}

void npz_close(npz *z)
{
    if (!z) return;
    for (int i = 0; i < z->count; i++) {
        free(z->members[i].name);
        free(z->members[i].array.data);
    }
    free(z->members);
    free(z->bytes);
    free(z);
}

int npz_count(const npz *z)
{
    return z->count;
}

const char *npz_name(const npz *z, int i)
{
    return z->members[i].name;
}

/* The unpacked bytes of a member, to be freed; NULL when it is damaged. */
static unsigned char *unpack(const npz *z, const member *m)
{
    const unsigned char *p = z->bytes + m->at;
    if ((size_t)m->at + 30 > z->length || u32(p) != 0x04034b50) return NULL;
    size_t from = (size_t)m->at + 30 + u16(p + 26) + u16(p + 28);
    if (from + m->packed > z->length) return NULL;
    unsigned char *out = malloc(m->size ? m->size : 1);
    if (!out || m->method == 0) {
        if (out && m->packed == m->size) memcpy(out, z->bytes + from, m->size);
        return out;
    }
    z_stream s = {
        .next_in = z->bytes + from, .avail_in = m->packed, .next_out = out, .avail_out = m->size
    };
    bool good = m->method == 8 && inflateInit2(&s, -MAX_WBITS) == Z_OK;
    if (good) {
        good = inflate(&s, Z_FINISH) == Z_STREAM_END && s.total_out == m->size;
        inflateEnd(&s);
    }
    if (good) return out;
    free(out);
    return NULL;
}

static bool convert(double *out, const unsigned char *p, int64_t count, char kind, int size)
{
    for (int64_t i = 0; i < count; i++, p += size) {
        float f;
        double d;
        int64_t i64;
        int32_t i32;
        if (kind == 'f' && size == 4) {
            memcpy(&f, p, 4);
            out[i] = (double)f;
        } else if (kind == 'f' && size == 8) {
            memcpy(&d, p, 8);
            out[i] = d;
        } else if (kind == 'i' && size == 8) {
            memcpy(&i64, p, 8);
            out[i] = (double)i64;
        } else if (kind == 'i' && size == 4) {
            memcpy(&i32, p, 4);
            out[i] = (double)i32;
        } else if (size == 1) {
            out[i] = kind == 'i' ? (double)(signed char)*p : (double)*p;
        } else {
            return false;
        }
    }
    return true;
}

/* "{'descr': '<f8', 'fortran_order': False, 'shape': (8, 32), }" */
static bool parse_npy(npz_array *a, const unsigned char *p, size_t length)
{
    char header[1024] = "", kind;
    int size;
    if (length < 12 || memcmp(p, "\x93NUMPY", 6) != 0) return false;
    size_t start = p[6] == 1 ? 10 : 12, n = p[6] == 1 ? u16(p + 8) : u32(p + 8);
    if (start + n > length || n >= sizeof header) return false;
    memcpy(header, p + start, n);
    const char *descr = strstr(header, "'descr':"), *shape = strstr(header, "'shape':");
    if (!descr || !shape || strstr(header, "'fortran_order': True")) return false;
    if (sscanf(descr, "'descr': '%*[<|=]%c%d'", &kind, &size) != 2) return false;
    a->count = 1;
    for (const char *q = strchr(shape, '('); q && *q != ')';) {
        char *end;
        q++;
        long long extent = strtoll(q, &end, 10);
        if (end == q) break;
        if (a->rank == 8 || extent < 0) return false;
        a->dim[a->rank++] = extent;
        a->count *= extent;
        q = strpbrk(end, ",)");
    }
    if (start + n + (size_t)a->count * (size_t)size > length) return false;
    a->data = malloc((size_t)(a->count ? a->count : 1) * sizeof *a->data);
    return a->data && convert(a->data, p + start + n, a->count, kind, size);
}

const npz_array *npz_find(npz *z, const char *name)
{
    for (int i = 0; i < z->count; i++) {
        member *m = &z->members[i];
        if (strcmp(m->name, name) != 0) continue;
        if (!m->loaded) {
            unsigned char *bytes = unpack(z, m);
            m->loaded = bytes && parse_npy(&m->array, bytes, m->size);
            free(bytes);
        }
        return m->loaded ? &m->array : NULL;
    }
    return NULL;
}

const npz_array *npz_need(npz *z, const char *format, ...)
{
    char name[256];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    const npz_array *a = npz_find(z, name);
    if (!a) fail_msg("the fixture has no readable array '%s'", name);
    return a;
}
