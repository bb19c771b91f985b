/* sha256_avx512.c: the rounds of SHA-256 with AVX-512. A lane is a stream, sixteen of them. */
#include "simd_avx512.h"

#include "sha256.h"

typedef __m512i vu; /* a 32-bit word of each stream */

IM_INLINE vu add(vu a, vu b) { return _mm512_add_epi32(a, b); }
IM_INLINE vu xor3(vu a, vu b, vu c) { return _mm512_ternarylogic_epi32(a, b, c, 0x96); }
IM_INLINE vu choose(vu a, vu b, vu c) { return _mm512_ternarylogic_epi32(a, b, c, 0xCA); }
IM_INLINE vu majority(vu a, vu b, vu c) { return _mm512_ternarylogic_epi32(a, b, c, 0xE8); }
#define IM_ROTATE(x, n) _mm512_ror_epi32(x, n)
#define IM_SHIFT(x, n) _mm512_srli_epi32(x, n)

/* Sixteen rounds; with `more`, the next 16 words of the schedule take the place of those used.
 * After round i, the old a … g are b … h: their places turn, the values stay. */
IM_INLINE void rounds(vu state[8] /* INOUT */, vu w[16] /* INOUT */, const uint32_t *k,
                      const int more)
{
    IM_UNROLL
    for (int i = 0; i < 16; i++) {
        vu *const d = &state[(3 - i) & 7], *const h = &state[(7 - i) & 7];
        const vu a = state[-i & 7], b = state[(1 - i) & 7], c = state[(2 - i) & 7];
        const vu e = state[(4 - i) & 7], f = state[(5 - i) & 7], g = state[(6 - i) & 7];
        const vu early = add(add(w[i], _mm512_set1_epi32((int)k[i])), *h);
        const vu late =
            add(xor3(IM_ROTATE(e, 6), IM_ROTATE(e, 11), IM_ROTATE(e, 25)), choose(e, f, g));
        const vu t2 =
            add(xor3(IM_ROTATE(a, 2), IM_ROTATE(a, 13), IM_ROTATE(a, 22)), majority(a, b, c));
        /* T1 is early + late; what is there early is added first, as the next round waits. */
        *d = add(add(*d, early), late);
        *h = add(add(early, t2), late);
        if (more) {
            const vu w2 = w[(i + 14) % 16], w15 = w[(i + 1) % 16];
            const vu sigma1 = xor3(IM_ROTATE(w2, 17), IM_ROTATE(w2, 19), IM_SHIFT(w2, 10));
            const vu sigma0 = xor3(IM_ROTATE(w15, 7), IM_ROTATE(w15, 18), IM_SHIFT(w15, 3));
            w[i] = add(add(w[i], w[(i + 9) % 16]), add(sigma0, sigma1));
        }
    }
}

void im_sha256_avx512(uint32_t *states, const unsigned char *data, size_t stride, size_t blocks)
{
    const vu big_endian =
        _mm512_broadcast_i32x4(_mm_set_epi64x(0x0C0D0E0F08090A0B, 0x0405060700010203));
    const vu streams = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    const vu places = _mm512_slli_epi32(streams, 3);
    vu before[8], state[8];
    for (int i = 0; i < 8; i++) {
        before[i] = _mm512_i32gather_epi32(places, states + i, 4);
    }
    for (; blocks > 0; blocks--, data += IM_SHA256_BLOCK) {
        vu w[16];
        vf rows[16];
        IM_UNROLL
        for (int s = 0; s < 16; s++) {
            const vu words = _mm512_loadu_si512(data + (size_t)s * stride);
            rows[s] = _mm512_castsi512_ps(_mm512_shuffle_epi8(words, big_endian));
        }
        vf_transpose(rows);
        IM_UNROLL
        for (int i = 0; i < 16; i++) {
            w[i] = _mm512_castps_si512(rows[i]);
        }
        IM_UNROLL
        for (int i = 0; i < 8; i++) {
            state[i] = before[i];
        }
        for (const uint32_t *k = im_sha256_k; k < im_sha256_k + 48; k += 16) {
            rounds(state, w, k, 1);
        }
        rounds(state, w, im_sha256_k + 48, 0);
        IM_UNROLL
        for (int i = 0; i < 8; i++) {
            before[i] = add(before[i], state[i]);
        }
    }
    for (int i = 0; i < 8; i++) {
        _mm512_i32scatter_epi32(states + i, places, before[i], 4);
    }
}
