/* The few questions XNNPACK asks of the cpuinfo library on x86, answered by the compiler's own
 * __builtin_cpu_supports (which also checks that the operating system saves the registers). It spares
 * the native test build a dependency; the wasm build never includes this. AVX-512 and later are answered
 * "no": those kernels are not compiled. */
#ifndef NAC_SHIM_CPUINFO_H
#define NAC_SHIM_CPUINFO_H

#include <stdbool.h>
#include <stddef.h>

static inline bool cpuinfo_initialize(void) {
    __builtin_cpu_init();
    return true;
}

/* XNNPACK picks other tile shapes for the first Zen; one choice for every processor is fine for tests. */
enum cpuinfo_uarch { cpuinfo_uarch_unknown, cpuinfo_uarch_zen, cpuinfo_uarch_dhyana };
struct cpuinfo_core {
    enum cpuinfo_uarch uarch;
};
static inline const struct cpuinfo_core* cpuinfo_get_core(unsigned index) {
    static const struct cpuinfo_core core = {cpuinfo_uarch_unknown};
    (void) index;
    return &core;
}

static inline bool cpuinfo_has_x86_sse2(void) { return __builtin_cpu_supports("sse2"); }
static inline bool cpuinfo_has_x86_ssse3(void) { return __builtin_cpu_supports("ssse3"); }
static inline bool cpuinfo_has_x86_sse4_1(void) { return __builtin_cpu_supports("sse4.1"); }
static inline bool cpuinfo_has_x86_avx(void) { return __builtin_cpu_supports("avx"); }
/* Every processor with AVX2 has F16C; Clang before 17 cannot be asked for F16C itself. */
static inline bool cpuinfo_has_x86_f16c(void) { return __builtin_cpu_supports("avx2"); }
static inline bool cpuinfo_has_x86_fma3(void) { return __builtin_cpu_supports("fma"); }
static inline bool cpuinfo_has_x86_avx2(void) { return __builtin_cpu_supports("avx2"); }

static inline bool cpuinfo_has_x86_gfni(void) { return false; }
static inline bool cpuinfo_has_x86_avxvnni(void) { return false; }
static inline bool cpuinfo_has_x86_avx_vnni_int8(void) { return false; }
static inline bool cpuinfo_has_x86_avx10(void) { return false; }
static inline unsigned cpuinfo_get_x86_avx10_version(void) { return 0; }
static inline bool cpuinfo_has_x86_amx_int8(void) { return false; }
static inline bool cpuinfo_has_x86_avx512f(void) { return false; }
static inline bool cpuinfo_has_x86_avx512bw(void) { return false; }
static inline bool cpuinfo_has_x86_avx512cd(void) { return false; }
static inline bool cpuinfo_has_x86_avx512dq(void) { return false; }
static inline bool cpuinfo_has_x86_avx512vl(void) { return false; }
static inline bool cpuinfo_has_x86_avx512vbmi(void) { return false; }
static inline bool cpuinfo_has_x86_avx512vnni(void) { return false; }
static inline bool cpuinfo_has_x86_avx512fp16(void) { return false; }

#endif
