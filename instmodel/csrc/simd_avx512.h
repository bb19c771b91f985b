/* simd_avx512.h: the vector primitives for AVX-512 (F, DQ, BW, VL), 16 lanes. What each one means
 * is said in simd_generic.h. */
#ifndef INSTMODEL_SIMD_AVX512_H
#define INSTMODEL_SIMD_AVX512_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "compiler.h"

#define IM_W 16
#define IM_ISA_NAME "avx512"

typedef __m512 vf;
typedef __mmask16 vm;
typedef struct {
    __m512d lo, hi;
} vd;
typedef struct {
    __mmask8 lo, hi;
} vdm;

/* ---- float32: memory ---- */
IM_INLINE vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
IM_INLINE void vf_store(float *p, vf a) { _mm512_storeu_ps(p, a); }
IM_INLINE __mmask16 first_lanes(int n) { return (__mmask16)((1u << n) - 1u); }
IM_INLINE vf vf_load_n(const float *p, int n) { return _mm512_maskz_loadu_ps(first_lanes(n), p); }
IM_INLINE void vf_store_n(float *p, vf a, int n) { _mm512_mask_storeu_ps(p, first_lanes(n), a); }
IM_INLINE vf vf_set1(float a) { return _mm512_set1_ps(a); }
IM_INLINE vf vf_zero(void) { return _mm512_setzero_ps(); }

/* ---- float32: arithmetic ---- */
IM_INLINE vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
IM_INLINE vf vf_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
IM_INLINE vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
IM_INLINE vf vf_div(vf a, vf b) { return _mm512_div_ps(a, b); }
IM_INLINE vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
IM_INLINE vf vf_sqrt(vf a) { return _mm512_sqrt_ps(a); }

/* ---- float32: comparison and selection ---- */
IM_INLINE vm vf_lt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
IM_INLINE vm vf_gt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
IM_INLINE vf vf_select(vm m, vf a, vf b) { return _mm512_mask_blend_ps(m, b, a); }
/* maxps and minps give their second operand for a NaN in either operand and for two zeros: x comes
 * second. */
IM_INLINE vf vf_max_keep(vf x, vf b) { return _mm512_max_ps(b, x); }
IM_INLINE vf vf_min_keep(vf x, vf b) { return _mm512_min_ps(b, x); }

/* ---- float32: bits ---- */
IM_INLINE vf vf_abs(vf a) { return _mm512_andnot_ps(_mm512_set1_ps(-0.0f), a); }
IM_INLINE vf vf_copysign(vf a, vf s)
{
    /* 0xD8: bit by bit (c ? b : a), with c the sign bit */
    return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(
        _mm512_castps_si512(a), _mm512_castps_si512(s), _mm512_set1_epi32((int)0x80000000u), 0xD8));
}
IM_INLINE vf vf_shift_to_exponent(vf a)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(a), 23));
}
IM_INLINE vf vf_flush(vf a)
{
    const __m512i u = _mm512_castps_si512(a);
    const __mmask16 tiny = _mm512_testn_epi32_mask(u, _mm512_set1_epi32(0x7F800000));
    return _mm512_castsi512_ps(
        _mm512_mask_and_epi32(u, tiny, u, _mm512_set1_epi32((int)0x80000000u)));
}
IM_INLINE vf vf_canonical_nan(vf a)
{
    const vm unordered = _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
    return vf_select(unordered, _mm512_castsi512_ps(_mm512_set1_epi32(0x7FC00000)), a);
}

