/* safetensors_write.c - the writer. The same input gives the same bytes. */
#include <string.h>

#include "profile/safetensors.h"

static bool add_tensor(yyjson_mut_doc *doc, yyjson_mut_val *root, const nac_safetensor *tensor, size_t begin, size_t end) {
    yyjson_mut_val *entry = yyjson_mut_obj_add_obj(doc, root, tensor->name);
    bool fine = entry && yyjson_mut_obj_add_str(doc, entry, "dtype", tensor->dtype);
    yyjson_mut_val *shape = fine ? yyjson_mut_obj_add_arr(doc, entry, "shape") : NULL;
    fine = shape != NULL;
    for (int i = 0; fine && i < tensor->rank; ++i) fine = yyjson_mut_arr_add_uint(doc, shape, tensor->dims[i]);
    yyjson_mut_val *offsets = fine ? yyjson_mut_obj_add_arr(doc, entry, "data_offsets") : NULL;
    return offsets && yyjson_mut_arr_add_uint(doc, offsets, begin) && yyjson_mut_arr_add_uint(doc, offsets, end);
}

/* Sets *data_size to the bytes of all tensors. */
static nac_status build_header(yyjson_mut_doc *doc, const nac_text_pair *metadata, size_t metadata_count, const nac_safetensor *tensors,
                               size_t count, size_t *data_size, nac_error *error) {
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_val *texts = root ? yyjson_mut_obj_add_obj(doc, root, "__metadata__") : NULL;
    if (!texts) return nac_out_of_memory(error, "a safetensors header");
    yyjson_mut_doc_set_root(doc, root);
    for (size_t i = 0; i < metadata_count; ++i)
        if (!yyjson_mut_obj_add_str(doc, texts, metadata[i].key, metadata[i].value)) return nac_out_of_memory(error, "a safetensors header");
    size_t begin = 0, end;
    for (size_t i = 0; i < count; ++i, begin = end) {
        if (!nac_add_size(begin, tensors[i].size, &end)) return nac_fail(error, NAC_LIMIT_EXCEEDED, "safetensors: the file would be too large");
        if (!add_tensor(doc, root, &tensors[i], begin, end)) return nac_out_of_memory(error, "a safetensors header");
    }
    *data_size = begin;
    return NAC_OK;
}

static nac_status lay_out(const char *header, size_t header_size, const nac_safetensor *tensors, size_t count, size_t data_size,
                          uint8_t **bytes, size_t *size, nac_error *error) {
    size_t padded = (header_size + 7) / 8 * 8; /* spaces behind the JSON, so that data begins at a multiple of 8 */
    if (padded > NAC_MAX_PROFILE_HEADER)
        return nac_fail(error, NAC_LIMIT_EXCEEDED, "safetensors: the header has %zu bytes, at most %d can be read again: shorten the metadata",
                        padded, (int)NAC_MAX_PROFILE_HEADER);
    size_t total;
    if (!nac_add_size(8 + padded, data_size, &total)) return nac_fail(error, NAC_LIMIT_EXCEEDED, "safetensors: the file would be too large");
    uint8_t *p = nac_alloc(total);
    if (!p) return nac_out_of_memory(error, "a safetensors file");
    for (int i = 0; i < 8; ++i) p[i] = (uint8_t)((uint64_t)padded >> (8 * i));
    memcpy(p + 8, header, header_size);
    memset(p + 8 + header_size, ' ', padded - header_size);
    uint8_t *end = p + 8 + padded;
    for (size_t i = 0; i < count; ++i) {
        if (tensors[i].size) memcpy(end, tensors[i].data, tensors[i].size);
        end += tensors[i].size;
    }
    *bytes = p;
    *size = total;
    return NAC_OK;
}

nac_status nac_safetensors_write(const nac_text_pair *metadata, size_t metadata_count, const nac_safetensor *tensors, size_t count,
                                 uint8_t **bytes, size_t *size, nac_error *error) {
    yyjson_alc allocator = nac_json_allocator();
    yyjson_mut_doc *doc = yyjson_mut_doc_new(&allocator);
    if (!doc) return nac_out_of_memory(error, "a safetensors header");
    size_t data_size = 0, header_size = 0;
    char *header = NULL;
    nac_status status = build_header(doc, metadata, metadata_count, tensors, count, &data_size, error);
    if (status == NAC_OK) {
        yyjson_write_err problem = {0};
        header = yyjson_mut_write_opts(doc, YYJSON_WRITE_NOFLAG, &allocator, &header_size, &problem);
        if (!header)
            status = problem.code == YYJSON_WRITE_ERROR_MEMORY_ALLOCATION
                         ? nac_out_of_memory(error, "a safetensors header")
                         : nac_fail(error, NAC_INTERNAL, "safetensors: the header cannot be written: %s", problem.msg);
    }
    if (status == NAC_OK) status = lay_out(header, header_size, tensors, count, data_size, bytes, size, error);
    nac_free(header);
    yyjson_mut_doc_free(doc);
    return status;
}
