/* profile.c - the object: create, count, merge, score. Files are in profile_read.c and profile_write.c. */
#include "base/text.h"
#include "profile/profile.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nac/coverage.h"

nac_status nac_layer_check(const nac_layer *layer, int index, nac_status status, nac_error *error) {
    size_t length = layer->name ? strlen(layer->name) : 0;
    if (length == 0 || length > NAC_MAX_NAME || !nac_utf8_valid(layer->name, length))
        return nac_fail(error, status, "layer %d: a name is 1..%d bytes of UTF-8", index, (int)NAC_MAX_NAME);
    if ((int)layer->pool < NAC_POOL_SUM || (int)layer->pool > NAC_POOL_NONE)
        return nac_fail(error, status, "layer \"%.100s\": pool %d is unknown", layer->name, (int)layer->pool);
    if (layer->neurons < 1 || layer->neurons > NAC_MAX_NEURONS)
        return nac_fail(error, status, "layer \"%.100s\": %d neurons, must be in 1..%d", layer->name, layer->neurons, (int)NAC_MAX_NEURONS);
    if (!(layer->alpha > 0) || !isfinite(layer->alpha))
        return nac_fail(error, status, "layer \"%.100s\": alpha = %g must be finite and above 0", layer->name, (double)layer->alpha);
    if (layer->M < 4 || layer->M > NAC_MAX_BINS || layer->M % 2 != 0)
        return nac_fail(error, status, "layer \"%.100s\": M = %d edges, must be even and in 4..%d", layer->name, layer->M, (int)NAC_MAX_BINS);
    if (!(layer->O > 0) || !isfinite(layer->O))
        return nac_fail(error, status, "layer \"%.100s\": O = %g must be finite and above 0", layer->name, layer->O);
    return NAC_OK;
}

static bool allocate_layer(nac_counted_layer *layer, const nac_layer *spec) {
    size_t cells;
    layer->spec = *spec;
    layer->spec.name = nac_strndup(spec->name, strlen(spec->name));
    layer->edges = nac_alloc_array((size_t)spec->M, sizeof *layer->edges);
    layer->counts = nac_mul_size((size_t)spec->M - 1, (size_t)spec->neurons, &cells) ? nac_alloc_array(cells, sizeof *layer->counts) : NULL;
    layer->bins = nac_alloc_array(1, sizeof *layer->bins);
    return layer->spec.name && layer->edges && layer->counts && layer->bins;
}

nac_status nac_profile_allocate(const nac_layer *layers, int layer_count, nac_profile **profile, nac_error *error) {
    nac_profile *made = nac_alloc_array(1, sizeof *made);
    if (!made) return nac_out_of_memory(error, "a profile");
    made->calibration = nac_calibration_none;
    made->layers = nac_alloc_array((size_t)layer_count, sizeof *made->layers);
    if (!made->layers) {
        nac_profile_destroy(made);
        return nac_out_of_memory(error, "a profile");
    }
    for (int l = 0; l < layer_count; ++l) {
        made->layer_count = l + 1;
        if (!allocate_layer(&made->layers[l], &layers[l])) {
            nac_profile_destroy(made);
            return nac_fail(error, NAC_OUT_OF_MEMORY, "memory ran out for layer \"%.100s\": %d bins of %d neurons", layers[l].name,
                            layers[l].M - 1, layers[l].neurons);
        }
    }
    *profile = made;
    return NAC_OK;
}

nac_status nac_profile_create(const nac_layer *layers, size_t layer_count, nac_profile **profile, nac_error *error) {
    if (!layers || !profile || layer_count < 1 || layer_count > NAC_MAX_TAPS)
        return nac_fail(error, NAC_INVALID_ARGUMENT, "%zu layers: 1..%d are possible", layer_count, (int)NAC_MAX_TAPS);
    for (size_t l = 0; l < layer_count; ++l) NAC_TRY(nac_layer_check(&layers[l], (int)l, NAC_INVALID_ARGUMENT, error));
    nac_profile *made;
    NAC_TRY(nac_profile_allocate(layers, (int)layer_count, &made, error));
    for (size_t l = 0; l < layer_count; ++l) {
        nac_counted_layer *layer = &made->layers[l];
        (void)nac_bin_edges(layer->spec.M, layer->edges, NULL); /* M is checked */
        nac_bin_map_init(layer->bins, layer->edges, layer->spec.M);
    }
    *profile = made;
    return NAC_OK;
}

