/* The profile object: counting, scoring, merging, calibration, hashes. */
#include "profile/profile.h"
#include "profiles.h"

static void test_scores_by_hand(void) {
    /* Two images that fall in known bins: dead units only. O = 5 and 2.5, 3 images. */
    nac_profile *profile = make_profile();
    const float zeros[3 * C0] = {0};
    const float *z[LAYERS] = {zeros, zeros}, *g[LAYERS] = {zeros, zeros};
    float layer_scores[LAYERS], score;
    ENSURE(nac_profile_add(profile, 3, z, g, NULL) == NAC_OK);
    ENSURE(nac_profile_images(profile) == 3);
    const uint32_t *counts = nac_profile_counts(profile, 0);
    for (int b = 0; b < 5; ++b)
        for (int c = 0; c < C0; ++c) ENSURE(counts[b * C0 + c] == (b == 6 / 2 - 1 ? 3u : 0u));
    ENSURE(nac_profile_score(profile, 1, z, g, layer_scores, &score, NULL) == NAC_OK);
    ENSURE(layer_scores[0] == 0.6f && layer_scores[1] == 1.0f);
    ENSURE(score == (float)0.8);
    float coverage[C0];
    int bins[C0];
    ENSURE(nac_profile_coverage(profile, 0, zeros, zeros, coverage, bins, NULL) == NAC_OK);
    for (int c = 0; c < C0; ++c) ENSURE(coverage[c] == 0.6f && bins[c] == 2);
    const float nan[C0] = {0, NAN, 0, 0, 0};
    ENSURE(nac_profile_coverage(profile, 0, nan, zeros, coverage, bins, NULL) == NAC_OK);
    ENSURE(bins[1] == -1 && coverage[1] == 0 && bins[2] == 2);
    nac_profile_destroy(profile);
}

/* Alone, in a batch, in any order: the same bits. */
static void test_no_image_sees_its_neighbours(void) {
    nac_profile *profile = make_profile();
    batch *b = make_batch(2);
    float together[MOST], layers_together[MOST * LAYERS];
    add_images(profile, b, 0, 30);
    score_images(profile, b, 0, MOST, layers_together, together);
    for (int n = MOST - 1; n >= 0; --n) {
        float alone, layers_alone[LAYERS];
        score_images(profile, b, n, 1, layers_alone, &alone);
        ENSURE(memcmp(&alone, &together[n], sizeof alone) == 0);
        ENSURE(memcmp(layers_alone, layers_together + n * LAYERS, sizeof layers_alone) == 0);
        ENSURE(alone >= 0 && alone <= 1);
        ENSURE_NEAR(alone, ((double)layers_alone[0] + (double)layers_alone[1]) / 2, 1e-7);
    }
    free(b);
    nac_profile_destroy(profile);
}

static void test_order_and_batches_of_add(void) {
    nac_profile *once = make_profile(), *pieces = make_profile();
    batch *b = make_batch(3);
    add_images(once, b, 0, MOST);
    add_images(pieces, b, 40, 24);
    for (int n = 0; n < 39; ++n) add_images(pieces, b, n, 1);
    add_images(pieces, b, 39, 1);
    add_images(pieces, b, 0, 0);
    ENSURE(same_file(once, pieces));
    free(b);
    nac_profile_destroy(once);
    nac_profile_destroy(pieces);
}

/* fit(A) + fit(B) == fit(A and B), files too. */
static void test_merge(void) {
    nac_profile *a = make_profile(), *b = make_profile(), *both = make_profile();
    nac_profile *all[] = {a, b, both};
    batch *images = make_batch(4);
    nac_error error;
    for (int i = 0; i < 3; ++i) {
        set_text(all[i], "model", MODEL_A);
        set_text(all[i], "preprocess", "{\"filter\": \"bicubic\"}");
    }
    add_images(a, images, 0, 25);
    add_images(b, images, 25, 39);
    add_images(both, images, 0, 64);
    ENSURE_OK(nac_profile_add_hashes(a, (uint64_t[]){5, 1, 7}, 3, &error), &error);
    ENSURE_OK(nac_profile_add_hashes(b, (uint64_t[]){7, 2}, 2, &error), &error);
    ENSURE_OK(nac_profile_add_hashes(both, (uint64_t[]){7, 7, 5, 2, 1}, 5, &error), &error);
    ENSURE_OK(nac_profile_add_calibration_hashes(b, (uint64_t[]){6}, 1, &error), &error);
    ENSURE_OK(nac_profile_add_calibration_hashes(both, (uint64_t[]){6}, 1, &error), &error);
    ENSURE_OK(nac_profile_merge(a, b, &error), &error);
    ENSURE(nac_profile_images(a) == 64);
    ENSURE(same_file(a, both));
    /* and with itself */
    add_images(both, images, 0, 64);
    ENSURE_OK(nac_profile_merge(a, a, &error), &error);
    ENSURE(same_file(a, both));
    free(images);
    for (int i = 0; i < 3; ++i) nac_profile_destroy(all[i]);
}

