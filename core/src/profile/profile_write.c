/* profile_write.c - profile -> safetensors, canonically. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profile/profile.h"
#include "profile/profile_file.h"
#include "profile/safetensors.h"

/* The shortest decimal that reads back as `value`, as a double: 0.001 rather than 0.0010000000474974513. Without
 * printf, whose decimal point is the host's locale's. */
static double decimal_of(float value) {
    int exponent = (int)floor(log10((double)value));
    for (int digits = 1; digits <= 9; ++digits) {
        int shift = digits - 1 - exponent;
        if (abs(shift) > 22) break; /* powers of ten up to 10^22 are exact */
        double scale = 1;
        for (int i = 0; i < abs(shift); ++i) scale *= 10;
        double rounded = shift >= 0 ? round((double)value * scale) / scale : round((double)value / scale) * scale;
        if ((float)rounded == value) return rounded;
    }
    return value;
}

static bool add_layer(yyjson_mut_doc *doc, yyjson_mut_val *layers, const nac_layer *layer) {
    yyjson_mut_val *object = yyjson_mut_arr_add_obj(doc, layers);
    return object && yyjson_mut_obj_add_str(doc, object, "name", layer->name) &&
           yyjson_mut_obj_add_str(doc, object, "pool", nac_pool_names[layer->pool]) &&
           yyjson_mut_obj_add_int(doc, object, "neurons", layer->neurons) &&
           yyjson_mut_obj_add_real(doc, object, "alpha", decimal_of(layer->alpha)) &&
           yyjson_mut_obj_add_int(doc, object, "M", layer->M) && yyjson_mut_obj_add_real(doc, object, "O", layer->O);
}

static yyjson_mut_val *layers_value(yyjson_mut_doc *doc, const nac_profile *profile) {
    yyjson_mut_val *layers = yyjson_mut_arr(doc);
    for (int l = 0; layers && l < profile->layer_count; ++l)
        if (!add_layer(doc, layers, &profile->layers[l].spec)) return NULL;
    return layers;
}

static yyjson_mut_val *calibration_value(yyjson_mut_doc *doc, const nac_profile *profile) {
    yyjson_mut_val *object = yyjson_mut_obj(doc);
    bool fine = object && yyjson_mut_obj_add_uint(doc, object, "images", profile->calibration.count) &&
                yyjson_mut_obj_add_real(doc, object, "falseAlarm", profile->calibration.false_alarm) &&
                yyjson_mut_obj_add_real(doc, object, "threshold", profile->calibration.threshold);
    return fine ? object : NULL;
}

/* JSON text of one value; from nac_alloc, NULL when out of memory. */
static char *text_of(yyjson_mut_val *(*make)(yyjson_mut_doc *, const nac_profile *), const nac_profile *profile) {
    yyjson_alc allocator = nac_json_allocator();
    yyjson_mut_doc *doc = yyjson_mut_doc_new(&allocator);
    yyjson_mut_val *value = doc ? make(doc, profile) : NULL;
    char *text = value ? yyjson_mut_val_write_opts(value, YYJSON_WRITE_NOFLAG, &allocator, NULL, NULL) : NULL;
    yyjson_mut_doc_free(doc);
    return text;
}

static int compare_keys(const void *a, const void *b) {
    return strcmp(((const nac_text_pair *)a)->key, ((const nac_text_pair *)b)->key);
}

/* The caller's metadata and the library's own, by key. */
static nac_text_pair *all_metadata(const nac_profile *profile, const char *images, const char *layers, const char *calibration, size_t *count) {
    const nac_text_pair own[] = {{"format", NAC_PROFILE_FORMAT}, {"version", NAC_PROFILE_VERSION}, {"images", images}, {"layers", layers}};
    nac_text_pair *pairs = nac_alloc_array(profile->metadata.count + NAC_COUNT(own) + 1, sizeof *pairs);
    if (!pairs) return NULL;
    size_t size = 0;
    for (; size < NAC_COUNT(own); ++size) pairs[size] = own[size];
    if (calibration) pairs[size++] = (nac_text_pair){"calibration", calibration};
    for (size_t i = 0; i < profile->metadata.count; ++i)
        pairs[size++] = (nac_text_pair){profile->metadata.entries[i].key, profile->metadata.entries[i].value};
    qsort(pairs, size, sizeof *pairs, compare_keys);
    *count = size;
    return pairs;
}

