/* SPDX-License-Identifier: MIT */
#include "support/memory.h"

#include "base/context.h"

#include <deq/context.h>
#include <stdio.h>

/* Options ------------------------------------------------------------------------------------ */

static const struct options_case {
    const char *name;
    size_t struct_size;
    int threads;
    int isa;
    deq_status status;
} options_cases[] = {
    { "defaults", sizeof(deq_context_options), 0, DEQ_ISA_AUTO, DEQ_OK },
    { "one thread", sizeof(deq_context_options), 1, DEQ_ISA_AUTO, DEQ_OK },
    { "many threads", sizeof(deq_context_options), 4096, DEQ_ISA_AUTO, DEQ_OK },
    { "baseline", sizeof(deq_context_options), 0, DEQ_ISA_BASELINE, DEQ_OK },
    { "highest instruction set", sizeof(deq_context_options), 0, DEQ_ISA_AVX512, DEQ_OK },
    { "no struct_size", 0, 0, DEQ_ISA_AUTO, DEQ_ERR_ARGUMENT },
    { "short struct_size", sizeof(size_t), 0, DEQ_ISA_AUTO, DEQ_ERR_ARGUMENT },
    { "long struct_size", sizeof(deq_context_options) + 8, 0, DEQ_ISA_AUTO, DEQ_ERR_ARGUMENT },
    { "negative threads", sizeof(deq_context_options), -1, DEQ_ISA_AUTO, DEQ_ERR_ARGUMENT },
    { "too many threads", sizeof(deq_context_options), 4097, DEQ_ISA_AUTO, DEQ_ERR_ARGUMENT },
    { "negative isa", sizeof(deq_context_options), 0, -1, DEQ_ERR_ARGUMENT },
    { "unknown isa", sizeof(deq_context_options), 0, DEQ_ISA_AVX512 + 1, DEQ_ERR_ARGUMENT },
};

static void options_are_validated(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof options_cases / sizeof *options_cases; i++) {
        const struct options_case *c = &options_cases[i];
        deq_context_options o = deq_context_defaults();
        deq_context *ctx = (deq_context *)(uintptr_t)1;
        o.struct_size = c->struct_size;
        o.threads = c->threads;
        o.isa = (deq_isa)c->isa;
        deq_status status = deq_context_new(&ctx, &o);
        if (status != c->status) fail_msg("%s: %s", c->name, deq_status_text(status));
        if ((ctx != NULL) != (status == DEQ_OK)) fail_msg("%s: *out is not as promised", c->name);
        deq_context_free(ctx);
    }
}

static void a_shorter_struct_is_not_read_beyond_its_end(void **state)
{
    (void)state;
    size_t *older = malloc(sizeof *older); /* an address sanitizer watches its end */
    deq_context *ctx = NULL;
    assert_non_null(older);
    *older = sizeof *older;
    assert_int_equal(deq_context_new(&ctx, (const deq_context_options *)(const void *)older),
                     DEQ_ERR_ARGUMENT);
    assert_null(ctx);
    free(older);
}

static void no_options_are_the_defaults(void **state)
{
    (void)state;
    deq_context *ctx = NULL, *same = NULL;
    deq_context_options o = deq_context_defaults();
    assert_int_equal(o.struct_size, sizeof o);
    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    assert_int_equal(deq_context_new(&same, &o), DEQ_OK);
    assert_true(deq_context_threads(ctx) >= 1);
    assert_int_equal(deq_context_threads(ctx), deq_context_threads(same));
    assert_int_equal(deq_context_isa(ctx), deq_context_isa(same));
    deq_context_free(ctx);
    deq_context_free(same);
}

static void a_place_for_the_context_is_needed(void **state)
{
    (void)state;
    assert_int_equal(deq_context_new(NULL, NULL), DEQ_ERR_ARGUMENT);
}

static void half_an_allocator_is_refused(void **state)
{
    (void)state;
    deq_allocator only_alloc = { memory_alloc, NULL, NULL },
                  only_free = { NULL, memory_free, NULL };
    deq_context_options o = deq_context_defaults();
    deq_context *ctx;
    o.allocator = &only_alloc;
    assert_int_equal(deq_context_new(&ctx, &o), DEQ_ERR_ARGUMENT);
    o.allocator = &only_free;
    assert_int_equal(deq_context_new(&ctx, &o), DEQ_ERR_ARGUMENT);
}

static void the_allocator_is_copied(void **state)
{
    (void)state;
    test_memory m = { 0 };
    deq_allocator a = { memory_alloc, memory_free, &m };
    deq_context_options o = deq_context_defaults();
    deq_context *ctx;
    o.allocator = &a;
    assert_int_equal(deq_context_new(&ctx, &o), DEQ_OK);
    memset(&a, 0xFF, sizeof a);
    void *memory = deq_alloc(ctx, 10);
    assert_non_null(memory);
    assert_int_equal(m.live_blocks, 2);
    deq_release(ctx, memory, 10);
    deq_context_free(ctx);
    assert_memory_clean(&m);
}

