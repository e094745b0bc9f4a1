/* SPDX-License-Identifier: MIT */
/* One setting: storing a value given as text, describing it, writing it. */
#include "train/setting.h"

#include "base/number.h"
#include "base/text.h"
#include "io/number.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What a setting was called in older configurations, and in the checkpoints of their runs. */
static const char *const renamed[][2] = {
    { "gradient.adjoint_solver.depth", "gradient.adjoint_solver.anderson.depth" },
    { "gradient.adjoint_solver.memory", "gradient.adjoint_solver.broyden.memory" },
};

const deq_setting *deq_setting_find(const char *key)
{
    for (size_t i = 0; i < sizeof renamed / sizeof *renamed; i++)
        if (strcmp(key, renamed[i][0]) == 0) key = renamed[i][1];
    for (int i = 0; i < deq_settings_count; i++)
        if (strcmp(deq_settings[i].key, key) == 0) return &deq_settings[i];
    return NULL;
}

static const char *setting_key(const void *set, int i)
{
    (void)set;
    return deq_settings[i].key;
}

deq_status deq_setting_unknown(deq_context *ctx, const char *key, const char *where)
{
    const char *near = deq_nearest_name(key, setting_key, NULL, deq_settings_count);
    return deq_fail(ctx, DEQ_ERR_NAME, "%s: unknown key '%s'%s%s%s", where, key,
                    near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* ---- what a setting takes ---- */

static void describe_range(deq_text *t, const deq_setting *s, double largest)
{
    char low[DEQ_NUMBER_BYTES], high[DEQ_NUMBER_BYTES];
    if (isinf(s->low) && isinf(s->high)) return;
    deq_number_text(low, 'g', 6, s->low);
    if (s->high >= largest)
        deq_text_add(t, " %s %s", s->open_low ? ">" : ">=", low);
    else
        deq_text_add(t, " in %c%s, %s%c", s->open_low ? '(' : '[', low,
                     deq_number_text(high, 'g', 6, s->high), s->open_high ? ')' : ']');
}

void deq_setting_describe(const deq_setting *s, char *buffer, size_t size)
{
    deq_text t = { .data = buffer, .capacity = size };
    switch (s->kind) {
    case SETTING_INTEGER:
    case SETTING_INT:
        deq_text_add(&t, "integer");
        describe_range(&t, s, 1e9);
        break;
    case SETTING_REAL:
        deq_text_add(&t, "real");
        describe_range(&t, s, INFINITY);
        break;
    case SETTING_BOOL: deq_text_add(&t, "yes or no"); break;
    case SETTING_TEXT: deq_text_add(&t, "text of at most %zu bytes", s->size - 1); break;
    case SETTING_CHOICE:
        deq_text_add(&t, "one of");
        for (const setting_choice *c = s->choices; c->name; c++)
            deq_text_add(&t, "%s %s", c == s->choices ? "" : ",", c->name);
        break;
    case SETTING_INTEGERS:
    case SETTING_REALS:
        deq_text_add(&t, "list of at most %d %s", DEQ_CONFIG_LIST,
                     s->kind == SETTING_REALS ? "reals" : "integers");
        describe_range(&t, s, s->kind == SETTING_REALS ? INFINITY : 1e9);
        break;
    }
}

/* ---- values from text ---- */

static bool in_range(const deq_setting *s, double v)
{
    return (s->open_low ? v > s->low : v >= s->low) && (s->open_high ? v < s->high : v <= s->high);
}

static bool read_integer(const deq_setting *s, const char *text, int64_t *v)
{
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    *v = n;
    return *text && !*end && errno == 0 && in_range(s, (double)n);
}

static bool read_real(const deq_setting *s, const char *text, double *v)
{
    static const char *const infinite[] = { ".inf", "inf", "+.inf", "+inf", "-.inf", "-inf" };
    bool ok = deq_number_f64(v, text, strlen(text));
    for (int i = 0; i < 6 && !ok; i++) {
        ok = strcmp(text, infinite[i]) == 0;
        *v = i < 4 ? INFINITY : -INFINITY;
    }
    return ok && in_range(s, *v);
}

static bool read_bool(const char *text, bool *v)
{
    static const char *const words[2][4] = { { "no", "false", "off", NULL },
                                             { "yes", "true", "on", NULL } };
    for (int b = 0; b < 2; b++)
        for (int i = 0; words[b][i]; i++)
            if (strcmp(text, words[b][i]) == 0) {
                *v = b;
                return true;
            }
    return false;
}

static bool read_choice(const deq_setting *s, const char *text, int *v)
{
    for (const setting_choice *c = s->choices; c->name; c++)
        if (strcmp(c->name, text) == 0) {
            *v = c->value;
            return true;
        }
    return false;
}

static bool read_list(const deq_setting *s, const char *const *items, int n, void *place)
{
    if (n > DEQ_CONFIG_LIST) return false;
    if (s->kind == SETTING_INTEGERS) {
        deq_int_list list = { .count = n };
        for (int i = 0; i < n; i++)
            if (!read_integer(s, items[i], &list.item[i])) return false;
        memcpy(place, &list, sizeof list);
    } else {
        deq_real_list list = { .count = n };
        for (int i = 0; i < n; i++)
            if (!read_real(s, items[i], &list.item[i])) return false;
        memcpy(place, &list, sizeof list);
    }
    return true;
}

static bool store(const deq_setting *s, const char *text, void *place)
{
    int64_t integer;
    int number;
    double real;
    bool truth;
    switch (s->kind) {
    case SETTING_INTEGER:
        if (!read_integer(s, text, &integer)) return false;
        memcpy(place, &integer, sizeof integer);
        return true;
    case SETTING_INT:
        if (!read_integer(s, text, &integer)) return false;
        number = (int)integer;
        memcpy(place, &number, sizeof number);
        return true;
    case SETTING_REAL:
        if (!read_real(s, text, &real)) return false;
        memcpy(place, &real, sizeof real);
        return true;
    case SETTING_BOOL:
        if (!read_bool(text, &truth)) return false;
        memcpy(place, &truth, sizeof truth);
        return true;
    case SETTING_CHOICE:
        if (!read_choice(s, text, &number)) return false;
        memcpy(place, &number, sizeof number);
        return true;
    case SETTING_TEXT:
        if (strlen(text) >= s->size) return false;
        memset(place, 0, s->size);
        memcpy(place, text, strlen(text));
        return true;
    case SETTING_INTEGERS:
    case SETTING_REALS: break;
    }
    return false;
}

static const char *choice_name(const void *set, int i)
{
    return ((const setting_choice *)set)[i].name;
}

static int choice_count(const setting_choice *choices)
{
    int n = 0;
    while (choices[n].name) n++;
    return n;
}

static deq_status refuse(deq_context *ctx, const deq_setting *s, const char *const *items, int n,
                         bool list, const char *where)
{
    char expected[224], found[128];
    deq_setting_describe(s, expected, sizeof expected);
    deq_text t = { .data = found, .capacity = sizeof found };
    if (list) deq_text_add(&t, "[");
    for (int i = 0; i < n; i++) deq_text_add(&t, "%s%s", i ? ", " : "", items[i]);
    if (list) deq_text_add(&t, "]");
    const char *near = s->kind == SETTING_CHOICE && n == 1
                           ? deq_nearest_name(items[0], choice_name, s->choices,
                                              choice_count(s->choices))
                           : NULL;
    return deq_fail(ctx, DEQ_ERR_ARGUMENT, "%s: %s is '%s'; expected %s%s%s%s", where, s->key,
                    found, expected, near ? "; did you mean '" : "", near ? near : "",
                    near ? "'?" : "");
}

deq_status deq_setting_store(deq_config *config, deq_context *ctx, const deq_setting *s,
                             const char *const *items, int n_items, bool list, const char *where)
{
    void *place = (char *)config + s->offset;
    bool wants_list = s->kind == SETTING_INTEGERS || s->kind == SETTING_REALS;
    bool ok = wants_list ? list && read_list(s, items, n_items, place)
                         : !list && n_items == 1 && store(s, items[0], place);
    if (!ok) return refuse(ctx, s, items, n_items, list, where);
    if (s->apply) s->apply(config);
    return DEQ_OK;
}

bool deq_config_setting(int index, deq_setting_info *info)
{
    if (index < 0 || index >= deq_settings_count) return false;
    info->key = deq_settings[index].key;
    info->help = deq_settings[index].help;
    deq_setting_describe(&deq_settings[index], info->type, sizeof info->type);
    return true;
}
