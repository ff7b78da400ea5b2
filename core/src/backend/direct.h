/* direct.h - convolutions over few pixels with many weights, and their gradients, from one copy of the weights. Knows nothing of XNNPACK. */
#ifndef NAC_DIRECT_H
#define NAC_DIRECT_H

#include "backend/convolution.h"

/* Whether it can, and is faster than Winograd's and XNNPACK or as fast with less memory. Doesn't depend on N. */
bool nac_direct_takes(const nac_convolution *p);

/* Floats of the rearranged weights, as many as there are, and what makes them. One copy serves both directions. */
size_t nac_direct_weights(const nac_convolution *p);
void nac_direct_arrange(const nac_convolution *p, float *weights);

/* Floats of scratch that a run wants. */
size_t nac_direct_scratch(const nac_convolution *p, bool backward);

/* As nac_winograd_run. */
void nac_direct_run(const nac_convolution *p, bool backward, const float *weights, const float *from, const float *bias, float low, float high,
                    float *scratch, float *to);

#endif