static void expect_mismatch(const nac_layer *layers, size_t count, const char *model, const char *preprocess, const char *words) {
    nac_profile *a = make_profile(), *b;
    nac_error error;
    set_text(a, "model", MODEL_A);
    set_text(a, "preprocess", "{}");
    ENSURE_OK(nac_profile_create(layers, count, &b, &error), &error);
    if (model) set_text(b, "model", model);
    if (preprocess) set_text(b, "preprocess", preprocess);
    nac_status status = nac_profile_merge(a, b, &error);
    nac_profile_destroy(a);
    nac_profile_destroy(b);
    ENSURE(status == NAC_MISMATCH);
    if (!strstr(error.message, words)) test_fail(__FILE__, __LINE__, error.message);
}

static void test_merge_refuses_strangers(void) {
    expect_mismatch(some_layers, LAYERS, MODEL_B, "{}", "00112233 and ff112233");
    expect_mismatch(some_layers, LAYERS, NULL, "{}", "model");
    expect_mismatch(some_layers, LAYERS, MODEL_A, "{\"scale\": 1}", "preprocess");
    expect_mismatch(some_layers, LAYERS, MODEL_A, NULL, "preprocess");
    expect_mismatch(some_layers, 1, MODEL_A, "{}", "2 and 1 layers");
    for (int field = 0; field < 5; ++field) {
        nac_layer layers[LAYERS] = {some_layers[0], some_layers[1]};
        if (field == 0) layers[1].name = "other";
        if (field == 1) layers[1].pool = NAC_POOL_MEAN;
        if (field == 2) layers[1].neurons = C1 + 1;
        if (field == 3) layers[1].alpha = nextafterf(layers[1].alpha, 1);
        if (field == 4) layers[1].M = 12;
        expect_mismatch(layers, LAYERS, MODEL_A, "{}", field == 0 ? "\"other\"" : "ebene");
    }
    /* The same model under another file name, and another O: these belong together. */
    nac_profile *a = make_profile(), *b;
    nac_layer layers[LAYERS] = {some_layers[0], some_layers[1]};
    nac_error error;
    layers[0].O = 77;
    ENSURE_OK(nac_profile_create(layers, LAYERS, &b, &error), &error);
    set_text(a, "model", MODEL_A);
    set_text(b, "model", "{\"name\":\"b\",\"sha256\":\"00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff\"}");
    ENSURE_OK(nac_profile_merge(a, b, &error), &error);
    ENSURE(nac_profile_layer(a, 0).O == 5);
    nac_profile_destroy(a);
    nac_profile_destroy(b);
}

static void test_images_end_at_32_bits(void) {
    nac_profile *a = make_profile(), *b = make_profile();
    batch *images = make_batch(5);
    nac_error error;
    a->images = UINT32_MAX - 2;
    add_images(a, images, 0, 1);
    ENSURE(nac_profile_add(a, 2, images->z, images->g, &error) == NAC_LIMIT_EXCEEDED);
    ENSURE(nac_profile_images(a) == UINT32_MAX - 1);
    add_images(b, images, 0, 2);
    ENSURE(nac_profile_merge(a, b, &error) == NAC_LIMIT_EXCEEDED);
    ENSURE(nac_profile_images(a) == UINT32_MAX - 1);
    add_images(a, images, 0, 1);
    free(images);
    nac_profile_destroy(a);
    nac_profile_destroy(b);
}

