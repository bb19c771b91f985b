/* dense_rows.h: a dense layer straight from the caller's rows, for a first layer that is narrower
 * than its input: to transpose its results takes less than to transpose the rows.
 *
 * The sums are those of dense.h, one product after the other.
 */
#ifndef INSTMODEL_DENSE_ROWS_H
#define INSTMODEL_DENSE_ROWS_H

/* Denormals count as zero in every operation here where the mode says so; where there is no such
 * mode, they become zero as in load_tile. */
IM_INLINE vf flushed(vf features) { return IM_MODE_FLUSHES ? features : vf_flush(features); }

/* ---- one output: a vector holds features of a row, until they are transposed ---- */

/* acc += w · x for `count` features of `samples` samples. */
IM_INLINE vf dot_square(const float *corner /* IN (samples, count) */, ptrdiff_t stride,
                        ptrdiff_t ahead, const float *w /* IN (count,) */, int samples, int count,
                        vf acc)
{
    vf block[IM_W];
    IM_UNROLL
    for (int i = 0; i < IM_W; i++) {
        block[i] = i < samples ? flushed(vf_load_n(corner + i * stride, count)) : vf_zero();
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

/* A linear model reads memory and does little else: without a tile in between it keeps up with the
 * memory. */
static void row_dot(const float *x, ptrdiff_t stride, int64_t n, int64_t features,
                    const float *panel, float *out, int relu)
{
    const ptrdiff_t ahead = rows_ahead(features) * stride;
    const float *w = panel + 1;
    for (int64_t s = 0; s < n; s += IM_W) {
        const int samples = n - s < IM_W ? (int)(n - s) : IM_W;
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

/* ---- many outputs: a vector holds outputs of a row, until they are transposed ---- */

/* IM_W outputs of `samples` samples. HOT where a network begins with a narrow layer. */
IM_INLINE void outputs_square(const int full, /* whether samples is IM_W: a compile-time constant */
                              const float *x, /* IN (samples, features) */
                              ptrdiff_t stride, int samples, ptrdiff_t ahead,
                              const float *w, /* IN (1 + features, width): IM_W columns of it */
                              int64_t width, float *out /* OUT (IM_W, T) */, int64_t features,
                              int64_t T, int relu)
{
    const float *row[IM_W]; /* lanes that are left repeat the last sample */
    /* Where none is left, two pointers share the multiples of the stride: all fit in registers. */
    enum { half = (IM_W + 1) / 2 };
    const float *low = x;
    const float *high = x + half * stride;
    const char *soon = (const char *)(x + ahead);
    const ptrdiff_t step = IM_W * stride * (ptrdiff_t)sizeof *x / features;
    vf acc[IM_W];
    IM_UNROLL
    for (int i = 0; i < IM_W; i++) {
        row[i] = x + (i < samples ? i : samples - 1) * stride;
        acc[i] = vf_load(w);
    }
    for (int64_t k = 0; k < features; k++) {
        w += width;
        const vf wk = vf_load(w);
        IM_UNROLL
        for (int i = 0; i < IM_W; i++) {
            const float *value = full ? (i < half ? low : high) + i % half * stride : row[i] + k;
            acc[i] = vf_fma(wk, flushed(vf_set1(*value)), acc[i]);
        }
        low++;
        high++;
        IM_PREFETCH(soon);
        soon += step;
    }
    vf_transpose(acc);
    IM_UNROLL
    for (int i = 0; i < IM_W; i++) {
        vf_store(out, relu ? vf_max_keep(acc[i], vf_zero()) : acc[i]);
        out += T;
    }
}

static void dense_rows(const float *x, ptrdiff_t stride, int64_t n, int64_t features,
                       const float *panels, float *out, int64_t rows, int64_t T, int relu)
{
    if (rows == 1) {
        row_dot(x, stride, n, features, panels, out, relu);
        return;
    }
    const ptrdiff_t ahead = rows_ahead(features) * stride;
    for (int64_t s = 0; s < n; s += IM_W) {
        const int samples = n - s < IM_W ? (int)(n - s) : IM_W;
        const float *from = x + s * stride;
        for (int64_t i = 0; i < rows; i += IM_W) {
            const int64_t first = i / IM_PANEL * IM_PANEL;
            const int64_t width = rows - first < IM_PANEL ? rows - first : IM_PANEL;
            const float *w = panels + first * (1 + features) + (i - first);
            float *to = out + i * T + s;
            if (samples == IM_W) {
                outputs_square(1, from, stride, IM_W, ahead, w, width, to, features, T, relu);
            } else {
                outputs_square(0, from, stride, samples, ahead, w, width, to, features, T, relu);
            }
        }
    }
}

#endif
