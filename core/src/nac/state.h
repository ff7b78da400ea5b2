/* state.h - one neuron's state, inline for the loops that compute millions of them. */
#ifndef NAC_STATE_H
#define NAC_STATE_H

#include <math.h>

#include "base/base.h"

/* 1 / (1 + exp(-alpha * (z * g))), each step rounded to float32 as the authors' PyTorch does it: z * g first. No
 * short cut through the logit: float32 makes every x in about [-1.1e-7, 1.2e-7] the state 0.5, every x >= 16.64 the
 * state 1 and every x < -88.7 the state 0, and the bins next to 0.5 are narrow enough to tell. */
static inline float nac_state_of(float z, float g, float alpha) {
    float x = alpha * (z * g);
    return 1.0f / (1.0f + expf(-x));
}

#endif
