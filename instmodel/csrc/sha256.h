/* sha256.h: SHA-256 of the chunks of a buffer, several of them at once on one core.
 *
 * One stream waits for its own last round most of the time; streams that do not depend on each
 * other fill the gaps. Where a CPU has no instructions for it, Python's hashlib does the work.
 */
#ifndef INSTMODEL_SHA256_H
#define INSTMODEL_SHA256_H

#include <stddef.h>

enum { IM_SHA256_STREAMS = 4 };

/* digests (number of chunks, 32): of data[0 … chunk), data[chunk … 2 chunk) …; the last chunk may
 * be shorter. chunk > 0. */
typedef void im_sha256_chunks(const unsigned char *data /* IN (size,) */, size_t size, size_t chunk,
                              unsigned char *digests /* OUT */);

im_sha256_chunks im_sha256_chunks_shani;

/* dispatch.c: the fastest that was compiled and that this CPU can run, NULL if there is none. */
im_sha256_chunks *im_available_sha256(void);

#endif
