/* profile_read.c - safetensors -> profile. The file is a stranger's: nothing in it is believed before it is checked. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "nac/coverage.h"
#include "profile/profile.h"
#include "profile/profile_file.h"
#include "profile/safetensors.h"

const char *const nac_pool_names[NAC_POOL_COUNT] = {
    [NAC_POOL_SUM] = "sum", [NAC_POOL_NHWC] = "nhwc", [NAC_POOL_MEAN] = "mean", [NAC_POOL_CLS] = "cls", [NAC_POOL_NONE] = "none",
};

/* Text of a key of __metadata__ (without NUL inside: the container checks), or NULL. */
static const char *text_of(const nac_safetensors *file, const char *key) { return yyjson_get_str(yyjson_obj_get(file->metadata, key)); }

static nac_status required_text(const nac_safetensors *file, const char *key, const char **text, nac_error *error) {
    *text = text_of(file, key);
    return *text ? NAC_OK : nac_fail(error, NAC_MALFORMED, "profile: metadata \"%s\" is missing", key);
}

static nac_status parse_json(const char *key, const char *text, yyjson_doc **doc, nac_error *error) {
    yyjson_alc allocator = nac_json_allocator();
    yyjson_read_err problem = {0};
    *doc = yyjson_read_opts((char *)(uintptr_t)text, strlen(text), YYJSON_READ_NOFLAG, &allocator, &problem);
    if (*doc) return NAC_OK;
    if (problem.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION) return nac_out_of_memory(error, "metadata");
    return nac_fail(error, NAC_MALFORMED, "profile: metadata \"%s\" is not JSON: %s at byte %zu", key, problem.msg, problem.pos);
}

/* False unless the object has exactly these keys, each once: an unknown one would be lost, and one of two would be ignored. */
static bool has_exactly(yyjson_val *object, const char *const *keys, size_t count) {
    if (!yyjson_is_obj(object) || yyjson_obj_size(object) != count) return false;
    for (size_t i = 0; i < count; ++i)
        if (!yyjson_obj_get(object, keys[i])) return false;
    return true;
}

/* An integer in 0..INT_MAX, else -1. */
static int read_int(yyjson_val *value) {
    return yyjson_is_uint(value) && yyjson_get_uint(value) <= INT32_MAX ? (int)yyjson_get_uint(value) : -1;
}

static nac_status read_layer(yyjson_val *object, int index, nac_layer *layer, nac_error *error) {
    static const char *const keys[] = {"name", "pool", "neurons", "alpha", "M", "O"};
    if (!has_exactly(object, keys, NAC_COUNT(keys)))
        return nac_fail(error, NAC_MALFORMED, "profile: layer %d is not {name, pool, neurons, alpha, M, O}", index);
    yyjson_val *name = yyjson_obj_get(object, "name"), *pool = yyjson_obj_get(object, "pool");
    yyjson_val *alpha = yyjson_obj_get(object, "alpha"), *O = yyjson_obj_get(object, "O");
    if (!yyjson_is_str(name) || strlen(yyjson_get_str(name)) != yyjson_get_len(name) || !yyjson_is_num(alpha) || !yyjson_is_num(O))
        return nac_fail(error, NAC_MALFORMED, "profile: layer %d: name must be text, alpha and O numbers", index);
    int kind = 0;
    while (kind < NAC_POOL_COUNT && !yyjson_equals_str(pool, nac_pool_names[kind])) ++kind;
    if (kind == NAC_POOL_COUNT)
        return nac_fail(error, NAC_MALFORMED, "profile: layer %d: the pool is none of sum, nhwc, mean, cls, none", index);
    double steepness = yyjson_get_num(alpha);
    *layer = (nac_layer){
        .name = yyjson_get_str(name),
        .pool = (nac_pool)kind,
        .neurons = read_int(yyjson_obj_get(object, "neurons")),
        /* A double beyond float32 has no defined conversion. */
        .alpha = fabs(steepness) <= (double)FLT_MAX ? (float)steepness : INFINITY, /* beyond: the conversion is undefined */
        .M = read_int(yyjson_obj_get(object, "M")),
        .O = yyjson_get_num(O),
    };
    return nac_layer_check(layer, index, NAC_MALFORMED, error);
}

