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

/* e^(x - max) rounded once. The difference is exact enough in float64: x - max alone, rounded to
 * float32, would cost tens of ULP for large differences. */
IM_INLINE vf softmax_power(vf x, vd max) { return vf_from_vd(vd_exp(vd_sub(vd_from_vf(x), max))); }

/* A NaN never wins the maximum, but its own power is NaN, and so the sum, and so all values. */
static void softmax(float *x, int64_t size, int64_t T)
{
    if (T == 1) {
        float max = -INFINITY;
        for (int64_t f = 0; f < size; f++) {
            max = x[f] > max ? x[f] : max;
        }
        const vd max_lanes = vd_from_vf(vf_set1(max));
        IM_FOR_VECTORS(i, count, size, {
            vf_store_n(x + i, softmax_power(vf_load_n(x + i, count), max_lanes), count);
        })
        double sum = 0.0;
        for (int64_t f = 0; f < size; f++) {
            sum += x[f];
        }
        const vf total = vf_set1((float)sum);
        IM_FOR_VECTORS(i, count, size, {
            vf_store_n(x + i, vf_div(vf_load_n(x + i, count), total), count);
        })
        return;
    }
    for (int64_t s = 0; s < T; s += IM_W) {
        vf max = vf_set1(-INFINITY);
        for (int64_t f = 0; f < size; f++) {
            const vf value = vf_load(x + f * T + s);
            max = vf_select(vf_gt(value, max), value, max);
        }
        const vd max_lanes = vd_from_vf(max);
        vd sum = vd_zero();
        for (int64_t f = 0; f < size; f++) {
            const vf power = softmax_power(vf_load(x + f * T + s), max_lanes);
            sum = vd_add(sum, vd_from_vf(power));
            vf_store(x + f * T + s, power);
        }
        const vf total = vf_from_vd(sum);
        for (int64_t f = 0; f < size; f++) {
            vf_store(x + f * T + s, vf_div(vf_load(x + f * T + s), total));
        }
    }
}

#endif
