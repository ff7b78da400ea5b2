/* winograd_error.h - what rounding may do to Winograd's convolutions of inputs and weights in [-1, 1]. */
#ifndef NAC_WINOGRAD_ERROR_H
#define NAC_WINOGRAD_ERROR_H

#include <math.h>

#include "backend/winograd.h"

/* The products are of sums of neighbours, some of which the output doesn't depend on. Those of one channel and one output are in sum at most
 * the square of what they are along one axis: at F(2, 3) 1 + 1.5 + 1.5 times inputs of 2; at F(4, 3) 23.2, by its three matrices' absolute values;
 * at stride 2 2 + 1 + 2 (2 + 2 for a gradient). Of so many channels, four times as many at stride 2, are the sums; 12 roundings in the transforms,
 * 36 at F(4, 3). */
static inline double winograd_error(const nac_convolution *p, bool backward) {
    const double channels = backward ? p->Co : p->Ci;
    switch (nac_winograd_form_of(p)) {
        case NAC_WINOGRAD_2: return (channels + 12) * ldexp(1, -24) * 8 * 8 * channels;
        case NAC_WINOGRAD_4: return (channels + 36) * ldexp(1, -24) * 23.2 * 23.2 * channels;
        default: return (4 * channels + 12) * ldexp(1, -24) * 5 * 5 * channels;
    }
}

#endif
