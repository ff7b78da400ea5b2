/* exponential.h - exp, erf and what is made of them of four numbers, without branches and calls. libm's take 10 to 20 times as long in wasm. Errors
 * are tested against libm in tests/unit/test_backend_elementwise.c. */
#ifndef NAC_EXPONENTIAL_H
#define NAC_EXPONENTIAL_H

#include "backend/simd.h"

/* exp(x) within 2 ulp. Where the result is not a normal number: 1.2e-38 below, infinity above; NaN for NaN. */
static inline nac_f4 nac_exp4(nac_f4 x) {
    nac_f4 v = nac_min4(nac_max4(x, nac_splat4(-87.33f)), nac_splat4(88.72f));
    /* n = round(v / ln 2): adding 1.5 * 2^23 leaves no room for a fraction, and puts n into the low bits. */
    const nac_f4 magic = nac_splat4(12582912.0f);
    nac_f4 shifted = nac_madd4(v, nac_splat4(1.44269504f), magic), n = shifted - magic;
    nac_f4 r = nac_madd4(n, nac_splat4(2.12194440e-4f), nac_madd4(n, nac_splat4(-0.693359375f), v)); /* the first product is exact */
    nac_f4 p = nac_madd4(r, nac_splat4(1.9875691500e-4f), nac_splat4(1.3981999507e-3f));
    p = nac_madd4(p, r, nac_splat4(8.3334519073e-3f));
    p = nac_madd4(p, r, nac_splat4(4.1665795894e-2f));
    p = nac_madd4(p, r, nac_splat4(1.6666665459e-1f));
    p = nac_madd4(p, r, nac_splat4(5.0000001201e-1f));
    p = nac_madd4(p, r * r, r) + nac_splat4(1.0f);
    /* 2^n in two factors: n is 128 at the upper end, which no exponent field holds. */
    nac_i4 whole = (nac_i4)shifted - 0x4B400000, half = whole >> 1;
    nac_f4 result = p * (nac_f4)((half + 127) << 23) * (nac_f4)((whole - half + 127) << 23);
    return nac_select4(x > nac_splat4(88.72283f), nac_splat4(__builtin_inff()), result);
}

/* 1 / (1 + exp(-x)), without overflow or cancellation. */
static inline nac_f4 nac_sigmoid4(nac_f4 x) {
    const nac_f4 e = nac_exp4(-nac_abs4(x)), one = nac_splat4(1);
    return nac_select4(x < nac_splat4(0), e, one) / (one + e);
}

/* erf(x) within 4 ulp: a polynomial near 0, 1 - exp(polynomial) beyond. */
static inline nac_f4 nac_erf4(nac_f4 x) {
    nac_f4 t = nac_abs4(x), s = x * x;
    nac_f4 far = nac_madd4(nac_splat4(-1.72853470e-5f), t, nac_splat4(3.83197126e-4f));
    far = nac_madd4(far, s, nac_madd4(nac_splat4(-3.88396438e-3f), t, nac_splat4(2.42546219e-2f)));
    far = nac_madd4(far, t, nac_splat4(-1.06777877e-1f));
    far = nac_madd4(far, t, nac_splat4(-6.34846687e-1f));
    far = nac_madd4(far, t, nac_splat4(-1.28717512e-1f));
    far = nac_madd4(far, t, -t);
    far = nac_select4(t > nac_splat4(4.0f), nac_splat4(1.0f), nac_splat4(1.0f) - nac_exp4(far));
    far = nac_select4(x < nac_splat4(0.0f), -far, far);
    nac_f4 near = nac_madd4(nac_splat4(-5.96761703e-4f), s, nac_splat4(4.99119423e-3f));
    near = nac_madd4(near, s, nac_splat4(-2.67681349e-2f));
    near = nac_madd4(near, s, nac_splat4(1.12819925e-1f));
    near = nac_madd4(near, s, nac_splat4(-3.76125336e-1f));
    near = nac_madd4(near, s, nac_splat4(1.28379166e-1f));
    near = nac_madd4(near, x, x);
    return nac_select4(t > nac_splat4(0.927734375f), far, near);
}

/* 1 + erf(x / sqrt(2)). What cancels for negative x is lost in PyTorch, too: 2^-22 absolute. */
static inline nac_f4 nac_gelu_gate4(nac_f4 x) { return nac_splat4(1) + nac_erf4(x * nac_splat4(0.707106781f)); }

/* 2 sqrt(2 / pi) (x + 0.044715 x^3): 1 + tanh of half of it is twice its sigmoid. */
static inline nac_f4 nac_gelu_argument4(nac_f4 x) { return x * nac_madd4(x * x, nac_splat4(0.0713548163f), nac_splat4(1.59576912f)); }

#endif
