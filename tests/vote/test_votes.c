/* SPDX-License-Identifier: MIT */
#include "support/bytes.h"
#include "support/memory.h"

#include <deq/vote/votes.h>
#include <stdio.h>

/* Votes as "task worker label; ..." in the order of the table. */
static void show(char *text, size_t capacity, const deq_votes *votes)
{
    const deq_votes_view v = deq_votes_values(votes);
    size_t n = 0;

    text[0] = '\0';
    assert_int_equal(v.begin[0], 0);
    assert_int_equal(v.begin[v.n_tasks], v.n_votes);
    for (int64_t t = 0; t < v.n_tasks; t++)
        for (int64_t j = v.begin[t]; j < v.begin[t + 1] && n < capacity; j++)
            n += (size_t)snprintf(
                text + n, capacity - n, "%s %s %s; ", deq_votes_task_name(votes, t),
                deq_votes_worker_name(votes, v.worker[j]), deq_votes_label_name(votes, v.label[j]));
}

static deq_status parse_with(deq_votes **votes, deq_context *ctx, const char *text,
                             const deq_votes_options *options)
{
    return deq_votes_parse(votes, ctx, text, strlen(text), options);
}

static const struct good {
    const char *text, *votes;
} goods[] = {
    { "task,worker,label\nb,u,1\na,u,0\nb,v,0\n", "b u 1; b v 0; a u 0; " },
    { "task\tworker\tlabel\nb\tu\t1\n", "b u 1; " },
    { "question;answer;worker\r\nb;1;u\r\n", "b u 1; " },
    { "\xef\xbb\xbfworker,extra,label,task\nu,,\"x,\"\"y\"\"\",b\n", "b u x,\"y\"; " },
    { "task,worker,label\nb,u,\nb,v,1\nc,v,\n", "b v 1; " },
    { "task,worker,label\n\n\xc3\xa4,\xe6\x97\xa5,\xf0\x9f\x90\xa6\n",
      "\xc3\xa4 \xe6\x97\xa5 \xf0\x9f\x90\xa6; " },
};

static void files_as_people_write_them_are_read(void **state)
{
    (void)state;
    deq_context *ctx;
    char text[200];

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    for (size_t i = 0; i < sizeof goods / sizeof *goods; i++) {
        deq_votes *votes;
        assert_int_equal(parse_with(&votes, ctx, goods[i].text, NULL), DEQ_OK);
        show(text, sizeof text, votes);
        assert_string_equal(text, goods[i].votes);
        deq_votes_free(votes);
    }
    deq_votes_free(NULL);
    deq_context_free(ctx);
}

static const struct refusal {
    const char *text, *message;
} refusals[] = {
    { "", "memory: the file is empty; expected a header line" },
    { "task,worker,label\n", "no votes; expected a row for each" },
    { "task,worker,vote\na,b,c\n", "no column 'label' or 'answer' among 'task', 'worker', 'vote'" },
    { "task,task,worker,label\na,a,b,c\n", "field 2: expected each column once, found 'task'" },
    { "task,worker,label\na,b,c\nd,e\n", "line 3: found 2 fields, expected 3 as in line 1" },
    { "task,worker,label\n,b,c\n", "line 2, field 1: expected a name, found ''" },
    { "task,worker,label\na,,c\n", "line 2, field 2: expected a name, found ''" },
    { "task,worker,label\na,b,\xc3\n", "line 2, field 3: expected UTF-8 text, found '\\xc3'" },
    { "task,worker,label\na,\xed\xa0\x80,c\n", "field 2: expected UTF-8 text" },
    { "task,worker,label\n\xc0\x80,b,c\n", "field 1: expected UTF-8 text" },
    { "task,worker,label\n\"a,b,c\n", "line 2, field 1: quotes open here and never close" },
};

static deq_status parse(deq_context *ctx, const void *bytes, size_t size)
{
    deq_votes *votes;
    const deq_status status = deq_votes_parse(&votes, ctx, bytes, size, NULL);

    if (status != DEQ_OK) assert_null(votes);
    deq_votes_free(votes);
    return status;
}

