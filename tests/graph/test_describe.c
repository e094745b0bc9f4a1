/* SPDX-License-Identifier: MIT */
/* What a program says of itself: as text, as JSON that a parser takes, as Graphviz. */
#include "support/engine.h"

#include <jansson.h>
#include <locale.h>

/* Receives a description; refuses from the given piece on. */
typedef struct sink {
    char *text;
    size_t length;
    int pieces, refuse_at; /* 0: never */
} sink;

static bool take(void *user, const char *text, size_t length)
{
    sink *s = user;
    if (++s->pieces == s->refuse_at) return false;
    char *longer = realloc(s->text, s->length + length + 1);
    assert_non_null(longer);
    memcpy(longer + s->length, text, length);
    s->text = longer;
    s->length += length;
    s->text[s->length] = '\0';
    return true;
}

/* z + conv(x, w): one step at least in every stage but the constant one. */
typedef struct fixture {
    test_graph t;
    deq_parameters *store;
    deq_value w, x, z, unused, y;
    deq_program *p;
} fixture;

static void begin(fixture *f, const deq_compile_options *o)
{
    f->t = test_graph_new();
    deq_graph *g = f->t.g;
    assert_int_equal(deq_parameters_new(&f->store, f->t.ctx, DEQ_F32), DEQ_OK);
    assert_int_equal(deq_parameters_add(f->store, "w", DEQ_SHAPE(4, 3, 3, 3)), DEQ_OK);
    f->w = deq_parameter(g, f->store, "w");
    f->x = deq_input(g, "image", DEQ_STAGE_INJECTED, DEQ_F32, DEQ_SHAPE(2, 3, 8, 8));
    f->z = deq_input(g, "z", DEQ_STAGE_STATE, DEQ_F32, DEQ_SHAPE(2, 4, 8, 8));
    f->unused = deq_input(g, "unused", DEQ_STAGE_STATE, DEQ_F32, DEQ_SHAPE(2));
    deq_value kernel = deq_tanh(g, f->w);
    deq_value b = deq_conv2d(g, f->x, kernel, DEQ_NONE, DEQ_CONV2D(.padding = { 1, 1 }));
    f->y = deq_name(g, deq_relu(g, deq_add(g, f->z, b)), "next \"state\"");
    f->p = must_compile(&f->t, &f->y, 1, o);
}

static void end(fixture *f)
{
    deq_program_free(f->p);
    deq_parameters_free(f->store);
    test_graph_free(&f->t);
}

static char *describe(const deq_program *p, deq_describe_format format)
{
    sink s = { 0 };
    assert_int_equal(deq_program_describe(p, format, take, &s), DEQ_OK);
    assert_non_null(s.text);
    assert_int_equal(strlen(s.text), s.length);
    return s.text;
}

static json_t *parse(const char *text)
{
    json_error_t error;
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (!root) fail_msg("line %d: %s in\n%s", error.line, error.text, text);
    return root;
}

static json_t *describe_json(const deq_program *p)
{
    char *text = describe(p, DEQ_DESCRIBE_JSON);
    json_t *root = parse(text);
    free(text);
    return root;
}

static void check_contains(const char *text, const char *part)
{
    if (!strstr(text, part)) fail_msg("'%s' is not in\n%s", part, text);
}

/* Text ------------------------------------------------------------------------------------------ */

static void text_tells_stages_operators_values_and_costs(void **state)
{
    (void)state;
    fixture f;
    deq_compile_options o = plain_options();
    begin(&f, &o);
    char *text = describe(f.p, DEQ_DESCRIBE_TEXT);
    const char *const parts[] = { "stage parameter",
                                  "stage injected",
                                  "stage state",
                                  "tanh",
                                  "conv2d",
                                  "add",
                                  "relu",
                                  "reference",
                                  "next \"state\"",
                                  "input",
                                  "output",
                                  "unused",
                                  "f32 [2, 4, 8, 8]",
                                  "MB arena" };
    for (size_t i = 0; i < COUNT_OF(parts); i++) check_contains(text, parts[i]);
    assert_true(strstr(text, "stage parameter") < strstr(text, "stage injected"));
    assert_true(strstr(text, "stage injected") < strstr(text, "stage state"));
    assert_null(strstr(text, "stage constant")); /* it is empty */
    free(text);
    end(&f);
}

/* JSON ------------------------------------------------------------------------------------------ */

