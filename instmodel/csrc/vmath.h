/* vmath.h: exp, log, tanh, erf and the activations, one sample a lane.
 *
 * Design
 * ------
 * a. Written once over the primitives of simd_*.h, which the includer has included before this
 *    file. Only IEEE operations, selections and bit operations: every instruction set gives the
 *    same bits.
 * b. Evaluated in float64 lanes and rounded once to float32. The approximations are good to about
 *    2^-31, 2^-7 of a float32 ULP, so that every result is within about 0.51 ULP of exact. That
 *    costs one more register a vector, and saves every splitting of arguments and constants into
 *    high and low parts that a float32 evaluation needs. The exceptions are the sigmoid and the
 *    softmax, in which most networks end: in float32 they are faster, with the rounding errors
 *    carried along where they would cost an ULP.
 * c. No branch and no table: the time does not depend on the values.
 * d. The caller has set round-to-nearest with denormals flushed, and no input is a denormal
 *    (vf_flush). A NaN that comes out has any sign and payload; vf_canonical_nan is for whoever
 *    hands results to the user.
 * e. What divides is in two parts, a fraction and its quotient, between which activations.h works
 *    on other vectors: divisions are long in coming.
 * f. One division of two float64 lanes at once may be off by 2^-51 (vd_quotients). No float32
 *    result may show it: tests/csrc/quotient_margins.c looks at every input.
 * g. Coefficients: minimax in relative error, by Remez exchange in 50-digit arithmetic (mpmath),
 *    then rounded to float64. The interval and the error stand at each table. docs/numerics.md
 *    lists the largest error found over all 2^32 inputs.
 */
#ifndef INSTMODEL_VMATH_H
#define INSTMODEL_VMATH_H

/* Largest distance to the exact value over all float32 inputs, in ULP of the exact value; results
 * below 2^-126 (flushed to zero) are not counted. SQRT, INVERSE and RECIPROCAL are single correctly
 * rounded operations; RELU and SIGN are exact. tests/machine/test_activations.py reads these lines.
 */
#define IM_ULP_RELU 0.0
#define IM_ULP_SIGN 0.0
#define IM_ULP_SIGMOID 0.97
#define IM_ULP_TANH 0.51
#define IM_ULP_SQRT 0.5
#define IM_ULP_LOG 0.52
#define IM_ULP_LOG10 0.52
#define IM_ULP_INVERSE 0.5
#define IM_ULP_GELU 0.51
#define IM_ULP_SOFTPLUS 0.52
#define IM_ULP_EXP 0.51
#define IM_ULP_RECIPROCAL 0.5

#define IM_LOG2_E 0x1.71547652b82fep+0
#define IM_LN_2 0x1.62e42fefa39efp-1
#define IM_LOG10_E 0x1.bcb7b1526e50ep-2
#define IM_SQRT_2 0x1.6a09e667f3bcdp+0 /* the bound in vd_split_pow2 */
#define IM_INT_MAGIC 0x1.8p52          /* adding it rounds to an integer */
#define IM_FLT_MAX 0x1.fffffep+127f

/* c[0] + c[1] r + … + c[degree] r^degree. In pairs, c[2i] + c[2i+1] r, and by Horner's rule in r^2
 * over the pairs: half as long a chain of dependent operations as Horner's rule in r, for one
 * multiplication more. */
IM_INLINE vd vd_poly(vd r, const double *c, int degree)
{
    const vd r2 = vd_mul(r, r);
    int i = degree & ~1;
    vd p = vd_set1(c[i]);
    if (degree & 1) {
        p = vd_fma(vd_set1(c[degree]), r, p);
    }
    for (i -= 2; i >= 0; i -= 2) {
        p = vd_fma(p, r2, vd_fma(vd_set1(c[i + 1]), r, vd_set1(c[i])));
    }
    return p;
}

