/* SPDX-License-Identifier: MIT */
/* Configurations: what is read, what is refused and how, what is written. */
#include "support/test.h"
#include "train/setting.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static deq_context *new_context(void **state)
{
    deq_context *ctx = NULL;
    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    *state = ctx;
    return ctx;
}

static int open_context(void **state)
{
    new_context(state);
    return 0;
}

static int close_context(void **state)
{
    deq_context_free(*state);
    return 0;
}

static deq_status parse(deq_config *c, deq_context *ctx, const char *text)
{
    *c = deq_config_defaults();
    return deq_config_parse(c, ctx, text, strlen(text), "a.yaml");
}

typedef struct written {
    char text[1 << 16];
    size_t length;
} written;

static bool append(void *user, const char *text, size_t length)
{
    written *w = user;
    assert_true(w->length + length < sizeof w->text);
    memcpy(w->text + w->length, text, length);
    w->length += length;
    w->text[w->length] = 0;
    return true;
}

static void every_setting_has_a_key_of_its_own_and_a_default_in_its_range(void **state)
{
    deq_context *ctx = *state;
    for (int i = 0; i < deq_settings_count; i++) {
        assert_ptr_equal(deq_setting_find(deq_settings[i].key), &deq_settings[i]);
        assert_true(strlen(deq_settings[i].help) > 2);
    }
    /* What is written is stored through the same checks when it is read. */
    static written w;
    deq_config c = deq_config_defaults(), back;
    w.length = 0;
    assert_int_equal(deq_config_write(&c, true, append, &w), DEQ_OK);
    if (parse(&back, ctx, w.text) != DEQ_OK) fail_msg("%s", deq_last_error(ctx));
}

static void what_is_written_reads_back_to_the_same(void **state)
{
    deq_context *ctx = *state;
    static written first, second;
    deq_config c, back;
    const char *text =
        "data: { source: npz, path: \"a \\\"b\\\" \\\\ c\\n\", test: x, mean: [0.1, 1e-300] "
        ", deviation: [3, 4] }\n"
        "solver: { method: broyden, rtol: 1.0000000000000002e-3, divergence: inf, "
        "start: mixed }\n"
        "training: { depth: [3, 9] }\n";
    first.length = second.length = 0;
    if (parse(&c, ctx, text) != DEQ_OK) fail_msg("%s", deq_last_error(ctx));
    assert_string_equal(c.data.path, "a \"b\" \\ c\n");
    assert_true(c.equilibrium.forward.rtol == 1.0000000000000002e-3);
    assert_true(isinf(c.equilibrium.forward.divergence));
    assert_true(c.has_start && c.start == DEQ_START_MIXED);
    assert_int_equal(deq_config_write(&c, true, append, &first), DEQ_OK);
    if (parse(&back, ctx, first.text) != DEQ_OK) fail_msg("%s", deq_last_error(ctx));
    assert_int_equal(deq_config_write(&back, true, append, &second), DEQ_OK);
    assert_string_equal(first.text, second.text);
}

static void presets_count_before_the_keys_they_set(void **state)
{
    deq_context *ctx = *state;
    deq_config c;
    assert_int_equal(
        parse(&c, ctx, "model:\n  multiscale:\n    dropout: 0.125\n    preset: cifar-large\n"),
        DEQ_OK);
    assert_int_equal(c.model.multiscale.n_branches, 4);
    assert_true(c.model.multiscale.dropout == 0.125);
}

static void an_empty_file_changes_nothing(void **state)
{
    deq_context *ctx = *state;
    const char *texts[] = { "", "\n", "# nothing\n", "---\n...\n", "model:\n" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        deq_config c, d = deq_config_defaults();
        if (parse(&c, ctx, texts[i]) != DEQ_OK) fail_msg("%zu: %s", i, deq_last_error(ctx));
        assert_int_equal(c.training.batch, d.training.batch);
    }
}

