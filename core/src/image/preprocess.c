/* preprocess.c - nac_preprocess: presets, checks, and the sizes it leads to. JSON is in preprocess_json.c, pixels in tensor.c. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "image/image.h"

/* torchvision's evaluation transforms; tf: the scaling of Keras' MobileNet family with the same sizes. */
static const struct {
    const char *name;
    nac_preprocess preprocess;
} presets[] = {
    {"imagenet",
     {.resize = NAC_RESIZE_SHORT_SIDE,
      .resize_width = 256,
      .crop_width = 224,
      .crop_height = 224,
      .scale = 1.0 / 255,
      .mean = {0.485f, 0.456f, 0.406f},
      .std = {0.229f, 0.224f, 0.225f}}},
    {"cifar10",
     {.resize = NAC_RESIZE_SHORT_SIDE,
      .resize_width = 32,
      .crop_width = 32,
      .crop_height = 32,
      .scale = 1.0 / 255,
      .mean = {0.4914f, 0.4822f, 0.4465f},
      .std = {0.2470f, 0.2435f, 0.2616f}}},
    {"tf",
     {.resize = NAC_RESIZE_SHORT_SIDE,
      .resize_width = 256,
      .crop_width = 224,
      .crop_height = 224,
      .scale = 1 / 127.5,
      .mean = {1, 1, 1},
      .std = {1, 1, 1}}},
};

nac_status nac_preprocess_preset(const char *name, nac_preprocess *preprocess, nac_error *error) {
    if (!name || !preprocess) return nac_fail(error, NAC_INVALID_ARGUMENT, "a pointer is NULL");
    for (size_t i = 0; i < NAC_COUNT(presets); ++i)
        if (strcmp(name, presets[i].name) == 0) {
            *preprocess = presets[i].preprocess;
            return NAC_OK;
        }
    return nac_fail(error, NAC_INVALID_ARGUMENT, "no preset is named \"%.64s\"; there are imagenet, cifar10 and tf", name);
}

static bool is_side(int value) { return value >= 1 && value <= NAC_MAX_IMAGE_SIDE; }

nac_status nac_preprocess_check(const nac_preprocess *p, nac_status status, nac_error *error) {
    if (p->alpha > NAC_ALPHA_BLACK || p->filter > NAC_FILTER_BICUBIC || p->resize > NAC_RESIZE_EXACT || p->order > NAC_BGR)
        return nac_fail(error, status, "alpha, filter, resize or channelOrder is none of the listed values");
    if (p->resize != NAC_RESIZE_NONE && !is_side(p->resize_width))
        return nac_fail(error, status, "resize to %d pixels; 1 to %d are allowed", p->resize_width, NAC_MAX_IMAGE_SIDE);
    if (p->resize == NAC_RESIZE_EXACT && !is_side(p->resize_height))
        return nac_fail(error, status, "resize to a height of %d; 1 to %d are allowed", p->resize_height, NAC_MAX_IMAGE_SIDE);
    bool crop = p->crop_width || p->crop_height;
    if (crop && (!is_side(p->crop_width) || !is_side(p->crop_height)))
        return nac_fail(error, status, "crop to %d x %d pixels; 1 to %d are allowed", p->crop_width, p->crop_height,
                        NAC_MAX_IMAGE_SIDE);
    if (!isfinite(p->scale) || !(p->scale > 0)) return nac_fail(error, status, "scale %g; it must be finite and positive", p->scale);
    for (int c = 0; c < 3; ++c) {
        double mean = p->mean[c], std = p->std[c];
        if (!isfinite(mean)) return nac_fail(error, status, "mean[%d] is not finite", c);
        if (!isfinite(std) || !(std > 0)) return nac_fail(error, status, "std[%d] is %g; it must be finite and positive", c, std);
        if (255 * p->scale > FLT_MAX || fabs(255 * p->scale - mean) / std > FLT_MAX || fabs(mean) / std > FLT_MAX)
            return nac_fail(error, status, "scale, mean[%d] and std[%d] make pixels infinite", c, c);
    }
    return NAC_OK;
}

nac_status nac_preprocess_resized(const nac_preprocess *p, int width, int height, int *out_width, int *out_height, nac_error *error) {
    if (width < 1 || height < 1 || width > NAC_MAX_IMAGE_SIDE || height > NAC_MAX_IMAGE_SIDE)
        return nac_fail(error, NAC_INVALID_ARGUMENT, "an image of %d x %d pixels", width, height);
    NAC_TRY(nac_preprocess_check(p, NAC_INVALID_ARGUMENT, error));
    *out_width = width, *out_height = height;
    if (p->resize == NAC_RESIZE_EXACT) {
        *out_width = p->resize_width, *out_height = p->resize_height;
    } else if (p->resize == NAC_RESIZE_SHORT_SIDE) {
        /* torchvision: int(S * long / short), at most 2^30 here. */
        int64_t S = p->resize_width, shorter = width < height ? width : height, longer = width < height ? height : width;
        int length = (int)(S * longer / shorter);
        *out_width = width <= height ? (int)S : length;
        *out_height = width <= height ? length : (int)S;
    }
    return NAC_OK;
}

nac_status nac_preprocess_size(const nac_preprocess *preprocess, int width, int height, int *out_width, int *out_height,
                               nac_error *error) {
    if (!preprocess || !out_width || !out_height) return nac_fail(error, NAC_INVALID_ARGUMENT, "a pointer is NULL");
    int w, h;
    NAC_TRY(nac_preprocess_resized(preprocess, width, height, &w, &h, error));
    if (preprocess->crop_width) w = preprocess->crop_width, h = preprocess->crop_height;
    NAC_TRY(nac_image_check_size("the input tensor", w, h, error));
    *out_width = w, *out_height = h;
    return NAC_OK;
}
