/* SPDX-License-Identifier: MIT */
/*
 * TensorFlow's TFRecord (tensorflow/core/lib/io/record_writer.h):
 *
 *     u64 length, u32 masked sum of the length, bytes [length], u32 masked sum of the bytes
 *
 * all lowest byte first.
 */
#include "io/tensorboard.h"

#include <string.h>

/* One byte more: c <- c / x^8 modulo the polynomial, whose bits stand reversed. */
static uint32_t fold(uint32_t c)
{
    for (int bit = 0; bit < 8; bit++) c = c >> 1 ^ (c & 1 ? 0x82F63B78U : 0);
    return c;
}

uint32_t deq_crc32c(uint32_t crc, const void *bytes, size_t count)
{
    const unsigned char *p = bytes;

    crc = ~crc;
    for (size_t i = 0; i < count; i++) crc = fold(crc ^ p[i]);
    return ~crc;
}

uint32_t deq_crc32c_masked(const void *bytes, size_t count)
{
    const uint32_t crc = deq_crc32c(0, bytes, count);

    return (crc >> 15 | crc << 17) + 0xA282EAD8U;
}

static deq_status check_record(size_t *end, const deq_source *s, size_t at)
{
    DEQ_TRY(deq_source_need(s, at, DEQ_RECORD_HEAD, "the head of a record"));
    const unsigned char *head = s->data + at;
    if (deq_le32(head + 8) != deq_crc32c_masked(head, 8))
        return deq_source_fail(s, at + 8, "the sum of a record's length does not agree");
    const uint64_t length = deq_le64(head);
    if (length > s->size - at - DEQ_RECORD_HEAD)
        return deq_source_fail(s, at, "a record of %llu bytes reaches beyond the end",
                               (unsigned long long)length);
    const size_t data = at + DEQ_RECORD_HEAD, tail = data + (size_t)length;
    DEQ_TRY(deq_source_need(s, tail, DEQ_RECORD_TAIL, "a record"));
    if (deq_le32(s->data + tail) != deq_crc32c_masked(s->data + data, (size_t)length))
        return deq_source_fail(s, tail, "the sum of a record does not agree");
    *end = tail + DEQ_RECORD_TAIL;
    return DEQ_OK;
}

/* Event.file_version = "brain.Event:2", behind the time. */
static bool names_version(const deq_source *s, size_t end)
{
    static const char version[] = "\x1A\x0D"
                                  "brain.Event:2";
    const size_t n = sizeof version - 1, data_end = end - DEQ_RECORD_TAIL;

    for (size_t at = DEQ_RECORD_HEAD; at + n <= data_end; at++)
        if (memcmp(s->data + at, version, n) == 0) return true;
    return false;
}

deq_status deq_tensorboard_check(const deq_source *s)
{
    size_t end = 0;

    DEQ_TRY(check_record(&end, s, 0));
    if (!names_version(s, end))
        return deq_source_fail(s, 0, "the first record does not name the version brain.Event:2");
    while (end < s->size) DEQ_TRY(check_record(&end, s, end));
    return DEQ_OK;
}
