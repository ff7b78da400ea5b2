/* simd.h - four floats at a time, by the compilers' vector extension: the same source is wasm SIMD, SSE or NEON. Used
 * where a loop must keep its sums in registers; simpler loops are left to the compiler. */
#ifndef NAC_SIMD_H
#define NAC_SIMD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* In front of a loop whose rounds are independent although its output may be one of its inputs: the plan lets element-wise
 * operators write over an input. Without it the compiler's overlap check finds one, and takes the scalar loop: 30 times slower
 * where a condition is unpredictable. (`restrict` would be a lie, and is not looked at for local pointers.) */
#if defined(__clang__)
#pragma clang diagnostic ignored "-Wpass-failed" /* sqrtf sets errno natively, and stays a call */
#define NAC_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define NAC_INDEPENDENT _Pragma("GCC ivdep")
#endif

typedef float nac_f4 __attribute__((vector_size(16)));
typedef int nac_i4 __attribute__((vector_size(16))); /* a comparison of two nac_f4: all bits or none */

static inline nac_f4 nac_load4(const float *from) {
    nac_f4 v;
    memcpy(&v, from, sizeof v);
    return v;
}

static inline void nac_store4(float *to, nac_f4 v) { memcpy(to, &v, sizeof v); }

static inline nac_f4 nac_splat4(float v) { return (nac_f4){v, v, v, v}; }

static inline nac_f4 nac_select4(nac_i4 which, nac_f4 yes, nac_f4 no) { return (nac_f4)(((nac_i4)yes & which) | ((nac_i4)no & ~which)); }

static inline nac_f4 nac_abs4(nac_f4 v) { return (nac_f4)((nac_i4)v & 0x7fffffff); }

/* v where it is not less (more) than the bound, so NaN stays NaN. */
static inline nac_f4 nac_max4(nac_f4 v, nac_f4 low) {
#if defined(__wasm_simd128__)
    return __builtin_wasm_pmax_f32x4(v, low);
#else
    return nac_select4(v < low, low, v);
#endif
}

static inline nac_f4 nac_min4(nac_f4 v, nac_f4 high) {
#if defined(__wasm_simd128__)
    return __builtin_wasm_pmin_f32x4(v, high);
#else
    return nac_select4(v > high, high, v);
#endif
}

/* a * b + c; rounded once where the target is relaxed SIMD on a processor with FMA. */
static inline nac_f4 nac_madd4(nac_f4 a, nac_f4 b, nac_f4 c) {
#if defined(__wasm_relaxed_simd__)
    return __builtin_wasm_relaxed_madd_f32x4(a, b, c);
#else
    return a * b + c;
#endif
}

/* V8 computes a loop body's loads first and its sums last, so of a body with several steps most would be spilled: 31 GFLOP/s unrolled,
 * 49 of 50 as it is. */
#if defined(__clang__)
#define NAC_NOT_UNROLLED _Pragma("clang loop unroll(disable)")
#else
#define NAC_NOT_UNROLLED
#endif

/* Rows become columns. */
static inline void nac_transpose4(nac_f4 *a, nac_f4 *b, nac_f4 *c, nac_f4 *d) {
    const nac_f4 ab_low = __builtin_shufflevector(*a, *b, 0, 4, 1, 5), ab_high = __builtin_shufflevector(*a, *b, 2, 6, 3, 7);
    const nac_f4 cd_low = __builtin_shufflevector(*c, *d, 0, 4, 1, 5), cd_high = __builtin_shufflevector(*c, *d, 2, 6, 3, 7);
    *a = __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5);
    *b = __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7);
    *c = __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5);
    *d = __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7);
}

/* Bit i: whether lane i of a comparison holds. */
static inline unsigned nac_bits4(nac_i4 which) {
#if defined(__wasm_simd128__)
    return __builtin_wasm_bitmask_i32x4(which);
#else
    return (unsigned)((which[0] & 1) | (which[1] & 2) | (which[2] & 4) | (which[3] & 8));
#endif
}

