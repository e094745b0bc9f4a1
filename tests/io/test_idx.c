/* SPDX-License-Identifier: MIT */
#include "io/samples.h"
#include "support/memory.h"

#include <deq/io/idx.h>
#include <zlib.h>

static deq_status parse(deq_context *ctx, const void *bytes, size_t size)
{
    deq_idx *idx;
    const deq_status status = deq_idx_parse(&idx, ctx, bytes, size);

    assert_true((status == DEQ_OK) == (idx != NULL));
    deq_idx_free(idx);
    return status;
}

/* A gzip stream. */
static file_bytes packed(const file_bytes *b)
{
    z_stream z = { 0 };
    file_bytes out = { 0 };
    unsigned char buffer[4096];

    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = b->data;
    z.avail_in = (unsigned)b->size;
    int code;
    do {
        z.next_out = buffer;
        z.avail_out = sizeof buffer;
        code = deflate(&z, Z_FINISH);
        put(&out, buffer, sizeof buffer - z.avail_out);
    } while (code == Z_OK);
    assert_int_equal(code, Z_STREAM_END);
    deflateEnd(&z);
    return out;
}

static void bytes_have_extents(void **state)
{
    (void)state;
    file_bytes b = sample_idx(), gz = packed(&b);
    const file_bytes *both[] = { &b, &gz };
    deq_context *ctx;

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    for (int i = 0; i < 2; i++) {
        deq_idx *idx;
        assert_int_equal(deq_idx_parse(&idx, ctx, both[i]->data, both[i]->size), DEQ_OK);
        assert_true(deq_shape_equal(&idx->shape, &DEQ_SHAPE(2, 1, 3)));
        assert_memory_equal(idx->data, "\1\2\3\4\5\6", 6);
        deq_idx_free(idx);
    }
    deq_idx_free(NULL);
    deq_context_free(ctx);
    bytes_free(&b);
    bytes_free(&gz);
}

static void damaged_files_are_refused(void **state)
{
    (void)state;
    file_bytes b = sample_idx(), gz = packed(&b);

    check_reader(parse, b.data, b.size);
    check_reader(parse, gz.data, gz.size);
    bytes_free(&b);
    bytes_free(&gz);
}

static void wrong_files_are_told_what_they_are(void **state)
{
    (void)state;
    file_bytes b = sample_idx(), gz = packed(&b);

    check_refusal(parse, "\0\0\15\1\0\0\0\1....", 12, DEQ_ERR_UNSUPPORTED,
                  "memory: byte 2: elements of type f32");
    check_refusal(parse, "\0\0\10\11", 4, DEQ_ERR_UNSUPPORTED, "9 axes");
    check_refusal(parse, "\0\0\10\0", 4, DEQ_ERR_UNSUPPORTED, "0 axes");
    check_refusal(parse, "\x89PNG", 4, DEQ_ERR_DATA, "found '\\x89PN'");
    check_refusal(parse, "\0\0\10\2\377\377\377\377\377\377\377\377", 12, DEQ_ERR_DATA,
                  "0 bytes follow the extents");
    put_byte(&b, 7);
    check_refusal(parse, b.data, b.size, DEQ_ERR_DATA, "7 bytes follow the extents");
    put_byte(&gz, 7);
    check_refusal(parse, gz.data, gz.size, DEQ_ERR_DATA,
                  "1 bytes follow the end of the gzip stream");
    bytes_free(&b);
    bytes_free(&gz);
}

/* A gzip stream of zeros unpacks to no more than it can, and that is checked against its header. */
static void bombs_are_refused(void **state)
{
    (void)state;
    file_bytes zeros = { 0 };
    for (int i = 0; i < 1000000; i++) put_byte(&zeros, 0);
    zeros.data[2] = 8;
    zeros.data[3] = 1;
    file_bytes gz = packed(&zeros);

    check_refusal(parse, gz.data, gz.size, DEQ_ERR_DATA, "999992 bytes follow the extents");
    bytes_free(&zeros);
    bytes_free(&gz);
}

static void mnist_is_read(void **state)
{
    (void)state;
    static const int per_class[] = { 980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009 };
    int found[10] = { 0 };
    deq_context *ctx;
    deq_idx *images, *labels;
    char path[1024];

    shared_file(path, "DEQ_DATA", "mnist/t10k-images-idx3-ubyte.gz");
    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    if (deq_idx_read(&images, ctx, path) != DEQ_OK) fail_msg("%s", deq_last_error(ctx));
    shared_file(path, "DEQ_DATA", "mnist/t10k-labels-idx1-ubyte.gz");
    if (deq_idx_read(&labels, ctx, path) != DEQ_OK) fail_msg("%s", deq_last_error(ctx));
    assert_true(deq_shape_equal(&images->shape, &DEQ_SHAPE(10000, 28, 28)));
    assert_true(deq_shape_equal(&labels->shape, &DEQ_SHAPE(10000)));
    for (int i = 0; i < 10000; i++) {
        assert_true(labels->data[i] < 10);
        found[labels->data[i]]++;
    }
    for (int i = 0; i < 10; i++) assert_int_equal(found[i], per_class[i]);
    deq_idx_free(images);
    deq_idx_free(labels);
    deq_context_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_have_extents),
        cmocka_unit_test(damaged_files_are_refused),
        cmocka_unit_test(wrong_files_are_told_what_they_are),
        cmocka_unit_test(bombs_are_refused),
        cmocka_unit_test(mnist_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
