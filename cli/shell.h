/* SPDX-License-Identifier: MIT */
/* Completions for shells: what their writers share. */
#ifndef DEQ_CLI_SHELL_H
#define DEQ_CLI_SHELL_H

#include "parse.h"

/* Choices, or the names of commands below c, with blanks between. */
void put_choice_words(text_buffer *t, const option *o);
void put_command_words(text_buffer *t, const command *c);
/* "vote decide" with another separator: "/vote/decide", "_vote_decide". */
void put_path(text_buffer *t, const char *path, char separator);

#endif