static void test_add_refuses(void) {
    nac_profile *a = make_profile(), *empty = make_profile();
    batch *images = make_batch(6);
    nac_error error;
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; ++i) {
        images->g1[C1 * 2 + 1] = bad[i]; /* the last layer: nothing of the first may have been counted */
        ENSURE(nac_profile_add(a, 3, images->z, images->g, &error) == NAC_NOT_FINITE);
        ENSURE(strstr(error.message, "neuron 1 of image 2"));
    }
    ENSURE(nac_profile_add(a, -1, images->z, images->g, &error) == NAC_INVALID_ARGUMENT);
    images->z[1] = NULL;
    ENSURE(nac_profile_add(a, 1, images->z, images->g, &error) == NAC_INVALID_ARGUMENT);
    ENSURE(nac_profile_score(a, 1, images->z, images->g, NULL, NULL, &error) == NAC_INVALID_ARGUMENT);
    ENSURE(nac_profile_coverage(a, LAYERS, images->z0, images->g0, images->z0, NULL, &error) == NAC_INVALID_ARGUMENT);
    ENSURE(same_file(a, empty));
    free(images);
    nac_profile_destroy(a);
    nac_profile_destroy(empty);
}

static void test_create_refuses(void) {
    nac_profile *profile = NULL;
    char long_name[NAC_MAX_NAME + 2];
    memset(long_name, 'x', sizeof long_name);
    long_name[NAC_MAX_NAME + 1] = 0;
    const nac_layer fine = some_layers[0];
    for (int i = 0; i < 17; ++i) {
        nac_layer layer = fine;
        switch (i) {
        case 0: layer.name = NULL; break;
        case 1: layer.name = ""; break;
        case 2: layer.name = long_name; break;
        case 3: layer.name = "\xC3"; break;
        case 4: layer.name = "\xED\xA0\x80"; break; /* a surrogate */
        case 5: layer.neurons = 0; break;
        case 6: layer.neurons = NAC_MAX_NEURONS + 1; break;
        case 7: layer.alpha = 0; break;
        case 8: layer.alpha = -1; break;
        case 9: layer.alpha = NAN; break;
        case 10: layer.alpha = INFINITY; break;
        case 11: layer.M = 2; break;
        case 12: layer.M = 7; break;
        case 13: layer.M = NAC_MAX_BINS + 2; break;
        case 14: layer.O = 0; break;
        case 15: layer.O = (double)INFINITY; break;
        case 16: layer.pool = (nac_pool)5; break;
        }
        ENSURE(nac_profile_create(&layer, 1, &profile, NULL) == NAC_INVALID_ARGUMENT);
    }
    ENSURE(nac_profile_create(&fine, 0, &profile, NULL) == NAC_INVALID_ARGUMENT);
    ENSURE(nac_profile_create(NULL, 1, &profile, NULL) == NAC_INVALID_ARGUMENT);
    nac_layer many[NAC_MAX_TAPS + 1];
    for (int i = 0; i <= NAC_MAX_TAPS; ++i) many[i] = fine;
    ENSURE(nac_profile_create(many, NAC_MAX_TAPS + 1, &profile, NULL) == NAC_INVALID_ARGUMENT);
    ENSURE(profile == NULL);
    ENSURE(nac_profile_create(many, NAC_MAX_TAPS, &profile, NULL) == NAC_OK);
    nac_profile_destroy(profile);
    nac_profile_destroy(NULL);
}

/* score < threshold  <=>  p <= false alarm, over scores that tie, calibration sets that tie, and every small size. */
static void test_threshold_is_the_p_value(void) {
    nac_profile *profile = make_profile();
    uint64_t random = 8;
    const double rates[] = {0, 1e-9, 0.01, 0.05, 0.1, 1.0 / 3, 0.5, 0.95, 1};
    nac_error error;
    for (int round = 0; round < 400; ++round) {
        float scores[200];
        size_t count = 1 + test_random(&random) % (round % 2 ? 200 : 25), levels = 1 + test_random(&random) % (round % 3 ? 12 : 4000);
        for (size_t i = 0; i < count; ++i) scores[i] = (float)(test_random(&random) % (levels + 1)) / (float)levels;
        for (size_t r = 0; r < sizeof rates / sizeof rates[0]; ++r) {
            double rate = round % 5 == 4 ? (double)(test_random(&random) % (count + 2)) / (double)(count + 1) : rates[r];
            ENSURE_OK(nac_profile_calibrate(profile, scores, NULL, count, rate, &error), &error);
            double threshold = nac_profile_threshold(profile);
            size_t flagged = 0;
            for (size_t i = 0; i <= 3 * levels && i < 400; ++i) {
                float score = (float)i / (float)(3 * levels);
                for (int step = -1; step <= 1; ++step) {
                    float s = step < 0 ? nextafterf(score, 0) : step > 0 ? nextafterf(score, 1) : score;
                    ENSURE(((double)s < threshold) == (nac_profile_p_value(profile, s) <= rate));
                }
            }
            for (size_t i = 0; i < count; ++i) {
                ENSURE(((double)scores[i] < threshold) == (nac_profile_p_value(profile, scores[i]) <= rate));
                flagged += (double)scores[i] < threshold;
            }
            ENSURE((double)flagged <= rate * (double)(count + 1)); /* of its own images, too */
        }
    }
    nac_profile_destroy(profile);
}

