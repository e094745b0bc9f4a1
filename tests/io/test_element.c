/* SPDX-License-Identifier: MIT */
#include "io/element.h"
#include "support/test.h"

#include <math.h>
#include <string.h>

static double half_value(unsigned half)
{
    const int e = (int)(half >> 10 & 31), m = (int)(half & 1023);
    const double sign = half & 0x8000 ? -1 : 1;

    if (e == 31) return m ? NAN : sign * INFINITY;
    return sign * (e == 0 ? ldexp(m, -24) : ldexp(1024 + m, e - 25));
}

static void every_half_becomes_its_value(void **state)
{
    (void)state;
    for (unsigned h = 0; h < 65536; h++) {
        const unsigned char bytes[] = { (unsigned char)(h & 255), (unsigned char)(h >> 8) };
        float f;
        assert_int_equal(deq_element_convert(&f, bytes, 1, DEQ_ELEMENT_F16, false), 1);
        const double expected = half_value(h);
        assert_true(isnan(expected) ? isnan(f) : (double)f == expected);
        assert_int_equal(signbit(f) != 0, h >> 15);
    }
}

static const struct number_case {
    deq_element element;
    unsigned char little[8];
    double value;
} numbers[] = {
    { DEQ_ELEMENT_BOOL, { 1 }, 1 },
    { DEQ_ELEMENT_I8, { 0x80 }, -128 },
    { DEQ_ELEMENT_I8, { 0x7f }, 127 },
    { DEQ_ELEMENT_U8, { 0xff }, 255 },
    { DEQ_ELEMENT_I16, { 0xfe, 0xff }, -2 },
    { DEQ_ELEMENT_U16, { 0xfe, 0xff }, 65534 },
    { DEQ_ELEMENT_I32, { 0, 0, 0, 0x80 }, -2147483648.0 },
    { DEQ_ELEMENT_U32, { 0, 0, 0, 0x80 }, 2147483648.0 },
    { DEQ_ELEMENT_I64, { 0, 0, 0, 0, 0, 0, 0, 0x80 }, -9223372036854775808.0 },
    { DEQ_ELEMENT_U64, { 3, 0, 0, 0, 1 }, 4294967299.0 },
    { DEQ_ELEMENT_BF16, { 0xc0, 0x3f }, 1.5 },
    { DEQ_ELEMENT_F16, { 0x00, 0xc1 }, -2.5 },
    { DEQ_ELEMENT_F32, { 0, 0, 0xc0, 0xbf }, -1.5 },
    { DEQ_ELEMENT_F64, { 0, 0, 0, 0, 0, 0, 0x04, 0x40 }, 2.5 },
};

static double value_of(const void *p, deq_dtype dtype)
{
    switch (dtype) {
    case DEQ_F32: return (double)*(const float *)p;
    case DEQ_F64: return *(const double *)p;
    case DEQ_I32: return *(const int32_t *)p;
    case DEQ_I64: return (double)*(const int64_t *)p;
    case DEQ_BOOL: return *(const unsigned char *)p;
    }
    return NAN;
}

static void numbers_are_converted_from_both_orders_of_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        const struct number_case *c = &numbers[i];
        const size_t size = deq_element_size(c->element);
        unsigned char big[8];
        uint64_t to[2];

        for (size_t k = 0; k < size; k++) big[k] = c->little[size - 1 - k];
        assert_int_equal(deq_element_convert(&to[0], c->little, 1, c->element, false), 1);
        assert_int_equal(deq_element_convert(&to[1], big, 1, c->element, true), 1);
        assert_true(value_of(&to[0], deq_element_dtype(c->element)) == c->value);
        assert_true(value_of(&to[1], deq_element_dtype(c->element)) == c->value);
    }
}

static void what_does_not_fit_stops_the_conversion(void **state)
{
    (void)state;
    const unsigned char flags[] = { 0, 1, 2, 1 };
    const unsigned char large[] = { 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80 };
    unsigned char bools[4];
    int64_t wide[2];

    assert_int_equal(deq_element_convert(bools, flags, 4, DEQ_ELEMENT_BOOL, false), 2);
    assert_int_equal(deq_element_convert(wide, large, 2, DEQ_ELEMENT_U64, false), 1);
}

static void sizes_that_overflow_are_seen(void **state)
{
    (void)state;
    size_t bytes;

    assert_true(deq_element_bytes(&bytes, &DEQ_SHAPE(3, 5), 4));
    assert_int_equal(bytes, 60);
    assert_true(deq_element_bytes(&bytes, &DEQ_SHAPE(INT64_MAX, INT64_MAX, 0), 8));
    assert_int_equal(bytes, 0);
    assert_false(deq_element_bytes(&bytes, &DEQ_SHAPE(INT64_MAX, 2), 4));
    assert_false(deq_element_bytes(&bytes, &DEQ_SHAPE(2, -1), 4));
    assert_false(deq_element_bytes(&bytes, &DEQ_SHAPE(0, -1), 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_half_becomes_its_value),
        cmocka_unit_test(numbers_are_converted_from_both_orders_of_bytes),
        cmocka_unit_test(what_does_not_fit_stops_the_conversion),
        cmocka_unit_test(sizes_that_overflow_are_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
