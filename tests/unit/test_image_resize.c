/* Resizing and the way to the tensor: every byte and every bit that of Pillow and torchvision. */
#include "image/image.h"
#include "test_image.h"

static bool resize_case(char **words) {
    nac_image source = image_open(words[1], NAC_ALPHA_DROP, false), resized;
    int width = atoi(words[2]), height = atoi(words[3]);
    nac_error error;
    nac_filter filter = strcmp(words[4], "bicubic") == 0 ? NAC_FILTER_BICUBIC : NAC_FILTER_BILINEAR;
    if (nac_image_resize(&source, width, height, filter, &resized, &error) != NAC_OK) test_fail(words[1], 0, error.message);
    bool same = resized.width == width && resized.height == height &&
                image_crc(resized.rgb, (size_t)width * (size_t)height * 3) == strtoul(words[5], NULL, 16);
    nac_image_free(&source);
    nac_image_free(&resized);
    return same;
}

static void test_resize_is_pillow(void) { ENSURE(image_cases("resize", resize_case) >= 70); }

static bool tensor_case(char **words) {
    nac_preprocess preprocess;
    nac_error error;
    if (strstr(words[2], ".json")) {
        image_file json = image_file_read(words[2]);
        ENSURE_OK(nac_preprocess_parse((const char *)json.bytes, json.size, &preprocess, &error), &error);
        free(json.bytes);
    } else {
        preprocess = image_preset(words[2]);
    }
    nac_image image = image_open(words[1], NAC_ALPHA_DROP, false);
    int W, H;
    ENSURE_OK(nac_preprocess_size(&preprocess, image.width, image.height, &W, &H, &error), &error);
    if (W != atoi(words[3]) || H != atoi(words[4])) return false;
    size_t size = (size_t)W * (size_t)H * 3 * sizeof(float);
    float *tensor = malloc(size);
    ENSURE_OK(nac_image_to_tensor(&image, &preprocess, tensor, &error), &error);
    bool same = image_crc(tensor, size) == strtoul(words[5], NULL, 16);
    free(tensor);
    nac_image_free(&image);
    return same;
}

static void test_tensor_is_torchvision(void) { ENSURE(image_cases("tensor", tensor_case) >= 40); }

/* Any window is the same piece of the whole result. */
static void test_windows(void) {
    nac_image source = image_open("131x97.png", NAC_ALPHA_DROP, false);
    uint64_t state = 7;
    nac_error error;
    for (int round = 0; round < 60; ++round) {
        int width = 1 + (int)(test_random(&state) % 200), height = 1 + (int)(test_random(&state) % 200);
        if (round % 5 == 0) width = 131;
        if (round % 7 == 0) height = 97;
        int x = (int)(test_random(&state) % (uint32_t)width), y = (int)(test_random(&state) % (uint32_t)height);
        int w = 1 + (int)(test_random(&state) % (uint32_t)(width - x)), h = 1 + (int)(test_random(&state) % (uint32_t)(height - y));
        nac_filter filter = round % 2 ? NAC_FILTER_BICUBIC : NAC_FILTER_BILINEAR;
        nac_image whole, piece, window;
        ENSURE_OK(nac_image_resize(&source, width, height, filter, &whole, &error), &error);
        ENSURE_OK(nac_image_crop(&whole, x, y, w, h, &piece, &error), &error);
        ENSURE_OK(nac_image_resize_window(&source, width, height, filter, x, y, w, h, &window, &error), &error);
        ENSURE(window.width == w && window.height == h);
        ENSURE(memcmp(piece.rgb, window.rgb, (size_t)w * (size_t)h * 3) == 0);
        nac_image_free(&whole);
        nac_image_free(&piece);
        nac_image_free(&window);
    }
    nac_image_free(&source);
}

/* A strip of one pixel's height resized to a short side of 256 would be 8 million pixels long; only the crop is made. */
static void test_long_strip(void) {
    nac_image strip = {NAC_MAX_IMAGE_SIDE, 1, calloc(NAC_MAX_IMAGE_SIDE, 3)};
    nac_preprocess preprocess = image_preset("imagenet");
    float *tensor = malloc(224 * 224 * 3 * sizeof *tensor);
    nac_error error;
    ENSURE_OK(nac_image_to_tensor(&strip, &preprocess, tensor, &error), &error);
    ENSURE(tensor[0] == (0.0f - 0.485f) / 0.229f);
    preprocess.crop_width = preprocess.crop_height = 0;
    int W, H;
    ENSURE(nac_preprocess_size(&preprocess, strip.width, 1, &W, &H, &error) == NAC_LIMIT_EXCEEDED);
    free(tensor);
    nac_image_free(&strip);
}

static void test_channel_order(void) {
    nac_image image = image_open("32x32.png", NAC_ALPHA_DROP, false);
    nac_preprocess rgb = image_preset("tf"), bgr;
    nac_error error;
    rgb.resize = NAC_RESIZE_NONE;
    rgb.crop_width = rgb.crop_height = 0;
    bgr = rgb;
    bgr.order = NAC_BGR;
    float a[32 * 32 * 3], b[32 * 32 * 3];
    ENSURE_OK(nac_image_to_tensor(&image, &rgb, a, &error), &error);
    ENSURE_OK(nac_image_to_tensor(&image, &bgr, b, &error), &error);
    for (int i = 0; i < 32 * 32; ++i) {
        ENSURE_NEAR(a[3 * i], image.rgb[3 * i] / 127.5 - 1, 1e-6);
        ENSURE(a[3 * i] == b[3 * i + 2] && a[3 * i + 1] == b[3 * i + 1] && a[3 * i + 2] == b[3 * i]);
    }
    nac_image_free(&image);
}

static void test_arguments(void) {
    uint8_t pixel[4] = {1, 2, 3, 4};
    nac_image image = {1, 1, pixel}, none = {7, 7, NULL};
    nac_error error;
    ENSURE(nac_image_resize(&image, 0, 1, NAC_FILTER_BILINEAR, &none, &error) == NAC_INVALID_ARGUMENT);
    ENSURE(nac_image_resize(&image, 1, -1, NAC_FILTER_BILINEAR, &none, &error) == NAC_INVALID_ARGUMENT);
    ENSURE(nac_image_resize(&image, NAC_MAX_IMAGE_SIDE + 1, 1, NAC_FILTER_BILINEAR, &none, NULL) == NAC_LIMIT_EXCEEDED);
    ENSURE(nac_image_resize(&image, 20000, 20000, NAC_FILTER_BILINEAR, &none, NULL) == NAC_LIMIT_EXCEEDED);
    ENSURE(nac_image_crop(&image, 0, 0, 2, 1, &none, &error) == NAC_INVALID_ARGUMENT);
    ENSURE(nac_image_crop(&image, 1, 0, 1, 1, &none, &error) == NAC_INVALID_ARGUMENT);
    ENSURE(nac_image_crop(&image, -1, 0, 1, 1, &none, &error) == NAC_INVALID_ARGUMENT);
    ENSURE(none.width == 7 && !none.rgb); /* results only on NAC_OK */
    nac_image_free(NULL);
}

int main(void) {
    RUN(test_resize_is_pillow);
    RUN(test_tensor_is_torchvision);
    RUN(test_windows);
    RUN(test_long_strip);
    RUN(test_channel_order);
    RUN(test_arguments);
    return TEST_RESULT();
}
