/* tile.h: rows of the caller's matrix to a feature-major tile, and back. */
#ifndef INSTMODEL_TILE_H
#define INSTMODEL_TILE_H

/* Bytes of the caller's matrix that are asked for ahead of their use: the transpose reads many rows
 * at once, and no hardware prefetcher follows that. Else reading and computing would take turns. */
enum { IM_BYTES_AHEAD = 8192 };

/* How many rows those are; at least the IM_W that are read next. */
IM_INLINE int64_t rows_ahead(int64_t features)
{
    const int64_t rows = IM_BYTES_AHEAD / (features * (int64_t)sizeof(float));
    return rows > IM_W ? rows : IM_W;
}

/* A square of the matrix, IM_W samples x IM_W features, into its rows of the tile. Not inlined: in
 * the loops of load_tile a compiler keeps a pointer for every row in memory and moves them all. */
IM_NOINLINE static void load_square(const float *corner /* IN (IM_W, IM_W) */, ptrdiff_t stride,
                                    ptrdiff_t ahead, float *tile /* OUT (IM_W, IM_W) */, int64_t T)
{
    vf block[IM_W];
    IM_UNROLL
    for (int i = 0; i < IM_W; i++) {
        block[i] = vf_load(corner);
        IM_PREFETCH(corner + ahead);
        corner += stride;
    }
    vf_transpose(block);
    IM_UNROLL
    for (int i = 0; i < IM_W; i++) {
        vf_store(tile, vf_flush(block[i]));
        tile += T;
    }
}

/* Samples of fewer features. */
IM_NOINLINE static void load_narrow(const float *corner /* IN (IM_W, count) */, ptrdiff_t stride,
                                    ptrdiff_t ahead, int count, float *tile /* OUT (count, IM_W) */,
                                    int64_t T)
{
    vf block[IM_W];
    IM_UNROLL
    for (int i = 0; i < IM_W; i++) {
        block[i] = vf_load_n(corner, count);
        IM_PREFETCH(corner + ahead);
        corner += stride;
    }
    vf_transpose(block);
    IM_UNROLL
    for (int i = 0; i < IM_W; i++) {
        if (i < count) {
            vf_store(tile, vf_flush(block[i]));
        }
        tile += T;
    }
}

static void load_rows(const float *row /* IN (IM_W, features) */, ptrdiff_t stride, ptrdiff_t ahead,
                      int64_t features, float *tile /* OUT (features, IM_W) */, int64_t T)
{
    if (features < IM_W) {
        load_narrow(row, stride, ahead, (int)features, tile, T);
        return;
    }
    for (int64_t f = 0; f < features; f += IM_W) {
        /* The last square overlaps the one before: cheaper than a narrow one. */
        const int64_t at = f + IM_W <= features ? f : features - IM_W;
        load_square(row + at, stride, ahead, tile + at * T, T);
    }
}

static void load_tile(const float *x, ptrdiff_t stride, int64_t n, int64_t features, float *tile,
                      int64_t T)
{
    if (T == 1) {
        for (int64_t f = 0; f < features; f += IM_W) {
            const int count = features - f < IM_W ? (int)(features - f) : IM_W;
            vf_store_n(tile + f, vf_flush(vf_load_n(x + f, count)), count);
        }
        return;
    }
    const ptrdiff_t ahead = rows_ahead(features) * stride;
    for (int64_t s = 0; s < T; s += IM_W) {
        const int64_t samples = n - s < IM_W ? (n > s ? n - s : 0) : IM_W;
        const float *row = x + s * stride;
        if (samples == IM_W) {
            load_rows(row, stride, ahead, features, tile + s, T);
            continue;
        }
        for (int64_t f = 0; f < features; f += IM_W) {
            const int count = features - f < IM_W ? (int)(features - f) : IM_W;
            vf block[IM_W];
            for (int i = 0; i < IM_W; i++) {
                block[i] = i < samples ? vf_flush(vf_load_n(row + f + i * stride, count))
                                       : vf_zero(); /* the lanes that are left */
            }
            vf_transpose(block);
            for (int i = 0; i < count; i++) {
                vf_store(tile + (f + i) * T + s, block[i]);
            }
        }
    }
}

/* A square of the tile, IM_W values x IM_W samples, into rows; like load_square. */
IM_NOINLINE static void store_square(const float *tile /* IN (IM_W, IM_W) */, int64_t T,
                                     float *corner /* OUT (IM_W, IM_W) */, ptrdiff_t stride)
{
    vf block[IM_W];
    IM_UNROLL
    for (int i = 0; i < IM_W; i++) {
        block[i] = vf_canonical_nan(vf_load(tile));
        tile += T;
    }
    vf_transpose(block);
    IM_UNROLL
    for (int i = 0; i < IM_W; i++) {
        vf_store(corner, block[i]);
        corner += stride;
    }
}

static void store_tile(const float *tile, int64_t T, int64_t n, int64_t size, float *y,
                       ptrdiff_t stride)
{
    if (T == 1 || (size == 1 && stride == 1)) {
        /* One sample, or one value: the tile is the row, or the column, already. */
        const int64_t total = T == 1 ? size : n;
        for (int64_t i = 0; i < total; i += IM_W) {
            const int count = total - i < IM_W ? (int)(total - i) : IM_W;
            vf_store_n(y + i, vf_canonical_nan(vf_load_n(tile + i, count)), count);
        }
        return;
    }
    for (int64_t s = 0; s < n; s += IM_W) {
        const int64_t samples = n - s < IM_W ? n - s : IM_W;
        int64_t f = 0;
        for (; f + IM_W <= size && samples == IM_W; f += IM_W) {
            store_square(tile + f * T + s, T, y + s * stride + f, stride);
        }
        for (; f < size; f += IM_W) {
            const int count = size - f < IM_W ? (int)(size - f) : IM_W;
            vf block[IM_W];
            for (int i = 0; i < IM_W; i++) {
                block[i] =
                    i < count ? vf_canonical_nan(vf_load(tile + (f + i) * T + s)) : vf_zero();
            }
            vf_transpose(block);
            for (int i = 0; i < samples; i++) {
                vf_store_n(y + (s + i) * stride + f, block[i], count);
            }
        }
    }
}

static void flush(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i += IM_W) {
        const int count = n - i < IM_W ? (int)(n - i) : IM_W;
        vf_store_n(x + i, vf_flush(vf_load_n(x + i, count)), count);
    }
}

static void canonical(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i += IM_W) {
        const int count = n - i < IM_W ? (int)(n - i) : IM_W;
        vf_store_n(x + i, vf_canonical_nan(vf_load_n(x + i, count)), count);
    }
}

static int all_finite(const float *x, int64_t n)
{
    uint32_t highest = 0;
    for (int64_t i = 0; i < n; i++) { /* the compiler makes vectors of this */
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        /* Without the sign, infinity and every NaN are the largest numbers. */
        bits &= 0x7FFFFFFFu;
        highest = bits > highest ? bits : highest;
    }
    return highest < 0x7F800000u;
}

#endif
