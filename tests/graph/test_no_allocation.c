/* SPDX-License-Identifier: MIT */
/*
 * A run allocates nothing.  The context's allocator is counted, and so are malloc and its kin, which
 * this program puts before those of the C library: they see what every library in the process asks
 * for.  Each call is filed under the object that made it, so that a failure says whose it was.
 *
 * What is known and tolerated, up to LARGEST bytes at a time: GCC's OpenMP run time allocates and
 * frees the bookkeeping of a team of one whenever a parallel region is entered with one thread, and
 * oneDNN that of a primitive's arguments whenever it is executed.
 */
#define _GNU_SOURCE /* NOLINT: dladdr */
#include "support/engine.h"
#include "support/memory.h"

#include <deq/op/norm.h>
#include <deq/op/random.h>
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>

/* Sanitizers bring an allocator of their own, which must stay the only one. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define INTERPOSED 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define INTERPOSED 0
#endif
#endif
#if !defined(INTERPOSED)
#if defined(__GLIBC__)
#define INTERPOSED 1
#else
#define INTERPOSED 0
#endif
#endif

enum { CALLERS = 256 };
static atomic_int watching;
static atomic_int n_calls;
static void *callers[CALLERS];
static size_t sizes[CALLERS];

#if INTERPOSED
static void note(void *caller, size_t bytes)
{
    if (!atomic_load(&watching)) return;
    int i = atomic_fetch_add(&n_calls, 1);
    if (i >= CALLERS) return;
    callers[i] = caller;
    sizes[i] = bytes;
}

#define CALLER __builtin_return_address(0)

/* NOLINTBEGIN: these names are the C library's, and must be. */
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

/* By all libraries of the process; and with a return address, which an inlined function has not. */
#define SEEN __attribute__((visibility("default"), noinline))

SEEN void *malloc(size_t bytes)
{
    note(CALLER, bytes);
    return __libc_malloc(bytes);
}
SEEN void *calloc(size_t n, size_t bytes)
{
    note(CALLER, n * bytes);
    return __libc_calloc(n, bytes);
}
SEEN void *realloc(void *p, size_t bytes)
{
    note(CALLER, bytes);
    return __libc_realloc(p, bytes);
}
SEEN void *aligned_alloc(size_t align, size_t bytes)
{
    note(CALLER, bytes);
    return __libc_memalign(align, bytes);
}
SEEN void *memalign(size_t align, size_t bytes)
{
    note(CALLER, bytes);
    return __libc_memalign(align, bytes);
}
SEEN int posix_memalign(void **p, size_t align, size_t bytes)
{
    note(CALLER, bytes);
    *p = __libc_memalign(align, bytes);
    return *p ? 0 : ENOMEM;
}
/* NOLINTEND */
#endif

/* Programs -------------------------------------------------------------------------------------- */

static deq_value in32(deq_graph *g, const char *name, deq_stage stage, deq_shape s)
{
    return deq_input(g, name, stage, DEQ_F32, s);
}