/* The same by Horner's rule, where the loop has other work to do meanwhile. */
IM_INLINE vd vd_horner(vd r, const double *c, int degree)
{
    vd p = vd_set1(c[degree]);
    for (int i = degree - 1; i >= 0; i--) {
        p = vd_fma(p, r, vd_set1(c[i]));
    }
    return p;
}

/* ---- e^x ---- */

/* (e^r - 1) / r on |r| <= ln(2)/2; relative error 2.4e-10. */
#define IM_EXPM1_DEGREE 6
static const double expm1_poly[IM_EXPM1_DEGREE + 1] = {
    0x1.0000000022511p+0, 0x1.000000281919ap-1,  0x1.555554c5fb27ep-3,  0x1.5554ada52432cp-5,
    0x1.1111a67cb418dp-7, 0x1.6d749246a24c8p-10, 0x1.a019f0ac62d1dp-13,
};

/* x = n ln(2) + r. Returns e^r - 1, relatively exact for small r as well, and sets *k to
 * n + IM_INT_MAGIC. |x| <= 700. One constant is enough for ln(2): n times its error is below 2^-47,
 * and n is 0 where r is relatively small. */
IM_INLINE vd vd_expm1_reduced(vd x, vd *k /* OUT */)
{
    const vd magic = vd_set1(IM_INT_MAGIC);
    *k = vd_fma(x, vd_set1(IM_LOG2_E), magic);
    const vd r = vd_fma(vd_sub(*k, magic), vd_set1(-IM_LN_2), x);
    return vd_mul(r, vd_poly(r, expm1_poly, IM_EXPM1_DEGREE));
}

/* e^x for |x| <= 700 or NaN; relative error 1e-10. */
IM_INLINE vd vd_exp(vd x)
{
    vd k;
    const vd p = vd_expm1_reduced(x, &k);
    return vd_scale_pow2(vd_add(p, vd_set1(1.0)), k);
}

IM_INLINE vf vf_clamp(vf x, float lowest, float highest)
{
    return vf_min_keep(vf_max_keep(x, vf_set1(lowest)), vf_set1(highest));
}

/* EXP: e^x, x clamped to [-88, 88]. */
IM_INLINE vf v_exp(vf x) { return vf_from_vd(vd_exp(vd_from_vf(vf_clamp(x, -88.0f, 88.0f)))); }

/* (e^2h - 1) / h: expm1_poly with its coefficients multiplied by 2, 4, 8, … */
static const double expm1_twice_poly[IM_EXPM1_DEGREE + 1] = {
    0x1.0000000022511p+1, 0x1.000000281919ap+1, 0x1.555554c5fb27ep+0, 0x1.5554ada52432cp-1,
    0x1.1111a67cb418dp-2, 0x1.6d749246a24c8p-4, 0x1.a019f0ac62d1dp-6,
};

typedef struct {
    vd over, under;
} im_tanh_fraction;

/* TANH: |tanh x| = (e^2a - 1) / (e^2a + 1) for a = |x|. With 2a = n ln(2) + 2h, and both multiplied
 * by 2^-n, the one over the line is (e^2h - 1) + (1 - 2^-n), relatively exact near 0, where n = 0,
 * and the one under it 2 2^-n more. From 9.02 on the result is 1. NaN counts as 10 here, for it
 * would spread in vd_quotients. */
IM_INLINE im_tanh_fraction tanh_fraction(vf x)
{
    const vd a = vd_from_vf(vf_min_keep(vf_set1(10.0f), vf_abs(x)));
    /* 1 - n + 1023, the bits of the exponent of 2 2^-n, come out in the lowest bits. */
    const vd magic = vd_set1(IM_INT_MAGIC + 1024.0);
    const vd k = vd_fma(a, vd_set1(-2.0 * IM_LOG2_E), magic);
    const vd h = vd_fma(vd_sub(k, magic), vd_set1(0.5 * IM_LN_2), a);
    const vd twice = vd_shift_to_exponent(k);
    const vd rest = vd_fma(twice, vd_set1(-0.5), vd_set1(1.0));
    const vd over = vd_fma(h, vd_horner(h, expm1_twice_poly, IM_EXPM1_DEGREE), rest);
    return (im_tanh_fraction){over, vd_add(over, twice)};
}

