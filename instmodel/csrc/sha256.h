/* sha256.h: SHA-256 of the chunks of a buffer, many of them at once on one core.
 *
 * Design
 * ------
 * A. The algorithm and its names are those of FIPS 180-4: state a … h, message schedule w,
 *    constants k. A stream waits for each round before it can go on, so one core does best when it
 *    works on several, side by side. Streams are chunks of the same length, hence in step: same
 *    blocks, same padding.
 * B. sha256.c cuts chunks into groups of streams, pads them, and writes the digests. What adds
 *    blocks to states is a function of sha256_<isa>.c, for a fixed number of streams each.
 * C. Where a CPU has no instructions for it, there is no function, and Python's hashlib does it
 *    all.
 */
#ifndef INSTMODEL_SHA256_H
#define INSTMODEL_SHA256_H

#include <stddef.h>
#include <stdint.h>

#include "compiler.h"
#include "kernels.h"

enum { IM_SHA256_BLOCK = 64, IM_SHA256_STREAMS = 16 }; /* bytes of a block; streams at the most */

/* Add `blocks` blocks to the states; stream s reads at data + s * stride. */
typedef void im_sha256_compress(uint32_t *states /* INOUT (streams, 8): a … h */,
                                const unsigned char *data /* IN */, size_t stride, size_t blocks);

typedef struct {
    int streams;
    im_sha256_compress *compress;
} im_sha256;

extern const uint32_t im_sha256_k[64];

im_sha256_compress im_sha256_shani_1, im_sha256_shani_2, im_sha256_shani_3, im_sha256_shani_4;
im_sha256_compress im_sha256_avx512;

/* dispatch.c: what was compiled, this CPU can run and goes with the chosen kernels: none with the
 * generic ones, AVX-512 only with those for it. Most streams first, down to one; NULL if there is
 * nothing. */
const im_sha256 *im_available_sha256(const im_kernels *chosen);

/* digests (number of chunks, 32): of data[0 … chunk), data[chunk … 2 chunk) …; the last chunk may
 * be shorter. chunk > 0. */
void im_sha256_chunks(const im_sha256 *functions, const unsigned char *data /* IN (size,) */,
                      size_t size, size_t chunk, unsigned char *digests /* OUT */);

#endif
