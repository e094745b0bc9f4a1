/* SPDX-License-Identifier: MIT */
#include "io/samples.h"
#include "support/memory.h"

#include <deq/io/cifar.h>

static deq_status parse_kind(deq_context *ctx, const void *bytes, size_t size, deq_cifar_kind kind)
{
    deq_cifar *c;
    const deq_status status = deq_cifar_parse(&c, ctx, bytes, size, kind);

    assert_true((status == DEQ_OK) == (c != NULL));
    deq_cifar_free(c);
    return status;
}

static deq_status parse10(deq_context *ctx, const void *bytes, size_t size)
{
    return parse_kind(ctx, bytes, size, DEQ_CIFAR10);
}

static deq_status parse100(deq_context *ctx, const void *bytes, size_t size)
{
    return parse_kind(ctx, bytes, size, DEQ_CIFAR100);
}

static void records_become_images_and_labels(void **state)
{
    (void)state;
    deq_context *ctx;

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    for (int classes = 10; classes <= 100; classes += 90) {
        file_bytes b = sample_cifar(classes, 3);
        deq_cifar *c;
        assert_int_equal(
            deq_cifar_parse(&c, ctx, b.data, b.size, classes == 10 ? DEQ_CIFAR10 : DEQ_CIFAR100),
            DEQ_OK);
        bytes_free(&b);
        assert_int_equal(c->count, 3);
        assert_int_equal(c->labels[2], classes - 3);
        if (classes == 100)
            assert_int_equal(c->coarse[2], 17);
        else
            assert_null(c->coarse);
        for (int k = 0; k < 3072; k++)
            assert_int_equal(c->images[2 * 3072 + k], (2 + k / 1024 * 64 + k % 64) & 255);
        deq_cifar_free(c);
    }
    deq_cifar_free(NULL);
    deq_context_free(ctx);
}

static bool whole_record10(size_t length)
{
    return length == 3073;
}

static void damaged_files_are_refused(void **state)
{
    (void)state;
    file_bytes b = sample_cifar(10, 2), h = sample_cifar(100, 1);

    check_truncation(parse10, b.data, b.size, whole_record10);
    check_out_of_memory(parse10, b.data, b.size);
    check_truncation(parse100, h.data, h.size, NULL);
    check_out_of_memory(parse100, h.data, h.size);
    check_bit_flips(parse100, h.data, h.size);
    bytes_free(&b);
    bytes_free(&h);
}

static void wrong_sizes_and_labels_are_named(void **state)
{
    (void)state;
    file_bytes b = sample_cifar(10, 2), h = sample_cifar(100, 2);
    deq_context *ctx;
    deq_cifar *c;

    check_refusal(parse100, b.data, b.size, DEQ_ERR_DATA,
                  "6146 bytes, expected one or more records of 3074 for CIFAR-100");
    check_refusal(parse10, "", 0, DEQ_ERR_DATA, "0 bytes, expected one or more records of 3073");
    b.data[3073] = 10;
    check_refusal(parse10, b.data, b.size, DEQ_ERR_DATA,
                  "memory: byte 3073: found the label 10, expected 0 to 9");
    h.data[3074] = 20;
    check_refusal(parse100, h.data, h.size, DEQ_ERR_DATA, "byte 3074: found the label 20");
    h.data[3074] = 19;
    h.data[3075] = 100;
    check_refusal(parse100, h.data, h.size, DEQ_ERR_DATA, "byte 3075: found the label 100");
    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    assert_int_equal(deq_cifar_parse(&c, ctx, h.data, h.size, (deq_cifar_kind)7), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_cifar_read(&c, ctx, "/nonexistent", DEQ_CIFAR10), DEQ_ERR_IO);
    deq_context_free(ctx);
    bytes_free(&b);
    bytes_free(&h);
}

static void cifar10_is_read(void **state)
{
    (void)state;
    static const int per_class[] = { 196, 198, 195, 199, 198, 185, 216, 193, 217, 203 };
    int found[10] = { 0 };
    deq_context *ctx;
    deq_cifar *c;
    char path[1024];

    shared_file(path, "DEQ_DATA", "cifar10/cifar-10-batches-bin/test_batch.bin");
    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    if (deq_cifar_read(&c, ctx, path, DEQ_CIFAR10) != DEQ_OK) fail_msg("%s", deq_last_error(ctx));
    assert_int_equal(c->count, 2000);
    for (int i = 0; i < 2000; i++) found[c->labels[i]]++;
    for (int i = 0; i < 10; i++) assert_int_equal(found[i], per_class[i]);
    deq_cifar_free(c);
    deq_context_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_become_images_and_labels),
        cmocka_unit_test(damaged_files_are_refused),
        cmocka_unit_test(wrong_sizes_and_labels_are_named),
        cmocka_unit_test(cifar10_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
