/* embedding.h: values of an embedding table for each sample of a tile. */
#ifndef INSTMODEL_EMBEDDING_H
#define INSTMODEL_EMBEDDING_H

#include "lookup.h"

/* The values of IM_W samples, each a row of `count` ≤ IM_W floats, become `count` vectors. */
IM_INLINE void embed_block(const float *const rows[IM_W] /* IN */, int64_t f, int count,
                           float *out /* OUT (count, T) */, int64_t T)
{
    vf block[IM_W];
    for (int i = 0; i < IM_W; i++) {
        block[i] = vf_load_n(rows[i] + f, count);
    }
    vf_transpose(block);
    for (int i = 0; i < count; i++) {
        vf_store(out + i * T, block[i]);
    }
}

static void map_transform(const im_map *map, const float *missing, const float *keys, float *out,
                          int64_t size, int64_t T)
{
    const int64_t lanes = T == 1 ? 1 : IM_W;
    const float *rows[IM_W];
    for (int64_t s = 0; s < T; s += lanes) {
        for (int64_t i = 0; i < lanes; i++) {
            const int64_t row = im_lookup(map, keys[s + i]);
            rows[i] = row < 0 ? missing : map->values + row * size;
        }
        if (T == 1 || size < IM_W / 4) { /* a transpose would move mostly nothing */
            for (int64_t i = 0; i < lanes; i++) {
                for (int64_t f = 0; f < size; f++) {
                    out[f * T + s + i] = rows[i][f];
                }
            }
            continue;
        }
        for (int64_t f = 0; f < size; f += IM_W) {
            const int count = size - f < IM_W ? (int)(size - f) : IM_W;
            embed_block(rows, f, count, out + f * T + s, T);
        }
    }
}

#endif