/* |tanh x| <= |x|, also when rounded, so the minimum brings back NaN and nothing else. */
IM_INLINE vf tanh_quotient(vf x, im_tanh_fraction f)
{
    const vf result = vf_from_vd(vd_quotients(f.over, f.under));
    return vf_copysign(vf_min_keep(vf_abs(x), result), x);
}

/* ---- logarithms ---- */

/* ln(1 + f) / f on sqrt(1/2) - 1 <= f <= sqrt(2) - 1; relative error 6.5e-10. */
#define IM_LOG1P_DEGREE 10
static const double log1p_poly[IM_LOG1P_DEGREE + 1] = {
    0x1.00000002b620ap+0, -0x1.ffffffc7059a7p-2, 0x1.55554009d305fp-2, -0x1.000012198c02dp-2,
    0x1.99a71b6c3d9c1p-3, -0x1.555be36222418p-3, 0x1.2312943eb5cf3p-3, -0x1.fbf1ece6a2fc7p-4,
    0x1.e87e29a2823ecp-4, -0x1.dffeaa0ddee66p-4, 0x1.137dee69875bfp-4,
};

IM_INLINE vd vd_log1p_reduced(vd f) { return vd_mul(f, vd_poly(f, log1p_poly, IM_LOG1P_DEGREE)); }

/* ln(1 + x) for finite x > 0; anything for other x. 1 + x is rounded, which would lose a small x,
 * so below sqrt(2) - 1 x itself is taken. */
IM_INLINE vd vd_log1p(vd x)
{
    vd m;
    const vd one = vd_set1(1.0);
    const vd u = vd_add(x, one);
    const vd n = vd_split_pow2(u, &m);
    const vd f = vd_select(vd_lt(u, vd_set1(IM_SQRT_2)), x, vd_sub(m, one));
    return vd_fma(n, vd_set1(IM_LN_2), vd_log1p_reduced(f));
}

/* value for finite x > 0, inf for inf, 0 else (NaN too). */
IM_INLINE vf vf_positive_only(vf x, vf value)
{
    value = vf_select(vf_gt(x, vf_set1(IM_FLT_MAX)), x, value);
    return vf_select(vf_gt(x, vf_zero()), value, vf_zero());
}

/* LOG: ln(1 + x) for x > 0, else 0. */
IM_INLINE vf v_log1p0(vf x) { return vf_positive_only(x, vf_from_vd(vd_log1p(vd_from_vf(x)))); }

/* LOG10: log10(1 + x) for x > 0, else 0. */
IM_INLINE vf v_log10p0(vf x)
{
    const vd ln = vd_log1p(vd_from_vf(x));
    return vf_positive_only(x, vf_from_vd(vd_mul(ln, vd_set1(IM_LOG10_E))));
}

/* SOFTPLUS: ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|). With e = e^-|x| in (0, 1] the logarithm is
 * that of 1 + e, or of (1 + e)/2 plus ln(2). */
IM_INLINE vf v_softplus(vf x)
{
    const vf minus_a = vf_max_keep(vf_sub(vf_zero(), vf_abs(x)), vf_set1(-88.0f));
    const vd e = vd_exp(vd_from_vf(minus_a));
    const vdm small = vd_lt(e, vd_set1(IM_SQRT_2 - 1.0));
    const vd half = vd_set1(0.5);
    const vd f = vd_select(small, e, vd_fma(e, half, vd_sub(vd_zero(), half)));
    const vd base = vd_add(vd_from_vf(vf_max_keep(x, vf_zero())),
                           vd_select(small, vd_zero(), vd_set1(IM_LN_2)));
    return vf_from_vd(vd_add(base, vd_log1p_reduced(f)));
}

/* ---- GELU ---- */

