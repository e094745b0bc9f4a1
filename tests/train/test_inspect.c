/* SPDX-License-Identifier: MIT */
/* Models looked at, and pieces of work with them. */
#include "support/memory.h"
#include "support/test.h"
#include "train/inspect.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* A context on a counting allocator; everything that a test makes must be given back. */
typedef struct fixture {
    test_memory memory;
    deq_context *ctx;
} fixture;

static void begin(fixture *f)
{
    memset(f, 0, sizeof *f);
    f->ctx = test_memory_context(&f->memory, 1);
    assert_non_null(f->ctx);
}

static void end(fixture *f)
{
    deq_context_free(f->ctx);
    assert_memory_clean(&f->memory);
}

static deq_config small(void)
{
    deq_config c = deq_config_defaults();
    c.data.size = 6;
    c.model.recurrent.width = 8;
    c.model.recurrent.blocks = 1;
    c.equilibrium.forward.max_iter = 7;
    c.training.batch = 4;
    c.training.pretrain_layers = 3;
    c.training.average = 0.9;
    c.penalty.weight = 0.5;
    c.evaluation.batch = 3;
    return c;
}

static void the_largest_model_is_declared_without_numbers(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    deq_config c = deq_config_defaults();
    c.data.source = DEQ_SOURCE_FOLDER; /* that is not there */
    c.data.height = c.data.width = 224;
    c.model.family = DEQ_MODEL_MULTISCALE;
    c.model.multiscale = deq_multiscale_defaults(DEQ_MULTISCALE_IMAGENET_XL);
    c.model.classes = 1000;
    deq_inspection *i;
    deq_shape shape[DEQ_MAX_STATES];
    assert_int_equal(deq_inspect_config(&i, f.ctx, &c), DEQ_OK);
    assert_true(f.memory.live_bytes < (size_t)16 << 20);
    deq_parameters *p = deq_weights_parameters(deq_inspection_weights(i));
    assert_true(deq_parameters_elements(p) == 90463280);
    assert_null(deq_parameters_values(p, 0));
    assert_int_equal(deq_inspection_states(i, shape), 4);
    assert_true(deq_shape_equal(&shape[3], &DEQ_SHAPE(704, 7, 7)));
    assert_true(deq_inspection_training(i).step == -1);
    deq_inspection_free(i);
    end(&f);
}

static void folders_without_classes_are_opened(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    deq_config c = deq_config_defaults();
    c.data.source = DEQ_SOURCE_FOLDER;
    c.model.family = DEQ_MODEL_MULTISCALE;
    deq_inspection *i;
    assert_int_equal(deq_inspect_config(&i, f.ctx, &c), DEQ_ERR_ARGUMENT);
    assert_null(i);
    assert_non_null(strstr(deq_last_error(f.ctx), "data.path"));
    end(&f);
}

/* z1 = f(z0) for the fully connected cell, by hand. */
static void the_map_is_one_evaluation_of_f(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    deq_config c = deq_config_defaults();
    c.data.source = DEQ_SOURCE_MNIST;
    c.model.family = DEQ_MODEL_MLP;
    c.model.mlp.width = 5;
    deq_inspection *i;
    deq_workload *w;
    assert_int_equal(deq_inspect_config(&i, f.ctx, &c), DEQ_OK);
    assert_int_equal(deq_workload_new(&w, i, DEQ_WORK_MAP, 2), DEQ_OK);
    deq_program_info info = deq_program_stats(deq_workload_program(w));
    assert_true(info.flops[DEQ_STAGE_STATE] >= 2.0 * 2 * 5 * 5); /* W z, of each sample */
    assert_true(info.flops[DEQ_STAGE_STATE] < 2.0 * 2 * 5 * 5 + 2 * 5 * 32); /* and no U x */
    assert_true(info.flops[DEQ_STAGE_INJECTED] >= 2.0 * 2 * 5 * 784);
    assert_int_equal(deq_workload_run(w), DEQ_OK);
    assert_int_equal(deq_workload_run(w), DEQ_OK);
    deq_workload_cost cost;
    assert_int_equal(deq_workload_last(&cost, w), DEQ_OK);
    assert_true(cost.n_feval == 1 && cost.n_apply == 0);
    deq_workload_free(w);
    deq_inspection_free(i);
    end(&f);
}

