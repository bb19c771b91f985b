/* dense.h: the dense layer, for a tile of samples and for a few.
 *
 * Every output value starts at its bias and adds fma(w[k], x[k], acc) for k = 0, 1, 2 …, in every
 * kernel and in every block shape: that order is the bit promise, and no tuning may change it.
 */
#ifndef INSTMODEL_DENSE_H
#define INSTMODEL_DENSE_H

/* Inputs in a block. Its slice of x, IM_DENSE_DEPTH x the register block's samples, streams from L2
 * beside the weights, 16 bytes a cycle. Partial sums wait in `out` as the float32 they are; a
 * shorter block would store them more often, and on Zen 5 a store takes the place of two
 * multiply-adds. */
enum { IM_DENSE_DEPTH = 512 };

/* Inputs whose weights are asked for ahead when there are few samples: 2 KiB of each panel. Layers
 * of few inputs are sooner done without. */
enum { IM_ROW_AHEAD = 32, IM_FEW_INPUTS = 128 };

/* What a register block asks the memory for while it computes, a step with every input. */
typedef struct {
    const char *at; /* NULL: the weights of the next panel */
    ptrdiff_t step; /* bytes */
} dense_request;

/* A register block: `outputs` x `vectors` accumulators over `depth` inputs, all constants but
 * depth. HOT: this loop is where dense models spend their time. */
IM_INLINE void dense_block(const int outputs, const int vectors, /* compile-time constants */
                           const float *x,                       /* IN (depth, T) */
                           const float *w, /* IN (depth, width), the first of `outputs` columns */
                           const float *bias, /* IN (outputs,), NULL to go on from out */
                           float *out,        /* INOUT (outputs, T) */
                           int64_t depth, int64_t width, int64_t T, dense_request request, int relu)
{
    vf acc[IM_DENSE_OUTPUTS_MAX][IM_DENSE_VECTORS_MAX];
    IM_UNROLL
    for (int i = 0; i < outputs; i++) {
        IM_UNROLL
        for (int v = 0; v < vectors; v++) {
            acc[i][v] = bias ? vf_set1(bias[i]) : vf_load(out + i * T + v * IM_W);
        }
    }
    for (int64_t k = 0; k < depth; k++) {
        vf xk[IM_DENSE_VECTORS_MAX];
        IM_UNROLL
        for (int v = 0; v < vectors; v++) {
            xk[v] = vf_load(x + v * IM_W);
        }
        IM_UNROLL
        for (int i = 0; i < outputs; i++) {
            const vf wi = vf_set1(w[i]);
            IM_UNROLL
            for (int v = 0; v < vectors; v++) {
                acc[i][v] = vf_fma(wi, xk[v], acc[i][v]);
            }
        }
        IM_PREFETCH_L2(request.at);
        request.at += request.step;
        x += T;
        w += width;
    }
    IM_UNROLL
    for (int i = 0; i < outputs; i++) {
        IM_UNROLL
        for (int v = 0; v < vectors; v++) {
            const vf sum = acc[i][v];
            vf_store(out + i * T + v * IM_W, relu ? vf_max_keep(sum, vf_zero()) : sum);
        }
    }
}

/* All outputs of one panel for `vectors` vectors of samples, from the widest blocks down. */
IM_INLINE void dense_panel(const int outputs, const int vectors, const float *x, const float *w,
                           const float *bias, float *out, int64_t depth, int64_t width, int64_t T,
                           int64_t next, /* floats from a weight to that of the next panel */
                           dense_request *request /* INOUT */, int relu)
{
    int64_t i = 0;
#define IM_BLOCKS(n)                                                                               \
    for (; i + (n) <= width; i += (n)) {                                                           \
        const dense_request panel = {(const char *)(w + i + next), width * (ptrdiff_t)sizeof *w};  \
        dense_block(n, vectors, x, w + i, bias ? bias + i : NULL, out + i * T, depth, width, T,    \
                    request->at ? *request : panel, relu);                                         \
        if (request->at) {                                                                         \
            request->at += depth * request->step;                                                  \
        }                                                                                          \
    }
    if (outputs >= 16) {
        IM_BLOCKS(16)
    }
    if (outputs >= 8) {
        IM_BLOCKS(8)
    }
    if (outputs >= 4) {
        IM_BLOCKS(4)
        IM_BLOCKS(2)
    }
    IM_BLOCKS(1)
#undef IM_BLOCKS
}