static void mistakes_are_refused_with_their_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        check_refusal(parse, refusals[i].text, strlen(refusals[i].text), DEQ_ERR_DATA,
                      refusals[i].message);
}

static const char *const sample =
    "task,worker,label\na,u,x\na,v,y\nb,u,y\na,u,y\nc,\"w\"\"\",x\nlonger name of a task,u,\n";

static bool any(size_t length)
{
    (void)length;
    return true;
}

static void damaged_files_do_no_harm(void **state)
{
    (void)state;
    check_truncation(parse, sample, strlen(sample), any);
    check_bit_flips(parse, sample, strlen(sample));
    check_out_of_memory(parse, sample, strlen(sample));
}

static void duplicates_follow_the_policy_and_are_counted(void **state)
{
    (void)state;
    static const char *text = "task,worker,label\na,u,0\na,v,1\na,u,1\nb,u,0\na,u,1\n";
    static const char *const expected[] = { "a u 0; a v 1; b u 0; ", "a u 1; a v 1; b u 0; ",
                                            "a u 0; a v 1; a u 1; a u 1; b u 0; " };
    deq_votes_options o = deq_votes_defaults();
    deq_context *ctx;
    deq_votes *votes;
    char shown[200];

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    for (int i = 0; i < 3; i++) {
        o.duplicates = (deq_duplicates)i;
        assert_int_equal(parse_with(&votes, ctx, text, &o), DEQ_OK);
        show(shown, sizeof shown, votes);
        assert_string_equal(shown, expected[i]);
        assert_int_equal(deq_votes_reported(votes).n_duplicates, 2);
        assert_true(deq_votes_reported(votes).n_conflicting >= 1);
        deq_votes_free(votes);
    }
    o.duplicates = DEQ_DUPLICATES_ERROR;
    assert_int_equal(parse_with(&votes, ctx, text, &o), DEQ_ERR_DATA);
    assert_string_equal(deq_last_error(ctx), "memory: worker 'u' votes more than once on task 'a'");
    deq_context_free(ctx);
}

static void labels_are_ordered_whatever_the_rows(void **state)
{
    (void)state;
    static const struct {
        const char *text, *order;
    } cases[] = {
        { "task,worker,label\na,u,10\na,v,9\na,w,-1\n", "-1 9 10 " },
        { "task,worker,label\na,u,10\na,v,9\na,w,x\n", "10 9 x " },
        { "task,worker,label\na,u,yes\na,v,no\n", "no yes " },
    };
    static const char *const given[] = { "yes", "maybe" };
    deq_votes_options o = deq_votes_defaults();
    deq_context *ctx;
    deq_votes *votes;

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char order[50] = "";
        size_t n = 0;
        assert_int_equal(parse_with(&votes, ctx, cases[i].text, NULL), DEQ_OK);
        for (int64_t c = 0; c < deq_votes_values(votes).n_labels; c++)
            n += (size_t)snprintf(order + n, sizeof order - n, "%s ",
                                  deq_votes_label_name(votes, c));
        assert_string_equal(order, cases[i].order);
        deq_votes_free(votes);
    }
    o.labels = given;
    o.n_labels = 2;
    assert_int_equal(parse_with(&votes, ctx, cases[2].text, &o), DEQ_OK);
    assert_int_equal(deq_votes_find_label(votes, "yes"), 0);
    assert_int_equal(deq_votes_find_label(votes, "maybe"), 1);
    assert_int_equal(deq_votes_find_label(votes, "no"), 2);
    deq_votes_free(votes);
    o.closed = true;
    assert_int_equal(parse_with(&votes, ctx, cases[2].text, &o), DEQ_ERR_DATA);
    assert_string_equal(deq_last_error(ctx),
                        "memory: line 3, field 3: expected one of the labels given, found 'no'");
    deq_context_free(ctx);
}

