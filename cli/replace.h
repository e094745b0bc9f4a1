/* SPDX-License-Identifier: MIT */
/*
 * Text files that replace an older one at once: whoever reads the path sees the old text or the new.
 * What is no regular file (a pipe, a device) is written as it is.
 *
 *     replacement r;
 *     FILE *to = replace_open(&r, a, path);     ... NULL with a message
 *     ...
 *     return replace_close(&r, code);           ... drops the new text unless code is CLI_OK
 */
#ifndef DEQ_CLI_REPLACE_H
#define DEQ_CLI_REPLACE_H

#include "command.h"

typedef struct replacement {
    const arguments *a;
    const char *path;
    char *part; /* what is written until it is whole; NULL: the path itself */
    FILE *to;
} replacement;

FILE *replace_open(replacement *r, const arguments *a, const char *path);
/* CLI_OK, or another exit code with a message. */
int replace_close(replacement *r, int code);

#endif
