/* png.h - what png.c reads from the chunks and png_rows.c needs to make pixels. */
#ifndef NAC_PNG_H
#define NAC_PNG_H

#include "image/image.h"

/* PNG's colour types. */
enum { NAC_PNG_GRAY = 0, NAC_PNG_RGB = 2, NAC_PNG_PALETTE = 3, NAC_PNG_GRAY_ALPHA = 4, NAC_PNG_RGB_ALPHA = 6 };

typedef struct nac_png {
    int width, height; /* 0: no header yet */
    int depth;         /* bits a sample: 1, 2, 4, 8, 16 */
    int color;
    int samples; /* a pixel */
    bool interlaced;
    int palette_size;
    uint8_t palette[256][4]; /* RGBA */
    bool has_key;            /* tRNS: one colour is transparent, compared before any scaling */
    uint16_t key[3];
} nac_png;

/* Bytes of all filtered rows: of the image, or of its seven passes. */
size_t nac_png_size(const nac_png *png);

/* Undoes the filters in `rows` itself (nac_png_size bytes) and writes width * height RGB pixels. */
nac_status nac_png_rows(const nac_png *png, uint8_t *rows, nac_alpha alpha, uint8_t *rgb, nac_error *error);

#endif
