/* simd_generic.h: the vector primitives for one lane, in plain standard C.
 *
 * Design
 * ------
 * a. The kernels are written once over the primitives below and compiled once per instruction set:
 *    kernels_<isa>.c includes one of simd_generic.h, simd_avx2.h, simd_avx512.h, simd_neon.h and
 *    then the templates. This file is also the definition of every primitive: the other three must
 *    give the same bits, lane by lane.
 * b. Types: `vf` is IM_W float32 lanes; `vd` is the same IM_W lanes in float64; `vm` and `vdm` are
 *    the lane masks of vf and vd.
 * c. The caller has set round-to-nearest and denormals-are-zero/flush-to-zero. Primitives that move
 *    or select bits (load, store, select, min_keep, max_keep, abs, copysign) are not a way to flush
 *    a denormal, and what they do with one is not defined: vf_flush makes it zero, by integer
 *    operations, and is applied where inputs are read. After that arithmetic cannot bring one back.
 * d. A comparison with NaN is false.
 * e. Every operation rounds once and correctly (IEEE 754), so no primitive may be an estimate
 *    instruction (rcpps, rsqrtps, vrecpe). vd_quotients is made of several operations.
 *
 * Generic: without hardware FMA, fmaf() and fma() are slow library calls, with the same bits.
 * Selections are done on the bits so that no compiler turns them into a branch on data.
 */
#ifndef INSTMODEL_SIMD_GENERIC_H
#define INSTMODEL_SIMD_GENERIC_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "compiler.h"

#define IM_W 1
#define IM_ISA_NAME "generic"
#if defined(__GNUC__)
/* clang 14 for Arm makes fmax of "x < b ? b : x", which is +0 for x = -0 and b = +0. An empty asm
 * hides where the mask came from. */
#define IM_HIDE(mask) __asm__("" : "+r"(mask))
#else
#define IM_HIDE(mask) (void)(mask)
#endif

typedef float vf;
typedef double vd;
typedef uint32_t vm;  /* all ones or zero */
typedef uint64_t vdm; /* all ones or zero */

IM_INLINE uint32_t bits32(float a)
{
    uint32_t u;
    memcpy(&u, &a, sizeof u);
    return u;
}
IM_INLINE float float32(uint32_t u)
{
    float a;
    memcpy(&a, &u, sizeof a);
    return a;
}
IM_INLINE uint64_t bits64(double a)
{
    uint64_t u;
    memcpy(&u, &a, sizeof u);
    return u;
}
IM_INLINE double float64(uint64_t u)
{
    double a;
    memcpy(&a, &u, sizeof a);
    return a;
}

/* ---- float32: memory. Any alignment; the _n forms touch the first n lanes only, 0 <= n <= IM_W,
 * and vf_load_n puts 0 into the rest. ---- */
IM_INLINE vf vf_load(const float *p) { return *p; }
IM_INLINE void vf_store(float *p, vf a) { *p = a; }
IM_INLINE vf vf_load_n(const float *p, int n) { return n > 0 ? *p : 0.0f; }
IM_INLINE void vf_store_n(float *p, vf a, int n)
{
    if (n > 0) {
        *p = a;
    }
}
IM_INLINE vf vf_set1(float a) { return a; }
IM_INLINE vf vf_zero(void) { return 0.0f; }

/* ---- float32: arithmetic ---- */
IM_INLINE vf vf_add(vf a, vf b) { return a + b; }
IM_INLINE vf vf_sub(vf a, vf b) { return a - b; }
IM_INLINE vf vf_mul(vf a, vf b) { return a * b; }
IM_INLINE vf vf_div(vf a, vf b) { return a / b; }
IM_INLINE vf vf_fma(vf a, vf b, vf c) { return fmaf(a, b, c); } /* a*b + c */
IM_INLINE vf vf_sqrt(vf a) { return sqrtf(a); }

/* ---- float32: comparison and selection ---- */
IM_INLINE vm vf_lt(vf a, vf b) { return (vm)0 - (vm)(a < b); }
IM_INLINE vm vf_gt(vf a, vf b) { return (vm)0 - (vm)(a > b); }
IM_INLINE vf vf_select(vm m, vf a, vf b) /* m ? a : b */
{
    return float32((bits32(a) & m) | (bits32(b) & ~m));
}
/* x < b ? b : x: a NaN in x stays, of two zeros x stays. Where b is NaN, x stays, too. */
IM_INLINE vf vf_max_keep(vf x, vf b)
{
    vm m = vf_lt(x, b);
    IM_HIDE(m);
    return vf_select(m, b, x);
}
/* x > b ? b : x: likewise. */
IM_INLINE vf vf_min_keep(vf x, vf b)
{
    vm m = vf_gt(x, b);
    IM_HIDE(m);
    return vf_select(m, b, x);
}