static void columns_abstentions_and_bad_rows_can_be_chosen(void **state)
{
    (void)state;
    deq_votes_options o = deq_votes_defaults();
    deq_context *ctx;
    deq_votes *votes;
    char shown[100];

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    o.task_column = "item";
    o.worker_column = "who";
    o.label_column = "what";
    o.abstain = "?";
    o.skip_bad = true;
    assert_int_equal(
        parse_with(&votes, ctx, "item,who,what\na,u,1\na,v,?\nb\nc,\"v\"x,1\nd,w,1\n,w,1\n", &o),
        DEQ_OK);
    show(shown, sizeof shown, votes);
    assert_string_equal(shown, "a u 1; d w 1; ");
    const deq_votes_report r = deq_votes_reported(votes);
    assert_int_equal(r.n_rows, 6);
    assert_int_equal(r.n_bad, 3);
    assert_int_equal(r.n_abstained, 1);
    assert_string_equal(r.first_bad, "memory: line 4: found 1 fields, expected 3 as in line 1");
    deq_votes_free(votes);
    assert_int_equal(parse_with(&votes, ctx, "item,who,what\n,u,1\n", &o), DEQ_ERR_DATA);
    o.struct_size = 1;
    assert_int_equal(parse_with(&votes, ctx, "a", &o), DEQ_ERR_ARGUMENT);
    deq_context_free(ctx);
}

static void names_are_found_again(void **state)
{
    (void)state;
    enum { N = 5000 };
    static char text[N * 32];
    deq_context *ctx;
    deq_votes *votes;
    char name[40];
    size_t n = (size_t)snprintf(text, sizeof text, "task,worker,label\n");

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    for (int i = 0; i < N; i++) /* names of one to some twelve bytes */
        n += (size_t)snprintf(text + n, sizeof text - n, "%d,%s%d,l\n", i, i % 3 ? "" : "worker-",
                              i);
    votes = NULL;
    assert_int_equal(parse_with(&votes, ctx, text, NULL), DEQ_OK);
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, "%d", i);
        assert_int_equal(deq_votes_find_task(votes, name), i);
        assert_string_equal(deq_votes_task_name(votes, i), name);
        snprintf(name, sizeof name, "%s%d", i % 3 ? "" : "worker-", i);
        assert_int_equal(deq_votes_find_worker(votes, name), i);
    }
    assert_int_equal(deq_votes_find_task(votes, "nobody"), -1);
    assert_int_equal(deq_votes_find_task(votes, NULL), -1);
    assert_null(deq_votes_task_name(votes, N));
    assert_null(deq_votes_worker_name(votes, -1));
    deq_votes_free(votes);
    deq_context_free(ctx);
}

static void arrays_make_the_same_table(void **state)
{
    (void)state;
    static const int32_t task[] = { 1, 0, 1, 1 }, worker[] = { 0, 1, 2, 0 },
                         label[] = { 1, 0, -1, 0 };
    static const char *const labels[] = { "yes", "no" }, *const twice[] = { "x", "x" };
    deq_votes_arrays a = { .struct_size = sizeof a,
                           .n_tasks = 2,
                           .n_workers = 3,
                           .n_labels = 2,
                           .n_votes = 4,
                           .task = task,
                           .worker = worker,
                           .label = label,
                           .label_names = labels,
                           .duplicates = DEQ_DUPLICATES_ALL };
    deq_context *ctx;
    deq_votes *votes;
    int64_t total[3];
    int32_t constant[3];
    char shown[100];

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    assert_int_equal(deq_votes_new(&votes, ctx, &a), DEQ_OK);
    show(shown, sizeof shown, votes);
    assert_string_equal(shown, "0 1 yes; 1 0 no; 1 0 yes; ");
    deq_votes_count_workers(total, constant, votes);
    assert_int_equal(total[0], 2);
    assert_int_equal(total[2], 0);
    assert_int_equal(constant[0], -1);
    assert_int_equal(constant[1], -1); /* one vote tells nothing */
    deq_votes_free(votes);
    a.label_names = twice;
    assert_int_equal(deq_votes_new(&votes, ctx, &a), DEQ_ERR_NAME);
    a.label_names = NULL;
    a.n_workers = 2;
    assert_int_equal(deq_votes_new(&votes, ctx, &a), DEQ_ERR_ARGUMENT);
    assert_non_null(strstr(deq_last_error(ctx), "vote 2: task 1 of 2, worker 2 of 2"));
    a.n_tasks = a.n_workers = a.n_labels = a.n_votes = 0;
    assert_int_equal(deq_votes_new(&votes, ctx, &a), DEQ_OK);
    assert_int_equal(deq_votes_values(votes).n_votes, 0);
    deq_votes_free(votes);
    deq_context_free(ctx);
}