static void test_calibration_by_hand(void) {
    nac_profile *profile = make_profile();
    const float scores[] = {0.9f, 0.1f, 0.5f, 0.5f, -0.0f, 0.7f, 0.8f, 0.6f, 0.4f};
    size_t count;
    nac_error error;
    ENSURE(isnan(nac_profile_threshold(profile)) && isnan(nac_profile_p_value(profile, 0.5f)) && isnan(nac_profile_false_alarm(profile)));
    ENSURE(nac_profile_calibration(profile, &count) == NULL && count == 0);
    ENSURE_OK(nac_profile_calibrate(profile, scores, NULL, 9, 0.2, &error), &error); /* 2 of 10 ranks: the threshold is the second score */
    ENSURE(nac_profile_threshold(profile) == (double)0.1f);
    ENSURE(nac_profile_p_value(profile, 0.05f) == 0.2);
    ENSURE(nac_profile_p_value(profile, 0.1f) == 0.3); /* ties with the threshold: in */
    ENSURE(nac_profile_p_value(profile, 0.5f) == 0.6);
    ENSURE(nac_profile_p_value(profile, 1) == 1);
    ENSURE(isnan(nac_profile_p_value(profile, NAN)));
    const float *kept = nac_profile_calibration(profile, &count);
    ENSURE(count == 9 && !signbit(kept[0]));
    for (size_t i = 1; i < 9; ++i) ENSURE(kept[i - 1] <= kept[i]);
    /* Another rate for the same scores; 1 / 10 > 0.09, so nothing can be flagged. */
    ENSURE_OK(nac_profile_calibrate(profile, kept, NULL, count, 0.09, &error), &error);
    ENSURE(nac_profile_threshold(profile) == 0 && nac_profile_false_alarm(profile) == 0.09);
    kept = nac_profile_calibration(profile, &count);
    ENSURE_OK(nac_profile_calibrate(profile, kept, NULL, count, 1, &error), &error); /* everything is */
    ENSURE(nac_profile_threshold(profile) > 1);
    const float bad[] = {NAN, 1.5f, -0.1f};
    for (int i = 0; i < 3; ++i) ENSURE(nac_profile_calibrate(profile, bad + i, NULL, 1, 0.1, &error) == NAC_INVALID_ARGUMENT);
    ENSURE(nac_profile_calibrate(profile, scores, NULL, 0, 0.1, &error) == NAC_INVALID_ARGUMENT);
    ENSURE(nac_profile_calibrate(profile, scores, NULL, 9, 1.1, &error) == NAC_INVALID_ARGUMENT);
    ENSURE(nac_profile_calibrate(profile, scores, NULL, 9, (double)NAN, &error) == NAC_INVALID_ARGUMENT);
    ENSURE(nac_profile_threshold(profile) > 1);
    nac_profile_destroy(profile);
}