void nac_profile_destroy(nac_profile *profile) {
    if (!profile) return;
    for (int l = 0; profile->layers && l < profile->layer_count; ++l) {
        nac_free((char *)(uintptr_t)profile->layers[l].spec.name); /* const for those outside */
        nac_free(profile->layers[l].edges);
        nac_free(profile->layers[l].counts);
        nac_free(profile->layers[l].bins);
    }
    nac_free(profile->layers);
    nac_free(profile->hashes.values);
    nac_free(profile->calibration_hashes.values);
    nac_metadata_clear(&profile->metadata);
    nac_calibration_clear(&profile->calibration);
    nac_free(profile->saved);
    nac_free(profile);
}

/* What was measured with the counts as they were is no longer true. */
static void forget_measurements(nac_profile *profile) {
    nac_calibration_clear(&profile->calibration);
    nac_metadata_remove(&profile->metadata, "selfTest");
}

static nac_status check_batch(const nac_profile *profile, int N, const float *const *z, const float *const *g, nac_error *error) {
    if (N < 0) return nac_fail(error, NAC_INVALID_ARGUMENT, "%d images", N);
    if (N == 0) return NAC_OK;
    for (int l = 0; l < profile->layer_count; ++l)
        if (!z || !g || !z[l] || !g[l])
            return nac_fail(error, NAC_INVALID_ARGUMENT, "layer \"%.100s\": z or g is NULL", profile->layers[l].spec.name);
    return NAC_OK;
}

static nac_status check_images(uint64_t have, uint64_t more, nac_error *error) {
    if (more <= UINT32_MAX - have) return NAC_OK;
    return nac_fail(error, NAC_LIMIT_EXCEEDED, "%llu images and %llu more: a profile counts at most %llu", (unsigned long long)have,
                    (unsigned long long)more, (unsigned long long)UINT32_MAX);
}

nac_status nac_profile_add(nac_profile *profile, int N, const float *const *z, const float *const *g, nac_error *error) {
    NAC_TRY(check_batch(profile, N, z, g, error));
    NAC_TRY(check_images(profile->images, (uint64_t)N, error));
    for (int l = 0; l < profile->layer_count; ++l) {
        size_t C = (size_t)profile->layers[l].spec.neurons, size = (size_t)N * C;
        for (size_t i = 0; i < size; ++i)
            if (!isfinite(z[l][i]) || !isfinite(g[l][i]))
                return nac_fail(error, NAC_NOT_FINITE, "layer \"%.100s\": neuron %zu of image %zu is not finite (z = %g, g = %g)",
                                profile->layers[l].spec.name, i % C, i / C, (double)z[l][i], (double)g[l][i]);
    }
    for (int l = 0; l < profile->layer_count; ++l) {
        const nac_counted_layer *layer = &profile->layers[l];
        size_t C = (size_t)layer->spec.neurons;
        for (size_t n = 0; n < (size_t)N; ++n)
            nac_coverage_count_one(z[l] + n * C, g[l] + n * C, layer->spec.neurons, layer->spec.alpha, layer->bins, layer->counts);
    }
    profile->images += (uint64_t)N;
    if (N > 0) forget_measurements(profile);
    return NAC_OK;
}

static nac_status check_same_text(const nac_profile *a, const nac_profile *b, const char *key, nac_error *error) {
    const char *x = nac_metadata_get(&a->metadata, key), *y = nac_metadata_get(&b->metadata, key);
    if (x == y || (x && y && strcmp(x, y) == 0)) return NAC_OK;
    return nac_fail(error, NAC_MISMATCH, "the profiles differ in \"%s\": %.100s and %.100s", key, x ? x : "none", y ? y : "none");
}

static nac_status check_same_kind(const nac_profile *a, const nac_profile *b, nac_error *error) {
    char x[65], y[65];
    bool has_x = nac_metadata_model_hash(&a->metadata, x), has_y = nac_metadata_model_hash(&b->metadata, y);
    if (has_x && has_y) {
        if (strcmp(x, y) != 0) return nac_fail(error, NAC_MISMATCH, "the profiles belong to different models, %.8s and %.8s", x, y);
    } else {
        NAC_TRY(check_same_text(a, b, "model", error));
    }
    NAC_TRY(check_same_text(a, b, "preprocess", error)); /* canonical text */
    if (a->layer_count != b->layer_count)
        return nac_fail(error, NAC_MISMATCH, "the profiles have %d and %d layers", a->layer_count, b->layer_count);
    for (int l = 0; l < a->layer_count; ++l) {
        const nac_layer *s = &a->layers[l].spec, *t = &b->layers[l].spec;
        if (strcmp(s->name, t->name) != 0)
            return nac_fail(error, NAC_MISMATCH, "layer %d is \"%.100s\" and \"%.100s\"", l, s->name, t->name);
        if (s->pool != t->pool || s->neurons != t->neurons || s->alpha != t->alpha || s->M != t->M ||
            memcmp(a->layers[l].edges, b->layers[l].edges, (size_t)s->M * sizeof(double)) != 0)
            return nac_fail(error, NAC_MISMATCH, "the profiles differ in layer \"%.100s\": pool, neurons, alpha, M or edges", s->name);
    }
    return NAC_OK;
}

