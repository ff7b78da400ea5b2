/* golden.h - reads a golden file: raw bytes, and tensors of a safetensors file made by tests/oracle. Trusts its input. */
#ifndef NAC_TEST_GOLDEN_H
#define NAC_TEST_GOLDEN_H

#include "base/json.h"
#include "test.h"

typedef struct golden {
    uint8_t *bytes;
    size_t size;
    yyjson_doc *header; /* of a safetensors file */
    const uint8_t *data;
} golden;

static inline golden golden_read(const char *name) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", NAC_TEST_DATA, name);
    FILE *file = fopen(path, "rb");
    if (!file) test_fail(__FILE__, __LINE__, path);
    golden g = {0};
    fseek(file, 0, SEEK_END);
    g.size = (size_t)ftell(file);
    rewind(file);
    g.bytes = malloc(g.size + 1);
    if (fread(g.bytes, 1, g.size, file) != g.size) test_fail(__FILE__, __LINE__, path);
    fclose(file);
    return g;
}

static inline golden golden_open(const char *name) {
    golden g = golden_read(name);
    uint64_t length;
    memcpy(&length, g.bytes, sizeof length);
    g.header = yyjson_read((const char *)g.bytes + 8, (size_t)length, 0);
    if (!g.header) test_fail(__FILE__, __LINE__, name);
    g.data = g.bytes + 8 + length;
    return g;
}

/* The tensor's numbers, and how many (by its shape). The reader of the file knows the type. */
static inline const void *golden_tensor(const golden *g, const char *name, size_t *count) {
    yyjson_val *tensor = yyjson_obj_get(yyjson_doc_get_root(g->header), name);
    if (!tensor) test_fail(__FILE__, __LINE__, name);
    size_t i, n, product = 1;
    yyjson_val *dim;
    yyjson_arr_foreach(yyjson_obj_get(tensor, "shape"), i, n, dim) product *= (size_t)yyjson_get_uint(dim);
    *count = product;
    return g->data + yyjson_get_uint(yyjson_arr_get_first(yyjson_obj_get(tensor, "data_offsets")));
}

/* A copy that is aligned, of numbers of `width` bytes; freed by the caller. */
static inline void *golden_copy(const golden *g, const char *name, size_t width) {
    size_t count;
    const void *data = golden_tensor(g, name, &count);
    void *copy = malloc(count * width);
    memcpy(copy, data, count * width);
    return copy;
}

static inline const char *golden_metadata(const golden *g, const char *key) {
    const char *text = yyjson_get_str(yyjson_obj_get(yyjson_obj_get(yyjson_doc_get_root(g->header), "__metadata__"), key));
    if (!text) test_fail(__FILE__, __LINE__, key);
    return text;
}

static inline void golden_close(golden *g) {
    yyjson_doc_free(g->header);
    free(g->bytes);
    *g = (golden){0};
}

#endif
