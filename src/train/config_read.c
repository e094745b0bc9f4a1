/* SPDX-License-Identifier: MIT */
/*
 * Configurations from YAML, by libyaml's events.
 *
 * A file becomes a list of entries, key path and value with their place; the entries are then stored
 * through the table of settings.  Presets among them come first, whatever their place, so that the
 * keys they set can be changed beside them.
 */
#include "train/setting.h"

#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define MAX_DEPTH 8
#define MAX_KEY 128
#define MAX_FILE (1 << 20)

typedef struct entry {
    const deq_setting *setting;
    bool list;
    int n_items;
    char *items[DEQ_CONFIG_LIST +
                1]; /* one more than a list may have: too many is seen when stored */
    size_t line, column;
} entry;

typedef struct reader {
    deq_context *ctx;
    const char *name;
    yaml_parser_t parser;
    entry *entries;
    size_t n_entries, capacity;
} reader;

static deq_status complain(reader *r, yaml_mark_t at, deq_status status, const char *what)
{
    return deq_fail(r->ctx, status, "%s:%zu:%zu: %s", r->name, at.line + 1, at.column + 1, what);
}

static deq_status next(reader *r, yaml_event_t *event)
{
    if (yaml_parser_parse(&r->parser, event)) return DEQ_OK;
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR) return deq_fail(r->ctx, DEQ_ERR_NOMEM, "out of memory");
    if (p->error == YAML_READER_ERROR)
        return deq_fail(r->ctx, DEQ_ERR_DATA, "%s: at byte %zu: %s", r->name, p->problem_offset,
                        p->problem ? p->problem : "not readable as text");
    return complain(r, p->problem_mark, DEQ_ERR_DATA, p->problem ? p->problem : "no YAML");
}

static deq_status keep(reader *r, entry *e, const yaml_event_t *scalar)
{
    if (e->n_items > DEQ_CONFIG_LIST) return DEQ_OK;
    size_t length = scalar->data.scalar.length;
    const char *text = (const char *)scalar->data.scalar.value;
    if (memchr(text, 0, length))
        return complain(r, scalar->start_mark, DEQ_ERR_DATA, "a zero byte in a value");
    char *copy = deq_strdup(r->ctx, text);
    if (!copy) return DEQ_ERR_NOMEM;
    e->items[e->n_items++] = copy;
    return DEQ_OK;
}

static entry *add_entry(reader *r, const char *key, yaml_mark_t at, deq_status *status)
{
    char where[256];
    snprintf(where, sizeof where, "%s:%zu:%zu", r->name, at.line + 1, at.column + 1);
    const deq_setting *s = deq_setting_find(key);
    if (!s) {
        *status = deq_setting_unknown(r->ctx, key, where);
        return NULL;
    }
    for (size_t i = 0; i < r->n_entries; i++)
        if (r->entries[i].setting == s) {
            *status = deq_fail(r->ctx, DEQ_ERR_DATA,
                               "%s: %s is set a second time; first in line %zu", where, key,
                               r->entries[i].line);
            return NULL;
        }
    *status = deq_grow(r->ctx, (void **)&r->entries, &r->capacity, r->n_entries + 1,
                       sizeof *r->entries);
    if (*status != DEQ_OK) return NULL;
    entry *e = &r->entries[r->n_entries++];
    *e = (entry){ .setting = s, .line = at.line + 1, .column = at.column + 1 };
    return e;
}

/* The scalars of a sequence up to its end. */
static deq_status read_sequence(reader *r, entry *e)
{
    e->list = true;
    for (;;) {
        yaml_event_t event;
        DEQ_TRY(next(r, &event));
        deq_status status = DEQ_OK;
        yaml_event_type_t type = event.type;
        if (type == YAML_SCALAR_EVENT)
            status = keep(r, e, &event);
        else if (type != YAML_SEQUENCE_END_EVENT)
            status = complain(r, event.start_mark, DEQ_ERR_DATA,
                              "a list holds numbers only, no lists, mappings or aliases");
        yaml_event_delete(&event);
        if (status != DEQ_OK || type == YAML_SEQUENCE_END_EVENT) return status;
    }
}

