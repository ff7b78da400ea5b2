/* nac_preprocess: presets, JSON there and back, sizes. */
#include "test_image.h"

static nac_status parse(const char *json, nac_preprocess *preprocess, nac_error *error) {
    return nac_preprocess_parse(json, strlen(json), preprocess, error);
}

static void test_presets(void) {
    nac_preprocess p = image_preset("imagenet");
    ENSURE(!p.exif && p.alpha == NAC_ALPHA_DROP && p.resize == NAC_RESIZE_SHORT_SIDE && p.resize_width == 256);
    ENSURE(p.crop_width == 224 && p.crop_height == 224 && p.filter == NAC_FILTER_BILINEAR && p.order == NAC_RGB);
    ENSURE(p.scale == 1.0 / 255 && p.mean[0] == 0.485f && p.std[2] == 0.225f);
    p = image_preset("cifar10");
    ENSURE(p.resize_width == 32 && p.crop_width == 32 && p.mean[1] == 0.4822f && p.std[0] == 0.2470f);
    p = image_preset("tf");
    ENSURE(p.resize_width == 256 && p.crop_width == 224 && p.scale == 1 / 127.5 && p.mean[2] == 1 && p.std[0] == 1);
    nac_error error;
    ENSURE(nac_preprocess_preset("clip", &p, &error) == NAC_INVALID_ARGUMENT && strstr(error.message, "\"clip\""));
}

static void test_canonical_form(void) {
    nac_preprocess p = image_preset("imagenet"), back;
    char json[1024];
    size_t size;
    nac_error error;
    ENSURE_OK(nac_preprocess_write(&p, json, sizeof json, &size, &error), &error);
    const char *expected = "{\"exif\":\"ignore\",\"color\":\"rgb\",\"alpha\":\"drop\",\"resize\":{\"shortSide\":256},\"filter\":\"bilinear\","
                           "\"crop\":[224,224],\"scale\":0.00392156862745098,\"mean\":[0.485,0.456,0.406],"
                           "\"std\":[0.229,0.224,0.225],\"channelOrder\":\"rgb\"}";
    if (strcmp(json, expected) != 0) printf("%s\n", json);
    ENSURE(strcmp(json, expected) == 0 && size == strlen(expected));
    ENSURE(nac_preprocess_write(&p, json, size, &size, &error) == NAC_LIMIT_EXCEEDED);
    ENSURE_OK(nac_preprocess_write(&p, json, size + 1, &size, &error), &error);

    p.exif = true, p.alpha = NAC_ALPHA_BLACK, p.resize = NAC_RESIZE_EXACT, p.resize_width = 3, p.resize_height = 32768;
    p.filter = NAC_FILTER_BICUBIC, p.crop_width = p.crop_height = 0, p.order = NAC_BGR;
    uint64_t state = 11;
    for (int round = 0; round < 2000; ++round) {
        for (int c = 0; c < 3; ++c) {
            p.mean[c] = test_uniform(&state) * powf(10, (float)(test_random(&state) % 9) - 4);
            p.std[c] = (1.5f + test_uniform(&state)) * powf(10, (float)(test_random(&state) % 9) - 4);
        }
        p.scale = 1.5 + test_uniform(&state);
        ENSURE_OK(nac_preprocess_write(&p, json, sizeof json, &size, &error), &error);
        ENSURE_OK(nac_preprocess_parse(json, size, &back, &error), &error);
        ENSURE(back.exif && back.alpha == p.alpha && back.resize == p.resize && back.resize_width == 3 && back.resize_height == 32768);
        ENSURE(back.filter == p.filter && back.crop_width == 0 && back.crop_height == 0 && back.order == NAC_BGR && back.scale == p.scale);
        ENSURE(memcmp(back.mean, p.mean, sizeof p.mean) == 0 && memcmp(back.std, p.std, sizeof p.std) == 0);
    }
}

static void test_defaults(void) {
    nac_preprocess p;
    nac_error error;
    ENSURE_OK(parse("{}", &p, &error), &error);
    ENSURE(p.resize_width == 256 && p.crop_height == 224 && p.mean[0] == 0.485f);
    ENSURE_OK(parse("{\"resize\": null, \"crop\": [7, 9], \"std\": [1, 2, 3]}", &p, &error), &error);
    ENSURE(p.resize == NAC_RESIZE_NONE && p.crop_width == 7 && p.crop_height == 9 && p.std[1] == 2 && p.mean[0] == 0.485f);
}

