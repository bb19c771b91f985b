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

/* A power over the sum of all, times the gate if there is one. */
IM_INLINE vf softmax_share(vf power, vf total, const float *gate, int count)
{
    const vf share = vf_div(power, total);
    return gate ? vf_mul(share, vf_load_n(gate, count)) : share;
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
        const vf total = vf_set1((float)sum);
        IM_FOR_VECTORS(i, count, size, {
            const vf power = vf_load_n(x + i, count);
            vf_store_n(x + i, softmax_share(power, total, gate ? gate + i : NULL, count), count);
        })
        return;
    }
    for (int64_t s = 0; s < T; s += IM_W) {
        float *column = x + s;
        vf max = vf_set1(-INFINITY);
        for (int64_t f = 0; f < size; f++) {
            max = vf_max_keep(max, vf_load(column + f * T));
        }
        vd sum = vd_zero();
        for (int64_t f = 0; f < size; f++) {
            const vf power = v_softmax_power(vf_load(column + f * T), max);
            sum = vd_add(sum, vd_from_vf(power));
            vf_store(column + f * T, power);
        }
        const vf total = vf_from_vd(sum);
        for (int64_t f = 0; f < size; f++) {
            const float *factor = gate ? gate + s + f * T : NULL;
            vf_store(column + f * T, softmax_share(vf_load(column + f * T), total, factor, IM_W));
        }
    }
}

#endif