static deq_value elementwise_cell(deq_graph *g, int64_t n)
{
    deq_value z = in32(g, "z", DEQ_STAGE_STATE, DEQ_SHAPE(n, 64));
    deq_value x = in32(g, "x", DEQ_STAGE_INJECTED, DEQ_SHAPE(64));
    return deq_gelu(g, deq_add(g, deq_tanh(g, deq_mul(g, z, x)), deq_sigmoid(g, z)));
}
static deq_value linear_cell(deq_graph *g, int64_t n)
{
    deq_value z = in32(g, "z", DEQ_STAGE_STATE, DEQ_SHAPE(n, 64));
    deq_value w = in32(g, "w", DEQ_STAGE_PARAMETER, DEQ_SHAPE(64, 64));
    deq_value x = in32(g, "x", DEQ_STAGE_INJECTED, DEQ_SHAPE(n, 64));
    return deq_tanh(g, deq_add(g, deq_linear(g, z, w, DEQ_NONE), x));
}
static deq_value conv_cell(deq_graph *g, int64_t n)
{
    deq_value z = in32(g, "z", DEQ_STAGE_STATE, DEQ_SHAPE(n, 16, 8, 8));
    deq_value w = in32(g, "w", DEQ_STAGE_PARAMETER, DEQ_SHAPE(16, 16, 3, 3));
    deq_value b = in32(g, "b", DEQ_STAGE_PARAMETER, DEQ_SHAPE(16));
    deq_value y = deq_conv2d(g, z, w, b, DEQ_CONV2D(.padding = { 1, 1 }));
    return deq_group_norm(g, deq_relu(g, y), 4, DEQ_NONE, DEQ_NONE, 1e-5);
}
static deq_value reduction_cell(deq_graph *g, int64_t n)
{
    deq_value z = in32(g, "z", DEQ_STAGE_STATE, DEQ_SHAPE(n, 4, 16));
    deq_value t = deq_transpose(g, deq_softmax(g, z, 2), 1, 2);
    return deq_mean(g, deq_logsumexp(g, t, DEQ_AXIS(1), true), DEQ_AXIS(0), false);
}
static deq_value pool_cell(deq_graph *g, int64_t n)
{
    deq_value z = in32(g, "z", DEQ_STAGE_STATE, DEQ_SHAPE(n, 4, 8, 8));
    deq_value y = deq_max_pool2d(g, z, DEQ_MAX_POOL2D(.kernel = { 2, 2 }), NULL);
    return deq_average_pool2d(g, y, DEQ_AVERAGE_POOL2D(.kernel = { 2, 2 }));
}
static deq_value random_cell(deq_graph *g, int64_t n)
{
    deq_value z = in32(g, "z", DEQ_STAGE_STATE, DEQ_SHAPE(n, 64));
    deq_value key = deq_input(g, "key", DEQ_STAGE_INJECTED, DEQ_I64, DEQ_SHAPE(2));
    return deq_dropout(g, z, key, 3, 0.3, 0);
}
static deq_value gradient_of(deq_graph *g, deq_value y, deq_value x)
{
    deq_value loss = deq_squared_norm(g, y, DEQ_ALL_AXES, false), d = DEQ_NONE;
    (void)deq_vjp(g, &d, &loss, NULL, 1, &x, 1);
    return d;
}
static deq_value linear_gradient(deq_graph *g, int64_t n)
{
    deq_value y = linear_cell(g, n);
    return gradient_of(g, y, (deq_value){ 2 }); /* w, the second input */
}
static deq_value conv_gradient(deq_graph *g, int64_t n)
{
    deq_value y = conv_cell(g, n);
    return gradient_of(g, y, (deq_value){ 2 });
}

static const struct cell_case {
    const char *name;
    deq_value (*build)(deq_graph *g, int64_t n);
} cells[] = {
    { "element-wise", elementwise_cell },
    { "linear", linear_cell },
    { "convolution", conv_cell },
    { "reductions", reduction_cell },
    { "pooling", pool_cell },
    { "random numbers", random_cell },
    { "gradient of linear", linear_gradient },
    { "gradient of convolution", conv_gradient },
};

/* Watching -------------------------------------------------------------------------------------- */

enum { LARGEST = 16384 };

typedef struct counts {
    int ours, tolerated, others;
    char culprit[256]; /* who called, among the others */
} counts;

static bool is_tolerated(const char *library, size_t bytes)
{
    static const char *const names[] = { "libgomp", "libomp", "libdnnl", "libstdc++" };
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (strstr(library, names[i])) return bytes <= LARGEST;
    return false;
}

/* Which object files made the calls that were noted. */
static counts file_calls(void)
{
    counts c = { 0, 0, 0, "" };
    Dl_info here, there;
    int n = atomic_load(&n_calls);
    assert_true(n <= CALLERS);
    assert_int_not_equal(dladdr((void *)(uintptr_t)file_calls, &here), 0);
    for (int i = 0; i < n; i++) {
        const char *file = dladdr(callers[i], &there) ? there.dli_fname : "an unknown object";
        bool mine = strcmp(file, here.dli_fname) == 0;
        if (getenv("DEQ_TEST_VERBOSE"))
            print_message("%zu bytes for %s%+td\n", sizes[i], file,
                          (char *)callers[i] - (char *)there.dli_fbase);
        if (mine) {
            c.ours++;
        } else if (is_tolerated(file, sizes[i])) {
            c.tolerated++;
        } else {
            c.others++;
            snprintf(c.culprit, sizeof c.culprit, "%zu bytes for %s", sizes[i], file);
        }
    }
    return c;
}

