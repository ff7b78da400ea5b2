/* tensor.c - image -> resized, cropped, normalised floats: torchvision's Resize, CenterCrop, ToTensor, Normalize on a PIL
 * image, to the last bit. */
#include <string.h>

#include "image/image.h"

/* Where `crop` pixels are taken from `size`: `from` pixels are left out before them, or `pad` zeros are put before them. */
typedef struct span {
    int from, pad, length;
} span;

static span center(int size, int crop) {
    if (crop >= size) return (span){0, (crop - size) / 2, size};
    /* Python's int(round(n / 2.0)): a half goes to the even neighbour. */
    int n = size - crop, from = n / 2;
    if (n % 2) from += from % 2;
    return (span){from, 0, crop};
}

/* What each of the 256 values becomes, channel by channel of the tensor. The product is rounded to float first: with 1/255
 * that equals torchvision's float division by 255 for all values. */
static void make_table(const nac_preprocess *p, float table[3][256]) {
    for (int c = 0; c < 3; ++c)
        for (int value = 0; value < 256; ++value) {
            float scaled = (float)(value * p->scale);
            float centered = scaled - p->mean[c];
            table[c][value] = centered / p->std[c];
        }
}

nac_status nac_image_to_tensor(const nac_image *image, const nac_preprocess *preprocess, float *tensor, nac_error *error) {
    if (!image || !image->rgb || !preprocess || !tensor) return nac_fail(error, NAC_INVALID_ARGUMENT, "a pointer is NULL");
    int W, H, width, height;
    NAC_TRY(nac_preprocess_size(preprocess, image->width, image->height, &W, &H, error));
    NAC_TRY(nac_preprocess_resized(preprocess, image->width, image->height, &width, &height, error));
    span across = center(width, W), down = center(height, H);

    nac_image window;
    NAC_TRY(nac_image_resize_window(image, width, height, preprocess->filter, across.from, down.from, across.length, down.length,
                                    &window, error));
    float table[3][256];
    make_table(preprocess, table);
    const int red = preprocess->order == NAC_BGR ? 2 : 0, blue = 2 - red;
    for (int y = 0; y < H; ++y) {
        bool row_inside = y >= down.pad && y < down.pad + down.length;
        const uint8_t *in = row_inside ? window.rgb + (size_t)(y - down.pad) * (size_t)window.width * 3 : NULL;
        float *out = tensor + (size_t)y * (size_t)W * 3;
        for (int x = 0; x < W; ++x, out += 3) {
            static const uint8_t padding[3] = {0, 0, 0}; /* padded before normalising, as torchvision does */
            const uint8_t *p = in && x >= across.pad && x < across.pad + across.length ? in + (size_t)(x - across.pad) * 3 : padding;
            out[0] = table[0][p[red]];
            out[1] = table[1][p[1]];
            out[2] = table[2][p[blue]];
        }
    }
    nac_image_free(&window);
    return NAC_OK;
}
