/* safetensors.h - the container: 8 bytes length of the header (little-endian), a JSON header, the tensors' bytes.
 * Format: huggingface/safetensors, README "Format". Knows nothing of profiles. */
#ifndef NAC_SAFETENSORS_H
#define NAC_SAFETENSORS_H

#include "base/json.h"

/* Every target of this library is little-endian, and so is the format: tensors are copied as they are. */
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "a big-endian target needs byte swapping here"
#endif

typedef struct nac_safetensor {
    const char *name;  /* NUL-terminated, without a NUL inside */
    const char *dtype; /* "F32", ... */
    int rank;          /* 0..NAC_MAX_RANK */
    size_t dims[NAC_MAX_RANK];
    const uint8_t *data; /* NOT aligned: read with memcpy */
    size_t size;         /* bytes: product of dims times size of dtype, checked */
} nac_safetensor;

/* An opened file: points into the caller's bytes, which must outlive it. */
typedef struct nac_safetensors {
    yyjson_doc *header;
    yyjson_val *metadata; /* object of strings, no key twice, or NULL */
    nac_safetensor *tensors; /* sorted by name */
    size_t count;
} nac_safetensors;

/* NAC_MALFORMED: truncated, not JSON, a key twice, an unknown dtype, offsets that leave a gap, overlap or pass the end, a size
 * that is not that of the shape. NAC_LIMIT_EXCEEDED: header over NAC_MAX_PROFILE_HEADER, rank over NAC_MAX_RANK. */
nac_status nac_safetensors_open(const void *bytes, size_t size, nac_safetensors *file, nac_error *error);
void nac_safetensors_close(nac_safetensors *file);

const nac_safetensor *nac_safetensors_find(const nac_safetensors *file, const char *name); /* NULL: none */

/* Writes header and tensors in the order given (offsets follow one another; put wide types first and all are
 * aligned). metadata: pairs of key and value. *bytes comes from nac_alloc; name, dtype, rank, dims and data are read,
 * size must be set too. */
typedef struct nac_text_pair {
    const char *key, *value;
} nac_text_pair;
nac_status nac_safetensors_write(const nac_text_pair *metadata, size_t metadata_count, const nac_safetensor *tensors, size_t count,
                                 uint8_t **bytes, size_t *size, nac_error *error);

#endif
