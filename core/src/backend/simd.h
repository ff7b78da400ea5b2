/* simd.h - four floats at a time, by the compilers' vector extension: the same source is wasm SIMD, SSE or NEON. Used
 * where a loop must keep its sums in registers; simpler loops are left to the compiler. */
#ifndef NAC_SIMD_H
#define NAC_SIMD_H

#include <string.h>

typedef float nac_f4 __attribute__((vector_size(16)));

static inline nac_f4 nac_load4(const float *from) {
    nac_f4 v;
    memcpy(&v, from, sizeof v);
    return v;
}

static inline void nac_store4(float *to, nac_f4 v) { memcpy(to, &v, sizeof v); }

/* a * b + c; rounded once where the target is relaxed SIMD on a processor with FMA. */
static inline nac_f4 nac_madd4(nac_f4 a, nac_f4 b, nac_f4 c) {
#if defined(__wasm_relaxed_simd__)
    return __builtin_wasm_relaxed_madd_f32x4(a, b, c);
#else
    return a * b + c;
#endif
}

#endif
