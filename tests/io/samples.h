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

/* Operations of pickles. */

static inline void pickle_begin(file_bytes *b)
{
    put(b, "\x80\2", 2);
}

static inline void pickle_text(file_bytes *b, const char *text)
{
    put_byte(b, 'X');
    put_little(b, strlen(text), 4);
    put_text(b, text);
}

static inline void pickle_int(file_bytes *b, int value)
{
    put_byte(b, 'J');
    put_little(b, (unsigned)value, 4);
}

static inline void pickle_tuple(file_bytes *b, int n, const int *values)
{
    put_byte(b, '(');
    for (int i = 0; i < n; i++) pickle_int(b, values[i]);
    put_byte(b, 't');
}

/* torch._utils._rebuild_tensor_v2(storage, offset, size, stride, False, OrderedDict()) */
static inline void pickle_tensor(file_bytes *b, const char *storage_class, const char *key,
                                 int count, int offset, int rank, const int *size,
                                 const int *stride)
{
    put_text(b, "ctorch._utils\n_rebuild_tensor_v2\n((");
    pickle_text(b, "storage");
    put_text(b, "ctorch\n");
    put_text(b, storage_class);
    put_byte(b, '\n');
    pickle_text(b, key);
    pickle_text(b, "cpu");
    pickle_int(b, count);
    put_text(b, "tQ");
    pickle_int(b, offset);
    pickle_tuple(b, rank, size);
    pickle_tuple(b, rank, stride);
    put_text(b, "\x89"
                "ccollections\nOrderedDict\n)RtR");
}

