/* reduce.h: sums over the values of a sample, in float64, in index order, rounded once. */
#ifndef INSTMODEL_REDUCE_H
#define INSTMODEL_REDUCE_H

static void reduce_sum(const float *x, float *out, int64_t size, int64_t T)
{
    if (T == 1) {
        double sum = 0.0;
        for (int64_t f = 0; f < size; f++) {
            sum += x[f];
        }
        out[0] = (float)sum;
        return;
    }
    for (int64_t s = 0; s < T; s += IM_W) {
        vd sum = vd_zero();
        for (int64_t f = 0; f < size; f++) {
            sum = vd_add(sum, vd_from_vf(vf_load(x + f * T + s)));
        }
        vf_store(out + s, vf_from_vd(sum));
    }
}

/* 2^64 over a sum of powers: multiplying by it is as exact as dividing by the rounded sum, and much
 * faster. */
IM_INLINE vf softmax_factor(vd sum) { return vf_from_vd(vd_div(vd_set1(0x1p64), sum)); }

/* A share of the sum, times the gate if there is one. It is rounded as 2^64 times itself, where it
 * is no denormal: Arm decides what to flush before rounding, x86 after, and would differ where a
 * product rounds up to 2^-126. The last multiplication is exact, or flushed. */
IM_INLINE vf softmax_share(vf power, vf factor, const float *gate, int count)
{
    const vf share = vf_mul(vf_mul(power, factor), vf_set1(0x1p-64f));
    return gate ? vf_mul(share, vf_load_n(gate, count)) : share;
}

/* The largest of a column, in four chains: in one, each comparison would wait for the last. */
IM_INLINE vf column_max(const float *column, int64_t size, int64_t T)
{
    enum { chains = 4 };
    vf max[chains];
    for (int c = 0; c < chains; c++) {
        max[c] = vf_set1(-INFINITY);
    }
    int64_t f = 0;
    for (; f + chains <= size; f += chains) {
        IM_UNROLL
        for (int c = 0; c < chains; c++) {
            max[c] = vf_max_keep(max[c], vf_load(column + (f + c) * T));
        }
    }
    for (; f < size; f++) {
        max[0] = vf_max_keep(max[0], vf_load(column + f * T));
    }
    return vf_max_keep(vf_max_keep(max[0], max[1]), vf_max_keep(max[2], max[3]));
}

/* A NaN never wins the maximum, but its own power is NaN, and so the sum, and so all values. */
static void softmax(float *x, const float *gate, int64_t size, int64_t T)
{
    if (T == 1) {
        float max = -INFINITY;
        for (int64_t f = 0; f < size; f++) {
            max = x[f] > max ? x[f] : max;
        }
        IM_FOR_VECTORS(i, count, size, {
            vf_store_n(x + i, v_softmax_power(vf_load_n(x + i, count), vf_set1(max)), count);
        })
        double sum = 0.0;
        for (int64_t f = 0; f < size; f++) {
            sum += x[f];
        }
        const vf factor = softmax_factor(vd_set1(sum));
        IM_FOR_VECTORS(i, count, size, {
            const vf power = vf_load_n(x + i, count);
            vf_store_n(x + i, softmax_share(power, factor, gate ? gate + i : NULL, count), count);
        })
        return;
    }
    for (int64_t s = 0; s < T; s += IM_W) {
        float *column = x + s;
        const vf max = column_max(column, size, T);
        vd sum = vd_zero();
        for (int64_t f = 0; f < size; f++) {
            const vf power = v_softmax_power(vf_load(column + f * T), max);
            sum = vd_add(sum, vd_from_vf(power));
            vf_store(column + f * T, power);
        }
        const vf factor = softmax_factor(sum);
        for (int64_t f = 0; f < size; f++) {
            const float *by = gate ? gate + s + f * T : NULL;
            vf_store(column + f * T, softmax_share(vf_load(column + f * T), factor, by, IM_W));
        }
    }
}

#endif