/* ---- float32: bits ---- */
IM_INLINE vf vf_abs(vf a) { return float32(bits32(a) & 0x7FFFFFFFu); }
/* |a| with the sign of s. */
IM_INLINE vf vf_copysign(vf a, vf s)
{
    return float32((bits32(a) & 0x7FFFFFFFu) | (bits32(s) & 0x80000000u));
}
/* The low 9 bits as sign and exponent of a number whose other bits are 0. */
IM_INLINE vf vf_shift_to_exponent(vf a) { return float32(bits32(a) << 23); }
/* Denormals become zero of the same sign, in any mode of the CPU. */
IM_INLINE vf vf_flush(vf a)
{
    uint32_t u = bits32(a);
    uint32_t tiny = (uint32_t)0 - (uint32_t)((u & 0x7F800000u) == 0);
    return float32(u & ~(tiny & 0x7FFFFFFFu));
}
/* Every NaN becomes 0x7FC00000. */
IM_INLINE vf vf_canonical_nan(vf a)
{
    uint32_t u = bits32(a);
    uint32_t nan = (uint32_t)0 - (uint32_t)((u & 0x7FFFFFFFu) > 0x7F800000u);
    return float32((u & ~nan) | (0x7FC00000u & nan));
}

/* INOUT rows: IM_W vectors; lane j of rows[i] trades places with lane i of rows[j]. */
IM_INLINE void vf_transpose(vf rows[IM_W]) { (void)rows; }

/* ---- float64 ---- */
IM_INLINE vd vd_from_vf(vf a) { return (double)a; }
/* Rounds once. A denormal result is flushed; whether it is one is decided after rounding to 24
 * bits, as x86 does. Arm decides before, so a value that rounds up to 2^-126 (a tie does) is made
 * 2^-126 here. */
IM_INLINE vf vf_from_vd(vd a)
{
    const uint64_t least = 0x3810000000000000u; /* 2^-126 */
    const uint64_t half = 0x380FFFFFF0000000u;  /* 2^-126 - 2^-151 */
    const uint64_t size = bits64(a) & 0x7FFFFFFFFFFFFFFFu;
    const uint64_t rounds_up = (uint64_t)0 - (uint64_t)(size - half < least - half);
    return (float)float64(bits64(a) + ((least - size) & rounds_up));
}
IM_INLINE vd vd_set1(double a) { return a; }
IM_INLINE vd vd_zero(void) { return 0.0; }
IM_INLINE vd vd_add(vd a, vd b) { return a + b; }
IM_INLINE vd vd_sub(vd a, vd b) { return a - b; }
IM_INLINE vd vd_mul(vd a, vd b) { return a * b; }
IM_INLINE vd vd_div(vd a, vd b) { return a / b; }
IM_INLINE vd vd_fma(vd a, vd b, vd c) { return fma(a, b, c); } /* a*b + c */
/* a / b but for an error of 2^-51 of it, for b, and a unless it is 0, between 2^-200 and 2^200. The
 * one primitive of which instruction sets make different bits, in which a lane may even see
 * another: who takes it shows that the float32 in the end is the same
 * (tests/csrc/quotient_margins.c). */
IM_INLINE vd vd_quotients(vd a, vd b) { return a / b; }
IM_INLINE vdm vd_lt(vd a, vd b) { return (vdm)0 - (vdm)(a < b); }
IM_INLINE vd vd_select(vdm m, vd a, vd b) { return float64((bits64(a) & m) | (bits64(b) & ~m)); }

/* ---- float64: powers of two, by integer operations on the bits ---- */

/* The low 12 bits as sign and exponent of a number whose other bits are 0. */
IM_INLINE vd vd_shift_to_exponent(vd a) { return float64(bits64(a) << 52); }
/* a * 2^n, where k = n + 1.5 * 2^52, so that the low bits of k hold n. Exact as long as a and the
 * result are normal numbers. A NaN in both stays NaN if the low 12 bits of k's payload are 0, as in
 * every NaN that came from a float32. */
IM_INLINE vd vd_scale_pow2(vd a, vd k) { return float64(bits64(a) + (bits64(k) << 52)); }
/* Returns n, an integer, and sets *m, such that a = *m * 2^n and sqrt(1/2) <= *m < sqrt(2) (to the
 * rounding of those bounds). a >= 1 and finite. */
IM_INLINE vd vd_split_pow2(vd a, vd *m /* OUT */)
{
    uint64_t t = bits64(a) - 0x3FE6A09E667F3BCDu;
    *m = float64(bits64(a) - (t & 0xFFF0000000000000u));
    return float64((t >> 52) | 0x4330000000000000u) - 0x1p52;
}

#endif
