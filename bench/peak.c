/* peak.c - as many multiply-adds a second as one core can do in this binary's instruction set: sums that stay in registers, no memory.
 *
 * With relaxed SIMD a multiply-add is one instruction (on processors with FMA), with plain SIMD two. Twelve sums: a processor that
 * starts two fused multiply-adds a cycle and takes four cycles for each is kept busy by eight. bench/peak.js runs it. */
#include "backend/simd.h"

enum { SUMS = 12 };

/* Multiply-adds of one round. */
int multiply_adds(void) { return SUMS * 4; }

float run(int rounds) {
    nac_f4 sums[SUMS];
    for (int i = 0; i < SUMS; ++i) sums[i] = nac_splat4((float)i);
    const nac_f4 a = nac_splat4(0.999f), b = nac_splat4(1e-3f);
    for (int r = 0; r < rounds; ++r)
#pragma clang loop unroll(full)
        for (int i = 0; i < SUMS; ++i) sums[i] = nac_madd4(sums[i], a, b);
    nac_f4 total = nac_splat4(0);
    for (int i = 0; i < SUMS; ++i) total += sums[i];
    return total[0];
}
