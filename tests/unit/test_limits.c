/* The limits of nac_limits.h that whoever embeds the library has set. This program brings the sources that check two of them, compiled
 * with others (tests/CMakeLists.txt). */
#include "golden.h"
#include "nac.h"
#include "test_image.h"

_Static_assert(NAC_MAX_IMAGE_PIXELS == 600 && NAC_MAX_NODES == 2, "the header lets itself be overruled");

static nac_error error;

static void test_pixels(void) {
    const nac_preprocess preprocess = image_preset("imagenet");
    const image_file over = image_file_read("rgb8.png"), under = image_file_read("9x1.png");
    nac_image image = {0};
    ENSURE(nac_image_decode(over.bytes, over.size, &preprocess, &image, &error) == NAC_LIMIT_EXCEEDED);
    ENSURE(strcmp(error.message, "the PNG is 29 x 23 pixels; an image may have 600") == 0);
    ENSURE_OK(nac_image_decode(under.bytes, under.size, &preprocess, &image, &error), &error);
    nac_image_free(&image);
    free(over.bytes);
    free(under.bytes);
}

static void test_nodes(void) {
    golden file = golden_read("onnx/sound.onnx"); /* three nodes */
    nac_model *model = NULL;
    ENSURE(nac_model_open(file.bytes, file.size, &model, &error) == NAC_LIMIT_EXCEEDED);
    ENSURE(strstr(error.message, "the model has more than 2 nodes"));
    golden_close(&file);
}

int main(void) {
    RUN(test_pixels);
    RUN(test_nodes);
    return TEST_RESULT();
}
