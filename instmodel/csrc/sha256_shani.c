/* sha256_shani.c: SHA-256 with the SHA instructions of x86, up to four streams side by side.
 *
 * Design
 * ------
 * A. The algorithm and its names are those of FIPS 180-4: state a … h, message schedule W, constants
 *    K. `sha256rnds2` makes two rounds; a stream waits for the result before it can go on. The
 *    rounds of the other streams fill that time.
 * B. The streams are chunks of the same length, hence in step: same blocks, same padding.
 * C. The number of streams is a constant in each copy of `compress`: every loop over streams and
 *    groups of rounds is unrolled, and the arrays are registers.
 */
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "sha256.h"

#if defined(__clang__)
#define IM_UNROLL _Pragma("unroll")
#else
#define IM_UNROLL _Pragma("GCC unroll 16")
#endif

enum { STREAMS = IM_SHA256_STREAMS, BLOCK = 64 };

/* Named from the highest word down: f and h are in the lowest. */
typedef struct {
    __m128i abef, cdgh;
} state;

static const uint32_t K[64] __attribute__((aligned(16))) = {
    0x428A2F98, 0x71374491, 0xB5C0FBCF, 0xE9B5DBA5, 0x3956C25B, 0x59F111F1, 0x923F82A4, 0xAB1C5ED5,
    0xD807AA98, 0x12835B01, 0x243185BE, 0x550C7DC3, 0x72BE5D74, 0x80DEB1FE, 0x9BDC06A7, 0xC19BF174,
    0xE49B69C1, 0xEFBE4786, 0x0FC19DC6, 0x240CA1CC, 0x2DE92C6F, 0x4A7484AA, 0x5CB0A9DC, 0x76F988DA,
    0x983E5152, 0xA831C66D, 0xB00327C8, 0xBF597FC7, 0xC6E00BF3, 0xD5A79147, 0x06CA6351, 0x14292967,
    0x27B70A85, 0x2E1B2138, 0x4D2C6DFC, 0x53380D13, 0x650A7354, 0x766A0ABB, 0x81C2C92E, 0x92722C85,
    0xA2BFE8A1, 0xA81A664B, 0xC24B8B70, 0xC76C51A3, 0xD192E819, 0xD6990624, 0xF40E3585, 0x106AA070,
    0x19A4C116, 0x1E376C08, 0x2748774C, 0x34B0BCB5, 0x391C0CB3, 0x4ED8AA4A, 0x5B9CCA4F, 0x682E6FF3,
    0x748F82EE, 0x78A5636F, 0x84C87814, 0x8CC70208, 0x90BEFFFA, 0xA4506CEB, 0xBEF9A3F7, 0xC67178F2,
};

static const state START = {
    .abef = {0x510E527F9B05688C, 0x6A09E667BB67AE85},
    .cdgh = {0x1F83D9AB5BE0CD19, 0x3C6EF372A54FF53A},
};

/* Add `blocks` blocks to the states; stream s reads at data + s * stride. */
static inline __attribute__((always_inline)) void
compress(state *states /* INOUT (streams,) */, const unsigned char *data /* IN */, size_t stride,
         size_t blocks, const int streams)
{
    const __m128i big_endian = _mm_set_epi64x(0x0C0D0E0F08090A0B, 0x0405060700010203);
    const __m128i *const k = (const __m128i *)K;
    state now[STREAMS];
    IM_UNROLL
    for (int s = 0; s < streams; s++) {
        now[s] = states[s];
    }
    for (; blocks > 0; blocks--, data += BLOCK) {
        state before[STREAMS];
        __m128i w[STREAMS][4]; /* the last 16 words of the schedule, in a circle of fours */
        IM_UNROLL
        for (int s = 0; s < streams; s++) {
            before[s] = now[s];
        }
        IM_UNROLL
        for (int t = 0; t < 16; t++) { /* rounds 4t … 4t + 3 */
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
                const __m128i wk = _mm_add_epi32(u[t % 4], k[t]);
                /* Two rounds make a b e f of what they were, and the old a b e f are c d g h. */
                now[s].cdgh = _mm_sha256rnds2_epu32(now[s].cdgh, now[s].abef, wk);
                now[s].abef = _mm_sha256rnds2_epu32(now[s].abef, now[s].cdgh,
                                                    _mm_unpackhi_epi64(wk, wk));
            }
        }
        IM_UNROLL
        for (int s = 0; s < streams; s++) {
            now[s].abef = _mm_add_epi32(now[s].abef, before[s].abef);
            now[s].cdgh = _mm_add_epi32(now[s].cdgh, before[s].cdgh);
        }
    }
    IM_UNROLL
    for (int s = 0; s < streams; s++) {
        states[s] = now[s];
    }
}

typedef void compressor(state *states, const unsigned char *data, size_t stride, size_t blocks);

#define IM_COMPRESS(streams)                                                                     \
    static void compress_##streams(state *states, const unsigned char *data, size_t stride,      \
                                   size_t blocks)                                                \
    {                                                                                            \
        compress(states, data, stride, blocks, streams);                                         \
    }
IM_COMPRESS(1)
IM_COMPRESS(2)
IM_COMPRESS(3)
IM_COMPRESS(4)

static compressor *const COMPRESS[] = {NULL, compress_1, compress_2, compress_3, compress_4};

/* Hash 1 … STREAMS streams of `length` bytes, the next one `stride` bytes after the last. */
static void hash(const unsigned char *data /* IN */, size_t stride, size_t length, int streams,
                 unsigned char *digests /* OUT (streams, 32) */)
{
    const __m128i reverse = _mm_set_epi64x(0x0001020304050607, 0x08090A0B0C0D0E0F);
    const size_t rest = length % BLOCK;
    const size_t padded = rest + 9 <= BLOCK ? BLOCK : 2 * BLOCK; /* 0x80, zeros, 8 bytes of length */
    state states[STREAMS];
    unsigned char tails[STREAMS][2 * BLOCK] = {{0}};
    for (int s = 0; s < streams; s++) {
        states[s] = START;
        memcpy(tails[s], data + (size_t)s * stride + length - rest, rest);
        tails[s][rest] = 0x80;
        for (int i = 0; i < 8; i++) {
            tails[s][padded - 1 - i] = (unsigned char)((uint64_t)length * 8 >> 8 * i);
        }
    }
    COMPRESS[streams](states, data, stride, length / BLOCK);
    COMPRESS[streams](states, tails[0], sizeof tails[0], padded / BLOCK);
    for (int s = 0; s < streams; s++) {
        const __m128i dcba = _mm_unpackhi_epi64(states[s].cdgh, states[s].abef);
        const __m128i hgfe = _mm_unpacklo_epi64(states[s].cdgh, states[s].abef);
        __m128i *const digest = (__m128i *)(digests + 32 * s);
        _mm_storeu_si128(digest, _mm_shuffle_epi8(dcba, reverse));
        _mm_storeu_si128(digest + 1, _mm_shuffle_epi8(hgfe, reverse));
    }
}

void im_sha256_chunks_shani(const unsigned char *data, size_t size, size_t chunk,
                            unsigned char *digests)
{
    while (size > 0) {
        const size_t whole = size / chunk;
        const int streams = whole == 0 ? 1 : whole < STREAMS ? (int)whole : STREAMS;
        const size_t length = whole == 0 ? size : chunk;
        hash(data, chunk, length, streams, digests);
        data += (size_t)streams * length;
        size -= (size_t)streams * length;
        digests += 32 * streams;
    }
}
