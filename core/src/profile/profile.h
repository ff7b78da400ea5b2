/* profile.h - the profile object, seen by this room alone. */
#ifndef NAC_PROFILE_H
#define NAC_PROFILE_H

#include "nac/bins.h"
#include "nac/calibration.h"

/* A set of image hashes: ascending, none twice. */
typedef struct nac_hash_set {
    uint64_t *values;
    size_t count;
} nac_hash_set;

nac_status nac_hash_set_add(nac_hash_set *set, const uint64_t *hashes, size_t count, nac_error *error);
bool nac_hashes_valid(const uint64_t *hashes, size_t count); /* strictly ascending */

/* The caller's metadata: keys in the order of their bytes, values as text. */
typedef struct nac_metadata {
    struct nac_metadata_entry {
        char *key, *value;
    } *entries;
    size_t count, capacity;
} nac_metadata;


const char *nac_metadata_get(const nac_metadata *metadata, const char *key);
/* Copies `size` bytes of value. */
nac_status nac_metadata_put(nac_metadata *metadata, const char *key, const char *value, size_t size, nac_error *error);
void nac_metadata_remove(nac_metadata *metadata, const char *key);
void nac_metadata_clear(nac_metadata *metadata);

/* "format", "version", "images", "layers", "calibration". */
bool nac_metadata_is_own(const char *key);
/* "model", "preprocess", "labels", "provenance", "selfTest": JSON, of a form that is checked. */
bool nac_metadata_is_structured(const char *key);
/* Checks JSON text for its key and gives it in canonical form; *text comes from nac_alloc. */
nac_status nac_metadata_canonical(const char *key, const char *json, size_t size, char **text, nac_error *error);
/* The 64 digits of metadata "model".sha256 in lower case, or false. */
bool nac_metadata_model_hash(const nac_metadata *metadata, char digits[65]);

typedef struct nac_counted_layer {
    nac_layer spec; /* spec.name is owned */
    double *edges;    /* [M] */
    uint32_t *counts; /* [M-1, neurons] */
    nac_bin_map *bins; /* of edges: made anew when they change */
} nac_counted_layer;

struct nac_profile {
    nac_counted_layer *layers;
    int layer_count;
    uint64_t images; /* <= UINT32_MAX, and so is every count */
    nac_hash_set hashes, calibration_hashes;
    nac_metadata metadata;
    nac_calibration calibration; /* nac_calibration_none when not calibrated */
    uint8_t *saved; /* what nac_profile_save gave away */
};

/* status is what a bad value is called: NAC_INVALID_ARGUMENT from a caller, NAC_MALFORMED from a file. */
nac_status nac_layer_check(const nac_layer *layer, int index, nac_status status, nac_error *error);
/* A profile whose layers have names, edges of zeros and counts of zeros. */
nac_status nac_profile_allocate(const nac_layer *layers, int layer_count, nac_profile **profile, nac_error *error);

#endif
