/* exif.c - EXIF orientation: found in a TIFF block, applied to pixels. */
#include <string.h>

#include "image/image.h"

typedef struct tiff {
    const uint8_t *bytes;
    size_t size;
    bool little;
} tiff;

/* The caller has checked that at + 2 (or 4) <= size. */
static uint32_t read16(const tiff *block, size_t at) {
    const uint8_t *p = block->bytes + at;
    return block->little ? p[0] | (uint32_t)p[1] << 8 : (uint32_t)p[0] << 8 | p[1];
}

static uint32_t read32(const tiff *block, size_t at) {
    uint32_t first = read16(block, at), second = read16(block, at + 2);
    return block->little ? first | second << 16 : first << 16 | second;
}

int nac_exif_orientation(const uint8_t *bytes, size_t size) {
    enum { TAG_ORIENTATION = 0x0112, SHORT = 3, LONG = 4, ENTRY = 12 };
    if (size < 8) return 1;
    tiff block = {bytes, size, bytes[0] == 'I'};
    if (memcmp(bytes, "II", 2) != 0 && memcmp(bytes, "MM", 2) != 0) return 1;
    if (read16(&block, 2) != 42) return 1;
    size_t at = read32(&block, 4);
    if (at > size - 2) return 1;
    /* Only the first directory is looked at, so no chain of offsets can run in a circle. */
    size_t entries = read16(&block, at);
    at += 2;
    for (size_t i = 0; i < entries && size - at >= ENTRY; ++i, at += ENTRY) {
        if (read16(&block, at) != TAG_ORIENTATION) continue;
        uint32_t type = read16(&block, at + 2);
        if (read32(&block, at + 4) != 1 || (type != SHORT && type != LONG)) return 1;
        uint32_t value = type == SHORT ? read16(&block, at + 8) : read32(&block, at + 8);
        return value >= 1 && value <= 8 ? (int)value : 1;
    }
    return 1;
}

nac_status nac_image_orient(nac_image *image, int orientation, nac_error *error) {
    if (orientation < 2 || orientation > 8) return NAC_OK;
    bool turned = orientation >= 5;
    nac_image upright;
    NAC_TRY(nac_image_allocate(turned ? image->height : image->width, turned ? image->width : image->height, &upright, error));
    /* Pixel (x, y) of the upright image is pixel origin + x * step_x + y * step_y of the stored one. */
    ptrdiff_t w = image->width, h = image->height, last = w * h - 1;
    ptrdiff_t origin, step_x, step_y;
    switch (orientation) {
        case 2: origin = w - 1, step_x = -1, step_y = w; break;        /* mirrored */
        case 3: origin = last, step_x = -1, step_y = -w; break;        /* upside down */
        case 4: origin = w * (h - 1), step_x = 1, step_y = -w; break;  /* upside down, mirrored */
        case 5: origin = 0, step_x = w, step_y = 1; break;             /* transposed */
        case 6: origin = w * (h - 1), step_x = -w, step_y = 1; break;  /* to be turned clockwise */
        case 7: origin = last, step_x = -w, step_y = -1; break;        /* transposed over the other diagonal */
        default: origin = w - 1, step_x = w, step_y = -1; break;       /* 8: to be turned anticlockwise */
    }
    uint8_t *out = upright.rgb;
    for (int y = 0; y < upright.height; ++y) {
        const uint8_t *in = image->rgb + (origin + y * step_y) * 3;
        for (int x = 0; x < upright.width; ++x, out += 3, in += step_x * 3) out[0] = in[0], out[1] = in[1], out[2] = in[2];
    }
    nac_image_free(image);
    *image = upright;
    return NAC_OK;
}
