/* SPDX-License-Identifier: MIT */
/* Whatever the table of settings offers for training can be trained with. */
#define _XOPEN_SOURCE 700
#include "support/test.h"
#include "train/place.h"
#include "train/run.h"
#include "train/setting.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void set(place *p, deq_config *c, const char *assignment)
{
    if (deq_config_set(c, p->ctx, assignment) != DEQ_OK) fail_msg("%s", deq_last_error(p->ctx));
}

/* What a choice needs beside it. */
static const char *const beside[][4] = {
    { "gradient.shine_refine", "gradient.method=shine" },
    { "gradient.method=reversible", "gradient.tau=0.8" },
    { "penalty.", "penalty.weight=0.1", "penalty.probability=0.5" },
    { "penalty.form", "penalty.weight=0.1" },
    { "gradient.adjoint_solver.", "gradient.adjoint_by_solver=yes" },
    { "gradient.adjoint_solver.anderson.", "gradient.adjoint_solver.method=anderson" },
    { "gradient.adjoint_solver.broyden.", "gradient.adjoint_solver.method=broyden" },
    { "solver.anderson.", "solver.method=anderson" },
    { "solver.broyden.", "solver.method=broyden", "solver.broyden.memory=3" },
    { "solver.adjoint_broyden.", "solver.method=adjoint_broyden" },
    { "supervision.law", "supervision.count=3", "solver.max_iter=9" },
    { "supervision.count=4", "gradient.method=phantom_unroll" },
    { "optimiser.milestones", "optimiser.schedule=step" },
    { "optimiser.total", "optimiser.schedule=cosine" },
    { "optimiser.decay_vectors", "optimiser.method=adamw", "optimiser.weight_decay=0.1" },
    { "optimiser.nesterov", "optimiser.method=sgd" },
    { "solver.reference", "solver.method=anderson", "solver.reference_batch_max=yes" },
    { "gradient.adjoint_solver.reference", "gradient.adjoint_solver.method=broyden",
      "gradient.adjoint_solver.reference_batch_max=yes" },
    { "gradient.adjoint.trust_recurrence", "gradient.adjoint.method=bicgstab" },
};

static void try_choice(place *p, const char *choice, int *n)
{
    char folder[128];
    deq_config c = deq_config_defaults();
    deq_run *run;
    static const char *const tiny[] = {
        "data.size=8",       "data.count=100",           "data.test_count=4",
        "training.batch=4",  "training.steps=2",         "model.recurrent.width=4",
        "solver.max_iter=8", "model.recurrent.blocks=1", "evaluation.batch=4",
    };
    for (size_t i = 0; i < sizeof tiny / sizeof *tiny; i++) set(p, &c, tiny[i]);
    for (size_t i = 0; i < sizeof beside / sizeof *beside; i++)
        if (strncmp(choice, beside[i][0], strlen(beside[i][0])) == 0)
            for (int j = 1; j < 4 && beside[i][j]; j++) set(p, &c, beside[i][j]);
    set(p, &c, choice);
    snprintf(folder, sizeof folder, "%s/choice%d", p->root, (*n)++);
    deq_status status = deq_run_new(&run, p->ctx, &c, folder);
    for (int i = 0; i < 2 && status == DEQ_OK; i++) {
        step_result r = { 0 };
        status = deq_run_step_once(run, &r);
        if (status == DEQ_OK && !r.finite) fail_msg("%s: loss or gradient not finite", choice);
    }
    if (status != DEQ_OK) fail_msg("%s: %s", choice, deq_last_error(p->ctx));
    deq_run_free(run);
}

static bool is_about_training(const char *key)
{
    static const char *const parts[] = { "solver.",  "gradient.",  "supervision.",
                                         "penalty.", "optimiser.", "training." };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strncmp(key, parts[i], strlen(parts[i])) == 0) return true;
    return false;
}

/* Each name of each choice in the table of settings, and each switch turned on. */
static void every_choice_of_the_table_trains(void **state)
{
    place *p = *state;
    int n = 0;
    for (int i = 0; i < deq_settings_count; i++) {
        const deq_setting *s = &deq_settings[i];
        char choice[128];
        if (!is_about_training(s->key)) continue;
        for (const setting_choice *k = s->choices; k && k->name; k++) {
            snprintf(choice, sizeof choice, "%s=%s", s->key, k->name);
            try_choice(p, choice, &n);
        }
        if (s->kind != SETTING_BOOL) continue;
        snprintf(choice, sizeof choice, "%s=yes", s->key);
        try_choice(p, choice, &n);
    }
    static const char *const others[] = {
        "optimiser.decay_vectors=no", "optimiser.total=7",    "optimiser.milestones=[1]",
        "solver.history_bytes=1024",  "supervision.count=4",  "solver.broyden.armijo=0.3",
        "supervision.states=[2, 5]",  "training.clip=0.1",    "training.label_smoothing=0.1",
        "training.pretrain_steps=1",  "training.average=0.9",
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) try_choice(p, others[i], &n);
    assert_true(n > 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_choice_of_the_table_trains, make_place, clear_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
