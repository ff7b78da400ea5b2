/* exponential.h - exp and erf without branches and calls, so that loops over them become vectors. libm's take 10 to 20 times
 * as long in wasm. Errors are tested against libm in tests/unit/test_backend_elementwise.c. */
#ifndef NAC_EXPONENTIAL_H
#define NAC_EXPONENTIAL_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* exp(x) within 2 ulp. Where the result is not a normal number: 1.2e-38 below, infinity above; NaN for NaN. */
static inline float nac_expf(float x) {
    float v = x < -87.33f ? -87.33f : x;
    v = v > 88.72f ? 88.72f : v;
    /* n = round(v / ln 2): adding 1.5 * 2^23 leaves no room for a fraction, and puts n into the low bits. */
    float shifted = v * 1.44269504f + 12582912.0f, n = shifted - 12582912.0f;
    float r = (v - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    /* 2^n in two factors: n is 128 at the upper end, which no exponent field holds. */
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    int32_t whole = (int32_t)(bits - 0x4B400000u), half = whole >> 1;
    uint32_t low_bits = (uint32_t)(half + 127) << 23, high_bits = (uint32_t)(whole - half + 127) << 23;
    float low, high;
    memcpy(&low, &low_bits, sizeof low);
    memcpy(&high, &high_bits, sizeof high);
    float result = p * low * high;
    return x > 88.72283f ? INFINITY : result;
}

/* erf(x) within 3 ulp: a polynomial near 0, 1 - exp(polynomial) beyond. */
static inline float nac_erff(float x) {
    float t = fabsf(x), s = x * x;
    float far = -1.72853470e-5f * t + 3.83197126e-4f;
    float more = -3.88396438e-3f * t + 2.42546219e-2f;
    far = far * s + more;
    far = far * t - 1.06777877e-1f;
    far = far * t - 6.34846687e-1f;
    far = far * t - 1.28717512e-1f;
    far = far * t - t;
    far = t > 4.0f ? 1.0f : 1.0f - nac_expf(far);
    far = x < 0 ? -far : far;
    float near = -5.96761703e-4f;
    near = near * s + 4.99119423e-3f;
    near = near * s - 2.67681349e-2f;
    near = near * s + 1.12819925e-1f;
    near = near * s - 3.76125336e-1f;
    near = near * s + 1.28379166e-1f;
    near = near * x + x;
    return t > 0.927734375f ? far : near;
}

#endif
