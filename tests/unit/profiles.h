/* profiles.h - a small profile of random images, for the profile tests. */
#ifndef NAC_TEST_PROFILES_H
#define NAC_TEST_PROFILES_H

#include "nac.h"
#include "test.h"

enum { LAYERS = 2, C0 = 5, C1 = 3, MOST = 64 };

static const nac_layer some_layers[LAYERS] = {
    {.name = "avgpool", .pool = NAC_POOL_SUM, .neurons = C0, .alpha = 100, .M = 6, .O = 5},
    {.name = "ebene/\xC3\xA4\"3\"", .pool = NAC_POOL_CLS, .neurons = C1, .alpha = 0.001f, .M = 10, .O = 2.5},
};

/* Activations and gradients of up to MOST images. */
typedef struct batch {
    float z0[MOST * C0], g0[MOST * C0], z1[MOST * C1], g1[MOST * C1];
    const float *z[LAYERS], *g[LAYERS];
} batch;

static inline batch *make_batch(uint64_t seed) {
    batch *b = malloc(sizeof *b);
    for (int i = 0; i < MOST * C0; ++i) {
        b->z0[i] = test_random(&seed) % 4 == 0 ? 0 : test_uniform(&seed) + 1;
        b->g0[i] = 0.05f * test_uniform(&seed);
    }
    for (int i = 0; i < MOST * C1; ++i) {
        b->z1[i] = 40 * test_uniform(&seed);
        b->g1[i] = 40 * test_uniform(&seed);
    }
    b->z[0] = b->z0, b->z[1] = b->z1, b->g[0] = b->g0, b->g[1] = b->g1;
    return b;
}

/* Images [first, first + N) of a batch. */
static inline void add_images(nac_profile *profile, const batch *b, int first, int N) {
    const float *z[LAYERS] = {b->z0 + first * C0, b->z1 + first * C1}, *g[LAYERS] = {b->g0 + first * C0, b->g1 + first * C1};
    nac_error error;
    ENSURE_OK(nac_profile_add(profile, N, z, g, &error), &error);
}

static inline void score_images(const nac_profile *profile, const batch *b, int first, int N, float *layer_scores, float *scores) {
    const float *z[LAYERS] = {b->z0 + first * C0, b->z1 + first * C1}, *g[LAYERS] = {b->g0 + first * C0, b->g1 + first * C1};
    nac_error error;
    ENSURE_OK(nac_profile_score(profile, N, z, g, layer_scores, scores, &error), &error);
}

static inline nac_profile *make_profile(void) {
    nac_profile *profile;
    nac_error error;
    ENSURE_OK(nac_profile_create(some_layers, LAYERS, &profile, &error), &error);
    return profile;
}

static inline void set_text(nac_profile *profile, const char *key, const char *json) {
    nac_error error;
    ENSURE_OK(nac_profile_set_metadata(profile, key, json, strlen(json), &error), &error);
}

#define MODEL_A "{\"name\":\"a\",\"sha256\":\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"}"
#define MODEL_B "{\"name\":\"a\",\"sha256\":\"ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"}"

/* A profile that has everything a profile can have. */
static inline nac_profile *make_full_profile(void) {
    nac_profile *profile = make_profile();
    batch *b = make_batch(1);
    nac_error error;
    float scores[24];
    uint32_t classes[24];
    for (uint32_t i = 0; i < 24; ++i) classes[i] = i % 3;
    add_images(profile, b, 0, 40);
    score_images(profile, b, 40, 24, NULL, scores);
    ENSURE_OK(nac_profile_calibrate(profile, scores, classes, 24, 0.1, &error), &error);
    ENSURE_OK(nac_profile_add_hashes(profile, (uint64_t[]){9, 3, UINT64_MAX}, 3, &error), &error);
    ENSURE_OK(nac_profile_add_calibration_hashes(profile, (uint64_t[]){1u << 31, 4}, 2, &error), &error);
    set_text(profile, "model", MODEL_A);
    set_text(profile, "preprocess", "{}");
    set_text(profile, "labels", "[\"cat\", \"d\\u00f6g\"]");
    set_text(profile, "provenance", "{\"images\": 40, \"command\": \"nac profile\"}");
    set_text(profile, "selfTest", "{\"score\": 0.12345678901234567890123}");
    free(b);
    return profile;
}

/* A copy of the saved bytes. */
static inline uint8_t *save_copy(nac_profile *profile, size_t *size) {
    const void *bytes;
    nac_error error;
    ENSURE_OK(nac_profile_save(profile, &bytes, size, &error), &error);
    uint8_t *copy = malloc(*size);
    memcpy(copy, bytes, *size);
    return copy;
}

static inline bool same_file(nac_profile *a, nac_profile *b) {
    size_t x_size, y_size;
    uint8_t *x = save_copy(a, &x_size), *y = save_copy(b, &y_size);
    bool same = x_size == y_size && memcmp(x, y, x_size) == 0;
    free(x);
    free(y);
    return same;
}

#endif
