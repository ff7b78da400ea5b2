/* jpeg_kernels.c - JPEG arithmetic with libjpeg's constants and rounding, so that pixels equal Pillow's (and nearly every other
 * program's) to the last bit. JPEG leaves these roundings open; stb_image's own are up to 3 levels off, and its 4:2:2 upsampling
 * mixes the last columns up (18 levels).
 *
 * The inverse DCT is that of Loeffler, Ligtenberg and Moschytz (ICASSP 1989), "islow" in libjpeg: 13-bit constants, two more
 * bits kept between the passes. Sums are unsigned: broken files overflow them, which must stay defined. */
#include <string.h>

#include "image/jpeg_kernels.h"

enum { CONSTANT_BITS = 13, PASS_BITS = 2 };

/* Eight columns at once: in and out are [8][8]. The plain loop becomes SIMD code; written with vectors it was no faster. */
static inline void idct_columns(const int32_t *restrict in, int32_t *restrict out, int shift) {
    const uint32_t half = 1u << (shift - 1);
    for (int c = 0; c < 8; ++c) {
        const uint32_t in0 = (uint32_t)in[c], in1 = (uint32_t)in[8 + c], in2 = (uint32_t)in[16 + c], in3 = (uint32_t)in[24 + c];
        const uint32_t in4 = (uint32_t)in[32 + c], in5 = (uint32_t)in[40 + c], in6 = (uint32_t)in[48 + c], in7 = (uint32_t)in[56 + c];
        /* Even part: 0.541196100, 1.847759065, 0.765366865. */
        uint32_t turn = (in2 + in6) * 4433u;
        uint32_t even2 = turn - in6 * 15137u, even3 = turn + in2 * 6270u;
        uint32_t even0 = ((in0 + in4) << CONSTANT_BITS) + half, even1 = ((in0 - in4) << CONSTANT_BITS) + half;
        uint32_t a0 = even0 + even3, a3 = even0 - even3, a1 = even1 + even2, a2 = even1 - even2;
        /* Odd part: 1.175875602, 1.961570560, 0.390180644, 0.899976223, 2.562915447. */
        uint32_t z5 = (in7 + in3 + in5 + in1) * 9633u;
        uint32_t z3 = z5 - (in7 + in3) * 16069u, z4 = z5 - (in5 + in1) * 3196u;
        uint32_t z1 = (in7 + in1) * 7373u, z2 = (in5 + in3) * 20995u;
        /* 0.298631336, 2.053119869, 3.072711026, 1.501321110. */
        uint32_t b0 = in7 * 2446u - z1 + z3, b1 = in5 * 16819u - z2 + z4;
        uint32_t b2 = in3 * 25172u - z2 + z3, b3 = in1 * 12299u - z1 + z4;
        out[c] = (int32_t)(a0 + b3) >> shift, out[56 + c] = (int32_t)(a0 - b3) >> shift;
        out[8 + c] = (int32_t)(a1 + b2) >> shift, out[48 + c] = (int32_t)(a1 - b2) >> shift;
        out[16 + c] = (int32_t)(a2 + b1) >> shift, out[40 + c] = (int32_t)(a2 - b1) >> shift;
        out[24 + c] = (int32_t)(a3 + b0) >> shift, out[32 + c] = (int32_t)(a3 - b0) >> shift;
    }
}

static inline void transpose(const int32_t *restrict in, int32_t *restrict out) {
    for (int i = 0; i < 8; ++i)
        for (int j = 0; j < 8; ++j) out[j * 8 + i] = in[i * 8 + j];
}

static inline uint8_t clamp(int32_t value) { return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value); }

void nac_jpeg_idct(uint8_t *out, int stride, short coefficients[64]) {
    int32_t a[64], b[64];
    for (int i = 0; i < 64; ++i) a[i] = coefficients[i];
    idct_columns(a, b, CONSTANT_BITS - PASS_BITS);
    transpose(b, a);
    idct_columns(a, b, CONSTANT_BITS + PASS_BITS + 3);
    transpose(b, a);
    for (int row = 0; row < 8; ++row, out += stride)
        for (int c = 0; c < 8; ++c) out[c] = clamp(a[row * 8 + c] + 128);
}

/* libjpeg repeats samples when there are two or one. */
static uint8_t *repeat(uint8_t *out, const uint8_t *in, int w) {
    for (int i = 0; i < w; ++i) out[2 * i] = out[2 * i + 1] = in[i];
    return out;
}

/* Three quarters of the nearer sample, one of the farther; halves go down to the left and up to the right. */
uint8_t *nac_jpeg_upsample_h2v1(uint8_t *out, uint8_t *near, uint8_t *far, int w, int hs) {
    (void)far;
    (void)hs;
    if (w <= 2) return repeat(out, near, w);
    out[0] = near[0];
    for (int i = 1; i < w; ++i) {
        out[2 * i - 1] = (uint8_t)((3 * near[i - 1] + near[i] + 2) >> 2);
        out[2 * i] = (uint8_t)((3 * near[i] + near[i - 1] + 1) >> 2);
    }
    out[2 * w - 1] = near[w - 1];
    return out;
}

uint8_t *nac_jpeg_upsample_h1v2(uint8_t *out, uint8_t *near, uint8_t *far, int w, int hs) {
    (void)hs;
    int bias = far < near ? 1 : 2; /* the row above stands before this one in memory */
    for (int i = 0; i < w; ++i) out[i] = (uint8_t)((3 * near[i] + far[i] + bias) >> 2);
    return out;
}

uint8_t *nac_jpeg_upsample_h2v2(uint8_t *out, uint8_t *near, uint8_t *far, int w, int hs) {
    (void)hs;
    if (w <= 2) return repeat(out, near, w);
    int left = 3 * near[0] + far[0];
    out[0] = (uint8_t)((left + 2) >> 2);
    for (int i = 1; i < w; ++i) {
        int before = 3 * near[i - 1] + far[i - 1], here = 3 * near[i] + far[i];
        out[2 * i - 1] = (uint8_t)((3 * before + here + 7) >> 4);
        out[2 * i] = (uint8_t)((3 * here + before + 8) >> 4);
    }
    int right = 3 * near[w - 1] + far[w - 1];
    out[2 * w - 1] = (uint8_t)((4 * right + 7) >> 4);
    return out;
}

/* 1.40200, 0.71414, 0.34414 and 1.77200 with 16 fractional bits. */
void nac_jpeg_to_rgb(uint8_t *restrict out, const uint8_t *restrict y, const uint8_t *restrict cb, const uint8_t *restrict cr,
                     int count, int step) {
    enum { HALF = 1 << 15 };
    if (step != 3) return; /* stb asks for RGB as nac_stb_jpeg did */
    for (int i = 0; i < count; ++i) {
        int blue = cb[i] - 128, red = cr[i] - 128;
        out[3 * i] = clamp(y[i] + ((91881 * red + HALF) >> 16));
        out[3 * i + 1] = clamp(y[i] + ((-22554 * blue - 46802 * red + HALF) >> 16));
        out[3 * i + 2] = clamp(y[i] + ((116130 * blue + HALF) >> 16));
    }
}
