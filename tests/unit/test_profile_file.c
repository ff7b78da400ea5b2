/* Profile <-> safetensors: round trips, canonical bytes, metadata. */
#include "profile/safetensors.h"
#include "profiles.h"

static nac_profile *open_bytes(const void *bytes, size_t size) {
    nac_profile *profile;
    nac_error error;
    ENSURE_OK(nac_profile_open(bytes, size, &profile, &error), &error);
    return profile;
}

static void test_round_trip(void) {
    nac_profile *a = make_full_profile();
    size_t size, again_size, n, m;
    uint8_t *bytes = save_copy(a, &size);
    uint8_t *moved = malloc(size + 1); /* at an odd address: tensors are not aligned then */
    memcpy(moved + 1, bytes, size);
    nac_profile *b = open_bytes(moved + 1, size);
    memset(moved, 0xAA, size + 1); /* the profile must not look at the caller's bytes any more */
    free(moved);
    ENSURE(nac_profile_layer_count(b) == LAYERS && nac_profile_images(b) == 40);
    for (int l = 0; l < LAYERS; ++l) {
        nac_layer x = nac_profile_layer(a, l), y = nac_profile_layer(b, l);
        ENSURE(strcmp(x.name, y.name) == 0 && strcmp(y.name, some_layers[l].name) == 0);
        ENSURE(x.pool == y.pool && x.neurons == y.neurons && x.alpha == y.alpha && x.M == y.M && x.O == y.O);
        ENSURE(memcmp(nac_profile_edges(a, l), nac_profile_edges(b, l), (size_t)x.M * sizeof(double)) == 0);
        ENSURE(memcmp(nac_profile_counts(a, l), nac_profile_counts(b, l), (size_t)(x.M - 1) * (size_t)x.neurons * 4) == 0);
    }
    ENSURE(nac_profile_threshold(a) == nac_profile_threshold(b) && nac_profile_false_alarm(b) == 0.1);
    const float *x = nac_profile_calibration(a, &n), *y = nac_profile_calibration(b, &m);
    ENSURE(n == 24 && m == 24 && memcmp(x, y, 24 * sizeof *x) == 0);
    ENSURE(nac_profile_has_hash(b, 9) && nac_profile_has_hash(b, UINT64_MAX) && nac_profile_has_calibration_hash(b, 4));
    for (size_t k = 0; nac_profile_metadata_key(a, k); ++k) {
        const char *key = nac_profile_metadata_key(a, k);
        ENSURE(strcmp(key, nac_profile_metadata_key(b, k)) == 0);
        ENSURE(strcmp(nac_profile_metadata(a, key), nac_profile_metadata(b, key)) == 0);
    }
    uint8_t *again = save_copy(b, &again_size);
    ENSURE(size == again_size && memcmp(bytes, again, size) == 0);
    free(bytes);
    free(again);
    nac_profile_destroy(a);
    nac_profile_destroy(b);
}

static void test_empty_profile_round_trip(void) {
    nac_profile *a = make_profile();
    size_t size;
    uint8_t *bytes = save_copy(a, &size);
    nac_profile *b = open_bytes(bytes, size);
    ENSURE(nac_profile_images(b) == 0 && isnan(nac_profile_threshold(b)) && same_file(a, b));
    ENSURE(nac_profile_metadata_key(b, 0) == NULL);
    free(bytes);
    nac_profile_destroy(a);
    nac_profile_destroy(b);
}

/* The order in which things are said is not in the file. */
static void test_equal_profiles_are_equal_bytes(void) {
    nac_profile *a = make_profile(), *b = make_profile();
    batch *images = make_batch(1);
    add_images(a, images, 0, 10);
    set_text(a, "zebra", "1");
    set_text(a, "model", MODEL_A);
    set_text(a, "preprocess", "{\"scale\": 1.0, \"filter\": \"bicubic\"}");
    set_text(b, "preprocess", " { \"filter\":\"bicubic\",\n\"scale\":1 } ");
    set_text(b, "other", "null");
    set_text(b, "model", "  " MODEL_A "\n");
    set_text(b, "zebra", "\"other\"");
    set_text(b, "zebra", " 1");
    ENSURE(nac_profile_set_metadata(b, "other", NULL, 0, NULL) == NAC_OK);
    add_images(b, images, 5, 5);
    add_images(b, images, 0, 5);
    ENSURE(same_file(a, b));
    free(images);
    nac_profile_destroy(a);
    nac_profile_destroy(b);
}

