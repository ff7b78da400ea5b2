#include "base/json.h"

static void *json_alloc(void *context, size_t size) {
    (void)context;
    return nac_alloc(size);
}

static void *json_realloc(void *context, void *memory, size_t old_size, size_t size) {
    (void)context;
    (void)old_size;
    return nac_realloc(memory, size);
}

static void json_free(void *context, void *memory) {
    (void)context;
    nac_free(memory);
}

yyjson_alc nac_json_allocator(void) {
    return (yyjson_alc){.malloc = json_alloc, .realloc = json_realloc, .free = json_free, .ctx = NULL};
}
