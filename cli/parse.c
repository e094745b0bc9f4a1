/* SPDX-License-Identifier: MIT */
/* Command lines: words to checked values. */
#include "parse.h"

#include <stdlib.h>
#include <string.h>

static const char *const colour_choices[] = { "auto", "always", "never", NULL };

const option option_help = { .name = "help", .letter = 'h', .help = "show this text" };
const option option_version = { .name = "version", .letter = 'V', .help = "show the version" };
const option option_colour = {
    .name = "color",
    .kind = VALUE_CHOICE,
    .choices = colour_choices,
    .initial = "auto",
    .help = "colours: on terminals, in pipes too, or nowhere",
};
static const option option_json = { .name = "json", .help = "print one JSON object" };
static const option option_threads = {
    .name = "threads",
    .kind = VALUE_INTEGER,
    .argument = "N",
    .least = 1,
    .most = 4096,
    .help = "threads to compute with (default: OMP_NUM_THREADS, else all cores)",
};
static const option option_quiet = { .name = "quiet",
                                     .letter = 'q',
                                     .help = "show no progress, only results and errors" };

/* The command's own options, then the shared ones. */
const option *command_option(const command *c, int i)
{
    const option *shared[6];
    int n = 0;
    if (i < c->n_options) return &c->options[i];
    if (c->common & COMMON_JSON) shared[n++] = &option_json;
    if (c->common & COMMON_THREADS) shared[n++] = &option_threads;
    if (c->common & COMMON_QUIET) shared[n++] = &option_quiet;
    if (!c->commands) shared[n++] = &option_colour;
    shared[n++] = &option_help;
    if (!*c->name) shared[n++] = &option_version;
    i -= c->n_options;
    return i < n ? shared[i] : NULL;
}

static const char *option_name(const void *set, int i)
{
    const option *o = command_option(set, i);
    return o ? o->name : NULL;
}

static const option *find_long(const command *c, const char *name, size_t length)
{
    const option *o;
    for (int i = 0; (o = command_option(c, i)); i++)
        if (strlen(o->name) == length && strncmp(o->name, name, length) == 0) return o;
    return NULL;
}

static const option *find_letter(const command *c, char letter)
{
    const option *o;
    for (int i = 0; (o = command_option(c, i)); i++)
        if (o->letter && o->letter == letter) return o;
    return NULL;
}

/* A line that is being taken apart. */
typedef struct parser {
    arguments *a;
    argument_value *values; /* a->values, to be written */
    int capacity;
    int n, at; /* words, and the next of them */
    char **words;
    int n_operands; /* seen so far */
} parser;

/* Mistakes ----------------------------------------------------------------------------------- */

/* What a mistake is about: "option '--tol'", "FILE". */
static void put_subject(text_buffer *t, const option *o, bool is_operand)
{
    if (is_operand)
        put(t, o->name);
    else
        put_format(t, "option '--%s'", o->name);
}

static int unknown_option(const parser *p, const char *word, const char *name, size_t length)
{
    const arguments *a = p->a;
    text_buffer wanted = { 0 }, shown = { 0 };
    put_bytes(&wanted, name, length);
    put_safe(&shown, word);
    const char *near = nearest_name(text_string(&wanted), option_name, a->command);
    int code = near ? fail(CLI_USAGE, a->path, "unknown option '%s'; did you mean '--%s'?",
                           text_string(&shown), near)
                    : fail(CLI_USAGE, a->path, "unknown option '%s'; see deq help %s",
                           text_string(&shown), a->path);
    text_free(&wanted);
    text_free(&shown);
    return code;
}

static bool was_given(const arguments *a, const option *o)
{
    for (int i = 0; i < a->n_values; i++)
        if (a->values[i].option == o) return true;
    return false;
}

/* Values ------------------------------------------------------------------------------------- */

static int add_value(parser *p, const option *o, const char *text, bool is_operand)
{
    argument_value value = { .option = o, .text = text };
    text_buffer subject = { 0 }, why = { 0 };
    int code = GO_ON;
    put_subject(&subject, o, is_operand);
    if (o->kind != VALUE_NONE && !o->repeatable && was_given(p->a, o)) {
        code = fail(CLI_USAGE, p->a->path, "%s is given twice", text_string(&subject));
    } else if (o->kind != VALUE_NONE && !parse_value(&value, &why, o, text)) {
        code = fail(CLI_USAGE, p->a->path, "%s: %s", text_string(&subject), text_string(&why));
    } else {
        if (!p->values || p->a->n_values == p->capacity) {
            p->capacity = 2 * p->capacity + 8;
            p->values = must_realloc(p->values, (size_t)p->capacity * sizeof *p->values);
            p->a->values = p->values;
        }
        p->values[p->a->n_values++] = value;
    }
    text_free(&subject);
    text_free(&why);
    return code;
}

