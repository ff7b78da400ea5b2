/* winograd.h - 3x3 convolutions and their gradients with 2.25 times (stride 1) or 1.44 times (stride 2) fewer multiplications. Knows nothing of
 * XNNPACK. */
#ifndef NAC_WINOGRAD_H
#define NAC_WINOGRAD_H

#include "backend/convolution.h"

/* Whether it can, and is faster than XNNPACK. Doesn't depend on N. */
bool nac_winograd_takes(const nac_convolution *p);

/* Floats of the transformed weights, 16/9 of the original, and what makes them. One copy serves both directions. */
size_t nac_winograd_weights(const nac_convolution *p);
void nac_winograd_transform(const nac_convolution *p, float *weights);

/* Floats of scratch that a run wants. */
size_t nac_winograd_scratch(const nac_convolution *p, bool backward);

/* Forward: `to` [N,OH,OW,Co] of `from` [N,H,W,Ci], with bias [Co] or NULL, clamped to [low, high]. Backward: dx of dy. Every output is made from its
 * own tile, in one order of summation: an image's result doesn't depend on its neighbours in the batch. */
void nac_winograd_run(const nac_convolution *p, bool backward, const float *weights, const float *from, const float *bias, float low, float high,
                      float *scratch, float *to);

#endif
