/* lookup.h: embedding tables. */
#ifndef INSTMODEL_LOOKUP_H
#define INSTMODEL_LOOKUP_H

#include <math.h>
#include <stdint.h>

#include "kernels.h"

/* Multiply-shift hashing with a random odd multiplier: no file can hold keys that collide. */
static inline uint32_t im_hash(int32_t key, uint64_t multiplier, int64_t bits)
{
    return (uint32_t)(((uint64_t)(int64_t)key * multiplier) >> (64 - bits));
}

/* Put row i under keys[i]. slots (1 << bits, 2) must hold row -1 everywhere and more slots than
 * keys; keys are distinct; 1 ≤ bits < 32. */
static inline void im_hash_build(const int32_t *keys /* IN (n,) */, int64_t n,
                                 int32_t *slots /* INOUT */, uint64_t multiplier, int64_t bits)
{
    const uint32_t mask = (uint32_t)(((uint64_t)1 << bits) - 1);
    for (int64_t i = 0; i < n; i++) {
        uint32_t slot = im_hash(keys[i], multiplier, bits);
        while (slots[2 * (size_t)slot + 1] >= 0) {
            slot = (slot + 1) & mask;
        }
        slots[2 * (size_t)slot] = keys[i];
        slots[2 * (size_t)slot + 1] = (int32_t)i;
    }
}

/* The row of a value rounded half away from zero, or -1. */
static inline int64_t im_lookup(const im_map *map, float value)
{
    /* 2^31 is exact in float32; NaN fails both comparisons. */
    if (!(value >= -2147483648.0f && value < 2147483648.0f)) {
        return -1;
    }
    /* The largest float32 below 0.5: a sum with 0.5 itself could round up to the next integer. */
    const int32_t key = (int32_t)(value + copysignf(0x1.fffffep-2f, value)); /* towards zero */
    if (map->span) {
        const uint64_t place = (uint64_t)((int64_t)key - map->first_key);
        return place < (uint64_t)map->span ? map->index[place] : -1;
    }
    if (!map->slots) {
        return -1;
    }
    const uint32_t mask = (uint32_t)(((uint64_t)1 << map->bits) - 1);
    uint32_t slot = im_hash(key, map->multiplier, map->bits);
    for (;;) {
        const int32_t *entry = map->slots + 2 * (size_t)slot;
        if (entry[1] < 0 || entry[0] == key) {
            return entry[1];
        }
        slot = (slot + 1) & mask;
    }
}

#endif
