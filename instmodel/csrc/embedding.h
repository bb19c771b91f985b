/* embedding.h: values of an embedding table for each sample of a tile. */
#ifndef INSTMODEL_EMBEDDING_H
#define INSTMODEL_EMBEDDING_H

#include "lookup.h"

/* IM_W floats of IM_W rows become IM_W vectors; see load_square for why it is not inlined. */
IM_NOINLINE static void embed_square(const float *const *rows /* IN (IM_W,) of (IM_W,) */,
                                     float *out /* OUT (IM_W, T) */, int64_t T)
{
    vf block[IM_W];
    IM_UNROLL
    for (int i = 0; i < IM_W; i++) {
        block[i] = vf_load(rows[i]);
    }
    vf_transpose(block);
    IM_UNROLL
    for (int i = 0; i < IM_W; i++) {
        vf_store(out, block[i]);
        out += T;
    }
}

static void embed_part(const float *const *rows, int count, float *out /* OUT (count, T) */,
                       int64_t T)
{
    vf block[IM_W];
    for (int i = 0; i < IM_W; i++) {
        block[i] = vf_load_n(rows[i], count);
    }
    vf_transpose(block);
    for (int i = 0; i < count; i++) {
        vf_store(out + i * T, block[i]);
    }
}

/* Rows of many samples are looked up before the first of their values is needed, so that the caches
 * fetch many at once. */
static void map_transform(const im_map *map, const float *missing, const float *keys, float *out,
                          int64_t size, int64_t T)
{
    const float *rows[IM_LOOKUPS];
    for (int64_t s = 0; s < T; s += IM_LOOKUPS) {
        const int64_t samples = T - s < IM_LOOKUPS ? T - s : IM_LOOKUPS;
        int32_t found[IM_LOOKUPS];
        im_find_rows(map, keys + s, samples, found);
        for (int64_t i = 0; i < samples; i++) {
            rows[i] = found[i] < 0 ? missing : map->values + found[i] * size;
            IM_PREFETCH(rows[i]);
        }
        int64_t f = 0;
        for (; T > 1 && f + IM_W <= size; f += IM_W) {
            for (int64_t i = 0; i < samples; i += IM_W) {
                embed_square(rows + i, out + f * T + s + i, T);
            }
            for (int64_t i = 0; i < samples; i++) {
                rows[i] += IM_W;
            }
        }
        if (T > 1 && size - f >= IM_W / 4) {
            for (int64_t i = 0; i < samples; i += IM_W) {
                embed_part(rows + i, (int)(size - f), out + f * T + s + i, T);
            }
            continue;
        }
        /* A transpose would move mostly nothing. */
        for (int64_t i = 0; i < samples; i++) {
            for (int64_t j = f; j < size; j++) {
                out[j * T + s + i] = rows[i][j - f];
            }
        }
    }
}

#endif
