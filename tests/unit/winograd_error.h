/* winograd_error.h - what rounding may do to Winograd's convolutions of inputs and weights in [-1, 1]. */
#ifndef NAC_WINOGRAD_ERROR_H
#define NAC_WINOGRAD_ERROR_H

#include <math.h>

#include "backend/convolution.h"

/* The products are of sums of neighbours, some of which the output doesn't depend on. Those of one channel and one output are in sum at most
 * the square of what they are along one axis: 1 + 1.5 + 1.5 times inputs of 2 at stride 1, 2 + 1 + 2 at stride 2 (2 + 2 for a gradient). Of so many
 * channels, four times as many at stride 2, are the sums; 12 roundings in the transforms. */
static inline double winograd_error(const nac_convolution *p, bool backward) {
    const double channels = backward ? p->Co : p->Ci, axis = p->window.stride_h == 1 ? 8 : 5, sums = p->window.stride_h == 1 ? 1 : 4;
    return (sums * channels + 12) * ldexp(1, -24) * axis * axis * channels;
}

#endif