/* e^(a*a/2) Phi(-a), Phi the normal distribution function, as a quotient of polynomials on
 * 0 <= a <= 13.25; relative error 2.3e-10. All coefficients are positive: nothing cancels. */
#define IM_TAIL_OVER 5
#define IM_TAIL_UNDER 6
static const double tail_over[IM_TAIL_OVER + 1] = {
    0x1.000000009625cp-1, 0x1.f4acdb467c67ep-2, 0x1.dee784c37efb0p-3,
    0x1.06c4995acfa1dp-4, 0x1.48052e9dde8d1p-7, 0x1.778b7d72791d3p-11,
};
static const double tail_under[IM_TAIL_UNDER + 1] = {
    0x1.0000000000000p+0, 0x1.c698976a48facp+0, 0x1.6270f549201c2p+0,  0x1.38dff6d3a9540p-1,
    0x1.4d072d09bf8fdp-3, 0x1.9b1b42a4a13afp-6, 0x1.d6ad619511c74p-10,
};

/* GELU: x Phi(x). Below -13.2 the result is flushed; at the clamp of a, Phi is 1e-89, so that the
 * product is 0 for every finite x. For -inf the formula is -inf * 0, a NaN. */
IM_INLINE vf v_gelu(vf x)
{
    const vd half = vd_set1(0.5);
    const vd xd = vd_from_vf(x);
    const vd a = vd_from_vf(vf_min_keep(vf_abs(x), vf_set1(20.0f)));
    const vd e = vd_exp(vd_mul(vd_mul(a, a), vd_sub(vd_zero(), half)));
    const vd over = vd_mul(e, vd_poly(a, tail_over, IM_TAIL_OVER));
    const vd q = vd_div(over, vd_poly(a, tail_under, IM_TAIL_UNDER));
    const vd phi = vd_select(vd_lt(xd, vd_zero()), q, vd_sub(vd_set1(1.0), q));
    const vf minus_inf = vf_set1(-IM_FLT_MAX);
    const vf r = vf_from_vd(vd_mul(xd, phi));
    return vf_select(vf_lt(x, minus_inf), vf_sub(x, x), r);
}

/* ---- in float32: the sigmoid, and the powers of the softmax ---- */

/* (e^r - 1 - r) / r^2 on |r| <= ln(2)/2; relative error of e^r 3.1e-9, a twentieth of an ULP. */
#define IM_EXP_TAIL_DEGREE 4
static const float exp_tail_poly[IM_EXP_TAIL_DEGREE + 1] = {
    0x1.fffffcp-2f, 0x1.555492p-3f, 0x1.5558f2p-5f, 0x1.123a20p-7f, 0x1.6a23d0p-10f,
};
#define IM_LN_2_HIGH 0x1.62e430p-1f
#define IM_LN_2_LOW -0x1.05c610p-29f

/* sign x = n ln(2) + r. Returns sign r and sets *scale to 2^(n + lift), which must be a normal
 * number. The fma with the high part is exact: the difference is small, and a multiple of 2^-25. */
IM_INLINE vf vf_reduce(vf x, float sign, int lift, vf *scale /* OUT */)
{
    /* n + 127 + lift, the bits of an exponent, come out in the lowest bits. */
    const vf magic = vf_set1(0x1.8p23f + 127.0f + (float)lift);
    const vf k = vf_fma(x, vf_set1(sign * (float)IM_LOG2_E), magic);
    const vf n = vf_sub(k, magic);
    *scale = vf_shift_to_exponent(k);
    return vf_fma(n, vf_set1(-sign * IM_LN_2_LOW), vf_fma(n, vf_set1(-sign * IM_LN_2_HIGH), x));
}

/* sign (e^r - 1) for y = sign r, |r| <= ln(2)/2. */
IM_INLINE vf vf_expm1(vf y, float sign)
{
    const float *c = exp_tail_poly;
    const vf y2 = vf_mul(y, y);
    const vf low = vf_fma(vf_set1(c[1]), y, vf_set1(sign * c[0]));
    const vf middle = vf_fma(vf_set1(c[3]), y, vf_set1(sign * c[2]));
    const vf high = vf_fma(vf_set1(sign * c[4]), y2, middle);
    return vf_fma(y2, vf_fma(high, y2, low), y);
}

