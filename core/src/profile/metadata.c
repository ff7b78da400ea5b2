/* metadata.c - the texts a profile carries: kept sorted by key, so that equal profiles are equal bytes. */
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "profile/profile.h"

/* Index of the first entry whose key is not below `key`. */
static size_t place_of(const nac_metadata *metadata, const char *key) {
    size_t low = 0, high = metadata->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(metadata->entries[middle].key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const nac_metadata *metadata, size_t place, const char *key) {
    return place < metadata->count && strcmp(metadata->entries[place].key, key) == 0;
}

const char *nac_metadata_get(const nac_metadata *metadata, const char *key) {
    size_t place = place_of(metadata, key);
    return is_at(metadata, place, key) ? metadata->entries[place].value : NULL;
}

nac_status nac_metadata_put(nac_metadata *metadata, const char *key, const char *value, size_t size, nac_error *error) {
    size_t place = place_of(metadata, key);
    bool replaces = is_at(metadata, place, key);
    if (!replaces && metadata->count == NAC_MAX_METADATA)
        return nac_fail(error, NAC_LIMIT_EXCEEDED, "metadata \"%.100s\": more than %d keys", key, (int)NAC_MAX_METADATA);
    char *new_value = nac_strndup(value, size), *new_key = replaces ? NULL : nac_strndup(key, strlen(key));
    if (!new_value || (!replaces && !new_key)) goto out_of_memory;
    if (replaces) {
        nac_free(metadata->entries[place].value);
        metadata->entries[place].value = new_value;
        return NAC_OK;
    }
    if (metadata->count == metadata->capacity) {
        size_t capacity = 2 * metadata->capacity + 8;
        void *entries = nac_realloc(metadata->entries, capacity * sizeof *metadata->entries);
        if (!entries) goto out_of_memory;
        metadata->entries = entries;
        metadata->capacity = capacity;
    }
    struct nac_metadata_entry *entry = metadata->entries + place;
    if (place < metadata->count) memmove(entry + 1, entry, (metadata->count - place) * sizeof *entry);
    *entry = (struct nac_metadata_entry){new_key, new_value};
    ++metadata->count;
    return NAC_OK;
out_of_memory:
    nac_free(new_key);
    nac_free(new_value);
    return nac_out_of_memory(error, "metadata");
}

void nac_metadata_remove(nac_metadata *metadata, const char *key) {
    size_t place = place_of(metadata, key);
    if (!is_at(metadata, place, key)) return;
    struct nac_metadata_entry *entry = metadata->entries + place;
    nac_free(entry->key);
    nac_free(entry->value);
    memmove(entry, entry + 1, (metadata->count - place - 1) * sizeof *entry);
    --metadata->count;
}

void nac_metadata_clear(nac_metadata *metadata) {
    for (size_t i = 0; i < metadata->count; ++i) {
        nac_free(metadata->entries[i].key);
        nac_free(metadata->entries[i].value);
    }
    nac_free(metadata->entries);
    *metadata = (nac_metadata){0};
}

static bool is_one_of(const char *key, const char *const *keys, size_t count) {
    for (size_t i = 0; i < count; ++i)
        if (strcmp(keys[i], key) == 0) return true;
    return false;
}

bool nac_metadata_is_own(const char *key) {
    static const char *const keys[] = {"format", "version", "images", "layers", "calibration"};
    return is_one_of(key, keys, NAC_COUNT(keys));
}

bool nac_metadata_is_structured(const char *key) {
    static const char *const keys[] = {"model", "preprocess", "labels", "provenance", "selfTest"};
    return is_one_of(key, keys, NAC_COUNT(keys));
}

/* 64 hexadecimal digits, copied in lower case. */
static bool read_sha256(const char *text, char digits[65]) {
    for (int i = 0; i < 64; ++i) {
        char c = text[i];
        if (c >= 'A' && c <= 'F') c = (char)(c - 'A' + 'a');
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false; /* a NUL, too */
        digits[i] = c;
    }
    digits[64] = 0;
    return text[64] == 0;
}

/* The member of that name; *unique is false if there are two, for then two readers may take two different ones. */
static yyjson_val *only_member(yyjson_val *object, const char *name, bool *unique) {
    yyjson_val *found = NULL, *key, *value;
    size_t i, max;
    yyjson_obj_foreach(object, i, max, key, value) {
        if (!yyjson_equals_str(key, name)) continue;
        if (found) *unique = false;
        found = value;
    }
    return found;
}

static nac_status check_form(const char *key, yyjson_val *root, nac_error *error) {
    if (strcmp(key, "model") == 0) {
        bool unique = true;
        yyjson_val *name = only_member(root, "name", &unique), *sha256 = only_member(root, "sha256", &unique);
        char digits[65];
        if (!yyjson_is_obj(root) || !unique || (name && !yyjson_is_str(name)))
            return nac_fail(error, NAC_MALFORMED, "metadata \"model\" is not {\"name\": text, \"sha256\": text}");
        if (sha256 && (!yyjson_is_str(sha256) || !read_sha256(yyjson_get_str(sha256), digits)))
            return nac_fail(error, NAC_MALFORMED, "metadata \"model\": sha256 is not 64 hexadecimal digits");
    } else if (strcmp(key, "labels") == 0) {
        if (!yyjson_is_arr(root)) return nac_fail(error, NAC_MALFORMED, "metadata \"labels\" is not an array");
        size_t i, max;
        yyjson_val *label;
        yyjson_arr_foreach(root, i, max, label) {
            if (!yyjson_is_str(label)) return nac_fail(error, NAC_MALFORMED, "metadata \"labels\": label %zu is not text", i);
        }
    }
    return NAC_OK;
}

static nac_status canonical_preprocess(const char *json, size_t size, char **text, nac_error *error) {
    nac_preprocess preprocess;
    char canonical[1024];
    size_t length;
    NAC_TRY(nac_preprocess_parse(json, size, &preprocess, error));
    NAC_TRY(nac_preprocess_write(&preprocess, canonical, sizeof canonical, &length, error));
    *text = nac_strndup(canonical, length);
    return *text ? NAC_OK : nac_out_of_memory(error, "metadata");
}

nac_status nac_metadata_canonical(const char *key, const char *json, size_t size, char **text, nac_error *error) {
    if (strcmp(key, "preprocess") == 0) return canonical_preprocess(json, size, text, error);
    yyjson_alc allocator = nac_json_allocator();
    yyjson_read_err problem = {0};
    /* Numbers stay the text they are: a long one must not lose its digits on the way through. */
    yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)json, size, YYJSON_READ_NUMBER_AS_RAW, &allocator, &problem);
    if (!doc) {
        if (problem.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION) return nac_out_of_memory(error, "metadata");
        return nac_fail(error, NAC_MALFORMED, "metadata \"%.100s\" is not JSON: %s at byte %zu", key, problem.msg, problem.pos);
    }
    nac_status status = check_form(key, yyjson_doc_get_root(doc), error);
    if (status == NAC_OK) {
        *text = yyjson_write_opts(doc, YYJSON_WRITE_NOFLAG, &allocator, NULL, NULL);
        if (!*text) status = nac_out_of_memory(error, "metadata");
    }
    yyjson_doc_free(doc);
    return status;
}