static void test_refused(void) {
    static const char *const wrong[] = {
        "", "[]", "null", "{", "{\"exif\": true}", "{\"exif\": \"Apply\"}", "{\"color\": \"bgr\"}", "{\"alpha\": 1}", "{\"size\": 3}",
        "{\"resize\": 256}", "{\"resize\": {}}", "{\"resize\": {\"shortSide\": 0}}", "{\"resize\": {\"shortSide\": 256.5}}",
        "{\"resize\": {\"shortSide\": 32769}}", "{\"resize\": {\"width\": 5}}", "{\"resize\": {\"width\": 5, \"height\": -5}}",
        "{\"resize\": {\"width\": 5, \"height\": 5, \"depth\": 5}}", "{\"resize\": {\"shortSide\": 5, \"height\": 5}}", "{\"crop\": 224}",
        "{\"crop\": [224]}", "{\"crop\": [224, 0]}", "{\"crop\": [1, 2, 3]}", "{\"crop\": [18446744073709551615, 2]}",
        "{\"scale\": \"1\"}", "{\"scale\": 0}", "{\"scale\": -1}", "{\"scale\": 1e300}", "{\"scale\": 1e999}", "{\"mean\": [1, 2]}",
        "{\"mean\": [1, 2, \"3\"]}", "{\"mean\": [1, 2, 1e39]}", "{\"std\": [1, 2, 0]}", "{\"std\": [1, 2, -1]}",
        "{\"std\": [1, 2, 1e-60]}", "{\"std\": [1, 2, 1e-44]}", "{\"channelOrder\": \"grb\"}", "{\"exif\": \"apply\", \"exif\": \"apply\"}",
        "{\"mean\": NaN}", "{} x",
    };
    nac_preprocess p = {.resize_width = 77};
    nac_error error;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i) {
        nac_status status = parse(wrong[i], &p, &error);
        if (status != NAC_MALFORMED) printf("%s: %s\n", wrong[i], nac_status_name(status));
        ENSURE(status == NAC_MALFORMED && strlen(error.message) > 10);
    }
    ENSURE(p.resize_width == 77);
    ENSURE(nac_preprocess_parse("{}garbage", 2, &p, &error) == NAC_OK); /* size bounds the text */
}

static void ensure_size(const nac_preprocess *p, int width, int height, int expected_width, int expected_height) {
    int W, H;
    nac_error error;
    ENSURE_OK(nac_preprocess_size(p, width, height, &W, &H, &error), &error);
    ENSURE(W == expected_width && H == expected_height);
}

static void test_sizes(void) {
    nac_preprocess p = image_preset("imagenet");
    ensure_size(&p, 4000, 3000, 224, 224);
    ensure_size(&p, 1, 1, 224, 224);
    p.crop_width = p.crop_height = 0;
    ensure_size(&p, 4000, 3000, 341, 256);
    ensure_size(&p, 3000, 4000, 256, 341);
    ensure_size(&p, 500, 375, 341, 256);
    ensure_size(&p, 256, 300, 256, 300);
    ensure_size(&p, 131, 97, 345, 256);
    p.resize = NAC_RESIZE_EXACT, p.resize_width = 5, p.resize_height = 8;
    ensure_size(&p, 4000, 3000, 5, 8);
    p.resize = NAC_RESIZE_NONE;
    ensure_size(&p, 40, 30, 40, 30);
    int W, H;
    nac_error error;
    ENSURE(nac_preprocess_size(&p, 0, 30, &W, &H, &error) == NAC_INVALID_ARGUMENT);
    ENSURE(nac_preprocess_size(&p, 20000, 20000, &W, &H, &error) == NAC_LIMIT_EXCEEDED);
    p.std[1] = 0;
    ENSURE(nac_preprocess_size(&p, 40, 30, &W, &H, &error) == NAC_INVALID_ARGUMENT);
}

int main(void) {
    RUN(test_presets);
    RUN(test_canonical_form);
    RUN(test_defaults);
    RUN(test_refused);
    RUN(test_sizes);
    return TEST_RESULT();
}
