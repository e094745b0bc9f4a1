/* SPDX-License-Identifier: MIT */
/* pick and place: a class of each position, by label. */
#include "op/pick.h"

#include "base/text.h"

#include <deq/op.h>
#include <string.h>

/* ---- shapes ------------------------------------------------------------------------------- */

static bool check_labels(deq_shape_rule *r, const deq_shape *want)
{
    char have_text[256], want_text[256];
    const deq_type t = { .dtype = DEQ_I32, .shape = *want };
    if (!deq_rule_float(r, 0) || !deq_rule_dtype(r, 1, DEQ_I32)) return false;
    if (deq_shape_equal(&r->in[1].shape, want)) return true;
    return deq_rule_fail(r, DEQ_ERR_SHAPE, "labels are %s, expected %s",
                         deq_type_format(have_text, sizeof have_text, &r->in[1]),
                         deq_type_format(want_text, sizeof want_text, &t));
}

static bool infer_pick(deq_shape_rule *r)
{
    const deq_pick_attr *a = r->attr;
    const deq_shape *x = &r->in[0].shape;
    if (a->axis < 0 || a->axis >= x->rank)
        return deq_rule_fail(r, DEQ_ERR_SHAPE, "class axis %lld, x has rank %d", (long long)a->axis,
                             x->rank);
    deq_shape y = { .rank = x->rank - 1 };
    for (int i = 0; i < y.rank; i++) y.dim[i] = x->dim[i < a->axis ? i : i + 1];
    if (!check_labels(r, &y)) return false;
    if (x->dim[a->axis] != a->classes)
        return deq_rule_fail(r, DEQ_ERR_SHAPE, "x has %lld classes, expected %lld",
                             (long long)x->dim[a->axis], (long long)a->classes);
    r->out[0].dtype = r->in[0].dtype;
    r->out[0].shape = y;
    return true;
}

static bool infer_place(deq_shape_rule *r)
{
    const deq_pick_attr *a = r->attr;
    const deq_shape *y = &r->in[0].shape;
    if (y->rank >= DEQ_MAX_RANK || a->axis < 0 || a->axis > y->rank)
        return deq_rule_fail(r, DEQ_ERR_SHAPE, "no class axis %lld fits into rank %d",
                             (long long)a->axis, y->rank);
    if (!check_labels(r, y)) return false;
    deq_shape x = { .rank = y->rank + 1 };
    for (int i = 0; i < x.rank; i++)
        x.dim[i] = i == a->axis ? a->classes : y->dim[i < a->axis ? i : i - 1];
    r->out[0].dtype = r->in[0].dtype;
    r->out[0].shape = x;
    return true;
}

/* ---- kernels ------------------------------------------------------------------------------ */

/* "labels[3, 5] is 12, expected 0 to 9" */
static deq_status refuse_label(const deq_kernel_call *c, int64_t position, int32_t label)
{
    const deq_pick_attr *a = c->attr;
    const deq_shape *s = &c->in_type[1].shape;
    char where[256] = "", ignored[64] = "";
    deq_text t = { where, sizeof where, 0 }, u = { ignored, sizeof ignored, 0 };
    int64_t below = deq_shape_count(s);
    for (int i = 0; i < s->rank; i++) {
        below /= s->dim[i];
        deq_text_add(&t, "%s%lld", i ? ", " : "[", (long long)(position / below));
        position %= below;
    }
    if (s->rank) deq_text_add(&t, "]");
    if (a->has_ignore) deq_text_add(&u, ", or %lld to be ignored", (long long)a->ignore_index);
    return deq_kernel_fail(c, DEQ_ERR_DATA, "labels%s is %ld, expected 0 to %lld%s", where,
                           (long)label, (long long)a->classes - 1, ignored);
}

/* Calls of either kernel: y[p] and x[at] trade places for each position p that counts. */
static deq_status for_labels(const deq_kernel_call *c, const deq_shape *y,
                             void (*trade)(void *out, const void *in, deq_dtype t, int64_t p,
                                           int64_t at))
{
    const deq_pick_attr *a = c->attr;
    const int32_t *labels = c->in[1];
    const int64_t n = deq_shape_count(y);
    int64_t inner = 1;
    for (int i = (int)a->axis; i < y->rank; i++) inner *= y->dim[i];
    memset(c->out[0], 0, deq_type_bytes(&c->out_type[0]));
    for (int64_t p = 0; p < n; p++) {
        const int32_t k = labels[p];
        if (a->has_ignore && k == a->ignore_index) continue;
        if (k < 0 || k >= a->classes) return refuse_label(c, p, k);
        const int64_t at = (p / inner * a->classes + k) * inner + p % inner;
        trade(c->out[0], c->in[0], c->in_type[0].dtype, p, at);
    }
    return DEQ_OK;
}

static void move(void *out, const void *in, deq_dtype t, int64_t to, int64_t from)
{
    if (t == DEQ_F32)
        ((float *)out)[to] = ((const float *)in)[from];
    else
        ((double *)out)[to] = ((const double *)in)[from];
}

static void pick_one(void *out, const void *in, deq_dtype t, int64_t p, int64_t at)
{
    move(out, in, t, p, at);
}

static void place_one(void *out, const void *in, deq_dtype t, int64_t p, int64_t at)
{
    move(out, in, t, at, p);
}

static deq_status pick_kernel(const deq_kernel_call *c)
{
    return for_labels(c, &c->out_type[0].shape, pick_one);
}

static deq_status place_kernel(const deq_kernel_call *c)
{
    return for_labels(c, &c->in_type[0].shape, place_one);
}

/* ---- derivatives -------------------------------------------------------------------------- */

static void vjp_pick(const deq_frame *f, const deq_value *dy, deq_value *dx)
{
    if (dy[0].id) dx[0] = deq_place(f->g, dy[0], f->in[1], f->attr);
}

static void vjp_place(const deq_frame *f, const deq_value *dy, deq_value *dx)
{
    if (dy[0].id) dx[0] = deq_pick(f->g, dy[0], f->in[1], f->attr);
}

static double flops_none(const deq_kernel_call *c)
{
    (void)c;
    return 0;
}

static const deq_op op_pick = { .name = "pick",
                                .n_out = 1,
                                .attr_bytes = sizeof(deq_pick_attr),
                                .linear = 1u << 0,
                                .infer = infer_pick,
                                .vjp = vjp_pick,
                                .kernel = pick_kernel,
                                .flops = flops_none };

static const deq_op op_place = { .name = "place",
                                 .n_out = 1,
                                 .attr_bytes = sizeof(deq_pick_attr),
                                 .linear = 1u << 0,
                                 .infer = infer_place,
                                 .vjp = vjp_place,
                                 .kernel = place_kernel,
                                 .flops = flops_none };

deq_value deq_pick(deq_graph *g, deq_value x, deq_value labels, const deq_pick_attr *a)
{
    const deq_value in[2] = { x, labels };
    return deq_emit1(g, &op_pick, a, sizeof *a, in, 2);
}

deq_value deq_place(deq_graph *g, deq_value y, deq_value labels, const deq_pick_attr *a)
{
    const deq_value in[2] = { y, labels };
    return deq_emit1(g, &op_place, a, sizeof *a, in, 2);
}
