/* convolution.h - what a convolution of our own is told, and the algorithms. They know nothing of XNNPACK. */
#ifndef NAC_CONVOLUTION_H
#define NAC_CONVOLUTION_H

#include "graph/quantised.h"

/* Sizes of the forward convolution, whichever of the two directions is computed. x is [N,H,W,Ci], y is [N,OH,OW,Co]. */
typedef struct nac_convolution {
    nac_window window;
    int N, H, W, Ci, OH, OW, Co, groups;
    const float *w;      /* [Co,kh,kw,Ci/groups], or NULL where the weights are */
    bool quantised;      /* bytes, */
    nac_quantised bytes; /* in the same order. Neither is there any more once they are arranged */
    bool zeros;     /* x, or dy where the gradient is computed, is expected to be zero in about half of its places */
} nac_convolution;

/* A convolution and its gradient from one copy of the weights. */
typedef struct nac_algorithm {
    const char *forward, *backward; /* what it is called, either way */

    /* Whether it can, and is faster than those behind it in own_convolution.c's list and XNNPACK, or as fast with less memory. Doesn't depend on N. */
    bool (*takes)(const nac_convolution *p);

    bool keeps_bytes; /* takes quantised weights, and arranges them as the bytes that they are */

    /* Floats of the rearranged weights, and what makes them. */
    size_t (*weights)(const nac_convolution *p);
    void (*arrange)(const nac_convolution *p, float *weights);

    /* Floats of scratch that a run wants. */
    size_t (*scratch)(const nac_convolution *p, bool backward);

    /* Forward: `to` [N,OH,OW,Co] of `from` [N,H,W,Ci], with bias [Co] or NULL, clamped to [low, high]. Backward: dx of dy, likewise. Every output is
     * summed in one order: an image's result doesn't depend on its neighbours in the batch. */
    void (*run)(const nac_convolution *p, bool backward, const float *weights, const float *from, const float *bias, float low, float high,
                float *scratch, float *to);
} nac_algorithm;

extern const nac_algorithm nac_sparse;   /* convolutions of what is zero in many places, without the multiplications by zero */
extern const nac_algorithm nac_direct;   /* convolutions over few pixels with many weights */
extern const nac_algorithm nac_winograd; /* 3x3 with 2.25 times (stride 1) or 1.44 times (stride 2) fewer multiplications */

/* Whether a value is expected to be zero in about half of its places: a ReLU made it, or a ReLU's gradient. */
bool nac_sparse_expects_zeros(const nac_graph *graph, int value);

#endif
