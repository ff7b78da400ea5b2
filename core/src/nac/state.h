/* state.h - one neuron's state, inline for the loops that compute millions of them. */
#ifndef NAC_STATE_H
#define NAC_STATE_H

#include <math.h>

#include "base/base.h"

/* 1 / (1 + exp(-alpha * (z * g))), each step rounded to float32 as the authors' PyTorch does it: z * g first. No
 * short cut through the logit: float32 makes every x in (-1.78e-7, 8.9e-8) the state 0.5, every x >= 16.64 the state
 * 1 and every x < -88.7 the state 0, and 0.5 is an edge. The first interval is that of an exp which rounds correctly near
 * 1, as PyTorch's, glibc's and musl's do; NumPy's float32 exp does not, and has [-1.08e-7, 1.23e-7]. */
static inline float nac_state_of(float z, float g, float alpha) {
    float x = alpha * (z * g);
    return 1.0f / (1.0f + expf(-x));
}

#endif