/* All outputs for `vectors` vectors of samples: depth blocks outside, so that the slice of x serves
 * every panel from L2. */
IM_INLINE void dense_samples(const int outputs, const int vectors, const float *x,
                             const float *panels, float *out, int64_t cols, int64_t rows, int64_t T,
                             dense_request *request /* INOUT */, int relu)
{
    const int64_t blocks = (cols + IM_DENSE_DEPTH - 1) / IM_DENSE_DEPTH;
    const int64_t step = (cols + blocks - 1) / blocks;
    for (int64_t k = 0; k < cols; k += step) {
        const int64_t depth = cols - k < step ? cols - k : step;
        const int clip = relu && k + depth == cols;
        const float *panel = panels;
        for (int64_t row = 0; row < rows; row += IM_PANEL) {
            const int64_t width = rows - row < IM_PANEL ? rows - row : IM_PANEL;
            dense_panel(outputs, vectors, x + k * T, panel + (1 + k) * width, k ? NULL : panel,
                        out + row * T, depth, width, T, (1 + cols) * width, request, clip);
            panel += (1 + cols) * width;
        }
    }
}

static void dense(const float *x, const float *panels, float *out, int64_t cols, int64_t rows,
                  int64_t T, int relu, im_soon soon)
{
    /* The steps of all register blocks, about; a little beyond the end does not matter. */
    const int64_t steps = 1 + cols * rows * T / (IM_DENSE_OUTPUTS * IM_DENSE_VECTORS * IM_W);
    dense_request request = {soon.at, 1 + soon.bytes / steps};
    int64_t s = 0;
#define IM_SAMPLES(outputs, vectors)                                                               \
    for (; s + (vectors) * IM_W <= T; s += (vectors) * IM_W) {                                     \
        dense_samples(outputs, vectors, x + s, panels, out + s, cols, rows, T, &request, relu);    \
    }
    if (rows == 1) {
        IM_SAMPLES(1, IM_DENSE_VECTORS_MAX) /* fewer sums would wait for each other */
    }
    IM_SAMPLES(IM_DENSE_OUTPUTS, IM_DENSE_VECTORS)
    IM_SAMPLES(IM_DENSE_OUTPUTS_2, 2)
    IM_SAMPLES(IM_DENSE_OUTPUTS_1, 1)
#undef IM_SAMPLES
}

/* Lanes of a vector that `left` values fill. */
IM_INLINE int lanes_of(int left) { return left < 0 ? 0 : left < IM_W ? left : IM_W; }

/* Weights or biases of panel p of few_panels, vector v. */
#define IM_FEW_LOAD(p, v)                                                                          \
    ((p) < full ? vf_load(w + (p) * panel + (v) * IM_W)                                            \
                : vf_load_n(narrow + (v) * IM_W, lanes_of(width - (v) * IM_W)))

/* A register block of dense_few: `samples` x `panels`, vectors across outputs, each weight loaded
 * once for all samples. Where there are only n samples, the last one counts for those that are
 * missing. With `rest`, the last panel is only `width` < 16 wide, and not one float past its end is
 * read: the weights may be a mapped file. HOT for a few rows. */
