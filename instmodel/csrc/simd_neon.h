/* simd_neon.h: the vector primitives for AArch64 NEON, 4 lanes. What each one means is said in
 * simd_generic.h.
 *
 * One thing is not the same as on x86: with flush-to-zero, Arm decides before rounding whether a
 * result is a denormal, x86 after. A product, quotient or FMA whose exact value is just below
 * 2^-126 and would round up to it is 2^-126 on x86 and 0 here. vf_from_vd corrects that (so the
 * activations agree bit for bit); plain float32 arithmetic does not. docs/numerics.md says so. */
#ifndef INSTMODEL_SIMD_NEON_H
#define INSTMODEL_SIMD_NEON_H

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>

#include "compiler.h"

#define IM_W 4
#define IM_ISA_NAME "neon"

typedef float32x4_t vf;
typedef uint32x4_t vm; /* all ones or zero in each lane */
typedef struct {
    float64x2_t lo, hi;
} vd;
typedef struct {
    uint64x2_t lo, hi;
} vdm;

/* ---- float32: memory ---- */
IM_INLINE vf vf_load(const float *p) { return vld1q_f32(p); }
IM_INLINE void vf_store(float *p, vf a) { vst1q_f32(p, a); }
IM_INLINE vf vf_load_n(const float *p, int n)
{
    float t[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    for (int i = 0; i < n; i++) {
        t[i] = p[i];
    }
    return vld1q_f32(t);
}
IM_INLINE void vf_store_n(float *p, vf a, int n)
{
    float t[4];
    vst1q_f32(t, a);
    for (int i = 0; i < n; i++) {
        p[i] = t[i];
    }
}
IM_INLINE vf vf_set1(float a) { return vdupq_n_f32(a); }
IM_INLINE vf vf_zero(void) { return vdupq_n_f32(0.0f); }

/* ---- float32: arithmetic ---- */
IM_INLINE vf vf_add(vf a, vf b) { return vaddq_f32(a, b); }
IM_INLINE vf vf_sub(vf a, vf b) { return vsubq_f32(a, b); }
IM_INLINE vf vf_mul(vf a, vf b) { return vmulq_f32(a, b); }
IM_INLINE vf vf_div(vf a, vf b) { return vdivq_f32(a, b); }
IM_INLINE vf vf_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
IM_INLINE vf vf_sqrt(vf a) { return vsqrtq_f32(a); }

/* ---- float32: comparison and selection ---- */
IM_INLINE vm vf_lt(vf a, vf b) { return vcltq_f32(a, b); }
IM_INLINE vm vf_gt(vf a, vf b) { return vcgtq_f32(a, b); }
IM_INLINE vf vf_select(vm m, vf a, vf b) { return vbslq_f32(m, a, b); }
/* Not vmaxq: it orders -0 below +0. clang 14 makes just that of a comparison and a selection, so
 * the mask passes through an empty asm, which hides where it came from. */
IM_INLINE vf take_where(uint32x4_t m, vf b, vf x)
{
    __asm__("" : "+w"(m));
    return vbslq_f32(m, b, x);
}
IM_INLINE vf vf_max_keep(vf x, vf b) { return take_where(vcltq_f32(x, b), b, x); }
IM_INLINE vf vf_min_keep(vf x, vf b) { return take_where(vcgtq_f32(x, b), b, x); }

/* ---- float32: bits ---- */
IM_INLINE vf vf_abs(vf a)
{
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(a), vdupq_n_u32(0x7FFFFFFFu)));
}
IM_INLINE vf vf_copysign(vf a, vf s) { return vbslq_f32(vdupq_n_u32(0x80000000u), s, a); }
IM_INLINE vf vf_shift_to_exponent(vf a)
{
    return vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_f32(a), 23));
}
IM_INLINE vf vf_flush(vf a)
{
    const uint32x4_t u = vreinterpretq_u32_f32(a);
    const uint32x4_t normal = vtstq_u32(u, vdupq_n_u32(0x7F800000u));
    return vreinterpretq_f32_u32(vandq_u32(u, vorrq_u32(normal, vdupq_n_u32(0x80000000u))));
}
IM_INLINE vf vf_canonical_nan(vf a)
{
    return vbslq_f32(vceqq_f32(a, a), a, vreinterpretq_f32_u32(vdupq_n_u32(0x7FC00000u)));
}

IM_INLINE void vf_transpose(vf rows[IM_W])
{
    const float64x2_t a0 = vreinterpretq_f64_f32(vtrn1q_f32(rows[0], rows[1]));
    const float64x2_t a1 = vreinterpretq_f64_f32(vtrn2q_f32(rows[0], rows[1]));
    const float64x2_t a2 = vreinterpretq_f64_f32(vtrn1q_f32(rows[2], rows[3]));
    const float64x2_t a3 = vreinterpretq_f64_f32(vtrn2q_f32(rows[2], rows[3]));
    rows[0] = vreinterpretq_f32_f64(vtrn1q_f64(a0, a2));
    rows[1] = vreinterpretq_f32_f64(vtrn1q_f64(a1, a3));
    rows[2] = vreinterpretq_f32_f64(vtrn2q_f64(a0, a2));
    rows[3] = vreinterpretq_f32_f64(vtrn2q_f64(a1, a3));
}

