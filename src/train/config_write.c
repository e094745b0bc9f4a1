/* SPDX-License-Identifier: MIT */
/* Configurations as YAML: every setting in the order of the table, grouped by its key. */
#include "train/setting.h"

#include "base/number.h"
#include "base/text.h"

#include <math.h>
#include <string.h>

#define VALUE_BYTES (2 * DEQ_CONFIG_TEXT + 64)

/* The shortest decimal that reads back to the same double; YAML's names for the rest. */
static void add_real(deq_text *t, double v)
{
    char text[DEQ_NUMBER_BYTES];
    if (isinf(v))
        deq_text_add(t, v > 0 ? ".inf" : "-.inf");
    else
        deq_text_add(t, "%s", deq_number_shortest(text, v));
}

/* In double quotes, with YAML's escapes. */
static void add_text(deq_text *t, const char *s)
{
    deq_text_add(t, "\"");
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            deq_text_add(t, "\\%c", c);
        else if (c < 32 || c == 127)
            deq_text_add(t, "\\x%02x", c);
        else
            deq_text_add(t, "%c", c);
    }
    deq_text_add(t, "\"");
}

static void add_value(deq_text *t, const deq_setting *s, const deq_config *config)
{
    const void *at = (const char *)config + s->offset;
    switch (s->kind) {
    case SETTING_INTEGER: deq_text_add(t, "%lld", (long long)*(const int64_t *)at); break;
    case SETTING_INT: deq_text_add(t, "%d", *(const int *)at); break;
    case SETTING_REAL: add_real(t, *(const double *)at); break;
    case SETTING_BOOL: deq_text_add(t, "%s", *(const bool *)at ? "yes" : "no"); break;
    case SETTING_TEXT: add_text(t, at); break;
    case SETTING_CHOICE: {
        int value;
        memcpy(&value, at, sizeof value);
        for (const setting_choice *c = s->choices; c->name; c++)
            if (c->value == value) deq_text_add(t, "%s", c->name);
        break;
    }
    case SETTING_INTEGERS:
    case SETTING_REALS: {
        const deq_int_list *integers = at;
        const deq_real_list *reals = at;
        bool real = s->kind == SETTING_REALS;
        int count = real ? reals->count : integers->count;
        deq_text_add(t, "[");
        for (int i = 0; i < count; i++) {
            if (i) deq_text_add(t, ", ");
            if (real)
                add_real(t, reals->item[i]);
            else
                deq_text_add(t, "%lld", (long long)integers->item[i]);
        }
        deq_text_add(t, "]");
        break;
    }
    }
}

/* How many leading parts, between dots, two keys share; their last parts do not count. */
static int shared_parts(const char *a, const char *b)
{
    int parts = 0;
    for (; *a && *a == *b; a++, b++)
        if (*a == '.') parts++;
    return parts;
}

static int part_count(const char *key)
{
    int n = 1;
    for (; *key; key++) n += *key == '.';
    return n;
}

/* The lines that open the groups of `key` which `previous` was not in. */
static void add_groups(deq_text *t, const char *previous, const char *key)
{
    int open = shared_parts(previous, key), part = 0;
    for (const char *start = key, *dot; (dot = strchr(start, '.')); start = dot + 1, part++)
        if (part >= open) deq_text_add(t, "%*s%.*s:\n", 2 * part, "", (int)(dot - start), start);
}

deq_status deq_config_write(const deq_config *config, bool comments, deq_write_fn *write,
                            void *user)
{
    const char *previous = "";
    for (int i = 0; i < deq_settings_count; i++) {
        const deq_setting *s = &deq_settings[i];
        char line[VALUE_BYTES + 512], type[224];
        deq_text t = { .data = line, .capacity = sizeof line };
        if (s->offset == offsetof(deq_config, start) && !config->has_start) continue;
        add_groups(&t, previous, s->key);
        const char *last = strrchr(s->key, '.') + 1;
        deq_text_add(&t, "%*s%s: ", 2 * (part_count(s->key) - 1), "", last);
        add_value(&t, s, config);
        deq_setting_describe(s, type, sizeof type);
        if (comments) deq_text_add(&t, "  # %s (%s)", s->help, type);
        deq_text_add(&t, "\n");
        if (!write(user, line, t.length < sizeof line ? t.length : sizeof line - 1))
            return DEQ_ERR_IO;
        previous = s->key;
    }
    return DEQ_OK;
}
