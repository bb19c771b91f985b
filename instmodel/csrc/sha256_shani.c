/* sha256_shani.c: the rounds of SHA-256 with the SHA instructions of x86, up to four streams. */
#include <immintrin.h>

#include "sha256.h"

enum { IM_SHANI_STREAMS = 4 }; /* the most */

/* The number of streams is a constant in each copy: every loop over streams and rounds is unrolled,
 * and the arrays are registers. */
IM_INLINE void compress(uint32_t *states, const unsigned char *data, size_t stride, size_t blocks,
                        const int streams)
{
    const __m128i big_endian = _mm_set_epi64x(0x0C0D0E0F08090A0B, 0x0405060700010203);
    __m128i abef[IM_SHANI_STREAMS], cdgh[IM_SHANI_STREAMS]; /* named from the highest word down */
    IM_UNROLL
    for (int s = 0; s < streams; s++) {
        const int *const a = (const int *)(states + 8 * s);
        abef[s] = _mm_set_epi32(a[0], a[1], a[4], a[5]);
        cdgh[s] = _mm_set_epi32(a[2], a[3], a[6], a[7]);
    }
    for (; blocks > 0; blocks--, data += IM_SHA256_BLOCK) {
        __m128i abef_before[IM_SHANI_STREAMS], cdgh_before[IM_SHANI_STREAMS];
        /* The last 16 words of the schedule, in a circle of fours. */
        __m128i w[IM_SHANI_STREAMS][4];
        IM_UNROLL
        for (int s = 0; s < streams; s++) {
            abef_before[s] = abef[s];
            cdgh_before[s] = cdgh[s];
        }
        IM_UNROLL
        for (int t = 0; t < 16; t++) { /* rounds 4t … 4t + 3 */
            const __m128i k = _mm_loadu_si128((const __m128i *)im_sha256_k + t);
            IM_UNROLL
            for (int s = 0; s < streams; s++) {
                __m128i *const u = w[s];
                if (t < 4) {
                    const __m128i *const words = (const __m128i *)(data + (size_t)s * stride);
                    u[t] = _mm_shuffle_epi8(_mm_loadu_si128(words + t), big_endian);
                } else {
                    const __m128i w7 = _mm_alignr_epi8(u[(t + 3) % 4], u[(t + 2) % 4], 4);
                    const __m128i sum = _mm_sha256msg1_epu32(u[t % 4], u[(t + 1) % 4]);
                    u[t % 4] = _mm_sha256msg2_epu32(_mm_add_epi32(sum, w7), u[(t + 3) % 4]);
                }
                /* Two rounds make a b e f of what they were, and the old a b e f are c d g h. */
                const __m128i wk = _mm_add_epi32(u[t % 4], k);
                cdgh[s] = _mm_sha256rnds2_epu32(cdgh[s], abef[s], wk);
                abef[s] = _mm_sha256rnds2_epu32(abef[s], cdgh[s], _mm_unpackhi_epi64(wk, wk));
            }
        }
        IM_UNROLL
        for (int s = 0; s < streams; s++) {
            abef[s] = _mm_add_epi32(abef[s], abef_before[s]);
            cdgh[s] = _mm_add_epi32(cdgh[s], cdgh_before[s]);
        }
    }
    IM_UNROLL
    for (int s = 0; s < streams; s++) {
        __m128i *const a = (__m128i *)(states + 8 * s);
        const __m128i feba = _mm_shuffle_epi32(abef[s], 0x1B);
        const __m128i hgdc = _mm_shuffle_epi32(cdgh[s], 0x1B);
        _mm_storeu_si128(a, _mm_unpacklo_epi64(feba, hgdc));
        _mm_storeu_si128(a + 1, _mm_unpackhi_epi64(feba, hgdc));
    }
}

#define IM_COMPRESS(streams)                                                                       \
    void im_sha256_shani_##streams(uint32_t *states, const unsigned char *data, size_t stride,     \
                                   size_t blocks)                                                  \
    {                                                                                              \
        compress(states, data, stride, blocks, streams);                                           \
    }
IM_COMPRESS(1)
IM_COMPRESS(2)
IM_COMPRESS(3)
IM_COMPRESS(4)
