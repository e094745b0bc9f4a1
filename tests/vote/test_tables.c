/* SPDX-License-Identifier: MIT */
#include "support/bytes.h"
#include "support/memory.h"
#include "vote/draw_votes.h"

#include <deq/vote/tables.h>
#include <stdio.h>

static const char *const votes_text =
    "task,worker,label\na,u,x\na,v,y\nb,u,y\nc,v,x\n"; /* a b c, u v, x y */

typedef struct fixture {
    deq_context *ctx;
    deq_votes *votes;
    char path[256];
} fixture;

static void begin(fixture *f)
{
    assert_int_equal(deq_context_new(&f->ctx, NULL), DEQ_OK);
    f->votes = votes_of(f->ctx, votes_text);
    (void)scratch_path(f->path, ".csv");
}

static void end(fixture *f)
{
    (void)remove(f->path);
    deq_votes_free(f->votes);
    deq_context_free(f->ctx);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

static void assert_says(const fixture *f, const char *text)
{
    if (!strstr(deq_last_error(f->ctx), text))
        fail_msg("'%s' is not in '%s'", text, deq_last_error(f->ctx));
}

static void gold_is_read_by_name(void **state)
{
    (void)state;
    fixture f;
    int32_t gold[3];
    deq_table_report r;

    begin(&f);
    write_file(f.path, "label;task\ny;b\nx;elsewhere\n;c\ny;b\n");
    assert_int_equal(deq_vote_read_gold(gold, &r, f.votes, f.path, NULL), DEQ_OK);
    assert_int_equal(gold[0], -1);
    assert_int_equal(gold[1], 1);
    assert_int_equal(gold[2], -1);
    assert_int_equal(r.n_rows, 4);
    assert_int_equal(r.n_used, 1);
    assert_int_equal(r.n_unknown, 1);
    assert_int_equal(r.n_missing, 2);
    end(&f);
}

static void labels_only_in_gold_can_be_added_refused_or_skipped(void **state)
{
    (void)state;
    fixture f;
    int32_t gold[3];
    deq_table_options o = deq_table_defaults();

    begin(&f);
    write_file(f.path, "task,label\na,z\nb,x\n");
    assert_int_equal(deq_vote_read_gold(gold, NULL, f.votes, f.path, &o), DEQ_ERR_DATA);
    assert_says(&f, "line 2, field 2: expected a label of the votes, found 'z'");
    o.unknown_label = DEQ_UNKNOWN_COUNT;
    assert_int_equal(deq_vote_read_gold(gold, NULL, f.votes, f.path, &o), DEQ_OK);
    assert_int_equal(gold[0], -1);
    assert_int_equal(gold[1], 0);
    o.unknown_label = DEQ_UNKNOWN_ADD;
    assert_int_equal(deq_vote_read_gold(gold, NULL, f.votes, f.path, &o), DEQ_OK);
    assert_int_equal(gold[0], 2);
    assert_int_equal(deq_votes_values(f.votes).n_labels, 3);
    assert_string_equal(deq_votes_label_name(f.votes, 2), "z");
    end(&f);
}

static const struct gold_refusal {
    const char *text, *message;
    deq_unknown unknown;
} gold_refusals[] = {
    { "", "the file is empty", DEQ_UNKNOWN_COUNT },
    { "task,truth\na,x\n", "no column 'label' or 'answer' or 'gold' among 'task', 'truth'",
      DEQ_UNKNOWN_COUNT },
    { "task,label\na,x\na,y\n",
      "line 3, field 2: expected the label that an earlier row gives to this task, found 'y'",
      DEQ_UNKNOWN_COUNT },
    { "task,label\nz,x\n", "line 2, field 1: expected a task of the votes, found 'z'",
      DEQ_UNKNOWN_ERROR },
    { "task,label\na\n", "line 2: found 1 fields, expected 2", DEQ_UNKNOWN_COUNT },
};

static void mistakes_in_gold_are_named(void **state)
{
    (void)state;
    fixture f;
    int32_t gold[3];

    begin(&f);
    for (size_t i = 0; i < sizeof gold_refusals / sizeof *gold_refusals; i++) {
        deq_table_options o = deq_table_defaults();
        o.unknown = gold_refusals[i].unknown;
        write_file(f.path, gold_refusals[i].text);
        assert_int_equal(deq_vote_read_gold(gold, NULL, f.votes, f.path, &o), DEQ_ERR_DATA);
        assert_says(&f, gold_refusals[i].message);
    }
    assert_int_equal(deq_vote_read_gold(gold, NULL, f.votes, "/nonexistent", NULL), DEQ_ERR_IO);
    end(&f);
}

static void trust_is_read_as_probability_or_counts(void **state)
{
    (void)state;
    fixture f;
    deq_trust_file t;
    deq_table_report r;

    begin(&f);
    write_file(f.path, "worker,trust\nv,0.75\nw,0.5\n");
    assert_int_equal(deq_vote_read_trust(&t, &r, f.ctx, f.votes, f.path, NULL), DEQ_OK);
    assert_int_equal(t.count, 2);
    assert_false(t.counts);
    assert_true(t.trust[0] == 0.5 && t.trust[1] == 0.75);
    assert_int_equal(r.n_unknown, 1);
    assert_int_equal(r.n_missing, 1);
    deq_trust_file_free(&t, f.ctx);

    write_file(f.path, "worker,correct,total\nv,3,4\nu,0,0\n");
    assert_int_equal(deq_vote_read_trust(&t, &r, f.ctx, f.votes, f.path, NULL), DEQ_OK);
    assert_true(t.counts);
    assert_true(t.trust[0] == 0.5 && t.trust[1] == 4.0 / 6);
    assert_int_equal(t.correct[1], 3);
    assert_int_equal(t.total[1], 4);
    deq_trust_file_free(&t, f.ctx);
    end(&f);
}

static void workers_without_trust_follow_the_policy(void **state)
{
    (void)state;
    fixture f;
    deq_trust_file t;
    deq_table_options o = deq_table_defaults();

    begin(&f);
    write_file(f.path, "worker,trust\nv,0.75\nw,0.25\n");
    o.missing_value = 0.9;
    assert_int_equal(deq_vote_read_trust(&t, NULL, f.ctx, f.votes, f.path, &o), DEQ_OK);
    assert_true(t.trust[0] == 0.9);
    deq_trust_file_free(&t, f.ctx);
    o.missing = DEQ_MISSING_IGNORE;
    assert_int_equal(deq_vote_read_trust(&t, NULL, f.ctx, f.votes, f.path, &o), DEQ_OK);
    assert_true(t.trust[0] == 0.5);
    deq_trust_file_free(&t, f.ctx);
    o.missing = DEQ_MISSING_ERROR;
    assert_int_equal(deq_vote_read_trust(&t, NULL, f.ctx, f.votes, f.path, &o), DEQ_ERR_DATA);
    assert_says(&f, "has no trust for worker 'u'");
    o.missing = DEQ_MISSING_VALUE;
    o.unknown = DEQ_UNKNOWN_ADD;
    assert_int_equal(deq_vote_read_trust(&t, NULL, f.ctx, f.votes, f.path, &o), DEQ_OK);
    assert_int_equal(t.count, 3);
    assert_int_equal(deq_votes_find_worker(f.votes, "w"), 2);
    assert_true(t.trust[2] == 0.25);
    deq_trust_file_free(&t, f.ctx);
    end(&f);
}

static const char *const trust_refusals[][2] = {
    { "worker,trust\nu,1.5\n", "line 2, field 2: expected a probability in [0, 1], found '1.5'" },
    { "worker,trust\nu,-0.1\n", "expected a probability in [0, 1], found '-0.1'" },
    { "worker,trust\nu,nan\n", "expected a probability in [0, 1], found 'nan'" },
    { "worker,trust\nu,\n", "expected a probability in [0, 1], found ''" },
    { "worker,trust\nu,0.5\nu,0.5\n", "line 3, field 1: expected each worker once, found 'u'" },
    { "worker,correct,total\nu,5,4\n", "expected a count that is at most the total, found '5'" },
    { "worker,correct,total\nu,0.5,4\n", "found '0.5'" },
    { "worker,correct,total\nu,1,-4\n", "line 2, field 3: expected a count, found '-4'" },
    { "worker,skill\nu,1\n", "no column 'trust', nor the columns 'correct' and 'total'" },
};

static void mistakes_in_trust_are_named(void **state)
{
    (void)state;
    fixture f;
    deq_trust_file t;

    begin(&f);
    for (size_t i = 0; i < sizeof trust_refusals / sizeof *trust_refusals; i++) {
        write_file(f.path, trust_refusals[i][0]);
        assert_int_equal(deq_vote_read_trust(&t, NULL, f.ctx, f.votes, f.path, NULL), DEQ_ERR_DATA);
        assert_null(t.trust);
        assert_says(&f, trust_refusals[i][1]);
    }
    end(&f);
}

static void priors_must_be_complete_and_sum_to_one(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        { "label,prior\nx,0.5\n", "has no prior for label 'y'" },
        { "label,prior\nx,0.5\ny,0.6\n", "the priors sum to 1.1, expected 1" },
        { "label,prior\nx,0.5\nx,0.5\n", "expected each label once" },
        { "label,prior\nx,2\ny,-1\n", "expected a probability in [0, 1], found '2'" },
        { "label,prior\nz,1\n", "expected a label of the votes, found 'z'" },
    };
    fixture f;
    double prior[2];

    begin(&f);
    write_file(f.path, "label,probability\ny,0.25\nx,0.75\n");
    assert_int_equal(deq_vote_read_prior(prior, f.votes, f.path, NULL), DEQ_OK);
    assert_true(prior[0] == 0.75 && prior[1] == 0.25);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_file(f.path, bad[i][0]);
        assert_int_equal(deq_vote_read_prior(prior, f.votes, f.path, NULL), DEQ_ERR_DATA);
        assert_says(&f, bad[i][1]);
    }
    end(&f);
}

