/* SPDX-License-Identifier: MIT */
/* Small files in memory, for tests and as seeds of the fuzzers. */
#ifndef DEQ_TESTS_IO_SAMPLES_H
#define DEQ_TESTS_IO_SAMPLES_H

#include "support/bytes.h"

#include <string.h>

/* A .npy of format 1 from its header's text and its elements. */
static inline file_bytes sample_npy_of(const char *header, const void *data, size_t size)
{
    file_bytes b = { 0 };
    put(&b, "\x93NUMPY\x01\x00", 8);
    put_little(&b, strlen(header), 2);
    put_text(&b, header);
    put(&b, data, size);
    return b;
}

/* f32 [2, 3]: 0 to 5 */
static inline file_bytes sample_npy(void)
{
    file_bytes data = { 0 };
    const unsigned words[] = { 0, 0x3f800000, 0x40000000, 0x40400000, 0x40800000, 0x40a00000 };
    for (int i = 0; i < 6; i++) put_little(&data, words[i], 4);
    file_bytes b = sample_npy_of("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n",
                                 data.data, data.size);
    bytes_free(&data);
    return b;
}

static inline file_bytes sample_safetensors_of(const char *header, const void *data, size_t size)
{
    file_bytes b = { 0 };
    put_little(&b, strlen(header), 8);
    put_text(&b, header);
    put(&b, data, size);
    return b;
}

/* Three tensors of 8, 4 and 2 bytes. */
static inline file_bytes sample_safetensors(void)
{
    return sample_safetensors_of(
        "{\"__metadata__\":{\"k\":\"v\"},\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":"
        "[0,8]},\"b\":{\"dtype\":\"BOOL\",\"shape\":[2,2],\"data_offsets\":[8,12]},\"h\":{\"dtype\":"
        "\"F16\",\"shape\":[],\"data_offsets\":[12,14]}}",
        "\0\0\200\77\0\0\0\300\0\1\1\0\0\76", 14);
}

#endif
