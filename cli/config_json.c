/* SPDX-License-Identifier: MIT */
/* Configurations as JSON: what the library writes as YAML, line by line, becomes nested objects. */
#include "model_json.h"

#include <stdlib.h>
#include <string.h>

/* All of it ---------------------------------------------------------------------------------- */

enum { MAX_DEPTH = 8, MAX_LINE = 4096 };

typedef struct nest {
    json_t *level[MAX_DEPTH]; /* the object that lines of this indentation belong to */
} nest;

/* yes, no, numbers and lists as such; the rest is text. */
static json_t *value_json(const char *text)
{
    if (strcmp(text, "yes") == 0) return json_true();
    if (strcmp(text, "no") == 0) return json_false();
    if (strcmp(text, ".inf") == 0 || strcmp(text, "-.inf") == 0) return json_null();
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    return value ? value : json_text(text);
}

/* "  key:" opens an object, "  key: value" is a member. */
static void add_line(nest *n, char *line)
{
    size_t depth = strspn(line, " ") / 2;
    char *key = line + 2 * depth, *colon = strchr(key, ':');
    if (!colon || depth + 1 >= MAX_DEPTH || !n->level[depth]) return;
    *colon = '\0';
    if (colon[1] == ' ') {
        json_put(n->level[depth], key, value_json(colon + 2));
        return;
    }
    json_put(n->level[depth], key, json_object());
    n->level[depth + 1] = json_object_get(n->level[depth], key);
}

/* Pieces are whole lines. */
static bool add_piece(void *user, const char *text, size_t length)
{
    char line[MAX_LINE];
    for (const char *end; length > 0 && (end = memchr(text, '\n', length));) {
        size_t n = (size_t)(end - text);
        if (n < sizeof line) {
            memcpy(line, text, n);
            line[n] = '\0';
            add_line(user, line);
        }
        length -= n + 1;
        text = end + 1;
    }
    return true;
}

json_t *config_json(const deq_config *config)
{
    json_t *all = json_object();
    nest n = { .level = { all } };
    (void)deq_config_write(config, false, add_piece, &n);
    return all;
}

/* What counts -------------------------------------------------------------------------------- */

/* Copies members; keys end with NULL. */
static void copy(json_t *into, const json_t *from, const char *const *keys)
{
    for (; *keys; keys++) {
        json_t *value = json_object_get(from, *keys);
        if (value) json_put(into, *keys, json_incref(value));
    }
}

static void put_section(json_t *into, const char *name, const json_t *section,
                        const char *const *keys)
{
    json_t *part = json_object();
    copy(part, section, keys);
    json_put(into, name, part);
}

static const char *text_of(const json_t *section, const char *key)
{
    const char *text = json_string_value(json_object_get(section, key));
    return text ? text : "";
}

#define KEYS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void put_data(json_t *into, const json_t *data, deq_source source)
{
    bool generated = source == DEQ_SOURCE_PREFIX_SUMS || source == DEQ_SOURCE_MAZES;
    if (source == DEQ_SOURCE_MAZES)
        put_section(into, "data", data,
                    KEYS("source", "size", "count", "test_count", "validation", "seed",
                         "percolation", "start"));
    else if (generated)
        put_section(into, "data", data,
                    KEYS("source", "size", "count", "test_count", "validation", "seed"));
    else if (source == DEQ_SOURCE_FOLDER)
        put_section(into, "data", data,
                    KEYS("source", "path", "test", "channels", "height", "width", "count",
                         "test_count", "validation", "mean", "deviation"));
    else if (source == DEQ_SOURCE_NPZ)
        put_section(into, "data", data,
                    KEYS("source", "path", "test", "inputs", "targets", "count", "test_count",
                         "validation", "mean", "deviation"));
    else
        put_section(
            into, "data", data,
            KEYS("source", "path", "count", "test_count", "validation", "mean", "deviation"));
}

/* A solver of fixed points, with the settings of its method. */
static void put_solver(json_t *into, const char *name, const json_t *solver)
{
    const char *method = text_of(solver, "method");
    put_section(into, name, solver,
                KEYS("start", "method", "max_iter", "atol", "rtol", "divergence",
                     "stagnation_window", strcmp(method, "auto") == 0 ? "anderson" : method));
}

static void put_gradient(json_t *into, const json_t *gradient, const deq_equilibrium_options *e)
{
    switch (e->gradient) {
    case DEQ_GRADIENT_IFT:
        put_section(into, "gradient", gradient,
                    KEYS("method", e->adjoint_by_solver ? NULL : "adjoint"));
        if (e->adjoint_by_solver)
            put_solver(json_object_get(into, "gradient"), "adjoint_solver",
                       json_object_get(gradient, "adjoint_solver"));
        break;
    case DEQ_GRADIENT_PHANTOM_NEUMANN:
        put_section(into, "gradient", gradient, KEYS("method", "steps", "tau"));
        break;
    case DEQ_GRADIENT_PHANTOM_UNROLL:
        put_section(into, "gradient", gradient, KEYS("method", "steps", "tau", "recompute"));
        break;
    case DEQ_GRADIENT_SHINE:
        put_section(into, "gradient", gradient, KEYS("method", "shine_refine", "shine_fallback"));
        break;
    case DEQ_GRADIENT_UNROLL:
        put_section(into, "gradient", gradient, KEYS("method", "tau", "recompute"));
        break;
    case DEQ_GRADIENT_REVERSIBLE:
        put_section(into, "gradient", gradient, KEYS("method", "tau"));
        break;
    default: put_section(into, "gradient", gradient, KEYS("method"));
    }
}

void put_settings(json_t *into, const deq_config *config)
{
    static const char *const families[DEQ_MODEL_COUNT] = { "mlp", "monotone", "multiscale",
                                                           "recurrent", "recurrent" };
    json_t *all = config_json(config);
    put_data(into, json_object_get(all, "data"), config->data.source);
    put_section(into, "model", json_object_get(all, "model"),
                KEYS("family", "classes", families[config->model.family]));
    put_solver(into, "solver", json_object_get(all, "solver"));
    put_gradient(into, json_object_get(all, "gradient"), &config->equilibrium);
    if (config->penalty.weight > 0)
        put_section(into, "penalty", json_object_get(all, "penalty"),
                    KEYS("weight", "probability", "probes", "probe", "until"));
    put_section(into, "optimiser", json_object_get(all, "optimiser"),
                KEYS("method", "rate", "schedule", "weight_decay"));
    put_section(into, "training", json_object_get(all, "training"),
                KEYS("epochs", "steps", "batch", "seed", "dtype", "clip", "average"));
    json_decref(all);
}