/* Two classes with enough images for a rate of a half (8), one with too few, one with none. */
static void test_calibration_by_class(void) {
    nac_profile *profile = make_profile();
    float scores[24];
    uint32_t classes[24];
    for (uint32_t i = 0; i < 24; ++i) {
        classes[i] = i < 8 ? 7 : i < 16 ? 2 : i < 23 ? 999999 : 3;
        scores[i] = (float)(i < 8 ? 1 + i : i < 16 ? 50 + i : 20) / 100;
    }
    nac_error error;
    ENSURE(isnan(nac_profile_class_threshold(profile, 7)) && isnan(nac_profile_class_p_value(profile, 7, 0.5f)));
    ENSURE_OK(nac_profile_calibrate(profile, scores, classes, 24, 0.5, &error), &error);
    ENSURE(nac_profile_class_threshold(profile, 7) == (double)0.04f); /* 4 of 9 ranks: the fourth score */
    ENSURE(nac_profile_class_threshold(profile, 2) == (double)0.61f);
    ENSURE(nac_profile_class_p_value(profile, 7, 0.04f) == 5.0 / 9 && nac_profile_class_p_value(profile, 7, 0.045f) == 5.0 / 9);
    ENSURE(nac_profile_class_p_value(profile, 7, 0.005f) == 1.0 / 9 && nac_profile_class_p_value(profile, 2, 0.5f) == 1.0 / 9);
    ENSURE(nac_profile_class_p_value(profile, 7, 1) == 1 && isnan(nac_profile_class_p_value(profile, 7, NAN)));
    const int without[] = {999999, 3, 0, 8, 1000000, -1, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof without / sizeof without[0]; ++i)
        ENSURE(isnan(nac_profile_class_threshold(profile, without[i])) && isnan(nac_profile_class_p_value(profile, without[i], 0.5f)));
    /* All together they are what they are without classes, and tied scores have their classes in order. */
    ENSURE(nac_profile_threshold(profile) == (double)0.2f && nac_profile_p_value(profile, 0.2f) == 17.0 / 25);
    size_t count;
    const float *kept = nac_profile_calibration(profile, &count);
    const uint32_t *kept_classes = nac_profile_calibration_classes(profile);
    ENSURE(count == 24 && kept_classes[0] == 7 && kept_classes[8] == 3 && kept_classes[9] == 999999 && kept_classes[23] == 2);
    /* Another rate for the same images, at which no class has enough. */
    ENSURE_OK(nac_profile_calibrate(profile, kept, kept_classes, count, 0.49, &error), &error);
    ENSURE(isnan(nac_profile_class_threshold(profile, 7)) && nac_profile_calibration_classes(profile)[8] == 3);
    classes[5] = NAC_MAX_CLASSES;
    ENSURE(nac_profile_calibrate(profile, scores, classes, 24, 0.5, &error) == NAC_INVALID_ARGUMENT && strstr(error.message, "class 1000000"));
    ENSURE_OK(nac_profile_calibrate(profile, scores, NULL, 24, 0.5, &error), &error);
    ENSURE(!nac_profile_calibration_classes(profile) && isnan(nac_profile_class_threshold(profile, 7)));
    nac_profile_destroy(profile);
}

/* Conformal promise: over fresh calibration sets of exchangeable scores, the share of flagged images is at most the rate; and, of
 * a class whose scores are lower than another's, at most the rate by the class's own threshold though more by the common one. */
static void test_calibration_keeps_its_promise(void) {
    enum { IMAGES = 80, ROUNDS = 20000 };
    nac_profile *profile = make_profile();
    uint64_t random = 12;
    int flagged = 0, low_flagged = 0, low_flagged_by_class = 0;
    for (int round = 0; round < ROUNDS; ++round) {
        float scores[IMAGES + 1];
        uint32_t classes[IMAGES + 1];
        for (uint32_t i = 0; i <= IMAGES; ++i) {
            classes[i] = i % 2;
            scores[i] = (float)(test_random(&random) % 30 + 10 * classes[i]) / 40;
        }
        ENSURE(nac_profile_calibrate(profile, scores, classes, IMAGES, 0.1, NULL) == NAC_OK);
        uint32_t fresh = test_random(&random) % 2;
        float score = (float)(test_random(&random) % 30 + 10 * fresh) / 40;
        flagged += (double)score < nac_profile_threshold(profile);
        low_flagged += (double)scores[IMAGES] < nac_profile_threshold(profile);
        low_flagged_by_class += (double)scores[IMAGES] < nac_profile_class_threshold(profile, 0);
    }
    const double most = 0.1 * (double)ROUNDS + 3 * sqrt(0.09 * (double)ROUNDS); /* three standard deviations */
    ENSURE(flagged <= most && low_flagged_by_class <= most && low_flagged > most);
    nac_profile_destroy(profile);
}

