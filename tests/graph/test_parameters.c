/* SPDX-License-Identifier: MIT */
#include "support/memory.h"

#include "base/context.h"

#include <deq/parameters.h>
#include <stdio.h>

typedef struct fixture {
    test_memory m;
    deq_context *ctx;
    deq_parameters *p;
} fixture;

static void begin(fixture *f, deq_dtype dtype)
{
    memset(f, 0, sizeof *f);
    f->ctx = test_memory_context(&f->m, 1);
    assert_int_equal(deq_parameters_new(&f->p, f->ctx, dtype), DEQ_OK);
}

static void end(fixture *f)
{
    deq_parameters_free(f->p);
    deq_context_free(f->ctx);
    assert_memory_clean(&f->m);
}

static void parameters_start_at_cache_lines_of_one_vector(void **state)
{
    (void)state;
    const deq_dtype dtypes[] = { DEQ_F32, DEQ_F64 };
    for (int d = 0; d < 2; d++) {
        fixture f;
        begin(&f, dtypes[d]);
        const int64_t line = dtypes[d] == DEQ_F32 ? 16 : 8;
        const int64_t counts[] = { 1, line - 1, line, line + 1, 100 };
        int64_t at = 0, elements = 0;
        for (int i = 0; i < 5; i++) {
            char name[32];
            snprintf(name, sizeof name, "p%d", i);
            assert_int_equal(deq_parameters_add(f.p, name, DEQ_SHAPE(counts[i])), DEQ_OK);
            deq_parameter_info info = deq_parameters_info(f.p, i);
            assert_string_equal(info.name, name);
            assert_int_equal(info.offset, at);
            assert_int_equal(info.count, counts[i]);
            assert_int_equal(info.shape.rank, 1);
            assert_int_equal(info.shape.dim[0], counts[i]);
            at += (counts[i] + line - 1) / line * line;
            elements += counts[i];
        }
        assert_int_equal(deq_parameters_count(f.p), 5);
        assert_int_equal(deq_parameters_length(f.p), at);
        assert_int_equal(deq_parameters_elements(f.p), elements);
        assert_int_equal(deq_parameters_dtype(f.p), dtypes[d]);
        assert_null(deq_parameters_values(f.p, -1));
        assert_null(deq_parameters_gradients(f.p, 0));
        assert_int_equal(deq_parameters_allocate(f.p), DEQ_OK);
        char *values = deq_parameters_values(f.p, -1), *grads = deq_parameters_gradients(f.p, -1);
        assert_int_equal((uintptr_t)values % 64, 0);
        assert_int_equal((uintptr_t)grads % 64, 0);
        for (int i = 0; i < 5; i++) {
            size_t offset = (size_t)deq_parameters_info(f.p, i).offset * deq_dtype_size(dtypes[d]);
            assert_ptr_equal(deq_parameters_values(f.p, i), values + offset);
            assert_ptr_equal(deq_parameters_gradients(f.p, i), grads + offset);
        }
        end(&f);
    }
}

static void both_vectors_are_zero_gaps_included(void **state)
{
    (void)state;
    fixture f;
    begin(&f, DEQ_F32);
    assert_int_equal(deq_parameters_add(f.p, "a", DEQ_SHAPE(3)), DEQ_OK);
    assert_int_equal(deq_parameters_add(f.p, "b", DEQ_SHAPE(17)), DEQ_OK);
    assert_int_equal(deq_parameters_allocate(f.p), DEQ_OK);
    const float *values = deq_parameters_values(f.p, -1),
                *grads = deq_parameters_gradients(f.p, -1);
    for (int64_t i = 0; i < deq_parameters_length(f.p); i++)
        assert_true(values[i] == 0 && grads[i] == 0);
    end(&f);
}