/* 64 two-operand shuffles in four rounds of 16 that do not depend on each other within a round. */
IM_INLINE __m512 unpacklo_pd(__m512 a, __m512 b)
{
    return _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
}
IM_INLINE __m512 unpackhi_pd(__m512 a, __m512 b)
{
    return _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
}
IM_INLINE void vf_transpose(vf rows[IM_W])
{
    /* Within each 128-bit quarter: pairs of rows, then fours of rows. After
     * this f<i><j> holds column 4q+j of rows 4i … 4i+3 in its quarter q. */
#define IM_FOUR_ROWS(i)                                                                            \
    const vf p##i##0 = _mm512_unpacklo_ps(rows[4 * i + 0], rows[4 * i + 1]);                       \
    const vf p##i##1 = _mm512_unpackhi_ps(rows[4 * i + 0], rows[4 * i + 1]);                       \
    const vf p##i##2 = _mm512_unpacklo_ps(rows[4 * i + 2], rows[4 * i + 3]);                       \
    const vf p##i##3 = _mm512_unpackhi_ps(rows[4 * i + 2], rows[4 * i + 3]);                       \
    const vf f##i##0 = unpacklo_pd(p##i##0, p##i##2);                                              \
    const vf f##i##1 = unpackhi_pd(p##i##0, p##i##2);                                              \
    const vf f##i##2 = unpacklo_pd(p##i##1, p##i##3);                                              \
    const vf f##i##3 = unpackhi_pd(p##i##1, p##i##3);
    IM_FOUR_ROWS(0)
    IM_FOUR_ROWS(1)
    IM_FOUR_ROWS(2)
    IM_FOUR_ROWS(3)
#undef IM_FOUR_ROWS
    /* Then a 4 x 4 transpose of whole quarters, once for each j. */
#define IM_FOUR_QUARTERS(j)                                                                        \
    const vf e##j = _mm512_shuffle_f32x4(f0##j, f1##j, 0x88); /* q 0 2, 0 2 */                     \
    const vf o##j = _mm512_shuffle_f32x4(f0##j, f1##j, 0xDD); /* q 1 3, 1 3 */                     \
    const vf g##j = _mm512_shuffle_f32x4(f2##j, f3##j, 0x88);                                      \
    const vf h##j = _mm512_shuffle_f32x4(f2##j, f3##j, 0xDD);                                      \
    rows[j] = _mm512_shuffle_f32x4(e##j, g##j, 0x88);                                              \
    rows[4 + j] = _mm512_shuffle_f32x4(o##j, h##j, 0x88);                                          \
    rows[8 + j] = _mm512_shuffle_f32x4(e##j, g##j, 0xDD);                                          \
    rows[12 + j] = _mm512_shuffle_f32x4(o##j, h##j, 0xDD);
    IM_FOUR_QUARTERS(0)
    IM_FOUR_QUARTERS(1)
    IM_FOUR_QUARTERS(2)
    IM_FOUR_QUARTERS(3)
#undef IM_FOUR_QUARTERS
}

/* ---- float64 ---- */
#define IM_VD2(f, a, b) ((vd){f((a).lo, (b).lo), f((a).hi, (b).hi)})

IM_INLINE vd vd_from_vf(vf a)
{
    return (vd){_mm512_cvtps_pd(_mm512_castps512_ps256(a)),
                _mm512_cvtps_pd(_mm512_extractf32x8_ps(a, 1))};
}
IM_INLINE vf vf_from_vd(vd a)
{
    return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(a.lo)), _mm512_cvtpd_ps(a.hi),
                              1);
}
IM_INLINE vd vd_set1(double a) { return (vd){_mm512_set1_pd(a), _mm512_set1_pd(a)}; }
IM_INLINE vd vd_zero(void) { return (vd){_mm512_setzero_pd(), _mm512_setzero_pd()}; }
IM_INLINE vd vd_add(vd a, vd b) { return IM_VD2(_mm512_add_pd, a, b); }
IM_INLINE vd vd_sub(vd a, vd b) { return IM_VD2(_mm512_sub_pd, a, b); }
IM_INLINE vd vd_mul(vd a, vd b) { return IM_VD2(_mm512_mul_pd, a, b); }
IM_INLINE vd vd_div(vd a, vd b) { return IM_VD2(_mm512_div_pd, a, b); }
/* Both from one division, which this wide takes as long as 30 products on some CPUs. Four roundings
 * make the error. */
IM_INLINE vd vd_quotients(vd a, vd b)
{
    const __m512d y = _mm512_div_pd(_mm512_set1_pd(1.0), _mm512_mul_pd(b.lo, b.hi));
    return (vd){_mm512_mul_pd(_mm512_mul_pd(a.lo, b.hi), y),
                _mm512_mul_pd(_mm512_mul_pd(a.hi, b.lo), y)};
}
IM_INLINE vd vd_fma(vd a, vd b, vd c)
{
    return (vd){_mm512_fmadd_pd(a.lo, b.lo, c.lo), _mm512_fmadd_pd(a.hi, b.hi, c.hi)};
}
IM_INLINE vdm vd_lt(vd a, vd b)
{
    return (vdm){_mm512_cmp_pd_mask(a.lo, b.lo, _CMP_LT_OQ),
                 _mm512_cmp_pd_mask(a.hi, b.hi, _CMP_LT_OQ)};
}
IM_INLINE vd vd_select(vdm m, vd a, vd b)
{
    return (vd){_mm512_mask_blend_pd(m.lo, b.lo, a.lo), _mm512_mask_blend_pd(m.hi, b.hi, a.hi)};
}

/* ---- float64: powers of two ---- */
IM_INLINE __m512d shift_to_exponent(__m512d a)
{
    return _mm512_castsi512_pd(_mm512_slli_epi64(_mm512_castpd_si512(a), 52));
}
IM_INLINE vd vd_shift_to_exponent(vd a)
{
    return (vd){shift_to_exponent(a.lo), shift_to_exponent(a.hi)};
}
IM_INLINE __m512d scale_pow2(__m512d a, __m512d k)
{
    return _mm512_castsi512_pd(
        _mm512_add_epi64(_mm512_castpd_si512(a), _mm512_slli_epi64(_mm512_castpd_si512(k), 52)));
}
IM_INLINE vd vd_scale_pow2(vd a, vd k) { return IM_VD2(scale_pow2, a, k); }
IM_INLINE __m512d split_pow2(__m512d a, __m512d *m /* OUT */)
{
    const __m512i u = _mm512_castpd_si512(a);
    const __m512i t = _mm512_sub_epi64(u, _mm512_set1_epi64(0x3FE6A09E667F3BCD));
    const __m512i n = _mm512_srli_epi64(t, 52);
    *m = _mm512_castsi512_pd(_mm512_sub_epi64(u, _mm512_slli_epi64(n, 52)));
    return _mm512_sub_pd(
        _mm512_castsi512_pd(_mm512_or_si512(n, _mm512_set1_epi64(0x4330000000000000))),
        _mm512_set1_pd(0x1p52));
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
