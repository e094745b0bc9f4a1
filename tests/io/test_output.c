/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L

#include "io/output.h"
#include "support/bytes.h"
#include "support/memory.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void write_text(const char *path, const char *text, deq_status status)
{
    test_memory m = { 0 };
    deq_context *ctx = test_memory_context(&m, 1);
    deq_output o;

    assert_int_equal(deq_output_open(&o, ctx, path), DEQ_OK);
    deq_output_write(&o, text, strlen(text));
    assert_int_equal(deq_output_close(&o, status), status);
    deq_context_free(ctx);
    assert_memory_clean(&m);
}

static void expect_text(const char *path, const char *text)
{
    size_t size;
    char *data = load_file(path, &size);

    assert_int_equal(size, strlen(text));
    assert_memory_equal(data, text, size);
    free(data);
}

static void a_file_is_replaced_only_by_a_whole_one(void **state)
{
    (void)state;
    char path[256];

    scratch_path(path, ".txt");
    write_text(path, "first", DEQ_OK);
    expect_text(path, "first");
    write_text(path, "second", DEQ_ERR_DATA);
    expect_text(path, "first");
    write_text(path, "third", DEQ_OK);
    expect_text(path, "third");
    assert_int_equal(remove(path), 0);
}

static void until_closed_the_new_contents_stand_beside(void **state)
{
    (void)state;
    test_memory m = { 0 };
    deq_context *ctx = test_memory_context(&m, 1);
    deq_output o;
    char path[256], part[300];
    struct stat info;

    scratch_path(path, ".txt");
    snprintf(part, sizeof part, "%s.%ld.part", path, (long)getpid());
    assert_int_equal(deq_output_open(&o, ctx, path), DEQ_OK);
    assert_int_not_equal(stat(path, &info), 0);
    assert_int_equal(stat(part, &info), 0);
    assert_int_equal(deq_output_close(&o, DEQ_OK), DEQ_OK);
    assert_int_equal(stat(path, &info), 0);
    assert_int_not_equal(stat(part, &info), 0);
    assert_int_equal(remove(path), 0);
    deq_context_free(ctx);
    assert_memory_clean(&m);
}

static void links_are_followed(void **state)
{
    (void)state;
    char path[256], link[256];
    struct stat info;

    scratch_path(path, ".txt");
    scratch_path(link, ".link");
    write_text(path, "old", DEQ_OK);
    assert_int_equal(symlink(path, link), 0);
    write_text(link, "new", DEQ_OK);
    expect_text(path, "new");
    assert_int_equal(lstat(link, &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    assert_int_equal(remove(link), 0);
    assert_int_equal(remove(path), 0);
}

static void failures_name_the_file_and_the_reason(void **state)
{
    (void)state;
    test_memory m = { 0 };
    deq_context *ctx = test_memory_context(&m, 1);
    deq_output o;
    struct stat info;

    assert_int_equal(deq_output_open(&o, ctx, NULL), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_output_open(&o, ctx, "/nonexistent/x"), DEQ_ERR_IO);
    assert_non_null(strstr(deq_last_error(ctx), "/nonexistent/x: cannot be written: No such file"));
    assert_int_equal(deq_output_open(&o, ctx, "/"), DEQ_ERR_IO);
    assert_non_null(strstr(deq_last_error(ctx), "is a directory"));
    if (stat("/dev/full", &info) == 0 && S_ISCHR(info.st_mode)) { /* a disk that is full */
        assert_int_equal(deq_output_open(&o, ctx, "/dev/full"), DEQ_OK);
        deq_output_write(&o, "text", 4);
        assert_int_equal(deq_output_close(&o, DEQ_OK), DEQ_ERR_IO);
        assert_non_null(strstr(deq_last_error(ctx), "No space left"));
        assert_int_equal(stat("/dev/full", &info), 0);
        assert_true(S_ISCHR(info.st_mode));
    }
    deq_context_free(ctx);
    assert_memory_clean(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_replaced_only_by_a_whole_one),
        cmocka_unit_test(until_closed_the_new_contents_stand_beside),
        cmocka_unit_test(links_are_followed),
        cmocka_unit_test(failures_name_the_file_and_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