static void memory_never_moves_after_it_is_allocated(void **state)
{
    (void)state;
    fixture f;
    begin(&f, DEQ_F64);
    assert_int_equal(deq_parameters_add(f.p, "a", DEQ_SCALAR), DEQ_OK);
    assert_int_equal(deq_parameters_allocate(f.p), DEQ_OK);
    double *a = deq_parameters_values(f.p, 0);
    *a = 3;
    assert_int_equal(deq_parameters_allocate(f.p), DEQ_OK);
    assert_ptr_equal(deq_parameters_values(f.p, 0), a);
    assert_true(*a == 3);
    assert_int_equal(deq_parameters_add(f.p, "late", DEQ_SCALAR), DEQ_ERR_STATE);
    assert_non_null(strstr(deq_last_error(f.ctx), "'late'"));
    assert_int_equal(deq_parameters_count(f.p), 1);
    end(&f);
}

static void parameters_are_found_by_name(void **state)
{
    (void)state;
    fixture f;
    begin(&f, DEQ_F32);
    char name[32];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "layer%d", i);
        assert_int_equal(deq_parameters_add(f.p, name, DEQ_SHAPE(i + 1)), DEQ_OK);
    }
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "layer%d", i);
        assert_int_equal(deq_parameters_find(f.p, name), i);
        assert_string_equal(deq_parameters_info(f.p, i).name, name);
    }
    assert_int_equal(deq_parameters_find(f.p, "layer"), -1);
    assert_int_equal(deq_parameters_find(f.p, ""), -1);
    assert_int_equal(deq_parameters_find(f.p, NULL), -1);
    end(&f);
}

static void unknown_indices_give_nothing(void **state)
{
    (void)state;
    fixture f;
    begin(&f, DEQ_F32);
    assert_int_equal(deq_parameters_add(f.p, "a", DEQ_SHAPE(2)), DEQ_OK);
    assert_int_equal(deq_parameters_allocate(f.p), DEQ_OK);
    const int indices[] = { -2, 1, 1000 };
    for (int i = 0; i < 3; i++) {
        assert_null(deq_parameters_values(f.p, indices[i]));
        assert_null(deq_parameters_gradients(f.p, indices[i]));
        assert_null(deq_parameters_info(f.p, indices[i]).name);
        assert_int_equal(deq_parameters_info(f.p, indices[i]).count, 0);
    }
    assert_null(deq_parameters_info(f.p, -1).name);
    end(&f);
}

static const struct refusal {
    const char *name;
    const char *parameter;
    int rank;
    int64_t dim[DEQ_MAX_RANK];
    deq_status status;
    const char *text;
} refusals[] = {
    { "no name", NULL, 1, { 2 }, DEQ_ERR_NAME, "name" },
    { "empty name", "", 1, { 2 }, DEQ_ERR_NAME, "name" },
    { "taken name", "taken", 1, { 2 }, DEQ_ERR_NAME, "'taken'" },
    { "zero extent", "w", 2, { 2, 0 }, DEQ_ERR_SHAPE, "extent 0 at axis 1" },
    { "negative extent", "w", 1, { -1 }, DEQ_ERR_SHAPE, "extent -1 at axis 0" },
    { "rank 9", "w", 9, { 1, 1, 1, 1, 1, 1, 1, 1 }, DEQ_ERR_SHAPE, "rank 9" },
    { "rank -1", "w", -1, { 0 }, DEQ_ERR_SHAPE, "rank -1" },
    { "largest extent", "w", 1, { INT64_MAX }, DEQ_ERR_OVERFLOW, "'w'" },
    { "bytes", "w", 1, { INT64_MAX / 4 }, DEQ_ERR_OVERFLOW, "'w'" },
    { "product", "w", 2, { INT64_C(1) << 32, INT64_C(1) << 32 }, DEQ_ERR_OVERFLOW, "'w'" },
    { "product of three", "w", 3, { INT64_MAX, INT64_MAX, 3 }, DEQ_ERR_OVERFLOW, "'w'" },
};

static void mistakes_are_refused_and_change_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const struct refusal *c = &refusals[i];
        fixture f;
        begin(&f, DEQ_F32);
        assert_int_equal(deq_parameters_add(f.p, "taken", DEQ_SHAPE(5)), DEQ_OK);
        deq_shape shape = { .rank = c->rank };
        memcpy(shape.dim, c->dim, sizeof c->dim);
        deq_status status = deq_parameters_add(f.p, c->parameter, shape);
        if (status != c->status || !strstr(deq_last_error(f.ctx), c->text))
            fail_msg("%s: %s: %s", c->name, deq_status_text(status), deq_last_error(f.ctx));
        assert_int_equal(deq_parameters_count(f.p), 1);
        assert_int_equal(deq_parameters_length(f.p), 16);
        end(&f);
    }
}