static void an_allocator_that_has_nothing_gives_no_context(void **state)
{
    (void)state;
    test_memory m = { .fail_at = 1 };
    assert_null(test_memory_context(&m, 1));
    assert_memory_clean(&m);
}

static void freeing_nothing_is_allowed(void **state)
{
    (void)state;
    deq_context_free(NULL);
}

/* Threads and instruction sets --------------------------------------------------------------- */

static void threads_are_what_was_asked_for(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 9; threads += 4) {
        deq_context_options o = deq_context_defaults();
        deq_context *ctx;
        o.threads = threads;
        assert_int_equal(deq_context_new(&ctx, &o), DEQ_OK);
        assert_int_equal(deq_context_threads(ctx), threads);
        deq_context_free(ctx);
    }
}

static void the_instruction_set_is_never_above_the_limit(void **state)
{
    (void)state;
    for (int isa = DEQ_ISA_BASELINE; isa <= DEQ_ISA_AVX512; isa++) {
        deq_context_options o = deq_context_defaults();
        deq_context *ctx;
        o.isa = (deq_isa)isa;
        assert_int_equal(deq_context_new(&ctx, &o), DEQ_OK);
        assert_in_range(deq_context_isa(ctx), DEQ_ISA_BASELINE, isa);
        deq_context_free(ctx);
    }
}

static void instruction_sets_have_names(void **state)
{
    (void)state;
    assert_string_equal(deq_isa_name(DEQ_ISA_AUTO), "auto");
    assert_string_equal(deq_isa_name(DEQ_ISA_BASELINE), "baseline");
    assert_string_equal(deq_isa_name(DEQ_ISA_AVX2), "avx2");
    assert_string_equal(deq_isa_name(DEQ_ISA_AVX512), "avx512");
    assert_string_equal(deq_isa_name((deq_isa)77), "unknown");
    assert_string_equal(deq_isa_name((deq_isa)-1), "unknown");
}

static void every_status_has_a_text(void **state)
{
    (void)state;
    for (int s = 0; s < DEQ_STATUS_COUNT; s++)
        assert_string_not_equal(deq_status_text((deq_status)s), "unknown status");
    assert_string_equal(deq_status_text(DEQ_OK), "success");
    assert_string_equal(deq_status_text(DEQ_STATUS_COUNT), "unknown status");
    assert_string_equal(deq_status_text((deq_status)-5), "unknown status");
}

/* Messages ----------------------------------------------------------------------------------- */

static deq_context *context(void)
{
    deq_context *ctx = NULL;
    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    return ctx;
}

static void the_last_message_is_kept(void **state)
{
    (void)state;
    deq_context *ctx = context();
    assert_string_equal(deq_last_error(ctx), "");
    assert_int_equal(deq_fail(ctx, DEQ_ERR_SHAPE, "a has %d axes", 3), DEQ_ERR_SHAPE);
    assert_string_equal(deq_last_error(ctx), "a has 3 axes");
    assert_int_equal(deq_fail(ctx, DEQ_ERR_NAME, "b"), DEQ_ERR_NAME);
    assert_string_equal(deq_last_error(ctx), "b");
    deq_context_free(ctx);
}

static void a_message_may_quote_the_one_before(void **state)
{
    (void)state;
    deq_context *ctx = context();
    (void)deq_fail(ctx, DEQ_ERR_IO, "inner");
    (void)deq_fail(ctx, DEQ_ERR_IO, "outer: %s", deq_last_error(ctx));
    assert_string_equal(deq_last_error(ctx), "outer: inner");
    deq_context_free(ctx);
}

static void a_message_that_is_too_long_is_cut(void **state)
{
    (void)state;
    deq_context *ctx = context();
    char text[2 * DEQ_MESSAGE_BYTES];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    (void)deq_fail(ctx, DEQ_ERR_IO, "%s", text);
    assert_int_equal(strlen(deq_last_error(ctx)), DEQ_MESSAGE_BYTES - 1);
    deq_context_free(ctx);
}

static void no_context_has_no_message(void **state)
{
    (void)state;
    assert_string_equal(deq_last_error(NULL), "");
}

typedef struct log_lines {
    int count;
    deq_log_level level;
    char last[DEQ_MESSAGE_BYTES];
} log_lines;

static void keep_line(void *user, deq_log_level level, const char *message)
{
    log_lines *lines = user;
    lines->count++;
    lines->level = level;
    snprintf(lines->last, sizeof lines->last, "%s", message);
}

static void log_lines_reach_the_callback(void **state)
{
    (void)state;
    log_lines lines = { 0 };
    deq_context_options o = deq_context_defaults();
    deq_context *ctx;
    o.log = keep_line;
    o.log_user = &lines;
    assert_int_equal(deq_context_new(&ctx, &o), DEQ_OK);
    deq_log_line(ctx, DEQ_LOG_WARNING, "%d of %d", 2, 3);
    assert_int_equal(lines.count, 1);
    assert_int_equal(lines.level, DEQ_LOG_WARNING);
    assert_string_equal(lines.last, "2 of 3");
    deq_context_free(ctx);
    ctx = context();
    deq_log_line(ctx, DEQ_LOG_INFO, "to nobody");
    deq_context_free(ctx);
}

