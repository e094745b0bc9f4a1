/* SPDX-License-Identifier: MIT */
/*
 * Completions for fish: one `complete` for each command, option and operand, under the condition that
 * the words so far name its command.  fish counts no operands: what any of them may be is offered.
 */
#include "shell.h"

static const char head[] =
    "# fish completion for deq; made by: deq completion fish\n"
    "\n"
    "# Whether the words before the cursor name this command: __deq_at vote decide\n"
    "function __deq_at\n"
    "    set -l words (commandline -opc)\n"
    "    set -l path\n"
    "    for word in $words[2..-1]\n"
    "        contains -- \"$path $word\" $__deq_commands; or break\n"
    "        set path \"$path $word\"\n"
    "    end\n"
    "    test \"$path\" = \"$argv[1]\"\n"
    "end\n"
    "\n"
    "complete -c deq -f\n"
    "set -g __deq_commands";

/* fish knows \' and \\ between single quotes. */
static void put_fish_quoted(text_buffer *t, const char *s)
{
    put(t, "'");
    for (; *s && *s != '\n'; s++) {
        if (*s == '\'' || *s == '\\') put(t, "\\");
        put_bytes(t, s, 1);
    }
    put(t, "'");
}

static int put_known(void *user, const command *c, const char *path)
{
    (void)c;
    if (*path) put_format(user, " ' %s'", path);
    return 0;
}

static void put_condition(text_buffer *t, const char *path)
{
    put_format(t, "complete -c deq -n '__deq_at \"%s%s\"'", *path ? " " : "", path);
}

/* What a value may be; `needed` when the option cannot do without. */
static void put_values(text_buffer *t, const option *o, const command *root, bool needed)
{
    switch (o->kind) {
    case VALUE_NONE: break;
    case VALUE_FILE: put(t, needed ? " -r -F" : " -F"); break;
    case VALUE_FOLDER:
        put(t, needed ? " -x" : "");
        put(t, " -a '(__fish_complete_directories)'");
        break;
    case VALUE_CHOICE:
    case VALUE_COMMAND:
        put(t, needed ? " -x -a '" : " -a '");
        put_choice_words(t, o);
        if (o->kind == VALUE_COMMAND) put_command_words(t, root);
        put(t, "'");
        break;
    case VALUE_TEXT:
    case VALUE_INTEGER:
    case VALUE_REAL: put(t, needed ? " -x" : ""); break;
    }
}

typedef struct place {
    text_buffer *t;
    const command *root;
} place;

static int put_completions(void *user, const command *c, const char *path)
{
    const place *p = user;
    const option *o;
    for (int i = 0; c->commands && c->commands[i]; i++) {
        put_condition(p->t, path);
        put_format(p->t, " -a %s -d ", c->commands[i]->name);
        put_fish_quoted(p->t, c->commands[i]->summary);
        put(p->t, "\n");
    }
    for (int i = 0; (o = command_option(c, i)); i++) {
        put_condition(p->t, path);
        if (o->letter) put_format(p->t, " -s %c", o->letter);
        put_format(p->t, " -l %s", o->name);
        put_values(p->t, o, p->root, true);
        put(p->t, " -d ");
        put_fish_quoted(p->t, o->help);
        put(p->t, "\n");
    }
    for (int i = 0; i < c->n_operands; i++) {
        put_condition(p->t, path);
        put_values(p->t, &c->operands[i], p->root, false);
        put(p->t, "\n");
    }
    return 0;
}

void put_fish(text_buffer *t, const command *root)
{
    place p = { t, root };
    put(t, head);
    for_each_command(root, put_known, t);
    put(t, "\n\n");
    for_each_command(root, put_completions, &p);
}