/* The lanes of v whose bit is set, and behind them whatever. */
static inline nac_f4 nac_pack4(nac_f4 v, unsigned bits) {
#if defined(__wasm_simd128__)
    enum { A = 0x03020100, B = 0x07060504, C = 0x0b0a0908, D = 0x0f0e0d0c }; /* the bytes of a lane */
    static const nac_i4 lanes[16] = {{A},    {A},    {B},    {A, B},    {C},    {A, C},    {B, C},    {A, B, C},
                                     {D},    {A, D}, {B, D}, {A, B, D}, {C, D}, {A, C, D}, {B, C, D}, {A, B, C, D}};
    typedef signed char bytes __attribute__((vector_size(16)));
    return (nac_f4)__builtin_wasm_swizzle_i8x16((bytes)v, (bytes)lanes[bits]);
#else
    nac_f4 packed = {0};
    for (int i = 0, n = 0; i < 4; ++i)
        if (bits >> i & 1) packed[n++] = v[i];
    return packed;
#endif
}

/* ---- Bytes ------------------------------------------------------------------------------------------ */

typedef int8_t nac_b16 __attribute__((vector_size(16)));
typedef int16_t nac_h8 __attribute__((vector_size(16)));

static inline nac_b16 nac_load16b(const int8_t *from) {
    nac_b16 v;
    memcpy(&v, from, sizeof v);
    return v;
}

/* Four numbers twice, and two numbers four times each. */
static inline nac_h8 nac_repeat4h(const int16_t *n) { return (nac_h8){n[0], n[1], n[2], n[3], n[0], n[1], n[2], n[3]}; }
static inline nac_h8 nac_double4h(int16_t a, int16_t b) { return (nac_h8){a, a, a, a, b, b, b, b}; }

/* Rows of four bytes become columns. */
static inline nac_b16 nac_transpose4b(nac_b16 v) { return __builtin_shufflevector(v, v, 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15); }

/* Eight whole numbers as floats. */
static inline void nac_widen8(nac_h8 v, nac_f4 *low, nac_f4 *high) {
    typedef int16_t h4 __attribute__((vector_size(8)));
    const h4 first = __builtin_shufflevector(v, v, 0, 1, 2, 3), second = __builtin_shufflevector(v, v, 4, 5, 6, 7);
    *low = __builtin_convertvector(__builtin_convertvector(first, nac_i4), nac_f4);
    *high = __builtin_convertvector(__builtin_convertvector(second, nac_i4), nac_f4);
}

/* Sixteen bytes, less `low` (the first eight) and `high`, as floats. */
static inline void nac_widen16(nac_b16 v, nac_h8 low, nac_h8 high, nac_f4 floats[4]) {
    typedef int8_t b8 __attribute__((vector_size(8)));
    const b8 first = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7), second = __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
    nac_widen8(__builtin_convertvector(first, nac_h8) - low, &floats[0], &floats[1]);
    nac_widen8(__builtin_convertvector(second, nac_h8) - high, &floats[2], &floats[3]);
}

/* ---- Memory ----------------------------------------------------------------------------------------- */

/* Reads a byte of each cache line, in order, so that the processor fetches ahead, for whoever then reads them in an order that it does not guess, or
 * with so much between two of them that it does not look far enough: either would wait for memory most of the time. */
static inline void nac_fetch(const void *data, size_t bytes) {
    const unsigned char *from = data;
    unsigned sum = 0;
    for (size_t i = 0; i < bytes; i += 64) sum += from[i];
    __asm__ volatile("" ::"r"(sum)); /* the sum is wanted, as far as the compiler knows */
}

/* A loop over `count` elements by fours; the last few go through a vector that is padded with zeros, so that an element's result
 * doesn't depend on its place. `expression` is made of u, four of a, and d, four of b. */
#define NAC_FOR_EACH_4(y, a, b, count, expression)                                                             \
    do {                                                                                                       \
        size_t i_ = 0;                                                                                         \
        for (; i_ + 4 <= (count); i_ += 4) {                                                                   \
            const nac_f4 u = nac_load4((a) + i_), d = nac_load4((b) + i_);                                     \
            (void)d;                                                                                           \
            nac_store4((y) + i_, (expression));                                                                \
        }                                                                                                      \
        if (i_ < (count)) {                                                                                    \
            nac_f4 u = {0}, d = {0};                                                                           \
            memcpy(&u, (a) + i_, ((count) - i_) * sizeof(float));                                              \
            memcpy(&d, (b) + i_, ((count) - i_) * sizeof(float));                                              \
            const nac_f4 last_ = (expression);                                                                 \
            memcpy((y) + i_, &last_, ((count) - i_) * sizeof(float));                                          \
        }                                                                                                      \
    } while (0)

#endif