/* Memory ------------------------------------------------------------------------------------- */

static void memory_is_aligned_and_zero(void **state)
{
    (void)state;
    test_memory m = { 0 };
    deq_context *ctx = test_memory_context(&m, 1);
    const size_t sizes[] = { 0, 1, 63, 64, 65, 1000, 100000 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char *memory = deq_alloc(ctx, sizes[i]);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % DEQ_ALIGNMENT, 0);
        for (size_t k = 0; k < sizes[i]; k++) assert_int_equal(memory[k], 0);
        deq_release(ctx, memory, sizes[i]);
    }
    deq_release(ctx, NULL, 17);
    deq_context_free(ctx);
    assert_memory_clean(&m);
}

static void sizes_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    size_t out = 7;
    assert_true(deq_size_mul(&out, 0, SIZE_MAX));
    assert_int_equal(out, 0);
    assert_true(deq_size_mul(&out, SIZE_MAX / 2, 1));
    assert_false(deq_size_mul(&out, SIZE_MAX / 2, 2));
    assert_false(deq_size_mul(&out, SIZE_MAX, SIZE_MAX));
    assert_true(deq_size_add(&out, PTRDIFF_MAX - 1, 1));
    assert_false(deq_size_add(&out, PTRDIFF_MAX, 1));
    assert_false(deq_size_add(&out, SIZE_MAX, SIZE_MAX));
}

static void an_array_too_large_to_exist_is_out_of_memory(void **state)
{
    (void)state;
    deq_context *ctx = context();
    assert_null(deq_alloc_array(ctx, SIZE_MAX / 4, 8));
    assert_non_null(strstr(deq_last_error(ctx), "out of memory"));
    deq_context_free(ctx);
}

static void out_of_memory_says_how_much_was_asked_for(void **state)
{
    (void)state;
    test_memory m = { .fail_at = 2 };
    deq_context *ctx = test_memory_context(&m, 1);
    assert_null(deq_alloc(ctx, 12345));
    assert_non_null(strstr(deq_last_error(ctx), "12345"));
    deq_context_free(ctx);
    assert_memory_clean(&m);
}

static void a_growing_array_keeps_its_elements(void **state)
{
    (void)state;
    test_memory m = { 0 };
    deq_context *ctx = test_memory_context(&m, 1);
    int *array = NULL;
    size_t capacity = 0;
    for (size_t n = 1; n <= 1000; n++) {
        assert_int_equal(deq_grow(ctx, (void **)&array, &capacity, n, sizeof *array), DEQ_OK);
        assert_true(capacity >= n);
        assert_int_equal(array[n - 1], 0);
        array[n - 1] = (int)n;
    }
    for (size_t n = 1; n <= 1000; n++) assert_int_equal(array[n - 1], n);
    m.fail_at = m.calls + 1;
    size_t before = capacity;
    assert_int_equal(deq_grow(ctx, (void **)&array, &capacity, capacity + 1, sizeof *array),
                     DEQ_ERR_NOMEM);
    assert_int_equal(capacity, before);
    assert_int_equal(array[999], 1000);
    deq_release(ctx, array, capacity * sizeof *array);
    deq_context_free(ctx);
    assert_memory_clean(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_are_validated),
        cmocka_unit_test(a_shorter_struct_is_not_read_beyond_its_end),
        cmocka_unit_test(no_options_are_the_defaults),
        cmocka_unit_test(a_place_for_the_context_is_needed),
        cmocka_unit_test(half_an_allocator_is_refused),
        cmocka_unit_test(the_allocator_is_copied),
        cmocka_unit_test(an_allocator_that_has_nothing_gives_no_context),
        cmocka_unit_test(freeing_nothing_is_allowed),
        cmocka_unit_test(threads_are_what_was_asked_for),
        cmocka_unit_test(the_instruction_set_is_never_above_the_limit),
        cmocka_unit_test(instruction_sets_have_names),
        cmocka_unit_test(every_status_has_a_text),
        cmocka_unit_test(the_last_message_is_kept),
        cmocka_unit_test(a_message_may_quote_the_one_before),
        cmocka_unit_test(a_message_that_is_too_long_is_cut),
        cmocka_unit_test(no_context_has_no_message),
        cmocka_unit_test(log_lines_reach_the_callback),
        cmocka_unit_test(memory_is_aligned_and_zero),
        cmocka_unit_test(sizes_that_do_not_fit_are_refused),
        cmocka_unit_test(an_array_too_large_to_exist_is_out_of_memory),
        cmocka_unit_test(out_of_memory_says_how_much_was_asked_for),
        cmocka_unit_test(a_growing_array_keeps_its_elements),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
