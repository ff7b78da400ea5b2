/* Decoding gives Pillow's bytes: every PNG type, JPEG's samplings and modes, EXIF's orientations. */
#include "image/image.h"
#include "test_image.h"

static bool decode_case(char **words) {
    nac_alpha alpha = strcmp(words[2], "white") == 0 ? NAC_ALPHA_WHITE : strcmp(words[2], "black") == 0 ? NAC_ALPHA_BLACK : NAC_ALPHA_DROP;
    nac_image image = image_open(words[1], alpha, strcmp(words[3], "apply") == 0);
    bool same = image.width == atoi(words[4]) && image.height == atoi(words[5]) &&
                image_crc(image.rgb, (size_t)image.width * (size_t)image.height * 3) == strtoul(words[6], NULL, 16);
    nac_image_free(&image);
    return same;
}

static void test_pixels_are_pillows(void) { ENSURE(image_cases("decode", decode_case) >= 120); }

static void test_from_pixels(void) {
    const uint8_t rgba[8] = {10, 20, 30, 255, 200, 100, 0, 128};
    nac_preprocess preprocess = image_preset("imagenet");
    nac_image image;
    nac_error error;
    ENSURE_OK(nac_image_from_pixels(rgba, 2, 1, 4, &preprocess, &image, &error), &error);
    ENSURE(memcmp(image.rgb, (uint8_t[]){10, 20, 30, 200, 100, 0}, 6) == 0);
    nac_image_free(&image);
    preprocess.alpha = NAC_ALPHA_WHITE; /* round((c * 128 + 255 * 127) / 255) */
    ENSURE_OK(nac_image_from_pixels(rgba, 2, 1, 4, &preprocess, &image, &error), &error);
    ENSURE(memcmp(image.rgb, (uint8_t[]){10, 20, 30, 227, 177, 127}, 6) == 0);
    nac_image_free(&image);
    ENSURE(!image.rgb && image.width == 0);
    ENSURE_OK(nac_image_from_pixels(rgba, 1, 2, 3, &preprocess, &image, &error), &error);
    ENSURE(memcmp(image.rgb, rgba, 6) == 0);
    nac_image_free(&image);
    ENSURE(nac_image_from_pixels(rgba, 1, 1, 2, &preprocess, &image, &error) == NAC_INVALID_ARGUMENT);
    ENSURE(nac_image_from_pixels(rgba, 0, 1, 3, &preprocess, &image, &error) == NAC_INVALID_ARGUMENT);
    ENSURE(nac_image_from_pixels(rgba, 1 << 20, 1, 3, &preprocess, &image, &error) == NAC_LIMIT_EXCEEDED);
}

/* Orientation out of blocks that are cut, point outside, point at themselves or hold nonsense: 1. */
static void test_exif_blocks(void) {
    uint8_t block[26] = {'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 8}; /* next: itself */
    ENSURE(nac_exif_orientation(block, sizeof block) == 6);
    for (size_t size = 0; size < 22; ++size) {
        uint8_t *copy = malloc(size ? size : 1); /* so that a sanitizer sees a read behind its end */
        memcpy(copy, block, size);
        ENSURE(nac_exif_orientation(copy, size) == 1);
        free(copy);
    }
    uint64_t state = 3;
    for (int round = 0; round < 20000; ++round) {
        uint8_t *copy = malloc(sizeof block);
        memcpy(copy, block, sizeof block);
        for (int i = 0; i < 3; ++i) copy[test_random(&state) % sizeof block] = (uint8_t)test_random(&state);
        int orientation = nac_exif_orientation(copy, sizeof block);
        ENSURE(orientation >= 1 && orientation <= 8);
        free(copy);
    }
    block[19] = 9;
    ENSURE(nac_exif_orientation(block, sizeof block) == 1);
}

int main(void) {
    RUN(test_pixels_are_pillows);
    RUN(test_from_pixels);
    RUN(test_exif_blocks);
    return TEST_RESULT();
}
