/* SPDX-License-Identifier: MIT */
/* The updates of update.h for one real type: T, with NAME(f) naming functions and SQRT its root.
 * Included twice. */

static void NAME(descend)(const deq_update *u, T *restrict theta, const T *restrict g, int64_t n)
{
    const T rate = (T)u->rate, decay = (T)u->decay;

    for (int64_t i = 0; i < n; i++) theta[i] -= rate * (g[i] + decay * theta[i]);
}

static void NAME(momentum)(const deq_update *u, T *restrict theta, const T *restrict g,
                           T *restrict m, int64_t n)
{
    const T rate = (T)u->rate, decay = (T)u->decay, mu = (T)u->momentum;

    for (int64_t i = 0; i < n; i++) {
        m[i] = mu * m[i] + (g[i] + decay * theta[i]);
        theta[i] -= rate * m[i];
    }
}

static void NAME(nesterov)(const deq_update *u, T *restrict theta, const T *restrict g,
                           T *restrict m, int64_t n)
{
    const T rate = (T)u->rate, decay = (T)u->decay, mu = (T)u->momentum;

    for (int64_t i = 0; i < n; i++) {
        const T d = g[i] + decay * theta[i];
        m[i] = mu * m[i] + d;
        theta[i] -= rate * (d + mu * m[i]);
    }
}

void NAME(deq_sgd)(const deq_update *u, void *theta, const void *g, void *m, void *v, int64_t first,
                   int64_t count)
{
    T *at = (T *)theta + first;
    const T *gradient = (const T *)g + first;

    (void)v;
    if (!m)
        NAME(descend)(u, at, gradient, count);
    else if (u->nesterov)
        NAME(nesterov)(u, at, gradient, (T *)m + first, count);
    else
        NAME(momentum)(u, at, gradient, (T *)m + first, count);
}

static void NAME(adaptive)(const deq_update *u, T *restrict theta, const T *restrict g,
                           T *restrict m, T *restrict v, int64_t n)
{
    const T rate = (T)u->rate, decay = (T)u->decay, keep = (T)u->keep;
    const T b1 = (T)u->beta1, c1 = (T)(1 - u->beta1), b2 = (T)u->beta2, c2 = (T)(1 - u->beta2);
    const T root = (T)u->root, eps = (T)u->eps;

    for (int64_t i = 0; i < n; i++) {
        const T at = keep * theta[i], d = g[i] + decay * at;
        m[i] = b1 * m[i] + c1 * d;
        v[i] = b2 * v[i] + c2 * (d * d);
        theta[i] = at - rate * (m[i] / (root * SQRT(v[i]) + eps));
    }
}

static void NAME(plain)(const deq_update *u, T *restrict theta, const T *restrict g, T *restrict m,
                        T *restrict v, int64_t n)
{
    const T rate = (T)u->rate, decay = (T)u->decay, keep = (T)u->keep;
    const T b1 = (T)u->beta1, c1 = (T)(1 - u->beta1), b2 = (T)u->beta2, c2 = (T)(1 - u->beta2);

    for (int64_t i = 0; i < n; i++) {
        const T at = keep * theta[i], d = g[i] + decay * at;
        m[i] = b1 * m[i] + c1 * d;
        v[i] = b2 * v[i] + c2 * (d * d);
        theta[i] = at - rate * m[i];
    }
}

void NAME(deq_adam)(const deq_update *u, void *theta, const void *g, void *m, void *v,
                    int64_t first, int64_t count)
{
    T *at = (T *)theta + first;
    const T *gradient = (const T *)g + first;

    if (u->adaptive)
        NAME(adaptive)(u, at, gradient, (T *)m + first, (T *)v + first, count);
    else
        NAME(plain)(u, at, gradient, (T *)m + first, (T *)v + first, count);
}