/* Whether some setting lies below a prefix. */
static bool is_group(const char *prefix)
{
    size_t n = strlen(prefix);
    for (int i = 0; i < deq_settings_count; i++)
        if (strncmp(deq_settings[i].key, prefix, n) == 0 && deq_settings[i].key[n] == '.')
            return true;
    return false;
}

static deq_status read_mapping(reader *r, const char *prefix, int depth);

static deq_status read_value(reader *r, const char *key, yaml_mark_t at, int depth)
{
    yaml_event_t event;
    DEQ_TRY(next(r, &event));
    deq_status status = DEQ_OK;
    entry *e;
    switch (event.type) {
    case YAML_MAPPING_START_EVENT:
        if (is_group(key))
            status = depth < MAX_DEPTH
                         ? read_mapping(r, key, depth + 1)
                         : complain(r, event.start_mark, DEQ_ERR_DATA, "nested too deeply");
        else if (deq_setting_find(key))
            status = complain(r, event.start_mark, DEQ_ERR_DATA,
                              "this key takes a value, no mapping");
        else
            add_entry(r, key, at, &status); /* says that it is unknown */
        break;
    case YAML_SEQUENCE_START_EVENT:
        if (is_group(key)) {
            status = complain(r, event.start_mark, DEQ_ERR_DATA, "expected a mapping here");
            break;
        }
        e = add_entry(r, key, at, &status);
        if (e) status = read_sequence(r, e);
        break;
    case YAML_SCALAR_EVENT:
        if (is_group(key)) {
            if (event.data.scalar.length == 0) break; /* "model:" with nothing below */
            status = complain(r, event.start_mark, DEQ_ERR_DATA, "expected a mapping here");
            break;
        }
        e = add_entry(r, key, at, &status);
        if (e) status = keep(r, e, &event);
        break;
    default: status = complain(r, event.start_mark, DEQ_ERR_DATA, "aliases are not supported");
    }
    yaml_event_delete(&event);
    return status;
}

/* The pairs of a mapping up to its end; prefix is "" at the top. */
static deq_status read_mapping(reader *r, const char *prefix, int depth)
{
    for (;;) {
        yaml_event_t event;
        char key[MAX_KEY];
        DEQ_TRY(next(r, &event));
        if (event.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&event);
            return DEQ_OK;
        }
        deq_status status = DEQ_OK;
        yaml_mark_t at = event.start_mark;
        if (event.type != YAML_SCALAR_EVENT)
            status = complain(r, at, DEQ_ERR_DATA, "expected a key");
        else if ((size_t)snprintf(key, sizeof key, "%s%s%s", prefix, *prefix ? "." : "",
                                  (const char *)event.data.scalar.value) >= sizeof key)
            status = complain(r, at, DEQ_ERR_NAME, "unknown key, longer than any that is known");
        yaml_event_delete(&event);
        if (status == DEQ_OK) status = read_value(r, key, at, depth);
        if (status != DEQ_OK) return status;
    }
}

/* One document, a mapping or nothing. */
static deq_status read_stream(reader *r)
{
    bool seen = false;
    for (;;) {
        yaml_event_t event;
        DEQ_TRY(next(r, &event));
        yaml_event_type_t type = event.type;
        yaml_mark_t at = event.start_mark;
        bool empty = type == YAML_SCALAR_EVENT && event.data.scalar.length == 0;
        yaml_event_delete(&event);
        if (type == YAML_STREAM_END_EVENT) return DEQ_OK;
        if (type == YAML_DOCUMENT_START_EVENT && seen)
            return complain(r, at, DEQ_ERR_DATA, "a second document");
        if (type == YAML_DOCUMENT_START_EVENT) seen = true;
        if (type == YAML_MAPPING_START_EVENT)
            DEQ_TRY(read_mapping(r, "", 0));
        else if (type != YAML_STREAM_START_EVENT && type != YAML_DOCUMENT_START_EVENT &&
                 type != YAML_DOCUMENT_END_EVENT && !empty)
            return complain(r, at, DEQ_ERR_DATA, "expected a mapping of settings");
    }
}

