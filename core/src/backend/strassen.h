/* strassen.h - 1x1 convolutions and their gradients with an eighth fewer multiplications. Knows nothing of XNNPACK. */
#ifndef NAC_STRASSEN_H
#define NAC_STRASSEN_H

#include "backend/convolution.h"

bool nac_strassen_takes(const nac_convolution *p);

/* Floats of the combined weights, 7/4 of the original, and what makes them. One copy serves both directions. */
size_t nac_strassen_weights(const nac_convolution *p);
void nac_strassen_combine(const nac_convolution *p, float *weights);

/* Floats of scratch that a run wants. */
size_t nac_strassen_scratch(const nac_convolution *p, bool backward);

/* Forward: `to` [N,OH,OW,Co] of `from` [N,H,W,Ci], with bias [Co] or NULL, clamped to [low, high]. Backward: dx of dy. Pixels are combined with
 * others of their own image only: its result doesn't depend on its neighbours in the batch. */
void nac_strassen_run(const nac_convolution *p, bool backward, const float *weights, const float *from, const float *bias, float low, float high,
                      float *scratch, float *to);

#endif
