/* convolution.h - what a convolution of our own is told. */
#ifndef NAC_CONVOLUTION_H
#define NAC_CONVOLUTION_H

#include "graph/graph.h"

/* Sizes of the forward convolution, whichever of the two directions is computed. x is [N,H,W,Ci], y is [N,OH,OW,Co]. */
typedef struct nac_convolution {
    nac_window window;
    int N, H, W, Ci, OH, OW, Co, groups;
    const float *w; /* [Co,kh,kw,Ci/groups] */
    bool zeros;     /* x, or dy where the gradient is computed, is expected to be zero in about half of its places */
} nac_convolution;

#endif