static void costs_default_to_zero_and_one(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        { "label,label,cost\nx,y,-1\n", "line 2, field 3: expected a cost that is not negative" },
        { "label,label,cost\nx,y,1\nx,y,2\n", "line 3, field 2: expected each pair once" },
        { "label,label,cost\nx,z,1\n", "expected a label of the votes, found 'z'" },
        { "truth,label,cost\nx,y,1\n", "no column 'decision'" },
    };
    fixture f;
    double cost[4];

    begin(&f);
    write_file(f.path, "label,label,cost\nx,y,5\n");
    assert_int_equal(deq_vote_read_costs(cost, f.votes, f.path, NULL), DEQ_OK);
    assert_true(cost[0] == 0 && cost[1] == 5 && cost[2] == 1 && cost[3] == 0);
    write_file(f.path, "cost,decision,truth\n3,x,y\n2,x,x\n");
    assert_int_equal(deq_vote_read_costs(cost, f.votes, f.path, NULL), DEQ_OK);
    assert_true(cost[0] == 2 && cost[1] == 1 && cost[2] == 3 && cost[3] == 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_file(f.path, bad[i][0]);
        assert_int_equal(deq_vote_read_costs(cost, f.votes, f.path, NULL), DEQ_ERR_DATA);
        assert_says(&f, bad[i][1]);
    }
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gold_is_read_by_name),
        cmocka_unit_test(labels_only_in_gold_can_be_added_refused_or_skipped),
        cmocka_unit_test(mistakes_in_gold_are_named),
        cmocka_unit_test(trust_is_read_as_probability_or_counts),
        cmocka_unit_test(workers_without_trust_follow_the_policy),
        cmocka_unit_test(mistakes_in_trust_are_named),
        cmocka_unit_test(priors_must_be_complete_and_sum_to_one),
        cmocka_unit_test(costs_default_to_zero_and_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