bool nac_metadata_model_hash(const nac_metadata *metadata, char digits[65]) {
    const char *model = nac_metadata_get(metadata, "model");
    if (!model) return false;
    yyjson_alc allocator = nac_json_allocator();
    yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)model, strlen(model), YYJSON_READ_NOFLAG, &allocator, NULL);
    const char *sha256 = yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), "sha256"));
    bool found = sha256 && read_sha256(sha256, digits);
    yyjson_doc_free(doc);
    return found;
}

const char *nac_profile_metadata(const nac_profile *profile, const char *key) {
    return key ? nac_metadata_get(&profile->metadata, key) : NULL;
}

const char *nac_profile_metadata_key(const nac_profile *profile, size_t index) {
    return index < profile->metadata.count ? profile->metadata.entries[index].key : NULL;
}

nac_status nac_profile_set_metadata(nac_profile *profile, const char *key, const char *json, size_t size, nac_error *error) {
    if (!key || !*key || strlen(key) > NAC_MAX_NAME)
        return nac_fail(error, NAC_INVALID_ARGUMENT, "a metadata key has 1..%d bytes", (int)NAC_MAX_NAME);
    if (!nac_utf8_valid(key, strlen(key))) return nac_fail(error, NAC_INVALID_ARGUMENT, "metadata key \"%.100s\" is not UTF-8", key);
    if (nac_metadata_is_own(key)) return nac_fail(error, NAC_INVALID_ARGUMENT, "metadata \"%s\" is written by the library itself", key);
    if (!json) {
        nac_metadata_remove(&profile->metadata, key);
        return NAC_OK;
    }
    char *text;
    NAC_TRY(nac_metadata_canonical(key, json, size, &text, error));
    nac_status status = nac_metadata_put(&profile->metadata, key, text, strlen(text), error);
    nac_free(text);
    return status;
}

nac_status nac_profile_check_model(const nac_profile *profile, const char *sha256_hex, nac_error *error) {
    char wanted[65], found[65];
    if (!sha256_hex || !read_sha256(sha256_hex, found))
        return nac_fail(error, NAC_INVALID_ARGUMENT, "a SHA-256 has 64 hexadecimal digits, not \"%.70s\"", sha256_hex ? sha256_hex : "");
    if (!nac_metadata_model_hash(&profile->metadata, wanted))
        return nac_fail(error, NAC_MISMATCH, "the profile does not say which model it belongs to (this one is %.8s)", found);
    if (strcmp(wanted, found) != 0)
        return nac_fail(error, NAC_MISMATCH, "the profile belongs to model %.8s, this is model %.8s", wanted, found);
    return NAC_OK;
}