static const char *const stages[] = { "constant", "parameter", "injected", "state" };

static void json_agrees_with_the_statistics(void **state)
{
    (void)state;
    for (int tuned = 0; tuned < 2; tuned++) {
        fixture f;
        deq_compile_options o = tuned ? deq_compile_defaults() : plain_options();
        begin(&f, &o);
        deq_program_info info = deq_program_stats(f.p);
        json_t *root = describe_json(f.p);
        assert_int_equal(json_integer_value(json_object_get(root, "nodes")), info.n_nodes);
        assert_int_equal(json_integer_value(json_object_get(root, "arena_bytes")),
                         info.arena_bytes);
        assert_int_equal(json_integer_value(json_object_get(root, "parameter_bytes")),
                         info.parameter_bytes);
        json_t *by_stage = json_object_get(root, "stages");
        for (int s = 0; s < 4; s++) {
            json_t *steps = json_object_get(by_stage, stages[s]), *step;
            size_t index;
            double flops = 0, bytes = 0;
            assert_int_equal(json_array_size(steps), info.n_steps[s]);
            json_array_foreach(steps, index, step)
            {
                flops += json_number_value(json_object_get(step, "flops"));
                bytes += json_number_value(json_object_get(step, "bytes"));
                assert_true(json_is_string(json_object_get(step, "kernel")));
                assert_true(json_is_array(json_object_get(step, "operators")));
            }
            assert_true(fabs(flops - info.flops[s]) <= 1e-9 * info.flops[s]);
            assert_true(fabs(bytes - info.bytes[s]) <= 1e-9 * info.bytes[s]);
        }
        json_decref(root);
        end(&f);
    }
}

/* Slots that steps name exist, fit the arena, and every value names its own. */
static void json_describes_the_memory_plan(void **state)
{
    (void)state;
    fixture f;
    begin(&f, NULL);
    json_t *root = describe_json(f.p), *slots = json_object_get(root, "slots"), *slot, *value;
    size_t index, n = json_array_size(slots);
    json_int_t arena = json_integer_value(json_object_get(root, "arena_bytes"));
    json_array_foreach(slots, index, slot)
    {
        if (json_is_true(json_object_get(slot, "parameter"))) continue;
        assert_true(json_integer_value(json_object_get(slot, "offset")) +
                        json_integer_value(json_object_get(slot, "bytes")) <=
                    arena);
    }
    int inputs = 0, outputs = 0, unused = 0;
    json_array_foreach(json_object_get(root, "values"), index, value)
    {
        json_int_t at = json_integer_value(json_object_get(value, "slot"));
        bool input = strcmp(json_string_value(json_object_get(value, "kind")), "input") == 0;
        inputs += input;
        outputs += !input;
        unused += at < 0;
        assert_true(at < (json_int_t)n);
    }
    assert_int_equal(inputs, 3);
    assert_int_equal(outputs, 1);
    assert_int_equal(unused, 1);
    json_decref(root);
    end(&f);
}

/* Names are the caller's bytes; JSON must stay JSON. */
static void json_parses_whatever_values_are_called(void **state)
{
    (void)state;
    static const char *const names[] = {
        "plain",
        "quote \" and \\ backslash",
        "tab\tnewline\n\x01\x1f\x7f",
        "\xc3\xbc\xc3\x9f \xc3\xa9",
        "\xe2\x88\x87 nabla",
        "bad \xff\xfe bytes",
        "cut \xc3",
        "\xed\xa0\x80 surrogate",
        "\xc0\xaf overlong",
        "\xf4\x90\x80\x80 beyond",
        "\xf0\x9f\x98\x80",
        "%s %n {} [",
    };
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        test_graph t = test_graph_new();
        deq_value x = f64_input(&t, names[i], DEQ_STAGE_STATE, DEQ_SHAPE(2));
        deq_value y = deq_name(t.g, deq_tanh(t.g, x), names[i]);
        deq_program *p = must_compile(&t, &y, 1, NULL);
        json_decref(describe_json(p));
        free(describe(p, DEQ_DESCRIBE_TEXT));
        free(describe(p, DEQ_DESCRIBE_DOT));
        deq_program_free(p);
        test_graph_free(&t);
    }
}

