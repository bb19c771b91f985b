/* simd_avx2.h: the vector primitives for AVX2 with FMA, 8 lanes. What each one means is said in
 * simd_generic.h. */
#ifndef INSTMODEL_SIMD_AVX2_H
#define INSTMODEL_SIMD_AVX2_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "compiler.h"

#define IM_W 8
#define IM_ISA_NAME "avx2"

typedef __m256 vf;
typedef __m256 vm; /* all ones or zero in each lane */
typedef struct {
    __m256d lo, hi;
} vd;
typedef struct {
    __m256d lo, hi;
} vdm;

/* ---- float32: memory ---- */
static const int32_t lane_mask[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};

IM_INLINE vf vf_load(const float *p) { return _mm256_loadu_ps(p); }
IM_INLINE void vf_store(float *p, vf a) { _mm256_storeu_ps(p, a); }
IM_INLINE __m256i first_lanes(int n)
{
    return _mm256_loadu_si256((const __m256i *)(lane_mask + 8 - n));
}
IM_INLINE vf vf_load_n(const float *p, int n) { return _mm256_maskload_ps(p, first_lanes(n)); }
IM_INLINE void vf_store_n(float *p, vf a, int n) { _mm256_maskstore_ps(p, first_lanes(n), a); }
IM_INLINE vf vf_set1(float a) { return _mm256_set1_ps(a); }
IM_INLINE vf vf_zero(void) { return _mm256_setzero_ps(); }

/* ---- float32: arithmetic ---- */
IM_INLINE vf vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
IM_INLINE vf vf_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
IM_INLINE vf vf_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
IM_INLINE vf vf_div(vf a, vf b) { return _mm256_div_ps(a, b); }
IM_INLINE vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
IM_INLINE vf vf_sqrt(vf a) { return _mm256_sqrt_ps(a); }

/* ---- float32: comparison and selection ---- */
IM_INLINE vm vf_lt(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
IM_INLINE vm vf_gt(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_GT_OQ); }
IM_INLINE vf vf_select(vm m, vf a, vf b) { return _mm256_blendv_ps(b, a, m); }
/* maxps and minps give their second operand for a NaN in either operand and for two zeros: x comes
 * second. */
IM_INLINE vf vf_max_keep(vf x, vf b) { return _mm256_max_ps(b, x); }
IM_INLINE vf vf_min_keep(vf x, vf b) { return _mm256_min_ps(b, x); }

/* ---- float32: bits ---- */
IM_INLINE vf vf_abs(vf a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
IM_INLINE vf vf_copysign(vf a, vf s)
{
    return _mm256_or_ps(vf_abs(a), _mm256_and_ps(s, _mm256_set1_ps(-0.0f)));
}
IM_INLINE vf vf_shift_to_exponent(vf a)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(a), 23));
}
IM_INLINE vf vf_flush(vf a)
{
    const __m256i u = _mm256_castps_si256(a);
    const __m256i exponent = _mm256_and_si256(u, _mm256_set1_epi32(0x7F800000));
    const __m256i tiny = _mm256_cmpeq_epi32(exponent, _mm256_setzero_si256());
    /* all ones, shifted: 0x7FFFFFFF */
    return _mm256_castsi256_ps(_mm256_andnot_si256(_mm256_srli_epi32(tiny, 1), u));
}
IM_INLINE vf vf_canonical_nan(vf a)
{
    const vm unordered = _mm256_cmp_ps(a, a, _CMP_UNORD_Q);
    return vf_select(unordered, _mm256_castsi256_ps(_mm256_set1_epi32(0x7FC00000)), a);
}

