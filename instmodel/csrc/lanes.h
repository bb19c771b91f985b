/* lanes.h: rows that lie anywhere to a feature-major tile, and back: one row for each lane. */
#ifndef INSTMODEL_LANES_H
#define INSTMODEL_LANES_H

/* `count` features, from `at` on, of IM_W rows. */
IM_INLINE void load_apart(const float *const *rows /* IN (IM_W,) */, int64_t at, int count,
                          ptrdiff_t ahead, float *tile /* OUT (count, IM_W) */, int64_t T)
{
    vf block[IM_W];
    IM_UNROLL
    for (int i = 0; i < IM_W; i++) {
        const float *row = rows[i] + at;
        block[i] = count == IM_W ? vf_load(row) : vf_load_n(row, count);
        IM_PREFETCH(row + ahead);
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

/* Not inlined, like load_square. */
IM_NOINLINE static void load_square_apart(const float *const *rows, int64_t at, ptrdiff_t ahead,
                                          float *tile, int64_t T)
{
    load_apart(rows, at, IM_W, ahead, tile, T);
}

IM_NOINLINE static void load_narrow_apart(const float *const *rows, int64_t at, int count,
                                          ptrdiff_t ahead, float *tile, int64_t T)
{
    load_apart(rows, at, count, ahead, tile, T);
}

static void load_lanes(const float *const *rows, ptrdiff_t ahead, int64_t features, float *tile,
                       int64_t T)
{
    for (int64_t s = 0; s < T; s += IM_W) {
        if (features < IM_W) {
            load_narrow_apart(rows + s, 0, (int)features, ahead, tile + s, T);
            continue;
        }
        for (int64_t f = 0; f < features; f += IM_W) {
            /* The last square overlaps the one before: cheaper than a narrow one. */
            const int64_t at = f + IM_W <= features ? f : features - IM_W;
            load_square_apart(rows + s, at, ahead, tile + at * T + s, T);
        }
    }
}

static void store_lanes(const float *tile, int64_t T, int64_t n, int64_t size, float *const *rows)
{
    for (int64_t s = 0; s < n; s += IM_W) {
        const int lanes = n - s < IM_W ? (int)(n - s) : IM_W;
        for (int64_t f = 0; f < size; f += IM_W) {
            const int count = size - f < IM_W ? (int)(size - f) : IM_W;
            vf block[IM_W];
            for (int i = 0; i < IM_W; i++) {
                block[i] =
                    i < count ? vf_canonical_nan(vf_load(tile + (f + i) * T + s)) : vf_zero();
            }
            if (count == 1) { /* a column: no need to transpose it */
                float column[IM_W];
                vf_store(column, block[0]);
                for (int i = 0; i < lanes; i++) {
                    rows[s + i][f] = column[i];
                }
                continue;
            }
            vf_transpose(block);
            for (int i = 0; i < lanes; i++) {
                vf_store_n(rows[s + i] + f, block[i], count);
            }
        }
    }
}

#endif
