/* SPDX-License-Identifier: MIT */
/* From the words of a command line to the command that they name. */
#include "parse.h"
#include "terminal.h"

#include <deq/version.h>
#include <stdarg.h>
#include <string.h>

static FILE *messages;

static FILE *message_stream(void)
{
    return messages ? messages : stderr;
}

void fail_to(FILE *stream)
{
    messages = stream;
}

int fail(int code, const char *who, const char *format, ...)
{
    FILE *to = message_stream();
    va_list args;
    fflush(stdout);
    progress_hide();
    print_styled(to, STYLE_BOLD, "deq%s%s:", who && *who ? " " : "", who ? who : "");
    fputc(' ', to);
    va_start(args, format);
    vfprintf(to, format, args);
    va_end(args);
    fputc('\n', to);
    return code;
}

/* Names -------------------------------------------------------------------------------------- */

static const command *find_child(const command *c, const char *name)
{
    for (int i = 0; c->commands && c->commands[i]; i++)
        if (strcmp(c->commands[i]->name, name) == 0) return c->commands[i];
    return NULL;
}

const command *command_find(const command *root, int n, const char *const *words, int *bad)
{
    for (int i = 0; i < n; i++) {
        root = find_child(root, words[i]);
        if (!root) {
            *bad = i;
            return NULL;
        }
    }
    return root;
}

static const char *child_name(const void *set, int i)
{
    const command *c = ((const command *)set)->commands[i];
    return c ? c->name : NULL;
}

int unknown_command(const command *c, const char *path, const char *word)
{
    text_buffer shown = { 0 };
    put_safe(&shown, word);
    const char *near = c->commands ? nearest_name(word, child_name, c) : NULL;
    const int code = near ? fail(CLI_USAGE, path, "unknown command '%s'; did you mean '%s'?",
                                 text_string(&shown), near)
                          : fail(CLI_USAGE, path, "unknown command '%s'; see deq help%s%s",
                                 text_string(&shown), *path ? " " : "", path);
    text_free(&shown);
    return code;
}

const char *full_name(text_buffer *t, const char *path)
{
    put_format(t, "deq%s%s", *path ? " " : "", path);
    return text_string(t);
}

static int visit_below(const command *c, text_buffer *path, command_visit *visit, void *user)
{
    int code = visit(user, c, text_string(path));
    for (int i = 0; code == 0 && c->commands && c->commands[i]; i++) {
        const size_t size = path->size;
        put_format(path, "%s%s", size ? " " : "", c->commands[i]->name);
        code = visit_below(c->commands[i], path, visit, user);
        path->size = size;
        path->bytes[size] = '\0';
    }
    return code;
}

int for_each_command(const command *root, command_visit *visit, void *user)
{
    text_buffer path = { 0 };
    const int code = visit_below(root, &path, visit, user);
    text_free(&path);
    return code;
}

/* Running ------------------------------------------------------------------------------------ */

static int run_leaf(const command *c, const char *path, int n, char **words, bool really)
{
    arguments a;
    int code = parse_arguments(&a, c, path, n, words);
    if (code == CLI_OK && really) print_help(stdout, c, path);
    if (code != GO_ON) return code;
    terminal_setup((colour_mode)argument_choice(&a, "color"),
                   (c->common & COMMON_QUIET) && argument_flag(&a, "quiet"));
    code = really ? c->run(&a) : CLI_OK;
    arguments_free(&a);
    return code;
}

static int no_command(const command *c, const char *path)
{
    print_help(message_stream(), c, path);
    return CLI_USAGE;
}

/* What stands where a command should: an option of the group, or a mistake. */
static int run_group_option(const command *c, const char *path, int n, char **words, bool really)
{
    arguments a;
    const int code = parse_arguments(&a, c, path, n, words);
    if (code == CLI_OK && really) print_help(stdout, c, path);
    if (code != GO_ON) return code;
    const bool version = !*c->name && argument_flag(&a, "version");
    arguments_free(&a);
    if (!version) return no_command(c, path);
    if (really) printf("deq %s\n", deq_version());
    return CLI_OK;
}

static int run_words(const command *c, text_buffer *path, int n, char **words, bool really)
{
    while (c->commands) {
        if (n == 0) return no_command(c, text_string(path));
        if (words[0][0] == '-') return run_group_option(c, text_string(path), n, words, really);
        const command *child = find_child(c, words[0]);
        if (!child) return unknown_command(c, text_string(path), words[0]);
        put_format(path, "%s%s", path->size ? " " : "", child->name);
        c = child;
        words++;
        n--;
    }
    return run_leaf(c, text_string(path), n, words, really);
}

int command_line_run(const command *root, int n, char **words)
{
    text_buffer path = { 0 };
    const int code = run_words(root, &path, n, words, true);
    text_free(&path);
    return code;
}

int command_line_check(const command *root, int n, char **words)
{
    text_buffer path = { 0 };
    const int code = run_words(root, &path, n, words, false);
    text_free(&path);
    return code;
}