/* The word behind an option that needs one.  Another option is not taken for a value: its own was
 * forgotten. */
static int add_next_word(parser *p, const option *o)
{
    text_buffer what = { 0 };
    int code;
    put_argument(&what, o);
    const char *word = p->at < p->n ? p->words[p->at] : NULL;
    if (!word || strcmp(word, "--") == 0)
        code = fail(CLI_USAGE, p->a->path, "option '--%s' needs %s", o->name, text_string(&what));
    else if (strncmp(word, "--", 2) == 0 &&
             find_long(p->a->command, word + 2, strcspn(word + 2, "=")))
        code = fail(CLI_USAGE, p->a->path,
                    "option '--%s' needs %s, and '%s' is an option; if it is meant as the value, "
                    "write --%s=%s",
                    o->name, text_string(&what), word, o->name, word);
    else
        code = add_value(p, o, p->words[p->at++], false);
    text_free(&what);
    return code;
}

/* "--name", "--name=value", "--name value" */
static int parse_long(parser *p, const char *word)
{
    const char *name = word + 2;
    const char *equals = strchr(name, '=');
    const size_t length = equals ? (size_t)(equals - name) : strlen(name);
    const option *o = find_long(p->a->command, name, length);
    if (!o) return unknown_option(p, word, name, length);
    if (o->kind != VALUE_NONE)
        return equals ? add_value(p, o, equals + 1, false) : add_next_word(p, o);
    if (equals) return fail(CLI_USAGE, p->a->path, "option '--%s' takes no value", o->name);
    return o == &option_help ? CLI_OK : add_value(p, o, "", false);
}

/* "-q", "-qv", "-o value", "-ovalue" */
static int parse_letters(parser *p, const char *word)
{
    for (const char *letter = word + 1; *letter; letter++) {
        const option *o = find_letter(p->a->command, *letter);
        if (!o) return unknown_option(p, word, word + 1, strlen(word + 1));
        if (o == &option_help) return CLI_OK;
        if (o->kind != VALUE_NONE)
            return letter[1] ? add_value(p, o, letter + 1, false) : add_next_word(p, o);
        int code = add_value(p, o, "", false);
        if (code != GO_ON) return code;
    }
    return GO_ON;
}

static int parse_operand(parser *p, const char *word)
{
    const command *c = p->a->command;
    int i = p->n_operands;
    if (i >= c->n_operands && c->n_operands > 0 && c->operands[c->n_operands - 1].repeatable)
        i = c->n_operands - 1;
    if (i >= c->n_operands) {
        text_buffer shown = { 0 };
        put_safe(&shown, word);
        int code = fail(CLI_USAGE, p->a->path, "unexpected argument '%s'; see deq help %s",
                        text_string(&shown), p->a->path);
        text_free(&shown);
        return code;
    }
    p->n_operands++;
    return add_value(p, &c->operands[i], word, true);
}

static int check_required(const arguments *a)
{
    const command *c = a->command;
    for (int i = 0; i < c->n_operands; i++)
        if (c->operands[i].required && !was_given(a, &c->operands[i]))
            return fail(CLI_USAGE, a->path, "%s is missing; see deq help %s", c->operands[i].name,
                        a->path);
    for (int i = 0; i < c->n_options; i++)
        if (c->options[i].required && !was_given(a, &c->options[i]))
            return fail(CLI_USAGE, a->path, "option '--%s' is missing; see deq help %s",
                        c->options[i].name, a->path);
    return GO_ON;
}

int parse_arguments(arguments *a, const command *c, const char *path, int n, char **words)
{
    parser p = { .a = a, .n = n, .words = words };
    bool only_operands = false;
    int code = GO_ON;
    *a = (arguments){ .command = c, .path = path };
    while (code == GO_ON && p.at < n) {
        const char *word = words[p.at++];
        if (only_operands || word[0] != '-' || !word[1])
            code = parse_operand(&p, word);
        else if (word[1] != '-')
            code = parse_letters(&p, word);
        else if (word[2])
            code = parse_long(&p, word);
        else
            only_operands = true;
    }
    if (code == GO_ON) code = check_required(a);
    if (code != GO_ON) arguments_free(a);
    return code;
}

void arguments_free(arguments *a)
{
    free((void *)(uintptr_t)a->values);
    a->values = NULL;
    a->n_values = 0;
}
