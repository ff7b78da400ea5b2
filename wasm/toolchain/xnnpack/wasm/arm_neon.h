/* XNNPACK at the pinned commit includes <arm_neon.h> in a few wasmsimd kernels (f32-qs8-vcvt,
 * f32-qu8-vcvt) where <wasm_simd128.h> is meant: upstream's build picks Emscripten's NEON emulation,
 * which pulls the same header in and costs seconds a file. */
#ifndef NAC_SHIM_ARM_NEON_H
#define NAC_SHIM_ARM_NEON_H

#include <wasm_simd128.h>

#endif