static const struct refusal {
    const char *text;
    deq_status status;
    const char *message; /* part of it */
} refusals[] = {
    { "model: [1\n", DEQ_ERR_DATA, "a.yaml:1:8: expected a mapping here" },
    { "model:\n  familly: mlp\n", DEQ_ERR_NAME,
      "a.yaml:2:3: unknown key 'model.familly'; did you mean 'model.family'?" },
    { "modell: { family: mlp }\n", DEQ_ERR_NAME, "a.yaml:1:1: unknown key 'modell'" },
    { "model:\n  family: mpl\n", DEQ_ERR_ARGUMENT,
      "a.yaml:2:3: model.family is 'mpl'; expected one of mlp, monotone" },
    { "model:\n  family: multiscael\n", DEQ_ERR_ARGUMENT, "did you mean 'multiscale'?" },
    { "training:\n  batch: 0\n", DEQ_ERR_ARGUMENT, "training.batch is '0'; expected integer >= 1" },
    { "training: { batch: 1.5 }\n", DEQ_ERR_ARGUMENT, "training.batch is '1.5'" },
    { "training: { batch: 99999999999999999999 }\n", DEQ_ERR_ARGUMENT, "training.batch" },
    { "training: { batch: [1] }\n", DEQ_ERR_ARGUMENT, "training.batch is '[1]'" },
    { "solver: { rtol: -1 }\n", DEQ_ERR_ARGUMENT, "solver.rtol is '-1'; expected real >= 0" },
    { "solver: { rtol: nan }\n", DEQ_ERR_ARGUMENT, "solver.rtol is 'nan'" },
    { "optimiser: { rate: 0 }\n", DEQ_ERR_ARGUMENT, "expected real > 0" },
    { "optimiser: { momentum: 1 }\n", DEQ_ERR_ARGUMENT, "expected real in [0, 1)" },
    { "data: { flip: 2 }\n", DEQ_ERR_ARGUMENT, "expected yes or no" },
    { "training: { depth: 3 }\n", DEQ_ERR_ARGUMENT, "expected list of at most 32 integers" },
    { "training: { depth: [[1]] }\n", DEQ_ERR_DATA, "a list holds numbers only" },
    { "model: 3\n", DEQ_ERR_DATA, "a.yaml:1:8: expected a mapping" },
    { "training: { batch: { a: 1 } }\n", DEQ_ERR_DATA, "takes a value" },
    { "training: { batch: 1, batch: 2 }\n", DEQ_ERR_DATA,
      "training.batch is set a second time; first in line 1" },
    { "a: &x 1\n", DEQ_ERR_NAME, "unknown key 'a'" },
    { "training: { batch: *x }\n", DEQ_ERR_DATA, "aliases" },
    { "[1, 2]\n", DEQ_ERR_DATA, "expected a mapping of settings" },
    { "--- {}\n--- {}\n", DEQ_ERR_DATA, "a second document" },
    { "model: {\n", DEQ_ERR_DATA, "a.yaml:2:1:" },
    { "\tmodel: 1\n", DEQ_ERR_DATA, "a.yaml:1:1:" },
    { "\xff\xfe\xff", DEQ_ERR_DATA, "a.yaml:" },
    { "data: { path: \"a\\0b\" }\n", DEQ_ERR_DATA, "a zero byte" },
};

static void what_is_wrong_is_named_with_its_place(void **state)
{
    deq_context *ctx = *state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        deq_config c;
        deq_status status = parse(&c, ctx, refusals[i].text);
        if (status != refusals[i].status || !strstr(deq_last_error(ctx), refusals[i].message))
            fail_msg("%s: %s: %s", refusals[i].text, deq_status_text(status), deq_last_error(ctx));
    }
}

static void settings_are_known_by_their_former_names(void **state)
{
    deq_config c;
    assert_int_equal(parse(&c, *state, "gradient: { adjoint_solver: { memory: 7, depth: 5 } }\n"),
                     DEQ_OK);
    assert_int_equal(c.equilibrium.adjoint_solver.broyden.memory, 7);
    assert_int_equal(c.equilibrium.adjoint_solver.anderson.depth, 5);
}

