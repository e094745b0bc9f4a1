/* SPDX-License-Identifier: MIT */
/* What a model is made of: weights part by part and one by one, states, how far it was trained. */
#include "describe.h"
#include "model_json.h"
#include "text.h"

#include <string.h>

/* Statistics of a parameter that has numbers. */
static void put_numbers(json_t *row, deq_parameters *p, int k, const deq_parameter_info *info)
{
    const deq_archive_tensor t = { .name = info->name,
                                   .type = { deq_parameters_dtype(p), info->shape },
                                   .data = deq_parameters_values(p, k) };
    if (t.data) json_put_statistics(row, &t);
}

static json_t *weights_json(deq_parameters *p, bool statistics)
{
    json_t *rows = json_array();
    for (int k = 0; k < deq_parameters_count(p); k++) {
        const deq_parameter_info info = deq_parameters_info(p, k);
        json_t *row = json_object();
        json_put(row, "name", json_text(info.name));
        json_put(row, "shape", json_shape(&info.shape));
        json_put(row, "elements", json_integer(info.count));
        if (statistics) put_numbers(row, p, k, &info);
        json_push(rows, row);
    }
    return rows;
}

/* The row of a part, new if there is none. */
static json_t *part_row(json_t *rows, const char *part)
{
    json_t *row;
    size_t i;
    json_array_foreach(rows, i, row)
    {
        if (strcmp(json_string_value(json_object_get(row, "part")), part) == 0) return row;
    }
    row = json_object();
    json_put(row, "part", json_text(part));
    json_push(rows, row);
    return row;
}

static void count_up(json_t *row, const char *key, int64_t more)
{
    json_put(row, key, json_integer(json_integer_value(json_object_get(row, key)) + more));
}

/* Sums over the names up to their first dot. */
static json_t *parts_json(deq_parameters *p)
{
    json_t *rows = json_array();
    for (int k = 0; k < deq_parameters_count(p); k++) {
        const deq_parameter_info info = deq_parameters_info(p, k);
        char part[128];
        snprintf(part, sizeof part, "%.*s", (int)strcspn(info.name, "."), info.name);
        json_t *row = part_row(rows, part);
        count_up(row, "tensors", 1);
        count_up(row, "elements", info.count);
    }
    return rows;
}

static void put_states(json_t *into, const deq_inspection *model)
{
    deq_shape state[DEQ_MAX_STATES];
    int n = deq_inspection_states(model, state);
    json_t *shapes = json_array();
    int64_t elements = 0;
    for (int k = 0; k < n; k++) {
        json_push(shapes, json_shape(&state[k]));
        elements += deq_shape_count(&state[k]);
    }
    json_put(into, "state", shapes);
    json_put(into, "state_elements", json_integer(elements));
}

static void put_training(json_t *into, const deq_inspection *model)
{
    const deq_training_state t = deq_inspection_training(model);
    char time[HUMAN_CAPACITY];
    if (t.step < 0) return;
    json_put(into, "weights", json_text(t.path));
    json_put(into, "steps", json_integer(t.step));
    if (t.best >= 0) json_put(into, "best_accuracy", json_number(t.best));
    json_put(into, "training_seconds", json_number(t.seconds));
    json_put(into, "training_time", json_string(human_seconds(time, t.seconds)));
}

void put_model(json_t *into, deq_inspection *model, bool statistics)
{
    const deq_config *config = deq_inspection_config(model);
    const deq_example_form form = deq_inspection_form(model);
    deq_parameters *parameters = deq_weights_parameters(deq_inspection_weights(model));
    deq_parameters *buffers = deq_weights_buffers(deq_inspection_weights(model));
    put_training(into, model);
    json_put(into, "family", json_string(deq_model_name(config->model.family)));
    json_put(into, "dtype", json_string(deq_dtype_name(config->training.dtype)));
    json_put(into, "input", json_shape(&form.input));
    json_put(into, "classes", json_integer(config->model.classes));
    put_states(into, model);
    json_put(into, "parameters", json_integer(deq_parameters_elements(parameters)));
    json_put(into, "buffers", json_integer(deq_parameters_elements(buffers)));
    put_settings(into, config);
    json_put(into, "parts", parts_json(parameters));
    json_put(into, "tensors", weights_json(parameters, statistics));
    if (deq_parameters_count(buffers) > 0)
        json_put(into, "buffer_tensors", weights_json(buffers, statistics));
}