static void test_the_header_is_for_people(void) {
    nac_profile *profile = make_full_profile();
    size_t size;
    uint8_t *bytes = save_copy(profile, &size);
    uint64_t header;
    memcpy(&header, bytes, 8);
    ENSURE(header % 8 == 0); /* data are aligned */
    char *text = calloc((size_t)header + 1, 1);
    memcpy(text, bytes + 8, (size_t)header);
    ENSURE(strstr(text, "\\\"alpha\\\":0.001,")); /* the shortest number that is this float32, not 0.0010000000474974513 */
    ENSURE(strstr(text, "\\\"alpha\\\":100.0,"));
    ENSURE(strstr(text, "\"images\":\"40\""));
    ENSURE(strstr(text, "\"format\":\"nac-profile\""));
    ENSURE(strstr(text, "0.12345678901234567890123")); /* a caller's number keeps its digits */
    free(text);
    free(bytes);
    nac_profile_destroy(profile);
}

/* Every kind of float32 survives its decimal form. */
static void test_alpha_keeps_its_bits(void) {
    uint64_t random = 4;
    const float special[] = {1e-45f, 1.1754944e-38f, 3.4028235e38f, 0.1f, 3000, 16777216, 1.0f / 3};
    for (int i = 0; i < 300; ++i) {
        float alpha = i < 7 ? special[i] : expf(80 * test_uniform(&random));
        nac_layer layer = some_layers[0];
        layer.alpha = alpha;
        layer.O = exp(700 * (double)test_uniform(&random));
        nac_profile *a;
        ENSURE(nac_profile_create(&layer, 1, &a, NULL) == NAC_OK);
        size_t size;
        uint8_t *bytes = save_copy(a, &size);
        nac_profile *b = open_bytes(bytes, size);
        ENSURE(nac_profile_layer(b, 0).alpha == alpha && nac_profile_layer(b, 0).O == layer.O);
        free(bytes);
        nac_profile_destroy(a);
        nac_profile_destroy(b);
    }
}

static void test_metadata(void) {
    nac_profile *profile = make_profile();
    nac_error error;
    ENSURE(nac_profile_metadata(profile, "model") == NULL && nac_profile_metadata(profile, NULL) == NULL);
    set_text(profile, "labels", "[ \"a\", \"b\" ]");
    ENSURE(strcmp(nac_profile_metadata(profile, "labels"), "[\"a\",\"b\"]") == 0);
    const char *own[] = {"format", "version", "images", "layers", "calibration"};
    for (int i = 0; i < 5; ++i) {
        ENSURE(nac_profile_set_metadata(profile, own[i], "1", 1, &error) == NAC_INVALID_ARGUMENT);
        ENSURE(nac_profile_metadata(profile, own[i]) == NULL);
    }
    const char *bad[][2] = {
        {"any", ""},          {"any", "{"},           {"any", "nan"},         {"any", "1 2"},
        {"labels", "{}"},     {"labels", "[1]"},      {"model", "[]"},        {"model", "{\"name\":1}"},
        {"model", "{\"sha256\":\"12\"}"}, {"model", "{\"sha256\":1}"}, {"model", "{\"name\":\"a\",\"name\":\"b\"}"},
        {"preprocess", "[]"}, {"preprocess", "{\"colour\": 1}"}, {"any", "\"\xFF\""},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; ++i)
        ENSURE(nac_profile_set_metadata(profile, bad[i][0], bad[i][1], strlen(bad[i][1]), &error) == NAC_MALFORMED);
    ENSURE(nac_profile_set_metadata(profile, "", "1", 1, &error) == NAC_INVALID_ARGUMENT);
    ENSURE(nac_profile_set_metadata(profile, NULL, "1", 1, &error) == NAC_INVALID_ARGUMENT);
    ENSURE(nac_profile_set_metadata(profile, "\xFF", "1", 1, &error) == NAC_INVALID_ARGUMENT);
    ENSURE(nac_profile_set_metadata(profile, "any", "1\0", 2, &error) == NAC_MALFORMED);
    ENSURE(strcmp(nac_profile_metadata_key(profile, 0), "labels") == 0 && nac_profile_metadata_key(profile, 1) == NULL);
    char key[16];
    for (int i = 0; i < 1023; ++i) {
        snprintf(key, sizeof key, "k%d", (i * 577) % 1023); /* in no order */
        set_text(profile, key, "0");
    }
    ENSURE(nac_profile_set_metadata(profile, "one more", "0", 1, &error) == NAC_LIMIT_EXCEEDED);
    ENSURE_OK(nac_profile_set_metadata(profile, "k5", "5", 1, &error), &error);
    for (size_t i = 1; i < 1024; ++i) ENSURE(strcmp(nac_profile_metadata_key(profile, i - 1), nac_profile_metadata_key(profile, i)) < 0);
    nac_profile_destroy(profile);
}