typedef struct tensor_name {
    char text[32];
} tensor_name;

static nac_safetensor vector(const char *name, const char *dtype, const void *data, size_t count, size_t width) {
    return (nac_safetensor){.name = name, .dtype = dtype, .rank = 1, .dims = {count}, .data = data, .size = count * width};
}

/* Wide types first, so that all data are aligned in a file whose header is a multiple of 8. */
static size_t all_tensors(const nac_profile *profile, tensor_name *names, nac_safetensor *tensors) {
    size_t count = 0;
    for (int l = 0; l < profile->layer_count; ++l, ++count) {
        snprintf(names[count].text, sizeof names[count].text, "%d.edges", l);
        tensors[count] = vector(names[count].text, "F64", profile->layers[l].edges, (size_t)profile->layers[l].spec.M, sizeof(double));
    }
    const nac_hash_set *images = &profile->hashes, *held_out = &profile->calibration_hashes;
    if (images->count) tensors[count++] = vector("images.hash", "U64", images->values, images->count, sizeof(uint64_t));
    if (held_out->count) tensors[count++] = vector("calibration.hash", "U64", held_out->values, held_out->count, sizeof(uint64_t));
    for (int l = 0; l < profile->layer_count; ++l, ++count) {
        const nac_layer *spec = &profile->layers[l].spec;
        size_t bins = (size_t)spec->M - 1, C = (size_t)spec->neurons;
        snprintf(names[count].text, sizeof names[count].text, "%d.counts", l);
        tensors[count] = vector(names[count].text, "U32", profile->layers[l].counts, bins * C, sizeof(uint32_t));
        tensors[count].rank = 2;
        tensors[count].dims[0] = bins;
        tensors[count].dims[1] = C;
    }
    const nac_calibration *calibration = &profile->calibration;
    if (calibration->scores) tensors[count++] = vector("calibration.scores", "F32", calibration->scores, calibration->count, sizeof(float));
    if (calibration->classes) tensors[count++] = vector("calibration.classes", "U32", calibration->classes, calibration->count, sizeof(uint32_t));
    return count;
}

nac_status nac_profile_save(nac_profile *profile, const void **bytes, size_t *size, nac_error *error) {
    if (!bytes || !size) return nac_fail(error, NAC_INVALID_ARGUMENT, "bytes or size is NULL");
    enum { EXTRA = 4 }; /* two sets of hashes, calibration scores and classes */
    char images[24];
    snprintf(images, sizeof images, "%llu", (unsigned long long)profile->images);
    size_t capacity = 2 * (size_t)profile->layer_count + EXTRA, pair_count = 0, file_size = 0;
    char *layers = text_of(layers_value, profile);
    char *calibration = profile->calibration.scores ? text_of(calibration_value, profile) : NULL;
    nac_text_pair *pairs = layers ? all_metadata(profile, images, layers, calibration, &pair_count) : NULL;
    tensor_name *names = nac_alloc_array(capacity, sizeof *names);
    nac_safetensor *tensors = nac_alloc_array(capacity, sizeof *tensors);
    uint8_t *file = NULL;
    nac_status status;
    if (pairs && names && tensors && (calibration || !profile->calibration.scores)) {
        size_t count = all_tensors(profile, names, tensors);
        status = nac_safetensors_write(pairs, pair_count, tensors, count, &file, &file_size, error);
    } else {
        status = nac_out_of_memory(error, "a profile's file");
    }
    nac_free(tensors);
    nac_free(names);
    nac_free(pairs);
    nac_free(calibration);
    nac_free(layers);
    if (status != NAC_OK) return status;
    nac_free(profile->saved);
    profile->saved = file;
    *bytes = file;
    *size = file_size;
    return NAC_OK;
}
