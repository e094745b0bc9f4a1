/* SPDX-License-Identifier: MIT */
/*
 * Ticks stand at multiples of 1, 2 or 5 times a power of ten.  On a logarithmic axis: at powers of ten,
 * every so many of them; with 2 and 5 between where there is room; at even distances where the axis
 * reaches less than from 1 to 5.
 */
#include "report/axis.h"

#include "report/page.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MOST_NUMBER 1e300
/* Nearer to zero a number counts as zero: powers of ten and their inverses must stay in range. */
#define LEAST_NUMBER 1e-280
/* Ends that differ in later digits than this are taken for equal. */
#define LEAST_SPAN 1e-12

bool deq_axis_shows(deq_scale scale, double v)
{
    return fabs(v) <= MOST_NUMBER && (scale == DEQ_SCALE_LINEAR || v > LEAST_NUMBER);
}

void deq_range_add(deq_range *r, deq_scale scale, double v)
{
    if (!deq_axis_shows(scale, v)) return;
    if (v < r->low) r->low = v;
    if (v > r->high) r->high = v;
}

deq_range deq_range_usable(deq_range r, deq_scale scale)
{
    if (r.low > r.high) return scale == DEQ_SCALE_LOG ? (deq_range){ 1, 10 } : (deq_range){ 0, 1 };
    if (scale == DEQ_SCALE_LOG) {
        if (log10(r.high) - log10(r.low) > 1e-9) return r;
        return (deq_range){ r.low / 2, r.high * 2 };
    }
    const double size = fmax(fabs(r.low), fabs(r.high));
    if (r.high - r.low > fmax(LEAST_SPAN * size, LEAST_NUMBER)) return r;
    const double more = size > LEAST_NUMBER ? size * 0.1 : 1;
    return (deq_range){ r.low - more, r.high + more };
}

deq_range deq_range_padded(deq_range r, deq_scale scale, double margin)
{
    if (scale == DEQ_SCALE_LINEAR) {
        const double more = (r.high - r.low) * margin;
        return (deq_range){ r.low - more, r.high + more };
    }
    const double factor = pow(10, (log10(r.high) - log10(r.low)) * margin);
    return (deq_range){ r.low / factor, r.high * factor };
}

/* The exponent and first digit of a step that makes about so many. */
static double nice_step(int *exponent, double span, int about)
{
    const double raw = span / (about > 1 ? about : 1);
    int e = (int)floor(log10(raw));
    const double lead = raw / pow(10, e);
    double digit = lead <= 1.0000001 ? 1 : lead <= 2.0000001 ? 2 : lead <= 5.0000001 ? 5 : 10;

    if (digit == 10) {
        digit = 1;
        e++;
    }
    *exponent = e;
    return digit;
}

/* Multiples of a step, without the error of its tenth parts: 3 steps of 1e-1 are 0.3. */
static double multiple(double n, double digit, int exponent)
{
    return exponent < 0 ? n * digit / pow(10, -exponent) : n * digit * pow(10, exponent);
}

/* Powers of ten for people: 10 and raised digits. */
static void add_power(char *text, size_t capacity, int exponent)
{
    static const char *const raised[] = { "\xE2\x81\xB0", "\xC2\xB9",     "\xC2\xB2",
                                          "\xC2\xB3",     "\xE2\x81\xB4", "\xE2\x81\xB5",
                                          "\xE2\x81\xB6", "\xE2\x81\xB7", "\xE2\x81\xB8",
                                          "\xE2\x81\xB9" };
    char digits[16];
    size_t length = strlen(text);

    snprintf(digits, sizeof digits, "%d", exponent);
    length += (size_t)snprintf(text + length, capacity - length, "10");
    for (const char *d = digits; *d; d++)
        length += (size_t)snprintf(text + length, capacity - length, "%s",
                                   *d == '-' ? "\xE2\x81\xBB" : raised[*d - '0']);
}

/* With a minus sign that is as wide as the digits. */
static void put_number(char *text, size_t capacity, const char *number)
{
    if (number[0] == '-')
        snprintf(text, capacity, "\xE2\x88\x92%.30s", number + 1);
    else
        snprintf(text, capacity, "%.30s", number);
}

