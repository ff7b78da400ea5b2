/* jpeg_kernels.h - the arithmetic between JPEG coefficients and RGB, in libjpeg's rounding. Signatures are stb_image's. */
#ifndef NAC_JPEG_KERNELS_H
#define NAC_JPEG_KERNELS_H

#include "image/image.h"

/* 64 dequantised coefficients, row by row -> 8 x 8 samples. */
void nac_jpeg_idct(uint8_t *out, int stride, short coefficients[64]);

/* One row of chroma to the resolution of luma. near is the row that covers the output row, far its other neighbour (above or
 * below; the same row at the image's edge), w their samples. The result is `out` or a row that needs no change. */
uint8_t *nac_jpeg_upsample_h2v1(uint8_t *out, uint8_t *near, uint8_t *far, int w, int hs);
uint8_t *nac_jpeg_upsample_h1v2(uint8_t *out, uint8_t *near, uint8_t *far, int w, int hs);
uint8_t *nac_jpeg_upsample_h2v2(uint8_t *out, uint8_t *near, uint8_t *far, int w, int hs);

/* count pixels; `step` bytes from one to the next. */
void nac_jpeg_to_rgb(uint8_t *out, const uint8_t *y, const uint8_t *cb, const uint8_t *cr, int count, int step);

#endif
