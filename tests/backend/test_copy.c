/* SPDX-License-Identifier: MIT */
/* Copies between layouts, index by index. */
#include "support/test.h"

#include "backend/cpu/cpu.h"

#include <string.h>

static const struct copy_case {
    const char *name;
    deq_dtype dtype;
    int64_t shape[4];
} cases[] = {
    { "one element", DEQ_F32, { 1, 1, 1, 1 } },
    { "one channel", DEQ_F32, { 3, 1, 5, 7 } },
    { "one pixel", DEQ_F32, { 3, 5, 1, 1 } },
    { "odd everything", DEQ_F32, { 3, 7, 5, 9 } },
    { "less than a block", DEQ_F32, { 2, 3, 1, 2 } },
    { "whole blocks", DEQ_F32, { 2, 16, 4, 8 } },
    { "blocks and a rest", DEQ_F32, { 5, 24, 7, 9 } },
    { "more channels than pixels", DEQ_F32, { 2, 121, 3, 3 } },
    { "rows in one cache set", DEQ_F32, { 2, 64, 32, 32 } },
    { "large", DEQ_F32, { 4, 67, 33, 35 } },
    { "double", DEQ_F64, { 3, 24, 17, 19 } },
    { "truth values", DEQ_BOOL, { 3, 24, 17, 19 } },
    { "int64", DEQ_I64, { 2, 5, 3, 3 } },
    { "int32", DEQ_I32, { 2, 5, 3, 3 } },
};

static deq_type type_of(const struct copy_case *c)
{
    const int64_t *d = c->shape;
    return (deq_type){ c->dtype, DEQ_SHAPE(d[0], d[1], d[2], d[3]) };
}

static unsigned char *filled(size_t bytes)
{
    unsigned char *p = malloc(bytes);
    assert_non_null(p);
    for (size_t i = 0; i < bytes; i++) p[i] = (unsigned char)(i * 131u + i / 251u);
    return p;
}

static void check_transposed(const struct copy_case *c, const unsigned char *plain,
                             const unsigned char *last)
{
    size_t size = deq_dtype_size(c->dtype);
    int64_t B = c->shape[0], C = c->shape[1], S = c->shape[2] * c->shape[3];
    for (int64_t b = 0; b < B; b++)
        for (int64_t k = 0; k < C; k++)
            for (int64_t s = 0; s < S; s++)
                if (memcmp(plain + (size_t)((b * C + k) * S + s) * size,
                           last + (size_t)((b * S + s) * C + k) * size, size) != 0)
                    fail_msg("%s: sample %lld, channel %lld, pixel %lld", c->name, (long long)b,
                             (long long)k, (long long)s);
}

static void layouts_convert_index_by_index_and_back(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        for (int threads = 1; threads <= 2; threads++) {
            deq_type t = type_of(&cases[k]);
            size_t bytes = deq_type_bytes(&t);
            unsigned char *plain = filled(bytes), *last = malloc(bytes), *back = malloc(bytes);
            assert_true(last && back);
            deq_cpu_copy(&t, last, DEQ_LAYOUT_CHANNELS_LAST, plain, DEQ_LAYOUT_PLAIN, threads);
            check_transposed(&cases[k], plain, last);
            deq_cpu_copy(&t, back, DEQ_LAYOUT_PLAIN, last, DEQ_LAYOUT_CHANNELS_LAST, threads);
            assert_memory_equal(back, plain, bytes);
            free(plain), free(last), free(back);
        }
}

static void equal_layouts_copy_bytes_of_any_shape(void **state)
{
    static const int64_t extents[] = { 1, 3, 1000, 200001 };
    (void)state;
    for (size_t k = 0; k < sizeof extents / sizeof *extents; k++)
        for (int threads = 1; threads <= 2; threads++) {
            deq_type t = { DEQ_F64, DEQ_SHAPE(extents[k]) };
            size_t bytes = deq_type_bytes(&t);
            unsigned char *from = filled(bytes), *to = malloc(bytes);
            assert_non_null(to);
            deq_cpu_copy(&t, to, DEQ_LAYOUT_PLAIN, from, DEQ_LAYOUT_PLAIN, threads);
            assert_memory_equal(to, from, bytes);
            deq_cpu_copy(&t, to, DEQ_LAYOUT_PLAIN, to, DEQ_LAYOUT_PLAIN, threads);
            assert_memory_equal(to, from, bytes);
            free(from), free(to);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layouts_convert_index_by_index_and_back),
        cmocka_unit_test(equal_layouts_copy_bytes_of_any_shape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
