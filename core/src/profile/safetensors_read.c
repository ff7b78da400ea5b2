/* safetensors_read.c - the reader. Its input is a stranger's: every number is checked before it is used. */
#include <stdlib.h>
#include <string.h>

#include "profile/safetensors.h"

static size_t dtype_size(const char *dtype) {
    static const struct {
        char name[8];
        size_t size;
    } types[] = {{"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1}, {"I16", 2}, {"U16", 2}, {"F16", 2},
                 {"BF16", 2}, {"I32", 4}, {"U32", 4}, {"F32", 4},     {"I64", 8},     {"U64", 8}, {"F64", 8}};
    for (size_t i = 0; i < NAC_COUNT(types); ++i)
        if (strcmp(types[i].name, dtype) == 0) return types[i].size;
    return 0;
}

/* The text of a string without NUL inside, or NULL: everything behind a NUL would be lost to C. */
static const char *plain_text(yyjson_val *value) {
    const char *text = yyjson_get_str(value);
    return text && strlen(text) == yyjson_get_len(value) ? text : NULL;
}

static int compare_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* Two equal keys mean two readers may see two different files. */
static nac_status check_keys(yyjson_val *object, const char *what, nac_error *error) {
    size_t count = yyjson_obj_size(object), i = 0, max;
    const char **keys = nac_alloc_array(count, sizeof *keys);
    if (!keys) return nac_out_of_memory(error, "a safetensors header");
    nac_status status = NAC_OK;
    yyjson_val *key, *value;
    yyjson_obj_foreach(object, i, max, key, value) {
        if (!(keys[i] = plain_text(key))) {
            status = nac_fail(error, NAC_MALFORMED, "safetensors: a key of %s holds a NUL", what);
            break;
        }
    }
    if (status == NAC_OK) {
        qsort(keys, count, sizeof *keys, compare_text);
        for (size_t k = 1; k < count && status == NAC_OK; ++k)
            if (strcmp(keys[k - 1], keys[k]) == 0)
                status = nac_fail(error, NAC_MALFORMED, "safetensors: %s has the key \"%.100s\" twice", what, keys[k]);
    }
    nac_free(keys);
    return status;
}

static nac_status read_metadata(yyjson_val *metadata, nac_error *error) {
    if (!yyjson_is_obj(metadata)) return nac_fail(error, NAC_MALFORMED, "safetensors: __metadata__ is not an object");
    NAC_TRY(check_keys(metadata, "__metadata__", error));
    size_t i, max;
    yyjson_val *key, *value;
    yyjson_obj_foreach(metadata, i, max, key, value) {
        if (!plain_text(value))
            return nac_fail(error, NAC_MALFORMED, "safetensors: metadata \"%.100s\" is not a string without NUL", yyjson_get_str(key));
    }
    return NAC_OK;
}

/* A JSON integer >= 0 that fits size_t. */
static bool read_size(yyjson_val *value, size_t *result) {
    if (!yyjson_is_uint(value) || yyjson_get_uint(value) > SIZE_MAX) return false;
    *result = (size_t)yyjson_get_uint(value);
    return true;
}

static nac_status read_tensor(const char *name, yyjson_val *entry, const uint8_t *data, size_t data_size, nac_safetensor *tensor,
                              nac_error *error) {
    yyjson_val *dtype = yyjson_obj_get(entry, "dtype"), *shape = yyjson_obj_get(entry, "shape");
    yyjson_val *offsets = yyjson_obj_get(entry, "data_offsets");
    /* Three entries, and these three are there: then none is there twice. */
    if (!yyjson_is_obj(entry) || yyjson_obj_size(entry) != 3 || !yyjson_is_str(dtype) || !yyjson_is_arr(shape) ||
        !yyjson_is_arr(offsets) || yyjson_arr_size(offsets) != 2)
        return nac_fail(error, NAC_MALFORMED, "safetensors: tensor \"%.100s\" is not {dtype, shape, data_offsets: [begin, end]}", name);
    size_t bytes = dtype_size(yyjson_get_str(dtype));
    if (bytes == 0)
        return nac_fail(error, NAC_MALFORMED, "safetensors: tensor \"%.100s\" has the unknown dtype \"%.20s\"", name, yyjson_get_str(dtype));
    if (yyjson_arr_size(shape) > NAC_MAX_RANK)
        return nac_fail(error, NAC_LIMIT_EXCEEDED, "safetensors: tensor \"%.100s\" has %zu dimensions, at most %d are read", name,
                        yyjson_arr_size(shape), (int)NAC_MAX_RANK);
    *tensor = (nac_safetensor){.name = name, .dtype = yyjson_get_str(dtype), .rank = (int)yyjson_arr_size(shape)};
    size_t i, max;
    yyjson_val *dim;
    yyjson_arr_foreach(shape, i, max, dim) {
        if (!read_size(dim, &tensor->dims[i]) || !nac_mul_size(bytes, tensor->dims[i], &bytes))
            return nac_fail(error, NAC_MALFORMED, "safetensors: the shape of tensor \"%.100s\" is no shape or too large", name);
    }
    size_t begin, end;
    if (!read_size(yyjson_arr_get(offsets, 0), &begin) || !read_size(yyjson_arr_get(offsets, 1), &end) || begin > end || end > data_size)
        return nac_fail(error, NAC_MALFORMED, "safetensors: tensor \"%.100s\" lies outside of the file's %zu bytes of data", name, data_size);
    if (end - begin != bytes)
        return nac_fail(error, NAC_MALFORMED, "safetensors: tensor \"%.100s\" has %zu bytes, its shape needs %zu", name, end - begin, bytes);
    tensor->data = data + begin;
    tensor->size = bytes;
    return NAC_OK;
}

static int compare_place(const void *a, const void *b) {
    const nac_safetensor *x = a, *y = b;
    if (x->data != y->data) return x->data < y->data ? -1 : 1;
    return (x->size > y->size) - (x->size < y->size); /* an empty tensor comes before the one that begins at the same place */
}

static int compare_name(const void *a, const void *b) {
    return strcmp(((const nac_safetensor *)a)->name, ((const nac_safetensor *)b)->name);
}

/* As the reference implementation demands: the tensors follow one another without gap or overlap, to the last byte. */
static nac_status check_places(nac_safetensors *file, const uint8_t *data, size_t data_size, nac_error *error) {
    qsort(file->tensors, file->count, sizeof *file->tensors, compare_place);
    const uint8_t *end = data;
    for (size_t i = 0; i < file->count; ++i) {
        const nac_safetensor *tensor = &file->tensors[i];
        if (tensor->data != end)
            return nac_fail(error, NAC_MALFORMED, "safetensors: tensor \"%.100s\" %s", tensor->name,
                            tensor->data < end ? "overlaps another" : "leaves a gap before it");
        end = tensor->data + tensor->size;
    }
    if (end != data + data_size)
        return nac_fail(error, NAC_MALFORMED, "safetensors: %zu bytes at the end belong to no tensor", (size_t)(data + data_size - end));
    qsort(file->tensors, file->count, sizeof *file->tensors, compare_name);
    return NAC_OK;
}

static nac_status read_header(nac_safetensors *file, const uint8_t *data, size_t data_size, nac_error *error) {
    yyjson_val *root = yyjson_doc_get_root(file->header);
    if (!yyjson_is_obj(root)) return nac_fail(error, NAC_MALFORMED, "safetensors: the header is not a JSON object");
    NAC_TRY(check_keys(root, "the header", error));
    file->tensors = nac_alloc_array(yyjson_obj_size(root), sizeof *file->tensors);
    if (!file->tensors) return nac_out_of_memory(error, "a safetensors header");
    size_t i, max;
    yyjson_val *key, *value;
    yyjson_obj_foreach(root, i, max, key, value) {
        if (yyjson_equals_str(key, "__metadata__")) {
            NAC_TRY(read_metadata(value, error));
            file->metadata = value;
        } else {
            NAC_TRY(read_tensor(yyjson_get_str(key), value, data, data_size, &file->tensors[file->count], error));
            ++file->count;
        }
    }
    return check_places(file, data, data_size, error);
}

nac_status nac_safetensors_open(const void *bytes, size_t size, nac_safetensors *file, nac_error *error) {
    *file = (nac_safetensors){0};
    const uint8_t *p = bytes;
    if (!p || size < 8) return nac_fail(error, NAC_MALFORMED, "safetensors: %zu bytes are too few for a file", p ? size : 0);
    uint64_t header_size = 0;
    for (int i = 7; i >= 0; --i) header_size = header_size << 8 | p[i];
    if (header_size > NAC_MAX_PROFILE_HEADER)
        return nac_fail(error, NAC_LIMIT_EXCEEDED, "safetensors: a header of %llu bytes, at most %d are read (or this is another format)",
                        (unsigned long long)header_size, (int)NAC_MAX_PROFILE_HEADER);
    if (header_size > size - 8)
        return nac_fail(error, NAC_MALFORMED, "safetensors: the header of %llu bytes passes the end of the file", (unsigned long long)header_size);
    yyjson_alc allocator = nac_json_allocator();
    yyjson_read_err problem = {0};
    /* Without YYJSON_READ_INSITU the text is copied, never written to, whatever the signature says. */
    file->header = yyjson_read_opts((char *)(uintptr_t)(p + 8), (size_t)header_size, YYJSON_READ_NOFLAG, &allocator, &problem);
    if (!file->header) {
        if (problem.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION) return nac_out_of_memory(error, "a safetensors header");
        return nac_fail(error, NAC_MALFORMED, "safetensors: the header is not JSON: %s at byte %zu", problem.msg, problem.pos);
    }
    nac_status status = read_header(file, p + 8 + header_size, size - 8 - (size_t)header_size, error);
    if (status != NAC_OK) nac_safetensors_close(file);
    return status;
}

void nac_safetensors_close(nac_safetensors *file) {
    yyjson_doc_free(file->header);
    nac_free(file->tensors);
    *file = (nac_safetensors){0};
}

const nac_safetensor *nac_safetensors_find(const nac_safetensors *file, const char *name) {
    nac_safetensor wanted = {.name = name};
    return file->count ? bsearch(&wanted, file->tensors, file->count, sizeof wanted, compare_name) : NULL;
}
