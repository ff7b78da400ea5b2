/* image.c - nac_image as an object: allocate, copy, crop, free. */
#include <string.h>

#include "image/image.h"

nac_status nac_image_check_size(const char *what, int64_t width, int64_t height, nac_error *error) {
    if (width < 1 || height < 1)
        return nac_fail(error, NAC_MALFORMED, "%s is %lld x %lld pixels", what, (long long)width, (long long)height);
    if (width > NAC_MAX_IMAGE_SIDE || height > NAC_MAX_IMAGE_SIDE)
        return nac_fail(error, NAC_LIMIT_EXCEEDED, "%s is %lld x %lld pixels; a side may have %d", what, (long long)width,
                        (long long)height, NAC_MAX_IMAGE_SIDE);
    if (width * height > NAC_MAX_IMAGE_PIXELS)
        return nac_fail(error, NAC_LIMIT_EXCEEDED, "%s is %lld x %lld pixels; an image may have %d", what, (long long)width,
                        (long long)height, NAC_MAX_IMAGE_PIXELS);
    return NAC_OK;
}

nac_status nac_image_allocate(int width, int height, nac_image *image, nac_error *error) {
    size_t bytes;
    uint8_t *rgb = NULL;
    if (nac_mul_size((size_t)width, (size_t)height, &bytes) && nac_mul_size(bytes, 3, &bytes)) rgb = nac_alloc(bytes);
    if (!rgb) return nac_fail(error, NAC_OUT_OF_MEMORY, "memory ran out for %d x %d pixels", width, height);
    *image = (nac_image){width, height, rgb};
    return NAC_OK;
}

void nac_image_free(nac_image *image) {
    if (!image) return;
    nac_free(image->rgb);
    *image = (nac_image){0, 0, NULL};
}

nac_status nac_image_from_pixels(const uint8_t *pixels, int width, int height, int channels, const nac_preprocess *preprocess,
                                 nac_image *image, nac_error *error) {
    if (!pixels || !preprocess || !image) return nac_fail(error, NAC_INVALID_ARGUMENT, "a pointer is NULL");
    if (width < 1 || height < 1)
        return nac_fail(error, NAC_INVALID_ARGUMENT, "%d x %d pixels are no image", width, height);
    if (channels != 3 && channels != 4)
        return nac_fail(error, NAC_INVALID_ARGUMENT, "%d channels; 3 (RGB) or 4 (RGBA) are read", channels);
    NAC_TRY(nac_image_check_size("the image", width, height, error));
    nac_image copy;
    NAC_TRY(nac_image_allocate(width, height, &copy, error));
    size_t count = (size_t)width * (size_t)height;
    if (channels == 3) {
        memcpy(copy.rgb, pixels, count * 3);
    } else if (preprocess->alpha == NAC_ALPHA_DROP) {
        for (size_t i = 0; i < count; ++i)
            for (size_t c = 0; c < 3; ++c) copy.rgb[i * 3 + c] = pixels[i * 4 + c];
    } else {
        unsigned background = nac_alpha_background(preprocess->alpha);
        for (size_t i = 0; i < count; ++i)
            for (size_t c = 0; c < 3; ++c) copy.rgb[i * 3 + c] = nac_blend(pixels[i * 4 + c], background, pixels[i * 4 + 3]);
    }
    *image = copy;
    return NAC_OK;
}

nac_status nac_image_crop(const nac_image *source, int x, int y, int width, int height, nac_image *image, nac_error *error) {
    if (!source || !source->rgb || !image) return nac_fail(error, NAC_INVALID_ARGUMENT, "a pointer is NULL");
    if (x < 0 || y < 0 || width < 1 || height < 1 || width > source->width - x || height > source->height - y)
        return nac_fail(error, NAC_INVALID_ARGUMENT, "the rectangle %d,%d %d x %d is not inside %d x %d pixels", x, y, width, height,
                        source->width, source->height);
    nac_image copy;
    NAC_TRY(nac_image_allocate(width, height, &copy, error));
    for (int row = 0; row < height; ++row)
        memcpy(copy.rgb + (size_t)row * (size_t)width * 3,
               source->rgb + ((size_t)(y + row) * (size_t)source->width + (size_t)x) * 3, (size_t)width * 3);
    *image = copy;
    return NAC_OK;
}