/* What torch.save() writes before the object in the old container. */
static inline void pickle_legacy_head(file_bytes *b)
{
    put(b, "\x80\2\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15);
    put(b, "\x80\2M\xe9\3.", 6);
    put(b, "\x80\2}q\0X\x0d\0\0\0little_endianq\1\x88s.", 28);
}

/*
 * {"epoch": 3, "state_dict": OrderedDict(w = ..., wt = w's transpose, h = ...)} with an attribute:
 * w is f32 [2, 3] of 0 to 5, wt its transpose [3, 2] in the same storage, h f16 [2] = 1.5, -2.
 */
static inline void pickle_object(file_bytes *b)
{
    pickle_begin(b);
    put_text(b, "}q");
    put_byte(b, 0);
    put_byte(b, '(');
    pickle_text(b, "epoch");
    pickle_int(b, 3);
    pickle_text(b, "state_dict");
    put_text(b, "ccollections\nOrderedDict\n)R(");
    pickle_text(b, "w");
    pickle_tensor(b, "FloatStorage", "0", 6, 0, 2, (int[]){ 2, 3 }, (int[]){ 3, 1 });
    pickle_text(b, "wt");
    pickle_tensor(b, "FloatStorage", "0", 6, 0, 2, (int[]){ 3, 2 }, (int[]){ 1, 3 });
    pickle_text(b, "h");
    pickle_tensor(b, "HalfStorage", "1", 3, 1, 1, (int[]){ 2 }, (int[]){ 1 });
    put_text(b, "u}");
    pickle_text(b, "_metadata");
    put_text(b, "Nsbu.");
}

static const unsigned char sample_storage0[] = { 0, 0, 0,    0,    0, 0, 0x80, 0x3f,
                                                 0, 0, 0,    0x40, 0, 0, 0x40, 0x40,
                                                 0, 0, 0x80, 0x40, 0, 0, 0xa0, 0x40 };
static const unsigned char sample_storage1[] = { 0, 0, 0x00, 0x3e, 0x00, 0xc0 };

static inline file_bytes sample_legacy(void)
{
    file_bytes b = { 0 };
    pickle_legacy_head(&b);
    pickle_object(&b);
    pickle_begin(&b);
    put_text(&b, "](");
    pickle_text(&b, "1");
    pickle_text(&b, "0");
    put_text(&b, "e.");
    put_little(&b, 3, 8);
    put(&b, sample_storage1, sizeof sample_storage1);
    put_little(&b, 6, 8);
    put(&b, sample_storage0, sizeof sample_storage0);
    return b;
}

/* A zip archive of stored members. */
typedef struct zip_member {
    const char *name;
    const void *data;
    size_t size;
} zip_member;

static inline unsigned crc32_of(const unsigned char *p, size_t n)
{
    unsigned crc = 0xffffffffu;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int k = 0; k < 8; k++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static inline void zip_entry(file_bytes *b, const zip_member *m)
{
    put_little(b, 0, 4); /* stored; midnight */
    put_little(b, 0x21, 2);
    put_little(b, crc32_of(m->data, m->size), 4);
    put_little(b, m->size, 4);
    put_little(b, m->size, 4);
    put_little(b, strlen(m->name), 2);
    put_little(b, 0, 2);
}

static inline file_bytes sample_zip(const zip_member *members, int count)
{
    file_bytes b = { 0 }, directory = { 0 };
    for (int i = 0; i < count; i++) {
        const size_t at = b.size;
        put(&b, "PK\3\4\24\0\0\0", 8);
        zip_entry(&b, &members[i]);
        put_text(&b, members[i].name);
        put(&b, members[i].data, members[i].size);
        put(&directory, "PK\1\2\24\0\24\0\0\0", 10);
        zip_entry(&directory, &members[i]);
        put(&directory, (char[10]){ 0 }, 10);
        put_little(&directory, at, 4);
        put_text(&directory, members[i].name);
    }
    const size_t at = b.size;
    put(&b, directory.data, directory.size);
    put(&b, "PK\5\6\0\0\0\0", 8);
    put_little(&b, (unsigned)count, 2);
    put_little(&b, (unsigned)count, 2);
    put_little(&b, directory.size, 4);
    put_little(&b, at, 4);
    put_little(&b, 0, 2);
    bytes_free(&directory);
    return b;
}

static inline file_bytes sample_pytorch(void)
{
    file_bytes pickle = { 0 };
    pickle_object(&pickle);
    const zip_member members[] = {
        { "m/data.pkl", pickle.data, pickle.size },
        { "m/byteorder", "little", 6 },
        { "m/data/0", sample_storage0, sizeof sample_storage0 },
        { "m/data/1", sample_storage1, sizeof sample_storage1 },
        { "m/version", "3\n", 2 },
    };
    file_bytes b = sample_zip(members, 5);
    bytes_free(&pickle);
    return b;
}

/* u8 [2, 1, 3] */
static inline file_bytes sample_idx(void)
{
    file_bytes b = { 0 };
    put(&b, "\0\0\10\3", 4);
    put_big(&b, 2, 4);
    put_big(&b, 1, 4);
    put_big(&b, 3, 4);
    put(&b, "\1\2\3\4\5\6", 6);
    return b;
}

/* Records of CIFAR-10 (10 classes) or CIFAR-100: labels 9, 8, ..., coarse ones 19, 18, ... */
static inline file_bytes sample_cifar(int classes, int count)
{
    file_bytes b = { 0 };
    for (int i = 0; i < count; i++) {
        if (classes == 100) put_byte(&b, 19 - i);
        put_byte(&b, classes - 1 - i);
        for (int k = 0; k < 3072; k++) put_byte(&b, (i + k / 1024 * 64 + k % 64) & 255);
    }
    return b;
}

/* 3 x 2 pixels. */
static inline file_bytes sample_ppm(void)
{
    file_bytes b = { 0 };
    put_text(&b, "P6\n# a comment\n3 2\n255\n");
    for (int i = 0; i < 18; i++) put_byte(&b, 10 * i);
    return b;
}

/* Two bytes a sample. */
static inline file_bytes sample_pgm(void)
{
    file_bytes b = { 0 };
    put_text(&b, "P5 2 2 1000 ");
    for (int i = 0; i < 4; i++) put_big(&b, 300ull * (unsigned)i, 2);
    return b;
}

/* 2 x 2: 1, 2 below 1.5, -2 */
static inline file_bytes sample_pfm(void)
{
    file_bytes b = { 0 };
    put_text(&b, "Pf\n2 2\n-1.0\n");
    const unsigned words[] = { 0x3f800000, 0x40000000, 0x3fc00000, 0xc0000000 };
    for (int i = 0; i < 4; i++) put_little(&b, words[i], 4);
    return b;
}

/* 2 x 1: (1, 2), (1.5, -2) */
static inline file_bytes sample_flo(void)
{
    file_bytes b = { 0 };
    put_text(&b, "PIEH");
    put_little(&b, 2, 4);
    put_little(&b, 1, 4);
    const unsigned words[] = { 0x3f800000, 0x40000000, 0x3fc00000, 0xc0000000 };
    for (int i = 0; i < 4; i++) put_little(&b, words[i], 4);
    return b;
}

#endif
