/* sha256.c: everything of SHA-256 but the rounds: constants, padding, groups of streams. */
#include "sha256.h"

#include <string.h>

const uint32_t im_sha256_k[64] = {
    0x428A2F98, 0x71374491, 0xB5C0FBCF, 0xE9B5DBA5, 0x3956C25B, 0x59F111F1, 0x923F82A4, 0xAB1C5ED5,
    0xD807AA98, 0x12835B01, 0x243185BE, 0x550C7DC3, 0x72BE5D74, 0x80DEB1FE, 0x9BDC06A7, 0xC19BF174,
    0xE49B69C1, 0xEFBE4786, 0x0FC19DC6, 0x240CA1CC, 0x2DE92C6F, 0x4A7484AA, 0x5CB0A9DC, 0x76F988DA,
    0x983E5152, 0xA831C66D, 0xB00327C8, 0xBF597FC7, 0xC6E00BF3, 0xD5A79147, 0x06CA6351, 0x14292967,
    0x27B70A85, 0x2E1B2138, 0x4D2C6DFC, 0x53380D13, 0x650A7354, 0x766A0ABB, 0x81C2C92E, 0x92722C85,
    0xA2BFE8A1, 0xA81A664B, 0xC24B8B70, 0xC76C51A3, 0xD192E819, 0xD6990624, 0xF40E3585, 0x106AA070,
    0x19A4C116, 0x1E376C08, 0x2748774C, 0x34B0BCB5, 0x391C0CB3, 0x4ED8AA4A, 0x5B9CCA4F, 0x682E6FF3,
    0x748F82EE, 0x78A5636F, 0x84C87814, 0x8CC70208, 0x90BEFFFA, 0xA4506CEB, 0xBEF9A3F7, 0xC67178F2,
};

static const uint32_t initial[8] = {0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
                                    0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19};

static void store_big_endian(unsigned char *p, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) {
        p[i] = (unsigned char)(value >> 8 * (bytes - 1 - i));
    }
}

/* Hash as many streams of `length` bytes as `f` takes, each `stride` bytes after the one before. */
static void hash(const im_sha256 *f, const unsigned char *data /* IN */, size_t stride,
                 size_t length, unsigned char *digests /* OUT (streams, 32) */)
{
    enum { block = IM_SHA256_BLOCK };
    const size_t rest = length % block;
    const size_t padded = rest + 9 <= block ? block : 2 * block; /* 0x80, zeros, bits as uint64 */
    uint32_t states[IM_SHA256_STREAMS][8];
    unsigned char tails[IM_SHA256_STREAMS][2 * block];
    for (int s = 0; s < f->streams; s++) {
        memcpy(states[s], initial, sizeof initial);
        memset(tails[s], 0, sizeof tails[s]);
        memcpy(tails[s], data + (size_t)s * stride + length - rest, rest);
        tails[s][rest] = 0x80;
        store_big_endian(tails[s] + padded - 8, (uint64_t)length * 8, 8);
    }
    f->compress(states[0], data, stride, length / block);
    f->compress(states[0], tails[0], sizeof tails[0], padded / block);
    for (int s = 0; s < f->streams; s++) {
        for (int i = 0; i < 8; i++) {
            store_big_endian(digests + 32 * s + 4 * i, states[s][i], 4);
        }
    }
}

void im_sha256_chunks(const im_sha256 *functions, const unsigned char *data, size_t size,
                      size_t chunk, unsigned char *digests)
{
    while (size > 0) {
        const size_t length = size < chunk ? size : chunk;
        const im_sha256 *f = functions;
        while ((size_t)f->streams > size / length) {
            f++;
        }
        hash(f, data, length, length, digests);
        data += (size_t)f->streams * length;
        size -= (size_t)f->streams * length;
        digests += 32 * f->streams;
    }
}
