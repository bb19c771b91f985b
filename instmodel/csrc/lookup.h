/* lookup.h: embedding tables. */
#ifndef INSTMODEL_LOOKUP_H
#define INSTMODEL_LOOKUP_H

#include <math.h>
#include <stddef.h>
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

/* Values rounded half away from zero. What is no int32, NaN too, gets any key and `known` 0. */
static inline void im_round_keys(const float *values /* IN (n,) */, int64_t n,
                                 int32_t *keys /* OUT (n,) */, int32_t *known /* OUT (n,) */)
{
    for (int64_t i = 0; i < n; i++) { /* the compiler makes vectors of this */
        const float value = values[i];
        /* 2^31 is exact in float32; NaN fails both comparisons. */
        known[i] = (value >= -2147483648.0f) & (value < 2147483648.0f);
        /* The largest float32 below 0.5: a sum with 0.5 could round up to the next integer. */
        const float moved = value + copysignf(0x1.fffffep-2f, value);
        keys[i] = (int32_t)(known[i] ? moved : 0.0f); /* towards zero */
    }
}

static inline int32_t im_hash_row(const im_map *map, int32_t key)
{
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

/* Most values that im_find_rows takes at a time. */
enum { IM_LOOKUPS = 64 };

/* The rows of values, or -1. */
static inline void im_find_rows(const im_map *map, const float *values /* IN (n,) */, int64_t n,
                                int32_t *rows /* OUT (n,), n ≤ IM_LOOKUPS */)
{
    int32_t keys[IM_LOOKUPS];
    int32_t known[IM_LOOKUPS];
    const uint32_t first = (uint32_t)map->first_key;
    const uint32_t span = (uint32_t)map->span;
    im_round_keys(values, n, keys, known);
    if (map->slots) {
        for (int64_t i = 0; i < n; i++) {
            rows[i] = known[i] ? im_hash_row(map, keys[i]) : -1;
        }
    } else if (map->index) {
        for (int64_t i = 0; i < n; i++) {
            const uint32_t place = (uint32_t)keys[i] - first;
            rows[i] = known[i] && place < span ? map->index[place] : -1;
        }
    } else {
        for (int64_t i = 0; i < n; i++) { /* the compiler makes vectors of this, too */
            const uint32_t place = (uint32_t)keys[i] - first;
            rows[i] = (known[i] & (place < span)) ? (int32_t)place : -1;
        }
    }
}

#endif