/* The tensor of that name, of that type and shape; dims[1] 0 for a vector. */
static nac_status find_tensor(const nac_safetensors *file, const char *name, const char *dtype, const size_t dims[2],
                              const nac_safetensor **tensor, nac_error *error) {
    *tensor = nac_safetensors_find(file, name);
    if (!*tensor) return nac_fail(error, NAC_MALFORMED, "profile: tensor \"%s\" is missing", name);
    bool vector = dims[1] == 0, fits = strcmp((*tensor)->dtype, dtype) == 0 && (*tensor)->dims[0] == dims[0];
    if (vector && (!fits || (*tensor)->rank != 1))
        return nac_fail(error, NAC_MALFORMED, "profile: tensor \"%s\" must be %s [%zu]", name, dtype, dims[0]);
    if (!vector && (!fits || (*tensor)->rank != 2 || (*tensor)->dims[1] != dims[1]))
        return nac_fail(error, NAC_MALFORMED, "profile: tensor \"%s\" must be %s [%zu, %zu]", name, dtype, dims[0], dims[1]);
    return NAC_OK;
}

static nac_status find_layer_tensors(const nac_safetensors *file, const nac_layer *layer, int index, const nac_safetensor *found[2],
                                     nac_error *error) {
    char name[32];
    snprintf(name, sizeof name, "%d.edges", index);
    NAC_TRY(find_tensor(file, name, "F64", (size_t[2]){(size_t)layer->M, 0}, &found[0], error));
    snprintf(name, sizeof name, "%d.counts", index);
    return find_tensor(file, name, "U32", (size_t[2]){(size_t)layer->M - 1, (size_t)layer->neurons}, &found[1], error);
}

/* Every image falls in at most one bin of a neuron. That also keeps sums of merged counts below 2^32. */
static nac_status check_counts(const nac_profile *profile, const nac_counted_layer *layer, nac_error *error) {
    size_t C = (size_t)layer->spec.neurons, bins = (size_t)layer->spec.M - 1;
    uint64_t *sums = nac_alloc_array(C, sizeof *sums);
    if (!sums) return nac_out_of_memory(error, "a profile");
    for (size_t b = 0; b < bins; ++b)
        for (size_t c = 0; c < C; ++c) sums[c] += layer->counts[b * C + c];
    nac_status status = NAC_OK;
    for (size_t c = 0; c < C && status == NAC_OK; ++c)
        if (sums[c] > profile->images)
            status = nac_fail(error, NAC_MALFORMED, "profile: layer \"%.100s\", neuron %zu: counted %llu times in %llu images", layer->spec.name, c,
                              (unsigned long long)sums[c], (unsigned long long)profile->images);
    nac_free(sums);
    return status;
}

static nac_status read_layers(const nac_safetensors *file, nac_profile **profile, nac_error *error) {
    const char *text;
    NAC_TRY(required_text(file, "layers", &text, error));
    yyjson_doc *doc;
    NAC_TRY(parse_json("layers", text, &doc, error));
    yyjson_val *array = yyjson_doc_get_root(doc);
    nac_layer layers[NAC_MAX_TAPS];
    const nac_safetensor *tensors[NAC_MAX_TAPS][2];
    size_t count = yyjson_arr_size(array);
    nac_status status = NAC_OK;
    if (count < 1 || count > NAC_MAX_TAPS)
        status = nac_fail(error, NAC_MALFORMED, "profile: metadata \"layers\" must be an array of 1..%d layers", (int)NAC_MAX_TAPS);
    /* The tensors' sizes are compared first: then no file asks for more memory than it has bytes. */
    for (size_t l = 0; l < count && status == NAC_OK; ++l) {
        status = read_layer(yyjson_arr_get(array, l), (int)l, &layers[l], error);
        if (status == NAC_OK) status = find_layer_tensors(file, &layers[l], (int)l, tensors[l], error);
    }
    if (status == NAC_OK) status = nac_profile_allocate(layers, (int)count, profile, error);
    for (size_t l = 0; l < count && status == NAC_OK; ++l) {
        nac_counted_layer *layer = &(*profile)->layers[l];
        memcpy(layer->edges, tensors[l][0]->data, tensors[l][0]->size);
        memcpy(layer->counts, tensors[l][1]->data, tensors[l][1]->size);
        if (!nac_edges_valid(layer->edges, layer->spec.M))
            status = nac_fail(error, NAC_MALFORMED, "profile: tensor \"%zu.edges\" is not finite and strictly ascending", l);
        else
            nac_bin_map_init(layer->bins, layer->edges, layer->spec.M);
    }
    yyjson_doc_free(doc);
    return status;
}

