/* activations.h: an element-wise activation over contiguous floats. Include
 * after simd_<isa>.h and vmath.h. SOFTMAX is not here: it looks at a whole
 * buffer. */
#ifndef INSTMODEL_ACTIVATIONS_H
#define INSTMODEL_ACTIVATIONS_H

#include <stddef.h>

/* The ids of SPEC.md, which the program and the GPU bytes use. */
enum im_activation {
    IM_ACT_NONE = 0,
    IM_ACT_RELU = 1,
    IM_ACT_SIGMOID = 2,
    IM_ACT_SOFTMAX = 3,
    IM_ACT_TANH = 4,
    IM_ACT_SQRT = 5,
    IM_ACT_LOG = 6,
    IM_ACT_LOG10 = 7,
    IM_ACT_INVERSE = 8,
    IM_ACT_GELU = 9,
    IM_ACT_SOFTPLUS = 10,
    IM_ACT_EXP = 11,
    IM_ACT_SIGN = 12,
};

/* One loop per activation, in a function of its own, so that each gets all the
 * registers for its constants. The tail goes through the same vector code: a
 * value's result does not depend on its place. */
#define IM_ACTIVATION_LOOP(name, function)                                       \
    static void name(float *x /* INOUT (n,) */, size_t n)                        \
    {                                                                            \
        size_t i = 0;                                                            \
        for (; i + IM_W <= n; i += IM_W) vf_store(x + i, function(vf_load(x + i))); \
        if (i < n) {                                                             \
            const int rest = (int)(n - i);                                       \
            vf_store_n(x + i, function(vf_load_n(x + i, rest)), rest);           \
        }                                                                        \
    }

/* Unlike the others, max alone would let a denormal through. */
IM_INLINE vf im_relu_flushed(vf x) { return v_relu(vf_flush(x)); }

IM_ACTIVATION_LOOP(im_activate_relu, im_relu_flushed)
IM_ACTIVATION_LOOP(im_activate_sigmoid, v_sigmoid)
IM_ACTIVATION_LOOP(im_activate_tanh, v_tanh)
IM_ACTIVATION_LOOP(im_activate_sqrt, v_sqrt0)
IM_ACTIVATION_LOOP(im_activate_log, v_log1p0)
IM_ACTIVATION_LOOP(im_activate_log10, v_log10p0)
IM_ACTIVATION_LOOP(im_activate_inverse, v_inverse)
IM_ACTIVATION_LOOP(im_activate_gelu, v_gelu)
IM_ACTIVATION_LOOP(im_activate_softplus, v_softplus)
IM_ACTIVATION_LOOP(im_activate_exp, v_exp)
IM_ACTIVATION_LOOP(im_activate_sign, v_sign)

/* Apply an element-wise activation in place; IM_ACT_NONE and ids that are not
 * element-wise change nothing. */
static void activate(float *x /* INOUT (n,) */, size_t n, int activation)
{
    switch (activation) {
    case IM_ACT_RELU: im_activate_relu(x, n); break;
    case IM_ACT_SIGMOID: im_activate_sigmoid(x, n); break;
    case IM_ACT_TANH: im_activate_tanh(x, n); break;
    case IM_ACT_SQRT: im_activate_sqrt(x, n); break;
    case IM_ACT_LOG: im_activate_log(x, n); break;
    case IM_ACT_LOG10: im_activate_log10(x, n); break;
    case IM_ACT_INVERSE: im_activate_inverse(x, n); break;
    case IM_ACT_GELU: im_activate_gelu(x, n); break;
    case IM_ACT_SOFTPLUS: im_activate_softplus(x, n); break;
    case IM_ACT_EXP: im_activate_exp(x, n); break;
    case IM_ACT_SIGN: im_activate_sign(x, n); break;
    default: break;
    }
}

#undef IM_ACTIVATION_LOOP
#endif
