/* fuzz_image.c - attempts to make the image room read or write out of bounds, leak, hang or break arithmetic: the bytes are a
 * file, decoded with every alpha and EXIF policy, then resized and normalised. */
#include "nac.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    nac_preprocess preprocess;
    if (nac_preprocess_preset("cifar10", &preprocess, NULL) != NAC_OK) return 0;
    /* The last byte chooses; JPEG and PNG ignore what follows their end. */
    uint8_t choice = data[size - 1];
    preprocess.exif = choice & 1;
    preprocess.alpha = (nac_alpha)(choice >> 1 & 3) > NAC_ALPHA_BLACK ? NAC_ALPHA_DROP : (nac_alpha)(choice >> 1 & 3);
    preprocess.filter = choice & 8 ? NAC_FILTER_BICUBIC : NAC_FILTER_BILINEAR;
    nac_image image;
    nac_error error;
    if (nac_image_decode(data, size, &preprocess, &image, &error) != NAC_OK) return 0;
    static float tensor[32 * 32 * 3];
    if (nac_image_to_tensor(&image, &preprocess, tensor, &error) != NAC_OK) __builtin_trap();
    nac_image_free(&image);
    return 0;
}
