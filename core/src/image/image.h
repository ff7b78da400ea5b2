/* image.h - the image room's own functions: bytes -> RGB8 -> oriented, resized, cropped -> float tensor.
 *
 *   decode.c       which format is it; one door for all of them
 *   jpeg.c png.c   check a file's structure before its pixels are decoded
 *   stb.c          stb_image: JPEG pixels and inflate, nothing else
 *   exif.c         orientation
 *   resize.c       Pillow's resampling
 *   preprocess.c preprocess_json.c tensor.c   nac_preprocess: presets, JSON, pixels -> floats */
#ifndef NAC_IMAGE_H
#define NAC_IMAGE_H

#include "base/base.h"

/* 0 < width, height and both within NAC_MAX_IMAGE_*, or NAC_LIMIT_EXCEEDED. `what` opens the sentence. */
nac_status nac_image_check_size(const char *what, int64_t width, int64_t height, nac_error *error);

/* Uninitialised pixels; the size has been checked. */
nac_status nac_image_allocate(int width, int height, nac_image *image, nac_error *error);

/* `orientation` is EXIF's 1..8, 1 where the file says nothing. */
nac_status nac_jpeg_decode(const uint8_t *bytes, size_t size, nac_image *image, int *orientation, nac_error *error);
nac_status nac_png_decode(const uint8_t *bytes, size_t size, nac_alpha alpha, nac_image *image, int *orientation, nac_error *error);

/* A TIFF block (the payload of APP1 after "Exif\0\0", or of a PNG's eXIf chunk) -> 1..8. Anything unreadable is 1. */
int nac_exif_orientation(const uint8_t *tiff, size_t size);

/* Turns the image upright in place of the old one. orientation 1 does nothing. */
nac_status nac_image_orient(nac_image *image, int orientation, nac_error *error);

/* The window [x, x+w) x [y, y+h) of what nac_image_resize(source, width, height, filter) would give, without the work
 * for the rest. The window lies inside width x height, which may be larger than NAC_MAX_IMAGE_SIDE. */
nac_status nac_image_resize_window(const nac_image *source, int width, int height, nac_filter filter, int x, int y, int w, int h,
                                   nac_image *image, nac_error *error);

/* Every field in range and every pixel value finite after normalising, or `status` with a sentence. */
nac_status nac_preprocess_check(const nac_preprocess *preprocess, nac_status status, nac_error *error);

/* Size after the resize step and before the crop. */
nac_status nac_preprocess_resized(const nac_preprocess *preprocess, int width, int height, int *out_width, int *out_height,
                                  nac_error *error);

/* stb.c. Pixels are freed with nac_free; NULL with *reason set (a static string, "outofmem" when memory ran out). */
uint8_t *nac_stb_jpeg(const uint8_t *bytes, size_t size, int *width, int *height, const char **reason);

/* A zlib stream -> bytes. More than `capacity` bytes are never written. *written is the length; *full says that the stream
 * wanted to write more, and then only the last 65535 bytes of the capacity may be missing. False: broken. */
bool nac_stb_inflate(const uint8_t *stream, size_t size, uint8_t *bytes, size_t capacity, size_t *written, bool *full);

/* Pillow's integer blend: round((color * alpha + background * (255 - alpha)) / 255). */
static inline uint8_t nac_blend(unsigned color, unsigned background, unsigned alpha) {
    unsigned sum = color * alpha + background * (255 - alpha) + 128;
    return (uint8_t)((sum + (sum >> 8)) >> 8);
}

static inline unsigned nac_alpha_background(nac_alpha alpha) { return alpha == NAC_ALPHA_WHITE ? 255 : 0; }

#endif