/* A header that no reader would take again is not written, and the last good file stays. */
static void test_too_much_metadata(void) {
    nac_profile *profile = make_profile();
    const void *bytes, *before;
    size_t size, length = NAC_MAX_PROFILE_HEADER;
    char *text = malloc(length);
    nac_error error;
    ENSURE_OK(nac_profile_save(profile, &before, &size, &error), &error);
    memset(text, 'x', length);
    text[0] = text[length - 1] = '"';
    ENSURE_OK(nac_profile_set_metadata(profile, "long", text, length, &error), &error);
    ENSURE(nac_profile_save(profile, &bytes, &size, &error) == NAC_LIMIT_EXCEEDED);
    ENSURE(((const char *)before)[8] == '{');
    free(text);
    nac_profile_destroy(profile);
}

/* A file of another program: spaces, another order of tensors, unknown metadata that is not JSON, an unknown tensor. */
static void test_foreign_file(void) {
    double edges[4] = {0, 0.25, 0.5, 2};
    uint32_t counts[6] = {1, 0, 2, 0, 0, 3};
    float extra = 1;
    const nac_text_pair metadata[] = {
        {"version", "1"},
        {"note", "not { JSON \xC3\xA4"},
        {"layers", " [ {\"O\": 2, \"M\": 4, \"alpha\": 1, \"neurons\": 2, \"pool\": \"none\", \"name\": \"t\"} ] "},
        {"format", "nac-profile"},
        {"images", "3"},
    };
    const nac_safetensor tensors[] = {
        {.name = "0.counts", .dtype = "U32", .rank = 2, .dims = {3, 2}, .data = (const uint8_t *)counts, .size = sizeof counts},
        {.name = "extra", .dtype = "F32", .rank = 0, .data = (const uint8_t *)&extra, .size = sizeof extra},
        {.name = "empty", .dtype = "BF16", .rank = 2, .dims = {0, 7}, .data = (const uint8_t *)&extra, .size = 0},
        {.name = "0.edges", .dtype = "F64", .rank = 1, .dims = {4}, .data = (const uint8_t *)edges, .size = sizeof edges},
    };
    uint8_t *bytes;
    size_t size;
    nac_error error;
    ENSURE_OK(nac_safetensors_write(metadata, 5, tensors, 4, &bytes, &size, &error), &error);
    nac_profile *profile = open_bytes(bytes, size);
    ENSURE(nac_profile_edges(profile, 0)[1] == 0.25); /* the file's own edges, */
    const float zero[2] = {0}, *z[1] = {zero};
    float score;
    ENSURE_OK(nac_profile_score(profile, 1, z, z, NULL, &score, &error), &error);
    ENSURE(score == 0.5f); /* which put 0.5 in bin 2: counts 0 and 3, O = 2 */
    ENSURE(strcmp(nac_profile_metadata(profile, "note"), "not { JSON \xC3\xA4") == 0);
    nac_free(bytes);
    bytes = save_copy(profile, &size);
    nac_safetensors file;
    ENSURE_OK(nac_safetensors_open(bytes, size, &file, &error), &error);
    ENSURE(nac_safetensors_find(&file, "extra") == NULL && nac_safetensors_find(&file, "0.edges") != NULL);
    ENSURE(yyjson_equals_str(yyjson_obj_get(file.metadata, "note"), "not { JSON \xC3\xA4")); /* kept */
    nac_safetensors_close(&file);
    free(bytes);
    nac_profile_destroy(profile);
}

int main(void) {
    RUN(test_round_trip);
    RUN(test_empty_profile_round_trip);
    RUN(test_equal_profiles_are_equal_bytes);
    RUN(test_the_header_is_for_people);
    RUN(test_alpha_keeps_its_bits);
    RUN(test_metadata);
    RUN(test_too_much_metadata);
    RUN(test_foreign_file);
    return TEST_RESULT();
}
