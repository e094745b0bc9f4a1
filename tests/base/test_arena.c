/* SPDX-License-Identifier: MIT */
#include "support/memory.h"

#include "base/arena.h"

static void arena_begin(test_memory *m, deq_arena *a)
{
    deq_arena_init(a, test_memory_context(m, 1));
}

static void arena_end(test_memory *m, deq_arena *a)
{
    deq_arena_free(a);
    deq_context_free(a->ctx);
    assert_memory_clean(m);
}

static void small_objects_are_aligned_to_16_and_large_ones_to_cache_lines(void **state)
{
    (void)state;
    test_memory m = { 0 };
    deq_arena a;
    arena_begin(&m, &a);
    for (size_t bytes = 0; bytes < 300; bytes++) {
        void *p = deq_arena_alloc(&a, bytes);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % (bytes >= DEQ_ALIGNMENT ? DEQ_ALIGNMENT : 16), 0);
    }
    arena_end(&m, &a);
}

static void objects_are_zero_and_do_not_overlap(void **state)
{
    (void)state;
    enum { N = 400 };
    test_memory m = { 0 };
    deq_arena a;
    unsigned char *p[N];
    arena_begin(&m, &a);
    for (int i = 0; i < N; i++) {
        size_t bytes = (size_t)(i * 37 % 211);
        p[i] = deq_arena_alloc(&a, bytes);
        assert_non_null(p[i]);
        for (size_t k = 0; k < bytes; k++) assert_int_equal(p[i][k], 0);
        memset(p[i], i & 0xFF, bytes);
    }
    for (int i = 0; i < N; i++)
        for (size_t k = 0; k < (size_t)(i * 37 % 211); k++) assert_int_equal(p[i][k], i & 0xFF);
    arena_end(&m, &a);
}

/* Sizes about the end of a chunk, where an off-by-one would write into the next block. */
static void objects_of_any_size_fit(void **state)
{
    (void)state;
    const size_t chunk = 16384;
    for (size_t bytes = chunk - 200; bytes < chunk + 200; bytes += 7) {
        test_memory m = { 0 };
        deq_arena a;
        arena_begin(&m, &a);
        for (int i = 0; i < 3; i++) {
            unsigned char *p = deq_arena_alloc(&a, bytes);
            assert_non_null(p);
            memset(p, 0xEE, bytes);
        }
        unsigned char *p = deq_arena_alloc(&a, 100 * chunk);
        assert_non_null(p);
        memset(p, 0xEE, 100 * chunk);
        arena_end(&m, &a);
    }
}

static void many_small_objects_take_few_blocks(void **state)
{
    (void)state;
    test_memory m = { 0 };
    deq_arena a;
    arena_begin(&m, &a);
    for (int i = 0; i < 10000; i++) assert_non_null(deq_arena_alloc(&a, 16));
    assert_true(m.calls < 20);
    arena_end(&m, &a);
}

static void sizes_that_overflow_are_refused(void **state)
{
    (void)state;
    test_memory m = { 0 };
    deq_arena a;
    arena_begin(&m, &a);
    assert_non_null(deq_arena_alloc(&a, 1));
    size_t before = m.calls;
    assert_null(deq_arena_alloc(&a, SIZE_MAX));
    assert_null(deq_arena_alloc(&a, SIZE_MAX - 64));
    assert_null(deq_arena_alloc(&a, PTRDIFF_MAX));
    assert_int_equal(m.calls, before); /* nobody was asked for it */
    assert_non_null(strstr(deq_last_error(a.ctx), "out of memory"));
    assert_non_null(deq_arena_alloc(&a, 1));
    arena_end(&m, &a);
}

static void an_arena_survives_running_out_of_memory(void **state)
{
    (void)state;
    test_memory m = { 0 };
    deq_arena a;
    arena_begin(&m, &a);
    char *name = deq_arena_strdup(&a, "before");
    m.fail_at = m.calls + 1;
    assert_null(deq_arena_alloc(&a, 100000));
    assert_string_equal(name, "before");
    assert_string_equal(deq_arena_strdup(&a, "after"), "after");
    arena_end(&m, &a);
}

static void copies_are_equal(void **state)
{
    (void)state;
    test_memory m = { 0 };
    deq_arena a;
    arena_begin(&m, &a);
    const int numbers[] = { 3, 1, 4, 1, 5 };
    assert_memory_equal(deq_arena_copy(&a, numbers, sizeof numbers), numbers, sizeof numbers);
    assert_non_null(deq_arena_copy(&a, NULL, 0));
    assert_string_equal(deq_arena_strdup(&a, ""), "");
    arena_end(&m, &a);
}

static void an_empty_arena_may_be_freed(void **state)
{
    (void)state;
    test_memory m = { 0 };
    deq_arena a;
    arena_begin(&m, &a);
    deq_arena_free(&a);
    arena_end(&m, &a); /* and twice */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_objects_are_aligned_to_16_and_large_ones_to_cache_lines),
        cmocka_unit_test(objects_are_zero_and_do_not_overlap),
        cmocka_unit_test(objects_of_any_size_fit),
        cmocka_unit_test(many_small_objects_take_few_blocks),
        cmocka_unit_test(sizes_that_overflow_are_refused),
        cmocka_unit_test(an_arena_survives_running_out_of_memory),
        cmocka_unit_test(copies_are_equal),
        cmocka_unit_test(an_empty_arena_may_be_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
