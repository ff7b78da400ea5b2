#include "base/json.h"

/* context: NULL, or a bool that remembers that memory ran out. */
static void *watch(void *context, void *memory) {
    if (!memory && context) *(bool *)context = true;
    return memory;
}

static void *json_alloc(void *context, size_t size) {
    return watch(context, nac_alloc(size));
}

static void *json_realloc(void *context, void *memory, size_t old_size, size_t size) {
    (void)old_size;
    return watch(context, nac_realloc(memory, size));
}

static void json_free(void *context, void *memory) {
    (void)context;
    nac_free(memory);
}

yyjson_alc nac_json_allocator(void) {
    return (yyjson_alc){.malloc = json_alloc, .realloc = json_realloc, .free = json_free, .ctx = NULL};
}

yyjson_alc nac_json_watched_allocator(bool *failed) {
    *failed = false;
    yyjson_alc allocator = nac_json_allocator();
    allocator.ctx = failed;
    return allocator;
}
