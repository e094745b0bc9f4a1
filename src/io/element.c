/* SPDX-License-Identifier: MIT */
/* Conversion of the element types of files. */
#include "io/element.h"

#include <string.h>

static const struct {
    const char *name;
    size_t size;
    deq_dtype dtype;
} elements[] = { [DEQ_ELEMENT_NONE] = { "unknown", 0, (deq_dtype)0 },
#define ROW(name, text, bytes, dtype) [DEQ_ELEMENT_##name] = { text, bytes, dtype },
                 DEQ_ELEMENT_LIST(ROW)
#undef ROW
};

const char *deq_element_name(deq_element e)
{
    return elements[e].name;
}

size_t deq_element_size(deq_element e)
{
    return elements[e].size;
}

deq_dtype deq_element_dtype(deq_element e)
{
    return elements[e].dtype;
}

deq_element deq_element_of(deq_dtype dtype)
{
    switch (dtype) {
    case DEQ_F32: return DEQ_ELEMENT_F32;
    case DEQ_F64: return DEQ_ELEMENT_F64;
    case DEQ_I32: return DEQ_ELEMENT_I32;
    case DEQ_I64: return DEQ_ELEMENT_I64;
    case DEQ_BOOL: return DEQ_ELEMENT_BOOL;
    }
    return DEQ_ELEMENT_NONE;
}

bool deq_element_is_native(deq_element e, bool big_endian)
{
    if (deq_element_of(elements[e].dtype) != e) return false;
    return elements[e].size == 1 || big_endian == deq_host_is_big_endian();
}

static uint64_t load(const unsigned char *p, size_t size, bool big)
{
    uint64_t bits = 0;

    for (size_t i = 0; i < size; i++) bits = bits << 8 | p[big ? i : size - 1 - i];
    return bits;
}

/* IEEE 754 binary16:  (-1)^s 2^(e-15) (1 + m/1024),  e = 0: (-1)^s 2^-24 m,  e = 31: inf or nan. */
static uint32_t widen_half(uint32_t half)
{
    const uint32_t sign = (half & 0x8000u) << 16;
    uint32_t exponent = half >> 10 & 31, mantissa = half & 1023;

    if (exponent == 31) return sign | 0x7f800000u | mantissa << 13;
    if (exponent == 0) {
        if (mantissa == 0) return sign;
        exponent = 1;
        while (!(mantissa & 1024)) {
            mantissa <<= 1;
            exponent--; /* may pass below zero: the sum below wraps back */
        }
        mantissa &= 1023;
    }
    return sign | (exponent + 112) << 23 | mantissa << 13;
}

/* Sign extension by arithmetic: two's complement of `size` bytes. */
static int64_t to_signed(uint64_t bits, size_t size)
{
    const uint64_t sign = UINT64_C(1) << (8 * size - 1);

    return (bits & sign) ? -(int64_t)(~bits & (sign - 1)) - 1 : (int64_t)bits;
}

static void store(unsigned char *dst, const void *value, size_t size)
{
    memcpy(dst, value, size);
}

static bool convert_one(unsigned char *dst, uint64_t bits, deq_element e)
{
    const size_t size = elements[e].size;
    int32_t narrow;
    int64_t wide;
    uint32_t word;

    switch (e) {
    case DEQ_ELEMENT_BOOL: *dst = (unsigned char)bits; return bits <= 1;
    case DEQ_ELEMENT_I8:
    case DEQ_ELEMENT_I16:
    case DEQ_ELEMENT_I32:
        narrow = (int32_t)to_signed(bits, size);
        store(dst, &narrow, sizeof narrow);
        return true;
    case DEQ_ELEMENT_U8:
    case DEQ_ELEMENT_U16:
        narrow = (int32_t)bits;
        store(dst, &narrow, sizeof narrow);
        return true;
    case DEQ_ELEMENT_I64:
        wide = to_signed(bits, size);
        store(dst, &wide, sizeof wide);
        return true;
    case DEQ_ELEMENT_U32:
    case DEQ_ELEMENT_U64:
        wide = (int64_t)(bits & INT64_MAX);
        store(dst, &wide, sizeof wide);
        return bits <= INT64_MAX;
    case DEQ_ELEMENT_F16:
    case DEQ_ELEMENT_BF16:
    case DEQ_ELEMENT_F32:
        word = (uint32_t)bits;
        if (e == DEQ_ELEMENT_F16) word = widen_half(word);
        if (e == DEQ_ELEMENT_BF16) word <<= 16;
        store(dst, &word, sizeof word);
        return true;
    case DEQ_ELEMENT_F64: store(dst, &bits, sizeof bits); return true;
    case DEQ_ELEMENT_NONE: break;
    }
    return false;
}

size_t deq_element_convert(void *dst, const unsigned char *src, size_t count, deq_element e,
                           bool big_endian)
{
    const size_t from = elements[e].size, to = deq_dtype_size(elements[e].dtype);
    unsigned char *out = dst;

    if (e != DEQ_ELEMENT_BOOL && deq_element_is_native(e, big_endian)) {
        if (count > 0) memcpy(dst, src, count * from);
        return count;
    }
    for (size_t i = 0; i < count; i++)
        if (!convert_one(out + i * to, load(src + i * from, from, big_endian), e)) return i;
    return count;
}

deq_status deq_element_decode(void *dst, const deq_source *s, size_t offset, size_t count,
                              deq_element e, bool big_endian)
{
    const size_t good = deq_element_convert(dst, s->data + offset, count, e, big_endian);

    if (good == count) return DEQ_OK;
    offset += good * deq_element_size(e);
    if (e == DEQ_ELEMENT_BOOL)
        return deq_source_fail(s, offset, "found %d as a bool, expected 0 or 1", s->data[offset]);
    return deq_source_fail(s, offset, "found a u64 larger than i64 can hold");
}

bool deq_element_bytes(size_t *bytes, const deq_shape *shape, size_t size)
{
    *bytes = size;
    for (int i = 0; i < shape->rank; i++) {
        if (shape->dim[i] == 0) *bytes = 0;
        if (shape->dim[i] < 0) return false;
    }
    for (int i = 0; i<shape->rank && * bytes> 0; i++)
        if ((uint64_t)shape->dim[i] > SIZE_MAX ||
            !deq_size_mul(bytes, *bytes, (size_t)shape->dim[i]))
            return false;
    return true;
}