static void test_counting_ends_a_calibration(void) {
    for (int how = 0; how < 3; ++how) {
        nac_profile *profile = make_full_profile(), *other = make_full_profile();
        batch *b = make_batch(1);
        size_t count;
        ENSURE(!isnan(nac_profile_threshold(profile)) && nac_profile_metadata(profile, "selfTest"));
        if (how == 0) add_images(profile, b, 0, 0);
        if (how == 1) add_images(profile, b, 0, 1);
        if (how == 2) ENSURE(nac_profile_merge(profile, other, NULL) == NAC_OK);
        ENSURE(isnan(nac_profile_threshold(profile)) == (how > 0));
        ENSURE((nac_profile_metadata(profile, "selfTest") == NULL) == (how > 0));
        ENSURE((nac_profile_calibration(profile, &count) == NULL) == (how > 0));
        ENSURE(nac_profile_has_calibration_hash(profile, 4) && nac_profile_metadata(profile, "provenance"));
        free(b);
        nac_profile_destroy(profile);
        nac_profile_destroy(other);
    }
}

static void test_hashes(void) {
    nac_profile *profile = make_profile();
    uint64_t random = 9, hashes[500];
    size_t count;
    nac_error error;
    ENSURE(!nac_profile_has_hash(profile, 0) && nac_profile_hashes(profile, &count) == NULL && count == 0);
    ENSURE_OK(nac_profile_add_hashes(profile, NULL, 0, &error), &error);
    ENSURE(nac_profile_add_hashes(profile, NULL, 1, &error) == NAC_INVALID_ARGUMENT);
    for (int i = 0; i < 500; ++i) hashes[i] = (uint64_t)test_random(&random) << 32 | test_random(&random) % 50;
    hashes[0] = 0, hashes[1] = UINT64_MAX, hashes[2] = hashes[3];
    for (int i = 0; i < 500; i += 7) ENSURE_OK(nac_profile_add_hashes(profile, hashes + i, i + 7 < 500 ? 7 : (size_t)(500 - i), &error), &error);
    ENSURE_OK(nac_profile_add_hashes(profile, hashes, 500, &error), &error); /* again: nothing changes */
    const uint64_t *kept = nac_profile_hashes(profile, &count);
    ENSURE(count == 499);
    for (size_t i = 1; i < count; ++i) ENSURE(kept[i - 1] < kept[i]);
    for (int i = 0; i < 500; ++i) ENSURE(nac_profile_has_hash(profile, hashes[i]) && !nac_profile_has_calibration_hash(profile, hashes[i]));
    ENSURE(!nac_profile_has_hash(profile, 1));
    nac_profile_destroy(profile);
}

static void test_check_model(void) {
    nac_profile *profile = make_profile();
    nac_error error;
    const char *right = "00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff"; /* capitals are fine */
    const char *wrong = "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    ENSURE(nac_profile_check_model(profile, right, &error) == NAC_MISMATCH);
    set_text(profile, "model", "{\"name\":\"without\"}");
    ENSURE(nac_profile_check_model(profile, right, &error) == NAC_MISMATCH);
    set_text(profile, "model", MODEL_A);
    ENSURE_OK(nac_profile_check_model(profile, right, &error), &error);
    ENSURE(nac_profile_check_model(profile, wrong, &error) == NAC_MISMATCH);
    ENSURE(strstr(error.message, "00112233") && strstr(error.message, "ff112233"));
    ENSURE(nac_profile_check_model(profile, "0011", &error) == NAC_INVALID_ARGUMENT);
    ENSURE(nac_profile_check_model(profile, NULL, &error) == NAC_INVALID_ARGUMENT);
    nac_profile_destroy(profile);
}

int main(void) {
    RUN(test_scores_by_hand);
    RUN(test_no_image_sees_its_neighbours);
    RUN(test_order_and_batches_of_add);
    RUN(test_merge);
    RUN(test_merge_refuses_strangers);
    RUN(test_images_end_at_32_bits);
    RUN(test_add_refuses);
    RUN(test_create_refuses);
    RUN(test_threshold_is_the_p_value);
    RUN(test_calibration_by_hand);
    RUN(test_calibration_by_class);
    RUN(test_calibration_keeps_its_promise);
    RUN(test_counting_ends_a_calibration);
    RUN(test_hashes);
    RUN(test_check_model);
    return TEST_RESULT();
}
