/* sparse.h - 1x1 convolutions of what is zero in many places, and their gradients, without the multiplications by zero. Knows nothing of XNNPACK. */
#ifndef NAC_SPARSE_H
#define NAC_SPARSE_H

#include "backend/convolution.h"

/* Whether a value is expected to be zero in about half of its places: a ReLU made it, or a ReLU's gradient. */
bool nac_sparse_expects_zeros(const nac_graph *graph, int value);

/* Whether it can, and is faster than the others where p->zeros is true. Doesn't depend on N. */
bool nac_sparse_takes(const nac_convolution *p);

/* Floats of the rearranged weights, and what makes them. One copy serves both directions. */
size_t nac_sparse_weights(const nac_convolution *p);
void nac_sparse_arrange(const nac_convolution *p, float *weights);

/* Floats of scratch that a run wants. */
size_t nac_sparse_scratch(const nac_convolution *p, bool backward);

/* As nac_winograd_run. */
void nac_sparse_run(const nac_convolution *p, bool backward, const float *weights, const float *from, const float *bias, float low, float high,
                    float *scratch, float *to);

#endif