/* -1 / (under + rest) */
typedef struct {
    vf under, rest;
} im_sigmoid_fraction;

/* SIGMOID: 1 / (1 + e^-x). With e^-x = s - s p, minus the denominator is under + rest to twice the
 * precision, and the quotient is corrected for rest and for its own rounding. The signs are such
 * that nothing has to be negated. At the clamps the result is 1, or a denormal that is flushed. */
IM_INLINE im_sigmoid_fraction sigmoid_fraction(vf x)
{
    const vf one = vf_set1(1.0f);
    vf s;
    const vf p = vf_expm1(vf_reduce(vf_clamp(x, -87.5f, 32.0f), -1.0f, 0, &s), -1.0f);
    const vf t = vf_sub(vf_set1(-1.0f), s);
    const vf lost = vf_add(vf_add(t, vf_max_keep(s, one)), vf_min_keep(s, one));
    const vf d = vf_fma(s, p, t);
    return (im_sigmoid_fraction){d, vf_sub(vf_fma(s, p, vf_sub(t, d)), lost)};
}

/* x is there because tanh_quotient needs it. */
IM_INLINE vf sigmoid_quotient(vf x, im_sigmoid_fraction f)
{
    (void)x;
    const vf q = vf_div(vf_set1(-1.0f), f.under);
    return vf_fma(q, vf_fma(f.rest, q, vf_fma(f.under, q, vf_set1(1.0f))), q);
}

/* 2^64 e^(x - max) for x <= max; the factor keeps small powers from being denormal. From 104 below
 * the maximum on it stays the same: a share of 2^-150 is 0. x - max alone, rounded, would cost tens
 * of ULP, so what rounding took away is carried along (Knuth's two-sum). */
IM_INLINE vf v_softmax_power(vf x, vf max)
{
    const vf lowest = vf_set1(-104.0f);
    const vf d = vf_sub(x, max);
    const vf minus_max = vf_sub(d, x);
    const vf rest = vf_sub(vf_sub(x, vf_sub(d, minus_max)), vf_add(max, minus_max));
    const vf used = vf_select(vf_lt(d, lowest), vf_zero(), rest); /* NaN where d is infinite */
    vf s;
    const vf r = vf_reduce(vf_max_keep(d, lowest), 1.0f, 64, &s);
    return vf_fma(s, vf_expm1(vf_add(r, used), 1.0f), s);
}

/* ---- the others ---- */

/* RELU: x < 0 ? 0 : x. */
IM_INLINE vf v_relu(vf x) { return vf_max_keep(x, vf_zero()); }

/* SQRT: the root for x > 0, else 0. */
IM_INLINE vf v_sqrt0(vf x) { return vf_select(vf_gt(x, vf_zero()), vf_sqrt(x), vf_zero()); }

/* INVERSE: 1 - x. */
IM_INLINE vf v_inverse(vf x) { return vf_sub(vf_set1(1.0f), x); }

/* SIGN: -1, 0, 1. What is left for the addition is zero or NaN; it makes -0 0. */
IM_INLINE vf v_sign(vf x)
{
    const vf rest = vf_add(x, vf_zero());
    return vf_select(vf_lt(x, vf_zero()), vf_set1(-1.0f),
                     vf_select(vf_gt(x, vf_zero()), vf_set1(1.0f), rest));
}

/* RECIPROCAL: 1 / x. No quotient rounds up to 2^-126, so Arm and x86 flush the same ones: the
 * largest below it, of 2^126 + 2^103, is closer to 2^-126 - 2^-149. */
IM_INLINE vf v_reciprocal(vf x) { return vf_div(vf_set1(1.0f), x); }

#endif