static void constant_voters_are_told(void **state)
{
    (void)state;
    deq_context *ctx;
    deq_votes *votes;
    int32_t constant[3];

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    assert_int_equal(
        parse_with(&votes, ctx,
                   "task,worker,label\na,u,1\nb,u,1\nc,u,1\na,v,0\nb,v,1\nc,v,0\na,w,1\n", NULL),
        DEQ_OK);
    deq_votes_count_workers(NULL, constant, votes);
    assert_int_equal(constant[0], 1);
    assert_int_equal(constant[1], -1);
    assert_int_equal(constant[2], -1);
    deq_votes_free(votes);
    deq_context_free(ctx);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

static void streams_give_whole_tasks_batch_by_batch(void **state)
{
    (void)state;
    static const char *const labels[] = { "0", "1" };
    deq_votes_options o = deq_votes_defaults();
    test_memory m = { 0 };
    deq_context *ctx = test_memory_context(&m, 1);
    deq_votes_stream *stream;
    const deq_votes *batch;
    char path[256], shown[200], all[400] = "";
    int n = 0;

    o.labels = labels;
    o.n_labels = 2;
    o.closed = true;
    write_file(scratch_path(path, ".csv"),
               "task,worker,label\na,u,0\na,v,1\na,w,1\nb,u,1\nc,v,0\nc,x,0\nd,u,\n");
    assert_int_equal(deq_votes_stream_open(&stream, ctx, path, &o, 2), DEQ_OK);
    assert_int_equal(deq_votes_values(deq_votes_stream_table(stream)).n_tasks, 0);
    for (; deq_votes_stream_next(&batch, stream) == DEQ_OK && batch; n++) {
        show(shown, sizeof shown, batch);
        strcat(strcat(all, shown), "| ");
    }
    assert_string_equal(all, "a u 0; a v 1; a w 1; | b u 1; c v 0; c x 0; | | ");
    assert_int_equal(deq_votes_find_worker(deq_votes_stream_table(stream), "x"), 3);
    deq_votes_stream_close(stream);

    write_file(path, "task,worker,label\na,u,0\nb,v,1\na,w,1\n");
    assert_int_equal(deq_votes_stream_open(&stream, ctx, path, &o, 1), DEQ_OK);
    assert_int_equal(deq_votes_stream_next(&batch, stream), DEQ_OK);
    assert_int_equal(deq_votes_stream_next(&batch, stream), DEQ_OK);
    assert_int_equal(deq_votes_stream_next(&batch, stream), DEQ_ERR_DATA);
    assert_non_null(strstr(deq_last_error(ctx), "task 'a' comes again behind others"));
    deq_votes_stream_close(stream);

    o.closed = false;
    assert_int_equal(deq_votes_stream_open(&stream, ctx, path, &o, 1), DEQ_ERR_ARGUMENT);
    o.closed = true;
    assert_int_equal(deq_votes_stream_open(&stream, ctx, path, &o, 0), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_votes_stream_open(&stream, ctx, "/nonexistent", &o, 1), DEQ_ERR_IO);
    deq_votes_stream_close(NULL);
    assert_int_equal(remove(path), 0);
    deq_context_free(ctx);
    assert_memory_clean(&m);
}

/* An allocator that knows the most it ever gave. */
typedef struct ledger {
    size_t live, peak;
} ledger;

static void *ledger_alloc(void *user, size_t bytes, size_t align)
{
    ledger *l = user;

    l->live += bytes;
    if (l->live > l->peak) l->peak = l->live;
    return aligned_alloc(align, (bytes + align - 1) / align * align);
}

static void ledger_free(void *user, void *memory, size_t bytes)
{
    ((ledger *)user)->live -= bytes;
    free(memory);
}

/* A vote is two 32-bit numbers and a 16-bit label. */
static void reading_takes_less_than_twice_the_votes(void **state)
{
    (void)state;
    enum { TASKS = 100000, PER_TASK = 10, VOTES = TASKS * PER_TASK };
    const size_t room = (size_t)VOTES * 20;
    char *text = malloc(room);
    ledger l = { 0 };
    const deq_allocator allocator = { ledger_alloc, ledger_free, &l };
    deq_context_options options = deq_context_defaults();
    deq_context *ctx;
    deq_votes *votes;
    size_t n;

    options.allocator = &allocator;
    assert_int_equal(deq_context_new(&ctx, &options), DEQ_OK);
    assert_non_null(text);
    n = (size_t)snprintf(text, room, "task,worker,label\n");
    for (int i = 0; i < VOTES; i++)
        n += (size_t)snprintf(text + n, room - n, "t%d,w%d,%d\n", i / PER_TASK, i * 7 % 1000,
                              i % 4);
    assert_int_equal(deq_votes_parse(&votes, ctx, text, n, NULL), DEQ_OK);
    assert_int_equal(deq_votes_values(votes).n_votes, VOTES);
    assert_true(l.peak < (size_t)VOTES * 20);
    assert_true(l.live < (size_t)VOTES * 10);
    deq_votes_free(votes);
    deq_context_free(ctx);
    free(text);
    assert_int_equal(l.live, 0);
}

/* Names of every length, alike in their ends, ASCII and not. */
static void name_number(char name[80], int i)
{
    static const char *const formats[] = { "%d",         "t%d",   "%06x0", "task-number-%d",
                                           "\xc3\xa4%d", "%050d", "%xq" };

    snprintf(name, 80, formats[i % 7], i);
}

static void rows_in_any_order_give_the_same_votes(void **state)
{
    (void)state;
    enum { TASKS = 70001, STEP = 40503 }; /* without a common divisor; more tasks than a part has */
    deq_context *ctx;
    deq_votes *votes;
    char *text = malloc(2 * TASKS * 80), name[80];
    size_t n;

    assert_non_null(text);
    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    n = (size_t)snprintf(text, 80, "task,worker,label\n");
    for (int i = 0; i < 2 * TASKS; i++) { /* each task twice, far from each other */
        const int t = (int)((int64_t)i * STEP % TASKS);
        name_number(name, t);
        n += (size_t)snprintf(text + n, 80, "%s,w%d,%d\n", name, i / TASKS, t % 9);
    }
    assert_int_equal(deq_votes_parse(&votes, ctx, text, n, NULL), DEQ_OK);
    const deq_votes_view v = deq_votes_values(votes);
    assert_int_equal(v.n_tasks, TASKS);
    assert_int_equal(v.n_votes, 2 * TASKS);
    for (int i = 0; i < TASKS; i++) { /* tasks are numbered as they came */
        const int t = (int)((int64_t)i * STEP % TASKS);
        name_number(name, t);
        assert_string_equal(deq_votes_task_name(votes, i), name);
        assert_int_equal(v.begin[i], 2 * i);
        for (int k = 0; k < 2; k++) {
            assert_int_equal(v.worker[2 * i + k], k);
            assert_int_equal(v.label[2 * i + k], t % 9);
        }
        if (i % 100 == 0) assert_int_equal(deq_votes_find_task(votes, name), i);
    }
    deq_votes_free(votes);
    deq_context_free(ctx);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_as_people_write_them_are_read),
        cmocka_unit_test(mistakes_are_refused_with_their_place),
        cmocka_unit_test(damaged_files_do_no_harm),
        cmocka_unit_test(duplicates_follow_the_policy_and_are_counted),
        cmocka_unit_test(labels_are_ordered_whatever_the_rows),
        cmocka_unit_test(columns_abstentions_and_bad_rows_can_be_chosen),
        cmocka_unit_test(names_are_found_again),
        cmocka_unit_test(arrays_make_the_same_table),
        cmocka_unit_test(constant_voters_are_told),
        cmocka_unit_test(streams_give_whole_tasks_batch_by_batch),
        cmocka_unit_test(rows_in_any_order_give_the_same_votes),
        cmocka_unit_test(reading_takes_less_than_twice_the_votes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