/* A long name of two-byte letters may be cut in the middle of one. */
static void json_parses_when_names_are_very_long(void **state)
{
    (void)state;
    for (int shift = 0; shift < 4; shift++) {
        char name[4001] = "abc";
        for (int i = shift; i + 2 < 4000; i += 2) memcpy(name + i, "\xc3\xa9", 3);
        test_graph t = test_graph_new();
        deq_value x = f64_input(&t, "x", DEQ_STAGE_STATE, DEQ_SHAPE(2));
        deq_value y = deq_name(t.g, deq_tanh(t.g, x), name);
        deq_program *p = must_compile(&t, &y, 1, NULL);
        json_decref(describe_json(p));
        free(describe(p, DEQ_DESCRIBE_TEXT));
        deq_program_free(p);
        test_graph_free(&t);
    }
}

/* Numbers are written with a point whatever the locale; skipped where no other locale is known. */
static void json_numbers_do_not_follow_the_locale(void **state)
{
    (void)state;
    static const char *const locales[] = { "de_DE.UTF-8", "fr_FR.UTF-8", "de_DE.utf8", "de_DE" };
    bool found = false;
    for (size_t i = 0; !found && i < COUNT_OF(locales); i++)
        found = setlocale(LC_NUMERIC, locales[i]) != NULL;
    if (!found) skip();
    fixture f;
    begin(&f, NULL);
    char *text = describe(f.p, DEQ_DESCRIBE_JSON);
    setlocale(LC_NUMERIC, "C");
    json_decref(parse(text));
    free(text);
    end(&f);
}

/* Graphviz -------------------------------------------------------------------------------------- */

static void dot_is_a_graph_with_a_node_for_every_step(void **state)
{
    (void)state;
    fixture f;
    begin(&f, NULL);
    deq_program_info info = deq_program_stats(f.p);
    char *text = describe(f.p, DEQ_DESCRIBE_DOT), part[64];
    check_contains(text, "digraph");
    assert_int_equal(text[strlen(text) - 2], '}');
    int steps = 0, depth = 0, quotes = 0;
    for (int s = 0; s < 4; s++) steps += info.n_steps[s];
    for (int i = 0; i < steps; i++) {
        snprintf(part, sizeof part, "step%d [", i);
        check_contains(text, part);
    }
    snprintf(part, sizeof part, "step%d [", steps);
    assert_null(strstr(text, part));
    check_contains(text, " -> ");
    for (const char *c = text; *c; c++) {
        quotes += *c == '"' && (c == text || c[-1] != '\\');
        depth += (*c == '{') - (*c == '}');
    }
    assert_int_equal(quotes % 2, 0);
    assert_int_equal(depth, 0);
    free(text);
    end(&f);
}

/* Failures -------------------------------------------------------------------------------------- */

static void a_writer_that_refuses_gives_an_io_error_and_hears_no_more(void **state)
{
    (void)state;
    fixture f;
    begin(&f, NULL);
    for (int format = DEQ_DESCRIBE_TEXT; format <= DEQ_DESCRIBE_DOT; format++)
        for (int piece = 1; piece < 20; piece += 3) {
            sink s = { .refuse_at = piece };
            deq_status status = deq_program_describe(f.p, (deq_describe_format)format, take, &s);
            if (s.pieces < piece) {
                assert_int_equal(status, DEQ_OK); /* it was over before */
            } else {
                assert_int_equal(status, DEQ_ERR_IO);
                assert_int_equal(s.pieces, piece);
            }
            free(s.text);
        }
    end(&f);
}

static void formats_and_writer_are_checked(void **state)
{
    (void)state;
    fixture f;
    begin(&f, NULL);
    sink s = { 0 };
    assert_int_equal(deq_program_describe(f.p, (deq_describe_format)9, take, &s), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_program_describe(f.p, DEQ_DESCRIBE_TEXT, NULL, NULL), DEQ_ERR_ARGUMENT);
    assert_int_equal(s.pieces, 0);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_tells_stages_operators_values_and_costs),
        cmocka_unit_test(json_agrees_with_the_statistics),
        cmocka_unit_test(json_describes_the_memory_plan),
        cmocka_unit_test(json_parses_whatever_values_are_called),
        cmocka_unit_test(json_parses_when_names_are_very_long),
        cmocka_unit_test(json_numbers_do_not_follow_the_locale),
        cmocka_unit_test(dot_is_a_graph_with_a_node_for_every_step),
        cmocka_unit_test(a_writer_that_refuses_gives_an_io_error_and_hears_no_more),
        cmocka_unit_test(formats_and_writer_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
