/* SPDX-License-Identifier: MIT */
/* Element types that files know, and their conversion to ours. */
#ifndef DEQ_SRC_IO_ELEMENT_H
#define DEQ_SRC_IO_ELEMENT_H

#include "io/source.h"

#include <deq/type.h>

/* X(name, text, bytes, what it becomes) */
#define DEQ_ELEMENT_LIST(X)                                                                        \
    X(BOOL, "bool", 1, DEQ_BOOL)                                                                   \
    X(I8, "i8", 1, DEQ_I32)                                                                        \
    X(U8, "u8", 1, DEQ_I32)                                                                        \
    X(I16, "i16", 2, DEQ_I32)                                                                      \
    X(U16, "u16", 2, DEQ_I32)                                                                      \
    X(I32, "i32", 4, DEQ_I32)                                                                      \
    X(U32, "u32", 4, DEQ_I64)                                                                      \
    X(I64, "i64", 8, DEQ_I64)                                                                      \
    X(U64, "u64", 8, DEQ_I64)                                                                      \
    X(F16, "f16", 2, DEQ_F32)                                                                      \
    X(BF16, "bf16", 2, DEQ_F32)                                                                    \
    X(F32, "f32", 4, DEQ_F32)                                                                      \
    X(F64, "f64", 8, DEQ_F64)

typedef enum deq_element {
    DEQ_ELEMENT_NONE, /* not one of ours */
#define DEQ_ELEMENT_ENUM(name, text, bytes, dtype) DEQ_ELEMENT_##name,
    DEQ_ELEMENT_LIST(DEQ_ELEMENT_ENUM)
#undef DEQ_ELEMENT_ENUM
} deq_element;

const char *deq_element_name(deq_element e);
size_t deq_element_size(deq_element e);
deq_dtype deq_element_dtype(deq_element e);
deq_element deq_element_of(deq_dtype dtype);

/* Whether elements in this order of bytes are ours as they stand. */
bool deq_element_is_native(deq_element e, bool big_endian);

/* Convert one or many elements.  Returns how many were good: less than count where a bool is
 * neither 0 nor 1 or a u64 exceeds i64; the rest of dst is then unspecified. */
size_t deq_element_convert(void *dst, const unsigned char *src, size_t count, deq_element e,
                           bool big_endian);

/* deq_element_convert() for the bytes at `offset` of a source, failing with a message. */
deq_status deq_element_decode(void *dst, const deq_source *s, size_t offset, size_t count,
                              deq_element e, bool big_endian);

/* Elements of a shape times bytes of an element; false on overflow.  Extents are at least 0. */
bool deq_element_bytes(size_t *bytes, const deq_shape *shape, size_t size);

#endif
