/* row_dot.h: a dense layer of one output, straight from the caller's rows. A linear model reads
 * memory and does little else: without a tile in between it keeps up with the memory. */
#ifndef INSTMODEL_ROW_DOT_H
#define INSTMODEL_ROW_DOT_H

/* A part of a row. Denormals count as zero in every operation here where the mode says so; where
 * there is no such mode, they become zero as in load_tile. */
IM_INLINE vf load_features(const float *x, int count)
{
    const vf values = vf_load_n(x, count);
    return IM_MODE_FLUSHES ? values : vf_flush(values);
}

/* acc += w · x for `count` features of `samples` samples; one product after the other, as in
 * dense.h. */
IM_INLINE vf dot_square(const float *corner /* IN (samples, count) */, ptrdiff_t stride,
                        ptrdiff_t ahead, const float *w /* IN (count,) */, int samples, int count,
                        vf acc)
{
    vf block[IM_W];
    IM_UNROLL
    for (int i = 0; i < IM_W; i++) {
        block[i] = i < samples ? load_features(corner + i * stride, count) : vf_zero();
        IM_PREFETCH(corner + i * stride + ahead);
    }
    vf_transpose(block);
    IM_UNROLL
    for (int i = 0; i < IM_W; i++) {
        if (i < count) {
            acc = vf_fma(vf_set1(w[i]), block[i], acc);
        }
    }
    return acc;
}

static void row_dot(const float *x, ptrdiff_t stride, int64_t n, int64_t features,
                    const float *panel, float *out, int64_t T, int relu)
{
    const ptrdiff_t ahead = rows_ahead(features) * stride;
    const float *w = panel + 1;
    for (int64_t s = 0; s < T; s += IM_W) {
        const int samples = n - s < IM_W ? (int)(n > s ? n - s : 0) : IM_W;
        const float *row = x + s * stride;
        vf acc = vf_set1(panel[0]);
        int64_t f = 0;
        if (samples == IM_W) {
            for (; f + IM_W <= features; f += IM_W) {
                acc = dot_square(row + f, stride, ahead, w + f, IM_W, IM_W, acc);
            }
            if (f < features) {
                acc = dot_square(row + f, stride, ahead, w + f, IM_W, (int)(features - f), acc);
            }
        } else {
            for (; f < features; f += IM_W) {
                const int count = features - f < IM_W ? (int)(features - f) : IM_W;
                acc = dot_square(row + f, stride, ahead, w + f, samples, count, acc);
            }
        }
        vf_store(out + s, relu ? vf_max_keep(acc, vf_zero()) : acc);
    }
}

#endif