nac_status nac_profile_merge(nac_profile *profile, const nac_profile *other, nac_error *error) {
    NAC_TRY(check_same_kind(profile, other, error));
    NAC_TRY(check_images(profile->images, other->images, error));
    /* Two sets are united, and either may fail: the first is only kept when the second is there too. */
    nac_hash_set hashes = {0};
    NAC_TRY(nac_hash_set_add(&hashes, profile->hashes.values, profile->hashes.count, error));
    nac_status status = nac_hash_set_add(&hashes, other->hashes.values, other->hashes.count, error);
    if (status == NAC_OK)
        status = nac_hash_set_add(&profile->calibration_hashes, other->calibration_hashes.values, other->calibration_hashes.count, error);
    if (status != NAC_OK) {
        nac_free(hashes.values);
        return status;
    }
    nac_free(profile->hashes.values);
    profile->hashes = hashes;
    for (int l = 0; l < profile->layer_count; ++l) {
        nac_counted_layer *layer = &profile->layers[l];
        const uint32_t *more = other->layers[l].counts;
        size_t cells = (size_t)(layer->spec.M - 1) * (size_t)layer->spec.neurons;
        for (size_t i = 0; i < cells; ++i) layer->counts[i] += more[i]; /* no count is above its profile's images */
    }
    profile->images += other->images;
    forget_measurements(profile);
    return NAC_OK;
}

nac_status nac_profile_score(const nac_profile *profile, int N, const float *const *z, const float *const *g, float *layer_scores,
                             float *scores, nac_error *error) {
    NAC_TRY(check_batch(profile, N, z, g, error));
    size_t L = (size_t)profile->layer_count;
    for (size_t n = 0; n < (size_t)N; ++n) {
        double sum = 0;
        for (size_t l = 0; l < L; ++l) {
            const nac_counted_layer *layer = &profile->layers[l];
            size_t C = (size_t)layer->spec.neurons;
            double score = nac_coverage_score_one(z[l] + n * C, g[l] + n * C, layer->spec.neurons, layer->spec.alpha, layer->bins,
                                                  layer->counts, layer->spec.O);
            if (layer_scores) layer_scores[n * L + l] = (float)score;
            sum += score;
        }
        if (scores) scores[n] = (float)(sum / (double)L);
    }
    return NAC_OK;
}

nac_status nac_profile_coverage(const nac_profile *profile, int layer, const float *z, const float *g, float *coverage, int *bins,
                                nac_error *error) {
    if (layer < 0 || layer >= profile->layer_count)
        return nac_fail(error, NAC_INVALID_ARGUMENT, "layer %d of %d", layer, profile->layer_count);
    if (!z || !g || !coverage) return nac_fail(error, NAC_INVALID_ARGUMENT, "z, g or coverage is NULL");
    const nac_counted_layer *chosen = &profile->layers[layer];
    size_t C = (size_t)chosen->spec.neurons;
    for (size_t c = 0; c < C; ++c) {
        int bin = nac_bin_map_find(chosen->bins, nac_state(z[c], g[c], chosen->spec.alpha));
        coverage[c] = bin < 0 ? 0 : (float)nac_phi(chosen->counts[(size_t)bin * C + c], chosen->spec.O);
        if (bins) bins[c] = bin;
    }
    return NAC_OK;
}

int nac_profile_layer_count(const nac_profile *profile) { return profile->layer_count; }
nac_layer nac_profile_layer(const nac_profile *profile, int layer) { return profile->layers[layer].spec; }
const double *nac_profile_edges(const nac_profile *profile, int layer) { return profile->layers[layer].edges; }
const uint32_t *nac_profile_counts(const nac_profile *profile, int layer) { return profile->layers[layer].counts; }
uint64_t nac_profile_images(const nac_profile *profile) { return profile->images; }
