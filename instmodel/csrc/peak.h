/* peak.h: the FMA peak of the core that runs it, to compare kernels with. */
#ifndef INSTMODEL_PEAK_H
#define INSTMODEL_PEAK_H

/* A core needs latency x units = 8 to 16 sums that do not wait for each other. */
enum { IM_SUMS = 12 };

static double peak(int64_t steps, int64_t *flops)
{
    const vf half = vf_set1(0.5f);
    vf sum[IM_SUMS];
    for (int i = 0; i < IM_SUMS; i++) {
        sum[i] = vf_set1((float)i); /* all different, or the compiler would keep one */
    }
    for (int64_t step = 0; step < steps; step++) {
        IM_UNROLL
        for (int i = 0; i < IM_SUMS; i++) {
            sum[i] = vf_fma(sum[i], half, half);
        }
    }
    float lanes[IM_W];
    double total = 0.0;
    for (int i = 0; i < IM_SUMS; i++) {
        vf_store(lanes, sum[i]);
        total += lanes[0];
    }
    *flops = 2 * IM_SUMS * IM_W * steps;
    return total; /* every sum tends to 1 */
}

#endif