/* `last`: the power of ten of the last digit that matters; `first`: of the largest number's first. */
static void label_linear(char label[DEQ_TICK_BYTES], double v, int last, int first)
{
    char number[DEQ_NUMBER_BYTES];

    if (v == 0) {
        snprintf(label, DEQ_TICK_BYTES, "0");
    } else if (first < 7 && last > -7) {
        put_number(label, DEQ_TICK_BYTES, deq_number_text(number, 'f', last < 0 ? -last : 0, v));
    } else {
        const double lead = first < -290 ? v * 1e290 / pow(10, first + 290) : v / pow(10, first);
        int digits = first - last;
        if (digits < 0) digits = 0;
        if (digits > 15) digits = 15;
        put_number(label, DEQ_TICK_BYTES, deq_number_text(number, 'f', digits, lead));
        snprintf(label + strlen(label), DEQ_TICK_BYTES - strlen(label), "\xC3\x97");
        add_power(label, DEQ_TICK_BYTES, first);
    }
}

static void linear_ticks(deq_ticks *t, deq_range r, int about)
{
    int e;
    const double digit = nice_step(&e, r.high - r.low, about), step = multiple(1, digit, e);
    const double first = ceil(r.low / step - 1e-6);
    const int last = (int)fmin(floor(r.high / step + 1e-6) - first, DEQ_MOST_TICKS - 1);
    const int most = (int)floor(log10(fmax(fabs(r.low), fabs(r.high))) + 1e-9);

    for (int n = 0; n <= last; n++) {
        t->at[t->count] = multiple(first + n, digit, e);
        label_linear(t->label[t->count], t->at[t->count], e, most);
        t->count++;
    }
}

static void label_log(char label[DEQ_TICK_BYTES], int digit, int e)
{
    char number[DEQ_NUMBER_BYTES];

    if (e >= -3 && e <= 4) {
        put_number(label, DEQ_TICK_BYTES,
                   deq_number_text(number, 'f', e < 0 ? -e : 0, digit * pow(10, e)));
        return;
    }
    label[0] = '\0';
    if (digit != 1) snprintf(label, DEQ_TICK_BYTES, "%d\xC3\x97", digit);
    add_power(label, DEQ_TICK_BYTES, e);
}

static void log_ticks(deq_ticks *t, deq_range r, int about)
{
    static const int digits[] = { 1, 2, 5 };
    const double low = log10(r.low), high = log10(r.high), decades = high - low;
    const bool fine = 2 * decades <= about;
    const int every = (int)fmax(1, ceil(decades / (about > 1 ? about : 1) - 1e-9));
    const int from = (int)floor(low + 1e-9), to = (int)floor(high + 1e-9);

    for (int e = from; e <= to && t->count < DEQ_MOST_TICKS - 2; e++) {
        if (((e % every) + every) % every != 0) continue;
        for (int k = 0; k < (fine ? 3 : 1); k++) {
            const double at = log10(digits[k]) + e;
            if (at < low - 1e-9 || at > high + 1e-9) continue;
            t->at[t->count] = digits[k] * pow(10, e);
            label_log(t->label[t->count], digits[k], e);
            t->count++;
        }
    }
}

void deq_ticks_make(deq_ticks *t, deq_range r, deq_scale scale, int about)
{
    t->count = 0;
    if (about > DEQ_MOST_TICKS / 2) about = DEQ_MOST_TICKS / 2;
    if (scale == DEQ_SCALE_LOG) log_ticks(t, r, about);
    if (t->count >= 2) return;
    t->count = 0;
    linear_ticks(t, r, about);
}

deq_range deq_range_rounded(deq_range r, deq_scale scale, int about)
{
    if (scale == DEQ_SCALE_LOG) {
        static const double digits[] = { 1, 2, 5, 10 };
        const double low = pow(10, floor(log10(r.low) + 1e-9));
        const double high = pow(10, floor(log10(r.high) - 1e-9));
        deq_range out = { low > 0 ? low : r.low, r.high };
        for (int k = 0; k < 4; k++)
            if (low > 0 && low * digits[k] <= r.low * (1 + 1e-9)) out.low = low * digits[k];
        for (int k = 3; k >= 0; k--)
            if (high * digits[k] >= r.high * (1 - 1e-9)) out.high = high * digits[k];
        return out;
    }
    int e;
    const double digit = nice_step(&e, r.high - r.low, about), step = multiple(1, digit, e);
    return (deq_range){ multiple(floor(r.low / step + 1e-6), digit, e),
                        multiple(ceil(r.high / step - 1e-6), digit, e) };
}

double deq_map_place(const deq_map *m, double v)
{
    const bool log = m->scale == DEQ_SCALE_LOG;
    const double low = log ? log10(m->low) : m->low, high = log ? log10(m->high) : m->high;
    const double at = log ? log10(v) : v;

    return m->from + (at - low) / (high - low) * (m->to - m->from);
}
