/* SPDX-License-Identifier: MIT */
/* Text files that replace an older one at once. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "replace.h"

#include "context.h"
#include "text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

FILE *replace_open(replacement *r, const arguments *a, const char *path)
{
    struct stat old;
    const bool beside = stat(path, &old) != 0 || S_ISREG(old.st_mode);
    text_buffer part = { 0 };
    *r = (replacement){ .a = a, .path = path };
    if (beside) {
        put_format(&part, "%s.%ld.part", path, (long)getpid());
        r->part = part.bytes;
    }
    r->to = fopen(r->part ? r->part : path, "w");
    if (!r->to) {
        fail_about(CLI_FAILED, a, path, "cannot be written: %s", strerror(errno));
        free(r->part);
        r->part = NULL;
    }
    return r->to;
}

int replace_close(replacement *r, int code)
{
    errno = 0;
    const bool bad = ferror(r->to) != 0, unclosed = fclose(r->to) != 0;
    if (code == CLI_OK && (bad || unclosed || (r->part && rename(r->part, r->path) != 0)))
        code = fail_about(CLI_FAILED, r->a, r->path, "cannot be written: %s",
                          strerror(errno ? errno : EIO));
    if (code != CLI_OK && r->part) (void)unlink(r->part);
    free(r->part);
    return code;
}