static void every_work_runs_and_leaves_the_weights_alone(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    deq_config c = small();
    deq_inspection *i;
    assert_int_equal(deq_inspect_config(&i, f.ctx, &c), DEQ_OK);
    deq_parameters *p = deq_weights_parameters(deq_inspection_weights(i));
    for (int work = 0; work < DEQ_WORK_COUNT; work++) {
        deq_workload *w;
        deq_workload_cost cost;
        assert_int_equal(deq_workload_new(&w, i, (deq_work)work, 0), DEQ_OK);
        assert_int_equal(deq_workload_batch(w), work <= DEQ_WORK_SOLVE ? 3 : 4);
        assert_int_equal(deq_workload_last(&cost, w), DEQ_ERR_STATE);
        size_t bytes = (size_t)deq_parameters_length(p) * sizeof(float);
        float *before = malloc(bytes);
        assert_non_null(before);
        memcpy(before, deq_parameters_values(p, -1), bytes);
        for (int k = 0; k < 3; k++) assert_int_equal(deq_workload_run(w), DEQ_OK);
        assert_memory_equal(before, deq_parameters_values(p, -1), bytes);
        free(before);
        assert_int_equal(deq_workload_last(&cost, w), DEQ_OK);
        assert_true(cost.n_feval >= 1 || work == DEQ_WORK_PRETRAIN);
        assert_true(cost.n_feval_max <= 7 && cost.n_feval <= (double)cost.n_feval_max);
        assert_true((cost.n_apply > 0) == (work == DEQ_WORK_STEP || work == DEQ_WORK_PENALTY));
        deq_workload_free(w);
    }
    deq_inspection_free(i);
    end(&f);
}

static void work_takes_the_examples_it_is_given(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    deq_config c = small();
    deq_inspection *i;
    deq_workload *w;
    float x[4 * 6] = { 0 };
    int32_t target[4 * 6] = { 0 };
    assert_int_equal(deq_inspect_config(&i, f.ctx, &c), DEQ_OK);
    assert_int_equal(deq_workload_new(&w, i, DEQ_WORK_STEP, 4), DEQ_OK);
    assert_int_equal(deq_workload_write(w, x, NULL), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_workload_write(w, x, target), DEQ_OK);
    assert_int_equal(deq_workload_run(w), DEQ_OK);
    target[0] = 2; /* there are classes 0 and 1 */
    assert_int_equal(deq_workload_write(w, x, target), DEQ_OK);
    assert_int_equal(deq_workload_run(w), DEQ_ERR_DATA);
    deq_workload_free(w);
    assert_int_equal(deq_workload_new(&w, i, DEQ_WORK_COUNT, 4), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_workload_new(&w, i, DEQ_WORK_MAP, -1), DEQ_ERR_ARGUMENT);
    assert_null(w);
    deq_inspection_free(i);
    end(&f);
}

/* Some of the allocations fail, one at a time: an error, no leak. */
static void failing_allocations_are_survived(void **state)
{
    (void)state;
    size_t step = 1;
    for (size_t at = 1;; at += step) {
        test_memory memory = { 0 };
        deq_context *ctx = test_memory_context(&memory, 1);
        deq_inspection *i = NULL;
        deq_workload *w = NULL;
        deq_config c = small();
        assert_non_null(ctx);
        memory.fail_at = memory.calls + at;
        deq_status status = deq_inspect_config(&i, ctx, &c);
        if (status == DEQ_OK) status = deq_workload_new(&w, i, DEQ_WORK_STEP, 0);
        if (status == DEQ_OK) status = deq_workload_run(w);
        assert_true(status == DEQ_OK || status == DEQ_ERR_NOMEM);
        bool reached = memory.calls >= memory.fail_at;
        memory.fail_at = 0;
        deq_workload_free(w);
        deq_inspection_free(i);
        deq_context_free(ctx);
        assert_memory_clean(&memory);
        if (!reached) break;
        if (at > 60) step = 23; /* the rest is the compiler's, which has tests of its own */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_largest_model_is_declared_without_numbers),
        cmocka_unit_test(folders_without_classes_are_opened),
        cmocka_unit_test(the_map_is_one_evaluation_of_f),
        cmocka_unit_test(every_work_runs_and_leaves_the_weights_alone),
        cmocka_unit_test(work_takes_the_examples_it_is_given),
        cmocka_unit_test(failing_allocations_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
