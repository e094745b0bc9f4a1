/* SPDX-License-Identifier: MIT */
/* See journal.h. */
#define _POSIX_C_SOURCE 200809L
#include "train/journal.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static deq_status io_failed(journal *j, const char *what)
{
    return deq_fail(j->ctx, DEQ_ERR_IO, "%s: %s: %s", j->path, what, strerror(errno));
}

static deq_status open_lines(journal *j, int64_t bytes)
{
    if (bytes < 0) {
        j->lines = fopen(j->path, "wb");
        return j->lines ? DEQ_OK : io_failed(j, "cannot be made");
    }
    j->lines = fopen(j->path, "r+b");
    if (!j->lines) return io_failed(j, "cannot be opened");
    if (fseeko(j->lines, 0, SEEK_END) != 0 || ftello(j->lines) < (off_t)bytes)
        return deq_fail(j->ctx, DEQ_ERR_DATA,
                        "%s: is shorter than the %lld bytes that the checkpoint knows of", j->path,
                        (long long)bytes);
    if (ftruncate(fileno(j->lines), (off_t)bytes) != 0 ||
        fseeko(j->lines, (off_t)bytes, SEEK_SET) != 0)
        return io_failed(j, "cannot be cut");
    j->bytes = bytes;
    return DEQ_OK;
}

deq_status deq_journal_open(journal *j, deq_context *ctx, const char *folder, int64_t lines,
                            int64_t events)
{
    char path[4096];
    *j = (journal){ .ctx = ctx };
    snprintf(path, sizeof path, "%s/metrics.jsonl", folder);
    j->path = deq_strdup(ctx, path);
    if (!j->path) return DEQ_ERR_NOMEM;
    deq_status status = open_lines(j, lines);
    snprintf(path, sizeof path, "%s/events.out.tfevents.deq", folder);
    if (status == DEQ_OK) status = deq_tensorboard_open(&j->events, ctx, path, events, -1);
    if (status != DEQ_OK) deq_journal_close(j);
    return status;
}

static json_t *number(const metric *m)
{
    if (!isfinite(m->value)) return json_null();
    return m->integer ? json_integer((json_int_t)m->value) : json_real(m->value);
}

deq_status deq_journal_add(journal *j, const char *kind, int64_t step, const metric *metrics, int n)
{
    json_t *line = json_object();
    bool ok = line && json_object_set_new(line, "kind", json_string(kind)) == 0 &&
              json_object_set_new(line, "step", json_integer(step)) == 0;
    for (int i = 0; i < n && ok; i++)
        ok = json_object_set_new(line, metrics[i].name, number(&metrics[i])) == 0;
    char *text = ok ? json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(line);
    if (!text) return deq_fail(j->ctx, DEQ_ERR_NOMEM, "out of memory");
    int written = fprintf(j->lines, "%s\n", text);
    free(text);
    if (written < 0 || fflush(j->lines) != 0) return io_failed(j, "cannot be written");
    j->bytes += written;
    for (int i = 0; i < n; i++) {
        char tag[128];
        snprintf(tag, sizeof tag, "%s/%s", kind, metrics[i].name);
        DEQ_TRY(deq_tensorboard_scalar(j->events, tag, step, metrics[i].value, -1));
    }
    return DEQ_OK;
}

deq_status deq_journal_flush(journal *j)
{
    if (fflush(j->lines) != 0 || fsync(fileno(j->lines)) != 0)
        return io_failed(j, "cannot be written");
    return deq_tensorboard_flush(j->events);
}

void deq_journal_close(journal *j)
{
    if (j->lines) fclose(j->lines);
    deq_tensorboard_close(j->events);
    if (j->path) deq_release(j->ctx, j->path, strlen(j->path) + 1);
    *j = (journal){ 0 };
}