static deq_status store_entries(reader *r, deq_config *config)
{
    for (int presets = 1; presets >= 0; presets--)
        for (size_t i = 0; i < r->n_entries; i++) {
            const entry *e = &r->entries[i];
            char where[256];
            if ((e->setting->apply != NULL) != presets) continue;
            snprintf(where, sizeof where, "%s:%zu:%zu", r->name, e->line, e->column);
            DEQ_TRY(deq_setting_store(config, r->ctx, e->setting, (const char *const *)e->items,
                                      e->n_items, e->list, where));
        }
    return DEQ_OK;
}

static void forget(reader *r)
{
    for (size_t i = 0; i < r->n_entries; i++)
        for (int j = 0; j < r->entries[i].n_items; j++) {
            char *item = r->entries[i].items[j];
            deq_release(r->ctx, item, strlen(item) + 1);
        }
    deq_release(r->ctx, r->entries, r->capacity * sizeof *r->entries);
}

deq_status deq_config_parse(deq_config *config, deq_context *ctx, const char *text, size_t size,
                            const char *name)
{
    reader r = { .ctx = ctx, .name = name };
    if (!yaml_parser_initialize(&r.parser)) return deq_fail(ctx, DEQ_ERR_NOMEM, "out of memory");
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, size);
    deq_status status = read_stream(&r);
    if (status == DEQ_OK) status = store_entries(&r, config);
    forget(&r);
    yaml_parser_delete(&r.parser);
    return status;
}

deq_status deq_config_read(deq_config *config, deq_context *ctx, const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) return deq_fail(ctx, DEQ_ERR_IO, "%s: %s", path, strerror(errno));
    char *text = deq_alloc(ctx, MAX_FILE);
    size_t size = text ? fread(text, 1, MAX_FILE, file) : 0;
    deq_status status = text ? DEQ_OK : DEQ_ERR_NOMEM;
    if (ferror(file)) status = deq_fail(ctx, DEQ_ERR_IO, "%s: %s", path, strerror(errno));
    fclose(file);
    if (status == DEQ_OK && size == MAX_FILE)
        status = deq_fail(ctx, DEQ_ERR_DATA, "%s: longer than %d bytes; no configuration is", path,
                          MAX_FILE - 1);
    if (status == DEQ_OK) status = deq_config_parse(config, ctx, text, size, path);
    deq_release(ctx, text, MAX_FILE);
    return status;
}

/* "key=value": the value is YAML, so that lists and quotes mean what they mean in a file. */
deq_status deq_config_set(deq_config *config, deq_context *ctx, const char *assignment)
{
    char key[MAX_KEY];
    const char *equals = strchr(assignment, '=');
    size_t length = equals ? (size_t)(equals - assignment) : strlen(assignment);
    if (!equals || length == 0 || length >= sizeof key)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "'%.100s': expected KEY=VALUE", assignment);
    memcpy(key, assignment, length);
    key[length] = 0;
    const deq_setting *s = deq_setting_find(key);
    if (!s) return deq_setting_unknown(ctx, key, "--set");

    deq_config changed = *config;
    const char *value = equals + 1;
    if (s->kind == SETTING_TEXT || (*value != '[' && *value != '"' && *value != '\'')) {
        DEQ_TRY(deq_setting_store(&changed, ctx, s, &value, 1, false, "--set"));
    } else {
        reader r = { .ctx = ctx, .name = "--set" };
        if (!yaml_parser_initialize(&r.parser))
            return deq_fail(ctx, DEQ_ERR_NOMEM, "out of memory");
        yaml_parser_set_input_string(&r.parser, (const unsigned char *)value, strlen(value));
        yaml_event_t event;
        deq_status status = DEQ_OK;
        for (int i = 0; i < 2 && status == DEQ_OK; i++) { /* the starts of stream and document */
            status = next(&r, &event);
            if (status == DEQ_OK) yaml_event_delete(&event);
        }
        if (status == DEQ_OK) status = read_value(&r, key, (yaml_mark_t){ 0, 0, 0 }, 0);
        if (status == DEQ_OK) status = store_entries(&r, &changed);
        forget(&r);
        yaml_parser_delete(&r.parser);
        DEQ_TRY(status);
    }
    *config = changed;
    return DEQ_OK;
}
