#include "onnx/arena.h"

#include <limits.h>
#include <string.h>

enum { CHUNK = 32 << 10, ALIGN = 16 };

struct nac_arena_chunk {
    nac_arena_chunk *next;
    size_t used, capacity; /* bytes behind this header */
};

/* The header's size, rounded up so that what follows is aligned. */
static const size_t header = (sizeof(nac_arena_chunk) + ALIGN - 1) / ALIGN * ALIGN;

static void *take(nac_arena *arena, size_t bytes, size_t align) {
    nac_arena_chunk *chunk = arena->chunks;
    if (chunk) chunk->used = (chunk->used + align - 1) / align * align;
    if (!chunk || chunk->used > chunk->capacity || bytes > chunk->capacity - chunk->used) {
        const size_t capacity = bytes > CHUNK / 4 ? bytes : CHUNK;
        size_t total;
        if (!nac_add_size(header, capacity, &total) || !(chunk = nac_alloc(total))) return NULL;
        *chunk = (nac_arena_chunk){.capacity = capacity};
        /* A block with a chunk of its own goes behind the newest, whose rest can still be used. */
        const bool own = capacity != CHUNK && arena->chunks;
        chunk->next = own ? arena->chunks->next : arena->chunks;
        *(own ? &arena->chunks->next : &arena->chunks) = chunk;
    }
    unsigned char *block = (unsigned char *)chunk + header + chunk->used;
    chunk->used += bytes;
    return block;
}

void *nac_arena_take(nac_arena *arena, size_t bytes) {
    void *block = take(arena, bytes, ALIGN);
    if (block) memset(block, 0, bytes);
    return block;
}

char *nac_arena_text(nac_arena *arena, const void *text, size_t length) {
    char *copy = length == SIZE_MAX ? NULL : take(arena, length + 1, 1);
    if (!copy) return NULL;
    if (length > 0) memcpy(copy, text, length);
    copy[length] = 0;
    return copy;
}

void *nac_arena_grow(nac_arena *arena, void *array, int count, int *capacity, size_t size) {
    if (count < *capacity) return array;
    const int wanted = *capacity ? *capacity * 2 : 4;
    size_t bytes;
    if (*capacity > INT_MAX / 2 || !nac_mul_size((size_t)wanted, size, &bytes)) return NULL;
    void *moved = nac_arena_take(arena, bytes);
    if (!moved) return NULL;
    if (count > 0) memcpy(moved, array, (size_t)count * size);
    *capacity = wanted;
    return moved;
}

void nac_arena_free(nac_arena *arena) {
    while (arena->chunks) {
        nac_arena_chunk *next = arena->chunks->next;
        nac_free(arena->chunks);
        arena->chunks = next;
    }
}
