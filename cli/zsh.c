/* SPDX-License-Identifier: MIT */
/*
 * Completions for zsh: a function for each command, which says to _arguments what it takes.  In those
 * specifications brackets and colons have a meaning: in texts they are escaped.
 */
#include "shell.h"

static void put_spec_text(text_buffer *t, const char *s)
{
    for (; *s && *s != '\n'; s++) {
        if (*s == '[' || *s == ']' || *s == ':' || *s == '\\') put(t, "\\");
        if (*s == '\'')
            put(t, "'\\''");
        else
            put_bytes(t, s, 1);
    }
}

/* ":N:", and how it is completed. */
static void put_action(text_buffer *t, const option *o, const char *name, const command *root)
{
    put(t, ":");
    put_spec_text(t, name);
    put(t, ":");
    switch (o->kind) {
    case VALUE_FILE: put(t, "_files"); break;
    case VALUE_FOLDER: put(t, "_files -/"); break;
    case VALUE_CHOICE:
    case VALUE_COMMAND:
        put(t, "(");
        put_choice_words(t, o);
        if (o->kind == VALUE_COMMAND) put_command_words(t, root);
        put(t, ")");
        break;
    default: put(t, " "); break;
    }
}

/* '(-o --out)'{-o+,--out=}'[help]:FILE:_files' */
static void put_spec(text_buffer *t, const option *o, const command *root)
{
    const char *equals = o->kind == VALUE_NONE ? "" : "=", *plus = *equals ? "+" : "";
    text_buffer argument = { 0 };
    put(t, " \\\n        ");
    if (o->letter && o->repeatable)
        put_format(t, "'*'{-%c%s,--%s%s}'", o->letter, plus, o->name, equals);
    else if (o->letter)
        put_format(t, "'(-%c --%s)'{-%c%s,--%s%s}'", o->letter, o->name, o->letter, plus, o->name,
                   equals);
    else
        put_format(t, "'%s--%s%s", o->repeatable ? "*" : "", o->name, equals);
    put(t, "[");
    put_spec_text(t, o->help);
    put(t, "]");
    put_argument(&argument, o);
    if (o->kind != VALUE_NONE)
        put_action(t, o, o->kind == VALUE_CHOICE ? o->name : text_string(&argument), root);
    put(t, "'");
    text_free(&argument);
}

static void put_operand_spec(text_buffer *t, const option *o, const command *root)
{
    put(t, " \\\n        '");
    put(t, o->repeatable ? "*" : o->required ? "" : ":");
    put_action(t, o, o->name, root);
    put(t, "'");
}

/* The names of commands, and the function for the one that is given. */
static void put_state(text_buffer *t, const command *c, const char *path)
{
    put(t, " \\\n        '1:command:->command' '*::argument:->rest'\n"
           "    case $state in\n"
           "        command)\n"
           "            local -a commands=(\n");
    for (int i = 0; c->commands[i]; i++) {
        put_format(t, "                '%s:", c->commands[i]->name);
        put_spec_text(t, c->commands[i]->summary);
        put(t, "'\n");
    }
    put(t, "            )\n"
           "            _describe -t commands command commands\n"
           "            ;;\n"
           "        rest)\n"
           "            case $words[1] in\n");
    for (int i = 0; c->commands[i]; i++) {
        put_format(t, "                %s) _deq", c->commands[i]->name);
        put_path(t, path, '_');
        put_format(t, "_%s ;;\n", c->commands[i]->name);
    }
    put(t, "            esac\n"
           "            ;;\n"
           "    esac\n");
}

typedef struct place {
    text_buffer *t;
    const command *root;
} place;

static int put_function(void *user, const command *c, const char *path)
{
    const place *p = user;
    const option *o;
    put(p->t, "\n_deq");
    put_path(p->t, path, '_');
    put(p->t, "() {\n    local curcontext=$curcontext state line\n    typeset -A opt_args\n"
              "    _arguments -s -S");
    if (c->commands) put(p->t, " -C");
    for (int i = 0; (o = command_option(c, i)); i++) put_spec(p->t, o, p->root);
    for (int i = 0; i < c->n_operands; i++) put_operand_spec(p->t, &c->operands[i], p->root);
    if (c->commands)
        put_state(p->t, c, path);
    else
        put(p->t, "\n");
    put(p->t, "}\n");
    return 0;
}

void put_zsh(text_buffer *t, const command *root)
{
    place p = { t, root };
    put(t, "#compdef deq\n# zsh completion for deq; made by: deq completion zsh\n");
    for_each_command(root, put_function, &p);
    put(t, "\nif [[ $funcstack[1] == _deq ]]; then\n"
           "    _deq \"$@\"\n"
           "else\n"
           "    compdef _deq deq\n"
           "fi\n");
}