static void sizes_that_overflow_only_together_are_refused(void **state)
{
    (void)state;
    fixture f;
    begin(&f, DEQ_F64);
    const int64_t half = INT64_C(1) << 59; /* 2^62 bytes each */
    assert_int_equal(deq_parameters_add(f.p, "a", DEQ_SHAPE(half)), DEQ_OK);
    assert_int_equal(deq_parameters_add(f.p, "b", DEQ_SHAPE(half)), DEQ_ERR_OVERFLOW);
    assert_int_equal(deq_parameters_length(f.p), half);
    assert_int_equal(deq_parameters_allocate(f.p), DEQ_ERR_NOMEM);
    end(&f);
}

static void a_store_is_f32_or_f64(void **state)
{
    (void)state;
    test_memory m = { 0 };
    deq_context *ctx = test_memory_context(&m, 1);
    const int dtypes[] = { DEQ_I32, DEQ_I64, DEQ_BOOL, 0, 77 };
    for (int i = 0; i < 5; i++) {
        deq_parameters *p = (deq_parameters *)(uintptr_t)1;
        assert_int_equal(deq_parameters_new(&p, ctx, (deq_dtype)dtypes[i]), DEQ_ERR_DTYPE);
        assert_null(p);
    }
    deq_context_free(ctx);
    assert_memory_clean(&m);
}

static void an_empty_store_cannot_be_allocated(void **state)
{
    (void)state;
    fixture f;
    begin(&f, DEQ_F32);
    assert_int_equal(deq_parameters_allocate(f.p), DEQ_ERR_STATE);
    assert_int_equal(deq_parameters_count(f.p), 0);
    assert_int_equal(deq_parameters_length(f.p), 0);
    end(&f);
    deq_parameters_free(NULL);
}

static void running_out_of_memory_leaves_the_store_as_it_was(void **state)
{
    (void)state;
    for (size_t n = 1; n < 4; n++) {
        fixture f;
        begin(&f, DEQ_F32);
        f.m.fail_at = f.m.calls + n;
        deq_status added = deq_parameters_add(f.p, "w", DEQ_SHAPE(100));
        assert_int_equal(added, n <= 2 ? DEQ_ERR_NOMEM : DEQ_OK); /* the list and the name */
        assert_int_equal(deq_parameters_count(f.p), n <= 2 ? 0 : 1);
        end(&f);
    }
    for (size_t n = 1; n < 3; n++) {
        fixture f;
        begin(&f, DEQ_F32);
        assert_int_equal(deq_parameters_add(f.p, "w", DEQ_SHAPE(100)), DEQ_OK);
        f.m.fail_at = f.m.calls + n;
        assert_int_equal(deq_parameters_allocate(f.p), DEQ_ERR_NOMEM);
        assert_null(deq_parameters_values(f.p, -1));
        assert_null(deq_parameters_gradients(f.p, -1));
        f.m.fail_at = 0;
        assert_int_equal(deq_parameters_allocate(f.p), DEQ_OK);
        end(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_start_at_cache_lines_of_one_vector),
        cmocka_unit_test(both_vectors_are_zero_gaps_included),
        cmocka_unit_test(memory_never_moves_after_it_is_allocated),
        cmocka_unit_test(parameters_are_found_by_name),
        cmocka_unit_test(unknown_indices_give_nothing),
        cmocka_unit_test(mistakes_are_refused_and_change_nothing),
        cmocka_unit_test(sizes_that_overflow_only_together_are_refused),
        cmocka_unit_test(a_store_is_f32_or_f64),
        cmocka_unit_test(an_empty_store_cannot_be_allocated),
        cmocka_unit_test(running_out_of_memory_leaves_the_store_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
