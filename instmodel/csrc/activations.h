/* activations.h: an element-wise activation over contiguous floats. Include after kernels.h,
 * simd_<isa>.h and vmath.h. SOFTMAX is not here: it looks at a whole buffer. */
#ifndef INSTMODEL_ACTIVATIONS_H
#define INSTMODEL_ACTIVATIONS_H

#include <stddef.h>

/* One loop per activation, in a function of its own, so that each gets all the registers for its
 * constants. The tail goes through the same vector code: a value's result does not depend on its
 * place. */
#define IM_ACTIVATION_LOOP(name, function)                                                         \
    static void name(float *x /* INOUT (n,) */, size_t n)                                          \
    {                                                                                              \
        size_t i = 0;                                                                              \
        for (; i + IM_W <= n; i += IM_W) {                                                         \
            vf_store(x + i, function(vf_load(x + i)));                                             \
        }                                                                                          \
        if (i < n) {                                                                               \
            const int rest = (int)(n - i);                                                         \
            vf_store_n(x + i, function(vf_load_n(x + i, rest)), rest);                             \
        }                                                                                          \
    }

IM_ACTIVATION_LOOP(activate_relu, v_relu)
IM_ACTIVATION_LOOP(activate_sqrt, v_sqrt0)
IM_ACTIVATION_LOOP(activate_log, v_log1p0)
IM_ACTIVATION_LOOP(activate_log10, v_log10p0)
IM_ACTIVATION_LOOP(activate_inverse, v_inverse)
IM_ACTIVATION_LOOP(activate_gelu, v_gelu)
IM_ACTIVATION_LOOP(activate_softplus, v_softplus)
IM_ACTIVATION_LOOP(activate_exp, v_exp)
IM_ACTIVATION_LOOP(activate_sign, v_sign)
IM_ACTIVATION_LOOP(activate_reciprocal, v_reciprocal)

/* For functions that divide: the fractions of two vectors are computed while those of the two
 * before are divided. In one chain they would wait for each other longer than a CPU can look ahead.
 */
#define IM_DIVIDING_LOOP(name, type, fraction, quotient)                                           \
    static void name(float *x /* INOUT (n,) */, size_t n)                                          \
    {                                                                                              \
        const size_t step = 2 * IM_W;                                                              \
        size_t i = 0;                                                                              \
        if (n >= step) {                                                                           \
            vf a = vf_load(x), b = vf_load(x + IM_W);                                              \
            type f = fraction(a), g = fraction(b);                                                 \
            for (i = step; i + step <= n; i += step) {                                             \
                const vf next_a = vf_load(x + i), next_b = vf_load(x + i + IM_W);                  \
                const type next_f = fraction(next_a), next_g = fraction(next_b);                   \
                vf_store(x + i - step, quotient(a, f));                                            \
                vf_store(x + i - IM_W, quotient(b, g));                                            \
                a = next_a, b = next_b, f = next_f, g = next_g;                                    \
            }                                                                                      \
            vf_store(x + i - step, quotient(a, f));                                                \
            vf_store(x + i - IM_W, quotient(b, g));                                                \
        }                                                                                          \
        for (; i < n; i += IM_W) {                                                                 \
            const int rest = n - i < IM_W ? (int)(n - i) : IM_W;                                   \
            const vf a = vf_load_n(x + i, rest);                                                   \
            vf_store_n(x + i, quotient(a, fraction(a)), rest);                                     \
        }                                                                                          \
    }

IM_DIVIDING_LOOP(activate_sigmoid, im_sigmoid_fraction, sigmoid_fraction, sigmoid_quotient)
IM_DIVIDING_LOOP(activate_tanh, im_tanh_fraction, tanh_fraction, tanh_quotient)

/* Apply an element-wise activation in place; 0 and IM_SOFTMAX change nothing. */
static void activate(float *x /* INOUT (n,) */, size_t n, int activation)
{
    switch (activation) {
    case IM_RELU: activate_relu(x, n); break;
    case IM_SIGMOID: activate_sigmoid(x, n); break;
    case IM_TANH: activate_tanh(x, n); break;
    case IM_SQRT: activate_sqrt(x, n); break;
    case IM_LOG: activate_log(x, n); break;
    case IM_LOG10: activate_log10(x, n); break;
    case IM_INVERSE: activate_inverse(x, n); break;
    case IM_GELU: activate_gelu(x, n); break;
    case IM_SOFTPLUS: activate_softplus(x, n); break;
    case IM_EXP: activate_exp(x, n); break;
    case IM_SIGN: activate_sign(x, n); break;
    case IM_RECIPROCAL: activate_reciprocal(x, n); break;
    default: break;
    }
}

#undef IM_ACTIVATION_LOOP
#undef IM_DIVIDING_LOOP
#endif
