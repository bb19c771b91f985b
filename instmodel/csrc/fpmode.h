/* fpmode.h: the floating-point mode in which kernels run, and back.
 *
 * Round to nearest, denormals flushed on the way in and out (a subnormal quotient costs fourteen
 * times a normal one), no traps: whatever mode the caller had, the bits are the same. The caller's
 * mode comes back whole, sticky exception flags included.
 */
#ifndef INSTMODEL_FPMODE_H
#define INSTMODEL_FPMODE_H

#include <stdint.h>

#if defined(__SSE2__) || defined(_M_X64)
#include <xmmintrin.h>

#define IM_MODE_FLUSHES 1
/* all exceptions masked, round to nearest, flush to zero (bit 15), denormals are zero (bit 6) */
enum { IM_MXCSR = 0x1F80 | 0x8000 | 0x0040 };

static inline uint64_t im_fp_read(void) { return _mm_getcsr(); }
static inline uint64_t im_fp_enter(void)
{
    const unsigned int before = _mm_getcsr();
    _mm_setcsr(IM_MXCSR);
    return before;
}
static inline void im_fp_leave(uint64_t before) { _mm_setcsr((unsigned int)before); }

#elif defined(__aarch64__)

#define IM_MODE_FLUSHES 1
/* FZ (bit 24); round to nearest, no traps, NaN payloads propagate */
enum { IM_FPCR = 1 << 24 };

static inline uint64_t im_fp_read(void)
{
    uint64_t mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
}
static inline void im_fp_write(uint64_t mode) { __asm__ volatile("msr fpcr, %0" ::"r"(mode)); }
static inline uint64_t im_fp_enter(void)
{
    const uint64_t before = im_fp_read();
    im_fp_write(IM_FPCR);
    return before;
}
static inline void im_fp_leave(uint64_t before) { im_fp_write(before); }

#else

/* No such mode that we know of: denormals are computed with. */
#define IM_MODE_FLUSHES 0
static inline uint64_t im_fp_read(void) { return 0; }
static inline uint64_t im_fp_enter(void) { return 0; }
static inline void im_fp_leave(uint64_t before) { (void)before; }

#endif
#endif
