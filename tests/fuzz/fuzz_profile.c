/* fuzz_profile.c - attempts to make the safetensors reader trust what a profile says of itself: the bytes are a file; what opens
 * must save, open again and score. */
#include <stdlib.h>

#include "nac.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A score of one image whose every neuron is dead. */
static void score(const nac_profile *profile) {
    const int layers = nac_profile_layer_count(profile);
    const float **zeros = calloc((size_t)layers, sizeof *zeros);
    float *layer_scores = calloc((size_t)layers, sizeof *layer_scores), result;
    for (int l = 0; l < layers; ++l) zeros[l] = calloc((size_t)nac_profile_layer(profile, l).neurons, sizeof(float));
    nac_error error;
    if (nac_profile_score(profile, 1, zeros, zeros, layer_scores, &result, &error) != NAC_OK || !(result >= 0 && result <= 1)) __builtin_trap();
    (void)nac_profile_p_value(profile, result);
    for (int k = -1; k < 3; ++k)
        if (nac_profile_class_p_value(profile, k, result) > 1 || nac_profile_class_threshold(profile, k) < 0) __builtin_trap();
    for (int l = 0; l < layers; ++l) free((void *)zeros[l]);
    free(zeros);
    free(layer_scores);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    nac_profile *profile, *again;
    nac_error error;
    if (nac_profile_open(data, size, &profile, &error) != NAC_OK) return 0;
    score(profile);
    const void *bytes;
    size_t length;
    if (nac_profile_save(profile, &bytes, &length, &error) != NAC_OK) __builtin_trap();
    if (nac_profile_open(bytes, length, &again, &error) != NAC_OK) __builtin_trap();
    nac_profile_destroy(again);
    nac_profile_destroy(profile);
    return 0;
}
