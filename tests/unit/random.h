/* random.h - chance that is the same everywhere: for tests, and for fuzz targets that replay without libFuzzer. */
#ifndef NAC_RANDOM_H
#define NAC_RANDOM_H

#include <stdint.h>

/* A small fixed generator (xorshift64*), so that "random" cases are the same everywhere. */
static inline uint32_t test_random(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (uint32_t)((*state * 0x2545F4914F6CDD1DULL) >> 32);
}

/* Uniform in [-1, 1). */
static inline float test_uniform(uint64_t *state) { return (float)((double)test_random(state) / 2147483648.0 - 1.0); }

#endif