static void a_list_that_is_too_long_is_refused(void **state)
{
    deq_context *ctx = *state;
    char text[256] = "evaluation: { budgets: [1";
    deq_config c;
    for (int i = 0; i < DEQ_CONFIG_LIST; i++) strcat(text, ",1");
    strcat(text, "] }\n");
    assert_int_equal(parse(&c, ctx, text), DEQ_ERR_ARGUMENT);
}

static void one_setting_can_be_changed(void **state)
{
    deq_context *ctx = *state;
    deq_config c = deq_config_defaults();
    assert_int_equal(deq_config_set(&c, ctx, "training.batch=7"), DEQ_OK);
    assert_int_equal(c.training.batch, 7);
    assert_int_equal(deq_config_set(&c, ctx, "training.depth=[2, 5]"), DEQ_OK);
    assert_int_equal(c.training.depth.count, 2);
    assert_int_equal(c.training.depth.item[1], 5);
    assert_int_equal(deq_config_set(&c, ctx, "evaluation.budgets=[]"), DEQ_OK);
    assert_int_equal(c.evaluation.budgets.count, 0);
    assert_int_equal(deq_config_set(&c, ctx, "data.path=[odd]=name"), DEQ_OK);
    assert_string_equal(c.data.path, "[odd]=name");
}

static void a_change_that_is_refused_changes_nothing(void **state)
{
    deq_context *ctx = *state;
    deq_config c = deq_config_defaults();
    const char *bad[] = { "training.batch",        "=3",
                          "training.batch=x",      "training.bach=3",
                          "training.depth=[1, x]", "training.depth=[1",
                          "training.depth=1" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        deq_config before = c;
        assert_int_not_equal(deq_config_set(&c, ctx, bad[i]), DEQ_OK);
        assert_memory_equal(&before.training, &c.training, sizeof c.training);
    }
    assert_int_equal(deq_config_set(&c, ctx, "training.bach=3"), DEQ_ERR_NAME);
    assert_non_null(strstr(deq_last_error(ctx), "did you mean 'training.batch'?"));
}

static void settings_without_effect_are_refused(void **state)
{
    deq_context *ctx = *state;
    static const char *const lines[] = {
        "data.percolation=0.1",
        "data.path=x",
        "data.flip=yes",
        "data.mean=[1]",
        "data.test=x",
        "training.depth=[1]",
        "training.depth=[5, 2]",
        "optimiser.milestones=[10]",
        "gradient.shine_refine=3",
        "supervision.states=[3, 2]",
        "supervision.steps=[1, 1]",
        "penalty.increase=0.1",
        "gradient.method=reversible",
        "optimiser.total=50",
        "optimiser.decay_vectors=no",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        deq_config c = deq_config_defaults();
        assert_int_equal(deq_config_check(&c, ctx), DEQ_OK);
        if (deq_config_set(&c, ctx, lines[i]) != DEQ_OK) fail_msg("%s", deq_last_error(ctx));
        if (deq_config_check(&c, ctx) == DEQ_OK) fail_msg("%s was taken", lines[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_setting_has_a_key_of_its_own_and_a_default_in_its_range),
        cmocka_unit_test(what_is_written_reads_back_to_the_same),
        cmocka_unit_test(presets_count_before_the_keys_they_set),
        cmocka_unit_test(an_empty_file_changes_nothing),
        cmocka_unit_test(what_is_wrong_is_named_with_its_place),
        cmocka_unit_test(settings_are_known_by_their_former_names),
        cmocka_unit_test(a_list_that_is_too_long_is_refused),
        cmocka_unit_test(one_setting_can_be_changed),
        cmocka_unit_test(a_change_that_is_refused_changes_nothing),
        cmocka_unit_test(settings_without_effect_are_refused),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
