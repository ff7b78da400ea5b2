/* arena.h - the memory of one model: thousands of small blocks, freed as one. */
#ifndef NAC_ONNX_ARENA_H
#define NAC_ONNX_ARENA_H

#include "base/base.h"

typedef struct nac_arena_chunk nac_arena_chunk;
typedef struct nac_arena {
    nac_arena_chunk *chunks; /* newest first */
} nac_arena;

/* `bytes` zeroed bytes, aligned to 16, or NULL. */
void *nac_arena_take(nac_arena *arena, size_t bytes);

/* A copy with a NUL behind, or NULL. */
char *nac_arena_text(nac_arena *arena, const void *text, size_t length);

/* Makes room for element `count` of an array of elements of `size` bytes: the array itself, or a copy of twice the capacity (the
 * old one stays in the arena: at most as much again), or NULL. */
void *nac_arena_grow(nac_arena *arena, void *array, int count, int *capacity, size_t size);

void nac_arena_free(nac_arena *arena);

#endif