IM_INLINE void few_panels(const int samples, const int panels, const int rest, /* compile-time */
                          const float *x, /* IN (n, cols), `apart` floats from sample to sample */
                          ptrdiff_t apart, int n, const float *w, /* IN (panels, 1 + cols, 16) */
                          float *out, /* OUT (n, panels * 16), `apart` floats, too */
                          int64_t cols, int width, int relu)
{
    enum { vectors = IM_PANEL / IM_W };
    const int64_t panel = (1 + cols) * IM_PANEL;
    const int full = panels - rest;
    const float *narrow = w + full * panel; /* IN (1 + cols, width) */
    const int ahead = cols > IM_FEW_INPUTS;
    const float *row[IM_FEW_SAMPLES];
    float *to[IM_FEW_SAMPLES];
    vf acc[IM_FEW_SAMPLES][IM_FEW_PANELS][vectors];
    IM_UNROLL
    for (int s = 0; s < samples; s++) {
        const ptrdiff_t place = samples == 1 ? 0 : (s < n ? s : n - 1) * apart;
        row[s] = x + place;
        to[s] = out + place;
        IM_UNROLL
        for (int p = 0; p < panels; p++) {
            IM_UNROLL
            for (int v = 0; v < vectors; v++) {
                acc[s][p][v] = IM_FEW_LOAD(p, v);
            }
        }
    }
    for (int64_t k = 0; k < cols; k++) {
        vf xk[IM_FEW_SAMPLES];
        IM_UNROLL
        for (int s = 0; s < samples; s++) {
            xk[s] = vf_set1(row[s][k]);
        }
        w += IM_PANEL;
        narrow += width;
        IM_UNROLL
        for (int p = 0; p < panels; p++) {
            if (ahead && p < full) {
                IM_PREFETCH(w + p * panel + IM_ROW_AHEAD * IM_PANEL);
            }
            IM_UNROLL
            for (int v = 0; v < vectors; v++) {
                const vf weights = IM_FEW_LOAD(p, v);
                IM_UNROLL
                for (int s = 0; s < samples; s++) {
                    acc[s][p][v] = vf_fma(weights, xk[s], acc[s][p][v]);
                }
            }
        }
    }
    IM_UNROLL
    for (int s = 0; s < samples; s++) {
        IM_UNROLL
        for (int p = 0; p < panels; p++) {
            IM_UNROLL
            for (int v = 0; v < vectors; v++) {
                const vf sum = relu ? vf_max_keep(acc[s][p][v], vf_zero()) : acc[s][p][v];
                if (p < full) {
                    vf_store(to[s] + p * IM_PANEL + v * IM_W, sum);
                } else {
                    vf_store_n(to[s] + p * IM_PANEL + v * IM_W, sum, lanes_of(width - v * IM_W));
                }
            }
        }
    }
}
#undef IM_FEW_LOAD

/* Groups of panels of about the same size: one panel alone would wait for its own sums. All samples
 * go through a group before the next, so that its weights come from beyond L2 only once. */
IM_INLINE void few_samples(const int samples, const int most, /* compile-time: of the blocks */
                           const float *x, ptrdiff_t apart, int64_t n, const float *panels,
                           float *out, int64_t cols, int64_t rows, int relu)
{
    const int width = (int)(rows % IM_PANEL);
    int64_t left = (rows + IM_PANEL - 1) / IM_PANEL;
    int64_t groups = (left + most - 1) / most;
    for (; groups > 0; groups--) {
        const int64_t count = (left + groups - 1) / groups;
        left -= count;
        const int rest = width && !left;
        for (int64_t s = 0; s < n; s += samples) {
            const float *from = x + s * apart;
            float *to = out + s * apart;
            const int here = n - s < samples ? (int)(n - s) : samples;
            switch (2 * count + rest) {
#define IM_FEW(p, rest)                                                                            \
    case 2 * (p) + (rest):                                                                         \
        if ((p) <= most) {                                                                         \
            few_panels(samples, p, rest, from, apart, here, panels, to, cols, width, relu);        \
        }                                                                                          \
        break;
                IM_FEW(1, 0)
                IM_FEW(1, 1)
                IM_FEW(2, 0)
                IM_FEW(2, 1)
                IM_FEW(3, 0)
                IM_FEW(3, 1)
                IM_FEW(4, 0)
                IM_FEW(4, 1)
                IM_FEW(5, 0)
                IM_FEW(5, 1)
                IM_FEW(6, 0)
                IM_FEW(6, 1)
                IM_FEW(7, 0)
                IM_FEW(7, 1)
                IM_FEW(8, 0)
                IM_FEW(8, 1)
#undef IM_FEW
            }
        }
        panels += count * (1 + cols) * IM_PANEL;
        out += count * IM_PANEL;
    }
}

/* A function for each number of samples: together they would run out of registers for pointers. */
#define IM_FEW(samples)                                                                            \
    IM_NOINLINE static void few_##samples(const float *x, ptrdiff_t apart, int64_t n,              \
                                          const float *panels, float *out, int64_t cols,           \
                                          int64_t rows, int relu)                                  \
    {                                                                                              \
        few_samples(samples, IM_FEW_PANELS_##samples, x, apart, n, panels, out, cols, rows, relu); \
    }
IM_FEW(1)
IM_FEW(2)
IM_FEW(4)
#undef IM_FEW

static void dense_few(const float *x, ptrdiff_t apart, int64_t n, const float *panels, float *out,
                      int64_t cols, int64_t rows, int relu)
{
    if (n == 1) {
        few_1(x, apart, n, panels, out, cols, rows, relu);
    } else if (n == 2) {
        few_2(x, apart, n, panels, out, cols, rows, relu);
    } else {
        few_4(x, apart, n, panels, out, cols, rows, relu);
    }
}

#endif
