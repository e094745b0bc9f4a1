/* SPDX-License-Identifier: MIT */
/* Compiled programs as JSON: how often what runs, what it costs, where values lie. */
#include "model_json.h"
#include "text.h"

#include <string.h>

static const char *const stage_names[4] = { "constant", "parameter", "injected", "state" };
static const char *const stage_times[4] = { "when compiled", "once a change of weights",
                                            "once an input", "every evaluation" };

static json_t *stages_json(const deq_program_info *info)
{
    json_t *rows = json_array();
    for (int s = 0; s < 4; s++) {
        if (info->n_steps[s] == 0) continue;
        json_t *row = json_object();
        json_put(row, "stage", json_string(stage_names[s]));
        json_put(row, "runs", json_string(stage_times[s]));
        json_put(row, "steps", json_integer(info->n_steps[s]));
        json_put(row, "flops", json_integer((json_int_t)info->flops[s]));
        json_put(row, "bytes", json_integer((json_int_t)info->bytes[s]));
        json_push(rows, row);
    }
    return rows;
}

static bool keep(void *user, const char *text, size_t length)
{
    put_bytes(user, text, length);
    return true;
}

/* "conv2d + add + relu" */
static json_t *joined(const json_t *names)
{
    text_buffer t = { 0 };
    for (size_t i = 0; i < json_array_size(names); i++) {
        if (i) put(&t, " + ");
        put_safe(&t, json_string_value(json_array_get(names, i)));
    }
    json_t *text = json_text(text_string(&t));
    text_free(&t);
    return text;
}

static json_t *step_json(const char *stage, const json_t *step)
{
    static const char *const keys[] = { "kernel", "flops", "bytes" };
    json_t *row = json_object();
    json_put(row, "stage", json_string(stage));
    for (int i = 0; i < LENGTH(keys); i++)
        json_put(row, keys[i], json_incref(json_object_get(step, keys[i])));
    json_put(row, "operators", joined(json_object_get(step, "operators")));
    json_put(row, "outputs", json_incref(json_object_get(step, "outputs")));
    return row;
}

/* deq_program_describe()'s own JSON, its steps as rows of one table. */
static void put_description(json_t *into, const deq_program *p)
{
    text_buffer t = { 0 };
    json_t *steps = json_array(), *all = NULL, *stage, *step;
    size_t i;
    if (deq_program_describe(p, DEQ_DESCRIBE_JSON, keep, &t) == DEQ_OK)
        all = json_loads(text_string(&t), 0, NULL);
    text_free(&t);
    for (int s = 0; s < 4 && all; s++) {
        stage = json_object_get(json_object_get(all, "stages"), stage_names[s]);
        json_array_foreach(stage, i, step) json_push(steps, step_json(stage_names[s], step));
    }
    json_put(into, "kernels", steps);
    if (all) json_put(into, "slots", json_incref(json_object_get(all, "slots")));
    json_decref(all);
}

json_t *program_json(const deq_program *p, bool all)
{
    deq_program_info info = deq_program_stats(p);
    json_t *o = json_object();
    json_put(o, "nodes", json_integer(info.n_nodes));
    json_put(o, "arena_bytes", json_integer((json_int_t)info.arena_bytes));
    json_put(o, "parameter_bytes", json_integer((json_int_t)info.parameter_bytes));
    json_put(o, "stages", stages_json(&info));
    if (all) put_description(o, p);
    return o;
}
