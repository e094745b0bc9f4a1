/* SPDX-License-Identifier: MIT */
/* What the writers of completions share. */
#include "shell.h"

void put_choice_words(text_buffer *t, const option *o)
{
    for (int i = 0; o->choices && o->choices[i]; i++)
        put_format(t, "%s%s", i ? " " : "", o->choices[i]);
}

void put_command_words(text_buffer *t, const command *c)
{
    for (int i = 0; c->commands && c->commands[i]; i++)
        put_format(t, "%s%s", i ? " " : "", c->commands[i]->name);
}

void put_path(text_buffer *t, const char *path, char separator)
{
    if (*path) put_bytes(t, &separator, 1);
    for (; *path; path++) put_bytes(t, *path == ' ' ? &separator : path, 1);
}