static void watch_program(const char *name, deq_program *p, const test_memory *m)
{
    static const deq_stage from[] = { DEQ_STAGE_PARAMETER, DEQ_STAGE_INJECTED, DEQ_STAGE_STATE };
    must_run(p, DEQ_STAGE_PARAMETER); /* warm up: the OpenMP run time starts its threads */
    for (int k = 0; k < 3; k++) {
        size_t before = m->calls;
        atomic_store(&n_calls, 0);
        atomic_store(&watching, 1);
        deq_status status = DEQ_OK;
        for (int times = 0; times < 3 && status == DEQ_OK; times++)
            status = deq_program_run(p, from[k]);
        atomic_store(&watching, 0);
        if (status != DEQ_OK) fail_msg("%s: %s", name, deq_program_error(p));
        counts c = file_calls();
        if (m->calls != before) fail_msg("%s: the context's allocator was called", name);
        if (c.ours) fail_msg("%s: %d calls of malloc in the library", name, c.ours);
        if (c.others) fail_msg("%s: %d calls in other libraries: %s", name, c.others, c.culprit);
        if (c.tolerated && getenv("DEQ_TEST_VERBOSE"))
            print_message("%s, stage %d: %d calls tolerated\n", name, (int)from[k], c.tolerated);
    }
}

static void watch_cell(const struct cell_case *c, int64_t n, int threads, bool tuned)
{
    test_memory m = { 0 };
    test_graph t = { test_memory_context(&m, threads), NULL };
    assert_int_equal(deq_graph_new(&t.g, t.ctx), DEQ_OK);
    deq_value y = c->build(t.g, n);
    assert_ok(&t);
    deq_compile_options o = tuned ? deq_compile_defaults() : plain_options();
    deq_program *p = must_compile(&t, &y, 1, &o);
    watch_program(c->name, p, &m);
    deq_program_free(p);
    test_graph_free(&t);
    assert_memory_clean(&m);
}

static void no_kernel_allocates_while_a_program_runs(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cells); i++)
        for (int tuned = 0; tuned < 2; tuned++)
            for (int threads = 1; threads <= 2; threads++) {
                watch_cell(&cells[i], 1, threads, tuned);
                watch_cell(&cells[i], 33, threads, tuned);
            }
}

static void writing_binding_and_reading_allocate_nothing(void **state)
{
    (void)state;
    test_memory m = { 0 };
    test_graph t = { test_memory_context(&m, 1), NULL };
    assert_int_equal(deq_graph_new(&t.g, t.ctx), DEQ_OK);
    deq_value y = conv_cell(t.g, 2), z = { 1 };
    deq_program *p = must_compile(&t, &y, 1, NULL);
    const size_t bytes = 2 * 16 * 8 * 8 * sizeof(float);
    float *data = aligned_alloc(64, bytes);
    assert_non_null(data);
    memset(data, 0, bytes);
    must_run(p, DEQ_STAGE_PARAMETER);
    size_t before = m.calls;
    atomic_store(&n_calls, 0);
    atomic_store(&watching, 1);
    deq_status status = deq_program_write(p, z, data, bytes);
    if (status == DEQ_OK) status = deq_program_bind(p, y, data);
    if (status == DEQ_OK) status = deq_program_run(p, DEQ_STAGE_PARAMETER);
    if (status == DEQ_OK) status = deq_program_bind(p, y, NULL);
    if (status == DEQ_OK) status = deq_program_read(p, y, data, bytes);
    atomic_store(&watching, 0);
    assert_int_equal(status, DEQ_OK);
    counts c = file_calls();
    assert_int_equal(c.ours, 0);
    assert_int_equal(m.calls, before);
    if (c.others) fail_msg("%s", c.culprit);
    free(data);
    deq_program_free(p);
    test_graph_free(&t);
    assert_memory_clean(&m);
}

/* That the watching works at all. */
static void allocations_are_noticed(void **state)
{
    (void)state;
    if (!INTERPOSED) skip();
    void *volatile p;
    atomic_store(&n_calls, 0);
    atomic_store(&watching, 1);
    p = malloc(10);
    p = realloc(p, 20);
    free(p);
    p = aligned_alloc(64, 64);
    free(p);
    FILE *f = tmpfile(); /* the C library calls too */
    atomic_store(&watching, 0);
    if (f) fclose(f);
    counts c = file_calls();
    assert_int_equal(c.ours, 3);
    if (f) assert_true(c.others > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocations_are_noticed),
        cmocka_unit_test(no_kernel_allocates_while_a_program_runs),
        cmocka_unit_test(writing_binding_and_reading_allocate_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
