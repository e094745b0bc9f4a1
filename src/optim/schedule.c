/* SPDX-License-Identifier: MIT */
/* Learning rates: a rise, and a law of how they fall.  The equations stand in optim.h. */
#include <deq/optim.h>

#include "base/context.h"

#include <math.h>

static const char *const law_names[] = { "constant", "step", "cosine", "inverse_sqrt" };

static bool is_law(deq_schedule_law law)
{
    return law >= DEQ_SCHEDULE_CONSTANT && law <= DEQ_SCHEDULE_INVERSE_SQRT;
}

const char *deq_schedule_name(deq_schedule_law law)
{
    return is_law(law) ? law_names[law] : "unknown";
}

deq_schedule deq_schedule_defaults(void)
{
    return (deq_schedule){ .struct_size = sizeof(deq_schedule), .rate = 1e-3, .factor = 0.1 };
}

static deq_status refuse(deq_context *ctx, const char *field, double value, const char *range)
{
    return deq_fail(ctx, DEQ_ERR_ARGUMENT, "schedule: %s = %g, expected %s", field, value, range);
}

static deq_status check_milestones(deq_context *ctx, const deq_schedule *s)
{
    if (!(s->factor > 0 && isfinite(s->factor))) return refuse(ctx, "factor", s->factor, "above 0");
    if (s->n_milestones < 0 || (s->n_milestones > 0 && !s->milestones))
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "schedule: %d milestones%s", s->n_milestones,
                        s->n_milestones < 0 ? "" : ", but none given");
    for (int i = 0; i < s->n_milestones; i++)
        if (s->milestones[i] < 0 || (i > 0 && s->milestones[i] <= s->milestones[i - 1]))
            return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                            "schedule: milestone %d is step %lld, expected them to rise from 0",
                            i + 1, (long long)s->milestones[i]);
    return DEQ_OK;
}

deq_status deq_schedule_check(deq_context *ctx, const deq_schedule *s)
{
    if (s->struct_size != sizeof *s)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "schedule: struct_size is %zu, expected %zu",
                        s->struct_size, sizeof *s);
    if (!is_law(s->law))
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "schedule: law %d is not known", (int)s->law);
    if (!(s->rate > 0 && isfinite(s->rate))) return refuse(ctx, "rate", s->rate, "above 0");
    if (s->warmup < 0) return refuse(ctx, "warmup", (double)s->warmup, ">= 0");
    if (s->law == DEQ_SCHEDULE_STEP) return check_milestones(ctx, s);
    if (s->law != DEQ_SCHEDULE_COSINE) return DEQ_OK;
    if (s->total <= s->warmup)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                        "schedule: total = %lld, expected more than warmup = %lld",
                        (long long)s->total, (long long)s->warmup);
    if (!(s->final >= 0 && s->final <= 1)) return refuse(ctx, "final", s->final, "[0, 1]");
    return DEQ_OK;
}

static double cosine(const deq_schedule *s, int64_t step)
{
    if (step >= s->total) return s->rate * s->final;
    const double part = (double)(step - s->warmup) / (double)(s->total - s->warmup);
    return s->rate * (s->final + (1 - s->final) * 0.5 * (1 + cos(acos(-1) * part)));
}

static double stepwise(const deq_schedule *s, int64_t step)
{
    double rate = s->rate;

    for (int i = 0; i < s->n_milestones && step >= s->milestones[i]; i++) rate *= s->factor;
    return rate;
}

static double inverse_sqrt(const deq_schedule *s, int64_t step)
{
    const int64_t top = s->warmup > 1 ? s->warmup : 1;

    return step <= top ? s->rate : s->rate * sqrt((double)top / (double)step);
}

double deq_schedule_rate(const deq_schedule *s, int64_t step)
{
    if (step < 0) step = 0;
    if (step < s->warmup) return s->rate * (double)(step + 1) / (double)s->warmup;
    switch (s->law) {
    case DEQ_SCHEDULE_STEP: return stepwise(s, step);
    case DEQ_SCHEDULE_COSINE: return cosine(s, step);
    case DEQ_SCHEDULE_INVERSE_SQRT: return inverse_sqrt(s, step);
    default: return s->rate;
    }
}