IM_INLINE void vf_transpose(vf rows[IM_W])
{
    const vf a0 = _mm256_unpacklo_ps(rows[0], rows[1]), a1 = _mm256_unpackhi_ps(rows[0], rows[1]);
    const vf a2 = _mm256_unpacklo_ps(rows[2], rows[3]), a3 = _mm256_unpackhi_ps(rows[2], rows[3]);
    const vf a4 = _mm256_unpacklo_ps(rows[4], rows[5]), a5 = _mm256_unpackhi_ps(rows[4], rows[5]);
    const vf a6 = _mm256_unpacklo_ps(rows[6], rows[7]), a7 = _mm256_unpackhi_ps(rows[6], rows[7]);
    const vf b0 = _mm256_shuffle_ps(a0, a2, 0x44), b1 = _mm256_shuffle_ps(a0, a2, 0xEE);
    const vf b2 = _mm256_shuffle_ps(a1, a3, 0x44), b3 = _mm256_shuffle_ps(a1, a3, 0xEE);
    const vf b4 = _mm256_shuffle_ps(a4, a6, 0x44), b5 = _mm256_shuffle_ps(a4, a6, 0xEE);
    const vf b6 = _mm256_shuffle_ps(a5, a7, 0x44), b7 = _mm256_shuffle_ps(a5, a7, 0xEE);
    rows[0] = _mm256_permute2f128_ps(b0, b4, 0x20);
    rows[1] = _mm256_permute2f128_ps(b1, b5, 0x20);
    rows[2] = _mm256_permute2f128_ps(b2, b6, 0x20);
    rows[3] = _mm256_permute2f128_ps(b3, b7, 0x20);
    rows[4] = _mm256_permute2f128_ps(b0, b4, 0x31);
    rows[5] = _mm256_permute2f128_ps(b1, b5, 0x31);
    rows[6] = _mm256_permute2f128_ps(b2, b6, 0x31);
    rows[7] = _mm256_permute2f128_ps(b3, b7, 0x31);
}

/* ---- float64 ---- */
#define IM_VD2(f, a, b) ((vd){f((a).lo, (b).lo), f((a).hi, (b).hi)})

IM_INLINE vd vd_from_vf(vf a)
{
    return (vd){_mm256_cvtps_pd(_mm256_castps256_ps128(a)),
                _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1))};
}
IM_INLINE vf vf_from_vd(vd a)
{
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm256_cvtpd_ps(a.lo)),
                                _mm256_cvtpd_ps(a.hi), 1);
}
IM_INLINE vd vd_set1(double a) { return (vd){_mm256_set1_pd(a), _mm256_set1_pd(a)}; }
IM_INLINE vd vd_zero(void) { return (vd){_mm256_setzero_pd(), _mm256_setzero_pd()}; }
IM_INLINE vd vd_add(vd a, vd b) { return IM_VD2(_mm256_add_pd, a, b); }
IM_INLINE vd vd_sub(vd a, vd b) { return IM_VD2(_mm256_sub_pd, a, b); }
IM_INLINE vd vd_mul(vd a, vd b) { return IM_VD2(_mm256_mul_pd, a, b); }
IM_INLINE vd vd_div(vd a, vd b) { return IM_VD2(_mm256_div_pd, a, b); }
IM_INLINE vd vd_quotients(vd a, vd b) { return vd_div(a, b); }
IM_INLINE vd vd_fma(vd a, vd b, vd c)
{
    return (vd){_mm256_fmadd_pd(a.lo, b.lo, c.lo), _mm256_fmadd_pd(a.hi, b.hi, c.hi)};
}
IM_INLINE vdm vd_lt(vd a, vd b)
{
    return (vdm){_mm256_cmp_pd(a.lo, b.lo, _CMP_LT_OQ), _mm256_cmp_pd(a.hi, b.hi, _CMP_LT_OQ)};
}
IM_INLINE vd vd_select(vdm m, vd a, vd b)
{
    return (vd){_mm256_blendv_pd(b.lo, a.lo, m.lo), _mm256_blendv_pd(b.hi, a.hi, m.hi)};
}

/* ---- float64: powers of two ---- */
IM_INLINE __m256d shift_to_exponent(__m256d a)
{
    return _mm256_castsi256_pd(_mm256_slli_epi64(_mm256_castpd_si256(a), 52));
}
IM_INLINE vd vd_shift_to_exponent(vd a)
{
    return (vd){shift_to_exponent(a.lo), shift_to_exponent(a.hi)};
}
IM_INLINE __m256d scale_pow2(__m256d a, __m256d k)
{
    return _mm256_castsi256_pd(
        _mm256_add_epi64(_mm256_castpd_si256(a), _mm256_slli_epi64(_mm256_castpd_si256(k), 52)));
}
IM_INLINE vd vd_scale_pow2(vd a, vd k) { return IM_VD2(scale_pow2, a, k); }
IM_INLINE __m256d split_pow2(__m256d a, __m256d *m /* OUT */)
{
    const __m256i u = _mm256_castpd_si256(a);
    const __m256i t = _mm256_sub_epi64(u, _mm256_set1_epi64x(0x3FE6A09E667F3BCD));
    const __m256i n = _mm256_srli_epi64(t, 52);
    *m = _mm256_castsi256_pd(_mm256_sub_epi64(u, _mm256_slli_epi64(n, 52)));
    return _mm256_sub_pd(
        _mm256_castsi256_pd(_mm256_or_si256(n, _mm256_set1_epi64x(0x4330000000000000))),
        _mm256_set1_pd(0x1p52));
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
