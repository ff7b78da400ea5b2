/* hashes.c - which images a profile has seen. */
#include <stdlib.h>
#include <string.h>

#include "profile/profile.h"

static int compare_hashes(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

bool nac_hashes_valid(const uint64_t *hashes, size_t count) {
    for (size_t i = 1; i < count; ++i)
        if (hashes[i - 1] >= hashes[i]) return false;
    return true;
}

/* hashes may be the set's own values: they are copied before the set changes. */
nac_status nac_hash_set_add(nac_hash_set *set, const uint64_t *hashes, size_t count, nac_error *error) {
    if (count == 0) return NAC_OK;
    if (!hashes) return nac_fail(error, NAC_INVALID_ARGUMENT, "hashes is NULL");
    size_t total;
    if (!nac_add_size(set->count, count, &total)) return nac_out_of_memory(error, "image hashes");
    uint64_t *sorted = nac_alloc_array(count, sizeof *sorted), *merged = nac_alloc_array(total, sizeof *merged);
    if (!sorted || !merged) {
        nac_free(sorted);
        nac_free(merged);
        return nac_out_of_memory(error, "image hashes");
    }
    memcpy(sorted, hashes, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare_hashes);
    size_t a = 0, b = 0, size = 0;
    while (a < set->count || b < count) {
        bool old = b == count || (a < set->count && set->values[a] < sorted[b]);
        uint64_t hash = old ? set->values[a++] : sorted[b++];
        if (size == 0 || merged[size - 1] != hash) merged[size++] = hash;
    }
    nac_free(sorted);
    nac_free(set->values);
    set->values = merged;
    set->count = size;
    return NAC_OK;
}

static bool has_hash(const nac_hash_set *set, uint64_t hash) {
    return set->count && bsearch(&hash, set->values, set->count, sizeof hash, compare_hashes);
}

nac_status nac_profile_add_hashes(nac_profile *profile, const uint64_t *hashes, size_t count, nac_error *error) {
    return nac_hash_set_add(&profile->hashes, hashes, count, error);
}

nac_status nac_profile_add_calibration_hashes(nac_profile *profile, const uint64_t *hashes, size_t count, nac_error *error) {
    return nac_hash_set_add(&profile->calibration_hashes, hashes, count, error);
}

bool nac_profile_has_hash(const nac_profile *profile, uint64_t hash) { return has_hash(&profile->hashes, hash); }

bool nac_profile_has_calibration_hash(const nac_profile *profile, uint64_t hash) {
    return has_hash(&profile->calibration_hashes, hash);
}

const uint64_t *nac_profile_hashes(const nac_profile *profile, size_t *count) {
    if (count) *count = profile->hashes.count;
    return profile->hashes.values;
}

const uint64_t *nac_profile_calibration_hashes(const nac_profile *profile, size_t *count) {
    if (count) *count = profile->calibration_hashes.count;
    return profile->calibration_hashes.values;
}