/* ---- float64 ---- */
#define IM_VD2(f, a, b) ((vd){f((a).lo, (b).lo), f((a).hi, (b).hi)})

IM_INLINE vd vd_from_vf(vf a) { return (vd){vcvt_f64_f32(vget_low_f32(a)), vcvt_high_f64_f32(a)}; }
/* A value that rounds up to 2^-126 is made 2^-126 before Arm can flush it. */
IM_INLINE float64x2_t round_up_to_normal(float64x2_t a)
{
    const float64x2_t least = vdupq_n_f64(0x1p-126);
    const float64x2_t half = vdupq_n_f64(0x1.ffffffp-127); /* ties go to 2^-126 */
    const uint64x2_t sign = vdupq_n_u64(0x8000000000000000u);
    const uint64x2_t rounds_up = vandq_u64(vcageq_f64(a, half), vcaltq_f64(a, least));
    return vbslq_f64(vbicq_u64(rounds_up, sign), least, a);
}
IM_INLINE vf vf_from_vd(vd a)
{
    return vcvt_high_f32_f64(vcvt_f32_f64(round_up_to_normal(a.lo)), round_up_to_normal(a.hi));
}
IM_INLINE vd vd_set1(double a) { return (vd){vdupq_n_f64(a), vdupq_n_f64(a)}; }
IM_INLINE vd vd_zero(void) { return vd_set1(0.0); }
IM_INLINE vd vd_add(vd a, vd b) { return IM_VD2(vaddq_f64, a, b); }
IM_INLINE vd vd_sub(vd a, vd b) { return IM_VD2(vsubq_f64, a, b); }
IM_INLINE vd vd_mul(vd a, vd b) { return IM_VD2(vmulq_f64, a, b); }
IM_INLINE vd vd_div(vd a, vd b) { return IM_VD2(vdivq_f64, a, b); }
IM_INLINE vd vd_quotients(vd a, vd b) { return vd_div(a, b); }
IM_INLINE vd vd_fma(vd a, vd b, vd c)
{
    return (vd){vfmaq_f64(c.lo, a.lo, b.lo), vfmaq_f64(c.hi, a.hi, b.hi)};
}
IM_INLINE vdm vd_lt(vd a, vd b) { return (vdm){vcltq_f64(a.lo, b.lo), vcltq_f64(a.hi, b.hi)}; }
IM_INLINE vd vd_select(vdm m, vd a, vd b)
{
    return (vd){vbslq_f64(m.lo, a.lo, b.lo), vbslq_f64(m.hi, a.hi, b.hi)};
}

/* ---- float64: powers of two ---- */
IM_INLINE float64x2_t shift_to_exponent(float64x2_t a)
{
    return vreinterpretq_f64_u64(vshlq_n_u64(vreinterpretq_u64_f64(a), 52));
}
IM_INLINE vd vd_shift_to_exponent(vd a)
{
    return (vd){shift_to_exponent(a.lo), shift_to_exponent(a.hi)};
}
IM_INLINE float64x2_t scale_pow2(float64x2_t a, float64x2_t k)
{
    return vreinterpretq_f64_u64(
        vaddq_u64(vreinterpretq_u64_f64(a), vshlq_n_u64(vreinterpretq_u64_f64(k), 52)));
}
IM_INLINE vd vd_scale_pow2(vd a, vd k) { return IM_VD2(scale_pow2, a, k); }
IM_INLINE float64x2_t split_pow2(float64x2_t a, float64x2_t *m /* OUT */)
{
    const uint64x2_t u = vreinterpretq_u64_f64(a);
    const uint64x2_t t = vsubq_u64(u, vdupq_n_u64(0x3FE6A09E667F3BCDu));
    const uint64x2_t n = vshrq_n_u64(t, 52);
    *m = vreinterpretq_f64_u64(vsubq_u64(u, vshlq_n_u64(n, 52)));
    return vsubq_f64(vreinterpretq_f64_u64(vorrq_u64(n, vdupq_n_u64(0x4330000000000000u))),
                     vdupq_n_f64(0x1p52));
}
IM_INLINE vd vd_split_pow2(vd a, vd *m /* OUT */)
{
    vd n;
    n.lo = split_pow2(a.lo, &m->lo);
    n.hi = split_pow2(a.hi, &m->hi);
    return n;
}

#undef IM_VD2
#endif