static nac_status read_images(const nac_safetensors *file, nac_profile *profile, nac_error *error) {
    const char *text;
    NAC_TRY(required_text(file, "images", &text, error));
    uint64_t images = 0;
    size_t digits = 0;
    while (digits < 11 && text[digits] >= '0' && text[digits] <= '9') images = images * 10 + (uint64_t)(text[digits++] - '0');
    if (digits == 0 || text[digits] != 0 || images > UINT32_MAX)
        return nac_fail(error, NAC_MALFORMED, "profile: metadata \"images\" is \"%.20s\", must be a number in 0..%llu", text,
                        (unsigned long long)UINT32_MAX);
    profile->images = images;
    for (int l = 0; l < profile->layer_count; ++l) NAC_TRY(check_counts(profile, &profile->layers[l], error));
    return NAC_OK;
}

/* The hashes of an absent tensor are the empty set. */
static nac_status read_hashes(const nac_safetensors *file, const char *name, nac_hash_set *set, nac_error *error) {
    const nac_safetensor *tensor = nac_safetensors_find(file, name);
    if (!tensor) return NAC_OK;
    NAC_TRY(find_tensor(file, name, "U64", (size_t[2]){tensor->dims[0], 0}, &tensor, error));
    if (tensor->dims[0] == 0) return NAC_OK;
    uint64_t *values = nac_alloc_array(tensor->dims[0], sizeof *values);
    if (!values) return nac_out_of_memory(error, "image hashes");
    memcpy(values, tensor->data, tensor->size);
    set->values = values; /* the profile frees them, valid or not */
    set->count = tensor->dims[0];
    if (!nac_hashes_valid(values, set->count)) return nac_fail(error, NAC_MALFORMED, "profile: tensor \"%s\" is not strictly ascending", name);
    return NAC_OK;
}

/* The threshold is a function of the rest: a file in which it is not has been tampered with, or written wrongly. */
static nac_status check_calibration(const nac_profile *profile, yyjson_val *object, nac_error *error) {
    static const char *const keys[] = {"images", "falseAlarm", "threshold"};
    yyjson_val *images = yyjson_obj_get(object, "images");
    if (!has_exactly(object, keys, NAC_COUNT(keys)) || !yyjson_is_uint(images) || yyjson_get_uint(images) != profile->calibration.count)
        return nac_fail(error, NAC_MALFORMED, "profile: metadata \"calibration\" is not {images, falseAlarm, threshold} of %zu images",
                        profile->calibration.count);
    yyjson_val *threshold = yyjson_obj_get(object, "threshold");
    if (!yyjson_is_num(threshold) || yyjson_get_num(threshold) != profile->calibration.threshold)
        return nac_fail(error, NAC_MALFORMED, "profile: the threshold is %g, but scores and false alarm rate make it %g",
                        yyjson_get_num(threshold), profile->calibration.threshold);
    return NAC_OK;
}

/* The classes of an absent tensor are not known: *classes stays NULL. Both arrays are copies, which are aligned. */
static nac_status copy_pairs(const nac_safetensors *file, float **scores, uint32_t **classes, size_t *count, nac_error *error) {
    const nac_safetensor *tensor = nac_safetensors_find(file, "calibration.scores");
    NAC_TRY(find_tensor(file, "calibration.scores", "F32", (size_t[2]){tensor->dims[0], 0}, &tensor, error));
    *count = tensor->dims[0];
    if (!(*scores = nac_alloc_array(*count, sizeof **scores))) return nac_out_of_memory(error, "calibration scores");
    if (tensor->size) memcpy(*scores, tensor->data, tensor->size);
    if (!nac_safetensors_find(file, "calibration.classes")) return NAC_OK;
    NAC_TRY(find_tensor(file, "calibration.classes", "U32", (size_t[2]){*count, 0}, &tensor, error));
    if (!(*classes = nac_alloc_array(*count, sizeof **classes))) return nac_out_of_memory(error, "calibration classes");
    if (tensor->size) memcpy(*classes, tensor->data, tensor->size);
    return NAC_OK;
}

/* As nac_profile_save writes them: by score, and by class where scores are equal. */
static nac_status check_order(const float *scores, const uint32_t *classes, size_t count, nac_error *error) {
    for (size_t i = 1; i < count; ++i) {
        if (!(scores[i - 1] <= scores[i])) return nac_fail(error, NAC_MALFORMED, "profile: tensor \"calibration.scores\" does not ascend");
        if (classes && scores[i - 1] == scores[i] && classes[i - 1] > classes[i])
            return nac_fail(error, NAC_MALFORMED, "profile: tensor \"calibration.classes\" does not ascend where scores are equal");
    }
    return NAC_OK;
}

