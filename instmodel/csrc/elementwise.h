/* elementwise.h: arithmetic value by value. With T > 1 a vector holds samples, else values. */
#ifndef INSTMODEL_ELEMENTWISE_H
#define INSTMODEL_ELEMENTWISE_H

/* Run `body` for every vector of n contiguous floats: i is its place, count its lanes. */
#define IM_FOR_VECTORS(i, count, n, body)                                                          \
    for (int64_t i = 0; i < (n); i += IM_W) {                                                      \
        const int count = (n) - i < IM_W ? (int)((n) - i) : IM_W;                                  \
        body                                                                                       \
    }

IM_INLINE vf op_add(vf a, vf b) { return vf_add(a, b); }
IM_INLINE vf op_mul(vf a, vf b) { return vf_mul(a, b); }
typedef vf (*binary_op)(vf, vf); /* always a constant, so always inlined */

IM_INLINE void with_parameters(const binary_op op, float *x, const float *p, int64_t size,
                               int64_t T)
{
    if (T == 1) {
        IM_FOR_VECTORS(i, count, size, {
            vf_store_n(x + i, op(vf_load_n(x + i, count), vf_load_n(p + i, count)), count);
        })
        return;
    }
    for (int64_t f = 0; f < size; f++) {
        const vf pf = vf_set1(p[f]);
        for (int64_t s = 0; s < T; s += IM_W) {
            vf_store(x + f * T + s, op(vf_load(x + f * T + s), pf));
        }
    }
}

static void add_parameters(float *x, const float *p, int64_t size, int64_t T)
{
    with_parameters(op_add, x, p, size, T);
}

static void mul_parameters(float *x, const float *p, int64_t size, int64_t T)
{
    with_parameters(op_mul, x, p, size, T);
}

static void clip(float *x, const float *low, const float *high, int64_t size, int64_t T)
{
    if (T == 1) {
        IM_FOR_VECTORS(i, count, size, {
            const vf raised = vf_max_keep(vf_load_n(x + i, count), vf_load_n(low + i, count));
            vf_store_n(x + i, vf_min_keep(raised, vf_load_n(high + i, count)), count);
        })
        return;
    }
    for (int64_t f = 0; f < size; f++) {
        const vf lowest = vf_set1(low[f]);
        const vf highest = vf_set1(high[f]);
        for (int64_t s = 0; s < T; s += IM_W) {
            const vf raised = vf_max_keep(vf_load(x + f * T + s), lowest);
            vf_store(x + f * T + s, vf_min_keep(raised, highest));
        }
    }
}

/* Each value reads all its inputs before it is written, so `out` may be any of them. */
IM_INLINE void fold_buffers(const binary_op op, const float *base, const int64_t *offsets,
                            int64_t count, float *out, int64_t size, int64_t T)
{
    IM_FOR_VECTORS(i, lanes, size * T, {
        vf acc = vf_load_n(base + offsets[0] * T + i, lanes);
        for (int64_t j = 1; j < count; j++) {
            acc = op(acc, vf_load_n(base + offsets[j] * T + i, lanes));
        }
        vf_store_n(out + i, acc, lanes);
    })
}

static void add_buffers(const float *base, const int64_t *offsets, int64_t count, float *out,
                        int64_t size, int64_t T)
{
    fold_buffers(op_add, base, offsets, count, out, size, T);
}

static void mul_buffers(const float *base, const int64_t *offsets, int64_t count, float *out,
                        int64_t size, int64_t T)
{
    fold_buffers(op_mul, base, offsets, count, out, size, T);
}

IM_INLINE void with_heads(const binary_op op, const float *data, const float *heads, float *out,
                          int64_t size, int64_t count, int64_t T)
{
    const int64_t d = size / count; /* values of a head */
    for (int64_t h = 0; h < count; h++) {
        const float *in = data + h * d * T;
        float *to = out + h * d * T;
        if (T == 1) {
            const vf head = vf_set1(heads[h]);
            IM_FOR_VECTORS(j, lanes, d,
                           { vf_store_n(to + j, op(vf_load_n(in + j, lanes), head), lanes); })
            continue;
        }
        for (int64_t j = 0; j < d; j++) {
            for (int64_t s = 0; s < T; s += IM_W) {
                vf_store(to + j * T + s, op(vf_load(in + j * T + s), vf_load(heads + h * T + s)));
            }
        }
    }
}

static void add_heads(const float *data, const float *heads, float *out, int64_t size,
                      int64_t count, int64_t T)
{
    with_heads(op_add, data, heads, out, size, count, T);
}

static void mul_heads(const float *data, const float *heads, float *out, int64_t size,
                      int64_t count, int64_t T)
{
    with_heads(op_mul, data, heads, out, size, count, T);
}

static void copy_masked(const float *x, const int64_t *indexes, int64_t count, float *out,
                        int64_t T)
{
    if (T == 1) {
        for (int64_t i = 0; i < count; i++) {
            out[i] = x[indexes[i]];
        }
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        const float *from = x + indexes[i] * T;
        for (int64_t s = 0; s < T; s += IM_W) {
            vf_store(out + i * T + s, vf_load(from + s));
        }
    }
}

#endif
