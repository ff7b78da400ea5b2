/* window.h - the geometry that convolution and pooling share. */
#ifndef NAC_OPS_WINDOW_H
#define NAC_OPS_WINDOW_H

#include "ops/ops.h"

/* Index of the window that starts at `padded` (position in the padded input), or -1: none of the `count` does. */
static inline int nac_window_source(int padded, int stride, int count) {
    if (padded < 0 || padded % stride != 0 || padded / stride >= count) return -1;
    return padded / stride;
}

/* Input i, as an image that lies channels-last. A sequence [N,C,L] becomes an image of one row, and *axes 1 instead of 2; `shape` is ONNX's, of
 * the image. */
nac_status nac_lower_image(nac_lowering *lowering, int i, int *x, nac_shape *shape, int *axes);

/* The same of a value *x that stands for input i. */
nac_status nac_as_image(nac_lowering *lowering, int i, int *x, nac_shape *shape, int *axes);

/* X [N,Ci,H,W] * W [Co,Ci/g,kh,kw] + B [Co] by the attributes of lowering->node, or all of it without H, bound to output 0. W and the bias are constants;
 * the bias may be NAC_NONE. convolution.c. */
nac_status nac_lower_convolution(nac_lowering *lowering, int x, int w, int bias);

/* Binds output 0 to an image, or to the sequence that it is when `axes` is 1. */
nac_status nac_lower_bind_image(nac_lowering *lowering, int y, int axes);

/* Reads strides, pads, dilations and auto_pad of lowering->node, each for the last `axes` of H and W, for an input of size[2] and a kernel[2]
 * (H, W). out[2] receives the number of windows, by ONNX's rule (which is PyTorch's): with ceil_mode the last window may hang over the
 * end, but must start inside the input or the padding in front of it. */
nac_status nac_lower_window(nac_lowering *lowering, int axes, const int *size, const int *kernel, bool ceil_mode, nac_window *window, int *out);

/* The same of a transposed convolution, with output_padding and output_shape: out[2] receives the sizes that a convolution with this window
 * would read to make size[2]. */
nac_status nac_lower_transposed_window(nac_lowering *lowering, int axes, const int *size, const int *kernel, nac_window *window, int *out);

#endif