static nac_status read_scores(const nac_safetensors *file, nac_profile *profile, yyjson_val *object, nac_error *error) {
    yyjson_val *false_alarm = yyjson_obj_get(object, "falseAlarm");
    if (!nac_safetensors_find(file, "calibration.scores") || !yyjson_is_num(false_alarm))
        return nac_fail(error, NAC_MALFORMED, "profile: a calibration needs falseAlarm and the tensor \"calibration.scores\"");
    float *scores = NULL;
    uint32_t *classes = NULL;
    size_t count = 0;
    nac_status status = copy_pairs(file, &scores, &classes, &count, error);
    if (status == NAC_OK) status = check_order(scores, classes, count, error);
    if (status == NAC_OK) status = nac_profile_calibrate(profile, scores, classes, count, yyjson_get_num(false_alarm), error);
    if (status == NAC_INVALID_ARGUMENT) { /* the sentence fits as it is, but the blame is the file's */
        status = NAC_MALFORMED;
        if (error) error->status = status;
    }
    nac_free(scores);
    nac_free(classes);
    return status == NAC_OK ? check_calibration(profile, object, error) : status;
}

static nac_status read_calibration(const nac_safetensors *file, nac_profile *profile, nac_error *error) {
    const char *text = text_of(file, "calibration");
    if (!text) {
        if (!nac_safetensors_find(file, "calibration.scores") && !nac_safetensors_find(file, "calibration.classes")) return NAC_OK;
        return nac_fail(error, NAC_MALFORMED, "profile: tensor \"calibration.scores\" or \"calibration.classes\" without metadata \"calibration\"");
    }
    yyjson_doc *doc;
    NAC_TRY(parse_json("calibration", text, &doc, error));
    nac_status status = read_scores(file, profile, yyjson_doc_get_root(doc), error);
    yyjson_doc_free(doc);
    return status;
}

static nac_status read_metadata(const nac_safetensors *file, nac_profile *profile, nac_error *error) {
    size_t i, max;
    yyjson_val *key, *value;
    yyjson_obj_foreach(file->metadata, i, max, key, value) {
        const char *name = yyjson_get_str(key), *text = yyjson_get_str(value);
        if (nac_metadata_is_own(name)) continue;
        if (!nac_metadata_is_structured(name)) { /* a stranger's: kept to the letter */
            NAC_TRY(nac_metadata_put(&profile->metadata, name, text, strlen(text), error));
            continue;
        }
        char *canonical;
        NAC_TRY(nac_metadata_canonical(name, text, strlen(text), &canonical, error));
        nac_status status = nac_metadata_put(&profile->metadata, name, canonical, strlen(canonical), error);
        nac_free(canonical);
        NAC_TRY(status);
    }
    return NAC_OK;
}

static nac_status check_format(const nac_safetensors *file, nac_error *error) {
    const char *format = text_of(file, "format"), *version;
    if (!format || strcmp(format, NAC_PROFILE_FORMAT) != 0)
        return nac_fail(error, NAC_MALFORMED, "a safetensors file, but no profile: metadata \"format\" is not \"" NAC_PROFILE_FORMAT "\"");
    NAC_TRY(required_text(file, "version", &version, error));
    if (strcmp(version, NAC_PROFILE_VERSION) != 0)
        return nac_fail(error, NAC_UNSUPPORTED, "profile: version \"%.20s\", only \"" NAC_PROFILE_VERSION "\" is read", version);
    return NAC_OK;
}

nac_status nac_profile_open(const void *bytes, size_t size, nac_profile **profile, nac_error *error) {
    if (!profile) return nac_fail(error, NAC_INVALID_ARGUMENT, "profile is NULL");
    if (size > NAC_MAX_PROFILE_BYTES) return nac_fail(error, NAC_LIMIT_EXCEEDED, "the file has %zu bytes; a profile may have %d", size, NAC_MAX_PROFILE_BYTES);
    nac_safetensors file;
    NAC_TRY(nac_safetensors_open(bytes, size, &file, error));
    nac_profile *made = NULL;
    nac_status status = check_format(&file, error);
    if (status == NAC_OK) status = read_layers(&file, &made, error);
    if (status == NAC_OK) status = read_images(&file, made, error);
    if (status == NAC_OK) status = read_hashes(&file, "images.hash", &made->hashes, error);
    if (status == NAC_OK) status = read_hashes(&file, "calibration.hash", &made->calibration_hashes, error);
    if (status == NAC_OK) status = read_calibration(&file, made, error);
    if (status == NAC_OK) status = read_metadata(&file, made, error);
    nac_safetensors_close(&file);
    if (status == NAC_OK)
        *profile = made;
    else
        nac_profile_destroy(made);
    return status;
}
